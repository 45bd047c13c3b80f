//! Pools of all sorts: how much of each is given out.

use std::net::IpAddr;

use api::Problem;
use api::fabric::{Item, ListQuery, PageAnswer};
use maud::{Markup, html};
use model::fabric::{IpPool, Key, Kind, LogicalNetwork, MacPool, ResourceName};

use super::maps::{self, Given};
use super::networks;
use super::pieces::{self, gather, gather_of};
use crate::context::View;
use crate::layout;
use crate::pages::resources;
use crate::pages::resources::list::{pager, search_form, watched};
use crate::pages::resources::{detail, yaml};
use crate::texts::common::*;
use crate::texts::fabric::*;

/// Most ports of a MAC pool in its table.
const GIVEN_SHOWN: usize = 200;

/// The page of all pools: provider pools and MAC pools, and those of tenants a page at a time.
///
/// # Errors
/// Those of the interface.
pub fn answer(view: &View<'_>) -> Result<PageAnswer, Problem> {
    let search = view.context.query.text("q");
    let ip_pools = pieces::listed(view, Kind::IpPool)?;
    let rows: Vec<Markup> = ip_pools.items.iter().map(|item| ip_pool_row(view, item)).collect();
    let body = html! {
        (layout::heading(view.t(POOLS), &[], &html! {}))
        div #pools data-live="?kind=ip-pool" data-every="5000" {
            @if !view.context.query.is_set("after") {
                h2 { (view.t(PROVIDER_POOLS)) } (provider_pools(view)?)
                h2 { a href="/fabric/mac-pools" { (view.t(MAC_POOLS)) } } (all_mac_pools(view)?)
            }
            h2 #ip-pools { (view.t(IP_POOLS)) }
        }
        (search_form(view, search))
        div #list data-live="" {
            (pieces::list(view, IP_POOLS, &[NAME, TENANT, VM_SUBNETS, RANGES, USE], &rows))
            (pager(view, ip_pools.continue_token.as_deref(), search))
        }
        (layout::command(view, &["netvirt get ip-pools --all-tenants".to_owned(), "netvirt get mac-pools".to_owned()]))
    };
    Ok(layout::page(view, view.t(POOLS), &body))
}

/// Where an operator sees who has which address of a tenant's pool.
fn map_address(tenant: &ResourceName, pool: &ResourceName) -> String {
    format!("/fabric/pools/{}/{}", layout::segment(tenant.as_str()), layout::segment(pool.as_str()))
}

/// The page of a tenant's pool, with the map of its addresses: for an operator, and in the tenant's portal.
///
/// # Errors
/// Those of the interface.
pub fn ip_pool(view: &View<'_>, tenant: &ResourceName, name: &ResourceName) -> Result<PageAnswer, Problem> {
    let key = Key::new(Kind::IpPool, Some(tenant.clone()), name.clone());
    let item = view.context.api.get(view.caller(), &key)?;
    let spec: IpPool = pieces::spec(&item)?;
    let (given, more) = given(view, tenant, &spec)?;
    let row = |given: &Given| html! { th scope="row" { (given.address) } td { a href=(given.href) { (given.label) } } };
    let rows: Vec<Markup> = given.iter().take(GIVEN_SHOWN).map(row).collect();
    // The same page stands among the tenant's own.
    let in_portal = layout::tenant_in_path(view).is_some();
    let own = layout::address(&key);
    let (crumb, here, actions) = if in_portal {
        let list = (layout::list_address(Kind::IpPool, Some(tenant)), view.t(IP_POOLS).to_owned());
        (list, own, detail::actions(view, &key))
    } else {
        let list = ("/fabric/pools".to_owned(), view.t(POOLS).to_owned());
        (list, map_address(tenant, name), html! { a.button href=(own) { (view.t(DETAILS)) } })
    };
    let body = html! {
        (layout::heading(name.as_str(), &[crumb], &actions))
        (layout::done(view))
        div #item data-live=(watched(Kind::Port, Some(tenant))) {
            dl.facts {
                @if !in_portal { dt { (view.t(TENANT)) } dd { a href=(layout::tenant_address(tenant)) { (tenant) } } }
                dt { (view.t(VM_SUBNETS)) } dd { (spec.vm_subnet) }
                dt { (view.t(RANGES)) } dd { (pieces::joined(&spec.ranges)) }
                @if !spec.reserved.is_empty() { dt { (view.t(RESERVED)) } dd { (pieces::joined(&spec.reserved)) } }
                dt { (view.t(USE)) } dd { (pieces::usage_of(view, &item)) }
            }
            (maps::shown(view, name.as_str(), &spec.ranges, &spec.reserved, &given, &here))
            (pieces::table(view, GIVEN_OUT, &[ADDRESS, GIVEN_TO], &rows, NOTHING_GIVEN))
            @if more || given.len() > GIVEN_SHOWN { p.hint { (view.tf(ONLY_FIRST, &[&rows.len().to_string()])) } }
        }
        (layout::command(view, &[format!("netvirt describe ip-pool {}{}", layout::word(name.as_str()), layout::for_tenant(Some(tenant)))]))
    };
    Ok(layout::page(view, name.as_str(), &body))
}

/// The addresses of a pool that ports have, in their order; and whether there are more ports than were looked at.
fn given(view: &View<'_>, tenant: &ResourceName, pool: &IpPool) -> Result<(Vec<Given>, bool), Problem> {
    let ports = gather_of(view, Kind::Port, Some(tenant), Some(pool.vm_subnet.as_str()))?;
    let mut given: Vec<Given> = Vec::new();
    for port in &ports.items {
        let allocation = &port.status.allocation;
        if allocation.vm_subnet.as_ref() != Some(&pool.vm_subnet) {
            continue;
        }
        let of_pool = |address: &&IpAddr| pool.ranges.iter().any(|range| range.contains(**address));
        given.extend(allocation.addresses.iter().filter(of_pool).map(|address| Given {
            address: *address,
            label: port.name.to_string(),
            href: layout::address(&port.key()),
            gateway: false,
        }));
    }
    let subnet =
        view.context.api.get(view.caller(), &Key::new(Kind::VmSubnet, Some(tenant.clone()), pool.vm_subnet.clone()))?;
    let of_pool = |address: &&IpAddr| pool.ranges.iter().any(|range| range.contains(**address));
    given.extend(subnet.status.gateways.iter().filter(of_pool).map(|address| Given {
        address: *address,
        label: view.t(GATEWAY_OF_SUBNET).to_owned(),
        href: layout::address(&subnet.key()),
        gateway: true,
    }));
    given.sort_by_key(|given| given.address);
    Ok((given, ports.more))
}

fn ip_pool_row(view: &View<'_>, item: &Item) -> Markup {
    let key = item.key();
    html! {
        th scope="row" {
            @match &key.tenant {
                Some(tenant) => a href=(map_address(tenant, &key.name)) { (key.name) },
                None => (key.name),
            }
        }
        td { @if let Some(tenant) = &key.tenant { a href=(layout::tenant_address(tenant)) { (tenant) } } }
        td { (detail::plain(&item.spec["vmSubnet"])) }
        td { (detail::plain(&item.spec["ranges"])) }
        td { (pieces::usage_of(view, item)) }
    }
}

fn provider_pools(view: &View<'_>) -> Result<Markup, Problem> {
    let hosts = gather(view, Kind::Host, None)?.items;
    let mut rows = Vec::new();
    for network in gather(view, Kind::LogicalNetwork, None)?.items {
        for pool in pieces::spec::<LogicalNetwork>(&network)?.provider_pools {
            let used = networks::given(&pool, &hosts).len() as u64;
            rows.push(html! {
                th scope="row" { (pool.name) }
                td { (pieces::link(&network.key())) }
                td { (pieces::joined(&pool.ranges)) }
                td { (pieces::usage(view, used, networks::size(&pool))) }
            });
        }
    }
    Ok(pieces::table(view, PROVIDER_POOLS, &[NAME, LOGICAL_NETWORK, RANGES, USE], &rows, NOTHING))
}

fn mac_row(view: &View<'_>, item: &Item) -> Markup {
    html! {
        th scope="row" { (pieces::link(&item.key())) }
        td { (detail::plain(&item.spec["ranges"])) }
        td { (pieces::usage_of(view, item)) }
    }
}

fn all_mac_pools(view: &View<'_>) -> Result<Markup, Problem> {
    let pools = gather(view, Kind::MacPool, None)?.items;
    let rows: Vec<Markup> = pools.iter().map(|item| mac_row(view, item)).collect();
    Ok(pieces::table(view, MAC_POOLS, &[NAME, RANGES, USE], &rows, NOTHING))
}

/// Answers for a path below `/fabric/mac-pools`.
///
/// # Errors
/// See [`crate::pages::answer`].
pub fn mac_pools(view: &View<'_>, rest: &[&str]) -> Result<PageAnswer, Problem> {
    match rest {
        [] => {
            let actions = html! {
                @if view.may_change() { a.button.main href="/fabric/mac-pools/new" { (view.t(CREATE)) } }
            };
            let body = html! {
                (layout::heading(view.t(MAC_POOLS), &[("/fabric/pools".to_owned(), view.t(POOLS).to_owned())], &actions))
                (layout::done(view))
                div #list data-live=(watched(Kind::MacPool, None)) { (all_mac_pools(view)?) }
                (layout::command(view, &["netvirt get mac-pools".to_owned()]))
            };
            Ok(layout::page(view, view.t(MAC_POOLS), &body))
        }
        [name] if *name != "new" => mac_pool(view, &View::name(name)?),
        _ => resources::answer(view, Kind::MacPool, None, rest),
    }
}

fn mac_pool(view: &View<'_>, name: &ResourceName) -> Result<PageAnswer, Problem> {
    let key = Key::global(Kind::MacPool, name);
    let item = view.context.api.get(view.caller(), &key)?;
    let spec: MacPool = pieces::spec(&item)?;
    let body = html! {
        (layout::heading(name.as_str(), &[pieces::crumb(view, Kind::MacPool)], &detail::actions(view, &key)))
        (layout::done(view))
        div #item data-live=(watched(Kind::MacPool, None)) {
            dl.facts {
                dt { (view.t(RANGES)) } dd { (pieces::joined(&spec.ranges)) }
                dt { (view.t(USE)) } dd { (pieces::usage_of(view, &item)) }
                dt { (view.t(CREATED)) } dd { (pieces::time(&item.created)) }
                dt { (view.t(REVISION)) } dd { (item.revision) }
            }
            h2 { (view.t(GIVEN_OUT)) }
            (ports_of(view, &spec)?)
        }
        details { summary { (view.t(DECLARED)) } pre.yaml tabindex="0" { code { (yaml(&item)) } } }
        (layout::command(view, &[format!("netvirt describe mac-pool {}", layout::word(name.as_str()))]))
    };
    Ok(layout::page(view, name.as_str(), &body))
}

/// Ports whose MAC addresses are in the pool, out of the first that there are.
fn ports_of(view: &View<'_>, pool: &MacPool) -> Result<Markup, Problem> {
    let query = ListQuery { kind: Kind::Port, tenant: None, limit: None, continue_token: None, search: None };
    let page = view.context.api.list(view.caller(), query)?;
    let mut rows = Vec::new();
    for port in &page.items {
        let Some(mac) = port.status.allocation.mac else { continue };
        if pool.ranges.iter().any(|range| range.contains(mac)) && rows.len() < GIVEN_SHOWN {
            let key = port.key();
            rows.push(html! {
                th scope="row" { (mac) }
                td { (pieces::link(&key)) }
                td { (key.tenant.as_ref().map_or("", ResourceName::as_str)) }
            });
        }
    }
    let more = page.continue_token.is_some() || rows.len() >= GIVEN_SHOWN;
    Ok(html! {
        (pieces::table(view, GIVEN_OUT, &[MAC_ADDRESS, PORTS, TENANT], &rows, NOTHING_GIVEN))
        @if more { p.hint { (view.tf(ONLY_FIRST, &[&rows.len().to_string()])) } }
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Desk;
    use api::fabric::{Role, Status};
    use model::fabric::{Allocation, Key, Kind};

    #[test]
    fn pools_say_how_much_is_given_out() {
        let desk = Desk::of(Role::Reader, None);
        desk.say_of_hosts();
        let pool = Key::new(Kind::IpPool, "blue".parse().ok(), "web pool".parse().unwrap());
        let status = Status { used: Some(3), total: Some(100), ..Status::default() };
        desk.api.set_status(&pool, status).unwrap();
        let page = desk.get("/fabric/pools");
        page.has("3 of 100").has("1 of 10").has("PA Pool").has("/fabric/pools/blue/web%20pool").has("value=\"3\"");
        desk.get("/fabric/pools?q=none").has("Nothing matches");
        let allocation = Allocation {
            vm_subnet: "web".parse().ok(),
            addresses: vec!["10.10.1.105".parse().unwrap()],
            ..Allocation::default()
        };
        desk.api.set_status(&super::super::testing::www(), Status { allocation, ..Status::default() }).unwrap();
        desk.get("/fabric/pools/blue/web%20pool").has("<svg").has("10.10.1.105").has("www").has("3 of 100");
    }

    #[test]
    fn a_mac_pool_says_who_has_its_addresses() {
        let desk = Desk::of(Role::Admin, None);
        let mac = Some("00-1D-D8-B7-1C-05".parse().unwrap());
        let status = Status { allocation: Allocation { mac, ..Allocation::default() }, ..Status::default() };
        desk.api.set_status(&super::super::testing::www(), status).unwrap();
        desk.get("/fabric/mac-pools/default").has("00-1D-D8-B7-1C-05").has("www").has("/delete");
        desk.get("/fabric/mac-pools").has("00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF");
        Desk::of(Role::Reader, None).get("/fabric/mac-pools/default").lacks("/delete");
    }
}
