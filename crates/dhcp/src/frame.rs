//! Ethernet, IP and UDP around the messages: which frames are questions for us, and how answers are wrapped.
//!
//! Checksums of UDP and ICMPv6 are not verified: the frame comes from memory, not from a wire, and a VM with checksum
//! offload leaves them unfinished.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{EtherType, Icmpv6Slice, Icmpv6Type, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use model::MacAddress;

use crate::v4::SERVER_IDENTIFIER;

/// A UDP datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram<'a, A> {
    /// Who sent it.
    pub source: A,
    /// To whom.
    pub destination: A,
    /// The message.
    pub payload: &'a [u8],
}

/// A frame that asks something of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question<'a> {
    Dhcp(Datagram<'a, Ipv4Addr>),
    Dhcpv6(Datagram<'a, Ipv6Addr>),
    RouterSolicitation { source: Ipv6Addr },
}

/// ff02::1:2, All_DHCP_Relay_Agents_and_Servers (RFC 8415, section 7.1).
pub const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// ff02::1, all nodes.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Hop limit that proves that a message of neighbor discovery was not routed (RFC 4861, section 6.1).
const NOT_ROUTED: u8 = 255;
/// Time to live of what the host sends otherwise.
const TIME_TO_LIVE: u8 = 64;

/// Reads a frame, if it comes from this MAC address and is a whole, untagged question for the host.
pub fn parse(frame: &[u8], from: MacAddress) -> Option<Question<'_>> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let ethernet = match packet.link.as_ref()? {
        etherparse::LinkSlice::Ethernet2(ethernet) => ethernet,
        _ => return None,
    };
    if ethernet.source() != from.octets() || !matches!(ethernet.ether_type(), EtherType::IPV4 | EtherType::IPV6) {
        return None;
    }
    match (packet.net?, packet.transport?) {
        (NetSlice::Ipv4(ip), TransportSlice::Udp(udp)) if udp.destination_port() == dhcproto::v4::SERVER_PORT => {
            let (source, destination) = (ip.header().source_addr(), ip.header().destination_addr());
            let ours = destination == Ipv4Addr::BROADCAST || destination == SERVER_IDENTIFIER;
            let whole = !ip.is_payload_fragmented();
            (ours && whole).then_some(Question::Dhcp(Datagram { source, destination, payload: udp.payload() }))
        }
        (NetSlice::Ipv6(ip), TransportSlice::Udp(udp)) if udp.destination_port() == dhcproto::v6::SERVER_PORT => {
            let (source, destination) = (ip.header().source_addr(), ip.header().destination_addr());
            let ours = source.is_unicast_link_local() && !ip.is_payload_fragmented();
            ours.then_some(Question::Dhcpv6(Datagram { source, destination, payload: udp.payload() }))
        }
        (NetSlice::Ipv6(ip), TransportSlice::Icmpv6(message)) => {
            let source = ip.header().source_addr();
            let ours = ip.header().hop_limit() == NOT_ROUTED;
            (ours && is_solicitation(&message, source)).then_some(Question::RouterSolicitation { source })
        }
        _ => None,
    }
}

/// Whether it is a router solicitation that keeps the rules of RFC 4861, section 6.1.1.
fn is_solicitation(message: &Icmpv6Slice, source: Ipv6Addr) -> bool {
    if message.icmp_type() != Icmpv6Type::RouterSolicitation || source.is_multicast() {
        return false;
    }
    let mut options = message.payload();
    while let [kind, length, ..] = *options {
        let length = usize::from(length) * 8;
        let says_link_layer_address = kind == 1;
        if length == 0 || length > options.len() || (says_link_layer_address && source.is_unspecified()) {
            return false;
        }
        options = &options[length..];
    }
    options.is_empty()
}

/// Wraps a DHCP answer.
pub fn dhcp(source_mac: MacAddress, destination: ([u8; 6], Ipv4Addr), payload: &[u8]) -> Option<Vec<u8>> {
    let (mac, address) = destination;
    let builder = PacketBuilder::ethernet2(source_mac.octets(), mac)
        .ipv4(SERVER_IDENTIFIER.octets(), address.octets(), TIME_TO_LIVE)
        .udp(dhcproto::v4::SERVER_PORT, dhcproto::v4::CLIENT_PORT);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    // It fails when the payload is longer than a packet can be.
    builder.write(&mut frame, payload).ok()?;
    Some(frame)
}

/// Wraps a DHCPv6 answer, from the gateway's link-local address.
pub fn dhcpv6(source_mac: MacAddress, destination: ([u8; 6], Ipv6Addr), payload: &[u8]) -> Option<Vec<u8>> {
    let (mac, address) = destination;
    let builder = PacketBuilder::ethernet2(source_mac.octets(), mac)
        .ipv6(source_mac.link_local().octets(), address.octets(), TIME_TO_LIVE)
        .udp(dhcproto::v6::SERVER_PORT, dhcproto::v6::CLIENT_PORT);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).ok()?;
    Some(frame)
}

/// Wraps a router advertisement, from the gateway's link-local address.
pub fn advertisement(
    source_mac: MacAddress,
    destination: ([u8; 6], Ipv6Addr),
    header: etherparse::icmpv6::RouterAdvertisementHeader,
    payload: &[u8],
) -> Option<Vec<u8>> {
    let (mac, address) = destination;
    let builder = PacketBuilder::ethernet2(source_mac.octets(), mac)
        .ipv6(source_mac.link_local().octets(), address.octets(), NOT_ROUTED)
        .icmpv6(Icmpv6Type::RouterAdvertisement(header));
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).ok()?;
    Some(frame)
}
