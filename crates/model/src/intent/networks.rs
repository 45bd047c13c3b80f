//! The checks of DHCP scopes and of ports that are joined to physical networks: each by itself, and those of one network
//! with one another.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::checks::{is_link_local_v6, is_subnet_address, is_unicast};
use super::network_error::NetworkError;
use super::{Intent, IntentError};
use crate::{DhcpScope, Key, Name, PhysicalNetwork, Port, Resource, Vsid};

/// What a port can be in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Network {
    /// A VM subnet.
    Subnet(Vsid),
    /// A physical network.
    Physical(PhysicalNetwork),
}

impl Network {
    /// The one that a port or scope names, if it names one.
    pub(super) fn of(vsid: Option<Vsid>, physical: Option<&PhysicalNetwork>) -> Option<Self> {
        vsid.map(Self::Subnet).or_else(|| physical.cloned().map(Self::Physical))
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Subnet(vsid) => write!(f, "VSID {vsid}"),
            Self::Physical(physical) => write!(f, "physical network {physical}"),
        }
    }
}

/// What is wrong with a scope by itself.
pub(super) fn scope(key: &Key, scope: &DhcpScope) -> Vec<IntentError> {
    let (mut errors, prefix) = (network(key, scope.vsid, scope.physical.as_ref()), scope.prefix);
    if Network::of(scope.vsid, scope.physical.as_ref()).is_none() {
        errors.push(NetworkError::ScopeWithoutNetwork { key: key.clone() }.into());
    }
    let next_hops = scope.routes.iter().flat_map(|route| [route.prefix.addr(), route.next_hop]);
    let addresses = scope.gateway.iter().chain(&scope.dns_servers).copied().chain(next_hops).chain([prefix.addr()]);
    let before = errors.len();
    errors.extend(addresses.filter_map(|address| mapped(key, address)));
    if errors.len() > before {
        return errors;
    }
    if prefix != prefix.trunc() {
        errors.push(IntentError::HostBits { key: key.clone(), prefix });
    }
    if prefix.prefix_len() == 0 {
        errors.push(NetworkError::ScopePrefix { key: key.clone(), prefix }.into());
    }
    if let Some(gateway) = scope.gateway.filter(|gateway| !is_router(&prefix, *gateway)) {
        errors.push(NetworkError::ScopeGateway { key: key.clone(), gateway, prefix }.into());
    }
    for server in scope.dns_servers.iter().copied() {
        if server.is_ipv4() != prefix.addr().is_ipv4() || !is_unicast(server) {
            errors.push(NetworkError::ScopeDnsServer { key: key.clone(), server, prefix }.into());
        }
    }
    for suffix in scope.dns_suffixes.iter().filter(|suffix| !is_domain_name(suffix)) {
        errors.push(NetworkError::ScopeDnsSuffix { key: key.clone(), suffix: suffix.clone() }.into());
    }
    for route in &scope.routes {
        let (to, next_hop) = (route.prefix, route.next_hop);
        if to != to.trunc() {
            errors.push(IntentError::HostBits { key: key.clone(), prefix: to });
        }
        if to.addr().is_ipv4() != prefix.addr().is_ipv4() {
            errors.push(NetworkError::ScopeRouteFamily { key: key.clone(), route: to, prefix }.into());
        } else if !next_hop.is_unspecified() && !is_router(&prefix, next_hop) {
            errors.push(NetworkError::ScopeNextHop { key: key.clone(), route: to, next_hop, prefix }.into());
        }
    }
    errors
}

/// What is wrong with a port's network and addresses by themselves.
pub(super) fn port(key: &Key, port: &Port) -> Vec<IntentError> {
    let mut errors = network(key, port.vsid, port.physical.as_ref());
    for address in port.addresses.iter().copied() {
        if let Some(error) = mapped(key, address) {
            errors.push(error);
        } else if !is_unicast(address) || is_link_local_v6(address) {
            errors.push(NetworkError::PortAddress { key: key.clone(), address }.into());
        }
    }
    errors
}

fn network(key: &Key, vsid: Option<Vsid>, physical: Option<&PhysicalNetwork>) -> Vec<IntentError> {
    let mut errors = Vec::new();
    if let (Some(vsid), Some(physical)) = (vsid, physical) {
        errors.push(NetworkError::TwoNetworks { key: key.clone(), vsid, physical: physical.clone() }.into());
    }
    if let Some(name) = physical.map(|physical| &physical.interface).filter(|name| !name.is_interface_name()) {
        errors.push(IntentError::InterfaceNameTooLong { key: key.clone(), name: name.clone() });
    }
    errors
}

fn mapped(key: &Key, address: IpAddr) -> Option<IntentError> {
    (address != address.to_canonical()).then(|| IntentError::Mapped { key: key.clone(), address })
}

/// Whether VMs with addresses of the prefix can have the address as a router: it is one of them, or an IPv6 router's
/// link-local one.
fn is_router(prefix: &IpNet, address: IpAddr) -> bool {
    let inside = prefix.contains(&address) && !is_subnet_address(prefix, address);
    is_unicast(address) && (inside || is_link_local_v6(address) && prefix.addr().is_ipv6())
}

/// Whether it is a domain name as DNS can carry it (RFC 1035, 2.3.4), of letters, digits, hyphens and underscores.
fn is_domain_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// What contradicts in these networks, and about the devices of the ports. Goes through all ports of the host, of which
/// there are few beside the records of others.
pub(super) fn contradictions(intent: &Intent, touched: &BTreeSet<Network>) -> Vec<IntentError> {
    let mut errors = Vec::new();
    if touched.is_empty() {
        return errors;
    }
    let mut members = BTreeMap::<Network, Vec<&Port>>::new();
    let mut uplinks = BTreeMap::<&Name, &Port>::new();
    for port in intent.ports() {
        if let Some(network) = Network::of(port.vsid, port.physical.as_ref()).filter(|one| touched.contains(one)) {
            members.entry(network).or_default().push(port);
        }
        if let Some(physical) = &port.physical {
            uplinks.entry(&physical.interface).or_insert(port);
        }
    }
    for port in intent.ports() {
        if let Some(other) = uplinks.get(&port.device) {
            let (key, device, other) = (port_key(port), port.device.clone(), port_key(other));
            errors.push(NetworkError::DeviceIsUplink { key, device, other }.into());
        }
    }
    for network in touched {
        let scopes = scopes(intent, network);
        let ports = members.remove(network).unwrap_or_default();
        errors.extend(overlaps(network, &scopes).map(IntentError::from));
        errors.extend(ports.iter().flat_map(|port| one_each(port, &scopes)).map(IntentError::from));
        errors.extend(twice(network, &ports).into_iter().map(IntentError::from));
    }
    errors
}

fn scopes<'a>(intent: &'a Intent, network: &Network) -> Vec<&'a DhcpScope> {
    let of = |scope: &&DhcpScope| Network::of(scope.vsid, scope.physical.as_ref()).as_ref() == Some(network);
    intent.dhcp_scopes().filter(of).collect()
}

/// An address must say by itself which scope it is of.
fn overlaps<'a>(network: &'a Network, scopes: &'a [&DhcpScope]) -> impl Iterator<Item = NetworkError> + 'a {
    let pairs =
        scopes.iter().enumerate().flat_map(|(at, first)| scopes[at + 1..].iter().map(move |other| (first, other)));
    let overlapping = pairs.filter(|(first, other)| {
        first.prefix.contains(&other.prefix.network()) || other.prefix.contains(&first.prefix.network())
    });
    overlapping.map(move |(first, other)| NetworkError::ScopesOverlap {
        first: scope_key(first),
        second: scope_key(other),
        network: network.to_string(),
    })
}

/// DHCP gives a VM one address of each prefix.
fn one_each<'a>(port: &'a Port, scopes: &'a [&DhcpScope]) -> impl Iterator<Item = NetworkError> + 'a {
    scopes.iter().filter_map(move |scope| {
        let mut inside = port.addresses.iter().copied().filter(|address| scope.prefix.contains(address));
        let (first, second) = (inside.next()?, inside.next()?);
        Some(NetworkError::TwoAddresses { key: port_key(port), first, second, scope: scope_key(scope) })
    })
}

/// No two ports of a network have one address or, in a physical one, one MAC address; in a subnet that is checked
/// together with the lookup records.
fn twice(network: &Network, ports: &[&Port]) -> Vec<NetworkError> {
    let (mut errors, mut addresses, mut macs) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for port in ports {
        for address in port.addresses.iter().copied() {
            if let Some(first) = addresses.insert(address, *port) {
                let (first, second, network) = (port_key(first), port_key(port), network.to_string());
                errors.push(NetworkError::AddressTwice { first, second, address, network });
            }
        }
        if let (Network::Physical(network), Some(first)) = (network, macs.insert(port.mac, *port)) {
            let (first, second, mac, network) = (port_key(first), port_key(port), port.mac, network.clone());
            errors.push(NetworkError::MacTwice { first, second, mac, network });
        }
    }
    errors
}

fn scope_key(scope: &DhcpScope) -> Key {
    Resource::DhcpScope(scope.clone()).key()
}

fn port_key(port: &Port) -> Key {
    Resource::Port(port.clone()).key()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{accepted, errors_of, host, refused};
    use crate::{Change, resources_from_yaml};

    /// A host with a scope in VSID 5001, one on eth0 and one on VLAN 42 of it, and a port each.
    const MORE: &str = "\
{kind: dhcp-scope, spec: {vsid: 5001, prefix: 10.0.0.0/24}}
---
{kind: dhcp-scope, spec: {physical: {interface: eth0}, prefix: 192.168.4.0/24}}
---
{kind: port, name: bare, spec: {device: bare, mac: 06-06-00-00-00-20, physical: {interface: eth0}, addresses: [192.168.4.50]}}
---
{kind: port, name: tagged, spec: {device: tagged, mac: 06-06-00-00-00-20, physical: {interface: eth0, vlan: 42}}}
";

    #[track_caller]
    fn refused_beside(resource: &str, sentences: &[&str]) {
        let intent = host().with(resources_from_yaml(MORE).unwrap().into_iter().map(Change::Set)).unwrap();
        let errors = match intent.with(resources_from_yaml(resource).unwrap().into_iter().map(Change::Set)) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(errors, sentences, "{resource}");
    }

    #[test]
    fn a_scope_is_of_one_network() {
        accepted("dhcp-scope", "vsid: 5001, prefix: 10.0.0.0/24");
        accepted("dhcp-scope", "physical: {interface: eth0, vlan: 42}, prefix: 10.0.0.0/24");
        refused(
            "dhcp-scope",
            "prefix: 10.0.0.0/24",
            &["dhcp-scope 10.0.0.0/24: it names no network; give the VSID of its subnet, or the physical network"],
        );
        refused(
            "dhcp-scope",
            "vsid: 5001, physical: {interface: eth0}, prefix: 10.0.0.0/24",
            &["dhcp-scope 5001/10.0.0.0/24: it is in VSID 5001 and in the physical network eth0; keep one of the two"],
        );
        refused(
            "dhcp-scope",
            "physical: {interface: a-name-that-is-too-long}, prefix: 10.0.0.0/24",
            &[
                "dhcp-scope a-name-that-is-too-long/10.0.0.0/24: \"a-name-that-is-too-long\" is 23 characters long, and the \
               kernel takes 15 for an interface; name the device as \"ip link\" shows it",
            ],
        );
    }

    #[test]
    fn a_scope_keeps_to_its_prefix_and_family() {
        accepted(
            "dhcp-scope",
            "vsid: 5001, prefix: 10.0.0.0/24, gateway: 10.0.0.254, dnsServers: [8.8.8.8], dnsSuffixes: [example.com, a.b.], \
             routes: [{prefix: 0.0.0.0/0, nextHop: 10.0.0.1}, {prefix: 10.7.0.0/16, nextHop: 0.0.0.0}]",
        );
        accepted("dhcp-scope", "vsid: 5001, prefix: 'fd00::/64', gateway: 'fe80::1', dnsServers: ['fd00::53']");
        let key = "dhcp-scope 5001/10.0.0.0/24";
        for (spec, sentence) in [
            ("gateway: 10.0.1.1", "gateway 10.0.1.1 is no host address of 10.0.0.0/24; give one that is"),
            ("gateway: 10.0.0.0", "gateway 10.0.0.0 is no host address of 10.0.0.0/24; give one that is"),
            ("gateway: 'fd00::1'", "gateway fd00::1 is no host address of 10.0.0.0/24; give one that is"),
            (
                "dnsServers: ['fd00::53']",
                "DNS server fd00::53 is no IPv4 address of a host; give one, or put it in a scope of the other family",
            ),
            (
                "dnsServers: [224.0.0.1]",
                "DNS server 224.0.0.1 is no IPv4 address of a host; give one, or put it in a scope of the other family",
            ),
            (
                "dnsSuffixes: ['exa mple']",
                "DNS suffix \"exa mple\" is no domain name; write one such as example.com, of letters, digits and hyphens",
            ),
            (
                "dnsSuffixes: ['']",
                "DNS suffix \"\" is no domain name; write one such as example.com, of letters, digits and hyphens",
            ),
            (
                "routes: [{prefix: 'fd00::/8', nextHop: '::'}]",
                "route fd00::/8 is of another family than 10.0.0.0/24; put it in a scope of its own family",
            ),
            (
                "routes: [{prefix: 10.7.0.1/16, nextHop: 10.0.0.1}]",
                "10.7.0.1/16 has bits set behind its length; write 10.7.0.0/16",
            ),
            (
                "routes: [{prefix: 10.7.0.0/16, nextHop: 10.1.0.1}]",
                "next hop 10.1.0.1 of route 10.7.0.0/16 is no host address of 10.0.0.0/24; give one that is",
            ),
            ("gateway: '::ffff:10.0.0.1'", "::ffff:10.0.0.1 is an IPv4 address written as IPv6; write 10.0.0.1"),
        ] {
            refused(
                "dhcp-scope",
                &format!("vsid: 5001, prefix: 10.0.0.0/24, {spec}"),
                &[&format!("{key}: {sentence}")],
            );
        }
        refused(
            "dhcp-scope",
            "vsid: 5001, prefix: 10.0.0.1/24",
            &["dhcp-scope 5001/10.0.0.1/24: 10.0.0.1/24 has bits set behind its length; write 10.0.0.0/24"],
        );
        refused(
            "dhcp-scope",
            "vsid: 5001, prefix: 0.0.0.0/0",
            &[
                "dhcp-scope 5001/0.0.0.0/0: 0.0.0.0/0 is no prefix of a subnet; give the one whose addresses the VMs have",
            ],
        );
    }

    #[test]
    fn a_port_is_in_one_network() {
        accepted(
            "port",
            "device: x, mac: 06-06-00-00-00-30, physical: {interface: eth0, vlan: 7}, addresses: [10.7.0.1]",
        );
        refused(
            "port",
            "device: x, mac: 06-06-00-00-00-30, vsid: 5001, physical: {interface: eth0}",
            &["port extra: it is in VSID 5001 and in the physical network eth0; keep one of the two"],
        );
        for (address, sentence) in [
            ("224.0.0.1", "address 224.0.0.1 is no unicast address that a VM can be given; choose another"),
            ("'fe80::5'", "address fe80::5 is no unicast address that a VM can be given; choose another"),
            ("'::ffff:10.0.0.1'", "::ffff:10.0.0.1 is an IPv4 address written as IPv6; write 10.0.0.1"),
        ] {
            let spec = format!("device: x, mac: 06-06-00-00-00-30, vsid: 5001, addresses: [{address}]");
            refused("port", &spec, &[&format!("port extra: {sentence}")]);
        }
        assert_eq!(errors_of("port", "device: x, mac: 06-06-00-00-00-30, vsid: 5001, addresses: [10.0.0.9]"), [""; 0]);
    }

    #[test]
    fn what_shares_a_network_agrees() {
        refused_beside(
            "{kind: dhcp-scope, spec: {vsid: 5001, prefix: 10.0.0.0/25}}",
            &[
                "dhcp-scope 5001/10.0.0.0/24 and dhcp-scope 5001/10.0.0.0/25 overlap in VSID 5001; an address is of one scope: \
               change one of the two prefixes",
            ],
        );
        refused_beside("{kind: dhcp-scope, spec: {vsid: 5002, prefix: 10.0.0.0/25}}", &[]);
        refused_beside(
            "{kind: dhcp-scope, spec: {physical: {interface: eth0, vlan: 42}, prefix: 192.168.4.0/25}}",
            &[],
        );
        refused_beside(
            "{kind: port, name: x, spec: {device: x, mac: 06-06-00-00-00-30, vsid: 5001, addresses: [10.0.0.8, 10.0.0.9]}}",
            &[
                "port x: 10.0.0.8 and 10.0.0.9 are both of dhcp-scope 5001/10.0.0.0/24; DHCP gives a VM one address of each \
               prefix: keep one of the two",
            ],
        );
        refused_beside(
            "{kind: port, name: x, spec: {device: x, mac: 06-06-00-00-00-30, physical: {interface: eth0}, addresses: [192.168.4.50]}}",
            &[
                "port bare and port x have the same address 192.168.4.50 in physical network eth0; give one of the two another",
            ],
        );
        refused_beside(
            "{kind: port, name: x, spec: {device: x, mac: 06-06-00-00-00-20, physical: {interface: eth0}}}",
            &[
                "port bare and port x have the same MAC address 06-06-00-00-00-20 in the physical network eth0; give one of the \
               two another",
            ],
        );
        refused_beside(
            "{kind: port, name: x, spec: {device: x, mac: 06-06-00-00-00-30, physical: {interface: bare}}}",
            &[
                "port bare: \"bare\" is the uplink of the physical network of port x; a port's device is the tap or veth of one VM",
            ],
        );
    }
}
