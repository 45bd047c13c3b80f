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

/// Most users; one more is refused.
pub const MAX_USERS: usize = 10_000;

/// Most sessions of users at once; one more is refused, until others have ended.
pub const MAX_SESSIONS: usize = 20_000;

/// Most sessions of one user; with one more, the one that was not used for longest ends.
pub const MAX_SESSIONS_OF_USER: usize = 16;

/// How long a session lasts, in milliseconds, however much it is used: twelve hours.
pub const SESSION_LIFE: u64 = 12 * 3600 * 1000;

/// How long a session lasts without being used, in milliseconds: an hour.
pub const SESSION_IDLE: u64 = 3600 * 1000;

/// How often it is written that a session is used, in milliseconds. After a restart of the controller a session counts as
/// used so much later than what was written, so that nobody is signed out too early by it.
pub const SESSION_WRITTEN: u64 = 5 * 60 * 1000;

/// Sessions that have ended and go with a sign-in; the rest goes with later ones.
pub const MAX_SESSIONS_SWEPT: usize = 1000;

/// Most passwords that are hashed at once: each takes 19 MiB and a processor for as long.
pub const MAX_HASHES: usize = 2;

/// Most that wait for it; one more is refused, so that sign-ins do not take all threads.
pub const MAX_WAITING_HASHES: usize = 32;

/// How many attempts to sign in as one user may fail before one has to wait.
pub const FREE_FAILURES_OF_USER: u32 = 5;

/// The same from one address: several people may share it.
pub const FREE_FAILURES_OF_ADDRESS: u32 = 20;

/// How long one has to wait after the last free failure, in milliseconds; each further one doubles it.
pub const FIRST_WAIT: u64 = 30 * 1000;

/// How long one has to wait at most, in milliseconds: a quarter of an hour.
pub const LONGEST_WAIT: u64 = 15 * 60 * 1000;

/// After how long without a failure the earlier ones are forgotten, in milliseconds: an hour.
pub const FAILURES_FORGOTTEN: u64 = 3600 * 1000;

/// Most names, and most addresses, whose failures are counted; beyond it the oldest are forgotten.
pub const MAX_COUNTED: usize = 10_000;

/// Lines of the audit log for failed sign-ins that may follow each other at once; those beyond are counted, and the next
/// line says how many there were.
pub const FAILURE_LINES: u64 = 60;

/// How long it takes until one more such line may be written, in milliseconds.
pub const FAILURE_LINE_EVERY: u64 = 6000;

/// Most rules that say what users of an identity provider may do.
pub const MAX_IDENTITY_RULES: usize = 1000;

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
