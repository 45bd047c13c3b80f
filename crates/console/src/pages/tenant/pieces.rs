//! What several pages of a tenant need: all of a kind, specs as types, who asks when an operator looks, small tables.

use api::Problem;
use api::fabric::{Caller, Item, ListQuery, Role};
use maud::{Markup, html};
use model::fabric::{Key, Kind, ResourceName};
use serde::de::DeserializeOwned;

use crate::pages::pieces;
pub use crate::pages::pieces::{bytes, field, joined, select, spec};

use crate::context::View;
use crate::forms::query;
use crate::layout;
use crate::texts::Text;

/// Most resources of a kind that a page looks at to show or offer them. Lists of their own have all.
const MOST: usize = 2000;

/// Resources of a kind, the first [`MOST`] of them.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::list`].
pub fn all(view: &View<'_>, kind: Kind, tenant: &ResourceName) -> Result<Vec<Item>, Problem> {
    let mut items = Vec::new();
    let mut continue_token = None;
    loop {
        let tenant = kind.has_tenant().then(|| tenant.clone());
        let page = view
            .context
            .api
            .list(view.caller(), ListQuery { kind, tenant, limit: None, continue_token, search: None })?;
        items.extend(page.items);
        continue_token = page.continue_token;
        if continue_token.is_none() || items.len() >= MOST {
            return Ok(items);
        }
    }
}

/// One resource of a tenant.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::get`].
pub fn one(view: &View<'_>, kind: Kind, tenant: &ResourceName, name: &str) -> Result<Item, Problem> {
    view.context.api.get(view.caller(), &Key::new(kind, Some(tenant.clone()), View::name(name)?))
}

/// The same of all that can be read.
pub fn specs<T: DeserializeOwned>(items: &[Item]) -> impl Iterator<Item = (&Item, T)> {
    items.iter().filter_map(|item| Some((item, spec(item).ok()?)))
}

/// Who asks for what is the tenant's alone: an operator who looks at a tenant's pages is shown what the tenant is.
pub fn as_tenant(view: &View<'_>, tenant: &ResourceName) -> Caller {
    if view.is_operator() {
        Caller { role: Role::Reader, tenant: Some(tenant.clone()), ..view.caller().clone() }
    } else {
        view.caller().clone()
    }
}

/// What the script watches for a region: resources of a tenant, of one kind or of all.
pub fn watched(tenant: &ResourceName, kind: Option<Kind>) -> String {
    query(&[("kind", kind.map_or("", Kind::as_str)), ("tenant", tenant.as_str())])
}

/// A link to a resource of a tenant.
pub fn link(kind: Kind, tenant: &ResourceName, name: &ResourceName) -> Markup {
    let address = layout::address(&Key::new(kind, Some(tenant.clone()), name.clone()));
    html! { a href=(address) { (name) } }
}

/// A table that scrolls by itself on narrow screens, with what it is called, or a sentence where it has no rows.
pub fn table(view: &View<'_>, title: Text, columns: &[Text], rows: &[Markup]) -> Markup {
    pieces::table(view, title, columns, rows, crate::texts::common::NOTHING)
}

/// The way back to a kind's list.
pub fn crumb(view: &View<'_>, kind: Kind, tenant: &ResourceName) -> (String, String) {
    (layout::list_address(kind, Some(tenant)), view.t(layout::kind_text(kind)).to_owned())
}

/// Findings, if there are any.
pub fn findings(view: &View<'_>, findings: &[String]) -> Markup {
    html! {
        @if !findings.is_empty() {
            h2 { (view.t(crate::texts::common::FINDINGS)) }
            ul.findings { @for finding in findings { li { (finding) } } }
        }
    }
}

/// A field of one line.
pub fn line(view: &View<'_>, label: Text, hint: Option<Text>, name: &str, value: &str) -> Markup {
    field(view, label, hint, &html! { input name=(name) value=(value) autocomplete="off" spellcheck="false"; })
}

/// Commands that follow what is typed. They are always open: what is put in place again and again cannot be opened.
pub fn commands_shown(view: &View<'_>, lines: &[String]) -> Markup {
    let title = view.t(crate::texts::common::COMMAND);
    html! {
        h3 { (title) }
        pre tabindex="0" role="group" aria-label=(title) { code { @for line in lines { (line) "\n" } } }
    }
}
