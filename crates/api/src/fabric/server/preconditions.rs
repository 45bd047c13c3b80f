//! ETags and the preconditions that name them (RFC 9110, sections 8.8.3 and 13.1). A resource's ETag is its revision.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::http::Failure;
use crate::{Problem, ProblemType};

/// What a list of ETags says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Tags {
    /// `*`: whatever it is.
    Any,
    /// One of these revisions. ETags that no resource can have are left out.
    Of(Vec<u64>),
}

impl Tags {
    /// Whether a resource of this revision is meant.
    pub(super) fn matches(&self, revision: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Of(revisions) => revisions.contains(&revision),
        }
    }
}

/// The ETag of a revision.
pub(super) fn etag(revision: u64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{revision}\"")).ok()
}

/// `If-Match`, which compares strongly: a weak ETag (`W/"5"`) never matches.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<Tags>, Failure> {
    tags(headers, &header::IF_MATCH, false)
}

/// `If-None-Match`, which compares weakly.
pub(super) fn if_none_match(headers: &HeaderMap) -> Result<Option<Tags>, Failure> {
    tags(headers, &header::IF_NONE_MATCH, true)
}

fn tags(headers: &HeaderMap, name: &HeaderName, weak: bool) -> Result<Option<Tags>, Failure> {
    let mut found = None;
    for value in headers.get_all(name) {
        let malformed = || {
            let value = String::from_utf8_lossy(value.as_bytes());
            let detail = format!("{name}: {value} is not a list of ETags; write one such as \"12\", or *");
            Failure(Problem::bad_request(detail))
        };
        let text = value.to_str().map_err(|_| malformed())?.trim();
        if text == "*" {
            return Ok(Some(Tags::Any));
        }
        let revisions = found.get_or_insert_with(Vec::new);
        for tag in text.split(',').map(str::trim) {
            let (is_weak, quoted) = match tag.strip_prefix("W/") {
                Some(quoted) => (true, quoted),
                None => (false, tag),
            };
            let opaque = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(malformed)?;
            if let Ok(revision) = opaque.parse()
                && (weak || !is_weak)
            {
                revisions.push(revision);
            }
        }
    }
    Ok(found.map(Tags::Of))
}

/// The problem of an `If-Match` that no revision can fulfil.
pub(super) fn changed(key: &model::fabric::Key, revision: u64) -> Problem {
    let detail = format!(
        "{key} has revision {revision}, which is none of those that If-Match names; get it anew, see what has changed, \
         and try again"
    );
    Problem::new(ProblemType::PreconditionFailed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static str, weak: bool) -> Result<Option<Tags>, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_static(value));
        tags(&headers, &header::IF_MATCH, weak)
    }

    #[test]
    fn lists_of_etags_are_read_as_the_rfc_writes_them() {
        for (value, weak, expected) in [
            ("*", false, Tags::Any),
            ("\"12\"", false, Tags::Of(vec![12])),
            ("\"12\" , \"13\"", false, Tags::Of(vec![12, 13])),
            ("W/\"12\"", false, Tags::Of(vec![])),
            ("W/\"12\"", true, Tags::Of(vec![12])),
            ("\"xyzzy\"", true, Tags::Of(vec![])),
        ] {
            assert_eq!(read(value, weak).ok().flatten(), Some(expected), "{value}");
        }
        for value in ["12", "\"12", "", "\"12\" \"13\"x"] {
            assert!(read(value, false).is_err(), "{value}");
        }
        assert!(matches!(tags(&HeaderMap::new(), &header::IF_MATCH, false), Ok(None)));
    }
}
