//! What `get`, `describe`, `watch` and `delete` are about, and who knows of it: a host's agent, a controller, or both.

use clap::ValueEnum;
use model::{Kind, fabric};

/// Who can be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Knows {
    /// A host's agent alone.
    Host,
    /// A controller alone.
    Controller,
    /// Both, each in its own way.
    Both,
}

/// What the verbs are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Target {
    /// The physical network that hosts share.
    #[value(aliases = ["logical-networks", "ln", "lns"])]
    LogicalNetwork,
    /// MAC addresses for ports that name none.
    #[value(aliases = ["mac-pools", "mp", "mps"])]
    MacPool,
    /// A machine that runs ports.
    #[value(aliases = ["hosts", "ho"])]
    Host,
    /// An owner of VM networks.
    #[value(aliases = ["tenants", "tn"])]
    Tenant,
    /// A tenant's isolated network.
    #[value(aliases = ["vm-networks", "vn", "vns"])]
    VmNetwork,
    /// A prefix in a VM network.
    #[value(aliases = ["vm-subnets", "vs"])]
    VmSubnet,
    /// Addresses for ports of a VM subnet.
    #[value(aliases = ["ip-pools", "ip", "ips"])]
    IpPool,
    /// Which subnet or VM leads to a prefix.
    #[value(aliases = ["customer-routes", "cr", "crs"])]
    CustomerRoute,
    /// A VM's or container's network interface.
    #[value(aliases = ["ports", "po"])]
    Port,
    /// Where a customer address is, on a host.
    #[value(aliases = ["lookup-records", "lr", "lrs"])]
    LookupRecord,
    /// An address of a host in the underlay.
    #[value(aliases = ["provider-addresses", "pa", "pas"])]
    ProviderAddress,
    /// A route of a host in the underlay.
    #[value(aliases = ["provider-routes", "pr", "prs"])]
    ProviderRoute,
    /// What DHCP tells the VMs of a prefix, on a host.
    #[value(aliases = ["dhcp-scopes", "ds"])]
    DhcpScope,
    /// Who may speak with the VMs in it, and with whom these may.
    #[value(aliases = ["security-groups", "sg", "sgs"])]
    SecurityGroup,
    /// Prefixes that rules of security groups name together.
    #[value(aliases = ["address-sets", "as"])]
    AddressSet,
    /// How a VM network travels, on a host.
    #[value(aliases = ["routing-domains", "rd", "rds"])]
    RoutingDomain,
    /// What holds of a host as a whole.
    #[value(aliases = ["globals"])]
    Global,
    /// A VM that moves to another host while it runs, on a host.
    #[value(aliases = ["migrations"])]
    Migration,
    /// That a host is a gateway.
    #[value(aliases = ["gateways", "gw"])]
    Gateway,
    /// What joins a VM network to the outside, by a gateway.
    #[value(aliases = ["gateway-connections", "gc", "gcs"])]
    GatewayConnection,
    /// By what a gateway's host joins a VM network to the outside, on a host.
    #[value(aliases = ["compartments", "co"])]
    Compartment,
    /// Counters of a host's dropped packets.
    #[value(aliases = ["drop"])]
    Drops,
    /// The flows that a host knows.
    #[value(aliases = ["flow"])]
    Flows,
    /// What passed ports, as their hosts say through the controller.
    #[value(aliases = ["counter", "traffic"])]
    Counters,
    /// The addresses that DHCP has given in VM subnets, as hosts say through the controller.
    #[value(aliases = ["lease"])]
    Leases,
    /// What a host's flows carry to and from other hosts, as it says through the controller.
    #[value(aliases = ["tunnel"])]
    Tunnels,
    /// Who may ask the controller.
    #[value(aliases = ["tokens"])]
    Token,
    /// Who may sign in to the controller's console.
    #[value(aliases = ["users"])]
    User,
    /// Who did what at the controller.
    #[value(aliases = ["audit-log"])]
    Audit,
}

impl Target {
    /// The kind of resource at a host; none if hosts have none such.
    pub const fn host_kind(self) -> Option<Kind> {
        match self {
            Self::LookupRecord => Some(Kind::LookupRecord),
            Self::CustomerRoute => Some(Kind::CustomerRoute),
            Self::ProviderAddress => Some(Kind::ProviderAddress),
            Self::ProviderRoute => Some(Kind::ProviderRoute),
            Self::DhcpScope => Some(Kind::DhcpScope),
            Self::Port => Some(Kind::Port),
            Self::SecurityGroup => Some(Kind::SecurityGroup),
            Self::AddressSet => Some(Kind::AddressSet),
            Self::RoutingDomain => Some(Kind::RoutingDomain),
            Self::Global => Some(Kind::Global),
            Self::Migration => Some(Kind::Migration),
            Self::Gateway => Some(Kind::Gateway),
            Self::Compartment => Some(Kind::Compartment),
            _ => None,
        }
    }

    /// The kind of resource at a controller; none if controllers have none such.
    pub const fn fabric_kind(self) -> Option<fabric::Kind> {
        match self {
            Self::LogicalNetwork => Some(fabric::Kind::LogicalNetwork),
            Self::MacPool => Some(fabric::Kind::MacPool),
            Self::Host => Some(fabric::Kind::Host),
            Self::Tenant => Some(fabric::Kind::Tenant),
            Self::VmNetwork => Some(fabric::Kind::VmNetwork),
            Self::VmSubnet => Some(fabric::Kind::VmSubnet),
            Self::IpPool => Some(fabric::Kind::IpPool),
            Self::CustomerRoute => Some(fabric::Kind::CustomerRoute),
            Self::SecurityGroup => Some(fabric::Kind::SecurityGroup),
            Self::AddressSet => Some(fabric::Kind::AddressSet),
            Self::Port => Some(fabric::Kind::Port),
            Self::Gateway => Some(fabric::Kind::Gateway),
            Self::GatewayConnection => Some(fabric::Kind::GatewayConnection),
            _ => None,
        }
    }

    /// Who can be asked for it.
    pub const fn knows(self) -> Knows {
        match self {
            Self::CustomerRoute | Self::Port | Self::SecurityGroup | Self::AddressSet | Self::Gateway => Knows::Both,
            Self::LookupRecord
            | Self::ProviderAddress
            | Self::ProviderRoute
            | Self::DhcpScope
            | Self::RoutingDomain
            | Self::Global
            | Self::Migration
            | Self::Compartment
            | Self::Drops
            | Self::Flows => Knows::Host,
            _ => Knows::Controller,
        }
    }

    /// The word that people type.
    pub const fn as_str(self) -> &'static str {
        match (self.fabric_kind(), self.host_kind(), self) {
            (Some(kind), ..) => kind.as_str(),
            (None, Some(kind), _) => kind.as_str(),
            (.., Self::Token) => "token",
            (.., Self::User) => "user",
            (.., Self::Audit) => "audit",
            (.., Self::Flows) => "flows",
            (.., Self::Counters) => "counters",
            (.., Self::Leases) => "leases",
            (.., Self::Tunnels) => "tunnels",
            _ => "drops",
        }
    }
}
