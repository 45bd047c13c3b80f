//! Fields of the kinds that a host alone has.

use std::net::IpAddr;

use clap::{ArgAction, Args};
use model::{
    Encapsulation, LeaseTime, LookupRecordType, MacAddress, Name, QualifiedName, RoutingDomainId, TranslationMethod,
    Vsid,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::limits::LimitFields;
use super::values::{OrNothing, Physical, Prefix, Route, record_type, translation_method};

/// Fields of a lookup record.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LookupRecordFields {
    /// VSID of the subnet.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    vsid: Option<Vsid>,
    /// Customer address; none with type l2only, 0.0.0.0 or :: with type gateway-wildcard.
    #[arg(long, visible_alias = "ca", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_address: Option<IpAddr>,
    /// MAC address of the VM, such as 06-06-00-00-00-05.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<MacAddress>,
    /// Provider address of the VM's host.
    #[arg(long, visible_alias = "pa", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_address: Option<IpAddr>,
    /// How packets travel: encap (the default), nat or none.
    #[arg(long, value_parser = translation_method)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<TranslationMethod>,
    /// What it is: static (the default), dynamic, l2only or gateway-wildcard.
    #[arg(long = "type", value_name = "TYPE", value_parser = record_type)]
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    record_type: Option<LookupRecordType>,
    /// Name of the VM, for the reader only; "" takes it away.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_name: Option<String>,
    /// The customer whose VM it is, a UUID, for the reader only.
    #[arg(long, value_name = "UUID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<OrNothing<RoutingDomainId>>,
    /// A remark, for the reader only; "" takes it away.
    #[arg(long = "remark", value_name = "TEXT")]
    #[serde(rename = "context", skip_serializing_if = "Option::is_none")]
    context_of_record: Option<String>,
    /// Security group that the VM is a member of; may be repeated. "" takes it out of all.
    #[arg(long = "security-group", value_name = "NAME")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    security_groups: Vec<OrNothing<QualifiedName>>,
}

/// Fields of a provider address.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderAddressFields {
    /// The address; it is put on the interface if it is not there.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    /// The uplink.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<Name>,
    /// Length of the prefix that is on-link in the underlay, in bits.
    #[arg(long, value_name = "BITS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix_length: Option<u8>,
}

/// Fields of a provider route.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRouteFields {
    /// Where to: provider addresses of other hosts.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<Prefix>,
    /// The underlay router, on-link on the interface.
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_hop: Option<IpAddr>,
    /// The uplink.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<Name>,
    /// Among routes to one prefix the lowest wins; 0 by default.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<u32>,
}

/// Fields of a DHCP scope.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DhcpScopeFields {
    /// VSID of the subnet.
    #[arg(long, conflicts_with = "physical")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vsid: Option<Vsid>,
    /// Or the physical network that the ports are joined to: an uplink, and the VLAN behind it if there is one.
    #[arg(long, value_name = "INTERFACE[.VLAN]")]
    #[serde(skip_serializing_if = "Option::is_none")]
    physical: Option<Physical>,
    /// The prefix whose addresses the VMs have.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<Prefix>,
    /// The VMs' default gateway; in a subnet with a VSID the distributed router's address if it is left out.
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<OrNothing<IpAddr>>,
    /// DNS server; may be repeated.
    #[arg(long = "dns-server", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dns_servers: Vec<OrNothing<IpAddr>>,
    /// The VMs' domain; repeated, what short names are searched in after it.
    #[arg(long = "dns-suffix", value_name = "DOMAIN")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dns_suffixes: Vec<String>,
    /// Route besides the default one; may be repeated.
    #[arg(long = "route", value_name = "PREFIX=NEXTHOP")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<OrNothing<Route>>,
    /// How long a lease is valid; 1d by default.
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_time: Option<LeaseTime>,
}

/// Fields of a routing domain.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutingDomainFields {
    /// The routing domain, a UUID.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rdid: Option<RoutingDomainId>,
    /// How frames travel to other hosts: nvgre (the default), vxlan or geneve.
    #[arg(long, value_parser = encapsulation)]
    #[serde(skip_serializing_if = "Option::is_none")]
    encapsulation: Option<Encapsulation>,
    #[command(flatten)]
    #[serde(skip)]
    limits: LimitFields,
}

impl RoutingDomainFields {
    pub(super) fn given(&self) -> Map<String, Value> {
        let mut map = super::given(self);
        self.limits.add_to(&mut map);
        map
    }
}

/// Fields of what holds of a host as a whole.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GlobalFields {
    /// Whether routers of VM subnets are outside of the hosts: then this host is no subnet's gateway.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    #[serde(skip_serializing_if = "Option::is_none")]
    external_router: Option<bool>,
}

/// Fields of a migration.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationFields {
    /// VSID of the VM's subnet.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    vsid: Option<Vsid>,
    /// MAC address of the VM.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<MacAddress>,
    /// Provider address of the host that it will be on.
    #[arg(long, conflicts_with = "from")]
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<IpAddr>,
    /// Provider address of the host that it was on.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<IpAddr>,
}

impl MigrationFields {
    /// A VM has one other place: what says the one takes the other back.
    pub(super) fn given(&self) -> Map<String, Value> {
        let mut map = super::given(self);
        if self.to.is_some() {
            map.insert("from".to_owned(), Value::Null);
        }
        if self.from.is_some() {
            map.insert("to".to_owned(), Value::Null);
        }
        map
    }
}

fn encapsulation(text: &str) -> Result<Encapsulation, String> {
    Encapsulation::ALL
        .into_iter()
        .find(|encapsulation| encapsulation.as_str() == text)
        .ok_or_else(|| "the encapsulations are nvgre, vxlan and geneve".to_owned())
}

/// Fields of a customer route; which of them there are depends on who keeps it.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomerRouteFields {
    /// Destination, such as 10.0.0.0/24.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<Prefix>,
    /// Customer address of the next hop; at a host 0.0.0.0 or :: when the prefix is the subnet's own.
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_hop: Option<IpAddr>,
    /// Among routes to one prefix the lowest wins; 0 by default.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<u32>,
    /// At a controller: the VM network.
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_network: Option<model::fabric::ResourceName>,
    /// At a host: the routing domain, a UUID.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rdid: Option<RoutingDomainId>,
    /// At a host: VSID of the subnet in which the next hop, or the destination itself, is.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    vsid: Option<Vsid>,
}
