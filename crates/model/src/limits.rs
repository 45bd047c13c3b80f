//! Rate limits of a port or a VM network: bandwidth, packets and burst, in both directions.

use serde::{Deserialize, Serialize};

/// A bandwidth in thousands of bits a second, written with its unit: `100 Mbit/s`. The units are kbit/s, Mbit/s and Gbit/s,
/// each a thousand times the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bandwidth(u32);

/// A number of bytes, written with its unit: `256 kB`. The units are B, kB and MB, each a thousand times the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(u32);

/// Why a text is no bandwidth or no number of bytes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LimitError {
    /// No whole number with a unit.
    #[error("\"{0}\" is no bandwidth; write a whole number and its unit, such as 100 Mbit/s (kbit/s, Mbit/s, Gbit/s)")]
    Bandwidth(String),
    /// Too small or too large.
    #[error("{0} is out of range for a bandwidth; choose one of 1 kbit/s to 4000 Gbit/s")]
    BandwidthRange(String),
    /// No whole number with a unit.
    #[error("\"{0}\" is no number of bytes; write a whole number and its unit, such as 256 kB (B, kB, MB)")]
    Bytes(String),
    /// Too small or too large.
    #[error("{0} is out of range for a burst; choose one of 1 B to 1000 MB")]
    BytesRange(String),
}

/// The number and the unit of a text.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, text[end..].trim_start_matches(' ')))
}

/// A number with the largest unit that divides it.
fn join(number: u32, units: [&str; 3]) -> String {
    match number {
        number if number % 1_000_000 == 0 => format!("{} {}", number / 1_000_000, units[2]),
        number if number % 1000 == 0 => format!("{} {}", number / 1000, units[1]),
        number => format!("{number} {}", units[0]),
    }
}

/// The number in its smallest unit, of at most so many of them.
fn number(text: &str, units: [&str; 3], most: u32) -> Option<Option<u32>> {
    let (number, unit) = split(text)?;
    let position = units.iter().position(|known| *known == unit)?;
    let whole = number.checked_mul([1, 1000, 1_000_000][position]);
    Some(whole.and_then(|whole| u32::try_from(whole).ok()).filter(|whole| (1..=most).contains(whole)))
}

/// 4000 Gbit/s.
const MOST_KILOBITS: u32 = 4_000_000_000;
/// 1000 MB.
const MOST_BYTES: u32 = 1_000_000_000;
const BIT_UNITS: [&str; 3] = ["kbit/s", "Mbit/s", "Gbit/s"];
const BYTE_UNITS: [&str; 3] = ["B", "kB", "MB"];

impl Bandwidth {
    /// So many thousands of bits a second.
    ///
    /// # Errors
    /// When it is zero, or more than 4000 Gbit/s.
    pub fn new(kilobits: u32) -> Result<Self, LimitError> {
        match kilobits {
            1..=MOST_KILOBITS => Ok(Self(kilobits)),
            _ => Err(LimitError::BandwidthRange(format!("{kilobits} kbit/s"))),
        }
    }

    /// Thousands of bits a second.
    pub const fn kilobits(self) -> u32 {
        self.0
    }
}

impl ByteSize {
    /// So many bytes.
    ///
    /// # Errors
    /// When it is zero, or more than 1000 MB.
    pub fn new(bytes: u32) -> Result<Self, LimitError> {
        match bytes {
            1..=MOST_BYTES => Ok(Self(bytes)),
            _ => Err(LimitError::BytesRange(format!("{bytes} B"))),
        }
    }

    /// Bytes.
    pub const fn bytes(self) -> u32 {
        self.0
    }
}

impl std::str::FromStr for Bandwidth {
    type Err = LimitError;
    fn from_str(text: &str) -> Result<Self, LimitError> {
        let whole = number(text, BIT_UNITS, MOST_KILOBITS).ok_or_else(|| LimitError::Bandwidth(text.to_owned()))?;
        whole.map(Self).ok_or_else(|| LimitError::BandwidthRange(text.to_owned()))
    }
}

impl std::str::FromStr for ByteSize {
    type Err = LimitError;
    fn from_str(text: &str) -> Result<Self, LimitError> {
        let whole = number(text, BYTE_UNITS, MOST_BYTES).ok_or_else(|| LimitError::Bytes(text.to_owned()))?;
        whole.map(Self).ok_or_else(|| LimitError::BytesRange(text.to_owned()))
    }
}

impl std::fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&join(self.0, BIT_UNITS))
    }
}

impl std::fmt::Display for ByteSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&join(self.0, BYTE_UNITS))
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = LimitError;
            fn try_from(text: String) -> Result<Self, LimitError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    };
}

as_text!(Bandwidth);
as_text!(ByteSize);

/// A limit of one direction. Frames count with their Ethernet headers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// Most on average; without it bandwidth is not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// Most packets in a second; without it they are not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u32>,
    /// Most bytes at once after a silence; by default what passes in 300 ms, and 256 kB at least, so that TCP reaches the
    /// bandwidth. Packets have such a burst too, of 64 at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<ByteSize>,
}

/// The limits of both directions, as the VM sees them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// What it sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Limit>,
    /// What it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Limit>,
}

impl Limits {
    /// Whether there is none.
    pub const fn is_none(&self) -> bool {
        self.egress.is_none() && self.ingress.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_in_and_out() {
        for (text, kilobits, shown) in [
            ("100 Mbit/s", 100_000, "100 Mbit/s"),
            ("100Mbit/s", 100_000, "100 Mbit/s"),
            ("1500 kbit/s", 1500, "1500 kbit/s"),
            ("40 Gbit/s", 40_000_000, "40 Gbit/s"),
        ] {
            let bandwidth: Bandwidth = text.parse().unwrap();
            assert_eq!((bandwidth.kilobits(), bandwidth.to_string().as_str()), (kilobits, shown));
        }
        let size: ByteSize = "256kB".parse().unwrap();
        assert_eq!((size.bytes(), size.to_string().as_str()), (256_000, "256 kB"));
        for text in ["", "100", "100 MB/s", "Mbit/s", "-1 Mbit/s", "1.5 Gbit/s"] {
            assert_eq!(text.parse::<Bandwidth>(), Err(LimitError::Bandwidth(text.to_owned())));
        }
        for text in ["0 kbit/s", "4001 Gbit/s", "99999999999999 Gbit/s"] {
            assert_eq!(text.parse::<Bandwidth>(), Err(LimitError::BandwidthRange(text.to_owned())));
        }
        assert_eq!("1001 MB".parse::<ByteSize>(), Err(LimitError::BytesRange("1001 MB".to_owned())));
        assert_eq!("1 GB".parse::<ByteSize>(), Err(LimitError::Bytes("1 GB".to_owned())));
    }
}
