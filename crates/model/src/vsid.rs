//! The virtual subnet identifier.

use serde::{Deserialize, Serialize};

/// Virtual subnet identifier (VSID): names a VM subnet on the wire and in every table.
///
/// 24 bits wide (RFC 7637, section 3.2). 1 to 4095 are reserved so that a VSID is never mistaken for a VLAN ID, and
/// 0xFFFFFF is for the use of vendors, as in Hyper-V Network Virtualization. 0 is legal for a port alone and means
/// "not virtualized"; it is not a [`Vsid`] but the absence of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Vsid(u32);

/// Why a number is not a VSID.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VsidError {
    /// Outside of the range.
    #[error("VSID {0} is out of range; choose one of {min} to {max}", min = Vsid::MIN.0, max = Vsid::MAX.0)]
    OutOfRange(u32),
    /// Not a number.
    #[error("\"{0}\" is not a VSID; write a number of {min} to {max}", min = Vsid::MIN.0, max = Vsid::MAX.0)]
    NotANumber(String),
}

impl Vsid {
    /// The lowest VSID.
    pub const MIN: Self = Self(4096);
    /// The highest VSID.
    pub const MAX: Self = Self(16_777_214);

    /// The VSID with this number.
    ///
    /// # Errors
    /// When the number is outside of [`Vsid::MIN`] to [`Vsid::MAX`].
    pub const fn new(number: u32) -> Result<Self, VsidError> {
        if number < Self::MIN.0 || number > Self::MAX.0 { Err(VsidError::OutOfRange(number)) } else { Ok(Self(number)) }
    }

    /// The number, at most 24 bits.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Vsid {
    type Error = VsidError;
    fn try_from(number: u32) -> Result<Self, VsidError> {
        Self::new(number)
    }
}

impl From<Vsid> for u32 {
    fn from(vsid: Vsid) -> u32 {
        vsid.0
    }
}

impl std::str::FromStr for Vsid {
    type Err = VsidError;
    fn from_str(text: &str) -> Result<Self, VsidError> {
        Self::new(text.parse().map_err(|_| VsidError::NotANumber(text.to_owned()))?)
    }
}

impl std::fmt::Display for Vsid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Serde for a [`Vsid`] that may be missing, where 0 or nothing means that traffic is not virtualized.
pub mod optional {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Vsid;

    /// Writes the number, 0 for none.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(vsid: &Option<Vsid>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(vsid.map_or(0, Vsid::get))
    }

    /// Reads a number; 0 and null are none.
    ///
    /// # Errors
    /// When the number is neither 0 nor a VSID.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vsid>, D::Error> {
        match Option::<u32>::deserialize(deserializer)? {
            None | Some(0) => Ok(None),
            Some(number) => Vsid::new(number).map(Some).map_err(D::Error::custom),
        }
    }
}

#[cfg(feature = "generators")]
impl Vsid {
    /// Any VSID, for property tests; the ends of the range come up often.
    pub fn any() -> impl proptest::strategy::Strategy<Value = Self> {
        use proptest::prelude::*;
        prop_oneof![1 => Just(Self::MIN), 1 => Just(Self::MAX), 8 => (Self::MIN.0..=Self::MAX.0).prop_map(Self)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_ends_where_the_field_says() {
        for (number, legal) in [
            (0, false),
            (1, false),
            (4095, false),
            (4096, true),
            (16_777_214, true),
            (16_777_215, false),
            (u32::MAX, false),
        ] {
            assert_eq!(Vsid::new(number).is_ok(), legal, "VSID {number}");
        }
    }

    #[test]
    fn an_error_names_the_value_and_the_range() {
        assert_eq!(Vsid::new(70).unwrap_err().to_string(), "VSID 70 is out of range; choose one of 4096 to 16777214");
        assert!("5001x".parse::<Vsid>().unwrap_err().to_string().contains("\"5001x\""));
    }
}
