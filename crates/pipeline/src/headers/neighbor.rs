//! Neighbor Discovery for IPv6 (RFC 4861).

use super::{part, put};
use crate::address::Address;
use crate::checksum;
use crate::headers::ip;
use crate::packet::Packet;

/// ICMPv6 type of a router solicitation.
pub const ROUTER_SOLICITATION: u8 = 133;
/// ICMPv6 type of a router advertisement.
pub const ROUTER_ADVERTISEMENT: u8 = 134;
/// ICMPv6 type of a neighbor solicitation.
pub const SOLICITATION: u8 = 135;
/// ICMPv6 type of a neighbor advertisement.
pub const ADVERTISEMENT: u8 = 136;
/// ICMPv6 type of a redirect.
pub const REDIRECT: u8 = 137;

/// Offset of the target address in a solicitation or advertisement.
pub const TARGET: usize = 8;
/// Length of a solicitation or advertisement without options.
pub const LEN: usize = 24;
/// Length with one link-layer address option.
pub const LEN_WITH_OPTION: usize = 32;

/// The address that the solicitation or advertisement at `offset` is about.
#[inline(always)]
pub fn target<P: Packet>(packet: &P, offset: usize) -> Option<Address> {
    packet.bytes::<16>(offset + TARGET).map(|octets| Address::read(&octets))
}

/// Whether the solicitation or advertisement at `offset` begins its options with a link-layer address, and that is not
/// `mac`.
#[inline(always)]
pub fn names_another<P: Packet>(packet: &P, offset: usize, mac: &[u8; 6]) -> bool {
    let option = packet.bytes::<8>(offset + LEN).unwrap_or([0; 8]);
    // Source (1) or target (2) link-layer address, one unit of eight bytes (RFC 4861, 4.6.1).
    let [kind, units]: [u8; 2] = part(&option, 0);
    let named: [u8; 6] = part(&option, 2);
    (kind == 1 || kind == 2) && units == 1 && named != *mac
}

/// A neighbor advertisement with the target's link-layer address, its checksum included.
#[inline(always)]
pub fn write_advertisement(
    target: &Address,
    mac: [u8; 6],
    destination: &Address,
    router: bool,
    solicited: bool,
) -> [u8; LEN_WITH_OPTION] {
    let flags = 0x20 | if router { 0x80 } else { 0 } | if solicited { 0x40 } else { 0 };
    let [a, b, c, d, e, f] = mac;
    let head = [ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    let option = [2, 1, a, b, c, d, e, f];
    let sum = checksum::sum(&head)
        + target.sum()
        + checksum::sum(&option)
        + ip::pseudo_sum(target, destination, ip::ICMPV6, LEN_WITH_OPTION as u32);
    let mut bytes = [0; LEN_WITH_OPTION];
    put(&mut bytes, 0, head);
    put(&mut bytes, 2, (!checksum::fold(sum)).to_be_bytes());
    put(&mut bytes, TARGET, target.octets());
    put(&mut bytes, LEN, option);
    bytes
}

/// Whether an address is link-local: fe80::/10.
#[inline(always)]
pub const fn is_link_local(address: &Address) -> bool {
    let [first, ..] = address.words();
    let [a, b, ..] = first.to_ne_bytes();
    a == 0xfe && b & 0xc0 == 0x80
}

/// The link-local address that follows from a MAC address: fe80::/64 with the modified EUI-64 (RFC 4291, appendix A).
#[inline(always)]
pub fn link_local(mac: &[u8; 6]) -> Address {
    let [a, b, c, d, e, f] = *mac;
    Address::from_words([
        u32::from_ne_bytes([0xfe, 0x80, 0, 0]),
        0,
        u32::from_ne_bytes([a ^ 2, b, c, 0xff]),
        u32::from_ne_bytes([0xfe, d, e, f]),
    ])
}

/// Whether an address is a multicast group.
#[inline(always)]
pub const fn is_multicast(address: &Address) -> bool {
    let [first, ..] = address.words();
    let [first, ..] = first.to_ne_bytes();
    first == 0xff
}
