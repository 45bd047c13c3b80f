//! TCP sockets as the loads want them: CUBIC, whatever the machine's default, and with time limits.

use std::ffi::OsString;
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, connect, listen, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::{Ends, GLANCE, LOST};
use crate::Error;
use crate::error::Tried;

/// Pacing, as the congestion control BBR does, would measure timers.
const CONGESTION_CONTROL: &str = "cubic";
/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// A socket that is not connected yet. Namespaces cannot have this congestion control as their default where the
/// machine does not allow it to all users, and what BBR has begun does not end with it: so each socket is told first.
fn unconnected() -> nix::Result<OwnedFd> {
    let opened = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&opened, sockopt::TcpCongestion, &OsString::from(CONGESTION_CONTROL))?;
    Ok(opened)
}

/// A time limit as the kernel takes it.
fn limit(length: Duration) -> TimeVal {
    TimeVal::milliseconds(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
}

/// Connects from the namespace of the calling thread.
pub(super) fn connected(target: SocketAddrV4) -> std::io::Result<TcpStream> {
    let opened = unconnected()?;
    connect(opened.as_raw_fd(), &SockaddrIn::from(target))?;
    Ok(opened.into())
}

/// The same, but gives up soon.
pub(super) fn connected_soon(target: SocketAddrV4) -> std::io::Result<TcpStream> {
    let opened = unconnected()?;
    setsockopt(&opened, sockopt::SendTimeout, &limit(LOST))?;
    connect(opened.as_raw_fd(), &SockaddrIn::from(target))?;
    Ok(opened.into())
}

/// Listens in the namespace of the calling thread. Accepting has a time limit, and connections inherit the options.
fn listening(address: SocketAddrV4) -> nix::Result<TcpListener> {
    let opened = unconnected()?;
    setsockopt(&opened, sockopt::ReceiveTimeout, &limit(GLANCE))?;
    bind(opened.as_raw_fd(), &SockaddrIn::from(address))?;
    listen(&opened, Backlog::new(BACKLOG)?)?;
    Ok(opened.into())
}

/// The port that a listener got.
pub(super) fn port_of(listener: &TcpListener) -> Result<u16, Error> {
    Ok(listener.local_addr().tried("read the address of a socket")?.port())
}

impl Ends<'_> {
    /// A listener in the server's VM, on a free port.
    pub(super) fn listen(&self) -> Result<TcpListener, Error> {
        self.server
            .run(|| listening(self.target(0)))?
            .map_err(std::io::Error::from)
            .tried("listen for TCP connections with congestion control CUBIC")
    }

    /// A new connection: the client's end and the server's. Neither blocks for longer than a glance, and neither
    /// delays small segments.
    pub(super) fn connection(&self, listener: &TcpListener) -> Result<(TcpStream, TcpStream), Error> {
        let target = self.target(port_of(listener)?);
        let client = self.client.run(|| connected_soon(target))?.tried("connect by TCP")?;
        let (server, _) = listener.accept().tried("accept a TCP connection")?;
        for socket in [&client, &server] {
            socket.set_nodelay(true).tried("switch TCP's delay off")?;
            socket.set_read_timeout(Some(GLANCE)).tried("set a time limit")?;
            socket.set_write_timeout(Some(GLANCE)).tried("set a time limit")?;
        }
        Ok((client, server))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use nix::sys::socket::getsockopt;

    use super::*;
    use crate::load::loopback::inside;

    #[test]
    fn both_ends_of_a_connection_have_the_congestion_control() {
        inside(|| {
            let listener = listening(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
            let target = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port_of(&listener).unwrap());
            for client in [connected(target).unwrap(), connected_soon(target).unwrap()] {
                let (server, _) = listener.accept().unwrap();
                for socket in [client, server] {
                    let name = getsockopt(&socket, sockopt::TcpCongestion).unwrap();
                    assert_eq!(name.to_string_lossy().trim_end_matches('\0'), CONGESTION_CONTROL);
                }
            }
        });
    }
}
