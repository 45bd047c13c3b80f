//! What travels between hosts: every field of NVGRE (RFC 7637) and of the outer headers, sizes, ECN.

mod common;

use common::{BROADCAST, MTU, Net, Way, assert_sound, blue, inner, ip, nvgre, red, syn, udp};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, SlicedPacket, TransportSlice};
use pipeline::apply::{self, Dressed};
use pipeline::stages::flood;
use pipeline::{Buffer, DropReason, Meta};

/// GRE header bytes behind the outer IP header.
fn gre(frame: &[u8]) -> [u8; 8] {
    let at = if frame[12..14] == [0x08, 0x00] { 34 } else { 54 };
    frame[at..at + 8].try_into().unwrap()
}

#[test]
fn over_ipv4_every_field_is_what_the_rfc_says() {
    let sent = udp(blue(7), blue(5), "10.0.0.5", "10.0.0.7", b"hello");
    let frame = Net::new().port_sends(11, &sent).went(&Way::Tunnel(5001));
    // The kernel's neighbour table fills in the MAC addresses; until then they must be no group's.
    assert_eq!((frame[0] & 1, frame[6] & 1, &frame[12..14]), (0, 0, &[0x08, 0x00][..]));
    let outer = Ipv4HeaderSlice::from_slice(&frame[14..]).unwrap().to_header();
    assert_eq!((outer.source, outer.destination), ([192, 168, 4, 11], [192, 168, 4, 22]));
    assert_eq!((outer.protocol.0, outer.time_to_live, outer.header_len()), (47, 64, 20));
    assert!(outer.dont_fragment && !outer.more_fragments && outer.fragment_offset.value() == 0);
    assert_eq!(usize::from(outer.total_len), frame.len() - 14);
    assert_eq!(outer.header_checksum, outer.calc_header_checksum());
    // Key present and nothing else, version 0; Transparent Ethernet Bridging; VSID above the FlowID.
    assert_eq!(gre(&frame)[..4], [0x20, 0x00, 0x65, 0x58]);
    assert_eq!(gre(&frame)[4..7], 5001u32.to_be_bytes()[1..]);
    assert_eq!(inner(&frame), sent);
}

#[test]
fn over_ipv6_every_field_is_what_the_rfc_says() {
    let sent = udp(blue(8), blue(5), "fd00::5", "fd00::8", b"hello");
    let frame = Net::new().port_sends(11, &sent).went(&Way::Tunnel(5001));
    assert_eq!(frame[12..14], [0x86, 0xdd]);
    let outer = Ipv6HeaderSlice::from_slice(&frame[14..]).unwrap().to_header();
    assert_eq!((outer.source, outer.destination), (ip("fd01::11").octets(), ip("fd01::22").octets()));
    assert_eq!((outer.next_header.0, outer.hop_limit), (47, 64));
    assert_eq!(usize::from(outer.payload_length), frame.len() - 14 - 40);
    assert_eq!(gre(&frame)[..7], [0x20, 0x00, 0x65, 0x58, 0, 0x13, 0x89]);
    assert_ne!(outer.flow_label.value(), 0, "the flow label spreads flows (RFC 6438)");
    assert_eq!(inner(&frame), sent);
}

#[test]
fn the_flow_id_spreads_flows_evenly_and_stays_for_one_flow() {
    let net = Net::new();
    let mut seen = [0u32; 256];
    const FLOWS: u32 = 16_384;
    for port in 0..FLOWS as u16 {
        let mut sent = udp(blue(7), blue(5), "10.0.0.5", "10.0.0.7", b"");
        sent[34..36].copy_from_slice(&port.to_be_bytes());
        let frame = net.port_sends(11, &sent).went(&Way::Tunnel(5001));
        seen[usize::from(gre(&frame)[7])] += 1;
        assert_eq!(gre(&net.port_sends(11, &sent).frame), gre(&frame));
    }
    // Chi-squared with 255 degrees of freedom: 99.9 % of even spreads stay below 330.
    let expected = f64::from(FLOWS) / 256.0;
    let chi: f64 = seen.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    assert!(chi < 330.0, "chi-squared is {chi:.0}");
}

#[test]
fn what_was_encapsulated_comes_out_as_it_was() {
    let net = Net::new();
    for (outer, here) in [("192.168.4.22", "192.168.4.11"), ("fd01::22", "fd01::11")] {
        let (mac, number) = if outer.contains(':') { (blue(8), "8") } else { (blue(7), "7") };
        for prefix in ["10.0.0.", "fd00::"] {
            let sent = udp(blue(5), mac, &format!("{prefix}{number}"), &format!("{prefix}5"), b"hello");
            let frame = nvgre(outer, here, 5001, &sent);
            assert_eq!(net.underlay_sends(&frame).went(&Way::Port(11)), sent);
        }
    }
}

#[test]
fn the_same_addresses_in_two_networks_stay_apart() {
    let net = Net::new();
    let blues = udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", b"blue");
    let reds = udp(red(5), red(7), "10.0.0.7", "10.0.0.5", b"red");
    let from = |vsid, inner: &[u8]| net.underlay_sends(&nvgre("192.168.4.22", "192.168.4.11", vsid, inner));
    from(5001, &blues).went(&Way::Port(11));
    from(6001, &reds).went(&Way::Port(21));
    from(5001, &reds).dropped(DropReason::UnknownSource);
    from(6001, &blues).dropped(DropReason::UnknownSource);
}

#[test]
fn what_is_not_nvgre_for_us_is_left_to_the_host() {
    let net = Net::new();
    let sent = udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", b"");
    let good = nvgre("192.168.4.22", "192.168.4.11", 5001, &sent);
    // Checksum, routing, sequence, recursion and version bits; another protocol.
    for (at, value) in [(34, 0xa0), (34, 0x60), (34, 0x30), (34, 0x00), (35, 1), (35, 0x80), (36, 0x08)] {
        let mut frame = good.clone();
        frame[at] = value;
        assert_eq!(net.underlay_sends(&frame).went(&Way::Pass), frame, "byte {at} is {value:#x}");
    }
    for frame in
        [nvgre("192.168.4.22", "192.168.4.99", 5001, &sent), udp([2; 6], [4; 6], "192.168.4.22", "192.168.4.11", b"")]
    {
        assert_eq!(net.underlay_sends(&frame).went(&Way::Pass), frame);
    }
}

#[test]
fn a_frame_of_the_underlays_mtu_fits_and_one_byte_more_does_not() {
    let net = Net::new();
    for (to, destination, limit) in
        [(7, "10.0.0.7", 1558), (7, "fd00::7", 1558), (8, "10.0.0.8", 1538), (8, "fd00::8", 1538)]
    {
        let source = if destination.contains(':') { "fd00::5" } else { "10.0.0.5" };
        let headers = if destination.contains(':') { 48 } else { 28 };
        let fits = udp(blue(to), blue(5), source, destination, &vec![0; limit - headers]);
        let frame = net.port_sends(11, &fits).went(&Way::Tunnel(5001));
        assert_eq!(frame.len() - 14, MTU as usize, "the outer packet to {destination}");
        let more = udp(blue(to), blue(5), source, destination, &vec![0; limit - headers + 1]);
        net.port_sends(11, &more).went(&Way::Answer);
    }
}

#[test]
fn segments_count_and_not_the_frame_that_stands_for_them() {
    let net = Net::new();
    let mut sent = Vec::new();
    let step = common::packet(blue(7), blue(5), "10.0.0.5", "10.0.0.7", 64).tcp(1, 2, 3, 4);
    step.write(&mut sent, &vec![0; 40_000]).unwrap();
    let as_segments = |segment| {
        let meta = Meta { ifindex: 11, len: sent.len() as u32, segment, ..Meta::default() };
        net.port_sends_as(&meta, &sent)
    };
    let frame = as_segments(1558 - 40).went(&Way::Tunnel(5001));
    assert_eq!(frame.len(), sent.len() + 42, "it crosses whole");
    as_segments(1558 - 39).went(&Way::Answer);
}

/// The maximum segment size and the end of the header of the SYN in a frame.
fn mss(frame: &[u8]) -> Option<u16> {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("no TCP") };
    tcp.options_iterator().find_map(|option| match option {
        Ok(etherparse::TcpOptionElement::MaximumSegmentSize(size)) => Some(size),
        _ => None,
    })
}

#[test]
fn a_syn_asks_for_no_more_than_fits() {
    let net = Net::new();
    for (to, destination, limit) in
        [(7, "10.0.0.7", 1558 - 40), (7, "fd00::7", 1558 - 60), (8, "10.0.0.8", 1538 - 40), (8, "fd00::8", 1538 - 60)]
    {
        let source = if destination.contains(':') { "fd00::5" } else { "10.0.0.5" };
        // At an even offset, and at odd ones behind padding.
        for options in [
            &[2, 4, 0x23, 0x28, 1, 3, 3, 7][..],
            &[1, 2, 4, 0x23, 0x28, 1, 1, 1],
            &[1, 1, 2, 4, 0x23, 0x28, 1, 1],
            &[3, 3, 7, 2, 4, 0x23, 0x28, 0],
        ] {
            let sent = syn(blue(to), blue(5), source, destination, options);
            assert_sound(&sent);
            let frame = net.port_sends(11, &sent).went(&Way::Tunnel(5001));
            assert_eq!(mss(inner(&frame)), Some(limit), "{destination}, {options:?}");
            assert_sound(inner(&frame));
            // The other way, as a host would send it that does not clamp.
            let (from, here) = if to == 8 { ("fd01::22", "fd01::11") } else { ("192.168.4.22", "192.168.4.11") };
            let back = nvgre(from, here, 5001, &syn(blue(5), blue(to), destination, source, options));
            let frame = net.underlay_sends(&back).went(&Way::Port(11));
            assert_eq!(mss(&frame), Some(limit), "from {destination}, {options:?}");
            assert_sound(&frame);
        }
    }
}

#[test]
fn a_smaller_maximum_segment_size_and_frames_of_this_host_stay_as_they_are() {
    let net = Net::new();
    let modest = syn(blue(7), blue(5), "10.0.0.5", "10.0.0.7", &[2, 4, 0x05, 0xb4]);
    assert_eq!(inner(&net.port_sends(11, &modest).went(&Way::Tunnel(5001))), modest);
    let local = syn(blue(6), blue(5), "10.0.0.5", "10.0.0.6", &[2, 4, 0x23, 0x28]);
    assert_eq!(net.port_sends(11, &local).went(&Way::Port(12)), local);
}

/// The inner packet's ECN field after encapsulation (the outer one) and after decapsulation: RFC 6040, 4.1 and 4.2.
#[test]
fn congestion_is_told_through_the_tunnel() {
    let net = Net::new();
    for v6 in [false, true] {
        let (source, destination) = if v6 { ("fd00::5", "fd00::7") } else { ("10.0.0.5", "10.0.0.7") };
        for ecn in 0..4u8 {
            let marked = |mut frame: Vec<u8>| {
                if v6 {
                    frame[15] |= ecn << 4;
                } else {
                    frame[15] = ecn;
                    let sum = Ipv4HeaderSlice::from_slice(&frame[14..]).unwrap().to_header().calc_header_checksum();
                    frame[24..26].copy_from_slice(&sum.to_be_bytes());
                }
                frame
            };
            let out = net.port_sends(11, &marked(udp(blue(7), blue(5), source, destination, b"")));
            assert_eq!(out.frame[15], ecn, "the outer field is a copy");
            for outer in 0..4u8 {
                let sent = marked(udp(blue(5), blue(7), destination, source, b""));
                let mut frame = nvgre("192.168.4.22", "192.168.4.11", 5001, &sent);
                frame[15] = outer;
                let done = net.underlay_sends(&frame);
                if outer == 3 && ecn == 0 {
                    done.dropped(DropReason::Congestion);
                    continue;
                }
                let frame = done.went(&Way::Port(11));
                let got = if v6 { frame[15] >> 4 & 3 } else { frame[15] & 3 };
                assert_eq!(got, if outer == 3 { 3 } else { ecn }, "outer {outer}, inner {ecn}");
                assert_sound(&frame);
            }
        }
    }
}

#[test]
fn a_broadcast_is_copied_to_each_port_and_host_once() {
    let net = Net::new();
    let mut sent = vec![0; 60];
    sent[..6].copy_from_slice(&BROADCAST);
    sent[6..12].copy_from_slice(&blue(5));
    sent[12..14].copy_from_slice(&[0x88, 0xb5]);
    let Way::Flood(flood) = net.port_sends(11, &sent).way else { panic!("no flood") };
    let replicas: Vec<_> = (0..flood.to).filter_map(|index| flood::replica(&net, &flood, index)).collect();
    let ports: Vec<u32> = replicas.iter().map(|replica| replica.ifindex).filter(|ifindex| *ifindex != 0).collect();
    assert_eq!(ports, [12, 14], "all ports of the VSID but the sender's");
    let hosts: Vec<_> = replicas.iter().filter(|replica| replica.ifindex == 0).collect();
    assert_eq!(hosts.len(), 2);
    let mut room = vec![0; 200];
    room[..60].copy_from_slice(&sent);
    let mut buffer = Buffer::new(&mut room, 60);
    let mut dressed = Dressed::Bare;
    for (host, overhead) in hosts.into_iter().zip([42, 62]) {
        let peer = flood::peer(&net, &flood, host).unwrap();
        let tunnel = flood::tunnel(&flood, peer, host);
        dressed = apply::dress(&mut buffer, dressed, &tunnel, &ethernet_words(&sent), 60).unwrap();
        assert_eq!(buffer.as_slice().len(), 60 + overhead);
        assert_eq!(gre(buffer.as_slice())[..7], [0x20, 0x00, 0x65, 0x58, 0, 0x13, 0x89]);
        assert_eq!(inner(buffer.as_slice()), sent);
    }
    assert_eq!(dressed, Dressed::V6);
}

/// The Ethernet header in words as they lie in memory.
fn ethernet_words(frame: &[u8]) -> [u16; 7] {
    std::array::from_fn(|word| u16::from_ne_bytes([frame[2 * word], frame[2 * word + 1]]))
}
