//! The northbound interface: what a client may ask of a host, as types, as errors, and over HTTP on a unix socket.
//!
//! An agent implements [`HostApi`] and gives it to [`server::serve`] together with the [`Socket`] that it bound;
//! everybody else holds a [`Client`].
//!
//! **Invariant:** HTTP stays inside of this crate; no type of axum or hyper crosses its border.
//! **Invariant:** one mistake is one sentence, the same in the CLI and in [`Problem::detail`].

mod asking;
mod change;
mod client;
pub mod fabric;
mod flows;
mod gateway;
mod host_api;
mod http;
mod item;
#[cfg(feature = "memory")]
pub mod memory;
mod paths;
mod plug;
mod port_memory;
mod problem;
pub mod server;
mod socket;
mod status;
mod trace;

pub use asking::{Frame, HostAnswer, HostQuestion, HostTrace, PeerTraffic, PortCounters, PortLease};
pub use change::{Change, ChangeReport, ChangeResult, ChangeSet, Outcome};
pub use client::{Client, ClientError, DEFAULT_TIMEOUT};
pub use flows::{FLOWS, FlowFilter, FlowItem, FlowList, protocol_name, protocol_number};
pub use gateway::{Bell, GATEWAY_WAIT, GatewayWork};
pub use host_api::HostApi;
pub use item::{
    AddressSetStatus, CompartmentStatus, Counters, CustomerRouteStatus, DhcpScopeStatus, GatewayStatus, GlobalStatus,
    Item, ItemStatus, LeaseStatus, LookupRecordStatus, MigrationStatus, PortState, PortStatus, ProviderAddressStatus,
    ProviderRouteStatus, RealizedState, RoutingDomainStatus, SecurityGroupStatus, spec_of,
};
pub use model::LeaseState;
pub use paths::MAX_BODY_BYTES;
pub use plug::{PlugReport, PlugRequest, UnplugReport, UnplugRequest};
pub use port_memory::{Connection, PastLease, PortMemory, Remembered};
pub use problem::{PROBLEM_MEDIA_TYPE, Problem, ProblemType};
pub use socket::{Socket, SocketError};
pub use status::{
    AddressState, ControllerStatus, DropCounter, HostStatus, InterfaceAddress, InterfaceStatus, InterfaceVlan, UPLINK,
    UplinkStatus,
};
pub use trace::{TraceLookup, TraceProtocol, TraceReport, TraceRequest, TraceStep};
