//! Addresses between the standard library's type and the 16 bytes of the tables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

#[cfg(test)]
mod tests {
    use super::*;

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
