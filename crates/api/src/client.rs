//! The typed client: one method for each method of [`crate::HostApi`], blocking, over a unix socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use model::Kind;
use model::gateway::{GatewayBeat, GatewayReport};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::paths::{self, MAX_ANSWER_BYTES, MAX_BODY_BYTES};
use crate::{
    ChangeReport, ChangeSet, DropCounter, FlowFilter, FlowList, GatewayWork, HostStatus, InterfaceStatus, Item,
    PlugReport, PlugRequest, PortMemory, Problem, Remembered, TraceReport, TraceRequest, UnplugReport, UnplugRequest,
};

/// How long a client waits for an answer unless told otherwise: writing every record that a host can have takes a while.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no answer, or which one the agent gave.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error(
        "no agent listens on {socket}; start one with \"netvirt agent --config FILE\", or say where it is with --host NAME or --socket PATH",
        socket = .0.display()
    )]
    NoAgent(PathBuf),
    /// The socket is not for this user.
    #[error("the socket {socket} is not open to this user; run the command as its owner, usually with sudo", socket = .0.display())]
    Forbidden(PathBuf),
    /// The socket cannot be reached for another reason.
    #[error("cannot connect to {socket}: {source}", socket = .socket.display())]
    Connect {
        /// Which socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the agent on {socket} broke: {reason}; see \"netvirt status\" and the agent's log", socket = .socket.display())]
    Broken {
        /// Which socket.
        socket: PathBuf,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("the agent on {socket} did not answer within {seconds} s; whether the request was carried out is not known", socket = .socket.display())]
    Timeout {
        /// Which socket.
        socket: PathBuf,
        /// How long the client waited.
        seconds: u64,
    },
    /// The agent refused. Boxed, so that results stay small where nothing goes wrong.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// The answer has another shape than this version knows.
    #[error("the answer to {request} is not understood: {reason}; use the same version of netvirt as the agent's")]
    Answer {
        /// What was asked.
        request: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The system has no resources left for a client.
    #[error("cannot start a client: {0}")]
    Start(io::Error),
}

impl From<Problem> for ClientError {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

/// A client of one agent. Each request has a connection of its own, so that it outlives restarts of the agent.
///
/// It brings its own runtime, so it must not be used from asynchronous code.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// A client of the agent on this socket; nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Start`].
    pub fn new(socket: impl Into<PathBuf>) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ClientError::Start)?;
        Ok(Self { socket: socket.into(), timeout: DEFAULT_TIMEOUT, runtime })
    }

    /// The same with another time to wait for each answer.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// See [`crate::HostApi::status`].
    ///
    /// # Errors
    /// [`ClientError`], as of all methods.
    pub fn status(&self) -> Result<HostStatus, ClientError> {
        self.ask(Method::GET, paths::STATUS, None::<&()>)
    }

    /// See [`crate::HostApi::list`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn list(&self, kind: Kind) -> Result<Vec<Item>, ClientError> {
        self.ask(Method::GET, &paths::collection(kind), None::<&()>)
    }

    /// See [`crate::HostApi::get`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get(&self, kind: Kind, name: &str) -> Result<Item, ClientError> {
        self.ask(Method::GET, &paths::resource(kind, name), None::<&()>)
    }

    /// See [`crate::HostApi::change`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn change(&self, changes: &ChangeSet) -> Result<ChangeReport, ClientError> {
        self.ask(Method::POST, paths::CHANGES, Some(changes))
    }

    /// See [`crate::HostApi::drops`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn drops(&self) -> Result<Vec<DropCounter>, ClientError> {
        self.ask(Method::GET, paths::DROPS, None::<&()>)
    }

    /// See [`crate::HostApi::clear_drops`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn clear_drops(&self) -> Result<(), ClientError> {
        self.ask(Method::DELETE, paths::DROPS, None::<&()>)
    }

    /// See [`crate::HostApi::flows`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn flows(&self, filter: &FlowFilter) -> Result<FlowList, ClientError> {
        self.ask(Method::GET, &paths::flows(filter), None::<&()>)
    }

    /// See [`crate::HostApi::port_memory`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn port_memory(&self, port: &str) -> Result<PortMemory, ClientError> {
        self.ask(Method::GET, &paths::port_memory(port), None::<&()>)
    }

    /// See [`crate::HostApi::remember`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn remember(&self, port: &str, memory: &PortMemory) -> Result<Remembered, ClientError> {
        self.ask(Method::PUT, &paths::port_memory(port), Some(memory))
    }

    /// See [`crate::HostApi::interfaces`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn interfaces(&self) -> Result<Vec<InterfaceStatus>, ClientError> {
        self.ask(Method::GET, paths::INTERFACES, None::<&()>)
    }

    /// See [`crate::HostApi::plug`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn plug(&self, request: &PlugRequest) -> Result<PlugReport, ClientError> {
        self.ask(Method::POST, paths::PLUG, Some(request))
    }

    /// See [`crate::HostApi::unplug`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn unplug(&self, request: &UnplugRequest) -> Result<UnplugReport, ClientError> {
        self.ask(Method::POST, paths::UNPLUG, Some(request))
    }

    /// See [`crate::HostApi::gateway_work`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn gateway_work(&self, after: Option<u64>) -> Result<GatewayWork, ClientError> {
        self.ask(Method::GET, &paths::gateway_work(after), None::<&()>)
    }

    /// See [`crate::HostApi::report_gateway`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn report_gateway(&self, report: &GatewayReport) -> Result<(), ClientError> {
        self.ask(Method::PUT, paths::GATEWAY_REPORT, Some(report))
    }

    /// See [`crate::HostApi::gateway_beat`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn gateway_beat(&self, beat: &GatewayBeat) -> Result<(), ClientError> {
        self.ask(Method::PUT, paths::GATEWAY_BEAT, Some(beat))
    }

    /// See [`crate::HostApi::trace`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn trace(&self, request: &TraceRequest) -> Result<TraceReport, ClientError> {
        self.ask(Method::POST, paths::TRACE, Some(request))
    }

    /// Sends a request and reads the answer.
    fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let asked = format!("{method} {path}");
        let misunderstood = |reason: String| ClientError::Answer { request: asked.clone(), reason };
        let body = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| misunderstood(error.to_string()))?,
            None => Vec::new(),
        };
        if body.len() > MAX_BODY_BYTES {
            // The agent would say the same, but it would close the connection while the rest is still being sent.
            return Err(Problem::too_large(MAX_BODY_BYTES).into());
        }
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "netvirt")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| misunderstood(error.to_string()))?;
        let exchange = async { tokio::time::timeout(self.timeout, self.exchange(request)).await };
        let (status, body) = self
            .runtime
            .block_on(exchange)
            .map_err(|_| ClientError::Timeout { socket: self.socket.clone(), seconds: self.timeout.as_secs() })??;
        if status.is_success() {
            // An answer without a body (204) is the unit type's `null`.
            let body: &[u8] = if body.is_empty() { b"null" } else { &body };
            return serde_json::from_slice(body).map_err(|error| misunderstood(error.to_string()));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(misunderstood(format!("status {status} without a problem"))),
        }
    }

    /// One request on one connection.
    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(error))?;
        let broken = |reason: String| ClientError::Broken { socket: self.socket.clone(), reason };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(error.to_string()))?;
        // The connection's own error is reported by the request that it cuts short.
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES);
        let body = body.collect().await.map_err(|error| broken(error.to_string()))?;
        Ok((status, body.to_bytes()))
    }

    /// What it means that nobody can be connected to.
    fn unreachable(&self, source: io::Error) -> ClientError {
        let socket = self.socket.clone();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoAgent(socket),
            io::ErrorKind::PermissionDenied => ClientError::Forbidden(socket),
            _ => ClientError::Connect { socket, source },
        }
    }
}
