//! What gateways of one group say to each other: heartbeats in UDP, the state of connections in TCP, both to [`PORT`].
//!
//! A heartbeat is one datagram: the four bytes of [`MAGIC`], the version in one byte, then the sender's name. On a connection,
//! messages follow each other, each as its length in four bytes (the most significant first) and JSON of that length; readers
//! pass over fields that they do not know, so that gateways are brought to a new version one after the other. Neither is
//! protected: as with the tunnels between hosts, the underlay is trusted, and only addresses of declared peers are heard.

use std::io::{self, Read, Write};

use host::conntrack::Entry;
use model::QualifiedName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Port of both, of UDP and TCP, at provider addresses. It is the number of NVGRE's RFC, and IANA has given it to nobody.
pub const PORT: u16 = 7637;

/// What heartbeats begin with.
pub const MAGIC: [u8; 4] = *b"NVGW";

/// What both sides must speak.
pub const VERSION: u8 = 1;

/// The greatest message in bytes.
pub const MAX_MESSAGE: usize = 1 << 20;

/// Connections in one message; in JSON, one takes less than 400 bytes.
pub const MAX_ENTRIES_TOLD: usize = 512;

/// What the side says that wants to know of connections.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Asked {
    /// At first: who it is.
    Hello {
        /// See [`VERSION`].
        version: u8,
        /// Its host.
        host: String,
    },
    /// It wants to know of the connections of these compartments, and of no others.
    Want {
        /// Which.
        compartments: Vec<QualifiedName>,
    },
}

/// What the side says that has them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Told {
    /// At first: who it is.
    Hello {
        /// See [`VERSION`].
        version: u8,
        /// Its host.
        host: String,
    },
    /// All connections of this compartment are told from now on.
    Begin {
        /// Which.
        compartment: QualifiedName,
    },
    /// What has become of connections.
    State {
        /// Of which compartment.
        compartment: QualifiedName,
        /// Those that are there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        is: Vec<Entry>,
        /// Those that are over.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        gone: Vec<Entry>,
    },
    /// All that there are have been told since it began.
    Whole {
        /// Of which compartment.
        compartment: QualifiedName,
    },
    /// Nothing is new.
    Idle,
}

/// A heartbeat.
pub fn heartbeat(host: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(VERSION);
    bytes.extend_from_slice(host.as_bytes());
    bytes
}

/// The sender's name in a heartbeat; none if it is none, or of a version that is not understood.
pub fn sender(bytes: &[u8]) -> Option<&str> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (version, name) = rest.split_first()?;
    (*version == VERSION).then(|| std::str::from_utf8(name).ok())?
}

/// Writes one message.
///
/// # Errors
/// When it cannot be written.
pub fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&bytes)
}

/// Reads messages from a stream whose reads give up after a time.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
}

impl Reader {
    /// The next message; none when the stream gave up before it was complete. What has come of it is kept.
    ///
    /// # Errors
    /// When the stream has ended or failed, or brings what is no message.
    pub fn next<M: DeserializeOwned>(&mut self, from: &mut impl Read) -> io::Result<Option<M>> {
        loop {
            if let Some(message) = self.complete()? {
                return Ok(Some(message));
            }
            let mut buffer = [0; 64 * 1024];
            match from.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The first message, if all of it is there.
    fn complete<M: DeserializeOwned>(&mut self) -> io::Result<Option<M>> {
        let Some(length) = self.bytes.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_MESSAGE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes is too long")));
        }
        let Some(message) = self.bytes.get(4..4 + length) else { return Ok(None) };
        let message = serde_json::from_slice(message)?;
        self.bytes.drain(..4 + length);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_name_their_sender() {
        assert_eq!(sender(&heartbeat("host17")), Some("host17"));
        for wrong in [&b""[..], b"NVGW", b"NVGW\x02host17", b"WGVN\x01host17", b"NVGW\x01\xff"] {
            assert_eq!(sender(wrong), None);
        }
    }

    #[test]
    fn messages_come_in_pieces() {
        let want = Asked::Want { compartments: vec!["aaa/net".parse().unwrap()] };
        let mut bytes = Vec::new();
        write(&mut bytes, &want).unwrap();
        write(&mut bytes, &Asked::Hello { version: 1, host: "a".to_owned() }).unwrap();
        let mut reader = Reader::default();
        let (first, rest) = bytes.split_at(7);
        reader.bytes.extend_from_slice(first);
        assert_eq!(reader.complete::<Asked>().unwrap(), None);
        assert_eq!(reader.next(&mut &*rest).unwrap(), Some(want));
        assert!(matches!(reader.complete().unwrap(), Some(Asked::Hello { .. })));
        assert_eq!(reader.next::<Asked>(&mut &[][..]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_message_ends_it() {
        for wrong in [&b"\xff\xff\xff\xffxxxx"[..], b"\0\0\0\x04nope"] {
            let mut wrong = wrong;
            assert!(Reader::default().next::<Asked>(&mut wrong).is_err());
        }
    }
}
