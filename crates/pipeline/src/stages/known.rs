//! Stage "known": is it the next packet of a flow that was decided already? Follows "parse" both ways.
//!
//! The flow table has all that such a packet needs, so that it costs one look-up (two between ports of one host, each of
//! which tracks its own connections). Whatever is out of the ordinary goes the long way: the first packet of each flow, and
//! the first after each change; a SYN; fragments and options; what does not fit or has no hop left; congestion.

use crate::flow::{ArrivalFlags, FlowEntry, SEEN_GRAIN, Way, WayFlags};
use crate::headers::{EthernetWords, same_mac};
use crate::packet::{Meta, Packet};
use crate::policy::Direction;
use crate::stages::parse::Parsed;
use crate::stages::probe::{self, Kind, Probe};
use crate::stages::{Stage, locate};
use crate::tables::{Address, Peer, Port, PortFlags, Tables};
use crate::track::{SYN, State};
use crate::verdict::{Action, Translation, Tunnel, Verdict, Work};

/// Whether the packet may be one that the table has all for.
#[inline(always)]
fn is_ordinary(probe: &Probe, parsed: &Parsed) -> bool {
    probe.kind == Kind::Flow && probe.plain && probe.flags & SYN == 0 && !parsed.ethernet.is_group()
}

/// The state of a flow if it holds: let pass under the policy epoch of now, and not forgotten.
#[inline(always)]
fn state<T: Tables>(tables: &T, flow: &FlowEntry, protocol: u8, now: u64) -> Option<State> {
    let state = flow.state();
    let holds = state.epoch == tables.epoch(flow.epoch_index) && !state.is_over(protocol, flow.seen.get(), now);
    if holds { Some(state) } else { None }
}

/// Notes a packet in its flow.
#[inline(always)]
pub fn note<T: Tables>(
    tables: &T,
    flow: &FlowEntry,
    state: State,
    probe: &Probe,
    direction: Direction,
    len: u32,
    now: u64,
) {
    let next = state.advance(probe.protocol, probe.flags, direction);
    if next != state {
        flow.state.set(next.to_bits());
        flow.seen.set(now);
        if state.phase.is_half_open() && !next.phase.is_half_open() {
            tables.count_flow(flow.slot, state.opener, 0, -1);
        }
    } else if now.wrapping_sub(flow.seen.get()) > SEEN_GRAIN {
        flow.seen.set(now);
    }
    let (packets, bytes) = match direction {
        Direction::Egress => (&flow.from_packets, &flow.from_bytes),
        Direction::Ingress => (&flow.to_packets, &flow.to_bytes),
    };
    packets.set(packets.get() + 1);
    bytes.set(bytes.get() + len as u64);
}

/// Decides about a packet of a VM's if its flow is known; whether it did.
///
/// A call of its own in the kernel, so that the verifier goes on from one state, however it was found that the flow is not
/// known.
#[inline(never)]
pub fn from_port<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    port: &Port,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) -> bool {
    let Work { parsed, probe, edit, own, far, .. } = work;
    let Some(ip) = parsed.ip() else { return false };
    if !is_ordinary(probe, parsed) {
        return false;
    }
    tables.enter(Stage::Known);
    probe::key(&mut own.key, port.vsid, &port.mac, probe, Direction::Egress, &ip.source, &ip.destination);
    let Some(flow) = tables.flow(&own.key) else { return false };
    let way = &flow.way;
    let now = tables.now();
    let Some(state_here) = state(tables, flow, probe.protocol, now) else { return false };
    if !way.flags.has(WayFlags::KNOWN)
        || way.epoch != state_here.epoch
        || flow.ifindex != meta.ifindex
        || !same_mac(&parsed.ethernet.source, &port.mac)
        || !same_mac(&parsed.ethernet.destination, &way.destination)
        || locate::longest(packet, meta, parsed) > way.limit
        || (way.flags.has(WayFlags::ROUTED) && ip.ttl <= 1)
    {
        return false;
    }
    if !way.flags.has(WayFlags::ENCAPSULATE) {
        let there = receiver(&way.ethernet);
        probe::key(&mut far.key, way.vsid, &there, probe, Direction::Ingress, &ip.source, &ip.destination);
        let Some(other) = tables.flow(&far.key) else { return false };
        let Some(state_there) = state(tables, other, probe.protocol, now) else { return false };
        if other.ifindex != way.ifindex {
            return false;
        }
        note(tables, other, state_there, probe, Direction::Ingress, meta.len, now);
    }
    note(tables, flow, state_here, probe, Direction::Egress, meta.len, now);
    if way.flags.has(WayFlags::READDRESS) {
        edit.ethernet = way.ethernet;
        edit.rewrite_ethernet = true;
    }
    edit.routed = way.flags.has(WayFlags::ROUTED);
    take(way, parsed, verdict);
    true
}

/// The MAC address that a frame goes to.
#[inline(always)]
fn receiver(ethernet: &EthernetWords) -> [u8; 6] {
    let [a, b, c, ..] = *ethernet;
    crate::headers::mac_of([a, b, c])
}

/// Takes the way.
#[inline(always)]
fn take<'t>(way: &'t Way, parsed: &Parsed, verdict: &mut Verdict<'t>) {
    if way.flags.has(WayFlags::ENCAPSULATE) {
        let traffic_class = parsed.outer_traffic_class();
        let encapsulation = way.flags.encapsulation();
        let Way { peer, remote, vsid, hash, .. } = way;
        let tunnel = Tunnel { peer, remote, encapsulation, vsid: *vsid, hash: *hash, traffic_class };
        verdict.set(Action::Encapsulate { tunnel });
    } else {
        let (ifindex, slot, peer) = (way.ifindex, way.slot, way.flags.has(WayFlags::PEER));
        verdict.set(Action::Deliver { ifindex, slot, peer, strip: None, translation: Translation::default() });
    }
}

/// Decides about an encapsulated packet if its flow is known; whether it did. That it came to a provider address of ours
/// is known then too.
#[inline(never)]
pub fn from_uplink<'t, T: Tables>(tables: &'t T, meta: &Meta, work: &mut Work, verdict: &mut Verdict<'t>) -> bool {
    let Work { parsed, probe, own, outer, outer_ip, .. } = work;
    let Some(ip) = parsed.ip() else { return false };
    if !is_ordinary(probe, parsed) || outer.congestion {
        return false;
    }
    tables.enter(Stage::Known);
    let to = parsed.ethernet.destination;
    probe::key(&mut own.key, outer.vsid, &to, probe, Direction::Ingress, &ip.source, &ip.destination);
    let Some(flow) = tables.flow(&own.key) else { return false };
    let arrival = &flow.arrival;
    let now = tables.now();
    let Some(state) = state(tables, flow, ip.protocol, now) else { return false };
    if !arrival.flags.has(ArrivalFlags::KNOWN)
        || arrival.epoch != state.epoch
        || !same_mac(&parsed.ethernet.source, &arrival.source)
        || outer.source != arrival.remote
        || outer_ip.destination != arrival.local
    {
        return false;
    }
    note(tables, flow, state, probe, Direction::Ingress, parsed.inner_len(meta.len), now);
    let (ifindex, slot, peer) = (arrival.ifindex, arrival.slot, arrival.flags.has(ArrivalFlags::PEER));
    let strip = Some(outer.strip());
    verdict.set(Action::Deliver { ifindex, slot, peer, strip, translation: Translation::default() });
    true
}

/// Drafts the way to a port of this host for the next packets of a flow.
#[inline(always)]
pub fn way_to_port(work: &mut Work, port: &Port, ifindex: u32) {
    draft(work, WayFlags::NONE);
    let way = &mut work.own.flow.way;
    if port.flags.has(PortFlags::PEER) {
        way.flags = way.flags.with(WayFlags::PEER);
    }
    way.limit = u32::MAX;
    way.ifindex = ifindex;
    way.slot = port.slot;
    way.hash = 0;
    way.remote = Address::default();
    way.peer = Peer::default();
}

/// Drafts the way to another host for the next packets of a flow, `limit` being the longest network packet in bytes that
/// fits.
#[inline(always)]
pub fn way_to_host(work: &mut Work, tunnel: &Tunnel, limit: u32) {
    draft(work, WayFlags::encapsulated(tunnel.encapsulation));
    let way = &mut work.own.flow.way;
    way.limit = limit;
    way.ifindex = 0;
    way.slot = 0;
    way.hash = tunnel.hash;
    way.remote = *tunnel.remote;
    way.peer = *tunnel.peer;
}

/// What all ways have in common.
#[inline(always)]
fn draft(work: &mut Work, flags: WayFlags) {
    let Work { parsed, probe, edit, own, vsid, .. } = work;
    let way = &mut own.flow.way;
    // What is out of the ordinary takes the long way each time, and says nothing about the others.
    way.flags = if probe.plain { flags.with(WayFlags::KNOWN) } else { flags };
    if edit.routed {
        way.flags = way.flags.with(WayFlags::ROUTED);
    }
    if edit.rewrite_ethernet {
        way.flags = way.flags.with(WayFlags::READDRESS);
    }
    way.destination = parsed.ethernet.destination;
    way.ethernet = edit.ethernet;
    way.reserved = 0;
    way.epoch = State::from_bits(own.flow.state).epoch;
    way.vsid = *vsid;
}

/// Drafts how packets for a port come from another host, for the next ones of a flow.
#[inline(always)]
pub fn arrive(work: &mut Work, port: &Port, ifindex: u32) {
    let Work { parsed, probe, outer, outer_ip, own, .. } = work;
    if !probe.plain {
        return;
    }
    let epoch = State::from_bits(own.flow.state).epoch;
    let arrival = &mut own.flow.arrival;
    arrival.source = parsed.ethernet.source;
    arrival.flags = ArrivalFlags::KNOWN;
    if port.flags.has(PortFlags::PEER) {
        arrival.flags = arrival.flags.with(ArrivalFlags::PEER);
    }
    arrival.epoch = epoch;
    arrival.ifindex = ifindex;
    arrival.slot = port.slot;
    arrival.local = outer_ip.destination;
    arrival.remote = outer.source;
}
