//! Stage "origin": did it come from the host that its sender is on? Follows "unwrap" from the uplink.
//!
//! The sender's own host has guarded its sources already; this stage keeps a host, or whoever can send to the underlay,
//! from speaking for the VMs of another.

use crate::encapsulation::Outer;
use crate::headers::arp::Arp;
use crate::headers::ip::{self, Ip};
use crate::headers::neighbor;
use crate::headers::same_mac;
use crate::moves;
use crate::packet::{Meta, Packet};
use crate::paths;
use crate::stages::forward;
use crate::stages::parse::Parsed;
use crate::tables::{Address, Record, RecordFlags, RecordKey, StationKey, Tables};
use crate::verdict::Learn;
use crate::{DropReason, Stage};

/// Lets the inner frame pass, or says why not.
#[inline(always)]
pub fn check<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    meta: &Meta,
    outer: &Outer,
    parsed: &Parsed,
    gateway_mac: &[u8; 6],
) -> Result<(), DropReason> {
    tables.enter(Stage::Origin);
    if let Some(ip) = parsed.ip() {
        if same_mac(&parsed.ethernet.source, gateway_mac) {
            check_nd(packet, tables, outer, parsed, ip, None)?;
            return routed(tables, outer, parsed, &ip.source);
        }
        // The common case is one look-up: the source has a record, and the record agrees.
        if let Some(record) = tables.record(&RecordKey { vsid: outer.vsid, address: ip.source })
            && same_mac(&record.mac, &parsed.ethernet.source)
        {
            at(tables, outer.vsid, record, outer, parsed, true)?;
            return check_nd(packet, tables, outer, parsed, ip, Some(record));
        }
    }
    let key = StationKey { vsid: outer.vsid, mac: parsed.ethernet.source, reserved: 0 };
    let Some(station) = tables.station(&key) else {
        return Err(match tables.subnet(outer.vsid) {
            Some(_) => DropReason::UnknownSource,
            None => DropReason::UnknownSubnet,
        });
    };
    at(tables, outer.vsid, station, outer, parsed, true)?;
    if let Some(ip) = parsed.ip() {
        check_nd(packet, tables, outer, parsed, ip, Some(station))?;
        return ip_of_station(packet, tables, meta, outer, parsed, ip, station);
    }
    match parsed.arp() {
        Some(arp) => arp_of_station(tables, meta, outer, parsed, arp, station),
        None => Ok(()),
    }
}

/// Compares the outer source with where the record of a VM subnet says its VM is; `own` if the frame is that VM's own for sure.
/// What was sent on has been compared by the host that did, and must speak for nobody else all the same.
#[inline(always)]
fn at<T: Tables>(
    tables: &T,
    vsid: u32,
    record: &Record,
    outer: &Outer,
    parsed: &Parsed,
    own: bool,
) -> Result<(), DropReason> {
    let hears = if own { Some(parsed) } else { None };
    if moves::came_from(tables, vsid, record, outer, hears) || moves::was_sent_on(tables, outer, parsed) {
        return Ok(());
    }
    Err(match paths::any(tables, &outer.source) {
        Some(_) => DropReason::WrongProvider,
        None => DropReason::UnknownProvider,
    })
}

/// Neighbor Discovery: nobody speaks for the address or the MAC address of another, only routers for a router, and nothing
/// of it is ever routed (RFC 4861, 7.1), which is what no `sender` means.
#[inline(always)]
fn check_nd<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    outer: &Outer,
    parsed: &Parsed,
    ip: &Ip,
    sender: Option<&Record>,
) -> Result<(), DropReason> {
    if ip.v4 || ip.protocol != ip::ICMPV6 {
        return Ok(());
    }
    if ip.transport == 0 {
        return Ok(());
    }
    let message = parsed.network as usize + ip::V6_LEN;
    let kind = ip.transport::<1, P>(packet, parsed.network as usize, 0);
    let Some([kind]) = kind else { return Err(DropReason::Malformed) };
    if !(neighbor::ROUTER_SOLICITATION..=neighbor::REDIRECT).contains(&kind) {
        return Ok(());
    }
    // Behind extension headers, a fragment header among them, it hides from guards (RFC 6980, RFC 7113).
    if ip.transport as usize != ip::V6_LEN {
        return Err(DropReason::NeighborSpoof);
    }
    let Some(sender) = sender else { return Err(DropReason::NeighborSpoof) };
    if kind == neighbor::ROUTER_ADVERTISEMENT || kind == neighbor::REDIRECT {
        return if sender.flags.has(RecordFlags::FORWARDER) { Ok(()) } else { Err(DropReason::RouterGuard) };
    }
    if kind == neighbor::ROUTER_SOLICITATION {
        return Ok(());
    }
    let Some(target) = neighbor::target(packet, message) else { return Err(DropReason::Malformed) };
    if neighbor::names_another(packet, message, &sender.mac) {
        return Err(DropReason::NeighborSpoof);
    }
    if kind == neighbor::SOLICITATION || target == neighbor::link_local(&sender.mac) {
        return Ok(());
    }
    match tables.record(&RecordKey { vsid: outer.vsid, address: target }) {
        Some(owner) if same_mac(&owner.mac, &sender.mac) => Ok(()),
        None if sender.flags.has(RecordFlags::L2_ONLY) || sender.flags.has(RecordFlags::FORWARDER) => Ok(()),
        _ => Err(DropReason::NeighborSpoof),
    }
}

/// A packet that the sender's host has routed: its source is in another subnet of the routing domain.
#[inline(always)]
fn routed<T: Tables>(tables: &T, outer: &Outer, parsed: &Parsed, source: &Address) -> Result<(), DropReason> {
    let subnet = tables.subnet(outer.vsid).ok_or(DropReason::UnknownSubnet)?;
    let (mut vsid, mut missing) = (0, DropReason::NoRoute);
    match forward::resolve(tables, subnet.domain, source, &mut vsid, &mut missing) {
        // Its source address is no proof of who sent it: a VM that forwards may write any.
        Some(record) => at(tables, vsid, record, outer, parsed, false),
        None => Err(DropReason::UnknownSource),
    }
}

/// An IP packet whose source has no record of the sending MAC address.
#[inline(always)]
fn ip_of_station<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    meta: &Meta,
    outer: &Outer,
    parsed: &Parsed,
    ip: &Ip,
    station: &Record,
) -> Result<(), DropReason> {
    if ip.from_unspecified() || station.flags.has(RecordFlags::FORWARDER) {
        return Ok(());
    }
    if !ip.v4 && ip.source == neighbor::link_local(&station.mac) {
        return Ok(());
    }
    let unknown = tables.record(&RecordKey { vsid: outer.vsid, address: ip.source }).is_none();
    if !unknown || !station.flags.has(RecordFlags::L2_ONLY) {
        return Err(DropReason::SourceAddress);
    }
    // A solicitation, or an advertisement of its own address, tells the address for sure.
    let message = parsed.network as usize + ip::V6_LEN;
    let kind = if ip.protocol == ip::ICMPV6 && !ip.v4 { packet.bytes::<1>(message) } else { None };
    if kind == Some([neighbor::SOLICITATION])
        || kind == Some([neighbor::ADVERTISEMENT]) && neighbor::target(packet, message) == Some(ip.source)
    {
        learn(tables, meta, outer, parsed, ip.source);
    }
    Ok(())
}

/// An ARP message: it must speak for its sender.
#[inline(always)]
fn arp_of_station<T: Tables>(
    tables: &T,
    meta: &Meta,
    outer: &Outer,
    parsed: &Parsed,
    arp: &Arp,
    station: &Record,
) -> Result<(), DropReason> {
    if !same_mac(&arp.sender_mac, &station.mac) {
        return Err(DropReason::NeighborSpoof);
    }
    if arp.sender == [0; 4] {
        return Ok(());
    }
    let address = Address::v4(arp.sender);
    match tables.record(&RecordKey { vsid: outer.vsid, address }) {
        Some(record) if same_mac(&record.mac, &station.mac) => Ok(()),
        None if station.flags.has(RecordFlags::L2_ONLY) => {
            learn(tables, meta, outer, parsed, address);
            Ok(())
        }
        _ if station.flags.has(RecordFlags::FORWARDER) => Ok(()),
        _ => Err(DropReason::NeighborSpoof),
    }
}

#[inline(always)]
fn learn<T: Tables>(tables: &T, meta: &Meta, outer: &Outer, parsed: &Parsed, address: Address) {
    let mac = parsed.ethernet.source;
    tables.learnt(&Learn { ifindex: meta.ifindex, vsid: outer.vsid, address, mac, reserved: 0 });
}
