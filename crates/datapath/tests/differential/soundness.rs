//! A sound packet stays sound: whatever is done to it, its lengths and checksums are right afterwards, in the eyes of a
//! parser that is not ours.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use crate::craft;

/// Whether lengths and checksums of a frame are right; of the inner one if it is encapsulated.
pub fn is_sound(frame: &[u8]) -> bool {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else { return false };
    let (number, payload) = match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header().to_header();
            if header.header_checksum != header.calc_header_checksum() {
                return false;
            }
            (ip.payload().ip_number, ip.payload())
        }
        // Without a length there is no payload; the parser takes all that follows for a jumbogram's.
        Some(NetSlice::Ipv6(ip)) if ip.header().payload_length() == 0 => return false,
        Some(NetSlice::Ipv6(ip)) => (ip.payload().ip_number, ip.payload()),
        _ => return true,
    };
    match payload.payload {
        [0x20, 0, 0x65, 0x58, _, _, _, _, inner @ ..] if number == etherparse::IpNumber::GRE => return is_sound(inner),
        _ if payload.fragmented => return true,
        [_, _, 0x12, 0xb5, h, l, 0, 0, _, _, _, _, _, _, _, _, inner @ ..] if number == etherparse::IpNumber::UDP => {
            return usize::from(u16::from_be_bytes([*h, *l])) == inner.len() + 16 && is_sound(inner);
        }
        [_, _, 0x17, 0xc1, h, l, 0, 0, first, _, _, _, _, _, _, _, rest @ ..]
            if number == etherparse::IpNumber::UDP =>
        {
            let inner = rest.get(4 * usize::from(first & 0x3f)..).unwrap_or_default();
            return usize::from(u16::from_be_bytes([*h, *l])) == rest.len() + 16 && is_sound(inner);
        }
        _ => {}
    }
    let transport = packet.transport.as_ref();
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            transport.is_none_or(|transport| transport_v4(transport, from, to))
        }
        Some(NetSlice::Ipv6(ip)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            transport.is_none_or(|transport| transport_v6(transport, from, to))
        }
        _ => true,
    }
}

fn transport_v4(transport: &TransportSlice, from: [u8; 4], to: [u8; 4]) -> bool {
    match transport {
        TransportSlice::Tcp(tcp) => tcp.calc_checksum_ipv4(from, to).is_ok_and(|sum| sum == tcp.checksum()),
        TransportSlice::Udp(udp) => {
            let sum = udp.to_header().calc_checksum_ipv4_raw(from, to, udp.payload());
            udp.checksum() == 0 || sum.is_ok_and(|sum| sum == udp.checksum())
        }
        TransportSlice::Icmpv4(icmp) => craft::checksum(&[icmp.slice()]) == 0,
        _ => true,
    }
}

fn transport_v6(transport: &TransportSlice, from: [u8; 16], to: [u8; 16]) -> bool {
    match transport {
        TransportSlice::Tcp(tcp) => tcp.calc_checksum_ipv6(from, to).is_ok_and(|sum| sum == tcp.checksum()),
        TransportSlice::Udp(udp) => {
            let sum = udp.to_header().calc_checksum_ipv6_raw(from, to, udp.payload());
            udp.checksum() == 0 || sum.is_ok_and(|sum| sum == udp.checksum())
        }
        TransportSlice::Icmpv6(icmp) => icmp.is_checksum_valid(from, to),
        _ => true,
    }
}
