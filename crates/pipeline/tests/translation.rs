//! Rules TranslationMethodNat and TranslationMethodNone: packets that travel without encapsulation.

mod common;

use common::{Net, Way, assert_sound, blue, echo, ip, packet, syn, udp};
use etherparse::{NetSlice, SlicedPacket};
use pipeline::DropReason;

/// Source and destination of the IP packet in a frame.
fn addresses(frame: &[u8]) -> (pipeline::Address, pipeline::Address) {
    match SlicedPacket::from_ethernet(frame).unwrap().net {
        Some(NetSlice::Ipv4(v4)) => {
            (pipeline::Address::v4(v4.header().source()), pipeline::Address::v4(v4.header().destination()))
        }
        Some(NetSlice::Ipv6(v6)) => {
            (pipeline::Address::new(v6.header().source()), pipeline::Address::new(v6.header().destination()))
        }
        _ => panic!("no IP packet"),
    }
}

/// Customer and wire addresses of Blue 9, which is here, and of Blue 10, which is not.
const PAIRS: [[&str; 4]; 3] = [
    ["10.0.0.9", "198.18.0.9", "10.0.0.10", "198.18.0.10"],
    ["fd00::9", "fd03::9", "fd00::10", "fd03::10"],
    ["172.16.0.9", "172.16.0.9", "172.16.0.10", "172.16.0.10"],
];

#[test]
fn customer_addresses_become_provider_addresses_and_checksums_stay_right() {
    let net = Net::new();
    for [own, own_wire, other, other_wire] in PAIRS {
        for sent in [
            udp(blue(10), blue(9), own, other, b"hello"),
            syn(blue(10), blue(9), own, other, &[1, 2, 4, 0x23, 0x28, 0, 0, 0]),
            echo(blue(10), blue(9), own, other, b"hello"),
        ] {
            let frame = net.port_sends(14, &sent).went(&Way::Plain);
            assert_eq!(frame.len(), sent.len());
            assert_eq!(addresses(&frame), (ip(own_wire), ip(other_wire)));
            assert_sound(&frame);
        }
        for sent in [
            udp([2; 6], [4; 6], other_wire, own_wire, b"hello"),
            syn([2; 6], [4; 6], other_wire, own_wire, &[2, 4, 0x05, 0xb4]),
            echo([2; 6], [4; 6], other_wire, own_wire, b"hello"),
        ] {
            let frame = net.underlay_sends(&sent).went(&Way::Port(14));
            assert_eq!(addresses(&frame), (ip(other), ip(own)));
            assert_eq!(frame[..12], [blue(9), blue(10)].concat());
            assert_sound(&frame);
        }
    }
}

#[test]
fn a_datagram_without_checksum_keeps_none_and_one_of_zero_is_written_as_all_ones() {
    let net = Net::new();
    let mut sent = udp(blue(10), blue(9), "10.0.0.9", "10.0.0.10", b"hello");
    sent[40..42].fill(0);
    let frame = net.port_sends(14, &sent).went(&Way::Plain);
    assert_eq!(frame[40..42], [0, 0]);
    assert_sound(&frame);
    // All payloads of two bytes: one of them makes the translated sum zero.
    let mut ones = 0;
    for word in 0..=u16::MAX {
        let sent = udp(blue(10), blue(9), "10.0.0.9", "10.0.0.10", &word.to_be_bytes());
        let frame = net.port_sends(14, &sent).went(&Way::Plain);
        assert_ne!(frame[40..42], [0, 0], "zero would say that there is none (RFC 768)");
        ones += u32::from(frame[40..42] == [0xff, 0xff]);
        if frame[40..42] == [0xff, 0xff] {
            assert_sound(&frame);
        }
    }
    assert_eq!(ones, 1);
}

#[test]
fn of_a_fragmented_datagram_only_the_first_has_a_checksum() {
    let net = Net::new();
    let fragment = |offset: [u8; 2]| {
        let mut sent = udp(blue(10), blue(9), "10.0.0.9", "10.0.0.10", &[7; 40]);
        sent[20..22].copy_from_slice(&offset);
        (sent.clone(), net.port_sends(14, &sent).went(&Way::Plain))
    };
    let (sent, frame) = fragment([0x20, 0]);
    assert_ne!(frame[40..42], sent[40..42]);
    assert_eq!(frame[42..], sent[42..]);
    let (sent, frame) = fragment([0x20, 9]);
    assert_eq!(frame[34..], sent[34..], "a later fragment's payload is left alone");
}

#[test]
fn both_sides_must_be_reached_without_encapsulation() {
    let net = Net::new();
    net.port_sends(11, &udp(blue(10), blue(5), "10.0.0.5", "10.0.0.10", b"")).dropped(DropReason::NotTranslated);
    net.underlay_sends(&udp([2; 6], [4; 6], "8.8.8.8", "198.18.0.9", b"")).dropped(DropReason::UnknownProvider);
    let passing = udp([2; 6], [4; 6], "198.18.0.9", "198.18.0.10", b"");
    assert_eq!(net.underlay_sends(&passing).went(&Way::Pass), passing, "not for a VM of this host");
    let others = udp([2; 6], [4; 6], "8.8.8.8", "198.18.0.77", b"");
    assert_eq!(net.underlay_sends(&others).went(&Way::Pass), others);
}

#[test]
fn without_encapsulation_the_whole_mtu_is_the_vms() {
    let net = Net::new();
    let sent = |payload| {
        let mut frame = Vec::new();
        packet(blue(10), blue(9), "10.0.0.9", "10.0.0.10", 64).udp(1, 2).write(&mut frame, &vec![0; payload]).unwrap();
        frame
    };
    net.port_sends(14, &sent(1572)).went(&Way::Plain);
    net.port_sends(14, &sent(1573)).went(&Way::Answer);
}
