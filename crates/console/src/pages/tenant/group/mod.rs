//! Security groups: their rules as a table, and who is in them.

pub mod editor;
mod rows;
mod words;

use api::Problem;
use api::fabric::PageAnswer;
use maud::{Markup, html};
use model::fabric::{Kind, ResourceName, SecurityGroup};
use model::security::Action;

use super::network::action_text;
use super::pieces::{crumb, findings, link, one, spec, table, watched};
use crate::context::View;
use crate::layout;
use crate::pages::resources::state;
use crate::texts::common::*;
use crate::texts::tenant::*;
use rows::{Row, Rule};

/// How many rules the page shows; a group may have ten thousand.
const SHOWN: usize = 200;

/// The page.
///
/// # Errors
/// Those of the interface.
pub fn answer(view: &View<'_>, tenant: &ResourceName, name: &str) -> Result<PageAnswer, Problem> {
    let item = one(view, Kind::SecurityGroup, tenant, name)?;
    let group: SecurityGroup = spec(&item)?;
    let address = layout::address(&item.key());
    let actions = html! {
        @if view.may_change() {
            @if group.rules.len() <= editor::MOST { a.button.main href={ (address) "/rules" } { (view.t(EDIT_RULES)) } }
            a.button href={ (address) "/edit" } { (view.t(AS_YAML)) }
            a.button.danger href={ (address) "/delete" } { (view.t(DELETE)) }
        }
    };
    // As they decide: by priority, and what denies before what allows.
    let mut order: Vec<&Rule> = group.rules.iter().collect();
    order.sort_by_key(|rule| (rule.direction, rule.priority, rule.action == Action::Allow));
    let rows: Vec<Markup> = order.iter().take(SHOWN).map(|rule| row(view, rule)).collect();
    let columns = [DIRECTION, ACTION, PROTOCOL, SERVICE, PEER, PRIORITY, LOG, DESCRIPTION];
    let body = html! {
        (layout::heading(item.name.as_str(), &[crumb(view, Kind::SecurityGroup, tenant)], &actions))
        (layout::done(view))
        div #group data-live=(watched(tenant, Some(Kind::SecurityGroup))) {
            dl.facts {
                dt { (view.t(STATE)) } dd { (state(view, &item)) }
                dt { (view.t(VM_NETWORKS)) } dd { (link(Kind::VmNetwork, tenant, &group.vm_network)) }
                @if let Some(text) = &group.description { dt { (view.t(DESCRIPTION)) } dd { (text) } }
            }
            (findings(view, &item.status.findings))
            h2 { (view.t(RULES)) }
            (table(view, RULES, &columns, &rows))
            @if group.rules.len() > SHOWN {
                p.hint { (view.tf(FIRST_RULES, &[&SHOWN.to_string(), &group.rules.len().to_string()])) }
            }
        }
        (layout::command(view, &[
            format!("netvirt describe security-group {}{}", layout::word(name), layout::for_tenant(Some(tenant))),
        ]))
    };
    Ok(layout::page(view, item.name.as_str(), &body))
}

fn row(view: &View<'_>, rule: &Rule) -> Markup {
    let Row { protocol, service, peer, priority, description, .. } = Row::of(rule);
    let direction = editor::direction_text(rule.direction);
    html! {
        td { (view.t(direction)) }
        td { (layout::mark(if rule.action == Action::Allow { "good" } else { "bad" }, view.t(action_text(rule.action)))) }
        td { (protocol) } td { (service) }
        td { @if peer.is_empty() { (view.t(EVERYBODY)) } @else { (peer) } }
        td.number { (priority) }
        td { @if rule.log { (view.t(YES)) } @else { (view.t(NO)) } }
        td { (description) }
    }
}
