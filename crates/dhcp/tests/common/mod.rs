//! A port with scopes, and the frames that clients on it send. Answers are read by dhcproto and etherparse.
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::{Ipv4Addr, Ipv6Addr};

use dhcp::{Answer, Binding, Event};
use dhcproto::{Decodable, Decoder, Encodable, v4, v6};
use etherparse::{LinkSlice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use model::{MacAddress, Resource};

pub const MAC: [u8; 6] = [0x00, 0x1d, 0xd8, 0xb7, 0x1c, 0x00];
pub const GATEWAY_MAC: [u8; 6] = [0x02, 0x4e, 0x56, 0, 0, 1];
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 253);
pub const EVERYBODY: Ipv4Addr = Ipv4Addr::BROADCAST;
pub const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
pub const OWN: Ipv4Addr = Ipv4Addr::new(10, 10, 1, 100);

pub const SCOPES: &str = r#"
kind: dhcp-scope
spec:
  vsid: 5001
  prefix: 10.10.0.0/16
  dnsServers: [10.10.0.53, 10.10.0.54]
  dnsSuffixes: [corp.example, example]
  routes: [{prefix: 172.16.0.0/12, nextHop: 10.10.0.9}]
  leaseTime: 8h
---
kind: dhcp-scope
spec:
  vsid: 5001
  prefix: fd00:a::/64
  dnsServers: ["fd00:a::53"]
  dnsSuffixes: [corp.example, example]
  routes: [{prefix: "fd00:b::/48", nextHop: "fd00:a::9"}]
  leaseTime: 1h
"#;

/// A port of a subnet with scopes of both families.
pub fn port() -> Binding {
    with(SCOPES, &["10.10.1.100", "fd00:a::100"])
}

/// A port with these scopes and addresses.
pub fn with(yaml: &str, addresses: &[&str]) -> Binding {
    let scopes = model::resources_from_yaml(yaml).unwrap().into_iter().map(|resource| match resource {
        Resource::DhcpScope(scope) => scope,
        other => panic!("{other:?}"),
    });
    Binding {
        mac: MacAddress::new(MAC).unwrap(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        scopes: scopes.collect(),
        gateway_mac: MacAddress::new(GATEWAY_MAC).unwrap(),
        mtu: 1458,
        learns: false,
        routes: true,
    }
}

/// What the client asks for by default: what isc-dhclient does.
pub const WANTED: [u8; 10] = [1, 28, 2, 3, 15, 6, 119, 12, 26, 121];

/// A request of the port's client.
pub fn request(kind: v4::MessageType, options: &[v4::DhcpOption]) -> v4::Message {
    let mut message = v4::Message::new_with_id(0x1234_5678, NOBODY, NOBODY, NOBODY, NOBODY, &MAC);
    message.opts_mut().insert(v4::DhcpOption::MessageType(kind));
    let wanted = WANTED.iter().map(|code| v4::OptionCode::from(*code)).collect();
    message.opts_mut().insert(v4::DhcpOption::ParameterRequestList(wanted));
    for option in options {
        message.opts_mut().insert(option.clone());
    }
    message
}

/// The frame of a DHCP message.
pub fn frame_v4(source: Ipv4Addr, destination: Ipv4Addr, message: &v4::Message) -> Vec<u8> {
    let to = if destination == EVERYBODY { [0xff; 6] } else { GATEWAY_MAC };
    let builder = PacketBuilder::ethernet2(MAC, to).ipv4(source.octets(), destination.octets(), 64).udp(68, 67);
    let mut frame = Vec::new();
    builder.write(&mut frame, &message.to_vec().unwrap()).unwrap();
    frame
}

/// Sends a message as a broadcast without an address.
pub fn ask(port: &Binding, message: &v4::Message) -> Option<Answer> {
    dhcp::answer(&frame_v4(NOBODY, EVERYBODY, message), port)
}

/// An answer taken apart: addresses and message.
#[derive(Debug)]
pub struct Heard<M> {
    pub event: Event,
    pub mac: [u8; 6],
    pub destination: std::net::IpAddr,
    pub message: M,
    pub payload: Vec<u8>,
}

/// Takes a DHCP answer apart and judges its envelope.
pub fn heard(answer: Option<Answer>) -> Heard<v4::Message> {
    let answer = answer.expect("an answer");
    let frame = answer.frame.expect("a frame");
    let packet = SlicedPacket::from_ethernet(&frame).unwrap();
    let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else { panic!("{packet:?}") };
    assert_eq!(ethernet.source(), GATEWAY_MAC);
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("{packet:?}") };
    assert_eq!(ip.header().source_addr(), SERVER);
    assert_eq!(ip.header().to_header().calc_header_checksum(), ip.header().header_checksum());
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("{packet:?}") };
    assert_eq!((udp.source_port(), udp.destination_port()), (67, 68));
    let checksum = udp.to_header().calc_checksum_ipv4(&ip.header().to_header(), udp.payload()).unwrap();
    assert_eq!(checksum, udp.checksum());
    let message = v4::Message::decode(&mut Decoder::new(udp.payload())).unwrap();
    assert_eq!(message.opcode(), v4::Opcode::BootReply);
    assert_eq!(message.xid(), 0x1234_5678);
    assert_eq!(message.chaddr(), MAC);
    assert_eq!(message.siaddr(), NOBODY);
    assert!(udp.payload().len() >= 300);
    Heard {
        event: answer.event,
        mac: ethernet.destination(),
        destination: ip.header().destination_addr().into(),
        message,
        payload: udp.payload().to_vec(),
    }
}

/// The codes of a DHCP message's options in the order of the wire.
pub fn codes(payload: &[u8]) -> Vec<u8> {
    let mut codes = Vec::new();
    let mut rest = &payload[240..];
    while let [code, length, ..] = *rest {
        if code == 255 {
            break;
        }
        codes.push(code);
        rest = &rest[2 + usize::from(length)..];
    }
    codes
}

/// The client's DUID.
pub const DUID: [u8; 10] = [0, 3, 0, 1, 0x00, 0x1d, 0xd8, 0xb7, 0x1c, 0x00];
/// The server's: DUID-LL of the gateway's MAC address.
pub const SERVER_DUID: [u8; 10] = [0, 3, 0, 1, 0x02, 0x4e, 0x56, 0, 0, 1];
/// The link-local address that the client chose; it need not follow from its MAC address.
pub const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x1234, 0, 0, 1);
pub const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// A DHCPv6 message of the port's client, with its identifier.
pub fn message_v6(kind: v6::MessageType, options: &[v6::DhcpOption]) -> v6::Message {
    let mut message = v6::Message::new_with_id(kind, [1, 2, 3]);
    let client = v6::DhcpOption::ClientId(DUID.to_vec());
    message.set_opts([client].into_iter().chain(options.iter().cloned()).collect());
    message
}

/// An IA_NA that names these addresses.
pub fn association(id: u32, addresses: &[&str]) -> v6::DhcpOption {
    let opts = addresses.iter().map(|address| {
        let addr = address.parse().unwrap();
        v6::DhcpOption::IAAddr(v6::IAAddr { addr, preferred_life: 0, valid_life: 0, opts: v6::DhcpOptions::new() })
    });
    v6::DhcpOption::IANA(v6::IANA { id, t1: 0, t2: 0, opts: opts.collect() })
}

/// The frame of a DHCPv6 message.
pub fn frame_v6(destination: Ipv6Addr, message: &v6::Message) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(MAC, [0x33, 0x33, 0, 1, 0, 2])
        .ipv6(LINK_LOCAL.octets(), destination.octets(), 1)
        .udp(546, 547);
    let mut frame = Vec::new();
    builder.write(&mut frame, &message.to_vec().unwrap()).unwrap();
    frame
}

/// Sends a DHCPv6 message to all servers.
pub fn ask_v6(port: &Binding, message: &v6::Message) -> Option<Answer> {
    dhcp::answer(&frame_v6(ALL_SERVERS, message), port)
}

/// Takes a DHCPv6 answer apart and judges its envelope and its identifiers.
pub fn heard_v6(answer: Option<Answer>) -> Heard<v6::Message> {
    let answer = answer.expect("an answer");
    let frame = answer.frame.expect("a frame");
    let packet = SlicedPacket::from_ethernet(&frame).unwrap();
    let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else { panic!("{packet:?}") };
    assert_eq!(ethernet.source(), GATEWAY_MAC);
    let Some(NetSlice::Ipv6(ip)) = &packet.net else { panic!("{packet:?}") };
    assert_eq!(ip.header().source_addr(), MacAddress::new(GATEWAY_MAC).unwrap().link_local());
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("{packet:?}") };
    assert_eq!((udp.source_port(), udp.destination_port()), (547, 546));
    let checksum = udp.to_header().calc_checksum_ipv6(&ip.header().to_header(), udp.payload()).unwrap();
    assert_eq!(checksum, udp.checksum());
    let message = v6::Message::decode(&mut Decoder::new(udp.payload())).unwrap();
    assert_eq!(message.xid(), [1, 2, 3]);
    assert_eq!(message.opts().get(v6::OptionCode::ServerId), Some(&v6::DhcpOption::ServerId(SERVER_DUID.to_vec())));
    Heard {
        event: answer.event,
        mac: ethernet.destination(),
        destination: ip.header().destination_addr().into(),
        message,
        payload: udp.payload().to_vec(),
    }
}

/// The IA_NAs of a message.
pub fn associations(message: &v6::Message) -> Vec<v6::IANA> {
    let all = message.opts().iter().filter_map(|option| match option {
        v6::DhcpOption::IANA(association) => Some(association.clone()),
        _ => None,
    });
    all.collect()
}

/// The addresses of an association with their preferred and valid lifetimes.
pub fn addresses(association: &v6::IANA) -> Vec<(String, u32, u32)> {
    let all = association.opts.iter().filter_map(|option| match option {
        v6::DhcpOption::IAAddr(address) => Some((address.addr.to_string(), address.preferred_life, address.valid_life)),
        _ => None,
    });
    all.collect()
}

/// The status among options.
pub fn status(options: &v6::DhcpOptions) -> Option<v6::Status> {
    options.iter().find_map(|option| match option {
        v6::DhcpOption::StatusCode(code) => Some(code.status),
        _ => None,
    })
}
