//! The encapsulation: how much room it takes, what its headers say, and what is read out of them.
//!
//! This is the one place that knows that NVGRE is what travels between hosts.

use crate::headers::ip::{self, Ip};
use crate::headers::{ETHERNET_LEN, nvgre, put};
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

/// The outer IP header. Its fragmentation is forbidden (RFC 7637, section 4.4), so IPv4 needs no identification
/// (RFC 6864, section 4.1).
#[inline(always)]
fn outer_ip(tunnel: &Tunnel, length: usize) -> Ip {
    let v4 = tunnel.remote.is_v4();
    Ip {
        v4,
        source: tunnel.peer.local,
        destination: *tunnel.remote,
        traffic_class: tunnel.traffic_class,
        ttl: nvgre::OUTER_TTL,
        protocol: ip::GRE,
        dont_fragment: true,
        fragment: false,
        transport: 0,
        length: length as u32,
    }
}

/// The NVGRE header; its FlowID is the upper, best mixed, part of the flow's hash.
#[inline(always)]
fn gre(tunnel: &Tunnel) -> [u8; nvgre::LEN] {
    nvgre::write(tunnel.vsid, (tunnel.hash >> 24) as u8)
}

/// Headers over IPv4 for a frame of `len` bytes whose Ethernet header is `inner`. The outer MAC addresses stay zero: the
/// kernel's neighbour table fills them in.
#[inline(always)]
pub fn header_v4(tunnel: &Tunnel, inner: &[u8; ETHERNET_LEN], len: usize) -> [u8; HEADER_V4] {
    let length = len + ip::V4_LEN + nvgre::LEN;
    let mut bytes = [0; HEADER_V4];
    put(&mut bytes, 12, [0x08, 0x00]);
    put(&mut bytes, ETHERNET_LEN, ip::write_v4(&outer_ip(tunnel, length), 0));
    put(&mut bytes, ETHERNET_LEN + ip::V4_LEN, gre(tunnel));
    put(&mut bytes, HEADER_V4 - ETHERNET_LEN, *inner);
    bytes
}

/// The same over IPv6; the flow label is the flow's hash (RFC 6438).
#[inline(always)]
pub fn header_v6(tunnel: &Tunnel, inner: &[u8; ETHERNET_LEN], len: usize) -> [u8; HEADER_V6] {
    let length = len + ip::V6_LEN + nvgre::LEN;
    let mut bytes = [0; HEADER_V6];
    put(&mut bytes, 12, [0x86, 0xdd]);
    put(&mut bytes, ETHERNET_LEN, ip::write_v6(&outer_ip(tunnel, length), tunnel.hash));
    put(&mut bytes, ETHERNET_LEN + ip::V6_LEN, gre(tunnel));
    put(&mut bytes, HEADER_V6 - ETHERNET_LEN, *inner);
    bytes
}
