//! Builds frames byte by byte, right ones and wrong ones, without the code under test.

use pipeline::Address;

/// EtherTypes.
pub const IPV4: u16 = 0x0800;
pub const ARP: u16 = 0x0806;
pub const IPV6: u16 = 0x86dd;

/// Protocol numbers.
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const FRAGMENT: u8 = 44;
pub const GRE: u8 = 47;
pub const ICMPV6: u8 = 58;

/// A MAC address.
pub type Mac = [u8; 6];

/// Everybody.
pub const BROADCAST: Mac = [0xff; 6];

/// The Internet checksum over some bytes that follow one another, each part of even length but the last.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        for word in part.chunks(2) {
            sum += u64::from(word[0]) << 8 | u64::from(word.get(1).copied().unwrap_or(0));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A frame.
pub fn ethernet(destination: Mac, source: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + payload.len());
    frame.extend(destination);
    frame.extend(source);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What an IP header is to say.
#[derive(Clone, Copy, Debug)]
pub struct Ip {
    pub source: Address,
    pub destination: Address,
    pub traffic_class: u8,
    pub ttl: u8,
    pub protocol: u8,
    /// IPv4's flags and fragment offset.
    pub fragment: u16,
    /// Words of options in an IPv4 header.
    pub options: u8,
}

impl Ip {
    /// An ordinary one.
    pub fn new(source: Address, destination: Address, protocol: u8) -> Self {
        Self { source, destination, traffic_class: 0, ttl: 64, protocol, fragment: 0x4000, options: 0 }
    }

    /// The family.
    pub fn v4(&self) -> bool {
        self.source.is_v4()
    }

    /// The packet.
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        if self.v4() { self.packet_v4(payload) } else { self.packet_v6(payload) }
    }

    fn packet_v4(&self, payload: &[u8]) -> Vec<u8> {
        let header_len = 20 + usize::from(self.options.min(10)) * 4;
        let mut packet = vec![0; header_len];
        packet[0] = 0x40 | (header_len / 4) as u8;
        packet[1] = self.traffic_class;
        packet[2..4].copy_from_slice(&((header_len + payload.len()) as u16).to_be_bytes());
        packet[4..6].copy_from_slice(&[0x12, 0x34]);
        packet[6..8].copy_from_slice(&self.fragment.to_be_bytes());
        packet[8..10].copy_from_slice(&[self.ttl, self.protocol]);
        packet[12..16].copy_from_slice(&self.source.last4());
        packet[16..20].copy_from_slice(&self.destination.last4());
        packet[20..].fill(1);
        let sum = checksum(&[&packet]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(payload);
        packet
    }

    fn packet_v6(&self, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x60 | self.traffic_class >> 4;
        packet[1] = self.traffic_class << 4 | 0x0a;
        packet[2..4].copy_from_slice(&[0xbc, 0xde]);
        packet[4..6].copy_from_slice(&(payload.len() as u16).to_be_bytes());
        packet[6..8].copy_from_slice(&[self.protocol, self.ttl]);
        packet[8..24].copy_from_slice(&self.source.octets());
        packet[24..40].copy_from_slice(&self.destination.octets());
        packet.extend(payload);
        packet
    }

    /// Writes the checksum of a transport header that covers the pseudo header too.
    fn sign(&self, message: &mut [u8], at: usize) {
        message[at..at + 2].fill(0);
        let length = (message.len() as u32).to_be_bytes();
        let protocol = [0, self.protocol];
        let sum = if self.v4() {
            checksum(&[&self.source.last4(), &self.destination.last4(), &protocol, &length, message])
        } else {
            checksum(&[&self.source.octets(), &self.destination.octets(), &length, &protocol, message])
        };
        message[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }

    /// A TCP segment. `options` is filled up to whole words.
    pub fn tcp(&self, ports: (u16, u16), flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut segment = vec![0; 20];
        segment[0..2].copy_from_slice(&ports.0.to_be_bytes());
        segment[2..4].copy_from_slice(&ports.1.to_be_bytes());
        segment[4..12].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        segment[13] = flags;
        segment[14..16].copy_from_slice(&[0xfa, 0xf0]);
        segment.extend(options);
        while !segment.len().is_multiple_of(4) {
            segment.push(0);
        }
        segment[12] = ((segment.len() / 4) as u8) << 4;
        segment.extend(payload);
        self.sign(&mut segment, 16);
        segment
    }

    /// A UDP datagram, with or without a checksum.
    pub fn udp(&self, ports: (u16, u16), with_checksum: bool, payload: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::from(ports.0.to_be_bytes());
        datagram.extend(ports.1.to_be_bytes());
        datagram.extend(((8 + payload.len()) as u16).to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(payload);
        if with_checksum {
            self.sign(&mut datagram, 6);
        }
        datagram
    }

    /// An ICMP or ICMPv6 message.
    pub fn icmp(&self, kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut message = vec![kind, code, 0, 0];
        message.extend(rest);
        message.extend(payload);
        if self.v4() {
            let sum = checksum(&[&message]);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
        } else {
            self.sign(&mut message, 2);
        }
        message
    }
}

/// An ARP message.
pub fn arp(operation: u16, sender: (Mac, Address), target: (Mac, Address)) -> Vec<u8> {
    let mut message = vec![0, 1, 0x08, 0, 6, 4];
    message.extend(operation.to_be_bytes());
    message.extend(sender.0);
    message.extend(sender.1.last4());
    message.extend(target.0);
    message.extend(target.1.last4());
    message
}

/// The MAC address of an IP multicast group.
pub fn group_mac(group: &Address) -> Mac {
    let [a, b, c, d] = group.last4();
    if group.is_v4() { [0x01, 0x00, 0x5e, b & 0x7f, c, d] } else { [0x33, 0x33, a, b, c, d] }
}

/// The solicited-node group of an address (RFC 4291, 2.7.1).
pub fn solicited_node(target: &Address) -> Address {
    let [_, b, c, d] = target.last4();
    Address::new([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, b, c, d])
}
