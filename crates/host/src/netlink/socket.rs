//! One request, and the kernel's answer to it, over a netlink socket.
//!
//! The kernel answers a request before `send` returns, so that this needs no runtime, no task and no time limit.

use std::io;
use std::marker::PhantomData;
use std::sync::Mutex;

use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NetlinkDeserializable, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable, NlasIterator,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

use crate::Error;

/// How often a dump that was torn by a change is repeated before giving up.
const DUMP_ATTEMPTS: usize = 32;

/// NLMSGERR_ATTR_MSG of include/uapi/linux/netlink.h: the kernel's own words.
const ERROR_TEXT: u16 = 1;

/// Length of a netlink message's header.
const HEADER_LEN: usize = 16;

/// Length of the receive buffer: the kernel never sends more of a dump at once.
const BUFFER_LEN: usize = 64 * 1024;

/// What is asked and answered on a socket: the messages of its protocol.
pub(crate) trait Messages:
    NetlinkSerializable + NetlinkDeserializable + Clone + Into<NetlinkPayload<Self>>
{
}

impl<M: NetlinkSerializable + NetlinkDeserializable + Clone + Into<NetlinkPayload<M>>> Messages for M {}

/// A socket for requests, of route netlink where nothing else is said.
#[derive(Debug)]
pub(crate) struct RequestSocket<M = RouteNetlinkMessage> {
    inner: Mutex<Inner>,
    messages: PhantomData<fn(M) -> M>,
}

#[derive(Debug)]
struct Inner {
    socket: Socket,
    sequence: u32,
}

impl RequestSocket {
    /// A socket in the namespace of the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        Self::of_protocol(NETLINK_ROUTE)
    }
}

impl<M: Messages> RequestSocket<M> {
    /// A socket of another protocol of netlink in the namespace of the calling thread.
    pub(crate) fn of_protocol(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // The kernel explains refusals, and does not repeat our request in them.
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        Ok(Self { inner: Mutex::new(Inner { socket, sequence: 0 }), messages: PhantomData })
    }

    /// Asks for a change and waits until it is acknowledged. `flags` is added to REQUEST and ACK.
    pub(crate) fn change(&self, action: &str, message: M, flags: u16) -> Result<(), Error> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        self.lock().exchange(action, request, &mut |_| {}).map(|_| ())
    }

    /// Asks for one object.
    pub(crate) fn get(&self, action: &str, message: M) -> Result<Vec<M>, Error> {
        let mut request = NetlinkMessage::from(message);
        // The acknowledgement ends the answer.
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK;
        let mut answers = Vec::new();
        self.lock().exchange(action, request, &mut |answer| answers.push(answer))?;
        Ok(answers)
    }

    /// Asks for all objects of a kind, again when a change tore the answer.
    pub(crate) fn dump(&self, action: &str, message: M) -> Result<Vec<M>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut answers = Vec::new();
            if !self.dump_once(action, message.clone(), &mut |answer| answers.push(answer))? {
                return Ok(answers);
            }
        }
        Err(Error::Restless)
    }

    /// Asks for all objects of a kind, each given to `take` as it comes; tells whether a change tore the answer.
    pub(crate) fn dump_once(&self, action: &str, message: M, take: &mut dyn FnMut(M)) -> Result<bool, Error> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        self.lock().exchange(action, request, take)
    }

    /// The socket; a panic in another thread does not spoil it, because each exchange reads by sequence number.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    /// Sends a request and reads until its answer is complete; tells whether a dump was torn.
    fn exchange<M: Messages>(
        &mut self,
        action: &str,
        mut request: NetlinkMessage<M>,
        take: &mut dyn FnMut(M),
    ) -> Result<bool, Error> {
        let failed = |source| Error::Netlink { action: action.to_owned(), message: None, source };
        self.sequence = self.sequence.wrapping_add(1);
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map_err(failed)?;
        let mut torn = false;
        let mut buffer = Vec::with_capacity(BUFFER_LEN);
        loop {
            buffer.clear();
            let received = self.socket.recv(&mut buffer, 0).map_err(failed)?;
            for message in split(&buffer[..received]) {
                let message: NetlinkMessage<M> = message?;
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                torn |= message.header.flags & NLM_F_DUMP_INTR != 0;
                match message.payload {
                    NetlinkPayload::Done(_) => return Ok(torn),
                    NetlinkPayload::Error(error) => match error.code {
                        None => return Ok(torn),
                        Some(code) => {
                            let source = io::Error::from_raw_os_error(code.get().abs());
                            let message = kernel_words(&error.header);
                            return Err(Error::Netlink { action: action.to_owned(), message, source });
                        }
                    },
                    NetlinkPayload::InnerMessage(inner) => take(inner),
                    _ => {}
                }
            }
        }
    }
}

/// The messages in what was received at once.
pub(crate) fn split<M: Messages>(mut bytes: &[u8]) -> impl Iterator<Item = Result<NetlinkMessage<M>, Error>> {
    std::iter::from_fn(move || {
        if bytes.len() < HEADER_LEN {
            return None;
        }
        let length = match NetlinkBuffer::new_checked(bytes) {
            Ok(buffer) => buffer.length() as usize,
            Err(error) => {
                bytes = &[];
                return Some(Err(Error::Answer(error.to_string())));
            }
        };
        let (message, _) = bytes.split_at(length.min(bytes.len()));
        // Messages begin at multiples of four bytes.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(NetlinkMessage::deserialize(message).map_err(|error| Error::Answer(error.to_string())))
    })
}

/// The explanation behind the repeated header of a refusal.
fn kernel_words(refusal: &[u8]) -> Option<String> {
    NlasIterator::new(refusal.get(HEADER_LEN..)?)
        .filter_map(Result::ok)
        .find(|attribute| attribute.kind() == ERROR_TEXT)
        .map(|attribute| String::from_utf8_lossy(attribute.value()).trim_end_matches('\0').to_owned())
}
