//! TCP (RFC 9293) and UDP (RFC 768): ports, the flow's hash, and the maximum segment size of a SYN.

use super::ip::{self, Ip};
use crate::address::Address;
use crate::checksum;
use crate::packet::Packet;

/// Offset of the checksum in a TCP header.
pub const TCP_CHECKSUM: usize = 16;
/// Offset of the checksum in a UDP header.
pub const UDP_CHECKSUM: usize = 6;
/// Offset of the checksum in an ICMPv6 message.
pub const ICMPV6_CHECKSUM: usize = 2;
/// Length of a TCP header without options.
pub const TCP_LEN: usize = 20;
/// Length of a UDP header.
pub const UDP_LEN: usize = 8;

/// Most TCP options that are looked at for the maximum segment size. Senders put it first or nearly so; forty bytes of
/// options hold at most ten that say something (the rest being padding of one byte).
const MAX_OPTIONS: usize = 10;

/// Source and destination port as one number; 0 where there are none.
#[inline(always)]
pub fn ports<P: Packet>(ip: &Ip, packet: &P, network: usize) -> u32 {
    // Only the first fragment has ports; none is asked for its ports, so that all take the same path.
    if ip.fragment || !matches!(ip.protocol, ip::TCP | ip::UDP) {
        return 0;
    }
    match ip.transport::<4, P>(packet, network, 0) {
        Some(bytes) => u32::from_be_bytes(bytes),
        None => 0,
    }
}

/// A hash of the flow: addresses, protocol and ports. All its bits are well mixed.
///
/// Multiplications by odd constants and shifts in the manner of `lowbias32` (C. Wellons, 2018): a handful of
/// instructions, which is what entropy for the underlay's load balancing may cost.
#[inline(always)]
pub fn flow_hash(ip: &Ip, ports: u32) -> u32 {
    let fold = |address: &Address| {
        let [a, b, c, d] = address.words();
        a ^ b.rotate_left(7) ^ c.rotate_left(13) ^ d.rotate_left(19)
    };
    let mut hash = fold(&ip.source).wrapping_mul(0x9e37_79b1);
    hash ^= fold(&ip.destination).wrapping_mul(0x85eb_ca77).rotate_left(11);
    hash ^= ports.wrapping_mul(0xc2b2_ae3d) ^ ip.protocol as u32;
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x7feb_352d);
    hash ^= hash >> 15;
    hash = hash.wrapping_mul(0x846c_a68b);
    hash ^ (hash >> 16)
}

/// A maximum segment size that must be lowered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Clamp {
    /// Offset of the option's value in the frame; 0 if there is nothing to lower.
    pub offset: u16,
    /// The value to write.
    pub value: u16,
    /// Offset of the TCP checksum in the frame.
    pub checksum: u16,
    /// What the checksum changes by.
    pub difference: u16,
}

/// Whether a packet opens a TCP connection: its maximum segment size may have to be lowered.
#[inline(always)]
pub fn is_syn<P: Packet>(ip: &Ip, packet: &P, network: usize) -> bool {
    const SYN: u8 = 0x02;
    !ip.fragment
        && ip.protocol == ip::TCP
        && matches!(ip.transport::<1, P>(packet, network, 13), Some([flags]) if flags & SYN != 0)
}

/// Notes in `clamp` the change that brings the maximum segment size of a SYN down to `limit` bytes (RFC 9293, 3.7.1);
/// nothing if the packet is no SYN or asks for no more.
#[inline(always)]
pub fn clamp<P: Packet>(ip: &Ip, packet: &P, network: usize, limit: u16, clamp: &mut Clamp) {
    if is_syn(ip, packet, network)
        && let Some(transport) = ip.transport_offset(network)
    {
        clamp_syn(packet, transport, limit, clamp);
    }
}

/// Looks through the options of a SYN whose TCP header is at `transport`.
#[inline(never)]
fn clamp_syn<P: Packet>(packet: &P, transport: usize, limit: u16, clamp: &mut Clamp) {
    const END: u8 = 0;
    const PADDING: u8 = 1;
    const MSS: u8 = 2;
    let Some([data_offset]) = packet.bytes_at::<1>(transport + 12) else { return };
    let header_len = (data_offset >> 4) as u32 * 4;
    let mut at = TCP_LEN as u32;
    let mut i = 0;
    while i < MAX_OPTIONS {
        i += 1;
        if at + 2 > header_len {
            return;
        }
        let offset = transport + (at & 0x3f) as usize;
        let Some([kind, len]) = packet.bytes_at::<2>(offset) else { return };
        if kind == MSS {
            if len != 4 || at + 4 > header_len {
                return;
            }
            let Some(old) = packet.bytes_at::<2>(offset + 2).map(u16::from_be_bytes) else { return };
            if old > limit {
                // A value at an odd offset has its bytes in two words of the sum, which swaps them.
                let (from, to) = if at & 1 == 0 { (old, limit) } else { (old.swap_bytes(), limit.swap_bytes()) };
                clamp.offset = (offset + 2) as u16;
                clamp.value = limit;
                clamp.checksum = (transport + TCP_CHECKSUM) as u16;
                clamp.difference = checksum::difference(from as u32, to as u32);
            }
            return;
        }
        let step = if kind == PADDING { 1 } else { len as u32 };
        if kind == END || step == 0 || (kind != PADDING && step < 2) {
            return;
        }
        at += step;
    }
}

/// Length of the transport header of a packet that stands for many segments; `None` if it has none that we know.
#[inline(always)]
pub fn segment_header_len<P: Packet>(ip: &Ip, packet: &P, network: usize) -> Option<u32> {
    match ip.protocol {
        ip::TCP => {
            let [data_offset] = ip.transport::<1, P>(packet, network, 12)?;
            Some(((data_offset >> 4) << 2) as u32)
        }
        ip::UDP => Some(UDP_LEN as u32),
        _ => None,
    }
}
