//! IPv6 extension headers (RFC 8200, section 4): what stands between an IPv6 header and the transport header.
//!
//! They are followed, so that nothing hides behind them from guards and security groups (RFC 7112, RFC 7113).

use super::ip::{FRAGMENT, Ip, V6_LEN};
use crate::packet::Packet;

/// Hop-by-hop options.
pub const HOP_BY_HOP: u8 = 0;
/// Routing.
pub const ROUTING: u8 = 43;
/// Authentication (RFC 4302).
pub const AUTHENTICATION: u8 = 51;
/// Destination options.
pub const DESTINATION: u8 = 60;
/// Mobility (RFC 6275).
pub const MOBILITY: u8 = 135;

/// Most extension headers of one packet: twice as many as any ordinary packet has.
pub const MOST: usize = 4;
/// Most bytes from the beginning of the IPv6 header to the transport header.
const FURTHEST: usize = 240;
/// Routing headers of type 0 let a sender choose the way, and are forbidden (RFC 5095).
const SOURCE_ROUTE: u8 = 0;

/// Where a chain of extension headers leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Chain {
    /// To the transport header, or to a fragment that has none.
    Followed,
    /// Out of the packet.
    Truncated,
    /// Too far, or through a header that nobody may send.
    Forbidden,
}

/// Whether a next header is that of an extension header.
#[inline(always)]
pub const fn is_one(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY)
}

/// Follows the chain behind the IPv6 header at `network`, and notes in `ip` the protocol at its end, where that begins, and
/// what a fragment header says. A call of its own in the kernel, since it is rare.
#[inline(never)]
pub fn follow<P: Packet>(packet: &P, network: usize, ip: &mut Ip) -> Chain {
    let (mut next, mut at) = (ip.protocol, V6_LEN);
    let mut i = 0;
    while i < MOST && is_one(next) {
        i += 1;
        // The offset is bounded by what is checked below; the mask tells the verifier.
        let Some([following, length, third, fourth]) = packet.bytes_at::<4>(network + (at & 0xff)) else {
            return Chain::Truncated;
        };
        if next == ROUTING && third == SOURCE_ROUTE {
            return Chain::Forbidden;
        }
        at += match next {
            FRAGMENT => 8,
            AUTHENTICATION => (length as usize + 2) * 4,
            _ => (length as usize + 1) * 8,
        };
        if next == FRAGMENT {
            let Some(identification) = packet.bytes_at::<4>(network + ((at - 4) & 0xff)) else {
                return Chain::Truncated;
            };
            ip.fragment = true;
            ip.payload = at as u8;
            ip.identification = u32::from_be_bytes(identification);
            ip.offset = u16::from_be_bytes([third, fourth]) >> 3;
        }
        next = following;
        if at > FURTHEST {
            return Chain::Forbidden;
        }
        if ip.offset != 0 {
            break;
        }
    }
    ip.protocol = next;
    if !ip.fragment {
        ip.payload = at as u8;
    }
    ip.transport = if ip.offset != 0 { 0 } else { at as u8 };
    if ip.offset == 0 && is_one(next) { Chain::Forbidden } else { Chain::Followed }
}
