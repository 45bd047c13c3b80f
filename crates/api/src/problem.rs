//! What goes wrong, as a problem detail (RFC 9457).

use serde::{Deserialize, Serialize};

/// The media type of a [`Problem`] on the wire.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// What sort of problem it is; a program decides by it, a person reads the detail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub enum ProblemType {
    /// The request cannot be understood: no JSON, an unknown field, a path that contradicts the body.
    #[serde(rename = "https://netvirt.example/problems/bad-request")]
    BadRequest,
    /// Nobody has this token, or there is none.
    #[serde(rename = "https://netvirt.example/problems/unauthorized")]
    Unauthorized,
    /// The token does not allow it.
    #[serde(rename = "https://netvirt.example/problems/forbidden")]
    Forbidden,
    /// No such path, kind or resource.
    #[serde(rename = "https://netvirt.example/problems/not-found")]
    NotFound,
    /// The path exists, but not with this method.
    #[serde(rename = "https://netvirt.example/problems/method-not-allowed")]
    MethodNotAllowed,
    /// Contradicts what is there already: the resource exists, another one claims the same address.
    #[serde(rename = "https://netvirt.example/problems/conflict")]
    Conflict,
    /// The client did not send the whole request in time.
    #[serde(rename = "https://netvirt.example/problems/timeout")]
    Timeout,
    /// It was there, but is kept no longer: the past that a watch wants to begin with.
    #[serde(rename = "https://netvirt.example/problems/gone")]
    Gone,
    /// The resource has another revision than the caller saw.
    #[serde(rename = "https://netvirt.example/problems/precondition-failed")]
    PreconditionFailed,
    /// The body is larger than the path takes, [`crate::MAX_BODY_BYTES`] mostly.
    #[serde(rename = "https://netvirt.example/problems/too-large")]
    TooLarge,
    /// The body is of another media type than the path takes.
    #[serde(rename = "https://netvirt.example/problems/unsupported-media-type")]
    UnsupportedMediaType,
    /// Understood, but what would come of it cannot be carried out.
    #[serde(rename = "https://netvirt.example/problems/invalid")]
    Invalid,
    /// Asked too often; [`Problem::retry_after`] says when to try again.
    #[serde(rename = "https://netvirt.example/problems/too-many-requests")]
    TooManyRequests,
    /// The server failed: a bug, or the kernel refused.
    #[serde(rename = "https://netvirt.example/problems/internal")]
    Internal,
    /// It cannot be done now, but may later.
    #[serde(rename = "https://netvirt.example/problems/unavailable")]
    Unavailable,
    /// A type that this version does not know.
    #[serde(other, rename = "about:blank")]
    Other,
}

impl ProblemType {
    /// The HTTP status code.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::Timeout => 408,
            Self::Gone => 410,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::Internal | Self::Other => 500,
            Self::Unavailable => 503,
        }
    }

    /// The same few words for each problem of this type.
    pub const fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request cannot be understood",
            Self::Unauthorized => "Who asks is not known",
            Self::Forbidden => "The token does not allow it",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::Conflict => "Conflict with what is there",
            Self::Timeout => "The request did not arrive in time",
            Self::Gone => "No longer kept",
            Self::PreconditionFailed => "It was changed in the meantime",
            Self::TooLarge => "The request is too large",
            Self::UnsupportedMediaType => "The body is of the wrong media type",
            Self::Invalid => "The change cannot be carried out",
            Self::TooManyRequests => "Asked too often",
            Self::Internal => "The server failed",
            Self::Unavailable => "Not available now",
            Self::Other => "Problem",
        }
    }
}

/// A problem: what is wrong, with which value, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// What sort of problem.
    #[serde(rename = "type")]
    pub problem_type: ProblemType,
    /// The same few words for each problem of this type.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// The sentence for people; with several `errors`, all of them, joined by "; ".
    pub detail: String,
    /// Each sentence by itself when there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// After how many seconds it makes sense to try again; over HTTP it stands in `Retry-After` as well.
    #[serde(default, rename = "retryAfter", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem of one sentence.
    pub fn new(problem_type: ProblemType, detail: impl Into<String>) -> Self {
        Self {
            problem_type,
            title: problem_type.title().to_owned(),
            status: problem_type.status(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// A problem of several sentences at once, so that nobody has to mend them one by one.
    pub fn with_errors(problem_type: ProblemType, mut errors: Vec<String>) -> Self {
        let detail = errors.join("; ");
        if errors.len() == 1 {
            errors.clear();
        }
        Self { errors, ..Self::new(problem_type, detail) }
    }

    /// [`ProblemType::NotFound`].
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::NotFound, detail)
    }

    /// [`ProblemType::Conflict`].
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::Conflict, detail)
    }

    /// [`ProblemType::Invalid`].
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::Invalid, detail)
    }

    /// [`ProblemType::BadRequest`].
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::BadRequest, detail)
    }

    /// [`ProblemType::Internal`].
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::Internal, detail)
    }

    /// [`ProblemType::Unavailable`].
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::Unavailable, detail)
    }

    /// [`ProblemType::TooManyRequests`]: it makes sense again after so many seconds, as the sentence says too.
    pub fn too_many_requests(detail: impl Into<String>, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(ProblemType::TooManyRequests, detail) }
    }

    /// [`ProblemType::TooLarge`]: more than so many bytes.
    pub(crate) fn too_large(limit: usize) -> Self {
        let detail = format!("the request is larger than {} MiB; send the changes in several requests", limit >> 20);
        Self::new(ProblemType::TooLarge, detail)
    }

    /// The sentences, one or several.
    pub fn sentences(&self) -> impl Iterator<Item = &str> {
        let one = self.errors.is_empty().then_some(self.detail.as_str());
        one.into_iter().chain(self.errors.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_stands_in_the_detail_alone() {
        let problem = Problem::with_errors(ProblemType::Invalid, vec!["a".into()]);
        assert_eq!(problem, Problem::invalid("a"));
        assert_eq!(problem.sentences().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn several_sentences_are_kept_apart_and_joined() {
        let problem = Problem::with_errors(ProblemType::Conflict, vec!["a".into(), "b".into()]);
        assert_eq!(problem.to_string(), "a; b");
        assert_eq!(problem.sentences().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn the_members_are_those_of_the_rfc() {
        let json = serde_json::to_value(Problem::not_found("no port \"x\"")).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "https://netvirt.example/problems/not-found", "title": "Not found", "status": 404,
                "detail": "no port \"x\""
            })
        );
    }

    #[test]
    fn a_type_of_a_later_version_is_read_too() {
        let json = r#"{"type":"https://netvirt.example/problems/new","title":"New","status":418,"detail":"d"}"#;
        let problem: Problem = serde_json::from_str(json).unwrap();
        assert_eq!((problem.problem_type, problem.status), (ProblemType::Other, 418));
    }
}
