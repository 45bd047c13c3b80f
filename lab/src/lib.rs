//! Hosts, VMs and an underlay out of network namespaces on one machine, from a YAML file: for `netvirt lab`, tests,
//! the demo and benchmarks.
//!
//! What a lab makes is written down in `/run/netvirt/lab/NAME/state.json` before it is made, so that
//! [`down`] removes all of it, also after a crash or `kill -9`.
//!
//! **Invariant:** nothing here decides about a packet or a network: the agents do, and the lab asks them (for a port's
//! MTU, for example). **Invariant:** real tools (ping, iperf3, tcpdump) are run as programs, never imitated.

mod agent;
mod build;
mod controller;
mod error;
mod guard;
mod lab;
mod node;
mod state;
mod status;
mod teardown;
mod topology;
mod validate;
mod wiring;

pub use error::LabError;
pub use guard::LabGuard;
pub use lab::{Interrupted, Lab, UpOptions, down, exec, list, plug, status, up};
pub use node::{Node, Output};
pub use status::{AgentStatus, LabStatus, LabSummary, NodeKind, NodeStatus};
pub use topology::{Controller, Host, Offloads, Topology, Underlay, UnderlayKind, Vm, VmRoute};
