//! The controller: keeps what is declared of a fabric, chooses what was left open, and tells every agent what it must
//! know.
//!
//! [`run`] is the role. `core` is the one way in which anything changes: `plan` judges in memory, the store writes on
//! conditions or refuses, and then agents and watches are told. `northbound` is what people ask ([`api::fabric::FabricApi`]),
//! `agents` what hosts say ([`proto::Controller`]); both are thin.
//!
//! **Invariant:** nothing about a network is decided here; that is `plan`'s. **Invariant:** what is in memory is what the
//! store has: a change that the store refuses leaves no trace.

mod access;
mod accounts;
mod acks;
mod agents;
mod asking;
mod attempts;
mod audience;
mod audit;
mod bulk;
mod claims;
mod clock;
mod commit;
mod config;
mod core;
mod error;
mod first_start;
mod gateway_reports;
mod gateway_status;
mod gateway_watch;
mod hosts;
pub mod limits;
mod listing;
mod northbound;
mod openid;
mod paging;
mod passwords;
mod realized;
mod records;
mod run;
mod secrets;
mod sessions;
mod state;
mod tokens;
mod uplinks;
mod users;
mod view;
mod watches;
mod watching;

pub use config::Options;
pub use core::Settings;
pub use error::{LoadError, RunError};
pub use hosts::{Pending, Sessions};
pub use northbound::Controller;
pub use openid::{OpenId, OpenIdFile};
pub use run::{MakePages, run};
