//! What a host tells the gateway that runs on it (`netvirt gateway`), and how that waits for news.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{QualifiedName, Resource};
use serde::{Deserialize, Serialize};

/// How long an answer waits for something to change, at most.
pub const GATEWAY_WAIT: Duration = Duration::from_secs(10);

/// All that the gateway of a host has to carry out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayWork {
    /// Says which state of it this is. Another state has another number, also after a restart of the agent.
    pub revision: u64,
    /// Name of the host.
    pub host: String,
    /// The host's gateway, if it is one, and its compartments, secrets in full.
    pub resources: Vec<Resource>,
    /// The MTU in bytes that each compartment's interface inside should have, as far as the agent knows: what the underlay
    /// leaves for packets of its VM network.
    pub mtus: BTreeMap<QualifiedName, u32>,
    /// Whether the controller has said so in the agent's present session with it; `true` where there is no controller. What is not
    /// confirmed was so when the last session ended, and another host may have been told otherwise since.
    #[serde(default = "confirmed")]
    pub confirmed: bool,
}

/// An agent of before this was told says nothing of it.
const fn confirmed() -> bool {
    true
}

/// Lets one wait for a number to become another one. Of several who wait, the one who came last goes on waiting.
#[derive(Debug)]
pub struct Bell {
    state: Mutex<Rung>,
    rung: Condvar,
}

#[derive(Debug)]
struct Rung {
    revision: u64,
    /// Grows with each who waits.
    turn: u64,
    closed: bool,
}

impl Bell {
    /// One that begins with this number.
    pub const fn new(revision: u64) -> Self {
        Self { state: Mutex::new(Rung { revision, turn: 0, closed: false }), rung: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, Rung> {
        // Who panicked left a number, which is as good as another.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number as it is.
    pub fn revision(&self) -> u64 {
        self.state().revision
    }

    /// Tells whoever waits that the number is this one now.
    pub fn ring(&self, revision: u64) {
        self.state().revision = revision;
        self.rung.notify_all();
    }

    /// Lets nobody wait any more.
    pub fn close(&self) {
        self.state().closed = true;
        self.rung.notify_all();
    }

    /// Returns when the number is not `after`, and in any case after `most`, when another one comes to wait, or when it is
    /// closed.
    pub fn wait(&self, after: Option<u64>, most: Duration) {
        let mut state = self.state();
        state.turn += 1;
        self.rung.notify_all();
        let turn = state.turn;
        let waits = |rung: &mut Rung| !rung.closed && rung.turn == turn && Some(rung.revision) == after;
        drop(self.rung.wait_timeout_while(state, most, waits));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Far longer than a test takes.
    const LONG: Duration = Duration::from_secs(60);

    fn waiting(bell: &Arc<Bell>, after: u64) -> std::thread::JoinHandle<()> {
        let (turn, waiter) = (bell.state().turn, Arc::clone(bell));
        let thread = std::thread::spawn(move || waiter.wait(Some(after), LONG));
        while bell.state().turn == turn {
            std::thread::yield_now();
        }
        thread
    }

    #[test]
    fn who_waits_is_woken_by_news_by_the_next_one_and_by_the_end() {
        let bell = Arc::new(Bell::new(7));
        bell.wait(None, LONG);
        bell.wait(Some(6), LONG);
        let first = waiting(&bell, 7);
        let second = waiting(&bell, 7);
        first.join().unwrap();
        bell.ring(8);
        second.join().unwrap();
        let third = waiting(&bell, 8);
        bell.close();
        third.join().unwrap();
        bell.wait(Some(8), LONG);
    }

    #[test]
    fn nobody_waits_for_ever() {
        Bell::new(7).wait(Some(7), Duration::from_millis(1));
    }
}
