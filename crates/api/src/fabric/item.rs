//! A resource of the fabric as it is shown: what was declared (`spec`), and what the controller knows of it (`status`).

use std::net::IpAddr;

use model::fabric::{Allocation, Key, Kind, ResourceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{ConnectionStatus, GatewayHostStatus};

/// A resource in lists and gets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Its kind.
    pub kind: Kind,
    /// Its owner; absent for kinds without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<ResourceName>,
    /// Its name, unique among the tenant's resources of the kind.
    pub name: ResourceName,
    /// Tells it from one of the same name that was there before.
    pub uid: Uuid,
    /// The revision with which it last changed; also its ETag.
    pub revision: u64,
    /// When it was created (RFC 3339).
    pub created: String,
    /// What was declared.
    pub spec: Value,
    /// What the controller knows of it.
    pub status: Status,
}

impl Item {
    /// What tells it from all others.
    pub fn key(&self) -> Key {
        Key { kind: self.kind, tenant: self.tenant.clone(), name: self.name.clone() }
    }
}

/// What the controller knows of a resource. Fields that its kind does not have are absent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// What it was given where its spec left it open.
    #[serde(flatten)]
    pub allocation: Allocation,
    /// On how many of the hosts that need it, it is in force. Absent for kinds that no host needs to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realized: Option<Realized>,
    /// Of a port: its device on its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<PortDevice>,
    /// Of a port: how its VM moves, or has moved last while it ran (live migration), since the controller started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_move: Option<LastMove>,
    /// Of a gateway connection: how it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionStatus>,
    /// Of a gateway: how its hosts are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateway_hosts: Vec<GatewayHostStatus>,
    /// Of a host: whether its agent is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// Of a host: the version of its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Of a host: when its agent was last heard of (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// Of a pool: how many addresses it has and how many of them are given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// See `used`. Saturates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Of a gateway, whose families are pools of their own: the same of each family that its ranges have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<FamilyUsage>,
    /// The gateway addresses of a VM subnet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<IpAddr>,
    /// What is legal but probably not meant, and what a host could not carry out; one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// How much of one family's addresses a gateway has given out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FamilyUsage {
    /// `IPv4` or `IPv6`.
    pub family: String,
    /// How many addresses are given out.
    pub used: u64,
    /// How many there are. Saturates.
    pub total: u64,
}

/// A move of a VM from one host to another while it ran, as the host saw it that it left. A move that did not come about leaves
/// none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastMove {
    /// The host that it left.
    #[schemars(with = "String")]
    pub from: ResourceName,
    /// The host that it went to.
    #[schemars(with = "String")]
    pub to: ResourceName,
    /// Flows of which what was known went with it.
    pub flows: u64,
    /// Frames that went to its device there and that it did not take, since it stood still. Absent before it has left, and
    /// where that cannot be known: of a container, or a VM whose device was gone too soon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// Frames that came there after it had left, and were sent on to it.
    pub sent_on: u64,
}

/// How far a resource is in force.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Realized {
    /// Hosts on which it is in force.
    pub hosts: u32,
    /// Hosts that need it.
    pub of: u32,
    /// The hosts on which it is not yet in force, in the order of their names; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_for: Vec<HostRealization>,
}

impl Realized {
    /// Whether no host is missing.
    pub const fn everywhere(&self) -> bool {
        self.hosts == self.of
    }
}

/// Why a resource is not in force on a host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostRealization {
    /// The host.
    pub host: ResourceName,
    /// What is missing, in one sentence: "its agent is not connected", or what the agent said.
    pub reason: String,
}

/// The device of a port on its host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PortDevice {
    /// The device is there and the port acts.
    Bound,
    /// The device does not exist on the host; the port is bound when it appears.
    Missing,
    /// The host has not said yet.
    Unknown,
}

/// A part of a list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The items, in the order of tenant and name.
    pub items: Vec<Item>,
    /// The revision of the fabric that the list shows; a watch from here misses nothing.
    pub revision: u64,
    /// Given when there are more: ask again with it as `continue`.
    #[serde(default, rename = "continue", skip_serializing_if = "Option::is_none")]
    pub continue_token: Option<String>,
}

/// What happened to a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// It is new, or different.
    Changed,
    /// It is gone; the item is as it last was.
    Deleted,
    /// Only its status is different.
    Status,
}

/// One event of a watch.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What happened.
    pub event: EventKind,
    /// The revision of the fabric after it.
    pub revision: u64,
    /// The resource.
    pub item: Item,
}

/// The controller itself.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControllerStatus {
    /// Version of netvirt.
    pub version: String,
    /// Since when it runs (RFC 3339).
    pub started: String,
    /// The revision of the fabric.
    pub revision: u64,
    /// How many resources there are, by kind.
    pub resources: std::collections::BTreeMap<String, u64>,
    /// Hosts whose agent is connected.
    pub connected_hosts: u32,
    /// Bytes of the store's file.
    pub store_bytes: u64,
    /// How far the revision that was asked about is in force; absent if none was. `of` is 0 when it is everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realized: Option<Realized>,
}

/// All of something that is listed at once: tokens, or lines of the audit log.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}List")]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
}

/// What became of an import.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// How many resources there are now.
    pub resources: u64,
}
