//! One session: who is it, what must it be told, and what does it say. What it is told goes out in [`super::outgoing`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use model::fabric::ResourceName;
use plan::fabric::TopicId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::asking::Asked;
use super::outgoing::{Begin, Outgoing, Sending};
use super::{CatchUp, Hub, Live, Queued, claims};
use crate::convert::{
    digest_in, facts_in, gateway_beat_in, gateway_report_in, handover_in, handover_out, report_in, topic_in,
};
use crate::wire::agent_message::Message as Said;
use crate::wire::controller_message::Message;
use crate::{Digest, Encoded, Handover, Peer, WireError, wire};

/// How long an agent may take to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// What an agent says.
pub type Incoming = Pin<Box<dyn Stream<Item = Result<wire::AgentMessage, tonic::Status>> + Send>>;

/// Why a session has ended.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SessionEnd {
    /// The agent has gone.
    #[error("the agent has gone")]
    Gone,
    /// Another session of the same host has begun.
    #[error("the host has connected anew")]
    Replaced,
    /// The agent did not read.
    #[error("the agent does not read what it is sent")]
    Slow,
    /// The controller has ended it.
    #[error("the controller does not know this host any more")]
    Disconnected,
    /// The controller is ending.
    #[error("the controller is ending")]
    Closing,
    /// Nothing came at first.
    #[error("no hello came within {} s", HELLO_TIMEOUT.as_secs())]
    NoHello,
    /// What came cannot be understood.
    #[error("{0}")]
    Protocol(String),
}

impl From<WireError> for SessionEnd {
    fn from(error: WireError) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl Hub {
    /// Begins a session with a host that has been admitted. What comes out of the stream is for the agent; it ends when
    /// the session does.
    pub(crate) fn open(self: &Arc<Self>, peer: Peer, address: SocketAddr, incoming: Incoming) -> Outgoing {
        let (outgoing, mut sending) = Outgoing::new(Arc::clone(self), peer.host.clone());
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            let host = peer.host.clone();
            let end = hub.session(peer, address, incoming, &mut sending).await;
            tracing::info!(%host, "session ended: {end}");
            sending.end(end);
        });
        outgoing
    }

    async fn session(
        self: &Arc<Self>,
        peer: Peer,
        address: SocketAddr,
        mut incoming: Incoming,
        sending: &mut Sending,
    ) -> SessionEnd {
        let first = tokio::time::timeout(HELLO_TIMEOUT, incoming.next()).await;
        let hello = match first {
            Err(_) => return SessionEnd::NoHello,
            Ok(None | Some(Err(_))) => return SessionEnd::Gone,
            Ok(Some(Ok(wire::AgentMessage { message: Some(Said::Hello(hello)) }))) => hello,
            Ok(Some(Ok(_))) => return SessionEnd::Protocol("an agent says hello first".to_owned()),
        };
        let (facts, known) = match (facts_in(hello.facts), known(&hello.topics)) {
            (Ok(facts), Ok(known)) => (facts, known),
            (Err(error), _) | (_, Err(error)) => return error.into(),
        };
        let host = peer.host.clone();
        let (number, revision, queue, ended) = self.register(&host, Asked::of(&facts));
        let controller = Arc::clone(&self.controller);
        // Once more, now that [`Hub::disconnect`] finds the session: the host may have been deleted since it was admitted.
        let greet = move || controller.admit(&peer).map(|()| controller.connected(&peer.host, address, facts));
        let end = match tokio::task::spawn_blocking(greet).await {
            Err(_) => SessionEnd::Protocol("the controller failed".to_owned()),
            Ok(Err(_)) => SessionEnd::Disconnected,
            Ok(Ok(())) => {
                sending.begin(Begin { known, revision, queue });
                let reader = self.read(&host, number, incoming);
                tokio::select! {
                    end = reader => end,
                    end = ended => end.unwrap_or(SessionEnd::Replaced),
                    () = sending.closed() => SessionEnd::Gone,
                }
            }
        };
        self.unregister(&host, number).await;
        end
    }

    /// Makes this the session of the host; one that was on ends.
    pub(super) fn register(
        &self,
        host: &ResourceName,
        asked: Asked,
    ) -> (u64, u64, mpsc::Receiver<Queued>, oneshot::Receiver<SessionEnd>) {
        let (queue, queued) = mpsc::channel(self.limits.queue);
        let (end, ended) = oneshot::channel();
        let mut state = self.state.lock();
        state.sessions += 1;
        let (number, published) = (state.sessions, state.published);
        let known = state.hosts.entry(host.clone()).or_default();
        known.end(SessionEnd::Replaced);
        known.session = Some(Live { number, queue, asked, end: Some(end) });
        known.affected = published;
        known.catching_up = true;
        state.detach(host);
        (number, published, queued, ended)
    }

    async fn unregister(&self, host: &ResourceName, number: u64) {
        let replaced = {
            let mut state = self.state.lock();
            match state.hosts.get_mut(host) {
                Some(known) if known.session.as_ref().is_none_or(|live| live.number == number) => {
                    known.session = None;
                    false
                }
                Some(_) => true,
                None => false,
            }
        };
        if !replaced {
            let (controller, name) = (Arc::clone(&self.controller), host.clone());
            // A controller that fails here has said so itself.
            let _ = tokio::task::spawn_blocking(move || controller.disconnected(&name)).await;
        }
    }

    /// After hello: what the agent has is compared with what it needs.
    pub(super) async fn arrange(
        self: &Arc<Self>,
        host: &ResourceName,
        known: BTreeMap<TopicId, Digest>,
        revision: u64,
    ) -> Option<Vec<Encoded>> {
        let needed = self.topics_of(host).await?;
        let (before, lingering) = {
            let state = self.state.lock();
            let of = |known: &super::HostState| (known.topics.clone(), known.linger.at(Instant::now()));
            state.hosts.get(host).map(of).unwrap_or_default()
        };
        // What it was to keep for a while it keeps, if it has it; what it came to need no more while it was away it does
        // not begin to keep.
        let wanted: BTreeSet<&TopicId> =
            needed.iter().chain(lingering.iter().filter(|topic| known.contains_key(*topic))).collect();
        let gone: BTreeSet<&TopicId> =
            before.iter().chain(known.keys()).filter(|topic| !wanted.contains(*topic)).collect();
        let mut messages = Vec::new();
        for topic in gone {
            self.state.lock().unsubscribe(host, topic);
            messages.push(unsubscribed(topic));
        }
        for topic in wanted {
            let catch_up = self.subscribe(host, topic, known.get(topic).copied()).await;
            catch_up.say(&mut messages);
        }
        self.forget(host, &needed, &mut messages);
        messages.push(synced(revision));
        Some(messages)
    }

    /// The host's ports have changed: so have the topics that it needs, perhaps.
    pub(super) async fn follow(self: &Arc<Self>, host: &ResourceName, revision: u64) -> Option<Vec<Encoded>> {
        let has = self.state.lock().hosts.get(host).map(|known| known.topics.clone()).unwrap_or_default();
        let needed = self.topics_of(host).await?;
        let mut messages = Vec::new();
        for topic in needed.difference(&has) {
            self.subscribe(host, topic, None).await.say(&mut messages);
        }
        self.forget(host, &needed, &mut messages);
        messages.push(synced(revision));
        Some(messages)
    }

    /// Takes from a host what it needs no more, when it has had that for long enough.
    fn forget(self: &Arc<Self>, host: &ResourceName, needed: &BTreeSet<TopicId>, messages: &mut Vec<Encoded>) {
        let mut state = self.state.lock();
        for topic in state.forgotten(host, needed, Instant::now(), &self.limits) {
            state.unsubscribe(host, &topic);
            messages.push(unsubscribed(&topic));
        }
        let Some(known) = state.hosts.get_mut(host) else { return };
        if let Some(next) = known.linger.next()
            && known.wakes.is_none_or(|wakes| wakes > next)
        {
            known.wakes = Some(next);
            let (hub, host) = (Arc::downgrade(self), host.clone());
            tokio::spawn(async move {
                tokio::time::sleep_until(next).await;
                if let Some(hub) = hub.upgrade() {
                    hub.wake(&host, next);
                }
            });
        }
    }

    /// The time of a topic is over that a host needs no more. What was published before goes to the host before it.
    fn wake(&self, host: &ResourceName, when: Instant) {
        let mut state = self.state.lock();
        let published = state.published;
        let Some(known) = state.hosts.get_mut(host).filter(|known| known.wakes == Some(when)) else { return };
        known.wakes = None;
        known.send(host, Queued::Resubscribe(published));
    }

    /// A topic as a whole, if the host is to have it.
    pub(super) async fn resync(&self, host: &ResourceName, topic: &TopicId) -> Vec<Encoded> {
        let (subscribed, revision) = {
            let state = self.state.lock();
            (state.hosts.get(host).is_some_and(|known| known.topics.contains(topic)), state.published)
        };
        let mut messages = Vec::new();
        if subscribed {
            self.subscribe(host, topic, None).await.say(&mut messages);
        } else {
            messages.push(unsubscribed(topic));
        }
        messages.push(synced(revision));
        messages
    }

    async fn topics_of(&self, host: &ResourceName) -> Option<BTreeSet<TopicId>> {
        let (controller, name) = (Arc::clone(&self.controller), host.clone());
        tokio::task::spawn_blocking(move || controller.topics_of(&name)).await.ok()
    }

    /// Hands on what the agent says.
    async fn read(self: &Arc<Self>, host: &ResourceName, number: u64, mut incoming: Incoming) -> SessionEnd {
        let claims = claims::room();
        while let Some(Ok(message)) = incoming.next().await {
            match message.message {
                Some(Said::Ack(ack)) => self.acked(host, number, ack.revision),
                Some(Said::Report(report)) => {
                    let report = match report_in(report) {
                        Ok(report) => report,
                        Err(error) => return error.into(),
                    };
                    let (controller, name) = (Arc::clone(&self.controller), host.clone());
                    if tokio::task::spawn_blocking(move || controller.report(&name, report)).await.is_err() {
                        return SessionEnd::Protocol("the controller failed".to_owned());
                    }
                }
                Some(Said::Handover(handover)) => {
                    let handover = match handover_in(handover) {
                        Ok(handover) => handover,
                        Err(error) => return error.into(),
                    };
                    if !self.hand_on(host, handover).await {
                        return SessionEnd::Protocol("the controller failed".to_owned());
                    }
                }
                Some(Said::GatewayReport(report)) => {
                    let report = match gateway_report_in(&report) {
                        Ok(report) => report,
                        Err(error) => return error.into(),
                    };
                    let (controller, name) = (Arc::clone(&self.controller), host.clone());
                    if tokio::task::spawn_blocking(move || controller.gateway_report(&name, report)).await.is_err() {
                        return SessionEnd::Protocol("the controller failed".to_owned());
                    }
                }
                // It is taken in at once: when it came is what counts.
                Some(Said::GatewayBeat(beat)) => match gateway_beat_in(&beat) {
                    Ok(beat) => self.controller.gateway_beat(host, &beat),
                    Err(error) => return error.into(),
                },
                Some(Said::Resync(resync)) => match topic_in(&resync.topic) {
                    Ok(topic) => {
                        tracing::warn!(%host, %topic, "the agent has it otherwise than was meant; it gets all of it");
                        if let Some(known) = self.state.lock().hosts.get_mut(host) {
                            known.send(host, Queued::Resync(topic));
                        }
                    }
                    Err(error) => return error.into(),
                },
                Some(Said::Claim(claim)) => {
                    if let Err(error) = self.take_claim(host, number, &claims, claim) {
                        return error.into();
                    }
                }
                Some(Said::Answer(answer)) => self.take_answer(host, number, answer),
                Some(Said::Hello(_)) => return SessionEnd::Protocol("an agent says hello once".to_owned()),
                // Of a later version: it is nothing that must be understood.
                None => {}
            }
        }
        SessionEnd::Gone
    }

    /// Hands on to the host that a VM moves to what its old host remembers of it; false if the controller has failed.
    /// What is for nobody, or for a host that is away or busy, is of no use later: it is said again.
    async fn hand_on(&self, host: &ResourceName, handover: Handover) -> bool {
        let (controller, name, station) = (Arc::clone(&self.controller), host.clone(), handover.station);
        let asked = tokio::task::spawn_blocking(move || controller.successor(&name, station)).await;
        let Ok(to) = asked else { return false };
        if let Some(to) = to
            && let Some(known) = self.state.lock().hosts.get_mut(&to)
        {
            known.send_if_idle(Encoded::new(Message::Handover(handover_out(&handover))));
        }
        true
    }

    fn acked(&self, host: &ResourceName, number: u64, revision: u64) {
        {
            let mut state = self.state.lock();
            // Nobody can have what was not published yet.
            let revision = revision.min(state.published);
            let Some(known) = state.hosts.get_mut(host) else { return };
            if known.session.as_ref().is_none_or(|live| live.number != number) {
                return;
            }
            known.acked = Some(revision);
            known.catching_up = false;
        }
        self.controller.acked(host, revision);
    }
}

/// What an agent has, by topic.
fn known(topics: &[wire::KnownTopic]) -> Result<BTreeMap<TopicId, Digest>, WireError> {
    topics.iter().map(|known| Ok((topic_in(&known.topic)?, digest_in(&known.digest)?))).collect()
}

impl CatchUp {
    fn say(self, messages: &mut Vec<Encoded>) {
        match self {
            Self::Nothing => {}
            Self::Deltas(some) => messages.extend(some),
            Self::Snapshot(some) => messages.extend(some.iter().cloned()),
        }
    }
}

fn unsubscribed(topic: &TopicId) -> Encoded {
    Encoded::new(Message::Unsubscribed(wire::Unsubscribed { topic: topic.to_string() }))
}

fn synced(revision: u64) -> Encoded {
    Encoded::new(Message::Synced(wire::Synced { revision }))
}
