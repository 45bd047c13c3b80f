//! Connections of a client: made when one is needed, kept for the next request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{ClientError, Endpoint};
use crate::Problem;
use crate::fabric::tls::client_config;

/// How long a connection is kept unused: shorter than the server keeps it, so that it is not found closed.
const MAX_IDLE: Duration = Duration::from_secs(20);
/// How many connections are kept.
const MAX_KEPT: usize = 4;
/// How long to wait for TCP and for TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Question {
    method: Method,
    path: String,
    media_type: Option<&'static str>,
    body: Bytes,
    /// Most bytes of the answer.
    limit: usize,
}

impl Question {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self { method, path, media_type: None, body: Bytes::new(), limit: 1 << 20 }
    }

    /// The same for an answer of at most so many bytes; a mebibyte otherwise.
    pub(super) fn up_to(self, limit: usize) -> Self {
        Self { limit, ..self }
    }

    /// The same with a body of at most so many bytes.
    pub(super) fn with_body(self, media_type: &'static str, body: Vec<u8>, most: usize) -> Result<Self, ClientError> {
        if body.len() > most {
            // The controller would say the same, but it would close the connection while the rest is still being sent.
            return Err(Problem::too_large(most).into());
        }
        Ok(Self { media_type: Some(media_type), body: body.into(), ..self })
    }

    /// For errors.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(super) fn misunderstood(&self, reason: String) -> ClientError {
        ClientError::Answer { request: self.name(), reason }
    }
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

type Sender = SendRequest<Full<Bytes>>;

/// Knows the way to a controller, and keeps connections that are free.
pub(super) struct Connector {
    url: String,
    host: String,
    port: u16,
    /// For the header `Host`.
    authority: String,
    name: ServerName<'static>,
    tls: TlsConnector,
    authorization: header::HeaderValue,
    free: Mutex<Vec<(Sender, Instant)>>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, ClientError> {
        let wrong = || ClientError::Url(endpoint.url.clone());
        let uri = endpoint.url.trim_end_matches('/').parse::<Uri>().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let bare = uri.scheme_str() == Some("https") && matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !bare || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
        let config: ClientConfig = client_config(&endpoint.ca_pem)?;
        let authorization = header::HeaderValue::from_str(&format!("Bearer {}", endpoint.token.trim()));
        let mut authorization = authorization.map_err(|_| ClientError::TokenRefused {
            url: endpoint.url.clone(),
            problem: Box::new(Problem::new(
                crate::ProblemType::Unauthorized,
                "it has characters in it that no token has; copy it anew",
            )),
        })?;
        authorization.set_sensitive(true);
        Ok(Self {
            url: endpoint.url.clone(),
            port: authority.port_u16().unwrap_or(443),
            authority: authority.as_str().to_owned(),
            host,
            name,
            tls: TlsConnector::from(Arc::new(config)),
            authorization,
            free: Mutex::default(),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Asks, and reads the whole answer. The connection is kept if the answer leaves it in order.
    pub(super) async fn ask(&self, question: Question) -> Result<Answer, ClientError> {
        let (response, sender) = self.start(&question).await?;
        let status = response.status();
        let limit = question.limit;
        let body = Limited::new(response.into_body(), limit).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                question.misunderstood(format!("it is larger than {} MiB", limit >> 20))
            } else {
                self.broken(&error)
            }
        })?;
        self.keep(sender);
        Ok(Answer { status, body: body.to_bytes().into() })
    }

    /// Asks, and reads the head of the answer. A kept connection that turns out to be closed is replaced by a new one,
    /// where that cannot carry out anything twice (RFC 9110, section 9.2.2).
    pub(super) async fn start(&self, question: &Question) -> Result<(Response<Incoming>, Sender), ClientError> {
        let request = || self.request(question);
        while let Some(mut sender) = self.kept() {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request()?).await {
                Ok(response) => return Ok((response, sender)),
                Err(mut error) => {
                    let unsent = error.take_message().is_some();
                    if !unsent && question.method == Method::POST {
                        return Err(self.broken(error.error()));
                    }
                }
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(request()?).await.map_err(|error| self.broken(&error))?;
        Ok((response, sender))
    }

    fn request(&self, question: &Question) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(question.method.clone())
            .uri(&question.path)
            .header(header::HOST, &self.authority)
            .header(header::AUTHORIZATION, self.authorization.clone());
        if let Some(media_type) = question.media_type {
            request = request.header(header::CONTENT_TYPE, media_type);
        }
        let request = request.body(Full::new(question.body.clone()));
        request.map_err(|error| question.misunderstood(error.to_string()))
    }

    /// A kept connection that is not too old.
    fn kept(&self) -> Option<Sender> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < MAX_IDLE);
        free.pop().map(|(sender, _)| sender)
    }

    /// Keeps a connection for the next request.
    fn keep(&self, sender: Sender) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < MAX_KEPT && !sender.is_closed() {
            free.push((sender, Instant::now()));
        }
    }

    /// A new connection.
    async fn connect(&self) -> Result<Sender, ClientError> {
        let slow = |_| {
            let reason = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
            ClientError::unreachable(&self.url, std::io::Error::new(std::io::ErrorKind::TimedOut, reason))
        };
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(slow)?;
        let stream = stream.map_err(|error| ClientError::unreachable(&self.url, error))?;
        stream.set_nodelay(true).map_err(|error| ClientError::unreachable(&self.url, error))?;
        let handshake = self.tls.connect(self.name.clone(), stream);
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, handshake).await.map_err(slow)?;
        let stream = stream.map_err(|error| ClientError::handshake(&self.url, &error))?;
        let opened = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opened.map_err(|error| self.broken(&error))?;
        // The connection's own error is reported by the request that it cuts short.
        tokio::spawn(connection);
        Ok(sender)
    }

    pub(super) fn broken(&self, error: &(impl std::fmt::Display + ?Sized)) -> ClientError {
        ClientError::Broken { url: self.url.clone(), reason: error.to_string() }
    }
}
