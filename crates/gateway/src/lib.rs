//! The role of a gateway: makes a network namespace of each compartment that the host's agent tells of, joins it to the VM
//! network and to the outside, and has nftables and daemons do in it what `plan::gateway` says. What it made outlives it:
//! when it ends, traffic flows on; when it starts, it takes up what is there and changes what differs.
//!
//! **Invariant:** no decision is made here. What a compartment is to have is said by `plan::gateway`.

mod agent;
mod announcing;
mod bgp;
mod compartment;
mod daemon;
pub mod daemons;
mod devices;
mod dns;
mod edge;
mod error;
pub mod ha;
mod ipsec;
mod links;
mod part;
mod past;
mod place;
mod run;
mod seen;
mod sessions;
mod silent;
mod tools;
mod tracked;
mod tunnel_device;
mod vici;
mod wireguard;
mod worker;

pub use agent::{Agent, LocalAgent, Work};
pub use bgp::Bgp;
pub use daemon::{ConfigFile, Daemon, DaemonStatus, OnChange};
pub use daemons::{Daemons, Supervisor};
pub use dns::Dns;
pub use error::Error;
pub use ipsec::IpsecPart;
pub use part::{Part, Trouble};
pub use place::Place;
pub use run::{Options, run, serve};
pub use wireguard::{WireguardError, WireguardOptions, WireguardPart, WireguardProgram, run_wireguard};
