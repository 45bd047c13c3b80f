//! What can be wrong with an intent, each as a sentence with the value and the remedy.

use crate::Key;

/// One contradiction in an intent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IntentError {
    /// One set of changes says two things of one resource.
    #[error("{key} is declared twice with different content; keep one of the two")]
    ChangedTwice {
        /// The resource.
        key: Key,
    },
    /// There is nothing to delete.
    #[error("there is no {key}; \"netvirt get {kind}\" lists what there is", kind = .key.kind)]
    NotFound {
        /// What was to be deleted.
        key: Key,
    },
}
