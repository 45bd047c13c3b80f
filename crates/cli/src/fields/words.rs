//! The kinds that can be made and set, as people type them.

use super::{CreateWhat, SetWhat};

impl CreateWhat {
    /// The kind as people type it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::LookupRecord(_) => "lookup-record",
            Self::ProviderAddress(_) => "provider-address",
            Self::ProviderRoute(_) => "provider-route",
            Self::DhcpScope(_) => "dhcp-scope",
            Self::RoutingDomain(_) => "routing-domain",
            Self::Global(_) => "global",
            Self::Migration(_) => "migration",
            Self::LogicalNetwork { .. } => "logical-network",
            Self::MacPool { .. } => "mac-pool",
            Self::Host { .. } => "host",
            Self::Tenant { .. } => "tenant",
            Self::VmNetwork { .. } => "vm-network",
            Self::VmSubnet { .. } => "vm-subnet",
            Self::IpPool { .. } => "ip-pool",
            Self::SecurityGroup { .. } => "security-group",
            Self::AddressSet { .. } => "address-set",
            Self::CustomerRoute { .. } => "customer-route",
            Self::Port { .. } => "port",
            Self::Gateway { .. } => "gateway",
            Self::GatewayConnection { .. } => "gateway-connection",
            Self::Token { .. } => "token",
            Self::User { .. } => "user",
            Self::JoinToken(_) => "join-token",
        }
    }
}

impl SetWhat {
    /// The kind as people type it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::LookupRecord { .. } => "lookup-record",
            Self::ProviderAddress { .. } => "provider-address",
            Self::ProviderRoute { .. } => "provider-route",
            Self::DhcpScope { .. } => "dhcp-scope",
            Self::RoutingDomain { .. } => "routing-domain",
            Self::Global { .. } => "global",
            Self::Migration { .. } => "migration",
            Self::LogicalNetwork { .. } => "logical-network",
            Self::MacPool { .. } => "mac-pool",
            Self::Host { .. } => "host",
            Self::Tenant { .. } => "tenant",
            Self::VmNetwork { .. } => "vm-network",
            Self::VmSubnet { .. } => "vm-subnet",
            Self::IpPool { .. } => "ip-pool",
            Self::SecurityGroup { .. } => "security-group",
            Self::AddressSet { .. } => "address-set",
            Self::CustomerRoute { .. } => "customer-route",
            Self::Port { .. } => "port",
            Self::Gateway { .. } => "gateway",
            Self::GatewayConnection { .. } => "gateway-connection",
            Self::Password { .. } => "password",
        }
    }
}
