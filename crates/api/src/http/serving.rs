//! Connections: accepted up to a limit, opened and served each in a task of its own, ended in an orderly way.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long a client may take to send the head of a request, and how long a connection may be idle.
pub(crate) const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests that are under way may still take after the shutdown was asked for.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// How long to wait after a connection could not be accepted, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whose request it is: an extension of each that came over a network.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub IpAddr);

/// Where connections come from.
pub(crate) trait Listen {
    /// A connection as the system accepts it.
    type Socket: Send + 'static;
    /// A connection on which HTTP can be spoken.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next one.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Socket>> + Send;

    /// Who is at its other end, where that has an address.
    fn peer(socket: &Self::Socket) -> Option<IpAddr>;

    /// Makes it ready for HTTP; that of one may take as long as it likes without holding up the others.
    fn open(&self, socket: Self::Socket) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static;
}

/// Serves until `shutdown` is ready, then lets what is under way end within [`SHUTDOWN_GRACE`], and cuts off the rest.
/// Of more than `most` clients at once, the later ones wait in the listener's backlog.
pub(crate) async fn serve<L: Listen>(listener: L, router: Router, most: usize, shutdown: impl Future<Output = ()>) {
    let service = TowerToHyperService::new(router);
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            // The semaphore is never closed; were it, serving without a limit would still be right.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            listener.accept().await.map(|socket| (socket, slot))
        };
        let (socket, slot) = tokio::select! {
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
            () = &mut shutdown => break,
        };
        let peer = L::peer(&socket);
        let (opening, service, watcher) = (listener.open(socket), service.clone(), graceful.watcher());
        connections.spawn(async move {
            let stream = match opening.await {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::debug!(%error, "a connection was not opened");
                    return;
                }
            };
            let called = |mut request: hyper::Request<hyper::body::Incoming>| {
                if let Some(peer) = peer {
                    request.extensions_mut().insert(Peer(peer));
                }
                service.call(request)
            };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service_fn(called));
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end within {} s and are cut off", SHUTDOWN_GRACE.as_secs());
    }
    connections.shutdown().await;
}
