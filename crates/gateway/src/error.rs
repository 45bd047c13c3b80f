//! What keeps a gateway from starting, and what keeps a compartment from its work, each with what to do.

use std::io;
use std::path::PathBuf;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused something about devices, routes or namespaces.
    #[error(transparent)]
    Host(#[from] host::Error),
    /// The agent cannot be asked.
    #[error(transparent)]
    Agent(#[from] api::ClientError),
    /// The folder cannot be used.
    #[error("cannot {action} {path}: {source}; give a folder that this process may write in")]
    Folder {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another gateway works with the folder.
    #[error("another gateway works with the folder {0}; end it first, or give this one another folder")]
    Busy(PathBuf),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// The file of this very program is not known.
    #[error("cannot tell which program this is, to start it for tunnels: {0}; is /proc mounted?")]
    OwnProgram(io::Error),
    /// A thread or descriptor was refused.
    #[error("cannot start a thread: {0}; raise the limits on processes and open files")]
    Thread(io::Error),
    /// A program is not there.
    #[error("the program {program} is not there; install it (Debian: apt install {package})")]
    NoProgram {
        /// Which.
        program: &'static str,
        /// What has it.
        package: &'static str,
    },
    /// A program could not be run.
    #[error("cannot run {program}: {source}")]
    Run {
        /// Which.
        program: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A program refused its orders.
    #[error("{program} refuses what it is told: {words}; please report this with the compartment's declaration")]
    Refused {
        /// Which.
        program: &'static str,
        /// Its words, in one line.
        words: String,
    },
    /// The external interface is not there.
    #[error("the external interface {0} is not there; attach it, or correct the interface of the gateway")]
    NoInterface(String),
    /// The kernel has no VLAN devices.
    #[error(
        "802.1Q devices are not in this kernel, so VLAN {vlan} of {interface} cannot be used; load the module 8021q, or give \
         the gateway an interface that is in the VLAN"
    )]
    NoVlans {
        /// Of which interface.
        interface: String,
        /// Which VLAN.
        vlan: u16,
    },
    /// The kernel has no macvlan devices.
    #[error("macvlan devices are not in this kernel; load the module macvlan")]
    NoMacvlans,
    /// The host is no gateway.
    #[error("the host is not declared a gateway, so there is no external interface; declare its gateway")]
    NoGateway,
    /// The inside's device has the name of somebody else's device.
    #[error(
        "the device {0} is there already and no gateway has made it; rename it, or give the compartment's inside another device"
    )]
    Foreign(String),
    /// The edge is not ready.
    #[error("the edge of the host, which tells shared addresses apart, is not ready: {0}")]
    Edge(String),
    /// There is no more room at the edge.
    #[error("more than {0} compartments share addresses on this host; put some on another gateway")]
    EdgeFull(u16),
}
