//! Plugging: a port's device is made, and goes; and a port that any host may plug comes to the host, and leaves it.

use model::{MacAddress, Name};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A port is to be plugged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlugRequest {
    /// The name of the port on the host, its device, or its UUID.
    pub port: String,
    /// The name that its device must have, or is to have if the port leaves that open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Name>,
    /// How many queues the tap is for; whoever opens it must ask for several, or for one.
    #[serde(default = "one")]
    pub queues: u32,
    /// The number of the user who may open the tap beside root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// Whether somebody else has made the device, which must be there then and is not kept.
    #[serde(default)]
    pub existing: bool,
}

const fn one() -> u32 {
    1
}

impl PlugRequest {
    /// A port with one queue and a tap that is made for it.
    pub fn of(port: impl Into<String>) -> Self {
        Self { port: port.into(), device: None, queues: 1, owner: None, existing: false }
    }
}

/// A port that is plugged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlugReport {
    /// The name of the port on the host.
    pub port: String,
    /// Its UUID, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Uuid>,
    /// Its device.
    pub device: Name,
    /// The MAC address that its VM must use.
    pub mac: MacAddress,
    /// The largest packet that fits through the overlay, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Whether the device was made, and not there already.
    pub made: bool,
    /// Whether the port has come to this host by this.
    pub claimed: bool,
    /// Whether its VM runs on another host, and is to come here.
    #[serde(default)]
    pub expected: bool,
}

/// A port is to be unplugged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnplugRequest {
    /// The name of the port on the host, its device, or its UUID. Without one, what is left of ports that are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Whether somebody else has made the device and removes it.
    #[serde(default)]
    pub existing: bool,
    /// Whether the device goes although a process has it open.
    #[serde(default)]
    pub force: bool,
}

/// What was unplugged.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnplugReport {
    /// The devices that were removed.
    pub removed: Vec<Name>,
    /// What was left as it is, and why, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
