//! What hosts are asked: paths below what it is about.

use axum::Extension;
use axum::extract::State;
use serde_json::Value;

use super::Server;
use super::extract::{JsonBody, Name, NoParams, Owned, Params};
use crate::Problem;
use crate::fabric::asking::AskedPorts;
use crate::fabric::{Answer as Told, Caller, Question};
use crate::http::{Answer, Failure, ok, parse};

/// Asks, and gives the part of the answer that is told.
async fn ask<T: serde::Serialize + Send + 'static>(
    server: Server,
    caller: Caller,
    question: Question,
    part: impl FnOnce(Told) -> Result<T, Problem> + Send + 'static,
) -> Answer {
    ok(&server.call(move |api| api.ask(&caller, question).and_then(part)).await?)
}

pub(super) async fn counters_of_one(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Owned { tenant, name }: Owned,
    _: Params<NoParams>,
) -> Answer {
    let one = |told: Told| {
        let mut traffic = told.counters()?;
        let lacking = traffic.unanswered.pop().map(|unanswered| unanswered.reason);
        traffic.ports.pop().ok_or_else(|| Problem::unavailable(lacking.unwrap_or_default()))
    };
    ask(server, caller, Question::Counters { tenant, ports: vec![name] }, one).await
}

pub(super) async fn counters(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Name(tenant): Name,
    _: Params<NoParams>,
    JsonBody(body): JsonBody,
) -> Answer {
    let AskedPorts { ports } = parse("a question about ports", &body)?;
    ask(server, caller, Question::Counters { tenant, ports }, Told::counters).await
}

pub(super) async fn host(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Name(host): Name,
    _: Params<NoParams>,
) -> Answer {
    ask(server, caller, Question::Host { host }, Told::host).await
}

pub(super) async fn tunnels(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Name(host): Name,
    _: Params<NoParams>,
) -> Answer {
    ask(server, caller, Question::Tunnels { host }, Told::tunnels).await
}

pub(super) async fn leases(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Owned { tenant, name }: Owned,
    _: Params<NoParams>,
) -> Answer {
    ask(server, caller, Question::Leases { tenant, vm_subnet: name }, Told::leases).await
}

pub(super) async fn trace(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Owned { tenant, name }: Owned,
    _: Params<NoParams>,
    JsonBody(body): JsonBody,
) -> Answer {
    let mut packet: Value = parse("a packet", &body)?;
    // Which port it is from, the path says already.
    if let Some(fields) = packet.as_object_mut() {
        let from = fields.entry("from").or_insert_with(|| name.as_str().into());
        if from.as_str() != Some(name.as_str()) {
            let detail = format!("the path is of port \"{name}\", but the packet is from {from}; make them the same");
            return Err(Failure(Problem::bad_request(detail)));
        }
    }
    let packet = parse("a packet", packet.to_string().as_bytes())?;
    ask(server, caller, Question::Trace { tenant, packet }, Told::trace).await
}
