//! What a controller asks a host on demand. What stands in questions and answers is JSON, and nothing to the protocol.

use std::time::Duration;

/// A question, as the agent gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// The number that its answer must have.
    pub number: u64,
    /// What is asked.
    pub content: Vec<u8>,
}

/// Most bytes of an answer; well below the 4 MiB that gRPC takes.
pub const MAX_ANSWER_BYTES: usize = 3 << 20;

/// Why a host gave no answer. The sentence continues after the host's name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AskError {
    /// There is no session.
    #[error("does not answer: its agent is not connected")]
    NotConnected,
    /// The agent does not know this question.
    #[error(
        "does not know this question, since its agent is of version {version}; bring the host's netvirt to the controller's \
         version"
    )]
    Unknown {
        /// What the agent said of itself.
        version: String,
    },
    /// It has enough to answer.
    #[error(
        "has {} questions to answer already, or does not keep up with what it is told; ask again later",
        crate::MAX_QUESTIONS
    )]
    Busy,
    /// It has enough to answer for the one who asks.
    #[error(
        "has {} questions of yours to answer already; ask again when they are answered",
        crate::MAX_QUESTIONS_OF_ONE
    )]
    Share,
    /// The session ended before the answer came.
    #[error("does not answer: the connection to its agent broke; ask again when it is connected")]
    Gone,
    /// It took too long.
    #[error("did not answer within {} s; ask again later", .0.as_secs_f32())]
    Late(Duration),
}
