//! Why an agent cannot run.

use model::IntentError;
use plan::Finding;

/// Why an agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] crate::ConfigError),
    /// The kernel, a capability, or a device.
    #[error(transparent)]
    Host(#[from] host::Error),
    /// The kernel programs.
    #[error(transparent)]
    Datapath(#[from] datapath::Error),
    /// The unix socket.
    #[error(transparent)]
    Socket(#[from] api::SocketError),
    /// The saved resources.
    #[error(transparent)]
    Saved(#[from] crate::saved::SavedError),
    /// What joining a controller left, or what the controller said last.
    #[error(transparent)]
    Session(#[from] crate::SessionError),
    /// There is no configuration, and nothing that joining left.
    #[error(
        "this host has neither a configuration nor joined a controller ({state} has no controller.yaml); join one with \
         \"netvirt host join\", or name a configuration with --config", state = .0.display()
    )]
    NotJoined(std::path::PathBuf),
    /// The resources contradict each other.
    #[error("the declared resources contradict each other; nothing was changed:{}", list(.0))]
    Contradiction(Vec<IntentError>),
    /// The resources cannot be carried out on this host.
    #[error("the declared resources cannot be carried out on this host; nothing was changed:{}", list(.0))]
    Refused(Vec<Finding>),
    /// Threads, signals, the server.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Sentences, each on a line of its own.
fn list(sentences: &[impl std::fmt::Display]) -> String {
    sentences.iter().map(|sentence| format!("\n  {sentence}")).collect()
}
