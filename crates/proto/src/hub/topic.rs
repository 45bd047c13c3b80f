//! One topic at the controller's side: its items in their final bytes, its digest, and the changes of late.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use model::fabric::ResourceName;
use model::{Key, Kind};
use plan::fabric::{TopicChange, TopicId};
use prost::bytes::Bytes;

use super::Limits;
use crate::convert::{encode_item, key_out};
use crate::wire::controller_message::Message;
use crate::{Digest, Encoded, TopicContent, wire};

/// A topic.
pub struct TopicState {
    name: String,
    /// The revision that it was loaded at: what was published up to it is in it already.
    pub loaded: u64,
    /// The revision of its last change.
    revision: u64,
    items: BTreeMap<Key, Bytes>,
    digest: Digest,
    log: VecDeque<Logged>,
    log_bytes: usize,
    /// The whole topic in messages, made when it is first asked for and good until the next change.
    snapshot: Option<Arc<[Encoded]>>,
    /// The hosts that get its changes.
    pub subscribers: HashSet<ResourceName>,
}

/// A change of late.
struct Logged {
    before: Digest,
    messages: Arc<[Encoded]>,
    bytes: usize,
}

/// What an agent must be told to have the topic as it is.
#[derive(Clone, PartialEq, Debug)]
pub enum CatchUp {
    /// Nothing.
    Nothing,
    /// What has changed since.
    Deltas(Vec<Encoded>),
    /// All of it.
    Snapshot(Arc<[Encoded]>),
}

impl TopicState {
    /// The topic with this content.
    pub fn new(topic: &TopicId, content: &TopicContent) -> Self {
        let mut state = Self {
            name: topic.to_string(),
            loaded: content.revision,
            revision: content.revision,
            items: BTreeMap::new(),
            digest: Digest::default(),
            log: VecDeque::new(),
            log_bytes: 0,
            snapshot: None,
            subscribers: HashSet::new(),
        };
        for resource in &content.items {
            let item = encode_item(resource);
            state.digest.add(Digest::of(&item));
            state.items.insert(resource.key(), item);
        }
        state
    }

    /// Carries out a change and answers with the messages that say it, none if it changes nothing.
    pub fn change(&mut self, revision: u64, change: &TopicChange, limits: &Limits) -> Arc<[Encoded]> {
        let before = self.digest;
        let (mut puts, mut deletes) = (Vec::new(), Vec::new());
        for key in &change.deletes {
            if let Some(old) = self.items.remove(key) {
                self.digest.subtract(Digest::of(&old));
                deletes.push(key_out(key));
            }
        }
        for resource in &change.puts {
            let (key, item) = (resource.key(), encode_item(resource));
            if self.items.get(&key) == Some(&item) {
                continue;
            }
            self.digest.add(Digest::of(&item));
            puts.push(item.clone());
            if let Some(old) = self.items.insert(key, item) {
                self.digest.subtract(Digest::of(&old));
            }
        }
        self.revision = revision;
        if puts.is_empty() && deletes.is_empty() {
            return Arc::from([]);
        }
        self.snapshot = None;
        let messages: Arc<[Encoded]> = self.deltas(puts, deletes, limits).into();
        self.log(before, &messages, limits);
        messages
    }

    /// What an agent must be told that has the topic with this digest, or not at all.
    pub fn catch_up(&mut self, known: Option<Digest>, limits: &Limits) -> CatchUp {
        let Some(known) = known else { return CatchUp::Snapshot(self.snapshot(limits)) };
        if known == self.digest {
            return CatchUp::Nothing;
        }
        // From the newest: a topic may have been the same more than once, and fewer changes are better.
        match self.log.iter().rposition(|logged| logged.before == known) {
            Some(first) => {
                let messages = self.log.range(first..).flat_map(|logged| logged.messages.iter().cloned());
                CatchUp::Deltas(messages.collect())
            }
            None => CatchUp::Snapshot(self.snapshot(limits)),
        }
    }

    fn deltas(&self, puts: Vec<Bytes>, deletes: Vec<wire::Key>, limits: &Limits) -> Vec<Encoded> {
        let delta = |puts, deletes| wire::Delta {
            topic: self.name.clone(),
            revision: self.revision,
            digest: Bytes::copy_from_slice(&self.digest.to_bytes()),
            puts,
            deletes,
            last: false,
        };
        let mut pieces: Vec<wire::Delta> = Vec::new();
        // Deletes before puts, as they were carried out.
        for some in chunks(deletes, limits.message_bytes, |key| key.name.len() + 8) {
            pieces.push(delta(Vec::new(), some));
        }
        for (index, some) in chunks(puts, limits.message_bytes, |item| item.len() + 4).into_iter().enumerate() {
            match pieces.last_mut() {
                // A small change is one message.
                Some(piece) if index == 0 && small(&some, limits) && pieces_are_small(piece, limits) => {
                    piece.puts = some
                }
                _ => pieces.push(delta(some, Vec::new())),
            }
        }
        if let Some(piece) = pieces.last_mut() {
            piece.last = true;
        }
        pieces.into_iter().map(|piece| Encoded::new(Message::Delta(piece))).collect()
    }

    fn snapshot(&mut self, limits: &Limits) -> Arc<[Encoded]> {
        if let Some(snapshot) = &self.snapshot {
            return Arc::clone(snapshot);
        }
        let items: Vec<Bytes> = self.items.values().cloned().collect();
        let mut pieces = chunks(items, limits.message_bytes, |item| item.len() + 4);
        if pieces.is_empty() {
            pieces.push(Vec::new());
        }
        let last = pieces.len() - 1;
        let piece = |(index, items): (usize, Vec<Bytes>)| {
            Encoded::new(Message::Snapshot(wire::Snapshot {
                topic: self.name.clone(),
                revision: self.revision,
                digest: Bytes::copy_from_slice(&self.digest.to_bytes()),
                items,
                first: index == 0,
                last: index == last,
            }))
        };
        let snapshot: Arc<[Encoded]> = pieces.into_iter().enumerate().map(piece).collect();
        self.snapshot = Some(Arc::clone(&snapshot));
        snapshot
    }

    /// What it takes of [`Limits::linger_weight`], at least one.
    pub fn weight(&self) -> usize {
        let others = Key { kind: Kind::CustomerRoute, name: String::new() };
        1 + self.items.len() + 3 * self.items.range(others..).count()
    }

    /// What is in it.
    #[cfg(test)]
    pub fn resources(&self) -> Vec<model::Resource> {
        self.items.values().filter_map(|item| crate::convert::decode_item(item).ok()).collect()
    }

    /// Bytes of the changes that are kept.
    #[cfg(test)]
    pub const fn log_bytes(&self) -> usize {
        self.log_bytes
    }

    fn log(&mut self, before: Digest, messages: &Arc<[Encoded]>, limits: &Limits) {
        let bytes = messages.iter().map(Encoded::len).sum();
        self.log.push_back(Logged { before, messages: Arc::clone(messages), bytes });
        self.log_bytes += bytes;
        while self.log.len() > limits.log_entries || self.log_bytes > limits.log_bytes {
            let Some(oldest) = self.log.pop_front() else { break };
            self.log_bytes -= oldest.bytes;
        }
    }
}

/// Whether puts leave room for deletes in one message.
fn small(puts: &[Bytes], limits: &Limits) -> bool {
    puts.iter().map(|item| item.len() + 4).sum::<usize>() <= limits.message_bytes / 2
}

/// Whether deletes leave room for puts in one message.
fn pieces_are_small(piece: &wire::Delta, limits: &Limits) -> bool {
    piece.deletes.iter().map(|key| key.name.len() + 8).sum::<usize>() <= limits.message_bytes / 2
}

/// Cuts a list where the sizes of its elements would add up to more than `limit`; an element that is larger stands
/// alone.
fn chunks<T>(list: Vec<T>, limit: usize, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut chunks: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for element in list {
        let size = size(&element);
        match chunks.last_mut() {
            Some(chunk) if size <= room => {
                room -= size;
                chunk.push(element);
            }
            _ => {
                room = limit.saturating_sub(size);
                chunks.push(vec![element]);
            }
        }
    }
    chunks
}
