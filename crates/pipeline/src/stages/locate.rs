//! Stage "locate": where is that address, and does the packet fit on the way? Follows "forward" from a port.

use crate::encapsulation;
use crate::headers::icmp::IcmpError;
use crate::headers::transport;
use crate::packet::{Meta, Packet};
use crate::stages::forward::{self, Hop};
use crate::stages::parse::Parsed;
use crate::tables::{Address, Port, PortFlags, Record, RecordFlags, RecordKey, Tables};
use crate::verdict::{Edit, Translation, Tunnel, Verdict, Work};
use crate::{DropReason, Stage};

/// Says how the packet reaches the record's VM.
#[inline(always)]
pub fn decide<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    port: &Port,
    work: &mut Work,
    hop: Hop<'t>,
) -> Verdict<'t> {
    tables.enter(Stage::Locate);
    let Hop { vsid, record } = hop;
    let Work { parsed, edit } = work;
    if record.ifindex != 0 {
        return to_port(tables, vsid, record.ifindex);
    }
    if record.flags.has(RecordFlags::LOCAL) {
        return Verdict::Drop(DropReason::NoPort);
    }
    let Some(peer) = tables.peer(&record.provider) else {
        return Verdict::Drop(DropReason::NoPeer);
    };
    if record.flags.has(RecordFlags::NAT) || record.flags.has(RecordFlags::BARE) {
        return plain(packet, tables, meta, port, parsed, record, edit);
    }
    let limit = peer
        .mtu
        .saturating_sub(encapsulation::overhead(record.provider.is_v4()));
    if let Err(verdict) = fit(packet, tables, meta, port, parsed, limit, edit) {
        return verdict;
    }
    Verdict::Encapsulate {
        tunnel: Tunnel {
            peer,
            remote: &record.provider,
            vsid,
            hash: parsed.hash(),
            traffic_class: parsed.outer_traffic_class(),
        },
    }
}

/// To a port of this host.
#[inline(always)]
pub fn to_port<'t, T: Tables>(tables: &T, vsid: u32, ifindex: u32) -> Verdict<'t> {
    let Some(target) = tables.port(ifindex) else {
        return Verdict::Drop(DropReason::NoPort);
    };
    if target.vsid != vsid {
        return Verdict::Drop(DropReason::SubnetMismatch);
    }
    Verdict::Deliver {
        ifindex,
        slot: target.slot,
        peer: target.flags.has(PortFlags::PEER),
        strip: None,
        translation: None,
    }
}

/// Lets pass what fits into `limit` bytes of network packet, lowers the maximum segment size of a SYN to what will, and
/// tells the sender of anything else.
#[inline(always)]
fn fit<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    port: &Port,
    parsed: &Parsed,
    limit: u32,
    edit: &mut Edit,
) -> Result<(), Verdict<'t>> {
    let Some(ip) = parsed.ip() else {
        return if parsed.length <= limit {
            Ok(())
        } else {
            Err(Verdict::Drop(DropReason::TooBig))
        };
    };
    let length = if meta.segment == 0 {
        parsed.length
    } else {
        let header = transport::segment_header_len(ip, packet, parsed.network).unwrap_or(0);
        ip.header_len() as u32 + header + meta.segment
    };
    if length > limit {
        // Without "don't fragment" a router would fragment. This one cannot, so it tells the sender too, whose own
        // stack then does (Linux: `ip_rt_update_pmtu` heeds the message in both cases).
        return Err(
            forward::report(packet, tables, port, parsed, ip, IcmpError::TooBig(limit))
                .unwrap_or(Verdict::Drop(DropReason::TooBig)),
        );
    }
    let headers = ip.header_len() + transport::TCP_LEN;
    edit.clamp = transport::clamp(
        ip,
        packet,
        parsed.network,
        (limit as u16).saturating_sub(headers as u16),
    );
    Ok(())
}

/// To a VM that is reached without encapsulation (rules TranslationMethodNat and TranslationMethodNone).
#[inline(always)]
fn plain<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    port: &Port,
    parsed: &Parsed,
    record: &'t Record,
    edit: &mut Edit,
) -> Verdict<'t> {
    let Some(ip) = parsed.ip() else {
        return Verdict::Drop(DropReason::NotIp);
    };
    let Some(peer) = tables.peer(&record.provider) else {
        return Verdict::Drop(DropReason::NoPeer);
    };
    let Some(sender) = tables.record(&RecordKey {
        vsid: port.vsid,
        address: ip.source,
    }) else {
        return Verdict::Drop(DropReason::NotTranslated);
    };
    let (Ok(source), Ok(destination)) = (on_wire(sender), on_wire(record)) else {
        return Verdict::Drop(DropReason::NotTranslated);
    };
    if let Err(verdict) = fit(packet, tables, meta, port, parsed, peer.mtu, edit) {
        return verdict;
    }
    Verdict::Plain {
        peer,
        remote: &record.provider,
        translation: Translation { source, destination },
    }
}

/// The address that stands for a record's customer address on the wire, `None` if that is the customer address itself.
///
/// # Errors
/// When the customer address only travels encapsulated.
#[inline(always)]
fn on_wire(record: &Record) -> Result<Option<&Address>, ()> {
    if record.flags.has(RecordFlags::NAT) {
        Ok(Some(&record.provider))
    } else if record.flags.has(RecordFlags::BARE) {
        Ok(None)
    } else {
        Err(())
    }
}
