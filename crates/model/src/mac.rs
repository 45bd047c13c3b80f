//! The MAC address of a VM's interface.

use serde::{Deserialize, Serialize};

/// A unicast MAC address, written as Hyper-V Network Virtualization writes it: `06-06-00-00-00-05`.
///
/// Reading is lenient: hyphens, colons or nothing between the bytes, in any case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

/// Why a text or six bytes are not the MAC address of an interface.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MacAddressError {
    /// Not six bytes in a known notation.
    #[error("\"{0}\" is not a MAC address; write six bytes in hexadecimal such as 06-06-00-00-00-05")]
    Malformed(String),
    /// The group bit is set.
    #[error("{0} is a multicast address (lowest bit of its first byte); give the unicast address of the interface")]
    Multicast(String),
    /// All bytes are zero.
    #[error("{0} is all zero, which no interface has; give the address of the interface")]
    Zero(String),
}

impl MacAddress {
    /// The address of these six bytes, first on the wire first.
    ///
    /// # Errors
    /// When it is a multicast address or all zero.
    pub fn new(octets: [u8; 6]) -> Result<Self, MacAddressError> {
        if octets[0] & 1 != 0 {
            return Err(MacAddressError::Multicast(Self(octets).to_string()));
        }
        if octets == [0; 6] {
            return Err(MacAddressError::Zero(Self(octets).to_string()));
        }
        Ok(Self(octets))
    }

    /// The six bytes, first on the wire first.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// The IPv6 link-local address that an interface with this address gives itself: the prefix fe80::/64 and the
    /// modified EUI-64 (RFC 4291, appendix A).
    pub const fn link_local(self) -> std::net::Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        std::net::Ipv6Addr::from_octets([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
    }
}

impl std::fmt::Display for MacAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        f.pad(&format!("{a:02X}-{b:02X}-{c:02X}-{d:02X}-{e:02X}-{g:02X}"))
    }
}

impl std::str::FromStr for MacAddress {
    type Err = MacAddressError;
    fn from_str(text: &str) -> Result<Self, MacAddressError> {
        let malformed = || MacAddressError::Malformed(text.to_owned());
        let separator = text.chars().nth(2).filter(|c| matches!(c, '-' | ':'));
        let digits = match separator {
            Some(separator) => {
                let parts: Vec<&str> = text.split(separator).collect();
                if parts.len() != 6 || parts.iter().any(|part| part.len() != 2) {
                    return Err(malformed());
                }
                parts.concat()
            }
            None => text.to_owned(),
        };
        if digits.len() != 12 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(malformed());
        }
        let mut octets = [0; 6];
        for (octet, position) in octets.iter_mut().zip((0..12).step_by(2)) {
            *octet = u8::from_str_radix(&digits[position..position + 2], 16).map_err(|_| malformed())?;
        }
        Self::new(octets)
    }
}

impl TryFrom<String> for MacAddress {
    type Error = MacAddressError;
    fn try_from(text: String) -> Result<Self, MacAddressError> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> String {
        mac.to_string()
    }
}

#[cfg(feature = "generators")]
impl MacAddress {
    /// Any MAC address that an interface can have, for property tests.
    pub fn any() -> impl proptest::strategy::Strategy<Value = Self> {
        use proptest::prelude::*;
        any::<[u8; 6]>().prop_map(|mut octets| {
            octets[0] &= !1;
            if octets == [0; 6] {
                octets[5] = 1;
            }
            Self(octets)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_usual_notation_is_read_and_one_is_written() {
        for text in ["06-0a-00-00-00-05", "06:0A:00:00:00:05", "060a00000005", "06-0A-00-00-00-05"] {
            assert_eq!(text.parse::<MacAddress>().unwrap().to_string(), "06-0A-00-00-00-05", "{text}");
        }
    }

    #[test]
    fn what_is_no_six_bytes_is_refused() {
        for text in [
            "",
            "06",
            "06-06-00-00-00",
            "06-06-00-00-00-05-07",
            "06-06:00-00-00-05",
            "6-6-0-0-0-5",
            "06-06-00-00-00-0g",
            "+6-06-00-00-00-05",
            "0606.0000.0005",
            "06060000000é",
            "é6060000000",
            "06-é-00-00-00-05",
        ] {
            let error = text.parse::<MacAddress>().unwrap_err();
            assert_eq!(error, MacAddressError::Malformed(text.to_owned()));
        }
    }

    #[test]
    fn multicast_and_zero_say_so() {
        assert!("01-00-5e-00-00-01".parse::<MacAddress>().unwrap_err().to_string().contains("multicast"));
        assert!("ff:ff:ff:ff:ff:ff".parse::<MacAddress>().unwrap_err().to_string().contains("multicast"));
        assert!("000000000000".parse::<MacAddress>().unwrap_err().to_string().contains("all zero"));
    }

    #[test]
    fn the_link_local_address_flips_the_universal_bit() {
        let mac: MacAddress = "06-06-00-00-00-05".parse().unwrap();
        assert_eq!(mac.link_local().to_string(), "fe80::406:ff:fe00:5");
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same(mac in MacAddress::any()) {
            prop_assert_eq!(mac.to_string().parse::<MacAddress>(), Ok(mac));
            prop_assert_eq!(MacAddress::new(mac.octets()), Ok(mac));
        }
    }
}
