//! The VLAN identifier.

use serde::{Deserialize, Serialize};

/// VLAN identifier: 1 to 4094 (IEEE 802.1Q, table 9-2; 0 means "no VLAN" and 4095 is reserved).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct VlanId(u16);

/// Why a number is not a VLAN identifier.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VlanIdError {
    /// Outside of the range.
    #[error("VLAN {0} is out of range; choose one of 1 to 4094")]
    OutOfRange(u16),
    /// Not a number.
    #[error("\"{0}\" is not a VLAN; write a number of 1 to 4094")]
    NotANumber(String),
}

impl VlanId {
    /// The VLAN with this number.
    ///
    /// # Errors
    /// When the number is outside of 1 to 4094.
    pub const fn new(number: u16) -> Result<Self, VlanIdError> {
        if number == 0 || number > 4094 { Err(VlanIdError::OutOfRange(number)) } else { Ok(Self(number)) }
    }

    /// The number, 12 bits.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for VlanId {
    type Error = VlanIdError;
    fn try_from(number: u16) -> Result<Self, VlanIdError> {
        Self::new(number)
    }
}

impl From<VlanId> for u16 {
    fn from(vlan: VlanId) -> u16 {
        vlan.0
    }
}

impl std::str::FromStr for VlanId {
    type Err = VlanIdError;
    fn from_str(text: &str) -> Result<Self, VlanIdError> {
        Self::new(text.parse().map_err(|_| VlanIdError::NotANumber(text.to_owned()))?)
    }
}

impl std::fmt::Display for VlanId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_what_a_vlan_is() {
        for (text, result) in [
            ("1", Ok(VlanId(1))),
            ("4094", Ok(VlanId(4094))),
            ("0", Err(VlanIdError::OutOfRange(0))),
            ("4095", Err(VlanIdError::OutOfRange(4095))),
            ("70000", Err(VlanIdError::NotANumber("70000".to_owned()))),
        ] {
            assert_eq!(text.parse::<VlanId>(), result);
        }
    }
}
