//! What a host says of itself, and what it dropped.

use std::net::IpAddr;

use ipnet::IpNet;
use model::MacAddress;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name that stands for the uplink where a port's name is expected.
pub const UPLINK: &str = "uplink";

/// An uplink: an interface with provider addresses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UplinkStatus {
    /// Its name.
    pub interface: String,
    /// Its interface index.
    pub ifindex: u32,
    /// Its MTU, in bytes.
    pub mtu: u32,
    /// The provider addresses on it.
    pub addresses: Vec<IpAddr>,
}

/// How far the host is with an address of an interface (RFC 4862, section 5.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AddressState {
    /// Not yet known to be unique.
    Tentative,
    /// Another machine has it.
    Duplicate,
    /// For old connections alone.
    Deprecated,
    /// In use.
    Preferred,
}

/// An address of an interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceAddress {
    /// The address with the length of its on-link prefix.
    pub address: IpNet,
    /// How far the host is with it.
    pub state: AddressState,
}

/// The interface that a VLAN is on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceVlan {
    /// Interface index of the interface that carries it.
    pub parent: u32,
    /// The VLAN.
    pub id: u16,
}

/// An interface of a host, whether or not netvirt has to do with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Its interface index.
    pub ifindex: u32,
    /// MAC address, if it has one that an interface of a network can have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// Its MTU, in bytes.
    pub mtu: u32,
    /// Whether it is set up and has a carrier.
    pub up: bool,
    /// What it is: veth, tap, bridge, vxlan, vlan, loopback or ethernet, which all others are.
    pub kind: String,
    /// Its addresses.
    pub addresses: Vec<InterfaceAddress>,
    /// If it is a VLAN of another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<InterfaceVlan>,
}

/// The controller that a host has joined.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ControllerOfHost")]
pub struct ControllerStatus {
    /// Where it answers agents, HOST:PORT.
    pub address: String,
    /// Whether the host is connected to it.
    pub connected: bool,
    /// The last revision of what it says that is in force; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Why the last attempt to connect failed, or the last session ended; none while all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Version of the agent.
    pub version: String,
    /// Process identifier of the agent.
    pub pid: u32,
    /// When the agent started (RFC 3339).
    pub started: String,
    /// The uplinks.
    pub uplinks: Vec<UplinkStatus>,
    /// Ports declared.
    pub ports: usize,
    /// Ports whose device is there.
    pub bound_ports: usize,
    /// Lookup records declared.
    pub records: usize,
    /// Customer routes declared.
    pub routes: usize,
    /// What the last start found different between what was declared and what was in force, one sentence each.
    #[serde(default)]
    pub drift: Vec<String>,
    /// What is legal but probably not meant, one sentence each.
    #[serde(default)]
    pub findings: Vec<String>,
    /// The MAC address of the distributed router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub gateway_mac: Option<MacAddress>,
    /// The controller, if the host has joined one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<ControllerStatus>,
}

/// Packets dropped at one port for one reason.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DropCounter {
    /// Name of the port, or [`UPLINK`] for what no port can be blamed for.
    pub port: String,
    /// Name of the reason.
    pub reason: String,
    /// The reason in a sentence.
    pub explanation: String,
    /// How many.
    pub packets: u64,
}
