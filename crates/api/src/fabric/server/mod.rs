//! A [`FabricApi`] over HTTPS: paths to methods, tokens to callers, and every error as problem+json.
//!
//! `resources` has the uniform paths of all kinds, `access` tokens and the audit log, `accounts` users, `bulk` export, import and
//! backup, `watch` the stream of events, `asking` what hosts are asked, `pages` hands browsers on; `extract` reads what all of them
//! read, `preconditions` ETags.

mod access;
mod accounts;
mod asking;
mod bulk;
mod extract;
mod listener;
mod pages;
mod preconditions;
mod resources;
mod watch;

use std::net::TcpListener;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Router};
use hyper::body::Bytes;
use model::fabric::Kind;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{Caller, ChangeSet, ControllerStatus, FabricApi, Pages, ServerTls, openapi, paths};
use crate::http::{self, Answer, Failure, check_encoding, ok};
use crate::{Problem, ProblemType};
use extract::{JsonBody, NoParams, Params, Target};
use listener::TlsListener;
pub(in crate::fabric) use watch::KEEP_ALIVE;

/// Most connections at once; who comes later waits in the listener's backlog.
pub const MAX_CONNECTIONS: usize = 1024;
/// Most watches at once, since each holds a thread; one more is refused with [`ProblemType::Unavailable`].
pub const MAX_WATCHES: usize = 256;

/// What all requests share.
#[derive(Clone)]
struct Server {
    api: Arc<dyn FabricApi>,
    /// Who makes pages for browsers; absent, there are none.
    pages: Option<Arc<dyn Pages>>,
    /// The OpenAPI document as it is sent.
    document: Bytes,
    /// One permit for each watch that may still be opened.
    watches: Arc<Semaphore>,
    /// Becomes true when the server stops, so that watches end.
    stopping: tokio::sync::watch::Receiver<bool>,
}

impl Server {
    /// Calls a method, which may block, on a thread where it may.
    async fn call<T: Send + 'static>(
        &self,
        method: impl FnOnce(&dyn FabricApi) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Failure> {
        let api = Arc::clone(&self.api);
        http::blocking(move || method(&*api)).await
    }
}

/// The secret that the caller showed, so that long requests can see whether it still holds.
#[derive(Clone)]
struct Secret(Arc<str>);

/// Serves the REST interface, and `pages` at all other paths, until `shutdown` is ready, then ends watches and lets what else is under way end within 5 s.
///
/// # Errors
/// When the listener cannot be given to the runtime.
pub async fn serve(
    listener: TcpListener,
    tls: ServerTls,
    api: Arc<dyn FabricApi>,
    pages: Option<Arc<dyn Pages>>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let listener = TlsListener::new(listener, &tls)?;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let server = Server {
        api,
        pages,
        document: openapi::document().to_string().into(),
        watches: Arc::new(Semaphore::new(MAX_WATCHES)),
        stopping,
    };
    let shutdown = async move {
        shutdown.await;
        stop.send_replace(true);
    };
    http::serve(listener, router(server), MAX_CONNECTIONS, shutdown).await;
    Ok(())
}

/// The paths.
fn router(server: Server) -> Router {
    let mut router = Router::new()
        .route(paths::HEALTH, get(health))
        .route(paths::OPENAPI, get(document))
        .route(paths::STATUS, get(status))
        .route(paths::CHANGES, post(changes))
        .route(paths::WATCH, get(watch::watch))
        .route(paths::TOKENS, get(access::tokens).post(access::create_token))
        .route(paths::TOKEN, delete(access::delete_token).get(access::token))
        .route(paths::USERS, get(accounts::users).post(accounts::create_user))
        .route(paths::USER, get(accounts::user).delete(accounts::delete_user))
        .route(paths::PASSWORD, put(accounts::set_password))
        .route(paths::JOIN_TOKENS, post(access::create_join_token))
        .route(paths::AUDIT, get(access::audit))
        .route(paths::EXPORT, get(bulk::export))
        .route(paths::IMPORT, post(bulk::import))
        .route(paths::BACKUP, get(bulk::backup))
        .route(paths::PORT_COUNTERS, get(asking::counters_of_one))
        .route(paths::PORT_TRACE, post(asking::trace))
        .route(paths::LEASES, get(asking::leases))
        .route(paths::COUNTERS, post(asking::counters))
        .route(paths::HOST_STATUS, get(asking::host))
        .route(paths::TUNNELS, get(asking::tunnels));
    for kind in Kind::ALL {
        let plural = kind.plural();
        router = resource_routes(router, Target { kind, below_tenant: false }, &format!("/v1/{plural}"), "name");
        if kind.has_tenant() {
            let path = format!("/v1/tenants/{{name}}/{plural}");
            router = resource_routes(router, Target { kind, below_tenant: true }, &path, "resource");
        }
    }
    router
        .fallback(pages::page)
        .method_not_allowed_fallback(http::no_such_method)
        .layer(from_fn_with_state(server.clone(), authenticate))
        .layer(from_fn(encoding))
        .layer(from_fn(http::settle_body))
        .layer(from_fn(http::log))
        .with_state(server)
}

/// The two paths of a kind: all of them, and one by its name.
fn resource_routes(router: Router<Server>, target: Target, path: &str, name: &str) -> Router<Server> {
    let all = get(resources::list).post(resources::create).layer(Extension(target));
    let one = get(resources::get_one).put(resources::put).delete(resources::delete).layer(Extension(target));
    router.route(path, all).route(&format!("{path}/{{{name}}}"), one)
}

/// Finds out who asks, before anything else of the request is read.
async fn authenticate(State(server): State<Server>, mut request: Request, next: Next) -> Response {
    let open = matches!(request.uri().path(), paths::HEALTH | paths::OPENAPI);
    // Pages have sessions of their own.
    if open || (server.pages.is_some() && !pages::is_rest(request.uri().path())) {
        return next.run(request).await;
    }
    let caller = match bearer(&request) {
        Ok(secret) => {
            let shown = Arc::clone(&secret);
            server.call(move |api| api.authenticate(&shown)).await.map(|caller| (caller, Secret(secret)))
        }
        Err(problem) => Err(Failure(problem)),
    };
    match caller {
        Ok((caller, secret)) => {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(secret);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

/// The secret behind `Authorization: Bearer` (RFC 6750, section 2.1).
fn bearer(request: &Request) -> Result<Arc<str>, Problem> {
    let header = request.headers().get(header::AUTHORIZATION);
    let credentials = header.and_then(|value| value.to_str().ok()).and_then(|value| value.split_once(' '));
    match credentials {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") && !secret.trim().is_empty() => {
            Ok(secret.trim().into())
        }
        _ => {
            let detail = "the request shows no token; send it as \"Authorization: Bearer TOKEN\", which an admin makes \
                          with \"netvirt create token NAME\"";
            Err(Problem::new(ProblemType::Unauthorized, detail))
        }
    }
}

/// Refuses paths and queries whose percent-encoding is broken.
async fn encoding(request: Request, next: Next) -> Response {
    let uri = request.uri();
    let checked = check_encoding("path", uri.path()).and_then(|()| check_encoding("query", uri.query().unwrap_or("")));
    match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => Failure(problem).into_response(),
    }
}

/// That the server answers, for load balancers and the like.
async fn health(_: Params<NoParams>) -> Answer {
    ok(&serde_json::json!({"status": "ok"}))
}

async fn document(State(server): State<Server>, _: Params<NoParams>) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], server.document).into_response()
}

/// What is asked of the controller itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusQuery {
    /// How far this revision is in force.
    revision: Option<u64>,
}

async fn status(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<StatusQuery>,
) -> Answer {
    let answer = move |api: &dyn FabricApi| {
        let realized = query.revision.map(|revision| api.realized(&caller, revision)).transpose()?;
        Ok(ControllerStatus { realized, ..api.status(&caller)? })
    };
    ok(&server.call(answer).await?)
}

async fn changes(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    _: Params<NoParams>,
    JsonBody(body): JsonBody,
) -> Answer {
    let changes: ChangeSet = http::parse("a set of changes", &body)?;
    ok(&server.call(move |api| api.change(&caller, changes)).await?)
}

async fn no_such_path(uri: Uri) -> Failure {
    Failure(Problem::not_found(format!(
        "there is no path {}; the paths are those of {}, which describes all of them",
        uri.path(),
        paths::OPENAPI
    )))
}
