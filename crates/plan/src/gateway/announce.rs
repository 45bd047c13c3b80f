//! Frames by which a gateway tells its neighbors outside that an address is at its MAC address now: after a switch from one host
//! to another they would else send to where it was, until they ask again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::MacAddress;

/// Ethernet header, ARP message for IPv4 over Ethernet.
const ARP_FRAME: usize = 14 + 28;

/// The announcement of an address: an ARP request from the address for itself (RFC 5227, 3), or an unsolicited neighbor
/// advertisement to all nodes that overrides what they knew (RFC 4861, 7.2.6).
pub fn frame(mac: MacAddress, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => arp(mac, address),
        IpAddr::V6(address) => advertisement(mac, address),
    }
}

fn arp(mac: MacAddress, address: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ARP_FRAME);
    frame.extend([0xff; 6]);
    frame.extend(mac.octets());
    frame.extend([0x08, 0x06]);
    // Ethernet, IPv4, their lengths, request.
    frame.extend([0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(mac.octets());
    frame.extend(address.octets());
    frame.extend([0; 6]);
    frame.extend(address.octets());
    frame
}

fn advertisement(mac: MacAddress, address: Ipv6Addr) -> Vec<u8> {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut message = Vec::with_capacity(32);
    // Neighbor advertisement; its checksum follows. Flags: router, override.
    message.extend([136, 0, 0, 0, 0xa0, 0, 0, 0]);
    message.extend(address.octets());
    // Option: target link-layer address, one unit of eight bytes.
    message.extend([2, 1]);
    message.extend(mac.octets());
    let checksum = icmpv6_checksum(address, all_nodes, &message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = Vec::with_capacity(14 + 40 + message.len());
    frame.extend([0x33, 0x33, 0, 0, 0, 1]);
    frame.extend(mac.octets());
    frame.extend([0x86, 0xdd]);
    frame.extend([0x60, 0, 0, 0, 0, 32, 58, 255]);
    frame.extend(address.octets());
    frame.extend(all_nodes.octets());
    frame.extend(message);
    frame
}

/// The checksum of RFC 4443, 2.3, over the pseudo-header of RFC 8200, 8.1.
fn icmpv6_checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    let mut all = [source.octets(), destination.octets()].concat();
    all.extend(length);
    all.extend([0, 0, 0, 58]);
    all.extend(message);
    let mut sum: u32 =
        all.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    const MAC: &str = "02:00:00:00:01:01";

    #[test]
    fn an_announcement_by_arp_asks_for_itself() {
        let frame = frame(MAC.parse().unwrap(), "203.0.113.5".parse().unwrap());
        let parsed = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Arp(arp)) = parsed.net else { panic!("{parsed:?}") };
        assert_eq!(arp.sender_protocol_addr(), arp.target_protocol_addr());
        assert_eq!(arp.sender_protocol_addr(), [203, 0, 113, 5]);
    }

    #[test]
    fn an_advertisement_has_a_right_checksum() {
        let frame = frame(MAC.parse().unwrap(), "2001:db8::5".parse().unwrap());
        let parsed = SlicedPacket::from_ethernet(&frame).unwrap();
        let (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Icmpv6(icmp))) = (parsed.net, parsed.transport) else {
            panic!("no ICMPv6")
        };
        let header = ip.header();
        assert!(icmp.is_checksum_valid(header.source(), header.destination()));
        assert_eq!(header.hop_limit(), 255);
    }
}
