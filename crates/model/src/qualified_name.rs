//! Names of security groups and address sets, as hosts know them.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fabric::{ResourceName, ResourceNameError};

/// One to three names with `/` between them: `web` where a host declares it by itself, `TENANT/NETWORK/NAME` where the
/// controller does, so that names of different owners do not meet.
///
/// Copies share the text, since each of very many lookup records may carry some of few names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QualifiedName(Arc<str>);

/// Why a text is no such name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QualifiedNameError {
    /// One of the names is none.
    #[error(transparent)]
    Part(#[from] ResourceNameError),
    /// More than [`QualifiedName::MAX_PARTS`].
    #[error("\"{0}\" has more than {max} names in it; write one such as web, or TENANT/NETWORK/NAME", max = QualifiedName::MAX_PARTS)]
    TooManyParts(String),
}

impl QualifiedName {
    /// Most names in one: tenant, VM network, name.
    pub const MAX_PARTS: usize = 3;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of something that a VM network of the fabric has, as its hosts know it.
    pub fn of_network(tenant: &ResourceName, network: &ResourceName, name: &ResourceName) -> Self {
        Self(format!("{tenant}/{network}/{name}").into())
    }

    /// The name of something that a tenant of the fabric has, as hosts know it.
    pub fn of_tenant(tenant: &ResourceName, name: &ResourceName) -> Self {
        Self(format!("{tenant}/{name}").into())
    }

    /// The last of its names: what its owner calls it.
    pub fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl std::fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for QualifiedName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for QualifiedName {
    type Error = QualifiedNameError;
    fn try_from(text: String) -> Result<Self, QualifiedNameError> {
        for (index, part) in text.split('/').enumerate() {
            if index >= Self::MAX_PARTS {
                return Err(QualifiedNameError::TooManyParts(text));
            }
            part.parse::<ResourceName>()?;
        }
        Ok(Self(text.into()))
    }
}

impl std::str::FromStr for QualifiedName {
    type Err = QualifiedNameError;
    fn from_str(text: &str) -> Result<Self, QualifiedNameError> {
        text.to_owned().try_into()
    }
}

impl From<QualifiedName> for String {
    fn from(name: QualifiedName) -> String {
        name.0.as_ref().to_owned()
    }
}

impl From<ResourceName> for QualifiedName {
    fn from(name: ResourceName) -> Self {
        Self(String::from(name).into())
    }
}

impl schemars::JsonSchema for QualifiedName {
    fn schema_name() -> Cow<'static, str> {
        "QualifiedName".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "minLength": 1, "maxLength": 191 })
    }
}

#[cfg(feature = "generators")]
impl QualifiedName {
    /// Any name, for property tests.
    pub fn any() -> impl proptest::strategy::Strategy<Value = Self> {
        use proptest::prelude::*;
        proptest::collection::vec(ResourceName::any(), 1..=Self::MAX_PARTS).prop_map(|parts| {
            let parts: Vec<&str> = parts.iter().map(ResourceName::as_str).collect();
            Self(parts.join("/").into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_edges_of_what_such_a_name_is() {
        for name in ["web", "a/b", "blue/VM Net 1/web tier"] {
            assert_eq!(name.parse::<QualifiedName>().unwrap().as_str(), name);
        }
        assert_eq!("blue/net/web".parse::<QualifiedName>().unwrap().last(), "web");
        assert_eq!("a/b/c/d".parse::<QualifiedName>(), Err(QualifiedNameError::TooManyParts("a/b/c/d".into())));
        for wrong in ["", "/", "a//b", "a/", " a", "a/\u{7}"] {
            assert!(matches!(wrong.parse::<QualifiedName>(), Err(QualifiedNameError::Part(_))), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same(name in QualifiedName::any()) {
            prop_assert_eq!(name.to_string().parse::<QualifiedName>(), Ok(name));
        }
    }
}
