//! Stage "forward": which customer address, in which VM subnet, is it to go to? Follows "answer" from a port.
//!
//! A frame to a VM's MAC address goes to that VM. One to the gateway's MAC address is routed, hop by hop the way that the
//! customer routes of the routing domain say. One to a MAC address that nobody has is led by its customer address, so that
//! a VM with an outdated neighbour table is not cut off.

use crate::headers::icmp::{self, IcmpError};
use crate::headers::ip::{self, Ip};
use crate::packet::Packet;
use crate::stages::parse::Parsed;
use crate::tables::{Address, Port, Record, RecordFlags, RecordKey, RouteFlags, RouteKey, StationKey, Tables};
use crate::verdict::{Answer, Edit, Verdict, Work};
use crate::{DropReason, Stage};

/// The record to go to.
pub struct Hop<'t> {
    /// VSID of the record.
    pub vsid: u32,
    /// The record.
    pub record: &'t Record,
}

/// Finds the record, and notes what changes on the way.
#[inline(always)]
pub fn decide<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    port: &Port,
    work: &mut Work,
    gateway_mac: &[u8; 6],
) -> Result<Hop<'t>, Verdict<'t>> {
    tables.enter(Stage::Forward);
    let Work { parsed, edit } = work;
    if parsed.ethernet.destination == *gateway_mac {
        return match parsed.ip() {
            Some(ip) => route(packet, tables, port, parsed, ip, edit, gateway_mac),
            None => Err(Verdict::Drop(DropReason::ToGateway)),
        };
    }
    let key = StationKey {
        vsid: port.vsid,
        mac: parsed.ethernet.destination,
        reserved: 0,
    };
    if let Some(record) = tables.station(&key) {
        return Ok(Hop { vsid: port.vsid, record });
    }
    let found = match parsed.ip() {
        Some(ip) => find(tables, port.vsid, &ip.destination),
        None => None,
    };
    match found {
        Some(record) if !record.flags.has(RecordFlags::GATEWAY) => {
            *edit = parsed.readdressed(record.mac, parsed.ethernet.source);
            Ok(Hop { vsid: port.vsid, record })
        }
        _ => Err(Verdict::Drop(DropReason::NoRecord)),
    }
}

/// The record of an address, or the wildcard that stands for it.
#[inline(always)]
pub fn find<'t, T: Tables>(tables: &'t T, vsid: u32, address: &Address) -> Option<&'t Record> {
    if let Some(record) = tables.record(&RecordKey {
        vsid,
        address: *address,
    }) {
        return Some(record);
    }
    let any = if address.is_v4() {
        Address::UNSPECIFIED_V4
    } else {
        Address::UNSPECIFIED_V6
    };
    tables.record(&RecordKey { vsid, address: any })
}

/// The record that the customer routes of a routing domain lead to, and its VSID.
#[inline(always)]
pub fn resolve<'t, T: Tables>(tables: &'t T, domain: u32, address: &Address) -> Result<(u32, &'t Record), DropReason> {
    if domain == 0 {
        return Err(DropReason::NoRoute);
    }
    let route = tables
        .route(&RouteKey::exact(domain, *address))
        .ok_or(DropReason::NoRoute)?;
    let next = if route.flags.has(RouteFlags::ON_LINK) {
        *address
    } else {
        route.next_hop
    };
    match find(tables, route.vsid, &next) {
        Some(record) => Ok((route.vsid, record)),
        None => Err(DropReason::NoRecord),
    }
}

/// The distributed router: each host is every subnet's gateway.
#[inline(always)]
fn route<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    port: &Port,
    parsed: &Parsed,
    ip: &Ip,
    edit: &mut Edit,
    gateway_mac: &[u8; 6],
) -> Result<Hop<'t>, Verdict<'t>> {
    // The gateway's own addresses in the port's subnet, its link-local one included, need no route.
    if let Some(record) = tables.record(&RecordKey {
        vsid: port.vsid,
        address: ip.destination,
    }) && record.flags.has(RecordFlags::GATEWAY)
    {
        return Err(at_gateway(packet, parsed, ip));
    }
    if ip.to_group() {
        return Err(Verdict::Drop(DropReason::NoRoute));
    }
    let (vsid, record) = resolve(tables, port.domain, &ip.destination).map_err(Verdict::Drop)?;
    if record.flags.has(RecordFlags::GATEWAY) {
        return Err(at_gateway(packet, parsed, ip));
    }
    if ip.ttl <= 1 {
        return Err(report(packet, tables, port, parsed, ip, IcmpError::TimeExceeded)
            .unwrap_or(Verdict::Drop(DropReason::TtlExceeded)));
    }
    *edit = parsed.routed(record.mac, *gateway_mac);
    Ok(Hop { vsid, record })
}

/// A packet for the gateway itself: echo requests are answered.
#[inline(always)]
fn at_gateway<'t, P: Packet>(packet: &P, parsed: &Parsed, ip: &Ip) -> Verdict<'t> {
    let icmp = ip.protocol == if ip.v4 { ip::ICMP } else { ip::ICMPV6 };
    if icmp
        && !ip.fragment
        && ip
            .transport::<8, P>(packet, parsed.network, 0)
            .is_some_and(|[kind, code, ..]| kind == icmp::echo_request(ip.v4) && code == 0)
    {
        return Verdict::Answer(Answer::Echo);
    }
    Verdict::Drop(DropReason::ToGateway)
}

/// An ICMP error to the sender of a packet, from its gateway; `None` if the rules forbid one (RFC 1122, 3.2.2;
/// RFC 4443, 2.4) or there is no gateway to speak.
#[inline(always)]
pub fn report<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    port: &Port,
    parsed: &Parsed,
    ip: &Ip,
    error: IcmpError,
) -> Option<Verdict<'t>> {
    if ip.from_unspecified() || ip.transport == ip::Transport::Absent || parsed.ethernet.is_group() {
        return None;
    }
    let icmp = ip.protocol == if ip.v4 { ip::ICMP } else { ip::ICMPV6 };
    if icmp {
        let [kind] = ip.transport::<1, P>(packet, parsed.network, 0)?;
        if icmp::is_error(ip.v4, kind) {
            return None;
        }
    }
    let subnet = tables.subnet(port.vsid)?;
    let gateway = if ip.v4 { &subnet.gateway_v4 } else { &subnet.gateway_v6 };
    if *gateway == Address::UNSPECIFIED_V6 {
        return None;
    }
    Some(Verdict::Answer(Answer::Error {
        error,
        gateway,
        length: parsed.length,
    }))
}
