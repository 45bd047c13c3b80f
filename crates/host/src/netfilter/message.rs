//! Messages of nfnetlink (linux/netfilter/nfnetlink.h): the header of netlink, four bytes of its own, and attributes whose
//! numbers are in the order of the wire.

use std::io;

/// Length of a netlink message's header, and of nfnetlink's behind it.
const HEADER: usize = 16;
const OWN_HEADER: usize = 4;

/// NLM_F_REQUEST, and NLM_F_DUMP.
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;

/// NLMSG_ERROR and NLMSG_DONE.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// The bits of an attribute's kind that say how it is made, not what it is: NLA_F_NESTED and NLA_F_NET_BYTEORDER.
const KIND_FLAGS: u16 = 0xc000;

/// A request that is being written.
#[derive(Debug)]
pub(super) struct Request(Vec<u8>);

impl Request {
    /// Asks for all objects of a kind.
    pub(super) fn dump(subsystem: u8, message: u8, family: u8) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend((u16::from(subsystem) << 8 | u16::from(message)).to_ne_bytes());
        bytes.extend((REQUEST | DUMP).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend([family, 0, 0, 0]);
        Self(bytes)
    }

    /// Adds a text.
    pub(super) fn text(&mut self, kind: u16, text: &str) {
        let mut value = text.as_bytes().to_vec();
        value.push(0);
        self.attribute(kind, &value);
    }

    /// Adds a number of four bytes.
    pub(super) fn number(&mut self, kind: u16, number: u32) {
        self.attribute(kind, &number.to_be_bytes());
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    /// The bytes of the request.
    pub(super) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[0..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// A message that was received.
#[derive(Debug)]
pub(super) struct Message {
    /// Of nfnetlink: the subsystem in the upper byte, what it is in the lower; or a kind of netlink's own.
    pub(super) kind: u16,
    /// The number of the request that it answers.
    pub(super) sequence: u32,
    /// Its attributes; of netlink's own kinds all that stands behind the header.
    pub(super) payload: Vec<u8>,
}

impl Message {
    /// How the request ended, when this message says so.
    pub(super) fn outcome(&self) -> Option<io::Result<()>> {
        if self.kind != ERROR && self.kind != DONE {
            return None;
        }
        let code = self.payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        Some(if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.saturating_abs())) })
    }
}

/// The messages in what was received at once. What is cut off is left out.
pub(super) fn split(mut bytes: &[u8]) -> impl Iterator<Item = Message> {
    std::iter::from_fn(move || {
        let header: &[u8; HEADER] = bytes.first_chunk()?;
        let field = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let body = bytes.get(HEADER..length)?;
        let kind = field(4);
        let own = kind > DONE;
        let message = Message {
            kind,
            sequence: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
            payload: body.get(if own { OWN_HEADER } else { 0 }..).unwrap_or_default().to_vec(),
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in some bytes: what each is, and its value.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header: &[u8; 4] = bytes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & !KIND_FLAGS;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A number of eight bytes.
pub(super) fn be64(value: &[u8]) -> Option<u64> {
    value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// A number of four bytes.
#[cfg(test)]
pub(super) fn be32(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// A text that a zero ends.
pub(super) fn text(value: &[u8]) -> Option<String> {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8(value[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        let mut request = Request::dump(10, 19, 1);
        request.text(1, "netvirt");
        request.number(3, 1);
        let bytes = request.finish(7);
        let messages: Vec<_> = split(&bytes).collect();
        let [message] = messages.as_slice() else { panic!("{messages:?}") };
        assert_eq!((message.kind, message.sequence), (10 << 8 | 19, 7));
        let read: Vec<_> = attributes(&message.payload).collect();
        assert_eq!((read[0].0, text(read[0].1).as_deref()), (1, Some("netvirt")));
        assert_eq!((read[1].0, be32(read[1].1)), (3, Some(1)));
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        let mut request = Request::dump(1, 1, 2);
        request.text(1, "netvirt");
        let bytes = request.finish(7);
        for length in 0..bytes.len() {
            assert_eq!(split(&bytes[..length]).count(), 0, "{length}");
        }
        for length in 20..bytes.len() {
            assert_eq!(attributes(&bytes[20..length]).count(), usize::from(length >= 32), "{length}");
        }
    }
}
