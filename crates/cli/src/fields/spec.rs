//! From the flags that were given to a whole resource, and why they may not make one.

use model::fabric::{self, ResourceName, ResourceNameError};
use model::{Key, Kind, Resource};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::Knows;

/// Why flags do not make a resource.
#[derive(Debug, thiserror::Error)]
pub enum FieldsError {
    /// Nothing to do.
    #[error("nothing to set; give at least one field, see \"netvirt set {0} --help\"")]
    Nothing(&'static str),
    /// A file that is to be read.
    #[error("cannot read {}: {source}; name a file that is there and that you may read", .file.display())]
    File {
        /// The file.
        file: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What both kinds of tunnel have, without saying which.
    #[error("--remote-prefix and --tunnel-address are of one tunnel; say which with --ipsec or --wireguard")]
    WhichTunnel,
    /// A field that is part of the name.
    #[error("this would make {old} into {new}, which is another resource; create that one and delete this one")]
    OtherResource {
        /// The one that is named.
        old: Key,
        /// What would become of it.
        new: Key,
    },
    /// The model refuses it.
    #[error("{kind}: {}", in_options(.source))]
    Invalid {
        /// What was to be made.
        kind: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A field of the other's.
    #[error("{place} has no field --{flag}; leave it out, or ask {other}")]
    OtherField {
        /// Who is asked.
        place: &'static str,
        /// The field.
        flag: String,
        /// Who else could be asked, and how.
        other: &'static str,
    },
    /// A field that is needed.
    #[error("a {kind} of {place} needs {}; give it as well, or ask {other}", .flags.join(", "))]
    Missing {
        /// What was to be made.
        kind: &'static str,
        /// Who is asked.
        place: &'static str,
        /// The fields that are not there.
        flags: Vec<String>,
        /// Who else could be asked, and how.
        other: &'static str,
    },
    /// A kind of the other's.
    #[error("{place} has no {kind}")]
    NotThere {
        /// What was to be made.
        kind: &'static str,
        /// Who is asked.
        place: &'static str,
    },
    /// Names of a host's customer routes follow from their fields.
    #[error(
        "a customer-route of a host has no name of its own; leave \"{0}\" out, or ask a controller with --context FILE"
    )]
    NameAtHost(ResourceName),
    /// A customer route of a controller has a name.
    #[error("a customer-route of a controller needs a name; write \"netvirt create customer-route NAME ...\"")]
    NoName,
    /// A host is not declared by hand.
    #[error(
        "a host comes into being by joining; make a token with \"netvirt create join-token --name {0}\", and run \
         \"netvirt host join --controller HOST:PORT --token TOKEN --uplink INTERFACE\" on it"
    )]
    HostsJoin(String),
    /// A host of a site that is not there.
    #[error("--site-host puts host {host} into site {site}, which no --site of this command names")]
    NoSuchSite {
        /// The site.
        site: ResourceName,
        /// The host.
        host: ResourceName,
    },
    /// An uplink that is not there.
    #[error("host {host} has no uplink {uplink}; \"netvirt describe host {host}\" shows those that it has")]
    NoSuchUplink {
        /// The host.
        host: String,
        /// The uplink.
        uplink: String,
    },
    /// A host of a gateway that is not there.
    #[error("gateway {gateway} has no host {host}; its hosts are {hosts}")]
    NoSuchGatewayHost {
        /// The gateway.
        gateway: String,
        /// The host.
        host: ResourceName,
        /// Those that it has.
        hosts: String,
    },
    /// A gateway of no host.
    #[error(
        "gateway {0} would have no host left; add another with \"--add-gateway-host HOST=INTERFACE\", or delete the gateway"
    )]
    NoGatewayHostLeft(String),
    /// No name.
    #[error(transparent)]
    Name(#[from] ResourceNameError),
}

/// A place where resources are kept, and the fields of shared kinds that only the other one has.
#[derive(Debug)]
pub struct Place {
    /// In sentences.
    pub place: &'static str,
    other: &'static str,
    /// Fields of ports and customer routes that it does not know.
    foreign: &'static [&'static str],
}

/// A host's agent.
pub const AT_HOST: Place = Place {
    place: "a host",
    other: "a controller with --context FILE",
    foreign: &["vmNetwork", "vmSubnet", "ipPool", "addressing", "vmName", "migrateTo", "anyHost", "description"],
};

/// A controller.
pub const AT_CONTROLLER: Place = Place {
    place: "a controller",
    other: "a host's agent with --socket PATH",
    foreign: &["rdid", "vsid", "physical", "uid", "egressDefault", "ingressDefault"],
};

impl Place {
    /// Whether all these fields are given.
    pub fn require(&self, kind: &'static str, given: &Map<String, Value>, needed: &[&str]) -> Result<(), FieldsError> {
        let flags: Vec<String> = needed
            .iter()
            .filter(|field| !given.contains_key(**field))
            .map(|field| format!("--{}", flag(field)))
            .collect();
        if flags.is_empty() {
            return Ok(());
        }
        Err(FieldsError::Missing { kind, place: self.place, flags, other: self.other })
    }
}

/// What the model says, with the option in the place of a field that is not there.
fn in_options(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let field = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match field {
        Some("localAs") => "--bgp-as is missing, which says our autonomous system; give it as well".to_owned(),
        Some("neighbors") => {
            "--neighbor is missing, which says with whom routes are exchanged; give it as well".to_owned()
        }
        Some(field) => format!("--{} is missing; give it as well", flag(field)),
        None => text,
    }
}

/// `vmNetwork` as it is typed: `vm-network`.
fn flag(field: &str) -> String {
    let mut flag = String::new();
    for letter in field.chars() {
        if letter.is_ascii_uppercase() {
            flag.push('-');
        }
        flag.push(letter.to_ascii_lowercase());
    }
    flag
}

/// The given fields, if this place knows them all.
pub fn only(place: &Place, given: Map<String, Value>) -> Result<Map<String, Value>, FieldsError> {
    match given.keys().find(|field| place.foreign.contains(&field.as_str())) {
        None => Ok(given),
        Some(field) => Err(FieldsError::OtherField { place: place.place, flag: flag(field), other: place.other }),
    }
}

/// Whose fields are given, of a kind that both have.
pub fn told(given: &Map<String, Value>) -> Knows {
    let any = |fields: &[&str]| fields.iter().any(|field| given.contains_key(*field));
    match (any(AT_CONTROLLER.foreign), any(AT_HOST.foreign)) {
        (true, false) => Knows::Host,
        (false, true) => Knows::Controller,
        _ => Knows::Both,
    }
}

/// Which resource is to be set, and to what.
#[derive(Debug)]
pub struct Parts<K> {
    /// Its kind.
    pub kind: K,
    /// Its name.
    pub name: String,
    /// The fields that were given.
    pub given: Map<String, Value>,
}

/// The flags that were given, as fields of a spec.
pub fn given(fields: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(fields) {
        Ok(Value::Object(map)) => map,
        // Structures are written as objects, and these have nothing in them that JSON cannot say.
        _ => Map::new(),
    }
}

/// Takes away what an empty text stands for, which is how a flag says "nothing": at first it becomes null.
pub fn clean(value: &mut Value) {
    match value {
        Value::String(text) if text.is_empty() => *value = Value::Null,
        Value::Array(list) => {
            list.retain(|element| element.as_str() != Some(""));
            if list.is_empty() {
                *value = Value::Null;
            }
        }
        Value::Object(map) => {
            map.values_mut().for_each(clean);
            map.retain(|_, value| !value.is_null());
        }
        _ => {}
    }
}

/// Structures of which each part is a field of its own: quotas, defaults of security, rate limits, what a gateway connection is.
const PARTS: [&str; 9] = ["quota", "security", "limits", "nat", "routing", "ipsec", "wireguard", "dns", "bgp"];

/// Puts the given fields in the place of those of a spec; what is given as nothing is taken away. Of [`PARTS`] each part is a
/// field of its own; other structures are replaced as a whole.
pub fn merge(spec: &mut Value, given: Value) {
    let (Value::Object(spec), Value::Object(given)) = (spec, given) else { return };
    for (field, mut value) in given {
        if PARTS.contains(&field.as_str())
            && let Some(old) = spec.get_mut(&field)
        {
            merge(old, value);
            continue;
        }
        clean(&mut value);
        if value.is_null() {
            spec.remove(&field);
        } else {
            spec.insert(field, value);
        }
    }
}

/// The given fields, and in a list what it has in the spec with what is added to it.
pub fn with_added(
    field: &str,
    added: &[impl Serialize],
    mut given: Map<String, Value>,
    spec: &Value,
) -> Map<String, Value> {
    if !added.is_empty() {
        let mut list = spec.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
        list.extend(added.iter().map(|element| serde_json::json!(element)));
        given.insert(field.to_owned(), list.into());
    }
    given
}

/// What is to be added to a list, under a name of its own until it is known what the list has; see [`changed`].
pub fn adding(field: &str, added: &[impl Serialize], mut given: Map<String, Value>) -> Map<String, Value> {
    if !added.is_empty() {
        given.insert(format!("{ADDED}{field}"), serde_json::json!(added));
    }
    given
}

/// Begins the name of a list that is to be added to another.
const ADDED: char = '+';

/// A port that goes to another VM network leaves behind what it had in the old one, unless it is given too.
pub fn leave_network(given: &Map<String, Value>, spec: &mut Value) {
    let Some(network) = given.get("vmNetwork") else { return };
    let old = spec.get("vmNetwork").and_then(Value::as_str).unwrap_or_default();
    let Some(spec) = (network.as_str() != Some(old)).then_some(spec).and_then(Value::as_object_mut) else { return };
    for field in ["vmSubnet", "ipPool", "addresses", "securityGroups"] {
        spec.remove(field);
    }
}

/// A resource of a host out of its parts.
pub fn assemble(kind: Kind, name: Option<&str>, spec: Map<String, Value>) -> Result<Resource, FieldsError> {
    let mut spec = Value::Object(spec);
    clean(&mut spec);
    let mut whole = Map::new();
    whole.insert("kind".to_owned(), kind.as_str().into());
    if let Some(name) = name {
        whole.insert("name".to_owned(), name.into());
    }
    whole.insert("spec".to_owned(), spec);
    serde_json::from_value(whole.into()).map_err(|source| FieldsError::Invalid { kind: kind.as_str(), source })
}

/// A resource of a controller out of its parts.
pub fn assemble_at_controller(
    kind: fabric::Kind,
    tenant: &ResourceName,
    name: &ResourceName,
    spec: Value,
) -> Result<fabric::Resource, FieldsError> {
    let spec =
        fabric::Spec::deserialize(kind, spec).map_err(|source| FieldsError::Invalid { kind: kind.as_str(), source })?;
    Ok(fabric::Resource::new(Some(tenant.clone()), name.clone(), spec))
}

/// The resource `old` of a host with the given fields in the place of its own.
pub fn changed(old: Key, mut spec: Value, given: Map<String, Value>) -> Result<Resource, FieldsError> {
    let (added, mut given): (Map<String, Value>, Map<String, Value>) =
        given.into_iter().partition(|(field, _)| field.starts_with(ADDED));
    for (field, list) in &added {
        let list = list.as_array().map_or(&[][..], Vec::as_slice);
        given = with_added(field.trim_start_matches(ADDED), list, given, &spec);
    }
    merge(&mut spec, Value::Object(given));
    let spec = if let Value::Object(spec) = spec { spec } else { Map::new() };
    let named = matches!(old.kind, Kind::Port | Kind::SecurityGroup | Kind::AddressSet | Kind::Compartment);
    let name = named.then_some(old.name.as_str());
    let resource = assemble(old.kind, name, spec)?;
    let new = resource.key();
    if new == old { Ok(resource) } else { Err(FieldsError::OtherResource { old, new }) }
}

/// The resource of a controller with this key and spec.
pub fn changed_at_controller(key: &fabric::Key, spec: Value) -> Result<fabric::Resource, FieldsError> {
    let tenant = key.tenant.clone().unwrap_or_else(ResourceName::default_tenant);
    assemble_at_controller(key.kind, &tenant, &key.name, spec)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_of_the_name_makes_another_resource() {
        let spec = json!({
            "vsid": 5001, "customerAddress": "10.0.0.5", "mac": "06-06-00-00-00-05", "providerAddress": "192.168.4.11"
        });
        let old = Key { kind: Kind::LookupRecord, name: "5001/10.0.0.5".into() };
        let given = |json: Value| json.as_object().unwrap().clone();
        let moved = given(json!({"providerAddress": "192.168.4.22"}));
        let resource = changed(old.clone(), spec.clone(), moved).unwrap();
        assert!(
            matches!(resource, Resource::LookupRecord(record) if record.provider_address.to_string() == "192.168.4.22")
        );
        let error = changed(old, spec, given(json!({"vsid": 5002}))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this would make lookup-record 5001/10.0.0.5 into lookup-record 5002/10.0.0.5, which is another resource; \
             create that one and delete this one"
        );
    }

    #[test]
    fn what_is_given_replaces_and_nothing_takes_away() {
        let mut spec = json!({
            "vmNetwork": "AAA", "addresses": ["10.0.0.5"], "quota": {"ports": 1, "ipPools": 2}, "vmName": "x"
        });
        merge(&mut spec, json!({"addresses": [""], "vmName": "", "quota": {"ports": null, "ipPools": 3}, "mac": ""}));
        assert_eq!(spec, json!({"vmNetwork": "AAA", "quota": {"ipPools": 3}}));
        merge(&mut spec, json!({"addresses": ["10.0.0.6", "fd00::6"]}));
        assert_eq!(spec["addresses"], json!(["10.0.0.6", "fd00::6"]));
    }

    #[test]
    fn a_port_leaves_behind_what_it_had_in_its_old_network() {
        let before = json!({"vmNetwork": "AAA", "vmSubnet": "test", "addresses": ["10.0.0.5"], "device": "t"});
        for (given, left) in [
            (json!({"vmNetwork": "BBB"}), json!({"vmNetwork": "AAA", "device": "t"})),
            (json!({"vmNetwork": ""}), json!({"vmNetwork": "AAA", "device": "t"})),
            (json!({"vmNetwork": "AAA"}), before.clone()),
            (json!({"device": "u"}), before.clone()),
        ] {
            let mut spec = before.clone();
            leave_network(given.as_object().unwrap(), &mut spec);
            assert_eq!(spec, left, "{given}");
        }
    }

    #[test]
    fn fields_tell_who_is_meant() {
        let told = |json: Value| told(json.as_object().unwrap());
        assert_eq!(told(json!({"vsid": 0, "mac": ""})), Knows::Host);
        assert_eq!(told(json!({"vmNetwork": "AAA"})), Knows::Controller);
        assert_eq!(told(json!({"device": "t"})), Knows::Both);
        assert_eq!(told(json!({"vsid": 0, "vmNetwork": "AAA"})), Knows::Both);
    }
}
