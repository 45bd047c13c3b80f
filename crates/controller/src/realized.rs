//! From when on hosts need what they need, and which revisions are not yet in force everywhere.

use std::collections::{BTreeSet, HashMap, VecDeque};

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

    /// The revision that a host must have acknowledged to have what was last changed by this one.
    pub fn revision(&self, host: &ResourceName, changed: u64) -> u64 {
        self.0.get(host).map_or(changed, |(_, since)| changed.max(*since))
    }

    /// The host is deleted.
    pub fn forget(&mut self, host: &ResourceName) {
        self.0.remove(host);
    }
}

/// What a revision changed, and the hosts that have not yet carried it out.
struct Waiting {
    revision: u64,
    keys: Vec<Key>,
    hosts: BTreeSet<ResourceName>,
}

/// The latest revisions that are not yet in force everywhere, in their order.
#[derive(Default)]
pub struct Unrealized(VecDeque<Waiting>);

impl Unrealized {
    /// A revision that these hosts must carry out.
    pub fn push(&mut self, revision: u64, keys: Vec<Key>, hosts: BTreeSet<ResourceName>) {
        if hosts.is_empty() || keys.is_empty() {
            return;
        }
        if self.0.len() >= MAX_UNREALIZED {
            self.0.pop_front();
        }
        self.0.push_back(Waiting { revision, keys, hosts });
    }

    /// These hosts have got on. Returns what is in force everywhere now and was not before. `in_force` says how far a
    /// host is; a host that is gone is as far as can be.
    pub fn progress(
        &mut self,
        hosts: &BTreeSet<ResourceName>,
        in_force: impl Fn(&ResourceName) -> Option<u64>,
    ) -> Vec<Key> {
        let far: Vec<(&ResourceName, u64)> =
            hosts.iter().filter_map(|host| in_force(host).map(|revision| (host, revision))).collect();
        let mut done = Vec::new();
        self.0.retain_mut(|waiting| {
            for (host, revision) in &far {
                if *revision >= waiting.revision {
                    waiting.hosts.remove(*host);
                }
            }
            if waiting.hosts.is_empty() {
                done.append(&mut waiting.keys);
                return false;
            }
            true
        });
        done
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
        let both = BTreeSet::from([name("a"), name("b")]);
        let mut unrealized = Unrealized::default();
        unrealized.push(5, vec![key("five")], both.clone());
        unrealized.push(6, vec![key("six")], BTreeSet::from([name("a")]));
        unrealized.push(7, vec![key("seven")], BTreeSet::new());
        let just = |host: &str| BTreeSet::from([name(host)]);
        assert_eq!(unrealized.progress(&just("a"), |_| Some(5)), []);
        assert_eq!(unrealized.progress(&just("b"), |_| None), []);
        assert_eq!(unrealized.progress(&just("b"), |_| Some(9)), [key("five")]);
        assert_eq!(unrealized.progress(&both, |_| Some(6)), [key("six")]);
        assert_eq!(unrealized.progress(&both, |_| Some(9)), []);
    }

    #[test]
    fn the_oldest_are_forgotten_beyond_the_limit() {
        let mut unrealized = Unrealized::default();
        for revision in 0..=MAX_UNREALIZED as u64 {
            let key = Key::new(Kind::Port, None, name(&format!("p{revision}")));
            unrealized.push(revision, vec![key], BTreeSet::from([name("a")]));
        }
        let done = unrealized.progress(&BTreeSet::from([name("a")]), |_| Some(u64::MAX));
        assert_eq!(done.len(), MAX_UNREALIZED);
        assert_eq!(done[0].name, name("p1"));
    }
}
