//! What the controller asks this host: each question is answered on a thread of its own, beside the session, which sends the
//! answers as they come.

use std::sync::Arc;

use api::{HostAnswer, Problem};
use proto::{MAX_ANSWER_BYTES, MAX_QUESTIONS, Question};
use tokio::sync::{Semaphore, mpsc};

use crate::asking;
use crate::run::Shared;

/// An answer, with the number of its question.
type Answer = (u64, Vec<u8>);

/// The questions of one session.
pub struct Questions {
    room: Arc<Semaphore>,
    sender: mpsc::Sender<Answer>,
    answers: mpsc::Receiver<Answer>,
}

impl Default for Questions {
    fn default() -> Self {
        let (sender, answers) = mpsc::channel(MAX_QUESTIONS);
        Self { room: Arc::new(Semaphore::new(MAX_QUESTIONS)), sender, answers }
    }
}

impl Questions {
    /// Begins to answer a question. One more than the controller may ask is refused.
    pub fn take(&self, core: &Shared, question: Question) {
        let (core, sender) = (Arc::clone(core), self.sender.clone());
        let place = Arc::clone(&self.room).try_acquire_owned();
        tokio::spawn(async move {
            let Question { number, content } = question;
            let answer = match place {
                Ok(place) => {
                    let answered = tokio::task::spawn_blocking(move || {
                        let _place = place;
                        asking::answer(&core, &content)
                    });
                    answered.await.unwrap_or_else(|_| failed("the agent failed; see its log"))
                }
                Err(_) => failed(&format!("the host has {MAX_QUESTIONS} questions to answer already; ask again later")),
            };
            // A session that has ended answers nothing.
            let _ = sender.send((number, answer)).await;
        });
    }

    /// Waits for the next answer.
    pub async fn answered(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            // It cannot be: this side holds a sender.
            None => std::future::pending().await,
        }
    }
}

fn failed(why: &str) -> Vec<u8> {
    HostAnswer::Refused(Problem::unavailable(why)).to_bytes(MAX_ANSWER_BYTES)
}
