//! The agent: the role of one host. It makes the kernel programs do what is declared for this host, and keeps them so.
//!
//! [`run`] is the whole of it: a configuration file, and resources over a unix socket. Decisions are elsewhere: about
//! packets in `pipeline`, about tables in `plan`. What the agent adds is the order of things: check, write down, carry
//! out, and if that fails, take back.
//!
//! **Invariant:** stopping, killing or upgrading the agent changes nothing for packets: programs, maps and links are
//! pinned, and a start changes only what differs.

mod addresses;
mod asking;
mod config;
mod core;
mod desired;
mod error;
mod facts;
mod flows;
mod gateways;
mod learnt;
mod local_api;
mod plugging;
mod policy_log;
mod port_memory;
mod punts;
mod run;
mod saved;
mod session;
mod statuses;
mod trace;

pub use config::{Config, ConfigError};
pub use error::RunError;
pub use run::{run, run_joined};
pub use session::{JoinError, JoinOptions, LeaveError, LeaveOptions, Left, SessionError, join, leave};
pub use trace::trace;
