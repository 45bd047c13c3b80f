//! What a standby was told of the connections of one compartment, and when it must be told again.
//!
//! Pure: entries and times in, what is to be told out.

use std::collections::HashMap;
use std::time::Duration;

use host::conntrack::{Entry, Tuple};

/// Connections of one compartment that a standby is told of at most; a memory of some 50 MB on each side. More are counted and
/// left out.
pub const MAX_ENTRIES: usize = 1 << 18;

/// What a standby was told last of a connection.
#[derive(Debug)]
struct Last {
    entry: Entry,
    at: Duration,
    /// The listing that it was in.
    listing: u64,
}

/// All that a standby was told.
#[derive(Debug, Default)]
pub struct Ledger {
    told: HashMap<(Tuple, u16), Last>,
    listing: u64,
    /// Connections that were left out, since there were too many.
    pub left_out: u64,
}

/// A connection is known by what its opener sends.
const fn key(entry: &Entry) -> (Tuple, u16) {
    (entry.original, entry.zone)
}

impl Ledger {
    /// Whether the standby is to be told of a connection that is so now: it is another one, or so much of the time for which
    /// the standby remembers it has passed that it would forget it before long.
    pub fn is(&mut self, entry: &Entry, now: Duration) -> bool {
        let listing = self.listing;
        if let Some(last) = self.told.get_mut(&key(entry)) {
            last.listing = listing;
            let passed = u32::try_from(now.saturating_sub(last.at).as_secs()).unwrap_or(u32::MAX);
            let left = last.entry.timeout.saturating_sub(passed);
            if last.entry.same_but_time(entry) && left >= entry.timeout / 2 {
                return false;
            }
            (last.entry, last.at) = (*entry, now);
            return true;
        }
        if self.told.len() >= MAX_ENTRIES {
            self.left_out += 1;
            return false;
        }
        self.told.insert(key(entry), Last { entry: *entry, at: now, listing });
        true
    }

    /// Whether the standby is to be told that a connection is over.
    pub fn gone(&mut self, entry: &Entry) -> bool {
        self.told.remove(&key(entry)).is_some()
    }

    /// All connections are listed from now on.
    pub const fn begin(&mut self) {
        self.listing += 1;
    }

    /// All have been listed: those that the standby was told of and that are not there any more.
    pub fn end(&mut self) -> Vec<Entry> {
        let listing = self.listing;
        self.told.extract_if(|_, last| last.listing != listing).map(|(_, last)| last.entry).collect()
    }

    /// How many connections the standby knows of.
    pub fn len(&self) -> usize {
        self.told.len()
    }
}

#[cfg(test)]
mod tests {
    use host::conntrack::Layer4;

    use super::*;

    fn entry(port: u16, timeout: u32) -> Entry {
        let (source, destination) = ("10.0.0.5".parse().unwrap(), "203.0.113.9".parse().unwrap());
        let original = Tuple { source, destination, protocol: 17, layer4: Layer4::Ports(port, 53) };
        let reply = Tuple { source: destination, destination: source, layer4: Layer4::Ports(53, port), ..original };
        Entry { original, reply, status: 8, timeout, mark: 0, zone: 0, tcp: None }
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_new_or_other_is_told_once() {
        let mut ledger = Ledger::default();
        assert!(ledger.is(&entry(1, 30), at(0)));
        assert!(!ledger.is(&entry(1, 30), at(1)));
        let answered = Entry { status: 10, ..entry(1, 30) };
        assert!(ledger.is(&answered, at(1)));
        assert!(!ledger.is(&answered, at(1)));
        assert!(ledger.gone(&answered));
        assert!(!ledger.gone(&answered));
    }

    #[test]
    fn it_is_told_again_before_the_standby_forgets_it() {
        let mut ledger = Ledger::default();
        assert!(ledger.is(&entry(1, 30), at(0)));
        // It lives on: here it has 28 seconds, there 10.
        assert!(!ledger.is(&entry(1, 28), at(15)));
        assert!(ledger.is(&entry(1, 28), at(20)));
        // It ends in the same time here and there.
        assert!(!ledger.is(&entry(1, 8), at(40)));
    }

    #[test]
    fn what_a_listing_does_not_have_is_over() {
        let mut ledger = Ledger::default();
        ledger.is(&entry(1, 30), at(0));
        ledger.is(&entry(2, 30), at(0));
        ledger.begin();
        ledger.is(&entry(2, 30), at(1));
        ledger.is(&entry(3, 30), at(1));
        assert_eq!(ledger.end(), [entry(1, 30)]);
        assert_eq!(ledger.len(), 2);
    }
}
