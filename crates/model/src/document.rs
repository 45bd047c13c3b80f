//! Resources as text: `{kind, name, spec}` for serde, and YAML of many documents.
//!
//! Where the kind stands before the spec, as everybody writes it, the spec is read straight into the type that the
//! kind asks for, without a buffer between, so that an error of the reader knows line and column.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::gateway::{CompartmentSpec, Gateway};
use crate::security::{AddressSetSpec, SecurityGroupSpec};
use crate::{
    CustomerRoute, DhcpScope, Global, Kind, Limits, LookupRecord, MacAddress, Migration, Name, PhysicalNetwork, Port,
    ProviderAddress, ProviderRoute, QualifiedName, Resource, RoutingDomain, Vsid,
};

/// Why a text is no set of resources.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}, column {column}{}: {message}", after_comma(.field.as_deref()))]
pub struct YamlError {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Path of the field that is wrong, such as `spec.vsid`; none when the text is not YAML at all.
    pub field: Option<String>,
    /// What is wrong with which value.
    pub message: String,
}

fn after_comma(field: Option<&str>) -> String {
    field.map(|field| format!(", {field}")).unwrap_or_default()
}

/// What the reader may take: as many documents as a host holds resources, several times over. What keeps it from texts
/// that grow while they are read (depth, anchors and aliases) stays as the reader's author set it.
fn bulk() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1 << 20,
            max_nodes: 1 << 25,
            max_events: 1 << 27,
            max_total_scalar_bytes: 1 << 30,
        },
    }
}

/// Reads the resources of a YAML text; each document (`---` between them) is one resource, empty ones are passed over.
///
/// # Errors
/// At the first place where the text is not YAML or a resource is not as it must be.
pub fn resources_from_yaml(text: &str) -> Result<Vec<Resource>, YamlError> {
    documents_from_yaml(text)
}

/// The same of resources of any kind.
pub(crate) fn documents_from_yaml<T: DeserializeOwned>(text: &str) -> Result<Vec<T>, YamlError> {
    serde_saphyr::from_multiple_with_options(text, bulk()).map_err(|error| {
        let (line, column) = error.location().map_or((1, 1), |location| (location.line(), location.column()));
        let message = plainly(message_of(&error), || value_at(text, line, column));
        YamlError { line, column, field: field_at::<T>(text, line), message }
    })
}

/// Writes resources as YAML, one document each.
///
/// # Errors
/// Those of the YAML writer; there is no resource that it is known to refuse.
pub fn resources_to_yaml<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Result<String, YamlWriteError> {
    documents_to_yaml(resources)
}

/// The same of resources of any kind.
pub(crate) fn documents_to_yaml<'a, T: Serialize + 'a>(
    resources: impl IntoIterator<Item = &'a T>,
) -> Result<String, YamlWriteError> {
    let mut text = String::new();
    for resource in resources {
        if !text.is_empty() {
            text.push_str("---\n");
        }
        text.push_str(&serde_saphyr::to_string(resource).map_err(|error| YamlWriteError(error.to_string()))?);
    }
    Ok(text)
}

/// Why resources could not be written as YAML.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the resources cannot be written as YAML ({0}); ask for JSON")]
pub struct YamlWriteError(String);

/// The path of the field that is wrong in the document around this line.
///
/// Only after an error is the document read a second time to learn it, since watching the path costs time.
fn field_at<T: DeserializeOwned>(text: &str, line: u64) -> Option<String> {
    // YAML takes a line with "---" as the border of a document wherever it stands, even inside of a block scalar.
    let is_border = |line: &str| line == "---" || line.starts_with("--- ") || line.starts_with("---\t");
    let (mut document, mut number) = (String::new(), 0);
    for content in text.lines() {
        number += 1;
        if is_border(content) {
            if number > line {
                break;
            }
            document.clear();
        }
        document.push_str(content);
        document.push('\n');
    }
    let mut field = None;
    let reading: Result<T, serde_saphyr::Error> = serde_saphyr::with_deserializer_from_str(&document, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            field = Some(error.path().to_string());
            error.into_inner()
        })
    });
    // The path "." is the document itself, "?" a text that is no YAML, and the message says more than that.
    field.filter(|path| reading.is_err() && path != "." && path != "?")
}

/// What the reader says of its own grammar, in the words of those who write the file, and with the value.
fn plainly(message: String, value: impl FnOnce() -> String) -> String {
    let plain = match message.as_str() {
        "expected sequence start" => "a list is expected here; write its items in brackets, such as [A, B]",
        "expected mapping start" => "a mapping is expected here: named fields with values, such as \"kind: port\"",
        "expected string scalar" => "one value is expected here; a list or a mapping is not",
        "invalid IP address syntax" => {
            return format!(
                "\"{}\" is not as it must be here; write an address such as 10.0.0.5 or fd00::5, or where a prefix \
                 belongs one such as 10.0.0.0/24 or fd00::/64",
                value()
            );
        }
        "invalid socket address syntax" => {
            return format!(
                "\"{}\" is not an address with a port; write one such as 203.0.113.101:51820, an IPv6 address in brackets",
                value()
            );
        }
        "invalid u8" | "invalid u16" | "invalid u32" | "invalid u64" => {
            let most = match message.as_str() {
                "invalid u8" => u8::MAX.into(),
                "invalid u16" => u16::MAX.into(),
                "invalid u32" => u32::MAX.into(),
                _ => u64::MAX,
            };
            return format!("\"{}\" is not a whole number of 0 to {most}; write one", value());
        }
        _ => return message,
    };
    plain.to_owned()
}

/// The plain value that begins at this place.
fn value_at(text: &str, line: u64, column: u64) -> String {
    let before = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let line = text.lines().nth(before(line)).unwrap_or_default();
    let value: String = line.chars().skip(before(column)).take_while(|letter| !",]} #".contains(*letter)).collect();
    value.trim_matches(['"', '\'']).to_owned()
}

/// Leaves the place out of the reader's messages, since [`YamlError`] says it in front.
struct WithoutPlace;

impl serde_saphyr::Localizer for WithoutPlace {
    fn attach_location<'a>(&self, message: Cow<'a, str>, _: serde_saphyr::Location) -> Cow<'a, str> {
        message
    }

    fn alias_used_at(&self, _: serde_saphyr::Location) -> String {
        String::new()
    }
}

/// The reader's message in one line, without the place and the excerpt that it would add.
fn message_of(error: &serde_saphyr::Error) -> String {
    let formatter = serde_saphyr::UserMessageFormatter.with_localizer(&WithoutPlace);
    error.without_snippet().render_with_formatter(&formatter)
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Resource", FIELDS.len())?;
        fields.serialize_field("kind", &self.kind())?;
        fields.serialize_field("name", &self.key().name)?;
        match self {
            Self::LookupRecord(spec) => fields.serialize_field("spec", spec)?,
            Self::CustomerRoute(spec) => fields.serialize_field("spec", spec)?,
            Self::ProviderAddress(spec) => fields.serialize_field("spec", spec)?,
            Self::ProviderRoute(spec) => fields.serialize_field("spec", spec)?,
            Self::DhcpScope(spec) => fields.serialize_field("spec", spec)?,
            Self::Port(spec) => fields.serialize_field("spec", spec)?,
            Self::SecurityGroup(spec) => fields.serialize_field("spec", spec)?,
            Self::AddressSet(spec) => fields.serialize_field("spec", spec)?,
            Self::RoutingDomain(spec) => fields.serialize_field("spec", spec)?,
            Self::Global(spec) => fields.serialize_field("spec", spec)?,
            Self::Migration(spec) => fields.serialize_field("spec", spec)?,
            Self::Gateway(spec) => fields.serialize_field("spec", spec)?,
            Self::Compartment(spec) => fields.serialize_field("spec", spec)?,
        }
        fields.end()
    }
}

const FIELDS: &[&str] = &["kind", "name", "spec"];

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    Kind,
    Name,
    Spec,
}

/// What a port's `spec` says; the name stands beside it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PortSpec {
    device: Name,
    mac: MacAddress,
    #[serde(default, with = "crate::vsid::optional")]
    vsid: Option<Vsid>,
    #[serde(default)]
    physical: Option<PhysicalNetwork>,
    #[serde(default)]
    addresses: Vec<IpAddr>,
    #[serde(default)]
    security_groups: Vec<QualifiedName>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    uid: Option<Uuid>,
}

enum Spec {
    LookupRecord(LookupRecord),
    CustomerRoute(CustomerRoute),
    ProviderAddress(ProviderAddress),
    ProviderRoute(ProviderRoute),
    DhcpScope(DhcpScope),
    Port(PortSpec),
    SecurityGroup(SecurityGroupSpec),
    AddressSet(AddressSetSpec),
    RoutingDomain(RoutingDomain),
    Global(Global),
    Migration(Migration),
    Gateway(Box<Gateway>),
    Compartment(Box<CompartmentSpec>),
}

/// Reads the spec of a kind.
struct SpecOf(Kind);

impl<'de> DeserializeSeed<'de> for SpecOf {
    type Value = Spec;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Spec, D::Error> {
        match self.0 {
            Kind::LookupRecord => LookupRecord::deserialize(deserializer).map(Spec::LookupRecord),
            Kind::CustomerRoute => CustomerRoute::deserialize(deserializer).map(Spec::CustomerRoute),
            Kind::ProviderAddress => ProviderAddress::deserialize(deserializer).map(Spec::ProviderAddress),
            Kind::ProviderRoute => ProviderRoute::deserialize(deserializer).map(Spec::ProviderRoute),
            Kind::DhcpScope => DhcpScope::deserialize(deserializer).map(Spec::DhcpScope),
            Kind::Port => PortSpec::deserialize(deserializer).map(Spec::Port),
            Kind::SecurityGroup => SecurityGroupSpec::deserialize(deserializer).map(Spec::SecurityGroup),
            Kind::AddressSet => AddressSetSpec::deserialize(deserializer).map(Spec::AddressSet),
            Kind::RoutingDomain => RoutingDomain::deserialize(deserializer).map(Spec::RoutingDomain),
            Kind::Global => Global::deserialize(deserializer).map(Spec::Global),
            Kind::Migration => Migration::deserialize(deserializer).map(Spec::Migration),
            Kind::Gateway => Box::deserialize(deserializer).map(Spec::Gateway),
            Kind::Compartment => Box::deserialize(deserializer).map(Spec::Compartment),
        }
    }
}

/// Why a resource's parts do not make one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
enum AssemblyError {
    #[error("{article} {0} needs a name; write \"name: ...\" beside its kind", article = article(*.0))]
    Nameless(Kind),
    #[error(transparent)]
    Illegal(#[from] crate::NameError),
    #[error(transparent)]
    IllegalQualified(#[from] crate::QualifiedNameError),
    #[error("\"{given}\" is not the name of this {kind}; leave the name out or write \"{derived}\"")]
    Foreign { given: String, kind: Kind, derived: String },
}

const fn article(kind: Kind) -> &'static str {
    if matches!(kind, Kind::AddressSet) { "an" } else { "a" }
}

fn assemble(spec: Spec, name: Option<String>) -> Result<Resource, AssemblyError> {
    let resource = match spec {
        Spec::LookupRecord(record) => Resource::LookupRecord(record),
        Spec::CustomerRoute(route) => Resource::CustomerRoute(route),
        Spec::ProviderAddress(address) => Resource::ProviderAddress(address),
        Spec::ProviderRoute(route) => Resource::ProviderRoute(route),
        Spec::DhcpScope(scope) => Resource::DhcpScope(scope),
        Spec::RoutingDomain(domain) => Resource::RoutingDomain(domain),
        Spec::Global(global) => Resource::Global(global),
        Spec::Migration(migration) => Resource::Migration(migration),
        Spec::Gateway(gateway) => Resource::Gateway(gateway),
        Spec::Port(PortSpec { device, mac, vsid, physical, addresses, security_groups, limits, uid }) => {
            let name = name.ok_or(AssemblyError::Nameless(Kind::Port))?.parse()?;
            let port = Port { name, device, mac, vsid, physical, addresses, security_groups, limits, uid };
            return Ok(Resource::Port(port));
        }
        Spec::SecurityGroup(spec) => {
            let name = name.ok_or(AssemblyError::Nameless(Kind::SecurityGroup))?.parse()?;
            return Ok(Resource::SecurityGroup(spec.with_name(name)));
        }
        Spec::AddressSet(spec) => {
            let name = name.ok_or(AssemblyError::Nameless(Kind::AddressSet))?.parse()?;
            return Ok(Resource::AddressSet(spec.with_name(name)));
        }
        Spec::Compartment(spec) => {
            let name = name.ok_or(AssemblyError::Nameless(Kind::Compartment))?.parse()?;
            return Ok(Resource::Compartment(Box::new(spec.with_name(name))));
        }
    };
    let derived = resource.key();
    match name {
        Some(given) if given != derived.name => {
            Err(AssemblyError::Foreign { given, kind: derived.kind, derived: derived.name })
        }
        _ => Ok(resource),
    }
}

struct ResourceVisitor;

impl<'de> Visitor<'de> for ResourceVisitor {
    type Value = Resource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a resource: kind, name, spec")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Resource, A::Error> {
        let (mut kind, mut name, mut spec, mut early) = (None::<Kind>, None::<String>, None, None::<serde_json::Value>);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Kind if kind.is_some() => return Err(A::Error::duplicate_field("kind")),
                Field::Name if name.is_some() => return Err(A::Error::duplicate_field("name")),
                Field::Spec if spec.is_some() || early.is_some() => return Err(A::Error::duplicate_field("spec")),
                Field::Kind => kind = Some(map.next_value()?),
                Field::Name => name = map.next_value()?,
                Field::Spec => match kind {
                    Some(kind) => spec = Some(map.next_value_seed(SpecOf(kind))?),
                    // The fields of a JSON object have no order, so a spec that comes first must wait.
                    None => early = Some(map.next_value()?),
                },
            }
        }
        let kind = kind.ok_or_else(|| A::Error::missing_field("kind"))?;
        let spec = match (spec, early) {
            (Some(spec), _) => spec,
            (None, Some(early)) => SpecOf(kind).deserialize(early).map_err(A::Error::custom)?,
            (None, None) => return Err(A::Error::missing_field("spec")),
        };
        assemble(spec, name).map_err(A::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Resource", FIELDS, ResourceVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLUE: &str = "\
# Blue and its host.
kind: provider-address
spec: {address: 192.168.4.11, interface: eth0, prefixLength: 24}
---
kind: customer-route
spec:
  rdid: '{11111111-2222-3333-4444-000000005001}'
  vsid: 5001
  prefix: 10.0.0.0/24
  nextHop: 0.0.0.0
---
kind: lookup-record
name: 5001/10.0.0.7
spec:
  vsid: 5001
  customerAddress: 10.0.0.7
  mac: 06-06-00-00-00-07
  providerAddress: 192.168.4.22
---
kind: port
name: blue1
spec:
  device: blue1
  mac: 060600000005
  vsid: 5001
";

    fn error_of(text: &str) -> String {
        resources_from_yaml(text).expect_err(text).to_string()
    }

    #[test]
    fn what_is_no_number_and_no_endpoint_is_said_with_its_value() {
        let global =
            error_of("kind: provider-address\nspec: {address: 192.168.4.11, interface: eth0, prefixLength: long}\n");
        assert!(
            global.ends_with("spec.prefixLength: \"long\" is not a whole number of 0 to 255; write one"),
            "{global}"
        );
        let connection =
            "kind: gateway-connection\nname: x\nspec: {vmNetwork: a, gateway: b, wireguard: {endpoint: office}}\n";
        let said = crate::fabric::resources_from_yaml(connection).unwrap_err().to_string();
        assert!(said.contains("spec.wireguard.endpoint: \"office\" is not an address with a port"), "{said}");
    }

    #[test]
    fn each_document_is_one_resource() {
        let resources = resources_from_yaml(BLUE).unwrap();
        let keys: Vec<String> = resources.iter().map(|resource| resource.key().to_string()).collect();
        assert_eq!(
            keys,
            [
                "provider-address 192.168.4.11",
                "customer-route 5001/10.0.0.0/24/0.0.0.0",
                "lookup-record 5001/10.0.0.7",
                "port blue1"
            ]
        );
        assert_eq!(resources_from_yaml(&resources_to_yaml(&resources).unwrap()), Ok(resources));
        assert_eq!(resources_from_yaml(""), Ok(vec![]));
        assert_eq!(resources_from_yaml("# nothing\n---\n---\n"), Ok(vec![]));
    }

    #[test]
    fn an_error_names_line_column_field_and_value() {
        let wrong = BLUE.replace("  vsid: 5001\n  prefix", "  vsid: 70\n  prefix");
        assert_eq!(
            error_of(&wrong),
            "line 8, column 9, spec.vsid: VSID 70 is out of range; choose one of 4096 to 16777214"
        );
        let wrong = BLUE.replace("mac: 06-06-00-00-00-07", "mac: 01-06-00-00-00-07");
        assert!(
            error_of(&wrong).starts_with("line 17, column 8, spec.mac: 01-06-00-00-00-07 is a multicast"),
            "{}",
            error_of(&wrong)
        );
        let wrong = BLUE.replace("nextHop", "nexthop");
        let error = error_of(&wrong);
        assert!(error.starts_with("line 10, column 3, spec.nexthop: ") && error.contains("nextHop"), "{error}");
        let wrong = BLUE.replace("kind: port", "kind: prot");
        let error = error_of(&wrong);
        assert!(error.starts_with("line 20, column 7, kind: ") && error.contains("prot"), "{error}");
        let wrong = BLUE.replace("  mac: 06-06-00-00-00-07\n", "");
        let error = error_of(&wrong);
        assert!(error.contains("`mac`") && error.contains("spec"), "{error}");
        let wrong = BLUE.replace("10.0.0.0/24", "10.0.0.0/33");
        assert!(error_of(&wrong).starts_with("line 9, column 11, spec.prefix: "), "{}", error_of(&wrong));
    }

    #[test]
    fn what_is_not_yaml_says_where() {
        let error = error_of("kind: port\nname: [\n");
        assert!(error.starts_with("line "), "{error}");
        assert!(!error.contains('\n'), "{error}");
        let error = error_of("- kind: port\n");
        assert!(error.contains("kind, name, spec") || error.contains("mapping"), "{error}");
    }

    #[test]
    fn names_are_checked_against_the_spec() {
        let error = error_of(&BLUE.replace("name: 5001/10.0.0.7", "name: 5001/10.0.0.8"));
        assert!(error.contains("\"5001/10.0.0.8\" is not the name of this lookup-record"), "{error}");
        assert!(error.contains("write \"5001/10.0.0.7\""), "{error}");
        assert!(error_of(&BLUE.replace("name: blue1\n", "")).contains("a port needs a name"));
        let error = error_of(&BLUE.replace("name: blue1\n", "name: blue/1\n"));
        assert!(error.contains("\"blue/1\" has '/' in it"), "{error}");
        assert!(error_of("name: x\nspec: {}\n").contains("kind"));
        assert!(error_of("kind: port\nname: x\n").contains("spec"));
    }

    #[test]
    fn the_fields_of_json_may_come_in_any_order() {
        let text = r#"{"spec": {"device": "tap0", "mac": "06-06-00-00-00-05"}, "name": "blue1", "kind": "port"}"#;
        let Resource::Port(port) = serde_json::from_str(text).unwrap() else { panic!("no port") };
        assert_eq!((port.name.as_str(), port.device.as_str(), port.vsid), ("blue1", "tap0", None));
        let error = serde_json::from_str::<Resource>(&text.replace("\"mac\"", "\"nac\"")).unwrap_err().to_string();
        assert!(error.contains("nac"), "{error}");
    }

    #[test]
    fn a_port_without_a_subnet_says_zero_or_nothing() {
        for vsid in ["", "\n  vsid: 0", "\n  vsid: null"] {
            let text = format!("kind: port\nname: p\nspec:\n  device: tap0\n  mac: 06-06-00-00-00-05{vsid}\n");
            let Resource::Port(port) = resources_from_yaml(&text).unwrap().remove(0) else { panic!("no port") };
            assert_eq!(port.vsid, None);
        }
        assert!(
            error_of("kind: port\nname: p\nspec:\n  device: tap0\n  mac: 06-06-00-00-00-05\n  vsid: 70\n")
                .contains("VSID 70")
        );
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same(resources in proptest::collection::vec(Resource::any(), 0..8)) {
            let json = serde_json::to_string(&resources).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Vec<Resource>>(&json).unwrap(), &resources);
            let yaml = resources_to_yaml(&resources).unwrap();
            prop_assert_eq!(&resources_from_yaml(&yaml).unwrap(), &resources, "{}", yaml);
        }

        #[test]
        fn no_text_makes_the_reader_panic(
            text in "(kind: (port|lookup-record)\n|name: .{0,8}\n|spec:\n|  [a-z]{1,6}: .{0,8}\n|---\n|.{0,10}\n){0,12}"
        ) {
            let _ = resources_from_yaml(&text);
        }
    }

    #[test]
    fn as_many_documents_are_read_as_a_host_may_hold() {
        let one = |number: u32| {
            let [_, a, b, c] = number.to_be_bytes();
            format!(
                "kind: lookup-record\nspec: {{vsid: 5001, customerAddress: 10.{a}.{b}.{c}, mac: 06-06-00-{a:02X}-{b:02X}-{c:02X}, \
                 providerAddress: 192.168.4.11}}\n"
            )
        };
        let text: Vec<String> = (0..20_000).map(one).collect();
        let resources = resources_from_yaml(&text.join("---\n")).unwrap();
        assert_eq!(resources.len(), 20_000);
        let again = resources_to_yaml(&resources).unwrap();
        assert_eq!(resources_from_yaml(&again).unwrap(), resources, "what is written can be read, however much it is");
    }
}
