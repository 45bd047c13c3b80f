//! Many changes at once, as YAML; and everything that there is, as a file.

use api::fabric::{Change, ChangeReport, ChangeResult, ChangeSet, PageAnswer};
use api::{Outcome, Problem, ProblemType};
use maud::{Markup, html};
use model::fabric::{Resource, resources_from_yaml};

use super::{difference, pieces};
use crate::context::View;
use crate::pages::nowhere;
use crate::texts::common::*;
use crate::texts::fabric::*;
use crate::{answer as answers, layout};

/// Most results that are shown with their differences; the rest is counted.
const SHOWN: usize = 50;

/// What became of what was typed.
struct Done {
    report: ChangeReport,
    /// Of each result that is shown, what was declared before.
    before: Vec<String>,
    dry_run: bool,
}

/// Answers for a path below `/fabric/changes`.
///
/// # Errors
/// See [`crate::pages::answer`].
pub fn answer(view: &View<'_>, rest: &[&str]) -> Result<PageAnswer, Problem> {
    match rest {
        [] => Ok(page(view)),
        ["export"] if !view.context.is_post() => {
            let text = view.context.api.export(view.caller())?;
            Ok(answers::file("netvirt.jsonl", "application/jsonl", text))
        }
        _ => Err(nowhere()),
    }
}

fn page(view: &View<'_>) -> PageAnswer {
    let form = &view.context.form;
    let typed = form.first("yaml").unwrap_or_default();
    // Only who presses "apply" has it applied: a draft, and a form sent in any other way, is checked.
    let dry_run = form.is_set("draft") || form.text("do") != "apply";
    let done = (view.context.is_post() && !(form.is_set("draft") && typed.trim().is_empty()))
        .then(|| carry_out(view, typed, dry_run));
    let status = match &done {
        Some(Err(problem)) => problem.status,
        _ => 200,
    };
    let verb = if dry_run { " --dry-run" } else { "" };
    let body = html! {
        (layout::heading(view.t(CHANGES), &[], &html! {}))
        p { (view.t(CHANGES_HINT)) }
        // Readers have nothing to send; a form that comes from one all the same keeps what was typed.
        @if view.may_change() || view.context.is_post() { form method="post" data-draft {
            (layout::csrf(view))
            label.field { span { (view.t(YAML)) }
                textarea.yaml name="yaml" rows="18" spellcheck="false" { (crate::forms::typed(typed)) }
            }
            @if view.may_change() {
                div.buttons {
                    button type="submit" name="do" value="check" { (view.t(CHECK)) }
                    button.main type="submit" name="do" value="apply" { (view.t(APPLY)) }
                }
            }
            div #result data-check aria-live="polite" {
                @match &done {
                    Some(Ok(done)) => (result(view, done)),
                    Some(Err(problem)) => (layout::problem(&view.context, problem)),
                    None => {}
                }
            }
        } }
        (layout::command(view, &[format!("netvirt apply -f FILE.yaml{verb}"), "netvirt diff -f FILE.yaml".to_owned()]))
        (export(view))
    };
    layout::with_status(view, status, view.t(CHANGES), &body)
}

fn export(view: &View<'_>) -> Markup {
    html! {
        // The interface lets admins alone have everything at once.
        @if view.may_change() {
            section aria-labelledby="export" {
                h2 #export { (view.t(EXPORT)) }
                p { (view.t(EXPORT_HINT)) }
                p { a.button href="/fabric/changes/export" download { (view.t(EXPORT)) } }
                (layout::command(view, &["netvirt store export netvirt.jsonl".to_owned()]))
            }
        }
    }
}

/// Reads what was typed, and has it checked or come into force.
fn carry_out(view: &View<'_>, typed: &str, dry_run: bool) -> Result<Done, Problem> {
    let resources = resources_from_yaml(typed).map_err(|error| Problem::invalid(error.to_string()))?;
    if resources.is_empty() {
        return Err(Problem::invalid(view.t(TYPE_SOMETHING)));
    }
    let keys: Vec<_> = resources.iter().take(SHOWN).map(Resource::key).collect();
    let mut before = Vec::new();
    for key in &keys {
        before.push(match view.context.api.get(view.caller(), key) {
            Ok(item) => difference::text_of(&item.spec),
            Err(problem) if problem.problem_type == ProblemType::NotFound => String::new(),
            Err(problem) => return Err(problem),
        });
    }
    let changes = resources.into_iter().map(|resource| Change::Put { resource, revision: None }).collect();
    let changes = ChangeSet { changes, dry_run, ..ChangeSet::default() };
    let report = view.context.api.change(view.caller(), changes)?;
    Ok(Done { report, before, dry_run })
}

fn result(view: &View<'_>, done: &Done) -> Markup {
    let results = &done.report.results;
    let row = |(result, before): (&ChangeResult, &String)| {
        html! {
            th scope="row" {
                @if done.dry_run { (result.item.key()) }
                @else { a href=(layout::address(&result.item.key())) { (result.item.key()) } }
            }
            td { (layout::mark(if result.outcome == Outcome::Unchanged { "plain" } else { "good" }, result.outcome.as_str())) }
            td { (difference::shown(view, before, &difference::text_of(&result.item.spec))) }
        }
    };
    let rows: Vec<Markup> = results.iter().zip(&done.before).map(row).collect();
    let unchanged = results.iter().all(|result| result.outcome == Outcome::Unchanged);
    html! {
        h2 { (view.t(if done.dry_run { WOULD_BECOME } else { BECAME })) }
        @if unchanged { p { (view.t(NOTHING_DIFFERENT)) } }
        (pieces::table(view, OUTCOME, &[OBJECT, OUTCOME, DIFFERENCE], &rows, NOTHING))
        @if results.len() > SHOWN { p.hint { (view.tf(ONLY_FIRST, &[&SHOWN.to_string()])) } }
        @if !done.report.findings.is_empty() {
            h3 { (view.t(FINDINGS)) }
            ul.findings { @for finding in &done.report.findings { li { (finding) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Desk, EVIL, admin};
    use api::fabric::{FabricApi as _, Role};
    use model::fabric::Kind;

    const HERE: &str = "/fabric/changes";

    const TYPED: &str = "kind: tenant\nname: blue\nspec: {description: '<script>alert(1)</script> new'}\n---\nkind: tenant\nname: green\n";

    fn revision(desk: &Desk) -> u64 {
        desk.api.status(&admin()).unwrap().revision
    }

    #[test]
    fn what_is_typed_is_checked_and_then_applied() {
        let desk = Desk::of(Role::Admin, None);
        let before = revision(&desk);
        for form in
            [[("yaml", TYPED), ("do", "check")], [("yaml", TYPED), ("draft", "1")], [("yaml", TYPED), ("do", "")]]
        {
            let page = desk.post(HERE, &form);
            page.has("What would become of it").has("created").has("configured").has("ports: 1\n</del>").says(EVIL);
            page.has("netvirt apply -f FILE.yaml --dry-run");
        }
        assert_eq!(revision(&desk), before);
        let page = desk.post(HERE, &[("yaml", TYPED), ("do", "apply")]);
        page.has("What became of it").has("href=\"/fabric/tenants/green\"").says("kind: tenant\nname: blue\n");
        assert_eq!(desk.item(Kind::Tenant, None, "blue").spec["description"], format!("{EVIL} new"));
        desk.post(HERE, &[("yaml", TYPED), ("do", "apply")]).has("Nothing would be different.");
    }

    #[test]
    fn what_cannot_be_read_or_done_is_told_and_nothing_typed_is_lost() {
        let desk = Desk::of(Role::Admin, None);
        let typed = "kind: tenant\nname: a\nspec: {quota: {ports: many}}\n# <b>\n";
        let page = desk.post(HERE, &[("yaml", typed), ("do", "apply")]);
        assert_eq!(page.status, 422);
        page.has("line 3").says(typed);
        let typed = "kind: port\ntenant: nobody\nname: a\n";
        let page = desk.post(HERE, &[("yaml", typed), ("do", "apply")]);
        assert_eq!(page.status, 422);
        page.says("there is no tenant \"nobody\"").says(typed);
        desk.post(HERE, &[("yaml", " \n"), ("do", "check")]).has("nothing is declared");
        // An empty draft is no mistake yet.
        assert_eq!(desk.post(HERE, &[("yaml", ""), ("draft", "1")]).status, 200);
    }

    #[test]
    fn everything_is_a_file_for_admins() {
        let desk = Desk::of(Role::Admin, None);
        let file = desk.ask_file("/fabric/changes/export");
        assert!(file.contains("\"name\":\"host15\"") && file.lines().count() > 10, "{file}");
        desk.get(HERE).has("/fabric/changes/export");
        let reader = Desk::of(Role::Reader, None);
        assert_eq!(reader.get("/fabric/changes/export").status, 403);
    }

    #[test]
    fn readers_and_tenants_are_refused() {
        let reader = Desk::of(Role::Reader, None);
        reader.get(HERE).lacks("value=\"apply\"").lacks("<textarea").lacks("/export");
        let before = revision(&reader);
        let page = reader.post(HERE, &[("yaml", TYPED), ("do", "apply")]);
        assert_eq!(page.status, 403);
        page.has("only an admin may").says("kind: tenant\nname: blue\n");
        assert_eq!(revision(&reader), before);
        let tenant = Desk::of(Role::Tenant, Some("blue"));
        assert_eq!((tenant.get(HERE).status, tenant.post(HERE, &[("yaml", TYPED)]).status), (404, 404));
    }
}
