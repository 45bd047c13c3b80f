//! What can go wrong with the kernel programs, in words for the operator.

use std::path::PathBuf;

/// Why the kernel programs could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file of the BPF file system.
    #[error("cannot use {path}: {source}; it must be a folder in a BPF file system that this process may write to", path = .path.display())]
    Folder {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// The object or a map.
    #[error(
        "the kernel refuses netvirt's maps: {0}; it needs Linux 6.6 or newer with BPF, and CAP_BPF and CAP_NET_ADMIN"
    )]
    Load(String),
    /// A program.
    #[error(
        "the kernel refuses netvirt's program: {0}; it needs Linux 6.6 or newer with tcx, and CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN"
    )]
    Program(String),
    /// A device.
    #[error("cannot attach to device {device}: {reason}")]
    Attach {
        /// Its name.
        device: String,
        /// What the kernel said.
        reason: String,
    },
    /// An entry of a map.
    #[error("cannot {operation} map {map}: {entry}: {reason}")]
    Entry {
        /// What was tried.
        operation: &'static str,
        /// Name of the map.
        map: &'static str,
        /// Key of the entry.
        entry: String,
        /// What the kernel said.
        reason: String,
    },
    /// A map.
    #[error("cannot {operation} map {map}: {reason}")]
    Map {
        /// What was tried.
        operation: &'static str,
        /// Name of the map.
        map: &'static str,
        /// What the kernel said.
        reason: String,
    },
    /// Something that this version of the object should have.
    #[error("netvirt's kernel object lacks {0}; it is not of this version of netvirt")]
    Missing(&'static str),
}

/// An error with all its causes on one line: aya's outermost sentence alone says too little.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl Error {
    pub(crate) fn load(error: aya::EbpfError) -> Self {
        Self::Load(chain(&error))
    }

    pub(crate) fn program(error: aya::programs::ProgramError) -> Self {
        Self::Program(chain(&error))
    }

    pub(crate) fn map(operation: &'static str, map: &'static str, error: &dyn std::error::Error) -> Self {
        Self::Map { operation, map, reason: chain(error) }
    }

    /// An entry that the kernel refused, by a single system call or in a batch.
    pub(crate) fn entry(
        operation: &'static str,
        map: &'static str,
        key: &dyn std::fmt::Debug,
        error: &std::io::Error,
    ) -> Self {
        // What the kernel says of a map that is full is "argument list too long".
        let reason = match error.kind() {
            std::io::ErrorKind::ArgumentListTooLong => "the map is full".to_owned(),
            _ => error.to_string(),
        };
        Self::Entry { operation, map, entry: format!("{key:?}"), reason }
    }
}
