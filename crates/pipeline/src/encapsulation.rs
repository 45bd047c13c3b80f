//! The encapsulations: how much room they take, what their headers say, and what is read out of them.
//!
//! Frames travel between hosts in NVGRE, VXLAN or Geneve, as their VM network says. This is the one place that writes
//! outer headers; the stage "unwrap" reads them.

use crate::checksum;
use crate::headers::{ETHERNET_LEN, EthernetWords, Words, ethernet, geneve, halves, ip, nvgre, transport, vxlan};
use crate::verdict::{Strip, Tunnel};

/// ECN field of a packet that met congestion (RFC 3168, section 5).
pub const CONGESTION_EXPERIENCED: u8 = 3;
/// TTL of outer headers; the same that Linux tunnels use by default (`IPDEFTTL`).
const OUTER_TTL: u8 = 64;

/// How the frames of a VM network travel between hosts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u32)]
pub enum Encapsulation {
    /// NVGRE (RFC 7637).
    #[default]
    Nvgre = 0,
    /// VXLAN (RFC 7348).
    Vxlan = 1,
    /// Geneve (RFC 8926).
    Geneve = 2,
}

impl Encapsulation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nvgre, Self::Vxlan, Self::Geneve];

    /// The encapsulation with this number; NVGRE if there is none.
    #[inline(always)]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Vxlan,
            2 => Self::Geneve,
            _ => Self::Nvgre,
        }
    }

    /// Whether it stands on UDP, else on IP itself.
    #[inline(always)]
    pub const fn is_udp(self) -> bool {
        self as u32 != Self::Nvgre as u32
    }

    /// Its name, as it is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nvgre => "NVGRE",
            Self::Vxlan => "VXLAN",
            Self::Geneve => "Geneve",
        }
    }
}

/// Length of the headers before an inner frame: NVGRE over IPv4.
pub const NVGRE_V4: usize = ETHERNET_LEN + ip::V4_LEN + nvgre::LEN + ETHERNET_LEN;
/// NVGRE over IPv6.
pub const NVGRE_V6: usize = ETHERNET_LEN + ip::V6_LEN + nvgre::LEN + ETHERNET_LEN;
/// VXLAN, or Geneve without options, over IPv4.
pub const UDP_V4: usize = ETHERNET_LEN + ip::V4_LEN + UDP_HEADERS + ETHERNET_LEN;
/// VXLAN, or Geneve without options, over IPv6.
pub const UDP_V6: usize = ETHERNET_LEN + ip::V6_LEN + UDP_HEADERS + ETHERNET_LEN;

/// UDP, and the header of VXLAN or Geneve.
const UDP_HEADERS: usize = transport::UDP_LEN + vxlan::LEN;
const _: () = assert!(vxlan::LEN == geneve::LEN);

/// What the outer headers of a received frame say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outer {
    /// VSID.
    pub vsid: u32,
    /// Source: the sending host's provider address.
    pub source: crate::tables::Address,
    /// The encapsulation.
    pub encapsulation: Encapsulation,
    /// The outer header is IPv4, else IPv6.
    pub v4: bool,
    /// The underlay marked congestion.
    pub congestion: bool,
    /// Offset of the inner frame; a byte, so that the verifier sees it bounded.
    pub base: u8,
}

impl Outer {
    /// What is to be taken off the frame.
    #[inline(always)]
    pub const fn strip(&self) -> Strip {
        Strip::outer(self.base, self.encapsulation.is_udp())
    }
}

/// Bytes that encapsulation adds to a frame.
#[inline(always)]
pub const fn room(encapsulation: Encapsulation, v4: bool) -> usize {
    let header = match (encapsulation.is_udp(), v4) {
        (false, true) => NVGRE_V4,
        (false, false) => NVGRE_V6,
        (true, true) => UDP_V4,
        (true, false) => UDP_V6,
    };
    header - ETHERNET_LEN
}

/// Bytes that encapsulation takes of the underlay's MTU: the outer IP header, those of the encapsulation, and the inner
/// Ethernet header.
#[inline(always)]
pub const fn overhead(encapsulation: Encapsulation, v4: bool) -> u32 {
    room(encapsulation, v4) as u32
}

/// The NVGRE header; its FlowID is the upper part of the flow's hash.
#[inline(always)]
fn gre(tunnel: &Tunnel) -> Words<4> {
    nvgre::words(tunnel.vsid, (tunnel.hash >> 24) as u8)
}

/// The UDP header and the VXLAN or Geneve header, with `payload` bytes behind UDP's.
///
/// The source port is entropy of the inner flow in the range of dynamic ports, so that the underlay spreads flows over its
/// paths (RFC 7348, section 5; RFC 8926, section 3.3). There is no checksum, over IPv6 neither (RFC 6935; RFC 6936, section 4): what
/// is in the frame has its own, and the headers before it are checked against lookup records.
#[inline(always)]
fn udp(tunnel: &Tunnel, payload: usize) -> Words<8> {
    const DYNAMIC: u16 = 0xc000;
    let source = DYNAMIC | (tunnel.hash >> 18) as u16;
    let length = length_field(transport::UDP_LEN + payload);
    let (port, [t0, t1, t2, t3]) = match tunnel.encapsulation {
        Encapsulation::Geneve => (geneve::PORT, geneve::words(tunnel.vsid)),
        _ => (vxlan::PORT, vxlan::words(tunnel.vsid)),
    };
    [source.to_be(), port.to_be(), length.to_be(), 0, t0, t1, t2, t3]
}

/// The length field of an outer header; 0 for a packet of more than 65,535 bytes, which stands for many segments (Linux:
/// `iph_set_totlen`, `ipv6_set_payload_len`).
#[inline(always)]
const fn length_field(length: usize) -> u16 {
    if length > u16::MAX as usize { 0 } else { length as u16 }
}

/// An IPv4 header before `payload` bytes. Fragmentation is forbidden (RFC 7637, section 4.4; RFC 7348, section 4.3), so there
/// is no need of an identification (RFC 6864, section 4.1).
#[rustfmt::skip]
#[inline(always)]
fn v4(tunnel: &Tunnel, protocol: u8, payload: usize) -> Words<10> {
    const DONT_FRAGMENT: u16 = 0x4000;
    let length = length_field(payload + ip::V4_LEN);
    let version_and_class = 0x4500 | tunnel.traffic_class as u16;
    let ttl_and_protocol = ((OUTER_TTL as u16) << 8) | protocol as u16;
    let (source, destination) = (&tunnel.peer.local, tunnel.remote);
    let sum = version_and_class as u32 + length as u32 + DONT_FRAGMENT as u32 + ttl_and_protocol as u32
        + source.sum_v4() + destination.sum_v4();
    let checksum = !checksum::fold(sum);
    let [_, _, _, s] = source.words();
    let [_, _, _, d] = destination.words();
    let ([s0, s1], [d0, d1]) = (halves(s), halves(d));
    [
        version_and_class.to_be(), length.to_be(), 0, DONT_FRAGMENT.to_be(), ttl_and_protocol.to_be(), checksum.to_be(),
        s0, s1, d0, d1,
    ]
}

/// An IPv6 header before `payload` bytes; the flow label is the flow's hash (RFC 6438).
#[rustfmt::skip]
#[inline(always)]
fn v6(tunnel: &Tunnel, protocol: u8, payload: usize) -> Words<20> {
    let first = (6 << 28) | ((tunnel.traffic_class as u32) << 20) | (tunnel.hash & 0xf_ffff);
    let next_and_hops = ((protocol as u16) << 8) | OUTER_TTL as u16;
    let [s0, s1, s2, s3] = tunnel.peer.local.words();
    let [d0, d1, d2, d3] = tunnel.remote.words();
    let ([f0, f1], [s0, s1], [s2, s3], [s4, s5], [s6, s7]) =
        (halves(first.to_be()), halves(s0), halves(s1), halves(s2), halves(s3));
    let ([d0, d1], [d2, d3], [d4, d5], [d6, d7]) = (halves(d0), halves(d1), halves(d2), halves(d3));
    [
        f0, f1, length_field(payload).to_be(), next_and_hops.to_be(),
        s0, s1, s2, s3, s4, s5, s6, s7,
        d0, d1, d2, d3, d4, d5, d6, d7,
    ]
}

/// Outer headers for a frame of `len` bytes whose Ethernet header is `inner`: NVGRE over IPv4. The outer MAC addresses are
/// any but a group's, here the inner source's: the kernel's neighbour table fills them in.
#[rustfmt::skip]
#[inline(always)]
pub fn nvgre_v4(tunnel: &Tunnel, inner: &EthernetWords, len: usize) -> Words<{ NVGRE_V4 / 2 }> {
    let [a, b, c, d, e, f, g, h, i, j] = v4(tunnel, ip::GRE, len + nvgre::LEN);
    let [g0, g1, g2, g3] = gre(tunnel);
    let [i0, i1, i2, i3, i4, i5, i6] = *inner;
    [
        i3, i4, i5, i3, i4, i5, ethernet::IPV4.to_be(),
        a, b, c, d, e, f, g, h, i, j,
        g0, g1, g2, g3,
        i0, i1, i2, i3, i4, i5, i6,
    ]
}

/// The same over IPv6.
#[rustfmt::skip]
#[inline(always)]
pub fn nvgre_v6(tunnel: &Tunnel, inner: &EthernetWords, len: usize) -> Words<{ NVGRE_V6 / 2 }> {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = v6(tunnel, ip::GRE, len + nvgre::LEN);
    let [g0, g1, g2, g3] = gre(tunnel);
    let [i0, i1, i2, i3, i4, i5, i6] = *inner;
    [
        i3, i4, i5, i3, i4, i5, ethernet::IPV6.to_be(),
        a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t,
        g0, g1, g2, g3,
        i0, i1, i2, i3, i4, i5, i6,
    ]
}

/// As [`nvgre_v4`], VXLAN or Geneve over IPv4.
#[rustfmt::skip]
#[inline(always)]
pub fn udp_v4(tunnel: &Tunnel, inner: &EthernetWords, len: usize) -> Words<{ UDP_V4 / 2 }> {
    let [a, b, c, d, e, f, g, h, i, j] = v4(tunnel, ip::UDP, len + UDP_HEADERS);
    let [u0, u1, u2, u3, u4, u5, u6, u7] = udp(tunnel, len + vxlan::LEN);
    let [i0, i1, i2, i3, i4, i5, i6] = *inner;
    [
        i3, i4, i5, i3, i4, i5, ethernet::IPV4.to_be(),
        a, b, c, d, e, f, g, h, i, j,
        u0, u1, u2, u3, u4, u5, u6, u7,
        i0, i1, i2, i3, i4, i5, i6,
    ]
}

/// The same over IPv6.
#[rustfmt::skip]
#[inline(always)]
pub fn udp_v6(tunnel: &Tunnel, inner: &EthernetWords, len: usize) -> Words<{ UDP_V6 / 2 }> {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = v6(tunnel, ip::UDP, len + UDP_HEADERS);
    let [u0, u1, u2, u3, u4, u5, u6, u7] = udp(tunnel, len + vxlan::LEN);
    let [i0, i1, i2, i3, i4, i5, i6] = *inner;
    [
        i3, i4, i5, i3, i4, i5, ethernet::IPV6.to_be(),
        a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t,
        u0, u1, u2, u3, u4, u5, u6, u7,
        i0, i1, i2, i3, i4, i5, i6,
    ]
}
