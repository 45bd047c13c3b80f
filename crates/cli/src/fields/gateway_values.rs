//! Values of the flags of gateways and their connections: texts that were seen to be what the field wants, kept as they go into
//! a spec.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use model::fabric::{AddressRange, ResourceName};
use model::security::PortRange;
use model::{Name, VlanId};
use serde::Serialize;
use serde_json::{Map, Value, json};

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $example:literal, $read:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize)]
        #[serde(transparent)]
        pub struct $name(Value);

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                $read(text).map(Self).ok_or_else(|| format!("\"{text}\" is not {}; write {}", $what, $example))
            }
        }
    )*};
}

texts! {
    /// `HOST=INTERFACE[,ADDRESS/LENGTH]...`
    GatewayHost, "a host of a gateway", "HOST=INTERFACE[,ADDRESS/LENGTH], such as host17=eth1,203.0.113.7/24", host;
    /// `PREFIX[@VLAN][,via ADDRESS][,range FIRST-LAST]...`
    Network, "a network outside", "PREFIX[@VLAN][,via ADDRESS][,range FIRST-LAST], such as \
        203.0.113.0/24,via 203.0.113.1,range 203.0.113.10-203.0.113.99", network;
    /// `EXTERNAL=INTERNAL`
    Floating, "a floating address", "EXTERNAL=INTERNAL, such as 203.0.113.21=10.0.0.5", floating;
    /// `PROTOCOL:[ADDRESS:]PORTS=ADDRESS[:PORT]`
    Forward, "a forwarded port", "PROTOCOL:[ADDRESS:]PORTS=ADDRESS[:PORT], such as tcp:8443=10.0.0.5:443, an IPv6 address in \
        brackets", forward;
    /// `ADDRESS=AS`
    Neighbor, "a neighbor", "ADDRESS=AS, such as 203.0.113.9=64513", neighbor;
    /// `ZONE=ADDRESS,...`
    Zone, "a zone with its servers", "ZONE=ADDRESS,..., such as corp.example=10.20.0.53", zone;
}

fn host(text: &str) -> Option<Value> {
    let (name, rest) = text.split_once('=')?;
    let mut parts = rest.split(',');
    let (name, interface) = (name.parse::<ResourceName>().ok()?, parts.next()?.parse::<Name>().ok()?);
    let addresses = parts.map(|part| part.trim().parse::<IpNet>().ok()).collect::<Option<Vec<_>>>()?;
    let mut host = Map::new();
    host.insert("host".to_owned(), json!(name));
    host.insert("interface".to_owned(), json!(interface));
    if !addresses.is_empty() {
        host.insert("addresses".to_owned(), json!(addresses));
    }
    Some(host.into())
}

fn network(text: &str) -> Option<Value> {
    let mut parts = text.split(',').map(str::trim);
    let (prefix, vlan) = match parts.next()?.split_once('@') {
        Some((prefix, vlan)) => (prefix.to_owned(), Some(vlan.parse::<VlanId>().ok()?)),
        None => (text.split(',').next()?.to_owned(), None),
    };
    let mut network = Map::new();
    network.insert("prefix".to_owned(), json!(prefix.trim().parse::<IpNet>().ok()?));
    if let Some(vlan) = vlan {
        network.insert("vlan".to_owned(), json!(vlan));
    }
    let mut ranges: Vec<AddressRange> = Vec::new();
    for part in parts {
        match part.split_once(' ')? {
            ("via", address) => {
                let address = address.trim().parse::<IpAddr>().ok()?;
                if network.insert("nextHop".to_owned(), json!(address)).is_some() {
                    return None;
                }
            }
            ("range", range) => ranges.push(range.trim().parse().ok()?),
            _ => return None,
        }
    }
    if !ranges.is_empty() {
        network.insert("ranges".to_owned(), json!(ranges));
    }
    Some(network.into())
}

fn floating(text: &str) -> Option<Value> {
    let (external, internal) = text.split_once('=')?;
    let (external, internal) = (external.trim().parse::<IpAddr>().ok()?, internal.trim().parse::<IpAddr>().ok()?);
    Some(json!({"external": external, "internal": internal}))
}

/// An address and what stands behind a colon after it; an IPv6 address is in brackets, and may be where nothing follows.
fn address_and(text: &str) -> Option<(IpAddr, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let rest = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
        return Some((address.parse().ok()?, rest));
    }
    if let Ok(address) = text.parse() {
        return Some((address, None));
    }
    let (address, rest) = text.split_once(':')?;
    Some((address.parse().ok()?, Some(rest)))
}

fn forward(text: &str) -> Option<Value> {
    let (outside, inside) = text.split_once('=')?;
    let (protocol, outside) = outside.split_once(':')?;
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp") {
        return None;
    }
    let (external, ports) = match outside.parse::<PortRange>() {
        Ok(ports) => (None, ports),
        Err(_) => {
            let (address, ports) = address_and(outside)?;
            (Some(address), ports?.parse::<PortRange>().ok()?)
        }
    };
    let (internal, port) = address_and(inside)?;
    let mut forward = Map::new();
    forward.insert("protocol".to_owned(), protocol.into());
    if let Some(external) = external {
        forward.insert("external".to_owned(), json!(external));
    }
    forward.insert("ports".to_owned(), json!(ports));
    forward.insert("internal".to_owned(), json!(internal));
    if let Some(port) = port {
        forward.insert("internalPort".to_owned(), json!(port.parse::<u16>().ok()?));
    }
    Some(forward.into())
}

fn neighbor(text: &str) -> Option<Value> {
    let (address, number) = text.split_once('=')?;
    let (address, number) = (address.trim().parse::<IpAddr>().ok()?, number.trim().parse::<u32>().ok()?);
    Some(json!({"address": address, "remoteAs": number}))
}

fn zone(text: &str) -> Option<Value> {
    let (zone, servers) = text.split_once('=')?;
    let servers = servers.split(',').map(|server| server.trim().parse::<IpAddr>().ok()).collect::<Option<Vec<_>>>()?;
    (!zone.is_empty()).then(|| json!({"zone": zone, "servers": servers}))
}
