//! Connections over TLS on a TCP port.

use std::io;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::fabric::ServerTls;
use crate::http::Listen;

/// How long a client may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long what was sent may stay unread by the client, until the kernel gives the connection up (RFC 5482).
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);

/// A TCP port with the certificate that is shown on it.
pub(super) struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    /// Gives the listener to the runtime.
    pub(super) fn new(listener: std::net::TcpListener, tls: &ServerTls) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: TcpListener::from_std(listener)?, acceptor: TlsAcceptor::from(tls.config()) })
    }
}

impl Listen for TlsListener {
    type Socket = TcpStream;
    type Stream = TlsStream<TcpStream>;

    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(stream)
    }

    fn open(&self, socket: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static {
        let acceptor = self.acceptor.clone();
        async move {
            socket.set_nodelay(true)?;
            let milliseconds = u32::try_from(UNREAD_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
            setsockopt(&socket, sockopt::TcpUserTimeout, &milliseconds)?;
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await {
                Ok(stream) => stream,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")),
            }
        }
    }
}
