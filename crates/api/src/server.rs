//! A [`HostApi`] over HTTP on a unix socket: paths to methods, and every error as problem+json.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use model::{Key, Kind, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::paths::{self, MAX_BODY_BYTES};
use crate::{Change, ChangeReport, ChangeSet, HostApi, PROBLEM_MEDIA_TYPE, Problem, ProblemType, Socket, TraceRequest};

/// Most connections at once; who comes later waits in the socket's backlog.
pub const MAX_CONNECTIONS: usize = 64;
/// How long a client may take to send the head of a request, and how long a connection may be idle.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests that are under way may still take after the shutdown was asked for.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// How long to wait after a connection could not be accepted, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Api = Arc<dyn HostApi>;

/// Serves until `shutdown` is ready, then lets what is under way end within [`SHUTDOWN_GRACE`].
///
/// # Errors
/// When the socket cannot be given to the runtime.
pub async fn serve(socket: Socket, api: Arc<dyn HostApi>, shutdown: impl Future<Output = ()>) -> std::io::Result<()> {
    let listener = socket.listener()?;
    let service = TowerToHyperService::new(router(api));
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            // The semaphore is never closed; were it, serving without a limit would still be right.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            listener.accept().await.map(|(stream, _)| (stream, slot))
        };
        let (stream, slot) = tokio::select! {
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end within {} s and are cut off", SHUTDOWN_GRACE.as_secs());
    }
    Ok(())
}

/// The paths.
fn router(api: Api) -> Router {
    Router::new()
        .route(paths::STATUS, get(status))
        .route(paths::CHANGES, post(changes))
        .route(paths::DROPS, get(drops).delete(clear_drops))
        .route(paths::TRACE, post(trace))
        .route(paths::COLLECTION, get(list).post(create))
        .route(paths::RESOURCE, get(get_one).put(put).delete(delete))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn(limit))
        .layer(axum::middleware::from_fn(log))
        .with_state(api)
}

/// A problem on its way out.
struct Failure(Problem);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json(status, PROBLEM_MEDIA_TYPE, &self.0)
    }
}

type Answer = Result<Response, Failure>;

/// A body of JSON.
fn json(status: StatusCode, media_type: &'static str, value: &impl Serialize) -> Response {
    // What is written here are structures with text keys, which serde_json cannot fail on.
    let body = serde_json::to_vec(value).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], body).into_response()
}

/// 200 with a body.
fn ok(value: &impl Serialize) -> Answer {
    Ok(json(StatusCode::OK, "application/json", value))
}

/// Calls a method, which may block, on a thread where it may.
async fn call<T: Send + 'static>(
    api: Api,
    method: impl FnOnce(&dyn HostApi) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(move || method(&*api)).await {
        Ok(answer) => answer.map_err(Failure),
        Err(error) => {
            tracing::error!(%error, "a request failed");
            Err(Failure(Problem::internal("the agent failed while it answered, which is a bug; its log says where")))
        }
    }
}

/// The body as JSON of a type.
fn parse<T: DeserializeOwned>(what: &str, body: Result<Bytes, BytesRejection>) -> Result<T, Failure> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
        _ => Problem::bad_request(format!("the body cannot be read: {}", rejection.body_text())),
    })?;
    serde_json::from_slice(&body)
        .map_err(|error| Failure(Problem::bad_request(format!("the body is not {what} in JSON: {error}"))))
}

/// The variable segments of a path, if they are text.
type Segments<T> = Result<Path<T>, PathRejection>;

fn segments<T>(path: Segments<T>) -> Result<T, Failure> {
    let Path(segments) = path.map_err(|rejection| {
        Problem::bad_request(format!("the path is not percent-encoded UTF-8: {}", rejection.body_text()))
    })?;
    Ok(segments)
}

/// The kind in the path.
fn kind(word: &str) -> Result<Kind, Failure> {
    word.parse::<Kind>().map_err(|error| Failure(Problem::not_found(error.to_string())))
}

/// What may follow the question mark of a change.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChangeQuery {
    /// Check only.
    #[serde(default)]
    dry_run: bool,
}

type ChangeOptions = Result<Query<ChangeQuery>, QueryRejection>;

/// Carries out one change.
async fn change(api: Api, change: Change, options: ChangeOptions) -> Result<ChangeReport, Failure> {
    let Query(ChangeQuery { dry_run }) = options.map_err(|rejection| {
        Problem::bad_request(format!("only dryRun=true or false may follow the \"?\": {}", rejection.body_text()))
    })?;
    call(api, move |api| api.change(ChangeSet { changes: vec![change], dry_run })).await
}

async fn status(State(api): State<Api>) -> Answer {
    ok(&call(api, |api| api.status()).await?)
}

async fn list(State(api): State<Api>, path: Segments<String>) -> Answer {
    let word = segments(path)?;
    let kind = kind(&word)?;
    ok(&call(api, move |api| api.list(kind)).await?)
}

async fn get_one(State(api): State<Api>, path: Segments<(String, String)>) -> Answer {
    let (word, name) = segments(path)?;
    let kind = kind(&word)?;
    ok(&call(api, move |api| api.get(kind, &name)).await?)
}

async fn create(
    State(api): State<Api>,
    path: Segments<String>,
    options: ChangeOptions,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let word = segments(path)?;
    let kind = kind(&word)?;
    let resource: Resource = parse("a resource", body)?;
    let key = resource.key();
    if key.kind != kind {
        let detail = format!(
            "the path {} takes no {}; post it to {}",
            paths::collection(kind),
            key.kind,
            paths::collection(key.kind)
        );
        return Err(Failure(Problem::bad_request(detail)));
    }
    let report = change(api, Change::Create(resource), options).await?;
    let mut response = json(StatusCode::CREATED, "application/json", &report);
    if let Ok(location) = HeaderValue::from_str(&paths::resource(kind, &key.name)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Creates or replaces; with `If-Match: *` (RFC 9110, 13.1.1) replaces only.
async fn put(
    State(api): State<Api>,
    path: Segments<(String, String)>,
    options: ChangeOptions,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let (word, name) = segments(path)?;
    let key = Key { kind: kind(&word)?, name };
    let resource: Resource = parse("a resource", body)?;
    if resource.key() != key {
        let detail = format!("the path names {key}, but the body is {}; make them the same", resource.key());
        return Err(Failure(Problem::bad_request(detail)));
    }
    let must_exist = headers.get(header::IF_MATCH).is_some_and(|value| value.as_bytes() == b"*");
    ok(&change(api, if must_exist { Change::Replace(resource) } else { Change::Put(resource) }, options).await?)
}

async fn delete(State(api): State<Api>, path: Segments<(String, String)>, options: ChangeOptions) -> Answer {
    let (word, name) = segments(path)?;
    let kind = kind(&word)?;
    ok(&change(api, Change::Delete(Key { kind, name }), options).await?)
}

async fn changes(State(api): State<Api>, body: Result<Bytes, BytesRejection>) -> Answer {
    let changes: ChangeSet = parse("a set of changes", body)?;
    ok(&call(api, move |api| api.change(changes)).await?)
}

async fn drops(State(api): State<Api>) -> Answer {
    ok(&call(api, |api| api.drops()).await?)
}

async fn clear_drops(State(api): State<Api>) -> Answer {
    call(api, |api| api.clear_drops()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn trace(State(api): State<Api>, body: Result<Bytes, BytesRejection>) -> Answer {
    let request: TraceRequest = parse("a packet to trace", body)?;
    ok(&call(api, move |api| api.trace(request)).await?)
}

async fn no_such_path(uri: Uri) -> Failure {
    Failure(Problem::not_found(format!(
        "there is no path {}; paths are /v1/status, /v1/changes, /v1/drops, /v1/trace, /v1/KINDS and /v1/KINDS/NAME, \
         with a slash in a name written as %2F",
        uri.path()
    )))
}

async fn no_such_method(method: Method, uri: Uri) -> Failure {
    let detail = format!("the path {} cannot be asked with {method}", uri.path());
    Failure(Problem::new(ProblemType::MethodNotAllowed, detail))
}

/// Refuses a body that says itself that it is too large, before any of it is read.
async fn limit(request: Request, next: Next) -> Response {
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > MAX_BODY_BYTES as u64 => Failure(Problem::too_large()).into_response(),
        _ => next.run(request).await,
    }
}

/// One line in the log for each request.
async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    tracing::debug!(%method, path, status = response.status().as_u16(), "request");
    response
}
