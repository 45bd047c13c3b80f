//! A resource as it is shown: what the operator declared (`spec`) and what the host knows of it (`status`).

use std::net::IpAddr;

use model::gateway::ConnectionReport;
use model::{Kind, LeaseState, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A resource in lists and gets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Its kind.
    pub kind: Kind,
    /// Its name, unique in its kind.
    pub name: String,
    /// What was declared: the `spec` of the resource.
    pub spec: Value,
    /// What the host knows of it, by kind one of the statuses of [`ItemStatus`].
    #[serde(default)]
    pub status: Value,
}

impl Item {
    /// The status as the type of its kind; `None` if it does not have that shape.
    pub fn status_as<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(&self.status).ok()
    }
}

/// The status of a resource, by kind. On the wire it has no tag: [`Item::kind`] says which one it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum ItemStatus {
    /// Of a port.
    Port(PortStatus),
    /// Of a lookup record.
    LookupRecord(LookupRecordStatus),
    /// Of a customer route.
    CustomerRoute(CustomerRouteStatus),
    /// Of a provider address.
    ProviderAddress(ProviderAddressStatus),
    /// Of a provider route.
    ProviderRoute(ProviderRouteStatus),
    /// Of a DHCP scope.
    DhcpScope(DhcpScopeStatus),
    /// Of a security group.
    SecurityGroup(SecurityGroupStatus),
    /// Of an address set.
    AddressSet(AddressSetStatus),
    /// Of a routing domain.
    RoutingDomain(RoutingDomainStatus),
    /// Of what holds of the host as a whole.
    Global(GlobalStatus),
    /// Of a migration.
    Migration(MigrationStatus),
    /// Of a host's being a gateway.
    Gateway(GatewayStatus),
    /// Of a compartment.
    Compartment(CompartmentStatus),
}

impl From<ItemStatus> for Value {
    fn from(status: ItemStatus) -> Self {
        // The statuses are structures of strings, numbers and addresses: there is nothing in them that JSON cannot say.
        serde_json::to_value(status).unwrap_or(Self::Null)
    }
}

/// What was declared of a resource, without its kind and name, and without its secrets.
pub fn spec_of(resource: &Resource) -> Value {
    let hidden = resource.without_secrets();
    let resource = hidden.as_ref().unwrap_or(resource);
    // Resources are structures of strings, numbers and addresses: there is nothing in them that JSON cannot say.
    let mut whole = serde_json::to_value(resource).unwrap_or(Value::Null);
    whole.get_mut("spec").map_or(Value::Null, Value::take)
}

/// Whether what was declared acts on packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RealizedState {
    /// It acts.
    #[default]
    InForce,
    /// It is declared, but something else hides it or something it needs is missing; the `reason` says what.
    NotInForce,
}

/// Whether the device of a port is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PortState {
    /// The device is there, and the programs are attached to it.
    Bound,
    /// There is no such device; as soon as it appears it is bound.
    #[default]
    Absent,
}

/// What passed a port. "Received" and "sent" are meant as the host's device counts: received from the VM, sent to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Packets that the VM sent.
    pub rx_packets: u64,
    /// Bytes that the VM sent.
    pub rx_bytes: u64,
    /// Packets delivered to the VM.
    pub tx_packets: u64,
    /// Bytes delivered to the VM.
    pub tx_bytes: u64,
    /// Packets dropped, in both directions, over all reasons.
    pub drops: u64,
}

/// Status of a port.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortStatus {
    /// Whether its device is there.
    pub state: PortState,
    /// Interface index of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// MTU of the device, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Index of its counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// What passed.
    #[serde(default)]
    pub counters: Counters,
    /// What DHCP and DHCPv6 last said to it, at most one of each since the agent started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leases: Vec<LeaseStatus>,
}

/// What DHCP last said to a port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseStatus {
    /// The address.
    pub address: IpAddr,
    /// When it was said (RFC 3339); a renewal counts.
    pub since: String,
    /// What was said.
    pub state: LeaseState,
}

/// Status of a lookup record.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LookupRecordStatus {
    /// Whether it acts.
    pub state: RealizedState,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the provider address is one of this host.
    pub local: bool,
    /// The port of this host that it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// Status of a customer route.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomerRouteStatus {
    /// Whether it acts.
    pub state: RealizedState,
    /// Why it does not, for instance the route with a lower metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Status of a provider address.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderAddressStatus {
    /// Whether it acts.
    pub state: RealizedState,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Interface index of the uplink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// MTU of the uplink, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// Status of a DHCP scope.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DhcpScopeStatus {
    /// Whether it acts.
    pub state: RealizedState,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The ports of this host that it serves.
    #[serde(default)]
    pub ports: Vec<String>,
}

/// Status of a security group.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityGroupStatus {
    /// Whether it acts.
    pub state: RealizedState,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The ports of this host that its rules hold for.
    #[serde(default)]
    pub ports: Vec<String>,
    /// What its rules name and is not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// Status of an address set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressSetStatus {
    /// Whether it acts.
    pub state: RealizedState,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The security groups whose rules name it.
    #[serde(default)]
    pub security_groups: Vec<String>,
}

/// Status of a routing domain.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutingDomainStatus {
    /// Whether it acts.
    pub state: RealizedState,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// VSIDs of its subnets on this host.
    #[serde(default)]
    pub vsids: Vec<u32>,
}

/// Status of what holds of a host as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GlobalStatus {
    /// Whether it acts; it always does.
    pub state: RealizedState,
}

/// Status of a migration.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationStatus {
    /// Whether it acts.
    pub state: RealizedState,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where this host takes the VM to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<IpAddr>,
}

/// Status of a host's being a gateway.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// Whether `netvirt gateway` carries it out.
    pub state: RealizedState,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The compartments that it has.
    #[serde(default)]
    pub compartments: Vec<String>,
}

/// Status of a compartment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompartmentStatus {
    /// Whether `netvirt gateway` carries it out.
    pub state: RealizedState,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its network namespace, for `ip netns exec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How its connections are.
    #[serde(default)]
    pub connections: Vec<ConnectionReport>,
}

/// Status of a provider route.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRouteStatus {
    /// Whether it acts.
    pub state: RealizedState,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The other hosts that are reached by it.
    #[serde(default)]
    pub hosts: Vec<IpAddr>,
}
