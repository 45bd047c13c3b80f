//! What can go wrong in a benchmark, each said with the value and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A word that names no measure.
    #[error("there is no measure \"{0}\"; --list shows those that there are")]
    NoMeasure(String),
    /// Nothing is left to measure.
    #[error("none of the contestants named can do what is to be measured; --list shows who does what")]
    Nothing,
    /// Not enough CPUs.
    #[error("this process may use {found} CPU; the benchmark pins the two sides to one each and needs two")]
    Cpus {
        /// How many there are.
        found: usize,
    },
    /// Pinning was refused.
    #[error("cannot pin to CPU {cpu}: {source}; --cpus takes two CPUs that this process may use")]
    Pin {
        /// Which CPU.
        cpu: usize,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The signals could not be caught.
    #[error("cannot catch signals: {0}")]
    Signals(io::Error),
    /// The user had enough.
    #[error("interrupted; what was set up is removed")]
    Interrupted,
    /// Another benchmark runs.
    #[error("another benchmark runs ({path} is locked); two at once would measure each other")]
    Busy {
        /// The file that it locks.
        path: PathBuf,
    },
    /// The controller, or an agent that is simulated, did not do what was asked.
    #[error("cannot {what}: {reason}")]
    Fabric {
        /// What was tried.
        what: &'static str,
        /// What stood in the way.
        reason: String,
    },
    /// A file could not be written or read.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The netvirt binary is not there.
    #[error(
        "there is no netvirt beside this program ({0}); build it with \"cargo build --release -p netvirt\", or name it \
         in NETVIRT_BIN"
    )]
    NoNetvirt(PathBuf),
    /// A contestant could not be set up.
    #[error("cannot set up {contestant}: {source}")]
    Setup {
        /// Who.
        contestant: String,
        /// Why.
        source: Box<Error>,
    },
    /// A program did not become ready.
    #[error("{what} within {seconds} s; its log says:\n{log}")]
    Late {
        /// What did not come about.
        what: String,
        /// How long it had.
        seconds: u64,
        /// End of its log.
        log: String,
    },
    /// A filter that is to track connections does not.
    #[error("{host} forwards, but recognizes no connection; its rules are:\n{rules}")]
    Untracked {
        /// Which host.
        host: String,
        /// What it was told.
        rules: String,
    },
    /// A device without a MAC address.
    #[error("the device {device} of a host has no MAC address")]
    NoMac {
        /// Which.
        device: &'static str,
    },
    /// A measurement failed.
    #[error("{measure}, {contestant}: {source}")]
    Measurement {
        /// Which.
        measure: &'static str,
        /// Whose.
        contestant: String,
        /// Why.
        source: Box<Error>,
    },
    /// A socket refused.
    #[error("cannot {action}: {source}")]
    Socket {
        /// What was tried.
        action: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The two VMs do not reach each other.
    #[error("no connection from VM to VM within {seconds} s: {source}")]
    Unreachable {
        /// How long was tried.
        seconds: u64,
        /// The last try's error.
        source: io::Error,
    },
    /// Not one sample.
    #[error("nothing arrived in the time measured")]
    Silence,
    /// A thread of the generator panicked.
    #[error("a thread of the load generator panicked; please report this")]
    Panic,
    /// The lab.
    #[error(transparent)]
    Lab(#[from] lab::LabError),
    /// Devices and namespaces.
    #[error(transparent)]
    Host(#[from] host::Error),
}

/// Adds what was tried to an error of a socket.
pub trait Tried<T> {
    /// Adds it.
    ///
    /// # Errors
    /// [`Error::Socket`] for any.
    fn tried(self, action: &'static str) -> Result<T, Error>;
}

impl<T> Tried<T> for io::Result<T> {
    fn tried(self, action: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Socket { action, source })
    }
}
