//! Which columns the table of each kind of a controller has.

use api::fabric::{FamilyUsage, Item, PortDevice, Status};
use model::fabric::Kind;
use serde_json::Value;

use crate::render::NONE;
use crate::render::columns::{short, text};

/// What stands in a cell.
enum Cell {
    /// A field of the spec.
    Spec(&'static str),
    /// Something else.
    Of(fn(&Item) -> String),
}
use Cell::{Of, Spec};

/// One column: heading, what stands in it, and whether it is shown with `-o wide` alone.
type Column = (&'static str, Cell, bool);

const LOGICAL_NETWORK: &[Column] = &[
    ("NETWORK-VIRTUALIZATION", Spec("/networkVirtualization"), false),
    ("SITES", Of(|item| names(item, "sites")), false),
    ("PROVIDER-POOLS", Of(|item| names(item, "providerPools")), false),
    ("DESCRIPTION", Spec("/description"), true),
];
const MAC_POOL: &[Column] = &[("RANGES", Spec("/ranges"), false), ("USED", Of(usage), false)];
const HOST: &[Column] = &[
    ("STATE", Of(connection), false),
    ("PROVIDER-ADDRESSES", Of(|item| list(&item.status.allocation.provider_addresses)), false),
    ("LOGICAL-NETWORKS", Of(logical_networks), false),
    ("VERSION", Of(|item| or_none(item.status.version.as_ref())), false),
    ("UPLINKS", Of(uplinks), true),
    ("LAST-SEEN", Of(|item| or_none(item.status.last_seen.as_ref())), true),
    ("DESCRIPTION", Spec("/description"), true),
];
const TENANT: &[Column] = &[
    ("VM-NETWORKS", Of(|item| quota(item, "vmNetworks")), false),
    ("VM-SUBNETS", Of(|item| quota(item, "vmSubnets")), false),
    ("IP-POOLS", Of(|item| quota(item, "ipPools")), false),
    ("CUSTOMER-ROUTES", Of(|item| quota(item, "customerRoutes")), false),
    ("PORTS", Of(|item| quota(item, "ports")), false),
    ("SECURITY-GROUPS", Of(|item| quota(item, "securityGroups")), true),
    ("ADDRESS-SETS", Of(|item| quota(item, "addressSets")), true),
    ("DESCRIPTION", Spec("/description"), true),
];
const VM_NETWORK: &[Column] = &[
    ("LOGICAL-NETWORK", Spec("/logicalNetwork"), false),
    ("ISOLATION", Spec("/isolation"), false),
    ("REALIZED", Of(realized), false),
    ("RDID", Of(|item| or_none(item.status.allocation.rdid.as_ref())), true),
    ("LIMITS", Spec("/limits"), true),
    ("DESCRIPTION", Spec("/description"), true),
];
const VM_SUBNET: &[Column] = &[
    ("VM-NETWORK", Spec("/vmNetwork"), false),
    ("PREFIXES", Spec("/prefixes"), false),
    ("VSID", Of(|item| or_none(item.status.allocation.vsid.as_ref())), false),
    ("GATEWAYS", Of(|item| list(&item.status.gateways)), false),
    ("REALIZED", Of(realized), false),
    ("VLAN", Spec("/vlan"), true),
    ("SECURITY-GROUPS", Spec("/securityGroups"), true),
];
const ADDRESS_SET: &[Column] = &[
    ("VM-NETWORK", Spec("/vmNetwork"), false),
    ("PREFIXES", Spec("/prefixes"), false),
    ("REALIZED", Of(realized), false),
    ("DESCRIPTION", Spec("/description"), true),
];
const SECURITY_GROUP: &[Column] = &[
    ("VM-NETWORK", Spec("/vmNetwork"), false),
    ("RULES", Spec("/rules"), false),
    ("REALIZED", Of(realized), false),
    ("DESCRIPTION", Spec("/description"), true),
];
const IP_POOL: &[Column] = &[
    ("VM-SUBNET", Spec("/vmSubnet"), false),
    ("RANGES", Spec("/ranges"), false),
    ("USED", Of(usage), false),
    ("REALIZED", Of(realized), false),
    ("RESERVED", Spec("/reserved"), true),
    ("DNS-SERVERS", Spec("/dnsServers"), true),
    ("DNS-SUFFIXES", Spec("/dnsSuffixes"), true),
    ("LEASE-TIME", Spec("/leaseTime"), true),
];
const CUSTOMER_ROUTE: &[Column] = &[
    ("VM-NETWORK", Spec("/vmNetwork"), false),
    ("PREFIX", Spec("/prefix"), false),
    ("NEXT-HOP", Spec("/nextHop"), false),
    ("METRIC", Of(|item| item.spec.get("metric").map_or_else(|| "0".to_owned(), ToString::to_string)), false),
    ("REALIZED", Of(realized), false),
];
const PORT: &[Column] = &[
    ("VM-NETWORK", Spec("/vmNetwork"), false),
    ("VM-SUBNET", Of(|item| or_none(item.status.allocation.vm_subnet.as_ref())), false),
    ("ADDRESSES", Of(addresses), false),
    ("MAC", Of(|item| or_none(item.status.allocation.mac.as_ref())), false),
    ("HOST", Spec("/host"), false),
    ("DEVICE", Of(device), false),
    ("REALIZED", Of(realized), false),
    ("MIGRATE-TO", Spec("/migrateTo"), true),
    ("IP-POOL", Spec("/ipPool"), true),
    ("SECURITY-GROUPS", Spec("/securityGroups"), true),
    ("ADDRESSING", Of(|item| item.spec.get("addressing").map_or_else(|| "pool".to_owned(), |it| text(Some(it)))), true),
    ("LIMITS", Spec("/limits"), true),
    ("VM", Spec("/vmName"), true),
];
const GATEWAY: &[Column] = &[
    ("LOGICAL-NETWORK", Spec("/logicalNetwork"), false),
    ("HOSTS", Of(gateway_hosts), false),
    ("NETWORKS", Of(external_networks), false),
    ("USED", Of(family_usage), false),
    ("TROUBLE", Of(trouble), false),
    ("REALIZED", Of(realized), false),
    ("DESCRIPTION", Spec("/description"), true),
];
const GATEWAY_CONNECTION: &[Column] = &[
    ("NETWORK", Spec("/vmNetwork"), false),
    ("GATEWAY", Spec("/gateway"), false),
    ("TYPE", Of(service), false),
    ("HOST", Of(|item| or_none(item.status.connection.as_ref().map(|connection| &connection.host))), false),
    ("ADDRESSES", Of(external), false),
    ("STATE", Of(|item| item.status.connection.as_ref().map_or(NONE, |own| own.state.as_str()).to_owned()), false),
    ("REALIZED", Of(realized), true),
    ("LIMITS", Spec("/limits"), true),
    ("DESCRIPTION", Spec("/description"), true),
];
/// What every kind has.
const COMMON: &[Column] =
    &[("CREATED", Of(|item| item.created.clone()), true), ("REVISION", Of(|item| item.revision.to_string()), true)];

const fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::LogicalNetwork => LOGICAL_NETWORK,
        Kind::MacPool => MAC_POOL,
        Kind::Host => HOST,
        Kind::Tenant => TENANT,
        Kind::VmNetwork => VM_NETWORK,
        Kind::AddressSet => ADDRESS_SET,
        Kind::SecurityGroup => SECURITY_GROUP,
        Kind::VmSubnet => VM_SUBNET,
        Kind::IpPool => IP_POOL,
        Kind::CustomerRoute => CUSTOMER_ROUTE,
        Kind::Port => PORT,
        Kind::Gateway => GATEWAY,
        Kind::GatewayConnection => GATEWAY_CONNECTION,
    }
}

fn shown(kind: Kind, wide: bool) -> impl Iterator<Item = &'static Column> {
    columns(kind).iter().chain(COMMON).filter(move |(_, _, only_wide)| wide || !only_wide)
}

/// The headings of a kind's table.
pub fn header(kind: Kind, wide: bool, tenants: bool) -> Vec<String> {
    let owner = (tenants && kind.has_tenant()).then_some("TENANT");
    owner
        .into_iter()
        .chain(["NAME"])
        .chain(shown(kind, wide).map(|(heading, ..)| *heading))
        .map(str::to_owned)
        .collect()
}

/// An item as a row of its kind's table.
pub fn row(item: &Item, wide: bool, tenants: bool) -> Vec<String> {
    let owner = (tenants && item.kind.has_tenant()).then(|| or_none(item.tenant.as_ref()));
    let cell = |(_, cell, _): &Column| {
        short(match cell {
            Spec(pointer) => text(item.spec.pointer(pointer)),
            Of(function) => function(item),
        })
    };
    owner.into_iter().chain([item.name.to_string()]).chain(shown(item.kind, wide).map(cell)).collect()
}

fn or_none<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| NONE.to_owned(), ToString::to_string)
}

fn list<T: ToString>(values: &[T]) -> String {
    match values {
        [] => NONE.to_owned(),
        values => values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// On how many hosts of those that need it.
pub fn realized(item: &Item) -> String {
    let realized = item.status.realized.as_ref();
    realized.map_or_else(|| NONE.to_owned(), |realized| format!("{}/{}", realized.hosts, realized.of))
}

/// How much of a pool is given out.
pub fn usage(item: &Item) -> String {
    match (item.status.used, item.status.total) {
        (Some(used), Some(total)) => format!("{used}/{total}"),
        _ => NONE.to_owned(),
    }
}

/// How much of each family a gateway has given out.
pub fn family_usage(item: &Item) -> String {
    let of = |of: &FamilyUsage| format!("{} {}/{}", of.family, of.used, of.total);
    list(&item.status.families.iter().map(of).collect::<Vec<_>>())
}

/// The hosts of a gateway with which something is wrong; `describe` says what.
fn trouble(item: &Item) -> String {
    let hosts = item.status.gateway_hosts.iter().filter(|host| host.trouble.is_some());
    list(&hosts.map(|host| host.host.as_str()).collect::<Vec<_>>())
}

/// Whether a host's agent is there.
pub fn connection(item: &Item) -> String {
    match item.status.connected {
        Some(true) => "connected",
        Some(false) => "not connected",
        None => NONE,
    }
    .to_owned()
}

/// The addresses of a port, given and learnt.
pub fn addresses(item: &Item) -> String {
    let Status { allocation, .. } = &item.status;
    let learnt = allocation.learnt.iter().filter(|address| !allocation.addresses.contains(address));
    let all: Vec<String> = allocation.addresses.iter().chain(learnt).map(ToString::to_string).collect();
    list(&all)
}

/// The device of a port, and whether it is missing on its host.
fn device(item: &Item) -> String {
    let name = item.spec.get("device").and_then(Value::as_str).unwrap_or(item.name.as_str());
    match item.status.device {
        Some(PortDevice::Missing) => format!("{name} (missing)"),
        _ => name.to_owned(),
    }
}

/// The names of the objects in a list of the spec.
fn names(item: &Item, field: &str) -> String {
    let objects = item.spec.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let names: Vec<&str> = objects.iter().filter_map(|object| object.get("name")?.as_str()).collect();
    list(&names)
}

fn each_uplink(item: &Item) -> impl Iterator<Item = &Value> {
    item.spec.get("uplinks").and_then(Value::as_array).into_iter().flatten()
}

fn uplinks(item: &Item) -> String {
    let uplink = |uplink: &Value| {
        let addresses = text(uplink.get("addresses"));
        format!("{} ({addresses})", text(uplink.get("interface")))
    };
    list(&each_uplink(item).map(uplink).collect::<Vec<_>>())
}

fn logical_networks(item: &Item) -> String {
    let mut names: Vec<&str> = Vec::new();
    let lists = each_uplink(item).filter_map(|uplink| uplink.get("logicalNetworks")?.as_array());
    for name in lists.flatten().filter_map(Value::as_str) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    list(&names)
}

/// The hosts of a gateway, each with its external interface.
fn gateway_hosts(item: &Item) -> String {
    let hosts = item.spec.get("hosts").and_then(Value::as_array).into_iter().flatten();
    let host = |host: &Value| format!("{} ({})", text(host.get("host")), text(host.get("interface")));
    list(&hosts.map(host).collect::<Vec<_>>())
}

fn external_networks(item: &Item) -> String {
    let networks = item.spec.get("networks").and_then(Value::as_array).into_iter().flatten();
    let network = |network: &Value| match network.get("vlan") {
        Some(vlan) => format!("{} (VLAN {vlan})", text(network.get("prefix"))),
        None => text(network.get("prefix")),
    };
    list(&networks.map(network).collect::<Vec<_>>())
}

/// The addresses outside of a gateway connection's VM network.
pub fn external(item: &Item) -> String {
    let Some(connection) = &item.status.connection else { return NONE.to_owned() };
    let own = connection.external.iter().map(|address| address.addr().to_string());
    let shared = connection.shared.map(|shared| format!("{} ports {}", shared.address, shared.ports));
    list(&own.chain(shared).collect::<Vec<_>>())
}

/// What a gateway connection is.
pub fn service(item: &Item) -> String {
    let services = ["nat", "routing", "ipsec", "wireguard", "dns"];
    services.into_iter().find(|service| item.spec.get(*service).is_some()).unwrap_or(NONE).to_owned()
}

/// A limit of a tenant.
fn quota(item: &Item, field: &str) -> String {
    let limit = item.spec.get("quota").and_then(|quota| quota.get(field));
    limit.map_or_else(|| "unlimited".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_says_what_each_family_has_given_and_which_hosts_are_in_trouble() {
        let item: Item = serde_json::from_value(serde_json::json!({
            "kind": "gateway", "name": "edge", "uid": "6f2a3c1e-0000-4000-8000-000000000001", "created": "now", "revision": 1,
            "spec": {"logicalNetwork": "L", "hosts": [{"host": "h1", "interface": "eth1"}, {"host": "h2", "interface": "eth7"}]},
            "status": {
                "families": [{"family": "IPv4", "used": 1, "total": 48}, {"family": "IPv6", "used": 2, "total": 26}],
                "gatewayHosts": [
                    {"host": "h1", "active": 1, "standby": 0},
                    {"host": "h2", "active": 0, "standby": 1, "trouble": "the external interface eth7 is not there"},
                ],
            },
        }))
        .unwrap();
        let cells: Vec<_> = header(Kind::Gateway, false, false).into_iter().zip(row(&item, false, false)).collect();
        let cell = |heading: &str| cells.iter().find(|(one, _)| one == heading).map(|(_, cell)| cell.as_str());
        assert_eq!((cell("USED"), cell("TROUBLE")), (Some("IPv4 1/48, IPv6 2/26"), Some("h2")));
        let described = super::super::describe::describe(&item);
        assert!(described.contains("standby for 1; the external interface eth7 is not there"), "{described}");
    }
}
