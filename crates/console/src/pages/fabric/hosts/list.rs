//! The list of hosts.

use api::Problem;
use api::fabric::{Item, PageAnswer};
use maud::{Markup, html};
use model::fabric::Kind;

use super::super::pieces;
use super::marks;
use crate::context::View;
use crate::layout;
use crate::pages::resources::list::{pager, search_form, watched};
use crate::texts::common::*;
use crate::texts::fabric::*;

/// The page.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::list`].
pub fn answer(view: &View<'_>) -> Result<PageAnswer, Problem> {
    let page = pieces::listed(view, Kind::Host)?;
    let search = view.context.query.text("q");
    let actions = html! {
        // A host comes by joining: that is where one begins.
        @if view.may_change() { a.button.main href="/fabric/access#join" { (view.t(LET_JOIN)) } }
    };
    let rows: Vec<Markup> = page.items.iter().map(|item| row(view, item)).collect();
    let columns = [NAME, STATE, AGENT_VERSION, LAST_SEEN, PROVIDER_ADDRESSES, DESCRIPTION];
    let body = html! {
        (layout::heading(view.t(HOSTS), &[], &actions))
        (layout::done(view))
        (search_form(view, search))
        div #list data-live=(watched(Kind::Host, None)) {
            (pieces::list(view, HOSTS, &columns, &rows))
            (pager(view, page.continue_token.as_deref(), search))
        }
        (layout::command(view, &["netvirt get hosts -o wide".to_owned()]))
    };
    Ok(layout::page(view, view.t(HOSTS), &body))
}

fn row(view: &View<'_>, host: &Item) -> Markup {
    let status = &host.status;
    html! {
        th scope="row" { (pieces::link(&host.key())) }
        td { (marks(view, host)) }
        td { (status.version.as_deref().unwrap_or_default()) }
        td { @if let Some(seen) = &status.last_seen { (pieces::time(seen)) } }
        td { (pieces::joined(&status.allocation.provider_addresses)) }
        td { (host.spec.get("description").and_then(serde_json::Value::as_str).unwrap_or_default()) }
    }
}
