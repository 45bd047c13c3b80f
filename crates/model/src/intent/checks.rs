//! The checks that an intent must pass.

use super::{Intent, IntentError};

/// All contradictions of an intent.
pub(super) fn contradictions(_intent: &Intent) -> Vec<IntentError> {
    Vec::new()
}
