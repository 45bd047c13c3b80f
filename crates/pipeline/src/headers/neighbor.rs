//! Neighbor Discovery for IPv6 (RFC 4861).

use super::put;
use crate::checksum;
use crate::headers::ip;
use crate::packet::Packet;
use crate::address::Address;

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

/// Length of a solicitation or advertisement without options.
pub const LEN: usize = 24;
/// Length with one link-layer address option.
pub const LEN_WITH_OPTION: usize = 32;

/// A solicitation or an advertisement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbor {
    /// The address in question.
    pub target: Address,
    /// The link-layer address of the first option, if that is what it is.
    pub link_layer: Option<[u8; 6]>,
}

impl Neighbor {
    /// Reads the message at `offset`; `None` if it is truncated.
    #[inline(always)]
    pub fn read<P: Packet>(packet: &P, offset: usize) -> Option<Self> {
        let target = Address::new(packet.bytes::<16>(offset + 8)?);
        let link_layer = match packet.bytes::<8>(offset + LEN) {
            // Source (1) or target (2) link-layer address, one unit of eight bytes (RFC 4861, 4.6.1).
            Some([1 | 2, 1, a, b, c, d, e, f]) => Some([a, b, c, d, e, f]),
            _ => None,
        };
        Some(Self { target, link_layer })
    }
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
    let mut bytes = [0; LEN_WITH_OPTION];
    let flags = 0x20 | if router { 0x80 } else { 0 } | if solicited { 0x40 } else { 0 };
    put(&mut bytes, 0, [ADVERTISEMENT, 0, 0, 0, flags]);
    put(&mut bytes, 8, target.octets());
    put(&mut bytes, 24, [2, 1]);
    put(&mut bytes, 26, mac);
    let sum = checksum::sum(&bytes) + ip::pseudo_sum(target, destination, ip::ICMPV6, LEN_WITH_OPTION as u32);
    put(&mut bytes, 2, (!checksum::fold(sum)).to_be_bytes());
    bytes
}

/// The first eight bytes of every link-local address of a host (RFC 4291, 2.5.6).
const LINK_LOCAL: [u8; 8] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0];

/// Whether an address is link-local: fe80::/10.
#[inline(always)]
pub const fn is_link_local(address: &Address) -> bool {
    let [a, b, ..] = address.octets();
    a == 0xfe && b & 0xc0 == 0x80
}

/// The link-local address that follows from a MAC address: fe80::/64 with the modified EUI-64 (RFC 4291, appendix A).
#[inline(always)]
pub fn link_local(mac: &[u8; 6]) -> Address {
    let [a, b, c, d, e, f] = *mac;
    let [w0, w1, w2, w3, w4, w5, w6, w7] = LINK_LOCAL;
    Address::new([w0, w1, w2, w3, w4, w5, w6, w7, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}

/// Whether an address is a multicast group.
#[inline(always)]
pub const fn is_multicast(address: &Address) -> bool {
    let [first, ..] = address.octets();
    first == 0xff
}
