//! One VM network: its subnets, pools, ports, routes, connections, and what becomes of flows that no rule is about.

pub mod traffic;

use api::Problem;
use api::fabric::{Item, ListQuery, PageAnswer};
use maud::{Markup, html};
use model::fabric::{CustomerRoute, GatewayConnection, IpPool, Kind, Port, ResourceName, VmNetwork, VmSubnet};
use model::security::{Action, IngressDefault};

use super::pieces::{all, crumb, findings, joined, link, one, spec, specs, table, watched};
use super::port;
use crate::context::View;
use crate::forms::query;
use crate::layout;
use crate::pages::resources::state;
use crate::texts::common::*;
use crate::texts::tenant::*;

/// How many ports the page shows; the list of ports has all.
const PORTS_SHOWN: usize = 20;

/// The page.
///
/// # Errors
/// Those of the interface.
pub fn answer(view: &View<'_>, tenant: &ResourceName, name: &str) -> Result<PageAnswer, Problem> {
    let item = one(view, Kind::VmNetwork, tenant, name)?;
    let network: VmNetwork = spec(&item)?;
    let address = layout::address(&item.key());
    let actions = html! {
        a.button href={ (address) "/traffic" } { (view.t(TRAFFIC)) }
        @if view.may_change() {
            a.button.main href={ (address) "/subnet" } { (view.t(ADD_SUBNET)) }
            a.button href={ (address) "/edit" } { (view.t(EDIT)) }
            a.button.danger href={ (address) "/delete" } { (view.t(DELETE)) }
        }
    };
    let body = html! {
        (layout::heading(item.name.as_str(), &[crumb(view, Kind::VmNetwork, tenant)], &actions))
        (layout::done(view))
        div #network data-live=(watched(tenant, None)) {
            (facts(view, &item, &network))
            (findings(view, &item.status.findings))
            (subnets_and_pools(view, tenant, &item.name)?)
            (ports(view, tenant, &item.name)?)
            (routes(view, tenant, &item.name)?)
            (connections(view, tenant, &item.name)?)
        }
        (layout::command(view, &[
            format!("netvirt describe vm-network {}{}", layout::word(name), layout::for_tenant(Some(tenant))),
        ]))
    };
    Ok(layout::page(view, item.name.as_str(), &body))
}

/// Who may open flows to members of groups that no rule is about.
pub fn ingress_text(ingress: IngressDefault) -> crate::texts::Text {
    match ingress {
        IngressDefault::SameGroup => SAME_GROUP,
        IngressDefault::Allow => EVERYBODY,
        IngressDefault::Deny => NOBODY,
    }
}

/// What becomes of what a rule matches.
pub const fn action_text(action: Action) -> crate::texts::Text {
    match action {
        Action::Allow => ALLOW,
        Action::Deny => DENY,
    }
}

fn facts(view: &View<'_>, item: &Item, network: &VmNetwork) -> Markup {
    html! {
        dl.facts {
            dt { (view.t(STATE)) } dd { (state(view, item)) }
            dt { (view.t(LOGICAL_NETWORK)) } dd { (network.logical_network) }
            dt { (view.t(ISOLATION)) } dd { (network.isolation) }
            @if let Some(rdid) = item.status.allocation.rdid { dt { (view.t(ROUTING_DOMAIN)) } dd { (rdid) } }
            dt { (view.t(INGRESS_DEFAULT)) } dd { (view.t(ingress_text(network.security.ingress))) }
            dt { (view.t(EGRESS_DEFAULT)) } dd { (view.t(action_text(network.security.egress))) }
            @if let Some(description) = &network.description { dt { (view.t(DESCRIPTION)) } dd { (description) } }
            dt { (view.t(CREATED)) } dd { time datetime=(item.created) { (item.created) } }
        }
    }
}

fn subnets_and_pools(view: &View<'_>, tenant: &ResourceName, network: &ResourceName) -> Result<Markup, Problem> {
    let subnets = all(view, Kind::VmSubnet, tenant)?;
    let pools = all(view, Kind::IpPool, tenant)?;
    let own: Vec<(&Item, VmSubnet)> =
        specs::<VmSubnet>(&subnets).filter(|(_, subnet)| subnet.vm_network == *network).collect();
    let of_subnet = |(item, subnet): &(&Item, VmSubnet)| {
        let vsid = item.status.allocation.vsid.or(subnet.vsid);
        html! {
            th scope="row" { (link(Kind::VmSubnet, tenant, &item.name)) }
            td { (joined(&subnet.prefixes)) }
            td { (joined(&item.status.gateways)) }
            td.number { @if let Some(vsid) = vsid { (vsid) } }
            td { (joined(&subnet.security_groups)) }
            td { (state(view, item)) }
        }
    };
    let in_network = |pool: &&(&Item, IpPool)| own.iter().any(|(item, _)| item.name == pool.1.vm_subnet);
    let of_pool = |(item, pool): &(&Item, IpPool)| {
        html! {
            th scope="row" { (link(Kind::IpPool, tenant, &item.name)) }
            td { (link(Kind::VmSubnet, tenant, &pool.vm_subnet)) }
            td { (joined(&pool.ranges)) }
            td { (used(view, item)) }
        }
    };
    let subnet_rows: Vec<Markup> = own.iter().map(of_subnet).collect();
    let all_pools: Vec<(&Item, IpPool)> = specs::<IpPool>(&pools).collect();
    let pool_rows: Vec<Markup> = all_pools.iter().filter(in_network).map(of_pool).collect();
    Ok(html! {
        h2 { (view.t(VM_SUBNETS)) }
        (table(view, VM_SUBNETS, &[NAME, PREFIXES, GATEWAY, VSID, SECURITY_GROUPS, STATE], &subnet_rows))
        h2 { (view.t(IP_POOLS)) }
        (table(view, IP_POOLS, &[NAME, SUBNET, POOL_RANGES, USED], &pool_rows))
    })
}

/// How much of a pool is given out, as a bar and in words.
pub fn used(view: &View<'_>, item: &Item) -> Markup {
    html! {
        @if let (Some(used), Some(total)) = (item.status.used, item.status.total) {
            @let said = view.tf(ADDRESSES_GIVEN, &[&used.to_string(), &total.to_string()]);
            meter min="0" max=(total.max(1)) value=(used) aria-label=(said) { (said) }
            small.hint { (said) }
        }
    }
}

fn ports(view: &View<'_>, tenant: &ResourceName, network: &ResourceName) -> Result<Markup, Problem> {
    let page = view.context.api.list(
        view.caller(),
        ListQuery {
            kind: Kind::Port,
            tenant: Some(tenant.clone()),
            limit: None,
            continue_token: None,
            search: Some(network.to_string()),
        },
    )?;
    let own = specs::<Port>(&page.items).filter(|(_, port)| port.vm_network.as_ref() == Some(network));
    let rows: Vec<Markup> = own.take(PORTS_SHOWN).map(|(item, port)| port::row(view, tenant, item, &port)).collect();
    let list = layout::list_address(Kind::Port, Some(tenant));
    Ok(html! {
        h2 { (view.t(PORTS)) }
        (table(view, PORTS, &port::COLUMNS, &rows))
        p { a href={ (list) (query(&[("q", network.as_str())])) } { (view.t(ALL_PORTS)) }
            @if view.may_change() { " · " a href={ (list) "/new" } { (view.t(NEW_PORT)) } } }
    })
}

fn routes(view: &View<'_>, tenant: &ResourceName, network: &ResourceName) -> Result<Markup, Problem> {
    let items = all(view, Kind::CustomerRoute, tenant)?;
    let own = specs::<CustomerRoute>(&items).filter(|(_, route)| route.vm_network == *network);
    let rows: Vec<Markup> = own
        .map(|(item, route)| {
            html! {
                th scope="row" { (link(Kind::CustomerRoute, tenant, &item.name)) }
                td { (route.prefix) } td { (route.next_hop) } td.number { (route.metric) }
            }
        })
        .collect();
    Ok(html! {
        h2 { (view.t(CUSTOMER_ROUTES)) }
        (table(view, CUSTOMER_ROUTES, &[NAME, PREFIX, NEXT_HOP, METRIC], &rows))
        @if view.may_change() {
            p { a href={ (layout::list_address(Kind::CustomerRoute, Some(tenant))) "/new" } { (view.t(CREATE)) } }
        }
    })
}

fn connections(view: &View<'_>, tenant: &ResourceName, network: &ResourceName) -> Result<Markup, Problem> {
    let items = all(view, Kind::GatewayConnection, tenant)?;
    let own = specs::<GatewayConnection>(&items).filter(|(_, connection)| connection.vm_network == *network);
    let rows: Vec<Markup> =
        own.map(|(item, connection)| super::connection::row(view, tenant, item, &connection)).collect();
    Ok(html! {
        h2 { (view.t(GATEWAY_CONNECTIONS)) }
        (table(view, GATEWAY_CONNECTIONS, &super::connection::COLUMNS, &rows))
        @if view.may_change() {
            p { a href={ (layout::list_address(Kind::GatewayConnection, Some(tenant))) "/new" } { (view.t(NEW_CONNECTION)) } }
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::pages::tenant::testing::Desk;

    #[test]
    fn a_network_shows_all_that_is_in_it() {
        let desk = Desk::of_blue();
        let shown = desk.get("/t/blue/vm-networks/front");
        for text in
            ["10.10.1.0/24", "10.10.1.100-10.10.1.199", "10.10.1.5", "10.99.0.0/16", "/gateway-connections/home"]
        {
            shown.has(text);
        }
        shown.has("/t/blue/vm-networks/front/subnet").has("same group");
        assert_eq!(desk.get("/t/blue/vm-networks/none").status, 404);
    }
}
