//! Where a VM is that moves from one host to another while it runs (live migration).
//!
//! Before it moves, all hosts that know the VM know both places: its lookup record says where it is, and an entry of `MOVES`
//! where it will be. Nothing tells a host the moment at which it is there but the VM itself: the first frame of its own that
//! comes from the new place, and that frame is all that is needed. From then on what is for the VM goes to the new place, and
//! what still comes to the old one is sent on from there, once. No process has a part in it, so none can be late.
//!
//! **Invariant:** a host's view goes from the old place to the new one and never back, until what is declared changes. So
//! no two hosts can send a frame to and fro between them.
//!
//! **Invariant:** so it is too while an agent writes the tables, one after the other, and if it dies in between: a move has
//! both records of its VM, and is written first.
//!
//! **Invariant:** only what came from the sender's own place is sent on, and what was sent on did not: nothing is sent on
//! twice.

use crate::encapsulation::Outer;
use crate::stages::parse::Parsed;
use crate::tables::{Port, Record, RecordFlags, StationKey, Tables};

flags! {
    /// Properties of a [`Move`].
    MoveFlags: u32 {
        /// The VM has come from there, and will not go back: the record says where it is. What it sent from there may still
        /// be under way, and so may what others sent there.
        FROM = 0;
    }
}

/// The other place of a VM whose record has [`RecordFlags::MOVES`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Move {
    /// The VM's record as it would be if it were there.
    pub there: Record,
    /// The VM's record as it is, for as long as the table of records does not have it yet.
    pub here: Record,
    /// Properties.
    pub flags: MoveFlags,
}

const _: () = assert!(size_of::<Move>() == 68);

/// Both places of a VM that moves.
#[derive(Clone, Copy)]
struct Places<'t> {
    /// Where it is.
    now: &'t Record,
    /// Where it was, or will be.
    other: &'t Record,
    /// Whether it is still to go there.
    to_come: bool,
}

/// The key of a VM's station.
#[inline(always)]
fn key(vsid: u32, record: &Record) -> StationKey {
    StationKey { vsid, mac: record.mac, reserved: 0 }
}

/// Both places; `None` for a VM that does not move.
#[inline(always)]
fn places<'t, T: Tables>(tables: &'t T, vsid: u32, record: &'t Record) -> Option<Places<'t>> {
    if !record.flags.has(RecordFlags::MOVES) {
        return None;
    }
    let key = key(vsid, record);
    let other = tables.moves(&key)?;
    // A record never names the other place: one that does is of what was declared before, and about to be written anew.
    let record = if record.provider == other.there.provider { &other.here } else { record };
    let from = other.flags.has(MoveFlags::FROM);
    Some(if !from && has_moved(tables, &key, other) {
        Places { now: &other.there, other: record, to_come: false }
    } else {
        Places { now: record, other: &other.there, to_come: !from }
    })
}

/// Whether a VM was heard at the place that it goes to; not at one that it went to before.
#[inline(always)]
fn has_moved<T: Tables>(tables: &T, key: &StationKey, to: &Move) -> bool {
    match tables.heard_at(key) {
        Some(provider) => *provider == to.there.provider,
        None => false,
    }
}

/// A record, or the one that holds instead because the VM has moved.
#[inline(always)]
pub fn now<'t, T: Tables>(tables: &'t T, vsid: u32, record: &'t Record) -> &'t Record {
    match places(tables, vsid, record) {
        Some(places) => places.now,
        None => record,
    }
}

/// Whether a place is the host that a frame came from. Nobody speaks from outside for what is on this host: not for its
/// VMs, by taking its own provider address, nor for a gateway, whose record names no provider address.
#[inline(always)]
fn is_at(record: &Record, outer: &Outer) -> bool {
    record.provider == outer.source && !record.flags.has(RecordFlags::LOCAL)
}

/// Whether a frame of the record's VM came from where that is, or was a moment ago, or is to come. In that case the VM has come, if
/// it is its own frame that is looked at (`own`), and not one that the host sent on whose VM the receiver was.
#[inline(always)]
pub fn came_from<T: Tables>(tables: &T, vsid: u32, record: &Record, outer: &Outer, own: Option<&Parsed>) -> bool {
    let Some(places) = places(tables, vsid, record) else { return is_at(record, outer) };
    if is_at(places.now, outer) {
        return true;
    }
    let elsewhere = is_at(places.other, outer);
    if elsewhere
        && places.to_come
        && let Some(own) = own
        && !was_sent_on(tables, outer, own)
    {
        tables.hear(&key(vsid, record), &outer.source);
    }
    elsewhere
}

/// Hears a VM of this host, whose port waits for it: it has come. (A port may wait a moment longer than the VM is to come, until
/// it is written anew: what came from there must not be noted, or the VM would be taken to be there when it is to go back.)
#[inline(always)]
pub fn heard<T: Tables>(tables: &T, port: &Port) {
    let key = StationKey { vsid: port.vsid, mac: port.mac, reserved: 0 };
    if let Some(to) = tables.moves(&key)
        && !to.flags.has(MoveFlags::FROM)
        && !has_moved(tables, &key, to)
    {
        tables.hear(&key, &to.there.provider);
    }
}

/// Where the VM of a station is that was here, for what came too late; `None` if it was not here, or is.
#[inline(always)]
pub fn onward<'t, T: Tables>(tables: &'t T, vsid: u32, station: &'t Record) -> Option<&'t Record> {
    let places = places(tables, vsid, station)?;
    let was_here = places.other.flags.has(RecordFlags::LOCAL) && !places.to_come;
    if was_here && !places.now.flags.has(RecordFlags::LOCAL) { Some(places.now) } else { None }
}

/// Whether a frame whose sender is elsewhere was sent on by the host that its receiver was on, which has looked at where it
/// came from.
#[inline(always)]
pub fn was_sent_on<T: Tables>(tables: &T, outer: &Outer, parsed: &Parsed) -> bool {
    let key = StationKey { vsid: outer.vsid, mac: parsed.ethernet.destination, reserved: 0 };
    let Some(station) = tables.station(&key) else { return false };
    match places(tables, outer.vsid, station) {
        Some(places) => places.now.flags.has(RecordFlags::LOCAL) && !places.to_come && is_at(places.other, outer),
        None => false,
    }
}
