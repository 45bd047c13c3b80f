//! Addresses between the standard library's type and the 16 bytes of the tables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::MacAddress;
use pipeline::Address;

/// The address as the tables hold it; IPv4 as `::ffff:a.b.c.d`.
pub fn to_address(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(ip) => Address::v4(ip.octets()),
        IpAddr::V6(ip) => Address::new(ip.octets()),
    }
}

/// The address that the 16 bytes of a table stand for.
pub fn to_ip(address: Address) -> IpAddr {
    if address.is_v4() { Ipv4Addr::from(address.last4()).into() } else { Ipv6Addr::from(address.octets()).into() }
}

/// The MAC address from which a link-local address was made (RFC 4291, appendix A), if it was made so.
pub(crate) fn mac_of_link_local(address: Ipv6Addr) -> Option<MacAddress> {
    let octets = address.octets();
    let mac = [octets[8] ^ 2, octets[9], octets[10], octets[13], octets[14], octets[15]];
    MacAddress::new(mac).ok().filter(|mac| mac.link_local() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_address_tells_its_mac_address_and_no_other_address_does() {
        let mac = MacAddress::new([6, 6, 0, 0, 0, 5]).unwrap();
        assert_eq!(mac_of_link_local(mac.link_local()), Some(mac));
        for other in ["fe80::1", "fd00::406:ff:fe00:5", "fe80::406:ff:ff00:5", "fe80::1:406:ff:fe00:5"] {
            assert_eq!(mac_of_link_local(other.parse().unwrap()), None, "{other}");
        }
    }

    #[test]
    fn both_families_come_back_as_they_went() {
        for text in ["0.0.0.0", "10.0.0.5", "::", "fd00::5", "fe80::1"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(to_ip(to_address(ip)), ip);
            assert_eq!(to_address(ip).is_v4(), ip.is_ipv4());
            assert_eq!(to_address(ip).to_string(), text);
        }
    }
}
