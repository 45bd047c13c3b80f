//! Questions to hosts: each goes into the queue of a session, and whoever asked waits for the answer of its number.
//!
//! **Invariant:** a host has at most [`MAX_QUESTIONS`] to answer, and what nobody waits for is not kept.

use std::collections::{BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use model::fabric::ResourceName;
use parking_lot::Mutex;

use super::{Hub, Queued, State};
use crate::wire::controller_message::Message;
use crate::{AskError, Encoded, HostFacts, wire};

/// Questions to one host that are under way at once; one more is refused.
pub const MAX_QUESTIONS: usize = 16;

/// Who waits for answers, by the numbers of the questions.
type Pending = Mutex<HashMap<u64, SyncSender<Vec<u8>>>>;

/// What a session has been asked. With it goes whom nobody will answer any more.
#[derive(Default)]
pub(super) struct Asked {
    version: String,
    /// The questions that its agent knows.
    known: BTreeSet<String>,
    waiting: Arc<Pending>,
}

impl Asked {
    /// Nothing yet.
    pub fn of(facts: &HostFacts) -> Self {
        let known = facts.questions.iter().cloned().collect();
        Self { version: facts.version.clone(), known, ..Self::default() }
    }
}

/// An answer that has not come yet.
#[derive(Debug)]
pub struct Waiting {
    number: u64,
    /// The others of the session, for as long as that is on.
    among: Weak<Pending>,
    began: Instant,
    answer: Receiver<Vec<u8>>,
}

impl Waiting {
    /// Waits for the answer, for so long since it was asked. It blocks.
    ///
    /// # Errors
    /// When none comes, and why.
    pub fn wait(self, limit: Duration) -> Result<Vec<u8>, AskError> {
        self.answer.recv_timeout(limit.saturating_sub(self.began.elapsed())).map_err(|error| match error {
            RecvTimeoutError::Timeout => AskError::Late(limit),
            // Whoever would hand it on has gone with its session.
            RecvTimeoutError::Disconnected => AskError::Gone,
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(among) = self.among.upgrade() {
            among.lock().remove(&self.number);
        }
    }
}

impl Hub {
    /// Asks a host something; `about` is the name of the question, of those that its agent said that it knows.
    ///
    /// It does not block: the answer is waited for with [`Waiting::wait`].
    ///
    /// # Errors
    /// When it cannot be asked now.
    pub fn ask(&self, host: &ResourceName, about: &str, content: Vec<u8>) -> Result<Waiting, AskError> {
        let mut state = self.state.lock();
        let State { hosts, questions, .. } = &mut *state;
        let live = hosts.get(host).and_then(|known| known.session.as_ref()).ok_or(AskError::NotConnected)?;
        let asked = &live.asked;
        if !asked.known.contains(about) {
            return Err(AskError::Unknown { version: asked.version.clone() });
        }
        let mut waiting = asked.waiting.lock();
        // Beside too many questions, a queue that is half full: what is declared goes before them.
        if waiting.len() >= MAX_QUESTIONS || live.queue.capacity() * 2 <= live.queue.max_capacity() {
            return Err(AskError::Busy);
        }
        *questions += 1;
        let number = *questions;
        let question = Encoded::new(Message::Question(wire::Question { number, content: content.into() }));
        live.queue.try_send(Queued::Messages(Arc::from([question]))).map_err(|_| AskError::Gone)?;
        let (sender, answer) = sync_channel(1);
        waiting.insert(number, sender);
        Ok(Waiting { number, among: Arc::downgrade(&asked.waiting), began: Instant::now(), answer })
    }

    /// Hands an answer to whoever waits for it. One that nobody waits for any more has come too late.
    pub(super) fn take_answer(&self, host: &ResourceName, session: u64, answer: wire::Answer) {
        let state = self.state.lock();
        let live = state.hosts.get(host).and_then(|known| known.session.as_ref());
        let Some(live) = live.filter(|live| live.number == session) else { return };
        if let Some(waiting) = live.asked.waiting.lock().remove(&answer.number) {
            // It has room for the one answer; who asked may have gone in this moment.
            let _ = waiting.try_send(answer.content.into());
        }
    }
}
