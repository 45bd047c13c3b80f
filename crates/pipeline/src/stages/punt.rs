//! Stage "punt": is it DHCP or a router solicitation for the host's agent? Follows "source guard" from a port.
//!
//! In a subnet with a DHCP scope each host is the DHCP server and, for IPv6, the router that advertises: its agent answers
//! the port, and nobody else hears the question. Without a scope such messages go their ordinary way, to a server that the
//! tenant runs in a VM.

use crate::headers::ip::{self, Ip};
use crate::headers::neighbor;
use crate::packet::{Meta, Packet};
use crate::stages::parse::Parsed;
use crate::tables::{DHCP_SERVER, MAX_PUNT, Port, PortFlags, RecordFlags, RecordKey, Tables};
use crate::verdict::{Action, Verdict};
use crate::{DropReason, Stage};

/// UDP port of DHCP servers (RFC 2131, 4.1).
pub const DHCP_SERVER_PORT: u32 = 67;
/// UDP port of DHCP clients.
pub const DHCP_CLIENT_PORT: u32 = 68;
/// Both, as [`Parsed::ports`] of what a client sends.
pub const DHCP_CLIENT_TO_SERVER: u32 = (DHCP_CLIENT_PORT << 16) | DHCP_SERVER_PORT;
/// UDP port of DHCPv6 clients (RFC 8415, 7.2).
pub const DHCP_V6_CLIENT_PORT: u32 = 546;
/// UDP port of DHCPv6 servers.
pub const DHCP_V6_SERVER_PORT: u32 = 547;

/// Hands the frame to the agent, if it is the agent's; whether the verdict says all.
#[inline(always)]
pub fn decide<P: Packet, T: Tables>(
    packet: &P,
    tables: &T,
    meta: &Meta,
    port: &Port,
    parsed: &Parsed,
    verdict: &mut Verdict,
) -> bool {
    if !port.flags.has(PortFlags::DHCP) && !port.flags.has(PortFlags::DHCP_V6) {
        return false;
    }
    tables.enter(Stage::Punt);
    if !is_for_agent(packet, tables, port, parsed) {
        return false;
    }
    if meta.segment != 0 || meta.len > MAX_PUNT {
        verdict.drop(DropReason::PuntSize);
    } else if !tables.admit_punt(port.slot) {
        verdict.drop(DropReason::PuntLimit);
    } else {
        verdict.set(Action::Punt { vsid: port.vsid });
    }
    true
}

/// Whether the agent answers the frame.
#[inline(always)]
pub fn is_for_agent<P: Packet, T: Tables>(packet: &P, tables: &T, port: &Port, parsed: &Parsed) -> bool {
    match parsed.ip() {
        Some(ip) => is_question(packet, port, parsed, ip) && is_to_agent(tables, port, parsed, ip),
        None => false,
    }
}

/// Whether it is a message of the kind that the agent answers in the port's subnet.
#[inline(always)]
fn is_question<P: Packet>(packet: &P, port: &Port, parsed: &Parsed, ip: &Ip) -> bool {
    if ip.v4 {
        return port.flags.has(PortFlags::DHCP) && ip.protocol == ip::UDP && parsed.ports == DHCP_CLIENT_TO_SERVER;
    }
    if !port.flags.has(PortFlags::DHCP_V6) {
        return false;
    }
    match ip.protocol {
        ip::UDP => parsed.ports & 0xffff == DHCP_V6_SERVER_PORT,
        // The hop limit proves that the message was not routed (RFC 4861, 6.1.1).
        ip::ICMPV6 if ip.ttl == 255 => {
            ip.transport::<1, P>(packet, parsed.network as usize, 0) == Some([neighbor::ROUTER_SOLICITATION])
        }
        _ => false,
    }
}

/// Whether it is for everybody, for the host as DHCP server, or for the gateway, which is the host too. What is for a
/// VM goes to that.
#[inline(always)]
fn is_to_agent<T: Tables>(tables: &T, port: &Port, parsed: &Parsed, ip: &Ip) -> bool {
    parsed.ethernet.is_group()
        || ip.destination == DHCP_SERVER
        || tables
            .record(&RecordKey { vsid: port.vsid, address: ip.destination })
            .is_some_and(|record| record.flags.has(RecordFlags::GATEWAY))
}
