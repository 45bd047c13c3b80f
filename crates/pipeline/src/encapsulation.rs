//! The encapsulation: how much room it takes, what its headers say, and what is read out of them.
//!
//! This is the one place that knows that NVGRE is what travels between hosts.

use crate::checksum;
use crate::headers::{ETHERNET_LEN, EthernetWords, Words, ethernet, halves, ip, nvgre};
use crate::verdict::Tunnel;

/// ECN field of a packet that met congestion (RFC 3168, section 5).
pub const CONGESTION_EXPERIENCED: u8 = 3;

/// Length of the headers before an inner frame, with an outer IPv4 header.
pub const HEADER_V4: usize = ETHERNET_LEN + ip::V4_LEN + nvgre::LEN + ETHERNET_LEN;
/// The same with an outer IPv6 header.
pub const HEADER_V6: usize = ETHERNET_LEN + ip::V6_LEN + nvgre::LEN + ETHERNET_LEN;

/// What the outer headers of a received frame say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outer {
    /// VSID.
    pub vsid: u32,
    /// Source: the sending host's provider address.
    pub source: crate::tables::Address,
    /// The outer header is IPv4, else IPv6.
    pub v4: bool,
    /// The underlay marked congestion.
    pub congestion: bool,
}

/// Bytes that encapsulation adds to a frame.
#[inline(always)]
pub const fn room(v4: bool) -> usize {
    if v4 { HEADER_V4 - ETHERNET_LEN } else { HEADER_V6 - ETHERNET_LEN }
}

/// Bytes that encapsulation takes of the underlay's MTU: the outer IP header, GRE, and the inner Ethernet header.
#[inline(always)]
pub const fn overhead(v4: bool) -> u32 {
    room(v4) as u32
}

/// Words of [`HEADER_V4`].
pub const WORDS_V4: usize = HEADER_V4 / 2;
/// Words of [`HEADER_V6`].
pub const WORDS_V6: usize = HEADER_V6 / 2;

/// The NVGRE header; its FlowID is the upper, best mixed, part of the flow's hash.
#[inline(always)]
fn gre(tunnel: &Tunnel) -> Words<4> {
    nvgre::words(tunnel.vsid, (tunnel.hash >> 24) as u8)
}

/// The length field of an outer header; 0 for a packet of more than 65,535 bytes, which stands for many segments (Linux:
/// `iph_set_totlen`, `ipv6_set_payload_len`).
#[inline(always)]
const fn length_field(length: usize) -> u16 {
    if length > u16::MAX as usize { 0 } else { length as u16 }
}

/// Headers over IPv4 for a frame of `len` bytes whose Ethernet header is `inner`. The outer MAC addresses are
/// any but a group's, here the inner source's: the kernel's neighbour table fills them in. Fragmentation is forbidden (RFC 7637, section 4.4), so there is no need of an
/// identification (RFC 6864, section 4.1).
#[rustfmt::skip]
#[inline(always)]
pub fn header_v4(tunnel: &Tunnel, inner: &EthernetWords, len: usize) -> Words<WORDS_V4> {
    const DONT_FRAGMENT: u16 = 0x4000;
    let length = length_field(len + ip::V4_LEN + nvgre::LEN);
    let version_and_class = 0x4500 | tunnel.traffic_class as u16;
    let ttl_and_protocol = ((nvgre::OUTER_TTL as u16) << 8) | ip::GRE as u16;
    let (source, destination) = (&tunnel.peer.local, tunnel.remote);
    let sum = version_and_class as u32 + length as u32 + DONT_FRAGMENT as u32 + ttl_and_protocol as u32
        + source.sum_v4() + destination.sum_v4();
    let checksum = !checksum::fold(sum);
    let [_, _, _, s] = source.words();
    let [_, _, _, d] = destination.words();
    let ([s0, s1], [d0, d1]) = (halves(s), halves(d));
    let [g0, g1, g2, g3] = gre(tunnel);
    let [i0, i1, i2, i3, i4, i5, i6] = *inner;
    [
        i3, i4, i5, i3, i4, i5, ethernet::IPV4.to_be(),
        version_and_class.to_be(), length.to_be(), 0, DONT_FRAGMENT.to_be(), ttl_and_protocol.to_be(), checksum.to_be(),
        s0, s1, d0, d1,
        g0, g1, g2, g3,
        i0, i1, i2, i3, i4, i5, i6,
    ]
}

/// The same over IPv6; the flow label is the flow's hash (RFC 6438).
#[rustfmt::skip]
#[inline(always)]
pub fn header_v6(tunnel: &Tunnel, inner: &EthernetWords, len: usize) -> Words<WORDS_V6> {
    let payload = length_field(len + nvgre::LEN);
    let first = (6 << 28) | ((tunnel.traffic_class as u32) << 20) | (tunnel.hash & 0xf_ffff);
    let next_and_hops = ((ip::GRE as u16) << 8) | nvgre::OUTER_TTL as u16;
    let [s0, s1, s2, s3] = tunnel.peer.local.words();
    let [d0, d1, d2, d3] = tunnel.remote.words();
    let ([f0, f1], [s0, s1], [s2, s3], [s4, s5], [s6, s7]) =
        (halves(first.to_be()), halves(s0), halves(s1), halves(s2), halves(s3));
    let ([d0, d1], [d2, d3], [d4, d5], [d6, d7]) = (halves(d0), halves(d1), halves(d2), halves(d3));
    let [g0, g1, g2, g3] = gre(tunnel);
    let [i0, i1, i2, i3, i4, i5, i6] = *inner;
    [
        i3, i4, i5, i3, i4, i5, ethernet::IPV6.to_be(),
        f0, f1, payload.to_be(), next_and_hops.to_be(),
        s0, s1, s2, s3, s4, s5, s6, s7,
        d0, d1, d2, d3, d4, d5, d6, d7,
        g0, g1, g2, g3,
        i0, i1, i2, i3, i4, i5, i6,
    ]
}
