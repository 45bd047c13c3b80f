//! Logical networks: their sites, and the pools that provider addresses are drawn from.

use std::net::IpAddr;

use api::Problem;
use api::fabric::{Item, PageAnswer};
use maud::{Markup, html};
use model::fabric::{Key, Kind, LogicalNetwork, ProviderPool, ResourceName, Site};

use super::maps::{self, Given};
use super::pieces::{self, Gathered, MOST, gather};
use crate::context::View;
use crate::layout;
use crate::pages::resources;
use crate::pages::resources::list::{pager, search_form, watched};
use crate::pages::resources::{detail, state, yaml};
use crate::texts::common::*;
use crate::texts::fabric::*;

/// Most addresses of a pool in its table.
const GIVEN_SHOWN: usize = 200;

/// Answers for a path below `/fabric/logical-networks`.
///
/// # Errors
/// See [`crate::pages::answer`].
pub fn answer(view: &View<'_>, rest: &[&str]) -> Result<PageAnswer, Problem> {
    match rest {
        [] => list(view),
        [name] if *name != "new" => page(view, &View::name(name)?),
        _ => resources::answer(view, Kind::LogicalNetwork, None, rest),
    }
}

fn list(view: &View<'_>) -> Result<PageAnswer, Problem> {
    let page = pieces::listed(view, Kind::LogicalNetwork)?;
    let search = view.context.query.text("q");
    let actions = html! {
        @if view.may_change() { a.button.main href="/fabric/logical-networks/new" { (view.t(CREATE)) } }
    };
    let rows: Vec<Markup> = page.items.iter().map(|item| row(view, item)).collect();
    let columns = [NAME, VIRTUALIZATION, SITES, PROVIDER_POOLS, USE, STATE, DESCRIPTION];
    let body = html! {
        (layout::heading(view.t(LOGICAL_NETWORKS), &[], &actions))
        (layout::done(view))
        (search_form(view, search))
        div #list data-live=(watched(Kind::LogicalNetwork, None)) {
            (pieces::list(view, LOGICAL_NETWORKS, &columns, &rows))
            (pager(view, page.continue_token.as_deref(), search))
        }
        (layout::command(view, &["netvirt get logical-networks".to_owned()]))
    };
    Ok(layout::page(view, view.t(LOGICAL_NETWORKS), &body))
}

fn spec_of(item: &Item) -> LogicalNetwork {
    serde_json::from_value(item.spec.clone()).unwrap_or_default()
}

fn row(view: &View<'_>, item: &Item) -> Markup {
    let spec = spec_of(item);
    html! {
        th scope="row" { (pieces::link(&item.key())) }
        td { (view.t(if spec.network_virtualization { YES } else { NO })) }
        td { (pieces::joined(spec.sites.iter().map(|site| &site.name))) }
        td { (pieces::joined(spec.provider_pools.iter().map(|pool| &pool.name))) }
        td { (pieces::usage_of(view, item)) }
        td { (in_force(view, item)) }
        td { (spec.description.unwrap_or_default()) }
    }
}

/// How far it is in force; its use has a column of its own.
fn in_force(view: &View<'_>, item: &Item) -> Markup {
    let mut item = item.clone();
    (item.status.used, item.status.total) = (None, None);
    state(view, &item)
}

fn page(view: &View<'_>, name: &ResourceName) -> Result<PageAnswer, Problem> {
    let key = Key::global(Kind::LogicalNetwork, name);
    let item = view.context.api.get(view.caller(), &key)?;
    let spec: LogicalNetwork = pieces::spec(&item)?;
    let hosts = gather(view, Kind::Host, None)?;
    let body = html! {
        (layout::heading(name.as_str(), &[pieces::crumb(view, Kind::LogicalNetwork)], &detail::actions(view, &key)))
        (layout::done(view))
        div #item data-live="?kind=host" data-every="5000" {
            dl.facts {
                dt { (view.t(STATE)) } dd { (in_force(view, &item)) }
                dt { (view.t(VIRTUALIZATION)) } dd { (view.t(if spec.network_virtualization { YES } else { NO })) }
                @if item.status.total.is_some() { dt { (view.t(USE)) } dd { (pieces::usage_of(view, &item)) } }
                @if let Some(text) = &spec.description { dt { (view.t(DESCRIPTION)) } dd { (text) } }
                dt { (view.t(CREATED)) } dd { (pieces::time(&item.created)) }
                dt { (view.t(REVISION)) } dd { (item.revision) }
            }
            h2 { (view.t(SITES)) }
            @let rows: Vec<Markup> = spec.sites.iter().flat_map(|site| site_rows(view, site)).collect();
            (pieces::table(view, SITES, &[SITE, HOSTS, PREFIX, VLAN], &rows, FLAT))
            h2 { (view.t(PROVIDER_POOLS)) }
            @if spec.provider_pools.is_empty() { p.hint { (view.t(NO_PROVIDER_POOLS)) } }
            @for pool in &spec.provider_pools { (pool_section(view, pool, &hosts, &layout::address(&key))) }
        }
        details { summary { (view.t(DECLARED)) } pre.yaml tabindex="0" { code { (yaml(&item)) } } }
        (layout::command(view, &[format!("netvirt describe logical-network {}", layout::word(name.as_str()))]))
    };
    Ok(layout::page(view, name.as_str(), &body))
}

/// A site: one row for each of its prefixes.
fn site_rows(view: &View<'_>, site: &Site) -> Vec<Markup> {
    let hosts = html! {
        @if site.hosts.is_empty() { (view.t(ALL_HOSTS)) }
        @for (place, host) in site.hosts.iter().enumerate() { @if place > 0 { ", " } (pieces::host_link(host)) }
    };
    let row = |prefix: String, vlan: String| {
        html! { th scope="row" { (site.name) } td { (hosts) } td { (prefix) } td { (vlan) } }
    };
    if site.subnets.is_empty() {
        return vec![row(String::new(), String::new())];
    }
    let vlan = |subnet: &model::fabric::SiteSubnet| {
        subnet.vlan.map_or_else(|| view.t(UNTAGGED).to_owned(), |vlan| vlan.to_string())
    };
    site.subnets.iter().map(|subnet| row(subnet.prefix.to_string(), vlan(subnet))).collect()
}

/// The addresses of a pool that hosts have, in their order.
pub fn given(pool: &ProviderPool, hosts: &[Item]) -> Vec<(IpAddr, ResourceName)> {
    let addresses = hosts.iter().flat_map(|host| {
        let own = host.status.allocation.provider_addresses.iter();
        own.map(|address| (address.addr(), host.name.clone()))
    });
    let of_pool = |(address, _): &(IpAddr, ResourceName)| pool.ranges.iter().any(|range| range.contains(*address));
    let mut given: Vec<(IpAddr, ResourceName)> = addresses.filter(of_pool).collect();
    given.sort();
    given
}

/// How many addresses a pool has.
pub fn size(pool: &ProviderPool) -> u64 {
    let count = pool.ranges.iter().fold(0_u128, |sum, range| sum.saturating_add(range.count()));
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn pool_section(view: &View<'_>, pool: &ProviderPool, hosts: &Gathered, here: &str) -> Markup {
    let given = given(pool, &hosts.items);
    let of_map = |(address, host): &(IpAddr, ResourceName)| Given {
        address: *address,
        label: host.to_string(),
        href: layout::address(&Key::global(Kind::Host, host)),
        gateway: false,
    };
    let map: Vec<Given> = given.iter().map(of_map).collect();
    let row = |(address, host): &(IpAddr, ResourceName)| {
        html! { th scope="row" { (address) } td { (pieces::host_link(host)) } }
    };
    let rows: Vec<Markup> = given.iter().take(GIVEN_SHOWN).map(row).collect();
    html! {
        section.card aria-label=(pool.name) {
            h3 { (pool.name) }
            dl.facts {
                dt { (view.t(PREFIX)) } dd { (pool.prefix) }
                dt { (view.t(RANGES)) } dd { (pieces::joined(&pool.ranges)) }
                dt { (view.t(USE)) } dd { (pieces::usage(view, given.len() as u64, size(pool))) }
            }
            (maps::shown(view, pool.name.as_str(), &pool.ranges, &[], &map, here))
            (pieces::table(view, GIVEN_OUT, &[ADDRESS, GIVEN_TO], &rows, NOTHING_GIVEN))
            @if given.len() > GIVEN_SHOWN { p.hint { (view.tf(ONLY_FIRST, &[&GIVEN_SHOWN.to_string()])) } }
            @else if hosts.more { p.hint { (view.tf(ONLY_FIRST, &[&MOST.to_string()])) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Desk;
    use api::fabric::Role;

    #[test]
    fn a_logical_network_shows_its_sites_and_who_has_which_provider_address() {
        let desk = Desk::of(Role::Admin, None);
        desk.say_of_hosts();
        desk.get("/fabric/logical-networks").has("TDIv2").has("Rack 1").has("PA Pool");
        let page = desk.get("/fabric/logical-networks/TDIv2");
        page.has("<svg")
            .has("192.168.4.0/24")
            .has("42")
            .has("192.168.4.10-192.168.4.19")
            .has("1 of 10")
            .has("192.168.4.12");
        page.says("<script>alert(1)</script>").has("host15").has("/edit");
        assert_eq!(desk.get("/fabric/logical-networks/new").status, 200);
    }

    #[test]
    fn a_reader_sees_no_buttons_and_a_tenant_nothing() {
        let page = Desk::of(Role::Reader, None).get("/fabric/logical-networks/TDIv2");
        page.has("PA Pool").lacks("/edit").lacks("/delete");
        let tenant = Desk::of(Role::Tenant, Some("blue"));
        assert_eq!(tenant.get("/fabric/logical-networks/TDIv2").status, 404);
        assert_eq!(tenant.get("/fabric/pools").status, 404);
    }
}
