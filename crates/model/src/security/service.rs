//! What a flow is for, by what its packets say: protocol and ports.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

/// An IP protocol, or all of them. Written by name (`tcp`, `udp`, `icmp`, `icmpv6`, `sctp`, `any`) or number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Protocol(Option<u8>);

/// Why a text is no protocol.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("\"{0}\" is no protocol; write tcp, udp, icmp, icmpv6, sctp, any, or a number of 0 to 255")]
pub struct ProtocolError(pub String);

/// The protocols that people know by name (IANA, "Assigned Internet Protocol Numbers").
const NAMES: [(&str, u8); 5] = [("icmp", 1), ("tcp", 6), ("udp", 17), ("icmpv6", 58), ("sctp", 132)];

impl Protocol {
    /// All protocols.
    pub const ANY: Self = Self(None);
    /// The Internet Control Message Protocol of IPv4.
    pub const ICMP: Self = Self(Some(1));
    /// The Internet Control Message Protocol of IPv6.
    pub const ICMPV6: Self = Self(Some(58));

    /// The protocol with this number.
    pub const fn new(number: u8) -> Self {
        Self(Some(number))
    }

    /// Its number; none for all protocols.
    pub const fn number(self) -> Option<u8> {
        self.0
    }

    /// Whether it stands for all protocols.
    pub const fn is_any(&self) -> bool {
        self.0.is_none()
    }

    /// Whether its packets name a destination port where TCP's do: TCP, UDP, DCCP, SCTP and UDP-Lite.
    pub const fn has_ports(self) -> bool {
        matches!(self.0, Some(6 | 17 | 33 | 132 | 136))
    }

    /// Whether its messages have type and code.
    pub const fn is_icmp(self) -> bool {
        matches!(self, Self::ICMP | Self::ICMPV6)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(number) = self.0 else { return f.pad("any") };
        match NAMES.iter().find(|(_, known)| *known == number) {
            Some((name, _)) => f.pad(name),
            None => number.fmt(f),
        }
    }
}

impl std::str::FromStr for Protocol {
    type Err = ProtocolError;
    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        if text == "any" {
            return Ok(Self::ANY);
        }
        let named = NAMES.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
        named.or_else(|| text.parse().ok()).map(Self::new).ok_or_else(|| ProtocolError(text.to_owned()))
    }
}

/// Destination ports from the first to the last, both included: `8000-8100`, or `80` alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// Why a text is no range of ports.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PortRangeError {
    /// No numbers.
    #[error("\"{0}\" is no port; write a number of 0 to 65535, or a range such as 8000-8100")]
    Malformed(String),
    /// The wrong way round.
    #[error("the range {first}-{last} ends before it begins; exchange the two ports")]
    Backwards {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
}

impl PortRange {
    /// The ports from one to another.
    ///
    /// # Errors
    /// When the last comes before the first.
    pub const fn new(first: u16, last: u16) -> Result<Self, PortRangeError> {
        if first > last { Err(PortRangeError::Backwards { first, last }) } else { Ok(Self { first, last }) }
    }

    /// The lowest port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub const fn last(self) -> u16 {
        self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl std::str::FromStr for PortRange {
    type Err = PortRangeError;
    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let port = |part: &str| part.trim().parse().map_err(|_| PortRangeError::Malformed(text.to_owned()));
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Self::new(port(first)?, port(last)?)
    }
}

/// Reads a text, or the number that YAML makes of one.
struct TextOrNumber<T>(std::marker::PhantomData<T>);

impl<T: std::str::FromStr<Err: fmt::Display>> Visitor<'_> for TextOrNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! text_or_number {
    ($name:ident, $schema:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
                reader.deserialize_any(TextOrNumber(std::marker::PhantomData))
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    };
}

text_or_number!(
    Protocol,
    schemars::json_schema!({
        "anyOf": [
            { "type": "string", "enum": ["any", "icmp", "tcp", "udp", "icmpv6", "sctp"] },
            // The number of one without a name, as it is sent.
            { "type": "string", "pattern": "^(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$" },
            { "type": "integer", "minimum": 0, "maximum": 255 }
        ]
    })
);
text_or_number!(
    PortRange,
    schemars::json_schema!({
        "anyOf": [
            { "type": "string", "examples": ["80", "8000-8100"] },
            { "type": "integer", "minimum": 0, "maximum": 65535 }
        ]
    })
);

#[cfg(feature = "generators")]
impl Protocol {
    /// Any protocol, for property tests.
    pub fn any() -> impl proptest::strategy::Strategy<Value = Self> {
        use proptest::prelude::*;
        prop_oneof![
            Just(Self::ANY),
            prop::sample::select(&NAMES[..]).prop_map(|(_, n)| Self::new(n)),
            any::<u8>().prop_map(Self::new)
        ]
    }
}

#[cfg(feature = "generators")]
impl PortRange {
    /// Any range, for property tests.
    pub fn any() -> impl proptest::strategy::Strategy<Value = Self> {
        use proptest::prelude::*;
        (any::<u16>(), any::<u16>(), any::<bool>()).prop_map(|(one, other, alone)| {
            let other = if alone { one } else { other };
            Self { first: one.min(other), last: one.max(other) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_edges_of_what_a_protocol_is() {
        for (text, protocol, shown) in [
            ("any", Protocol::ANY, "any"),
            ("tcp", Protocol::new(6), "tcp"),
            ("6", Protocol::new(6), "tcp"),
            ("0", Protocol::new(0), "0"),
            ("255", Protocol::new(255), "255"),
            ("icmpv6", Protocol::ICMPV6, "icmpv6"),
        ] {
            assert_eq!((text.parse(), protocol.to_string().as_str()), (Ok(protocol), shown));
        }
        for wrong in ["", "256", "-1", "TCP", "tcp "] {
            assert_eq!(wrong.parse::<Protocol>(), Err(ProtocolError(wrong.to_owned())));
        }
        assert_eq!(serde_json::from_str::<Protocol>("47").unwrap(), Protocol::new(47));
        assert!(serde_json::from_str::<Protocol>("true").is_err());
    }

    #[test]
    fn the_edges_of_what_a_range_of_ports_is() {
        for (text, first, last) in [("0", 0, 0), ("65535", 65535, 65535), ("8000-8100", 8000, 8100), ("1 - 2", 1, 2)] {
            assert_eq!(text.parse(), PortRange::new(first, last));
        }
        for wrong in ["", "-", "65536", "1-", "-1", "1-2-3", "http"] {
            assert_eq!(wrong.parse::<PortRange>(), Err(PortRangeError::Malformed(wrong.to_owned())));
        }
        assert_eq!("2-1".parse::<PortRange>(), Err(PortRangeError::Backwards { first: 2, last: 1 }));
        assert_eq!(serde_json::from_str::<PortRange>("443").unwrap(), PortRange::new(443, 443).unwrap());
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same(protocol in Protocol::any(), range in PortRange::any()) {
            prop_assert_eq!(protocol.to_string().parse(), Ok(protocol));
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }
}
