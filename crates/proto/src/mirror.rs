//! The agent's side of the topics: what it has of each, and what a message makes of them.
//!
//! It is pure: messages in, decisions out. What came since the last `Synced` is staged, and comes into force with it as a
//! whole. A topic that turns out otherwise than the controller meant is asked for anew; until it comes, nothing of what
//! is staged comes into force.

use std::collections::{BTreeMap, BTreeSet};

use model::{Change, Key, Resource};
use plan::fabric::TopicId;
use prost::Message as _;
use prost::bytes::Bytes;

use crate::convert::{decode_item, digest_in, key_in, topic_in};
use crate::wire::controller_message::Message;
use crate::{Digest, Encoded, WireError, wire};

/// The topics of a host.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    topics: BTreeMap<TopicId, Kept>,
    staged: BTreeMap<TopicId, Staged>,
    /// The topics that were asked for anew and have not come yet.
    missing: BTreeSet<TopicId>,
    /// The last revision that came into force.
    revision: Option<u64>,
}

/// A topic.
#[derive(Clone, PartialEq, Debug, Default)]
struct Kept {
    revision: u64,
    digest: Digest,
    items: BTreeMap<Key, Bytes>,
}

/// What is to become of a topic.
#[derive(Clone, Debug)]
enum Staged {
    Gone,
    /// As a whole; what becomes of it is told from what is in force when that is replaced.
    Whole(Kept),
    /// Changed here and there.
    Changed {
        kept: BTreeMap<Key, Option<Bytes>>,
        revision: u64,
        digest: Digest,
    },
}

/// What a message means for the agent.
#[derive(Clone, PartialEq, Debug)]
pub enum Heard {
    /// More is to come.
    More,
    /// The topic is not what the controller meant; ask for it.
    Resync(TopicId),
    /// What was staged is in force in the mirror; carry it out on the host, then acknowledge.
    Update(Update),
}

/// What has changed over all topics.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Update {
    /// The revision to acknowledge.
    pub revision: u64,
    /// What has changed, at most once for each key. No resource is deleted that another topic still has.
    pub changes: Vec<Change>,
    /// The topics in which something has changed, to be written to disk.
    pub topics: BTreeSet<TopicId>,
}

impl Mirror {
    /// What is to be said in hello: each topic with its revision and digest.
    pub(crate) fn known(&self) -> Vec<wire::KnownTopic> {
        let known = |(topic, kept): (&TopicId, &Kept)| wire::KnownTopic {
            topic: topic.to_string(),
            revision: kept.revision,
            digest: Bytes::copy_from_slice(&kept.digest.to_bytes()),
        };
        self.topics.iter().map(known).collect()
    }

    /// Forgets what was staged: the connection broke in the middle.
    pub fn reset(&mut self) {
        self.staged.clear();
        self.missing.clear();
    }

    /// The last revision that came into force; none before the first.
    pub const fn revision(&self) -> Option<u64> {
        self.revision
    }

    /// The topics that there are.
    pub fn topics(&self) -> impl Iterator<Item = &TopicId> {
        self.topics.keys()
    }

    /// Everything in all topics, each key once.
    pub fn resources(&self) -> Vec<Resource> {
        let mut all: BTreeMap<&Key, &Bytes> = BTreeMap::new();
        for kept in self.topics.values() {
            for (key, item) in &kept.items {
                all.entry(key).or_insert(item);
            }
        }
        all.into_values().filter_map(|item| decode_item(item).ok()).collect()
    }

    /// Takes in a message.
    ///
    /// # Errors
    /// When it is no message of the protocol, or says something that this version of netvirt does not know. What is in
    /// force stays; the session should begin anew.
    pub fn hear(&mut self, message: Encoded) -> Result<Heard, WireError> {
        match message.decode()?.message {
            Some(Message::Snapshot(snapshot)) => self.snapshot(snapshot),
            Some(Message::Delta(delta)) => self.delta(delta),
            Some(Message::Unsubscribed(gone)) => {
                let topic = topic_in(&gone.topic)?;
                self.missing.remove(&topic);
                self.staged.insert(topic, Staged::Gone);
                Ok(Heard::More)
            }
            Some(Message::Synced(synced)) if self.missing.is_empty() => Ok(Heard::Update(self.commit(synced.revision))),
            // Another Synced comes after what is missing.
            Some(Message::Synced(_)) => Ok(Heard::More),
            // Of a later version.
            None => Ok(Heard::More),
        }
    }

    fn snapshot(&mut self, snapshot: wire::Snapshot) -> Result<Heard, WireError> {
        let (topic, digest) = (topic_in(&snapshot.topic)?, digest_in(&snapshot.digest)?);
        if snapshot.first {
            self.staged.insert(topic.clone(), Staged::Whole(Kept::default()));
        }
        let Some(Staged::Whole(kept)) = self.staged.get_mut(&topic) else {
            // Its beginning was lost.
            return Ok(self.resync(topic));
        };
        kept.revision = snapshot.revision;
        for item in snapshot.items {
            kept.put(item_key(&item)?, item);
        }
        if !snapshot.last {
            return Ok(Heard::More);
        }
        if kept.digest != digest {
            return Ok(self.resync(topic));
        }
        self.missing.remove(&topic);
        Ok(Heard::More)
    }

    fn delta(&mut self, delta: wire::Delta) -> Result<Heard, WireError> {
        let (topic, meant) = (topic_in(&delta.topic)?, digest_in(&delta.digest)?);
        // What was under way when a topic went, or was asked for anew, is of no use.
        if self.missing.contains(&topic) {
            return Ok(Heard::More);
        }
        let deletes = delta.deletes.into_iter().map(key_in).collect::<Result<Vec<Key>, _>>()?;
        let puts = delta.puts.into_iter().map(|item| Ok((item_key(&item)?, item)));
        let puts = puts.collect::<Result<Vec<(Key, Bytes)>, WireError>>()?;
        let now = match self.staged.get_mut(&topic) {
            Some(Staged::Gone) => return Ok(Heard::More),
            Some(Staged::Whole(kept)) => {
                kept.revision = delta.revision;
                deletes.iter().for_each(|key| kept.delete(key));
                puts.into_iter().for_each(|(key, item)| kept.put(key, item));
                kept.digest
            }
            Some(Staged::Changed { .. }) | None => {
                let Some(base) = self.topics.get(&topic) else { return Ok(Heard::More) };
                let staged = self.staged.entry(topic.clone()).or_insert_with(|| base.unchanged());
                staged.change(base, delta.revision, deletes, puts)
            }
        };
        if delta.last && now != meant { Ok(self.resync(topic)) } else { Ok(Heard::More) }
    }

    fn resync(&mut self, topic: TopicId) -> Heard {
        self.staged.remove(&topic);
        self.missing.insert(topic.clone());
        Heard::Resync(topic)
    }

    /// Brings what is staged into force.
    fn commit(&mut self, revision: u64) -> Update {
        let mut update = Update { revision, ..Update::default() };
        let mut touched: BTreeMap<Key, Option<Bytes>> = BTreeMap::new();
        for (topic, staged) in std::mem::take(&mut self.staged) {
            let changes = self.replace(&topic, staged);
            if !changes.is_empty() {
                update.topics.insert(topic);
            }
            // A key that went from one topic to another was deleted in one and put in the other.
            for (key, item) in changes {
                let slot = touched.entry(key).or_default();
                if item.is_some() {
                    *slot = item;
                }
            }
        }
        self.revision = Some(revision);
        for (key, item) in touched {
            let item = item.or_else(|| self.topics.values().find_map(|kept| kept.items.get(&key).cloned()));
            // Each item was read when it came, so that none fails here.
            update.changes.push(match item.and_then(|item| decode_item(&item).ok()) {
                Some(resource) => Change::Set(resource),
                None => Change::Delete(key),
            });
        }
        update
    }

    /// Replaces a topic and says what has changed in it; none stands for what is gone.
    fn replace(&mut self, topic: &TopicId, staged: Staged) -> BTreeMap<Key, Option<Bytes>> {
        match staged {
            Staged::Gone => {
                let old = self.topics.remove(topic).unwrap_or_default();
                old.items.into_keys().map(|key| (key, None)).collect()
            }
            Staged::Whole(new) => {
                let old = self.topics.remove(topic).unwrap_or_default();
                let gone = old.items.keys().filter(|key| !new.items.contains_key(*key)).map(|key| (key.clone(), None));
                let mut changes: BTreeMap<Key, Option<Bytes>> = gone.collect();
                let other = new.items.iter().filter(|(key, item)| old.items.get(*key) != Some(*item));
                changes.extend(other.map(|(key, item)| (key.clone(), Some(item.clone()))));
                self.topics.insert(topic.clone(), new);
                changes
            }
            Staged::Changed { kept: changes, revision, digest } => {
                let kept = self.topics.entry(topic.clone()).or_default();
                let mut really = BTreeMap::new();
                for (key, item) in changes {
                    let old = match &item {
                        Some(item) => kept.items.insert(key.clone(), item.clone()),
                        None => kept.items.remove(&key),
                    };
                    // What came and went, or went and came back, since the last time is no change.
                    if old != item {
                        really.insert(key, item);
                    }
                }
                (kept.revision, kept.digest) = (revision, digest);
                really
            }
        }
    }

    /// A topic in the bytes that are kept on disk: the message `Snapshot` of the protocol.
    pub fn save(&self, topic: &TopicId) -> Option<Vec<u8>> {
        let kept = self.topics.get(topic)?;
        let snapshot = wire::Snapshot {
            topic: topic.to_string(),
            revision: kept.revision,
            digest: Bytes::copy_from_slice(&kept.digest.to_bytes()),
            items: kept.items.values().cloned().collect(),
            first: true,
            last: true,
        };
        Some(snapshot.encode_to_vec())
    }

    /// Takes a topic over from disk.
    ///
    /// # Errors
    /// When the bytes are not what [`Mirror::save`] wrote, or were damaged since.
    pub fn load(&mut self, saved: Vec<u8>) -> Result<TopicId, WireError> {
        let snapshot = wire::Snapshot::decode(Bytes::from(saved))?;
        let (topic, digest) = (topic_in(&snapshot.topic)?, digest_in(&snapshot.digest)?);
        let mut kept = Kept { revision: snapshot.revision, ..Kept::default() };
        for item in snapshot.items {
            kept.put(item_key(&item)?, item);
        }
        if kept.digest != digest {
            return Err(WireError::Malformed(format!("topic {topic} has the digest {}, not {digest}", kept.digest)));
        }
        self.topics.insert(topic.clone(), kept);
        Ok(topic)
    }
}

impl Kept {
    fn put(&mut self, key: Key, item: Bytes) {
        self.digest.add(Digest::of(&item));
        if let Some(old) = self.items.insert(key, item) {
            self.digest.subtract(Digest::of(&old));
        }
    }

    fn delete(&mut self, key: &Key) {
        if let Some(old) = self.items.remove(key) {
            self.digest.subtract(Digest::of(&old));
        }
    }

    const fn unchanged(&self) -> Staged {
        Staged::Changed { kept: BTreeMap::new(), revision: self.revision, digest: self.digest }
    }
}

impl Staged {
    /// Stages changes of a topic and answers with its digest then.
    fn change(&mut self, base: &Kept, to: u64, deletes: Vec<Key>, puts: Vec<(Key, Bytes)>) -> Digest {
        let Self::Changed { kept, revision, digest } = self else { return Digest::default() };
        let all =
            deletes.into_iter().map(|key| (key, None)).chain(puts.into_iter().map(|(key, item)| (key, Some(item))));
        for (key, item) in all {
            let old = kept.get(&key).map_or_else(|| base.items.get(&key), Option::as_ref);
            if let Some(old) = old {
                digest.subtract(Digest::of(old));
            }
            if let Some(new) = &item {
                digest.add(Digest::of(new));
            }
            kept.insert(key, item);
        }
        *revision = to;
        *digest
    }
}

/// The key of an item.
fn item_key(item: &Bytes) -> Result<Key, WireError> {
    decode_item(item).map(|resource| resource.key())
}
