//! What is declared of each kind.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AddressRange, Gateway, GatewayConnection, Kind, MacRange, ResourceName, named};
use crate::security::{Action, IngressDefault, SecurityRule};
use crate::{ClasslessRoute, Encapsulation, LeaseTime, Limits, MacAddress, Name, RoutingDomainId, VlanId, Vsid};

/// What a spec leaves out when nothing stands in it.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A logical network: the physical network that hosts share.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogicalNetwork {
    /// Whether VM networks may be virtualized on it (isolation `nvgre`, `vxlan` and `geneve`).
    pub network_virtualization: bool,
    /// Which prefixes and VLANs it has where. Without any it is one flat network.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub sites: Vec<Site>,
    /// Where provider addresses are drawn from. Without any, hosts use the addresses that their uplinks have.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub provider_pools: Vec<ProviderPool>,
    /// For the reader only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A network site: what a logical network is like for some of its hosts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Site {
    /// Name, unique in the logical network.
    pub name: ResourceName,
    /// The hosts it is for; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<ResourceName>,
    /// Its prefixes and VLANs.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub subnets: Vec<SiteSubnet>,
}

/// One prefix of a site.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SiteSubnet {
    /// The prefix.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// The VLAN that it is in; none means untagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>", range(min = 1, max = 4094))]
    pub vlan: Option<VlanId>,
}

/// A pool of provider addresses. Hosts whose uplink has an address in `prefix` draw from it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderPool {
    /// Name, unique in the logical network.
    pub name: ResourceName,
    /// The prefix that is on-link in the underlay.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// The addresses to draw from, inside of the prefix.
    pub ranges: Vec<AddressRange>,
}

/// A host: a machine that runs ports. It comes into being by `netvirt host join`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Host {
    /// Its interfaces in the underlay, at least one; the first that is in a VM network's logical network carries it.
    #[serde(deserialize_with = "named::list")]
    pub uplinks: Vec<Uplink>,
    /// For the reader only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A host's interface in the underlay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Uplink {
    /// Name of the interface.
    #[schemars(with = "String")]
    pub interface: Name,
    /// The addresses that it has, each with the length of its on-link prefix, such as 192.168.4.11/24.
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<IpNet>,
    /// The logical networks that it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logical_networks: Vec<ResourceName>,
}

/// A tenant: an owner of VM networks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tenant {
    /// How much it may have.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "named::one")]
    pub quota: Quota,
    /// For the reader only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// How much a tenant may have of each kind; none means no limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quota {
    /// VM networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm_networks: Option<u32>,
    /// VM subnets, over all VM networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm_subnets: Option<u32>,
    /// IP pools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_pools: Option<u32>,
    /// Customer routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_routes: Option<u32>,
    /// Ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<u32>,
    /// Security groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_groups: Option<u32>,
    /// Address sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_sets: Option<u32>,
    /// Gateway connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_connections: Option<u32>,
}

impl Quota {
    /// The limit of a kind.
    pub const fn of(&self, kind: Kind) -> Option<u32> {
        match kind {
            Kind::VmNetwork => self.vm_networks,
            Kind::VmSubnet => self.vm_subnets,
            Kind::IpPool => self.ip_pools,
            Kind::CustomerRoute => self.customer_routes,
            Kind::Port => self.ports,
            Kind::SecurityGroup => self.security_groups,
            Kind::AddressSet => self.address_sets,
            Kind::GatewayConnection => self.gateway_connections,
            Kind::Gateway | Kind::LogicalNetwork | Kind::MacPool | Kind::Host | Kind::Tenant => None,
        }
    }
}

/// How the traffic of a VM network is kept apart from that of others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Network virtualization: encapsulated in NVGRE (RFC 7637), addresses of its own.
    #[default]
    Nvgre,
    /// Network virtualization: encapsulated in VXLAN (RFC 7348), addresses of its own.
    Vxlan,
    /// Network virtualization: encapsulated in Geneve (RFC 8926), addresses of its own.
    Geneve,
    /// The VLANs of the physical network, one a VM subnet.
    Vlan,
    /// Not at all: the logical network itself. There is one such VM network for each logical network.
    None,
}

impl Isolation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Nvgre, Self::Vxlan, Self::Geneve, Self::Vlan, Self::None];

    /// Whether the VM network is virtualized: a routing domain with addresses of its own, encapsulated between hosts.
    pub const fn is_virtualized(self) -> bool {
        self.encapsulation().is_some()
    }

    /// How frames travel between hosts, if they are encapsulated.
    pub const fn encapsulation(self) -> Option<Encapsulation> {
        match self {
            Self::Nvgre => Some(Encapsulation::Nvgre),
            Self::Vxlan => Some(Encapsulation::Vxlan),
            Self::Geneve => Some(Encapsulation::Geneve),
            Self::Vlan | Self::None => None,
        }
    }

    /// The word that people type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nvgre => "nvgre",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::Vlan => "vlan",
            Self::None => "none",
        }
    }
}

impl std::fmt::Display for Isolation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A VM network: one tenant's network, a routing domain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VmNetwork {
    /// The logical network that it stands on.
    pub logical_network: ResourceName,
    /// How it is kept apart.
    #[serde(default)]
    pub isolation: Isolation,
    /// The routing domain; chosen by the controller if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<uuid::Uuid>")]
    pub rdid: Option<RoutingDomainId>,
    /// With virtualization: what becomes of flows of ports in security groups that no rule is about.
    #[serde(default, skip_serializing_if = "is_default", deserialize_with = "named::one")]
    pub security: Security,
    /// With virtualization: how much its ports on one host may send and be sent together, on each host. An operator's to
    /// choose.
    #[serde(default, skip_serializing_if = "Limits::is_none", deserialize_with = "named::one")]
    pub limits: Limits,
    /// For the reader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What becomes of flows of ports in security groups that no rule is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Security {
    /// Of those that the port's VM opens.
    pub egress: Action,
    /// Of those that others open to it.
    pub ingress: IngressDefault,
}

/// An address set: prefixes that rules of security groups name together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressSet {
    /// The VM network of the same tenant.
    pub vm_network: ResourceName,
    /// The prefixes, of either family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub prefixes: Vec<IpNet>,
    /// For the reader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A security group: what its members, ports of one VM network, may do, and who may do what to them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityGroup {
    /// The VM network of the same tenant.
    pub vm_network: ResourceName,
    /// Its rules. Groups and sets that they name are of the same VM network.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub rules: Vec<SecurityRule<ResourceName>>,
    /// For the reader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A VM subnet: a broadcast domain of a VM network, with its prefixes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VmSubnet {
    /// The VM network of the same tenant.
    pub vm_network: ResourceName,
    /// Its prefixes, IPv4 and IPv6. Empty is allowed for isolation `vlan` and `none` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub prefixes: Vec<IpNet>,
    /// With isolation `nvgre`, `vxlan` and `geneve`: the VSID; chosen by the controller if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u32>", range(min = 4096, max = 16_777_214))]
    pub vsid: Option<Vsid>,
    /// With isolation `vlan`: the VLAN, which a site of the logical network must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u16>", range(min = 1, max = 4094))]
    pub vlan: Option<VlanId>,
    /// With isolation `vlan` and `none`: the routers of the physical network, at most one of each family. With
    /// virtualization the gateway is the distributed router, the lowest host address of each prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<IpAddr>,
    /// With virtualization: security groups of the same VM network that all its ports are in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<ResourceName>,
}

/// An IP pool: the customer addresses that ports of a VM subnet are given, and what else DHCP tells them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IpPool {
    /// The VM subnet of the same tenant.
    pub vm_subnet: ResourceName,
    /// The addresses to draw from, each range inside of one prefix of the subnet.
    pub ranges: Vec<AddressRange>,
    /// Addresses of the ranges that are never given by themselves, for load balancers and such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<AddressRange>,
    /// DNS servers, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_servers: Vec<IpAddr>,
    /// The domain of the VMs (DHCP option 15), and what short names are searched in after it (option 119).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_suffixes: Vec<String>,
    /// Routes besides the default one (DHCP option 121).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "named::list")]
    pub routes: Vec<ClasslessRoute>,
    /// How long a lease is valid.
    #[serde(default)]
    pub lease_time: LeaseTime,
}

/// A MAC pool: where the MAC addresses of ports that name none are drawn from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MacPool {
    /// The addresses to draw from.
    pub ranges: Vec<MacRange>,
}

/// Where the customer addresses of a port come from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// From an IP pool of the subnet, for each family that has one, unless the port names its addresses. DHCP hands
    /// them out.
    #[default]
    Pool,
    /// The VM configures its own; the host learns them from its ARP and ND.
    Learnt,
}

/// A port: one VM NIC or container interface.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Port {
    /// The host that it is plugged on; none while the VM is nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<ResourceName>,
    /// The host that its VM is about to move to while it runs (live migration). The port is on both until the VM is heard
    /// on the other one; then that becomes its host, and this is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrate_to: Option<ResourceName>,
    /// Whether any host may plug it: whoever does becomes its host, and a VM that runs elsewhere moves there. An operator's
    /// to choose.
    #[serde(skip_serializing_if = "is_default")]
    pub any_host: bool,
    /// The host's device: a tap, or the host's end of a veth; the port's name if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub device: Option<Name>,
    /// The VM network of the same tenant; none: it is connected to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm_network: Option<ResourceName>,
    /// The VM subnet; may be left out where the VM network has exactly one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm_subnet: Option<ResourceName>,
    /// MAC address; from a MAC pool if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub mac: Option<MacAddress>,
    /// Customer addresses that it is to have; of the families that are left out, one from the pool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// The IP pool to draw from; otherwise any of the subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_pool: Option<ResourceName>,
    /// Where its addresses come from.
    #[serde(skip_serializing_if = "is_default")]
    pub addressing: Addressing,
    /// Security groups of the VM network that it is in, beside those of its VM subnet. Without any, nothing is filtered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<ResourceName>,
    /// How much its VM may send and be sent, beside what its VM network may. An operator's to choose.
    #[serde(skip_serializing_if = "Limits::is_none", deserialize_with = "named::one")]
    pub limits: Limits,
    /// Name of the VM, for the reader only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm_name: Option<String>,
}

/// A route inside of a VM network, to what lies behind one of its VMs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomerRoute {
    /// The VM network of the same tenant.
    pub vm_network: ResourceName,
    /// Destination.
    #[schemars(with = "String")]
    pub prefix: IpNet,
    /// Customer address of the VM that routes; its VM subnet is the one whose prefix has it.
    pub next_hop: IpAddr,
    /// Among routes to one prefix the lowest metric wins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metric: u32,
}

macro_rules! specs {
    ($($kind:ident),*; $($large:ident),*) => {
        /// What is declared of a resource, by kind. On the wire the kind stands beside it, not in it.
        #[derive(Clone, PartialEq, Eq, Debug, Serialize)]
        #[serde(untagged)]
        pub enum Spec {
            $(#[doc = concat!("See [`", stringify!($kind), "`].")] $kind($kind),)*
            $(#[doc = concat!("See [`", stringify!($large), "`]. It is large, and of others there may be very many.")]
            $large(Box<$large>)),*
        }

        impl Spec {
            /// The kind.
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* $(Self::$large(_) => Kind::$large),* }
            }

            /// Reads the spec of a kind.
            ///
            /// # Errors
            /// Those of the reader.
            pub fn deserialize<'de, D: serde::Deserializer<'de>>(kind: Kind, reader: D) -> Result<Self, D::Error> {
                match kind {
                    $(Kind::$kind => $kind::deserialize(reader).map(Self::$kind),)*
                    $(Kind::$large => Box::<$large>::deserialize(reader).map(Self::$large)),*
                }
            }

            /// The JSON Schema of a kind's spec.
            pub fn json_schema(kind: Kind, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match kind {
                    $(Kind::$kind => generator.subschema_for::<$kind>(),)*
                    $(Kind::$large => generator.subschema_for::<$large>()),*
                }
            }
        }

        $(impl From<$kind> for Spec {
            fn from(spec: $kind) -> Self { Self::$kind(spec) }
        })*

        $(impl From<$large> for Spec {
            fn from(spec: $large) -> Self { Self::$large(Box::new(spec)) }
        })*
    };
}

specs!(
    LogicalNetwork,
    MacPool,
    Host,
    Tenant,
    Gateway,
    VmNetwork,
    AddressSet,
    SecurityGroup,
    VmSubnet,
    IpPool,
    CustomerRoute,
    Port;
    GatewayConnection
);
