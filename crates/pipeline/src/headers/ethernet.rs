//! Ethernet II (IEEE 802.3), without and with tags.

use super::{ETHERNET_LEN, EthernetWords, mac_of, mac_words, put};
use crate::packet::{Network, Packet};

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// EtherType of an 802.1Q tag.
pub const VLAN: u16 = 0x8100;

/// An Ethernet header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Ethernet {
    /// Destination MAC address.
    pub destination: [u8; 6],
    /// Source MAC address.
    pub source: [u8; 6],
    /// EtherType, or a length if below 0x600.
    pub ethertype: u16,
}

impl Ethernet {
    /// Reads the header at `offset` into this; false if it is truncated.
    #[inline(always)]
    pub fn read<P: Packet>(&mut self, packet: &P, offset: usize) -> bool {
        let Some([d0, d1, d2, s0, s1, s2, ethertype]) = packet.words::<7>(offset) else { return false };
        self.destination = mac_of([d0, d1, d2]);
        self.source = mac_of([s0, s1, s2]);
        self.ethertype = u16::from_be(ethertype);
        true
    }

    /// The header's bytes.
    #[inline(always)]
    pub fn write(&self) -> [u8; ETHERNET_LEN] {
        let mut bytes = [0; ETHERNET_LEN];
        put(&mut bytes, 0, self.destination);
        put(&mut bytes, 6, self.source);
        put(&mut bytes, 12, self.ethertype.to_be_bytes());
        bytes
    }

    /// The header in words.
    #[inline(always)]
    pub fn words(&self) -> EthernetWords {
        let ([d0, d1, d2], [s0, s1, s2]) = (mac_words(&self.destination), mac_words(&self.source));
        [d0, d1, d2, s0, s1, s2, self.ethertype.to_be()]
    }

    /// Whether a VLAN tag follows: 802.1Q, 802.1ad, or the 0x9100 of older double tagging.
    #[inline(always)]
    pub const fn is_tagged(&self) -> bool {
        matches!(self.ethertype, 0x8100 | 0x88a8 | 0x9100)
    }

    /// Whether the destination is a group: multicast or broadcast.
    #[inline(always)]
    pub const fn is_group(&self) -> bool {
        is_group(&self.destination)
    }

    /// Protocol of the payload.
    #[inline(always)]
    pub const fn network(&self) -> Network {
        match self.ethertype {
            IPV4 => Network::V4,
            IPV6 => Network::V6,
            _ => Network::Other,
        }
    }
}

/// Whether a MAC address is a group's (IEEE 802, the I/G bit).
#[inline(always)]
pub const fn is_group(mac: &[u8; 6]) -> bool {
    let [first, ..] = *mac;
    first & 1 == 1
}
