//! Changes to what is declared of a fabric. A set of them is one transaction: all of it comes into force, or nothing.

use model::fabric::{Key, Kind, Named, Resource, ResourceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::Outcome;

/// A resource with the revision that the caller saw, as changes are read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    resource: Resource,
    #[serde(default)]
    revision: Option<u64>,
}

/// The same of what is to go.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unwanted {
    key: Named<WrittenKey>,
    #[serde(default)]
    revision: Option<u64>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct WrittenKey(#[serde(with = "KeyDef")] Key);

/// A [`Change`] as it is read: its parts have named fields, where serde would take lists too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum ReadChange {
    Create(Resource),
    Put(Named<Wanted>),
    Replace(Named<Wanted>),
    Delete(Named<Unwanted>),
}

impl From<ReadChange> for Change {
    fn from(change: ReadChange) -> Self {
        match change {
            ReadChange::Create(resource) => Self::Create(resource),
            ReadChange::Put(Named(Wanted { resource, revision })) => Self::Put { resource, revision },
            ReadChange::Replace(Named(Wanted { resource, revision })) => Self::Replace { resource, revision },
            ReadChange::Delete(Named(Unwanted { key: Named(WrittenKey(key)), revision })) => {
                Self::Delete { key, revision }
            }
        }
    }
}

/// How a [`Key`] is written.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Key", deny_unknown_fields)]
pub(super) struct KeyDef {
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<ResourceName>,
    name: ResourceName,
}

/// One change. `revision` is the revision that the caller saw (`If-Match`): if the resource has another one by now,
/// the change is refused. Absent, it does not matter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "ReadChange")]
pub enum Change {
    /// A new resource; refused if it exists.
    Create(Resource),
    /// Create or replace, as `netvirt apply` does.
    Put {
        /// What is wanted.
        resource: Resource,
        /// See above.
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
    },
    /// Replace what must exist, as `netvirt set` does.
    Replace {
        /// What is wanted.
        resource: Resource,
        /// See above.
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
    },
    /// Delete what must exist.
    Delete {
        /// Which resource.
        #[serde(with = "KeyDef")]
        key: Key,
        /// See above.
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
    },
}

impl Change {
    /// Which resource it is about.
    pub fn key(&self) -> Key {
        match self {
            Self::Create(resource) | Self::Put { resource, .. } | Self::Replace { resource, .. } => resource.key(),
            Self::Delete { key, .. } => key.clone(),
        }
    }
}

/// Changes that come into force together, or not at all. They are carried out in an order in which what is referred
/// to exists before what refers, whatever order they stand in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeSet {
    /// The changes.
    pub changes: Vec<Change>,
    /// Check only, and say what would come of it.
    #[serde(default)]
    pub dry_run: bool,
    /// Hosts that need not have acknowledged the end of a VM's last move before `migrateTo` begins its next one. What such a host
    /// has of the VM may be lost until it has been told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<ResourceName>,
}

/// What became of one change.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeResult {
    /// What became of the resource.
    pub outcome: Outcome,
    /// The resource as it is now; as it last was if it is deleted.
    pub item: super::Item,
}

/// What became of a [`ChangeSet`]: one result for each change, in the same order.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeReport {
    /// One for each change.
    pub results: Vec<ChangeResult>,
    /// The revision of the fabric after it; hosts that acknowledged it have all of it.
    pub revision: u64,
    /// What is legal but probably not meant, one sentence each.
    #[serde(default)]
    pub findings: Vec<String>,
}
