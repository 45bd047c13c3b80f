//! Attacks out of a tenant's VM, and from a stranger on the underlay: each tried with real frames, stopped, and counted
//! under its reason, while others keep their traffic. What is forged with a provider address that hosts do have stands
//! in guards.rs. Needs root.

use std::net::Ipv6Addr;

use rand::Rng;
use tests::capture::Capture;
use tests::fabric::Fabric;
use tests::flood::{Flood, Stream, must_connect, share_left, two_cpus};
use tests::frames::{
    BROADCAST, Mac, Unusual, arp, geneve, ipv4, ipv6, mac_of, nd, nvgre, nvgre_v4, send, syn_v4, tagged, udp_v4,
    udp_v4_ports, udp_v6, udp_v6_ports, vxlan,
};
use tests::stage::{Stage, eventually};
use tests::tools::{must_ping, run};

/// Mallory is next to Alice on host 1; Bob and Carol are on host 2. Carol never answers: she has no address of her own. The
/// stranger is a machine of the underlay that is no host.
const TOPOLOGY: &str = r#"
name: LAB
underlay: {kind: segment, mtu: 1600}
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.4.22/24]}
  - {name: stranger, addresses: [192.168.4.99/24], agent: false}
vms:
  - {name: mallory, host: H1, mac: 06-06-00-00-00-66, vsid: 5001, addresses: [10.0.0.66/24, "fd00:a::66/64"]}
  - {name: alice, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24, "fd00:a::5/64"]}
  - {name: bob, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24, "fd00:a::7/64"]}
  - {name: carol, host: H2, mac: 06-06-00-00-00-08, vsid: 5001}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.66, mac: 06-06-00-00-00-66, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.8, mac: 06-06-00-00-00-08, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::66", mac: 06-06-00-00-00-66, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::5", mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::7", mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: "fd00:a::/64", nextHop: "::"}}
  - {kind: dhcp-scope, spec: {vsid: 5001, prefix: 10.0.0.0/24}}
  - {kind: dhcp-scope, spec: {vsid: 5001, prefix: "fd00:a::/64"}}
"#;

const MALLORY: Mac = [6, 6, 0, 0, 0, 0x66];
const ALICE: Mac = [6, 6, 0, 0, 0, 5];
const BOB: Mac = [6, 6, 0, 0, 0, 7];
const CAROL: Mac = [6, 6, 0, 0, 0, 8];
const STRANGER: Mac = [2, 0, 0, 0, 0, 0x99];
/// All hosts of a link in IPv6.
const ALL_NODES: (Mac, Ipv6Addr) = ([0x33, 0x33, 0, 0, 0, 1], Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));

/// In all frames that carry something.
const MARK: &[u8] = b"from mallory";

/// An IPv4 address of the subnet.
const fn v4(last: u8) -> [u8; 4] {
    [10, 0, 0, last]
}

/// An IPv6 address of the subnet.
const fn v6(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0xa, 0, 0, 0, 0, 0, last)
}

/// Mallory as she is, and who she attacks, in both families.
const ME: (Mac, [u8; 4]) = (MALLORY, v4(66));
const ME6: (Mac, Ipv6Addr) = (MALLORY, v6(0x66));
const TO_ALICE: (Mac, [u8; 4]) = (ALICE, v4(5));
const TO_BOB: (Mac, [u8; 4]) = (BOB, v4(7));
const TO_BOB6: (Mac, Ipv6Addr) = (BOB, v6(7));

/// Has Mallory send each frame, which must be dropped at her port for its reason; Alice and Bob hear none of it, but what she
/// sends honestly, and still reach each other.
#[track_caller]
fn stopped(stage: &Stage, attacks: &[(&str, &str, Vec<u8>)]) {
    stage.at_rest(1);
    let mallory = stage.vm("mallory");
    let [alice, bob] = ["alice", "bob"].map(|vm| stage.vm(vm));
    let victims = [&alice, &bob].map(|vm| Capture::start(vm, "eth0", ""));
    for (attack, reason, frame) in attacks {
        let before = stage.drops(1, "mallory", reason);
        send(&mallory, "eth0", frame);
        let counted = eventually(std::time::Duration::from_secs(3), || stage.drops(1, "mallory", reason) > before);
        assert!(counted, "{attack} was to be dropped for {reason}; there are:\n{}", stage.all_drops(1));
        assert_eq!(stage.drops(1, "mallory", reason), before + 1, "{attack}, {reason}");
    }
    // What she says honestly arrives.
    send(&mallory, "eth0", &udp_v4(ME, TO_BOB, b"honest"));
    must_ping(&alice, "10.0.0.7");
    must_ping(&bob, "fd00:a::5");
    for ((vm, honest), heard) in [("Alice", 0), ("Bob", 1)].into_iter().zip(victims.map(Capture::end)) {
        // A VM that has been up for long enough may still ask for routers and tell its multicast groups, and its host
        // says in its name where it is, to whom it has spoken honestly.
        let hers = "(eth.src == 06:06:00:00:00:66 || eth.src == 02:00:00:00:00:99 || frame contains \"from mallory\") \
                    && !(icmpv6.type == 133 || icmpv6.type == 143) \
                    && !(arp.src.proto_ipv4 == 10.0.0.66 && arp.src.hw_mac == 06:06:00:00:00:66)";
        assert_eq!(heard.count(hers), honest, "{vm} hears of Mallory: {}", heard.lines(hers));
    }
    let known = |vm, of: &str| run(vm, &format!("ip neighbour show {of}"));
    assert!(known(&alice, "10.0.0.7").contains("06:06:00:00:00:07"), "{}", known(&alice, "10.0.0.7"));
    assert!(known(&bob, "fd00:a::5").contains("06:06:00:00:00:05"), "{}", known(&bob, "fd00:a::5"));
}

#[test]
fn nobody_passes_for_another() {
    let stage = Stage::up(TOPOLOGY);
    // A link-layer address as an option of Neighbor Discovery: type, length 1.
    let option = |kind: u8, mac: Mac| [&[kind, 1][..], &mac].concat();
    let target = |of: u16, kind: u8, mac: Mac| [&v6(of).octets()[..], &option(kind, mac)].concat();
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x0406, 0x00ff, 0xfe00, 0x0066);
    let router = [0, 0, 0, 0, 0, 0, 0, 0];
    stopped(
        &stage,
        &[
            ("another MAC address", "SourceMac", udp_v4((STRANGER, v4(66)), TO_BOB, MARK)),
            ("Alice's MAC address", "SourceMac", udp_v4((ALICE, v4(5)), TO_BOB, MARK)),
            ("a group as sender", "Malformed", udp_v4(([1, 0, 0x5e, 0, 0, 1], v4(66)), TO_BOB, MARK)),
            ("Alice's address", "SourceAddress", udp_v4((MALLORY, v4(5)), TO_BOB, MARK)),
            ("nobody's address", "SourceAddress", udp_v4((MALLORY, [172, 16, 0, 1]), TO_BOB, MARK)),
            ("Alice's IPv6 address", "SourceAddress", udp_v6((MALLORY, v6(5)), TO_BOB6, MARK)),
            ("nobody's IPv6 address", "SourceAddress", udp_v6((MALLORY, v6(0x99)), TO_BOB6, MARK)),
            (
                "ARP to all: Bob is at me",
                "NeighborSpoof",
                arp(MALLORY, BROADCAST, true, (MALLORY, v4(7)), (BROADCAST, v4(7))),
            ),
            ("ARP to Alice: Bob is at me", "NeighborSpoof", arp(MALLORY, ALICE, true, (MALLORY, v4(7)), TO_ALICE)),
            ("ARP to Alice: I am at another", "NeighborSpoof", arp(MALLORY, ALICE, true, (STRANGER, v4(66)), TO_ALICE)),
            (
                "ND to Alice: Bob is at me",
                "NeighborSpoof",
                nd(ME6, (ALICE, v6(5)), 136, 0x6000_0000, &target(7, 2, MALLORY)),
            ),
            (
                "ND to Alice: who are you? I am Bob, at me",
                "SourceAddress",
                nd((MALLORY, v6(7)), (ALICE, v6(5)), 135, 0, &target(5, 1, MALLORY)),
            ),
            (
                "ND to Alice: who are you? I am at another",
                "NeighborSpoof",
                nd(ME6, (ALICE, v6(5)), 135, 0, &target(5, 1, STRANGER)),
            ),
            ("a router advertisement", "RouterGuard", nd((MALLORY, link_local), ALL_NODES, 134, 0x4000_0708, &router)),
            (
                "an ICMPv6 redirect",
                "RouterGuard",
                nd((MALLORY, link_local), (ALICE, v6(5)), 137, 0, &[v6(0x66).octets(), v6(7).octets()].concat()),
            ),
            ("a DHCP server's answer", "RogueDhcp", udp_v4_ports(ME, TO_ALICE, (67, 68), MARK)),
            ("the same to all", "RogueDhcp", udp_v4_ports(ME, (BROADCAST, [255; 4]), (67, 68), MARK)),
            ("a DHCPv6 server's answer", "RogueDhcp", udp_v6_ports(ME6, (ALICE, v6(5)), (547, 546), MARK)),
        ],
    );
}

#[test]
fn nothing_slips_past_what_is_read() {
    let stage = Stage::up(TOPOLOGY);
    let udp = [&[0x03, 0xe8, 0x07, 0xd0, 0, 20, 0, 0][..], MARK].concat();
    let with = |options: &[u8]| ipv4(ME, TO_BOB, 17, Unusual { options, ..Unusual::default() }, &udp);
    // Pointer to the first of two places; the route goes by Alice.
    let route = |kind: u8| [&[1, kind, 11, 4][..], &v4(5), &v4(7)].concat();
    let tcp = syn_v4(ME, TO_BOB, (1000, 2000))[34..].to_vec();
    let piece = |offset: u16, more: bool, payload: &[u8]| {
        ipv4(ME, TO_BOB, 6, Unusual { offset, more, identification: 7, ..Unusual::default() }, payload)
    };
    // IPv6 headers: a routing header of type 0 by way of Alice; five of destination options; a fragment.
    let source_route = [&[17, 2, 0, 1, 0, 0, 0, 0][..], &v6(5).octets(), &udp].concat();
    let options = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let chain = [&[60; 5].map(options)[..4].concat()[..], &options(17), &udp].concat();
    let fragment = [&[6, 0, 0, 1, 0, 0, 0, 7][..], &tcp[..8]].concat();
    let honest = udp_v4(ME, TO_BOB, MARK);
    let mut long = honest.clone();
    long[16..18].copy_from_slice(&500_u16.to_be_bytes());
    stopped(
        &stage,
        &[
            ("loose source route", "IpOptions", with(&route(131))),
            ("strict source route", "IpOptions", with(&route(137))),
            ("record route", "IpOptions", with(&route(7))),
            ("IPv6 source route", "IpOptions", ipv6(ME6, TO_BOB6, 43, 64, &source_route)),
            ("a chain of IPv6 headers without end", "IpOptions", ipv6(ME6, TO_BOB6, 60, 64, &chain)),
            ("a first fragment too small for TCP", "FragmentOverlap", piece(0, true, &tcp[..8])),
            ("a fragment that begins inside of TCP's header", "FragmentOverlap", piece(1, false, &tcp[8..])),
            ("an IPv6 fragment too small for TCP", "FragmentOverlap", ipv6(ME6, TO_BOB6, 44, 64, &fragment)),
            ("a VLAN tag", "VlanTag", tagged(&honest, 7)),
            ("two VLAN tags", "VlanTag", tagged(&tagged(&honest, 7), 8)),
            ("a packet longer than its frame", "Malformed", long),
            ("a frame cut off", "Malformed", honest[..30].to_vec()),
        ],
    );
}

#[test]
fn a_vm_does_not_speak_to_hosts_in_their_own_words() {
    let stage = Stage::up(TOPOLOGY);
    // To Bob, as his host would send it on, in each of the encapsulations, to the host itself: by the gateway, and straight
    // to the MAC address of the host.
    let inner = udp_v4(TO_ALICE, TO_BOB, MARK);
    let gateway = run(&stage.vm("alice"), "arping -c 1 -w 2 -I eth0 10.0.0.1").to_lowercase();
    let gateway = gateway.split(['[', ']']).nth(1).expect("the gateway answers ARP").to_owned();
    let gateway: Vec<u8> = gateway.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let gateway = (Mac::try_from(gateway).unwrap(), [192, 168, 4, 22]);
    let host = (mac_of(&stage.host(2), "eth0"), [192, 168, 4, 22]);
    let wire = Capture::start(&stage.host(2), "eth0", "");
    for (to, reason) in [(gateway, "NoRoute"), (host, "NoRecord")] {
        let in_udp = |port: u16, payload: &[u8]| udp_v4_ports(ME, to, (50_000, port), payload);
        stopped(
            &stage,
            &[
                ("NVGRE", reason, ipv4(ME, to, 47, Unusual::default(), &nvgre(5001, &inner))),
                ("VXLAN", reason, in_udp(4789, &vxlan(5001, &inner))),
                ("Geneve", reason, in_udp(6081, &geneve(5001, &inner))),
            ],
        );
    }
    let heard = wire.end();
    assert_eq!(heard.count("frame contains \"from mallory\""), 0, "{}", heard.lines("frame contains \"from mallory\""));
}

#[test]
fn a_vm_of_the_physical_network_does_not_pass_for_a_host() {
    let fabric = Fabric::up(&[("mallory", 1, 0x66), ("blue1", 1, 1), ("blue2", 2, 2)]);
    fabric.op("create vm-network flat --logical-network TDIv2 --isolation none");
    fabric.op("create vm-subnet all --vm-network flat");
    fabric.port("mallory", 1, 0x66, "--vm-network flat");
    run(&fabric.vm("mallory"), "ip address add 192.168.4.66/24 dev eth0");
    let mallory = ([0, 0x1d, 0xd8, 0xb7, 0x1c, 0x66], [192, 168, 4, 66]);
    let to = (mac_of(&fabric.stage.host(2), "eth0"), [192, 168, 4, 16]);
    must_ping(&fabric.vm("mallory"), "192.168.4.16");
    let wire = Capture::start(&fabric.stage.host(2), "eth0", "");
    let inner = udp_v4(TO_ALICE, TO_BOB, MARK);
    let in_udp = |port: u16, payload: &[u8]| udp_v4_ports(mallory, to, (50_000, port), payload);
    for frame in [
        ipv4(mallory, to, 47, Unusual::default(), &nvgre(5001, &inner)),
        in_udp(4789, &vxlan(5001, &inner)),
        in_udp(6081, &geneve(5001, &inner)),
    ] {
        let before = fabric.stage.drops(1, "mallory", "Encapsulation");
        send(&fabric.vm("mallory"), "eth0", &frame);
        fabric.stage.await_drops(1, "mallory", "Encapsulation", before, 1);
    }
    let heard = wire.end();
    assert_eq!(heard.count("frame contains \"from mallory\""), 0, "{}", heard.lines("frame contains \"from mallory\""));
}

#[test]
fn a_stranger_of_the_underlay_is_no_host() {
    let stage = Stage::up(TOPOLOGY);
    let [alice, bob] = ["alice", "bob"].map(|vm| stage.vm(vm));
    let stranger = stage.lab.host("stranger").unwrap();
    let from = (mac_of(&stranger, "eth0"), [192, 168, 4, 99]);
    let to = (mac_of(&stage.host(1), "eth0"), [192, 168, 4, 11]);
    let inner = udp_v4(TO_BOB, TO_ALICE, MARK);
    let victim = Capture::start(&alice, "eth0", "udp");
    let before = stage.drops(1, "uplink", "UnknownProvider");
    send(&stranger, "eth0", &nvgre_v4((from.0, from.1.into()), (to.0, to.1.into()), 5001, false, &inner));
    stage.await_drops(1, "uplink", "UnknownProvider", before, 1);
    // No network of the host is in these: they are the host's own affair, and no VM's.
    for (port, payload) in [(4789, vxlan(5001, &inner)), (6081, geneve(5001, &inner))] {
        send(&stranger, "eth0", &udp_v4_ports(from, to, (50_000, port), &payload));
    }
    must_ping(&bob, "10.0.0.5");
    let heard = victim.end();
    assert_eq!(heard.count("frame contains \"from mallory\""), 0, "{}", heard.lines("frame"));
}

/// Frames a second of a flood: what one CPU makes with ease, so that its own cost is not what others suffer from.
const RATE: u64 = 20_000;
/// Frames of a flood, at least: more than a port may have half-open connections.
const FRAMES: u64 = 20_000;
/// What others keep of their throughput.
const KEPT: f64 = 0.9;

/// Floods from Mallory, on a CPU of its own, while Alice and Bob have theirs: they keep their throughput and open new
/// connections. Returns how many frames were sent.
#[track_caller]
fn harms_nobody(stage: &Stage, frame: impl FnMut(u64) -> Vec<u8> + Send + 'static) -> u64 {
    let [alice, bob] = ["alice", "bob"].map(|vm| stage.vm(vm));
    let [theirs, hers] = two_cpus();
    let flood = Flood::ready(&stage.vm("mallory"), hers, RATE, frame);
    let stream = Stream::start(&alice, &bob, "10.0.0.7", theirs);
    let left = share_left(&stream, &flood, KEPT);
    drop(stream);
    assert!(left >= KEPT, "Alice and Bob keep {left:.2} of their throughput");
    flood.run(true);
    must_connect(&alice, &bob, "10.0.0.7", 50);
    flood.await_sent(FRAMES);
    flood.run(false);
    flood.end()
}

#[test]
fn a_flood_of_random_senders_ends_at_the_port() {
    let stage = Stage::up(TOPOLOGY);
    let before = ["SourceMac", "SourceAddress"].map(|reason| stage.drops(1, "mallory", reason));
    let sent = harms_nobody(&stage, |number| {
        let mut any: [u8; 8] = rand::rng().random();
        // Not 0.0.0.0, which a VM may have before it has an address; a MAC address that is no group.
        (any[0], any[4]) = (any[0] | 1, any[4] & 0xfe);
        let [a, b, c, d, e, f, g, h] = any;
        let sender = if number % 2 == 0 { (MALLORY, [a, b, c, d]) } else { ([e, f, g, h, 0, 1], v4(66)) };
        udp_v4(sender, TO_BOB, MARK)
    });
    for (reason, before) in ["SourceMac", "SourceAddress"].into_iter().zip(before) {
        stage.await_drops(1, "mallory", reason, before, sent / 2);
    }
}

#[test]
fn a_flood_of_syns_leaves_others_their_connections() {
    let stage = Stage::up(TOPOLOGY);
    // Each is a connection of its own, that nobody answers.
    harms_nobody(&stage, |number| {
        let number = u32::try_from(number).expect("a story of some seconds");
        let ports = (1024 + (number % 60_000) as u16, 1 + (number / 60_000) as u16);
        syn_v4(ME, (CAROL, v4(8)), ports)
    });
    must_ping(&stage.vm("mallory"), "10.0.0.7");
}
