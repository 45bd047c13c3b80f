//! The controller's port for agents: TLS, and the two services on it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::ca::{Authority, CaError, HostRequest, RENEWAL_LOOK, lifetime, peer};
use crate::convert::facts_in;
pub use crate::hub::CLAIM_TIMEOUT;
use crate::hub::Outgoing;
use crate::tls::{SERVER_LIFE, ServerCertificate};
use crate::wire::services::enrolment_server::{Enrolment, EnrolmentServer};
use crate::wire::services::sync_server::{Sync, SyncServer};
use crate::{Hub, JoinAsk, Peer, Refused, WireError, tls, wire};

/// Most connections at once; more wait to be accepted.
pub const MAX_CONNECTIONS: usize = 8192;
/// Most of these at once without a certificate, which only machines have that want to join; one more is closed.
pub const MAX_STRANGERS: usize = 256;
/// How long a connection without a certificate may last: joining takes a second.
pub const STRANGER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a silent connection is asked whether it is still there, and how long it may take to answer.
pub const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long connections may take to end when the server does.
pub const END_TIMEOUT: Duration = Duration::from_millis(500);

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificates.
    #[error(transparent)]
    Certificates(#[from] CaError),
    /// The network.
    #[error("cannot serve agents: {0}")]
    Transport(String),
}

/// Serves agents until `shutdown` says to end. `names` are the names and addresses that the controller is reached by, for
/// its certificate; agents do without them.
///
/// # Errors
/// When the certificate cannot be made.
pub async fn serve(
    listener: TcpListener,
    authority: Arc<Authority>,
    names: Vec<String>,
    hub: Arc<Hub>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let first = authority.server_certificate(&names, SERVER_LIFE)?;
    let certificate = ServerCertificate::new(&first)?;
    let config = tls::server(&authority, Arc::clone(&certificate))?;
    let (connections, incoming) = mpsc::channel(16);
    let helpers = [
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), connections, Strangers::default())),
        tokio::spawn(keep_certificate(Arc::clone(&authority), names, certificate, first.chain)),
    ];
    let service = Service { hub: Arc::clone(&hub), authority };
    let (ending, ended) = tokio::sync::oneshot::channel::<()>();
    let server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(EnrolmentServer::new(service.clone()))
        .add_service(SyncServer::new(service))
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), async {
            // The sender goes when this function ends.
            let _ = ended.await;
        });
    let mut server = std::pin::pin!(server);
    let result = tokio::select! {
        result = &mut server => result,
        () = shutdown => {
            hub.close();
            let _ = ending.send(());
            // Whoever does not end by then is cut off.
            tokio::time::timeout(END_TIMEOUT, server).await.unwrap_or(Ok(()))
        }
    };
    helpers.iter().for_each(tokio::task::JoinHandle::abort);
    result.map_err(|error| ServeError::Transport(error.to_string()))
}

/// Makes the server's certificate anew whenever two thirds of its life have passed.
async fn keep_certificate(
    authority: Arc<Authority>,
    names: Vec<String>,
    certificate: Arc<ServerCertificate>,
    mut chain: String,
) {
    loop {
        tokio::time::sleep(RENEWAL_LOOK).await;
        if lifetime(&chain).is_ok_and(|life| !life.is_due(SystemTime::now())) {
            continue;
        }
        let renewed = authority.server_certificate(&names, SERVER_LIFE);
        match renewed.and_then(|certified| certificate.replace(&certified).map(|()| certified)) {
            Ok(certified) => chain = certified.chain,
            Err(error) => tracing::error!("cannot renew the controller's certificate: {error}"),
        }
    }
}

/// The limits of those without a certificate: whoever can reach the port could keep all hosts out otherwise.
#[derive(Clone)]
struct Strangers {
    room: Arc<Semaphore>,
    timeout: Duration,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(MAX_STRANGERS)), timeout: STRANGER_TIMEOUT }
    }
}

/// A stranger's place, and when it has to leave.
struct Visit {
    _permit: OwnedSemaphorePermit,
    end: Pin<Box<tokio::time::Sleep>>,
}

impl Strangers {
    fn visit(&self) -> Option<Visit> {
        let permit = Arc::clone(&self.room).try_acquire_owned().ok()?;
        Some(Visit { _permit: permit, end: Box::pin(tokio::time::sleep(self.timeout)) })
    }
}

/// Accepts connections; each shakes hands on its own, so that a slow one holds up nobody.
async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    connections: mpsc::Sender<std::io::Result<Connection>>,
    strangers: Strangers,
) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                // Out of file descriptors, for example: some connection must end first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Small messages should not wait for each other.
        let _ = stream.set_nodelay(true);
        let (tls, connections, strangers) = (tls.clone(), connections.clone(), strangers.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                    let peer = shown.map(|der| peer(der));
                    let visit = if peer.is_none() { strangers.visit() } else { None };
                    if peer.is_none() && visit.is_none() {
                        tracing::info!(%address, "too many connections without a certificate");
                        return;
                    }
                    let connection = Connection { stream, about: About { address, peer }, visit, _permit: permit };
                    // The server has ended otherwise.
                    let _ = connections.send(Ok(connection)).await;
                }
                Ok(Err(error)) => tracing::info!(%address, "TLS handshake failed: {error}"),
                Err(_) => tracing::info!(%address, "TLS handshake took too long"),
            }
        });
    }
}

/// Who is at the other end.
#[derive(Clone)]
struct About {
    address: SocketAddr,
    /// By the certificate, which the authority has signed, if there is one.
    peer: Option<Result<Peer, CaError>>,
}

/// A connection that has shaken hands.
struct Connection {
    stream: TlsStream<TcpStream>,
    about: About,
    /// Of those without a certificate.
    visit: Option<Visit>,
    _permit: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = About;

    fn connect_info(&self) -> About {
        self.about.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if self.visit.as_mut().is_some_and(|visit| visit.end.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Both services.
#[derive(Clone)]
struct Service {
    hub: Arc<Hub>,
    authority: Arc<Authority>,
}

fn about<T>(request: &Request<T>) -> Result<About, Status> {
    request.extensions().get::<About>().cloned().ok_or_else(|| Status::internal("the connection is unknown"))
}

fn invalid(error: WireError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn failed(error: impl std::fmt::Display) -> Status {
    Status::internal(error.to_string())
}

fn refused(refused: Refused) -> Status {
    let code = match refused {
        Refused::Token(_) => Code::Unauthenticated,
        Refused::Conflict(_) => Code::FailedPrecondition,
        Refused::Host(_) => Code::PermissionDenied,
        Refused::Internal(_) => Code::Internal,
    };
    Status::new(code, refused.to_string())
}

impl Service {
    /// The host that asks, if it may.
    async fn admitted(&self, about: About) -> Result<Peer, Status> {
        let peer = match about.peer {
            Some(Ok(peer)) => peer,
            Some(Err(error)) => return Err(Status::unauthenticated(error.to_string())),
            None => return Err(Status::unauthenticated("a host must show its certificate; join first")),
        };
        // The handshake has seen to it at its time; connections last.
        if peer.not_after < SystemTime::now() {
            return Err(Status::unauthenticated("the host's certificate has expired; join again with a new token"));
        }
        let (controller, asking) = (self.hub.controller(), peer.clone());
        let answer = tokio::task::spawn_blocking(move || controller.admit(&asking)).await.map_err(failed)?;
        answer.map(|()| peer).map_err(refused)
    }
}

#[tonic::async_trait]
impl Enrolment for Service {
    async fn join(&self, request: Request<wire::JoinRequest>) -> Result<Response<wire::JoinResponse>, Status> {
        let address = about(&request)?.address;
        let asked = request.into_inner();
        // First what cannot fail later, so that no token is used up for nothing.
        let signing = HostRequest::read(&asked.certificate_request)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let ask = JoinAsk {
            token_id: asked.token_id,
            secret: asked.secret,
            name: asked.name,
            facts: facts_in(asked.facts).map_err(invalid)?,
            address,
        };
        let controller = self.hub.controller();
        let joined = tokio::task::spawn_blocking(move || controller.join(&ask)).await.map_err(failed)?;
        let joined = joined.map_err(refused)?;
        let certificate = self.authority.sign(&signing, &joined.host, &joined.uid, joined.life).map_err(failed)?;
        tracing::info!(host = %joined.host, %address, "a host has joined");
        Ok(Response::new(wire::JoinResponse {
            host: joined.host.to_string(),
            certificate,
            authority: self.authority.certificate().to_owned(),
        }))
    }

    async fn renew(&self, request: Request<wire::RenewRequest>) -> Result<Response<wire::RenewResponse>, Status> {
        let peer = self.admitted(about(&request)?).await?;
        let signing = HostRequest::read(&request.into_inner().certificate_request)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let life = self.hub.controller().certificate_life();
        let certificate = self.authority.sign(&signing, &peer.host, &peer.uid, life).map_err(failed)?;
        tracing::info!(host = %peer.host, "renewed the host's certificate");
        Ok(Response::new(wire::RenewResponse { certificate }))
    }

    async fn leave(&self, request: Request<wire::LeaveRequest>) -> Result<Response<wire::LeaveResponse>, Status> {
        let peer = self.admitted(about(&request)?).await?;
        let (controller, host) = (self.hub.controller(), peer.host.clone());
        let answer = tokio::task::spawn_blocking(move || controller.leave(&peer)).await.map_err(failed)?;
        answer.map_err(refused)?;
        tracing::info!(%host, "a host has left");
        Ok(Response::new(wire::LeaveResponse {}))
    }
}

#[tonic::async_trait]
impl Sync for Service {
    type SessionStream = Outgoing;

    async fn session(
        &self,
        request: Request<Streaming<wire::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let about = about(&request)?;
        let address = about.address;
        let peer = self.admitted(about).await?;
        Ok(Response::new(self.hub.open(peer, address, request.into_inner().boxed())))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::ca::Certified;

    async fn connect(at: SocketAddr, config: rustls::ClientConfig) -> tokio_rustls::client::TlsStream<TcpStream> {
        let stream = TcpStream::connect(at).await.unwrap();
        let name = crate::CONTROLLER_NAME.try_into().unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    #[tokio::test]
    async fn strangers_keep_no_host_out_and_do_not_stay() {
        let authority = Authority::create().unwrap();
        let certificate = ServerCertificate::new(&authority.server_certificate(&[], SERVER_LIFE).unwrap()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls::server(&authority, certificate).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (connections, mut accepted) = mpsc::channel(16);
        let strangers = Strangers { room: Arc::new(Semaphore::new(1)), timeout: Duration::from_millis(300) };
        let accepting = tokio::spawn(accept(listener, acceptor, connections, strangers));
        let stranger = || tls::stranger(authority.fingerprint()).unwrap();
        let _first = connect(at, stranger()).await;
        let mut first = accepted.recv().await.unwrap().unwrap();
        // The second is closed, whatever the end looks like to it.
        let mut second = connect(at, stranger()).await;
        assert!(second.read_u8().await.is_err());
        let (key, request) = HostRequest::make().unwrap();
        let request = HostRequest::read(&request).unwrap();
        let chain = authority.sign(&request, &"host1".parse().unwrap(), "uid", Duration::from_secs(60)).unwrap();
        let _host = connect(at, tls::host(authority.certificate(), &Certified { chain, key }).unwrap()).await;
        assert!(accepted.recv().await.unwrap().unwrap().about.peer.is_some());
        assert_eq!(first.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        drop(first);
        let _third = connect(at, stranger()).await;
        assert!(accepted.recv().await.unwrap().is_ok(), "there is room again");
        accepting.abort();
    }
}
