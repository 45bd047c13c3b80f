//! A VM that has moved here: what its old host sends on reaches it, and says no more than if it had come by itself.

mod common;

use common::{Mac, Net, Way, blue, ip, nvgre, udp};
use pipeline::moves::{Move, MoveFlags};
use pipeline::{DropReason, Record, RecordFlags, RecordKey, StationKey};

const PA: &str = "192.168.4.11";
/// Where Blue 6 has come from, and Blue 7 is not.
const OLD: &str = "192.168.4.33";
const BLUE6: u32 = 12;

/// The network in which Blue 6 has just come to this host.
fn net() -> Net {
    let mut net = Net::new();
    let station = StationKey { vsid: 5001, mac: blue(6), reserved: 0 };
    let here = Record { flags: RecordFlags::LOCAL.with(RecordFlags::MOVES), ..net.stations[&station] };
    let there = Record { provider: ip(OLD), ifindex: 0, flags: RecordFlags::MOVES, ..here };
    net.stations.insert(station, here);
    for address in ["10.0.0.6", "fd00::6"] {
        net.records.insert(RecordKey { vsid: 5001, address: ip(address) }, here);
    }
    net.moves.insert(station, Move { there, here, flags: MoveFlags::FROM });
    net
}

/// A frame that its old host sends on.
fn sent_on(inner: &[u8]) -> Vec<u8> {
    nvgre(OLD, PA, 5001, inner)
}

/// An ARP reply of Blue 7's.
fn arp(to: Mac, sender: Mac, address: &str) -> Vec<u8> {
    let mut frame = [&to[..], &blue(7), &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2], &sender].concat();
    frame.extend(ip(address).last4());
    frame.extend(to);
    frame.extend([10, 0, 0, 6]);
    frame
}

#[test]
fn what_was_sent_on_reaches_the_vm_that_has_moved() {
    let net = net();
    let frame = udp(blue(6), blue(7), "10.0.0.7", "10.0.0.6", b"late");
    assert_eq!(net.underlay_sends(&sent_on(&frame)).went(&Way::Port(BLUE6)), frame);
    net.underlay_sends(&sent_on(&arp(blue(6), blue(7), "10.0.0.7"))).went(&Way::Port(BLUE6));
}

#[test]
fn what_was_sent_on_speaks_for_nobody_else() {
    let net = net();
    let spoof = arp(blue(6), blue(8), "10.0.0.8");
    net.underlay_sends(&sent_on(&spoof)).dropped(DropReason::NeighborSpoof);
    let spoof = arp(blue(6), blue(7), "10.0.0.8");
    net.underlay_sends(&sent_on(&spoof)).dropped(DropReason::NeighborSpoof);
    let spoof = udp(blue(6), blue(7), "10.0.0.8", "10.0.0.6", b"");
    net.underlay_sends(&sent_on(&spoof)).dropped(DropReason::SourceAddress);
    let stranger = udp(blue(6), blue(99), "10.0.0.99", "10.0.0.6", b"");
    net.underlay_sends(&sent_on(&stranger)).dropped(DropReason::UnknownSource);
}

#[test]
fn nothing_is_sent_on_to_a_vm_that_has_not_moved() {
    let net = net();
    let frame = udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", b"");
    net.underlay_sends(&sent_on(&frame)).dropped(DropReason::UnknownProvider);
}
