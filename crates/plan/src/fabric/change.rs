//! What goes into a change of a fabric, and what comes out of it.

use model::fabric::{Key, Object, Resource};
use uuid::Uuid;

use super::{Claim, Finding, TopicChange};

/// One change. `revision` is the revision that the caller saw: if the resource has another one by now, the change is
/// refused. Absent, it does not matter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A new resource; refused if it exists.
    Create(Resource),
    /// Create or replace.
    Put {
        /// What is wanted.
        resource: Resource,
        /// See above.
        revision: Option<u64>,
    },
    /// Replace what must exist.
    Replace {
        /// What is wanted.
        resource: Resource,
        /// See above.
        revision: Option<u64>,
    },
    /// Delete what must exist.
    Delete {
        /// Which resource.
        key: Key,
        /// See above.
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

    /// The revision that the caller saw.
    pub const fn revision(&self) -> Option<u64> {
        match self {
            Self::Create(_) => None,
            Self::Put { revision, .. } | Self::Replace { revision, .. } | Self::Delete { revision, .. } => *revision,
        }
    }
}

/// What a change needs to know of the world.
pub struct Context<'a> {
    /// The revision that the fabric has after it.
    pub revision: u64,
    /// The time, in milliseconds since 1970 (UTC).
    pub now: u64,
    /// Where new identifiers come from; random ones, never the same twice.
    pub uuid: &'a mut dyn FnMut() -> Uuid,
}

/// What became of one resource.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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

/// What one change did to one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The object as it was; `None` if it is new.
    pub before: Option<Object>,
    /// The object as it is; `None` if it is gone.
    pub after: Option<Object>,
    /// The same in a word.
    pub outcome: Outcome,
}

/// A change of a fabric from one state to the next: all that the store must write and the hosts must learn.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Transition {
    /// One for each change, in the order in which the changes were given.
    pub steps: Vec<Step>,
    /// Objects that changed as a consequence, such as a port that was given an address of a pool that is new.
    pub also: Vec<Step>,
    /// What is claimed now and was not, or by somebody else. To be written after what is released.
    pub claimed: Vec<Claim>,
    /// What was claimed and is not any more, or by somebody else.
    pub released: Vec<Claim>,
    /// What changes in topics, at most one entry for each topic.
    pub topics: Vec<TopicChange>,
    /// What is legal but probably not meant.
    pub findings: Vec<Finding>,
}
