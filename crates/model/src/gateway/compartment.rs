//! What the host of a gateway is told: that it is one, and each compartment that it has.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bgp, Dns, GatewayPeer, Ipsec, Nat, Routing, Wireguard, is_default};
use crate::fabric::{ResourceName, named};
use crate::security::PortRange;
use crate::{Limits, MacAddress, Name, QualifiedName, VlanId};

/// A host is a gateway; there is one such resource at most, named [`Gateway::NAME`]. This is the interface by which its compartments reach the outside. The interface is not for anything
/// else of the host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gateway {
    /// The external interface. Compartments have devices of their own on it (macvlan), each with its own MAC address.
    pub interface: Name,
    /// The host's own addresses outside, by which it asks for its neighbors on behalf of addresses that compartments share.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpNet>,
    /// The default routers outside, at most one of each family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_hops: Vec<IpAddr>,
    /// Its own provider address, where the gateway's other hosts speak to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The gateway's other hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub peers: Vec<GatewayPeer>,
}

impl Gateway {
    /// The name of the one that there is.
    pub const NAME: &str = "host";
}

/// A compartment: everything by which one VM network reaches the outside on this host. A network namespace of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compartment {
    /// Its name, unique on the host: `TENANT/NETWORK` where the controller declares it.
    #[serde(skip)]
    pub name: QualifiedName,
    /// Whether it stands ready and does nothing: another host is the active one.
    #[serde(skip_serializing_if = "is_default")]
    pub standby: bool,
    /// Whether it forwards what comes to it, and answers for none of its addresses outside: another host has just been made the
    /// active one in its place, or it is about to be in another one's place. Only with `standby`.
    #[serde(skip_serializing_if = "is_default")]
    pub leaving: bool,
    /// Its side towards the VM network.
    pub inside: Inside,
    /// Its side towards the outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<Outside>,
    /// What it does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<Connection>,
}

/// What a compartment's `spec` says; the name stands beside it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CompartmentSpec {
    #[serde(default)]
    standby: bool,
    #[serde(default)]
    leaving: bool,
    #[serde(deserialize_with = "named::one")]
    inside: Inside,
    #[serde(default, deserialize_with = "named::option")]
    outside: Option<Outside>,
    #[serde(default, deserialize_with = "named::list")]
    connections: Vec<Connection>,
}

impl CompartmentSpec {
    pub(crate) fn with_name(self, name: QualifiedName) -> Compartment {
        let Self { standby, leaving, inside, outside, connections } = self;
        Compartment { name, standby, leaving, inside, outside, connections }
    }
}

impl Compartment {
    /// A compartment of its name and its `spec` as JSON, as they travel.
    ///
    /// # Errors
    /// Those of the reader, which name the field.
    pub fn from_json(name: QualifiedName, spec: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice::<CompartmentSpec>(spec).map(|spec| spec.with_name(name))
    }
}

/// The side of a compartment towards its VM network: the far end of a port's device.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inside {
    /// The device of the port (the near end, on the host), which the gateway makes.
    pub device: Name,
    /// MAC address of the far end: that of the port.
    pub mac: MacAddress,
    /// Its addresses, in the VM network's gateway subnet.
    pub addresses: Vec<IpNet>,
    /// The distributed router there, at most one address of each family.
    pub routers: Vec<IpAddr>,
    /// What lies behind the distributed router: the prefixes of the VM network's subnets.
    pub prefixes: Vec<IpNet>,
}

/// The side of a compartment towards the outside.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outside {
    /// MAC address of its device on the external interface, the same on every host that may be the active one.
    pub mac: MacAddress,
    /// The VLAN of the external interface that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<VlanId>,
    /// Addresses of its own there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpNet>,
    /// The default routers; those of the host's [`Gateway`] if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next_hops: Vec<IpAddr>,
    /// Parts of addresses that it shares with other compartments of the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub shared: Vec<SharedAddress>,
}

/// The ports of an address of the outside that are one compartment's (RFC 6888, REQ-14).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedAddress {
    /// The address.
    pub address: IpAddr,
    /// Its ports, and identifiers of ICMP's queries.
    pub ports: PortRange,
}

/// One connection of a compartment. Exactly one of `nat`, `routing`, `ipsec`, `wireguard` and `dns` is there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connection {
    /// Its name, unique in the compartment.
    pub name: ResourceName,
    /// See [`Nat`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub nat: Option<Nat>,
    /// See [`Routing`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub routing: Option<Routing>,
    /// See [`Ipsec`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub ipsec: Option<Ipsec>,
    /// See [`Wireguard`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub wireguard: Option<Wireguard>,
    /// See [`Dns`].
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub dns: Option<Dns>,
    /// Routes that are exchanged over it; with `routing`, `ipsec` and `wireguard`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "named::option")]
    pub bgp: Option<Bgp>,
    /// How much may pass: `egress` from the VM network, `ingress` to it. Bandwidth and burst count, packets do not.
    #[serde(default, skip_serializing_if = "Limits::is_none", deserialize_with = "named::one")]
    pub limits: Limits,
}

/// What a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service<'c> {
    /// See [`Nat`].
    Nat(&'c Nat),
    /// See [`Routing`].
    Routing(&'c Routing),
    /// See [`Ipsec`].
    Ipsec(&'c Ipsec),
    /// See [`Wireguard`].
    Wireguard(&'c Wireguard),
    /// See [`Dns`].
    Dns(&'c Dns),
}

impl Service<'_> {
    /// The word for it: its field's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nat(_) => "nat",
            Self::Routing(_) => "routing",
            Self::Ipsec(_) => "ipsec",
            Self::Wireguard(_) => "wireguard",
            Self::Dns(_) => "dns",
        }
    }
}

impl Connection {
    /// What it is; `None` where it says not exactly one thing.
    pub fn service(&self) -> Option<Service<'_>> {
        let said = [
            self.nat.as_ref().map(Service::Nat),
            self.routing.as_ref().map(Service::Routing),
            self.ipsec.as_ref().map(Service::Ipsec),
            self.wireguard.as_ref().map(Service::Wireguard),
            self.dns.as_ref().map(Service::Dns),
        ];
        let mut said = said.into_iter().flatten();
        said.next().filter(|_| said.next().is_none())
    }
}
