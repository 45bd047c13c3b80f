//! Gateway connections: the list, one of them with how it is, and what its other side is to be told.

mod command;
pub mod form;
mod other_side;
mod values;

use std::net::IpAddr;

use api::Problem;
use api::fabric::{ConnectionStatus, Item, ListQuery, PageAnswer};
use ipnet::IpNet;
use maud::{Markup, html};
use model::fabric::{GatewayConnection, Kind, ResourceName, VmSubnet};
use model::gateway::{ConnectionState, Forward, Nat};

use super::pieces::{all, bytes, crumb, findings, joined, link, one, spec, specs, table, watched};
use crate::context::View;
use crate::layout;
use crate::pages::resources::{pager, search_form};
use crate::texts::Text;
use crate::texts::common::*;
use crate::texts::tenant::*;
use other_side::Ours;

/// How many a page has.
const SIZE: usize = 100;

/// What is said of each in lists.
pub const COLUMNS: [Text; 5] = [NAME, SERVICE_KIND, VM_NETWORKS, STATE, REASON];

/// The list.
///
/// # Errors
/// Those of the interface.
pub fn list(view: &View<'_>, tenant: &ResourceName) -> Result<PageAnswer, Problem> {
    let search = view.context.query.text("q");
    let page = view.context.api.list(
        view.caller(),
        ListQuery {
            kind: Kind::GatewayConnection,
            tenant: Some(tenant.clone()),
            limit: Some(SIZE),
            continue_token: view.context.query.given("after").map(str::to_owned),
            search: Some(search.to_owned()),
        },
    )?;
    let rows: Vec<Markup> = specs::<GatewayConnection>(&page.items)
        .map(|(item, connection)| row(view, tenant, item, &connection))
        .collect();
    let new = format!("{}/new", layout::list_address(Kind::GatewayConnection, Some(tenant)));
    let actions = html! { @if view.may_change() { a.button.main href=(new) { (view.t(NEW_CONNECTION)) } } };
    let body = html! {
        (layout::heading(view.t(GATEWAY_CONNECTIONS), &[], &actions))
        (layout::done(view))
        (search_form(view, search))
        div #list data-live=(watched(tenant, Some(Kind::GatewayConnection))) {
            (table(view, GATEWAY_CONNECTIONS, &COLUMNS, &rows))
            (pager(view, page.continue_token.as_deref(), search))
        }
        (layout::command(view, &[format!("netvirt get gateway-connections{}", layout::for_tenant(Some(tenant)))]))
    };
    Ok(layout::page(view, view.t(GATEWAY_CONNECTIONS), &body))
}

/// The word for what a connection is, as in its declaration.
fn service(connection: &GatewayConnection) -> &'static str {
    let services = [
        ("nat", connection.nat.is_some()),
        ("routing", connection.routing.is_some()),
        ("ipsec", connection.ipsec.is_some()),
        ("wireguard", connection.wireguard.is_some()),
        ("dns", connection.dns.is_some()),
    ];
    services.into_iter().find(|(_, is_it)| *is_it).map_or("", |(word, _)| word)
}

/// The name of a service.
pub fn service_text(service: &str) -> Text {
    match service {
        "nat" => NAT,
        "routing" => ROUTING,
        "ipsec" => IPSEC,
        "wireguard" => WIREGUARD,
        _ => DNS,
    }
}

/// A connection in a list, under [`COLUMNS`].
pub fn row(view: &View<'_>, tenant: &ResourceName, item: &Item, connection: &GatewayConnection) -> Markup {
    let status = item.status.connection.as_ref();
    html! {
        th scope="row" { (link(Kind::GatewayConnection, tenant, &item.name)) }
        td { (view.t(service_text(service(connection)))) }
        td { (link(Kind::VmNetwork, tenant, &connection.vm_network)) }
        td { (state_mark(view, status)) }
        td { @if let Some(reason) = status.and_then(|status| status.reason.as_ref()) { (reason) } }
    }
}

fn state_mark(view: &View<'_>, status: Option<&ConnectionStatus>) -> Markup {
    let (class, text) = match status.map(|status| status.state) {
        Some(ConnectionState::Up) => ("good", UP),
        Some(ConnectionState::Connecting) => ("wait", CONNECTING),
        Some(ConnectionState::Down) => ("bad", DOWN),
        Some(ConnectionState::Standby) => ("plain", STANDBY),
        None => ("plain", NOT_KNOWN),
    };
    layout::mark(class, view.t(text))
}

/// One connection.
///
/// # Errors
/// Those of the interface.
pub fn answer(view: &View<'_>, tenant: &ResourceName, name: &str) -> Result<PageAnswer, Problem> {
    let item = one(view, Kind::GatewayConnection, tenant, name)?;
    let connection: GatewayConnection = spec(&item)?;
    let address = layout::address(&item.key());
    let actions = html! {
        @if view.may_change() {
            a.button.main href={ (address) "/change" } { (view.t(EDIT)) }
            a.button href={ (address) "/edit" } { (view.t(AS_YAML)) }
            a.button.danger href={ (address) "/delete" } { (view.t(DELETE)) }
        }
    };
    let body = html! {
        (layout::heading(item.name.as_str(), &[crumb(view, Kind::GatewayConnection, tenant)], &actions))
        (layout::done(view))
        div #connection data-live=(watched(tenant, Some(Kind::GatewayConnection))) {
            (facts(view, tenant, &item, &connection))
            (findings(view, &item.status.findings))
            @if let Some(nat) = &connection.nat { (led_in(view, &item, nat)) }
            (for_the_other_side(view, tenant, &item, &connection)?)
        }
        (layout::command(view, &[
            format!("netvirt describe gateway-connection {}{}", layout::word(name), layout::for_tenant(Some(tenant))),
        ]))
    };
    Ok(layout::page(view, item.name.as_str(), &body))
}

fn facts(view: &View<'_>, tenant: &ResourceName, item: &Item, connection: &GatewayConnection) -> Markup {
    let status = item.status.connection.as_ref();
    let report = status.and_then(|status| status.report.as_ref());
    html! {
        dl.facts {
            dt { (view.t(STATE)) }
            dd {
                (state_mark(view, status))
                @if let Some(reason) = status.and_then(|status| status.reason.as_ref()) { p { (reason) } }
            }
            dt { (view.t(SERVICE_KIND)) } dd { (view.t(service_text(service(connection)))) }
            dt { (view.t(VM_NETWORKS)) } dd { (link(Kind::VmNetwork, tenant, &connection.vm_network)) }
            dt { (view.t(GATEWAY)) } dd { (connection.gateway) }
            // Which host does it is the operator's to know.
            @if let Some(status) = status.filter(|_| view.is_operator()) {
                dt { (view.t(HOSTS)) } dd { (joined(std::iter::once(&status.host).chain(&status.standby))) }
            }
            dt { (view.t(OUTSIDE_ADDRESSES)) } dd { (joined(outside(item, connection))) }
            @if let Some(shared) = status.and_then(|status| status.shared.as_ref()) {
                dt { (view.t(SHARED_PORTS)) } dd { (shared.address) " " (shared.ports) }
            }
            @if let Some(report) = report {
                dt { (view.t(CARRIERS)) } dd { (joined(&report.carriers)) }
                dt { (view.t(RECEIVED)) } dd { (bytes(report.received_bytes)) }
                dt { (view.t(SENT)) } dd { (bytes(report.sent_bytes)) }
                @if let Some(sessions) = report.sessions {
                    dt { (view.t(SESSIONS)) } dd { (sessions) }
                    dt { (view.t(REFUSED)) } dd { (report.refused) }
                }
                @if !report.learnt.is_empty() { dt { (view.t(LEARNT_ROUTES)) } dd { (joined(&report.learnt)) } }
                @if let Some(key) = &report.public_key { dt { (view.t(PUBLIC_KEY)) } dd.code { (key) } }
            }
            @if let Some(text) = &connection.description { dt { (view.t(DESCRIPTION)) } dd { (text) } }
        }
    }
}

/// The addresses outside that are the network's own.
fn outside(item: &Item, connection: &GatewayConnection) -> Vec<IpAddr> {
    let status = item.status.connection.as_ref();
    let given = status.into_iter().flat_map(|status| status.external.iter().map(IpNet::addr));
    let named = connection.nat.iter().flat_map(model::gateway::Nat::externals);
    let mut all: Vec<IpAddr> = given.chain(named).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What leads from outside to a VM: floating addresses, and ports.
fn led_in(view: &View<'_>, item: &Item, nat: &Nat) -> Markup {
    let floating = nat.floating.iter().map(|one| html! { th scope="row" { (one.external) } td { (one.internal) } });
    let floating: Vec<Markup> = floating.collect();
    let shared = item.status.connection.as_ref().and_then(|status| status.shared.as_ref());
    let forward = |one: &Forward| {
        // Without an address of its own it is at the network's: the one that is named, drawn, or shared.
        let drawn = || {
            let given = item.status.connection.iter().flat_map(|status| status.external.iter().map(IpNet::addr));
            let all = nat.addresses.iter().copied().chain(shared.map(|shared| shared.address)).chain(given);
            all.into_iter().find(|address| address.is_ipv4() == one.internal.is_ipv4())
        };
        html! {
            th scope="row" { (one.protocol.as_str()) " " (one.ports) }
            td { (one.external.or_else(drawn).map(|address| address.to_string()).unwrap_or_default()) }
            td { (one.internal) }
            td { (one.internal_port.map_or_else(|| one.ports.to_string(), |port| port.to_string())) }
        }
    };
    let forwards: Vec<Markup> = nat.forwards.iter().map(forward).collect();
    html! {
        @if !floating.is_empty() {
            h2 { (view.t(FLOATING)) }
            (table(view, FLOATING, &[ADDRESS_OUTSIDE, ADDRESS_OF_VM], &floating))
        }
        @if !forwards.is_empty() {
            h2 { (view.t(FORWARDS)) }
            (table(view, FORWARDS, &[PORTS_OUTSIDE, ADDRESS_OUTSIDE, ADDRESS_OF_VM, PORT_OF_VM], &forwards))
        }
    }
}

/// What the other side of a VPN is to be told.
fn for_the_other_side(
    view: &View<'_>,
    tenant: &ResourceName,
    item: &Item,
    connection: &GatewayConnection,
) -> Result<Markup, Problem> {
    let subnets = all(view, Kind::VmSubnet, tenant)?;
    let own = specs::<VmSubnet>(&subnets).filter(|(_, subnet)| subnet.vm_network == connection.vm_network);
    let prefixes: Vec<IpNet> = own.flat_map(|(_, subnet)| subnet.prefixes).collect();
    let outside = outside(item, connection);
    let report = item.status.connection.as_ref().and_then(|status| status.report.as_ref());
    let ours = Ours {
        name: item.name.as_str(),
        outside: &outside,
        prefixes: &prefixes,
        public_key: report.and_then(|report| report.public_key.as_deref()),
        bgp: connection.bgp.as_ref(),
    };
    let (text, file, mut parameters, addresses) = match (&connection.ipsec, &connection.wireguard) {
        (Some(ipsec), _) => match ours.ipsec(ipsec) {
            Ok(side) => (side.swanctl, "swanctl.conf", side.parameters, &ipsec.addresses),
            Err(error) => return Ok(html! { h2 { (view.t(OTHER_SIDE)) } p { (error) } }),
        },
        (None, Some(wireguard)) => (ours.wg_quick(wireguard), "wg-quick", Vec::new(), &wireguard.addresses),
        _ => return Ok(html! {}),
    };
    parameters.extend(ours.bgp(addresses));
    let rows: Vec<Markup> =
        parameters.iter().map(|(name, value)| html! { th scope="row" { (view.t(*name)) } td { (value) } }).collect();
    Ok(html! {
        section aria-labelledby="other-side" {
            h2 #other-side { (view.t(OTHER_SIDE)) }
            p { (view.t(OTHER_SIDE_HINT)) }
            h3 { (file) }
            div.copied {
                pre tabindex="0" role="group" aria-label=(file) { code { (text) } }
                button.quiet type="button" data-copy hidden { (view.t(COPY)) }
            }
            @if !rows.is_empty() {
                h3 { (view.t(OTHER_DEVICES)) }
                (table(view, OTHER_DEVICES, &[PARAMETER, VALUE], &rows))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::pages::tenant::testing::{Desk, EVIL};

    #[test]
    fn what_leads_in_stands_on_the_page() {
        let desk = Desk::of_blue();
        let form = [
            ("name", "internet"),
            ("vmNetwork", "front"),
            ("gateway", "edge"),
            ("floating", "203.0.113.21=10.10.1.5"),
            ("forwards", "tcp:8443=10.10.1.6:443\nudp:203.0.113.22:5000-5009=10.10.1.7"),
        ];
        assert_eq!(desk.post("/t/blue/gateway-connections/new?service=nat", &form).status, 303);
        let page = desk.get("/t/blue/gateway-connections/internet");
        page.has("Floating addresses").has("<th scope=\"row\">203.0.113.21</th><td>10.10.1.5</td>");
        page.has("Forwarded ports").has("tcp 8443").has("<td>10.10.1.6</td><td>443</td>");
        page.has("udp 5000-5009").has("<td>203.0.113.22</td><td>10.10.1.7</td><td>5000-5009</td>");
        desk.get("/t/blue/gateway-connections/home").lacks("Floating addresses").lacks("Forwarded ports");
    }

    #[test]
    fn the_other_side_is_told_and_the_secret_is_not() {
        let desk = Desk::of_blue();
        let shown = desk.get("/t/blue/gateway-connections/home");
        shown.has("swanctl.conf").has("&lt;the pre-shared key&gt;").has("remote_ts = 10.10.1.0/24").has("IKEv2");
        shown.lacks("swordfish").lacks(EVIL);
        desk.get("/t/blue/gateway-connections").has("IPsec").has("/vm-networks/front").lacks("swordfish");
        desk.get("/t/blue/gateway-connections/home/change").lacks("swordfish");
    }
}
