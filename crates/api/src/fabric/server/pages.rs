//! Pages for browsers: requests that are not the REST interface's go to whoever makes the pages, on a thread that may block.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::watch::{KEEP_ALIVE, PULSE, QUEUE};
use super::{MAX_WATCHES, Server, no_such_path};
use crate::Problem;
use crate::fabric::{PageAnswer, PageBody, PageEvents, PageMethod, PageRequest, Pages};
use crate::http::{self, Failure, Peer, body_of};

/// Most bytes of a form: one with a file of YAML in a field.
const MAX_FORM_BYTES: usize = 1 << 20;

/// Whether a path is the REST interface's, or one that belongs to no page in any case.
pub(super) fn is_rest(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/") || path == crate::fabric::paths::HEALTH
}

/// Answers a request that no path of the REST interface is for.
pub(super) async fn page(State(server): State<Server>, uri: Uri, request: Request) -> Response {
    match &server.pages {
        Some(pages) if !is_rest(uri.path()) => {
            let pages = Arc::clone(pages);
            answer(server, pages, request).await.unwrap_or_else(IntoResponse::into_response)
        }
        _ => no_such_path(uri).await.into_response(),
    }
}

async fn answer(server: Server, pages: Arc<dyn Pages>, request: Request) -> Result<Response, Failure> {
    let method = match *request.method() {
        Method::GET | Method::HEAD => PageMethod::Get,
        Method::POST => PageMethod::Post,
        _ => return Err(http::no_such_method(request.method().clone(), request.uri().clone()).await),
    };
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let asked = PageRequest {
        method,
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        fields: fields(request.headers()),
        body: body_of(request, MAX_FORM_BYTES).await?.to_vec(),
        peer,
    };
    let PageAnswer { status, fields, body } = http::blocking(move || Ok(pages.answer(&asked))).await?;
    let mut response = match body {
        PageBody::Whole(bytes) => Body::from(bytes).into_response(),
        PageBody::Events(events) => stream(&server, events)?,
    };
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // Without one, a browser would have to guess.
    if matches!(response.headers().get(header::CONTENT_TYPE), Some(kind) if kind == "application/octet-stream") {
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    for (name, value) in fields {
        // A value that cannot stand in a head is left out, rather than the page.
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    Ok(response)
}

/// The header fields that are text; several of one name are joined (RFC 9110, section 5.3; of cookies RFC 9113, section 8.2.3).
fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let joined = |name: &HeaderName| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let between = if name == header::COOKIE { "; " } else { ", " };
        (name.as_str().to_owned(), values.collect::<Vec<_>>().join(between))
    };
    headers.keys().map(joined).collect()
}

/// Sends events until either side ends.
fn stream(server: &Server, mut events: Box<dyn PageEvents>) -> Result<Response, Failure> {
    let slot = Arc::clone(&server.watches).try_acquire_owned().map_err(|_| {
        let detail = format!("{MAX_WATCHES} watches are open, which is the most; end one, or try again later");
        Problem::unavailable(detail)
    })?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let pump = move || {
        while !sender.is_closed() {
            let frame = match events.next(PULSE) {
                Ok(None) => continue,
                Ok(Some(event)) => Frame::default().event(event.name).data(event.data),
                Err(_) => break,
            };
            if sender.blocking_send(frame).is_err() {
                break;
            }
        }
        drop(slot);
    };
    std::thread::Builder::new().name("netvirt-page".to_owned()).spawn(pump).map_err(|error| {
        Problem::unavailable(format!("the system gives no thread for the page ({error}); try again later"))
    })?;
    let mut stopping = server.stopping.clone();
    let stopped = async move {
        // An error means that the server is gone altogether.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let frames = futures_util::StreamExt::take_until(ReceiverStream::new(receiver), Box::pin(stopped));
    let frames = frames.map(Ok::<_, Infallible>);
    Ok(Sse::new(frames).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}
