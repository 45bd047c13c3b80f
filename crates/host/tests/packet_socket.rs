//! Frames out of a device, as they are.

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use common::Scratch;
use host::{Netlink, PacketSocket, VethEnd};

/// Ethernet, IPv4 and UDP around "hello" for 10.1.0.2, port 4000; no UDP checksum.
fn hello(to: [u8; 6]) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend([2, 0, 0, 0, 0, 1, 0x08, 0]);
    let mut ip = vec![0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 1, 0, 2];
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    frame.extend(ip);
    frame.extend([0x0f, 0xa0, 0x0f, 0xa0, 0, 13, 0, 0]);
    frame.extend(b"hello");
    frame
}

#[test]
fn a_frame_arrives_at_the_other_end_as_it_is() {
    let (a, b) = (Scratch::new(), Scratch::new());
    let (near, far) = (Netlink::in_namespace(&a).unwrap(), Netlink::in_namespace(&b).unwrap());
    let mac = [2, 0, 0, 0, 0, 2];
    near.create_veth(VethEnd::named("left"), VethEnd { mac: Some(mac), ..VethEnd::named("right") }, &b).unwrap();
    near.set_up("left").unwrap();
    far.set_up("right").unwrap();
    far.add_address("right", "10.1.0.2/24".parse().unwrap()).unwrap();
    let receiver = b.run(|| UdpSocket::bind(SocketAddr::from(([10, 1, 0, 2], 4000)))).unwrap().unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let socket = PacketSocket::open(&near).unwrap();
    socket.send(near.link("left").unwrap().index, &hello(mac)).unwrap();
    let mut buffer = [0; 16];
    let (length, source) = receiver.recv_from(&mut buffer).expect("the frame arrives");
    assert_eq!((&buffer[..length], source), (&b"hello"[..], SocketAddr::from(([10, 1, 0, 1], 4000))));
}

#[test]
fn what_cannot_be_sent_is_said_with_device_and_length() {
    let a = Scratch::new();
    let netlink = Netlink::in_namespace(&a).unwrap();
    let socket = PacketSocket::open(&netlink).unwrap();
    let error = socket.send(4242, &[0; 60]).unwrap_err().to_string();
    assert!(error.contains("60 bytes") && error.contains("4242"), "{error}");
    netlink.set_up("lo").unwrap();
    let lo = netlink.link("lo").unwrap();
    assert!(socket.send(lo.index, &vec![0; lo.mtu as usize + 100]).is_err(), "longer than the MTU");
}
