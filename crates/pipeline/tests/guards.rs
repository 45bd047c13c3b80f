//! The guards: each names its reason.

mod common;

use common::{BROADCAST, GATEWAY, Net, Way, blue, ip, nvgre, packet, red, udp};
use pipeline::{DropReason, Meta, PortFlags};

const PA: &str = "192.168.4.11";
const OTHER_PA: &str = "192.168.4.22";

#[test]
fn a_port_speaks_with_its_own_mac_address_alone() {
    let net = Net::new();
    net.port_sends(11, &udp(blue(6), blue(7), "10.0.0.5", "10.0.0.6", b"")).dropped(DropReason::SourceMac);
    let mut group = udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"");
    group[6] |= 1;
    net.port_sends(11, &group).dropped(DropReason::Malformed);
}

#[test]
fn a_port_speaks_from_its_own_addresses_alone() {
    let mut net = Net::new();
    for source in ["10.0.0.8", "10.0.0.99", "0.0.0.0", "224.0.0.1"] {
        net.port_sends(11, &udp(blue(6), blue(5), source, "10.0.0.6", b"")).dropped(DropReason::SourceAddress);
    }
    for source in ["fd00::8", "fd00::99", "::", "fe80::1"] {
        net.port_sends(11, &udp(blue(6), blue(5), source, "fd00::6", b"")).dropped(DropReason::SourceAddress);
    }
    net.port_sends(11, &udp(blue(6), blue(5), "fe80::406:ff:fe00:5", "fd00::6", b"")).went(&Way::Port(12));
    // A router forwards for anybody, a port whose addresses are learnt speaks for nobody who has a record.
    net.ports.get_mut(&11).unwrap().flags = PortFlags::FORWARDER;
    net.port_sends(11, &udp(blue(6), blue(5), "8.8.8.8", "10.0.0.6", b"")).went(&Way::Port(12));
    net.ports.get_mut(&11).unwrap().flags = PortFlags::LEARN;
    net.port_sends(11, &udp(blue(6), blue(5), "10.0.0.99", "10.0.0.6", b"")).went(&Way::Port(12));
    net.port_sends(11, &udp(blue(6), blue(5), "10.0.0.7", "10.0.0.6", b"")).dropped(DropReason::SourceAddress);
}

#[test]
fn a_client_without_an_address_may_ask_for_one() {
    let net = Net::new();
    let mut frame = Vec::new();
    packet(BROADCAST, blue(5), "0.0.0.0", "255.255.255.255", 64).udp(68, 67).write(&mut frame, &[0; 300]).unwrap();
    assert!(matches!(net.port_sends(11, &frame).way, Way::Flood(_)));
    let mut frame = Vec::new();
    packet(BROADCAST, blue(5), "0.0.0.0", "255.255.255.255", 64).udp(67, 68).write(&mut frame, &[0; 300]).unwrap();
    net.port_sends(11, &frame).dropped(DropReason::SourceAddress);
}

/// An ICMPv6 message of the VM behind port 11.
fn icmpv6(kind: u8, source: &str, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    packet([0x33, 0x33, 0, 0, 0, 1], blue(5), source, "ff02::1", 255)
        .icmpv6_raw(kind, 0, [0; 4])
        .write(&mut frame, body)
        .unwrap();
    frame
}

#[test]
fn nobody_advertises_for_another() {
    let mut net = Net::new();
    let body = |target: &str, mac: [u8; 6]| [&ip(target).octets()[..], &[2, 1], &mac].concat();
    assert!(matches!(net.port_sends(11, &icmpv6(136, "fd00::5", &body("fd00::5", blue(5)))).way, Way::Flood(_)));
    net.port_sends(11, &icmpv6(136, "fd00::5", &body("fd00::6", blue(5)))).dropped(DropReason::NeighborSpoof);
    net.port_sends(11, &icmpv6(136, "fd00::5", &body("fd00::5", blue(6)))).dropped(DropReason::NeighborSpoof);
    net.port_sends(11, &icmpv6(136, "fd00::5", &[0; 7])).dropped(DropReason::Malformed);
    for kind in [134, 137] {
        net.port_sends(11, &icmpv6(kind, "fd00::5", &[0; 32])).dropped(DropReason::RouterGuard);
    }
    net.ports.get_mut(&11).unwrap().flags = PortFlags::FORWARDER;
    assert!(matches!(net.port_sends(11, &icmpv6(134, "fd00::5", &[0; 32])).way, Way::Flood(_)));
}

#[test]
fn arp_speaks_for_its_sender_alone() {
    let net = Net::new();
    let arp = |sender_mac: [u8; 6], sender: &str| {
        let mut frame = [&BROADCAST[..], &blue(5), &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &sender_mac].concat();
        frame.extend(ip(sender).last4());
        frame.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, 7]);
        frame
    };
    net.port_sends(11, &arp(blue(5), "10.0.0.5")).went(&Way::Answer);
    net.port_sends(11, &arp(blue(6), "10.0.0.5")).dropped(DropReason::NeighborSpoof);
    net.port_sends(11, &arp(blue(5), "10.0.0.6")).dropped(DropReason::NeighborSpoof);
    net.port_sends(11, &arp(blue(5), "10.0.0.99")).dropped(DropReason::NeighborSpoof);
}

#[test]
fn from_the_underlay_only_the_senders_own_host_speaks_for_it() {
    let net = Net::new();
    let sent = udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", b"");
    let from = |outer: &str, vsid, inner: &[u8]| net.underlay_sends(&nvgre(outer, PA, vsid, inner));
    from(OTHER_PA, 5001, &sent).went(&Way::Port(11));
    from("192.168.4.99", 5001, &sent).dropped(DropReason::UnknownProvider);
    let wrong = udp(blue(5), blue(8), "10.0.0.8", "10.0.0.5", b"");
    from(OTHER_PA, 5001, &wrong).dropped(DropReason::WrongProvider);
    from(OTHER_PA, 7777, &sent).dropped(DropReason::UnknownSubnet);
    let unknown = udp(blue(5), blue(77), "10.0.0.77", "10.0.0.5", b"");
    from(OTHER_PA, 5001, &unknown).dropped(DropReason::UnknownSource);
    let another = udp(blue(5), blue(7), "10.0.0.77", "10.0.0.5", b"");
    from(OTHER_PA, 5001, &another).dropped(DropReason::SourceAddress);
    let nobody = udp(blue(66), blue(7), "10.0.0.7", "10.0.0.66", b"");
    from(OTHER_PA, 5001, &nobody).dropped(DropReason::NoRecord);
    let elsewhere = udp(blue(8), blue(7), "10.0.0.7", "10.0.0.8", b"");
    from(OTHER_PA, 5001, &elsewhere).dropped(DropReason::NoPort);
}

#[test]
fn a_port_in_another_vsid_than_its_record_gets_nothing() {
    let mut net = Net::new();
    net.ports.get_mut(&12).unwrap().vsid = 5002;
    net.port_sends(11, &udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"")).dropped(DropReason::SubnetMismatch);
    let sent = nvgre(OTHER_PA, PA, 5001, &udp(blue(6), blue(7), "10.0.0.7", "10.0.0.6", b""));
    net.underlay_sends(&sent).dropped(DropReason::SubnetMismatch);
    net.ports.remove(&12);
    net.port_sends(11, &udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"")).dropped(DropReason::NoPort);
}

#[test]
fn records_routes_and_peers_that_are_missing_are_named() {
    let mut net = Net::new();
    net.port_sends(11, &udp(blue(66), blue(5), "10.0.0.5", "10.0.0.66", b"")).dropped(DropReason::NoRecord);
    net.port_sends(11, &udp(GATEWAY, blue(5), "10.0.0.5", "8.8.8.8", b"")).dropped(DropReason::NoRoute);
    net.peers.clear();
    net.port_sends(11, &udp(blue(7), blue(5), "10.0.0.5", "10.0.0.7", b"")).dropped(DropReason::NoPeer);
    net.host = None;
    net.port_sends(11, &udp(blue(7), blue(5), "10.0.0.5", "10.0.0.7", b"")).dropped(DropReason::NotConfigured);
}

#[test]
fn tags_are_dropped_on_both_sides() {
    let net = Net::new();
    for tag in [[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]] {
        let tagged = |mut frame: Vec<u8>| {
            frame.splice(12..12, [tag[0], tag[1], 0, 5]);
            frame
        };
        let sent = tagged(udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b""));
        net.port_sends(11, &sent).dropped(DropReason::VlanTag);
        let inner = tagged(udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", b""));
        net.underlay_sends(&nvgre(OTHER_PA, PA, 5001, &inner)).dropped(DropReason::VlanTag);
    }
    let sent = udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"");
    let meta = Meta { ifindex: 11, len: sent.len() as u32, vlan: true, ..Meta::default() };
    net.port_sends_as(&meta, &sent).dropped(DropReason::VlanTag);
}

#[test]
fn outer_fragments_are_dropped() {
    let net = Net::new();
    let sent = udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", b"");
    for fragment in [[0x20, 0], [0, 9], [0x20, 9]] {
        let mut frame = nvgre(OTHER_PA, PA, 5001, &sent);
        frame[20..22].copy_from_slice(&fragment);
        net.underlay_sends(&frame).dropped(DropReason::OuterFragment);
    }
    let mut frame = nvgre("fd01::22", "fd01::11", 5001, &sent);
    frame[20] = 44;
    frame.splice(54..54, [47, 0, 0, 1, 0, 0, 0, 7]);
    net.underlay_sends(&frame).dropped(DropReason::OuterFragment);
}

#[test]
fn what_contradicts_itself_is_malformed() {
    let net = Net::new();
    let good = udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"hello");
    let bad = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        frame
    };
    // Version, header length, total length below the header's and above the frame's.
    for frame in [bad(14, 0x65), bad(14, 0x44), bad(17, 19), bad(16, 0x70), good[..33].to_vec(), good[..13].to_vec()] {
        net.port_sends(11, &frame).dropped(DropReason::Malformed);
        let encapsulated = nvgre(OTHER_PA, PA, 5001, &frame);
        net.underlay_sends(&encapsulated).dropped(DropReason::Malformed);
    }
    let mapped = udp(blue(6), blue(5), "::ffff:10.0.0.5", "fd00::6", b"");
    net.port_sends(11, &mapped).dropped(DropReason::Malformed);
}

#[test]
fn a_port_without_vsid_passes_and_an_unknown_one_does_not() {
    let mut net = Net::new();
    net.ports.get_mut(&11).unwrap().vsid = 0;
    let sent = udp(red(1), red(2), "1.2.3.4", "5.6.7.8", b"");
    assert_eq!(net.port_sends(11, &sent).went(&Way::Pass), sent);
    net.port_sends(99, &sent).dropped(DropReason::NotConfigured);
}

#[test]
fn floods_have_a_limit_and_need_somebody_to_hear() {
    let mut net = Net::new();
    let sent = [&BROADCAST[..], &blue(5), &[0x88, 0xb5], &[0; 46]].concat();
    net.admit = false;
    net.port_sends(11, &sent).dropped(DropReason::FloodLimit);
    net.subnets.get_mut(&5001).unwrap().replicas = 1;
    net.port_sends(11, &sent).dropped(DropReason::NoReplica);
    net.subnets.remove(&5001);
    net.port_sends(11, &sent).dropped(DropReason::UnknownSubnet);
}

#[test]
fn what_nobody_can_be_told_to_be_too_big_is_dropped() {
    let net = Net::new();
    let sent = [&blue(7)[..], &blue(5), &[0x88, 0xb5], &[0; 1559]].concat();
    net.port_sends(11, &sent).dropped(DropReason::TooBig);
    net.port_sends(11, &sent[..sent.len() - 1]).went(&Way::Tunnel(5001));
}
