// What pages can do beyond what they show: keep themselves up to date, copy commands, keep typed text where the controller or the session is away.
// Without it everything works; nothing here decides anything.

const body = document.body;
const say = (text) => {
  for (const place of document.querySelectorAll(".connection")) place.textContent = text;
};

// Live regions. The server says that something has changed; the page is asked for again, and its regions are put in place.
const regions = () => [...document.querySelectorAll("[data-live][id]")];
// Where the keyboard can be in a region, in order; links are told by where they lead, others by their place.
const stops = (region) => [...region.querySelectorAll("a, button, summary, [tabindex]")];
const stopLike = (region, stop, place) => {
  const href = stop?.getAttribute("href");
  return href ? stops(region).find((one) => one.getAttribute("href") === href) : stops(region)[place];
};

// Whether somebody has typed something that was not sent yet.
let typed = false;
document.addEventListener("input", (event) => (typed ||= !event.target.closest("form.preferences, form.search")));

async function refresh() {
  const answer = await fetch(location.href, { headers: { "x-fragment": "1" }, redirect: "error" });
  // The session is over: the page asks to sign in, unless typed text would be lost, which sending it does not do.
  if (answer.status === 401) return typed ? body.dataset.over : location.reload();
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const region of regions()) {
    const fresh = page.getElementById(region.id);
    if (!fresh || fresh.innerHTML === region.innerHTML) continue;
    // Whoever types, or reads with the keyboard, in a region is not disturbed there.
    if (region.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) continue;
    const focused = region.contains(document.activeElement) ? document.activeElement : null;
    const place = focused ? stops(region).indexOf(focused) : -1;
    const scrolled = focused?.scrollLeft;
    region.replaceChildren(...fresh.childNodes);
    const stop = place < 0 ? null : stopLike(region, focused, place);
    stop?.focus({ preventScroll: true });
    if (stop && scrolled) stop.scrollLeft = scrolled;
    region.dispatchEvent(new CustomEvent("refreshed", { bubbles: true }));
  }
}

let waiting = false;
let again = false;
async function refreshOnce() {
  if (waiting) return void (again = true);
  waiting = true;
  try {
    say((await refresh()) ?? "");
  } catch {
    say(body.dataset.reconnecting);
  } finally {
    waiting = false;
    if (again) {
      again = false;
      refreshOnce();
    }
  }
}

function listen(query) {
  const source = new EventSource(`/events${query}`);
  let lost = false;
  source.addEventListener("here", () => {
    say("");
    if (lost) refreshOnce();
    lost = false;
  });
  source.addEventListener("changed", refreshOnce);
  source.addEventListener("error", () => {
    lost = true;
    say(body.dataset.reconnecting);
    if (source.readyState !== EventSource.CLOSED) return;
    refreshOnce();
    setTimeout(() => listen(query), 3000);
  });
  addEventListener("pagehide", () => source.close());
}
for (const query of new Set(regions().map((region) => region.dataset.live).filter(Boolean))) listen(query);

// What only hosts know is asked for again and again while somebody looks.
const every = Math.min(...regions().map((region) => Number(region.dataset.every) || Infinity));
if (every < Infinity) setInterval(() => document.hidden || refreshOnce(), every);

// Commands can be copied.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent.trim());
    say(body.dataset.copied);
    setTimeout(() => say(""), 4000);
  });
}

// What is told once is not asked for again by loading the page again: that leads to where it was made.
const once = document.querySelector("[data-once]");
if (once) history.replaceState(null, "", once.dataset.once);

// Preferences apply at once, without their button.
for (const button of document.querySelectorAll("form.preferences button")) button.hidden = true;
for (const select of document.querySelectorAll("form.preferences select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// Forms that check while somebody types: the form is sent as a draft, and what the server answers for its [data-check]
// regions is put in place.
for (const form of document.querySelectorAll("form[data-draft]")) {
  let timer;
  const check = async () => {
    const data = new URLSearchParams(new FormData(form));
    data.set("draft", "1");
    try {
      const answer = await fetch(form.action || location.href, { method: "POST", body: data, headers: { "x-fragment": "1" } });
      if (answer.status === 401) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const region of form.querySelectorAll("[data-check][id]")) {
        const fresh = page.getElementById(region.id);
        if (fresh && fresh.innerHTML !== region.innerHTML) region.replaceChildren(...fresh.childNodes);
      }
      say("");
    } catch {
      say(body.dataset.reconnecting);
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(check, 250);
  });
}

// A form is sent when the controller answers. While it does not, the page stays as it is with all that was typed, says so,
// and sends the form as soon as it can.
const answers = () => fetch("/health", { cache: "no-store" }).then((answer) => answer.ok, () => false);
const [held, released] = [new WeakSet(), new WeakSet()];
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.getAttribute("method") !== "post" || released.delete(form)) return;
  event.preventDefault();
  if (held.has(form)) return;
  held.add(form);
  while (!(await answers())) {
    say(body.dataset.reconnecting);
    await new Promise((again) => setTimeout(again, 1000));
  }
  say("");
  held.delete(form);
  released.add(form);
  form.requestSubmit(event.submitter);
  // What the browser itself refuses to send is not on its way.
  released.delete(form);
});

// Rows of a table that is edited: one more, one less.
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-row]");
  if (!button) return;
  const table = document.getElementById(button.getAttribute("aria-controls")) ?? button.closest("table");
  if (button.dataset.row === "add") {
    const row = table.querySelector("template").content.cloneNode(true);
    table.querySelector("tbody").append(row);
    table.querySelector("tbody tr:last-child").querySelector("input, select")?.focus();
  } else {
    button.closest("tr").remove();
  }
  table.closest("form")?.dispatchEvent(new Event("input"));
});
