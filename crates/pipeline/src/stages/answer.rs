//! Stage "answer": does the host answer in place of the network? Follows "source guard" from a port.
//!
//! ARP requests and neighbor solicitations to everybody are answered from the lookup records, so that nobody else need
//! hear them. Those to one MAC address (probes whether a neighbour is still there, RFC 4861, 7.3.1) go to it.

use crate::headers::arp::Arp;
use crate::headers::ip::{self, Ip};
use crate::headers::neighbor;
use crate::headers::same_mac;
use crate::packet::Packet;
use crate::stages::parse::Parsed;
use crate::tables::{Address, Port, PortFlags, RecordFlags, RecordKey, SubnetFlags, Tables};
use crate::verdict::{Action, Answer, Verdict};
use crate::{DropReason, Stage};

/// What comes of the stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Outcome {
    /// The journey ends here; the verdict says how.
    Done,
    /// Nobody knows the address, but somebody may: ask all ports of the subnet.
    AskAll,
    /// No question that the host answers.
    GoOn,
}

/// Answers, if it is a question for the host.
#[inline(always)]
pub fn decide<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    port: &Port,
    parsed: &Parsed,
    gateway_mac: &[u8; 6],
    verdict: &mut Verdict<'t>,
) -> Outcome {
    if !parsed.ethernet.is_group() && !same_mac(&parsed.ethernet.destination, gateway_mac) {
        return Outcome::GoOn;
    }
    if let Some(arp) = parsed.arp() {
        tables.enter(Stage::Answer);
        return answer_arp(tables, port, arp, verdict);
    }
    match parsed.ip() {
        Some(ip) if ip.protocol == ip::ICMPV6 && !ip.v4 => {
            let kind = ip.transport::<1, P>(packet, parsed.network as usize, 0);
            if kind != Some([neighbor::SOLICITATION]) {
                return Outcome::GoOn;
            }
            tables.enter(Stage::Answer);
            answer_nd(packet, tables, port, parsed, ip, verdict)
        }
        _ => Outcome::GoOn,
    }
}

/// What to do about an address that no record knows.
#[inline(always)]
fn unknown<'t, T: Tables>(tables: &'t T, port: &Port, verdict: &mut Verdict<'t>) -> Outcome {
    match tables.subnet(port.vsid) {
        Some(subnet) if subnet.flags.has(SubnetFlags::LEARN) => Outcome::AskAll,
        _ => {
            verdict.drop(DropReason::NoRecord);
            Outcome::Done
        }
    }
}

#[inline(always)]
fn answer_arp<'t, T: Tables>(tables: &'t T, port: &Port, arp: &Arp, verdict: &mut Verdict<'t>) -> Outcome {
    // Replies to everybody, and requests for one's own address, are announcements (RFC 5227, 2.3).
    let announcement = !arp.request || arp.target == arp.sender;
    // A VM that has come says so, and all hosts that know it must hear it.
    if announcement && port.flags.has(PortFlags::AWAITS) {
        return Outcome::GoOn;
    }
    let Some(record) = tables.record(&RecordKey { vsid: port.vsid, address: Address::v4(arp.target) }) else {
        return unknown(tables, port, verdict);
    };
    if announcement || same_mac(&record.mac, &port.mac) {
        verdict.drop(DropReason::OwnAddress);
    } else {
        verdict.set(Action::Answer(Answer::Arp(record.mac)));
    }
    Outcome::Done
}

#[inline(always)]
fn answer_nd<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    port: &Port,
    parsed: &Parsed,
    ip: &Ip,
    verdict: &mut Verdict<'t>,
) -> Outcome {
    let target = neighbor::target(packet, parsed.network as usize + ip::V6_LEN);
    // The hop limit proves that the message was not routed (RFC 4861, 7.1.1).
    let Some(target) = target.filter(|target| ip.ttl == 255 && !neighbor::is_multicast(target)) else {
        verdict.drop(DropReason::Malformed);
        return Outcome::Done;
    };
    let Some(record) = tables.record(&RecordKey { vsid: port.vsid, address: target }) else {
        if neighbor::link_local(&port.mac) == target {
            verdict.drop(DropReason::OwnAddress);
            return Outcome::Done;
        }
        return unknown(tables, port, verdict);
    };
    if same_mac(&record.mac, &port.mac) {
        verdict.drop(DropReason::OwnAddress);
    } else {
        let router = record.flags.has(RecordFlags::GATEWAY);
        verdict.set(Action::Answer(Answer::Neighbor { mac: record.mac, router }));
    }
    Outcome::Done
}
