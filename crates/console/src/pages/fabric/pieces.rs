//! What several of an operator's pages need: resources of a kind, specs as types, tables, numbers for people.

use api::Problem;
use api::fabric::{Caller, Item, ListQuery, Page, Role};
use maud::{Markup, html};
use model::fabric::{Key, Kind, ResourceName};

pub use crate::pages::pieces::{bytes, field, joined, select, spec, table};

use crate::context::View;
use crate::layout;
use crate::texts::Text;
use crate::texts::common::*;
use crate::texts::fabric::*;

/// Most resources of a kind that a page looks through for what it shows; a page says so where there are more.
pub const MOST: usize = 2000;

/// How many resources a page of a list has.
pub const SIZE: usize = 100;

/// Resources of a kind, and whether there are more than these.
pub struct Gathered {
    /// The first [`MOST`].
    pub items: Vec<Item>,
    /// Whether there are others.
    pub more: bool,
}

/// All resources of a kind that mention a text, of all tenants; as many as a page looks through.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::list`].
pub fn gather(view: &View<'_>, kind: Kind, search: Option<&str>) -> Result<Gathered, Problem> {
    gather_of(view, kind, None, search)
}

/// The same of one tenant.
///
/// # Errors
/// See [`gather`].
pub fn gather_of(
    view: &View<'_>,
    kind: Kind,
    tenant: Option<&ResourceName>,
    search: Option<&str>,
) -> Result<Gathered, Problem> {
    let mut gathered = Gathered { items: Vec::new(), more: false };
    let mut continue_token = None;
    loop {
        let search = search.map(str::to_owned);
        let query = ListQuery { kind, tenant: tenant.cloned(), limit: None, continue_token, search };
        let page = view.context.api.list(view.caller(), query)?;
        gathered.items.extend(page.items);
        continue_token = page.continue_token;
        gathered.more = continue_token.is_some();
        if !gathered.more || gathered.items.len() >= MOST {
            return Ok(gathered);
        }
    }
}

/// A page of a kind's list, as the address asks for it (`q`, `after`).
///
/// # Errors
/// Those of [`api::fabric::FabricApi::list`].
pub fn listed(view: &View<'_>, kind: Kind) -> Result<Page, Problem> {
    let query = &view.context.query;
    view.context.api.list(
        view.caller(),
        ListQuery {
            kind,
            tenant: None,
            limit: Some(SIZE),
            continue_token: query.given("after").map(str::to_owned),
            search: Some(query.text("q").to_owned()),
        },
    )
}

/// A page of those resources of a kind that mention a text and are wanted. Pages are looked through until there are `size`, and
/// at most so many that the answer does not take long; where it stopped is said, to go on from.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::list`].
pub fn wanted(
    view: &View<'_>,
    kind: Kind,
    search: &str,
    size: usize,
    wanted: impl Fn(&Item) -> bool,
) -> Result<(Vec<Item>, Option<String>), Problem> {
    let mut found = Vec::new();
    let mut continue_token = view.context.query.given("after").map(str::to_owned);
    for _ in 0..MOST / SIZE {
        let query =
            ListQuery { kind, tenant: None, limit: Some(size), continue_token, search: Some(search.to_owned()) };
        let page = view.context.api.list(view.caller(), query)?;
        found.extend(page.items.into_iter().filter(&wanted));
        continue_token = page.continue_token;
        if continue_token.is_none() || found.len() >= size {
            break;
        }
    }
    Ok((found, continue_token))
}

/// A caller who sees of a tenant what it sees itself, to ask how much that is.
pub fn as_tenant(view: &View<'_>, tenant: &ResourceName) -> Caller {
    Caller { role: Role::Reader, tenant: Some(tenant.clone()), ..view.caller().clone() }
}

/// The first segments of what leads to a kind's list.
pub fn crumb(view: &View<'_>, kind: Kind) -> (String, String) {
    (layout::list_address(kind, None), view.t(layout::kind_text(kind)).to_owned())
}

/// A link to a resource.
pub fn link(key: &Key) -> Markup {
    html! { a href=(layout::address(key)) { (key.name) } }
}

/// A link to a host.
pub fn host_link(host: &ResourceName) -> Markup {
    link(&Key::global(Kind::Host, host))
}

/// The table of a list, or that nothing is found.
pub fn list(view: &View<'_>, title: Text, columns: &[Text], rows: &[Markup]) -> Markup {
    let search = view.context.query.text("q");
    html! {
        @if rows.is_empty() && !search.is_empty() {
            p.nothing { (view.tf(NOTHING_FOUND, &[search])) }
        } @else {
            (table(view, title, columns, rows, NOTHING))
        }
    }
}

/// How much of a whole is used: in words and as a bar.
pub fn usage(view: &View<'_>, used: u64, total: u64) -> Markup {
    let words = view.tf(USED_OF, &[&number(used), &number(total)]);
    html! {
        span.usage {
            (words)
            @if total > 0 { " " meter min="0" max=(total) value=(used) aria-label=(words) { (words) } }
        }
    }
}

/// What a pool says of itself.
pub fn usage_of(view: &View<'_>, item: &Item) -> Markup {
    match (item.status.used, item.status.total) {
        (Some(used), Some(total)) => usage(view, used, total),
        _ => html! {
            @for of in &item.status.families { div { (of.family) " " (usage(view, of.used, of.total)) } }
        },
    }
}

/// A moment.
pub fn time(text: &str) -> Markup {
    html! { time datetime=(text) { (text) } }
}

/// Sentences, or that there are none.
pub fn sentences(view: &View<'_>, sentences: &[String], none: Text) -> Markup {
    html! {
        @if sentences.is_empty() { p.hint { (view.t(none)) } }
        @else { ul.findings { @for sentence in sentences { li { (sentence) } } } }
    }
}

/// A number with a narrow space between its thousands.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
    }
}
