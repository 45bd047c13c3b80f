//! How long to wait before connecting again.

use std::time::Duration;

/// Doubles from one attempt to the next, with randomness so that a thousand hosts do not come back at once.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    /// Before the second attempt.
    pub const FIRST: Duration = Duration::from_millis(100);
    /// At most: a controller that comes back has all its hosts within this time.
    pub const MAX: Duration = Duration::from_secs(5);

    /// After a session that worked.
    pub const fn reset(&mut self) {
        self.next = Self::FIRST;
    }

    /// How long to wait now: half of the time that it is the turn of, up to all of it.
    pub fn next(&mut self) -> Duration {
        let whole = self.next;
        self.next = (self.next * 2).min(Self::MAX);
        whole.mul_f64(rand::random_range(0.5..=1.0))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: Self::FIRST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_limit_and_begins_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..20).map(|_| backoff.next()).collect();
        assert!(waits[0] <= Backoff::FIRST && waits[0] >= Backoff::FIRST / 2);
        assert!(waits[19] <= Backoff::MAX && waits[19] >= Backoff::MAX / 2);
        backoff.reset();
        assert!(backoff.next() <= Backoff::FIRST);
    }
}
