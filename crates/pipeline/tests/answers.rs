//! What the host answers in place of the network: ARP, ND, echo requests to the gateway, ICMP errors.

mod common;

use common::{BROADCAST, GATEWAY, Mac, Net, Way, assert_sound, blue, echo, ip, packet, udp};
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, IpNumber, NetSlice, PacketBuilder, SlicedPacket};
use pipeline::{DropReason, SubnetFlags};

fn arp(to: Mac, operation: ArpOperation, sender: (Mac, &str), target: (Mac, &str)) -> Vec<u8> {
    let (own, wanted) = (ip(sender.1).last4(), ip(target.1).last4());
    let message =
        ArpPacket::new(ArpHardwareId::ETHERNET, EtherType::IPV4, operation, &sender.0, &own, &target.0, &wanted);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(sender.0, to).arp(message.unwrap()).write(&mut frame).unwrap();
    frame
}

#[test]
fn arp_is_answered_from_the_records_and_by_the_gateway() {
    let net = Net::new();
    for (target, mac) in [("10.0.0.7", blue(7)), ("10.0.0.6", blue(6)), ("10.0.0.1", GATEWAY)] {
        let request = arp(BROADCAST, ArpOperation::REQUEST, (blue(5), "10.0.0.5"), ([0; 6], target));
        let reply = net.port_sends(11, &request).went(&Way::Answer);
        assert_eq!(reply, arp(blue(5), ArpOperation::REPLY, (mac, target), (blue(5), "10.0.0.5")));
    }
}

#[test]
fn announcements_and_probes_of_ones_own_address_are_not_answered() {
    let net = Net::new();
    for (operation, sender) in
        [(ArpOperation::REQUEST, "10.0.0.5"), (ArpOperation::REPLY, "10.0.0.5"), (ArpOperation::REQUEST, "0.0.0.0")]
    {
        let frame = arp(BROADCAST, operation, (blue(5), sender), ([0; 6], "10.0.0.5"));
        net.port_sends(11, &frame).dropped(DropReason::OwnAddress);
    }
    // A probe of another's address is answered, so that the conflict is seen (RFC 5227).
    let probe = arp(BROADCAST, ArpOperation::REQUEST, (blue(5), "0.0.0.0"), ([0; 6], "10.0.0.6"));
    let reply = net.port_sends(11, &probe).went(&Way::Answer);
    assert_eq!(reply, arp(blue(5), ArpOperation::REPLY, (blue(6), "10.0.0.6"), (blue(5), "0.0.0.0")));
}

#[test]
fn who_nobody_knows_is_asked_for_only_where_addresses_are_learnt() {
    let mut net = Net::new();
    let request = arp(BROADCAST, ArpOperation::REQUEST, (blue(5), "10.0.0.5"), ([0; 6], "10.0.0.99"));
    net.port_sends(11, &request).dropped(DropReason::NoRecord);
    net.subnets.get_mut(&5001).unwrap().flags = SubnetFlags::LEARN;
    assert!(matches!(net.port_sends(11, &request).way, Way::Flood(_)));
}

#[test]
fn a_probe_to_one_neighbour_goes_there() {
    let net = Net::new();
    let probe = arp(blue(6), ArpOperation::REQUEST, (blue(5), "10.0.0.5"), ([0; 6], "10.0.0.6"));
    assert_eq!(net.port_sends(11, &probe).went(&Way::Port(12)), probe);
    let probe = solicitation(blue(6), "fd00::5", "fd00::6", "fd00::6");
    assert_eq!(net.port_sends(11, &probe).went(&Way::Port(12)), probe);
}

fn solicitation(to: Mac, source: &str, destination: &str, target: &str) -> Vec<u8> {
    let mut body = Vec::from(ip(target).octets());
    if source != "::" {
        body.extend([1, 1]);
        body.extend(blue(5));
    }
    let mut frame = Vec::new();
    let step = packet(to, blue(5), source, destination, 255).icmpv6_raw(135, 0, [0; 4]);
    step.write(&mut frame, &body).unwrap();
    frame
}

/// Type, flags, target and link-layer address of the advertisement in a frame, and where it goes.
fn advertisement(frame: &[u8]) -> (u8, u8, [u8; 16], [u8; 8], Mac, [u8; 16]) {
    assert_sound(frame);
    let ip = etherparse::Ipv6HeaderSlice::from_slice(&frame[14..]).unwrap();
    assert_eq!((ip.hop_limit(), ip.payload_length(), frame.len()), (255, 32, 86));
    let message = &frame[54..];
    (
        message[0],
        message[4],
        message[8..24].try_into().unwrap(),
        message[24..32].try_into().unwrap(),
        frame[..6].try_into().unwrap(),
        ip.destination(),
    )
}

#[test]
fn solicitations_are_answered_with_the_flags_of_rfc_4861() {
    let net = Net::new();
    let group = [0x33, 0x33, 0xff, 0, 0, 7];
    let frame = solicitation(group, "fd00::5", "ff02::1:ff00:7", "fd00::7");
    let answer = advertisement(&net.port_sends(11, &frame).went(&Way::Answer));
    // Solicited and override.
    assert_eq!(answer, (136, 0x60, ip("fd00::7").octets(), [2, 1, 6, 6, 0, 0, 0, 7], blue(5), ip("fd00::5").octets()));
    for gateway in ["fd00::1", "fe80::4e:56ff:fe00:1"] {
        let frame = solicitation([0x33, 0x33, 0xff, 0, 0, 1], "fd00::5", "ff02::1:ff00:1", gateway);
        let (_, flags, target, option, ..) = advertisement(&net.port_sends(11, &frame).went(&Way::Answer));
        assert_eq!((flags, target), (0xe0, ip(gateway).octets()), "router, solicited and override");
        assert_eq!(option, [2, 1, 0x02, 0x4e, 0x56, 0, 0, 1]);
    }
    // Who looks for duplicates has no address yet: all nodes hear of it, and it is not solicited.
    let frame = solicitation(group, "::", "ff02::1:ff00:7", "fd00::7");
    let (_, flags, _, _, mac, to) = advertisement(&net.port_sends(11, &frame).went(&Way::Answer));
    assert_eq!((flags, mac, to), (0x20, [0x33, 0x33, 0, 0, 0, 1], ip("ff02::1").octets()));
    let own = solicitation([0x33, 0x33, 0xff, 0, 0, 5], "::", "ff02::1:ff00:5", "fd00::5");
    net.port_sends(11, &own).dropped(DropReason::OwnAddress);
}

#[test]
fn a_solicitation_that_was_routed_is_refused() {
    let mut frame = solicitation([0x33, 0x33, 0xff, 0, 0, 7], "fd00::5", "ff02::1:ff00:7", "fd00::7");
    frame[21] = 254;
    Net::new().port_sends(11, &frame).dropped(DropReason::Malformed);
}

#[test]
fn the_gateway_answers_echo_requests_and_nothing_else() {
    let net = Net::new();
    for (source, gateway) in
        [("10.0.0.5", "10.0.0.1"), ("10.0.0.5", "10.0.1.1"), ("fd00::5", "fd00::1"), ("fd00::5", "fd00:0:0:1::1")]
    {
        // An odd number of bytes, too.
        for payload in [&b""[..], b"hello", &[0xff; 100]] {
            let request = echo(GATEWAY, blue(5), source, gateway, payload);
            let reply = net.port_sends(11, &request).went(&Way::Answer);
            assert_sound(&reply);
            let mut expected = Vec::new();
            let step = packet(blue(5), GATEWAY, gateway, source, 64);
            if source.contains(':') {
                step.icmpv6_echo_reply(7, 1).write(&mut expected, payload).unwrap();
            } else {
                step.icmpv4_echo_reply(7, 1).write(&mut expected, payload).unwrap();
            }
            assert_eq!(reply, expected, "{gateway}");
        }
        net.port_sends(11, &udp(GATEWAY, blue(5), source, gateway, b"")).dropped(DropReason::ToGateway);
    }
}

/// Checks an ICMP error to Blue 5, and gives its four bytes behind the checksum.
fn error(answer: &[u8], offending: &[u8], kind: (u8, u8), most: usize) -> [u8; 4] {
    assert_sound(answer);
    assert_eq!(answer[..12], [blue(5), GATEWAY].concat());
    let packet = SlicedPacket::from_ethernet(answer).unwrap();
    let (payload, ttl) = match &packet.net {
        Some(NetSlice::Ipv4(v4)) => {
            assert_eq!((v4.header().source(), v4.header().destination()), ([10, 0, 0, 1], [10, 0, 0, 5]));
            (v4.payload(), v4.header().ttl())
        }
        Some(NetSlice::Ipv6(v6)) => {
            assert_eq!(v6.header().source(), ip("fd00::1").octets());
            assert_eq!(v6.header().destination(), ip("fd00::5").octets());
            (v6.payload(), v6.header().hop_limit())
        }
        _ => panic!("no IP packet"),
    };
    assert_eq!(ttl, 64);
    assert!(payload.ip_number == IpNumber::ICMP || payload.ip_number == IpNumber::IPV6_ICMP);
    let message = payload.payload;
    assert_eq!((message[0], message[1]), kind);
    let quoted = (offending.len() - 14).min(most);
    assert_eq!(message[8..], offending[14..14 + quoted], "the packet is quoted as it came");
    message[4..8].try_into().unwrap()
}

#[test]
fn a_time_to_live_that_runs_out_is_told_by_the_gateway() {
    let net = Net::new();
    for (source, destination, kind, most) in
        [("10.0.0.5", "10.0.1.7", (11, 0), 544), ("fd00::5", "fd00:0:0:1::7", (3, 0), 1232)]
    {
        for ttl in [0, 1] {
            for payload in [0, 3, 16, 17, 535, 1400] {
                let mut frame = Vec::new();
                let step = packet(GATEWAY, blue(5), source, destination, ttl).udp(1, 33_434);
                step.write(&mut frame, &vec![0x5a; payload]).unwrap();
                let answer = net.port_sends(11, &frame).went(&Way::Answer);
                assert_eq!(error(&answer, &frame, kind, most), [0; 4]);
            }
        }
    }
}

#[test]
fn what_is_too_big_is_told_with_the_size_that_fits() {
    let net = Net::new();
    for (source, destination, kind, most) in
        [("10.0.0.5", "10.0.0.7", (3, 4), 544), ("fd00::5", "fd00::7", (2, 0), 1232)]
    {
        let frame = udp(blue(7), blue(5), source, destination, &[0; 1600]);
        let answer = net.port_sends(11, &frame).went(&Way::Answer);
        assert_eq!(error(&answer, &frame, kind, most), [0, 0, 0x06, 0x16], "1558 bytes fit");
        let longest = if source.contains(':') { 1280 } else { 576 };
        assert!(answer.len() - 14 <= longest, "an error has at most {longest} bytes");
    }
}

#[test]
fn errors_and_later_fragments_are_not_answered_with_errors() {
    let net = Net::new();
    for (source, destination, kind) in [("10.0.0.5", "10.0.1.7", 3), ("fd00::5", "fd00:0:0:1::7", 1)] {
        let mut frame = Vec::new();
        let step = packet(GATEWAY, blue(5), source, destination, 1);
        if kind == 3 {
            step.icmpv4_raw(kind, 0, [0; 4]).write(&mut frame, &[0; 40]).unwrap();
        } else {
            step.icmpv6_raw(kind, 0, [0; 4]).write(&mut frame, &[0; 40]).unwrap();
        }
        net.port_sends(11, &frame).dropped(DropReason::TtlExceeded);
    }
    let mut fragment = Vec::new();
    packet(GATEWAY, blue(5), "10.0.0.5", "10.0.1.7", 1).udp(1, 2).write(&mut fragment, &[0; 40]).unwrap();
    fragment[20..22].copy_from_slice(&[0x00, 0x10]);
    net.port_sends(11, &fragment).dropped(DropReason::TtlExceeded);
}
