//! Router advertisements (RFC 4861): the gateway's, from its link-local address.
//!
//! Where DHCPv6 has an address for the port, the flag M says so; where it has none, O says that it has the rest. A
//! prefix is advertised as on-link. VMs make no addresses of it (SLAAC) unless the host learns the port's addresses: no
//! record would know them, and the source guard would drop what they send.
//!
//! In a physical network, and where routers are outside of the hosts, the gateway is somebody else, who advertises
//! himself; there the lifetime as a router is 0, and
//! only prefixes, DNS and flags are said.

use std::net::Ipv6Addr;

use dhcproto::Name;
use etherparse::icmpv6::{PrefixInformation, RouterAdvertisementHeader};
use ipnet::{IpNet, Ipv6Net};

use crate::binding::{Answer, Binding, Event};
use crate::frame::{self, ALL_NODES};
use crate::names;
use crate::v6::v6_of;

/// How long hosts believe in the router, in seconds: the longest that RFC 8319 allows, because a host whose agent is
/// gone for hours goes on forwarding, and its VMs shall go on sending.
pub const ROUTER_LIFETIME: u16 = u16::MAX;
/// How long hosts believe in a prefix, a route and DNS servers, in seconds.
pub const LIFETIME: u32 = 86_400;

/// Hop limit for what VMs send.
const HOP_LIMIT: u8 = 64;
/// Link-layer address of the sender (RFC 4861, section 4.6.1).
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
/// MTU of the link (RFC 4861, section 4.6.4).
const MTU: u8 = 5;
/// A route by this router (RFC 4191, section 2.3).
const ROUTE_INFORMATION: u8 = 24;
/// DNS servers (RFC 8106, section 5.1).
const RECURSIVE_DNS_SERVER: u8 = 25;
/// Domains in which short names are searched (RFC 8106, section 5.2).
const DNS_SEARCH_LIST: u8 = 31;

/// Answers a router solicitation: to its sender, or to everybody if he has no address yet.
pub(crate) fn answer(source: Ipv6Addr, port: &Binding) -> Option<Answer> {
    let frame = if source.is_unspecified() {
        router_advertisement(port)?
    } else {
        advertisement(port, (port.mac.octets(), source))?
    };
    Some(Answer { frame: Some(frame), event: Event::RouterAdvertised })
}

/// The advertisement that a port gets unasked, to all nodes. None if its subnet has no IPv6 scope.
pub fn router_advertisement(port: &Binding) -> Option<Vec<u8>> {
    let [.., a, b, c, d] = ALL_NODES.octets();
    advertisement(port, ([0x33, 0x33, a, b, c, d], ALL_NODES))
}

fn advertisement(port: &Binding, destination: ([u8; 6], Ipv6Addr)) -> Option<Vec<u8>> {
    port.scopes_v6().next()?;
    let managed = port.leases_v6().next().is_some();
    let routes = port.routes && port.scopes_v6().any(|(_, scope)| scope.vsid.is_some() && scope.router().is_some());
    let header = RouterAdvertisementHeader {
        cur_hop_limit: HOP_LIMIT,
        managed_address_config: managed,
        other_config: true,
        router_lifetime: if routes { ROUTER_LIFETIME } else { 0 },
    };
    // Reachable time and retransmission timer are left to the host.
    let mut payload = vec![0; 8];
    let mac = port.gateway_mac.octets();
    put(&mut payload, SOURCE_LINK_LAYER_ADDRESS, &mac);
    put(&mut payload, MTU, &[&[0; 2], &port.mtu.to_be_bytes()[..]].concat());
    for (prefix, scope) in port.scopes_v6() {
        let leased = port.leases_v6().any(|lease| lease.prefix == prefix);
        payload.extend(prefix_information(prefix, port.learns && !leased).to_bytes());
        let own = port.routes && scope.vsid.is_some();
        let prefixes = scope.routes.iter().filter_map(|route| match route.prefix {
            IpNet::V6(prefix) if own => Some(prefix),
            _ => None,
        });
        for prefix in prefixes {
            route_information(&mut payload, prefix);
        }
    }
    let servers: Vec<u8> = dns_servers(port).iter().flat_map(Ipv6Addr::octets).collect();
    if !servers.is_empty() {
        put(&mut payload, RECURSIVE_DNS_SERVER, &[&[0; 2], &LIFETIME.to_be_bytes()[..], &servers].concat());
    }
    let search = names::wire(&search_list(port));
    if !search.is_empty() {
        put(&mut payload, DNS_SEARCH_LIST, &[&[0; 2], &LIFETIME.to_be_bytes()[..], &search].concat());
    }
    frame::advertisement(port.gateway_mac, destination, header, &payload)
}

fn prefix_information(prefix: Ipv6Net, autonomous: bool) -> PrefixInformation {
    PrefixInformation {
        prefix_length: prefix.prefix_len(),
        on_link: true,
        // An interface identifier has 64 bits (RFC 4862, section 5.5.3).
        autonomous_address_configuration: autonomous && prefix.prefix_len() == 64,
        valid_lifetime: LIFETIME,
        preferred_lifetime: LIFETIME,
        prefix: prefix.network().octets(),
    }
}

/// A route by the distributed router, which knows the next hop: an advertisement speaks for its sender alone.
fn route_information(payload: &mut Vec<u8>, prefix: Ipv6Net) {
    let head = [prefix.prefix_len(), 0];
    put(payload, ROUTE_INFORMATION, &[&head[..], &LIFETIME.to_be_bytes(), &prefix.network().octets()].concat());
}

/// Adds an option, filled up to eight bytes. One that is longer than its length field can say is left out.
fn put(payload: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let units = (value.len() + 2).div_ceil(8);
    let Ok(length) = u8::try_from(units) else { return };
    let end = payload.len() + units * 8;
    payload.extend([kind, length]);
    payload.extend_from_slice(value);
    payload.resize(end, 0);
}

/// The DNS servers of all IPv6 scopes of a port, each once.
pub(crate) fn dns_servers(port: &Binding) -> Vec<Ipv6Addr> {
    let all = port.scopes_v6().flat_map(|(_, scope)| scope.dns_servers.iter().filter_map(v6_of));
    once(all)
}

/// The search list of all IPv6 scopes of a port, each name once.
pub(crate) fn search_list(port: &Binding) -> Vec<Name> {
    once(port.scopes_v6().flat_map(|(_, scope)| names::names(&scope.dns_suffixes)))
}

/// Each item once, where it first stands.
fn once<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut kept = Vec::new();
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}
