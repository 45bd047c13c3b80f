//! What the controller keeps of its users in memory alone: how often somebody failed to sign in, who hashes passwords.

use std::net::IpAddr;
use std::time::Duration;

use api::Problem;
use parking_lot::Mutex;

use crate::attempts::Attempts;
use crate::passwords::Passwords;

/// See the module.
#[derive(Default)]
pub struct Accounts {
    pub passwords: Passwords,
    attempts: Mutex<Attempts>,
}

impl Accounts {
    /// An attempt to show a user's password begins, or is refused for a time.
    pub fn begin(&self, user: &str, from: Option<IpAddr>, now: u64) -> Result<(), Problem> {
        self.attempts.lock().begin(user, from, now).map_err(|seconds| {
            let wait = humantime::format_duration(Duration::from_secs(seconds));
            let detail = format!(
                "too many attempts to sign in as this user or from this address have failed; wait {wait}, then try again"
            );
            Problem::too_many_requests(detail, seconds)
        })
    }

    /// The password was the right one.
    pub fn succeeded(&self, user: &str, from: Option<IpAddr>) {
        self.attempts.lock().succeeded(user, from);
    }

    /// The password was not looked at.
    pub fn not_tried(&self, user: &str, from: Option<IpAddr>) {
        self.attempts.lock().not_tried(user, from);
    }

    /// Whether a failure may have a line in the audit log, and how many had none since the last one.
    pub fn line(&self, now: u64) -> Option<u64> {
        self.attempts.lock().line(now)
    }
}
