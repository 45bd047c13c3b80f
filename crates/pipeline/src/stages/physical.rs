//! Stage "physical": where in its physical network does it go? Last stage for frames of ports that are joined to the
//! network behind an uplink, and for what comes from there.
//!
//! An Ethernet switch with the ports of this host and the uplink: by the destination's MAC address to a port, to the host
//! itself, or out of the uplink; to groups all three. Nothing is answered, routed or encapsulated: that is the physical
//! network's business. What the host itself sends by the uplink meets its own VMs in [`from_wire`] too.

use crate::encapsulation::Encapsulation;
use crate::headers::{ETHERNET_LEN, ethernet, geneve, ip, nvgre, vxlan};
use crate::packet::{Meta, Packet};
use crate::segment;
use crate::stages::locate;
use crate::stages::parse::{Parsed, Payload};
use crate::tables::{HostFlags, Port, PortFlags, StationKey, Tables};
use crate::verdict::{Action, Flood, Strip, Then, Translation, Verdict, Work};
use crate::{DropReason, Stage};

/// Offset of what follows the EtherType: the tag's control information and the EtherType behind it.
const TAG: usize = 14;

/// Sends on what a VM sent.
#[inline(always)]
pub fn from_port<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    port: &Port,
    parsed: &Parsed,
    verdict: &mut Verdict<'t>,
) {
    tables.enter(Stage::Physical);
    if port.flags.has(PortFlags::LEARN) && is_encapsulated(packet, parsed) {
        return verdict.drop(DropReason::Encapsulation);
    }
    let fits = locate::longest(packet, meta, parsed) <= port.mtu;
    if parsed.ethernet.is_group() {
        let Some(network) = tables.subnet(port.vsid) else { return verdict.drop(DropReason::UnknownSubnet) };
        if !fits {
            return verdict.drop(DropReason::TooBig);
        }
        if !tables.admit_flood(port.slot) {
            return verdict.drop(DropReason::FloodLimit);
        }
        return verdict.set(Action::Flood(flood(port.vsid, network.local_replicas, meta.ifindex, None, Then::Wire)));
    }
    let key = StationKey { vsid: port.vsid, mac: parsed.ethernet.destination, reserved: 0 };
    match tables.station(&key) {
        Some(station) if station.ifindex == segment::uplink(port.vsid) => {
            verdict.set(Action::Host { network: port.vsid });
        }
        Some(station) => {
            locate::to_port(tables, port.vsid, station.ifindex, None, Translation::default(), verdict);
        }
        None if fits => verdict.set(Action::Wire { network: port.vsid }),
        None => verdict.drop(DropReason::TooBig),
    }
}

/// Whether it is a packet that hosts would take for one of theirs. A port with addresses of its own cannot speak for a
/// host, since the source guard knows its addresses, and so may be a host of another overlay.
#[inline(always)]
fn is_encapsulated<P: Packet>(packet: &P, parsed: &Parsed) -> bool {
    match parsed.ip() {
        Some(ip) if ip.protocol == ip::GRE => {
            let header = ip.transport::<{ nvgre::LEN }, P>(packet, parsed.network as usize, 0);
            header.is_some_and(|header| nvgre::is_nvgre(&header))
        }
        Some(ip) if ip.protocol == ip::UDP => matches!(parsed.ports as u16, vxlan::PORT | geneve::PORT),
        _ => false,
    }
}

/// Looks for ports of this host that a frame is for, which came in by the uplink or leaves by it. The verdict stays as it
/// is where there is none, or where the frame goes its way too.
#[inline(always)]
pub fn from_wire<'t, P: Packet, T: Tables>(
    packet: &P,
    tables: &'t T,
    meta: &Meta,
    work: &mut Work,
    verdict: &mut Verdict<'t>,
) {
    match tables.host() {
        Some(host) if host.flags.has(HostFlags::PHYSICAL) => {}
        _ => return,
    }
    let Work { parsed, edit, .. } = work;
    let frame = &mut parsed.ethernet;
    if !frame.read(packet, 0) {
        return;
    }
    let (mut vlan, mut strip) = (0, None);
    if meta.vlan {
        (vlan, strip) = (meta.tag, Some(Strip::TAG));
    } else if frame.ethertype == ethernet::VLAN {
        let Some([high, low, first, second]) = packet.bytes::<4>(TAG) else { return };
        (vlan, strip) = (u16::from_be_bytes([high & 0x0f, low]), Some(Strip::TAG));
        frame.ethertype = u16::from_be_bytes([first, second]);
    }
    // A second tag makes it another network's.
    if frame.is_tagged() {
        return;
    }
    tables.enter(Stage::Physical);
    edit.untouched(frame.network());
    parsed.payload = Payload::Other;
    parsed.network = ETHERNET_LEN as u8;
    let frame = &parsed.ethernet;
    let number = segment::number(meta.ifindex, vlan);
    if frame.is_group() {
        if let Some(network) = tables.subnet(number) {
            verdict.set(Action::Flood(flood(number, network.local_replicas, 0, strip, Then::Stack)));
        }
        return;
    }
    match tables.station(&StationKey { vsid: number, mac: frame.destination, reserved: 0 }) {
        Some(station) if station.ifindex != meta.ifindex => {
            locate::to_port(tables, number, station.ifindex, strip, Translation::default(), verdict);
        }
        _ => {}
    }
}

#[inline(always)]
fn flood(network: u32, to: u32, except: u32, strip: Option<Strip>, then: Then) -> Flood {
    let encapsulation = Encapsulation::Nvgre;
    Flood { vsid: network, to, except, encapsulation, hash: 0, traffic_class: 0, length: 0, strip, then }
}
