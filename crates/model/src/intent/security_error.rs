//! What can be wrong with security groups, address sets and who is in them, each as a sentence with the value and the
//! remedy.

use crate::security::{MAX_GROUP_ENTRIES, MAX_GROUP_RULES, MAX_PORT_GROUPS, MAX_SET_PREFIXES, RuleError};
use crate::{Key, QualifiedName};

/// One thing that cannot be of security groups.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecurityError {
    /// A rule that makes no sense by itself.
    #[error("{key}: rule {number}: {error}")]
    Rule {
        /// The group.
        key: Key,
        /// Which of its rules, from 1.
        number: usize,
        /// What is wrong with it.
        error: RuleError,
    },
    /// A prefix that is none.
    #[error("{key}: {error}")]
    Prefix {
        /// The address set.
        key: Key,
        /// What is wrong with it.
        error: RuleError,
    },
    /// More rules than [`MAX_GROUP_RULES`].
    #[error("{key}: it has {count} rules, and a security group takes {MAX_GROUP_RULES}; make two groups of it")]
    TooManyRules {
        /// The group.
        key: Key,
        /// How many there are.
        count: usize,
    },
    /// More prefixes and ports than [`MAX_GROUP_ENTRIES`].
    #[error(
        "{key}: its rules have {count} prefixes and ports together, and a security group takes {MAX_GROUP_ENTRIES}; put prefixes \
         into address sets, or make two groups of it"
    )]
    TooManyEntries {
        /// The group.
        key: Key,
        /// How many there are.
        count: usize,
    },
    /// More prefixes than [`MAX_SET_PREFIXES`].
    #[error("{key}: it has {count} prefixes, and an address set takes {MAX_SET_PREFIXES}; make two sets of it")]
    TooManyPrefixes {
        /// The set.
        key: Key,
        /// How many there are.
        count: usize,
    },
    /// In more groups than [`MAX_PORT_GROUPS`].
    #[error("{key}: it is in {count} security groups, and {MAX_PORT_GROUPS} are allowed; put rules together")]
    TooManyGroups {
        /// The port or record.
        key: Key,
        /// How many there are.
        count: usize,
    },
    /// In one group twice.
    #[error("{key}: security group \"{group}\" stands twice; name it once")]
    GroupTwice {
        /// The port or record.
        key: Key,
        /// The group.
        group: QualifiedName,
    },
    /// A port that no rules can hold for.
    #[error("{key}: security groups are for ports in a VM subnet; give it a VSID, or leave the groups out")]
    NotVirtualized {
        /// The port.
        key: Key,
    },
}

impl SecurityError {
    /// The resources that it is about.
    pub fn keys(&self) -> Vec<&Key> {
        match self {
            Self::Rule { key, .. }
            | Self::Prefix { key, .. }
            | Self::TooManyRules { key, .. }
            | Self::TooManyEntries { key, .. }
            | Self::TooManyPrefixes { key, .. }
            | Self::TooManyGroups { key, .. }
            | Self::GroupTwice { key, .. }
            | Self::NotVirtualized { key } => vec![key],
        }
    }
}
