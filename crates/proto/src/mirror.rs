//! The agent's side of the topics: what it has of each, and what a message makes of them.
//!
//! It is pure: messages in, decisions out. What came is staged, and may come into force as a whole where the controller
//! says `Synced`. A topic that turns out otherwise than the controller meant is asked for anew; until it comes, nothing of what
//! is staged comes into force.

use std::collections::{BTreeMap, BTreeSet};

use model::{Change, Key, Resource, SharedKey};
use plan::fabric::TopicId;
use prost::bytes::Bytes;

use crate::convert::{decode_shared, digest_in, handover_in, key_in, topic_in};
use crate::wire::controller_message::Message;
use crate::{Digest, Encoded, Handover, WireError, wire};

/// The topics of a host.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    topics: BTreeMap<TopicId, Kept>,
    staged: BTreeMap<TopicId, Staged>,
    /// The topics that were asked for anew and have not come yet.
    missing: BTreeSet<TopicId>,
    /// The topics of which a piece has come and the last one has not.
    open: BTreeSet<TopicId>,
    /// The last revision that came into force.
    revision: Option<u64>,
}

/// A topic.
#[derive(Clone, PartialEq, Debug, Default)]
struct Kept {
    revision: u64,
    digest: Digest,
    items: BTreeMap<SharedKey, Bytes>,
}

/// What is to become of a topic.
#[derive(Clone, Debug)]
enum Staged {
    Gone,
    /// As a whole; what becomes of it is told from what is in force when that is replaced.
    Whole(Kept),
    /// Changed here and there.
    Changed {
        kept: BTreeMap<SharedKey, Option<Bytes>>,
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
    /// What is staged is complete up to this revision: [`Mirror::commit`] it, or hear more first if more has come.
    Synced(u64),
    /// A VM is coming, and this is what its host remembers of it. It is no part of what is declared.
    Handover(Handover),
}

/// What has changed over all topics.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Update {
    /// The revision to acknowledge when the changes have been carried out.
    pub revision: u64,
    /// What has changed, at most once for each key. No resource is deleted that another topic still has, or that was not
    /// there before.
    pub changes: Vec<Change>,
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
        self.open.clear();
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
        let mut all: BTreeMap<&SharedKey, &Bytes> = BTreeMap::new();
        for kept in self.topics.values() {
            for (key, item) in &kept.items {
                all.entry(key).or_insert(item);
            }
        }
        all.into_values().filter_map(|item| decode_shared(item).ok()).collect()
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
                self.open.remove(&topic);
                self.staged.insert(topic, Staged::Gone);
                Ok(Heard::More)
            }
            Some(Message::Synced(synced)) => Ok(match self.open.first().cloned() {
                // Its last piece was lost.
                Some(topic) => self.resync(topic),
                None if self.missing.is_empty() => Heard::Synced(synced.revision),
                // Another Synced comes after what is missing.
                None => Heard::More,
            }),
            Some(Message::Handover(handover)) => Ok(Heard::Handover(handover_in(handover)?)),
            // Nothing of a topic, or of a later version.
            Some(Message::ClaimAnswer(_) | Message::Question(_)) | None => Ok(Heard::More),
        }
    }

    fn snapshot(&mut self, snapshot: wire::Snapshot) -> Result<Heard, WireError> {
        let (topic, digest) = (topic_in(&snapshot.topic)?, digest_in(&snapshot.digest)?);
        if snapshot.first {
            self.open.insert(topic.clone());
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
        self.open.remove(&topic);
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
        let puts = puts.collect::<Result<Vec<(SharedKey, Bytes)>, WireError>>()?;
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
        if !delta.last {
            self.open.insert(topic);
            return Ok(Heard::More);
        }
        self.open.remove(&topic);
        if now == meant { Ok(Heard::More) } else { Ok(self.resync(topic)) }
    }

    fn resync(&mut self, topic: TopicId) -> Heard {
        self.staged.remove(&topic);
        self.open.remove(&topic);
        self.missing.insert(topic.clone());
        Heard::Resync(topic)
    }

    /// Brings what is staged into force, at the revision of the last [`Heard::Synced`].
    pub fn commit(&mut self, revision: u64) -> Update {
        let mut update = Update { revision, ..Update::default() };
        let mut touched: Vec<(SharedKey, Option<Bytes>)> = Vec::new();
        for (topic, staged) in std::mem::take(&mut self.staged) {
            touched.extend(self.replace(&topic, staged));
        }
        // A key that went from one topic to another was deleted in one and put in the other.
        touched.sort_by(|(one, _), (other, _)| one.cmp(other));
        touched.dedup_by(|(later, item), (earlier, slot)| {
            let same = later == earlier;
            if same && item.is_some() {
                *slot = item.take();
            }
            same
        });
        self.revision = Some(revision);
        update.changes.reserve(touched.len());
        for (key, item) in touched {
            let item = item.or_else(|| self.topics.values().find_map(|kept| kept.items.get(&key).cloned()));
            // Each item was read when it came, so that none fails here.
            update.changes.push(match item.and_then(|item| decode_shared(&item).ok()) {
                Some(resource) => Change::Set(resource),
                None => Change::Delete(Key::clone(&key)),
            });
        }
        update
    }

    /// Replaces a topic and says what has changed in it; none stands for what is gone.
    fn replace(&mut self, topic: &TopicId, staged: Staged) -> Vec<(SharedKey, Option<Bytes>)> {
        match staged {
            Staged::Gone => {
                let old = self.topics.remove(topic).unwrap_or_default();
                old.items.into_keys().map(|key| (key, None)).collect()
            }
            Staged::Whole(new) => {
                let old = self.topics.remove(topic).unwrap_or_default();
                let other = new.items.iter().filter(|(key, item)| old.items.get(*key) != Some(*item));
                let other = other.map(|(key, item)| (key.clone(), Some(item.clone())));
                let gone = old.items.keys().filter(|key| !new.items.contains_key(*key)).map(|key| (key.clone(), None));
                let changes = other.chain(gone).collect();
                self.topics.insert(topic.clone(), new);
                changes
            }
            Staged::Changed { kept: changes, revision, digest } => {
                let kept = self.topics.entry(topic.clone()).or_default();
                let mut really = Vec::new();
                for (key, item) in changes {
                    let old = match &item {
                        Some(item) => kept.items.insert(key.clone(), item.clone()),
                        None => kept.items.remove(&key),
                    };
                    // What came and went, or went and came back, since the last time is no change.
                    if old != item {
                        really.push((key, item));
                    }
                }
                (kept.revision, kept.digest) = (revision, digest);
                really
            }
        }
    }

    /// The messages that make a new mirror what this one is: what is to be kept on disk. What is heard later may be
    /// written behind them.
    pub fn checkpoint(&self) -> impl Iterator<Item = Encoded> {
        let snapshot = |(topic, kept): (&TopicId, &Kept)| {
            Encoded::new(Message::Snapshot(wire::Snapshot {
                topic: topic.to_string(),
                revision: kept.revision,
                digest: Bytes::copy_from_slice(&kept.digest.to_bytes()),
                items: kept.items.values().cloned().collect(),
                first: true,
                last: true,
            }))
        };
        let synced = self.revision.map(|revision| Encoded::new(Message::Synced(wire::Synced { revision })));
        self.topics.iter().map(snapshot).chain(synced)
    }
}

impl Kept {
    fn put(&mut self, key: SharedKey, item: Bytes) {
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
    fn change(&mut self, base: &Kept, to: u64, deletes: Vec<Key>, puts: Vec<(SharedKey, Bytes)>) -> Digest {
        let Self::Changed { kept, revision, digest } = self else { return Digest::default() };
        let deletes = deletes.into_iter().map(|key| (SharedKey::from(key), None));
        let all = deletes.chain(puts.into_iter().map(|(key, item)| (key, Some(item))));
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
fn item_key(item: &Bytes) -> Result<SharedKey, WireError> {
    decode_shared(item).map(|resource| SharedKey::from(resource.key()))
}
