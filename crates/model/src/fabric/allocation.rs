//! What the controller adds to a resource: who it is, since when, and what was chosen where the spec left it open.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Key, Resource, ResourceName};
use crate::{MacAddress, RoutingDomainId, Vsid};

/// What a resource has been given: its own where the spec names a value, otherwise a free one. Fields that its kind
/// does not have are empty.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Allocation {
    /// Of a VM network: its routing domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Uuid>")]
    pub rdid: Option<RoutingDomainId>,
    /// Of a VM subnet of a network that is virtualized (`nvgre`, `vxlan`, `geneve`): its VSID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u32>", range(min = 4096, max = 16_777_214))]
    pub vsid: Option<Vsid>,
    /// Of a host: its provider addresses, each with the length of its on-link prefix.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub provider_addresses: Vec<IpNet>,
    /// Of a port: its MAC address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub mac: Option<MacAddress>,
    /// Of a port: the VM subnet that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm_subnet: Option<ResourceName>,
    /// Of a port: its customer addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Of a port whose addressing is `learnt`: the customer addresses that its host heard it use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub learnt: Vec<IpAddr>,
    /// Of a port whose VM has moved while it ran: the host that it was on, for as long as some host may not know yet. What
    /// comes there for the VM is sent on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub came_from: Option<ResourceName>,
}

/// A resource as the controller keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// What was declared.
    pub resource: Resource,
    /// Tells this resource from one of the same name that was there before.
    pub uid: Uuid,
    /// The revision of the fabric with which it last changed; its ETag.
    pub revision: u64,
    /// When it was created, in milliseconds since 1970 (UTC).
    pub created: u64,
    /// What it was given.
    pub allocation: Allocation,
}

impl Object {
    /// What tells it from all others.
    pub fn key(&self) -> Key {
        self.resource.key()
    }
}
