//! The tables of the Blue and Red example, and what each part of an intent adds to them.

use std::net::IpAddr;

use model::resources_from_yaml;
use pipeline::meter::Limit;
use pipeline::{
    Address, Peer, PeerFlags, PeerKey, Plain, Port, PortFlags, Provider, Record, RecordFlags, RecordKey, Replica,
    ReplicaKey, Route, RouteFlags, RouteKey, StationKey, Subnet, SubnetFlags, segment,
};

use super::*;
use crate::{Link, LinkKind, to_address};

/// Host 1: Blue1 and Red1, both 10.0.0.5, are here; Blue2 and Red2, both 10.0.0.7, on Host 2.
const HOST1: &str = "\
{kind: provider-address, spec: {address: 192.168.4.11, interface: eth0, prefixLength: 24}}
---
kind: customer-route
spec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}
---
kind: customer-route
spec: {rdid: 11111111-2222-3333-4444-000000006001, vsid: 6001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}
---
kind: lookup-record
spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}
---
kind: lookup-record
spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}
---
kind: lookup-record
spec: {vsid: 6001, customerAddress: 10.0.0.5, mac: 08-08-00-00-00-05, providerAddress: 192.168.4.11}
---
kind: lookup-record
spec: {vsid: 6001, customerAddress: 10.0.0.7, mac: 08-08-00-00-00-07, providerAddress: 192.168.4.22}
---
{kind: port, name: blue1, spec: {device: blue1, mac: 06-06-00-00-00-05, vsid: 5001}}
---
{kind: port, name: red1, spec: {device: red1, mac: 08-08-00-00-00-05, vsid: 6001}}
";

/// Host 1 and more.
pub(super) fn intent(more: &[&str]) -> Intent {
    let text = [HOST1].iter().chain(more).copied().collect::<Vec<_>>().join("\n---\n");
    let resources = resources_from_yaml(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Intent::new(resources).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

pub(super) fn link(ifindex: u32, kind: LinkKind, addresses: &[&str]) -> Link {
    Link {
        ifindex,
        mtu: 1600,
        up: true,
        kind,
        mac: None,
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

pub(super) fn facts() -> Facts {
    let veth = LinkKind::Veth { peer_in_other_namespace: true };
    let links = [
        ("eth0", link(2, LinkKind::Other, &["192.168.4.11/24", "fe80::1/64"])),
        ("blue1", link(11, veth, &[])),
        ("red1", link(12, LinkKind::Tap, &[])),
    ];
    let links = links.into_iter().map(|(name, link)| (name.parse().unwrap(), link)).collect();
    Facts { links, slots: BTreeMap::new() }
}

pub(super) fn compiled(more: &[&str]) -> Compiled {
    compile(&intent(more), &facts(), &Settings::default())
}

pub(super) fn sentences(compiled: &Compiled) -> Vec<String> {
    compiled.findings.iter().map(|finding| format!("{}: {finding}", finding.severity())).collect()
}

pub(super) fn address(text: &str) -> Address {
    to_address(text.parse::<IpAddr>().unwrap())
}

pub(super) fn key(vsid: u32, text: &str) -> RecordKey {
    RecordKey { vsid, address: address(text) }
}

pub(super) fn station(vsid: u32, mac: [u8; 6]) -> StationKey {
    StationKey { vsid, mac, reserved: 0 }
}

const BLUE1: [u8; 6] = [6, 6, 0, 0, 0, 5];
const BLUE2: [u8; 6] = [6, 6, 0, 0, 0, 7];
const RED1: [u8; 6] = [8, 8, 0, 0, 0, 5];

#[test]
fn blue_and_red_on_host_1() {
    let compiled = compiled(&[]);
    assert_eq!(sentences(&compiled), [""; 0]);
    let tables = &compiled.tables;
    let host = tables.host.unwrap();
    assert_eq!((host.gateway_mac, host.flags), ([2, 0x4e, 0x56, 0, 0, 1], HostFlags::NONE));
    assert_eq!((host.flood_rate, host.flood_burst), (1000, 200));
    let (blue, red) = (tables.subnets[&5001].domain, tables.subnets[&6001].domain);
    assert!(blue != 0 && red != 0 && blue != red);
    let port = |vsid, domain, slot, mac, flags| Port { vsid, domain, slot, mac, flags, ..Port::default() };
    assert_eq!(tables.ports[&11], port(5001, blue, 1, BLUE1, PortFlags::PEER));
    assert_eq!(tables.ports[&12], port(6001, red, 2, RED1, PortFlags::NONE));

    let (here, there) = (address("192.168.4.11"), address("192.168.4.22"));
    let blue1 = Record { mac: BLUE1, flags: RecordFlags::LOCAL, ifindex: 11, groups: 0, provider: here };
    let blue2 = Record { mac: BLUE2, flags: RecordFlags::NONE, ifindex: 0, groups: 0, provider: there };
    let gateway = RecordFlags::GATEWAY.with(RecordFlags::LOCAL);
    assert_eq!(tables.records.len(), 6);
    assert_eq!((tables.records[&key(5001, "10.0.0.5")], tables.records[&key(5001, "10.0.0.7")]), (blue1, blue2));
    assert_eq!(tables.records[&key(6001, "10.0.0.5")].ifindex, 12);
    assert_eq!(tables.records[&key(5001, "10.0.0.1")].flags, gateway);
    assert_eq!(tables.records[&key(5001, "10.0.0.1")].mac, host.gateway_mac);
    assert_eq!(tables.stations.len(), 4);
    assert_eq!((tables.stations[&station(5001, BLUE1)], tables.stations[&station(5001, BLUE2)]), (blue1, blue2));

    let route =
        |domain: u32| RouteKey { prefix_len: 32 + 96 + 24, domain: domain.to_be_bytes(), address: address("10.0.0.0") };
    let on_link = |vsid| Route { vsid, flags: RouteFlags::ON_LINK, next_hop: Address::UNSPECIFIED_V4 };
    assert_eq!(tables.routes, [(route(blue), on_link(5001)), (route(red), on_link(6001))].into());
    let peer = Peer { local: here, next_hop: there, uplink: 2, mtu: 1600, flags: PeerFlags::NEXT_HOP, paths: 1 };
    assert_eq!(tables.peers, [(PeerKey::first(there), peer)].into());
    assert_eq!(tables.providers, [(here, Provider { uplink: 2 })].into());
    let subnet = Subnet {
        domain: blue,
        flags: SubnetFlags::NONE,
        replicas: 2,
        local_replicas: 1,
        gateway_v4: address("10.0.0.1"),
        gateway_v6: Address::default(),
        ..Subnet::default()
    };
    assert_eq!(tables.subnets[&5001], subnet);
    let replica = |index| tables.replicas[&ReplicaKey { vsid: 5001, index }];
    assert_eq!(replica(0), Replica { ifindex: 11, provider: Address::default() });
    assert_eq!(replica(1), Replica { ifindex: 0, provider: there });
    assert!(tables.plain.is_empty());

    let status = compiled.ports[&"blue1".parse::<Name>().unwrap()];
    assert_eq!(status, PortStatus { state: PortState::Bound { ifindex: 11, slot: 1 }, mtu: Some(1600 - 42) });
    assert_eq!((status.ifindex(), status.state.to_string().as_str()), (Some(11), "bound"));
}

#[test]
fn ipv6_brings_link_local_addresses() {
    let route = "kind: customer-route\nspec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5001, \
                 prefix: 'fd00::/64', nextHop: '::'}";
    let tables = compiled(&[route]).tables;
    let gateway = tables.records[&key(5001, "fd00::1")];
    assert_eq!(tables.records[&key(5001, "fe80::4e:56ff:fe00:1")], gateway, "the gateway's MAC is 02-4E-56-00-00-01");
    assert_eq!(tables.records[&key(5001, "fe80::406:ff:fe00:5")], tables.stations[&station(5001, BLUE1)]);
    assert_eq!(tables.records[&key(5001, "fe80::406:ff:fe00:7")], tables.stations[&station(5001, BLUE2)]);
    assert!(!tables.records.contains_key(&key(6001, "fe80::a08:ff:fe00:5")), "Red speaks no IPv6");
    assert_eq!(tables.subnets[&5001].gateway_v6, address("fd00::1"));
    // A single IPv6 record, or an L2Only one, is enough.
    let record = "kind: lookup-record\nspec: {vsid: 6001, customerAddress: 'fd00::7', mac: 08-08-00-00-00-07, \
                  providerAddress: 192.168.4.22}";
    let l2_only = "kind: lookup-record\nspec: {vsid: 6001, mac: 08-08-00-00-00-09, providerAddress: 192.168.4.22, type: \
         L2Only}";
    for more in [record, l2_only] {
        let tables = compiled(&[more]).tables;
        assert!(tables.records.contains_key(&key(6001, "fe80::a08:ff:fe00:5")), "{more}");
        assert!(!tables.records.contains_key(&key(5001, "fe80::406:ff:fe00:5")), "{more}");
    }
}

#[test]
fn learnt_addresses_mark_port_station_and_subnet() {
    let l2_only = "kind: lookup-record\nspec: {vsid: 5001, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11, type: \
         L2Only}";
    let tables = compiled(&[l2_only]).tables;
    assert!(tables.ports[&11].flags.has(PortFlags::LEARN));
    assert!(!tables.ports[&12].flags.has(PortFlags::LEARN));
    assert!(tables.stations[&station(5001, BLUE1)].flags.has(RecordFlags::L2_ONLY));
    assert!(!tables.records[&key(5001, "10.0.0.5")].flags.has(RecordFlags::L2_ONLY), "this one is declared");
    assert!(
        tables.subnets[&5001].flags.has(SubnetFlags::LEARN) && !tables.subnets[&6001].flags.has(SubnetFlags::LEARN)
    );
}

#[test]
fn gateways_and_next_hops_forward_for_others() {
    let default = "kind: customer-route\nspec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5001, \
                   prefix: 0.0.0.0/0, nextHop: 10.0.0.5}";
    let wildcard = "kind: lookup-record\nspec: {vsid: 6001, customerAddress: 0.0.0.0, mac: 08-08-00-00-00-99, \
                    providerAddress: 192.168.4.22, type: GatewayWildcard}";
    let tables = compiled(&[default, wildcard]).tables;
    assert_eq!(tables.ports[&11].flags, PortFlags::PEER.with(PortFlags::FORWARDER));
    assert!(tables.stations[&station(5001, BLUE1)].flags.has(RecordFlags::FORWARDER));
    assert!(!tables.stations[&station(5001, BLUE2)].flags.has(RecordFlags::FORWARDER));
    let gateway = tables.records[&key(6001, "0.0.0.0")];
    assert_eq!(gateway.flags, RecordFlags::WILDCARD.with(RecordFlags::FORWARDER));
    assert_eq!(tables.stations[&station(6001, [8, 8, 0, 0, 0, 0x99])].flags, RecordFlags::FORWARDER);
    let route = tables.route_entry(&RouteKey::exact(tables.subnets[&5001].domain, address("198.51.100.1"))).unwrap().1;
    assert_eq!(*route, Route { vsid: 5001, flags: RouteFlags::NONE, next_hop: address("10.0.0.5") });
}

#[test]
fn the_lowest_metric_wins_then_the_lowest_subnet_and_next_hop() {
    let route = |vsid: u32, next_hop: &str, metric: u32| {
        format!(
            "kind: customer-route\nspec: {{rdid: 11111111-2222-3333-4444-000000005001, vsid: {vsid}, prefix: \
             0.0.0.0/0, \
             nextHop: {next_hop}, metric: {metric}}}"
        )
    };
    let other = "kind: customer-route\nspec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5000, \
                 prefix: 10.0.1.0/24, nextHop: 0.0.0.0}";
    let winner = |routes: &[String]| {
        let more: Vec<&str> = routes.iter().map(String::as_str).chain([other]).collect();
        let tables = compiled(&more).tables;
        let domain = tables.subnets[&5001].domain;
        tables.route_entry(&RouteKey::exact(domain, address("198.51.100.1"))).unwrap().1.next_hop.to_string()
    };
    assert_eq!(winner(&[route(5001, "10.0.0.5", 2), route(5001, "10.0.0.7", 1)]), "10.0.0.7");
    assert_eq!(winner(&[route(5001, "10.0.0.5", 1), route(5001, "10.0.0.7", 1)]), "10.0.0.5");
    assert_eq!(winner(&[route(5001, "10.0.0.5", 1), route(5000, "10.0.1.7", 1)]), "10.0.1.7");
}

#[test]
fn what_is_not_encapsulated_is_found_by_its_address_on_the_wire() {
    let nat = |ca: &str, mac: &str, pa: &str| {
        format!(
            "kind: lookup-record\nspec: {{vsid: 5001, customerAddress: {ca}, mac: {mac}, providerAddress: {pa}, \
             rule: TranslationMethodNat}}"
        )
    };
    let bare = "kind: lookup-record\nspec: {vsid: 5003, customerAddress: 198.18.0.30, mac: 06-06-00-00-00-30, \
                providerAddress: 192.168.4.22, rule: TranslationMethodNone}";
    let here = nat("10.0.0.20", "06-06-00-00-00-20", "192.168.4.120");
    let there = nat("10.0.0.21", "06-06-00-00-00-21", "192.168.4.121");
    let port = "{kind: port, name: blue3, spec: {device: blue3, mac: 06-06-00-00-00-20, vsid: 5001}}";
    let mut facts = facts();
    facts.links.insert("blue3".parse().unwrap(), link(13, LinkKind::Tap, &[]));
    let tables = compile(&intent(&[&here, &there, bare, port]), &facts, &Settings::default()).tables;
    assert_eq!(tables.host.unwrap().flags, HostFlags::PLAIN);
    let plain = |vsid, ca: &str| Plain { vsid, customer: address(ca) };
    let expected = [
        (address("192.168.4.120"), plain(5001, "10.0.0.20")),
        (address("192.168.4.121"), plain(5001, "10.0.0.21")),
        (address("198.18.0.30"), plain(5003, "198.18.0.30")),
    ];
    assert_eq!(tables.plain, expected.into());
    let local = tables.records[&key(5001, "10.0.0.20")];
    assert_eq!((local.ifindex, local.flags), (13, RecordFlags::NAT.with(RecordFlags::LOCAL)));
    assert_eq!(tables.records[&key(5001, "10.0.0.21")].flags, RecordFlags::NAT);
    assert_eq!(tables.records[&key(5003, "198.18.0.30")].flags, RecordFlags::BARE);
    // Each address of a distant VM has its own way, so that no MAC address leads to it.
    assert!(tables.stations.contains_key(&station(5001, [6, 6, 0, 0, 0, 0x20])));
    assert!(!tables.stations.contains_key(&station(5001, [6, 6, 0, 0, 0, 0x21])));
    // The address that stands for the distant VM is reached like a host, the one of ours is not.
    let peers: Vec<String> = tables.peers.keys().map(|key| key.provider.to_string()).collect();
    assert_eq!(peers, ["192.168.4.22", "192.168.4.121"]);
    // No copy of a broadcast goes to an address that stands for a VM.
    assert_eq!((tables.subnets[&5001].replicas, tables.subnets[&5003].replicas), (3, 0));
}

#[test]
fn a_host_that_is_not_on_link_is_reached_by_the_best_route() {
    let record = "kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, \
                  providerAddress: 172.16.9.9}";
    let route = |prefix: &str, next_hop: &str, metric: u32| {
        format!(
            "kind: provider-route\nspec: {{prefix: {prefix}, nextHop: {next_hop}, interface: eth0, metric: {metric}}}"
        )
    };
    let next_hop = |routes: &[String]| {
        let more: Vec<&str> = routes.iter().map(String::as_str).chain([record]).collect();
        let peer = compiled(&more).tables.peers[&PeerKey::first(address("172.16.9.9"))];
        assert_eq!((peer.local, peer.uplink), (address("192.168.4.11"), 2));
        peer.flags.has(PeerFlags::NEXT_HOP).then(|| peer.next_hop.to_string())
    };
    assert_eq!(next_hop(&[]), None);
    assert_eq!(next_hop(&[route("10.0.0.0/8", "192.168.4.1", 0)]), None);
    let wide = route("172.16.0.0/12", "192.168.4.1", 0);
    assert_eq!(next_hop(std::slice::from_ref(&wide)).as_deref(), Some("192.168.4.1"));
    let (far, near) = (route("172.16.9.0/24", "192.168.4.2", 9), route("172.16.9.0/24", "192.168.4.3", 3));
    assert_eq!(next_hop(&[wide, far, near]).as_deref(), Some("192.168.4.3"));
}

#[test]
fn routes_of_one_cost_are_ways_and_one_that_is_down_is_none() {
    let more = [
        "kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, \
         providerAddress: 172.16.9.9}",
        "kind: provider-route\nspec: {prefix: 172.16.0.0/12, nextHop: 192.168.4.1, interface: eth0}",
        "kind: provider-route\nspec: {prefix: 172.16.0.0/12, nextHop: 192.168.5.1, interface: eth1}",
        "kind: provider-route\nspec: {prefix: 172.16.0.0/12, nextHop: 192.168.4.2, interface: eth0, metric: 1}",
    ];
    let mut facts = facts();
    let eth1 = |up| Link { mtu: 1500, up, ..link(3, LinkKind::Other, &[]) };
    let ways = |facts: &Facts| {
        let tables = compile(&intent(&more), facts, &Settings::default()).tables;
        let peers = tables.peers.iter().filter(|(key, _)| key.provider == address("172.16.9.9"));
        peers
            .map(|(key, peer)| (key.path, peer.uplink, peer.next_hop.to_string(), peer.mtu, peer.paths))
            .collect::<Vec<_>>()
    };
    let expected: Vec<(u32, u32, String, u32, u16)> = vec![(0, 2, "192.168.4.1".to_owned(), 1600, 1)];
    assert_eq!(ways(&facts), expected, "eth1 does not exist");
    facts.links.insert("eth1".parse().unwrap(), eth1(true));
    let both = vec![(0, 2, "192.168.4.1".to_owned(), 1500, 2), (1, 3, "192.168.5.1".to_owned(), 1500, 2)];
    assert_eq!(ways(&facts), both, "both have one source and the smaller MTU");
    facts.links.insert("eth1".parse().unwrap(), eth1(false));
    assert_eq!(ways(&facts), expected, "eth1 is down");
    facts.links.get_mut("eth0").unwrap().up = false;
    assert_eq!(ways(&facts), both, "all are down: better than nothing");
}

#[test]
fn the_address_nearest_to_a_host_speaks_to_it() {
    let more = [
        "{kind: provider-address, spec: {address: 192.168.0.5, interface: eth1, prefixLength: 16}}",
        "{kind: provider-address, spec: {address: 'fd01::11', interface: eth1, prefixLength: 64}}",
        "kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, \
         providerAddress: 192.168.9.9}",
        "kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.0.0.10, mac: 06-06-00-00-00-10, \
         providerAddress: 'fd01::22'}",
    ];
    let mut facts = facts();
    let eth1 = Link { mtu: 9000, ..link(3, LinkKind::Other, &["192.168.0.5/16", "fd01::11/64"]) };
    facts.links.insert("eth1".parse().unwrap(), eth1);
    let compiled = compile(&intent(&more), &facts, &Settings::default());
    assert_eq!(sentences(&compiled), [""; 0]);
    let way = |remote: &str| {
        let peer = compiled.tables.peers[&PeerKey::first(address(remote))];
        (peer.local.to_string(), peer.uplink, peer.mtu)
    };
    assert_eq!(way("192.168.4.22"), ("192.168.4.11".to_owned(), 2, 1600));
    assert_eq!(way("192.168.9.9"), ("192.168.0.5".to_owned(), 3, 9000));
    assert_eq!(way("fd01::22"), ("fd01::11".to_owned(), 3, 9000));
    // The narrowest uplink decides, less the outer headers: 42 bytes in IPv4, 62 in IPv6.
    let mtu = |facts: &Facts| compile(&intent(&more), facts, &Settings::default()).ports.values().next().unwrap().mtu;
    assert_eq!(mtu(&facts), Some(1600 - 42));
    facts.links.get_mut("eth1").unwrap().mtu = 1610;
    assert_eq!(mtu(&facts), Some(1610 - 62));
}

#[test]
fn ports_that_are_not_virtualized_are_let_through() {
    let mut facts = facts();
    facts.links.insert("tap9".parse().unwrap(), link(19, LinkKind::Tap, &[]));
    let port = "{kind: port, name: plain, spec: {device: tap9, mac: 06-06-00-00-00-90}}";
    let compiled = compile(&intent(&[port]), &facts, &Settings::default());
    assert_eq!(sentences(&compiled), [""; 0]);
    let mac = [6, 6, 0, 0, 0, 0x90];
    assert_eq!(
        compiled.tables.ports[&19],
        Port { vsid: 0, domain: 0, slot: 3, mac, flags: PortFlags::NONE, ..Port::default() }
    );
    assert_eq!(compiled.ports[&"plain".parse::<Name>().unwrap()].mtu, None);
    assert!(!compiled.tables.subnets.contains_key(&0));
}

#[test]
fn limits_are_in_the_tables_with_the_usual_bursts() {
    let none = compiled(&[]).tables;
    assert!(!none.host.unwrap().flags.has(HostFlags::LIMITED) && !none.ports[&11].flags.has(PortFlags::LIMITED));
    let tables = compiled(&[
        "kind: routing-domain\nspec: {rdid: 11111111-2222-3333-4444-000000005001, limits: {egress: {bandwidth: 100 Mbit/s, \
         packets: 1000}, ingress: {bandwidth: 1 Mbit/s, packets: 10, burst: 2 kB}}}",
    ])
    .tables;
    assert!(tables.host.unwrap().flags.has(HostFlags::LIMITED));
    assert!(tables.ports[&11].flags.has(PortFlags::LIMITED) && !tables.ports[&12].flags.has(PortFlags::LIMITED));
    let subnet = tables.subnets[&5001];
    // What passes in 300 ms, but at least 64 packets; or what is said.
    let egress = Limit { bandwidth: 100_000, burst: 3_750_000, packets: 1000, packet_burst: 300 };
    assert_eq!(subnet.egress, egress);
    assert_eq!(subnet.ingress, Limit { bandwidth: 1000, burst: 2000, packets: 10, packet_burst: 64 });
    let least = "64 kbit/s".parse::<model::Limit>().unwrap();
    assert_eq!(ports::limit(Some(least)).burst, 256_000);
    let most = model::Limit {
        bandwidth: Some("4000 Gbit/s".parse().unwrap()),
        packets: Some(std::num::NonZeroU32::MAX),
        burst: None,
    };
    assert_eq!((ports::limit(Some(most)).burst, ports::limit(Some(most)).packet_burst), (1_000_000_000, 1_000_000_000));
}

#[test]
fn the_host_answers_where_there_is_a_dhcp_scope() {
    let scope = |prefix: &str| format!("kind: dhcp-scope\nspec: {{vsid: 5001, prefix: '{prefix}'}}");
    let flags = |scopes: &[&str]| {
        let compiled = compiled(scopes);
        [11, 12].map(|ifindex| compiled.tables.ports[&ifindex].flags)
    };
    let (v4, v6) = (scope("10.0.0.0/24"), scope("fd00::/64"));
    let (dhcp, dhcp_v6) = (PortFlags::PEER.with(PortFlags::DHCP), PortFlags::PEER.with(PortFlags::DHCP_V6));
    assert_eq!(flags(&[]), [PortFlags::PEER, PortFlags::NONE]);
    assert_eq!(flags(&[&v4]), [dhcp, PortFlags::NONE]);
    assert_eq!(flags(&[&v6]), [dhcp_v6, PortFlags::NONE]);
    assert_eq!(flags(&[&v4, &v6]), [dhcp.with(PortFlags::DHCP_V6), PortFlags::NONE]);
}

/// Two ports on the physical network of eth0, of which one has an address, and one on its VLAN 42.
const JOINED: &str = "\
{kind: port, name: any, spec: {device: any, mac: 06-06-00-00-00-20, physical: {interface: eth0}}}
---
{kind: port, name: own, spec: {device: own, mac: 06-06-00-00-00-21, physical: {interface: eth0}, addresses: [192.168.4.50]}}
---
{kind: port, name: tagged, spec: {device: tagged, mac: 06-06-00-00-00-20, physical: {interface: eth0, vlan: 42}}}
---
{kind: dhcp-scope, spec: {physical: {interface: eth0, vlan: 42}, prefix: 10.42.0.0/16}}";

fn facts_of_joined() -> Facts {
    let mut facts = facts();
    for (name, ifindex) in [("any", 21), ("own", 22), ("tagged", 23)] {
        facts.links.insert(name.parse().unwrap(), link(ifindex, LinkKind::Tap, &[]));
    }
    let uplink = facts.links.get_mut(&"eth0".parse::<Name>().unwrap()).unwrap();
    uplink.mac = Some("02-00-00-00-00-01".parse().unwrap());
    facts
}

#[test]
fn ports_join_the_physical_network_behind_an_uplink() {
    let compiled = compile(&intent(&[JOINED]), &facts_of_joined(), &Settings::default());
    assert_eq!(sentences(&compiled), Vec::<String>::new());
    let tables = &compiled.tables;
    let (bare, vlan) = (segment::number(2, 0), segment::number(2, 42));
    let mac = |last| [6, 6, 0, 0, 0, last];
    let port = |vsid, slot, mac, flags| Port { vsid, domain: 0, slot, mac, flags, mtu: 1600, ..Port::default() };
    assert_eq!(tables.ports[&21], port(bare, 3, mac(0x20), PortFlags::LEARN));
    assert_eq!(tables.ports[&22], port(bare, 4, mac(0x21), PortFlags::NONE));
    assert_eq!(tables.ports[&23], port(vlan, 5, mac(0x20), PortFlags::LEARN.with(PortFlags::DHCP)));
    let at = |mac, ifindex| Record { mac, flags: RecordFlags::LOCAL, ifindex, groups: 0, provider: Address::default() };
    let stations: Vec<_> = tables.stations.range(station(bare, [0; 6])..).map(|(key, value)| (*key, *value)).collect();
    let host = [2, 0, 0, 0, 0, 1];
    assert_eq!(
        stations,
        [
            (station(bare, host), at(host, 2)),
            (station(bare, mac(0x20)), at(mac(0x20), 21)),
            (station(bare, mac(0x21)), at(mac(0x21), 22)),
            (station(vlan, host), at(host, 2)),
            (station(vlan, mac(0x20)), at(mac(0x20), 23)),
        ]
    );
    assert_eq!(tables.records[&key(bare, "192.168.4.50")], at(mac(0x21), 22));
    assert_eq!(tables.records[&key(bare, "fe80::406:ff:fe00:20")], at(mac(0x20), 21));
    let subnet = |replicas| Subnet { replicas, local_replicas: replicas, ..Subnet::default() };
    assert_eq!((tables.subnets[&bare], tables.subnets[&vlan]), (subnet(2), subnet(1)));
    let replica = |vsid, index| tables.replicas[&ReplicaKey { vsid, index }].ifindex;
    assert_eq!([replica(bare, 0), replica(bare, 1), replica(vlan, 0)], [21, 22, 23]);
    assert!(tables.host.unwrap().flags.has(HostFlags::PHYSICAL));
    assert_eq!(compiled.ports[&"own".parse::<Name>().unwrap()].mtu, Some(1600), "nothing is added to the packets");
    assert!(
        !super::compile(&intent(&[]), &facts(), &Settings::default())
            .tables
            .host
            .unwrap()
            .flags
            .has(HostFlags::PHYSICAL)
    );
}

#[test]
fn a_port_waits_for_its_uplink_outside_of_any_network() {
    let on = |interface: &str| {
        let text = format!(
            "{{kind: port, name: any, spec: {{device: any, mac: 06-06-00-00-00-20, physical: {{interface: {interface}}}}}}}"
        );
        let compiled = compile(&intent(&[&text]), &facts_of_joined(), &Settings::default());
        assert!(!compiled.tables.ports.contains_key(&21));
        sentences(&compiled)
    };
    assert_eq!(
        on("eth7"),
        ["error: port any: there is no interface \"eth7\" on this host; name the uplink as \"ip link\" shows it"]
    );
    assert_eq!(
        on("own"),
        [
            "error: port any: interface \"own\" is a VM's tap, or its index is above 524287, and so it cannot be an uplink; name \
          the interface that leads to the physical network"
        ]
    );
}
