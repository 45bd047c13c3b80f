//! What was done to what the tenant owns, newest first, page by page.

use api::Problem;
use api::fabric::{AuditEntry, AuditQuery, PageAnswer};
use maud::{Markup, html};
use model::fabric::ResourceName;
use serde_json::Value;

use super::pieces::{as_tenant, table, watched};
use crate::context::View;
use crate::forms::query;
use crate::layout;
use crate::secrets::hide;
use crate::texts::common::*;
use crate::texts::tenant::*;

/// How many lines a page has.
const SIZE: usize = 50;
/// Most bytes of what was declared that a line shows.
const MOST: usize = 400;

/// The page.
///
/// # Errors
/// Those of the interface.
pub fn answer(view: &View<'_>, tenant: &ResourceName) -> Result<PageAnswer, Problem> {
    let before = view.context.query.parse("before")?;
    let mut entries = view.context.api.audit(&as_tenant(view, tenant), AuditQuery { before, limit: Some(SIZE + 1) })?;
    let more = entries.len() > SIZE;
    entries.truncate(SIZE);
    let last = entries.last().filter(|_| more).map(|entry| entry.id.to_string());
    let rows: Vec<Markup> = entries.iter().map(|entry| row(view, entry)).collect();
    let body = html! {
        (layout::heading(view.t(ACTIVITY), &[], &html! {}))
        div #activity data-live=(watched(tenant, None)) {
            (table(view, ACTIVITY, &[WHEN, WHO, DONE, WHAT, DETAILS], &rows))
            @if before.is_some() || last.is_some() {
                nav.pager aria-label=(view.t(NEXT_PAGE)) {
                    @if before.is_some() { a href="?" { (view.t(FIRST_PAGE)) } }
                    @if let Some(last) = &last { a rel="next" href=(query(&[("before", last)])) { (view.t(NEXT_PAGE)) } }
                }
            }
        }
        (layout::command(view, &[format!("netvirt get audit{}", layout::for_tenant(Some(tenant)))]))
    };
    Ok(layout::page(view, view.t(ACTIVITY), &body))
}

fn row(view: &View<'_>, entry: &AuditEntry) -> Markup {
    html! {
        td { time datetime=(entry.time) { (entry.time) } }
        td { (entry.who) }
        td { (entry.action) }
        th scope="row" { (entry.object) }
        td {
            @if !(entry.before.is_null() && entry.after.is_null()) {
                details {
                    summary { (view.t(DETAILS)) }
                    @for (text, value) in [(BEFORE, &entry.before), (AFTER, &entry.after)] {
                        @if !value.is_null() { p.hint { (view.t(text)) } pre { code { (short(value)) } } }
                    }
                }
            }
        }
    }
}

/// What was declared, without secrets, as much of it as a line has room for.
fn short(value: &Value) -> String {
    let mut value = value.clone();
    // The controller writes no secret into its log; this is for one of another version.
    hide(&mut value);
    let text = serde_saphyr::to_string(&value).unwrap_or_default();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use api::fabric::Role;

    use crate::pages::tenant::testing::Desk;

    #[test]
    fn the_log_is_the_tenants_own_and_has_no_secret() {
        for desk in [Desk::of_blue(), Desk::of(Role::Admin, None)] {
            let shown = desk.get("/t/blue/activity");
            shown.has("port &quot;www&quot;").lacks("hidden-").lacks("swordfish").lacks("tenant &quot;red&quot;");
        }
    }

    #[test]
    fn it_goes_on_page_by_page() {
        let desk = Desk::of_blue();
        for number in 0..60 {
            let name = format!("p{number}");
            desk.post("/t/blue/ports/new", &[("name", &name), ("subnet", "web")]);
        }
        let first = desk.get("/t/blue/activity");
        first.has("&quot;p59&quot;").lacks("&quot;p2&quot;");
        let next = first.text.split("?before=").nth(1).unwrap().split('"').next().unwrap();
        desk.get(&format!("/t/blue/activity?before={next}"))
            .has("&quot;p2&quot;")
            .lacks("&quot;p59&quot;")
            .has("First page");
    }
}
