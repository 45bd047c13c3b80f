//! What both servers, a host's and the controller's, do in the same way: accept connections, read requests, answer.

mod answer;
mod request;
mod serving;

pub(crate) use answer::{Answer, Failure, json, ok};
pub(crate) use request::{Body, body_of, check_encoding, log, no_such_method, parse, settle_body};
pub(crate) use serving::{Listen, Peer, serve};

use crate::Problem;

/// Calls a method, which may block, on a thread where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    method: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(method).await {
        Ok(answer) => answer.map_err(Failure),
        Err(error) => {
            tracing::error!(%error, "a request failed");
            Err(Failure(Problem::internal("the server failed while it answered, which is a bug; its log says where")))
        }
    }
}
