//! A [`HostApi`] over HTTP on a unix socket: paths to methods, and every error as problem+json.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::{get, post, put as put_to};
use model::gateway::{GatewayBeat, GatewayReport};
use model::{Key, Kind, Resource};
use serde::Deserialize;

use crate::http::{self, Answer, Body, Failure, Listen, json, ok, parse};
use crate::{
    Change, ChangeReport, ChangeSet, FlowFilter, HostApi, PlugRequest, PortMemory, Problem, Socket, TraceRequest,
    UnplugRequest, paths,
};

/// Most connections at once; who comes later waits in the socket's backlog.
pub const MAX_CONNECTIONS: usize = 64;

type Api = Arc<dyn HostApi>;

/// A unix socket is ready for HTTP as it is accepted.
impl Listen for tokio::net::UnixListener {
    type Socket = tokio::net::UnixStream;
    type Stream = tokio::net::UnixStream;

    async fn accept(&self) -> std::io::Result<Self::Socket> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }

    fn peer(_: &Self::Socket) -> Option<IpAddr> {
        None
    }

    fn open(&self, socket: Self::Socket) -> impl Future<Output = std::io::Result<Self::Stream>> + Send + 'static {
        std::future::ready(Ok(socket))
    }
}

/// Serves until `shutdown` is ready, then lets what is under way end within 5 s.
///
/// # Errors
/// When the socket cannot be given to the runtime.
pub async fn serve(socket: Socket, api: Arc<dyn HostApi>, shutdown: impl Future<Output = ()>) -> std::io::Result<()> {
    http::serve(socket.listener()?, router(api), MAX_CONNECTIONS, shutdown).await;
    Ok(())
}

/// The paths.
fn router(api: Api) -> Router {
    Router::new()
        .route(paths::STATUS, get(status))
        .route(paths::CHANGES, post(changes))
        .route(paths::DROPS, get(drops).delete(clear_drops))
        .route(paths::FLOWS, get(flows))
        .route(paths::TRACE, post(trace))
        .route(paths::PLUG, post(plug))
        .route(paths::UNPLUG, post(unplug))
        .route(paths::INTERFACES, get(interfaces))
        .route(paths::GATEWAY_WORK, get(gateway_work))
        .route(paths::GATEWAY_REPORT, put_to(report_gateway))
        .route(paths::GATEWAY_BEAT, put_to(gateway_beat))
        .route(paths::PORT_MEMORY, get(port_memory).put(remember))
        .route(paths::COLLECTION, get(list).post(create))
        .route(paths::RESOURCE, get(get_one).put(put).delete(delete))
        .fallback(no_such_path)
        .method_not_allowed_fallback(http::no_such_method)
        .layer(axum::middleware::from_fn(http::log))
        .with_state(api)
}

/// Calls a method, which may block, on a thread where it may.
async fn call<T: Send + 'static>(
    api: Api,
    method: impl FnOnce(&dyn HostApi) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Failure> {
    http::blocking(move || method(&*api)).await
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

/// The flows that what follows the question mark asks for.
async fn flows(State(api): State<Api>, filter: Result<Query<FlowFilter>, QueryRejection>) -> Answer {
    let Query(filter) = filter.map_err(|rejection| {
        let sentence = "only port, protocol, address, service, state and limit may follow the \"?\"";
        Problem::bad_request(format!("{sentence}: {}", rejection.body_text()))
    })?;
    ok(&call(api, move |api| api.flows(filter)).await?)
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

async fn create(State(api): State<Api>, path: Segments<String>, options: ChangeOptions, Body(body): Body) -> Answer {
    let word = segments(path)?;
    let kind = kind(&word)?;
    let resource: Resource = parse("a resource", &body)?;
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
    let mut response = json(StatusCode::CREATED, &report);
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
    Body(body): Body,
) -> Answer {
    let (word, name) = segments(path)?;
    let key = Key { kind: kind(&word)?, name };
    let resource: Resource = parse("a resource", &body)?;
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

async fn changes(State(api): State<Api>, Body(body): Body) -> Answer {
    let changes: ChangeSet = parse("a set of changes", &body)?;
    ok(&call(api, move |api| api.change(changes)).await?)
}

async fn drops(State(api): State<Api>) -> Answer {
    ok(&call(api, |api| api.drops()).await?)
}

async fn clear_drops(State(api): State<Api>) -> Answer {
    call(api, |api| api.clear_drops()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn trace(State(api): State<Api>, Body(body): Body) -> Answer {
    let request: TraceRequest = parse("a packet to trace", &body)?;
    ok(&call(api, move |api| api.trace(request)).await?)
}

async fn plug(State(api): State<Api>, Body(body): Body) -> Answer {
    let request: PlugRequest = parse("a port to plug", &body)?;
    ok(&call(api, move |api| api.plug(request)).await?)
}

async fn unplug(State(api): State<Api>, Body(body): Body) -> Answer {
    let request: UnplugRequest = parse("a port to unplug", &body)?;
    ok(&call(api, move |api| api.unplug(request)).await?)
}

async fn port_memory(State(api): State<Api>, path: Segments<String>) -> Answer {
    let port = segments(path)?;
    ok(&call(api, move |api| api.port_memory(&port)).await?)
}

async fn remember(State(api): State<Api>, path: Segments<String>, Body(body): Body) -> Answer {
    let port = segments(path)?;
    let memory: PortMemory = parse("what a host remembers of a port", &body)?;
    ok(&call(api, move |api| api.remember(&port, memory)).await?)
}

/// What may follow the question mark where a gateway asks for its work.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkQuery {
    /// The revision that it has.
    after: Option<u64>,
}

/// One who waits takes a thread of many and one of the connections; see [`HostApi::gateway_work`].
async fn gateway_work(State(api): State<Api>, query: Result<Query<WorkQuery>, QueryRejection>) -> Answer {
    let Query(WorkQuery { after }) = query.map_err(|rejection| {
        Problem::bad_request(format!("only after=REVISION may follow the \"?\": {}", rejection.body_text()))
    })?;
    ok(&call(api, move |api| api.gateway_work(after)).await?)
}

async fn report_gateway(State(api): State<Api>, Body(body): Body) -> Answer {
    let report: GatewayReport = parse("a report of a gateway", &body)?;
    call(api, move |api| api.report_gateway(report)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn gateway_beat(State(api): State<Api>, Body(body): Body) -> Answer {
    let beat: GatewayBeat = parse("a gateway's sign of life", &body)?;
    call(api, move |api| api.gateway_beat(beat)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn interfaces(State(api): State<Api>) -> Answer {
    ok(&call(api, |api| api.interfaces()).await?)
}

async fn no_such_path(uri: Uri) -> Failure {
    Failure(Problem::not_found(format!(
        "there is no path {}; paths are /v1/status, /v1/changes, /v1/drops, /v1/flows, /v1/trace, /v1/plug, /v1/unplug, /v1/interfaces, /v1/gateway-work, /v1/gateway-report, /v1/gateway-beat, /v1/KINDS, /v1/ports/NAME/memory and /v1/KINDS/NAME, \
         with a slash in a name written as %2F",
        uri.path()
    )))
}
