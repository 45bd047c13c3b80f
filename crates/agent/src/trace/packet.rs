//! The frame that a VM would send: which source address it chooses, and which MAC address it sends to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use api::{Problem, TraceProtocol, TraceRequest};
use etherparse::err::packet::BuildWriteError;
use etherparse::{
    ArpEthIpv4Packet, ArpOperation, Icmpv6Type, IpHeaders, Ipv4Header, Ipv6Header, PacketBuilder, TcpOptionElement,
};
use model::{Intent, Name, Vsid};
use pipeline::headers::{ETHERNET_LEN, ip, neighbor, transport};
use pipeline::{Address, Buffer, Meta, Port, RecordFlags, RecordKey};
use plan::{HostTables, to_address, to_ip};

use super::words::mac;

/// Room for what may be put before a frame: the longest outer headers, or those of an ICMP error.
const HEADROOM: usize = 128;
/// Most bytes that an IP packet announces, in IPv6 after its header.
const MAX_IP: usize = 65_535;
/// What a VM whose MTU is 1,500 bytes says on a SYN, plus the length of the IP header.
const USUAL_MSS: u16 = 1_480;

/// The port whose VM sends.
pub(super) struct Sender<'a> {
    pub name: &'a Name,
    /// Interface index of its device.
    pub ifindex: u32,
    /// What the tables hold of it.
    pub entry: &'a Port,
    pub vsid: Vsid,
}

/// A frame as it comes out of a VM.
pub(super) struct Sent {
    bytes: Vec<u8>,
    ifindex: u32,
    /// The packet in one line.
    pub summary: String,
}

impl Sent {
    /// A frame that came in by an interface.
    pub fn arrived(bytes: Vec<u8>, ifindex: u32, summary: String) -> Self {
        Self { bytes, ifindex, summary }
    }

    /// What is known of the frame beside its bytes.
    pub fn meta(&self) -> Meta {
        Meta { ifindex: self.ifindex, len: self.bytes.len() as u32, ..Meta::default() }
    }

    /// A copy of the frame, with room to grow behind it.
    pub fn room(&self) -> Vec<u8> {
        let mut room = self.bytes.clone();
        room.resize(self.bytes.len() + HEADROOM, 0);
        room
    }

    /// The frame in what [`Sent::room`] gave.
    pub fn frame<'a>(&self, room: &'a mut [u8]) -> Buffer<'a> {
        Buffer::new(room, self.bytes.len())
    }
}

/// Where the VM sends the frame to.
enum NextHop {
    /// To a MAC address; what that is.
    Mac([u8; 6], String),
    /// It must ask for the MAC address before; why nobody has answered yet.
    Ask(String),
}

/// Builds the frame.
///
/// # Errors
/// When no VM at the port would send it.
pub(super) fn build(
    tables: &HostTables,
    intent: &Intent,
    sender: &Sender,
    request: &TraceRequest,
) -> Result<Sent, Problem> {
    // An IPv4 address may come in the shape of IPv6 (`::ffff:10.0.0.7`).
    let to = request.to.to_canonical();
    kept_by_the_vm(tables, sender, request, to)?;
    let source = source(tables, sender, request, to)?;
    let (bytes, summary) = match next_hop(tables, intent, sender, request, to) {
        NextHop::Mac(destination, what) => {
            let bytes = packet(sender.entry.mac, destination, source, to, request)?;
            (bytes, format!("{}; to MAC {}, {what}", summary(request, source, to), mac(destination)))
        }
        NextHop::Ask(why) => {
            let (bytes, question) = question(sender.entry.mac, source, to)?;
            (bytes, format!("{question}; comes before the {}, since {why}", kind(request, to)))
        }
    };
    Ok(Sent { bytes, ifindex: sender.ifindex, summary })
}

/// Refuses destinations that never leave a VM.
fn kept_by_the_vm(tables: &HostTables, sender: &Sender, request: &TraceRequest, to: IpAddr) -> Result<(), Problem> {
    if to.is_unspecified() {
        return Err(Problem::bad_request(format!("{to} is no destination; give the address of a VM with --to")));
    }
    if request.via.is_some() {
        return Ok(());
    }
    let own = tables
        .records
        .get(&RecordKey { vsid: sender.entry.vsid, address: to_address(to) })
        .is_some_and(|record| record.mac == sender.entry.mac);
    if own || to.is_loopback() {
        return Err(Problem::bad_request(format!(
            "{to} is an address of the VM at port {} itself, which keeps such a packet to itself; trace to another \
             address, or say with --via to which MAC address it is sent",
            sender.name
        )));
    }
    Ok(())
}

/// The source address: the one asked for, or the first of the port's that is of the destination's family and reach.
fn source(tables: &HostTables, sender: &Sender, request: &TraceRequest, to: IpAddr) -> Result<IpAddr, Problem> {
    let family = |address: IpAddr| if address.is_ipv4() { "IPv4" } else { "IPv6" };
    if let Some(source) = request.source.map(|source| source.to_canonical()) {
        if source.is_ipv4() != to.is_ipv4() {
            return Err(Problem::bad_request(format!(
                "source {source} is {} and destination {to} is {}; give two addresses of one family",
                family(source),
                family(to)
            )));
        }
        return Ok(source);
    }
    let entry = sender.entry;
    if is_link_scoped(to) {
        return Ok(to_ip(neighbor::link_local(&entry.mac)));
    }
    let own = tables.records.iter().filter(|(key, record)| {
        key.vsid == entry.vsid && record.mac == entry.mac && !record.flags.has(RecordFlags::WILDCARD)
    });
    own.map(|(key, _)| to_ip(key.address))
        .find(|address| address.is_ipv4() == to.is_ipv4() && !is_link_scoped(*address))
        .ok_or_else(|| {
            Problem::invalid(format!(
                "port {} has no lookup record with an {} address in VSID {}; say with --source from which address its \
                 VM sends",
                sender.name,
                family(to),
                sender.vsid
            ))
        })
}

/// Whether an address is of IPv6 and of the link alone: fe80::/10, or a group of link-local scope.
fn is_link_scoped(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || (v6.is_multicast() && v6.octets()[1] & 0xf == 2),
    }
}

/// Where the VM sends a packet to, by the choices that a VM configured as its VM subnet is would make.
fn next_hop(tables: &HostTables, intent: &Intent, sender: &Sender, request: &TraceRequest, to: IpAddr) -> NextHop {
    if let Some(via) = request.via {
        return NextHop::Mac(via.octets(), "as --via says".to_owned());
    }
    let prefixes = || {
        let routes = intent.customer_routes().filter(|route| route.vsid == sender.vsid && route.is_on_link());
        // A prefix of no bits is no subnet.
        routes.map(|route| route.prefix).filter(|prefix| prefix.prefix_len() > 0)
    };
    if let Some((group, what)) = group(to, prefixes().any(|prefix| is_broadcast(prefix, to))) {
        return NextHop::Mac(group, what.to_owned());
    }
    let vsid = sender.entry.vsid;
    if let Some(record) = tables.records.get(&RecordKey { vsid, address: to_address(to) }) {
        let what = match record.flags.has(RecordFlags::GATEWAY) {
            true => "the gateway's",
            false => "the neighbour's",
        };
        return NextHop::Mac(record.mac, what.to_owned());
    }
    if is_link_scoped(to) || prefixes().any(|prefix| prefix.contains(&to)) {
        return NextHop::Ask(format!("{to} is on-link in VSID {vsid} and has no lookup record there"));
    }
    let gateway = tables.subnets.get(&vsid).map(|subnet| match to {
        IpAddr::V4(_) => subnet.gateway_v4,
        IpAddr::V6(_) => subnet.gateway_v6,
    });
    match (gateway, tables.host) {
        (Some(gateway), Some(host)) if gateway != Address::default() => {
            NextHop::Mac(host.gateway_mac, "the gateway's".to_owned())
        }
        _ => NextHop::Ask(format!("VSID {vsid} has no lookup record of {to}, and no gateway to send it through")),
    }
}

/// Whether an address is the last one of an IPv4 prefix that has one to spare for broadcast (RFC 3021).
fn is_broadcast(prefix: ipnet::IpNet, to: IpAddr) -> bool {
    prefix.addr().is_ipv4() && prefix.prefix_len() < 31 && prefix.broadcast() == to
}

/// The group MAC address of a destination that is one (RFC 1112, section 6.4; RFC 2464, section 7).
fn group(to: IpAddr, broadcast: bool) -> Option<([u8; 6], &'static str)> {
    match to {
        IpAddr::V4(v4) if broadcast || v4.is_broadcast() => Some(([0xff; 6], "broadcast")),
        IpAddr::V4(v4) if v4.is_multicast() => {
            let [_, b, c, d] = v4.octets();
            Some(([1, 0, 0x5e, b & 0x7f, c, d], "multicast"))
        }
        IpAddr::V6(v6) if v6.is_multicast() => Some((group_of(v6), "multicast")),
        _ => None,
    }
}

fn group_of(v6: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = v6.octets();
    [0x33, 0x33, a, b, c, d]
}

/// The words for what is sent.
fn kind(request: &TraceRequest, to: IpAddr) -> &'static str {
    match (request.protocol, to.is_ipv4()) {
        (TraceProtocol::Icmp, true) => "ICMP echo request",
        (TraceProtocol::Icmp, false) => "ICMPv6 echo request",
        (TraceProtocol::Tcp, _) if request.syn => "TCP SYN",
        (TraceProtocol::Tcp, _) => "TCP ACK",
        (TraceProtocol::Udp, _) => "UDP datagram",
    }
}

fn summary(request: &TraceRequest, source: IpAddr, to: IpAddr) -> String {
    let ends = match request.protocol {
        TraceProtocol::Icmp => format!("{source} -> {to}"),
        TraceProtocol::Tcp | TraceProtocol::Udp => format!(
            "{} -> {}",
            SocketAddr::new(source, request.source_port),
            SocketAddr::new(to, request.destination_port)
        ),
    };
    let (hops, fixed) = match to {
        IpAddr::V4(_) => ("TTL", if request.dont_fragment { ", don't fragment" } else { "" }),
        IpAddr::V6(_) => ("hop limit", ""),
    };
    format!("{} {ends}, {} bytes, {hops} {}{fixed}", kind(request, to), request.size, request.ttl)
}

/// The frame of a packet as asked for.
fn packet(
    source_mac: [u8; 6],
    destination_mac: [u8; 6],
    source: IpAddr,
    to: IpAddr,
    request: &TraceRequest,
) -> Result<Vec<u8>, Problem> {
    let headers = match (request.protocol, request.syn) {
        (TraceProtocol::Icmp | TraceProtocol::Udp, _) => transport::UDP_LEN,
        (TraceProtocol::Tcp, false) => transport::TCP_LEN,
        (TraceProtocol::Tcp, true) => transport::TCP_LEN + 4,
    } + if to.is_ipv4() { ip::V4_LEN } else { 0 };
    let size = request.size as usize;
    let most = MAX_IP - headers;
    if size > most {
        return Err(Problem::bad_request(format!(
            "{size} bytes are more than one packet holds; choose a --size of at most {most}"
        )));
    }
    let (payload, mut bytes) = (vec![0; size], Vec::with_capacity(ETHERNET_LEN + ip::V6_LEN + headers + size));
    let packet = PacketBuilder::ethernet2(source_mac, destination_mac).ip(ip_headers(source, to, request)?);
    let mss = TcpOptionElement::MaximumSegmentSize(if to.is_ipv4() { USUAL_MSS - 20 } else { USUAL_MSS - 40 });
    match request.protocol {
        TraceProtocol::Icmp if to.is_ipv4() => packet.icmpv4_echo_request(1, 1).write(&mut bytes, &payload),
        TraceProtocol::Icmp => packet.icmpv6_echo_request(1, 1).write(&mut bytes, &payload),
        TraceProtocol::Udp => packet.udp(request.source_port, request.destination_port).write(&mut bytes, &payload),
        TraceProtocol::Tcp => {
            let segment = packet.tcp(request.source_port, request.destination_port, 1, u16::MAX);
            match request.syn {
                true => {
                    let segment =
                        segment.syn().options(&[mss]).map_err(|error| Problem::internal(error.to_string()))?;
                    segment.write(&mut bytes, &payload)
                }
                false => segment.ack(1).write(&mut bytes, &payload),
            }
        }
    }
    .map_err(unbuildable)?;
    Ok(bytes)
}

fn ip_headers(source: IpAddr, to: IpAddr, request: &TraceRequest) -> Result<IpHeaders, Problem> {
    match (source, to) {
        (IpAddr::V4(source), IpAddr::V4(to)) => {
            let header = Ipv4Header {
                dont_fragment: request.dont_fragment,
                time_to_live: request.ttl,
                source: source.octets(),
                destination: to.octets(),
                ..Ipv4Header::default()
            };
            Ok(IpHeaders::Ipv4(header, Default::default()))
        }
        (IpAddr::V6(source), IpAddr::V6(to)) => {
            Ok(IpHeaders::Ipv6(v6_header(source, to, request.ttl), Default::default()))
        }
        _ => Err(Problem::bad_request(format!("{source} and {to} are not of one family; give two that are"))),
    }
}

fn v6_header(source: Ipv6Addr, to: Ipv6Addr, hop_limit: u8) -> Ipv6Header {
    Ipv6Header { hop_limit, source: source.octets(), destination: to.octets(), ..Ipv6Header::default() }
}

/// The frame by which a VM asks for a MAC address, and what it says.
fn question(asker: [u8; 6], source: IpAddr, target: IpAddr) -> Result<(Vec<u8>, String), Problem> {
    match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => arp_request(asker, source, target),
        (IpAddr::V6(source), IpAddr::V6(target)) => solicitation(asker, source, target),
        _ => Err(Problem::bad_request(format!("{source} and {target} are not of one family; give two that are"))),
    }
}

fn arp_request(asker: [u8; 6], source: Ipv4Addr, target: Ipv4Addr) -> Result<(Vec<u8>, String), Problem> {
    let request = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: asker,
        sender_ipv4: source.octets(),
        target_mac: [0; 6],
        target_ipv4: target.octets(),
    };
    let mut bytes = Vec::new();
    let frame = PacketBuilder::ethernet2(asker, [0xff; 6]).arp(request.into());
    frame.write(&mut bytes).map_err(unbuildable)?;
    Ok((bytes, format!("ARP request: who has {target}? tell {source}")))
}

fn solicitation(asker: [u8; 6], source: Ipv6Addr, target: Ipv6Addr) -> Result<(Vec<u8>, String), Problem> {
    let [.., b, c, d] = target.octets();
    // The target's solicited-node group (RFC 4291, section 2.7.1).
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, b, c, d]);
    let mut payload = target.octets().to_vec();
    // Who has no address yet must not tell its MAC address (RFC 4861, section 4.3).
    if !source.is_unspecified() {
        payload.extend([1, 1]);
        payload.extend(asker);
    }
    let mut bytes = Vec::new();
    let header = IpHeaders::Ipv6(v6_header(source, group, 255), Default::default());
    let frame = PacketBuilder::ethernet2(asker, group_of(group)).ip(header).icmpv6(Icmpv6Type::NeighborSolicitation);
    frame.write(&mut bytes, &payload).map_err(unbuildable)?;
    Ok((bytes, format!("neighbor solicitation: who has {target}? tell {source}")))
}

fn unbuildable(error: BuildWriteError) -> Problem {
    Problem::internal(format!("the packet to trace cannot be built: {error}"))
}
