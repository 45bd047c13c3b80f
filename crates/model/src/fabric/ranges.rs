//! Ranges of addresses in pools.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{MacAddress, MacAddressError};

/// Addresses from the first to the last, both included: `10.10.1.100-10.10.1.130`, or one address alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

/// Why a text or two addresses are not a range.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AddressRangeError {
    /// Not two addresses.
    #[error("\"{0}\" is not a range of addresses; write one such as 10.10.1.100-10.10.1.130, or one address alone")]
    Malformed(String),
    /// One IPv4, one IPv6.
    #[error("the range {first}-{last} begins with IPv{} and ends with IPv{}; give two addresses of one \
     family", version(*.first), version(*.last))]
    Families {
        /// The first address.
        first: IpAddr,
        /// The last address.
        last: IpAddr,
    },
    /// The wrong way round.
    #[error("the range {first}-{last} ends before it begins; exchange the two addresses")]
    Backwards {
        /// The first address.
        first: IpAddr,
        /// The last address.
        last: IpAddr,
    },
}

const fn version(address: IpAddr) -> u8 {
    if address.is_ipv4() { 4 } else { 6 }
}

/// An address as a number; comparable inside of one family alone.
const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl AddressRange {
    /// The range of these two addresses.
    ///
    /// # Errors
    /// When they are of two families, or the last comes before the first.
    pub fn new(first: IpAddr, last: IpAddr) -> Result<Self, AddressRangeError> {
        if first.is_ipv4() != last.is_ipv4() {
            return Err(AddressRangeError::Families { first, last });
        }
        if first > last {
            return Err(AddressRangeError::Backwards { first, last });
        }
        Ok(Self { first, last })
    }

    /// The lowest address.
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// The highest address.
    pub const fn last(&self) -> IpAddr {
        self.last
    }

    /// Whether the address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether some address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first.is_ipv4() == other.first.is_ipv4() && self.first <= other.last && other.first <= self.last
    }

    /// How many addresses there are; `u128::MAX` stands for that many and one more.
    pub const fn count(&self) -> u128 {
        (bits(self.last) - bits(self.first)).saturating_add(1)
    }

    /// The address that lies `offset` behind the first, if it is in the range.
    pub fn nth(&self, offset: u128) -> Option<IpAddr> {
        let number = bits(self.first).checked_add(offset)?;
        let address = match self.first {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(number).ok()?.into()),
            IpAddr::V6(_) => IpAddr::V6(number.into()),
        };
        (address <= self.last).then_some(address)
    }

    /// All addresses, from the lowest.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let range = *self;
        (0..range.count()).map_while(move |offset| range.nth(offset))
    }
}

impl std::fmt::Display for AddressRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { f.pad(&format!("{}-{}", self.first, self.last)) }
    }
}

impl std::str::FromStr for AddressRange {
    type Err = AddressRangeError;
    fn from_str(text: &str) -> Result<Self, AddressRangeError> {
        let malformed = || AddressRangeError::Malformed(text.to_owned());
        let address = |part: &str| part.trim().parse::<IpAddr>().map_err(|_| malformed());
        match text.split_once('-') {
            Some((first, last)) => Self::new(address(first)?, address(last)?),
            None => address(text).map(|only| Self { first: only, last: only }),
        }
    }
}

impl TryFrom<String> for AddressRange {
    type Error = AddressRangeError;
    fn try_from(text: String) -> Result<Self, AddressRangeError> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> String {
        range.to_string()
    }
}

impl schemars::JsonSchema for AddressRange {
    fn schema_name() -> Cow<'static, str> {
        "AddressRange".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "examples": ["10.10.1.100-10.10.1.130", "fd00::10-fd00::ff"]})
    }
}

/// MAC addresses from the first to the last, both included: `00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacRange {
    first: MacAddress,
    last: MacAddress,
}

/// Why a text or two MAC addresses are not a range.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MacRangeError {
    /// Not two addresses.
    #[error("\"{0}\" is not a range of MAC addresses; write one such as 00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF")]
    Malformed(String),
    /// One of the two is none.
    #[error(transparent)]
    Address(#[from] MacAddressError),
    /// The wrong way round.
    #[error("the range {first}..{last} ends before it begins; exchange the two MAC addresses")]
    Backwards {
        /// The first address.
        first: MacAddress,
        /// The last address.
        last: MacAddress,
    },
    /// The first bytes differ, so that multicast addresses would lie between.
    #[error("the first bytes of {first} and {last} differ; give two MAC addresses with the same first byte")]
    FirstByte {
        /// The first address.
        first: MacAddress,
        /// The last address.
        last: MacAddress,
    },
}

const fn mac_bits(mac: MacAddress) -> u64 {
    let [a, b, c, d, e, f] = mac.octets();
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

impl MacRange {
    /// The range of these two addresses.
    ///
    /// # Errors
    /// When the last comes before the first, or their first bytes differ.
    pub fn new(first: MacAddress, last: MacAddress) -> Result<Self, MacRangeError> {
        if first > last {
            return Err(MacRangeError::Backwards { first, last });
        }
        if first.octets()[0] != last.octets()[0] {
            return Err(MacRangeError::FirstByte { first, last });
        }
        Ok(Self { first, last })
    }

    /// VMM's own range: 00:1D:D8:B7:1C:00 to 00:1D:D8:F4:1F:FF.
    pub fn vmm() -> Self {
        // Both are unicast and in order, which the tests below see.
        let mac = |octets| MacAddress::new(octets).unwrap_or_else(|_| unreachable!("VMM's range is unicast"));
        Self { first: mac([0, 0x1d, 0xd8, 0xb7, 0x1c, 0]), last: mac([0, 0x1d, 0xd8, 0xf4, 0x1f, 0xff]) }
    }

    /// The lowest address.
    pub const fn first(&self) -> MacAddress {
        self.first
    }

    /// The highest address.
    pub const fn last(&self) -> MacAddress {
        self.last
    }

    /// Whether the address is one of them.
    pub fn contains(&self, mac: MacAddress) -> bool {
        self.first <= mac && mac <= self.last
    }

    /// Whether some address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// How many addresses there are.
    pub const fn count(&self) -> u64 {
        mac_bits(self.last) - mac_bits(self.first) + 1
    }

    /// The address that lies `offset` behind the first, if it is in the range.
    pub fn nth(&self, offset: u64) -> Option<MacAddress> {
        let number = mac_bits(self.first).checked_add(offset).filter(|number| *number <= mac_bits(self.last))?;
        let [_, _, octets @ ..] = number.to_be_bytes();
        MacAddress::new(octets).ok()
    }
}

impl std::fmt::Display for MacRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{}..{}", self.first, self.last))
    }
}

impl std::str::FromStr for MacRange {
    type Err = MacRangeError;
    fn from_str(text: &str) -> Result<Self, MacRangeError> {
        let (first, last) = text.split_once("..").ok_or_else(|| MacRangeError::Malformed(text.to_owned()))?;
        Self::new(first.trim().parse()?, last.trim().parse()?)
    }
}

impl TryFrom<String> for MacRange {
    type Error = MacRangeError;
    fn try_from(text: String) -> Result<Self, MacRangeError> {
        text.parse()
    }
}

impl From<MacRange> for String {
    fn from(range: MacRange) -> String {
        range.to_string()
    }
}

impl schemars::JsonSchema for MacRange {
    fn schema_name() -> Cow<'static, str> {
        "MacRange".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "examples": ["00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_addresses_has_both_ends() {
        let range: AddressRange = "10.10.1.100-10.10.1.130".parse().unwrap();
        assert_eq!((range.count(), range.iter().count()), (31, 31));
        assert_eq!(range.nth(30), Some("10.10.1.130".parse().unwrap()));
        assert_eq!(range.nth(31), None);
        assert!(range.contains("10.10.1.100".parse().unwrap()) && !range.contains("10.10.1.131".parse().unwrap()));
        assert_eq!(range.to_string(), "10.10.1.100-10.10.1.130");
        assert_eq!("::1".parse::<AddressRange>().unwrap().to_string(), "::1");
        assert_eq!("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse::<AddressRange>().unwrap().count(), u128::MAX);
        assert_eq!("255.255.255.255".parse::<AddressRange>().unwrap().iter().count(), 1);
    }

    #[test]
    fn what_is_no_range_is_refused_with_its_value() {
        for (text, words) in [
            ("", "not a range"),
            ("10.0.0.1-", "not a range"),
            ("10.0.0.9-10.0.0.1", "exchange"),
            ("10.0.0.1-::1", "IPv4 and ends with IPv6"),
            ("10.0.0.0/24", "not a range"),
        ] {
            let error = text.parse::<AddressRange>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn the_default_range_of_mac_addresses_is_vmms() {
        let range = MacRange::vmm();
        assert_eq!(range.to_string(), "00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF");
        assert_eq!(range.to_string().parse(), Ok(range));
        assert_eq!(range.count(), 0xf4_1fff - 0xb7_1c00 + 1);
        assert_eq!(range.nth(range.count() - 1), Some(range.last()));
        assert_eq!(range.nth(range.count()), None);
        let error = "00-1D-D8-F4-1F-FF..00-1D-D8-B7-1C-00".parse::<MacRange>().unwrap_err();
        assert!(matches!(error, MacRangeError::Backwards { .. }));
    }
}
