//! The resources of one host, in the words of Hyper-V Network Virtualization.
//!
//! In YAML and JSON a resource is `{kind, name, spec}`; the name is left out where the spec already says which
//! resource it is (see [`Resource::key`]).

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gateway::{Compartment, Gateway};
use crate::{
    AddressSet, DhcpScope, Global, Limits, MacAddress, Migration, Name, PhysicalNetwork, QualifiedName, RoutingDomain,
    RoutingDomainId, SecurityGroup, Vsid,
};

/// The kinds of resource, by the names that people type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// [`LookupRecord`].
    LookupRecord,
    /// [`CustomerRoute`].
    CustomerRoute,
    /// [`ProviderAddress`].
    ProviderAddress,
    /// [`ProviderRoute`].
    ProviderRoute,
    /// [`DhcpScope`].
    DhcpScope,
    /// [`Port`].
    Port,
    /// [`SecurityGroup`].
    SecurityGroup,
    /// [`AddressSet`].
    AddressSet,
    /// [`RoutingDomain`].
    RoutingDomain,
    /// [`Global`].
    Global,
    /// [`Migration`].
    Migration,
    /// [`Gateway`].
    Gateway,
    /// [`Compartment`].
    Compartment,
}

/// Why a word is no kind.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "there is no kind \"{0}\"; the kinds are lookup-record, customer-route, provider-address, provider-route, dhcp-scope, \
     address-set, security-group, port, routing-domain, global, \
     migration, gateway, compartment"
)]
pub struct KindError(pub String);

impl Kind {
    /// All kinds, in the order in which they are shown and applied.
    pub const ALL: [Self; 13] = [
        Self::Global,
        Self::ProviderAddress,
        Self::ProviderRoute,
        Self::RoutingDomain,
        Self::CustomerRoute,
        Self::LookupRecord,
        Self::Migration,
        Self::DhcpScope,
        Self::AddressSet,
        Self::SecurityGroup,
        Self::Port,
        Self::Gateway,
        Self::Compartment,
    ];

    /// The word that people type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LookupRecord => "lookup-record",
            Self::CustomerRoute => "customer-route",
            Self::ProviderAddress => "provider-address",
            Self::ProviderRoute => "provider-route",
            Self::DhcpScope => "dhcp-scope",
            Self::Port => "port",
            Self::SecurityGroup => "security-group",
            Self::AddressSet => "address-set",
            Self::RoutingDomain => "routing-domain",
            Self::Global => "global",
            Self::Migration => "migration",
            Self::Gateway => "gateway",
            Self::Compartment => "compartment",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Kind {
    type Err = KindError;
    /// Takes the plural as well, as kubectl does.
    fn from_str(text: &str) -> Result<Self, KindError> {
        Self::ALL
            .into_iter()
            .find(|kind| {
                let singular = kind.as_str();
                text == singular || text == format!("{singular}s") || text == format!("{singular}es")
            })
            .ok_or_else(|| KindError(text.to_owned()))
    }
}

/// How a packet to a customer address travels (`-Rule` of NetVirtualizationLookupRecord).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum TranslationMethod {
    /// Encapsulated to the provider address.
    #[default]
    #[serde(rename = "TranslationMethodEncap")]
    Encap,
    /// Not encapsulated: the customer address is rewritten to the provider address, one to one.
    #[serde(rename = "TranslationMethodNat")]
    Nat,
    /// Not encapsulated and not rewritten.
    #[serde(rename = "TranslationMethodNone")]
    None,
}

/// Where the knowledge of a record comes from, and what it stands for (`-Type`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum LookupRecordType {
    /// Declared.
    #[default]
    Static,
    /// Learnt by this host from the VM's own ARP or ND.
    Dynamic,
    /// The MAC address is declared, the customer address is learnt.
    L2Only,
    /// Stands for every customer address of the subnet that has no record: a gateway.
    GatewayWildcard,
}

/// A lookup record (NetVirtualizationLookupRecord): where a customer address is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LookupRecord {
    /// VSID of the subnet.
    pub vsid: Vsid,
    /// Customer address. Absent with type L2Only; `0.0.0.0` or `::` with type GatewayWildcard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_address: Option<IpAddr>,
    /// MAC address of the VM.
    pub mac: MacAddress,
    /// Provider address: of the VM's host, or with rule Nat the address that stands for the VM on the wire.
    pub provider_address: IpAddr,
    /// How a packet to it travels.
    #[serde(default)]
    pub rule: TranslationMethod,
    /// What kind of record it is.
    #[serde(default, rename = "type")]
    pub record_type: LookupRecordType,
    /// For the reader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_name: Option<String>,
    /// The customer whose VM it is, for the reader only: any UUID, often that of the routing domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<RoutingDomainId>,
    /// A remark, for the reader only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The security groups that the VM is a member of, so that the rules of others can name it. The groups of a port
    /// of this host count for the records of its MAC address as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<QualifiedName>,
}

impl LookupRecord {
    /// Whether its provider address names no host: it is in 169.254.0.0/16 (RFC 3927, section 1). So HNV's scripts note the
    /// address of a subnet's gateway, which is no VM and for which each host answers itself.
    pub const fn names_no_host(&self) -> bool {
        matches!(self.provider_address, IpAddr::V4(address) if address.is_link_local())
    }
}

/// A customer route (NetVirtualizationCustomerRoute): inside a routing domain, which subnet or which VM leads to a
/// prefix.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomerRoute {
    /// The routing domain.
    pub rdid: RoutingDomainId,
    /// VSID of the subnet in which the next hop, or the destination itself, is.
    pub vsid: Vsid,
    /// Destination; the bits behind its length are 0.
    pub prefix: IpNet,
    /// Customer address of the next hop; `0.0.0.0` or `::` means that the prefix is the subnet's own (on-link).
    pub next_hop: IpAddr,
    /// Among routes to one prefix the lowest metric wins.
    #[serde(default)]
    pub metric: u32,
}

impl CustomerRoute {
    /// Whether the prefix is the subnet's own: the next hop is `0.0.0.0` or `::`.
    pub const fn is_on_link(&self) -> bool {
        self.next_hop.is_unspecified()
    }

    /// The address of the subnet's gateway, the distributed router, if this route is on-link (see [`gateway_of`]).
    pub fn gateway(&self) -> Option<IpAddr> {
        if self.is_on_link() { gateway_of(self.prefix) } else { None }
    }
}

/// The address that the distributed router has in the prefix of a subnet: its lowest host address. Prefixes of /31, /32,
/// /127 and /128 have no address to spare for it (RFC 3021, RFC 6164), and those of /0 are no subnet.
pub fn gateway_of(prefix: IpNet) -> Option<IpAddr> {
    let length = prefix.prefix_len();
    if length == 0 || length + 1 >= prefix.max_prefix_len() {
        return None;
    }
    Some(match prefix.network() {
        IpAddr::V4(network) => Ipv4Addr::from_bits(network.to_bits() | 1).into(),
        IpAddr::V6(network) => Ipv6Addr::from_bits(network.to_bits() | 1).into(),
    })
}

/// A provider address of this host (NetVirtualizationProviderAddress). The agent puts it on the interface if it is not there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderAddress {
    /// The address.
    pub address: IpAddr,
    /// The interface it is on: the uplink.
    pub interface: Name,
    /// Length of the prefix in bits that is on-link in the underlay.
    pub prefix_length: u8,
}

/// Most provider routes to one prefix with one metric: the ways that a host's flows are spread over.
pub const MAX_PATHS: usize = 8;

/// A route in the underlay (NetVirtualizationProviderRoute), for hosts that are not on-link. Without one, the
/// kernel's routing table decides. Flows are spread over routes to one prefix with one metric (ECMP).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderRoute {
    /// Where to: provider addresses of other hosts.
    pub prefix: IpNet,
    /// The underlay router, on-link on the interface.
    pub next_hop: IpAddr,
    /// The uplink.
    pub interface: Name,
    /// Among routes to one prefix the lowest metric wins.
    #[serde(default)]
    pub metric: u32,
}

/// A port: the device of one VM's or container's network interface, and the subnet it is in.
///
/// It is written as the `spec` of a [`Resource`]; the name stands beside it, and so only a whole resource is read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Name of the port, unique on the host.
    #[serde(skip)]
    pub name: Name,
    /// Name of the host's device: a tap, or the host's end of a veth.
    pub device: Name,
    /// MAC address of the VM's interface.
    pub mac: MacAddress,
    /// VSID; absent or 0: the port's traffic is not virtualized.
    #[serde(default, with = "crate::vsid::optional", skip_serializing_if = "Option::is_none")]
    pub vsid: Option<Vsid>,
    /// The physical network that it is joined to; not together with a VSID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical: Option<PhysicalNetwork>,
    /// The addresses that DHCP gives it, at most one for each prefix. Without any, those of the static lookup records of
    /// its MAC address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// The security groups whose rules hold for it. Without any, nothing is filtered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<QualifiedName>,
    /// What its VM may send and be sent at most.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// What it is plugged by: the UUID of the port at its controller, or one that a person chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Uuid>,
}

impl Port {
    /// A port in a subnet, or not virtualized.
    pub const fn new(name: Name, device: Name, mac: MacAddress, vsid: Option<Vsid>) -> Self {
        Self {
            name,
            device,
            mac,
            vsid,
            physical: None,
            addresses: Vec::new(),
            security_groups: Vec::new(),
            limits: Limits { egress: None, ingress: None },
            uid: None,
        }
    }
}

/// Any resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resource {
    /// See [`LookupRecord`].
    LookupRecord(LookupRecord),
    /// See [`CustomerRoute`].
    CustomerRoute(CustomerRoute),
    /// See [`ProviderAddress`].
    ProviderAddress(ProviderAddress),
    /// See [`ProviderRoute`].
    ProviderRoute(ProviderRoute),
    /// See [`DhcpScope`].
    DhcpScope(DhcpScope),
    /// See [`Port`].
    Port(Port),
    /// See [`SecurityGroup`].
    SecurityGroup(SecurityGroup),
    /// See [`AddressSet`].
    AddressSet(AddressSet),
    /// See [`RoutingDomain`].
    RoutingDomain(RoutingDomain),
    /// See [`Global`].
    Global(Global),
    /// See [`Migration`].
    Migration(Migration),
    /// See [`Gateway`].
    Gateway(Box<Gateway>),
    /// See [`Compartment`]. It is large, and of the other kinds there may be very many.
    Compartment(Box<Compartment>),
}

/// Length of the name of most records: a VSID of eight digits, and the longest IPv4 address or a MAC address.
const RECORD_NAME: usize = 8 + 1 + 17;

/// What tells one resource of a host from all others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// The kind.
    pub kind: Kind,
    /// The name, unique among the resources of the kind: of a port, security group, address set or compartment its own, of the others
    /// derived from the spec (see [`Resource::key`]).
    pub name: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

impl Key {
    /// The sentence by which a host says that it has left a resource of its controller out.
    pub fn left_out(&self, why: &str) -> String {
        format!("{self} is left out: {why}")
    }

    /// Whether a sentence says that of this resource.
    pub fn is_left_out_by(&self, sentence: &str) -> bool {
        sentence.strip_prefix(&self.to_string()).is_some_and(|rest| rest.starts_with(" is left out: "))
    }
}

/// The name of a record, of which there may be very many: made without growing.
fn record_name(record: &LookupRecord) -> String {
    let mut name = String::with_capacity(RECORD_NAME);
    // Strings take everything.
    let _ = match record.customer_address {
        Some(address) => write!(name, "{}/{address}", record.vsid),
        None => write!(name, "{}/{}", record.vsid, record.mac),
    };
    name
}

impl Resource {
    /// The kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::LookupRecord(_) => Kind::LookupRecord,
            Self::CustomerRoute(_) => Kind::CustomerRoute,
            Self::ProviderAddress(_) => Kind::ProviderAddress,
            Self::ProviderRoute(_) => Kind::ProviderRoute,
            Self::DhcpScope(_) => Kind::DhcpScope,
            Self::Port(_) => Kind::Port,
            Self::SecurityGroup(_) => Kind::SecurityGroup,
            Self::AddressSet(_) => Kind::AddressSet,
            Self::RoutingDomain(_) => Kind::RoutingDomain,
            Self::Global(_) => Kind::Global,
            Self::Migration(_) => Kind::Migration,
            Self::Gateway(_) => Kind::Gateway,
            Self::Compartment(_) => Kind::Compartment,
        }
    }

    /// The kind and the name that is unique in it: of a lookup record `VSID/CA` (`VSID/MAC` without a customer
    /// address), of a customer route `VSID/PREFIX/NEXTHOP`, of a provider address the address, of a provider route
    /// `PREFIX/NEXTHOP`, of a DHCP scope `VSID/PREFIX` (`INTERFACE/PREFIX` or `INTERFACE.VLAN/PREFIX` on a physical
    /// network), of a port, security group, address set and compartment its name, of a routing domain its RDID, of what holds
    /// of the host as a whole [`Global::NAME`], of its being a gateway [`Gateway::NAME`], of a migration `VSID/MAC`.
    pub fn key(&self) -> Key {
        let name = match self {
            Self::LookupRecord(record) => record_name(record),
            Self::CustomerRoute(route) => format!("{}/{}/{}", route.vsid, route.prefix, route.next_hop),
            Self::ProviderAddress(provider) => provider.address.to_string(),
            Self::ProviderRoute(route) => format!("{}/{}", route.prefix, route.next_hop),
            Self::DhcpScope(scope) => match (scope.vsid, &scope.physical) {
                (Some(vsid), _) => format!("{vsid}/{}", scope.prefix),
                (None, Some(physical)) => format!("{physical}/{}", scope.prefix),
                (None, None) => scope.prefix.to_string(),
            },
            Self::Port(port) => port.name.to_string(),
            Self::SecurityGroup(group) => group.name.to_string(),
            Self::AddressSet(set) => set.name.to_string(),
            Self::RoutingDomain(domain) => domain.rdid.to_string(),
            Self::Global(_) => Global::NAME.to_owned(),
            Self::Gateway(_) => Gateway::NAME.to_owned(),
            Self::Compartment(compartment) => compartment.name.to_string(),
            Self::Migration(migration) => format!("{}/{}", migration.vsid, migration.mac),
        };
        Key { kind: self.kind(), name }
    }
}
