//! The hosts of one gateway to each other: who the others are, and what one sees of them.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fabric::ResourceName;

/// Another host of the same gateway.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayPeer {
    /// Its name.
    pub host: ResourceName,
    /// Its provider address, where its gateway is spoken to.
    pub address: IpAddr,
}

/// Whether the interfaces that a gateway cannot do without have a carrier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayLinks {
    /// The external interface.
    pub outside: bool,
    /// The one with the host's provider address.
    pub uplink: bool,
}

/// A sign of life of a gateway's host, said several times a second: by the gateway to its agent, and by the agent to the
/// controller, which it says it to also when the gateway is silent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayBeat {
    /// Milliseconds since the gateway said this; none if it never did. The agent fills it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<u32>,
    /// Whether its interfaces have a carrier, where it has looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<GatewayLinks>,
    /// What it sees of the gateway's other hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<PeerReport>,
}

/// What a gateway's host sees of another one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerReport {
    /// The other one.
    #[schemars(with = "String")]
    pub host: ResourceName,
    /// Milliseconds since it was heard last; since it was first listened for, if it never was.
    pub silent: u32,
    /// What keeps the connections that it has active from being known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}
