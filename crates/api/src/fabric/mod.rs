//! The controller's northbound interface: what operators and tenants may ask of a whole fabric.
//!
//! The controller implements [`FabricApi`]; everybody else asks it over HTTPS with JSON, as the OpenAPI document of
//! this module says.

mod access;
pub mod accounts;
pub mod asking;
mod change;
mod client;
mod context;
mod fabric_api;
mod gateways;
mod item;
#[cfg(feature = "memory")]
pub mod memory;
pub mod openapi;
mod pages;
mod paths;
pub mod server;
mod tls;

pub use access::{
    AuditEntry, AuditQuery, Caller, CallerKind, JoinToken, NewJoinToken, NewToken, Role, Token, TokenCreated,
};
pub use asking::{
    Answer, Dropped, HostReport, Lease, Leases, PortTraffic, Question, Trace, TraceEnd, TraceFate, TraceLeg, Traffic,
    Tunnel, Tunnels, Unanswered, UplinkTraffic,
};
pub use change::{Change, ChangeReport, ChangeResult, ChangeSet};
pub use client::{Client, ClientError, Endpoint, Watching};
pub use context::{Context, ContextError};
pub use fabric_api::{FabricApi, ListQuery, Watch, WatchQuery};
pub use gateways::{ConnectionStatus, GatewayHostStatus};
pub use item::{
    ControllerStatus, Event, EventKind, FamilyUsage, HostRealization, Imported, Item, LastMove, Listing, Page,
    PortDevice, Realized, Status,
};
pub use pages::{Ended, PageAnswer, PageBody, PageEvent, PageEvents, PageMethod, PageRequest, Pages};
pub use paths::{MAX_BULK_BYTES, MAX_TENANT_BODY_BYTES};
pub use tls::{ServerTls, TlsError, TlsIdentity};

/// Most items of a page, and how many there are when a client asks for no number.
pub const MAX_PAGE: usize = 500;
