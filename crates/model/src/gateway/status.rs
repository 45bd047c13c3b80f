//! What a gateway tells of its compartments: to its host, which tells its controller.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_default;
use crate::QualifiedName;
use crate::fabric::ResourceName;

/// All that a gateway tells at once. What is not in it is not carried out by it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayReport {
    /// What keeps the gateway as a whole from its work, as a sentence that says what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Its compartments.
    pub compartments: Vec<CompartmentReport>,
}

/// What a gateway tells of one compartment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompartmentReport {
    /// Its name.
    pub name: QualifiedName,
    /// Its network namespace, for `ip netns exec`.
    pub namespace: String,
    /// What keeps it from its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Its connections, in the order in which they were declared.
    pub connections: Vec<ConnectionReport>,
}

/// How a connection is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ConnectionState {
    /// It does what it is for.
    Up,
    /// It is being set up.
    Connecting,
    /// It does not work; the reason says why.
    Down,
    /// It stands ready on this host; another one is active.
    Standby,
}

impl ConnectionState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Connecting => "connecting",
            Self::Down => "down",
            Self::Standby => "standby",
        }
    }
}

/// What a gateway tells of one connection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionReport {
    /// Its name.
    #[schemars(with = "String")]
    pub name: ResourceName,
    /// How it is.
    pub state: ConnectionState,
    /// Why it is not up, as a sentence that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What carries it: `nftables`, `kernel` or `userspace` ESP or WireGuard, `bird`, `dnsmasq`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carriers: Vec<String>,
    /// Addresses outside that are its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Our public key, of a WireGuard tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Prefixes that it has learnt by BGP, at most 100 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub learnt: Vec<IpNet>,
    /// Connections that its NAT has now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u64>,
    /// Connections that its NAT refused, since limits or ports had run out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refused: u64,
    /// Bytes that came from the outside.
    #[serde(default, skip_serializing_if = "is_default")]
    pub received_bytes: u64,
    /// Bytes that went to the outside.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sent_bytes: u64,
}
