//! Fragments of packets inside of a VM network: what do they belong to? Not a stage of its own: asked by "parse", whether a
//! fragment is sane, and by those that want to know its ports.
//!
//! Only the first fragment of a packet says which ports it has. It is remembered for the others, and how far the fragments
//! of a packet have come, so that none overlaps another: what a firewall has judged cannot be written over behind it
//! (RFC 1858, RFC 3128, RFC 5722).

use crate::DropReason;
use crate::flow::FragmentKey;
use crate::headers::ip::{self, Ip};
use crate::headers::transport;
use crate::policy::Direction;
use crate::stages::probe::{Kind, Probe};
use crate::tables::{Fragmented, Tables};

/// Bytes of a transport header that the first fragment must hold.
#[inline(always)]
const fn header_len(protocol: u8) -> u32 {
    match protocol {
        ip::TCP => transport::TCP_LEN as u32,
        ip::UDP | ip::ICMP | ip::ICMPV6 => transport::UDP_LEN as u32,
        _ => 0,
    }
}

/// Whether a fragment leaves the transport header alone: the first one holds it, and no other begins in it.
#[inline(always)]
pub const fn is_sane(ip: &Ip) -> bool {
    let needed = header_len(ip.protocol);
    if ip.offset == 0 { ip.length >= ip.transport as u32 + needed } else { ip.offset as u32 * 8 >= needed }
}

/// Finds the ports of a fragment, or remembers them of the first one.
#[inline(always)]
pub fn resolve<T: Tables>(
    tables: &T,
    vsid: u32,
    mac: &[u8; 6],
    direction: Direction,
    ip: &Ip,
    probe: &mut Probe,
    key: &mut FragmentKey,
) -> Result<(), DropReason> {
    key.vsid = vsid;
    key.identification = ip.identification;
    key.mac = *mac;
    key.protocol = ip.protocol;
    key.direction = direction as u8;
    key.source = ip.source;
    key.destination = ip.destination;
    let end = ip.offset as u32 * 8 + ip.length.saturating_sub(ip.payload as u32);
    if ip.offset == 0 {
        let single = (probe.kind != Kind::Flow) as u16;
        tables.note_fragment(key, &Fragmented { ports: probe.ports, icmp: probe.icmp, single, end });
        return Ok(());
    }
    let Some(known) = tables.fragment(key) else { return Err(DropReason::FragmentLost) };
    // In the underlay fragments may change places; from a VM's own port they come as they were sent.
    if direction as u32 == Direction::Egress as u32 && (ip.offset as u32 * 8) < known.end {
        return Err(DropReason::FragmentOverlap);
    }
    probe.kind = if known.single == 0 { Kind::Flow } else { Kind::Single };
    probe.ports = known.ports;
    probe.icmp = known.icmp;
    if end > known.end {
        tables.note_fragment(key, &Fragmented { end, ..*known });
    }
    Ok(())
}
