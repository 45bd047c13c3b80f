//! From when on hosts need what they need, and which revisions are not yet in force everywhere.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use model::fabric::{Key, ResourceName};
use plan::fabric::{Fabric, TopicChange, TopicId};

use crate::limits::MAX_UNREALIZED;

/// Since which revision each host needs the topics that it needs. A host that needs a topic anew does not have it yet,
/// however old what is in the topic is.
#[derive(Default)]
pub struct Needs(HashMap<ResourceName, (BTreeSet<TopicId>, u64)>);

impl Needs {
    /// Takes over what a revision changed.
    pub fn update(&mut self, fabric: &Fabric, topics: &[TopicChange], revision: u64) {
        for change in topics {
            let TopicId::Host(host) = &change.topic else { continue };
            let now = fabric.subscriptions(host);
            let (known, since) = self.0.entry(host.clone()).or_default();
            if !now.is_subset(known) {
                *since = revision;
            }
            *known = now;
        }
    }

    /// The revision that a host must have acknowledged at least to have what it needs.
    pub fn since(&self, host: &ResourceName) -> u64 {
        self.0.get(host).map_or(0, |(_, since)| *since)
    }

    /// The host is deleted.
    pub fn forget(&mut self, host: &ResourceName) {
        self.0.remove(host);
    }
}

/// What a revision changed, and how many hosts have not yet carried it out.
struct Waiting {
    keys: Vec<Key>,
    hosts: usize,
    /// How many there were at first.
    of: usize,
}

/// A revision that a host has not yet carried out, by the number of what waits for it.
#[derive(Clone, Copy)]
struct Due {
    revision: u64,
    number: u64,
}

/// The latest revisions that are not yet in force everywhere, in their order. What an acknowledgement costs does not
/// depend on how many there are.
#[derive(Default)]
pub struct Unrealized {
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
    /// By host, the oldest first.
    due: HashMap<ResourceName, VecDeque<Due>>,
}

impl Unrealized {
    /// A revision that these hosts must carry out; revisions come in order. Without keys it is one that only deleted.
    pub fn push<'a>(&mut self, revision: u64, keys: Vec<Key>, hosts: impl IntoIterator<Item = &'a ResourceName>) {
        let due = Due { revision, number: self.next };
        // Beyond the limit the oldest goes.
        let first = self.waiting.first_key_value().map_or(due.number, |(number, _)| *number);
        let oldest = if self.waiting.len() >= MAX_UNREALIZED { first + 1 } else { first };
        let mut count = 0;
        for host in hosts {
            let queue = match self.due.get_mut(host) {
                Some(queue) => queue,
                None => self.due.entry(host.clone()).or_default(),
            };
            if queue.back().is_none_or(|last| last.number != due.number) {
                // What is forgotten needs no place with a host that stays away.
                while queue.front().is_some_and(|first| first.number < oldest) {
                    queue.pop_front();
                }
                queue.push_back(due);
                count += 1;
            }
        }
        if count > 0 {
            self.next += 1;
            while self.waiting.first_key_value().is_some_and(|(number, _)| *number < oldest) {
                self.waiting.pop_first();
            }
            self.waiting.insert(due.number, Waiting { keys, hosts: count, of: count });
        }
    }

    /// How many hosts had to carry a revision out, and those that are not known to have done so; nobody, when all have, or
    /// when it is one of those that were forgotten.
    pub fn lacking(&self, revision: u64) -> (usize, Vec<&ResourceName>) {
        let (mut of, mut hosts) = (0, Vec::new());
        for (host, queue) in &self.due {
            let due = queue.binary_search_by_key(&revision, |due| due.revision).ok().and_then(|place| queue.get(place));
            if let Some(waiting) = due.and_then(|due| self.waiting.get(&due.number)) {
                of = of.max(waiting.of);
                hosts.push(host);
            }
        }
        hosts.sort_unstable();
        (of, hosts)
    }

    /// These hosts have got on, each so far; a host that is gone is as far as can be. Returns what is in force
    /// everywhere now and was not before.
    pub fn progress<'a>(&mut self, hosts: impl IntoIterator<Item = (&'a ResourceName, u64)>) -> Vec<Key> {
        let mut done = BTreeMap::new();
        for (host, far) in hosts {
            let Some(queue) = self.due.get_mut(host) else { continue };
            while let Some(due) = queue.pop_front_if(|due| due.revision <= far) {
                let Some(waiting) = self.waiting.get_mut(&due.number) else { continue };
                waiting.hosts -= 1;
                if waiting.hosts == 0 {
                    done.extend(self.waiting.remove(&due.number).map(|waiting| (due.number, waiting.keys)));
                }
            }
            if queue.is_empty() {
                self.due.remove(host);
            }
        }
        done.into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fabric::Kind;

    fn name(text: &str) -> ResourceName {
        text.parse().unwrap()
    }

    #[test]
    fn a_revision_is_done_when_its_last_host_is() {
        let key = |text| Key::new(Kind::Port, None, name(text));
        let (a, b) = (name("a"), name("b"));
        let mut unrealized = Unrealized::default();
        // A host that needs two of the topics that a revision changes is waited for once.
        unrealized.push(5, vec![key("five")], [&a, &b, &b]);
        unrealized.push(6, vec![key("six")], [&a]);
        unrealized.push(7, vec![key("seven")], []);
        assert_eq!(unrealized.lacking(5), (2, vec![&a, &b]));
        assert_eq!(unrealized.progress([(&a, 5)]), []);
        assert_eq!(unrealized.lacking(5), (2, vec![&b]));
        assert_eq!(unrealized.lacking(7), (0, Vec::new()));
        assert_eq!(unrealized.progress([(&b, 4)]), []);
        assert_eq!(unrealized.progress([(&b, 9)]), [key("five")]);
        assert_eq!(unrealized.progress([(&a, 6), (&b, 6)]), [key("six")]);
        assert_eq!(unrealized.progress([(&a, 9), (&b, 9)]), []);
        unrealized.push(10, Vec::new(), [&b]);
        assert_eq!(unrealized.lacking(10), (1, vec![&b]), "one that only deletes is waited for too");
        assert_eq!(unrealized.progress([(&b, 10)]), []);
        assert!(unrealized.due.is_empty() && unrealized.waiting.is_empty(), "nothing stays behind");
    }

    #[test]
    fn what_is_done_at_once_comes_in_the_order_of_revisions() {
        let keys: Vec<Key> = (0..20).map(|number| Key::new(Kind::Port, None, name(&format!("p{number}")))).collect();
        let (a, b) = (name("a"), name("b"));
        let mut unrealized = Unrealized::default();
        for (number, key) in (0..).zip(&keys) {
            let hosts = [[&a, &b], [&b, &a], [&a, &a]][number % 3];
            unrealized.push(number as u64, vec![key.clone()], hosts);
        }
        assert_eq!(unrealized.progress([(&b, 30), (&a, 30)]), keys);
    }

    #[test]
    fn the_oldest_are_forgotten_beyond_the_limit() {
        let (a, away) = (name("a"), name("away"));
        let mut unrealized = Unrealized::default();
        for revision in 0..=MAX_UNREALIZED as u64 {
            let key = Key::new(Kind::Port, None, name(&format!("p{revision}")));
            unrealized.push(revision, vec![key], [&a, &away]);
        }
        assert_eq!(unrealized.due[&away].len(), MAX_UNREALIZED);
        assert_eq!(unrealized.progress([(&a, u64::MAX)]), []);
        let done = unrealized.progress([(&away, u64::MAX)]);
        assert_eq!(done.len(), MAX_UNREALIZED);
        assert_eq!(done[0].name, name("p1"));
    }
}
