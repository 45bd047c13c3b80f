//! What a gateway connection says by itself: which one service it is, and what of it is legal whatever else there is.

use std::net::IpAddr;

use ipnet::IpNet;
use model::fabric::{Allocation, GatewayConnection, Key, Kind};
use model::gateway::{Dns, Nat, Routing, Secret, Service};

use super::checks::twice;
use super::gateway_vpn::makes_key;
use super::ip_pool::is_domain;
use super::{Run, VIRTUALIZED};
use crate::fabric::{GatewayRefusal, Refusal};

/// The ports that a VM network can have of a shared address.
const SHARED_PORTS: std::ops::RangeInclusive<u16> = 64..=32_768;

impl Run<'_, '_> {
    pub(super) fn check_gateway_connection(&mut self, key: &Key, spec: &GatewayConnection) {
        let network = key.sibling(Kind::VmNetwork, &spec.vm_network);
        let gateway = Key::global(Kind::Gateway, &spec.gateway);
        let Some(of) = self.fabric.vm_network(key, &spec.vm_network).cloned() else { return };
        let isolation = of.isolation;
        if !isolation.is_virtualized() {
            let (field, needed) = ("a gateway connection", VIRTUALIZED);
            self.refuse(key, Refusal::Isolation { key: key.clone(), field, needed, network, isolation });
            return;
        }
        let serves = self.fabric.gateway(&spec.gateway).map(|at| at.logical_network.clone());
        if let Some(serves) = serves.filter(|serves| *serves != of.logical_network) {
            let on = of.logical_network;
            let refusal = GatewayRefusal::OtherLogicalNetwork { key: key.clone(), gateway, serves, network, on };
            self.refuse(key, refusal.into());
        }
        if let Some(field) = spec.hidden_secret() {
            self.refuse(key, GatewayRefusal::Hidden { key: key.clone(), field }.into());
        }
        let as_declared = spec.connection(key.name.clone());
        let Some(service) = as_declared.service() else {
            let said = said(spec);
            self.refuse(key, GatewayRefusal::NotOne { key: key.clone(), said }.into());
            return;
        };
        match service {
            Service::Nat(nat) => self.check_nat(key, nat),
            Service::Routing(routing) => self.check_routing(key, routing),
            Service::Ipsec(ipsec) => self.check_ipsec(key, ipsec),
            Service::Wireguard(wireguard) => self.check_wireguard(key, wireguard),
            Service::Dns(dns) => self.check_dns(key, dns),
        }
        if let Some(bgp) = &spec.bgp {
            self.check_bgp(key, bgp, service);
        }
        let limits = [("egress", spec.limits.egress), ("ingress", spec.limits.ingress)];
        for (direction, _) in limits.iter().filter(|(_, limit)| limit.is_some_and(|limit| limit.packets.is_some())) {
            self.refuse(key, GatewayRefusal::Packets { key: key.clone(), direction }.into());
        }
    }

    /// A private key, where the tunnel needs one and names none.
    pub(super) fn give_gateway_connection(&mut self, key: &Key, spec: &GatewayConnection, given: &Allocation) {
        if makes_key(spec) && given.private_key.is_none() {
            let made = Secret::new(super::gateway_vpn::private_key(self.context.uuid));
            self.allocate(key, |given| given.private_key = Some(made));
        }
    }

    pub(super) fn out_of_range(&mut self, key: &Key, field: &'static str, value: u64, bounds: &'static str) {
        self.refuse(key, GatewayRefusal::Range { key: key.clone(), field, value, bounds }.into());
    }

    fn check_nat(&mut self, key: &Key, nat: &Nat) {
        let lists = [
            ("addresses", nat.addresses.len()),
            ("prefixes", nat.prefixes.len()),
            ("floating addresses", nat.floating.len()),
            ("forwards", nat.forwards.len()),
            ("translations", nat.translations.len()),
        ];
        for (what, count) in lists {
            self.length(key, what, count);
        }
        if let Some(ports) = nat.shared_ports.filter(|ports| !SHARED_PORTS.contains(ports)) {
            self.out_of_range(key, "sharedPorts", ports.into(), "64 to 32768");
        }
        if nat.shared_ports.is_some() && nat.addresses.iter().any(IpAddr::is_ipv4) {
            let wrong = "stands beside IPv4 addresses of its own; leave one of the two out";
            self.refuse(key, GatewayRefusal::Text { key: key.clone(), field: "nat.sharedPorts".into(), wrong }.into());
        }
        for address in &nat.addresses {
            self.unicast(key, *address);
        }
        let named = nat.addresses.iter().chain(nat.floating.iter().map(|floating| &floating.external));
        if let Some(address) = twice(named) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("address {address} outside") });
        }
        if let Some(address) = twice(nat.floating.iter().map(|floating| floating.internal)) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("floating address of {address}") });
        }
        for floating in &nat.floating {
            self.pair(key, floating.external, floating.internal);
        }
        for forward in &nat.forwards {
            if let Some(external) = forward.external {
                self.pair(key, external, forward.internal);
            }
            if forward.ports.first() == 0 {
                self.out_of_range(key, "forwarded port", 0, "1 to 65535");
            }
            let count = forward.ports.last() - forward.ports.first();
            let internal = forward.internal_port.filter(|first| *first == 0 || first.checked_add(count).is_none());
            if let Some(internal) = internal {
                let ports = forward.ports;
                self.refuse(key, GatewayRefusal::ForwardPorts { key: key.clone(), ports, internal }.into());
            }
        }
        for translation in &nat.translations {
            let (internal, external) = (translation.internal, translation.external);
            if internal.prefix_len() != external.prefix_len() {
                self.refuse(key, GatewayRefusal::Lengths { key: key.clone(), internal, external }.into());
            }
            for prefix in [internal, external].map(IpNet::V6) {
                self.prefix(key, prefix);
            }
        }
        let limits = nat.limits;
        for (field, limit) in [
            ("limits.connections", limits.connections),
            ("limits.connectionsPerAddress", limits.connections_per_address),
            ("limits.newPerSecond", limits.new_per_second),
        ] {
            if limit == Some(0) {
                self.out_of_range(key, field, 0, "1 or more, or leave it out");
            }
        }
    }

    /// An address outside that stands for one inside.
    fn pair(&mut self, key: &Key, external: IpAddr, internal: IpAddr) {
        if external.is_ipv4() != internal.is_ipv4() {
            self.refuse(key, GatewayRefusal::Families { key: key.clone(), external, internal }.into());
        } else {
            self.unicast(key, external);
        }
    }

    fn check_routing(&mut self, key: &Key, routing: &Routing) {
        self.length(key, "routes", routing.routes.len());
        for route in &routing.routes {
            let (prefix, next_hop) = (route.prefix, route.next_hop);
            self.remote_prefix(key, prefix);
            if prefix.addr().is_ipv4() != next_hop.is_ipv4() {
                self.refuse(key, Refusal::Families { key: key.clone(), prefix, next_hop });
            }
        }
    }

    /// What lies behind a connection: any prefix, as it is written.
    pub(super) fn remote_prefix(&mut self, key: &Key, prefix: IpNet) {
        if prefix != prefix.trunc() {
            self.refuse(key, Refusal::HostBits { key: key.clone(), prefix });
        } else if prefix.addr() != prefix.addr().to_canonical() || prefix.addr().is_multicast() {
            self.refuse(key, Refusal::NotUnicast { key: key.clone(), address: prefix.addr() });
        }
    }

    fn check_dns(&mut self, key: &Key, dns: &Dns) {
        let lists = [("forwarders", dns.forwarders.len()), ("zones", dns.zones.len()), ("names", dns.names.len())];
        for (what, count) in lists {
            self.length(key, what, count);
        }
        let zones = dns.zones.iter().map(|zone| &zone.zone);
        let names = dns.names.iter().map(|name| &name.name);
        for text in dns.domain.iter().chain(zones.clone()).chain(names.clone()).filter(|text| !is_domain(text)) {
            self.refuse(key, Refusal::DnsSuffix { key: key.clone(), suffix: text.clone() });
        }
        let lower = |text: &String| text.to_ascii_lowercase();
        if let Some(zone) = twice(zones.chain(&dns.domain).map(lower)) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("zone {zone}") });
        }
        if let Some(name) = twice(names.map(lower)) {
            self.refuse(key, Refusal::Twice { key: key.clone(), what: format!("name {name}") });
        }
        for zone in &dns.zones {
            self.length(key, "servers of a zone", zone.servers.len());
            if zone.servers.is_empty() {
                let what = "server of a zone";
                self.refuse(key, Refusal::Empty { key: key.clone(), what, option: "servers: [ADDRESS]" });
            }
        }
        for name in &dns.names {
            self.length(key, "addresses of a name", name.addresses.len());
            if name.addresses.is_empty() {
                let what = "address of a name";
                self.refuse(key, Refusal::Empty { key: key.clone(), what, option: "addresses: [ADDRESS]" });
            }
        }
        let servers = dns.forwarders.iter().chain(dns.zones.iter().flat_map(|zone| &zone.servers));
        for address in servers.chain(dns.names.iter().flat_map(|name| &name.addresses)) {
            self.unicast(key, *address);
        }
    }
}

/// Which services a connection names.
fn said(spec: &GatewayConnection) -> Vec<&'static str> {
    let services = [
        ("nat", spec.nat.is_some()),
        ("routing", spec.routing.is_some()),
        ("ipsec", spec.ipsec.is_some()),
        ("wireguard", spec.wireguard.is_some()),
        ("dns", spec.dns.is_some()),
    ];
    services.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}
