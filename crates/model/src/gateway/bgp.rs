//! BGP of a connection (RFC 4271): with whom routes are exchanged, and which.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Secret, is_default};
use crate::fabric::named;

/// BGP over a connection, on the link of a routed one or inside of a tunnel. The compartment's routes to its VM network are
/// announced, what is learnt is taken up.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bgp {
    /// Our autonomous system, of 2 or 4 bytes (RFC 6793).
    #[schemars(range(min = 1, max = 4_294_967_294_u32))]
    pub local_as: u32,
    /// The router's identifier; the compartment's lowest IPv4 address outside, else inside, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router_id: Option<Ipv4Addr>,
    /// With whom.
    #[serde(deserialize_with = "named::list")]
    pub neighbors: Vec<BgpNeighbor>,
    /// What is announced; the prefixes of the VM network's subnets if it is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub announce: Vec<IpNet>,
}

/// A neighbor.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BgpNeighbor {
    /// Its address.
    pub address: IpAddr,
    /// Its autonomous system.
    #[schemars(range(min = 1, max = 4_294_967_294_u32))]
    pub remote_as: u32,
    /// Password of TCP MD5 signatures (RFC 2385).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Whether it may be several hops away.
    #[serde(default, skip_serializing_if = "is_default")]
    pub multihop: bool,
    /// Seconds without a word after which the session ends (RFC 4271, 4.2); 0 never, else 3 or more. 9 if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_time: Option<u16>,
    /// Of what it tells, what is taken; none means all that is not the VM network's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub import: Vec<PrefixFilter>,
    /// Of what is announced, what it is told; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub export: Vec<PrefixFilter>,
    /// How many prefixes it may tell; with more, the session ends. 1000 if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_prefixes: Option<u32>,
    /// Whether its routes stay for a time after its session has broken (RFC 4724). Yes if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_restart: Option<bool>,
}

/// Prefixes that a filter takes: those inside of one, with lengths in bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrefixFilter {
    /// What they must be inside of.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// The shortest length taken; that of `prefix` if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 128))]
    pub at_least: Option<u8>,
    /// The longest length taken; that of `prefix`, or `atLeast` where it is longer, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 128))]
    pub at_most: Option<u8>,
}
