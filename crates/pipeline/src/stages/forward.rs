//! Stage "forward": which customer address, in which VM subnet, is it to go to? Follows "answer" from a port.
//!
//! A frame to a VM's MAC address goes to that VM. One to the gateway's MAC address is routed, hop by hop the way that the
//! customer routes of the routing domain say. One to a MAC address that nobody has is led by its customer address, so that
//! a VM with an outdated neighbour table is not cut off.

use crate::headers::icmp::{self, IcmpError};
use crate::headers::ip::{self, Ip};
use crate::headers::same_mac;
use crate::packet::Packet;
use crate::stages::parse::Parsed;
use crate::tables::{
    Address, Host, HostFlags, Port, Record, RecordFlags, RecordKey, RouteFlags, RouteKey, StationKey, Tables,
};
use crate::verdict::{Action, Answer, Verdict, Work};
use crate::{DropReason, Stage};

/// Finds the record, and notes its VSID and what changes on the way; `None` if the verdict says all.
#[inline(always)]
pub fn decide<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    port: &Port,
    work: &mut Work,
    host: &Host,
    verdict: &mut Verdict<'t>,
) -> Option<&'t Record> {
    tables.enter(Stage::Forward);
    work.vsid = port.vsid;
    let to = work.parsed.ethernet.destination;
    if same_mac(&to, &host.gateway_mac) {
        if host.flags.has(HostFlags::EXTERNAL_ROUTER) {
            verdict.drop(DropReason::NoRecord);
            return None;
        }
        return route(packet, tables, port, work, &host.gateway_mac, verdict);
    }
    let station = tables.station(&StationKey { vsid: port.vsid, mac: to, reserved: 0 });
    if station.is_some() {
        return station;
    }
    let found = match work.parsed.ip() {
        Some(ip) => find(tables, port.vsid, &ip.destination),
        None => None,
    };
    match found {
        Some(record) if !record.flags.has(RecordFlags::GATEWAY) => {
            work.edit.readdress(&work.parsed, record.mac, work.parsed.ethernet.source);
            Some(record)
        }
        _ => {
            verdict.drop(DropReason::NoRecord);
            None
        }
    }
}

/// The record of an address, or the wildcard that stands for it.
#[inline(always)]
pub fn find<'t, T: Tables>(tables: &'t T, vsid: u32, address: &Address) -> Option<&'t Record> {
    if let Some(record) = tables.record(&RecordKey { vsid, address: *address }) {
        return Some(record);
    }
    let any = if address.is_v4() { Address::UNSPECIFIED_V4 } else { Address::UNSPECIFIED_V6 };
    tables.record(&RecordKey { vsid, address: any })
}

/// The record that the customer routes of a routing domain lead to; its VSID, or why there is none, is noted.
#[inline(always)]
pub fn resolve<'t, T: Tables>(
    tables: &'t T,
    domain: u32,
    address: &Address,
    vsid: &mut u32,
    missing: &mut DropReason,
) -> Option<&'t Record> {
    *missing = DropReason::NoRoute;
    if domain == 0 {
        return None;
    }
    let route = tables.route(&RouteKey::exact(domain, *address))?;
    // `::/0` is a prefix of the mapped IPv4 addresses too, so it may have been found for one.
    if route.next_hop.is_v4() != address.is_v4() {
        return None;
    }
    *vsid = route.vsid;
    *missing = DropReason::NoRecord;
    let next = if route.flags.has(RouteFlags::ON_LINK) { address } else { &route.next_hop };
    find(tables, route.vsid, next)
}

/// The distributed router: each host is every subnet's gateway.
#[inline(always)]
fn route<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    port: &Port,
    work: &mut Work,
    gateway_mac: &[u8; 6],
    verdict: &mut Verdict<'t>,
) -> Option<&'t Record> {
    let Work { parsed, edit, vsid, missing, .. } = work;
    let Some(ip) = parsed.ip() else {
        verdict.drop(DropReason::ToGateway);
        return None;
    };
    // The gateway's own addresses in the port's subnet, its link-local one included, need no route.
    if let Some(record) = tables.record(&RecordKey { vsid: port.vsid, address: ip.destination })
        && record.flags.has(RecordFlags::GATEWAY)
    {
        at_gateway(packet, parsed, ip, verdict);
        return None;
    }
    if ip.to_group() {
        verdict.drop(DropReason::NoRoute);
        return None;
    }
    let Some(record) = resolve(tables, port.domain, &ip.destination, vsid, missing) else {
        verdict.drop(*missing);
        return None;
    };
    if record.flags.has(RecordFlags::GATEWAY) {
        at_gateway(packet, parsed, ip, verdict);
        return None;
    }
    if ip.ttl <= 1 {
        if !report(packet, tables, port, parsed, ip, IcmpError::TimeExceeded, verdict) {
            verdict.drop(DropReason::TtlExceeded);
        }
        return None;
    }
    edit.readdress(parsed, record.mac, *gateway_mac);
    edit.routed = true;
    Some(record)
}

/// A packet for the gateway itself: echo requests are answered.
#[inline(always)]
fn at_gateway<P: Packet>(packet: &P, parsed: &Parsed, ip: &Ip, verdict: &mut Verdict) {
    let icmp = ip.protocol == if ip.v4 { ip::ICMP } else { ip::ICMPV6 };
    let request = u16::from_be_bytes([icmp::echo_request(ip.v4), 0]);
    let kind_and_code = match ip.transport::<2, P>(packet, parsed.network as usize, 0) {
        Some(bytes) => u16::from_be_bytes(bytes),
        None => !request,
    };
    if icmp && !ip.fragment && kind_and_code == request {
        verdict.set(Action::Answer(Answer::Echo));
    } else {
        verdict.drop(DropReason::ToGateway);
    }
}

/// An ICMP error to the sender of a packet, from its gateway; false if the rules forbid one (RFC 1122, 3.2.2; RFC 4443,
/// 2.4) or there is no gateway to speak.
#[inline(always)]
pub fn report<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    port: &Port,
    parsed: &Parsed,
    ip: &Ip,
    error: IcmpError,
    verdict: &mut Verdict<'t>,
) -> bool {
    if ip.from_unspecified() || ip.transport == 0 || parsed.ethernet.is_group() {
        return false;
    }
    if ip.protocol == if ip.v4 { ip::ICMP } else { ip::ICMPV6 } {
        match ip.transport::<1, P>(packet, parsed.network as usize, 0) {
            Some([kind]) if !icmp::is_error(ip.v4, kind) => {}
            _ => return false,
        }
    }
    let Some(subnet) = tables.subnet(port.vsid) else { return false };
    let gateway = if ip.v4 { &subnet.gateway_v4 } else { &subnet.gateway_v6 };
    if *gateway == Address::UNSPECIFIED_V6 {
        return false;
    }
    verdict.set(Action::Answer(Answer::Error { error, gateway, length: parsed.length }));
    true
}
