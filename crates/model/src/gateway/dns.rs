//! DNS of a VM network: the names of its own VMs, and forwarding for the rest.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fabric::named;

/// A DNS server in the compartment, at its address inside.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Dns {
    /// The domain in which the VMs of the network have their names, such as `aaa.internal`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Servers that are asked for what is in no zone of `zones` and not in `domain`, through the compartment. Without any,
    /// nothing else has an answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forwarders: Vec<IpAddr>,
    /// Zones that other servers are asked for: those of a company's site.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub zones: Vec<DnsZone>,
    /// More names, beside those of the ports.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub names: Vec<DnsName>,
}

/// A zone, and who is asked for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsZone {
    /// The zone, such as `corp.example`.
    pub zone: String,
    /// Its servers.
    pub servers: Vec<IpAddr>,
}

/// A name with its addresses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsName {
    /// The name; one without a dot is in the domain.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}
