//! A message to agents in its final bytes: encoded once, sent to any number of them.

use prost::DecodeError;
use prost::bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType, skip_field};

use crate::convert::answer_in;
use crate::{ClaimAnswer, Question, WireError, wire};

/// An encoded `ControllerMessage`. Clones share the bytes.
///
/// To the gRPC library it is a message like any other, whose encoding is what it holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Encoded(Bytes);

impl Encoded {
    /// Encodes a message; the one place where this is done.
    pub(crate) fn new(message: wire::controller_message::Message) -> Self {
        #[cfg(test)]
        counter::ENCODINGS.with(|count| count.set(count.get() + 1));
        let message = wire::ControllerMessage { message: Some(message) };
        Self(prost::Message::encode_to_vec(&message).into())
    }

    /// The bytes, to be kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What was kept. Whether it is a message is seen when it is heard.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it answers to a claim, if it does. Nothing else is read.
    ///
    /// # Errors
    /// When it is broken.
    pub fn claim_answer(&self) -> Result<Option<ClaimAnswer>, WireError> {
        if !self.is_field(10) {
            return Ok(None);
        }
        Ok(match self.clone().decode()?.message {
            Some(wire::controller_message::Message::ClaimAnswer(answer)) => Some(answer_in(answer)),
            _ => None,
        })
    }

    /// What it asks the host, if it does. Nothing else is read.
    ///
    /// # Errors
    /// When it is broken.
    pub fn question(&self) -> Result<Option<Question>, WireError> {
        if !self.is_field(11) {
            return Ok(None);
        }
        Ok(match self.clone().decode()?.message {
            Some(wire::controller_message::Message::Question(question)) => {
                Some(Question { number: question.number, content: question.content.into() })
            }
            _ => None,
        })
    }

    /// Whether it is the message with this number, of those below 16: the first byte is the tag of a field that has a length,
    /// since a message has one field.
    fn is_field(&self, number: u8) -> bool {
        self.0.first() == Some(&(number << 3 | WireType::LengthDelimited as u8))
    }

    /// Reads it.
    pub(crate) fn decode(self) -> Result<wire::ControllerMessage, DecodeError> {
        prost::Message::decode(self.0)
    }
}

impl prost::Message for Encoded {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    /// Takes the bytes as they are, to be read by [`Encoded::decode`].
    fn decode(mut buf: impl Buf) -> Result<Self, DecodeError> {
        Ok(Self(buf.copy_to_bytes(buf.remaining())))
    }

    /// Never called, since `decode` does not look at fields; it skips, as for a message without fields.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buf, context)
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// How many messages this thread has encoded, for the test that a change is encoded once.
#[cfg(test)]
pub(crate) mod counter {
    std::thread_local! {
        pub static ENCODINGS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }
}
