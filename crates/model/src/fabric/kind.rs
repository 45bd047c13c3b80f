//! The kinds of the fabric's resources, by the names that people type.

use serde::{Deserialize, Serialize};

/// A kind of resource at the controller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// [`super::LogicalNetwork`].
    LogicalNetwork,
    /// [`super::MacPool`].
    MacPool,
    /// [`super::Host`].
    Host,
    /// [`super::Tenant`].
    Tenant,
    /// [`super::Gateway`].
    Gateway,
    /// [`super::VmNetwork`].
    VmNetwork,
    /// [`super::AddressSet`].
    AddressSet,
    /// [`super::SecurityGroup`].
    SecurityGroup,
    /// [`super::VmSubnet`].
    VmSubnet,
    /// [`super::IpPool`].
    IpPool,
    /// [`super::CustomerRoute`].
    CustomerRoute,
    /// [`super::Port`].
    Port,
    /// [`super::GatewayConnection`].
    GatewayConnection,
}

/// Why a word is no kind.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "there is no kind \"{0}\" at the controller; the kinds are logical-network, mac-pool, host, tenant, gateway, \
     vm-network, address-set, security-group, vm-subnet, ip-pool, customer-route, port, gateway-connection"
)]
pub struct KindError(pub String);

impl Kind {
    /// All kinds, in the order in which they are shown and applied: what is referred to before what refers.
    pub const ALL: [Self; 13] = [
        Self::LogicalNetwork,
        Self::MacPool,
        Self::Host,
        Self::Tenant,
        Self::Gateway,
        Self::VmNetwork,
        Self::AddressSet,
        Self::SecurityGroup,
        Self::VmSubnet,
        Self::IpPool,
        Self::CustomerRoute,
        Self::Port,
        Self::GatewayConnection,
    ];

    /// The word that people type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LogicalNetwork => "logical-network",
            Self::MacPool => "mac-pool",
            Self::Host => "host",
            Self::Tenant => "tenant",
            Self::Gateway => "gateway",
            Self::VmNetwork => "vm-network",
            Self::AddressSet => "address-set",
            Self::SecurityGroup => "security-group",
            Self::VmSubnet => "vm-subnet",
            Self::IpPool => "ip-pool",
            Self::CustomerRoute => "customer-route",
            Self::Port => "port",
            Self::GatewayConnection => "gateway-connection",
        }
    }

    /// The word in sentences, as VMM writes it: `VM network`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::LogicalNetwork => "logical network",
            Self::MacPool => "MAC pool",
            Self::Host => "host",
            Self::Tenant => "tenant",
            Self::Gateway => "gateway",
            Self::VmNetwork => "VM network",
            Self::AddressSet => "address set",
            Self::SecurityGroup => "security group",
            Self::VmSubnet => "VM subnet",
            Self::IpPool => "IP pool",
            Self::CustomerRoute => "customer route",
            Self::Port => "port",
            Self::GatewayConnection => "gateway connection",
        }
    }

    /// The plural, in paths and in `netvirt get`.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::LogicalNetwork => "logical-networks",
            Self::MacPool => "mac-pools",
            Self::Host => "hosts",
            Self::Tenant => "tenants",
            Self::Gateway => "gateways",
            Self::VmNetwork => "vm-networks",
            Self::AddressSet => "address-sets",
            Self::SecurityGroup => "security-groups",
            Self::VmSubnet => "vm-subnets",
            Self::IpPool => "ip-pools",
            Self::CustomerRoute => "customer-routes",
            Self::Port => "ports",
            Self::GatewayConnection => "gateway-connections",
        }
    }

    /// Whether its resources belong to a tenant; the others are the operator's.
    pub const fn has_tenant(self) -> bool {
        matches!(
            self,
            Self::VmNetwork
                | Self::AddressSet
                | Self::SecurityGroup
                | Self::VmSubnet
                | Self::IpPool
                | Self::CustomerRoute
                | Self::Port
                | Self::GatewayConnection
        )
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
            .find(|kind| text == kind.as_str() || text == kind.plural())
            .ok_or_else(|| KindError(text.to_owned()))
    }
}
