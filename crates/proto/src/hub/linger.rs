//! The topics that a host needs no more and keeps for a while: a network whose last port goes may get the next one in a
//! moment, when a VM is made anew or comes back from another host, and then all of it is in force there already. It is
//! kept up to date for as long.

use std::collections::{BTreeMap, BTreeSet};

use plan::fabric::TopicId;
use tokio::time::Instant;

use super::Limits;

/// The topics of one host that linger, and until when.
#[derive(Default, Debug)]
pub struct Linger(BTreeMap<TopicId, Instant>);

impl Linger {
    /// Takes over what the host has, and what of it it needs now. `weight` says how much a topic takes of
    /// [`Limits::linger_weight`]. What comes back the host is to forget: topics whose time is over and, where there is
    /// too much, those whose time would be over first.
    pub fn follow(
        &mut self,
        has: &BTreeSet<TopicId>,
        needed: &BTreeSet<TopicId>,
        weight: impl Fn(&TopicId) -> usize,
        now: Instant,
        limits: &Limits,
    ) -> Vec<TopicId> {
        self.0.retain(|topic, _| has.contains(topic) && !needed.contains(topic));
        let mut gone = Vec::new();
        for topic in has.difference(needed) {
            // What is soon there again is forgotten at once: who looks at a host finds what it needs, and no more.
            if weight(topic) < limits.linger_from && !self.0.contains_key(topic) {
                gone.push(topic.clone());
            } else {
                self.0.entry(topic.clone()).or_insert(now + limits.linger);
            }
        }
        if self.0.is_empty() {
            return gone;
        }
        let mut all: usize = has.iter().map(&weight).sum();
        let mut order: Vec<(Instant, TopicId)> = self.0.iter().map(|(topic, until)| (*until, topic.clone())).collect();
        order.sort();
        for (until, topic) in order {
            if until <= now || all > limits.linger_weight {
                all -= weight(&topic);
                self.0.remove(&topic);
                gone.push(topic);
            }
        }
        gone
    }

    /// Those whose time is not over.
    pub fn at(&self, now: Instant) -> BTreeSet<TopicId> {
        self.0.iter().filter(|(_, until)| **until > now).map(|(topic, _)| topic.clone()).collect()
    }

    /// When the first one's time is over.
    pub fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn topics(numbers: &[u8]) -> BTreeSet<TopicId> {
        let topic = |number: &u8| format!("network/11111111-2222-3333-4444-0000000000{number:02}").parse().unwrap();
        numbers.iter().map(topic).collect()
    }

    fn list(numbers: &[u8]) -> Vec<TopicId> {
        numbers.iter().flat_map(|number| topics(&[*number])).collect()
    }

    const LIMITS: Limits = Limits {
        queue: 1,
        log_entries: 1,
        log_bytes: 1,
        message_bytes: 1,
        pending: 1,
        linger: Duration::from_secs(60),
        linger_weight: 100,
        linger_from: 1,
    };

    /// One host, whose time passes as it is told to.
    struct Host {
        linger: Linger,
        has: BTreeSet<TopicId>,
        began: Instant,
    }

    impl Host {
        fn new() -> Self {
            Self { linger: Linger::default(), has: BTreeSet::new(), began: Instant::now() }
        }

        fn after(&self, seconds: u64) -> Instant {
            self.began + Duration::from_secs(seconds)
        }

        /// The host needs these topics so many seconds after the beginning, each topic weighing this much.
        fn needs(&mut self, seconds: u64, needed: &[u8], weight: usize) -> Vec<TopicId> {
            let needed = topics(needed);
            self.has.extend(needed.iter().cloned());
            let gone = self.linger.follow(&self.has, &needed, |_| weight, self.after(seconds), &LIMITS);
            self.has.retain(|topic| !gone.contains(topic));
            gone
        }
    }

    #[test]
    fn what_is_needed_no_more_goes_when_its_time_is_over_and_not_before() {
        let mut host = Host::new();
        assert_eq!((host.needs(0, &[1, 2], 1), host.linger.next()), (vec![], None));
        assert_eq!(host.needs(10, &[2], 1), []);
        assert_eq!(host.linger.next(), Some(host.after(70)));
        // Being asked again does not make it longer.
        assert_eq!(host.needs(40, &[], 1), []);
        assert_eq!((host.linger.next(), host.linger.at(host.after(70))), (Some(host.after(70)), topics(&[2])));
        assert_eq!(host.needs(70, &[], 1), list(&[1]));
        assert_eq!(host.linger.next(), Some(host.after(100)));
        assert_eq!(host.needs(100, &[], 1), list(&[2]));
        assert_eq!((host.has.len(), host.linger.next()), (0, None));
    }

    #[test]
    fn what_is_needed_again_stays_and_lingers_anew_when_it_goes() {
        let mut host = Host::new();
        host.needs(0, &[1], 1);
        host.needs(10, &[], 1);
        assert_eq!((host.needs(69, &[1], 1), host.linger.next()), (vec![], None));
        assert_eq!(host.needs(80, &[], 1), []);
        assert_eq!(host.linger.next(), Some(host.after(140)));
    }

    #[test]
    fn what_is_small_is_forgotten_at_once() {
        let mut host = Host::new();
        host.needs(0, &[1, 2], 0);
        assert_eq!((host.needs(1, &[2], 0), host.linger.next()), (list(&[1]), None));
    }

    #[test]
    fn what_lingers_gives_way_to_what_is_needed() {
        let mut host = Host::new();
        host.needs(0, &[1, 2, 3], 30);
        host.needs(1, &[2, 3], 30);
        host.needs(2, &[3], 30);
        // A fourth one is too much: the one whose time would be over first goes, and no more than must.
        assert_eq!(host.needs(3, &[3, 4], 30), list(&[1]));
        assert_eq!(host.needs(4, &[3, 4, 5], 30), list(&[2]));
        // What is needed is never taken away for its weight.
        assert_eq!(host.needs(5, &[3, 4, 5, 6], 30), []);
        assert_eq!(host.needs(6, &[3, 4, 5], 30), list(&[6]));
    }
}
