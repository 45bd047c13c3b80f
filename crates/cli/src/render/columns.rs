//! Which columns the table of each kind has.

use api::{DropCounter, Item};
use model::Kind;
use model::gateway::{Dns, Ipsec, Routing, Service, Wireguard};
use serde::Deserialize;
use serde_json::Value;

/// What stands in a cell without content.
pub const NONE: &str = "<none>";

/// One column: heading, where the value is in the item, and whether it is shown with `-o wide` alone.
type Column = (&'static str, &'static str, bool);

const LOOKUP_RECORD: &[Column] = &[
    ("NAME", "/name", false),
    ("MAC", "/spec/mac", false),
    ("PROVIDER-ADDRESS", "/spec/providerAddress", false),
    ("RULE", "/spec/rule", false),
    ("TYPE", "/spec/type", false),
    ("PORT", "/status/port", false),
    ("STATE", "/status/state", false),
    ("VSID", "/spec/vsid", true),
    ("CUSTOMER-ADDRESS", "/spec/customerAddress", true),
    ("VM", "/spec/vmName", true),
    ("CUSTOMER-ID", "/spec/customerId", true),
    ("CONTEXT", "/spec/context", true),
    ("SECURITY-GROUPS", "/spec/securityGroups", true),
];
const CUSTOMER_ROUTE: &[Column] = &[
    ("RDID", "/spec/rdid", false),
    ("VSID", "/spec/vsid", false),
    ("PREFIX", "/spec/prefix", false),
    ("NEXT-HOP", "/spec/nextHop", false),
    ("METRIC", "/spec/metric", false),
    ("STATE", "/status/state", false),
    ("NAME", "/name", true),
    ("REASON", "/status/reason", true),
];
const PROVIDER_ADDRESS: &[Column] = &[
    ("NAME", "/name", false),
    ("INTERFACE", "/spec/interface", false),
    ("PREFIX-LENGTH", "/spec/prefixLength", false),
    ("STATE", "/status/state", false),
    ("IFINDEX", "/status/ifindex", true),
    ("MTU", "/status/mtu", true),
    ("REASON", "/status/reason", true),
];
const PROVIDER_ROUTE: &[Column] = &[
    ("NAME", "/name", false),
    ("PREFIX", "/spec/prefix", false),
    ("NEXT-HOP", "/spec/nextHop", false),
    ("INTERFACE", "/spec/interface", false),
    ("METRIC", "/spec/metric", false),
    ("STATE", "/status/state", false),
    ("HOSTS", "/status/hosts", true),
    ("REASON", "/status/reason", true),
];
const PORT: &[Column] = &[
    ("NAME", "/name", false),
    ("DEVICE", "/spec/device", false),
    ("MAC", "/spec/mac", false),
    ("VSID", "/spec/vsid", false),
    ("STATE", "/status/state", false),
    ("FROM-VM", "/status/counters/rxPackets", false),
    ("TO-VM", "/status/counters/txPackets", false),
    ("DROPS", "/status/counters/drops", false),
    ("FROM-VM-BYTES", "/status/counters/rxBytes", true),
    ("TO-VM-BYTES", "/status/counters/txBytes", true),
    ("IFINDEX", "/status/ifindex", true),
    ("UID", "/spec/uid", true),
    ("SECURITY-GROUPS", "/spec/securityGroups", true),
    ("LIMITS", "/spec/limits", true),
    ("MTU", "/status/mtu", true),
    ("SLOT", "/status/slot", true),
];

const DHCP_SCOPE: &[Column] = &[
    ("VSID", "/spec/vsid", false),
    ("PREFIX", "/spec/prefix", false),
    ("GATEWAY", "/spec/gateway", false),
    ("DNS-SERVERS", "/spec/dnsServers", false),
    ("LEASE-TIME", "/spec/leaseTime", false),
    ("STATE", "/status/state", false),
    ("INTERFACE", "/spec/physical/interface", true),
    ("VLAN", "/spec/physical/vlan", true),
    ("DNS-SUFFIXES", "/spec/dnsSuffixes", true),
    ("PORTS", "/status/ports", true),
];

const SECURITY_GROUP: &[Column] = &[
    ("NAME", "/name", false),
    ("RULES", "/spec/rules", false),
    ("INGRESS-DEFAULT", "/spec/ingressDefault", false),
    ("EGRESS-DEFAULT", "/spec/egressDefault", false),
    ("STATE", "/status/state", false),
    ("PORTS", "/status/ports", true),
    ("REASON", "/status/reason", true),
];
const ADDRESS_SET: &[Column] = &[
    ("NAME", "/name", false),
    ("PREFIXES", "/spec/prefixes", false),
    ("STATE", "/status/state", false),
    ("SECURITY-GROUPS", "/status/securityGroups", true),
];
const ROUTING_DOMAIN: &[Column] = &[
    ("RDID", "/spec/rdid", false),
    ("ENCAPSULATION", "/spec/encapsulation", false),
    ("STATE", "/status/state", false),
    ("LIMITS", "/spec/limits", true),
    ("VSIDS", "/status/vsids", true),
    ("REASON", "/status/reason", true),
];

const GLOBAL: &[Column] =
    &[("NAME", "/name", false), ("EXTERNAL-ROUTER", "/spec/externalRouter", false), ("STATE", "/status/state", false)];

const MIGRATION: &[Column] = &[
    ("VSID", "/spec/vsid", false),
    ("MAC", "/spec/mac", false),
    ("TO", "/spec/to", false),
    ("FROM", "/spec/from", false),
    ("AT", "/status/at", false),
    ("STATE", "/status/state", false),
    ("REASON", "/status/reason", true),
];

const GATEWAY: &[Column] = &[
    ("NAME", "/name", false),
    ("INTERFACE", "/spec/interface", false),
    ("ADDRESSES", "/spec/addresses", false),
    ("STATE", "/status/state", false),
    ("NEXT-HOPS", "/spec/nextHops", true),
    ("COMPARTMENTS", "/status/compartments", true),
    ("REASON", "/status/reason", true),
];

const COMPARTMENT: &[Column] = &[
    ("NAME", "/name", false),
    ("DEVICE", "/spec/inside/device", false),
    ("INSIDE", "/spec/inside/addresses", false),
    ("OUTSIDE", "/spec/outside/addresses", false),
    ("CONNECTIONS", "/status/connections", false),
    ("STATE", "/status/state", false),
    ("STANDBY", "/spec/standby", true),
    ("NAMESPACE", "/status/namespace", true),
    ("REASON", "/status/reason", true),
];

const fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::LookupRecord => LOOKUP_RECORD,
        Kind::CustomerRoute => CUSTOMER_ROUTE,
        Kind::ProviderAddress => PROVIDER_ADDRESS,
        Kind::ProviderRoute => PROVIDER_ROUTE,
        Kind::DhcpScope => DHCP_SCOPE,
        Kind::Port => PORT,
        Kind::SecurityGroup => SECURITY_GROUP,
        Kind::AddressSet => ADDRESS_SET,
        Kind::RoutingDomain => ROUTING_DOMAIN,
        Kind::Global => GLOBAL,
        Kind::Migration => MIGRATION,
        Kind::Gateway => GATEWAY,
        Kind::Compartment => COMPARTMENT,
    }
}

fn shown(kind: Kind, wide: bool) -> impl Iterator<Item = &'static Column> {
    columns(kind).iter().filter(move |(_, _, only_wide)| wide || !only_wide)
}

/// The headings of a kind's table.
pub fn header(kind: Kind, wide: bool) -> Vec<String> {
    shown(kind, wide).map(|(heading, ..)| (*heading).to_owned()).collect()
}

/// An item as a row of its kind's table.
pub fn row(item: &Item, wide: bool) -> Vec<String> {
    let cell = |column: &Column| short(whole(item, column));
    shown(item.kind, wide).map(cell).collect()
}

/// The widest cell; what is longer is for `describe`.
const WIDEST: usize = 200;

/// A text that is not wider than tables can be.
pub fn short(text: String) -> String {
    if text.chars().count() <= WIDEST {
        return text;
    }
    let kept: String = text.chars().take(WIDEST).collect();
    format!("{kept}... (\"describe\" and -o yaml show all)")
}

/// A cell with all that belongs into it.
fn whole(item: &Item, column: &Column) -> String {
    let cell =
        |(_, pointer, _): &Column| match pointer.split_at(pointer[1..].find('/').map_or(pointer.len(), |at| at + 1)) {
            ("/spec", rest) => text(item.spec.pointer(rest)),
            ("/status", rest) => text(item.status.pointer(rest)),
            _ => item.name.clone(),
        };
    cell(column)
}

/// The headings of the table of drops.
pub fn drop_header(wide: bool) -> Vec<String> {
    let headings: &[&str] =
        if wide { &["PORT", "REASON", "PACKETS", "EXPLANATION"] } else { &["PORT", "REASON", "PACKETS"] };
    headings.iter().map(|heading| (*heading).to_owned()).collect()
}

/// A counter as a row of the table of drops.
pub fn drop_row(drop: &DropCounter, wide: bool) -> Vec<String> {
    let mut row = vec![drop.port.clone(), drop.reason.clone(), drop.packets.to_string()];
    if wide {
        row.push(drop.explanation.clone());
    }
    row
}

/// A value as people read it.
pub fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => NONE.to_owned(),
        Some(Value::String(word)) => spelled(word).to_owned(),
        Some(Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
        Some(Value::Array(list)) if list.is_empty() => NONE.to_owned(),
        Some(Value::Array(list)) if list.iter().any(Value::is_object) => {
            list.iter().map(|value| text(Some(value))).collect::<Vec<_>>().join("; ")
        }
        Some(Value::Array(list)) => list.iter().map(|value| text(Some(value))).collect::<Vec<_>>().join(", "),
        Some(other) => {
            let known = rule(other).or_else(|| limits(other)).or_else(|| connection_state(other));
            known.or_else(|| connection(other)).unwrap_or_else(|| other.to_string())
        }
    }
}

/// A rate limit of one direction as it is typed, if the value is one.
pub fn limit(value: &Value) -> Option<String> {
    model::Limit::deserialize(value).ok().map(|limit| limit.to_string())
}

/// Rate limits of both directions, if the value is some.
fn limits(value: &Value) -> Option<String> {
    let directions = value.as_object()?.iter();
    let texts: Option<Vec<String>> =
        directions.map(|(direction, value)| limit(value).map(|limit| format!("{direction} {limit}"))).collect();
    texts.filter(|texts| !texts.is_empty()).map(|texts| texts.join("; "))
}

/// A rule of a security group as it is typed, if the value is one.
pub fn rule(value: &Value) -> Option<String> {
    value.get("direction")?;
    // Of groups of a host and of a controller alike: the names of the one can be read as those of the other.
    model::SecurityRule::<model::QualifiedName>::deserialize(value).ok().map(|rule| rule.to_string())
}

/// What a connection of a gateway is and with whom, if the value is one. The rest is shown with -o yaml.
fn connection(value: &Value) -> Option<String> {
    let connection = model::gateway::Connection::deserialize(value).ok()?;
    let service = connection.service()?;
    let with = match service {
        Service::Nat(nat) if !nat.addresses.is_empty() => {
            let addresses: Vec<String> = nat.addresses.iter().map(ToString::to_string).collect();
            format!(" as {}", addresses.join(", "))
        }
        Service::Routing(Routing { vlan: Some(vlan), .. }) => format!(" in VLAN {vlan}"),
        Service::Ipsec(Ipsec { remote: Some(remote), .. }) => format!(" with {remote}"),
        Service::Wireguard(Wireguard { endpoint: Some(endpoint), .. }) => format!(" with {endpoint}"),
        Service::Dns(Dns { domain: Some(domain), .. }) => format!(" of {domain}"),
        _ => String::new(),
    };
    let neighbors = connection.bgp.iter().flat_map(|bgp| &bgp.neighbors);
    let bgp: String =
        neighbors.map(|neighbor| format!(", BGP with {} (AS {})", neighbor.address, neighbor.remote_as)).collect();
    let limits = value.get("limits").and_then(limits).map_or_else(String::new, |limits| format!(", {limits}"));
    Some(format!("{} {}{with}{bgp}{limits}", connection.name, service.as_str()))
}

/// How a connection of a gateway is, if the value is that.
fn connection_state(value: &Value) -> Option<String> {
    let report = model::gateway::ConnectionReport::deserialize(value).ok()?;
    let reason = report.reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    Some(format!("{} {}{reason}", report.name, report.state.as_str()))
}

/// The states as people read them, and the rules without their long prefix; all else as it is.
fn spelled(word: &str) -> &str {
    match word {
        "inForce" => "in force",
        "notInForce" => "not in force",
        _ => word.strip_prefix("TranslationMethod").unwrap_or(word),
    }
}
