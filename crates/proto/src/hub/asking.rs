//! Questions to hosts: each goes into the queue of a session, and whoever asked waits for the answer of its number.
//!
//! **Invariant:** a host has at most [`MAX_QUESTIONS`] to answer, of one asker at most [`MAX_QUESTIONS_OF_ONE`], and answers that
//! nobody waits for are not kept. No number is given twice, so that a late answer is never taken for that of another question.

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

/// Questions of one asker to one host that are under way at once, so that nobody takes all places of a host.
pub const MAX_QUESTIONS_OF_ONE: usize = 4;

/// A question for whose answer nobody waits any more has its place until the agent has answered, since it works on it, but no
/// longer than so.
const MAX_UNAWAITED: Duration = Duration::from_secs(30);

/// A question that is under way.
#[derive(Debug)]
struct Place {
    /// Who asks.
    asker: String,
    began: Instant,
    /// Who waits for the answer, if anybody still does.
    waits: Option<SyncSender<Vec<u8>>>,
}

impl Place {
    /// Whether it still counts.
    fn lasts(&self, now: Instant) -> bool {
        self.waits.is_some() || now.saturating_duration_since(self.began) < MAX_UNAWAITED
    }
}

/// What is under way, by the numbers of the questions.
type Pending = Mutex<HashMap<u64, Place>>;

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
        if let Some(among) = self.among.upgrade()
            && let Some(place) = among.lock().get_mut(&self.number)
        {
            place.waits = None;
        }
    }
}

impl Hub {
    /// Asks a host something; `asker` is whose part of the host's places it takes, `about` is the name of the question, of those
    /// that its agent said that it knows.
    ///
    /// It does not block: the answer is waited for with [`Waiting::wait`].
    ///
    /// # Errors
    /// When it cannot be asked now.
    pub fn ask(&self, host: &ResourceName, asker: &str, about: &str, content: Vec<u8>) -> Result<Waiting, AskError> {
        let mut state = self.state.lock();
        let State { hosts, questions, .. } = &mut *state;
        let live = hosts.get(host).and_then(|known| known.session.as_ref()).ok_or(AskError::NotConnected)?;
        let asked = &live.asked;
        if !asked.known.contains(about) {
            return Err(AskError::Unknown { version: asked.version.clone() });
        }
        let (mut waiting, now) = (asked.waiting.lock(), Instant::now());
        waiting.retain(|_, place| place.lasts(now));
        if waiting.values().filter(|place| place.asker == asker).count() >= MAX_QUESTIONS_OF_ONE {
            return Err(AskError::Share);
        }
        // Beside too many questions, a queue that is half full: what is declared goes before them.
        if waiting.len() >= MAX_QUESTIONS || live.queue.capacity() * 2 <= live.queue.max_capacity() {
            return Err(AskError::Busy);
        }
        *questions += 1;
        let number = *questions;
        let question = Encoded::new(Message::Question(wire::Question { number, content: content.into() }));
        live.queue.try_send(Queued::Messages(Arc::from([question]))).map_err(|_| AskError::Gone)?;
        let (sender, answer) = sync_channel(1);
        waiting.insert(number, Place { asker: asker.to_owned(), began: now, waits: Some(sender) });
        Ok(Waiting { number, among: Arc::downgrade(&asked.waiting), began: now, answer })
    }

    /// Hands an answer to whoever waits for it. One that nobody waits for any more has come too late.
    pub(super) fn take_answer(&self, host: &ResourceName, session: u64, answer: wire::Answer) {
        let state = self.state.lock();
        let live = state.hosts.get(host).and_then(|known| known.session.as_ref());
        let Some(live) = live.filter(|live| live.number == session) else { return };
        if let Some(waits) = live.asked.waiting.lock().remove(&answer.number).and_then(|place| place.waits) {
            // It has room for the one answer; who asked may have gone in this moment.
            let _ = waits.try_send(answer.content.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_lasts_while_somebody_waits_and_some_time_longer() {
        let began = Instant::now();
        let place = |waits| Place { asker: "tim".to_owned(), began, waits };
        let late = began + MAX_UNAWAITED;
        assert!(place(Some(sync_channel(1).0)).lasts(late));
        assert!(place(None).lasts(began) && !place(None).lasts(late));
    }
}
