//! What goes out to one agent: the queue of its session as a stream of messages, which the network polls itself, so that
//! a change wakes one task for each agent and not two.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use model::fabric::ResourceName;
use plan::fabric::TopicId;
use tokio::sync::{mpsc, oneshot};

use super::{Hub, Queued, SessionEnd};
use crate::{Digest, Encoded};

/// All messages to one agent, as the network takes them. Ends when the session does, and says why.
pub struct Outgoing {
    hub: Arc<Hub>,
    host: ResourceName,
    /// What the session waits for, once it has begun.
    queue: Option<mpsc::Receiver<Queued>>,
    begin: Option<oneshot::Receiver<Begin>>,
    /// What is sent now, and how much of it has been.
    messages: Arc<[Encoded]>,
    sent: usize,
    /// What must be found out before anything else is sent.
    finding: Option<Finding>,
    /// Why the session has ended; taken when that has been said.
    end: Option<oneshot::Receiver<SessionEnd>>,
    _open: oneshot::Sender<()>,
}

/// None if the controller has failed.
type Finding = Pin<Box<dyn Future<Output = Option<Vec<Encoded>>> + Send>>;

/// What is known once the agent has said hello.
pub(super) struct Begin {
    pub known: BTreeMap<TopicId, Digest>,
    pub revision: u64,
    pub queue: mpsc::Receiver<Queued>,
}

/// The session's hold on what goes out.
pub struct Sending {
    begin: Option<oneshot::Sender<Begin>>,
    end: oneshot::Sender<SessionEnd>,
    open: oneshot::Receiver<()>,
}

impl Sending {
    /// Lets it begin. Only the first call counts.
    pub(super) fn begin(&mut self, begin: Begin) {
        if let Some(sender) = self.begin.take() {
            // The network has let go of it already: `closed` says so.
            let _ = sender.send(begin);
        }
    }

    /// Waits until the network has let go of it.
    pub async fn closed(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.open).await;
    }

    /// Ends it. An agent that does not read does not read this either: it sees the end of the stream, later.
    pub fn end(self, why: SessionEnd) {
        let _ = self.end.send(why);
    }
}

impl Outgoing {
    pub fn new(hub: Arc<Hub>, host: ResourceName) -> (Self, Sending) {
        let (begins, begin) = oneshot::channel();
        let (ends, end) = oneshot::channel();
        let (open, opened) = oneshot::channel();
        let outgoing = Self {
            hub,
            host,
            queue: None,
            begin: Some(begin),
            messages: Arc::from([]),
            sent: 0,
            finding: None,
            end: Some(end),
            _open: open,
        };
        (outgoing, Sending { begin: Some(begins), end: ends, open: opened })
    }

    /// What is to be done about the next thing that was queued: messages to send, or something to find out.
    fn take(&mut self, queued: Queued) {
        let (hub, host) = (Arc::clone(&self.hub), self.host.clone());
        match queued {
            Queued::Messages(messages) => (self.messages, self.sent) = (messages, 0),
            Queued::Resubscribe(revision) => {
                self.finding = Some(Box::pin(async move { hub.follow(&host, revision).await }));
            }
            Queued::Resync(topic) => {
                self.finding = Some(Box::pin(async move { Some(hub.resync(&host, &topic).await) }));
            }
        }
    }

    /// The next message; none if the controller has failed.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Encoded>> {
        loop {
            if let Some(message) = self.messages.get(self.sent) {
                self.sent += 1;
                return Poll::Ready(Some(message.clone()));
            }
            if let Some(finding) = &mut self.finding {
                let Some(messages) = ready!(finding.as_mut().poll(cx)) else { return Poll::Ready(None) };
                (self.finding, self.messages, self.sent) = (None, messages.into(), 0);
            } else if let Some(queue) = &mut self.queue {
                match ready!(queue.poll_recv(cx)) {
                    Some(queued) => self.take(queued),
                    // Whoever has closed the queue says why.
                    None => return Poll::Pending,
                }
            } else if let Some(begin) = &mut self.begin {
                let begun = ready!(Pin::new(begin).poll(cx));
                self.begin = None;
                let Ok(Begin { known, revision, queue }) = begun else { continue };
                self.queue = Some(queue);
                let (hub, host) = (Arc::clone(&self.hub), self.host.clone());
                self.finding = Some(Box::pin(async move { hub.arrange(&host, known, revision).await }));
            } else {
                // The session ends before it has begun, and says why.
                return Poll::Pending;
            }
        }
    }
}

impl Stream for Outgoing {
    type Item = Result<Encoded, tonic::Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(end) = &mut self.end else { return Poll::Ready(None) };
        if let Poll::Ready(end) = Pin::new(end).poll(cx) {
            self.end = None;
            let why = end.ok().filter(|end| *end != SessionEnd::Gone);
            return Poll::Ready(why.map(|end| Err(tonic::Status::aborted(end.to_string()))));
        }
        let message = ready!(self.poll_message(cx));
        if message.is_none() {
            self.end = None;
        }
        Poll::Ready(message.map(Ok))
    }
}
