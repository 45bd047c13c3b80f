//! The fields of each kind as flags of `create` and `set`, and how they become the `spec` of a resource.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use model::{Key, Kind, LookupRecordType, MacAddress, Name, Resource, RoutingDomainId, TranslationMethod, Vsid};
use serde::Serialize;
use serde_json::{Map, Value};

/// What `create` makes.
#[derive(Debug, Subcommand)]
pub enum CreateWhat {
    /// Where a customer address is.
    #[command(visible_alias = "lr", alias = "lookup-records")]
    LookupRecord(LookupRecordFields),
    /// Which subnet or VM leads to a prefix.
    #[command(visible_alias = "cr", alias = "customer-routes")]
    CustomerRoute(CustomerRouteFields),
    /// An address of this host in the underlay.
    #[command(visible_alias = "pa", alias = "provider-addresses")]
    ProviderAddress(ProviderAddressFields),
    /// A route in the underlay.
    #[command(visible_alias = "pr", alias = "provider-routes")]
    ProviderRoute(ProviderRouteFields),
    /// A VM's or container's network interface.
    #[command(visible_alias = "po", alias = "ports")]
    Port {
        /// Name, unique on the host.
        name: Name,
        #[command(flatten)]
        fields: PortFields,
    },
}

/// What `set` changes.
#[derive(Debug, Subcommand)]
pub enum SetWhat {
    /// Where a customer address is.
    #[command(visible_alias = "lr", alias = "lookup-records")]
    LookupRecord {
        /// VSID/CUSTOMER-ADDRESS, as "netvirt get" shows it.
        name: String,
        #[command(flatten)]
        fields: LookupRecordFields,
    },
    /// Which subnet or VM leads to a prefix.
    #[command(visible_alias = "cr", alias = "customer-routes")]
    CustomerRoute {
        /// VSID/PREFIX/NEXT-HOP, as "netvirt get" shows it.
        name: String,
        #[command(flatten)]
        fields: CustomerRouteFields,
    },
    /// An address of this host in the underlay.
    #[command(visible_alias = "pa", alias = "provider-addresses")]
    ProviderAddress {
        /// The address.
        name: String,
        #[command(flatten)]
        fields: ProviderAddressFields,
    },
    /// A route in the underlay.
    #[command(visible_alias = "pr", alias = "provider-routes")]
    ProviderRoute {
        /// PREFIX/NEXT-HOP, as "netvirt get" shows it.
        name: String,
        #[command(flatten)]
        fields: ProviderRouteFields,
    },
    /// A VM's or container's network interface.
    #[command(visible_alias = "po", alias = "ports")]
    Port {
        /// Name.
        name: String,
        #[command(flatten)]
        fields: PortFields,
    },
}

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
}

/// Fields of a customer route.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomerRouteFields {
    /// The routing domain, a UUID.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rdid: Option<RoutingDomainId>,
    /// VSID of the subnet in which the next hop, or the destination itself, is.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    vsid: Option<Vsid>,
    /// Destination, such as 10.0.0.0/24.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<Prefix>,
    /// Customer address of the next hop; 0.0.0.0 or :: when the prefix is the subnet's own.
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_hop: Option<IpAddr>,
    /// Among routes to one prefix the lowest wins; 0 by default.
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<u32>,
}

/// Fields of a provider address.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderAddressFields {
    /// The address; it must be configured on the interface.
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

/// Fields of a port.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortFields {
    /// The host's device: a tap, or the host's end of a veth.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Name>,
    /// MAC address of the VM's interface, such as 06-06-00-00-00-05.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<MacAddress>,
    /// VSID; 0, the default, leaves its traffic unvirtualized.
    #[arg(long, value_parser = port_vsid)]
    #[serde(skip_serializing_if = "Option::is_none")]
    vsid: Option<u32>,
}

/// A prefix, kept as the text that was typed after it was seen to be one: what the model says of bits behind the
/// length is to be heard, not hidden.
#[derive(Clone, Debug, Serialize)]
pub struct Prefix(ipnet::IpNet);

impl std::str::FromStr for Prefix {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("\"{text}\" is not a prefix; write one such as 10.0.0.0/24 or fd00::/64"))
    }
}

fn port_vsid(text: &str) -> Result<u32, model::VsidError> {
    if text == "0" { Ok(0) } else { text.parse::<Vsid>().map(Vsid::get) }
}

/// A word without case and hyphens, so that each of our notations and HNV's own is understood.
fn plain(text: &str) -> String {
    text.chars().filter(|c| *c != '-').flat_map(char::to_lowercase).collect()
}

fn translation_method(text: &str) -> Result<TranslationMethod, String> {
    let plain = plain(text);
    match plain.strip_prefix("translationmethod").unwrap_or(&plain) {
        "encap" => Ok(TranslationMethod::Encap),
        "nat" => Ok(TranslationMethod::Nat),
        "none" => Ok(TranslationMethod::None),
        _ => Err("the rules are encap, nat and none (TranslationMethodEncap, ...)".to_owned()),
    }
}

fn record_type(text: &str) -> Result<LookupRecordType, String> {
    match plain(text).as_str() {
        "static" => Ok(LookupRecordType::Static),
        "dynamic" => Ok(LookupRecordType::Dynamic),
        "l2only" => Ok(LookupRecordType::L2Only),
        "gatewaywildcard" => Ok(LookupRecordType::GatewayWildcard),
        _ => Err("the types are static, dynamic, l2only and gateway-wildcard".to_owned()),
    }
}

/// Why flags do not make a resource.
#[derive(Debug, thiserror::Error)]
pub enum FieldsError {
    /// Nothing to do.
    #[error("nothing to set; give at least one field, see \"netvirt set {0} --help\"")]
    Nothing(Kind),
    /// A field that is part of the name.
    #[error("this would make {old} into {new}, which is another resource; create that one and delete this one")]
    OtherResource {
        /// The one that is named.
        old: Key,
        /// What would become of it.
        new: Key,
    },
    /// The model refuses it.
    #[error("{kind}: {source}")]
    Invalid {
        /// What was to be made.
        kind: Kind,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// The flags that were given, as fields of a spec.
fn given(fields: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(fields) {
        Ok(Value::Object(map)) => map,
        // Structures are written as objects, and these have nothing in them that JSON cannot say.
        _ => Map::new(),
    }
}

/// A resource out of its parts.
fn assemble(kind: Kind, name: Option<&str>, mut spec: Map<String, Value>) -> Result<Resource, FieldsError> {
    // An empty text is how a flag says "nothing".
    spec.retain(|_, value| value.as_str() != Some(""));
    let mut whole = Map::new();
    whole.insert("kind".to_owned(), kind.as_str().into());
    if let Some(name) = name {
        whole.insert("name".to_owned(), name.into());
    }
    whole.insert("spec".to_owned(), spec.into());
    serde_json::from_value(whole.into()).map_err(|source| FieldsError::Invalid { kind, source })
}

impl CreateWhat {
    /// What each kind cannot be made without.
    pub const REQUIRED: [(&str, &[&str]); 5] = [
        ("lookup-record", &["vsid", "mac", "provider_address"]),
        ("customer-route", &["rdid", "vsid", "prefix", "next_hop"]),
        ("provider-address", &["address", "interface", "prefix_length"]),
        ("provider-route", &["prefix", "next_hop", "interface"]),
        ("port", &["device", "mac"]),
    ];

    /// The resource to create.
    pub fn resource(&self) -> Result<Resource, FieldsError> {
        match self {
            Self::LookupRecord(fields) => assemble(Kind::LookupRecord, None, given(fields)),
            Self::CustomerRoute(fields) => assemble(Kind::CustomerRoute, None, given(fields)),
            Self::ProviderAddress(fields) => assemble(Kind::ProviderAddress, None, given(fields)),
            Self::ProviderRoute(fields) => assemble(Kind::ProviderRoute, None, given(fields)),
            Self::Port { name, fields } => assemble(Kind::Port, Some(name.as_str()), given(fields)),
        }
    }
}

impl SetWhat {
    /// Which resource, and the fields that were given.
    pub fn parts(&self) -> Result<(Key, Map<String, Value>), FieldsError> {
        let (kind, name, given) = match self {
            Self::LookupRecord { name, fields } => (Kind::LookupRecord, name, given(fields)),
            Self::CustomerRoute { name, fields } => (Kind::CustomerRoute, name, given(fields)),
            Self::ProviderAddress { name, fields } => (Kind::ProviderAddress, name, given(fields)),
            Self::ProviderRoute { name, fields } => (Kind::ProviderRoute, name, given(fields)),
            Self::Port { name, fields } => (Kind::Port, name, given(fields)),
        };
        if given.is_empty() { Err(FieldsError::Nothing(kind)) } else { Ok((Key { kind, name: name.clone() }, given)) }
    }
}

/// The resource `old` with the given fields in the place of its own.
pub fn changed(old: Key, spec: Value, given: Map<String, Value>) -> Result<Resource, FieldsError> {
    let mut spec = if let Value::Object(spec) = spec { spec } else { Map::new() };
    spec.extend(given);
    let name = (old.kind == Kind::Port).then_some(old.name.as_str());
    let resource = assemble(old.kind, name, spec)?;
    let new = resource.key();
    if new == old { Ok(resource) } else { Err(FieldsError::OtherResource { old, new }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notations_of_hnv_are_understood() {
        for (text, rule) in [
            ("encap", TranslationMethod::Encap),
            ("TranslationMethodEncap", TranslationMethod::Encap),
            ("translationmethodnat", TranslationMethod::Nat),
            ("None", TranslationMethod::None),
        ] {
            assert_eq!(translation_method(text), Ok(rule), "{text}");
        }
        for (text, record_type_of) in [
            ("Static", LookupRecordType::Static),
            ("dynamic", LookupRecordType::Dynamic),
            ("L2Only", LookupRecordType::L2Only),
            ("l2-only", LookupRecordType::L2Only),
            ("GatewayWildcard", LookupRecordType::GatewayWildcard),
            ("gateway-wildcard", LookupRecordType::GatewayWildcard),
        ] {
            assert_eq!(record_type(text), Ok(record_type_of), "{text}");
        }
        assert!(translation_method("gre").is_err() && record_type("learnt").is_err());
    }

    #[test]
    fn a_field_of_the_name_makes_another_resource() {
        let spec = serde_json::json!({
            "vsid": 5001, "customerAddress": "10.0.0.5", "mac": "06-06-00-00-00-05", "providerAddress": "192.168.4.11"
        });
        let old = Key { kind: Kind::LookupRecord, name: "5001/10.0.0.5".into() };
        let given = |json: Value| json.as_object().unwrap().clone();
        let moved = given(serde_json::json!({"providerAddress": "192.168.4.22"}));
        let resource = changed(old.clone(), spec.clone(), moved).unwrap();
        assert!(
            matches!(resource, Resource::LookupRecord(record) if record.provider_address.to_string() == "192.168.4.22")
        );
        let error = changed(old, spec, given(serde_json::json!({"vsid": 5002}))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this would make lookup-record 5001/10.0.0.5 into lookup-record 5002/10.0.0.5, which is another resource; \
             create that one and delete this one"
        );
    }
}
