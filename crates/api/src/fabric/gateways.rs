//! How gateways and their connections are, as their hosts say.

use ipnet::IpNet;
use model::Vsid;
use model::fabric::ResourceName;
use model::gateway::{ConnectionReport, ConnectionState, SharedAddress};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a gateway connection is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// In a word.
    pub state: ConnectionState,
    /// Why it is not up, as a sentence that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The host of the gateway that is active for its VM network.
    #[schemars(with = "String")]
    pub host: ResourceName,
    /// Those that stand ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub standby: Vec<ResourceName>,
    /// The VSID of its VM network's gateway subnet.
    #[schemars(with = "u32")]
    pub vsid: Vsid,
    /// The addresses outside that its VM network has, each with the length of its network's prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub external: Vec<IpNet>,
    /// The ports of a shared address that its VM network has instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedAddress>,
    /// What the active host said last of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ConnectionReport>,
}

/// How a host of a gateway is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayHostStatus {
    /// The host.
    #[schemars(with = "String")]
    pub host: ResourceName,
    /// VM networks for which it is the active one.
    pub active: u32,
    /// VM networks for which it stands ready.
    pub standby: u32,
    /// What keeps it from its work, as a sentence that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}
