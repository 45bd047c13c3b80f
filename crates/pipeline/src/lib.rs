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
pub mod moves;
mod packet;
pub mod paths;
pub mod policy;
pub mod segment;
pub mod stages;
pub mod sweep;
mod tables;
pub mod track;
pub mod travel;
mod verdict;

pub use buffer::Buffer;
pub use drop_reason::{DropReason, MAX_REASONS};
pub use encapsulation::Encapsulation;
pub use packet::{ChecksumField, Frame, Meta, Network, NoRoom, Packet};
pub use stages::Stage;
pub use tables::*;
pub use verdict::{
    Action, Answer, Draft, Edit, Fate, Flood, Learn, Punted, Strip, Then, Translation, Tunnel, Verdict, Work,
};

use policy::Direction;
use stages::security::{self, Case, outcome};
use stages::{
    answer, deliver, flood, forward, known, limit, locate, origin, parse, physical, probe, punt, source_guard, unwrap,
};

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
    probe::read(packet, &work.parsed, &mut work.probe);
    if !segment::is_physical(port.vsid) && known::from_port(packet, tables, meta, port, work, verdict) {
        return;
    }
    if let Err(reason) = source_guard::check(packet, tables, meta, port, &work.parsed) {
        return verdict.drop(reason);
    }
    if port.flags.has(PortFlags::AWAITS) {
        moves::heard(tables, port);
    }
    if punt::decide(packet, tables, meta, port, &work.parsed, verdict) {
        return;
    }
    if segment::is_physical(port.vsid) {
        return physical::from_port(packet, tables, meta, port, &work.parsed, verdict);
    }
    let outcome = answer::decide(packet, tables, port, &work.parsed, &host.gateway_mac, verdict);
    if outcome == answer::Outcome::Done {
        return;
    }
    if outcome == answer::Outcome::AskAll || work.parsed.ethernet.is_group() {
        return flood::from_port(tables, meta, port, work, verdict);
    }
    security::quote(packet, work);
    if let Some(record) = forward::decide(packet, tables, port, work, host, verdict) {
        send(packet, tables, meta, port, work, record, verdict);
    }
}

/// Sends a packet that goes to one address, if the security groups of both sides let it, as far as they are on this host.
#[inline(always)]
fn send<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    port: &Port,
    work: &mut Work,
    record: &'t Record,
    verdict: &mut Verdict<'t>,
) {
    let (direction, remote_vsid, len) = (Direction::Egress, work.vsid, meta.len);
    let leaving = Case { ifindex: meta.ifindex, direction, remote_vsid, far: false, len };
    if let Err(reason) = outcome(tables.judge(work, &leaving)) {
        return verdict.drop(reason);
    }
    let Some(ifindex) = locate::decide(packet, tables, meta, port, work, record, verdict) else { return };
    if ifindex != 0 {
        let entering = Case { ifindex, direction: Direction::Ingress, remote_vsid: port.vsid, far: true, len };
        if let Err(reason) = outcome(tables.judge(work, &entering)) {
            return verdict.drop(reason);
        }
        if !tables.remember(work, true) {
            return verdict.drop(DropReason::FlowLimit);
        }
    }
    if !tables.remember(work, false) {
        verdict.drop(DropReason::FlowLimit);
    }
}

/// Lets a packet from the underlay into the port that it is for, if that one's security groups let it.
#[inline(always)]
fn enter<'t, T: Tables>(
    tables: &'t T,
    meta: &Meta,
    (port, ifindex): (&Port, u32),
    remote_vsid: u32,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) {
    let len = work.parsed.inner_len(meta.len);
    let entering = Case { ifindex, direction: Direction::Ingress, remote_vsid, far: false, len };
    if let Err(reason) = outcome(tables.judge(work, &entering)) {
        return verdict.drop(reason);
    }
    known::arrive(work, port, ifindex);
    if !tables.remember(work, false) {
        verdict.drop(DropReason::FlowLimit);
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
            Ok(()) => unencapsulated(packet, tables, meta, work, verdict),
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

/// The second half of each decision: whether it stands where there are limits. Apart from the first so that in the kernel
/// both use the same 512 bytes of stack one after the other.
#[inline(always)]
pub fn limit<P: Packet, T: Tables>(packet: &P, tables: &T, meta: &Meta, work: &Work, verdict: &mut Verdict) {
    if !limit::within(packet, tables, meta, work, verdict) {
        verdict.drop(DropReason::RateLimit);
    }
}

/// A packet that came without encapsulation.
#[inline(always)]
fn unencapsulated<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) {
    let Some((port, ifindex, from, to)) = deliver::plain(tables, work, verdict) else { return };
    probe::read(packet, &work.parsed, &mut work.probe);
    security::quote(packet, work);
    // From here on the packet is one between the customer addresses; and it has no short way.
    work.parsed.stand_for(from.customer, to.customer);
    work.probe.plain = false;
    enter(tables, meta, (port, ifindex), from.vsid, work, verdict);
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
    probe::read(packet, &work.parsed, &mut work.probe);
    if known::from_uplink(tables, meta, work, verdict) {
        return;
    }
    if let Err(reason) = origin::check(packet, tables, meta, &work.outer, &work.parsed, &host.gateway_mac) {
        return verdict.drop(reason);
    }
    security::quote(packet, work);
    let Some(port) = deliver::encapsulated(packet, tables, meta, work, verdict) else { return };
    let routed = headers::same_mac(&work.parsed.ethernet.source, &host.gateway_mac);
    enter(tables, meta, port, if routed { 0 } else { work.outer.vsid }, work, verdict);
}
