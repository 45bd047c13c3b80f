//! What happens to the connections of a namespace, as it happens.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use netlink_packet_netfilter::conntrack::ConntrackMessage;
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{Socket, SocketAddr};

use super::{Conntrack, Entry, message};
use crate::Error;
use crate::netlink::split;

/// NFNLGRP_CONNTRACK_NEW, _UPDATE and _DESTROY of include/uapi/linux/netfilter/nfnetlink.h.
const GROUPS: [u32; 3] = [1, 2, 3];

/// What waits to be read at most, in bytes, where the machine's `net.core.rmem_max` lets it; some ten thousand events.
const RECEIVE_BUFFER: u32 = 4 << 20;

/// How many datagrams are taken at once, so that one namespace does not keep others waiting.
const DATAGRAMS: usize = 256;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConntrackEvent {
    /// A connection is there, or became so.
    Is(Entry),
    /// A connection is over.
    Gone(Entry),
    /// More happened than was read in time: what is there must be listed anew.
    Missed,
}

/// Hears of the connections of a namespace.
pub struct ConntrackWatch(Socket);

impl Conntrack {
    /// Hears of its connections from now on.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the kernel refuses.
    pub fn watch(&self) -> Result<ConntrackWatch, Error> {
        // By itself the kernel tells only of what began after the first watch did.
        self.namespace.set_sysctl("netfilter/nf_conntrack_events", "1")?;
        self.namespace.run(subscribe)?.map(ConntrackWatch).map_err(watch_failed)
    }
}

/// A socket that hears of connections in the namespace of the calling thread.
fn subscribe() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.set_rx_buf_sz(RECEIVE_BUFFER)?;
    for group in GROUPS {
        socket.add_membership(group)?;
    }
    socket.set_non_blocking(true)?;
    Ok(socket)
}

impl ConntrackWatch {
    /// What has happened since it was last asked, at most some hundred events; nothing when nothing has.
    ///
    /// # Errors
    /// When the socket fails or the kernel's words are not understood.
    pub fn read(&self) -> Result<Vec<ConntrackEvent>, Error> {
        let mut events = Vec::new();
        for _ in 0..DATAGRAMS {
            let bytes = match self.0.recv_from_full() {
                Ok((bytes, _)) => bytes,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    events.push(ConntrackEvent::Missed);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(watch_failed(error)),
            };
            for message in split::<NetfilterMessage>(&bytes) {
                if let NetlinkPayload::InnerMessage(message) = message?.payload {
                    events.extend(event_of(&message));
                }
            }
        }
        Ok(events)
    }

    /// Waits until one of several has something to be read, or so long; which of them have.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn wait(watches: &[&Self], limit: Duration) -> Result<Vec<bool>, Error> {
        let mut waits: Vec<_> = watches.iter().map(|watch| PollFd::new(watch.as_fd(), PollFlags::POLLIN)).collect();
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        match poll(&mut waits, limit) {
            Ok(_) => Ok(waits.iter().map(|wait| wait.any() == Some(true)).collect()),
            Err(nix::errno::Errno::EINTR) => Ok(vec![false; watches.len()]),
            Err(error) => Err(watch_failed(error.into())),
        }
    }
}

impl AsFd for ConntrackWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket is open as long as `self`.
        unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) }
    }
}

impl std::fmt::Debug for ConntrackWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ConntrackWatch").field(&self.0.as_raw_fd()).finish()
    }
}

/// What a message of the kernel tells.
fn event_of(message: &NetfilterMessage) -> Option<ConntrackEvent> {
    let entry = message::entry_of(message)?;
    match &message.inner {
        NetfilterMessageInner::Conntrack(ConntrackMessage::Delete(_)) => Some(ConntrackEvent::Gone(entry)),
        NetfilterMessageInner::Conntrack(_) => Some(ConntrackEvent::Is(entry)),
        _ => None,
    }
}

/// The watch's own failure.
fn watch_failed(source: io::Error) -> Error {
    Error::Netlink { action: "watch the connections".to_owned(), message: None, source }
}
