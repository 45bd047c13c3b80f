//! Which flows are to be forgotten. Asked of each now and then, and at the moment when a port has no room for another.

use crate::flow::{FlowEntry, FlowKey};
use crate::headers::same_mac;
use crate::tables::Tables;
use crate::track::State;

/// Whether a flow is over at the time `now`: its time has run out, or its port is gone.
#[inline(always)]
pub fn is_over<T: Tables>(tables: &T, key: &FlowKey, flow: &FlowEntry, now: u64) -> bool {
    if flow.state().is_over(key.protocol, flow.seen.get(), now) {
        return true;
    }
    match tables.port(flow.ifindex) {
        Some(port) => port.vsid != key.vsid || port.slot != flow.slot || !same_mac(&port.mac, &key.mac),
        None => true,
    }
}

/// Takes a flow that is forgotten off what its port has: the one with this counter slot.
#[inline(always)]
pub fn uncount<T: Tables>(tables: &T, slot: u32, state: State) {
    tables.count_flow(slot, state.opener, -1, -(state.phase.is_half_open() as i32));
}
