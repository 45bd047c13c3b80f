//! Stage "unwrap": is it an encapsulated packet for this host? First stage from the uplink.
//!
//! What is not ours goes on to the host's stack untouched: the host's own traffic, and other uses of GRE.

use crate::encapsulation::{self, Outer};
use crate::headers::ethernet;
use crate::headers::ip::{self, Ip};
use crate::headers::{ETHERNET_LEN, nvgre};
use crate::packet::{Meta, Packet};
use crate::tables::{HostFlags, Tables};
use crate::verdict::{Action, Verdict, Work};
use crate::{DropReason, Stage};

/// Offset of the EtherType.
const ETHERTYPE: usize = 12;

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
    if ip.protocol == ip::GRE || ip.protocol == ip::FRAGMENT {
        match gre(packet, tables, meta, ip, outer, verdict) {
            Outcome::Plain => {}
            outcome => return outcome,
        }
    }
    match tables.host() {
        Some(host) if host.flags.has(HostFlags::PLAIN) && tables.plain(&ip.destination).is_some() => Outcome::Plain,
        _ => Outcome::Done,
    }
}

/// GRE; [`Outcome::Plain`] if it is not an encapsulated frame for us.
#[inline(always)]
fn gre<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    ip: &Ip,
    outer: &mut Outer,
    verdict: &mut Verdict<'t>,
) -> Outcome {
    if meta.relayed {
        match tables.peer(&ip.destination) {
            Some(peer) => verdict.set(Action::Relay { peer }),
            None => verdict.drop(DropReason::RelayFailed),
        }
        return Outcome::Done;
    }
    if tables.provider(&ip.destination).is_none() {
        return Outcome::Plain;
    }
    if ip.fragment && (ip.protocol == ip::GRE || is_gre_fragment(packet)) {
        verdict.drop(DropReason::OuterFragment);
        return Outcome::Done;
    }
    // Options of an outer IPv4 header are nothing that any host of ours sends.
    if ip.protocol != ip::GRE || ip.transport as usize != ip.header_len() {
        return Outcome::Plain;
    }
    let Some(bytes) = ip.transport::<{ nvgre::LEN }, P>(packet, ETHERNET_LEN, 0) else { return Outcome::Plain };
    if !nvgre::is_nvgre(&bytes) {
        return Outcome::Plain;
    }
    outer.vsid = nvgre::vsid(&bytes);
    outer.source = ip.source;
    outer.v4 = ip.v4;
    outer.congestion = ip.traffic_class & 3 == encapsulation::CONGESTION_EXPERIENCED;
    Outcome::Encapsulated
}

/// Whether an IPv6 fragment header announces GRE.
#[inline(always)]
fn is_gre_fragment<P: Packet>(packet: &P) -> bool {
    packet.bytes::<1>(ETHERNET_LEN + ip::V6_LEN) == Some([ip::GRE])
}
