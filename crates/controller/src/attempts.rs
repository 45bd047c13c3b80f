//! How often somebody may try to sign in: a few failures are free, then one waits longer and longer, as this user and from
//! this address.
//!
//! Names are counted whether there is such a user or not, so that nobody learns from it which there are. An attempt counts
//! as failed from its beginning on, so that many at once are no way around.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

use crate::limits::{
    FAILURE_LINE_EVERY, FAILURE_LINES, FAILURES_FORGOTTEN, FIRST_WAIT, FREE_FAILURES_OF_ADDRESS, FREE_FAILURES_OF_USER,
    LONGEST_WAIT, MAX_COUNTED,
};

/// What is known of failures.
#[derive(Debug, Default)]
pub struct Attempts {
    users: HashMap<String, Failures>,
    addresses: HashMap<IpAddr, Failures>,
    lines: Lines,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    /// Milliseconds since 1970.
    last: u64,
}

/// Lines of the audit log for failures, as many as may be written.
#[derive(Debug, Default)]
struct Lines {
    /// When all that were written are made up for.
    until: u64,
    left_out: u64,
}

impl Failures {
    /// For how many milliseconds one has to wait.
    fn wait(self, free: u32, now: u64) -> u64 {
        let Some(beyond) = self.count.checked_sub(free) else { return 0 };
        let wait = FIRST_WAIT.checked_shl(beyond.min(32)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        self.last.saturating_add(wait).saturating_sub(now)
    }
}

impl Attempts {
    /// Begins an attempt as this user, from this address, or says how many seconds one has to wait.
    pub fn begin(&mut self, user: &str, from: Option<IpAddr>, now: u64) -> Result<(), u64> {
        let (user, from) = (user_key(user), from.map(network));
        let of_user = self.users.get(&user).map_or(0, |failures| failures.wait(FREE_FAILURES_OF_USER, now));
        let of_address = from.and_then(|from| self.addresses.get(&from));
        let of_address = of_address.map_or(0, |failures| failures.wait(FREE_FAILURES_OF_ADDRESS, now));
        match of_user.max(of_address) {
            0 => {
                count(&mut self.users, user, now);
                if let Some(from) = from {
                    count(&mut self.addresses, from, now);
                }
                Ok(())
            }
            wait => Err(wait.div_ceil(1000)),
        }
    }

    /// The attempt was none that failed. Those before it that failed from this address stay: they may have been as others.
    pub fn succeeded(&mut self, user: &str, from: Option<IpAddr>) {
        self.users.remove(&user_key(user));
        if let Some(failures) = from.and_then(|from| self.addresses.get_mut(&network(from))) {
            failures.count = failures.count.saturating_sub(1);
        }
    }

    /// The attempt that was begun last was never looked at, since nobody had time for it: it was none.
    pub fn not_tried(&mut self, user: &str, from: Option<IpAddr>) {
        let of_user = self.users.get_mut(&user_key(user));
        let of_address = from.and_then(|from| self.addresses.get_mut(&network(from)));
        for failures in of_user.into_iter().chain(of_address) {
            failures.count = failures.count.saturating_sub(1);
        }
    }

    /// Whether a failure may have a line in the audit log, and how many had none since the last one.
    pub fn line(&mut self, now: u64) -> Option<u64> {
        let lines = &mut self.lines;
        let until = lines.until.max(now) + FAILURE_LINE_EVERY;
        if until - now > FAILURE_LINES * FAILURE_LINE_EVERY {
            lines.left_out += 1;
            return None;
        }
        lines.until = until;
        Some(std::mem::take(&mut lines.left_out))
    }
}

/// One more failure.
fn count<K: Eq + Hash + Clone>(all: &mut HashMap<K, Failures>, key: K, now: u64) {
    let old = |failures: &Failures| now.saturating_sub(failures.last) >= FAILURES_FORGOTTEN;
    if all.len() >= MAX_COUNTED && !all.contains_key(&key) {
        all.retain(|_, failures| !old(failures));
        // Who has failed least goes first: names that somebody makes up must not have the lock of one that was guessed at forgotten.
        let least = all.iter().min_by_key(|(_, failures)| (failures.count, failures.last)).map(|(key, _)| key.clone());
        if let Some(least) = least.filter(|_| all.len() >= MAX_COUNTED) {
            all.remove(&least);
        }
    }
    let failures = all.entry(key).or_insert(Failures { count: 0, last: now });
    if old(failures) {
        failures.count = 0;
    }
    *failures = Failures { count: failures.count.saturating_add(1), last: now };
}

/// What a name is counted by: not more of it than a name may have.
fn user_key(user: &str) -> String {
    user.chars().take(64).collect()
}

/// What an address is counted by: of IPv6, a whole /64 is one customer's.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn from(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// Fails until one has to wait; returns how often that was possible, and for how many seconds one waits.
    fn exhaust(attempts: &mut Attempts, user: impl Fn(u32) -> String, address: &str, now: u64) -> (u32, u64) {
        let mut free = 0;
        loop {
            match attempts.begin(&user(free), from(address), now) {
                Ok(()) => free += 1,
                Err(seconds) => return (free, seconds),
            }
        }
    }

    #[test]
    fn after_five_failures_one_waits_twice_as_long_each_time() {
        let mut attempts = Attempts::default();
        let tim = |_| "tim".to_owned();
        assert_eq!(exhaust(&mut attempts, tim, "192.0.2.1", NOW), (5, 30));
        assert_eq!(attempts.begin("tim", from("192.0.2.2"), NOW + 29_001), Err(1), "from elsewhere too");
        assert_eq!(attempts.begin("tom", from("192.0.2.1"), NOW), Ok(()), "as somebody else not");
        let mut now = NOW;
        for (before, after) in [(30, 60), (60, 120), (120, 240), (240, 480), (480, 900), (900, 900)] {
            now += before * 1000;
            assert_eq!(exhaust(&mut attempts, tim, "192.0.2.3", now), (1, after));
        }
        // Who is refused does not wait longer for it.
        assert_eq!(attempts.begin("tim", None, now + 1000), Err(899));
        assert_eq!(exhaust(&mut attempts, tim, "192.0.2.4", now + FAILURES_FORGOTTEN), (5, 30));
    }

    #[test]
    fn who_signs_in_begins_anew() {
        let mut attempts = Attempts::default();
        for _ in 0..20 {
            for _ in 0..4 {
                attempts.begin("tim", None, NOW).unwrap();
            }
            attempts.begin("tim", None, NOW).unwrap();
            attempts.succeeded("tim", None);
        }
    }

    #[test]
    fn what_was_never_looked_at_is_no_failure() {
        let mut attempts = Attempts::default();
        for _ in 0..FREE_FAILURES_OF_ADDRESS + FREE_FAILURES_OF_USER {
            attempts.begin("tim", from("192.0.2.1"), NOW).unwrap();
            attempts.not_tried("tim", from("192.0.2.1"));
        }
        assert_eq!(exhaust(&mut attempts, |_| "tim".to_owned(), "192.0.2.1", NOW), (5, 30));
    }

    #[test]
    fn one_address_cannot_try_many_users() {
        let mut attempts = Attempts::default();
        let many = |number| format!("user{number}");
        assert_eq!(exhaust(&mut attempts, many, "2001:db8::1", NOW), (20, 30));
        assert_eq!(attempts.begin("tim", from("2001:db8::ffff:1"), NOW), Err(30), "nor a customer's other ones");
        assert_eq!(attempts.begin("tim", from("2001:db8:0:1::1"), NOW), Ok(()));
        assert_eq!(exhaust(&mut attempts, many, "192.0.2.1", NOW + FAILURES_FORGOTTEN), (20, 30));
        assert_eq!(attempts.begin("tim", from("::ffff:192.0.2.1"), NOW + FAILURES_FORGOTTEN), Err(30));
        // Signing in as oneself in between is no way around.
        let mut attempts = Attempts::default();
        for number in 0..20 {
            attempts.begin("me", from("192.0.2.1"), NOW).unwrap();
            attempts.succeeded("me", from("192.0.2.1"));
            attempts.begin(&many(number), from("192.0.2.1"), NOW).unwrap();
        }
        assert_eq!(attempts.begin("me", from("192.0.2.1"), NOW), Err(30));
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let mut attempts = Attempts::default();
        for number in 0..MAX_COUNTED as u64 + 100 {
            attempts
                .begin(&format!("user{number}"), Some(IpAddr::from((number as u32).to_be_bytes())), NOW + number)
                .unwrap();
        }
        assert_eq!((attempts.users.len(), attempts.addresses.len()), (MAX_COUNTED, MAX_COUNTED));
        assert!(!attempts.users.contains_key("user99") && attempts.users.contains_key("user100"));
        let mut locked = Attempts::default();
        for _ in 0..FREE_FAILURES_OF_USER {
            locked.begin("admin", None, NOW).unwrap();
        }
        for number in 0..MAX_COUNTED as u64 + 100 {
            locked.begin(&format!("user{number}"), None, NOW + number).unwrap();
        }
        assert!(locked.begin("admin", None, NOW + 11_000).is_err(), "made-up names do not let guessers go on");
        attempts.begin(&"x".repeat(100_000), None, NOW).unwrap();
        assert!(attempts.users.keys().all(|user| user.len() <= 64));
    }

    #[test]
    fn the_audit_log_is_not_flooded_and_says_what_it_leaves_out() {
        let mut attempts = Attempts::default();
        for _ in 0..FAILURE_LINES {
            assert_eq!(attempts.line(NOW), Some(0));
        }
        assert_eq!((attempts.line(NOW), attempts.line(NOW + 5999)), (None, None));
        assert_eq!(attempts.line(NOW + 6000), Some(2));
        assert_eq!(attempts.line(NOW + 6000), None);
        for _ in 0..FAILURE_LINES {
            assert!(attempts.line(NOW + 10_000_000).is_some());
        }
    }
}
