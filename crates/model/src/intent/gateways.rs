//! The checks of a host's gateway and its compartments, each by itself and all together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::checks::{is_subnet_address, is_unicast};
use super::{GatewayError, Intent, IntentError};
use crate::gateway::{Compartment, Connection, Gateway, Ipsec, Outside, Secret, Service, Wireguard, WireguardKey};
use crate::security::PortRange;
use crate::{Key, Kind, Name, SharedKey, VlanId};

/// An address of a network outside.
type External = (Option<VlanId>, IpAddr);

/// What is wrong with a gateway by itself.
pub(super) fn gateway(key: &Key, gateway: &Gateway) -> Vec<IntentError> {
    let mut errors = Vec::new();
    hosts(key, "addresses", &gateway.addresses, &mut errors);
    errors.extend(two_routers(key, "nextHops", &gateway.next_hops));
    errors.into_iter().map(IntentError::from).collect()
}

/// What is wrong with a compartment by itself.
pub(super) fn compartment(key: &Key, compartment: &Compartment) -> Vec<IntentError> {
    let mut errors = Vec::new();
    let Compartment { inside, outside, connections, .. } = compartment;
    if inside.addresses.is_empty() {
        errors.push(GatewayError::NoInsideAddress { key: key.clone() });
    }
    hosts(key, "inside.addresses", &inside.addresses, &mut errors);
    errors.extend(two_routers(key, "inside.routers", &inside.routers));
    for router in inside.routers.iter().copied() {
        if inside.addresses.iter().any(|own| own.addr() == router) {
            errors.push(GatewayError::RouterIsOwn { key: key.clone(), router });
        } else if !inside.addresses.iter().any(|own| own.contains(&router)) {
            errors.push(GatewayError::RouterNotOnLink { key: key.clone(), router });
        }
    }
    if let Some(outside) = outside {
        hosts(key, "outside.addresses", &outside.addresses, &mut errors);
        let shared: Vec<IpNet> = outside.shared.iter().map(|part| part.address.into()).collect();
        hosts(key, "outside.shared", &shared, &mut errors);
        errors.extend(two_routers(key, "outside.nextHops", &outside.next_hops));
    }
    let mut names = BTreeSet::new();
    for connection in connections {
        if !names.insert(&connection.name) {
            errors.push(GatewayError::ConnectionTwice { key: key.clone(), connection: connection.name.clone() });
        }
        errors.extend(of_connection(key, connection, outside.is_some()));
    }
    let hidden = compartment.hidden_secrets().into_iter();
    errors.extend(hidden.map(|place| GatewayError::Hidden { key: key.clone(), place }));
    errors.into_iter().map(IntentError::from).collect()
}

/// Addresses with the lengths of their prefixes must be those of hosts.
fn hosts(key: &Key, place: &'static str, addresses: &[IpNet], errors: &mut Vec<GatewayError>) {
    let none = |net: &&IpNet| !is_unicast(net.addr()) || is_subnet_address(net, net.addr());
    let none = addresses.iter().filter(none).map(IpNet::addr);
    errors.extend(none.map(|address| GatewayError::NotUnicast { key: key.clone(), place, address }));
}

fn two_routers(key: &Key, place: &'static str, routers: &[IpAddr]) -> Option<GatewayError> {
    let second = |first: &IpAddr| routers.iter().rev().find(|other| other.is_ipv4() == first.is_ipv4());
    let (first, second) = routers.iter().find_map(|first| {
        let second = second(first)?;
        (!std::ptr::eq(first, second)).then_some((*first, *second))
    })?;
    Some(GatewayError::TwoRouters { key: key.clone(), place, first, second })
}

/// What is wrong with a connection.
fn of_connection(key: &Key, connection: &Connection, outside: bool) -> Vec<GatewayError> {
    let Connection { name, nat, routing, ipsec, wireguard, dns, bgp, .. } = connection;
    let (key, connection_name) = (|| key.clone(), || name.clone());
    let Some(service) = connection.service() else {
        let said = [
            nat.as_ref().map(Service::Nat),
            routing.as_ref().map(Service::Routing),
            ipsec.as_ref().map(Service::Ipsec),
            wireguard.as_ref().map(Service::Wireguard),
            dns.as_ref().map(Service::Dns),
        ];
        let said = said.into_iter().flatten().map(Service::as_str).collect();
        return vec![GatewayError::Service { key: key(), connection: connection_name(), said }];
    };
    let mut errors = Vec::new();
    if bgp.is_some() && matches!(service, Service::Nat(_) | Service::Dns(_)) {
        errors.push(GatewayError::BgpWithout { key: key(), connection: connection_name(), service: service.as_str() });
    }
    if !outside && !matches!(service, Service::Dns(_)) {
        errors.push(GatewayError::NoOutside { key: key(), connection: connection_name(), service: service.as_str() });
    }
    match service {
        Service::Ipsec(Ipsec { psk, certificates, .. }) if psk.is_some() == certificates.is_some() => {
            let has = if psk.is_some() { "both" } else { "neither" };
            errors.push(GatewayError::IpsecKeys { key: key(), connection: connection_name(), has });
        }
        Service::Wireguard(Wireguard { private_key, preshared_key, .. }) => {
            // What is hidden is told of by itself.
            let is_key = |secret: &Secret| secret.is_hidden() || secret.reveal().parse::<WireguardKey>().is_ok();
            let wrong = [
                (!private_key.as_ref().is_some_and(is_key), "privateKey"),
                (!preshared_key.as_ref().is_none_or(is_key), "presharedKey"),
            ];
            let wrong = wrong.into_iter().filter(|(wrong, _)| *wrong);
            errors.extend(wrong.map(|(_, field)| GatewayError::WireguardKey {
                key: key(),
                connection: connection_name(),
                field,
            }));
        }
        _ => {}
    }
    errors
}

/// What is wrong between compartments, the gateway, and what else the host has.
pub(super) fn contradictions(intent: &Intent) -> Vec<IntentError> {
    let gateway = intent.own_gateway();
    let mut errors = Vec::new();
    if let Some((key, gateway)) = gateway {
        errors.extend(interface(intent, key, gateway));
    }
    let mut between = Between::default();
    for own in gateway.iter().flat_map(|(_, gateway)| &gateway.addresses) {
        between.addresses.insert((None, own.addr()), gateway.map(|(key, _)| key));
    }
    for (key, compartment) in intent.compartments() {
        if gateway.is_none() && compartment.outside.is_some() {
            errors.push(GatewayError::NoGateway { key: Key::clone(key) });
        }
        if let Some(port) = intent.port_on(&compartment.inside.device)
            && port.mac != compartment.inside.mac
        {
            errors.push(GatewayError::PortMac {
                key: Key::clone(key),
                port: Key { kind: Kind::Port, name: port.name.to_string() },
                device: port.device.clone(),
                mac: compartment.inside.mac,
                of_port: port.mac,
            });
        }
        between.add(key, compartment, &mut errors);
    }
    errors.into_iter().map(IntentError::from).collect()
}

/// A gateway's interface is for nothing else.
fn interface(intent: &Intent, key: &SharedKey, gateway: &Gateway) -> Option<GatewayError> {
    let (key, interface) = (Key::clone(key), gateway.interface.clone());
    if let Some(used) = intent.index.uplinks.of(interface.clone()).next() {
        return Some(GatewayError::InterfaceIsUplink { key, interface, used: Key::clone(used) });
    }
    let port = intent.index.devices.of(interface.clone()).next()?;
    Some(GatewayError::InterfaceIsDevice { key, interface, port: Key::clone(port) })
}

/// Who has what of which there is one on a host.
#[derive(Default)]
struct Between<'a> {
    devices: BTreeMap<&'a Name, &'a SharedKey>,
    macs: BTreeMap<(Option<VlanId>, [u8; 6]), &'a SharedKey>,
    /// Addresses that are one's alone.
    addresses: BTreeMap<External, Option<&'a SharedKey>>,
    /// The parts of shared addresses, by their first ports.
    shared: BTreeMap<External, BTreeMap<u16, (PortRange, &'a SharedKey)>>,
}

impl<'a> Between<'a> {
    /// Takes a compartment in, and says what others have already.
    fn add(&mut self, key: &'a SharedKey, compartment: &'a Compartment, errors: &mut Vec<GatewayError>) {
        let second = || Key::clone(key);
        let device = &compartment.inside.device;
        if let Some(first) = self.devices.insert(device, key) {
            let first = Key::clone(first);
            errors.push(GatewayError::DeviceTwice { first, second: second(), device: device.clone() });
        }
        let Some(outside) = &compartment.outside else { return };
        if let Some(first) = self.macs.insert((outside.vlan, outside.mac.octets()), key) {
            errors.push(GatewayError::MacTwice { first: Key::clone(first), second: second(), mac: outside.mac });
        }
        for address in own_addresses(outside, &compartment.connections) {
            let external = (outside.vlan, address);
            let sharing = self.shared.get(&external).and_then(|parts| parts.values().next()).map(|(_, sharer)| *sharer);
            let owner = self.addresses.insert(external, Some(key)).flatten();
            if let Some(first) = owner.or(sharing) {
                errors.push(GatewayError::AddressTwice { first: Key::clone(first), second: second(), address });
            }
        }
        for part in &outside.shared {
            let external = (outside.vlan, part.address);
            // The host's own address may be shared: nothing but the host's questions for neighbors come from it.
            if let Some(Some(first)) = self.addresses.get(&external)
                && first.kind == Kind::Compartment
                && *first != key
            {
                let (first, address) = (Key::clone(first), part.address);
                errors.push(GatewayError::AddressTwice { first, second: second(), address });
            }
            let parts = self.shared.entry(external).or_default();
            // What is there does not overlap itself, so that only the last one that begins before the end can.
            if let Some((_, (other, first))) = parts.range(..=part.ports.last()).next_back()
                && other.last() >= part.ports.first()
            {
                let both = PortRange::new(other.first().max(part.ports.first()), other.last().min(part.ports.last()));
                let (address, ports) = (part.address, both.unwrap_or(part.ports));
                errors.push(if *first == key {
                    GatewayError::OwnPortsTwice { key: second(), address, ports }
                } else {
                    GatewayError::PortsTwice { first: Key::clone(first), second: second(), address, ports }
                });
                continue;
            }
            parts.insert(part.ports.first(), (part.ports, key));
        }
    }
}

/// The addresses outside that are a compartment's alone.
fn own_addresses(outside: &Outside, connections: &[Connection]) -> BTreeSet<IpAddr> {
    let nats = || connections.iter().filter_map(|connection| connection.nat.as_ref());
    let floating = nats().flat_map(|nat| nat.floating.iter().map(|floating| floating.external));
    let translated = nats().flat_map(|nat| nat.addresses.iter().copied());
    let shared = |address: &IpAddr| outside.shared.iter().any(|part| part.address == *address);
    let all = outside.addresses.iter().map(IpNet::addr).chain(floating).chain(translated);
    all.filter(|address| !shared(address)).collect()
}
