//! What goes wrong with a store.

use std::path::PathBuf;

use crate::Revision;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the store {path} is in use by another process; one controller at a time may have it: stop the other one, or \
         choose another folder with --state", path = .0.display()
    )]
    InUse(PathBuf),
    /// It is no store, or of a version that this one does not know.
    #[error("{path} is not a store that this version of netvirt can read: {reason}", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system or the file failed.
    #[error("cannot open the store {path}: {source}", path = .path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Error,
    },
}

/// Why a store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// What stands in the store is not what was written.
    #[error("the store is damaged: {0}; go back to a backup")]
    Damaged(String),
    /// The engine failed; after a write nobody knows how far it came.
    #[error("the store failed: {0}; start anew")]
    Engine(String),
    /// Its writer has ended, after a failure or because the store is being closed.
    #[error("the store takes no more changes: it failed before, or is being closed; start anew")]
    Closed,
}

/// Why a transaction was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A condition does not hold.
    #[error("\"{key}\" {}", in_the_meantime(*.found))]
    Conflict {
        /// The key of the first condition that does not hold.
        key: String,
        /// The revision that last wrote the key, if it exists.
        found: Option<Revision>,
    },
    /// A key is written or deleted twice.
    #[error("\"{0}\" is written or deleted twice in one transaction")]
    Duplicate(String),
    /// More than a transaction may hold.
    #[error("a transaction of {operations} operations is too large; at most {limit} are possible at once")]
    TooManyOperations {
        /// How many.
        operations: usize,
        /// How many are possible: [`crate::Store::max_operations`].
        limit: usize,
    },
    /// A key that is empty or longer than [`crate::MAX_KEY_BYTES`].
    #[error("a key of {0} bytes cannot be kept; 1 to {limit} are possible", limit = crate::MAX_KEY_BYTES)]
    KeyLength(usize),
    /// A value longer than [`crate::MAX_VALUE_BYTES`].
    #[error("the value of \"{key}\" has {bytes} bytes; at most {limit} are possible", limit = crate::MAX_VALUE_BYTES)]
    ValueTooLarge {
        /// Its key.
        key: String,
        /// Its length.
        bytes: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

fn in_the_meantime(revision: Option<Revision>) -> String {
    match revision {
        Some(revision) => format!("was written by revision {revision} in the meantime"),
        None => "does not exist any more".to_owned(),
    }
}

/// Why a watch ends.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The past that it asks for is forgotten.
    #[error(
        "what happened after revision {after} is kept no longer, only what followed on {oldest}; list again, and watch from there"
    )]
    Compacted {
        /// What was asked for.
        after: Revision,
        /// The oldest revision that can be asked for.
        oldest: Revision,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// Why an export or import failed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line is not what an export has there.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The first line names another format or version.
    #[error("this is no export of netvirt that this version can read: the first line must be {expected}")]
    Header {
        /// What it must be, but for the number of entries.
        expected: String,
    },
    /// Lines are missing or too many.
    #[error("the export is not whole: it announces {announced} entries, and {found} are there")]
    Truncated {
        /// What the header says.
        announced: u64,
        /// What is there.
        found: u64,
    },
    /// The text could not be read or written.
    #[error("cannot read or write the export: {0}")]
    Io(#[from] std::io::Error),
    /// A key of it exists already, or the store refused.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
}
