//! The routing domain: its identifier, and what a host must know of it as a whole.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Limits;

/// Routing domain identifier (RDID): the UUID of one tenant's VM network, written in braces as Hyper-V does:
/// `{11111111-2222-3333-4444-000000005001}`. Reading takes it without braces as well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoutingDomainId(Uuid);

/// How the frames of a VM network travel between hosts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encapsulation {
    /// NVGRE (RFC 7637).
    #[default]
    Nvgre,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
}

impl Encapsulation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nvgre, Self::Vxlan, Self::Geneve];

    /// The word that people type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nvgre => "nvgre",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
        }
    }
}

/// A routing domain as a whole, beside its customer routes. Without one its frames travel in NVGRE.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoutingDomain {
    /// The routing domain. It may be declared before its customer routes are.
    pub rdid: RoutingDomainId,
    /// How frames travel to other hosts. From them NVGRE is taken always, VXLAN and Geneve as soon as one routing domain of
    /// this host has it.
    #[serde(default)]
    pub encapsulation: Encapsulation,
    /// What all its ports on one host send and are sent together, on each host.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
}

/// Why a text is not a routing domain identifier.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RoutingDomainIdError {
    /// Not a UUID.
    #[error(
        "\"{0}\" is not a routing domain identifier; write a UUID such as {{11111111-2222-3333-4444-000000005001}}"
    )]
    Malformed(String),
    /// The nil UUID.
    #[error("{{{nil}}} names no routing domain; choose a UUID that is not all zero", nil = Uuid::nil())]
    Nil,
}

impl RoutingDomainId {
    /// The identifier with this UUID.
    ///
    /// # Errors
    /// When it is the nil UUID.
    pub fn new(uuid: Uuid) -> Result<Self, RoutingDomainIdError> {
        if uuid.is_nil() { Err(RoutingDomainIdError::Nil) } else { Ok(Self(uuid)) }
    }

    /// The 16 bytes of the UUID in the order in which it is written.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl std::fmt::Display for RoutingDomainId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0.braced().to_string())
    }
}

impl std::str::FromStr for RoutingDomainId {
    type Err = RoutingDomainIdError;
    fn from_str(text: &str) -> Result<Self, RoutingDomainIdError> {
        let malformed = || RoutingDomainIdError::Malformed(text.to_owned());
        let bare = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}').ok_or_else(malformed)?,
            None => text,
        };
        // The UUID crate reads further notations (urn:uuid:, without hyphens), which would only confuse here.
        if bare.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(malformed());
        }
        Self::new(Uuid::try_parse(bare).map_err(|_| malformed())?)
    }
}

impl TryFrom<String> for RoutingDomainId {
    type Error = RoutingDomainIdError;
    fn try_from(text: String) -> Result<Self, RoutingDomainIdError> {
        text.parse()
    }
}

impl From<RoutingDomainId> for String {
    fn from(rdid: RoutingDomainId) -> String {
        rdid.to_string()
    }
}

#[cfg(feature = "generators")]
impl RoutingDomainId {
    /// Any routing domain identifier, for property tests.
    pub fn any() -> impl proptest::strategy::Strategy<Value = Self> {
        use proptest::prelude::*;
        (1u128..).prop_map(|bits| Self(Uuid::from_u128(bits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn braces_are_optional_in_and_written_out() {
        for text in ["{11111111-2222-3333-4444-00000000500a}", "11111111-2222-3333-4444-00000000500A"] {
            let rdid: RoutingDomainId = text.parse().unwrap();
            assert_eq!(rdid.to_string(), "{11111111-2222-3333-4444-00000000500a}");
        }
    }

    #[test]
    fn what_is_no_uuid_is_refused_with_the_text() {
        for text in
            ["", "{", "{}", "{11111111-2222-3333-4444-000000005001", "11111111-2222-3333-4444-000000005001}", "5001"]
        {
            assert_eq!(text.parse::<RoutingDomainId>(), Err(RoutingDomainIdError::Malformed(text.to_owned())));
        }
        let nil = "{00000000-0000-0000-0000-000000000000}".parse::<RoutingDomainId>().unwrap_err();
        assert_eq!(nil, RoutingDomainIdError::Nil);
        assert!(nil.to_string().starts_with("{00000000-0000-0000-0000-000000000000} names no"));
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same(rdid in RoutingDomainId::any()) {
            prop_assert_eq!(rdid.to_string().parse::<RoutingDomainId>(), Ok(rdid));
        }
    }
}
