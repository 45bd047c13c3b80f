//! Stage "flood": who hears a frame to a group? Last stage for broadcast and multicast frames.

use crate::encapsulation;
use crate::packet::Meta;
use crate::stages::parse::Parsed;
use crate::tables::{Address, Peer, Port, ReplicaKey, Tables};
use crate::verdict::{Flood, Strip, Tunnel, Verdict};
use crate::{DropReason, Stage};

/// Copies for all ports of the subnet, here and on other hosts, within the port's limit.
#[inline(always)]
pub fn from_port<'t, T: Tables>(tables: &'t T, meta: &Meta, port: &Port, parsed: &Parsed) -> Verdict<'t> {
    tables.enter(Stage::Flood);
    let Some(subnet) = tables.subnet(port.vsid) else {
        return Verdict::Drop(DropReason::UnknownSubnet);
    };
    // The port itself is one of the local replicas.
    if subnet.replicas <= 1 {
        return Verdict::Drop(DropReason::NoReplica);
    }
    if !tables.admit_flood(port.slot) {
        return Verdict::Drop(DropReason::FloodLimit);
    }
    Verdict::Flood(flood(meta, parsed, port.vsid, subnet.replicas, None))
}

/// Copies for the ports of this host, of a frame that another host sent. Never for other hosts: the sender served them.
#[inline(always)]
pub fn from_uplink<'t, T: Tables>(tables: &'t T, meta: &Meta, vsid: u32, parsed: &Parsed, strip: Strip) -> Verdict<'t> {
    tables.enter(Stage::Flood);
    let Some(subnet) = tables.subnet(vsid) else {
        return Verdict::Drop(DropReason::UnknownSubnet);
    };
    if subnet.local_replicas == 0 {
        return Verdict::Drop(DropReason::NoReplica);
    }
    Verdict::Flood(flood(meta, parsed, vsid, subnet.local_replicas, Some(strip)))
}

#[inline(always)]
fn flood(meta: &Meta, parsed: &Parsed, vsid: u32, to: u32, strip: Option<Strip>) -> Flood {
    Flood {
        vsid,
        from: 0,
        to,
        except: if strip.is_none() { meta.ifindex } else { 0 },
        hash: parsed.hash(),
        traffic_class: parsed.outer_traffic_class(),
        // A frame that stands for many segments must fit as a whole, which it does not: copies are not segmented.
        length: if meta.segment == 0 { parsed.length } else { u32::MAX },
        strip,
    }
}

/// Where one copy goes.
pub enum Copy<'t> {
    /// To a port of this host.
    Port(u32),
    /// To another host.
    Host(Tunnel<'t>),
    /// Nowhere: it is the port that the frame came from, or the frame does not fit.
    None,
}

/// Decides about one copy.
#[inline(always)]
pub fn copy<'t, T: Tables>(tables: &'t T, flood: &Flood, index: u32) -> Copy<'t> {
    let Some(replica) = tables.replica(&ReplicaKey {
        vsid: flood.vsid,
        index,
    }) else {
        return Copy::None;
    };
    if replica.ifindex != 0 {
        return if replica.ifindex == flood.except {
            Copy::None
        } else {
            Copy::Port(replica.ifindex)
        };
    }
    match tables.peer(&replica.provider) {
        Some(peer) if fits(peer, &replica.provider, flood.length) => Copy::Host(Tunnel {
            peer,
            remote: &replica.provider,
            vsid: flood.vsid,
            hash: flood.hash,
            traffic_class: flood.traffic_class,
        }),
        _ => Copy::None,
    }
}

#[inline(always)]
fn fits(peer: &Peer, remote: &Address, length: u32) -> bool {
    length <= peer.mtu.saturating_sub(encapsulation::overhead(remote.is_v4()))
}
