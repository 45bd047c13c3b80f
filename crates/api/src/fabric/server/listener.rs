//! Connections over TLS on a TCP port.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::fabric::ServerTls;
use crate::http::Listen;

/// How long a client may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
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
    type Stream = Farewell;

    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(stream)
    }

    fn peer(socket: &TcpStream) -> Option<IpAddr> {
        socket.peer_addr().ok().map(|address| address.ip())
    }

    fn open(&self, socket: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send + 'static {
        let acceptor = self.acceptor.clone();
        async move {
            socket.set_nodelay(true)?;
            let milliseconds = u32::try_from(UNREAD_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
            setsockopt(&socket, sockopt::TcpUserTimeout, &milliseconds)?;
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await {
                Ok(stream) => stream.map(Farewell),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")),
            }
        }
    }
}

/// A connection that tells its client that it ends (`close_notify`; RFC 8446, section 6.1), however it ends: otherwise
/// one that was idle for too long looks to the client as if somebody had cut it.
pub(super) struct Farewell(TlsStream<TcpStream>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let (socket, tls) = self.0.get_mut();
        // After an orderly end this has been said already, and nothing is written.
        tls.send_close_notify();
        // What the kernel does not take at once is left out: nobody waits for a client that reads nothing.
        while tls.wants_write() && tls.write_tls(&mut AtOnce(socket)).is_ok_and(|written| written > 0) {}
    }
}

/// Writes what the kernel takes without waiting.
struct AtOnce<'a>(&'a TcpStream);

impl io::Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Farewell {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Farewell {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
