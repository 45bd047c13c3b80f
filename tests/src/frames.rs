//! Frames that no honest client sends, and the packet socket that sends them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

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
    let link = node.netlink().expect("the node is there").link(device).expect("the device is there");
    let index = link.index;
    let sent = node.namespace().run(|| {
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
        let address = device_address(index);
        (0..count).try_for_each(|_| sendto(socket.as_raw_fd(), frame, &address, MsgFlags::empty()).map(|_| ()))
    });
    sent.expect("the namespace can be entered").expect("a packet socket sends");
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
    let builder = PacketBuilder::ethernet2(source.0, destination.0).ipv4(source.1, destination.1, 64).udp(1000, 2000);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).expect("a vector takes it");
    frame
}

/// A UDP datagram over IPv6, port 1000 to port 2000.
pub fn udp_v6(source: (Mac, Ipv6Addr), destination: (Mac, Ipv6Addr), payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(source.0, destination.0)
        .ipv6(source.1.octets(), destination.1.octets(), 64)
        .udp(1000, 2000);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).expect("a vector takes it");
    frame
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
    let payload = [&[0x20, 0x00, 0x65, 0x58][..], &(vsid << 8).to_be_bytes(), inner].concat();
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
