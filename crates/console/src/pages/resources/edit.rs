//! Declaring, changing and deleting any resource, as YAML. What is refused comes back as it was typed.

use api::fabric::{Change, ChangeSet, Item, PageAnswer};
use api::{Problem, ProblemType};
use maud::{Markup, html};
use model::fabric::{Key, Kind, Resource, ResourceName, Spec};
use serde_json::Value;

use crate::context::View;
use crate::forms::{self, query};
use crate::pages::resources::yaml;
use crate::texts::common::*;
use crate::{answer, layout};

/// A new resource.
///
/// # Errors
/// Those of the interface that no form can be shown for.
pub fn new(view: &View<'_>, kind: Kind, tenant: Option<&ResourceName>) -> Result<PageAnswer, Problem> {
    let form = &view.context.form;
    let list = layout::list_address(kind, tenant);
    let typed = form.first("spec").unwrap_or("{}\n");
    let mut status = 200;
    let mut refused = None;
    if view.context.is_post() {
        let made = form.need::<ResourceName>("name").and_then(|name| {
            let spec = read(kind, typed)?;
            let key = Key::new(kind, tenant.cloned(), name.clone());
            changed(view, vec![Change::Create(Resource::new(tenant.cloned(), name, spec))])?;
            Ok(key)
        });
        match made {
            Ok(key) => return Ok(see_done(&key, "created")),
            Err(problem) => {
                status = problem.status;
                refused = Some(problem);
            }
        }
    }
    let title = format!("{}: {}", view.t(layout::kind_text(kind)), view.t(CREATE));
    let body = html! {
        (layout::heading(&title, &[(list.clone(), view.t(layout::kind_text(kind)).to_owned())], &html! {}))
        @if let Some(problem) = &refused { (layout::problem(&view.context, problem)) }
        form.card method="post" {
            (layout::csrf(view))
            label.field { span { (view.t(NAME)) } input name="name" required maxlength="64" value=(form.text("name")); }
            (spec_field(view, typed))
            (buttons(view, CREATE, &list))
        }
        (layout::command(view, &[format!("netvirt create {kind} NAME …{}", layout::for_tenant(tenant)), "netvirt apply -f FILE.yaml".to_owned()]))
    };
    Ok(layout::with_status(view, status, &title, &body))
}

/// Changes a resource.
///
/// # Errors
/// See [`new`].
pub fn change(view: &View<'_>, key: &Key) -> Result<PageAnswer, Problem> {
    let item = view.context.api.get(view.caller(), key)?;
    let form = &view.context.form;
    let now = yaml(&item);
    let typed = form.first("spec").unwrap_or(&now);
    let mut refused = None;
    if view.context.is_post() {
        let done = read(key.kind, typed).and_then(|spec| {
            let resource = Resource { tenant: key.tenant.clone(), name: key.name.clone(), spec };
            changed(view, vec![Change::Replace { resource, revision: form.parse("revision")? }])
        });
        match done {
            Ok(()) => return Ok(see_done(key, "changed")),
            Err(problem) => refused = Some(problem),
        }
    }
    let address = layout::address(key);
    let status = refused.as_ref().map_or(200, |problem| problem.status);
    let conflict = refused.as_ref().is_some_and(|problem| problem.problem_type == ProblemType::PreconditionFailed);
    let title = format!("{}: {}", key.name, view.t(EDIT));
    let body = html! {
        (layout::heading(&title, &[(address.clone(), key.name.to_string())], &html! {}))
        @if let Some(problem) = &refused { (layout::problem(&view.context, problem)) }
        @if conflict { (as_it_is(view, &now)) }
        form.card method="post" {
            (layout::csrf(view))
            // After a conflict the person has seen what is there now: saving again replaces that.
            input type="hidden" name="revision" value=(item.revision);
            (spec_field(view, typed))
            (buttons(view, SAVE, &address))
        }
        (layout::command(view, &[
            format!("netvirt get {} {} -o yaml{} >FILE", key.kind, layout::word(key.name.as_str()), layout::for_tenant(key.tenant.as_ref())),
            "netvirt apply -f FILE".to_owned(),
        ]))
    };
    Ok(layout::with_status(view, status, &title, &body))
}

/// What somebody else has made of it meanwhile.
pub fn as_it_is(view: &View<'_>, now: &str) -> Markup {
    html! {
        p { (view.t(CHANGED_MEANWHILE)) }
        section.card aria-labelledby="now" { h2 #now { (view.t(AS_IT_IS_NOW)) } pre.yaml tabindex="0" { code { (now) } } }
    }
}

/// Asks before a resource goes, and has it go.
///
/// # Errors
/// See [`new`].
pub fn delete(view: &View<'_>, key: &Key) -> Result<PageAnswer, Problem> {
    let item: Item = view.context.api.get(view.caller(), key)?;
    let mut refused = None;
    if view.context.is_post() {
        match deleted(view, key) {
            Ok(answer) => return Ok(answer),
            Err(problem) => refused = Some(problem),
        }
    }
    let address = layout::address(key);
    let status = refused.as_ref().map_or(200, |problem| problem.status);
    let title = view.tf(DELETE_QUESTION, &[&key.to_string()]);
    let body = html! {
        (layout::heading(&title, &[(address.clone(), key.name.to_string())], &html! {}))
        @if let Some(problem) = &refused { (layout::problem(&view.context, problem)) }
        p { (view.t(DELETE_FOR_GOOD)) }
        form.card method="post" {
            (layout::csrf(view))
            input type="hidden" name="revision" value=(item.revision);
            div.buttons {
                button.danger type="submit" { (view.t(DELETE)) }
                a.button href=(address) { (view.t(CANCEL)) }
            }
        }
        (layout::command(view, &[format!("netvirt delete {} {}{}", key.kind, layout::word(key.name.as_str()), layout::for_tenant(key.tenant.as_ref()))]))
    };
    Ok(layout::with_status(view, status, &title, &body))
}

/// Has a resource go as the form says, and leads to the list.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::change`].
pub fn deleted(view: &View<'_>, key: &Key) -> Result<PageAnswer, Problem> {
    let revision = view.context.form.parse("revision")?;
    changed(view, vec![Change::Delete { key: key.clone(), revision }])?;
    let list = layout::list_address(key.kind, key.tenant.as_ref());
    Ok(answer::see_other(&format!("{list}{}", query(&[("done", "deleted"), ("what", &key.to_string())]))))
}

/// Carries changes out, all or none.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::change`].
pub fn changed(view: &View<'_>, changes: Vec<Change>) -> Result<(), Problem> {
    view.context.api.change(view.caller(), ChangeSet { changes, ..ChangeSet::default() }).map(drop)
}

/// Leads to a resource's page, which says what was done.
pub fn see_done(key: &Key, done: &str) -> PageAnswer {
    let what = key.to_string();
    answer::see_other(&format!("{}{}", layout::address(key), query(&[("done", done), ("what", &what)])))
}

fn spec_field(view: &View<'_>, typed: &str) -> Markup {
    html! {
        label.field {
            span { (view.t(DECLARED)) } small { (view.t(DECLARED_HINT)) }
            textarea.yaml name="spec" rows="16" spellcheck="false" { (forms::typed(typed)) }
        }
    }
}

fn buttons(view: &View<'_>, text: crate::texts::Text, back: &str) -> Markup {
    html! {
        div.buttons {
            button.main type="submit" { (view.t(text)) }
            a.button href=(back) { (view.t(CANCEL)) }
        }
    }
}

/// Reads what was typed as the spec of a kind.
fn read(kind: Kind, text: &str) -> Result<Spec, Problem> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let value: Value = serde_saphyr::from_str(text).map_err(|error| {
        let place =
            error.location().map(|at| format!("line {}, column {}: ", at.line(), at.column())).unwrap_or_default();
        Problem::invalid(format!("what was typed is no YAML: {place}{}", error.without_snippet()))
    })?;
    Spec::deserialize(kind, value)
        .map_err(|error| Problem::invalid(format!("what was typed is no {}: {error}", kind.title())))
}
