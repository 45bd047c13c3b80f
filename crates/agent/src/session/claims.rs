//! Ports that any host may plug: who plugs one here asks the controller, through the session, and waits for its answer.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::client::{ClientError, Session};
use proto::{Claim, ClaimAnswer};
use tokio::sync::{mpsc, oneshot};

/// Questions that wait until the session takes them.
const WAITING: usize = 64;

/// Why there is no port.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClaimError {
    /// The controller says no.
    #[error("the controller refuses: {0}")]
    Refused(String),
    /// Nobody can say.
    #[error("the controller does not answer; \"netvirt status\" says why, try again when it is connected")]
    NotConnected,
}

/// A question, and where its answer goes.
struct Asked {
    claim: Claim,
    answer: oneshot::Sender<Result<(), ClaimError>>,
}

/// Asks the controller from any thread that may block.
#[derive(Clone)]
pub struct Claimant(mpsc::Sender<Asked>);

impl Claimant {
    /// Claims a port or releases it, and waits until that is in force.
    ///
    /// # Errors
    /// What the controller says, or that it says nothing.
    pub fn ask(&self, claim: Claim) -> Result<(), ClaimError> {
        let (answer, answered) = oneshot::channel();
        // A session that has ended for good, or ends meanwhile, answers nothing.
        self.0.blocking_send(Asked { claim, answer }).map_err(|_| ClaimError::NotConnected)?;
        answered.blocking_recv().unwrap_or(Err(ClaimError::NotConnected))
    }
}

/// The session's side: what was asked and is not answered yet.
pub struct Claims {
    queue: mpsc::Receiver<Asked>,
    pending: BTreeMap<u64, oneshot::Sender<Result<(), ClaimError>>>,
    next: u64,
    /// What has come, and is said when all that came before it is in force.
    answers: Vec<ClaimAnswer>,
}

/// A question that the session has taken.
pub struct Taken(Asked);

impl Claims {
    /// Both sides.
    pub fn new() -> (Claimant, Self) {
        let (sender, queue) = mpsc::channel(WAITING);
        (Claimant(sender), Self { queue, pending: BTreeMap::new(), next: 1, answers: Vec::new() })
    }

    /// Waits for a question.
    pub async fn asked(&mut self) -> Taken {
        match self.queue.recv().await {
            Some(asked) => Taken(asked),
            // Nobody can ask any more.
            None => std::future::pending().await,
        }
    }

    /// Hands a question on.
    pub async fn hand_on(&mut self, session: &Session, Taken(asked): Taken) -> Result<(), ClientError> {
        let number = self.next;
        self.next += 1;
        self.pending.insert(number, asked.answer);
        session.claim(number, &asked.claim).await
    }

    /// Takes an answer in.
    pub fn heard(&mut self, answer: ClaimAnswer) {
        self.answers.push(answer);
    }

    /// Says what has come to those who asked.
    pub fn deliver(&mut self) {
        for ClaimAnswer { number, refusal } in std::mem::take(&mut self.answers) {
            let Some(asked) = self.pending.remove(&number) else { continue };
            // Who asked may have gone.
            let _ = asked.send(refusal.map_or(Ok(()), |refusal| Err(ClaimError::Refused(refusal))));
        }
    }

    /// The session has ended. For so long nobody is answered; whoever asks is told so at once.
    pub async fn refuse_for(&mut self, time: Duration) {
        self.pending.clear();
        self.answers.clear();
        let refuse = async {
            loop {
                let Taken(asked) = self.asked().await;
                let _ = asked.answer.send(Err(ClaimError::NotConnected));
            }
        };
        let _: Result<(), _> = tokio::time::timeout(time, refuse).await;
    }
}
