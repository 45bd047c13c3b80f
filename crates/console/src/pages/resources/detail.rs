//! One resource: what was declared, what came of it, and what can be done with it.

use api::Problem;
use api::fabric::{Item, PageAnswer};
use maud::{Markup, html};
use model::fabric::Key;
use serde_json::Value;

use crate::context::View;
use crate::forms::query;
use crate::layout;
use crate::pages::resources::{state, yaml};
use crate::texts::common::*;

/// The page.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::get`].
pub fn answer(view: &View<'_>, key: &Key) -> Result<PageAnswer, Problem> {
    let item = view.context.api.get(view.caller(), key)?;
    let list = layout::list_address(key.kind, key.tenant.as_ref());
    let crumbs = [(list, view.t(layout::kind_text(key.kind)).to_owned())];
    let watched = query(&[
        ("kind", key.kind.as_str()),
        ("tenant", key.tenant.as_ref().map_or("", |tenant| tenant.as_str())),
        ("name", key.name.as_str()),
    ]);
    let body = html! {
        (layout::heading(key.name.as_str(), &crumbs, &actions(view, key)))
        (layout::done(view))
        div #item data-live=(watched) { (facts(view, &item)) }
        section aria-labelledby="declared" {
            h2 #declared { (view.t(DECLARED)) }
            pre.yaml tabindex="0" { code { (yaml(&item)) } }
        }
        (layout::command(view, &[format!(
            "netvirt get {} {} -o yaml{}",
            key.kind,
            layout::word(key.name.as_str()),
            layout::for_tenant(key.tenant.as_ref())
        )]))
    };
    Ok(layout::page(view, key.name.as_str(), &body))
}

/// The buttons of a resource's page.
pub fn actions(view: &View<'_>, key: &Key) -> Markup {
    let address = layout::address(key);
    html! {
        @if view.may_change() {
            a.button href={ (address) "/edit" } { (view.t(EDIT)) }
            a.button.danger href={ (address) "/delete" } { (view.t(DELETE)) }
        }
    }
}

/// What the controller knows of it.
pub fn facts(view: &View<'_>, item: &Item) -> Markup {
    let status = serde_json::to_value(&item.status).unwrap_or_default();
    let shown = |name: &&String| !["findings", "realized", "connected", "device"].contains(&name.as_str());
    html! {
        dl.facts {
            dt { (view.t(STATE)) } dd { (state(view, item)) }
            @if let Value::Object(fields) = &status {
                @for (name, value) in fields.iter().filter(|(name, _)| shown(name)) {
                    dt { (name) } dd { (plain(value)) }
                }
            }
            dt { (view.t(CREATED)) } dd { time datetime=(item.created) { (item.created) } }
            dt { (view.t(REVISION)) } dd { (item.revision) }
        }
        @if let Some(realized) = item.status.realized.as_ref().filter(|realized| !realized.waiting_for.is_empty()) {
            h2 { (view.t(REALIZED)) }
            ul { @for host in &realized.waiting_for { li { strong { (host.host) } ": " (host.reason) } } }
        }
        @if !item.status.findings.is_empty() {
            h2 { (view.t(FINDINGS)) }
            ul.findings { @for finding in &item.status.findings { li { (finding) } } }
        }
    }
}

/// A value in words: lists by commas, objects as lists of their own.
pub fn plain(value: &Value) -> Markup {
    match value {
        Value::String(text) => html! { (text) },
        Value::Array(values) if values.iter().all(|value| !value.is_object()) => {
            let texts: Vec<String> =
                values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
            html! { (texts.join(", ")) }
        }
        Value::Array(values) => html! { ul { @for value in values { li { (plain(value)) } } } },
        Value::Object(fields) => html! {
            dl.inner { @for (name, value) in fields { dt { (name) } dd { (plain(value)) } } }
        },
        other => html! { (other.to_string()) },
    }
}
