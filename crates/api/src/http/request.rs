//! Requests: bodies with a limit and a pace, JSON of a type, percent-encoding, and a line in the log for each.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::Failure;
use crate::paths::MAX_BODY_BYTES;
use crate::{Problem, ProblemType};

/// How long a client may pause while it sends a body.
const BODY_PAUSE: Duration = Duration::from_secs(30);

/// How long a client may pause while it sends what is left of a body that was refused for its size. One that sends nothing
/// more has its answer then.
const DISCARD_PAUSE: Duration = Duration::from_millis(300);

/// Bodies up to this size are read before anything is answered.
const SMALL_BODY: u64 = 64 << 10;

/// Keeps an early answer (401, 405, 415, ...) from being lost: a connection on which a body is left unread is closed, and
/// the client, still sending, may see that instead of the answer. So a small body is read first; after a large one that
/// was refused the client is told that the connection ends.
pub(crate) async fn settle_body(request: Request, next: Next) -> Response {
    let length = declared_length(request.headers());
    let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    match length {
        Some(1..=SMALL_BODY) if !chunked => {
            let (parts, body) = request.into_parts();
            match body_of(Request::new(body), MAX_BODY_BYTES).await {
                Ok(bytes) => next.run(Request::from_parts(parts, bytes.into())).await,
                Err(failure) => failure.into_response(),
            }
        }
        None | Some(0) if !chunked => next.run(request).await,
        _ => {
            let mut response = next.run(request).await;
            if !response.status().is_success() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    }
}

/// A whole body of at most [`MAX_BODY_BYTES`].
pub(crate) struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        body_of(request, MAX_BODY_BYTES).await.map(Self)
    }
}

/// Reads a whole body. One that says itself that it is too large is refused before any of it is kept.
pub(crate) async fn body_of(request: Request, limit: usize) -> Result<Bytes, Failure> {
    let length = declared_length(request.headers());
    if length.is_some_and(|length| length > limit as u64) {
        // Who asks first whether to send (RFC 9110, section 10.1.1) has not begun.
        if !request.headers().contains_key(header::EXPECT) {
            discard(request.into_body()).await;
        }
        return Err(Failure(Problem::too_large(limit)));
    }
    // The declared length is only believed so far, so that a client cannot reserve memory that it never fills.
    let mut bytes = Vec::with_capacity(usize::try_from(length.unwrap_or(0)).unwrap_or(0).min(1 << 20));
    let mut body = request.into_body();
    loop {
        let frame = tokio::time::timeout(BODY_PAUSE, body.frame()).await.map_err(|_| {
            let detail = format!("no more of the body came for {} s; send it at once", BODY_PAUSE.as_secs());
            Problem::new(ProblemType::Timeout, detail)
        })?;
        let Some(frame) = frame else { return Ok(bytes.into()) };
        let frame = frame.map_err(|error| Problem::bad_request(format!("the body cannot be read: {error}")))?;
        if let Ok(data) = frame.into_data() {
            if data.len() > limit - bytes.len() {
                discard(body).await;
                return Err(Failure(Problem::too_large(limit)));
            }
            bytes.extend_from_slice(&data);
        }
    }
}

/// Lets a client send what is left of a body, as much as the largest body has: many read the answer only then.
async fn discard(mut body: axum::body::Body) {
    let mut left = MAX_BODY_BYTES;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(DISCARD_PAUSE, body.frame()).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        if length > left {
            return;
        }
        left -= length;
    }
}

/// What the head says about the length of the body.
fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The body as JSON of a type, which is an object: serde would take a list of a structure's fields too.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, Failure> {
    if body.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(Failure(Problem::bad_request(format!("the body is not {what} in JSON: it is no object"))));
    }
    serde_json::from_slice(body)
        .map_err(|error| Failure(Problem::bad_request(format!("the body is not {what} in JSON: {error}"))))
}

/// Whether percent-encoding is as it must be: two hexadecimal digits behind each "%", and UTF-8 when it is decoded.
pub(crate) fn check_encoding(what: &str, text: &str) -> Result<(), Problem> {
    let malformed = text.split('%').skip(1).any(|rest| !rest.as_bytes().get(..2).is_some_and(is_hex));
    if malformed || percent_decode_str(text).decode_utf8().is_err() {
        return Err(Problem::bad_request(format!(
            "the {what} {text} is not percent-encoded UTF-8; write a \"%\" as %25 and other bytes as % and two \
             hexadecimal digits"
        )));
    }
    Ok(())
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

/// The path is there, but not for this method.
pub(crate) async fn no_such_method(method: Method, uri: Uri) -> Failure {
    let detail = format!("the path {} cannot be asked with {method}", uri.path());
    Failure(Problem::new(ProblemType::MethodNotAllowed, detail))
}

/// One line in the log for each request.
pub(crate) async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    tracing::debug!(%method, path, status = response.status().as_u16(), "request");
    response
}

#[cfg(test)]
mod tests {
    use super::check_encoding;

    #[test]
    fn percent_encoding_is_hexadecimal_and_utf8() {
        for good in ["/v1/ports", "/v1/ports/CA%20Pool", "%C3%BC", ""] {
            assert!(check_encoding("path", good).is_ok(), "{good}");
        }
        for bad in ["%", "%2", "%zz", "/v1/ports/%ff", "a%C3", "%é0"] {
            let problem = check_encoding("path", bad).unwrap_err();
            assert!(problem.detail.contains(bad) && problem.status == 400, "{problem}");
        }
    }
}
