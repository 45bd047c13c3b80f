//! The first page of a tenant: how much it has of what it may have, and what does not work.

use api::Problem;
use api::fabric::{Item, PageAnswer};
use maud::{Markup, html};
use model::fabric::{Key, Kind, ResourceName, Tenant};
use model::gateway::ConnectionState;

use super::pieces::{all, as_tenant, link, spec, watched};
use crate::context::View;
use crate::layout;
use crate::texts::common::*;
use crate::texts::tenant::*;

/// The kinds that are counted, as people look for them.
const COUNTED: [Kind; 8] = [
    Kind::VmNetwork,
    Kind::VmSubnet,
    Kind::IpPool,
    Kind::Port,
    Kind::SecurityGroup,
    Kind::AddressSet,
    Kind::CustomerRoute,
    Kind::GatewayConnection,
];

/// A pool is told of when so much of it is given out, in percent.
const FULL: u64 = 90;

/// The page.
///
/// # Errors
/// Those of the interface.
pub fn answer(view: &View<'_>, tenant: &ResourceName) -> Result<PageAnswer, Problem> {
    let item = view.context.api.get(view.caller(), &Key::global(Kind::Tenant, tenant))?;
    let declared: Tenant = spec(&item)?;
    let status = view.context.api.status(&as_tenant(view, tenant))?;
    let count = |kind: Kind| status.resources.get(kind.as_str()).copied().unwrap_or_default();
    let actions = html! {
        @if view.may_change() {
            a.button.main href={ (layout::tenant_address(tenant)) "/vm-networks/new" } { (view.t(NEW_NETWORK)) }
        }
    };
    let body = html! {
        (layout::heading(tenant.as_str(), &[], &actions))
        (layout::done(view))
        @if let Some(description) = &declared.description { p { (description) } }
        div #overview data-live=(watched(tenant, None)) {
            section aria-labelledby="attention" {
                h2 #attention { (view.t(ATTENTION)) }
                (attention(view, tenant)?)
            }
            section aria-labelledby="networks" {
                h2 #networks { (view.t(VM_NETWORKS)) }
                (super::topology::figure(view, tenant)?)
            }
            section aria-labelledby="use" {
                h2 #use { (view.t(QUOTA_AND_USE)) }
                ul.cards.plain {
                    @for kind in COUNTED {
                        li.card { (card(view, tenant, kind, count(kind), declared.quota.of(kind))) }
                    }
                }
            }
        }
        (layout::command(view, &[
            format!("netvirt describe tenant {}", layout::word(tenant.as_str())),
            format!("netvirt get gateway-connections{}", layout::for_tenant(Some(tenant))),
        ]))
    };
    Ok(layout::page(view, tenant.as_str(), &body))
}

/// How much there is of a kind.
fn card(view: &View<'_>, tenant: &ResourceName, kind: Kind, count: u64, quota: Option<u32>) -> Markup {
    let title = view.t(layout::kind_text(kind));
    html! {
        a href=(layout::list_address(kind, Some(tenant))) { (title) }
        span.figure { (count) }
        @match quota {
            Some(quota) => {
                @let said = view.tf(OF_QUOTA, &[&count.to_string(), &quota.to_string()]);
                meter min="0" max=(quota.max(1)) value=(count) high=(u64::from(quota) * FULL / 100)
                    aria-label=(format!("{title}: {said}")) { (said) }
                small.hint { (said) }
            }
            None => small.hint { (view.t(NO_QUOTA)) }
        }
    }
}

/// What does not work, or soon will not.
fn attention(view: &View<'_>, tenant: &ResourceName) -> Result<Markup, Problem> {
    let connections = all(view, Kind::GatewayConnection, tenant)?;
    let pools = all(view, Kind::IpPool, tenant)?;
    let networks = all(view, Kind::VmNetwork, tenant)?;
    let subnets = all(view, Kind::VmSubnet, tenant)?;
    let down: Vec<&Item> = connections.iter().filter(|item| is_down(item)).collect();
    let full: Vec<&Item> = pools.iter().filter(|item| is_full(item)).collect();
    let with_findings = || {
        let items = [&networks, &subnets, &pools, &connections].into_iter().flatten();
        items.flat_map(|item| item.status.findings.iter().map(move |finding| (item, finding)))
    };
    Ok(html! {
        @if down.is_empty() && full.is_empty() && with_findings().next().is_none() {
            p { (layout::mark("good", view.t(ALL_WELL))) }
        } @else {
            ul.attention {
                @for item in down {
                    @let reason = item.status.connection.as_ref().and_then(|status| status.reason.as_deref());
                    li {
                        (layout::mark("bad", view.t(DOWN))) (link(item.kind, tenant, &item.name)) ": "
                        (reason.unwrap_or_else(|| view.t(NO_REASON)))
                    }
                }
                @for item in full {
                    @let (used, total) = (item.status.used.unwrap_or_default(), item.status.total.unwrap_or_default());
                    li {
                        (layout::mark("wait", view.t(NEARLY_FULL))) (link(item.kind, tenant, &item.name)) ": "
                        (view.tf(ADDRESSES_GIVEN, &[&used.to_string(), &total.to_string()]))
                    }
                }
                @for (item, finding) in with_findings() {
                    li { (layout::mark("wait", view.t(FINDINGS))) (link(item.kind, tenant, &item.name)) ": " (finding) }
                }
            }
        }
    })
}

fn is_down(item: &Item) -> bool {
    item.status.connection.as_ref().is_some_and(|status| status.state == ConnectionState::Down)
}

fn is_full(item: &Item) -> bool {
    match (item.status.used, item.status.total) {
        (Some(used), Some(total)) => total == 0 || used.saturating_mul(100) / total >= FULL,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use api::fabric::Role;

    use crate::pages::tenant::testing::Desk;

    #[test]
    fn quotas_and_use_are_those_of_the_tenant_alone() {
        for desk in [Desk::of_blue(), Desk::of(Role::Admin, None)] {
            let shown = desk.get("/t/blue");
            shown.has("max=\"4\" value=\"1\"").has("1 of 4").has("max=\"10\" value=\"1\"").has("Everything works");
            shown.has("/t/blue/vm-networks/new");
        }
        let chinese = Desk::of_blue().get("/t/blue");
        chinese.has("lang=\"en\"");
    }

    #[test]
    fn there_is_no_page_of_a_tenant_that_there_is_not() {
        assert_eq!(Desk::of(Role::Admin, None).get("/t/green").status, 404);
    }
}
