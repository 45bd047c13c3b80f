//! What would become of a packet: `netvirt trace`.
//!
//! Builds the frame that a VM would send ([`packet`]), lets the pipeline decide about it as the kernel does while a
//! [`recorder`] takes down each look-up, carries the decision out on the frame ([`outcome`]) and reads what leaves
//! ([`decode`]). How keys and values of the tables are worded stands in [`words`].
//!
//! **Invariant:** no decision is made here. The verdict is that of [`pipeline::from_port`], and nothing changes: neither
//! tables nor counters nor what a port may still flood.

use std::collections::BTreeMap;

use api::{Frame, HostTrace, Problem, TraceReport, TraceRequest};
use model::Intent;
use pipeline::{Address, HostFlags, StationKey, Verdict, Work};
use plan::HostTables;

#[cfg(test)]
mod across;
mod decode;
mod outcome;
mod packet;
#[cfg(test)]
mod properties;
mod recorder;
mod words;

use packet::{Sender, Sent};
use recorder::Recorder;
use words::Words;

/// What a trace looks at: `tables` are those in force, `heard` where VMs that move were heard, `intent` is what they were
/// made of, and `names` gives the name of the port, or else of the interface, with an interface index.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub tables: &'a HostTables,
    pub heard: &'a BTreeMap<StationKey, Address>,
    pub intent: &'a Intent,
    pub names: &'a dyn Fn(u32) -> Option<String>,
}

/// Says what would become of a packet.
///
/// `tables` are those in force, `heard` where VMs that move were heard, `intent` is what they were made of, and `names` gives
/// the name of the port, or else of the interface, with an interface index.
///
/// # Errors
/// When there is no such port, it is not virtualized, its device is absent, or no VM would send such a packet.
pub fn trace(
    tables: &HostTables,
    heard: &BTreeMap<StationKey, Address>,
    intent: &Intent,
    names: &dyn Fn(u32) -> Option<String>,
    request: &TraceRequest,
) -> Result<TraceReport, Problem> {
    from_port(Seen { tables, heard, intent, names }, request).map(|traced| traced.report)
}

/// The same, with where the packet goes.
pub(crate) fn from_port(seen: Seen<'_>, request: &TraceRequest) -> Result<HostTrace, Problem> {
    let sender = sender(seen.tables, seen.intent, &request.from)?;
    let sent = packet::build(seen.tables, seen.intent, &sender, request)?;
    Ok(follow(seen, sent, Comes::FromPort))
}

/// Says what would become of a packet that another host sent here: a frame with its outer headers. `packet` says what it is.
///
/// # Errors
/// When it is for another host.
pub(crate) fn arrival(seen: Seen<'_>, frame: Vec<u8>, packet: String) -> Result<HostTrace, Problem> {
    let to = decode::destination(&frame)
        .ok_or_else(|| Problem::bad_request("the frame that is to be traced holds no IP packet; send a whole one"))?;
    let uplink = seen.tables.providers.get(&plan::to_address(to)).map(|provider| provider.uplink);
    let uplink = uplink
        .ok_or_else(|| Problem::not_found(format!("{to} is no provider address of this host any more; trace again")))?;
    Ok(follow(seen, Sent::arrived(frame, uplink, packet), Comes::FromHost))
}

/// Where a frame comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comes {
    FromPort,
    FromHost,
}

/// Lets the pipeline decide about a frame, and carries that out on a copy.
fn follow(seen: Seen<'_>, sent: Sent, comes: Comes) -> HostTrace {
    let words = Words::new(seen.intent, seen.names);
    let recorder = Recorder::new(seen.tables, seen.heard, &words, sent.meta().ifindex);
    let (mut work, mut verdict) = (Work::default(), Verdict::default());
    let mut room = sent.room();
    let frame = sent.frame(&mut room);
    match comes {
        Comes::FromPort => pipeline::from_port(&frame, &recorder, &sent.meta(), &mut work, &mut verdict),
        Comes::FromHost => pipeline::from_uplink(&frame, &recorder, &sent.meta(), &mut work, &mut verdict),
    }
    // Where nothing is limited there is nothing to tell.
    if seen.tables.host.is_some_and(|host| host.flags.has(HostFlags::LIMITED)) {
        pipeline::limit(&frame, &recorder, &sent.meta(), &work, &mut verdict);
    }
    let outcome = outcome::carry_out(&recorder, &words, &sent, &work, &verdict);
    let (remote, frame) = outcome.end.onward.map(|(remote, frame)| (remote, Frame(frame))).unzip();
    HostTrace {
        fate: outcome.end.fate,
        port: outcome.end.port.map(|ifindex| words.interface(ifindex)),
        remote,
        frame,
        inner: decode::inner(&outcome.output),
        report: TraceReport {
            packet: sent.summary,
            steps: recorder.into_steps(),
            verdict: outcome.verdict,
            reason: outcome.reason.map(|reason| reason.name().to_owned()),
            explanation: outcome.explanation,
            output: outcome.output,
        },
    }
}

/// The port of this name, and what the tables hold of it.
fn sender<'a>(tables: &'a HostTables, intent: &'a Intent, name: &str) -> Result<Sender<'a>, Problem> {
    let Some(port) = intent.ports().find(|port| port.name.as_str() == name) else {
        let names: Vec<&str> = intent.ports().map(|port| port.name.as_str()).collect();
        let there = match names.is_empty() {
            true => "this host has none; create one with \"netvirt create port\"".to_owned(),
            false => format!("the ports of this host are {}", names.join(", ")),
        };
        return Err(Problem::not_found(format!("there is no port \"{name}\"; {there}")));
    };
    let Some(vsid) = port.vsid else {
        return Err(Problem::invalid(format!(
            "port {name} has VSID 0, so its packets pass through this host unvirtualized and there is nothing to trace; \
             give it a VSID with \"netvirt set port {name} --vsid NUMBER\""
        )));
    };
    // A MAC address stands once in a VSID, so both together are the port's.
    let entry = tables.ports.iter().find(|(_, entry)| entry.vsid == vsid.get() && entry.mac == port.mac.octets());
    let Some((ifindex, entry)) = entry else {
        return Err(Problem::unavailable(format!(
            "port {name} is not bound: this host has no device \"{}\"; start the VM, or create the device",
            port.device
        )));
    };
    Ok(Sender { name: &port.name, ifindex: *ifindex, entry, vsid })
}
