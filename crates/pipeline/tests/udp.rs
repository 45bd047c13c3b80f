//! VXLAN (RFC 7348) and Geneve (RFC 8926): what is taken of them, and when.

mod common;

use common::{Net, Way, blue, packet, udp};
use pipeline::{DropReason, HostFlags};

/// A frame of another host: UDP to a port, and in it a header and the inner frame.
fn tunnelled(from: &str, to: &str, port: u16, header: &[u8], inner: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let step = packet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], from, to, 64).udp(50_000, port);
    step.write(&mut frame, &[header, inner].concat()).expect("a datagram");
    frame
}

/// The network, with or without VM networks in either encapsulation.
fn net(flags: HostFlags) -> Net {
    let mut net = Net::new();
    if let Some(host) = &mut net.host {
        host.flags = host.flags.with(flags);
    }
    net
}

const VXLAN: [u8; 8] = [8, 0, 0, 0, 0, 0x13, 0x89, 0];
const GENEVE: [u8; 8] = [0, 0, 0x65, 0x58, 0, 0x13, 0x89, 0];

#[test]
fn both_are_taken_over_both_families_where_the_host_has_such_networks() {
    for (port, header, flag) in [(4789, VXLAN, HostFlags::VXLAN), (6081, GENEVE, HostFlags::GENEVE)] {
        for (from, to, mac, number) in
            [("192.168.4.22", "192.168.4.11", blue(7), 7), ("fd01::22", "fd01::11", blue(8), 8)]
        {
            for prefix in ["10.0.0.", "fd00::"] {
                let inner = udp(blue(5), mac, &format!("{prefix}{number}"), &format!("{prefix}5"), b"hello");
                let frame = tunnelled(from, to, port, &header, &inner);
                assert_eq!(net(flag).underlay_sends(&frame).went(&Way::Port(11)), inner);
                // Elsewhere they are the host's own business.
                assert_eq!(net(HostFlags::NONE).underlay_sends(&frame).went(&Way::Pass), frame);
            }
        }
    }
}

#[test]
fn a_vxlan_header_must_name_a_network_and_all_else_in_it_is_ignored() {
    let inner = udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", b"");
    let sent = |header: [u8; 8]| {
        net(HostFlags::VXLAN).underlay_sends(&tunnelled("192.168.4.22", "192.168.4.11", 4789, &header, &inner))
    };
    sent([0xff, 1, 2, 3, 0, 0x13, 0x89, 9]).went(&Way::Port(11));
    sent([0xf7, 0, 0, 0, 0, 0x13, 0x89, 0]).went(&Way::Pass);
}

#[test]
fn options_of_geneve_are_skipped_unless_they_must_be_understood() {
    let inner = udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", b"hello");
    let sent = |first: u8, flags: u8, options: usize| {
        let mut header = GENEVE.to_vec();
        (header[0], header[1]) = (first, flags);
        header.extend(vec![0x5a; options]);
        net(HostFlags::GENEVE).underlay_sends(&tunnelled("192.168.4.22", "192.168.4.11", 6081, &header, &inner))
    };
    for words in [0, 1, 31, 32] {
        assert_eq!(sent(words, 0, 4 * usize::from(words)).went(&Way::Port(11)), inner, "{words} words of options");
    }
    sent(33, 0, 4 * 33).dropped(DropReason::GeneveOption);
    sent(1, 0x40, 4).dropped(DropReason::GeneveOption);
    sent(0, 0x80, 0).dropped(DropReason::GeneveOption);
    // Another version, and another protocol, are not ours.
    sent(0x40, 0, 0).went(&Way::Pass);
}

#[test]
fn the_first_fragment_says_that_the_underlay_is_too_narrow() {
    let inner = udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", b"");
    let mut frame = tunnelled("192.168.4.22", "192.168.4.11", 4789, &VXLAN, &inner);
    frame[20..22].copy_from_slice(&[0x20, 0]);
    net(HostFlags::VXLAN).underlay_sends(&frame).dropped(DropReason::OuterFragment);
    // The others have no port, and the host never gets to put them together.
    frame[20..22].copy_from_slice(&[0, 9]);
    net(HostFlags::VXLAN).underlay_sends(&frame).went(&Way::Pass);
}
