//! A UDP datagram over IPv4 as a whole frame, whose ports are changed from one sending to the next.

use std::net::Ipv4Addr;

use super::Station;

/// Bytes of Ethernet, IPv4 and UDP headers.
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
/// Where the ports are in the frame: source, then destination.
const PORTS: usize = ETHERNET + IPV4;

/// A frame from a VM to an address behind a next hop, with a payload of so many bytes and both ports 0. Its UDP checksum is
/// 0, which is none (RFC 768), so that other ports do not change it.
pub(super) fn udp(from: Station, next_hop: [u8; 6], to: Ipv4Addr, payload: usize) -> Vec<u8> {
    let [ip_length, udp_length] = [IPV4 + UDP + payload, UDP + payload].map(|length| (length as u16).to_be_bytes());
    let mut header = [0_u8; IPV4];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&ip_length);
    // Not to be fragmented, time to live 64, UDP.
    header[6] = 0x40;
    header[8..10].copy_from_slice(&[64, 17]);
    header[12..16].copy_from_slice(&from.address.octets());
    header[16..20].copy_from_slice(&to.octets());
    let sum = checksum(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    let mut frame = Vec::with_capacity(ETHERNET + IPV4 + UDP + payload);
    for part in [&next_hop[..], &from.mac, &[0x08, 0x00], &header, &[0; 4], &udp_length, &[0; 2]] {
        frame.extend_from_slice(part);
    }
    frame.resize(frame.len() + payload, 0x5a);
    frame
}

/// Gives a frame other ports.
pub(super) fn set_ports(frame: &mut [u8], source: u16, destination: u16) {
    let ([a, b], [c, d]) = (source.to_be_bytes(), destination.to_be_bytes());
    if let Some(ports) = frame.get_mut(PORTS..PORTS + 4) {
        ports.copy_from_slice(&[a, b, c, d]);
    }
}

/// The Internet checksum (RFC 1071) of a header whose own checksum is 0.
fn checksum(header: &[u8; IPV4]) -> u16 {
    let sum: u32 = header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_a_known_header() {
        let header = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(checksum(&header), 0xb861);
    }

    #[test]
    fn lengths_and_ports_are_where_they_belong() {
        let from = Station { mac: [6; 6], address: Ipv4Addr::new(10, 0, 0, 5) };
        let mut frame = udp(from, [7; 6], Ipv4Addr::new(10, 0, 0, 7), 64);
        set_ports(&mut frame, 0x1234, 0x5678);
        assert_eq!(frame.len(), 14 + 20 + 8 + 64);
        assert_eq!(frame[16..18], 92_u16.to_be_bytes());
        assert_eq!(frame[34..40], [0x12, 0x34, 0x56, 0x78, 0, 72]);
    }
}
