//! Parts of the decision that the programs call as global functions.
//!
//! A global function takes numbers alone, and the verifier looks through it by itself, once, for all numbers that there are:
//! not anew for each place that it is called from, and for each state of the caller. What is noted of the frame at hand it
//! finds in the map where its callers have noted it.

use pipeline::Work;
use pipeline::policy::Direction;
use pipeline::stages::security::{self, Case};

use crate::maps::{self, MAPS};

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
