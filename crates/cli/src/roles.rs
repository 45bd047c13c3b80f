//! The roles that the binary can take on besides the operator's verbs, and what they are told, as plain data.

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// How a role ends.
pub type RoleResult = Result<(), Box<dyn Error>>;

/// The roles. They are handed in, since roles do not import each other.
#[derive(Clone, Copy, Debug)]
pub struct Roles {
    /// Runs the agent until it is told to end.
    pub agent: fn(&AgentOptions) -> RoleResult,
    /// Runs the controller until it is told to end.
    pub controller: fn(&ControllerOptions) -> RoleResult,
    /// Runs the gateway of this host until it is told to end.
    pub gateway: fn(&GatewayOptions) -> RoleResult,
    /// Runs one WireGuard tunnel of a gateway until it is told to end.
    pub wireguard: fn(&WireguardOptions) -> RoleResult,
    /// Gives up this host's membership, and says what came of it.
    pub leave: fn(&LeaveOptions) -> Result<Left, Box<dyn Error>>,
    /// Enrols this host at a controller, and returns the name under which the controller knows it.
    pub join: fn(&JoinOptions) -> Result<String, Box<dyn Error>>,
}

/// What a host has left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// The name that it had at the controller.
    pub host: String,
    /// Where that is, HOST:PORT.
    pub controller: String,
    /// Why the controller still has the host; none if it agreed.
    pub unasked: Option<String>,
}

/// `netvirt agent`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args)]
pub struct AgentOptions {
    /// Configuration of the host; without one, the host must have joined a controller.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of what the agent keeps, also of what joining left there; /var/lib/netvirt by default.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub state: Option<PathBuf>,
    /// Check the configuration and the host, and end.
    #[arg(long)]
    pub check: bool,
}

/// `netvirt controller`. What is absent is as the configuration file says, or else as the controller's own default.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args)]
pub struct ControllerOptions {
    /// Configuration; not needed.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the store, the certificates and admin.yaml; /var/lib/netvirt/controller by default.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Where people and programs are answered (HTTPS); 0.0.0.0:7443 by default.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<std::net::SocketAddr>,
    /// Where agents are answered (gRPC); 0.0.0.0:7444 by default.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub agents: Option<std::net::SocketAddr>,
    /// Address or name under which others reach the controller; stands in its certificate. May be repeated; the first
    /// is told to hosts that join.
    #[arg(long, value_name = "ADDRESS")]
    pub advertise: Vec<String>,
    /// Check the configuration, and end.
    #[arg(long)]
    pub check: bool,
}

/// `netvirt gateway`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayOptions {
    /// The socket of the host's agent.
    pub socket: PathBuf,
    /// Folder of what its daemons need.
    pub folder: PathBuf,
}

/// `netvirt gateway` as it is typed; which agent it is for, is said as with the other verbs.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct GatewayArgs {
    /// Folder of what the gateway's daemons need: configuration, sockets, process numbers. Each gateway has one of its own.
    #[arg(long, value_name = "DIR", default_value = "/run/netvirt/gateway")]
    pub folder: PathBuf,
    /// A process of the gateway's instead of the gateway itself.
    #[command(subcommand)]
    pub process: Option<GatewayProcess>,
}

/// The processes that a gateway starts of this very program.
#[derive(Clone, PartialEq, Eq, Debug, Subcommand)]
pub enum GatewayProcess {
    /// Carry one WireGuard tunnel, where the kernel has no WireGuard.
    #[command(hide = true)]
    Wireguard(WireguardOptions),
}

/// `netvirt gateway wireguard`.
#[derive(Clone, PartialEq, Eq, Debug, Args)]
pub struct WireguardOptions {
    /// The tun device, which is there.
    #[arg(long)]
    pub device: String,
    /// The tunnel's configuration, in the words of wg(8).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The device's MTU in bytes.
    #[arg(long)]
    pub mtu: u16,
    /// The socket at which it tells how the tunnel is.
    #[arg(long, value_name = "SOCKET")]
    pub status: PathBuf,
}

/// `netvirt host join`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args)]
pub struct JoinOptions {
    /// Where the controller answers agents.
    #[arg(long, value_name = "HOST:PORT")]
    pub controller: String,
    /// What "netvirt create join-token" gave.
    #[arg(long)]
    pub token: String,
    /// Interface in the underlay; may be repeated.
    #[arg(long = "uplink", value_name = "INTERFACE", required = true)]
    pub uplinks: Vec<String>,
    /// Name of this host at the controller; its host name by default.
    #[arg(long)]
    pub name: Option<String>,
    /// Folder of what the agent keeps; /var/lib/netvirt by default.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Join although this host has joined already.
    #[arg(long)]
    pub force: bool,
}

/// `netvirt host leave`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Args)]
pub struct LeaveOptions {
    /// Configuration that the agent runs with, if it has one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of what the agent keeps; /var/lib/netvirt by default.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub state: Option<PathBuf>,
    /// Leave although the controller refuses or does not answer.
    #[arg(long)]
    pub force: bool,
}
