//! What a store holds and what is asked of it: entries, transactions, events.

/// Counts the commits of a store; the first one has 1, and an empty store that nothing was committed to has 0.
pub type Revision = u64;

/// Most bytes of a key.
pub const MAX_KEY_BYTES: usize = 1024;

/// Most bytes of a value; under etcd's own limit for a request (1.5 MiB).
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// A key, its value, and since when they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key: a path such as `objects/port/default/test01`.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// The revision that made the key; newer if it was deleted in between.
    pub created: Revision,
    /// The revision that last wrote it.
    pub modified: Revision,
}

/// What must be so for a transaction to be carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// The key does not exist.
    Absent(String),
    /// The key exists and was last written by this revision.
    Unchanged {
        /// The key.
        key: String,
        /// [`Entry::modified`] as it was seen.
        revision: Revision,
    },
}

impl Condition {
    /// The key that it is about.
    pub fn key(&self) -> &str {
        match self {
            Self::Absent(key) | Self::Unchanged { key, .. } => key,
        }
    }
}

/// What is carried out whole, if all conditions hold, or not at all. A key is written or deleted at most once in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Transaction {
    /// What must be so.
    pub conditions: Vec<Condition>,
    /// Keys and the values that they get.
    pub puts: Vec<(String, Vec<u8>)>,
    /// Keys that go; one that does not exist is no mistake, and no event.
    pub deletes: Vec<String>,
}

impl Transaction {
    /// Conditions, puts and deletes together.
    pub const fn operations(&self) -> usize {
        self.conditions.len() + self.puts.len() + self.deletes.len()
    }
}

/// A part of the keys, in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// The entries, ascending by the bytes of their keys.
    pub entries: Vec<Entry>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

/// What a commit did to one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// It was written; the entry is as it is since then.
    Put(Entry),
    /// It was deleted; the entry is as it was before.
    Deleted(Entry),
}

impl Event {
    /// The entry.
    pub const fn entry(&self) -> &Entry {
        match self {
            Self::Put(entry) | Self::Deleted(entry) => entry,
        }
    }
}

/// What one commit did, as far as a watch asks for it: at least one event, in the order of the keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changes {
    /// The commit.
    pub revision: Revision,
    /// What it did.
    pub events: Vec<Event>,
}
