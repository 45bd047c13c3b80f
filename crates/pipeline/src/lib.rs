//! What happens to one packet: the one function that the kernel runs, `netvirt trace` prints and tests verify.
//!
//! [`from_port`] and [`from_uplink`] look at a frame and at the [`Tables`] and give a [`Verdict`], which
//! [`apply`] carries out on the frame. The stages in between are files of [`stages`], one question each.
//!
//! **Invariant:** no dependency, no allocation, no unsafe code, no panic that can be reached, no state. This crate is
//! compiled for the kernel too, whose verifier refuses anything else.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[macro_use]
mod flags;

mod address;
pub mod apply;
mod buffer;
pub mod checksum;
mod drop_reason;
pub mod encapsulation;
pub mod flow;
pub mod headers;
pub mod meter;
mod packet;
pub mod paths;
pub mod policy;
pub mod segment;
pub mod stages;
mod tables;
pub mod track;
mod verdict;

pub use buffer::Buffer;
pub use drop_reason::{DropReason, MAX_REASONS};
pub use encapsulation::Encapsulation;
pub use packet::{ChecksumField, Frame, Meta, Network, NoRoom, Packet};
pub use stages::Stage;
pub use tables::*;
pub use verdict::{Action, Answer, Edit, Flood, Learn, Punted, Strip, Then, Translation, Tunnel, Verdict, Work};

use stages::{answer, deliver, flood, forward, locate, origin, parse, physical, punt, source_guard, unwrap};

/// Decides about a frame that a VM sent: it came in by the device of a port. `verdict` is a [`Verdict::default`].
#[inline(always)]
pub fn from_port<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) {
    tables.enter(Stage::Parse);
    let (Some(port), Some(host)) = (tables.port(meta.ifindex), tables.host()) else {
        return verdict.drop(DropReason::NotConfigured);
    };
    verdict.slot = port.slot;
    // VSID 0: not virtualized.
    if port.vsid == 0 {
        return verdict.set(Action::Pass);
    }
    if let Err(reason) = parse::read(packet, meta, 0, work) {
        return verdict.drop(reason);
    }
    if let Err(reason) = source_guard::check(packet, tables, meta, port, &work.parsed) {
        return verdict.drop(reason);
    }
    if punt::decide(packet, tables, meta, port, &work.parsed, verdict) {
        return;
    }
    if segment::is_physical(port.vsid) {
        return physical::from_port(packet, tables, meta, port, &work.parsed, verdict);
    }
    let gateway_mac = &host.gateway_mac;
    let outcome = answer::decide(packet, tables, port, &work.parsed, gateway_mac, verdict);
    if outcome == answer::Outcome::Done {
        return;
    }
    if outcome == answer::Outcome::AskAll || work.parsed.ethernet.is_group() {
        return flood::from_port(tables, meta, port, &work.parsed, verdict);
    }
    if let Some(record) = forward::decide(packet, tables, port, work, gateway_mac, verdict) {
        locate::decide(packet, tables, meta, port, work, record, verdict);
    }
}

/// Decides about a frame that came in by the uplink. `verdict` is a [`Verdict::default`].
#[inline(always)]
pub fn from_uplink<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) {
    if meta.decided {
        return verdict.set(Action::Pass);
    }
    match unwrap::decide(packet, tables, meta, work, verdict) {
        unwrap::Outcome::Done => {}
        unwrap::Outcome::Plain => match parse::read(packet, meta, 0, work) {
            Ok(()) => deliver::plain(tables, work, verdict),
            Err(reason) => verdict.drop(reason),
        },
        unwrap::Outcome::Encapsulated => encapsulated(packet, tables, meta, work.outer.base as usize, work, verdict),
    }
    if verdict.is_pass() && !meta.relayed {
        physical::from_wire(packet, tables, meta, work, verdict);
    }
}

/// Decides about a frame that leaves by an uplink with physical networks behind it: this host's own VMs there hear the host
/// too. `verdict` is a [`Verdict::default`].
#[inline(always)]
pub fn from_host<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) {
    if !meta.decided {
        physical::from_wire(packet, tables, meta, work, verdict);
    }
}

#[inline(always)]
fn encapsulated<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    base: usize,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) {
    let Some(host) = tables.host() else { return verdict.drop(DropReason::NotConfigured) };
    if let Err(reason) = parse::read(packet, meta, base, work) {
        return verdict.drop(reason);
    }
    if let Err(reason) = origin::check(packet, tables, meta, &work.outer, &work.parsed, &host.gateway_mac) {
        return verdict.drop(reason);
    }
    deliver::encapsulated(packet, tables, meta, work, verdict);
}
