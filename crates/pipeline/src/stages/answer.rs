//! Stage "answer": does the host answer in place of the network? Follows "source guard" from a port.
//!
//! ARP requests and neighbor solicitations to everybody are answered from the lookup records, so that nobody else need
//! hear them. Those to one MAC address (probes whether a neighbour is still there, RFC 4861, 7.3.1) go to it.

use crate::headers::arp::Arp;
use crate::headers::ip::{self, Ip};
use crate::headers::neighbor::{self, Neighbor};
use crate::packet::Packet;
use crate::stages::parse::{Parsed, Payload};
use crate::tables::{Address, Port, RecordFlags, RecordKey, SubnetFlags, Tables};
use crate::verdict::{Answer, Verdict};
use crate::{DropReason, Stage};

/// What comes of the stage.
pub enum Outcome<'t> {
    /// The journey ends here.
    Done(Verdict<'t>),
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
) -> Outcome<'t> {
    let for_host = parsed.ethernet.is_group() || parsed.ethernet.destination == *gateway_mac;
    match &parsed.payload {
        Payload::Arp(arp) if for_host => {
            tables.enter(Stage::Answer);
            answer_arp(tables, port, arp)
        }
        Payload::Ip(ip) if for_host && ip.protocol == ip::ICMPV6 && !ip.v4 => {
            let kind = ip.transport::<1, P>(packet, parsed.network, 0);
            if kind != Some([neighbor::SOLICITATION]) {
                return Outcome::GoOn;
            }
            tables.enter(Stage::Answer);
            answer_nd(packet, tables, port, parsed, ip)
        }
        _ => Outcome::GoOn,
    }
}

/// Who has an address, in answer to a port.
enum Holder {
    /// This MAC address; and whether it is the gateway's.
    Known([u8; 6], bool),
    /// The port itself.
    Asker,
    /// Nobody we know, but the subnet has ports whose addresses are learnt.
    Unknown,
    /// Nobody.
    Nobody,
}

#[inline(always)]
fn holder<T: Tables>(tables: &T, port: &Port, target: Address) -> Holder {
    match tables.record(&RecordKey {
        vsid: port.vsid,
        address: target,
    }) {
        Some(record) if record.mac == port.mac => Holder::Asker,
        Some(record) => Holder::Known(record.mac, record.flags.has(RecordFlags::GATEWAY)),
        None => match tables.subnet(port.vsid) {
            Some(subnet) if subnet.flags.has(SubnetFlags::LEARN) => Holder::Unknown,
            _ => Holder::Nobody,
        },
    }
}

#[inline(always)]
fn answer_arp<'t, T: Tables>(tables: &'t T, port: &Port, arp: &Arp) -> Outcome<'t> {
    // Replies to everybody, and requests for one's own address, are announcements (RFC 5227, 2.3).
    let announcement = !arp.request || arp.target == arp.sender;
    match holder(tables, port, Address::v4(arp.target)) {
        Holder::Unknown => Outcome::AskAll,
        _ if announcement => Outcome::Done(Verdict::Drop(DropReason::OwnAddress)),
        Holder::Known(mac, _) => Outcome::Done(Verdict::Answer(Answer::Arp(mac))),
        Holder::Asker => Outcome::Done(Verdict::Drop(DropReason::OwnAddress)),
        Holder::Nobody => Outcome::Done(Verdict::Drop(DropReason::NoRecord)),
    }
}

#[inline(always)]
fn answer_nd<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    port: &Port,
    parsed: &Parsed,
    ip: &Ip,
) -> Outcome<'t> {
    let Some(message) = Neighbor::read(packet, parsed.network + ip::V6_LEN) else {
        return Outcome::Done(Verdict::Drop(DropReason::Malformed));
    };
    // The hop limit proves that the message was not routed (RFC 4861, 7.1.1).
    if ip.ttl != 255 || neighbor::is_multicast(&message.target) {
        return Outcome::Done(Verdict::Drop(DropReason::Malformed));
    }
    match holder(tables, port, message.target) {
        Holder::Known(mac, router) => Outcome::Done(Verdict::Answer(Answer::Neighbor { mac, router })),
        Holder::Asker => Outcome::Done(Verdict::Drop(DropReason::OwnAddress)),
        Holder::Unknown => Outcome::AskAll,
        Holder::Nobody if neighbor::link_local(&port.mac) == message.target => {
            Outcome::Done(Verdict::Drop(DropReason::OwnAddress))
        }
        Holder::Nobody => Outcome::Done(Verdict::Drop(DropReason::NoRecord)),
    }
}
