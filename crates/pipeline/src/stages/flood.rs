//! Stage "flood": who hears a frame to a group? Last stage for broadcast and multicast frames.

use crate::encapsulation::{self, Encapsulation};
use crate::packet::Meta;
use crate::paths;
use crate::policy::Direction;
use crate::segment;
use crate::stages::parse::Parsed;
use crate::stages::security::{Case, outcome};
use crate::tables::{Peer, Port, Replica, ReplicaKey, Tables};
use crate::verdict::{Action, Flood, Strip, Then, Tunnel, Verdict, Work};
use crate::{DropReason, Stage};

/// Copies for all ports of the subnet, here and on other hosts, within the port's limit.
#[inline(always)]
pub fn from_port<'t, T: Tables>(tables: &'t T, meta: &Meta, port: &Port, work: &mut Work, verdict: &mut Verdict<'t>) {
    let leaving =
        Case { ifindex: meta.ifindex, direction: Direction::Egress, remote_vsid: port.vsid, far: false, len: meta.len };
    if let Err(reason) = outcome(tables.judge_group(work, &leaving)) {
        return verdict.drop(reason);
    }
    tables.enter(Stage::Flood);
    let Some(subnet) = tables.subnet(port.vsid) else { return verdict.drop(DropReason::UnknownSubnet) };
    // The port itself is one of the local replicas.
    if subnet.replicas <= 1 {
        return verdict.drop(DropReason::NoReplica);
    }
    if !tables.admit_flood(port.slot) {
        return verdict.drop(DropReason::FloodLimit);
    }
    let encapsulation = subnet.encapsulation();
    verdict.set(Action::Flood(Flood { encapsulation, ..flood(meta, &work.parsed, port.vsid, subnet.replicas, None) }));
}

/// Copies for the ports of this host, of a frame that another host sent. Never for other hosts: the sender served them.
#[inline(always)]
pub fn from_uplink<'t, T: Tables>(
    tables: &'t T,
    meta: &Meta,
    vsid: u32,
    parsed: &Parsed,
    strip: Strip,
    verdict: &mut Verdict<'t>,
) {
    tables.enter(Stage::Flood);
    let Some(subnet) = tables.subnet(vsid) else { return verdict.drop(DropReason::UnknownSubnet) };
    if subnet.local_replicas == 0 {
        return verdict.drop(DropReason::NoReplica);
    }
    verdict.set(Action::Flood(flood(meta, parsed, vsid, subnet.local_replicas, Some(strip))));
}

#[inline(always)]
fn flood(meta: &Meta, parsed: &Parsed, vsid: u32, to: u32, strip: Option<Strip>) -> Flood {
    Flood {
        vsid,
        to,
        except: if strip.is_none() { meta.ifindex } else { 0 },
        encapsulation: Encapsulation::Nvgre,
        hash: parsed.hash(),
        traffic_class: parsed.outer_traffic_class(),
        // A frame that stands for many segments must fit as a whole, which it does not: copies are not segmented.
        length: if meta.segment == 0 { parsed.length } else { u32::MAX },
        strip,
        then: Then::End,
    }
}

/// Who gets the copy with this index; `None` for the port that the frame came from, and for other hosts in a physical
/// network, which all hear the frame itself.
#[inline(always)]
pub fn replica<'t, T: Tables>(tables: &'t T, flood: &Flood, index: u32) -> Option<&'t Replica> {
    let replica = tables.replica(&ReplicaKey { vsid: flood.vsid, index })?;
    let none = match replica.ifindex {
        0 => segment::is_physical(flood.vsid),
        ifindex => ifindex == flood.except,
    };
    if none { None } else { Some(replica) }
}

/// Whether a port of this host takes its copy: its security groups have a say.
#[inline(always)]
pub fn admits<T: Tables>(tables: &T, ifindex: u32, flood: &Flood, work: &mut Work) -> bool {
    let entering =
        Case { ifindex, direction: Direction::Ingress, remote_vsid: flood.vsid, far: false, len: flood.length };
    outcome(tables.judge_group(work, &entering)).is_ok()
}

/// How to reach the host that a copy goes to; `None` if the frame does not fit on the way.
#[inline(always)]
pub fn peer<'t, T: Tables>(tables: &'t T, flood: &Flood, replica: &Replica) -> Option<&'t Peer> {
    let peer = paths::choose(tables, &replica.provider, flood.hash)?;
    let limit = peer.mtu.saturating_sub(encapsulation::overhead(flood.encapsulation, replica.provider.is_v4()));
    if flood.length <= limit { Some(peer) } else { None }
}

/// Why a host gets no copy that [`peer`] gives no way for.
#[inline(always)]
pub fn refusal<T: Tables>(tables: &T, replica: &Replica) -> DropReason {
    if paths::any(tables, &replica.provider).is_none() { DropReason::NoPeer } else { DropReason::TooBig }
}

/// The encapsulation of one copy.
#[inline(always)]
pub fn tunnel<'t>(flood: &Flood, peer: &'t Peer, replica: &'t Replica) -> Tunnel<'t> {
    let Flood { encapsulation, vsid, hash, traffic_class, .. } = *flood;
    Tunnel { peer, remote: &replica.provider, encapsulation, vsid, hash, traffic_class }
}
