//! What the controller adds to a resource: who it is, since when, and what was chosen where the spec left it open.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Key, Resource, ResourceName};
use crate::gateway::{Secret, SharedAddress};
use crate::{MacAddress, RoutingDomainId, VlanId, Vsid};

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
    /// Of a VM network with gateway connections: where it leaves, and by which addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Box<GatewayAllocation>>,
    /// Of a gateway connection by WireGuard that names no private key: the one that was made. Never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Secret>,
}

/// What a VM network has been given for its gateway connections, all of them together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayAllocation {
    /// The gateway.
    pub gateway: ResourceName,
    /// The host of the gateway that is active for this VM network.
    pub host: ResourceName,
    /// The gateway's other hosts, which stand ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standby: Vec<ResourceName>,
    /// The host of these that is to be the active one as soon as all hosts know of both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<ResourceName>,
    /// Whether that one forwards already, since all hosts know of both. It may be heard then.
    #[serde(default, skip_serializing_if = "crate::gateway::is_default")]
    pub ready: bool,
    /// The host of these that was the active one until now, and forwards what still comes to it, until all hosts know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came_from: Option<ResourceName>,
    /// The VSID of the gateway subnet, which lies between the VM network's distributed router and the compartment.
    #[schemars(with = "u32", range(min = 4096, max = 16_777_214))]
    pub vsid: Vsid,
    /// Its prefixes, one of each family. The compartment has the second host address of each, the router the first.
    #[schemars(with = "Vec<String>")]
    pub prefixes: Vec<IpNet>,
    /// MAC address of the compartment's side towards the VM network.
    #[schemars(with = "String")]
    pub mac: MacAddress,
    /// MAC address of its side towards the outside; the same on every host.
    #[schemars(with = "String")]
    pub outside_mac: MacAddress,
    /// The VLAN outside; none: untagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>", range(min = 1, max = 4094))]
    pub vlan: Option<VlanId>,
    /// Addresses outside that were drawn from the gateway's ranges, at most one of each family, with the length of their
    /// network's prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpNet>,
    /// Addresses outside that its connections name: for NAT, floating and forwarded ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub named: Vec<IpNet>,
    /// Prefixes outside that its connections translate to (NPTv6).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub translated: Vec<Ipv6Net>,
    /// The ports of an address shared with others that it has instead of an address of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedAddress>,
}

impl GatewayAllocation {
    /// All hosts of the gateway, the active one first.
    pub fn hosts(&self) -> impl Iterator<Item = &ResourceName> {
        std::iter::once(&self.host).chain(&self.standby)
    }

    /// The compartment's addresses in the gateway subnet: of each prefix the one behind the distributed router's.
    pub fn inside(&self) -> Vec<IpNet> {
        let second = |prefix: &IpNet| {
            let address: IpAddr = match prefix.network() {
                IpAddr::V4(network) => std::net::Ipv4Addr::from_bits(network.to_bits() | 2).into(),
                IpAddr::V6(network) => std::net::Ipv6Addr::from_bits(network.to_bits() | 2).into(),
            };
            IpNet::new(address, prefix.prefix_len()).ok()
        };
        self.prefixes.iter().filter_map(second).collect()
    }
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
