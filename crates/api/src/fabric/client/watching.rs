//! A watch over HTTPS that outlives its connections.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Response};
use model::fabric::Key;
use tokio::sync::mpsc;

use super::connection::{Connector, Question};
use super::frames::{Frame, Frames};
use super::{ClientError, OwnRuntime, refusal, with_query};
use crate::fabric::paths::{self, PROBLEM_EVENT};
use crate::fabric::server::KEEP_ALIVE;
use crate::fabric::{Event, EventKind, WatchQuery};
use crate::{Problem, ProblemType};

/// Events that wait for the caller; while he takes none, the controller's connection waits too.
const QUEUE: usize = 64;
/// The pause before a connection is made anew, and what it grows to while that fails.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// A connection on which nothing comes for so long, not even a sign of life, is dead.
const SILENCE: Duration = Duration::from_secs(3 * KEEP_ALIVE.as_secs());

/// The events of a watch. Dropping it ends the watch.
///
/// When the connection breaks it is made anew, from the last event on, as often as it takes: no event is lost or told
/// twice, but for events of sort [`EventKind::Status`], which may be told again.
///
/// [`Watching::trouble`] says whether it is without one.
#[derive(Debug)]
pub struct Watching {
    events: mpsc::Receiver<Result<Event, ClientError>>,
    trouble: Trouble,
    runtime: Arc<OwnRuntime>,
}

impl Watching {
    pub(super) fn start(
        connector: Arc<Connector>,
        runtime: Arc<OwnRuntime>,
        query: WatchQuery,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let (sender, events) = mpsc::channel(QUEUE);
        let trouble = Trouble::default();
        let its = trouble.clone();
        let watch = Resuming { connector, query, timeout, last: None, told: BTreeSet::new(), trouble: its };
        runtime.wait(async {
            let response = watch.connect().await?;
            tokio::spawn(watch.run(response, sender));
            Ok::<_, ClientError>(())
        })??;
        Ok(Self { events, trouble, runtime })
    }

    /// Why there is no connection at this moment; none while there is one.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.get()
    }

    /// The next event; `Ok(None)` if there was none within `timeout`. After an error there are no more.
    ///
    /// # Errors
    /// When the controller refuses to go on: the token holds no longer, or events were lost because the caller or the
    /// way was too slow ([`ProblemType::Gone`]: list again).
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Event>, ClientError> {
        let events = &mut self.events;
        match self.runtime.wait(async { tokio::time::timeout(timeout, events.recv()).await })? {
            Err(_) => Ok(None),
            Ok(Some(event)) => event.map(Some),
            Ok(None) => Err(ended()),
        }
    }
}

/// What a watch says that has told its error already.
fn ended() -> ClientError {
    Problem::new(ProblemType::Gone, "the watch has ended; begin a new one").into()
}

/// Why a watch has no connection, for those who wait for its events.
#[derive(Clone, Default, Debug)]
struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, reason: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// The task behind a watch.
struct Resuming {
    trouble: Trouble,
    connector: Arc<Connector>,
    query: WatchQuery,
    timeout: Duration,
    /// The revision of the last event, or the one with which the watch began.
    last: Option<u64>,
    /// What was told of that revision, which the controller tells again after a resumption.
    told: BTreeSet<Key>,
}

/// Why reading ended.
enum End {
    /// The way broke; it may be better next time.
    Broken(String),
    /// The controller does not want to go on, or nobody listens.
    Final,
}

impl Resuming {
    /// A connection on which events come.
    async fn connect(&self) -> Result<Response<Incoming>, ClientError> {
        let WatchQuery { kind, tenant, name, from } = &self.query;
        // Of the last revision there may be events that were not told yet, but for a revision without any told.
        let told = u64::from(!self.told.is_empty());
        let from = self.last.map(|last| last.saturating_sub(told)).or(*from);
        let text = |value: &dyn ToString| value.to_string();
        let parameters = [
            ("kind", kind.as_ref().map(|kind| text(kind))),
            ("tenant", tenant.as_ref().map(|tenant| text(tenant))),
            ("name", name.as_ref().map(|name| text(name))),
            ("from", from.as_ref().map(|from| text(from))),
        ];
        let question = Question::new(Method::GET, with_query(paths::WATCH.to_owned(), &parameters));
        let starting = tokio::time::timeout(self.timeout, self.connector.start(&question));
        let url = self.connector.url();
        let (response, _) = starting
            .await
            .map_err(|_| ClientError::Timeout { url: url.to_owned(), seconds: self.timeout.as_secs() })??;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| self.connector.broken(&error))?;
        Err(refusal(url, &question.name(), status, &body.to_bytes()))
    }

    async fn run(mut self, first: Response<Incoming>, sender: mpsc::Sender<Result<Event, ClientError>>) {
        let mut response = first;
        loop {
            let End::Broken(reason) = self.read(response, &sender).await else { return };
            tracing::debug!(reason, url = self.connector.url(), "a watch lost its connection");
            self.trouble.set(Some(format!("the connection to {} broke: {reason}", self.connector.url())));
            let mut pause = PAUSES[0];
            response = loop {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = sender.closed() => return,
                }
                match self.connect().await {
                    Ok(response) => {
                        self.trouble.set(None);
                        break response;
                    }
                    Err(error) if is_final(&error) => {
                        // Nobody may be listening any more.
                        let _ = sender.send(Err(error)).await;
                        return;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a watch is not resumed yet");
                        self.trouble.set(Some(error.to_string()));
                    }
                }
                pause = (pause * 2).min(PAUSES[1]);
            };
        }
    }

    /// Hands on what comes.
    async fn read(&mut self, response: Response<Incoming>, sender: &mpsc::Sender<Result<Event, ClientError>>) -> End {
        let (mut body, mut frames) = (response.into_body(), Frames::default());
        loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(SILENCE, body.frame()) => frame,
                () = sender.closed() => return End::Final,
            };
            let bytes = match frame {
                Err(_) => return End::Broken(format!("nothing came for {} s", SILENCE.as_secs())),
                Ok(None) => return End::Broken("the controller closed it".to_owned()),
                Ok(Some(Err(error))) => return End::Broken(error.to_string()),
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            };
            let whole = match frames.push(&bytes) {
                Ok(whole) => whole,
                Err(error) => return End::Broken(error.to_string()),
            };
            for frame in whole {
                let (message, last) = self.judge(&frame);
                if let Some(message) = message
                    && sender.send(message).await.is_err()
                {
                    return End::Final;
                }
                if last {
                    return End::Final;
                }
            }
        }
    }

    /// What the caller is told of an event, and whether it is the last.
    fn judge(&mut self, frame: &Frame) -> (Option<Result<Event, ClientError>>, bool) {
        let request = || format!("GET {}", paths::WATCH);
        if frame.event == PROBLEM_EVENT {
            let error = match serde_json::from_str::<Problem>(&frame.data) {
                Ok(problem) if problem.problem_type == ProblemType::Unauthorized => {
                    ClientError::TokenRefused { url: self.connector.url().to_owned(), problem: Box::new(problem) }
                }
                Ok(problem) => problem.into(),
                Err(error) => ClientError::Answer { request: request(), reason: error.to_string() },
            };
            return (Some(Err(error)), true);
        }
        if frame.data.is_empty() {
            // Where the watch begins, so that nothing is lost if it breaks before the first event.
            self.last = self.last.or(frame.id.as_deref().and_then(|id| id.parse().ok()));
            return (None, false);
        }
        let event: Event = match serde_json::from_str(&frame.data) {
            Ok(event) => event,
            Err(error) => {
                return (Some(Err(ClientError::Answer { request: request(), reason: error.to_string() })), true);
            }
        };
        if self.last != Some(event.revision) {
            // One that is older than what was told comes of a resumption too.
            if self.last.is_some_and(|last| event.revision < last) {
                return (None, false);
            }
            self.last = Some(event.revision);
            self.told.clear();
        }
        let repeated = event.event != EventKind::Status && !self.told.insert(event.item.key());
        (if repeated { None } else { Some(Ok(event)) }, false)
    }
}

/// Whether trying again cannot help.
fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Refused(problem) => (400..500).contains(&problem.status),
        ClientError::TokenRefused { .. } | ClientError::Answer { .. } | ClientError::WrongAuthority(_) => true,
        _ => false,
    }
}
