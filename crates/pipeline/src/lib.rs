//! What happens to one packet: the one function that the kernel runs, `netvirt trace` prints and tests verify.
//!
//! [`from_port`] and [`from_uplink`] look at a frame and at the [`Tables`] and return a [`Decision`], which [`apply`]
//! carries out on the frame. The stages in between are files of [`stages`], one question each.
//!
//! **Invariant:** no dependency, no allocation, no unsafe code, no panic that can be reached, no state. This crate is
//! compiled for the kernel too, whose verifier refuses anything else.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod address;
pub mod apply;
mod buffer;
pub mod checksum;
mod drop_reason;
pub mod encapsulation;
pub mod headers;
pub mod meter;
mod packet;
pub mod stages;
mod tables;
mod verdict;

pub use buffer::Buffer;
pub use drop_reason::{DropReason, MAX_REASONS};
pub use packet::{ChecksumField, Frame, Meta, Network, NoRoom, Packet};
pub use stages::Stage;
pub use tables::*;
pub use verdict::{Answer, Decision, Edit, Flood, Learn, Strip, Translation, Tunnel, Verdict, Work};

use headers::ETHERNET_LEN;
use stages::{answer, deliver, flood, forward, locate, origin, parse, source_guard, unwrap};

/// Decides about a frame that a VM sent: it came in by the device of a port.
#[inline(always)]
pub fn from_port<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    work: &mut Work,
) -> Decision<'t> {
    tables.enter(Stage::Parse);
    let Some(port) = tables.port(meta.ifindex) else {
        return Decision {
            verdict: Verdict::Drop(DropReason::NotConfigured),
            slot: 0,
        };
    };
    // VSID 0: not virtualized.
    if port.vsid == 0 {
        return Decision {
            verdict: Verdict::Pass,
            slot: port.slot,
        };
    }
    let verdict = match virtualized(packet, tables, meta, port, work) {
        Ok(verdict) => verdict,
        Err(reason) => Verdict::Drop(reason),
    };
    Decision {
        verdict,
        slot: port.slot,
    }
}

#[inline(always)]
fn virtualized<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    port: &Port,
    work: &mut Work,
) -> Result<Verdict<'t>, DropReason> {
    let gateway_mac = tables.host().ok_or(DropReason::NotConfigured)?.gateway_mac;
    parse::read(packet, meta, 0, work)?;
    source_guard::check(packet, tables, meta, port, &work.parsed)?;
    match answer::decide(packet, tables, port, &work.parsed, &gateway_mac) {
        answer::Outcome::Done(verdict) => return Ok(verdict),
        answer::Outcome::AskAll => return Ok(flood::from_port(tables, meta, port, &work.parsed)),
        answer::Outcome::GoOn => {}
    }
    if work.parsed.ethernet.is_group() {
        return Ok(flood::from_port(tables, meta, port, &work.parsed));
    }
    Ok(match forward::decide(packet, tables, port, work, &gateway_mac) {
        Ok(hop) => locate::decide(packet, tables, meta, port, work, hop),
        Err(verdict) => verdict,
    })
}

/// Decides about a frame that came in by the uplink.
#[inline(always)]
pub fn from_uplink<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    work: &mut Work,
) -> Decision<'t> {
    let verdict = match unwrap::decide(packet, tables, meta) {
        unwrap::Outcome::Done(verdict) => verdict,
        unwrap::Outcome::Plain(ip) => match parse::read(packet, meta, 0, work) {
            Ok(()) => deliver::plain(tables, &ip, work),
            Err(reason) => Verdict::Drop(reason),
        },
        // Two calls with constants, so that the kernel reads both kinds of inner frame directly.
        unwrap::Outcome::Encapsulated(outer) if outer.v4 => {
            encapsulated(packet, tables, meta, &outer, encapsulation::HEADER_V4 - ETHERNET_LEN, work)
        }
        unwrap::Outcome::Encapsulated(outer) => {
            encapsulated(packet, tables, meta, &outer, encapsulation::HEADER_V6 - ETHERNET_LEN, work)
        }
    };
    Decision { verdict, slot: 0 }
}

#[inline(always)]
fn encapsulated<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    outer: &encapsulation::Outer,
    base: usize,
    work: &mut Work,
) -> Verdict<'t> {
    let Some(host) = tables.host() else {
        return Verdict::Drop(DropReason::NotConfigured);
    };
    if let Err(reason) = parse::read(packet, meta, base, work) {
        return Verdict::Drop(reason);
    }
    if let Err(reason) = origin::check(packet, tables, meta, outer, &work.parsed, &host.gateway_mac) {
        return Verdict::Drop(reason);
    }
    deliver::encapsulated(packet, tables, meta, outer, work)
}
