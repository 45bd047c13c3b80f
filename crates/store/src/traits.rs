//! What a store can do. The methods block.

use std::path::Path;
use std::time::Duration;

use crate::{CommitError, Entry, Error, Listing, Revision, Transaction, WatchError};

/// A store.
///
/// All that is asked for can be done in etcd: revisions are etcd's own, conditions are its compares (`create_revision`
/// 0, `mod_revision` equal), a snapshot is a set of reads at one revision (in either order of keys), a watch is a watch with `prev_kv`.
pub trait Store: Send + Sync {
    /// What is there now, unmoved by what is committed afterwards.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error>;

    /// Carries out a transaction whole, if all of its conditions hold, and returns its revision; the new state is
    /// durable then. A transaction that writes and deletes nothing makes no revision: the current one is returned.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when a condition does not hold; nothing is changed then, nor with the other errors
    /// except [`CommitError::Store`], after which it is unknown.
    fn commit(&self, transaction: Transaction) -> Result<Revision, CommitError>;

    /// Watches the keys with this prefix: every commit with a revision greater than `after`, in order. A revision that
    /// is still to come is waited for.
    ///
    /// # Errors
    /// [`WatchError::Compacted`] when what followed on `after` is kept no longer.
    fn watch(&self, prefix: &str, after: Revision) -> Result<Box<dyn Watch>, WatchError>;

    /// Forgets the events of all revisions up to this one; entries stay.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn compact(&self, upto: Revision) -> Result<(), Error>;

    /// Writes a consistent copy, which can be opened as a store, while this one is in use. A file that is there is
    /// replaced; only its owner can read the copy.
    ///
    /// # Errors
    /// When the store cannot be read or the copy not written.
    fn backup(&self, path: &Path) -> Result<(), Error>;

    /// Most operations of a transaction.
    fn max_operations(&self) -> usize;

    /// Bytes that the store takes on its disk.
    ///
    /// # Errors
    /// When it cannot be found out.
    fn bytes(&self) -> Result<u64, Error>;

    /// One entry, as it is now.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.snapshot()?.get(key)
    }

    /// Entries as they are now; see [`Snapshot::list`].
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, Error> {
        self.snapshot()?.list(prefix, after, limit)
    }

    /// The revision of the last commit.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn revision(&self) -> Result<Revision, Error> {
        Ok(self.snapshot()?.revision())
    }
}

/// A store as it was at one revision.
pub trait Snapshot: Send {
    /// The revision.
    fn revision(&self) -> Revision;

    /// One entry.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, key: &str) -> Result<Option<Entry>, Error>;

    /// At most `limit` entries whose key begins with `prefix` and is greater than `after`, in the order of keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, Error>;

    /// The last keys that begin with `prefix`, at most `limit`; the very last one first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn last(&self, prefix: &str, limit: usize) -> Result<Vec<String>, Error>;
}

/// A running watch. Dropping it ends it.
pub trait Watch: Send {
    /// What the next commit did; `Ok(None)` if there was none within `timeout`.
    ///
    /// # Errors
    /// [`WatchError::Compacted`] when this watch was so slow that what it comes to is kept no longer. After an error
    /// there is nothing more.
    fn next(&mut self, timeout: Duration) -> Result<Option<crate::Changes>, WatchError>;
}
