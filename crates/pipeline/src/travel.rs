//! Flows that move to another host with their VM.
//!
//! A connection that security groups let pass because of who opened it must be known where its VM arrives: there its next
//! packet may go the way in which none could be opened. So what is known of a flow goes ahead of the VM, again and again until it
//! has arrived, and the new host takes it in ([`take_in`]): as seen as long ago as it was there, since clocks of two hosts
//! have nothing in common, and under a policy epoch that is none, so that the new host asks its own policy before the first
//! packet passes. What a flow's packets need on their way (tunnels, counter slots) is the old host's, and stays there.

use crate::flow::{Flow, FlowEntry, FlowKey, epoch_index};
use crate::headers::same_mac;
use crate::stages::security::has_room;
use crate::sweep;
use crate::tables::{Port, Tables};
use crate::track::State;

/// Most flows that are taken in with one call of the kernel program that does it, which says in a byte how many of them
/// became what.
pub const MAX_TOGETHER: u32 = 255;

/// What is known of a flow, without what only the host knows that it was tracked on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Traveller {
    /// Which flow at which port.
    pub key: FlowKey,
    /// What connection tracking knows ([`State::to_bits`]), of no policy epoch.
    pub state: u64,
    /// How long ago it was seen last, in nanoseconds.
    pub idle: u64,
    /// Frames that the VM has sent.
    pub from_packets: u64,
    /// Their bytes.
    pub from_bytes: u64,
    /// Frames that went to the VM.
    pub to_packets: u64,
    /// Their bytes.
    pub to_bytes: u64,
}

const _: () = assert!(size_of::<Traveller>() == 96);

/// What becomes of a flow where its VM arrives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Arrived {
    /// It is remembered.
    Taken = 0,
    /// The flow has been seen here since, so that this host knows better.
    Known = 1,
    /// It has ended, or its port is not here.
    Gone = 2,
    /// The port has as many flows as it may, or the table is full.
    NoRoom = 3,
}

/// What goes with the VM of a flow at the time `now`; `None` if that has ended.
#[inline(always)]
pub fn set_out(key: &FlowKey, flow: &Flow, now: u64) -> Option<Traveller> {
    let state = State::from_bits(flow.state);
    if state.is_over(key.protocol, flow.seen, now) {
        return None;
    }
    Some(Traveller {
        key: *key,
        state: State { epoch: 0, ..state }.to_bits(),
        idle: now.saturating_sub(flow.seen),
        from_packets: flow.from_packets,
        from_bytes: flow.from_bytes,
        to_packets: flow.to_packets,
        to_bytes: flow.to_bytes,
    })
}

/// Takes a flow in that comes with its VM to the port with the device of this interface index. `draft` is lent, as
/// [`crate::Work`] is: in the kernel it does not fit on the stack.
#[inline(always)]
pub fn take_in<T: Tables>(tables: &T, traveller: &Traveller, ifindex: u32, draft: &mut Flow) -> Arrived {
    let key = &traveller.key;
    let Some(port) = tables.port(ifindex) else { return Arrived::Gone };
    if port.vsid != key.vsid || !same_mac(&port.mac, &key.mac) {
        return Arrived::Gone;
    }
    let now = tables.now();
    let seen = now.saturating_sub(traveller.idle);
    let mut state = State::from_bits(traveller.state);
    if state.is_over(key.protocol, seen, now) {
        return Arrived::Gone;
    }
    let index = epoch_index(port.domain, port.vsid);
    // Never the epoch of now, so that the policy is asked; and another one for as long as a VM takes to move.
    state.epoch = tables.epoch(index).wrapping_sub(1);
    match tables.flow(key) {
        Some(known) if known.ifindex == ifindex => renew(tables, known, traveller, state, seen),
        // Of a port that had its MAC address before, and is gone.
        Some(known) => {
            sweep::uncount(tables, known.slot, known.state());
            fill(draft, traveller, port, ifindex, state, seen);
            count(tables, port.slot, state, tables.write_flow(key, draft))
        }
        None if !has_room(tables, port.slot, state.opener) => Arrived::NoRoom,
        None => {
            fill(draft, traveller, port, ifindex, state, seen);
            count(tables, port.slot, state, tables.create_flow(key, draft))
        }
    }
}

/// A flow that came before, and has gone on where it came from; unless it has been seen here since.
#[inline(always)]
fn renew<T: Tables>(tables: &T, known: &FlowEntry, traveller: &Traveller, state: State, seen: u64) -> Arrived {
    if known.seen.get() >= seen {
        return Arrived::Known;
    }
    let before = known.state();
    known.state.set(state.to_bits());
    known.seen.set(seen);
    known.from_packets.set(traveller.from_packets);
    known.from_bytes.set(traveller.from_bytes);
    known.to_packets.set(traveller.to_packets);
    known.to_bytes.set(traveller.to_bytes);
    sweep::uncount(tables, known.slot, before);
    count(tables, known.slot, state, true)
}

/// The flow as it is remembered, with no way yet.
#[inline(always)]
fn fill(draft: &mut Flow, traveller: &Traveller, port: &Port, ifindex: u32, state: State, seen: u64) {
    draft.clear();
    draft.seen = seen;
    draft.state = state.to_bits();
    draft.from_packets = traveller.from_packets;
    draft.from_bytes = traveller.from_bytes;
    draft.to_packets = traveller.to_packets;
    draft.to_bytes = traveller.to_bytes;
    draft.ifindex = ifindex;
    draft.slot = port.slot;
    draft.epoch_index = epoch_index(port.domain, port.vsid);
    draft.reserved = 0;
}

/// Counts a flow that was written at its port.
#[inline(always)]
fn count<T: Tables>(tables: &T, slot: u32, state: State, written: bool) -> Arrived {
    if !written {
        return Arrived::NoRoom;
    }
    tables.count_flow(slot, state.opener, 1, state.phase.is_half_open() as i32);
    Arrived::Taken
}
