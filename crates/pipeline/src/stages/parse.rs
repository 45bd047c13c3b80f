//! Stage "parse": which port is it, and is the frame well-formed? First of both ways.

use crate::DropReason;
use crate::headers::arp::Arp;
use crate::headers::ethernet::{self, Ethernet};
use crate::headers::extension::{self, Chain};
use crate::headers::ip::{Ip, V4_LEN, V6_LEN};
use crate::headers::{ETHERNET_LEN, transport};
use crate::packet::{Meta, Network, Packet};
use crate::stages::fragment;
use crate::tables::Address;
use crate::verdict::{Edit, Work};

/// What a frame carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u32)]
pub enum Payload {
    /// Anything that only its MAC addresses can lead.
    #[default]
    Other,
    /// IPv4 or IPv6.
    Ip,
    /// ARP.
    Arp,
}

/// A frame that has been read.
#[derive(Clone, Copy, Default)]
pub struct Parsed {
    /// What it carries.
    pub payload: Payload,
    /// Source and destination port, 0 where there are none.
    pub ports: u32,
    /// Length in bytes of the network packet; with Ethernet's padding if it is not IP.
    pub length: u32,
    /// Offset of the network header in the frame; a byte, so that the verifier sees it bounded.
    pub network: u8,
    /// Ethernet header.
    pub ethernet: Ethernet,
    ip: Ip,
    arp: Arp,
}

impl Parsed {
    /// Of the length of a frame what is the VM's: without what stands before its Ethernet header.
    #[inline(always)]
    pub const fn inner_len(&self, len: u32) -> u32 {
        len.saturating_sub((self.network as u32).saturating_sub(ETHERNET_LEN as u32))
    }
}

/// Reads the frame that begins at `base`, and makes the edit one that changes nothing.
#[inline(always)]
pub fn read<P: Packet>(packet: &P, meta: &Meta, base: usize, work: &mut Work) -> Result<(), DropReason> {
    let Work { parsed, edit, .. } = work;
    if !parsed.ethernet.read(packet, base) {
        return Err(DropReason::Malformed);
    }
    if meta.vlan || parsed.ethernet.is_tagged() {
        return Err(DropReason::VlanTag);
    }
    // A source that is a group is no sender (IEEE 802.3, 3.2.3).
    if ethernet::is_group(&parsed.ethernet.source) {
        return Err(DropReason::Malformed);
    }
    let network = base + ETHERNET_LEN;
    let available = meta.len.saturating_sub(network as u32);
    parsed.network = network as u8;
    parsed.length = available;
    parsed.ports = 0;
    match parsed.ethernet.ethertype {
        ethernet::IPV4 | ethernet::IPV6 => {
            let is_v4 = parsed.ethernet.ethertype == ethernet::IPV4;
            let ip = &mut parsed.ip;
            if !(if is_v4 { ip.read_v4(packet, network) } else { ip.read_v6(packet, network) }) {
                return Err(DropReason::Malformed);
            }
            if !is_v4 && extension::is_one(ip.protocol) {
                match extension::follow(packet, network, ip) {
                    Chain::Followed => {}
                    Chain::Truncated => return Err(DropReason::Malformed),
                    Chain::Forbidden => return Err(DropReason::IpOptions),
                }
            }
            bound(ip, meta, available)?;
            check_unusual(packet, ip, network)?;
            parsed.payload = Payload::Ip;
            parsed.ports = transport::ports(ip, packet, network);
            parsed.length = ip.length;
        }
        ethernet::ARP => {
            if !parsed.arp.read(packet, network) {
                return Err(DropReason::Malformed);
            }
            parsed.payload = Payload::Arp;
        }
        _ => parsed.payload = Payload::Other,
    }
    edit.reset(parsed);
    Ok(())
}

/// Sees to it that the frame holds all of the packet that its header announces. A header with length 0 announces a packet
/// of more than 65,535 bytes that stands for many segments (`BIG TCP`), or, in IPv6, one without payload.
#[inline(always)]
fn bound(ip: &mut Ip, meta: &Meta, available: u32) -> Result<(), DropReason> {
    if ip.length == 0 {
        ip.length = match (meta.segment != 0, ip.v4) {
            (true, _) => available,
            (false, true) => return Err(DropReason::Malformed),
            (false, false) => V6_LEN as u32,
        };
    }
    if ip.length > available { Err(DropReason::Malformed) } else { Ok(()) }
}

/// Options and fragments, which few packets have, must be such as somebody needs.
#[inline(always)]
fn check_unusual<P: Packet>(packet: &P, ip: &Ip, network: usize) -> Result<(), DropReason> {
    /// The one option that hosts send: a router shall look at the packet (RFC 2113), as at multicast reports.
    const ROUTER_ALERT: [u8; 4] = [0x94, 0x04, 0, 0];
    if ip.v4 && ip.payload != V4_LEN as u8 {
        let alert = ip.payload == V4_LEN as u8 + 4 && packet.bytes_at::<4>(network + V4_LEN) == Some(ROUTER_ALERT);
        if !alert {
            return Err(DropReason::IpOptions);
        }
    }
    // Nobody sends to itself by way of the network; stacks have fallen over such packets ("LAND").
    if ip.source == ip.destination {
        return Err(DropReason::Malformed);
    }
    if ip.fragment && !fragment::is_sane(ip) { Err(DropReason::FragmentOverlap) } else { Ok(()) }
}

impl Parsed {
    /// The IP header, if it is an IP packet.
    #[inline(always)]
    pub fn ip(&self) -> Option<&Ip> {
        if self.payload == Payload::Ip { Some(&self.ip) } else { None }
    }

    /// Makes it a packet between other addresses, those that its own stand for.
    #[inline(always)]
    pub fn stand_for(&mut self, source: Address, destination: Address) {
        self.ip.source = source;
        self.ip.destination = destination;
    }

    /// The message, if it is ARP.
    #[inline(always)]
    pub fn arp(&self) -> Option<&Arp> {
        if self.payload == Payload::Arp { Some(&self.arp) } else { None }
    }

    /// Hash of the flow; for frames other than IP of nothing, since they have no flow.
    #[inline(always)]
    pub fn hash(&self) -> u32 {
        match self.ip() {
            Some(ip) => transport::flow_hash(ip, self.ports),
            None => 0,
        }
    }

    /// Traffic class of an outer header: the inner ECN bits, so that congestion in the underlay can be told
    /// (RFC 6040, section 4.1). The DSCP is the underlay's own.
    #[inline(always)]
    pub fn outer_traffic_class(&self) -> u8 {
        match self.ip() {
            Some(ip) => ip.traffic_class & 3,
            None => 0,
        }
    }
}

impl Edit {
    /// Makes this the edit that changes nothing.
    #[inline(always)]
    fn reset(&mut self, parsed: &Parsed) {
        self.ethernet = parsed.ethernet.words();
        self.untouched(parsed.ethernet.network());
        self.at = parsed.network as u16;
    }

    /// Makes this the edit that changes nothing of a frame that has not been read further than its Ethernet header.
    #[inline(always)]
    pub fn untouched(&mut self, network: Network) {
        self.rewrite_ethernet = false;
        self.routed = false;
        self.congestion = false;
        self.network = network;
        self.clamp.offset = 0;
    }

    /// Gives the frame new MAC addresses.
    #[inline(always)]
    pub fn readdress(&mut self, parsed: &Parsed, destination: [u8; 6], source: [u8; 6]) {
        self.ethernet = Ethernet { destination, source, ethertype: parsed.ethernet.ethertype }.words();
        self.rewrite_ethernet = true;
    }
}
