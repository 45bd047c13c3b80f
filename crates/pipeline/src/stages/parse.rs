//! Stage "parse": which port is it, and is the frame well-formed? First of both ways.

use crate::DropReason;
use crate::headers::arp::Arp;
use crate::headers::ethernet::{self, Ethernet};
use crate::headers::ip::{Ip, V6_LEN};
use crate::headers::{ETHERNET_LEN, transport};
use crate::packet::{Meta, Packet};
use crate::verdict::{Edit, Work};

/// What a frame carries.
#[derive(Clone, Copy, Default)]
pub enum Payload {
    /// IPv4 or IPv6.
    Ip(Ip),
    /// ARP.
    Arp(Arp),
    /// Anything else, which only its MAC addresses can lead.
    #[default]
    Other,
}

/// A frame that has been read.
#[derive(Clone, Copy, Default)]
pub struct Parsed {
    /// Ethernet header.
    pub ethernet: Ethernet,
    /// What it carries.
    pub payload: Payload,
    /// Offset of the network header in the frame.
    pub network: usize,
    /// Source and destination port, 0 where there are none.
    pub ports: u32,
    /// Length in bytes of the network packet; with Ethernet's padding if it is not IP.
    pub length: u32,
}

/// Reads the frame that begins at `base`, and makes the edit one that changes nothing.
#[inline(always)]
pub fn read<P: Packet>(packet: &P, meta: &Meta, base: usize, work: &mut Work) -> Result<(), DropReason> {
    let ethernet = Ethernet::read(packet, base).ok_or(DropReason::Malformed)?;
    if meta.vlan || ethernet.is_tagged() {
        return Err(DropReason::VlanTag);
    }
    // A source that is a group is no sender (IEEE 802.3, 3.2.3).
    if ethernet::is_group(&ethernet.source) {
        return Err(DropReason::Malformed);
    }
    let network = base + ETHERNET_LEN;
    let available = meta.len.saturating_sub(network as u32);
    let (payload, ports, length) = match ethernet.ethertype {
        ethernet::IPV4 => {
            let ip = bounded(Ip::read_v4(packet, network), meta, available)?;
            (Payload::Ip(ip), transport::ports(&ip, packet, network), ip.length)
        }
        ethernet::IPV6 => {
            let ip = bounded(Ip::read_v6(packet, network), meta, available)?;
            (Payload::Ip(ip), transport::ports(&ip, packet, network), ip.length)
        }
        ethernet::ARP => {
            let arp = Arp::read(packet, network).ok_or(DropReason::Malformed)?;
            (Payload::Arp(arp), 0, available)
        }
        _ => (Payload::Other, 0, available),
    };
    work.parsed = Parsed { ethernet, payload, network, ports, length };
    work.edit = work.parsed.unchanged();
    Ok(())
}

/// The header if the frame holds all of the packet that it announces. A header with length 0 announces a packet of
/// more than 65,535 bytes that stands for many segments (`BIG TCP`), or, in IPv6, one without payload.
#[inline(always)]
fn bounded(ip: Option<Ip>, meta: &Meta, available: u32) -> Result<Ip, DropReason> {
    let mut ip = ip.ok_or(DropReason::Malformed)?;
    if ip.length == 0 {
        ip.length = match (meta.segment != 0, ip.v4) {
            (true, _) => available,
            (false, true) => return Err(DropReason::Malformed),
            (false, false) => V6_LEN as u32,
        };
    }
    if ip.length > available {
        return Err(DropReason::Malformed);
    }
    Ok(ip)
}

impl Parsed {
    /// The IP header, if it is an IP packet.
    #[inline(always)]
    pub fn ip(&self) -> Option<&Ip> {
        match &self.payload {
            Payload::Ip(ip) => Some(ip),
            _ => None,
        }
    }

    /// Hash of the flow; for frames other than IP of nothing, since they have no flow.
    #[inline(always)]
    pub fn hash(&self) -> u32 {
        match &self.payload {
            Payload::Ip(ip) => transport::flow_hash(ip, self.ports),
            _ => 0,
        }
    }

    /// Traffic class of an outer header: the inner ECN bits, so that congestion in the underlay can be told
    /// (RFC 6040, section 4.1). The DSCP is the underlay's own.
    #[inline(always)]
    pub fn outer_traffic_class(&self) -> u8 {
        match &self.payload {
            Payload::Ip(ip) => ip.traffic_class & 3,
            _ => 0,
        }
    }

    /// The edit that changes nothing.
    #[inline(always)]
    pub fn unchanged(&self) -> Edit {
        Edit {
            ethernet: self.ethernet.write(),
            rewrite_ethernet: false,
            routed: false,
            congestion: false,
            network: self.ethernet.network(),
            at: self.network as u16,
            clamp: None,
        }
    }

    /// The edit that a router makes: new MAC addresses, one hop less.
    #[inline(always)]
    pub fn routed(&self, destination: [u8; 6], source: [u8; 6]) -> Edit {
        Edit {
            routed: true,
            ..self.readdressed(destination, source)
        }
    }

    /// The edit that gives new MAC addresses alone.
    #[inline(always)]
    pub fn readdressed(&self, destination: [u8; 6], source: [u8; 6]) -> Edit {
        let ethernet = Ethernet {
            destination,
            source,
            ethertype: self.ethernet.ethertype,
        }
        .write();
        Edit {
            ethernet,
            rewrite_ethernet: true,
            ..self.unchanged()
        }
    }
}
