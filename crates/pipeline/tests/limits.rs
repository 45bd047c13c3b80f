//! Rate limits: whose are asked, in which order, and what a frame counts for.

mod common;

use common::{GATEWAY, Net, Way, blue, nvgre, packet, udp};
use pipeline::meter::{Limit, MeterKey, Size};
use pipeline::policy::Direction::{Egress, Ingress};
use pipeline::{DropReason, HostFlags, Meta, PortFlags};

/// A limit that is told apart by its number.
const fn limit(number: u32) -> Limit {
    Limit { bandwidth: number, burst: 1, packets: 0, packet_burst: 0 }
}

/// The network where ports 11 and 12 and their VM subnet have limits both ways.
fn limited() -> Net {
    let mut net = Net::new();
    if let Some(host) = &mut net.host {
        host.flags = host.flags.with(HostFlags::LIMITED);
    }
    for (ifindex, port) in &mut net.ports {
        if matches!(ifindex, 11 | 12) {
            port.flags = port.flags.with(PortFlags::LIMITED);
            (port.egress, port.ingress) = (limit(ifindex * 10), limit(ifindex * 10 + 1));
        }
    }
    net.subnets.entry(5001).and_modify(|subnet| (subnet.egress, subnet.ingress) = (limit(1), limit(2)));
    net
}

/// Which meters were asked since the last time, by which limit.
fn asked(net: &Net) -> Vec<(MeterKey, u32)> {
    net.metered.take().into_iter().map(|(key, limit, _)| (key, limit.bandwidth)).collect()
}

#[test]
fn who_sends_pays_before_who_receives_and_the_own_limit_is_the_next_to_the_vm() {
    let net = limited();
    let (own, domain) = (MeterKey::port, MeterKey::network);
    net.port_sends(11, &udp(blue(6), blue(5), "10.0.0.5", "10.0.0.6", b"")).went(&Way::Port(12));
    let sent = [(own(11, Egress), 110), (domain(1, Egress), 1)];
    let received = [(domain(1, Ingress), 2), (own(12, Ingress), 121)];
    assert_eq!(asked(&net), [sent, received].concat());
    net.port_sends(11, &udp(blue(7), blue(5), "10.0.0.5", "10.0.0.7", b"")).went(&Way::Tunnel(5001));
    assert_eq!(asked(&net), sent);
    let inner = udp(blue(6), blue(7), "10.0.0.7", "10.0.0.6", b"");
    net.underlay_sends(&nvgre("192.168.4.22", "192.168.4.11", 5001, &inner)).went(&Way::Port(12));
    assert_eq!(asked(&net), received);
    // What the host answers costs nothing, and where nobody has a limit none is asked.
    net.port_sends(11, &common::echo(GATEWAY, blue(5), "10.0.0.5", "10.0.0.1", b"")).went(&Way::Answer);
    net.port_sends(21, &udp(common::red(7), common::red(5), "10.0.0.5", "10.0.0.7", b"")).went(&Way::Tunnel(6001));
    assert_eq!(asked(&net), []);
}

#[test]
fn what_is_more_than_the_limit_is_dropped() {
    let net = Net { admit: false, ..limited() };
    net.port_sends(11, &udp(blue(7), blue(5), "10.0.0.5", "10.0.0.7", b"")).dropped(DropReason::RateLimit);
    assert_eq!(asked(&net).len(), 1, "the first refusal is the last question");
    let mut free = limited();
    free.admit = false;
    free.host.as_mut().expect("a host").flags = HostFlags::NONE;
    free.port_sends(11, &udp(blue(7), blue(5), "10.0.0.5", "10.0.0.7", b"")).went(&Way::Tunnel(5001));
}

#[test]
fn a_frame_counts_as_the_segments_that_it_stands_for() {
    let net = limited();
    let size = |net: &Net| net.metered.take().first().map(|(_, _, size)| *size).expect("a limit was asked");
    let mut frame = Vec::new();
    let step = packet(blue(7), blue(5), "10.0.0.5", "10.0.0.7", 64).tcp(40_000, 443, 1, 64_000);
    step.write(&mut frame, &[7; 3500]).expect("a segment");
    let meta = Meta { ifindex: 11, len: frame.len() as u32, segment: 1000, ..Meta::default() };
    net.port_sends_as(&meta, &frame).went(&Way::Tunnel(5001));
    assert_eq!(size(&net), Size { bytes: 3500 + 4 * 54, packets: 4 });
    net.port_sends(11, &udp(blue(7), blue(5), "10.0.0.5", "10.0.0.7", &[7; 900])).went(&Way::Tunnel(5001));
    assert_eq!(size(&net), Size { bytes: 942, packets: 1 });
    // The outer header counts for nothing.
    let mut frame = Vec::new();
    let step = packet(blue(5), blue(7), "fd00::7", "fd00::5", 64).tcp(40_000, 443, 1, 64_000);
    step.write(&mut frame, &[7; 2000]).expect("a segment");
    let whole = nvgre("192.168.4.22", "192.168.4.11", 5001, &frame);
    let meta = Meta { ifindex: common::UPLINK, len: whole.len() as u32, segment: 1000, ..Meta::default() };
    net.underlay_sends_as(&meta, &whole).went(&Way::Port(11));
    assert_eq!(size(&net), Size { bytes: 2000 + 2 * 74, packets: 2 });
}
