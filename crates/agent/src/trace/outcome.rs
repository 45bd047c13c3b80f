//! What becomes of a packet: the verdict as a sentence, and what leaves when it is carried out.
//!
//! The steps are those of the kernel programs' `egress.rs`, on bytes instead of an skb.

use std::net::IpAddr;

use api::fabric::TraceFate;
use pipeline::apply::{self, Dressed};
use pipeline::headers::icmp::IcmpError;
use pipeline::headers::{ip, neighbor};
use pipeline::stages::flood;
use pipeline::{
    Action, Address, Answer, Buffer, DropReason, Flood, MAX_REPLICAS, NoRoom, Peer, Then, Translation, Tunnel, Verdict,
    Work,
};
use plan::to_ip;

use super::decode;
use super::packet::Sent;
use super::recorder::Recorder;
use super::words::{Words, count, mac};

/// What becomes of a packet.
#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Outcome {
    /// In a few words.
    pub verdict: String,
    /// Why, if it is dropped.
    pub reason: Option<DropReason>,
    /// What follows for the operator.
    pub explanation: Option<String>,
    /// What leaves, one line a header.
    pub output: Vec<String>,
    /// Where it goes.
    pub end: End,
}

/// Where a packet goes, for those who follow it.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct End {
    pub fate: TraceFate,
    /// Interface index of the port that it is delivered to.
    pub port: Option<u32>,
    /// The other host's provider address, and the frame that goes there.
    pub onward: Option<(IpAddr, Vec<u8>)>,
}

/// What is not followed ends.
impl Default for End {
    fn default() -> Self {
        Self { fate: TraceFate::Dropped, port: None, onward: None }
    }
}

impl End {
    /// By what was decided, and the frame that was made by it.
    fn of(action: &Action, work: &Work, frame: &Buffer) -> Self {
        let to_host = |remote: &Address| Self {
            fate: TraceFate::ToHost,
            port: None,
            onward: Some((to_ip(*remote), frame.as_slice().to_vec())),
        };
        let plain = |fate| Self { fate, ..Self::default() };
        match action {
            Action::Drop(_) => Self::default(),
            Action::Deliver { ifindex, .. } => Self { port: Some(*ifindex), ..plain(TraceFate::Delivered) },
            Action::Encapsulate { tunnel } => to_host(tunnel.remote),
            Action::Onward { remote, .. } => to_host(remote),
            Action::Plain { translation, .. } => to_host(
                &translation.destination.copied().or(work.parsed.ip().map(|ip| ip.destination)).unwrap_or_default(),
            ),
            Action::Answer(_) | Action::Punt { .. } => plain(TraceFate::Answered),
            Action::Flood(_) => plain(TraceFate::Replicated),
            Action::Pass | Action::Wire { .. } | Action::Host { .. } | Action::Relay { .. } => {
                plain(TraceFate::Outside)
            }
        }
    }
}

impl Outcome {
    fn dropped(reason: DropReason) -> Self {
        Self {
            verdict: "dropped".to_owned(),
            reason: Some(reason),
            explanation: Some(reason.explanation().to_owned()),
            ..Self::default()
        }
    }
}

/// What happens to one packet, and where its parts are found.
struct Journey<'a> {
    tables: &'a Recorder<'a>,
    words: &'a Words<'a>,
    sent: &'a Sent,
    work: &'a Work,
}

/// Carries a decision out on a copy of the frame.
pub(super) fn carry_out(tables: &Recorder, words: &Words, sent: &Sent, work: &Work, verdict: &Verdict) -> Outcome {
    let mut room = sent.room();
    let mut frame = sent.frame(&mut room);
    let journey = Journey { tables, words, sent, work };
    let result = match &verdict.action() {
        Action::Pass => Ok(journey.unvirtualized(&frame)),
        Action::Drop(reason) => Ok(Outcome::dropped(*reason)),
        Action::Deliver { ifindex, strip, translation, .. } => apply::translate(&mut frame, &work.edit, translation)
            .and_then(|()| apply::deliver(&mut frame, *strip, &work.edit))
            .map(|()| journey.delivered(*ifindex, &frame)),
        Action::Encapsulate { tunnel } => apply::edit(&mut frame, &work.edit)
            .and_then(|()| apply::encapsulate(&mut frame, tunnel, &work.edit, sent.meta().len))
            .map(|()| journey.encapsulated(tunnel, &frame)),
        Action::Plain { peer, translation } => apply::translate(&mut frame, &work.edit, translation)
            .and_then(|()| apply::plain(&mut frame, &work.edit))
            .map(|()| journey.plain(peer, translation, &frame)),
        Action::Answer(answer) => {
            let gateway_mac = tables.gateway_mac();
            apply::answer(&mut frame, verdict, &gateway_mac).map(|()| journey.answered(answer, &frame))
        }
        Action::Flood(flood) => journey.flooded(flood, &mut frame),
        Action::Wire { network } => apply::tag(&mut frame, *network).map(|()| journey.to_wire(*network, &frame)),
        Action::Host { network } => apply::tag(&mut frame, *network).map(|()| journey.to_host(*network, &frame)),
        Action::Punt { .. } => Ok(journey.punted(&frame)),
        Action::Onward { peer, remote } => {
            apply::onward(&mut frame, peer, remote, &work.edit).map(|()| journey.sent_on(peer, remote, &frame))
        }
        Action::Relay { peer } => Ok(journey.relayed(peer, &frame)),
    };
    match result {
        Ok(outcome) => Outcome { end: End::of(&verdict.action(), work, &frame), ..outcome },
        Err(NoRoom) => Outcome::dropped(DropReason::NoRoom),
    }
}

impl Journey<'_> {
    fn unvirtualized(&self, frame: &Buffer) -> Outcome {
        Outcome {
            verdict: "passed on to this host's own stack, unvirtualized".to_owned(),
            output: decode::frame(frame.as_slice()),
            ..Outcome::default()
        }
    }

    fn to_wire(&self, network: u32, frame: &Buffer) -> Outcome {
        Outcome {
            verdict: format!("sent out to the {}", self.words.network(network)),
            explanation: Some("the physical network's switches decide further".to_owned()),
            output: decode::frame(frame.as_slice()),
            ..Outcome::default()
        }
    }

    fn to_host(&self, network: u32, frame: &Buffer) -> Outcome {
        Outcome {
            verdict: format!("passed on to this host's own stack, on the {}", self.words.network(network)),
            output: decode::frame(frame.as_slice()),
            ..Outcome::default()
        }
    }

    fn punted(&self, frame: &Buffer) -> Outcome {
        Outcome {
            verdict: "handed to this host's agent, which answers it".to_owned(),
            explanation: Some("the agent answers by the DHCP scopes of the port's subnet".to_owned()),
            output: decode::frame(frame.as_slice()),
            ..Outcome::default()
        }
    }

    fn delivered(&self, ifindex: u32, frame: &Buffer) -> Outcome {
        Outcome {
            verdict: format!("delivered to port {} on this host", self.words.interface(ifindex)),
            output: decode::frame(frame.as_slice()),
            ..Outcome::default()
        }
    }

    fn encapsulated(&self, tunnel: &Tunnel, frame: &Buffer) -> Outcome {
        let Tunnel { peer, remote, encapsulation, vsid, .. } = tunnel;
        Outcome {
            verdict: format!(
                "encapsulated in {} to {remote}, VSID {vsid}, by {}",
                encapsulation.name(),
                self.words.interface(peer.uplink)
            ),
            explanation: Some(format!(
                "the host with {remote} decides further by its own tables: whether it knows the sender, and which port \
                 has the destination's MAC address"
            )),
            output: decode::frame(frame.as_slice()),
            ..Outcome::default()
        }
    }

    fn plain(&self, peer: &Peer, translation: &Translation, frame: &Buffer) -> Outcome {
        let ip = self.work.parsed.ip();
        let rewritten = [
            ("source", ip.map(|ip| ip.source), translation.source),
            ("destination", ip.map(|ip| ip.destination), translation.destination),
        ];
        let rewritten: String = rewritten
            .into_iter()
            .filter_map(|(which, from, to)| Some(format!(", {which} {} rewritten to {}", from?, to?)))
            .collect();
        let to = translation.destination.copied().or(ip.map(|ip| ip.destination)).unwrap_or_default();
        Outcome {
            verdict: format!("sent unencapsulated to {to} by {}{rewritten}", self.words.interface(peer.uplink)),
            explanation: Some(format!("the host that has {to} decides further by its own tables")),
            output: decode::frame(frame.as_slice()),
            ..Outcome::default()
        }
    }

    /// Not the fate of a frame from a port, only of one that this host put back to its uplink.
    fn relayed(&self, peer: &Peer, frame: &Buffer) -> Outcome {
        Outcome {
            verdict: format!("sent on by {}", self.words.interface(peer.uplink)),
            output: decode::frame(frame.as_slice()),
            ..Outcome::default()
        }
    }

    /// Not the fate of a frame from a port, only of one of another host whose receiver has gone to a third one.
    fn sent_on(&self, peer: &Peer, remote: &Address, frame: &Buffer) -> Outcome {
        Outcome {
            verdict: format!(
                "sent on to {remote}, where its receiver has gone, by {}",
                self.words.interface(peer.uplink)
            ),
            output: decode::frame(frame.as_slice()),
            ..Outcome::default()
        }
    }

    fn answered(&self, answer: &Answer, frame: &Buffer) -> Outcome {
        let parsed = &self.work.parsed;
        let destination = || parsed.ip().map(|ip| ip.destination).unwrap_or_default();
        let answer = match answer {
            Answer::Arp(has) => {
                let target = parsed.arp().map(|arp| IpAddr::from(arp.target));
                format!("ARP reply, {} is at {}", or_unknown(target), mac(*has))
            }
            Answer::Neighbor { mac: has, router } => {
                let target = self.solicited().map(to_ip);
                let router = if *router { ", a router" } else { "" };
                format!("neighbor advertisement, {} is at {}{router}", or_unknown(target), mac(*has))
            }
            Answer::Echo => format!("echo reply from {}, the gateway", destination()),
            Answer::Error { error: IcmpError::TimeExceeded, gateway, .. } => {
                format!("time exceeded, from {gateway}, the gateway")
            }
            Answer::Error { error: IcmpError::TooBig(mtu), gateway, .. } => {
                let name = if gateway.is_v4() { "fragmentation needed" } else { "packet too big" };
                format!("{name}, at most {mtu} bytes fit, from {gateway}, the gateway")
            }
        };
        Outcome {
            verdict: format!("answered by the host: {answer}"),
            explanation: Some("the packet ends here, and its VM gets this in return".to_owned()),
            output: decode::frame(frame.as_slice()),
            ..Outcome::default()
        }
    }

    /// The address that a neighbor solicitation asks for.
    fn solicited(&self) -> Option<Address> {
        let mut room = self.sent.room();
        neighbor::target(&self.sent.frame(&mut room), usize::from(self.work.parsed.network) + ip::V6_LEN)
    }

    /// Copies the frame to many, one after the other as the kernel does: ports first, then hosts.
    fn flooded(&self, flood: &Flood, frame: &mut Buffer) -> Result<Outcome, NoRoom> {
        let (mut ports, mut hosts, mut too_far) = (Vec::new(), Vec::new(), Vec::new());
        let mut output = Vec::new();
        let mut dressed = Dressed::Bare;
        let undressed = decode::frame(frame.as_slice());
        for index in 0..flood.to.min(MAX_REPLICAS) {
            let Some(replica) = flood::replica(self.tables, flood, index) else { continue };
            if replica.ifindex != 0 {
                ports.push(self.words.interface(replica.ifindex));
                continue;
            }
            let host = replica.provider.to_string();
            let Some(peer) = flood::peer(self.tables, flood, replica) else {
                too_far.push(host);
                continue;
            };
            let tunnel = flood::tunnel(flood, peer, replica);
            dressed = apply::dress(frame, dressed, &tunnel, &self.work.edit.ethernet, self.sent.meta().len)?;
            output.push(format!("to host {host} by {}:", self.words.interface(peer.uplink)));
            output.extend(indented(decode::frame(frame.as_slice())));
            hosts.push(host);
        }
        if !ports.is_empty() {
            let title = format!("to port{} {}:", if ports.len() == 1 { "" } else { "s" }, ports.join(", "));
            output.splice(0..0, std::iter::once(title).chain(indented(undressed)));
        }
        let parts = [(ports.len(), "port"), (hosts.len(), "host")].into_iter().filter(|(number, _)| *number > 0);
        let mut parts: Vec<String> = parts.map(|(number, thing)| count(number, thing)).collect();
        if flood.then == Then::Wire {
            apply::tag(frame, flood.vsid)?;
            let network = self.words.network(flood.vsid);
            output.push(format!("to this host's own stack, and out to the {network}:"));
            output.extend(indented(decode::frame(frame.as_slice())));
            parts.push(format!("this host and the {network}"));
        }
        let to = if parts.is_empty() { "nobody".to_owned() } else { parts.join(" and ") };
        let further = (!hosts.is_empty()).then(|| "each other host decides further for its own ports".to_owned());
        let left_out = (!too_far.is_empty()).then(|| {
            format!("left out, since the frame does not fit on the way or none is known: host {}", too_far.join(", "))
        });
        let explanation: Vec<String> = further.into_iter().chain(left_out).collect();
        Ok(Outcome {
            verdict: format!("replicated to {to}"),
            explanation: (!explanation.is_empty()).then(|| explanation.join("; ")),
            output,
            ..Outcome::default()
        })
    }
}

fn or_unknown(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "the target".to_owned(), |address| address.to_string())
}

fn indented(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines.into_iter().map(|line| format!("  {line}"))
}
