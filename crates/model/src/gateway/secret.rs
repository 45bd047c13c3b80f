//! Secrets: keys and passwords, kept from logs and errors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key or password. It is written where it must be kept or sent, and never shown: neither its `Debug` nor what the
/// controller answers has it.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// What stands for a secret where it is shown. Who writes it back changes nothing.
    pub const HIDDEN: &str = "(hidden)";

    /// Keeps a text secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one who must use it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is only what stands for one.
    pub fn is_hidden(&self) -> bool {
        self.0 == Self::HIDDEN
    }

    /// What stands for it.
    #[must_use]
    pub fn hidden() -> Self {
        Self(Self::HIDDEN.to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("swordfish");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"swordfish\"");
        assert!(Secret::hidden().is_hidden() && !secret.is_hidden());
    }
}
