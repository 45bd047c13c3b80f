//! Stage "locate": where is that address, and does the packet fit on the way? Follows "forward" from a port.

use crate::encapsulation;
use crate::headers::icmp::IcmpError;
use crate::headers::transport;
use crate::moves;
use crate::packet::{Meta, Packet};
use crate::paths;
use crate::stages::parse::Parsed;
use crate::stages::{forward, known};
use crate::tables::{Address, Peer, Port, PortFlags, Record, RecordFlags, RecordKey, Tables};
use crate::verdict::{Action, Strip, Translation, Tunnel, Verdict, Work};
use crate::{DropReason, Stage};

/// Says how the packet reaches the record's VM, and drafts that way for the next packets of its flow. The interface index of
/// the receiver's port, 0 for one on another host; `None` if the packet does not reach it.
#[inline(always)]
pub fn decide<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    port: &Port,
    work: &mut Work,
    record: &'t Record,
    verdict: &mut Verdict<'t>,
) -> Option<u32> {
    tables.enter(Stage::Locate);
    let mut record = record;
    if record.flags.has(RecordFlags::MOVES) {
        // Where it is may be another question with the next packet.
        work.probe.plain = false;
        record = moves::now(tables, work.vsid, record);
    }
    if record.ifindex != 0 {
        let port = to_port(tables, work.vsid, record.ifindex, None, Translation::default(), verdict)?;
        known::way_to_port(work, port, record.ifindex);
        return Some(record.ifindex);
    }
    if record.flags.has(RecordFlags::LOCAL) {
        verdict.drop(DropReason::NoPort);
        return None;
    }
    let hash = work.parsed.hash();
    let Some(peer) = paths::choose(tables, &record.provider, hash) else {
        verdict.drop(DropReason::NoPeer);
        return None;
    };
    if record.flags.has(RecordFlags::NAT) || record.flags.has(RecordFlags::BARE) {
        return plain(packet, tables, meta, port, work, (record, peer), verdict);
    }
    let Some(subnet) = tables.subnet(work.vsid) else {
        verdict.drop(DropReason::UnknownSubnet);
        return None;
    };
    let encapsulation = subnet.encapsulation();
    let limit = peer.mtu.saturating_sub(encapsulation::overhead(encapsulation, record.provider.is_v4()));
    if !fit(packet, tables, meta, port, work, limit, verdict) {
        return None;
    }
    let traffic_class = work.parsed.outer_traffic_class();
    let tunnel = Tunnel { peer, remote: &record.provider, encapsulation, vsid: work.vsid, hash, traffic_class };
    known::way_to_host(work, &tunnel, limit);
    verdict.set(Action::Encapsulate { tunnel });
    Some(0)
}

/// To a port of this host.
#[inline(always)]
pub fn to_port<'t, T: Tables>(
    tables: &'t T,
    vsid: u32,
    ifindex: u32,
    strip: Option<Strip>,
    translation: Translation<'t>,
    verdict: &mut Verdict<'t>,
) -> Option<&'t Port> {
    let Some(target) = tables.port(ifindex) else {
        verdict.drop(DropReason::NoPort);
        return None;
    };
    if target.vsid != vsid {
        verdict.drop(DropReason::SubnetMismatch);
        return None;
    }
    let peer = target.flags.has(PortFlags::PEER);
    verdict.set(Action::Deliver { ifindex, slot: target.slot, peer, strip, translation });
    Some(target)
}

/// Lets pass what fits into `limit` bytes of network packet, lowers the maximum segment size of a SYN to what will, and
/// tells the sender of anything else. False if the verdict says all.
#[inline(always)]
fn fit<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    port: &Port,
    work: &mut Work,
    limit: u32,
    verdict: &mut Verdict<'t>,
) -> bool {
    let Work { parsed, edit, .. } = work;
    let network = parsed.network as usize;
    let Some(ip) = parsed.ip() else {
        if parsed.length > limit {
            verdict.drop(DropReason::TooBig);
        }
        return parsed.length <= limit;
    };
    if longest(packet, meta, parsed) > limit {
        // Without "don't fragment" a router would fragment. This one cannot, so it tells the sender too, whose own
        // stack then does (Linux: `ip_rt_update_pmtu` heeds the message in both cases).
        if !forward::report(packet, tables, port, parsed, ip, IcmpError::TooBig(limit), verdict) {
            verdict.drop(DropReason::TooBig);
        }
        return false;
    }
    let headers = (ip.header_len() + transport::TCP_LEN) as u32;
    transport::clamp(ip, packet, network, limit.saturating_sub(headers) as u16, &mut edit.clamp);
    true
}

/// Length in bytes of the longest network packet that the frame stands for.
#[inline(always)]
pub fn longest<P: Packet>(packet: &P, meta: &Meta, parsed: &Parsed) -> u32 {
    match parsed.ip() {
        Some(ip) if meta.segment != 0 => {
            let header = transport::segment_header_len(ip, packet, parsed.network as usize).unwrap_or(0);
            ip.header_len() as u32 + header + meta.segment
        }
        _ => parsed.length,
    }
}

/// To a VM that is reached without encapsulation (rules TranslationMethodNat and TranslationMethodNone).
#[inline(always)]
fn plain<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    port: &Port,
    work: &mut Work,
    (record, peer): (&'t Record, &'t Peer),
    verdict: &mut Verdict<'t>,
) -> Option<u32> {
    let Some(source) = work.parsed.ip().map(|ip| ip.source) else {
        verdict.drop(DropReason::NotIp);
        return None;
    };
    let sender = tables.record(&RecordKey { vsid: port.vsid, address: source });
    let Some(sender) = sender.filter(|sender| travels_plain(sender) && travels_plain(record)) else {
        verdict.drop(DropReason::NotTranslated);
        return None;
    };
    if !fit(packet, tables, meta, port, work, peer.mtu, verdict) {
        return None;
    }
    let translation = Translation { wanted: true, source: on_wire(sender), destination: on_wire(record) };
    verdict.set(Action::Plain { peer, translation });
    Some(0)
}

/// Whether a customer address is reached without encapsulation.
#[inline(always)]
fn travels_plain(record: &Record) -> bool {
    record.flags.has(RecordFlags::NAT) || record.flags.has(RecordFlags::BARE)
}

/// The address that stands for a record's customer address on the wire; `None` if that is the customer address itself.
#[inline(always)]
fn on_wire(record: &Record) -> Option<&Address> {
    if record.flags.has(RecordFlags::NAT) { Some(&record.provider) } else { None }
}
