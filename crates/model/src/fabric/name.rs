//! Names of the fabric's resources.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A name as VMM lets people write it: 1 to 63 letters, digits, spaces, `.`, `_` and `-`; the first and the last a
/// letter or digit. `CA Pool` is one.
///
/// Hosts and their ports carry these names onto machines, where [`crate::Name`] has no spaces: see
/// [`ResourceName::is_host_name`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceName(String);

/// Why a text is not such a name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ResourceNameError {
    /// Nothing.
    #[error("a name is empty; write 1 to {max} letters, digits, spaces, '.', '_' or '-'", max = ResourceName::MAX_LENGTH)]
    Empty,
    /// Longer than [`ResourceName::MAX_LENGTH`].
    #[error("the name \"{0}\" is {len} characters long; at most {max} are \
     allowed", len = .0.chars().count(), max = ResourceName::MAX_LENGTH)]
    TooLong(String),
    /// A character that may not stand there.
    #[error(
        "the name \"{name}\" has '{character}' in it, where it may not stand; use letters, digits, spaces, '.', '_' \
         and '-', first and last a letter or digit"
    )]
    Character {
        /// The text.
        name: String,
        /// Its first illegal character.
        character: char,
    },
}

impl ResourceName {
    /// Most characters of a name.
    pub const MAX_LENGTH: usize = 63;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the default tenant.
    pub fn default_tenant() -> Self {
        Self(super::DEFAULT_TENANT.to_owned())
    }

    /// Whether it can be the name of a machine or of a port on one: it has no spaces.
    pub fn is_host_name(&self) -> bool {
        !self.0.contains(' ')
    }
}

impl std::fmt::Display for ResourceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for ResourceName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ResourceName {
    type Error = ResourceNameError;
    fn try_from(text: String) -> Result<Self, ResourceNameError> {
        if text.is_empty() {
            return Err(ResourceNameError::Empty);
        }
        let last = text.chars().count() - 1;
        let illegal = |(index, c): &(usize, char)| {
            !(c.is_ascii_alphanumeric() || (*index > 0 && *index < last && matches!(c, '.' | '_' | '-' | ' ')))
        };
        if let Some((_, character)) = text.chars().enumerate().find(illegal) {
            return Err(ResourceNameError::Character { name: text, character });
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(ResourceNameError::TooLong(text));
        }
        Ok(Self(text))
    }
}

impl std::str::FromStr for ResourceName {
    type Err = ResourceNameError;
    fn from_str(text: &str) -> Result<Self, ResourceNameError> {
        text.to_owned().try_into()
    }
}

impl From<ResourceName> for String {
    fn from(name: ResourceName) -> String {
        name.0
    }
}

impl schemars::JsonSchema for ResourceName {
    fn schema_name() -> Cow<'static, str> {
        "ResourceName".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string", "minLength": 1, "maxLength": 63,
            "pattern": "^[A-Za-z0-9]([A-Za-z0-9. _-]*[A-Za-z0-9])?$"
        })
    }
}

#[cfg(feature = "generators")]
impl ResourceName {
    /// Any name, for property tests.
    pub fn any() -> impl proptest::strategy::Strategy<Value = Self> {
        use proptest::prelude::*;
        "[A-Za-z0-9]([A-Za-z0-9. _-]{0,61}[A-Za-z0-9])?".prop_map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_edges_of_what_a_name_is() {
        let longest = "x".repeat(63);
        for name in ["a", "0", "CA Pool", "vnet-0.eth_1", longest.as_str()] {
            assert_eq!(name.parse::<ResourceName>().unwrap().as_str(), name);
        }
        assert_eq!("".parse::<ResourceName>(), Err(ResourceNameError::Empty));
        assert_eq!("x".repeat(64).parse::<ResourceName>(), Err(ResourceNameError::TooLong("x".repeat(64))));
        for (name, character) in [("-a", '-'), ("a ", ' '), ("a/b", '/'), ("grün", 'ü'), ("a.", '.'), (" ", ' ')] {
            assert_eq!(
                name.parse::<ResourceName>(),
                Err(ResourceNameError::Character { name: name.to_owned(), character })
            );
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same(name in ResourceName::any()) {
            prop_assert_eq!(name.to_string().parse::<ResourceName>(), Ok(name));
        }
    }
}
