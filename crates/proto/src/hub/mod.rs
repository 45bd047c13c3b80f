//! The controller's side of all sessions: which host gets which topic, what it has of it, and who is connected.
//!
//! One lock guards the state; no callback is called under it, and what is done under it takes about a microsecond for
//! each session: a change is encoded once, and all that a revision has for a host is put into the queue of its session
//! as one, so that it is sent as one.

mod asking;
mod claims;
mod linger;
mod outgoing;
mod session;
#[cfg(test)]
mod tests;
pub(crate) mod topic;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use model::fabric::ResourceName;
use parking_lot::Mutex;
use plan::fabric::{TopicChange, TopicId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

pub use asking::{MAX_QUESTIONS, MAX_QUESTIONS_OF_ONE, Waiting};
pub use claims::CLAIM_TIMEOUT;
use linger::Linger;
pub(crate) use outgoing::Outgoing;
pub use session::SessionEnd;
use topic::{CatchUp, TopicState};

use crate::wire::controller_message::Message;
use crate::{Controller, Digest, Encoded, TopicContent, wire};

/// How much the hub keeps and sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Revisions that wait for one agent to read them. An agent with more is disconnected; it comes back and resumes.
    pub queue: usize,
    /// Changes of one topic that are kept for agents that come back. One that missed more gets a snapshot.
    pub log_entries: usize,
    /// Bytes of those changes.
    pub log_bytes: usize,
    /// Bytes of items in one message; well below the 4 MiB that gRPC takes.
    pub message_bytes: usize,
    /// Changes that wait while a topic is being loaded. With more, loading begins anew.
    pub pending: usize,
    /// How long a host keeps a topic that it needs no more.
    pub linger: Duration,
    /// What the topics of a host, needed or not, may weigh for any to be kept that is not: a lookup record one, anything
    /// else four. It is half of what a host can hold of either, so that what is not needed never stands in the way of
    /// what is.
    pub linger_weight: usize,
    /// What a topic must weigh to be kept at all: less is on its way again within a round trip.
    pub linger_from: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue: 16_384,
            log_entries: 1024,
            log_bytes: 4 << 20,
            message_bytes: 256 << 10,
            pending: 4096,
            linger: Duration::from_secs(60),
            linger_weight: 1 << 17,
            linger_from: 1024,
        }
    }
}

/// All sessions of a controller.
pub struct Hub {
    controller: Arc<dyn Controller>,
    limits: Limits,
    state: Mutex<State>,
    /// Held while a topic is loaded, so that a thousand agents that come at once do not load it a thousand times.
    loading: tokio::sync::Mutex<()>,
}

struct State {
    published: u64,
    sessions: u64,
    /// The number of the last question to any host.
    questions: u64,
    topics: HashMap<TopicId, Slot>,
    hosts: HashMap<ResourceName, HostState>,
}

enum Slot {
    /// Being asked for; the changes that were published meanwhile.
    Loading(Vec<(u64, TopicChange)>),
    Loaded(Box<TopicState>),
}

/// A host that has connected since the controller started.
#[derive(Default)]
struct HostState {
    session: Option<Live>,
    /// What it has, or gets as soon as it connects.
    topics: BTreeSet<TopicId>,
    /// Those of them that it needs no more.
    linger: Linger,
    /// When [`Hub::wake`] is to look at these again, if somebody waits to.
    wakes: Option<Instant>,
    /// The last revision that it acknowledged.
    acked: Option<u64>,
    /// The last revision that changed something for it.
    affected: u64,
    /// It has connected anew and acknowledged nothing since: what is published meanwhile may be for it.
    catching_up: bool,
}

/// A session that is on.
struct Live {
    number: u64,
    queue: mpsc::Sender<Queued>,
    asked: asking::Asked,
    end: Option<oneshot::Sender<SessionEnd>>,
}

/// How far a host is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Standing {
    /// Whether it is connected.
    pub connected: bool,
    /// The revision up to which everything that it needs is in force there; none if it has not connected since the
    /// controller started, or has not yet acknowledged anything.
    pub in_force: Option<u64>,
}

/// What waits for a session.
enum Queued {
    /// All that a revision has for it, shared with those who need the same.
    Messages(Arc<[Encoded]>),
    /// The host's own topic has changed at this revision, and so perhaps which others it needs; or the time of one is
    /// over that it needs no more.
    Resubscribe(u64),
    /// The agent wants a topic anew.
    Resync(TopicId),
}

/// A topic as a whole in the messages in which an agent gets it that knows nothing of it, `Synced` included.
pub fn snapshot(topic: &TopicId, content: &TopicContent) -> Vec<Encoded> {
    let mut state = TopicState::new(topic, content);
    let CatchUp::Snapshot(messages) = state.catch_up(None, &Limits::default()) else { return Vec::new() };
    let synced = Encoded::new(Message::Synced(wire::Synced { revision: content.revision }));
    messages.iter().cloned().chain([synced]).collect()
}

impl Hub {
    /// A hub without sessions. `revision` is the one that the controller's store is at.
    pub fn new(controller: Arc<dyn Controller>, revision: u64) -> Arc<Self> {
        Self::with_limits(controller, revision, Limits::default())
    }

    /// A hub with limits of its own.
    pub fn with_limits(controller: Arc<dyn Controller>, revision: u64, limits: Limits) -> Arc<Self> {
        let state =
            State { published: revision, sessions: 0, questions: 0, topics: HashMap::new(), hosts: HashMap::new() };
        Arc::new(Self { controller, limits, state: Mutex::new(state), loading: tokio::sync::Mutex::new(()) })
    }

    /// Tells all agents that need to know what has changed. Revisions come in order, each once; a transaction that
    /// changes no topic is published too, without changes.
    ///
    /// It calls nothing of [`Controller`], never blocks and does not fail: an agent that does not keep up is
    /// disconnected (see [`Limits::queue`]).
    pub fn publish(&self, revision: u64, changes: &[TopicChange]) {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.published = revision;
        let news: Vec<Arc<[Encoded]>> =
            changes.iter().map(|change| state.take(revision, change, &self.limits)).collect();
        let State { topics, hosts, .. } = state;
        let mut batch = Batch::new(&news, revision);
        for Wanted { host, places, own } in wanted(topics, changes) {
            let Some(known) = hosts.get_mut(host) else { continue };
            known.affected = revision;
            known.send(host, Queued::Messages(batch.of(places, !own)));
            if own {
                known.send(host, Queued::Resubscribe(revision));
            }
        }
    }

    /// How far hosts are, each in its place.
    pub fn standing<'a>(&self, hosts: impl IntoIterator<Item = &'a ResourceName>) -> Vec<Standing> {
        let state = self.state.lock();
        let standing = |host| state.hosts.get(host).map(|known| known.standing(state.published)).unwrap_or_default();
        hosts.into_iter().map(standing).collect()
    }

    /// The revision up to which everything that a host needs is in force there; none if it has not connected since the
    /// controller started, or has not yet acknowledged anything.
    pub fn in_force(&self, host: &ResourceName) -> Option<u64> {
        self.standing([host])[0].in_force
    }

    /// Whether a host is connected.
    pub fn is_connected(&self, host: &ResourceName) -> bool {
        self.standing([host])[0].connected
    }

    /// The hosts that are connected, in no order.
    pub fn connected(&self) -> Vec<ResourceName> {
        let state = self.state.lock();
        state.hosts.iter().filter(|(_, known)| known.session.is_some()).map(|(host, _)| host.clone()).collect()
    }

    /// Ends the session of a host that was deleted, and forgets it. It may come back if [`Controller::admit`] lets it.
    pub fn disconnect(&self, host: &ResourceName) {
        let mut state = self.state.lock();
        if let Some(mut known) = state.hosts.remove(host) {
            known.end(SessionEnd::Disconnected);
            for topic in &known.topics {
                state.unsubscribe(host, topic);
            }
            // Nobody else ever asks for it.
            state.topics.remove(&TopicId::Host(host.clone()));
        }
    }

    /// The last revision that was published.
    pub fn published(&self) -> u64 {
        self.state.lock().published
    }

    /// Ends all sessions: the controller is ending.
    pub(crate) fn close(&self) {
        for known in self.state.lock().hosts.values_mut() {
            known.end(SessionEnd::Closing);
        }
    }

    pub(crate) fn controller(&self) -> Arc<dyn Controller> {
        Arc::clone(&self.controller)
    }

    /// Makes a host a subscriber of a topic, and says what it must be told. `known` is what it has of it.
    async fn subscribe(&self, host: &ResourceName, topic: &TopicId, known: Option<Digest>) -> CatchUp {
        loop {
            if let Some(catch_up) = self.state.lock().subscribe(host, topic, known, &self.limits) {
                return catch_up;
            }
            self.load(topic).await;
        }
    }

    /// Asks the controller for a topic, unless it is there already.
    async fn load(&self, topic: &TopicId) {
        let _loading = self.loading.lock().await;
        {
            let mut state = self.state.lock();
            if matches!(state.topics.get(topic), Some(Slot::Loaded(_))) {
                return;
            }
            // What stands there is of a loader that gave up: its changes are in what is read now.
            state.topics.insert(topic.clone(), Slot::Loading(Vec::new()));
        }
        let (controller, id) = (Arc::clone(&self.controller), topic.clone());
        let limits = self.limits;
        let loaded = tokio::task::spawn_blocking(move || TopicState::new(&id, &controller.topic(&id))).await;
        let mut state = self.state.lock();
        let Ok(mut loaded) = loaded else {
            state.topics.remove(topic);
            return;
        };
        // Without a slot more was published than may wait, and the caller begins anew.
        if let Some(Slot::Loading(pending)) = state.topics.remove(topic) {
            for (revision, change) in &pending {
                if *revision > loaded.loaded {
                    loaded.change(*revision, change, &limits);
                }
            }
            state.topics.insert(topic.clone(), Slot::Loaded(Box::new(loaded)));
        }
    }
}

impl State {
    /// Takes a change into its topic, and answers with the messages that say it.
    fn take(&mut self, revision: u64, change: &TopicChange, limits: &Limits) -> Arc<[Encoded]> {
        match self.topics.get_mut(&change.topic) {
            // What was loaded after the transaction has it already, but may not have been acknowledged.
            Some(Slot::Loaded(topic)) if revision > topic.loaded => return topic.change(revision, change, limits),
            Some(Slot::Loaded(_)) => {}
            Some(Slot::Loading(pending)) if pending.len() < limits.pending => {
                pending.push((revision, change.clone()));
            }
            // Nobody has asked for it yet, or the loader must begin anew.
            Some(Slot::Loading(_)) | None => {
                self.topics.remove(&change.topic);
            }
        }
        Arc::from([])
    }

    /// As [`Hub::subscribe`], if the topic is loaded.
    fn subscribe(
        &mut self,
        host: &ResourceName,
        topic: &TopicId,
        known: Option<Digest>,
        limits: &Limits,
    ) -> Option<CatchUp> {
        let Some(Slot::Loaded(loaded)) = self.topics.get_mut(topic) else { return None };
        loaded.subscribers.insert(host.clone());
        if let Some(state) = self.hosts.get_mut(host) {
            state.topics.insert(topic.clone());
        }
        Some(loaded.catch_up(known, limits))
    }

    /// Of a host that connects anew: it gets no changes until it has been brought up to date. The topics stay, and with
    /// them what it missed.
    fn detach(&mut self, host: &ResourceName) {
        let Some(known) = self.hosts.get(host) else { return };
        for topic in &known.topics {
            if let Some(Slot::Loaded(loaded)) = self.topics.get_mut(topic) {
                loaded.subscribers.remove(host);
            }
        }
    }

    /// Which topics a host is to forget, now that it needs these. It is a subscriber of all that it needs.
    fn forgotten(
        &mut self,
        host: &ResourceName,
        needed: &BTreeSet<TopicId>,
        now: Instant,
        limits: &Limits,
    ) -> Vec<TopicId> {
        let Self { topics, hosts, .. } = self;
        let Some(known) = hosts.get_mut(host) else { return Vec::new() };
        let weight = |topic: &TopicId| match topics.get(topic) {
            Some(Slot::Loaded(loaded)) => loaded.weight(),
            _ => 1,
        };
        known.linger.follow(&known.topics, needed, weight, now, limits)
    }

    fn unsubscribe(&mut self, host: &ResourceName, topic: &TopicId) {
        if let Some(known) = self.hosts.get_mut(host) {
            known.topics.remove(topic);
        }
        if let Some(Slot::Loaded(loaded)) = self.topics.get_mut(topic) {
            loaded.subscribers.remove(host);
            // What nobody has needs not be kept; the next one to ask loads it.
            if loaded.subscribers.is_empty() {
                self.topics.remove(topic);
            }
        }
    }
}

/// What a host needs of some changes, by their places.
struct Wanted<'a> {
    host: &'a ResourceName,
    places: Vec<usize>,
    /// Whether its own topic is among them, and so perhaps which others it needs.
    own: bool,
}

/// Whom changes are for. The hosts whose own topics change come first, since they have most to do.
fn wanted<'a>(topics: &'a HashMap<TopicId, Slot>, changes: &'a [TopicChange]) -> Vec<Wanted<'a>> {
    let subscribers = |change: &TopicChange| match topics.get(&change.topic) {
        Some(Slot::Loaded(topic)) => Some(&topic.subscribers),
        _ => None,
    };
    let mut own: BTreeMap<&ResourceName, Vec<usize>> = BTreeMap::new();
    let mut networks = Vec::new();
    for (place, change) in changes.iter().enumerate() {
        let subscribers = subscribers(change);
        match &change.topic {
            TopicId::Host(host) => {
                let has = subscribers.is_some_and(|all| all.contains(host));
                own.entry(host).or_default().extend(has.then_some(place));
            }
            TopicId::Network(_) => networks.extend(subscribers.map(|all| (place, all))),
        }
    }
    let mut others: Vec<(&ResourceName, Vec<usize>)> = Vec::new();
    // Most changes are of one network: each of its hosts is met once, and needs not be looked up.
    let one = networks.len() == 1;
    let mut met: HashMap<&ResourceName, Vec<usize>> = HashMap::new();
    for (place, subscribers) in networks {
        for host in subscribers {
            match own.get_mut(host) {
                Some(places) => places.push(place),
                None if one => others.push((host, vec![place])),
                None => met.entry(host).or_default().push(place),
            }
        }
    }
    let own = own.into_iter().map(|(host, places)| Wanted { host, places, own: true });
    let others = others.into_iter().chain(met).map(|(host, places)| Wanted { host, places, own: false });
    own.chain(others).collect()
}

/// All that a revision has for a host. Most hosts need the same.
struct Batch<'a> {
    news: &'a [Arc<[Encoded]>],
    synced: Encoded,
    /// What was made last, and of what.
    last: (Vec<usize>, bool, Arc<[Encoded]>),
}

impl<'a> Batch<'a> {
    fn new(news: &'a [Arc<[Encoded]>], revision: u64) -> Self {
        let synced = Encoded::new(Message::Synced(wire::Synced { revision }));
        Self { news, synced, last: (Vec::new(), false, Arc::from([])) }
    }

    /// The news in these places, and that this is all if it is.
    fn of(&mut self, places: Vec<usize>, all: bool) -> Arc<[Encoded]> {
        if (&self.last.0, self.last.1) != (&places, all) {
            let news = places.iter().flat_map(|place| self.news[*place].iter());
            self.last.2 = news.chain(all.then_some(&self.synced)).cloned().collect();
            (self.last.0, self.last.1) = (places, all);
        }
        Arc::clone(&self.last.2)
    }
}

impl HostState {
    /// Puts something into the queue, if the host is connected. One whose queue is full is disconnected.
    fn send(&mut self, host: &ResourceName, what: Queued) {
        let Some(live) = &self.session else { return };
        match live.queue.try_send(what) {
            // A connection that is gone ends its session by itself.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => {
                tracing::warn!(
                    %host, "the agent does not read what it is sent; disconnected, it resumes when it comes back"
                );
                self.end(SessionEnd::Slow);
            }
        }
    }

    /// Puts a message into the queue that need not be, unless half of the queue is full: what is declared goes before it.
    fn send_if_idle(&self, message: Encoded) {
        if let Some(live) = self.session.as_ref().filter(|live| live.queue.capacity() * 2 > live.queue.max_capacity()) {
            // A connection that is gone ends its session by itself.
            let _ = live.queue.try_send(Queued::Messages(Arc::from([message])));
        }
    }

    fn standing(&self, published: u64) -> Standing {
        let has_all = |acked| acked >= self.affected && !self.catching_up;
        let in_force = self.acked.map(|acked| if has_all(acked) { acked.max(published) } else { acked });
        Standing { connected: self.session.is_some(), in_force }
    }

    /// Ends the session, if one is on.
    fn end(&mut self, why: SessionEnd) {
        if let Some(end) = self.session.take().and_then(|live| live.end) {
            // The session may have ended by itself.
            let _ = end.send(why);
        }
    }
}
