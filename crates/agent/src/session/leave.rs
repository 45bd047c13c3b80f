//! `netvirt host leave`: the opposite of joining. The controller forgets the host, the host what joining and the
//! controller left: certificate, topics, provider addresses that were drawn for it, and what is in force of it.

use std::path::PathBuf;

use host::Netlink;
use proto::client::ClientError;

use super::enrolment::{Enrolment, EnrolmentError};
use super::files::{self, FileError};
use crate::RunError;
use crate::addresses::Addresses;
use crate::config::Config;
use crate::core::Core;

/// What leaving is told.
#[derive(Clone, Debug)]
pub struct LeaveOptions {
    /// The configuration that the agent runs with, if it has one.
    pub config: Option<PathBuf>,
    /// Folder of what the agent keeps, where there is no configuration.
    pub state: Option<PathBuf>,
    /// Whether to leave although the controller does not agree or cannot be asked.
    pub force: bool,
}

/// What was left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// The name that this host had there.
    pub host: String,
    /// HOST:PORT of the controller.
    pub controller: String,
    /// Why the controller still has the host; none if it agreed.
    pub unasked: Option<String>,
}

/// Why a host cannot leave.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    /// It has not joined.
    #[error("this host has not joined a controller: {state} has no controller.yaml", state = .0.display())]
    NotJoined(PathBuf),
    /// Its agent runs.
    #[error(
        "an agent of this host listens on {socket}; stop it first, since it would go on with what the controller said",
        socket = .0.display()
    )]
    Running(PathBuf),
    /// The controller does not agree.
    #[error(transparent)]
    Refused(ClientError),
    /// The controller was not asked.
    #[error(
        "{0}; add --force to give up what this host has of it all the same, and delete the host at the controller with \
         \"netvirt delete host {1}\""
    )]
    Unasked(ClientError, String),
    /// What joining left.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// What the controller said.
    #[error(transparent)]
    File(#[from] FileError),
    /// The kernel, the configuration, or what else is declared on this host.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The runtime.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
}

/// Leaves the controller, and takes out of force what it had said. What this host declares by itself stays.
///
/// # Errors
/// When it has not joined, its agent runs, or the controller refuses or cannot be asked; nothing is changed then. When
/// something of this host cannot be removed; it can be done again.
pub fn leave(options: &LeaveOptions) -> Result<Left, LeaveError> {
    let config = match &options.config {
        Some(path) => Config::read(path).map_err(RunError::from)?,
        None => Config::without_file(options.state.as_deref()),
    };
    let Some(known) = Enrolment::read(&config.state)? else { return Err(LeaveError::NotJoined(config.state)) };
    host::capabilities::require(&host::capabilities::Capability::AGENT).map_err(RunError::from)?;
    host::kernel::check().map_err(RunError::from)?;
    // Held to the end: no agent starts meanwhile.
    let _socket = api::Socket::bind(&config.socket).map_err(|error| match error {
        api::SocketError::InUse(path) => LeaveError::Running(path),
        other => RunError::from(other).into(),
    })?;
    let host = known.at.host.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LeaveError::Runtime)?;
    let unasked = match runtime.block_on(proto::client::leave(&known.at.address, &known.identity)) {
        Ok(()) => None,
        Err(error) if options.force => Some(error.to_string()),
        Err(error @ ClientError::Refused(_)) => return Err(LeaveError::Refused(error)),
        Err(error) => return Err(LeaveError::Unasked(error, host)),
    };
    forget(&config)?;
    Ok(Left { host, controller: known.at.address, unasked })
}

/// Takes out of force what the controller said, and removes it. What makes this a host of the controller goes last.
fn forget(config: &Config) -> Result<(), LeaveError> {
    host::kernel::ensure_bpffs(&config.bpffs).map_err(RunError::from)?;
    // As an agent that starts with nothing from a controller: what differs from that goes.
    Core::start(config, Vec::new())?;
    let netlink = Netlink::current().map_err(RunError::from)?;
    Addresses::of_controller(&config.state).delete_unwanted(&netlink);
    files::remove(&config.state.join("topics.log"))?;
    Ok(Enrolment::remove(&config.state)?)
}
