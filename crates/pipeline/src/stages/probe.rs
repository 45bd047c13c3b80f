//! What of a packet matters for its flow. Not a stage: read once, right after "parse".

use crate::flow::FlowKey;
use crate::headers::{icmp, ip};
use crate::packet::Packet;
use crate::policy::Direction;
use crate::stages::parse::Parsed;
use crate::tables::Address;

/// How a packet takes part in flows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u32)]
pub enum Kind {
    /// Not at all: it is no IP packet, or one of the link's own business (Neighbor Discovery, multicast listener reports).
    #[default]
    None,
    /// It belongs to one.
    Flow,
    /// It belongs to none, and is judged by itself.
    Single,
    /// It is an ICMP error, about a packet of a flow perhaps.
    Error,
    /// It is a fragment but the first: the first one says what it belongs to.
    Fragment,
}

/// What of a packet matters for its flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Probe {
    /// How it takes part in flows.
    pub kind: Kind,
    /// Source port in the upper 16 bits, destination port in the lower; of ICMP echo the identifier twice; else 0.
    pub ports: u32,
    /// ICMP: type and code.
    pub icmp: u16,
    /// IP protocol.
    pub protocol: u8,
    /// TCP flags, 0 for other protocols.
    pub flags: u8,
    /// Nothing about the packet is out of the ordinary: no options, no extension headers, no fragment.
    pub plain: bool,
}

/// Type of an IPv4 multicast membership message: a protocol of its own (RFC 3376).
const IGMP: u8 = 2;
/// Protocols whose headers begin with two ports as TCP's and UDP's do: DCCP (RFC 4340), SCTP (RFC 9260), UDP-Lite (RFC 3828).
const DCCP: u8 = 33;
/// See [`DCCP`].
const SCTP: u8 = 132;
/// See [`DCCP`].
const UDP_LITE: u8 = 136;
/// ICMPv6 types of multicast listener discovery, version 1 (RFC 2710).
const LISTENER_FIRST: u8 = 130;
/// See [`LISTENER_FIRST`].
const LISTENER_LAST: u8 = 132;
/// ICMPv6 type of multicast listener reports, version 2 (RFC 3810).
const LISTENER_REPORT: u8 = 143;
/// ICMPv6 types of Neighbor Discovery (RFC 4861).
const NEIGHBOR_FIRST: u8 = 133;
/// See [`NEIGHBOR_FIRST`].
const NEIGHBOR_LAST: u8 = 137;
/// The hop limit without which Neighbor Discovery is not valid: no router has forwarded it (RFC 4861, 6.1, 7.1, 8.1).
const NEIGHBOR_HOPS: u8 = 255;

/// Whether the headers of a protocol begin with a source and a destination port.
#[inline(always)]
pub const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, ip::TCP | ip::UDP | DCCP | SCTP | UDP_LITE)
}

/// Reads a packet that has been parsed.
#[inline(always)]
pub fn read<P: Packet>(packet: &P, parsed: &Parsed, probe: &mut Probe) {
    probe.kind = Kind::None;
    probe.ports = 0;
    probe.icmp = 0;
    probe.flags = 0;
    probe.plain = false;
    let Some(ip) = parsed.ip() else { return };
    let network = parsed.network as usize;
    probe.protocol = ip.protocol;
    probe.plain = ip.transport as usize == ip.header_len() && !ip.fragment;
    if ip.fragment && ip.offset != 0 {
        probe.kind = Kind::Fragment;
        return;
    }
    probe.kind = Kind::Flow;
    if ip.protocol == ip::TCP {
        // What is too short to have flags is judged as what has none.
        if let Some([flags]) = ip.transport::<1, P>(packet, network, 13) {
            probe.flags = flags;
        }
    }
    if probe.plain && matches!(ip.protocol, ip::TCP | ip::UDP) {
        probe.ports = parsed.ports;
    } else if has_ports(ip.protocol) {
        match ip.transport::<4, P>(packet, network, 0) {
            Some(ports) => probe.ports = u32::from_be_bytes(ports),
            None => probe.kind = Kind::Single,
        }
    } else if ip.protocol == if ip.v4 { ip::ICMP } else { ip::ICMPV6 } {
        read_icmp(packet, parsed, probe);
    } else if ip.protocol == IGMP && ip.v4 && parsed.ethernet.is_group() {
        probe.kind = Kind::None;
    }
}

/// Reads ICMP: echo has flows, errors belong to those of others.
#[inline(always)]
fn read_icmp<P: Packet>(packet: &P, parsed: &Parsed, probe: &mut Probe) {
    let Some(ip) = parsed.ip() else { return };
    let Some([kind, code, _, _, a, b]) = ip.transport::<6, P>(packet, parsed.network as usize, 0) else {
        probe.kind = Kind::Single;
        return;
    };
    probe.icmp = u16::from_be_bytes([kind, code]);
    // Only as the link's own business do they pass by the rules: what else has their numbers is for somebody farther away.
    let listener = (LISTENER_FIRST..=LISTENER_LAST).contains(&kind) || kind == LISTENER_REPORT;
    let neighbor = (NEIGHBOR_FIRST..=NEIGHBOR_LAST).contains(&kind) && ip.ttl == NEIGHBOR_HOPS;
    let link = neighbor || (listener && parsed.ethernet.is_group());
    if !ip.v4 && link && !ip.fragment {
        probe.kind = Kind::None;
    } else if icmp::is_error(ip.v4, kind) {
        probe.kind = Kind::Error;
    } else if kind == icmp::echo_request(ip.v4) || kind == icmp::echo_reply(ip.v4) {
        probe.ports = u32::from_be_bytes([a, b, a, b]);
    } else {
        probe.kind = Kind::Single;
    }
}

impl Probe {
    /// Destination port, or ICMP type and code, as the rules of security groups name them.
    #[inline(always)]
    pub const fn service(&self) -> u16 {
        if self.protocol == ip::ICMP || self.protocol == ip::ICMPV6 { self.icmp } else { self.ports as u16 }
    }

    /// Whether this is an ICMP echo reply, which answers and never opens a flow.
    #[inline(always)]
    pub const fn is_echo_reply(&self) -> bool {
        let [kind, _] = self.icmp.to_be_bytes();
        (self.protocol == ip::ICMP && kind == icmp::echo_reply(true))
            || (self.protocol == ip::ICMPV6 && kind == icmp::echo_reply(false))
    }
}

/// Writes the key of a packet's flow at the port of this VSID and MAC address.
#[inline(always)]
pub fn key(
    key: &mut FlowKey,
    vsid: u32,
    mac: &[u8; 6],
    probe: &Probe,
    direction: Direction,
    source: &Address,
    destination: &Address,
) {
    key.vsid = vsid;
    key.mac = *mac;
    key.protocol = probe.protocol;
    key.reserved = 0;
    match direction {
        Direction::Egress => {
            key.ports = probe.ports;
            key.local = *source;
            key.remote = *destination;
        }
        Direction::Ingress => {
            key.ports = probe.ports.rotate_left(16);
            key.local = *destination;
            key.remote = *source;
        }
    }
}

/// The service by which a flow is judged in the direction in which it was opened.
#[inline(always)]
pub const fn service(key: &FlowKey, opener: Direction) -> u16 {
    match (key.protocol, opener) {
        (ip::ICMP, _) => (icmp::echo_request(true) as u16) << 8,
        (ip::ICMPV6, _) => (icmp::echo_request(false) as u16) << 8,
        (_, Direction::Egress) => key.ports as u16,
        (_, Direction::Ingress) => (key.ports >> 16) as u16,
    }
}
