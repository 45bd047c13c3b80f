//! What may pass, as part of which connection, and what the compartment itself takes in.

use std::net::IpAddr;

use ipnet::IpNet;
use model::gateway::{Compartment, Connection, Nat, Service};

use super::counter;
use super::text::{FAMILIES, Family, Text, braces, of_family};
use crate::gateway::layout::{EDGE_MARK, LEARNT_MARK, answers, forwards, is_steered};
use crate::gateway::nat::{Sources, Translation};
use crate::gateway::{NUMBER_MASK, number, tunnel_device};

/// The devices towards the outside, but tunnels.
const OUT: &str = "{ \"outside\", \"edge\" }";

/// Connections of a compartment with their numbers and services.
fn served(compartment: &Compartment) -> impl Iterator<Item = (u16, &Connection, Service<'_>)> {
    compartment
        .connections
        .iter()
        .filter_map(|connection| Some((number(compartment, connection)?, connection, connection.service()?)))
}

/// What lies behind the other side of a tunnel.
fn site<'c>(service: Service<'c>) -> Option<&'c [IpNet]> {
    match service {
        Service::Ipsec(ipsec) => Some(&ipsec.remote_prefixes),
        Service::Wireguard(wireguard) => Some(&wireguard.remote_prefixes),
        Service::Nat(_) | Service::Routing(_) | Service::Dns(_) => None,
    }
}

/// What a routed connection leads to, as far as it is declared. Where nothing is translated, that is the link outside too.
fn routed(compartment: &Compartment, service: Service<'_>) -> Option<Vec<IpNet>> {
    let Service::Routing(routing) = service else { return None };
    let mut nets: Vec<_> = routing.routes.iter().map(|route| route.prefix).collect();
    let translates = compartment.connections.iter().any(|connection| connection.nat.is_some());
    if let Some(outside) = compartment.outside.as_ref().filter(|_| !translates) {
        nets.extend(&outside.addresses);
    }
    Some(nets)
}

/// Sets that several chains look into: what is inside, the link inside, and what lies behind tunnels and routes.
pub(super) fn sets(text: &mut Text, compartment: &Compartment) {
    let inside = &compartment.inside;
    for family in FAMILIES {
        text.prefixes(&format!("inside{}", family.digit), family, &inside.prefixes);
        text.prefixes(&format!("link{}", family.digit), family, &inside.addresses);
        for (number, _, service) in served(compartment) {
            if let Some(nets) = site(service) {
                text.prefixes(&format!("site_{number:04x}_{}", family.digit), family, nets);
            }
            if let Some(nets) = routed(compartment, service) {
                text.prefixes(&format!("routed_{number:04x}_{}", family.digit), family, &nets);
            }
        }
    }
}

/// Whoever sends from an address that is not its own is not heard (RFC 2827).
pub(super) fn guard(text: &mut Text) {
    let spoofed = format!("counter name {} drop", counter::SPOOFED);
    let base = [
        "type filter hook prerouting priority raw; policy accept;".to_owned(),
        "iifname \"inside\" goto guard_inside".to_owned(),
        format!("iifname {OUT} ip saddr @inside4 {spoofed}"),
        format!("iifname {OUT} ip6 saddr @inside6 {spoofed}"),
    ];
    text.chain("guard", &base);
    let inside = [
        "ip saddr @inside4 accept",
        "ip6 saddr @inside6 accept",
        "ip saddr @link4 accept",
        "ip6 saddr @link6 accept",
        // Neighbor discovery.
        "ip6 saddr { ::, fe80::/10 } accept",
        &spoofed,
    ];
    text.chain("guard_inside", &inside.map(ToOwned::to_owned));
}

/// One that is leaving tells no neighbor outside where its addresses of IPv6 are; of ARP a sysctl sees to the same.
pub(super) fn silence(text: &mut Text, compartment: &Compartment) {
    if forwards(compartment) && !answers(compartment) {
        let rules = [
            "type filter hook output priority filter; policy accept;",
            "oifname \"outside\" icmpv6 type nd-neighbor-advert drop",
        ];
        text.chain("silence", &rules.map(ToOwned::to_owned));
    }
}

/// Which way a packet of the inside goes, where there are two: by the edge, if its connection came from there or it will be
/// translated to a shared address; else by the device outside. It comes behind the translation of destinations.
pub(super) fn steer(text: &mut Text, compartment: &Compartment, translations: &[Translation<'_>]) {
    if !is_steered(compartment) {
        return;
    }
    let by_edge = format!("meta mark set {EDGE_MARK:#x}");
    let mut rules = vec![
        "type filter hook prerouting priority dstnat + 5; policy accept;".to_owned(),
        "iifname != \"inside\" return".to_owned(),
        format!("ct mark and {EDGE_MARK:#x} != 0 {by_edge} return"),
        "ct state != new return".to_owned(),
        "ct status dnat return".to_owned(),
    ];
    for (number, connection, service) in served(compartment) {
        for Family { ip, digit, .. } in FAMILIES {
            match service {
                Service::Routing(_) => rules.push(format!("{ip} daddr @routed_{number:04x}_{digit} return")),
                Service::Ipsec(_) | Service::Wireguard(_) => {
                    rules.push(format!("{ip} daddr @site_{number:04x}_{digit} return"));
                }
                Service::Nat(_) | Service::Dns(_) => {}
            }
            if connection.bgp.is_some() {
                rules.push(format!("{} return", learnt(digit, "daddr", None)));
                rules.push(forget_learnt());
            }
        }
    }
    for translation in translations {
        for family in FAMILIES {
            let ip = family.ip;
            for own in floating_inside(translation.nat, family) {
                rules.push(format!("{ip} saddr {own} return"));
            }
            if matches!(translation.sources(family.v6), Sources::Shared(_)) {
                for prefix in of_family(family, &translation.prefixes) {
                    rules.push(format!("{ip} saddr {prefix} {by_edge} return"));
                }
            }
        }
    }
    text.chain("steer", &rules);
}

/// A match for addresses that BGP has told of, by one device if it is given. It leaves a bit in the packet's mark, which
/// [`forget_learnt`] takes away.
fn learnt(digit: char, which: &str, device: Option<&str>) -> String {
    let family = if digit == '4' { "ipv4" } else { "ipv6" };
    let result = device.map_or_else(|| "oif exists".to_owned(), |device| format!("oifname \"{device}\""));
    format!("meta nfproto {family} meta mark set meta mark or {LEARNT_MARK:#x} fib {which} . mark {result}")
}

/// See [`learnt`].
fn forget_learnt() -> String {
    format!("meta mark set meta mark and {:#x}", !LEARNT_MARK)
}

/// VMs with addresses of the outside that are theirs alone.
fn floating_inside(nat: &Nat, family: Family) -> Vec<IpAddr> {
    let of_family = nat.floating.iter().filter(|floating| floating.internal.is_ipv6() == family.v6);
    of_family.map(|floating| floating.internal).collect()
}

/// Writes what passes from device to device.
pub(super) fn forward(text: &mut Text, compartment: &Compartment, translations: &[Translation<'_>]) {
    let base = [
        "type filter hook forward priority filter; policy drop;".to_owned(),
        format!("ct state invalid counter name {} drop", counter::INVALID),
        // Of both ways' MTU the smaller counts (RFC 6691; RFC 4459, 3.2.4).
        "tcp flags and (syn | rst) == syn tcp option maxseg size set rt mtu".to_owned(),
        "ct state { established, related } goto pass".to_owned(),
        "iifname \"inside\" goto leave".to_owned(),
        "oifname \"inside\" goto enter".to_owned(),
        format!("counter name {}", counter::DENIED),
    ];
    text.chain("forward", &base);
    leave(text, compartment, translations);
    enter(text, compartment, translations);
    for translation in translations {
        admit(text, translation);
    }
    pass(text, compartment);
}

/// What opens a connection from inside.
fn leave(text: &mut Text, compartment: &Compartment, translations: &[Translation<'_>]) {
    let mut rules = Vec::new();
    let doors: Vec<_> = doors(translations);
    if !doors.is_empty() {
        rules.push(format!("oifname \"inside\" ct status dnat ct mark and {NUMBER_MASK:#x} vmap {}", braces(&doors)));
    }
    rules.extend(to_tunnels(compartment));
    // What is behind a tunnel is nowhere else, also when the tunnel is down.
    for (number, _, service) in served(compartment) {
        if site(service).is_some() {
            for Family { ip, digit, .. } in FAMILIES {
                rules.push(format!("{ip} daddr @site_{number:04x}_{digit} goto refuse"));
            }
        }
    }
    for (number, connection, service) in served(compartment) {
        if !matches!(service, Service::Routing(_)) {
            continue;
        }
        for Family { ip, digit, .. } in FAMILIES {
            let take = format!("ct mark set {number:#x} goto pass");
            rules.push(format!("oifname \"outside\" {ip} daddr @routed_{number:04x}_{digit} {take}"));
            if connection.bgp.is_some() {
                let learnt = learnt(digit, "daddr", Some("outside"));
                rules.push(format!("oifname \"outside\" {learnt} {} {take}", forget_learnt()));
                rules.push(forget_learnt());
            }
        }
    }
    for translation in translations {
        let number = translation.number;
        for family in FAMILIES {
            let Family { ip, .. } = family;
            let mut from: Vec<_> = floating_inside(translation.nat, family).into_iter().map(IpNet::from).collect();
            if *translation.sources(family.v6) != Sources::None {
                from.extend(&translation.prefixes);
            }
            from.extend(translation.nat.translations.iter().map(|pair| IpNet::V6(pair.internal)));
            if !of_family(family, &from).is_empty() {
                let name = format!("translated_{number:04x}_{}", family.digit);
                text.prefixes(&name, family, &from);
                rules.push(format!("oifname {OUT} {ip} saddr @{name} goto depart_{number:04x}"));
            }
        }
        let depart = [
            // A shared address has nothing to tell other protocols' answers by.
            "oifname \"edge\" meta l4proto != { tcp, udp, icmp, ipv6-icmp } goto refuse".to_owned(),
            format!("jump admit_{number:04x}"),
            format!("oifname \"edge\" ct mark set {:#x} goto pass", EDGE_MARK | u32::from(number)),
            format!("ct mark set {number:#x} goto pass"),
        ];
        text.chain(&format!("depart_{number:04x}"), &depart);
    }
    rules.push("goto refuse".to_owned());
    text.chain("leave", &rules);
    let refuse = [format!("counter name {}", counter::DENIED), "reject with icmpx admin-prohibited".to_owned()];
    text.chain("refuse", &refuse);
}

/// What leads into tunnels is theirs; of those that have one device together, by what lies behind them.
fn to_tunnels(compartment: &Compartment) -> Vec<String> {
    let mut rules = Vec::new();
    let mut rest = Vec::new();
    for (number, connection, service) in served(compartment) {
        let Some(device) = tunnel_device(compartment, connection) else { continue };
        let take = format!("ct mark set {number:#x} goto pass");
        for Family { ip, digit, .. } in FAMILIES {
            rules.push(format!("oifname \"{device}\" {ip} daddr @site_{number:04x}_{digit} {take}"));
        }
        let open = connection.bgp.is_some() || site(service).is_some_and(<[_]>::is_empty);
        if open {
            rest.push(format!("oifname \"{device}\" {take}"));
        }
    }
    rules.extend(rest);
    rules
}

/// Where what was translated to a VM goes on, by the number of its connection.
fn doors(translations: &[Translation<'_>]) -> Vec<String> {
    let door = |number| format!("{number:#x} : goto arrive_{number:04x}");
    translations.iter().map(|translation| door(translation.number)).collect()
}

/// What opens a connection from outside.
fn enter(text: &mut Text, compartment: &Compartment, translations: &[Translation<'_>]) {
    let mut rules = Vec::new();
    let doors = doors(translations);
    if !doors.is_empty() {
        rules.push(format!("iifname {OUT} ct status dnat ct mark and {NUMBER_MASK:#x} vmap {}", braces(&doors)));
    }
    for (number, connection, service) in served(compartment) {
        for Family { ip, digit, .. } in FAMILIES {
            let take = format!("{ip} daddr @inside{digit} ct mark set {number:#x} goto pass");
            if let Some(device) = tunnel_device(compartment, connection) {
                rules.push(format!("iifname \"{device}\" {ip} saddr @site_{number:04x}_{digit} {take}"));
                if connection.bgp.is_some() {
                    // What the other side may tell of, it may send from; but not what leads elsewhere.
                    rules.push(format!("iifname \"{device}\" {} {take}", learnt(digit, "saddr", Some(&device))));
                    rules.push(forget_learnt());
                }
            } else if let Service::Routing(_) = service {
                rules.push(format!("iifname \"outside\" {ip} saddr @routed_{number:04x}_{digit} {take}"));
                if connection.bgp.is_some() {
                    rules.push(format!("iifname \"outside\" {} {take}", learnt(digit, "saddr", Some("outside"))));
                    rules.push(forget_learnt());
                }
            }
        }
    }
    rules.push(format!("counter name {}", counter::DENIED));
    text.chain("enter", &rules);
    for translation in translations {
        let number = translation.number;
        let arrive = [
            format!("jump admit_{number:04x}"),
            format!("iifname \"edge\" ct mark set ct mark or {EDGE_MARK:#x}"),
            "goto pass".to_owned(),
        ];
        text.chain(&format!("arrive_{number:04x}"), &arrive);
    }
}

/// The limits of a NAT connection (RFC 6888, REQ-3 to REQ-5). What is refused is counted by the limit that it had reached.
fn admit(text: &mut Text, translation: &Translation<'_>) {
    let number = translation.number;
    let limits = translation.nat.limits;
    let mut rules = Vec::new();
    // In this order, since what is refused by the one shall not count for the other.
    if let Some(most) = limits.new_per_second {
        let name = counter::too_fast(number);
        rules.push(format!("limit rate over {most}/second burst {most} packets counter name {name} drop"));
        text.counter(name);
    }
    if let Some(most) = limits.connections_per_address {
        let name = counter::too_many_of_one(number);
        for Family { ip, digit, address, .. } in FAMILIES {
            let set = format!("each_{number:04x}_{digit}");
            text.collection("set", &set, &format!("type {address}; size 65535; flags dynamic;"), &[]);
            let refuse = format!("ct count over {most} }} counter name {name} drop");
            rules.push(format!("iifname \"inside\" add @{set} {{ {ip} saddr {refuse}"));
            rules.push(format!("iifname != \"inside\" add @{set} {{ {ip} daddr {refuse}"));
        }
        text.counter(name);
    }
    if let Some(most) = limits.connections {
        let name = counter::too_many(number);
        rules.push(format!("ct count over {most} counter name {name} drop"));
        text.counter(name);
    }
    if rules.is_empty() {
        rules.push("return".to_owned());
    }
    text.chain(&format!("admit_{number:04x}"), &rules);
}

/// Flows that are known pass between the devices of their connection; they are counted, and have its class of bandwidth.
fn pass(text: &mut Text, compartment: &Compartment) {
    let mut known = Vec::new();
    for (number, connection, service) in served(compartment) {
        let devices = match service {
            Service::Nat(_) => OUT.to_owned(),
            Service::Routing(_) => "\"outside\"".to_owned(),
            Service::Ipsec(_) | Service::Wireguard(_) => match tunnel_device(compartment, connection) {
                Some(device) => format!("\"{device}\""),
                None => continue,
            },
            Service::Dns(_) => continue,
        };
        let (sent, received) = (counter::sent(number), counter::received(number));
        let class = format!("meta priority set 1:{number:x}");
        let mut rules = vec![
            format!("iifname \"inside\" oifname {devices} {class} counter name {sent} accept"),
            format!("iifname {devices} oifname \"inside\" {class} counter name {received} accept"),
        ];
        if matches!(service, Service::Nat(_)) {
            rules.push("iifname \"inside\" oifname \"inside\" accept".to_owned());
        }
        rules.push(format!("counter name {} drop", counter::STRAYED));
        text.chain(&format!("pass_{number:04x}"), &rules);
        text.counter(sent);
        text.counter(received);
        known.push(format!("{number:#x} : goto pass_{number:04x}"));
    }
    let mut rules = Vec::new();
    if !known.is_empty() {
        rules.push(format!("ct mark and {NUMBER_MASK:#x} vmap {}", braces(&known)));
    }
    rules.push(format!("counter name {} drop", counter::STRAYED));
    text.chain("pass", &rules);
}

/// What the compartment itself takes in: questions about it (ping, traceroute), and those that its services are asked.
pub(super) fn input(text: &mut Text, compartment: &Compartment) {
    let mut rules = vec![
        "type filter hook input priority filter; policy drop;".to_owned(),
        "iifname \"lo\" accept".to_owned(),
        format!("ct state invalid counter name {} drop", counter::INVALID),
        "ct state { established, related } accept".to_owned(),
        "meta l4proto { icmp, ipv6-icmp } accept".to_owned(),
    ];
    for (_, connection, service) in served(compartment) {
        match service {
            Service::Dns(_) => rules.push("iifname \"inside\" meta l4proto { tcp, udp } th dport 53 accept".to_owned()),
            Service::Ipsec(_) => {
                rules.push(format!("iifname {OUT} udp dport {{ 500, 4500 }} accept"));
                rules.push(format!("iifname {OUT} meta l4proto esp accept"));
            }
            Service::Wireguard(wireguard) => {
                let port = wireguard.listen_port.unwrap_or(DEFAULT_WIREGUARD_PORT);
                rules.push(format!("iifname {OUT} udp dport {port} accept"));
            }
            Service::Nat(_) | Service::Routing(_) => {}
        }
        for neighbor in connection.bgp.iter().flat_map(|bgp| &bgp.neighbors) {
            let ip = if neighbor.address.is_ipv6() { "ip6" } else { "ip" };
            rules.push(format!("{ip} saddr {} tcp dport 179 accept", neighbor.address));
        }
    }
    // The last hop of a traceroute says that it is that (RFC 1122, 3.2.2.1).
    rules.push("udp dport 33434-33534 reject".to_owned());
    rules.dedup();
    text.chain("input", &rules);
}

/// The port that WireGuard's own documentation uses.
const DEFAULT_WIREGUARD_PORT: u16 = 51820;
