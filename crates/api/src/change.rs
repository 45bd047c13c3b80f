//! Changes to what is declared. A set of them is one transaction: all of it comes into force, or nothing.

use model::{Key, Kind, Resource};
use serde::{Deserialize, Serialize};

/// How a [`Key`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Key", deny_unknown_fields)]
struct KeyDef {
    kind: Kind,
    name: String,
}

/// One change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// A new resource; refused if it exists.
    Create(Resource),
    /// Create or replace, as `netvirt apply` does.
    Put(Resource),
    /// Replace what must exist, as `netvirt set` does.
    Replace(Resource),
    /// Delete what must exist.
    Delete(#[serde(with = "KeyDef")] Key),
}

impl Change {
    /// Which resource it is about.
    pub fn key(&self) -> Key {
        match self {
            Self::Create(resource) | Self::Put(resource) | Self::Replace(resource) => resource.key(),
            Self::Delete(key) => key.clone(),
        }
    }
}

/// Changes that come into force together, or not at all. They are judged by their result, so their order matters
/// only among changes of the same resource.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeSet {
    /// The changes.
    pub changes: Vec<Change>,
    /// Check only, and say what would come of it.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there, and is different now.
    Configured,
    /// It was there like this already.
    Unchanged,
    /// It is gone.
    Deleted,
}

impl Outcome {
    /// The word that people read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What became of one change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeResult {
    /// The resource.
    #[serde(with = "KeyDef")]
    pub key: Key,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a [`ChangeSet`]: one result for each change, in the same order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeReport {
    /// One for each change.
    pub results: Vec<ChangeResult>,
    /// What is legal but probably not meant, one sentence each.
    #[serde(default)]
    pub findings: Vec<String>,
}
