// How a person finds things in a page: by their names. What is hidden is not there.
const plain = (text) => (text ?? "").replace(/\s+/g, " ").trim();

// The text of a label is what stands in it beside the field itself and hints.
const labelText = (label) => {
  const copy = label.cloneNode(true);
  for (const part of copy.querySelectorAll("input, select, textarea, small, button")) part.remove();
  return plain(copy.textContent);
};

// What an element is called, and may be called.
const called = (element) => {
  const by = element.getAttribute("aria-labelledby");
  const others = by ? by.split(/\s+/).map((id) => document.getElementById(id)?.textContent).join(" ") : "";
  const labels = [...(element.labels ?? [])].map(labelText);
  const own = element.matches("input, select, textarea") ? element.placeholder : element.textContent;
  return [others, element.getAttribute("aria-label"), ...labels, own].map(plain).filter(Boolean);
};

const SORTS = {
  field: "input:not([type=hidden]), select, textarea",
  button: "button, summary, a.button, input[type=submit], [role=button], [role=tab]",
  link: "a[href]",
};

// The first element of a sort with this name, or else the first whose name begins so. Where to look: below a selector, or below
// the row, card or group that has a text; everywhere if neither is given.
const find = (sort, name, within) => {
  const shown = [...document.querySelectorAll(SORTS[sort])].filter((element) => element.checkVisibility());
  const groups = "tr, li, fieldset, section, article, form, .card";
  const isWithin = (element) => {
    for (let at = element.closest(groups); at; at = at.parentElement?.closest(groups)) {
      if (plain(at.textContent).includes(within)) return true;
    }
    return false;
  };
  const there = within ? shown.filter(isWithin) : shown;
  return there.find((element) => called(element).includes(name))
    ?? there.find((element) => called(element).some((its) => its.startsWith(name)))
    ?? null;
};

// What can be chosen in a list under this name, or else what begins so.
const optionOf = (list, name) => {
  const options = [...(list.options ?? [])];
  return options.find((option) => plain(option.text) === name) ?? options.find((option) => plain(option.text).startsWith(name));
};
