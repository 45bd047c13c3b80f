//! Frames that no honest client sends, and the packet socket that sends them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use etherparse::{ArpEthIpv4Packet, ArpOperation, PacketBuilder};
use lab::Node;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike};
use nix::sys::socket::{sendto, socket};

/// A MAC address.
pub type Mac = [u8; 6];

/// Everybody.
pub const BROADCAST: Mac = [0xff; 6];

/// Sends a frame as it is by a device of a node.
#[track_caller]
pub fn send(node: &Node, device: &str, frame: &[u8]) {
    send_many(node, device, frame, 1);
}

/// Sends a frame so many times, as fast as it goes.
#[track_caller]
pub fn send_many(node: &Node, device: &str, frame: &[u8], count: usize) {
    let wire = Wire::open(node, device);
    (0..count).for_each(|_| wire.send(frame));
}

/// A packet socket at a device, for sending alone.
pub struct Wire {
    socket: OwnedFd,
    device: LinkAddr,
}

impl Wire {
    /// Opens it.
    #[track_caller]
    pub fn open(node: &Node, device: &str) -> Self {
        let link = node.netlink().expect("the node is there").link(device).expect("the device is there");
        // Without a protocol the kernel gives it no frame.
        let open = || socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None::<SockProtocol>);
        let socket = node.namespace().run(open).expect("the namespace can be entered").expect("a packet socket opens");
        Self { socket, device: device_address(link.index) }
    }

    /// Sends a frame as it is.
    #[track_caller]
    pub fn send(&self, frame: &[u8]) {
        sendto(self.socket.as_raw_fd(), frame, &self.device, MsgFlags::empty()).expect("a packet socket sends");
    }
}

/// The address that names a device by its index.
fn device_address(index: u32) -> LinkAddr {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: 0,
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the pointer is to a whole address of that length, and is read before `address` goes.
    unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) }.expect("an AF_PACKET address")
}

/// A UDP datagram over IPv4, port 1000 to port 2000.
pub fn udp_v4(source: (Mac, [u8; 4]), destination: (Mac, [u8; 4]), payload: &[u8]) -> Vec<u8> {
    udp_v4_ports(source, destination, (1000, 2000), payload)
}

/// A UDP datagram over IPv4 between any ports.
pub fn udp_v4_ports(source: (Mac, [u8; 4]), destination: (Mac, [u8; 4]), ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let addressed = PacketBuilder::ethernet2(source.0, destination.0).ipv4(source.1, destination.1, 64);
    let builder = addressed.udp(ports.0, ports.1);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).expect("a vector takes it");
    frame
}

/// A UDP datagram over IPv6, port 1000 to port 2000.
pub fn udp_v6(source: (Mac, Ipv6Addr), destination: (Mac, Ipv6Addr), payload: &[u8]) -> Vec<u8> {
    udp_v6_ports(source, destination, (1000, 2000), payload)
}

/// A UDP datagram over IPv6 between any ports.
pub fn udp_v6_ports(
    source: (Mac, Ipv6Addr),
    destination: (Mac, Ipv6Addr),
    ports: (u16, u16),
    payload: &[u8],
) -> Vec<u8> {
    let (from, to) = (source.1.octets(), destination.1.octets());
    let builder = PacketBuilder::ethernet2(source.0, destination.0).ipv6(from, to, 64).udp(ports.0, ports.1);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).expect("a vector takes it");
    frame
}

/// A TCP SYN over IPv4.
pub fn syn_v4(source: (Mac, [u8; 4]), destination: (Mac, [u8; 4]), ports: (u16, u16)) -> Vec<u8> {
    let addressed = PacketBuilder::ethernet2(source.0, destination.0).ipv4(source.1, destination.1, 64);
    let builder = addressed.tcp(ports.0, ports.1, 1, 64_000).syn();
    let mut frame = Vec::with_capacity(builder.size(0));
    builder.write(&mut frame, &[]).expect("a vector takes it");
    frame
}

/// What is unusual about an IPv4 packet.
#[derive(Clone, Copy, Default)]
pub struct Unusual<'a> {
    /// Options, a multiple of 4 bytes.
    pub options: &'a [u8],
    /// Identification of a fragmented packet.
    pub identification: u16,
    /// Offset of a fragment in units of 8 bytes.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
}

/// An IPv4 packet whose payload begins with whatever header its protocol has.
pub fn ipv4(
    source: (Mac, [u8; 4]),
    destination: (Mac, [u8; 4]),
    protocol: u8,
    unusual: Unusual<'_>,
    payload: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a packet of an ordinary size");
    let mut header = etherparse::Ipv4Header::new(length, 64, protocol.into(), source.1, destination.1)
        .expect("a packet of an ordinary size");
    header.options = unusual.options.try_into().expect("options of a legal length");
    header.set_payload_len(payload.len()).expect("a packet of an ordinary size");
    header.identification = unusual.identification;
    header.dont_fragment = false;
    header.more_fragments = unusual.more;
    header.fragment_offset = unusual.offset.try_into().expect("an offset of 13 bits");
    header.header_checksum = header.calc_header_checksum();
    let mut frame = [&destination.0[..], &source.0, &[0x08, 0x00]].concat();
    header.write(&mut frame).expect("a vector takes it");
    frame.extend_from_slice(payload);
    frame
}

/// An IPv6 packet whose payload begins with whatever header follows.
pub fn ipv6(source: (Mac, Ipv6Addr), destination: (Mac, Ipv6Addr), next: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    let header = etherparse::Ipv6Header {
        payload_length: u16::try_from(payload.len()).expect("a packet of an ordinary size"),
        next_header: next.into(),
        hop_limit: hops,
        source: source.1.octets(),
        destination: destination.1.octets(),
        ..etherparse::Ipv6Header::default()
    };
    [&destination.0[..], &source.0, &[0x86, 0xdd], &header.to_bytes(), payload].concat()
}

/// A message of Neighbor Discovery: type, flags, and what follows them; with the hop limit that proves that it was not
/// routed.
pub fn nd(source: (Mac, Ipv6Addr), destination: (Mac, Ipv6Addr), kind: u8, flags: u32, body: &[u8]) -> Vec<u8> {
    let message = etherparse::Icmpv6Type::Unknown { type_u8: kind, code_u8: 0, bytes5to8: flags.to_be_bytes() };
    let (from, to) = (source.1.octets(), destination.1.octets());
    let header =
        etherparse::Icmpv6Header::with_checksum(message, from, to, body).expect("a message of an ordinary size");
    ipv6(source, destination, 58, 255, &[&header.to_bytes()[..], body].concat())
}

/// A frame behind a VXLAN header (RFC 7348, section 5), as the payload of UDP.
pub fn vxlan(vni: u32, inner: &[u8]) -> Vec<u8> {
    [&[0x08, 0, 0, 0][..], &(vni << 8).to_be_bytes(), inner].concat()
}

/// A frame behind a Geneve header without options (RFC 8926, section 3.4), as the payload of UDP.
pub fn geneve(vni: u32, inner: &[u8]) -> Vec<u8> {
    [&[0, 0, 0x65, 0x58][..], &(vni << 8).to_be_bytes(), inner].concat()
}

/// A frame behind an NVGRE header (RFC 7637, section 3.2), as the payload of IP.
pub fn nvgre(vsid: u32, inner: &[u8]) -> Vec<u8> {
    [&[0x20, 0x00, 0x65, 0x58][..], &(vsid << 8).to_be_bytes(), inner].concat()
}

/// An ARP message in a frame from `source` to `destination`.
pub fn arp(source: Mac, destination: Mac, reply: bool, sender: (Mac, [u8; 4]), target: (Mac, [u8; 4])) -> Vec<u8> {
    let message = ArpEthIpv4Packet {
        operation: if reply { ArpOperation::REPLY } else { ArpOperation::REQUEST },
        sender_mac: sender.0,
        sender_ipv4: sender.1,
        target_mac: target.0,
        target_ipv4: target.1,
    };
    let builder = PacketBuilder::ethernet2(source, destination).arp(message.into());
    let mut frame = Vec::with_capacity(builder.size());
    builder.write(&mut frame).expect("a vector takes it");
    frame
}

/// The same frame with an 802.1Q tag.
pub fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    let tag = [&[0x81, 0x00][..], &vlan.to_be_bytes()].concat();
    [&frame[..12], &tag, &frame[12..]].concat()
}

/// A frame inside of NVGRE over IPv4 (RFC 7637, section 3.2). `fragment` sets the flag that more fragments follow.
pub fn nvgre_v4(
    source: (Mac, Ipv4Addr),
    destination: (Mac, Ipv4Addr),
    vsid: u32,
    fragment: bool,
    inner: &[u8],
) -> Vec<u8> {
    let payload = nvgre(vsid, inner);
    let (from, to) = (source.1.octets(), destination.1.octets());
    let length = u16::try_from(payload.len()).expect("a packet of an ordinary size");
    let mut header = etherparse::Ipv4Header::new(length, 64, etherparse::IpNumber::GRE, from, to)
        .expect("a packet of an ordinary size");
    header.dont_fragment = !fragment;
    header.more_fragments = fragment;
    header.header_checksum = header.calc_header_checksum();
    let mut frame = [&destination.0[..], &source.0, &[0x08, 0x00]].concat();
    header.write(&mut frame).expect("a vector takes it");
    frame.extend_from_slice(&payload);
    frame
}

/// The MAC address of a node's device.
#[track_caller]
pub fn mac_of(node: &Node, device: &str) -> Mac {
    let link = node.netlink().expect("the node is there").link(device).expect("the device is there");
    link.mac.expect("an Ethernet device")
}
