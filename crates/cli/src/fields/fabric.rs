//! Fields of the kinds that a controller has.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use api::fabric::accounts::{NewUser, Secret};
use api::fabric::{NewJoinToken, NewToken, Role};
use clap::{Args, ValueEnum};
use model::fabric::{AddressRange, Addressing, Isolation, MacRange, ResourceName};
use model::{LeaseTime, MacAddress, Name, QualifiedName, RoutingDomainId, VlanId, Vsid};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::limits::LimitFields;
use super::security::SecurityFields;
use super::values::{Address, Limit, OrNothing, Physical, Pool, Prefix, Route, SiteHost, SiteText, port_vsid};
use super::{FieldsError, given};
use crate::args::duration;

/// Fields of a logical network.
#[derive(Debug, Args)]
pub struct LogicalNetworkFields {
    /// VM networks may be virtualized on it (isolation nvgre, vxlan and geneve).
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    network_virtualization: Option<bool>,
    /// Site: which prefixes and VLANs it has where; may be repeated. With set, all sites anew.
    #[arg(long = "site", value_name = "NAME=PREFIX[@VLAN],...")]
    sites: Vec<OrNothing<SiteText>>,
    /// Host that a site of the same command is for; may be repeated. A site without any is for all hosts.
    #[arg(long = "site-host", value_name = "SITE=HOST", requires = "sites")]
    site_hosts: Vec<SiteHost>,
    /// Pool of provider addresses; may be repeated. Without any, hosts use the addresses that their uplinks have.
    #[arg(long = "provider-pool", value_name = "NAME=PREFIX,RANGE")]
    provider_pools: Vec<OrNothing<Pool>>,
    /// For the reader only; "" takes it away.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

impl LogicalNetworkFields {
    pub(super) fn given(&self) -> Result<Map<String, Value>, FieldsError> {
        let mut map = Map::new();
        if let Some(allowed) = self.network_virtualization {
            map.insert("networkVirtualization".to_owned(), allowed.into());
        }
        if !self.sites.is_empty() {
            map.insert("sites".to_owned(), self.sites()?.into());
        }
        if !self.provider_pools.is_empty() {
            map.insert("providerPools".to_owned(), json!(self.provider_pools));
        }
        if let Some(text) = &self.description {
            map.insert("description".to_owned(), text.as_str().into());
        }
        Ok(map)
    }

    fn sites(&self) -> Result<Vec<Value>, FieldsError> {
        let named = |name: &ResourceName| {
            self.sites.iter().any(|site| matches!(site, OrNothing::Value(site) if site.name == *name))
        };
        if let Some(stray) = self.site_hosts.iter().find(|host| !named(&host.site)) {
            return Err(FieldsError::NoSuchSite { site: stray.site.clone(), host: stray.host.clone() });
        }
        let site = |site: &OrNothing<SiteText>| match site {
            OrNothing::Nothing(_) => json!(""),
            OrNothing::Value(site) => {
                let hosts: Vec<&ResourceName> =
                    self.site_hosts.iter().filter(|host| host.site == site.name).map(|host| &host.host).collect();
                json!({"name": site.name, "hosts": hosts, "subnets": site.subnets})
            }
        };
        Ok(self.sites.iter().map(site).collect())
    }
}

/// Fields of a MAC pool.
#[derive(Debug, Args, Serialize)]
pub struct MacPoolFields {
    /// MAC addresses to draw from; may be repeated.
    #[arg(long = "range", value_name = "MAC..MAC")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<MacRange>,
}

/// Fields of a host that joined.
#[derive(Debug, Args)]
pub struct HostFields {
    /// Logical network that the uplink is in; may be repeated, all of them anew. "" takes it out of all.
    #[arg(long = "logical-network", value_name = "NAME")]
    logical_networks: Vec<OrNothing<ResourceName>>,
    /// The uplink that is meant; by default the first.
    #[arg(long, value_name = "INTERFACE", requires = "logical_networks")]
    uplink: Option<Name>,
    /// For the reader only; "" takes it away.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

impl HostFields {
    /// Whether anything is given.
    pub(super) fn is_empty(&self) -> bool {
        self.logical_networks.is_empty() && self.description.is_none()
    }

    /// The given fields in the place of those of the spec.
    pub(super) fn edit(&self, name: &str, spec: &mut Value) -> Result<(), FieldsError> {
        if let Some(text) = &self.description {
            super::spec::merge(spec, json!({"description": text}));
        }
        if self.logical_networks.is_empty() {
            return Ok(());
        }
        let mut networks = json!(self.logical_networks);
        super::clean(&mut networks);
        let missing = || FieldsError::NoSuchUplink {
            host: name.to_owned(),
            uplink: self.uplink.as_ref().map_or_else(|| "at all".to_owned(), |uplink| uplink.to_string()),
        };
        let uplinks = spec.get_mut("uplinks").and_then(Value::as_array_mut).ok_or_else(missing)?;
        let meant = |uplink: &&mut Value| {
            self.uplink
                .as_ref()
                .is_none_or(|name| uplink.get("interface").and_then(Value::as_str) == Some(name.as_str()))
        };
        let uplink = uplinks.iter_mut().find(meant).and_then(Value::as_object_mut).ok_or_else(missing)?;
        uplink.insert("logicalNetworks".to_owned(), if networks.is_null() { json!([]) } else { networks });
        Ok(())
    }
}

/// Fields of a tenant.
#[derive(Debug, Args)]
pub struct TenantFields {
    #[command(flatten)]
    quota: QuotaFields,
    /// For the reader only; "" takes it away.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

/// How much a tenant may have.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaFields {
    /// At most so many VM networks; none means no limit.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_networks: Option<Limit>,
    /// At most so many VM subnets.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_subnets: Option<Limit>,
    /// At most so many IP pools.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_pools: Option<Limit>,
    /// At most so many customer routes.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_routes: Option<Limit>,
    /// At most so many ports.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<Limit>,
    /// At most so many security groups.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    security_groups: Option<Limit>,
    /// At most so many address sets.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    address_sets: Option<Limit>,
    /// At most so many gateway connections.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_connections: Option<Limit>,
}

impl TenantFields {
    pub(super) fn given(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let quota = given(&self.quota);
        if !quota.is_empty() {
            map.insert("quota".to_owned(), quota.into());
        }
        if let Some(text) = &self.description {
            map.insert("description".to_owned(), text.as_str().into());
        }
        map
    }
}

/// Fields of a VM network.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VmNetworkFields {
    /// The logical network that it stands on.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    logical_network: Option<ResourceName>,
    /// How it is kept apart: nvgre (the default), vxlan, geneve, vlan or none.
    #[arg(long, value_parser = isolation)]
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation: Option<Isolation>,
    /// The routing domain, a UUID; chosen by the controller if it is left out.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rdid: Option<RoutingDomainId>,
    /// For the reader only; "" takes it away.
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[command(flatten)]
    #[serde(skip)]
    security: SecurityFields,
    #[command(flatten)]
    #[serde(skip)]
    limits: LimitFields,
}

impl VmNetworkFields {
    pub(super) fn given(&self) -> Map<String, Value> {
        let mut map = given(self);
        if let Some(security) = self.security.given() {
            map.insert("security".to_owned(), security.into());
        }
        self.limits.add_to(&mut map);
        map
    }
}

/// Fields of a VM subnet.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VmSubnetFields {
    /// The VM network.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_network: Option<ResourceName>,
    /// Prefix, IPv4 or IPv6; may be repeated.
    #[arg(long = "prefix", value_name = "PREFIX")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prefixes: Vec<OrNothing<Prefix>>,
    /// With isolation nvgre, vxlan and geneve: the VSID; chosen by the controller if it is left out.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    vsid: Option<OrNothing<Vsid>>,
    /// With isolation vlan: the VLAN.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<OrNothing<VlanId>>,
    /// With isolation vlan and none: the router of the physical network, one of each family.
    #[arg(long = "gateway", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gateways: Vec<OrNothing<IpAddr>>,
    /// With virtualization: security group that all its ports are in; may be repeated. "" takes all away.
    #[arg(long = "security-group", value_name = "NAME")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    security_groups: Vec<OrNothing<ResourceName>>,
}

/// Fields of an IP pool.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IpPoolFields {
    /// The VM subnet.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_subnet: Option<ResourceName>,
    /// Addresses to draw from; may be repeated.
    #[arg(long = "range", value_name = "FIRST-LAST")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<AddressRange>,
    /// Addresses of the ranges that are not given out by themselves; may be repeated.
    #[arg(long, value_name = "FIRST-LAST")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reserved: Vec<OrNothing<AddressRange>>,
    /// DNS server; may be repeated.
    #[arg(long = "dns-server", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dns_servers: Vec<OrNothing<Address>>,
    /// The VMs' domain; repeated, what short names are searched in after it.
    #[arg(long = "dns-suffix", value_name = "DOMAIN")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dns_suffixes: Vec<String>,
    /// Route besides the default one; may be repeated.
    #[arg(long = "route", value_name = "PREFIX=NEXTHOP")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<OrNothing<Route>>,
    /// How long a lease is valid, such as 8h; 1d by default.
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_time: Option<LeaseTime>,
}

/// Fields of a port; which of them there are depends on who keeps it. Where it is plugged at a controller is said by the
/// global `--host`.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortFields {
    /// The host's device: a tap, or the host's end of a veth; at a controller the port's name if it is left out.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<OrNothing<Name>>,
    /// MAC address of the VM's interface, such as 06-06-00-00-00-05; at a controller from a MAC pool if it is left out.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<OrNothing<MacAddress>>,
    /// Address that it is to have, such as 10.10.1.100; may be repeated. "" takes all away.
    #[arg(long = "address", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<OrNothing<Address>>,
    /// Security group whose rules hold for it; may be repeated. "" takes it out of all.
    #[arg(long = "security-group", value_name = "NAME")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    security_groups: Vec<OrNothing<QualifiedName>>,
    /// At a controller: the host that its VM is about to move to while it runs; "" when it stays where it is.
    #[arg(long, value_name = "HOST")]
    #[serde(skip_serializing_if = "Option::is_none")]
    migrate_to: Option<OrNothing<ResourceName>>,
    /// At a controller: any host may plug it, by its UUID ("netvirt port plug" there), and becomes its host.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    #[serde(skip_serializing_if = "Option::is_none")]
    any_host: Option<bool>,
    /// At a controller: the VM network; "" disconnects the port.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_network: Option<OrNothing<ResourceName>>,
    /// At a controller: the VM subnet; not needed where the VM network has one.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_subnet: Option<OrNothing<ResourceName>>,
    /// At a controller: the IP pool to draw from; otherwise any of the subnet.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_pool: Option<OrNothing<ResourceName>>,
    /// At a controller: where its addresses come from: pool (the default), or learnt from what the VM uses.
    #[arg(long, value_parser = addressing)]
    #[serde(skip_serializing_if = "Option::is_none")]
    addressing: Option<Addressing>,
    /// At a controller: name of the VM, for the reader only.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_name: Option<String>,
    /// At a host: VSID; 0, the default, leaves its traffic unvirtualized.
    #[arg(long, value_parser = port_vsid, conflicts_with = "physical")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vsid: Option<u32>,
    /// At a host: the physical network that it is joined to, an uplink, and the VLAN behind it if there is one.
    #[arg(long, value_name = "INTERFACE[.VLAN]")]
    #[serde(skip_serializing_if = "Option::is_none")]
    physical: Option<OrNothing<Physical>>,
    /// At a host: a UUID that it can be plugged by as well.
    #[arg(long, value_name = "UUID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<OrNothing<Uuid>>,
    #[command(flatten)]
    #[serde(skip)]
    limits: LimitFields,
}

impl PortFields {
    pub(super) fn given(&self) -> Map<String, Value> {
        let mut map = given(self);
        self.limits.add_to(&mut map);
        map
    }
}

/// What a token allows, as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RoleWord {
    /// Everything.
    Admin,
    /// Read and change what is its tenant's.
    Tenant,
    /// Read, change nothing.
    Reader,
}

/// Fields of a token. Its tenant is said by the global `--tenant`.
#[derive(Debug, Args)]
pub struct TokenFields {
    /// What it allows: admin, tenant or reader. With role tenant, and if wanted reader, --tenant confines it.
    #[arg(long, value_enum, required = true)]
    role: RoleWord,
    /// After what time it ends, such as 30d; never if it is left out.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Duration>,
    /// Write a context to this file instead of printing the secret: who has the file reaches the controller with the
    /// token, by --context FILE or NETVIRT_CONTEXT.
    #[arg(long, value_name = "FILE")]
    pub write_context: Option<PathBuf>,
}

impl RoleWord {
    /// The role, and the tenant that confines it; `explicit` is the tenant of the command line, `usual` the one that is
    /// meant if none is named.
    fn confined<'a>(
        self,
        explicit: Option<&'a ResourceName>,
        usual: &'a ResourceName,
    ) -> (Role, Option<&'a ResourceName>) {
        match self {
            Self::Admin => (Role::Admin, explicit),
            Self::Tenant => (Role::Tenant, Some(explicit.unwrap_or(usual))),
            Self::Reader => (Role::Reader, explicit),
        }
    }
}

impl TokenFields {
    /// The token to ask for; of the tenants see [`RoleWord::confined`].
    pub fn token(&self, name: &ResourceName, explicit: Option<&ResourceName>, usual: &ResourceName) -> NewToken {
        let (role, tenant) = self.role.confined(explicit, usual);
        let seconds = self.expires.map(|time| time.as_secs());
        NewToken { name: name.clone(), role, tenant: tenant.cloned(), seconds }
    }
}

/// Fields of a user. Its tenant is said by the global `--tenant`.
#[derive(Debug, Args)]
pub struct UserFields {
    /// What it may do: admin, tenant or reader. With role tenant, and if wanted reader, --tenant confines it.
    #[arg(long, value_enum, required = true)]
    role: RoleWord,
    /// Ask for the password at the terminal, or read it as a line of the standard input, instead of having one made up.
    #[arg(long)]
    pub password: bool,
}

impl UserFields {
    /// The user to ask for; of the tenants see [`RoleWord::confined`].
    pub fn user(
        &self,
        name: &ResourceName,
        explicit: Option<&ResourceName>,
        usual: &ResourceName,
        password: Option<Secret>,
    ) -> NewUser {
        let (role, tenant) = self.role.confined(explicit, usual);
        NewUser { name: name.clone(), role, tenant: tenant.cloned(), password }
    }
}

/// Fields of a token to join with.
#[derive(Debug, Args)]
pub struct JoinTokenFields {
    /// The only host that may use it; any if it is left out.
    #[arg(long, value_name = "HOST")]
    name: Option<ResourceName>,
    /// After what time it ends; 1h by default.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Duration>,
}

impl JoinTokenFields {
    /// The token to ask for.
    pub fn token(&self) -> NewJoinToken {
        NewJoinToken { host: self.name.clone(), seconds: self.expires.map(|time| time.as_secs()) }
    }
}

fn isolation(text: &str) -> Result<Isolation, String> {
    Isolation::ALL
        .into_iter()
        .find(|isolation| isolation.as_str() == text)
        .ok_or_else(|| "the isolations are nvgre, vxlan, geneve, vlan and none".to_owned())
}

fn addressing(text: &str) -> Result<Addressing, String> {
    match text {
        "pool" => Ok(Addressing::Pool),
        "learnt" => Ok(Addressing::Learnt),
        _ => Err("addresses come from a pool, or are learnt: write pool or learnt".to_owned()),
    }
}
