//! Answers: JSON, and every error as problem+json (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::{PROBLEM_MEDIA_TYPE, Problem};

/// A problem on its way out.
pub(crate) struct Failure(pub Problem);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = with_status(status, PROBLEM_MEDIA_TYPE, &self.0);
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 11.6.1: an answer 401 says which sort of credentials is missing.
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"netvirt\""));
        }
        if let Some(seconds) = self.0.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What a handler gives back.
pub(crate) type Answer = Result<Response, Failure>;

/// A body of JSON with a status and a media type.
pub(crate) fn with_status(status: StatusCode, media_type: &'static str, value: &impl Serialize) -> Response {
    // What is written here are structures with text keys, which serde_json cannot fail on.
    let body = serde_json::to_vec(value).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response()
}

/// A body of JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    with_status(status, "application/json", value)
}

/// 200 with a body.
pub(crate) fn ok(value: &impl Serialize) -> Answer {
    Ok(json(StatusCode::OK, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_often_is_told_when_to_come_again() {
        let response = Failure(Problem::too_many_requests("wait 30 s", 30)).into_response();
        assert_eq!((response.status().as_u16(), response.headers()["retry-after"].as_bytes()), (429, &b"30"[..]));
        let response = Failure(Problem::unavailable("later")).into_response();
        assert!(!response.headers().contains_key("retry-after"));
    }
}
