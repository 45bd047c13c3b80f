//! Connections as the kernel tracks them (linux/netfilter/nfnetlink_conntrack.h).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtnetlink::sys::Socket;

use super::message::{self, Message, Request, attributes, be16, be32, be64};
use super::{BUFFER_LEN, descriptor, open};
use crate::{Error, Namespace};

/// NFNL_SUBSYS_CTNETLINK.
const CONNECTIONS: u8 = 1;
/// IPCTNL_MSG_CT_NEW, IPCTNL_MSG_CT_GET and IPCTNL_MSG_CT_DELETE.
const NEW: u8 = 0;
const GET: u8 = 1;
const DELETE: u8 = 2;
/// NF_NETLINK_CONNTRACK_NEW and NF_NETLINK_CONNTRACK_DESTROY: the groups, as bits.
const GROUPS: u32 = 0x1 | 0x4;

/// CTA_* attributes.
const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const MARK: u16 = 8;
const COUNTERS_ORIGINAL: u16 = 9;
const COUNTERS_REPLY: u16 = 10;
const MARK_MASK: u16 = 21;
/// CTA_TUPLE_IP and CTA_TUPLE_PROTO.
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;

/// Receive buffer of a socket for events, in bytes: a burst of some ten thousand connections.
const EVENTS_BUFFER: usize = 8 << 20;

/// One direction of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuple {
    /// Where its packets come from.
    pub source: IpAddr,
    /// Where they go.
    pub destination: IpAddr,
    /// The IP protocol.
    pub protocol: u8,
    /// Source port, or identifier of ICMP's queries; 0 where there is none.
    pub source_port: u16,
    /// Destination port; 0 where there is none.
    pub destination_port: u16,
}

/// A connection that the kernel tracks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection {
    /// The packets of the one who opened it, as they come in, before translation.
    pub original: Tuple,
    /// The answers, as they come in: their destination is what the one who opened it appears as.
    pub reply: Tuple,
    /// Its mark.
    pub mark: u32,
    /// Bytes of both directions, where the kernel counts.
    pub bytes: Option<u64>,
}

/// What happens to connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectionEvent {
    /// One has been opened.
    Opened(Connection),
    /// One has ended, or was forgotten.
    Ended(Connection),
    /// So much happened that some was not told.
    Lost,
}

/// The connections of one network namespace as they come and go.
#[derive(Debug)]
pub struct ConnectionEvents {
    socket: Socket,
}

impl ConnectionEvents {
    /// Listens in a namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered or sockets are refused.
    pub fn listen(namespace: &Namespace) -> Result<Self, Error> {
        let socket = namespace.run(|| open(GROUPS))??;
        // A bigger buffer than the system's default is a wish; with less, more is told as lost.
        let _ = socket.set_rx_buf_sz(EVENTS_BUFFER);
        Ok(Self { socket })
    }

    /// What has happened, waiting up to `patience` for something to happen. It may be nothing.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn next(&self, patience: Duration) -> Result<Vec<ConnectionEvent>, Error> {
        let failed = |source| Error::Netlink { action: "listen to connections".to_owned(), message: None, source };
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(descriptor(&self.socket), PollFlags::POLLIN)], timeout) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
        let mut buffer = Vec::with_capacity(BUFFER_LEN);
        match self.socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
            Ok(_) => Ok(message::split(&buffer).filter_map(|message| event(&message)).collect()),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(vec![ConnectionEvent::Lost]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// Asks for the connections with a mark.
pub(super) fn dump(mark: u32, mask: u32) -> Request {
    let mut request = Request::dump(CONNECTIONS, GET, libc::AF_UNSPEC as u8);
    request.number(MARK, mark);
    request.number(MARK_MASK, mask);
    request
}

/// What a message tells.
fn event(message: &Message) -> Option<ConnectionEvent> {
    let is = |what: u8| message.kind == u16::from(CONNECTIONS) << 8 | u16::from(what);
    if is(NEW) {
        connection(message).map(ConnectionEvent::Opened)
    } else if is(DELETE) {
        connection(message).map(ConnectionEvent::Ended)
    } else {
        None
    }
}

/// The connection that a message describes.
fn connection(message: &Message) -> Option<Connection> {
    let (mut original, mut reply, mut mark, mut bytes) = (None, None, 0, None::<u64>);
    for (kind, value) in attributes(&message.payload) {
        match kind {
            TUPLE_ORIGINAL => original = tuple(value),
            TUPLE_REPLY => reply = tuple(value),
            MARK => mark = be32(value)?,
            // CTA_COUNTERS_BYTES is 2.
            COUNTERS_ORIGINAL | COUNTERS_REPLY => {
                let counted = attributes(value).find(|(kind, _)| *kind == 2).and_then(|(_, value)| be64(value));
                bytes = counted.map(|counted| bytes.unwrap_or_default() + counted).or(bytes);
            }
            _ => {}
        }
    }
    Some(Connection { original: original?, reply: reply?, mark, bytes })
}

/// One direction: CTA_IP_* in one attribute, CTA_PROTO_* in another.
fn tuple(value: &[u8]) -> Option<Tuple> {
    let (mut source, mut destination, mut protocol) = (None, None, None);
    let (mut source_port, mut destination_port) = (0, 0);
    for (kind, value) in attributes(value) {
        for (inner, value) in attributes(value) {
            match (kind, inner) {
                (TUPLE_IP, 1 | 3) => source = address(value),
                (TUPLE_IP, 2 | 4) => destination = address(value),
                (TUPLE_PROTOCOL, 1) => protocol = value.first().copied(),
                // CTA_PROTO_SRC_PORT; CTA_PROTO_ICMP_ID and CTA_PROTO_ICMPV6_ID.
                (TUPLE_PROTOCOL, 2 | 4 | 7) => source_port = be16(value)?,
                (TUPLE_PROTOCOL, 3) => destination_port = be16(value)?,
                _ => {}
            }
        }
    }
    Some(Tuple { source: source?, destination: destination?, protocol: protocol?, source_port, destination_port })
}

/// An address of four or sixteen bytes.
fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => value.first_chunk().map(|bytes: &[u8; 4]| IpAddr::V4(Ipv4Addr::from(*bytes))),
        16 => value.first_chunk().map(|bytes: &[u8; 16]| IpAddr::V6(Ipv6Addr::from(*bytes))),
        _ => None,
    }
}
