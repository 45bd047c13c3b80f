//! Hosts, VMs, an underlay and what lies outside of it, out of network namespaces on one machine, from a YAML file: for
//! `netvirt lab`, tests, the demo and benchmarks. VMs may be virtual machines too, with kernels of their own (`guest`).
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
mod gateway;
mod guard;
mod guest;
mod lab;
mod node;
mod outside;
mod state;
mod status;
mod teardown;
mod topology;
mod validate;
mod verbs;
mod wiring;

pub use ::qemu::{Moved, Pause, Qmp};
pub use error::LabError;
pub use guard::LabGuard;
pub use guest::{Accelerator, Awaited, ForeignGuest};
pub use lab::{Interrupted, Lab, UpOptions};
pub use node::{Node, Output};
pub use outside::{Internet, Outside, Server, Site};
pub use status::{AgentStatus, GatewayStatus, GuestStatus, LabStatus, LabSummary, NodeKind, NodeStatus};
pub use topology::{Controller, Host, Offloads, Topology, Underlay, UnderlayKind, Vm, VmKind, VmRoute};
pub use verbs::{down, exec, list, migrate, plug, receive, received, status, up};
