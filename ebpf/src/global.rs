//! Parts of the decision that the programs call as global functions.
//!
//! A global function takes numbers alone, and the verifier looks through it by itself, once, for all numbers that there are:
//! not anew for each place that it is called from, and for each state of the caller. What is noted of the frame at hand it
//! finds in the map where its callers have noted it.

use core::ffi::c_void;
use core::ptr::addr_of;

use aya_ebpf::helpers::generated::bpf_for_each_map_elem;
use pipeline::flow::{FlowEntry, FlowKey};
use pipeline::meter::Size;
use pipeline::policy::Direction;
use pipeline::stages::limit;
use pipeline::stages::security::{self, Case};
use pipeline::travel::{self, Arrived};
use pipeline::{StationKey, Tables, Turn, Work, sweep};

use crate::maps::{self, FLOWS, MAPS};

/// A case out of its numbers.
#[inline(always)]
fn case(ifindex: u64, remote_vsid: u64, how: u64, len: u64) -> Case {
    let direction = if how & 1 == 0 { Direction::Egress } else { Direction::Ingress };
    Case { ifindex: ifindex as u32, direction, remote_vsid: remote_vsid as u32, far: how & 2 != 0, len: len as u32 }
}

/// The notes of this CPU.
#[inline(always)]
fn work() -> Option<&'static mut Work> {
    maps::work()
}

/// [`security::judge`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn netvirt_judge(ifindex: u64, remote_vsid: u64, how: u64, len: u64) -> u64 {
    let Some(work) = work() else { return 0 };
    u64::from(security::judge(&MAPS, work, &case(ifindex, remote_vsid, how, len)))
}

/// [`security::judge_group`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn netvirt_judge_group(ifindex: u64, remote_vsid: u64, how: u64) -> u64 {
    let Some(work) = work() else { return 0 };
    u64::from(security::judge_group(&MAPS, work, &case(ifindex, remote_vsid, how, 0)))
}

/// [`security::remember`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn netvirt_remember(far: u64) -> u64 {
    let Some(work) = work() else { return 0 };
    u64::from(security::remember(&MAPS, work, far != 0))
}

/// [`limit::pay`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn netvirt_pay(from: u64, to: u64, bytes: u64, packets: u64) -> u64 {
    let size = Size { bytes: bytes as u32, packets: packets as u32 };
    u64::from(limit::pay(&MAPS, from as u32, to as u32, size))
}

/// [`Tables::sent_on`], with the MAC address in the first six bytes of a number.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn netvirt_sent_on(vsid: u64, mac: u64) -> u64 {
    let [a, b, c, d, e, f, ..] = mac.to_ne_bytes();
    maps::count_sent_on(&StationKey { vsid: vsid as u32, mac: [a, b, c, d, e, f], reserved: 0 });
    0
}

/// [`travel::take_in`], of a flow on its way in with this index.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn netvirt_take_in(index: u64, ifindex: u64) -> u64 {
    let (Some(traveller), Some(work)) = (maps::traveller(index as u32), work()) else { return Arrived::Gone as u64 };
    travel::take_in(&MAPS, traveller, ifindex as u32, &mut work.own.flow) as u64
}

/// Flows that are taken in one after the other: what has become of them.
pub struct TakingIn {
    /// Interface index of their port's device.
    pub ifindex: u32,
    /// How many there are.
    pub count: u32,
    /// The next one.
    pub next: u32,
    /// How many were taken, known, gone, and found no room: [`Arrived`], a byte each.
    pub outcomes: u32,
}

impl Turn for TakingIn {
    #[inline(always)]
    fn turn<T: Tables>(&mut self, _: &T) -> bool {
        if self.next >= self.count {
            return false;
        }
        let outcome = netvirt_take_in(self.next.into(), self.ifindex.into());
        self.outcomes = self.outcomes.wrapping_add(1 << ((outcome as u32 & 3) * 8));
        self.next += 1;
        true
    }
}

/// What one look through all flows has in common.
struct Sweep {
    now: u64,
    forgotten: u64,
}

/// Forgets the flows that are over ([`sweep::is_over`]); how many.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn netvirt_forget() -> u64 {
    let mut sweep = Sweep { now: MAPS.now(), forgotten: 0 };
    // At the beginning, so that other CPUs do not begin as well.
    maps::sweep_at(sweep.now);
    // SAFETY: the helper hands `look` each entry and the sweep, while this function waits.
    unsafe {
        let flows = addr_of!(FLOWS).cast_mut().cast();
        bpf_for_each_map_elem(flows, look as *mut c_void, core::ptr::from_mut(&mut sweep).cast(), 0);
    }
    sweep.forgotten
}

/// Looks at one flow; 0, to go on.
///
/// # Safety
/// As [`bpf_for_each_map_elem`] calls it.
unsafe extern "C" fn look(_: *mut c_void, key: *const FlowKey, flow: *const FlowEntry, sweep: *mut Sweep) -> u64 {
    // SAFETY: see above.
    let (key, flow, sweep) = unsafe { (&*key, &*flow, &mut *sweep) };
    if !sweep::is_over(&MAPS, key, flow, sweep.now) {
        return 0;
    }
    // Read before: once it is removed its memory may be another flow's at once.
    // SAFETY: the entry is still there.
    let (slot, state) = (unsafe { addr_of!(flow.slot).read_volatile() }, flow.state());
    if FLOWS.remove(key).is_ok() {
        sweep::uncount(&MAPS, slot, state);
        sweep.forgotten += 1;
    }
    0
}
