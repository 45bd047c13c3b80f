//! Whatever is lost, repeated or out of order on the way, the mirror ends up with what the controller has, and never
//! brings into force what the controller never had.

use std::collections::BTreeMap;

use model::{Change, Key, LookupRecord, MacAddress, Resource, Vsid};
use plan::fabric::{TopicChange, TopicId};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::hub::Limits;
use crate::hub::topic::{CatchUp, TopicState};
use crate::wire::controller_message::Message;
use crate::{Digest, Encoded, Heard, Mirror, TopicContent, Update, wire};

fn topic(number: usize) -> TopicId {
    format!("network/11111111-2222-3333-4444-00000000500{number}").parse().unwrap()
}

fn record(number: u8, host: u8) -> Resource {
    Resource::LookupRecord(LookupRecord {
        vsid: Vsid::new(5001).unwrap(),
        customer_address: Some([10, 0, 0, number].into()),
        mac: MacAddress::new([6, 6, 0, 0, 0, number]).unwrap(),
        provider_address: [192, 168, 4, host].into(),
        rule: model::TranslationMethod::Encap,
        record_type: model::LookupRecordType::Static,
        vm_name: None,
        customer_id: None,
        context: None,
        security_groups: Vec::new(),
    })
}

/// What befalls a message on the way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    Twice,
    SwappedWithTheNext,
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Arrives),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        1 => Just(Fate::SwappedWithTheNext),
    ]
}

/// One step: a record of one of two topics is put (on a host) or deleted, and the fates of the messages.
type Step = (usize, u8, Option<u8>, Vec<Fate>);

fn synced(revision: u64) -> Encoded {
    Encoded::new(Message::Synced(wire::Synced { revision }))
}

/// The controller's side and the way to the agent.
struct World {
    topics: Vec<TopicState>,
    mirror: Mirror,
    /// What the agent's host was told, in all.
    told: BTreeMap<Key, Resource>,
    limits: Limits,
    revision: u64,
}

impl World {
    fn new() -> Self {
        let topics = (0..2).map(|number| TopicState::new(&topic(number), &TopicContent::default())).collect();
        let limits = Limits { log_entries: 4, ..Limits::default() };
        let mut world = Self { topics, mirror: Mirror::default(), told: BTreeMap::new(), limits, revision: 0 };
        world.connect();
        world
    }

    /// A new connection: what was staged is forgotten, and all that is missing comes, unharmed.
    fn connect(&mut self) {
        self.mirror.reset();
        let known: BTreeMap<String, Vec<u8>> =
            self.mirror.known().into_iter().map(|known| (known.topic, known.digest.to_vec())).collect();
        let mut messages = Vec::new();
        for (number, state) in self.topics.iter_mut().enumerate() {
            let digest = known.get(&topic(number).to_string());
            let digest = digest.map(|bytes| Digest::from_bytes(bytes[..].try_into().unwrap()));
            messages.extend(match state.catch_up(digest, &self.limits) {
                CatchUp::Nothing => Vec::new(),
                CatchUp::Deltas(messages) => messages,
                CatchUp::Snapshot(messages) => messages.to_vec(),
            });
        }
        messages.push(synced(self.revision));
        self.deliver(messages);
    }

    fn deliver(&mut self, messages: Vec<Encoded>) {
        let mut waiting: std::collections::VecDeque<Encoded> = messages.into();
        while let Some(message) = waiting.pop_front() {
            match self.mirror.hear(message).unwrap() {
                Heard::More | Heard::Handover(_) => {}
                // As an agent does that has no time to carry each out.
                Heard::Synced(_) if self.revision.is_multiple_of(3) && !waiting.is_empty() => {}
                Heard::Synced(revision) => {
                    let update = self.mirror.commit(revision);
                    self.carry_out(update);
                }
                Heard::Resync(asked) => {
                    let number = (0..2).find(|number| topic(*number) == asked).unwrap();
                    let CatchUp::Snapshot(messages) = self.topics[number].catch_up(None, &self.limits) else {
                        panic!("a topic that is not known is sent as a whole");
                    };
                    waiting.extend(messages.iter().cloned());
                    waiting.push_back(synced(self.revision));
                }
            }
        }
    }

    fn carry_out(&mut self, update: Update) {
        for change in update.changes {
            match change {
                Change::Set(resource) => self.told.insert(resource.key(), resource),
                Change::Delete(key) => Some(self.told.remove(&key).expect("only what is there is deleted")),
            };
        }
    }

    fn step(&mut self, (number, item, host, fates): &Step) {
        self.revision += 1;
        let (puts, deletes) = match host {
            Some(host) => (vec![record(*item, *host)], Vec::new()),
            None => (Vec::new(), vec![record(*item, 0).key()]),
        };
        let change = TopicChange { topic: topic(*number), puts, deletes };
        let mut messages = self.topics[*number].change(self.revision, &change, &self.limits).to_vec();
        messages.push(synced(self.revision));
        let mut arriving = Vec::new();
        let mut held = None;
        for (message, fate) in messages.into_iter().zip(fates) {
            match fate {
                Fate::Arrives => arriving.push(message),
                Fate::Lost => {}
                Fate::Twice => arriving.extend([message.clone(), message]),
                Fate::SwappedWithTheNext if held.is_none() => {
                    held = Some(message);
                    continue;
                }
                Fate::SwappedWithTheNext => arriving.push(message),
            }
            arriving.extend(held.take());
        }
        arriving.extend(held);
        self.deliver(arriving);
    }

    fn check(&self) {
        let mut meant: BTreeMap<Key, Resource> = BTreeMap::new();
        for state in &self.topics {
            meant.extend(state.resources().into_iter().map(|resource| (resource.key(), resource)));
        }
        let keys: Vec<_> = meant.keys().collect();
        assert_eq!(self.told.keys().collect::<Vec<_>>(), keys);
        let mirrored = self.mirror.resources();
        let told: Vec<_> = self.told.values().cloned().collect();
        assert_eq!(mirrored.len(), told.len());
    }
}

proptest! {
    #[test]
    fn whatever_happens_on_the_way_it_ends_as_the_controller_means(
        steps in vec((0..1_usize, 1..6_u8, prop::option::weighted(0.7, 1..4_u8), vec(any_fate(), 4)), 0..60),
        reconnect in any::<bool>(),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        // What was lost last is noticed by the next change, or by a new connection.
        if reconnect {
            world.connect();
        } else {
            world.step(&(0, 9, Some(1), vec![Fate::Arrives; 4]));
        }
        world.check();
        prop_assert_eq!(world.told.values().cloned().collect::<Vec<_>>(), world.topics[0].resources());
    }

    #[test]
    fn a_key_may_go_from_one_topic_to_another(
        steps in vec((0..2_usize, 1..4_u8, prop::option::weighted(0.5, 1..4_u8), Just(vec![Fate::Arrives; 4])), 0..60),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.check();
        }
    }

    #[test]
    fn what_is_saved_is_loaded_and_damage_is_noticed(hosts in vec(1..4_u8, 1..20), at in any::<prop::sample::Index>()) {
        let mut world = World::new();
        for (number, host) in (1..).zip(&hosts) {
            world.step(&(0, number, Some(*host), vec![Fate::Arrives; 4]));
        }
        let saved: Vec<Vec<u8>> = world.mirror.checkpoint().map(|message| message.as_bytes().to_vec()).collect();
        let load = |saved: Vec<Vec<u8>>| {
            let mut loaded = Mirror::default();
            for bytes in saved {
                if let Ok(Heard::Synced(revision)) = loaded.hear(Encoded::from_bytes(bytes)) {
                    loaded.commit(revision);
                }
            }
            loaded
        };
        prop_assert_eq!(load(saved.clone()).resources(), world.mirror.resources());
        let mut damaged = saved.clone();
        let at = at.index(damaged[0].len());
        damaged[0][at] ^= 1;
        let other = load(damaged).resources();
        // The revision and the name of the topic are not in the digest; the content is.
        prop_assert!(other.is_empty() || other == world.mirror.resources());
    }
}

#[test]
fn a_topic_that_is_needed_no_more_takes_its_resources_along() {
    let mut world = World::new();
    world.step(&(0, 1, Some(1), vec![Fate::Arrives; 4]));
    let gone = Encoded::new(Message::Unsubscribed(wire::Unsubscribed { topic: topic(0).to_string() }));
    world.deliver(vec![gone, synced(9)]);
    assert!(world.told.is_empty() && world.mirror.topics().all(|kept| *kept != topic(0)));
    assert_eq!(world.mirror.revision(), Some(9));
}
