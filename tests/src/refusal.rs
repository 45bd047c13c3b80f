//! How a controller refuses: as a problem (RFC 9457) to HTTP clients, in the same sentence on the command line.

use lab::Output;
use serde_json::{Value, json};

use crate::fabric::Fabric;
use crate::rest::Reply;

/// What the controller said, which must be a problem of this status.
#[track_caller]
pub fn problem(reply: &Reply, status: u16) -> String {
    let (name, title) = match status {
        400 => ("bad-request", "The request cannot be understood"),
        404 => ("not-found", "Not found"),
        409 => ("conflict", "Conflict with what is there"),
        412 => ("precondition-failed", "It was changed in the meantime"),
        413 => ("too-large", "The request is too large"),
        _ => ("invalid", "The change cannot be carried out"),
    };
    assert_eq!((reply.status, reply.content_type.as_str()), (status, "application/problem+json"), "{reply:?}");
    let kind = format!("https://netvirt.example/problems/{name}");
    let members = (&reply.body["type"], &reply.body["title"], &reply.body["status"]);
    assert_eq!(members, (&json!(kind), &json!(title), &json!(status)), "{reply:?}");
    reply.body["detail"].as_str().unwrap_or_else(|| panic!("no detail: {reply:?}")).to_owned()
}

/// What `netvirt` said, which must have refused: its sentences in one, as a problem has them.
#[track_caller]
pub fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}: {}{}", output.program, output.stdout, output.stderr);
    assert_eq!(output.stdout, "", "{}", output.program);
    let sentences: Vec<_> = output.stderr.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    sentences.join("; ")
}

/// A verb and a request that ask for the same are refused with one sentence, in which `words` stand; without verb the
/// request alone.
#[track_caller]
pub fn refused_both(
    fabric: &Fabric,
    command: &str,
    request: (&str, &str, &[&str], Option<&Value>),
    status: u16,
    words: &str,
) {
    let (method, path, headers, body) = request;
    let sentence = problem(&fabric.rest().ask(method, path, headers, body), status);
    assert!(sentence.contains(words), "{method} {path}: {sentence}");
    if !command.is_empty() {
        let arguments: Vec<_> = command.split_whitespace().collect();
        assert_eq!(complaint(&fabric.try_op(&arguments)), sentence, "netvirt {command}");
    }
}
