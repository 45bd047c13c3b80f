//! `netvirt host join`: this machine becomes a host of a controller.

use std::path::PathBuf;

use host::Netlink;
use model::Name;
use proto::client::ClientError;
use proto::{HostFacts, Token, TokenError, Uplink};

use super::enrolment::{Controller, Enrolment, EnrolmentError};
use super::is_underlay;

/// What joining is told.
#[derive(Clone, Debug)]
pub struct JoinOptions {
    /// HOST:PORT where the controller answers agents.
    pub controller: String,
    /// What `netvirt create join-token` gave.
    pub token: String,
    /// The interfaces in the underlay, at least one.
    pub uplinks: Vec<String>,
    /// The name that this host would like; its host name by default.
    pub name: Option<String>,
    /// Folder of what the agent keeps.
    pub state: PathBuf,
    /// Whether to join although this host has joined already.
    pub force: bool,
}

/// Why a machine cannot join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// It has joined already.
    #[error(
        "this host has joined the controller at {address} already, as {host}; add --force to leave it and join anew, or \
         choose another folder with --state"
    )]
    Joined {
        /// The controller.
        address: String,
        /// The name there.
        host: String,
    },
    /// The token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The name of an uplink.
    #[error("\"{0}\" is not the name of an interface; \"ip link\" shows those that are there")]
    Uplink(String),
    /// None was named.
    #[error("no uplink is named; add --uplink INTERFACE, the interface that reaches the other hosts")]
    NoUplink,
    /// An uplink without an address.
    #[error(
        "interface {0} has no address that other hosts could reach; give it one, such as with \"ip address add \
         192.168.4.11/24 dev {0}\", and join again"
    )]
    NoAddress(Name),
    /// The devices.
    #[error(transparent)]
    Host(#[from] host::Error),
    /// The controller.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The files.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// The runtime.
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
}

/// Enrols this machine and says under which name. Nothing is written unless the controller agrees.
///
/// # Errors
/// When it has joined already, an uplink is not as it must be, or the controller refuses or cannot be reached.
pub fn join(options: &JoinOptions) -> Result<String, JoinError> {
    // A broken enrolment is mended by joining anew.
    if !options.force
        && let Some(known) = Enrolment::read(&options.state)?
    {
        return Err(JoinError::Joined { address: known.at.address, host: known.at.host.to_string() });
    }
    let token: Token = options.token.parse()?;
    let facts = facts(&options.uplinks)?;
    let name = options.name.clone().unwrap_or_else(crate::core::host_name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(JoinError::Runtime)?;
    let joined = runtime.block_on(proto::client::join(&options.controller, &token, &name, &facts))?;
    let host = joined.host.to_string();
    let uplinks = facts.uplinks.into_iter().map(|uplink| uplink.interface).collect();
    let at = Controller { address: options.controller.clone(), host: joined.host, uplinks };
    Enrolment { at, identity: joined.identity }.write(&options.state)?;
    // What another controller said is nothing of this one's.
    let topics = options.state.join("topics.log");
    super::files::remove(&topics).map_err(EnrolmentError::from)?;
    Ok(host)
}

/// What this machine is, with these uplinks.
fn facts(uplinks: &[String]) -> Result<HostFacts, JoinError> {
    if uplinks.is_empty() {
        return Err(JoinError::NoUplink);
    }
    let netlink = Netlink::current()?;
    let uplink = |text: &String| {
        let interface: Name = text.parse().map_err(|_| JoinError::Uplink(text.clone()))?;
        let link = netlink.link(text)?;
        let addresses: Vec<_> = link.addresses.into_iter().filter(|address| is_underlay(address.addr())).collect();
        if addresses.is_empty() {
            return Err(JoinError::NoAddress(interface));
        }
        Ok(Uplink { interface, addresses, mtu: link.mtu })
    };
    let uplinks = uplinks.iter().map(uplink).collect::<Result<_, JoinError>>()?;
    Ok(HostFacts { version: env!("CARGO_PKG_VERSION").to_owned(), uplinks, ..HostFacts::default() })
}
