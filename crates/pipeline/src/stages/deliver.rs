//! Stage "deliver": which port of this host is it for? Last stage from the uplink.

use crate::encapsulation::{self, Outer};
use crate::headers::{ETHERNET_LEN, ethernet, transport};
use crate::moves;
use crate::packet::{Meta, Network, Packet};
use crate::paths;
use crate::stages::parse::Parsed;
use crate::stages::{flood, locate};
use crate::tables::{Plain, Port, Record, RecordFlags, RecordKey, StationKey, Tables};
use crate::verdict::{Action, Edit, Translation, Verdict, Work};
use crate::{DropReason, Stage};

/// ECN field of a packet whose sender does not know ECN (RFC 3168, section 5).
const NOT_ECN_CAPABLE: u8 = 0;

/// Finds the port of an encapsulated frame, and its device's interface index; `None` if the verdict says all.
#[inline(always)]
pub fn encapsulated<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) -> Option<(&'t Port, u32)> {
    tables.enter(Stage::Deliver);
    let Work { outer, parsed, edit, .. } = work;
    if let Err(reason) = take_over_congestion(outer, parsed, edit) {
        verdict.drop(reason);
        return None;
    }
    let strip = outer.strip();
    if parsed.ethernet.is_group() {
        flood::from_uplink(tables, meta, outer.vsid, parsed, strip, verdict);
        return None;
    }
    let key = StationKey { vsid: outer.vsid, mac: parsed.ethernet.destination, reserved: 0 };
    let Some(station) = tables.station(&key) else {
        verdict.drop(DropReason::NoRecord);
        return None;
    };
    let mut station = station;
    if station.flags.has(RecordFlags::MOVES) {
        // Where it is may be another question with the next packet.
        work.probe.plain = false;
        if let Some(record) = moves::onward(tables, work.outer.vsid, station) {
            send_on(tables, record, &key, work, verdict);
            return None;
        }
        station = moves::now(tables, work.outer.vsid, station);
    }
    let Work { outer, parsed, edit, .. } = work;
    if station.ifindex == 0 {
        verdict.drop(DropReason::NoPort);
        return None;
    }
    clamp(packet, tables, outer, parsed, edit);
    let port = locate::to_port(tables, outer.vsid, station.ifindex, Some(strip), Translation::default(), verdict)?;
    Some((port, station.ifindex))
}

/// Sends a frame on as it came, in our own name, to the host that its receiver has gone to; `key` is the receiver's.
#[inline(always)]
fn send_on<'t, T: Tables>(
    tables: &'t T,
    record: &'t Record,
    key: &StationKey,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) {
    let Work { outer_ip, parsed, edit, .. } = work;
    let peer = paths::choose(tables, &record.provider, parsed.hash());
    let Some(peer) = peer.filter(|peer| peer.local.is_v4() == outer_ip.v4) else {
        return verdict.drop(DropReason::NoPeer);
    };
    tables.sent_on(key);
    let (network, ethertype) = match outer_ip.v4 {
        true => (Network::V4, ethernet::IPV4),
        false => (Network::V6, ethernet::IPV6),
    };
    edit.routed = false;
    edit.congestion = false;
    edit.clamp.offset = 0;
    edit.network = network;
    edit.at = ETHERNET_LEN as u16;
    edit.ethernet = [0, 0, 0, 0, 0, 0, ethertype.to_be()];
    verdict.set(Action::Onward { peer, remote: &record.provider });
}

/// The mark that the underlay set to say that it is congested goes to the inner packet, or drops it if that cannot
/// carry it (RFC 6040, section 4.2).
#[inline(always)]
fn take_over_congestion(outer: &Outer, parsed: &Parsed, edit: &mut Edit) -> Result<(), DropReason> {
    if outer.congestion
        && let Some(ip) = parsed.ip()
    {
        match ip.traffic_class & 3 {
            NOT_ECN_CAPABLE => return Err(DropReason::Congestion),
            encapsulation::CONGESTION_EXPERIENCED => {}
            _ => edit.congestion = true,
        }
    }
    Ok(())
}

/// Lowers what a VM on another kind of host asks for, so that our answers will fit.
#[inline(always)]
fn clamp<P: Packet, T: Tables>(packet: &P, tables: &T, outer: &Outer, parsed: &Parsed, edit: &mut Edit) {
    let network = parsed.network as usize;
    if let Some(ip) = parsed.ip()
        && transport::is_syn(ip, packet, network)
        && let Some(peer) = paths::any(tables, &outer.source)
    {
        let headers = (ip.header_len() + transport::TCP_LEN) as u32;
        let limit =
            peer.mtu.saturating_sub(encapsulation::overhead(outer.encapsulation, outer.v4)).saturating_sub(headers);
        transport::clamp(ip, packet, network, limit as u16, &mut edit.clamp);
    }
}

/// Finds the port of a packet that came without encapsulation (rules TranslationMethodNat and TranslationMethodNone), its
/// device's interface index, and whom the addresses of the packet stand for; `None` if the verdict says all.
#[inline(always)]
pub fn plain<'t, T: Tables>(
    tables: &'t T,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) -> Option<(&'t Port, u32, &'t Plain, &'t Plain)> {
    tables.enter(Stage::Deliver);
    let Work { parsed, edit, .. } = work;
    let ip = parsed.ip()?;
    let to = tables.plain(&ip.destination)?;
    let Some(record) = tables.record(&RecordKey { vsid: to.vsid, address: to.customer }) else {
        verdict.drop(DropReason::NoRecord);
        return None;
    };
    // For a VM on another host the packet only passes by, and the host may be a router of the underlay.
    if record.ifindex == 0 {
        return None;
    }
    let Some(from) = tables.plain(&ip.source) else {
        verdict.drop(DropReason::UnknownProvider);
        return None;
    };
    if from.vsid != to.vsid {
        verdict.drop(DropReason::WrongProvider);
        return None;
    }
    let Some(sender) = tables.record(&RecordKey { vsid: from.vsid, address: from.customer }) else {
        verdict.drop(DropReason::UnknownSource);
        return None;
    };
    edit.readdress(parsed, record.mac, sender.mac);
    let translation = Translation { wanted: true, source: Some(&from.customer), destination: Some(&to.customer) };
    let port = locate::to_port(tables, to.vsid, record.ifindex, None, translation, verdict)?;
    Some((port, record.ifindex, from, to))
}
