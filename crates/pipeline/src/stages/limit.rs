//! Stage "limit": is there as much bandwidth as it takes? Last stage both ways, where a port or its VM network has a limit.
//!
//! What is counted are frames as they would stand on a wire, their Ethernet headers included and the outer ones not: one
//! that stands for many segments counts as these. Who sends pays first, then who receives; what one limit has let pass and
//! the next has not, the first has counted. Of a frame to a group the sender pays for one.

use crate::headers::{ETHERNET_LEN, transport};
use crate::meter::{Limit, MeterKey, Size};
use crate::packet::{Meta, Packet};
use crate::policy::Direction;
use crate::stages::Stage;
use crate::stages::parse::Parsed;
use crate::tables::{HostFlags, Port, PortFlags, Tables};
use crate::verdict::{Verdict, Work};

/// Whether what was decided stands. Only on hosts with limits are the ports looked up again for it.
#[inline(always)]
pub fn within<P: Packet, T: Tables>(packet: &P, tables: &T, meta: &Meta, work: &Work, verdict: &Verdict) -> bool {
    match tables.host() {
        Some(host) if host.flags.has(HostFlags::LIMITED) && verdict.travels() => {}
        _ => return true,
    }
    // What came by an uplink finds no port there.
    let to = verdict.delivered().unwrap_or(0);
    tables.pay(meta.ifindex, to, size(packet, meta, &work.parsed))
}

/// Whether the ports at these devices have as much left for a frame: the one that it came from, and the one that it goes to;
/// 0, or the interface index of another device, is none.
#[inline(always)]
pub fn pay<T: Tables>(tables: &T, from: u32, to: u32, size: Size) -> bool {
    if let Some(port) = tables.port(from)
        && port.flags.has(PortFlags::LIMITED)
        && !pays(tables, port, Direction::Egress, size)
    {
        return false;
    }
    match tables.port(to) {
        Some(port) if port.flags.has(PortFlags::LIMITED) => pays(tables, port, Direction::Ingress, size),
        _ => true,
    }
}

/// Whether a port's own limit and that of its VM network have as much left. What the VM sends meets its own first, and what
/// it is sent the VM network's.
#[inline(always)]
fn pays<T: Tables>(tables: &T, port: &Port, direction: Direction, size: Size) -> bool {
    tables.enter(Stage::Limit);
    let sends = direction as u32 == Direction::Egress as u32;
    let own = MeterKey::port(port.slot, direction);
    let of_port = if sends { &port.egress } else { &port.ingress };
    if sends && !admit(tables, &own, of_port, size) {
        return false;
    }
    if port.domain != 0
        && let Some(subnet) = tables.subnet(port.vsid)
    {
        let network = MeterKey::network(port.domain, direction);
        let of_network = if sends { &subnet.egress } else { &subnet.ingress };
        if !admit(tables, &network, of_network, size) {
            return false;
        }
    }
    sends || admit(tables, &own, of_port, size)
}

#[inline(always)]
fn admit<T: Tables>(tables: &T, key: &MeterKey, limit: &Limit, size: Size) -> bool {
    !limit.is_set() || tables.admit(key, limit, size)
}

/// What a frame counts for.
#[inline(always)]
fn size<P: Packet>(packet: &P, meta: &Meta, parsed: &Parsed) -> Size {
    let whole = parsed.inner_len(meta.len);
    if meta.segment == 0 {
        return Size { bytes: whole, packets: 1 };
    }
    let headers = match parsed.ip() {
        Some(ip) => {
            let header = transport::segment_header_len(ip, packet, parsed.network as usize).unwrap_or(0);
            ETHERNET_LEN as u32 + ip.header_len() as u32 + header
        }
        // From the wire of a physical network, where nobody reads further than to the Ethernet header.
        None => ETHERNET_LEN as u32,
    };
    let packets = whole.saturating_sub(headers).div_ceil(meta.segment);
    let packets = if packets == 0 { 1 } else { packets };
    Size { bytes: whole + (packets - 1) * headers, packets }
}
