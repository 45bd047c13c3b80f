//! Tokens, join tokens and the audit log.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Server;
use super::extract::{JsonBody, Name, NoParams, Params};
use super::resources::{page_size, with_location};
use crate::Problem;
use crate::fabric::{AuditQuery, Caller, Listing, NewJoinToken, NewToken, paths};
use crate::http::{Answer, json, ok, parse};

pub(super) async fn tokens(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    _: Params<NoParams>,
) -> Answer {
    let items = server.call(move |api| api.tokens(&caller)).await?;
    ok(&Listing { items })
}

pub(super) async fn token(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Name(name): Name,
    _: Params<NoParams>,
) -> Answer {
    let tokens = server.call(move |api| api.tokens(&caller)).await?;
    let token = tokens.into_iter().find(|token| token.name == name);
    let none = || format!("there is no token \"{name}\"; \"netvirt get tokens\" lists what there is");
    ok(&token.ok_or_else(|| Problem::not_found(none()))?)
}

pub(super) async fn create_token(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    _: Params<NoParams>,
    JsonBody(body): JsonBody,
) -> Answer {
    let token: NewToken = parse("a token", &body)?;
    let path = paths::token(&token.name);
    let created = server.call(move |api| api.create_token(&caller, token)).await?;
    Ok(secret(with_location(json(StatusCode::CREATED, &created), &path)))
}

pub(super) async fn delete_token(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Name(name): Name,
    _: Params<NoParams>,
) -> Answer {
    server.call(move |api| api.delete_token(&caller, &name)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn create_join_token(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    _: Params<NoParams>,
    JsonBody(body): JsonBody,
) -> Answer {
    let token: NewJoinToken = parse("a join token", &body)?;
    let created = server.call(move |api| api.create_join_token(&caller, token)).await?;
    Ok(secret(json(StatusCode::CREATED, &created)))
}

pub(super) async fn audit(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<AuditQuery>,
) -> Answer {
    page_size(query.limit)?;
    let items = server.call(move |api| api.audit(&caller, query)).await?;
    ok(&Listing { items })
}

/// Keeps a secret out of caches (RFC 9111, section 5.2.2.5).
pub(super) fn secret(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
