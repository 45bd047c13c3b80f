//! The protocol between controller and agents: gRPC over TLS, with certificates of the controller's own authority.
//!
//! - [`Hub`] is the controller's side: who is connected, who gets what. It is driven by [`Hub::publish`] and asks the
//!   [`Controller`], a plain trait. [`server::serve`] offers it over the network.
//! - [`Mirror`] is the agent's side: the topics as the host has them, and what to do about a message. [`client`] joins,
//!   connects and renews.
//! - [`ca`] makes certificates, [`Token`] is what an operator carries to a new host.
//!
//! **Invariant:** a change is encoded once, however many agents get it. **Invariant:** messages of `prost` and `tonic`
//! do not cross the border of this crate.

mod asking;
pub mod ca;
mod claims;
pub mod client;
mod controller;
mod convert;
mod digest;
mod encoded;
mod facts;
mod handover;
mod hub;
mod mirror;
#[cfg(test)]
mod mirror_tests;
pub mod server;
mod tls;
mod token;
mod wire;

pub use asking::{AskError, MAX_ANSWER_BYTES, Question};
pub use claims::{Claim, ClaimAnswer, Claimed};
pub use controller::{Controller, JoinAsk, Joined, Peer, Refused, TopicContent};
pub use convert::WireError;
pub use digest::Digest;
pub use encoded::Encoded;
pub use facts::{Departure, HostFacts, LearntAddress, PortReport, Report, Station, Uplink};
pub use handover::{Handover, Lease};
pub use hub::{Hub, Limits, MAX_QUESTIONS, MAX_QUESTIONS_OF_ONE, Standing, Waiting, snapshot};
pub use mirror::{Heard, Mirror, Update};
pub use plan::fabric::{TopicChange, TopicId};
pub use token::{Token, TokenError};

/// The name that a controller's certificate always has. Agents check it rather than the address that they reach the
/// controller by, so that any address will do, behind a translation too.
pub const CONTROLLER_NAME: &str = "controller.netvirt.internal";
