//! When a port is sent a router advertisement that it did not ask for (RFC 4861, section 6.2.4): at once when it comes or
//! when what the advertisement says changes, twice more soon after, and then every ten minutes or less.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use model::Name;

/// How many are sent soon after one another (MAX_INITIAL_RTR_ADVERTISEMENTS).
const INITIAL: u32 = 3;
/// Time between these (MAX_INITIAL_RTR_ADVERT_INTERVAL).
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);
/// The longest time between others (MaxRtrAdvInterval).
const LONGEST: Duration = Duration::from_secs(600);
/// By how much less it is at most, port by port, so that not all are sent at once.
const SPREAD_SECONDS: u64 = 200;
/// The shortest time between two to all nodes (MIN_DELAY_BETWEEN_RAS).
const SHORTEST: Duration = Duration::from_secs(3);

/// The advertisements of all ports. As many as there are ports.
#[derive(Default)]
pub struct Schedule(BTreeMap<Name, Entry>);

struct Entry {
    ifindex: u32,
    frame: Vec<u8>,
    /// How many were sent since it was made or changed, at most [`INITIAL`].
    sent: u32,
    last: Option<Instant>,
    next: Instant,
}

impl Schedule {
    /// Takes over which ports there are, by name with the interface index of the device, and what they shall hear.
    pub fn update(&mut self, ports: Vec<(Name, u32, Vec<u8>)>, now: Instant) {
        let mut old = std::mem::take(&mut self.0);
        for (name, ifindex, frame) in ports {
            let entry = match old.remove(&name) {
                Some(entry) if entry.ifindex == ifindex && entry.frame == frame => entry,
                Some(entry) if entry.ifindex == ifindex => {
                    let next = entry.last.map_or(now, |last| now.max(last + SHORTEST));
                    Entry { ifindex, frame, sent: 0, last: entry.last, next }
                }
                _ => Entry { ifindex, frame, sent: 0, last: None, next: now },
            };
            self.0.insert(name, entry);
        }
    }

    /// What is to be sent now, and counts as sent.
    pub fn due(&mut self, now: Instant) -> impl Iterator<Item = (u32, &[u8])> {
        self.0.iter_mut().filter(move |(_, entry)| entry.next <= now).map(move |(name, entry)| {
            entry.sent = (entry.sent + 1).min(INITIAL);
            entry.last = Some(now);
            entry.next = now + if entry.sent < INITIAL { INITIAL_INTERVAL } else { interval(name) };
            (entry.ifindex, &entry.frame[..])
        })
    }
}

/// The time between two advertisements to a port.
fn interval(name: &Name) -> Duration {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    LONGEST - Duration::from_secs(hasher.finish() % SPREAD_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, ifindex: u32, frame: u8) -> (Name, u32, Vec<u8>) {
        (name.parse().unwrap(), ifindex, vec![frame])
    }

    /// The seconds at which something was sent until an end.
    fn times(schedule: &mut Schedule, start: Instant, from: u64, until: u64) -> Vec<u64> {
        (from..until).filter(|second| schedule.due(start + Duration::from_secs(*second)).count() > 0).collect()
    }

    #[test]
    fn three_soon_and_then_every_ten_minutes_or_less() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        schedule.update(vec![port("a", 3, 1)], start);
        let sent = times(&mut schedule, start, 0, 3600);
        assert_eq!(sent[..3], [0, 16, 32]);
        assert!(sent[2..].windows(2).all(|pair| (400..=600).contains(&(pair[1] - pair[0]))), "{sent:?}");
    }

    #[test]
    fn a_change_is_told_at_once_but_not_within_three_seconds() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        schedule.update(vec![port("a", 3, 1)], start);
        assert_eq!(times(&mut schedule, start, 0, 2), [0]);
        schedule.update(vec![port("a", 3, 2)], start + Duration::from_secs(1));
        assert_eq!(times(&mut schedule, start, 2, 10), [3]);
        schedule.update(vec![port("a", 3, 2)], start + Duration::from_secs(10));
        assert_eq!(times(&mut schedule, start, 10, 19), [0; 0], "nothing has changed");
        schedule.update(vec![port("a", 4, 2)], start + Duration::from_secs(19));
        assert_eq!(times(&mut schedule, start, 19, 22), [19], "another device");
        schedule.update(Vec::new(), start + Duration::from_secs(22));
        assert_eq!(times(&mut schedule, start, 22, 1000), [0; 0], "it has gone");
    }
}
