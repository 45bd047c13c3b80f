//! IPv4 (RFC 791) and IPv6 (RFC 8200), read into one shape.

use super::{part, put};
use crate::address::Address;
use crate::checksum;
use crate::packet::Packet;

/// Length of an IPv4 header without options.
pub const V4_LEN: usize = 20;
/// Length of an IPv6 header.
pub const V6_LEN: usize = 40;

/// Protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Protocol number of TCP.
pub const TCP: u8 = 6;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Next header of an IPv6 fragment.
pub const FRAGMENT: u8 = 44;
/// Protocol number of GRE.
pub const GRE: u8 = 47;
/// Next header of ICMPv6.
pub const ICMPV6: u8 = 58;

/// What the pipeline wants to know of an IP header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ip {
    /// IPv4, else IPv6.
    pub v4: bool,
    /// Source.
    pub source: Address,
    /// Destination.
    pub destination: Address,
    /// Type of service or traffic class: DSCP and ECN.
    pub traffic_class: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Protocol of what follows: for IPv6 the next header, extension headers skipped only by
    /// [`super::extension::follow`].
    pub protocol: u8,
    /// The sender forbids fragmentation; always so for IPv6.
    pub dont_fragment: bool,
    /// It is a fragment, the first one included.
    pub fragment: bool,
    /// Offset of what this header, its options and extension headers stand before; of a fragment, of what is a fragment.
    pub payload: u8,
    /// Offset of a fragment in units of 8 bytes.
    pub offset: u16,
    /// Identification of the packet that fragments belong to; of IPv6 if it is a fragment.
    pub identification: u32,
    /// Length of this header in bytes, behind which the transport header begins; 0 if there is none, the packet not being
    /// the first fragment.
    pub transport: u8,
    /// Length of the packet in bytes as its header says, this header included; 0 for one of more than 65,535 bytes.
    pub length: u32,
}

impl Ip {
    /// Reads the IPv4 header at `offset` into this; false if it is truncated or contradicts itself.
    ///
    /// Into a place that is defined already, as all readers here: a value that is built and moved makes the compiler mix
    /// defined and undefined bytes in one register, which the kernel's verifier refuses.
    #[inline(always)]
    pub fn read_v4<P: Packet>(&mut self, packet: &P, offset: usize) -> bool {
        let Some(bytes) = packet.bytes::<V4_LEN>(offset) else { return false };
        let [first, traffic_class, ..] = bytes;
        let header_len = (first & 0x0f) << 2;
        let length = u16::from_be_bytes(part(&bytes, 2));
        if first >> 4 != 4 || header_len < V4_LEN as u8 || (length != 0 && length < header_len as u16) {
            return false;
        }
        let fragment = u16::from_be_bytes(part(&bytes, 6));
        let [ttl, protocol] = part(&bytes, 8);
        self.v4 = true;
        self.source = Address::v4(part(&bytes, 12));
        self.destination = Address::v4(part(&bytes, 16));
        self.traffic_class = traffic_class;
        self.ttl = ttl;
        self.protocol = protocol;
        self.dont_fragment = fragment & 0x4000 != 0;
        self.fragment = fragment & 0x3fff != 0;
        self.payload = header_len;
        self.offset = fragment & 0x1fff;
        self.identification = u16::from_be_bytes(part(&bytes, 4)) as u32;
        self.transport = if fragment & 0x1fff != 0 { 0 } else { header_len };
        self.length = length as u32;
        true
    }

    /// Reads the IPv6 header at `offset` into this; false if it is truncated or not of version 6.
    #[inline(always)]
    pub fn read_v6<P: Packet>(&mut self, packet: &P, offset: usize) -> bool {
        let Some(bytes) = packet.bytes::<V6_LEN>(offset) else { return false };
        let [first, second, _, _, _, _, protocol, ttl, ..] = bytes;
        let payload = u16::from_be_bytes(part(&bytes, 4));
        let source = Address::read(&part(&bytes, 8));
        let destination = Address::read(&part(&bytes, 24));
        // An IPv4-mapped address never stands in a packet (RFC 4291, 2.5.5.2; RFC 4038, 4.2); here it would pass for
        // the IPv4 address itself.
        if first >> 4 != 6 || source.is_v4() || destination.is_v4() {
            return false;
        }
        self.v4 = false;
        self.source = source;
        self.destination = destination;
        self.traffic_class = (first << 4) | (second >> 4);
        self.ttl = ttl;
        self.protocol = protocol;
        self.dont_fragment = true;
        self.fragment = protocol == FRAGMENT;
        self.payload = V6_LEN as u8;
        self.offset = 0;
        self.identification = 0;
        self.transport = V6_LEN as u8;
        self.length = if payload == 0 { 0 } else { payload as u32 + V6_LEN as u32 };
        true
    }

    /// Length of the fixed header.
    #[inline(always)]
    pub const fn header_len(&self) -> usize {
        if self.v4 { V4_LEN } else { V6_LEN }
    }

    /// `N` bytes at `delta` behind the beginning of the transport header, `network` being where this header begins.
    #[inline(always)]
    pub fn transport<const N: usize, P: Packet>(&self, packet: &P, network: usize, delta: usize) -> Option<[u8; N]> {
        // Offsets that are constants are read directly, the others by the slower way.
        match self.transport as usize {
            V4_LEN => packet.bytes::<N>(network + V4_LEN + delta),
            V6_LEN if !self.v4 => packet.bytes::<N>(network + V6_LEN + delta),
            0 => None,
            len => packet.bytes_at::<N>(network + (len & 0xfc) + delta),
        }
    }

    /// Offset of the transport header, `network` being where this header begins; `None` if there is none.
    #[inline(always)]
    pub const fn transport_offset(&self, network: usize) -> Option<usize> {
        match self.transport as usize {
            0 => None,
            len => Some(network + (len & 0xfc)),
        }
    }

    /// Whether the source is the unspecified address.
    #[inline(always)]
    pub fn from_unspecified(&self) -> bool {
        self.source == if self.v4 { Address::UNSPECIFIED_V4 } else { Address::UNSPECIFIED_V6 }
    }

    /// Whether the destination is a multicast group or the limited broadcast.
    #[inline(always)]
    pub fn to_group(&self) -> bool {
        let [first, ..] = self.destination.words();
        let [first, ..] = first.to_ne_bytes();
        let [a, ..] = self.destination.last4();
        if self.v4 { a >= 224 } else { first == 0xff }
    }
}

/// A new IPv4 header without options, its checksum included.
#[inline(always)]
pub fn write_v4(header: &Ip, identification: u16) -> [u8; V4_LEN] {
    let mut bytes = [0; V4_LEN];
    put(&mut bytes, 0, [0x45, header.traffic_class]);
    put(&mut bytes, 2, (header.length as u16).to_be_bytes());
    put(&mut bytes, 4, identification.to_be_bytes());
    put(&mut bytes, 6, [if header.dont_fragment { 0x40 } else { 0 }, 0, header.ttl, header.protocol]);
    put(&mut bytes, 12, header.source.last4());
    put(&mut bytes, 16, header.destination.last4());
    let sum = !checksum::fold(checksum::sum(&bytes));
    put(&mut bytes, 10, sum.to_be_bytes());
    bytes
}

/// A new IPv6 header; `label` is its flow label, 20 bits.
#[inline(always)]
pub fn write_v6(header: &Ip, label: u32) -> [u8; V6_LEN] {
    let mut bytes = [0; V6_LEN];
    let word = (6 << 28) | ((header.traffic_class as u32) << 20) | (label & 0xf_ffff);
    put(&mut bytes, 0, word.to_be_bytes());
    put(&mut bytes, 4, (header.length.wrapping_sub(V6_LEN as u32) as u16).to_be_bytes());
    put(&mut bytes, 6, [header.protocol, header.ttl]);
    put(&mut bytes, 8, header.source.octets());
    put(&mut bytes, 24, header.destination.octets());
    bytes
}

/// Sum of the pseudo header that a checksum of the transport layer covers (RFC 9293, 3.1; RFC 8200, 8.1).
#[inline(always)]
pub fn pseudo_sum(source: &Address, destination: &Address, protocol: u8, length: u32) -> u32 {
    source.sum() + destination.sum() + protocol as u32 + (length >> 16) + (length & 0xffff)
}
