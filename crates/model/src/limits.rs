//! Rate limits of a port or a VM network: bandwidth, packets and burst, in both directions.

use std::num::NonZeroU32;

use schemars::JsonSchema;
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
    /// What was typed as a limit is none.
    #[error(
        "\"{0}\" is no part of a limit; write a bandwidth, packets a second or a burst, such as \
         \"50 Mbit/s, 2000 packets/s, burst 1 MB\""
    )]
    Part(String),
    /// The same said twice.
    #[error("\"{0}\" says again what was said before it; say each part of a limit once")]
    Twice(String),
    /// No packets at all.
    #[error("\"{0}\" would let no packet pass; write 1 to 4294967295 packets/s")]
    Packets(String),
    /// Nothing is limited.
    #[error("a limit needs a bandwidth, packets a second, or both; give one, or leave the limit out")]
    LimitsNothing,
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

macro_rules! schema_of_text {
    ($name:ident, $pattern:literal, $($example:literal),+) => {
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern, "examples": [$($example),+]})
            }
        }
    };
}

schema_of_text!(Bandwidth, "^[0-9]+ *[kMG]bit/s$", "100 Mbit/s", "1500 kbit/s");
schema_of_text!(ByteSize, "^[0-9]+ *(B|kB|MB)$", "256 kB", "1 MB");

/// A limit of one direction: of bandwidth, of packets, or of both. Frames count with their Ethernet headers.
///
/// People type it as `50 Mbit/s, 2000 packets/s, burst 1 MB`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, try_from = "Parts")]
#[schemars(!try_from)]
pub struct Limit {
    /// Most on average; without it bandwidth is not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// Most packets in a second; without it they are not limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<NonZeroU32>,
    /// Most bytes at once after a silence; by default what passes in 300 ms, and 256 kB at least, so that TCP reaches the
    /// bandwidth: with less it does not (50 Mbit/s with 1 MB, which are 160 ms, give 38). Packets have such a burst too, of
    /// 64 at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<ByteSize>,
}

/// The fields of a limit before it is seen that it limits something.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Parts {
    bandwidth: Option<Bandwidth>,
    packets: Option<NonZeroU32>,
    burst: Option<ByteSize>,
}

impl TryFrom<Parts> for Limit {
    type Error = LimitError;
    fn try_from(Parts { bandwidth, packets, burst }: Parts) -> Result<Self, LimitError> {
        Self::new(bandwidth, packets, burst)
    }
}

impl Limit {
    /// A limit out of its parts.
    ///
    /// # Errors
    /// When it would limit neither bandwidth nor packets.
    pub fn new(
        bandwidth: Option<Bandwidth>,
        packets: Option<NonZeroU32>,
        burst: Option<ByteSize>,
    ) -> Result<Self, LimitError> {
        match (bandwidth, packets) {
            (None, None) => Err(LimitError::LimitsNothing),
            _ => Ok(Self { bandwidth, packets, burst }),
        }
    }
}

/// Puts a part of a limit where nothing of its sort is yet.
fn once<T>(place: &mut Option<T>, value: T, text: &str) -> Result<(), LimitError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(LimitError::Twice(text.to_owned())),
    }
}

impl std::str::FromStr for Limit {
    type Err = LimitError;
    fn from_str(text: &str) -> Result<Self, LimitError> {
        let mut parts = Parts::default();
        for part in text.split(',').map(str::trim) {
            match (part.strip_prefix("burst "), split(part)) {
                (Some(burst), _) => once(&mut parts.burst, burst.trim_start().parse()?, part)?,
                (None, Some((number, "packets/s"))) => {
                    let packets = u32::try_from(number).ok().and_then(NonZeroU32::new);
                    once(&mut parts.packets, packets.ok_or_else(|| LimitError::Packets(part.to_owned()))?, part)?;
                }
                (None, Some((_, unit))) if BIT_UNITS.contains(&unit) => {
                    once(&mut parts.bandwidth, part.parse()?, part)?
                }
                _ => return Err(LimitError::Part(part.to_owned())),
            }
        }
        Self::try_from(parts)
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bandwidth = self.bandwidth.map(|bandwidth| bandwidth.to_string());
        let packets = self.packets.map(|packets| format!("{packets} packets/s"));
        let burst = self.burst.map(|burst| format!("burst {burst}"));
        f.pad(&[bandwidth, packets, burst].into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// The limits of both directions, as the VM sees them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
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
    #[test]
    fn a_limit_is_typed_in_parts_of_any_order() {
        for (text, shown) in [
            ("50 Mbit/s", "50 Mbit/s"),
            ("burst 1000kB,50Mbit/s,  2000 packets/s", "50 Mbit/s, 2000 packets/s, burst 1 MB"),
            ("1 packets/s", "1 packets/s"),
        ] {
            let limit: Limit = text.parse().unwrap();
            assert_eq!(limit.to_string(), shown);
            assert_eq!(shown.parse(), Ok(limit));
            let json = serde_json::to_value(limit).unwrap();
            assert_eq!(serde_json::from_value::<Limit>(json).unwrap(), limit);
        }
        for (text, error) in [
            ("", LimitError::Part(String::new())),
            ("fast", LimitError::Part("fast".to_owned())),
            ("10 packets", LimitError::Part("10 packets".to_owned())),
            ("50 Mbit/s, 1 Gbit/s", LimitError::Twice("1 Gbit/s".to_owned())),
            ("0 packets/s", LimitError::Packets("0 packets/s".to_owned())),
            ("4294967296 packets/s", LimitError::Packets("4294967296 packets/s".to_owned())),
            ("burst 1 MB", LimitError::LimitsNothing),
            ("1 Mbit/s, burst 2", LimitError::Bytes("2".to_owned())),
            ("5000 Gbit/s", LimitError::BandwidthRange("5000 Gbit/s".to_owned())),
        ] {
            assert_eq!(text.parse::<Limit>(), Err(error), "{text}");
        }
    }

    #[test]
    fn what_limits_nothing_is_no_limit() {
        for json in ["{}", r#"{"burst": "1 MB"}"#, r#"{"packets": 0}"#, r#"{"bandwidth": "1 Mbit/s", "rate": 1}"#] {
            assert!(serde_json::from_str::<Limit>(json).is_err(), "{json}");
        }
    }
}
