//! The controller's limits, by name. What happens at each is said where it is.

use std::time::Duration;

/// Most watches at once; one more is refused as unavailable. It is the REST interface that holds a thread for each.
pub const MAX_WATCHES: usize = api::fabric::server::MAX_WATCHES;

/// How many of them are kept for admins: the others together have as many less.
pub const ADMIN_WATCHES: usize = 32;

/// Most watches at once of a token that is not an admin's; one more is refused, so that one tenant cannot keep the others
/// from watching.
pub const MAX_WATCHES_PER_TOKEN: usize = 32;

/// Most events that wait for a watch to be read; a watch with more ends, and its client lists again.
pub const MAX_WATCH_QUEUE: usize = 16_384;

/// Most tokens; one more is refused.
pub const MAX_TOKENS: usize = 1000;

/// Most join tokens that are neither used nor expired; one more is refused.
pub const MAX_JOIN_TOKENS: usize = 1000;

/// How long a join token may be valid, in seconds: 30 days. A longer wish is refused.
pub const MAX_JOIN_SECONDS: u64 = 30 * 24 * 3600;

/// How long a join token is valid if nobody says: an hour.
pub const JOIN_SECONDS: u64 = 3600;

/// Most changes of one request; more are refused.
pub const MAX_CHANGES: usize = 250_000;

/// Most resources that a request may change for others to read what was before while the store writes. To take back more
/// and carry it out again would cost a large request a fifth of its time; nobody reads until it is written.
pub const MAX_ASIDE: usize = 1000;

/// Lines of the audit log that are kept; with a new one, the oldest goes of the tenant that has most, or of what belongs
/// to none if there is more of that.
pub const MAX_AUDIT: u64 = 1_000_000;

/// Lines of the audit log that are kept of one tenant; with a new one its oldest goes, and nobody else's.
pub const MAX_AUDIT_OF_TENANT: u64 = 100_000;

/// Most revisions that wait for hosts to carry them out. Beyond it, the oldest are forgotten: their resources make no
/// event when they are in force everywhere, but their status still says it.
pub const MAX_UNREALIZED: usize = 4096;

/// Most hosts that a status names as not being ready; the rest is counted only.
pub const MAX_WAITING_FOR: usize = 100;

/// Most sentences of one host that are kept and shown; the rest is counted in a last one.
pub const MAX_FINDINGS: usize = 100;

/// For how long acknowledgements are gathered after some were looked at: a watch hears at most so much later of what is
/// in force.
pub const ACK_PAUSE: Duration = Duration::from_millis(5);
