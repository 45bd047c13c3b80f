//! Stage "locate": where is that address, and does the packet fit on the way? Follows "forward" from a port.

use crate::encapsulation;
use crate::headers::icmp::IcmpError;
use crate::headers::transport;
use crate::packet::{Meta, Packet};
use crate::paths;
use crate::stages::forward;
use crate::stages::parse::Parsed;
use crate::tables::{Address, Peer, Port, PortFlags, Record, RecordFlags, RecordKey, Tables};
use crate::verdict::{Action, Strip, Translation, Tunnel, Verdict, Work};
use crate::{DropReason, Stage};

/// Says how the packet reaches the record's VM.
#[inline(always)]
pub fn decide<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    port: &Port,
    work: &mut Work,
    record: &'t Record,
    verdict: &mut Verdict<'t>,
) {
    tables.enter(Stage::Locate);
    if record.ifindex != 0 {
        return to_port(tables, work.vsid, record.ifindex, None, Translation::default(), verdict);
    }
    if record.flags.has(RecordFlags::LOCAL) {
        return verdict.drop(DropReason::NoPort);
    }
    let hash = work.parsed.hash();
    let Some(peer) = paths::choose(tables, &record.provider, hash) else { return verdict.drop(DropReason::NoPeer) };
    if record.flags.has(RecordFlags::NAT) || record.flags.has(RecordFlags::BARE) {
        return plain(packet, tables, meta, port, work, record, peer, verdict);
    }
    let Some(subnet) = tables.subnet(work.vsid) else { return verdict.drop(DropReason::UnknownSubnet) };
    let encapsulation = subnet.encapsulation();
    let limit = peer.mtu.saturating_sub(encapsulation::overhead(encapsulation, record.provider.is_v4()));
    if !fit(packet, tables, meta, port, work, limit, verdict) {
        return;
    }
    let traffic_class = work.parsed.outer_traffic_class();
    let tunnel = Tunnel { peer, remote: &record.provider, encapsulation, vsid: work.vsid, hash, traffic_class };
    verdict.set(Action::Encapsulate { tunnel });
}

/// To a port of this host.
#[inline(always)]
pub fn to_port<'t, T: Tables>(
    tables: &T,
    vsid: u32,
    ifindex: u32,
    strip: Option<Strip>,
    translation: Translation<'t>,
    verdict: &mut Verdict<'t>,
) {
    let Some(target) = tables.port(ifindex) else { return verdict.drop(DropReason::NoPort) };
    if target.vsid != vsid {
        return verdict.drop(DropReason::SubnetMismatch);
    }
    let peer = target.flags.has(PortFlags::PEER);
    verdict.set(Action::Deliver { ifindex, slot: target.slot, peer, strip, translation });
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
    record: &'t Record,
    peer: &'t Peer,
    verdict: &mut Verdict<'t>,
) {
    let Some(source) = work.parsed.ip().map(|ip| ip.source) else { return verdict.drop(DropReason::NotIp) };
    let Some(sender) = tables.record(&RecordKey { vsid: port.vsid, address: source }) else {
        return verdict.drop(DropReason::NotTranslated);
    };
    if !travels_plain(sender) || !travels_plain(record) {
        return verdict.drop(DropReason::NotTranslated);
    }
    if fit(packet, tables, meta, port, work, peer.mtu, verdict) {
        let translation = Translation { wanted: true, source: on_wire(sender), destination: on_wire(record) };
        verdict.set(Action::Plain { peer, translation });
    }
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
