//! Ports: the list, and one of them with its addresses, what passed it, what was dropped there, and its security groups.

pub mod form;

use api::Problem;
use api::fabric::{Item, ListQuery, PageAnswer, PortDevice, PortTraffic, Question};
use maud::{Markup, html};
use model::fabric::{Kind, Port, ResourceName, VmSubnet};

use super::network::traffic::unanswered;
use super::pieces::{bytes, crumb, findings, joined, link, one, spec, specs, table, watched};
use crate::context::View;
use crate::layout;
use crate::pages::fabric::picture;
use crate::pages::resources::{pager, search_form, state};
use crate::texts::Text;
use crate::texts::common::*;
use crate::texts::tenant::*;

/// How many a page has.
const SIZE: usize = 100;

/// What is said of each port in lists.
pub const COLUMNS: [Text; 6] = [NAME, ADDRESSES, MAC, VM, SUBNET, STATE];

/// The list.
///
/// # Errors
/// Those of the interface.
pub fn list(view: &View<'_>, tenant: &ResourceName) -> Result<PageAnswer, Problem> {
    let search = view.context.query.text("q");
    let page = view.context.api.list(
        view.caller(),
        ListQuery {
            kind: Kind::Port,
            tenant: Some(tenant.clone()),
            limit: Some(SIZE),
            continue_token: view.context.query.given("after").map(str::to_owned),
            search: Some(search.to_owned()),
        },
    )?;
    let rows: Vec<Markup> = specs::<Port>(&page.items).map(|(item, port)| row(view, tenant, item, &port)).collect();
    let actions = html! {
        @if view.may_change() {
            a.button.main href={ (layout::list_address(Kind::Port, Some(tenant))) "/new" } { (view.t(NEW_PORT)) }
        }
    };
    let body = html! {
        (layout::heading(view.t(PORTS), &[], &actions))
        (layout::done(view))
        (search_form(view, search))
        div #list data-live=(watched(tenant, Some(Kind::Port))) {
            @if rows.is_empty() && !search.is_empty() { p.nothing { (view.tf(NOTHING_FOUND, &[search])) } }
            @else { (table(view, PORTS, &COLUMNS, &rows)) }
            (pager(view, page.continue_token.as_deref(), search))
        }
        (layout::command(view, &[format!("netvirt get ports{}", layout::for_tenant(Some(tenant)))]))
    };
    Ok(layout::page(view, view.t(PORTS), &body))
}

/// The addresses that a port has: those that it was given, before those that it names.
fn addresses(item: &Item, port: &Port) -> String {
    let given = &item.status.allocation;
    let all = if given.addresses.is_empty() { &port.addresses } else { &given.addresses };
    joined(all.iter().chain(&given.learnt))
}

fn subnet<'i>(item: &'i Item, port: &'i Port) -> Option<&'i ResourceName> {
    item.status.allocation.vm_subnet.as_ref().or(port.vm_subnet.as_ref())
}

/// A port in a list, under [`COLUMNS`].
pub fn row(view: &View<'_>, tenant: &ResourceName, item: &Item, port: &Port) -> Markup {
    let mac = item.status.allocation.mac.or(port.mac);
    html! {
        th scope="row" { (link(Kind::Port, tenant, &item.name)) }
        td { (addresses(item, port)) }
        td.code { @if let Some(mac) = mac { (mac) } }
        td { @if let Some(name) = &port.vm_name { (name) } }
        td { @if let Some(subnet) = subnet(item, port) { (link(Kind::VmSubnet, tenant, subnet)) } }
        td { (state(view, item)) }
    }
}

/// One port.
///
/// # Errors
/// Those of the interface; what hosts do not say is said on the page.
pub fn answer(view: &View<'_>, tenant: &ResourceName, name: &str) -> Result<PageAnswer, Problem> {
    let item = one(view, Kind::Port, tenant, name)?;
    let port: Port = spec(&item)?;
    let address = layout::address(&item.key());
    let actions = html! {
        a.button href={ (layout::tenant_address(tenant)) "/trace" (crate::forms::query(&[("from", name)])) } { (view.t(TRACE)) }
        @if view.may_change() {
            a.button.main href={ (address) "/change" } { (view.t(EDIT)) }
            a.button href={ (address) "/edit" } { (view.t(AS_YAML)) }
            a.button.danger href={ (address) "/delete" } { (view.t(DELETE)) }
        }
    };
    let body = html! {
        (layout::heading(item.name.as_str(), &[crumb(view, Kind::Port, tenant)], &actions))
        (layout::done(view))
        div #port data-live=(watched(tenant, Some(Kind::Port))) {
            (facts(view, tenant, &item, &port))
            (findings(view, &item.status.findings))
            (groups(view, tenant, &item, &port))
        }
        section aria-labelledby="traffic-title" {
            h2 #traffic-title { (view.t(TRAFFIC)) }
            div #traffic data-live data-every="2000" { (traffic(view, tenant, &item.name)) }
        }
        (layout::command(view, &["describe port", "get counters"].map(|verb| {
            format!("netvirt {verb} {}{}", layout::word(name), layout::for_tenant(Some(tenant)))
        })))
    };
    Ok(layout::page(view, item.name.as_str(), &body))
}

fn facts(view: &View<'_>, tenant: &ResourceName, item: &Item, port: &Port) -> Markup {
    let given = &item.status.allocation;
    let device = match item.status.device {
        Some(PortDevice::Bound) => layout::mark("good", view.t(DEVICE_BOUND)),
        Some(PortDevice::Missing) => layout::mark("wait", view.t(DEVICE_MISSING)),
        Some(PortDevice::Unknown) => layout::mark("wait", view.t(DEVICE_UNKNOWN)),
        None => layout::mark("plain", view.t(NOWHERE)),
    };
    html! {
        dl.facts {
            dt { (view.t(ADDRESSES)) } dd { (addresses(item, port)) }
            dt { (view.t(MAC)) } dd.code { @if let Some(mac) = given.mac.or(port.mac) { (mac) } }
            dt { (view.t(VM)) } dd { @if let Some(name) = &port.vm_name { (name) } }
            dt { (view.t(VM_NETWORKS)) }
            dd { @if let Some(network) = &port.vm_network { (link(Kind::VmNetwork, tenant, network)) } }
            dt { (view.t(SUBNET)) }
            dd { @if let Some(subnet) = subnet(item, port) { (link(Kind::VmSubnet, tenant, subnet)) } }
            dt { (view.t(DEVICE)) } dd { (device) }
            // Where it runs is the operator's to know.
            @if let Some(host) = port.host.as_ref().filter(|_| view.is_operator()) { dt { (view.t(HOSTS)) } dd { (host) } }
            dt { (view.t(STATE)) } dd { (state(view, item)) }
            dt { (view.t(CREATED)) } dd { time datetime=(item.created) { (item.created) } }
        }
    }
}

/// The groups that it is in, by itself and with its subnet.
fn groups(view: &View<'_>, tenant: &ResourceName, item: &Item, port: &Port) -> Markup {
    let subnet = subnet(item, port).and_then(|name| one(view, Kind::VmSubnet, tenant, name.as_str()).ok());
    let of_subnet = subnet.and_then(|item| spec::<VmSubnet>(&item).ok()).map(|subnet| subnet.security_groups);
    let of_subnet = of_subnet.unwrap_or_default();
    html! {
        h2 { (view.t(SECURITY_GROUPS)) }
        @if port.security_groups.is_empty() && of_subnet.is_empty() {
            p.hint { (view.t(NOT_FILTERED)) }
        } @else {
            ul {
                @for group in &port.security_groups { li { (link(Kind::SecurityGroup, tenant, group)) } }
                @for group in &of_subnet { li { (link(Kind::SecurityGroup, tenant, group)) " " span.hint { (view.t(BY_SUBNET)) } } }
            }
        }
    }
}

fn traffic(view: &View<'_>, tenant: &ResourceName, port: &ResourceName) -> Markup {
    let question = Question::Counters { tenant: tenant.clone(), ports: vec![port.clone()] };
    match view.context.api.ask(view.caller(), question).and_then(api::fabric::Answer::counters) {
        Ok(traffic) => html! {
            @for port in &traffic.ports { (counters(view, port)) }
            (unanswered(view, &traffic.unanswered))
        },
        Err(problem) => html! { p.hint { (problem.detail) } },
    }
}

fn counters(view: &View<'_>, port: &PortTraffic) -> Markup {
    let packets = |count: u64, size: u64| view.tf(PACKETS_AND_BYTES, &[&count.to_string(), &bytes(size)]);
    html! {
        ul.cards.plain {
            li.card { (view.t(SENT)) span.figure { (bytes(port.sent_bytes)) } small.hint { (packets(port.sent_packets, port.sent_bytes)) } }
            li.card { (view.t(RECEIVED)) span.figure { (bytes(port.received_bytes)) } small.hint { (packets(port.received_packets, port.received_bytes)) } }
            li.card { (view.t(DROPPED)) span.figure { (port.dropped()) } small.hint { (view.t(DROPPED_HINT)) } }
        }
        @if !port.drops.is_empty() {
            h3 { (view.t(DROPS)) }
            (picture::drops(view, port.drops.iter().map(|drops| (drops.reason.as_str(), drops.explanation.as_str(), drops.packets))))
            @let rows: Vec<Markup> = port.drops.iter().map(|drops| html! {
                th scope="row" { (drops.reason) } td { (drops.explanation) } td.number { (drops.packets) }
            }).collect();
            (table(view, DROPS, &[REASON, EXPLANATION, PACKETS], &rows))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::pages::tenant::testing::{Desk, EVIL};

    #[test]
    fn ports_are_listed_and_found() {
        let desk = Desk::of_blue();
        desk.get("/t/blue/ports").has("10.10.1.5").has("02-00-00-00-00-05").has("/t/blue/vm-subnets/web");
        desk.get("/t/blue/ports?q=nothing-like-it").has("nothing-like-it").lacks("10.10.1.5");
        desk.get("/t/blue/ports?q=%3Cscript%3Ealert(1)%3C/script%3E").lacks(EVIL);
    }

    #[test]
    fn a_port_shows_what_passed_it() {
        let shown = Desk::of_blue().get("/t/blue/ports/www");
        shown.has("data-every=\"2000\"").has("Sent").has("/security-groups/servers").has("netvirt get counters www");
    }
}
