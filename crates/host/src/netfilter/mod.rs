//! Counters of nftables. Rules are written with `nft`, whose language they are; but to read counters every second by a process
//! each would cost more than all else that a gateway does.

mod message;

use std::io;
use std::sync::Mutex;

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{Socket, SocketAddr};

use message::{Message, Request, attributes, be64, text};

use crate::{Error, Namespace};

/// NFNL_SUBSYS_NFTABLES of linux/netfilter/nfnetlink.h.
const NFTABLES: u8 = 10;
/// NFT_MSG_GETOBJ and NFT_MSG_NEWOBJ of linux/netfilter/nf_tables.h.
const GET_OBJECT: u8 = 19;
/// NFTA_OBJ_TABLE, NFTA_OBJ_NAME, NFTA_OBJ_TYPE and NFTA_OBJ_DATA.
const OBJECT_TABLE: u16 = 1;
const OBJECT_NAME: u16 = 2;
const OBJECT_TYPE: u16 = 3;
const OBJECT_DATA: u16 = 4;
/// NFT_OBJECT_COUNTER.
const COUNTER: u32 = 1;
/// NFTA_COUNTER_BYTES and NFTA_COUNTER_PACKETS.
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;
/// NFPROTO_INET: tables that are for IPv4 and IPv6.
const INET: u8 = 1;

/// Length of the receive buffer: more than the kernel sends at once.
const BUFFER_LEN: usize = 64 * 1024;

/// A named counter of nftables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counter {
    /// Its name.
    pub name: String,
    /// Packets.
    pub packets: u64,
    /// Bytes of them, from the IP header on.
    pub bytes: u64,
}

/// Questions to the packet filter of one network namespace.
#[derive(Debug)]
pub struct Netfilter(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    socket: Socket,
    sequence: u32,
}

impl Netfilter {
    /// For a namespace.
    ///
    /// # Errors
    /// When the namespace cannot be entered or sockets are refused.
    pub fn in_namespace(namespace: &Namespace) -> Result<Self, Error> {
        let socket = namespace.run(open)??;
        Ok(Self(Mutex::new(Inner { socket, sequence: 0 })))
    }

    /// The named counters of a table of family `inet`; none when there is no such table.
    ///
    /// # Errors
    /// When the kernel refuses or has no nftables.
    pub fn counters(&self, table: &str) -> Result<Vec<Counter>, Error> {
        let mut request = Request::dump(NFTABLES, GET_OBJECT, INET);
        request.text(OBJECT_TABLE, table);
        request.number(OBJECT_TYPE, COUNTER);
        let answers = match self.ask("read the counters of nftables", request) {
            Err(error) if error.is_absent() => return Ok(Vec::new()),
            answers => answers?,
        };
        Ok(answers.iter().filter_map(|message| counter(message, table)).collect())
    }

    /// Sends a request and collects the answers to it.
    fn ask(&self, action: &str, request: Request) -> Result<Vec<Message>, Error> {
        let failed = |source| Error::Netlink { action: action.to_owned(), message: None, source };
        let mut inner = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        inner.sequence = inner.sequence.wrapping_add(1);
        let sequence = inner.sequence;
        inner.socket.send(&request.finish(sequence), 0).map_err(failed)?;
        let mut answers = Vec::new();
        let mut buffer = Vec::with_capacity(BUFFER_LEN);
        loop {
            buffer.clear();
            inner.socket.recv(&mut buffer, 0).map_err(failed)?;
            for message in message::split(&buffer).filter(|message| message.sequence == sequence) {
                match message.outcome() {
                    None => answers.push(message),
                    Some(Ok(())) => return Ok(answers),
                    Some(Err(source)) => return Err(failed(source)),
                }
            }
        }
    }
}

/// A socket in the namespace of the calling thread.
fn open() -> Result<Socket, Error> {
    let open = || -> io::Result<Socket> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        Ok(socket)
    };
    open().map_err(|source| Error::Netlink {
        action: "open a netlink socket of the packet filter".to_owned(),
        message: None,
        source,
    })
}

/// The counter that a message describes, when it is one of this table.
fn counter(message: &Message, table: &str) -> Option<Counter> {
    let (mut name, mut packets, mut bytes, mut its_table) = (None, 0, 0, None);
    for (kind, value) in attributes(&message.payload) {
        match kind {
            OBJECT_TABLE => its_table = text(value),
            OBJECT_NAME => name = text(value),
            OBJECT_DATA => {
                for (kind, value) in attributes(value) {
                    match kind {
                        COUNTER_BYTES => bytes = be64(value)?,
                        COUNTER_PACKETS => packets = be64(value)?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    (its_table? == table).then_some(Counter { name: name?, packets, bytes })
}
