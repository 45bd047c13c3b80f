//! The distributed router: longest prefix, next hops, wildcards, time to live, MAC addresses; and none across domains.

mod common;

use common::{GATEWAY, Net, UPLINK, Way, assert_sound, blue, inner, ip, nvgre, packet, red, udp};
use pipeline::{Address, DropReason, Record, RecordFlags, RecordKey};

/// A datagram to the gateway's MAC address, with this time to live.
fn routed(source: &str, destination: &str, ttl: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    packet(GATEWAY, blue(5), source, destination, ttl).udp(1, 2).write(&mut frame, b"hello").unwrap();
    frame
}

#[test]
fn to_another_subnet_the_router_rewrites_macs_and_lowers_the_ttl() {
    let net = Net::new();
    for (source, destination, at) in [("10.0.0.5", "10.0.1.5", 22), ("fd00::5", "fd00:0:0:1::5", 21)] {
        let sent = routed(source, destination, 64);
        let frame = net.port_sends(11, &sent).went(&Way::Port(13));
        assert_eq!(frame[..12], [blue(15), GATEWAY].concat());
        assert_eq!(frame[at], 63);
        assert_sound(&frame);
        assert_eq!(frame[40..], sent[40..], "the rest is as it was");
    }
    for (source, destination, at) in [("10.0.0.5", "10.0.1.7", 22), ("fd00::5", "fd00:0:0:1::7", 21)] {
        let frame = net.port_sends(11, &routed(source, destination, 2)).went(&Way::Tunnel(5002));
        let inner = inner(&frame);
        assert_eq!(inner[..12], [blue(17), GATEWAY].concat());
        assert_eq!(inner[at], 1);
        assert_sound(inner);
    }
}

#[test]
fn a_routed_packet_is_taken_from_the_host_that_routed_it() {
    let net = Net::new();
    let inner = |source: &str| udp(blue(15), GATEWAY, source, "10.0.1.5", b"");
    let from = |source: &str, outer: &str| net.underlay_sends(&nvgre(outer, "192.168.4.11", 5002, &inner(source)));
    assert_eq!(from("10.0.0.7", "192.168.4.22").went(&Way::Port(13)), inner("10.0.0.7"));
    from("10.0.0.7", "192.168.4.99").dropped(DropReason::UnknownProvider);
    // Blue 8 is on the same host, but its record names the IPv6 provider address.
    from("10.0.0.8", "192.168.4.22").dropped(DropReason::WrongProvider);
    from("10.77.0.1", "192.168.4.22").dropped(DropReason::UnknownSource);
}

#[test]
fn nobody_speaks_from_outside_for_what_is_on_this_host() {
    let net = Net::new();
    // Blue 6 is here; a packet from it cannot come from the underlay, whatever its outer source says.
    let spoofed = udp(blue(5), blue(6), "10.0.0.6", "10.0.0.5", b"");
    net.underlay_sends(&nvgre("192.168.4.11", "192.168.4.11", 5001, &spoofed)).dropped(DropReason::UnknownProvider);
    // A gateway's record names no provider address, which is `::`.
    let spoofed = udp(blue(5), GATEWAY, "10.0.0.1", "10.0.0.5", b"");
    net.underlay_sends(&nvgre("::", "fd01::11", 5001, &spoofed)).dropped(DropReason::UnknownProvider);
}

#[test]
fn the_longest_prefix_wins_and_its_next_hop_gets_the_packet() {
    let net = Net::new();
    let to = |destination| net.port_sends(11, &routed("10.0.0.5", destination, 64));
    let frame = to("10.9.5.5").went(&Way::Tunnel(5001));
    assert_eq!(inner(&frame)[..6], blue(7));
    let frame = to("10.9.1.5").went(&Way::Tunnel(5002));
    assert_eq!(inner(&frame)[..6], blue(17), "the next hop in the other subnet");
    to("10.9.9.5").dropped(DropReason::NoRecord);
    to("10.10.0.1").dropped(DropReason::NoRoute);
    to("10.0.1.99").dropped(DropReason::NoRecord);
}

#[test]
fn a_default_route_of_one_family_does_not_lead_the_other() {
    let mut net = Net::new();
    net.add_route(1, 5001, "::/0", "fd00::7");
    net.port_sends(11, &routed("10.0.0.5", "10.10.0.1", 64)).dropped(DropReason::NoRoute);
    let frame = net.port_sends(11, &routed("fd00::5", "2001:db8::1", 64)).went(&Way::Tunnel(5001));
    assert_eq!(inner(&frame)[..6], blue(7));
    net.add_route(1, 5001, "0.0.0.0/0", "10.0.0.7");
    net.port_sends(11, &routed("10.0.0.5", "10.10.0.1", 64)).went(&Way::Tunnel(5001));
}

#[test]
fn a_wildcard_stands_for_addresses_without_a_record_in_its_subnet() {
    let mut net = Net::new();
    let record =
        Record { mac: blue(99), flags: RecordFlags::WILDCARD, ifindex: 0, groups: 0, provider: ip("192.168.4.22") };
    net.records.insert(RecordKey { vsid: 5002, address: Address::UNSPECIFIED_V4 }, record);
    let frame = net.port_sends(11, &routed("10.0.0.5", "10.0.1.200", 64)).went(&Way::Tunnel(5002));
    assert_eq!(inner(&frame)[..6], blue(99));
    net.port_sends(11, &routed("10.0.0.5", "10.0.1.5", 64)).went(&Way::Port(13));
    net.port_sends(11, &routed("10.0.0.5", "10.0.0.200", 64)).dropped(DropReason::NoRecord);
    net.port_sends(11, &routed("fd00::5", "fd00:0:0:1::99", 64)).dropped(DropReason::NoRecord);
}

#[test]
fn an_outdated_mac_address_does_not_cut_a_vm_off() {
    let net = Net::new();
    let frame = net.port_sends(11, &udp([6, 6, 9, 9, 9, 9], blue(5), "10.0.0.5", "10.0.0.6", b"")).went(&Way::Port(12));
    assert_eq!(frame[..12], [blue(6), blue(5)].concat());
    net.port_sends(11, &udp([6, 6, 9, 9, 9, 9], blue(5), "10.0.0.5", "10.0.0.1", b"")).dropped(DropReason::NoRecord);
}

#[test]
fn nothing_is_routed_to_another_domain() {
    let net = Net::new();
    let sent = udp(GATEWAY, red(5), "10.0.0.5", "10.0.1.5", b"");
    net.port_sends(21, &sent).dropped(DropReason::NoRoute);
    // The same addresses lead to Red's own VMs.
    let sent = udp(GATEWAY, red(5), "10.0.0.5", "10.0.0.7", b"");
    let frame = net.port_sends(21, &sent).went(&Way::Tunnel(6001));
    assert_eq!(inner(&frame)[..6], red(7));
    // Nor by the MAC address of one of the other's.
    net.port_sends(21, &udp(blue(6), red(5), "10.0.0.5", "10.0.0.6", b"")).dropped(DropReason::NoRecord);
    // A subnet without customer routes has no router.
    let mut alone = Net::new();
    alone.ports.get_mut(&11).unwrap().domain = 0;
    alone.port_sends(11, &routed("10.0.0.5", "10.0.1.5", 64)).dropped(DropReason::NoRoute);
}

#[test]
fn a_frame_put_back_to_the_uplink_is_sent_on() {
    let net = Net::new();
    let frame = nvgre("192.168.4.11", "192.168.4.22", 5001, &udp(blue(7), blue(5), "10.0.0.5", "10.0.0.7", b""));
    let meta = pipeline::Meta { ifindex: UPLINK, len: frame.len() as u32, relayed: true, ..Default::default() };
    assert_eq!(net.underlay_sends_as(&meta, &frame).went(&Way::Relay(ip("192.168.4.22"))), frame);
    let frame = nvgre("192.168.4.11", "192.168.4.99", 5001, &udp(blue(7), blue(5), "10.0.0.5", "10.0.0.7", b""));
    net.underlay_sends_as(&meta, &frame).dropped(DropReason::RelayFailed);
}
