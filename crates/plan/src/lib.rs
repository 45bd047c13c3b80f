//! From what is declared to the tables of one host.
//!
//! [`compile`] turns a checked [`model::Intent`] and the [`Facts`] that the host observed into [`HostTables`], the
//! content of the kernel's maps; [`diff`] tells what must change in them.
//!
//! **Invariant:** pure: no clock, no randomness, no I/O; the same input gives the same tables, in whatever order the
//! resources were declared.

mod address;
mod changes;
mod compile;
mod describe;
mod edit;
mod epochs;
pub mod fabric;
mod facts;
mod finding;
pub mod gateway;
mod live;
mod next_hop;
mod tables;

pub use address::{to_address, to_ip};
pub use changes::{Changes, TableChanges, diff};
pub use compile::{Compiled, PortState, PortStatus, compile, domain_numbers, findings_of_group, rule_at};
pub use epochs::{Epochs, epochs};
pub use facts::{Facts, Link, LinkKind, Settings};
pub use finding::{Finding, Severity};
pub use live::{Live, Update};
pub use next_hop::{NextHop, NextHopError, best_route, next_hop};
pub use tables::HostTables;
