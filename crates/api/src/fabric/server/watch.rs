//! The stream of events (WHATWG HTML, "Server-sent events"). The id of an event is its revision.
//!
//! A revision can have several events, and a connection can break between them. So a client that resumes with
//! `Last-Event-ID` is told the events of that revision again; `from` means those after it. What comes first is an id
//! without an event: the revision with which the watch begins.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use futures_util::StreamExt;
use model::fabric::{Kind, ResourceName};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::extract::Params;
use super::{MAX_WATCHES, Secret, Server};
use crate::fabric::paths::PROBLEM_EVENT;
use crate::fabric::{Caller, Event, EventKind, Watch, WatchQuery};
use crate::http::{Answer, Failure};
use crate::{Problem, ProblemType};

/// How often a comment shows that the connection lives, when nothing else does.
pub(in crate::fabric) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often a watch looks whether its client is still there and its token still holds.
pub(super) const PULSE: Duration = Duration::from_secs(1);
/// Events that wait for a slow client here; those behind them wait in the controller, which ends the watch when they
/// are too many.
pub(super) const QUEUE: usize = 64;

/// What may follow the question mark.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WatchParams {
    kind: Option<Kind>,
    tenant: Option<ResourceName>,
    name: Option<ResourceName>,
    from: Option<u64>,
}

pub(super) async fn watch(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Extension(Secret(shown)): Extension<Secret>,
    Params(params): Params<WatchParams>,
    headers: HeaderMap,
) -> Answer {
    let WatchParams { kind, tenant, name, from } = params;
    let from = last_event_id(&headers)?.map(|last| last.saturating_sub(1)).or(from);
    let slot = Arc::clone(&server.watches).try_acquire_owned().map_err(|_| {
        let detail = format!("{MAX_WATCHES} watches are open, which is the most; end one, or try again later");
        Problem::unavailable(detail)
    })?;
    let (watch, from) = server
        .call(move |api| {
            // Who begins now is told when that is; a caller who may not know it has to do without.
            let from = from.or_else(|| api.status(&caller).ok().map(|status| status.revision));
            Ok((api.watch(&caller, WatchQuery { kind, tenant, name, from })?, from))
        })
        .await?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let api = Arc::clone(&server.api);
    let pump = move || {
        pump(watch, &sender, || api.authenticate(&shown).map(drop));
        drop(slot);
    };
    std::thread::Builder::new().name("netvirt-watch".to_owned()).spawn(pump).map_err(|error| {
        Problem::unavailable(format!("the system gives no thread for the watch ({error}); try again later"))
    })?;
    let mut stopping = server.stopping.clone();
    let stopped = async move {
        // An error means that the server is gone altogether.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let begin = from.map(|revision| Ok(Frame::default().id(revision.to_string())));
    let frames = ReceiverStream::new(receiver).map(Ok::<_, Infallible>).take_until(Box::pin(stopped));
    Ok(Sse::new(futures_util::stream::iter(begin).chain(frames))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response())
}

/// Takes events out of a watch and hands them on, until the client or its token is gone or the watch ends.
fn pump(mut watch: Box<dyn Watch>, sender: &mpsc::Sender<Frame>, holds: impl Fn() -> Result<(), Problem>) {
    let mut checked = Instant::now();
    while !sender.is_closed() {
        let mut next = watch.next(PULSE);
        if checked.elapsed() >= PULSE {
            checked = Instant::now();
            if let Err(problem) = holds() {
                next = Err(problem);
            }
        }
        let frame = match &next {
            Ok(None) => continue,
            Ok(Some(event)) => frame(event),
            Err(problem) => Frame::default().event(PROBLEM_EVENT).data(written(problem)),
        };
        if sender.blocking_send(frame).is_err() || next.is_err() {
            return;
        }
    }
}

fn frame(event: &Event) -> Frame {
    let name = match event.event {
        EventKind::Changed => "changed",
        EventKind::Deleted => "deleted",
        EventKind::Status => "status",
    };
    Frame::default().event(name).id(event.revision.to_string()).data(written(event))
}

/// JSON in one line.
fn written(value: &impl serde::Serialize) -> String {
    // What is written here are structures with text keys, which serde_json cannot fail on.
    serde_json::to_string(value).unwrap_or_default()
}

/// The revision of the last event that a resuming client has seen.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    match value.to_str().ok().and_then(|text| text.trim().parse().ok()) {
        Some(revision) => Ok(Some(revision)),
        None => {
            let value = String::from_utf8_lossy(value.as_bytes());
            let detail = format!("Last-Event-ID: {value} is no revision; send the id of the last event that was seen");
            Err(Failure(Problem::new(ProblemType::BadRequest, detail)))
        }
    }
}
