//! Users and their passwords. Nobody signs in here: programs have tokens, and what people have are pages.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::Server;
use super::access::secret;
use super::extract::{JsonBody, Name, NoParams, Params};
use super::resources::with_location;
use crate::Problem;
use crate::fabric::accounts::{NewPassword, NewUser};
use crate::fabric::{Caller, Listing, paths};
use crate::http::{Answer, json, ok, parse};

pub(super) async fn users(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    _: Params<NoParams>,
) -> Answer {
    let items = server.call(move |api| api.users(&caller)).await?;
    ok(&Listing { items })
}

pub(super) async fn user(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Name(name): Name,
    _: Params<NoParams>,
) -> Answer {
    let users = server.call(move |api| api.users(&caller)).await?;
    let user = users.into_iter().find(|user| user.name == name);
    let none = || format!("there is no user \"{name}\"; \"netvirt get users\" lists what there is");
    ok(&user.ok_or_else(|| Problem::not_found(none()))?)
}

pub(super) async fn create_user(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    _: Params<NoParams>,
    JsonBody(body): JsonBody,
) -> Answer {
    let user: NewUser = parse("a user", &body)?;
    let path = paths::user(&user.name);
    let created = server.call(move |api| api.create_user(&caller, user)).await?;
    Ok(secret(with_location(json(StatusCode::CREATED, &created), &path)))
}

pub(super) async fn delete_user(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Name(name): Name,
    _: Params<NoParams>,
) -> Answer {
    server.call(move |api| api.delete_user(&caller, &name)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn set_password(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Name(name): Name,
    _: Params<NoParams>,
    JsonBody(body): JsonBody,
) -> Answer {
    let password: NewPassword = parse("a new password", &body)?;
    let set = server.call(move |api| api.set_password(&caller, &name, password)).await?;
    Ok(secret(json(StatusCode::OK, &set)))
}
