//! The fields of each kind as flags of `create` and `set`, and how they become the `spec` of a resource.

mod fabric;
mod gateway;
mod gateway_change;
mod gateway_values;
mod host;
mod limits;
mod security;
mod set;
mod spec;
mod values;
mod words;

use clap::Subcommand;
use model::fabric::ResourceName;
use model::{Kind, QualifiedName, Resource, SecurityRule, fabric as controller};
use serde_json::Value;

use crate::args::Knows;
pub use fabric::UserFields;
use fabric::{
    HostFields, IpPoolFields, JoinTokenFields, LogicalNetworkFields, MacPoolFields, PortFields, TenantFields,
    TokenFields, VmNetworkFields, VmSubnetFields,
};
use gateway::{GatewayConnectionFields, GatewayFields};
use host::{
    CustomerRouteFields, DhcpScopeFields, GlobalFields, LookupRecordFields, MigrationFields, ProviderAddressFields,
    ProviderRouteFields, RoutingDomainFields,
};
use security::{AddressSetFields, SecurityGroupFields};

use spec::{AT_CONTROLLER, AT_HOST, assemble, assemble_at_controller, clean, given, only};
pub use spec::{FieldsError, Parts, changed, changed_at_controller};

/// What `create` makes.
#[derive(Debug, Subcommand)]
pub enum CreateWhat {
    /// The physical network that hosts share.
    #[command(visible_alias = "ln", alias = "logical-networks")]
    LogicalNetwork {
        /// Name.
        name: ResourceName,
        #[command(flatten)]
        fields: LogicalNetworkFields,
    },
    /// MAC addresses for ports that name none.
    #[command(visible_alias = "mp", alias = "mac-pools")]
    MacPool {
        /// Name.
        name: ResourceName,
        #[command(flatten)]
        fields: MacPoolFields,
    },
    /// Not made like this: a host comes into being by "netvirt host join".
    #[command(hide = true, alias = "hosts")]
    Host {
        /// Name.
        name: Option<String>,
    },
    /// An owner of VM networks.
    #[command(visible_alias = "tn", alias = "tenants")]
    Tenant {
        /// Name.
        name: ResourceName,
        #[command(flatten)]
        fields: TenantFields,
    },
    /// A tenant's isolated network.
    #[command(visible_alias = "vn", alias = "vm-networks")]
    VmNetwork {
        /// Name.
        name: ResourceName,
        #[command(flatten)]
        fields: VmNetworkFields,
    },
    /// A prefix in a VM network.
    #[command(visible_alias = "vs", alias = "vm-subnets")]
    VmSubnet {
        /// Name.
        name: ResourceName,
        #[command(flatten)]
        fields: VmSubnetFields,
    },
    /// Who may speak with the ports in it, and with whom these may.
    #[command(visible_alias = "sg", alias = "security-groups")]
    SecurityGroup {
        /// Name.
        name: QualifiedName,
        #[command(flatten)]
        fields: SecurityGroupFields,
    },
    /// Prefixes that rules of security groups name together.
    #[command(visible_alias = "as", alias = "address-sets")]
    AddressSet {
        /// Name.
        name: QualifiedName,
        #[command(flatten)]
        fields: AddressSetFields,
    },
    /// Addresses for ports of a VM subnet.
    #[command(visible_alias = "ip", alias = "ip-pools")]
    IpPool {
        /// Name.
        name: ResourceName,
        #[command(flatten)]
        fields: IpPoolFields,
    },
    /// Which subnet or VM leads to a prefix.
    #[command(visible_alias = "cr", alias = "customer-routes")]
    CustomerRoute {
        /// At a controller: name.
        name: Option<ResourceName>,
        #[command(flatten)]
        fields: CustomerRouteFields,
    },
    /// A VM's or container's network interface.
    #[command(visible_alias = "po", alias = "ports")]
    Port {
        /// Name, unique on the host, or among the tenant's ports.
        name: ResourceName,
        #[command(flatten)]
        fields: PortFields,
    },
    /// At a controller: hosts that join VM networks to the outside.
    #[command(visible_alias = "gw", alias = "gateways")]
    Gateway {
        /// Name.
        name: ResourceName,
        #[command(flatten)]
        fields: GatewayFields,
    },
    /// What joins a VM network to the outside, by a gateway: NAT, routing, a tunnel, or DNS.
    #[command(visible_alias = "gc", alias = "gateway-connections")]
    GatewayConnection {
        /// Name.
        name: ResourceName,
        #[command(flatten)]
        fields: Box<GatewayConnectionFields>,
    },
    /// At a host: where a customer address is.
    #[command(visible_alias = "lr", alias = "lookup-records")]
    LookupRecord(LookupRecordFields),
    /// An address of a host in the underlay.
    #[command(visible_alias = "pa", alias = "provider-addresses")]
    ProviderAddress(ProviderAddressFields),
    /// A route of a host in the underlay.
    #[command(visible_alias = "pr", alias = "provider-routes")]
    ProviderRoute(ProviderRouteFields),
    /// At a host: what DHCP tells the VMs of a prefix.
    #[command(visible_alias = "ds", alias = "dhcp-scopes")]
    DhcpScope(DhcpScopeFields),
    /// At a host: how a VM network travels.
    #[command(visible_alias = "rd", alias = "routing-domains")]
    RoutingDomain(RoutingDomainFields),
    /// At a host: what holds of it as a whole.
    #[command(alias = "globals")]
    Global(GlobalFields),
    /// At a host: a VM that moves to another host while it runs.
    #[command(alias = "migrations")]
    Migration(MigrationFields),
    /// A token with which to ask the controller; its secret is printed this once.
    #[command(alias = "tokens")]
    Token {
        /// Name: who, in the audit log.
        name: ResourceName,
        #[command(flatten)]
        fields: TokenFields,
    },
    /// Somebody who signs in to the controller's console; the password is made up and printed this once.
    #[command(alias = "users")]
    User {
        /// Name.
        name: ResourceName,
        #[command(flatten)]
        fields: UserFields,
    },
    /// A token with which one host may join, once.
    JoinToken(JoinTokenFields),
}

/// What `set` changes.
#[derive(Debug, Subcommand)]
pub enum SetWhat {
    /// The physical network that hosts share.
    #[command(visible_alias = "ln", alias = "logical-networks")]
    LogicalNetwork {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: LogicalNetworkFields,
    },
    /// MAC addresses for ports that name none.
    #[command(visible_alias = "mp", alias = "mac-pools")]
    MacPool {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: MacPoolFields,
        /// MAC addresses to draw from besides those that it has; may be repeated.
        #[arg(long = "add-range", value_name = "MAC..MAC", conflicts_with = "ranges")]
        added: Vec<controller::MacRange>,
    },
    /// A machine that runs ports.
    #[command(visible_alias = "ho", alias = "hosts")]
    Host {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: HostFields,
    },
    /// An owner of VM networks.
    #[command(visible_alias = "tn", alias = "tenants")]
    Tenant {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: TenantFields,
    },
    /// A tenant's isolated network.
    #[command(visible_alias = "vn", alias = "vm-networks")]
    VmNetwork {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: VmNetworkFields,
    },
    /// A prefix in a VM network.
    #[command(visible_alias = "vs", alias = "vm-subnets")]
    VmSubnet {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: VmSubnetFields,
    },
    /// Who may speak with the ports in it, and with whom these may.
    #[command(visible_alias = "sg", alias = "security-groups")]
    SecurityGroup {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: SecurityGroupFields,
        /// Rule besides those that it has; may be repeated.
        #[arg(long = "add-rule", value_name = "RULE", conflicts_with = "rules")]
        added: Vec<SecurityRule<QualifiedName>>,
    },
    /// Prefixes that rules of security groups name together.
    #[command(visible_alias = "as", alias = "address-sets")]
    AddressSet {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: AddressSetFields,
        /// Prefix besides those that it has; may be repeated.
        #[arg(long = "add-prefix", value_name = "PREFIX", conflicts_with = "prefixes")]
        added: Vec<values::Prefix>,
    },
    /// Addresses for ports of a VM subnet.
    #[command(visible_alias = "ip", alias = "ip-pools")]
    IpPool {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: IpPoolFields,
        /// Addresses to draw from besides those that it has; may be repeated.
        #[arg(long = "add-range", value_name = "FIRST-LAST", conflicts_with = "ranges")]
        added: Vec<controller::AddressRange>,
    },
    /// Which subnet or VM leads to a prefix.
    #[command(visible_alias = "cr", alias = "customer-routes")]
    CustomerRoute {
        /// Name; at a host VSID/PREFIX/NEXT-HOP, as "netvirt get" shows it.
        name: String,
        #[command(flatten)]
        fields: CustomerRouteFields,
    },
    /// A VM's or container's network interface. Where --vm-network leads elsewhere, VM subnet, IP pool and addresses
    /// that are not given with it are taken away.
    #[command(visible_alias = "po", alias = "ports")]
    Port {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: PortFields,
    },
    /// At a controller: hosts that join VM networks to the outside.
    #[command(visible_alias = "gw", alias = "gateways")]
    Gateway {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: GatewayFields,
        #[command(flatten)]
        change: gateway_change::GatewayChange,
    },
    /// What joins a VM network to the outside, by a gateway. What it is, such as NAT, cannot be changed.
    #[command(visible_alias = "gc", alias = "gateway-connections")]
    GatewayConnection {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: Box<GatewayConnectionFields>,
    },
    /// At a host: where a customer address is.
    #[command(visible_alias = "lr", alias = "lookup-records")]
    LookupRecord {
        /// VSID/CUSTOMER-ADDRESS, as "netvirt get" shows it.
        name: String,
        #[command(flatten)]
        fields: LookupRecordFields,
    },
    /// An address of a host in the underlay.
    #[command(visible_alias = "pa", alias = "provider-addresses")]
    ProviderAddress {
        /// The address.
        name: String,
        #[command(flatten)]
        fields: ProviderAddressFields,
    },
    /// A route of a host in the underlay.
    #[command(visible_alias = "pr", alias = "provider-routes")]
    ProviderRoute {
        /// PREFIX/NEXT-HOP, as "netvirt get" shows it.
        name: String,
        #[command(flatten)]
        fields: ProviderRouteFields,
    },
    /// At a host: what DHCP tells the VMs of a prefix.
    #[command(visible_alias = "ds", alias = "dhcp-scopes")]
    DhcpScope {
        /// VSID/PREFIX or INTERFACE/PREFIX, as "netvirt get" shows it.
        name: String,
        #[command(flatten)]
        fields: DhcpScopeFields,
    },
    /// At a host: how a VM network travels.
    #[command(visible_alias = "rd", alias = "routing-domains")]
    RoutingDomain {
        /// RDID, as "netvirt get" shows it.
        name: String,
        #[command(flatten)]
        fields: RoutingDomainFields,
    },
    /// At a host: what holds of it as a whole.
    #[command(alias = "globals")]
    Global {
        /// There is only one.
        #[arg(default_value = model::Global::NAME)]
        name: String,
        #[command(flatten)]
        fields: GlobalFields,
    },
    /// At a host: a VM that moves to another host while it runs.
    #[command(alias = "migrations")]
    Migration {
        /// VSID/MAC, as "netvirt get" shows it.
        name: String,
        #[command(flatten)]
        fields: MigrationFields,
    },
    /// The password of somebody who signs in to the controller's console: asked for at a terminal, else a line of the
    /// standard input. Whoever is signed in as that user is signed out.
    Password {
        /// Name of the user.
        name: ResourceName,
        /// Have one made up, and printed this once.
        #[arg(long)]
        generate: bool,
    },
}

impl CreateWhat {
    /// What each kind cannot be made without. What ports and customer routes need depends on who keeps them.
    pub const REQUIRED: [(&str, &[&str]); 12] = [
        ("lookup-record", &["vsid", "mac", "provider_address"]),
        ("provider-address", &["address", "interface", "prefix_length"]),
        ("provider-route", &["prefix", "next_hop", "interface"]),
        ("dhcp-scope", &["prefix"]),
        ("routing-domain", &["rdid"]),
        ("migration", &["vsid", "mac"]),
        ("mac-pool", &["ranges"]),
        ("gateway", &["logical_network", "hosts"]),
        ("gateway-connection", &["vm_network", "gateway"]),
        ("vm-network", &["logical_network"]),
        ("vm-subnet", &["vm_network"]),
        ("ip-pool", &["vm_subnet", "ranges"]),
    ];

    /// Who can be asked for it; of what both know, the given fields may decide.
    pub fn knows(&self) -> Knows {
        match self {
            Self::LookupRecord(_)
            | Self::ProviderAddress(_)
            | Self::ProviderRoute(_)
            | Self::DhcpScope(_)
            | Self::RoutingDomain(_)
            | Self::Global(_)
            | Self::Migration(_) => Knows::Host,
            Self::CustomerRoute { name: Some(_), .. } => Knows::Controller,
            Self::CustomerRoute { name: None, fields } => spec::told(&given(fields)),
            Self::SecurityGroup { fields, .. } => spec::told(&given(fields)),
            Self::AddressSet { fields, .. } => spec::told(&given(fields)),
            Self::Port { fields, .. } => spec::told(&fields.given()),
            _ => Knows::Controller,
        }
    }

    /// The resource to create at a host.
    ///
    /// # Errors
    /// When a field is missing, or is one that a host does not know, or the model refuses the whole.
    pub fn at_host(&self) -> Result<Resource, FieldsError> {
        match self {
            Self::LookupRecord(fields) => assemble(Kind::LookupRecord, None, given(fields)),
            Self::ProviderAddress(fields) => assemble(Kind::ProviderAddress, None, given(fields)),
            Self::ProviderRoute(fields) => assemble(Kind::ProviderRoute, None, given(fields)),
            Self::DhcpScope(fields) => assemble(Kind::DhcpScope, None, given(fields)),
            Self::RoutingDomain(fields) => assemble(Kind::RoutingDomain, None, fields.given()),
            Self::Global(fields) => assemble(Kind::Global, None, given(fields)),
            Self::Migration(fields) => assemble(Kind::Migration, None, fields.given()),
            Self::CustomerRoute { name: Some(name), .. } => Err(FieldsError::NameAtHost(name.clone())),
            Self::CustomerRoute { name: None, fields } => {
                let given = only(&AT_HOST, given(fields))?;
                AT_HOST.require(Kind::CustomerRoute.as_str(), &given, &["rdid", "vsid", "prefix", "nextHop"])?;
                assemble(Kind::CustomerRoute, None, given)
            }
            Self::SecurityGroup { name, fields } => {
                assemble(Kind::SecurityGroup, Some(name.as_str()), only(&AT_HOST, given(fields))?)
            }
            Self::AddressSet { name, fields } => {
                assemble(Kind::AddressSet, Some(name.as_str()), only(&AT_HOST, given(fields))?)
            }
            Self::Port { name, fields } => {
                let given = only(&AT_HOST, fields.given())?;
                AT_HOST.require(Kind::Port.as_str(), &given, &["device", "mac"])?;
                assemble(Kind::Port, Some(name.as_str()), given)
            }
            other => Err(FieldsError::NotThere { kind: other.as_str(), place: AT_HOST.place }),
        }
    }

    /// The resource to create at a controller, owned by `tenant`; `host` is where a port is plugged.
    ///
    /// # Errors
    /// When a field is missing, or is one that a controller does not know, or the model refuses the whole.
    pub fn at_controller(
        &self,
        tenant: &ResourceName,
        host: Option<&str>,
    ) -> Result<controller::Resource, FieldsError> {
        use controller::Kind;
        // Those of a host may have slashes in their names, those of a controller not.
        let plain: ResourceName;
        let (kind, name, given) = match self {
            Self::LogicalNetwork { name, fields } => (Kind::LogicalNetwork, name, fields.given()?),
            Self::MacPool { name, fields } => (Kind::MacPool, name, given(fields)),
            Self::Tenant { name, fields } => (Kind::Tenant, name, fields.given()),
            Self::VmNetwork { name, fields } => (Kind::VmNetwork, name, fields.given()),
            Self::SecurityGroup { name, fields } => {
                let given = only(&AT_CONTROLLER, given(fields))?;
                AT_CONTROLLER.require(Kind::SecurityGroup.as_str(), &given, &["vmNetwork"])?;
                plain = name.as_str().parse()?;
                (Kind::SecurityGroup, &plain, given)
            }
            Self::AddressSet { name, fields } => {
                let given = only(&AT_CONTROLLER, given(fields))?;
                AT_CONTROLLER.require(Kind::AddressSet.as_str(), &given, &["vmNetwork"])?;
                plain = name.as_str().parse()?;
                (Kind::AddressSet, &plain, given)
            }
            Self::VmSubnet { name, fields } => (Kind::VmSubnet, name, given(fields)),
            Self::IpPool { name, fields } => (Kind::IpPool, name, given(fields)),
            Self::Gateway { name, fields } => (Kind::Gateway, name, given(fields)),
            Self::GatewayConnection { name, fields } => (Kind::GatewayConnection, name, fields.given()?),
            Self::CustomerRoute { name, fields } => {
                let given = only(&AT_CONTROLLER, given(fields))?;
                let needed = ["vmNetwork", "prefix", "nextHop"];
                AT_CONTROLLER.require(Kind::CustomerRoute.as_str(), &given, &needed)?;
                (Kind::CustomerRoute, name.as_ref().ok_or(FieldsError::NoName)?, given)
            }
            Self::Port { name, fields } => {
                let mut given = only(&AT_CONTROLLER, fields.given())?;
                host.map(|host| given.insert("host".to_owned(), host.into()));
                (Kind::Port, name, given)
            }
            Self::Host { name } => return Err(FieldsError::HostsJoin(name.clone().unwrap_or_else(|| "HOST".into()))),
            other => return Err(FieldsError::NotThere { kind: other.as_str(), place: AT_CONTROLLER.place }),
        };
        let mut given = Value::Object(given);
        clean(&mut given);
        assemble_at_controller(kind, tenant, name, given)
    }

    /// Whether `--host` is a field of it, where a controller is asked.
    pub const fn has_host_field(&self) -> bool {
        matches!(self, Self::Port { .. })
    }
}
