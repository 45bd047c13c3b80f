//! The audit log: who did what, with what was different afterwards.

use api::Problem;
use api::fabric::{AuditEntry, AuditQuery, PageAnswer};
use maud::{Markup, html};

use super::{difference, pieces};
use crate::context::View;
use crate::forms::query;
use crate::layout;
use crate::texts::common::*;
use crate::texts::fabric::*;

/// How many lines a page has.
const SIZE: usize = 50;

/// How many lines are looked through for a page of those that have a text in them; one goes on from there.
const LOOKED_THROUGH_AT_MOST: usize = 10_000;

/// How many of them there are at a time: each may have a large declaration in it, twice.
const AT_A_TIME: usize = 100;

/// Lines of the log, as a page of it.
struct Lines {
    entries: Vec<AuditEntry>,
    /// Where older ones begin.
    next: Option<u64>,
    looked_through: usize,
    back_to: Option<String>,
}

/// The page.
///
/// # Errors
/// Those of the form, and of [`api::fabric::FabricApi::audit`].
pub fn answer(view: &View<'_>) -> Result<PageAnswer, Problem> {
    let asked = &view.context.query;
    let (text, before) = (asked.text("q"), asked.parse::<u64>("before")?);
    let lines = lines(view, text, before)?;
    let rows: Vec<Markup> = lines.entries.iter().map(|entry| row(view, entry)).collect();
    let body = html! {
        (layout::heading(view.t(AUDIT), &[], &html! {}))
        form.search role="search" method="get" {
            label { span.unseen { (view.t(FILTER)) }
                input type="search" name="q" value=(text) placeholder=(view.t(FILTER_HINT));
            }
            button type="submit" { (view.t(FILTER)) }
        }
        (pieces::list(view, AUDIT, &[TIME, WHO, ACTION, OBJECT, DIFFERENCE], &rows))
        @if let Some(back_to) = lines.back_to.as_ref().filter(|_| !text.is_empty()) {
            p.hint { (view.tf(LOOKED_THROUGH, &[&lines.looked_through.to_string(), back_to])) }
        }
        @if before.is_some() || lines.next.is_some() {
            nav.pager aria-label=(view.t(OLDER)) {
                @if before.is_some() { a href=(format!("/fabric/audit{}", query(&[("q", text)]))) { (view.t(NEWEST)) } }
                @if let Some(next) = lines.next {
                    a rel="next" href=(query(&[("q", text), ("before", &next.to_string())])) { (view.t(OLDER)) }
                }
            }
        }
        (layout::command(view, &["netvirt get audit -o wide".to_owned()]))
    };
    Ok(layout::page(view, view.t(AUDIT), &body))
}

/// Whether a line has the text in it, in whatever case: in what stands in the table, or in what was declared.
fn mentions(entry: &AuditEntry, needle: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(needle);
    let tenant = entry.tenant.as_ref().map_or("", |tenant| tenant.as_str());
    [&entry.who, &entry.action, &entry.object, &entry.time].into_iter().any(|text| has(text))
        || has(tenant)
        || [&entry.before, &entry.after].into_iter().any(|value| !value.is_null() && has(&value.to_string()))
}

fn lines(view: &View<'_>, text: &str, before: Option<u64>) -> Result<Lines, Problem> {
    let needle = text.to_lowercase();
    let limit = if needle.is_empty() { SIZE } else { AT_A_TIME };
    let mut lines = Lines { entries: Vec::new(), next: before, looked_through: 0, back_to: None };
    while lines.entries.len() < SIZE && lines.looked_through < LOOKED_THROUGH_AT_MOST {
        let asked = AuditQuery { before: lines.next, limit: Some(limit) };
        let page = view.context.api.audit(view.caller(), asked)?;
        let last = page.len() < limit;
        lines.next = None;
        let mut left = page.into_iter().peekable();
        for entry in left.by_ref() {
            lines.looked_through += 1;
            lines.back_to = Some(entry.time.clone());
            lines.next = Some(entry.id);
            if needle.is_empty() || mentions(&entry, &needle) {
                lines.entries.push(entry);
            }
            if lines.entries.len() == SIZE {
                break;
            }
        }
        if last && left.peek().is_none() {
            lines.next = None;
            break;
        }
    }
    Ok(lines)
}

fn row(view: &View<'_>, entry: &AuditEntry) -> Markup {
    let declared = !(entry.before.is_null() && entry.after.is_null());
    html! {
        td { (pieces::time(&entry.time)) }
        td { (entry.who) }
        td { (entry.action) }
        td { (entry.object) }
        td {
            @if declared {
                details {
                    summary { (view.t(DIFFERENCE)) span.unseen { " " (entry.object) } }
                    (difference::shown(view, &difference::text_of(&entry.before), &difference::text_of(&entry.after)))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Desk, EVIL, admin};
    use api::fabric::{Change, ChangeSet, FabricApi as _, Role};
    use model::fabric::{Resource, Tenant};

    fn describe(desk: &Desk, text: &str) {
        let spec = Tenant { description: Some(text.to_owned()), ..Tenant::default() };
        let change = Change::Put { resource: Resource::new(None, "blue".parse().unwrap(), spec), revision: None };
        desk.api.change(&admin(), ChangeSet { changes: vec![change], ..ChangeSet::default() }).unwrap();
    }

    #[test]
    fn what_was_done_is_told_with_its_difference() {
        let desk = Desk::of(Role::Reader, None);
        describe(&desk, "first");
        describe(&desk, &format!("second {EVIL}"));
        let page = desk.get("/fabric/audit?q=second");
        page.has("configure").says("tenant \"blue\"").has("<del>- description: first").has("<ins>+ description: ");
        page.says(&format!("second {EVIL}")).lacks("port &quot;www&quot;");
        desk.get("/fabric/audit?q=nobody").has("Nothing matches");
    }

    #[test]
    fn older_lines_are_a_page_away_and_none_is_missed() {
        let desk = Desk::of(Role::Admin, None);
        (0..120).for_each(|number| describe(&desk, &format!("number-{number}.")));
        let mut address = "/fabric/audit?q=number-".to_owned();
        let mut seen = Vec::new();
        loop {
            let page = desk.get(&address);
            seen.extend(
                (0..120).filter(|number| page.text.contains(&format!("<ins>+ description: number-{number}.\n"))),
            );
            assert!(page.text.len() < 100_000, "{} bytes", page.text.len());
            if !page.text.contains("rel=\"next\"") {
                break;
            }
            address = format!("/fabric/audit{}", page.between("rel=\"next\" href=\"", "\"").replace("&amp;", "&"));
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, (0..120).collect::<Vec<_>>());
        let page = desk.get("/fabric/audit");
        page.has("rel=\"next\"");
        let address = format!("/fabric/audit{}", page.between("rel=\"next\" href=\"", "\""));
        desk.get(&address).has("Newest").has("number-60.");
        assert_eq!(desk.get("/fabric/audit?before=x").status, 422);
    }

    #[test]
    fn a_tenant_has_no_such_page() {
        assert_eq!(Desk::of(Role::Tenant, Some("blue")).get("/fabric/audit").status, 404);
    }
}
