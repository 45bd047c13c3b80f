//! Stage "unwrap": is it an encapsulated packet for this host? First stage from the uplink.
//!
//! What is not ours goes on to the host's stack untouched: the host's own traffic, and other uses of GRE and of UDP. VXLAN
//! and Geneve are ours only on a host that has VM networks of that encapsulation, since a host may run an overlay of its
//! own. Which of the encapsulations a packet of a VM network comes in does not matter: while a VM network changes its
//! encapsulation, some hosts send the one and some the other. What comes in an encapsulation before this host has heard of
//! its first VM network in it is lost.

use crate::encapsulation::{self, Encapsulation, Outer};
use crate::headers::ip::{self, Ip};
use crate::headers::{ETHERNET_LEN, ethernet, geneve, nvgre, transport, vxlan};
use crate::packet::{Meta, Packet};
use crate::paths;
use crate::tables::{HostFlags, Tables};
use crate::verdict::{Action, Verdict, Work};
use crate::{DropReason, Stage};

/// Offset of the EtherType.
const ETHERTYPE: usize = 12;
/// Length of an IPv6 fragment header (RFC 8200, section 4.5).
const FRAGMENT_LEN: usize = 8;
/// Offset of the destination port in a UDP header.
const DESTINATION_PORT: usize = 2;

/// What the outer headers say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Outcome {
    /// The journey ends here; the verdict says how.
    Done,
    /// An encapsulated frame for us; `outer` of the [`Work`] says more.
    Encapsulated,
    /// An unencapsulated packet that may stand for one of a VM's.
    Plain,
}

/// Looks at the outer headers, and notes what they say. The verdict is to pass unless something else is found.
#[inline(always)]
pub fn decide<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) -> Outcome {
    tables.enter(Stage::Unwrap);
    verdict.set(Action::Pass);
    // A tag beside the frame makes it another network's, which has a device of its own.
    if meta.vlan {
        return Outcome::Done;
    }
    let Work { outer_ip: ip, outer, .. } = work;
    let readable = match packet.bytes::<2>(ETHERTYPE).map(u16::from_be_bytes) {
        Some(ethernet::IPV4) => ip.read_v4(packet, ETHERNET_LEN),
        Some(ethernet::IPV6) => ip.read_v6(packet, ETHERNET_LEN),
        _ => false,
    };
    if !readable {
        return Outcome::Done;
    }
    if meta.relayed {
        match paths::choose(tables, &ip.destination, entropy(packet, ip)) {
            Some(peer) => verdict.set(Action::Relay { peer }),
            None => verdict.drop(DropReason::RelayFailed),
        }
        return Outcome::Done;
    }
    let flags = match tables.host() {
        Some(host) => host.flags,
        None => HostFlags::NONE,
    };
    if let Some(encapsulation) = travels(packet, ip, flags)
        && tables.provider(&ip.destination).is_some()
    {
        match open(packet, encapsulation, ip, outer) {
            Ok(true) => return Outcome::Encapsulated,
            Ok(false) => {}
            Err(reason) => {
                verdict.drop(reason);
                return Outcome::Done;
            }
        }
    }
    if flags.has(HostFlags::PLAIN) && tables.plain(&ip.destination).is_some() {
        return Outcome::Plain;
    }
    Outcome::Done
}

/// The upper part of the flow's hash out of the outer headers of a frame of our own, so far as they have it: a FlowID, or a
/// source port.
#[inline(always)]
fn entropy<P: Packet>(packet: &P, ip: &Ip) -> u32 {
    let [high, low] = match ip.protocol {
        ip::GRE => ip.transport::<2, P>(packet, ETHERNET_LEN, nvgre::LEN - 1),
        ip::UDP => ip.transport::<2, P>(packet, ETHERNET_LEN, 0),
        _ => None,
    }
    .unwrap_or_default();
    if ip.protocol == ip::GRE { (high as u32) << 24 } else { (u16::from_be_bytes([high, low]) as u32) << 18 }
}

/// The encapsulation that a packet may be of, as far as its IP header and its UDP port say. Of the fragments of a packet
/// over UDP only the first one has a port; the others are left to the host, which never gets to put them together.
#[inline(always)]
fn travels<P: Packet>(packet: &P, ip: &Ip, flags: HostFlags) -> Option<Encapsulation> {
    let (mut protocol, mut delta) = (ip.protocol, 0);
    let mut first = true;
    if protocol == ip::FRAGMENT && !ip.v4 {
        let [next, _, high, low] = packet.bytes::<4>(ETHERNET_LEN + ip::V6_LEN)?;
        protocol = next;
        delta = FRAGMENT_LEN;
        first = u16::from_be_bytes([high, low]) & 0xfff8 == 0;
    }
    if protocol == ip::GRE {
        return Some(Encapsulation::Nvgre);
    }
    if protocol != ip::UDP || !first || !(flags.has(HostFlags::VXLAN) || flags.has(HostFlags::GENEVE)) {
        return None;
    }
    let port = match delta {
        FRAGMENT_LEN => packet.bytes::<2>(ETHERNET_LEN + ip::V6_LEN + FRAGMENT_LEN + DESTINATION_PORT)?,
        _ => ip.transport::<2, P>(packet, ETHERNET_LEN, DESTINATION_PORT)?,
    };
    match u16::from_be_bytes(port) {
        vxlan::PORT if flags.has(HostFlags::VXLAN) => Some(Encapsulation::Vxlan),
        geneve::PORT if flags.has(HostFlags::GENEVE) => Some(Encapsulation::Geneve),
        _ => None,
    }
}

/// Reads the header of an encapsulation; false if it is none of ours.
///
/// UDP's checksum is not looked at, neither whether there is one: the inner packet has its own, and what the outer headers
/// say is checked against lookup records (RFC 7348, section 5, leaves it to the receiver).
#[inline(always)]
fn open<P: Packet>(packet: &P, encapsulation: Encapsulation, ip: &Ip, outer: &mut Outer) -> Result<bool, DropReason> {
    if ip.fragment {
        return Err(DropReason::OuterFragment);
    }
    // Options of an outer IPv4 header are nothing that any host of ours sends.
    if ip.transport as usize != ip.header_len() {
        return Ok(false);
    }
    // All three headers have one length.
    let at = if encapsulation.is_udp() { transport::UDP_LEN } else { 0 };
    let bytes = match at {
        0 => ip.transport::<{ nvgre::LEN }, P>(packet, ETHERNET_LEN, 0),
        _ => ip.transport::<{ vxlan::LEN }, P>(packet, ETHERNET_LEN, transport::UDP_LEN),
    };
    let Some(bytes) = bytes else { return Ok(false) };
    let (vsid, options) = match encapsulation {
        Encapsulation::Nvgre if nvgre::is_nvgre(&bytes) => (Some(nvgre::vsid(&bytes)), 0),
        Encapsulation::Nvgre => (None, 0),
        Encapsulation::Vxlan => (vxlan::vsid(&bytes), 0),
        Encapsulation::Geneve => match geneve::read(&bytes) {
            Some(header) if header.unknown || header.options > geneve::MAX_OPTIONS => {
                return Err(DropReason::GeneveOption);
            }
            Some(header) => (Some(header.vsid), header.options),
            None => (None, 0),
        },
    };
    let Some(vsid) = vsid else { return Ok(false) };
    outer.vsid = vsid;
    outer.source = ip.source;
    outer.encapsulation = encapsulation;
    outer.v4 = ip.v4;
    outer.congestion = ip.traffic_class & 3 == encapsulation::CONGESTION_EXPERIENCED;
    // The outer Ethernet header is as long as the inner one, so what stands before the inner frame is what is taken off.
    outer.base = encapsulation::room(encapsulation, ip.v4) as u8 + options;
    Ok(true)
}

const _: () = assert!(nvgre::LEN == vxlan::LEN && vxlan::LEN == geneve::LEN);
const _: () = assert!(
    encapsulation::UDP_V6 + geneve::MAX_OPTIONS as usize <= u8::MAX as usize,
    "the inner frame's offsets are bytes"
);
