//! What leaves, decoded: one line a header.
//!
//! Read by a parser that is not the pipeline's own, so that a trace shows what others will see. Only the headers of
//! encapsulations are read here by hand.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::icmpv6::Icmpv6PayloadSlice;
use etherparse::{
    ArpOperation, ArpPacketSlice, EtherType, Icmpv4Slice, Icmpv4Type, Icmpv6Slice, Icmpv6Type, IpNumber, LaxNetSlice,
    LaxSlicedPacket, LinkSlice, TcpOptionElement, TcpSlice, TransportSlice,
};

use super::words::mac;

/// Flags, version and protocol of NVGRE: a key and nothing else, Transparent Ethernet Bridging (RFC 7637, section 3.2).
const NVGRE: [u8; 4] = [0x20, 0x00, 0x65, 0x58];

/// The headers of an Ethernet frame, and of what it carries.
pub(super) fn frame(bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    match LaxSlicedPacket::from_ethernet(bytes) {
        Ok(packet) => headers(&packet, &mut lines),
        Err(error) => lines.push(format!("not Ethernet: {error}")),
    }
    lines
}

/// The destination of the outermost IP packet of a frame.
pub(super) fn destination(bytes: &[u8]) -> Option<IpAddr> {
    match LaxSlicedPacket::from_ethernet(bytes).ok()?.net? {
        LaxNetSlice::Ipv4(ip) => Some(ip.header().destination_addr().into()),
        LaxNetSlice::Ipv6(ip) => Some(ip.header().destination_addr().into()),
        LaxNetSlice::Arp(_) => None,
    }
}

/// At which of the lines of [`frame`] the headers begin that stand behind those of a tunnel; at the end if there is no tunnel.
pub(super) fn inner(lines: &[String]) -> usize {
    let mut ethernets = lines.iter().enumerate().filter(|(_, line)| line.starts_with("Ethernet"));
    ethernets.nth(1).map_or(lines.len(), |(index, _)| index)
}

fn headers(packet: &LaxSlicedPacket, lines: &mut Vec<String>) {
    if let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link {
        let kind = ether_type(ethernet.ether_type());
        lines.push(match (ethernet.source(), ethernet.destination()) {
            // Towards the underlay they are still any; no frame on a wire is from its own destination.
            (source, destination) if source == destination => {
                format!("Ethernet, its MAC addresses by the kernel's neighbour table, {kind}")
            }
            (source, destination) => format!("Ethernet {} -> {}, {kind}", mac(source), mac(destination)),
        });
    }
    match &packet.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            lines.push(format!(
                "IPv4 {} -> {}, {}, TTL {}{}, {} bytes",
                header.source_addr(),
                header.destination_addr(),
                protocol(header.protocol()),
                header.ttl(),
                if header.dont_fragment() { ", don't fragment" } else { "" },
                header.total_len(),
            ));
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            lines.push(format!(
                "IPv6 {} -> {}, {}, hop limit {}, {} bytes",
                header.source_addr(),
                header.destination_addr(),
                protocol(header.next_header()),
                header.hop_limit(),
                u32::from(header.payload_length()) + 40,
            ));
        }
        Some(LaxNetSlice::Arp(message)) => lines.push(arp(message)),
        None => {}
    }
    match &packet.transport {
        Some(TransportSlice::Icmpv4(message)) => icmp_v4(message, lines),
        Some(TransportSlice::Icmpv6(message)) => icmp_v6(message, lines),
        Some(TransportSlice::Udp(datagram)) => {
            let (from, to, length) = (datagram.source_port(), datagram.destination_port(), datagram.payload().len());
            lines.push(format!("UDP {from} -> {to}, {length} bytes"));
            tunnel(to, datagram.payload(), lines);
        }
        Some(TransportSlice::Tcp(segment)) => lines.push(tcp(segment)),
        Some(TransportSlice::Igmp(_)) | None => {}
    }
    if let Some(payload) = packet.ip_payload().filter(|payload| payload.ip_number == IpNumber::GRE) {
        gre(payload.payload, lines);
    }
    if let Some((error, layer)) = &packet.stop_err {
        lines.push(format!("{layer} is unreadable: {error}"));
    }
}

/// VXLAN (RFC 7348, section 5) and Geneve without options (RFC 8926, section 3.4), by their UDP ports.
fn tunnel(port: u16, bytes: &[u8], lines: &mut Vec<String>) {
    match (port, bytes.split_first_chunk::<8>()) {
        (4789, Some(([0x08, _, _, _, v0, v1, v2, _], inner))) => {
            lines.push(format!("VXLAN VNI = VSID {}", u32::from_be_bytes([0, *v0, *v1, *v2])));
            lines.extend(frame(inner));
        }
        (6081, Some(([0, _, 0x65, 0x58, v0, v1, v2, _], inner))) => {
            let vsid = u32::from_be_bytes([0, *v0, *v1, *v2]);
            lines.push(format!("Geneve VNI = VSID {vsid}, protocol 0x6558 (Ethernet)"));
            lines.extend(frame(inner));
        }
        _ => {}
    }
}

fn gre(bytes: &[u8], lines: &mut Vec<String>) {
    match bytes.split_first_chunk::<8>() {
        Some(([a, b, c, d, v0, v1, v2, flow_id], inner)) if [*a, *b, *c, *d] == NVGRE => {
            let vsid = u32::from_be_bytes([0, *v0, *v1, *v2]);
            lines.push(format!("GRE key = VSID {vsid} FlowID 0x{flow_id:02x}, protocol 0x6558 (Ethernet)"));
            lines.extend(frame(inner));
        }
        _ => lines.push("GRE, not as NVGRE has it".to_owned()),
    }
}

fn ether_type(number: EtherType) -> String {
    match number {
        EtherType::IPV4 => "IPv4".to_owned(),
        EtherType::IPV6 => "IPv6".to_owned(),
        EtherType::ARP => "ARP".to_owned(),
        EtherType(other) => format!("EtherType 0x{other:04x}"),
    }
}

fn protocol(number: IpNumber) -> String {
    match (number, number.keyword_str()) {
        (IpNumber::IPV6_ICMP, _) => "ICMPv6".to_owned(),
        (_, Some(name)) => name.to_owned(),
        (IpNumber(other), None) => format!("protocol {other}"),
    }
}

fn arp(message: &ArpPacketSlice) -> String {
    match message.to_packet().try_eth_ipv4() {
        Ok(arp) => {
            let (sender, target) = (arp.sender_ipv4_addr(), arp.target_ipv4_addr());
            match arp.operation {
                ArpOperation::REPLY => format!("ARP reply: {sender} is at {}", mac(arp.sender_mac)),
                _ => format!("ARP request: who has {target}? tell {sender}"),
            }
        }
        Err(error) => format!("ARP, unreadable: {error}"),
    }
}

fn icmp_v4(message: &Icmpv4Slice, lines: &mut Vec<String>) {
    let payload = message.payload();
    let (what, quotes) = match message.icmp_type() {
        Icmpv4Type::EchoRequest(echo) => {
            (format!("echo request, sequence {}, {} bytes", echo.seq, payload.len()), false)
        }
        Icmpv4Type::EchoReply(echo) => (format!("echo reply, sequence {}, {} bytes", echo.seq, payload.len()), false),
        Icmpv4Type::TimeExceeded(_) => ("time exceeded".to_owned(), true),
        Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::FragmentationNeeded { next_hop_mtu }) => {
            (format!("fragmentation needed, next-hop MTU {next_hop_mtu}"), true)
        }
        _ => (format!("type {} code {}", message.type_u8(), message.code_u8()), false),
    };
    lines.push(format!("ICMP {what}"));
    if quotes {
        quoted(payload, lines);
    }
}

fn icmp_v6(message: &Icmpv6Slice, lines: &mut Vec<String>) {
    let payload = message.payload();
    let (what, quotes) = match message.icmp_type() {
        Icmpv6Type::EchoRequest(echo) => {
            (format!("echo request, sequence {}, {} bytes", echo.seq, payload.len()), false)
        }
        Icmpv6Type::EchoReply(echo) => (format!("echo reply, sequence {}, {} bytes", echo.seq, payload.len()), false),
        Icmpv6Type::TimeExceeded(_) => ("time exceeded".to_owned(), true),
        Icmpv6Type::PacketTooBig { mtu } => (format!("packet too big, MTU {mtu}"), true),
        Icmpv6Type::NeighborSolicitation | Icmpv6Type::NeighborAdvertisement(_) => (neighbor(message), false),
        _ => (format!("type {} code {}", message.type_u8(), message.code_u8()), false),
    };
    lines.push(format!("ICMPv6 {what}"));
    if quotes {
        quoted(payload, lines);
    }
}

fn neighbor(message: &Icmpv6Slice) -> String {
    match message.payload_slice() {
        Ok(Icmpv6PayloadSlice::NeighborSolicitation(question)) => {
            format!("neighbor solicitation: who has {}?", question.target_address())
        }
        Ok(Icmpv6PayloadSlice::NeighborAdvertisement(answer)) => {
            let target: Ipv6Addr = answer.target_address();
            // A target link-layer address option is of one unit of eight bytes: type, length, MAC address.
            match answer.options() {
                [2, 1, a, b, c, d, e, f] => {
                    format!("neighbor advertisement: {target} is at {}", mac([*a, *b, *c, *d, *e, *f]))
                }
                _ => format!("neighbor advertisement of {target}"),
            }
        }
        _ => "neighbor discovery, unreadable".to_owned(),
    }
}

/// The packet that an ICMP error is about, as far as it is quoted: its addresses tell whose it was.
fn quoted(bytes: &[u8], lines: &mut Vec<String>) {
    let mut inner = Vec::new();
    match LaxSlicedPacket::from_ip(bytes) {
        Ok(mut packet) => {
            // What is quoted ends early, as it should.
            packet.stop_err = None;
            headers(&packet, &mut inner);
        }
        Err(error) => inner.push(format!("what is no packet: {error}")),
    }
    lines.extend(inner.into_iter().map(|line| format!("  about {line}")));
}

fn tcp(segment: &TcpSlice) -> String {
    let flags = [
        (segment.syn(), " SYN"),
        (segment.ack(), " ACK"),
        (segment.psh(), " PSH"),
        (segment.fin(), " FIN"),
        (segment.rst(), " RST"),
    ];
    let flags: String = flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name).collect();
    let mss: String = segment
        .options_iterator()
        .filter_map(|option| match option {
            Ok(TcpOptionElement::MaximumSegmentSize(mss)) => Some(format!(", MSS {mss}")),
            _ => None,
        })
        .collect();
    let (from, to, length) = (segment.source_port(), segment.destination_port(), segment.payload().len());
    format!("TCP {from} -> {to},{flags}{mss}, {length} bytes")
}
