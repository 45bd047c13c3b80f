//! Why a controller cannot run.

use std::path::PathBuf;

use crate::records::RecordError;

/// Why what the store holds cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The store refuses to be mended.
    #[error(transparent)]
    Commit(#[from] store::CommitError),
    /// Something in it is of another version.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A key that is no name.
    #[error("the store has a token or user of an impossible name: {0}")]
    Name(model::fabric::ResourceNameError),
}

/// Why a controller cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration file.
    #[error("{path}: {reason}", path = .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        reason: String,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] store::OpenError),
    /// What is in it cannot be taken over.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The authority's certificates.
    #[error("the controller's certificate authority in {folder}: {source}", folder = .folder.display())]
    Authority {
        /// The state folder.
        folder: PathBuf,
        /// What is wrong.
        source: proto::ca::CaError,
    },
    /// One of the two files of the authority, or both although hosts have joined.
    #[error(
        "{missing} is missing, and the hosts that have joined trust no other authority; restore it from a backup of the \
         state folder", missing = .missing.display()
    )]
    AuthorityLost {
        /// The file.
        missing: PathBuf,
    },
    /// The file of the admin.
    #[error(transparent)]
    Context(#[from] api::fabric::ContextError),
    /// The certificate of the REST interface.
    #[error(transparent)]
    Tls(#[from] api::fabric::TlsError),
    /// The first resources.
    #[error("the controller's first resources are refused: {0}")]
    First(api::Problem),
    /// The agents' port.
    #[error(transparent)]
    Agents(#[from] proto::server::ServeError),
    /// An address is in use, or not this machine's.
    #[error("cannot listen on {address} for {whom}: {source}; choose another one with {option}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// For whom.
        whom: &'static str,
        /// The option that says where.
        option: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Files, threads, signals.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store failed while the controller ran.
    #[error("the store failed and takes no more changes ({0}); the controller ends, so that a new start can mend it")]
    StoreFailed(String),
}
