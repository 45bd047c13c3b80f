//! VICI, strongSwan's interface to its IKE daemon charon: commands, and the events that it tells of its own accord.
//!
//! Own code, 400 lines, instead of the crate rsvici: the protocol is small and stable since strongSwan 5.2, the answers are
//! trees whose names are those of connections, which have no fixed types to read them into, and this crate waits for
//! nothing with a runtime.

mod client;
mod message;

pub use client::Client;
pub use message::Section;

/// Why charon was not asked, or did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket cannot be reached.
    #[error("charon does not answer at {path}: {source}")]
    Connect {
        /// Where it should listen.
        path: std::path::PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// The connection broke, or nothing came in time.
    #[error("charon broke off while it was asked to {command}: {source}")]
    Broken {
        /// The command.
        command: String,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// Charon does not know the command or the event.
    #[error("charon does not know {0}; strongSwan 5.9 or newer is needed")]
    Unknown(String),
    /// Charon refused.
    #[error("charon refuses to {command}: {reason}")]
    Refused {
        /// The command.
        command: String,
        /// Its own words.
        reason: String,
    },
    /// A message is not what VICI says that messages are.
    #[error("charon has sent what is no message of VICI; is it strongSwan that listens on its socket?")]
    Garbled,
    /// A message cannot be written.
    #[error("\"{0}\" is too long for charon; names have 255 bytes, values 65535 at most")]
    TooLong(String),
}
