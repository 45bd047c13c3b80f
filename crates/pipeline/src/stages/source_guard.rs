//! Stage "source guard": do its source addresses belong to the port? Follows "parse" from a port.
//!
//! A port may speak with its own MAC address alone, and from the addresses whose lookup records carry that MAC address.
//! Exceptions: what a client must send before it has an address (DHCP, duplicate address detection), ports whose
//! addresses are learnt, and ports that forward for others.

use crate::headers::arp::Arp;
use crate::headers::ip::{self, Ip};
use crate::headers::neighbor;
use crate::headers::same_mac;
use crate::packet::{Meta, Packet};
use crate::segment;
use crate::stages::parse::Parsed;
use crate::stages::punt;
use crate::tables::{Address, Port, PortFlags, RecordKey, Tables};
use crate::verdict::Learn;
use crate::{DropReason, Stage};

/// Lets the frame pass, or says why not.
#[inline(always)]
pub fn check<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    meta: &Meta,
    port: &Port,
    parsed: &Parsed,
) -> Result<(), DropReason> {
    tables.enter(Stage::SourceGuard);
    if !same_mac(&parsed.ethernet.source, &port.mac) {
        return Err(DropReason::SourceMac);
    }
    if let Some(ip) = parsed.ip() {
        return check_ip(packet, tables, meta, port, parsed, ip);
    }
    match parsed.arp() {
        Some(arp) => check_arp(tables, meta, port, arp),
        None => Ok(()),
    }
}

/// Whose an address is, as seen from a port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// A record gives it to the port's MAC address.
    Port,
    /// A record gives it to another MAC address.
    Other,
    /// No record knows it.
    Nobody,
}

#[inline(always)]
fn owner<T: Tables>(tables: &T, port: &Port, address: &Address) -> Owner {
    match tables.record(&RecordKey { vsid: port.vsid, address: *address }) {
        Some(record) if same_mac(&record.mac, &port.mac) => Owner::Port,
        Some(_) => Owner::Other,
        None => Owner::Nobody,
    }
}

#[inline(always)]
fn check_arp<T: Tables>(tables: &T, meta: &Meta, port: &Port, arp: &Arp) -> Result<(), DropReason> {
    if !same_mac(&arp.sender_mac, &port.mac) {
        return Err(DropReason::NeighborSpoof);
    }
    if arp.sender == [0; 4] {
        return Ok(()); // An address probe (RFC 5227, 2.1.1): the sender does not have the address yet.
    }
    claim(tables, meta, port, Address::v4(arp.sender))
}

/// An address that an ARP or ND message says to be the sender's: it is, or it is learnt, or the message is refused.
#[inline(always)]
fn claim<T: Tables>(tables: &T, meta: &Meta, port: &Port, address: Address) -> Result<(), DropReason> {
    match owner(tables, port, &address) {
        Owner::Port => Ok(()),
        // The physical network learns by itself.
        Owner::Nobody if port.flags.has(PortFlags::LEARN) && segment::is_physical(port.vsid) => Ok(()),
        Owner::Nobody if port.flags.has(PortFlags::LEARN) => {
            tables.learnt(&Learn { ifindex: meta.ifindex, vsid: port.vsid, address, mac: port.mac, reserved: 0 });
            Ok(())
        }
        Owner::Nobody if port.flags.has(PortFlags::FORWARDER) => Ok(()),
        _ if neighbor::link_local(&port.mac) == address => Ok(()),
        _ => Err(DropReason::NeighborSpoof),
    }
}

#[inline(always)]
fn check_ip<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    meta: &Meta,
    port: &Port,
    parsed: &Parsed,
    ip: &Ip,
) -> Result<(), DropReason> {
    if ip.from_unspecified() {
        return if has_no_address_yet(parsed, ip) { Ok(()) } else { Err(DropReason::SourceAddress) };
    }
    if speaks_as_server(port, parsed, ip) {
        return Err(DropReason::RogueDhcp);
    }
    let owner = owner(tables, port, &ip.source);
    let forwards = port.flags.has(PortFlags::FORWARDER);
    let allowed = match owner {
        Owner::Port => true,
        _ if forwards => true,
        Owner::Nobody if port.flags.has(PortFlags::LEARN) => true,
        Owner::Nobody if neighbor::link_local(&port.mac) == ip.source => true,
        // Towards the host's agent, which answers the port whatever the address is, any IPv4 address will do, and any
        // link-local one that is not another's.
        // A client renews from the address that it has, which may be its own no longer, and is told so; and many choose a
        // link-local address that does not follow from the MAC address (RFC 7217).
        Owner::Other if !ip.v4 => false,
        _ => (ip.v4 || neighbor::is_link_local(&ip.source)) && punt::is_for_agent(packet, tables, port, parsed),
    };
    if !allowed {
        return Err(DropReason::SourceAddress);
    }
    if ip.protocol != ip::ICMPV6 || ip.v4 {
        return Ok(());
    }
    check_nd(packet, tables, meta, port, parsed, ip)
}

/// Whether it is a message of a DHCP server, where the host alone is the server. Those of DHCPv6 servers come from any port
/// (RFC 8415, 7.2), so where they go to counts as well.
#[inline(always)]
fn speaks_as_server(port: &Port, parsed: &Parsed, ip: &Ip) -> bool {
    if ip.protocol != ip::UDP {
        return false;
    }
    let (from, to) = (parsed.ports >> 16, parsed.ports & 0xffff);
    if ip.v4 {
        port.flags.has(PortFlags::DHCP) && (from == punt::DHCP_SERVER_PORT || to == punt::DHCP_CLIENT_PORT)
    } else {
        port.flags.has(PortFlags::DHCP_V6) && (from == punt::DHCP_V6_SERVER_PORT || to == punt::DHCP_V6_CLIENT_PORT)
    }
}

/// Whether a packet without a source address is one that a client sends before it has one: DHCP (RFC 2131, 4.1), or
/// ICMPv6 to a group (duplicate address detection, router solicitation, multicast listener reports).
#[inline(always)]
fn has_no_address_yet(parsed: &Parsed, ip: &Ip) -> bool {
    if ip.v4 {
        ip.protocol == ip::UDP && parsed.ports == punt::DHCP_CLIENT_TO_SERVER
    } else {
        // Multicast listener reports begin with a hop-by-hop header (RFC 3810, section 5), protocol 0.
        matches!(ip.protocol, ip::ICMPV6 | 0) && ip.to_group()
    }
}

/// Neighbor Discovery: nobody speaks for the address or the MAC address of another, and only routers for a router.
#[inline(always)]
fn check_nd<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    meta: &Meta,
    port: &Port,
    parsed: &Parsed,
    ip: &Ip,
) -> Result<(), DropReason> {
    // Of a fragment but the first nothing is known; Neighbor Discovery is never fragmented (RFC 6980), so that a first
    // one of it ends here.
    if ip.transport == 0 {
        return Ok(());
    }
    let Some([kind]) = ip.transport::<1, P>(packet, parsed.network as usize, 0) else {
        return Err(DropReason::Malformed);
    };
    if ip.transport as usize != ip::V6_LEN && (neighbor::ROUTER_SOLICITATION..=neighbor::REDIRECT).contains(&kind) {
        return Err(DropReason::NeighborSpoof);
    }
    match kind {
        neighbor::ROUTER_ADVERTISEMENT | neighbor::REDIRECT if !port.flags.has(PortFlags::FORWARDER) => {
            Err(DropReason::RouterGuard)
        }
        neighbor::SOLICITATION | neighbor::ADVERTISEMENT => {
            let message = parsed.network as usize + ip::V6_LEN;
            let Some(target) = neighbor::target(packet, message) else { return Err(DropReason::Malformed) };
            if neighbor::names_another(packet, message, &port.mac) {
                return Err(DropReason::NeighborSpoof);
            }
            let claimed = if kind == neighbor::ADVERTISEMENT { target } else { ip.source };
            claim(tables, meta, port, claimed)
        }
        _ => Ok(()),
    }
}
