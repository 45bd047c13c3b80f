//! Stage "unwrap": is it an encapsulated packet for this host? First stage from the uplink.
//!
//! What is not ours goes on to the host's stack untouched: the host's own traffic, and other uses of GRE.

use crate::encapsulation::{self, Outer};
use crate::headers::ethernet::{self, Ethernet};
use crate::headers::ip::{self, Ip};
use crate::headers::{ETHERNET_LEN, nvgre};
use crate::packet::{Meta, Packet};
use crate::tables::{HostFlags, Tables};
use crate::verdict::Verdict;
use crate::{DropReason, Stage};

/// What the outer headers say.
pub enum Outcome<'t> {
    /// The journey ends here.
    Done(Verdict<'t>),
    /// An encapsulated frame for us.
    Encapsulated(Outer),
    /// An unencapsulated packet that may stand for one of a VM's.
    Plain(Ip),
}

/// Looks at the outer headers.
#[inline(always)]
pub fn decide<'t, P: Packet, T: Tables>(packet: &P, tables: &'t T, meta: &Meta) -> Outcome<'t> {
    tables.enter(Stage::Unwrap);
    // A tag beside the frame makes it another network's, which has a device of its own.
    if meta.vlan {
        return Outcome::Done(Verdict::Pass);
    }
    let Some(ethernet) = Ethernet::read(packet, 0) else {
        return Outcome::Done(Verdict::Pass);
    };
    let ip = match ethernet.ethertype {
        ethernet::IPV4 => Ip::read_v4(packet, ETHERNET_LEN),
        ethernet::IPV6 => Ip::read_v6(packet, ETHERNET_LEN),
        _ => None,
    };
    let Some(ip) = ip else {
        return Outcome::Done(Verdict::Pass);
    };
    if ip.protocol == ip::GRE || ip.protocol == ip::FRAGMENT {
        let outcome = gre(packet, tables, meta, &ip);
        if let Some(outcome) = outcome {
            return outcome;
        }
    }
    match tables.host() {
        Some(host) if host.flags.has(HostFlags::PLAIN) && tables.plain(&ip.destination).is_some() => Outcome::Plain(ip),
        _ => Outcome::Done(Verdict::Pass),
    }
}

/// GRE; `None` if it is not for us.
#[inline(always)]
fn gre<'t, P: Packet, T: Tables>(packet: &P, tables: &'t T, meta: &Meta, ip: &Ip) -> Option<Outcome<'t>> {
    if meta.relayed {
        return Some(Outcome::Done(match tables.peer(&ip.destination) {
            Some(peer) => Verdict::Relay {
                peer,
                remote: ip.destination,
            },
            None => Verdict::Drop(DropReason::RelayFailed),
        }));
    }
    tables.provider(&ip.destination)?;
    let fragment = ip.fragment && (ip.protocol == ip::GRE || is_gre_fragment(packet));
    if fragment {
        return Some(Outcome::Done(Verdict::Drop(DropReason::OuterFragment)));
    }
    if ip.protocol != ip::GRE {
        return None;
    }
    let bytes = ip.transport::<{ nvgre::LEN }, P>(packet, ETHERNET_LEN, 0)?;
    let header = nvgre::Nvgre::read(&bytes)?;
    // Options of an outer IPv4 header are nothing that any host of ours sends.
    if matches!(ip.transport, ip::Transport::V4Options(_)) {
        return None;
    }
    Some(Outcome::Encapsulated(Outer {
        vsid: header.vsid,
        source: ip.source,
        v4: ip.v4,
        congestion: ip.traffic_class & 3 == encapsulation::CONGESTION_EXPERIENCED,
    }))
}

/// Whether an IPv6 fragment header announces GRE.
#[inline(always)]
fn is_gre_fragment<P: Packet>(packet: &P) -> bool {
    packet.bytes::<1>(ETHERNET_LEN + ip::V6_LEN) == Some([ip::GRE])
}
