//! Network namespaces, devices, addresses, routes and capabilities of one Linux machine.
//!
//! Everything here is synchronous: a call returns when the kernel has done it. Nothing needs an async runtime, and
//! nothing is disturbed by one, so that roles with a runtime and tools without one use the same calls.
//!
//! **Invariant:** no other crate speaks netlink, enters a namespace or reads a capability, and no type of the crates
//! that this one stands on crosses its border.

mod alarm;
pub mod capabilities;
pub mod conntrack;
mod error;
pub mod kernel;
mod namespace;
mod netfilter;
mod netlink;
mod offload;
mod packet_socket;
mod pidfd;
pub mod process;
mod sockets;
mod steering;
mod tap;
mod tun;
mod watch;

pub use alarm::Alarm;
pub use error::Error;
pub use namespace::{NETNS_FOLDER, Namespace};
pub use netfilter::{Counter, Netfilter};
pub use netlink::{
    AddressState, Asked, Link, LinkKind, Netlink, PolicyRule, Reachability, Route, TableRoute, VethEnd, Vxlan,
};
pub use offload::Offload;
pub use packet_socket::PacketSocket;
pub use pidfd::Process;
pub use tap::TapOptions;
pub use tun::open_tun;
pub use watch::{LinkEvent, LinkWatch, LinkWatchStop};

/// A MAC address in the order of the wire.
pub type Mac = [u8; 6];
