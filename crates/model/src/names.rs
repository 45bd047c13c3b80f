//! Names of ports, devices and interfaces.

use serde::{Deserialize, Serialize};

/// A name: 1 to 63 letters, digits, `.`, `_` and `-`, the first a letter or digit.
///
/// The kernel takes 15 bytes for an interface at most (`IFNAMSIZ` less the closing zero); where a name is one of an
/// interface, [`crate::Intent`] checks it by [`Name::is_interface_name`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// Nothing.
    #[error("a name is empty; write 1 to {max} letters, digits, '.', '_' or '-'", max = Name::MAX_LENGTH)]
    Empty,
    /// Longer than [`Name::MAX_LENGTH`].
    #[error("the name \"{0}\" is {len} characters long; at most {max} are \
     allowed", len = .0.chars().count(), max = Name::MAX_LENGTH)]
    TooLong(String),
    /// A character that may not stand there.
    #[error(
        "the name \"{name}\" has '{character}' in it; use letters, digits, '.', '_' and '-', first a letter or digit"
    )]
    Character {
        /// The text.
        name: String,
        /// Its first illegal character.
        character: char,
    },
}

impl Name {
    /// Most characters of a name.
    pub const MAX_LENGTH: usize = 63;
    /// Most bytes of an interface's name: the kernel's `IFNAMSIZ` less the closing zero.
    pub const MAX_INTERFACE_LENGTH: usize = 15;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the kernel takes it as the name of an interface.
    pub fn is_interface_name(&self) -> bool {
        self.0.len() <= Self::MAX_INTERFACE_LENGTH
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let illegal =
            |(index, c): &(usize, char)| !(c.is_ascii_alphanumeric() || (*index > 0 && matches!(c, '.' | '_' | '-')));
        if let Some((_, character)) = text.char_indices().find(illegal) {
            return Err(NameError::Character { name: text, character });
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(NameError::TooLong(text));
        }
        Ok(Self(text))
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        text.to_owned().try_into()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

#[cfg(feature = "generators")]
impl Name {
    /// Any name, for property tests.
    pub fn any() -> impl proptest::strategy::Strategy<Value = Self> {
        use proptest::prelude::*;
        "[A-Za-z0-9][A-Za-z0-9._-]{0,62}".prop_map(Self)
    }

    /// Any name that the kernel takes for an interface, for property tests.
    pub fn any_interface() -> impl proptest::strategy::Strategy<Value = Self> {
        use proptest::prelude::*;
        "[A-Za-z0-9][A-Za-z0-9._-]{0,14}".prop_map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_edges_of_what_a_name_is() {
        let longest = "x".repeat(63);
        for name in ["a", "0", "blue1", "vnet-0.eth_1", longest.as_str()] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
        assert_eq!("".parse::<Name>(), Err(NameError::Empty));
        assert_eq!("x".repeat(64).parse::<Name>(), Err(NameError::TooLong("x".repeat(64))));
        for (name, character) in [("-a", '-'), (".", '.'), ("a/b", '/'), ("a b", ' '), ("grün", 'ü'), ("a\0", '\0')] {
            assert_eq!(name.parse::<Name>(), Err(NameError::Character { name: name.to_owned(), character }));
        }
    }

    #[test]
    fn an_interface_takes_fifteen_bytes() {
        assert!("x".repeat(15).parse::<Name>().unwrap().is_interface_name());
        assert!(!"x".repeat(16).parse::<Name>().unwrap().is_interface_name());
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same(name in Name::any(), interface in Name::any_interface()) {
            prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name));
            prop_assert!(interface.is_interface_name());
            prop_assert_eq!(interface.to_string().parse::<Name>(), Ok(interface));
        }
    }
}
