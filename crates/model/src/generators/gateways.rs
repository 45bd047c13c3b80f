//! Generators of gateways and compartments, with all that a connection can be.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::any_prefix;
use crate::fabric::ResourceName;
use crate::gateway::{
    Bgp, BgpNeighbor, Certificates, Compartment, Connection, Dns, DnsName, DnsZone, Floating, Forward, ForwardProtocol,
    Gateway, GatewayPeer, Inside, Ipsec, Nat, NatLimits, Outside, PrefixFilter, Routing, Secret, SharedAddress,
    StaticRoute, Wireguard, WireguardKey,
};
use crate::security::PortRange;
use crate::{Limits, MacAddress, Name, QualifiedName, VlanId};

/// Any address with the length of a prefix, the bits behind which may be set.
fn any_address() -> impl Strategy<Value = IpNet> {
    (any::<IpAddr>(), 0..=128u8).prop_map(|(address, length)| {
        let length = if address.is_ipv4() { length % 33 } else { length };
        IpNet::new(address, length).unwrap_or(IpNet::from(address))
    })
}

fn any_vlan() -> impl Strategy<Value = Option<VlanId>> {
    option::of((1_u16..=4094).prop_filter_map("in range", |number| VlanId::new(number).ok()))
}

fn any_secret() -> impl Strategy<Value = Secret> {
    "[ -~]{0,20}".prop_map(Secret::new)
}

fn any_key() -> impl Strategy<Value = WireguardKey> {
    "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=".prop_filter_map("is a key", |text| text.parse().ok())
}

impl Gateway {
    /// Any gateway, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        let peer = (ResourceName::any(), any::<IpAddr>()).prop_map(|(host, address)| GatewayPeer { host, address });
        let outside = (Name::any(), vec(any_address(), 0..3), vec(any::<IpAddr>(), 0..3));
        (outside, option::of(any::<IpAddr>()), vec(peer, 0..3)).prop_map(
            |((interface, addresses, next_hops), address, peers)| Self {
                interface,
                addresses,
                next_hops,
                address,
                peers,
            },
        )
    }
}

impl Compartment {
    /// Any compartment, whether or not it makes sense.
    pub fn any() -> impl Strategy<Value = Self> {
        let inside = (
            Name::any(),
            MacAddress::any(),
            vec(any_address(), 0..3),
            vec(any::<IpAddr>(), 0..3),
            vec(any_prefix(), 0..3),
        )
            .prop_map(|(device, mac, addresses, routers, prefixes)| Inside {
                device,
                mac,
                addresses,
                routers,
                prefixes,
            });
        let connections = vec(any_connection(), 0..3);
        let roles = (any::<bool>(), any::<bool>());
        (QualifiedName::any(), roles, inside, option::of(any_outside()), connections).prop_map(
            |(name, (standby, leaving), inside, outside, connections)| Self {
                name,
                standby,
                leaving,
                inside,
                outside,
                connections,
            },
        )
    }
}

fn any_outside() -> impl Strategy<Value = Outside> {
    let shared = (any::<IpAddr>(), PortRange::any()).prop_map(|(address, ports)| SharedAddress { address, ports });
    (MacAddress::any(), any_vlan(), vec(any_address(), 0..3), vec(any::<IpAddr>(), 0..3), vec(shared, 0..3))
        .prop_map(|(mac, vlan, addresses, next_hops, shared)| Outside { mac, vlan, addresses, next_hops, shared })
}

fn any_connection() -> impl Strategy<Value = Connection> {
    let carried = (option::of(any_nat()), option::of(any_routing()), option::of(any_dns()));
    let tunnels = (option::of(any_ipsec()), option::of(any_wireguard()));
    ("[a-z][a-z0-9-]{0,8}[a-z]", carried, tunnels, option::of(any_bgp()), Limits::any()).prop_filter_map(
        "has a name",
        |(name, (nat, routing, dns), (ipsec, wireguard), bgp, limits)| {
            let name: ResourceName = name.parse().ok()?;
            Some(Connection { name, nat, routing, ipsec, wireguard, dns, bgp, limits })
        },
    )
}

fn any_nat() -> impl Strategy<Value = Nat> {
    let floating = (any::<IpAddr>(), any::<IpAddr>()).prop_map(|(external, internal)| Floating { external, internal });
    let protocol = prop_oneof![Just(ForwardProtocol::Tcp), Just(ForwardProtocol::Udp)];
    let ends = (option::of(any::<IpAddr>()), any::<IpAddr>(), option::of(any::<u16>()));
    let forward =
        (protocol, PortRange::any(), ends).prop_map(|(protocol, ports, (external, internal, internal_port))| Forward {
            protocol,
            external,
            ports,
            internal,
            internal_port,
        });
    let limits = (option::of(any::<u32>()), option::of(any::<u32>()), option::of(any::<u32>())).prop_map(
        |(connections, connections_per_address, new_per_second)| NatLimits {
            connections,
            connections_per_address,
            new_per_second,
        },
    );
    let lists = (vec(any::<IpAddr>(), 0..3), vec(any_prefix(), 0..3), vec(floating, 0..3), vec(forward, 0..3));
    (lists, option::of(any::<u16>()), limits, any::<bool>()).prop_map(
        |((addresses, prefixes, floating, forwards), shared_ports, limits, log)| Nat {
            addresses,
            shared_ports,
            prefixes,
            floating,
            forwards,
            translations: Vec::new(),
            limits,
            log,
        },
    )
}

fn any_routing() -> impl Strategy<Value = Routing> {
    let route = (any_prefix(), any::<IpAddr>()).prop_map(|(prefix, next_hop)| StaticRoute { prefix, next_hop });
    (any_vlan(), vec(route, 0..3)).prop_map(|(vlan, routes)| Routing { vlan, routes })
}

fn any_ipsec() -> impl Strategy<Value = Ipsec> {
    let certificates = ("[ -~]{0,20}", any_secret(), "[ -~]{0,20}")
        .prop_map(|(certificate, private_key, ca)| Certificates { certificate, private_key, ca });
    let ends = (option::of(any::<IpAddr>()), option::of("[ -~]{0,20}"), option::of("[ -~]{0,20}"));
    let keys = (option::of(any_secret()), option::of(certificates), vec("[a-z0-9-]{1,9}", 0..3));
    let routes = (vec(any_prefix(), 0..3), vec(any_prefix(), 0..3), vec(any_address(), 0..3));
    (ends, keys, routes, any::<bool>(), option::of(any::<u32>())).prop_map(
        |((remote, local_id, remote_id), (psk, certificates, proposals), routes, passive, time)| Ipsec {
            remote,
            local_id,
            remote_id,
            psk,
            certificates,
            remote_prefixes: routes.0,
            local_prefixes: routes.1,
            addresses: routes.2,
            ike_proposals: proposals.clone(),
            esp_proposals: proposals,
            passive,
            dpd_delay: time,
            rekey_time: time,
        },
    )
}

fn any_wireguard() -> impl Strategy<Value = Wireguard> {
    let keys = (option::of(any_secret()), any_key(), option::of(any_secret()));
    let endpoint = option::of((any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from));
    let routes = (vec(any_prefix(), 0..3), vec(any_address(), 0..3));
    (keys, option::of(any::<u16>()), endpoint, routes, option::of(any::<u16>())).prop_map(
        |((private_key, peer_key, preshared_key), listen_port, endpoint, routes, keepalive)| Wireguard {
            private_key,
            listen_port,
            peer_key,
            preshared_key,
            endpoint,
            remote_prefixes: routes.0,
            addresses: routes.1,
            keepalive,
        },
    )
}

fn any_dns() -> impl Strategy<Value = Dns> {
    let addresses = || vec(any::<IpAddr>(), 0..3);
    let zone = ("[a-z.]{1,9}", addresses()).prop_map(|(zone, servers)| DnsZone { zone, servers });
    let name = ("[a-z.]{1,9}", addresses()).prop_map(|(name, addresses)| DnsName { name, addresses });
    (option::of("[a-z.]{1,9}"), addresses(), vec(zone, 0..3), vec(name, 0..3))
        .prop_map(|(domain, forwarders, zones, names)| Dns { domain, forwarders, zones, names })
}

fn any_bgp() -> impl Strategy<Value = Bgp> {
    (1..u32::MAX, option::of(any::<Ipv4Addr>()), vec(any_neighbor(), 0..3), vec(any_prefix(), 0..3))
        .prop_map(|(local_as, router_id, neighbors, announce)| Bgp { local_as, router_id, neighbors, announce })
}

fn any_neighbor() -> impl Strategy<Value = BgpNeighbor> {
    let length = || option::of(0..=128u8);
    let filter = (any_prefix(), length(), length()).prop_map(|(prefix, at_least, at_most)| PrefixFilter {
        prefix,
        at_least,
        at_most,
    });
    let rest = (option::of(any::<u16>()), option::of(any::<u32>()), option::of(any::<bool>()), any::<bool>());
    (any::<IpAddr>(), any::<u32>(), option::of(any_secret()), vec(filter, 0..3), rest).prop_map(
        |(address, remote_as, password, import, (hold_time, max_prefixes, graceful_restart, multihop))| BgpNeighbor {
            address,
            remote_as,
            password,
            multihop,
            hold_time,
            export: import.clone(),
            import,
            max_prefixes,
            graceful_restart,
        },
    )
}
