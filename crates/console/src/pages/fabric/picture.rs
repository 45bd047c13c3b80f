//! The picture of the fabric: its hosts, what they send each other, and VMs on their way.

mod traffic;

use std::collections::BTreeMap;

use api::Problem;
use api::fabric::{Item, PageAnswer};
use maud::{Markup, html};
use model::fabric::{Host, Key, Kind, LogicalNetwork, Port, ResourceName};

use super::hosts;
use super::pieces::{self, Gathered, MOST, gather};
use crate::context::View;
use crate::pages::pieces::{inside, words};
use crate::pictures::{self, Bar, Bars, Fabric, GatewayRole, Health, Migration, Setting, Uplink};
use crate::texts::common::*;
use crate::texts::fabric::*;
use crate::{answer as answers, layout};

/// How often traffic is measured while somebody looks. Each time, hosts look through all their flows.
const EVERY_MS: &str = "10000";

/// What was dropped, by reason: name, sentence and packets of each, in which a name may come several times.
pub fn drops<'d>(view: &View<'_>, drops: impl Iterator<Item = (&'d str, &'d str, u64)>) -> Markup {
    let mut reasons: BTreeMap<&str, Bar> = BTreeMap::new();
    for (reason, explanation, packets) in drops {
        let bar = reasons.entry(reason).or_default();
        (bar.label, bar.about) = (reason.to_owned(), explanation.to_owned());
        bar.value = bar.value.saturating_add(packets);
    }
    if reasons.is_empty() {
        return html! {};
    }
    let bars = Bars { title: view.t(DROPS).to_owned(), bars: reasons.into_values().collect(), bad: true };
    inside(pictures::bars(&bars, &Setting::page(words(view))))
}

/// What is drawn, out of the hosts and gateways that a page has gathered.
pub struct Drawn {
    fabric: Fabric,
    /// Whether there are more ports than were looked at.
    more: bool,
}

/// Gathers what is drawn; without the traffic, which only hosts know.
///
/// # Errors
/// Those of [`api::fabric::FabricApi::list`].
pub fn drawn(view: &View<'_>, known: &[Item], gateways: &[Item]) -> Result<Drawn, Problem> {
    let ports = gather(view, Kind::Port, None)?;
    let mut vms = BTreeMap::<&str, u64>::new();
    for host in ports.items.iter().filter_map(|port| port.spec.get("host")?.as_str()) {
        *vms.entry(host).or_default() += 1;
    }
    let host = |item: &Item| pictures::Host {
        name: item.name.to_string(),
        href: layout::address(&item.key()),
        group: String::new(),
        health: health(item),
        note: hosts::sentences(item).first().map(|sentence| (*sentence).to_owned()).unwrap_or_default(),
        addresses: item.status.allocation.provider_addresses.iter().map(|of| of.addr().to_string()).collect(),
        uplinks: uplinks(item),
        vms: vms.get(item.name.as_str()).copied().unwrap_or_default(),
        gateways: roles(&item.name, gateways),
    };
    let fabric = Fabric {
        title: view.t(FABRIC).to_owned(),
        underlay: underlay(view)?,
        hosts: known.iter().map(host).collect(),
        tunnels: Vec::new(),
        migrations: ports.items.iter().filter_map(|port| migration(view, port)).collect(),
    };
    Ok(Drawn { fabric, more: ports.more })
}

/// The picture, as it stands in a page.
pub fn shown(view: &View<'_>, drawn: &Drawn) -> Markup {
    html! {
        (inside(pictures::fabric(&drawn.fabric, &Setting::page(words(view)))))
        @if drawn.more { p.hint { (view.tf(ONLY_FIRST, &[&MOST.to_string()])) } }
    }
}

/// A gathering of its own, with the traffic of a moment.
fn measured(view: &View<'_>) -> Result<Drawn, Problem> {
    let Gathered { items, .. } = gather(view, Kind::Host, None)?;
    let gateways = gather(view, Kind::Gateway, None)?.items;
    let mut drawn = drawn(view, &items, &gateways)?;
    drawn.fabric.tunnels = traffic::measure(view, &items);
    Ok(drawn)
}

/// The page of the picture alone, with traffic.
///
/// # Errors
/// See [`drawn`].
pub fn answer(view: &View<'_>) -> Result<PageAnswer, Problem> {
    let drawn = measured(view)?;
    let actions = html! { a.button href="/fabric/picture.svg" download { (view.t(SAVE_PICTURE)) } };
    let body = html! {
        (layout::heading(view.t(PICTURE), &[("/fabric".to_owned(), view.t(FABRIC).to_owned())], &actions))
        p.hint { (view.t(PICTURE_HINT)) }
        div #picture data-live="" data-every=(EVERY_MS) { (shown(view, &drawn)) }
        (layout::command(view, &["netvirt get hosts -o wide".to_owned(), "netvirt get tunnels HOST".to_owned()]))
    };
    Ok(layout::page(view, view.t(PICTURE), &body))
}

/// The same as a file.
///
/// # Errors
/// See [`drawn`].
pub fn file(view: &View<'_>) -> Result<PageAnswer, Problem> {
    let base = format!("https://{}", view.context.request.field("host"));
    let drawn = measured(view)?;
    Ok(answers::picture(pictures::fabric(&drawn.fabric, &Setting::file(words(view), base))))
}

fn health(host: &Item) -> Health {
    match host.status.connected {
        Some(false) => Health::Gone,
        None => Health::Unknown,
        Some(true) if hosts::is_lagging(host) => Health::Lagging,
        Some(true) if !host.status.findings.is_empty() => Health::Unfit,
        Some(true) => Health::Well,
    }
}

/// The uplinks of a host. That one has no carrier is among what its host has found.
fn uplinks(host: &Item) -> Vec<Uplink> {
    let spec: Host = serde_json::from_value(host.spec.clone()).unwrap_or_default();
    let name = |uplink: model::fabric::Uplink| uplink.interface.to_string();
    let said =
        |name: &str| host.status.findings.iter().any(|finding| finding.contains(name) && finding.contains("carrier"));
    spec.uplinks.into_iter().map(name).map(|name| Uplink { up: !said(&name), name }).collect()
}

fn roles(host: &ResourceName, gateways: &[Item]) -> Vec<GatewayRole> {
    let role = |gateway: &Item| {
        let of = gateway.status.gateway_hosts.iter().find(|of| of.host == *host)?;
        Some(GatewayRole {
            name: gateway.name.to_string(),
            href: layout::address(&gateway.key()),
            active: of.active > 0,
        })
    };
    gateways.iter().filter_map(role).collect()
}

/// The network between the hosts: the prefixes of the logical networks that VM networks are virtualized on.
fn underlay(view: &View<'_>) -> Result<String, Problem> {
    let networks = gather(view, Kind::LogicalNetwork, None)?.items;
    let mut prefixes: Vec<String> = Vec::new();
    for network in networks {
        let spec: LogicalNetwork = pieces::spec(&network)?;
        if spec.network_virtualization {
            prefixes.extend(spec.provider_pools.iter().map(|pool| pool.prefix.to_string()));
        }
    }
    prefixes.sort();
    prefixes.dedup();
    Ok(prefixes.join(", "))
}

/// A port that is prepared on another host, or has come from one that some host still believes it on.
fn migration(view: &View<'_>, item: &Item) -> Option<Migration> {
    let port: Port = serde_json::from_value(item.spec.clone()).ok()?;
    let host = port.host?;
    let (from, to, about) = match (port.migrate_to, &item.status.allocation.came_from) {
        (Some(to), _) => {
            let about = view.tf(MOVING_TO, &[to.as_str()]);
            (host, to, about)
        }
        (None, Some(from)) => {
            let about = view.tf(CAME_FROM, &[from.as_str()]);
            (from.clone(), host, about)
        }
        (None, None) => return None,
    };
    Some(Migration {
        vm: port.vm_name.unwrap_or_else(|| item.name.to_string()),
        href: move_address(&item.key()),
        from: from.to_string(),
        to: to.to_string(),
        about,
    })
}

/// Where a port is moved, and its move is seen.
pub fn move_address(key: &Key) -> String {
    let tenant = key.tenant.as_ref().map_or("", ResourceName::as_str);
    format!("/fabric/ports/{}/{}/move", layout::segment(tenant), layout::segment(key.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Desk;
    use api::fabric::Role;

    #[test]
    fn hosts_and_vms_on_their_way_are_drawn() {
        let desk = Desk::of(Role::Reader, None);
        desk.say_of_hosts();
        desk.say_of_move();
        for address in ["/fabric", "/fabric/picture"] {
            let page = desk.get(address);
            page.has("<svg").has("/fabric/ports/blue/www/move").has("192.168.4.12").says("<script>alert(1)</script>");
            page.has("href=\"/fabric/hosts/host16\"");
        }
        let file = desk.get("/fabric/picture.svg");
        assert!(file.text.starts_with("<svg") && file.text.contains("<style"), "{}", file.text);
        assert_eq!(Desk::of(Role::Tenant, Some("blue")).get("/fabric/picture.svg").status, 404);
    }
}
