//! What is kept: keys and values with revisions, changed by compare-and-commit, and watched.
//!
//! [`Store`] is the trait; [`RedbStore`] keeps one file on one machine. Everything in the trait can be done with etcd's
//! gRPC interface too, and [`conformance`] says what every implementation must do.
//!
//! **Invariant:** redb's types do not cross the border of this crate, and nothing here knows what the keys mean.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod export;
mod redb_store;
mod traits;
mod types;

pub use error::{CommitError, Error, ImportError, OpenError, WatchError};
pub use export::{EXPORT_FORMAT, EXPORT_VERSION, export, import};
pub use redb_store::{
    DEFAULT_HISTORY_EVENTS, MAX_GROUP, MAX_OPERATIONS, MAX_WAITING, Options, RedbStore, WATCH_BUFFER,
};
pub use traits::{Snapshot, Store, Watch};
pub use types::{Changes, Condition, Entry, Event, Listing, MAX_KEY_BYTES, MAX_VALUE_BYTES, Revision, Transaction};
