//! The schemas: of the types, and of resources by kind.

use model::fabric::{Kind, Spec};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::examples::{example, more};
use crate::fabric::accounts::{NewPassword, NewUser, PasswordSet, User, UserCreated};
use crate::fabric::asking::AskedPorts;
use crate::fabric::{
    AuditEntry, ChangeReport, ControllerStatus, Event, HostReport, Imported, Item, JoinToken, Leases, Listing,
    NewJoinToken, NewToken, Token, TokenCreated, Trace, Traffic, Tunnels,
};
use crate::{Problem, TraceRequest};

/// A reference to a schema.
pub(super) fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The name of a kind in names of schemas and operations: `VmNetwork`.
pub(super) fn type_name(kind: Kind) -> String {
    kind.as_str().split('-').flat_map(capitalized).collect()
}

fn capitalized(word: &str) -> impl Iterator<Item = char> + '_ {
    word.chars().take(1).map(|c| c.to_ascii_uppercase()).chain(word.chars().skip(1))
}

/// All schemas, by name.
pub(super) fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let types: [fn(&mut SchemaGenerator); 25] = [
        add::<Problem>,
        add::<ControllerStatus>,
        add::<Item>,
        add::<Event>,
        add::<ChangeReport>,
        add::<NewToken>,
        add::<TokenCreated>,
        add::<Listing<Token>>,
        add::<NewUser>,
        add::<UserCreated>,
        add::<Listing<User>>,
        add::<NewPassword>,
        add::<PasswordSet>,
        add::<NewJoinToken>,
        add::<JoinToken>,
        add::<Listing<AuditEntry>>,
        add::<Imported>,
        add::<AskedPorts>,
        add::<Traffic>,
        add::<HostReport>,
        add::<Tunnels>,
        add::<Leases>,
        add::<TraceRequest>,
        add::<Trace>,
        add::<Kind>,
    ];
    for add in types {
        add(&mut generator);
    }
    for kind in Kind::ALL {
        Spec::json_schema(kind, &mut generator);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.values_mut().for_each(narrow);
    schemas.values_mut().for_each(addresses);
    narrow_types(&mut schemas);
    // Which port a packet is from, the path says already.
    if let Some(required) = schemas.get_mut("TraceRequest").and_then(|packet| packet["required"].as_array_mut()) {
        required.retain(|field| field != "from");
    }
    if let Some(addresses) =
        schemas.get_mut("Uplink").and_then(|uplink| uplink.pointer_mut("/properties/addresses/items"))
    {
        addresses["pattern"] = json!(PREFIX.0);
    }
    for kind in Kind::ALL {
        let of = |suffix: &str| format!("{}{suffix}", type_name(kind));
        let needed = schemas.get(&type_name(kind)).is_some_and(|spec| spec.get("required").is_some());
        schemas.insert(of("Declaration"), declaration(kind, needed));
        schemas.insert(of("Item"), item(kind));
        schemas.insert(of("Page"), page(kind));
    }
    schemas.insert("Key".to_owned(), key());
    schemas.insert("Change".to_owned(), change());
    schemas.insert("ChangeSet".to_owned(), change_set());
    schemas
}

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

const PREFIX: (&str, &str) = ("^[0-9A-Fa-f:.]+/[0-9]{1,3}$", "10.10.0.0/16");

/// What the text in fields of these names looks like. Their types are written as text and checked by their own readers.
const PATTERNS: [(&str, (&str, &str)); 6] = [
    ("prefix", PREFIX),
    ("prefixes", PREFIX),
    ("providerAddresses", PREFIX),
    ("mac", ("^[0-9A-Fa-f]{2}([-:][0-9A-Fa-f]{2}){5}$", "00-1D-D8-B7-1C-00")),
    ("interface", ("^[^ /]+$", "eth0")),
    (
        "rdid",
        ("^\\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\\}?$", "{11111111-2222-3333-4444-000000005001}"),
    ),
];

/// The same of whole types.
const TYPE_PATTERNS: [(&str, &str); 3] = [
    ("AddressRange", "^[0-9A-Fa-f:.]+( *- *[0-9A-Fa-f:.]+)?$"),
    ("MacRange", "^[0-9A-Fa-f]{2}([-:][0-9A-Fa-f]{2}){5} *\\.\\. *[0-9A-Fa-f]{2}([-:][0-9A-Fa-f]{2}){5}$"),
    ("LeaseTime", "^[0-9]+ *[a-z]+( *[0-9]+ *[a-z]+)*$"),
];

/// Adds patterns to the fields of a structure.
fn narrow(schema: &mut Value) {
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, (pattern, sample)) in PATTERNS {
        let Some(property) = properties.get_mut(name) else { continue };
        let text = match property.get("items") {
            Some(_) => &mut property["items"],
            None => property,
        };
        if let Some(text) = text.as_object_mut() {
            // RDIDs are written in braces, which the format of UUIDs does not know.
            text.remove("format");
            text.insert("pattern".to_owned(), json!(pattern));
            text.insert("examples".to_owned(), json!([sample]));
        }
    }
}

/// Writes schemars's format `ip` in the formats that JSON Schema knows.
fn addresses(schema: &mut Value) {
    match schema {
        Value::Object(map) if map.get("format").is_some_and(|format| format == "ip") => {
            map.remove("format");
            map.insert("anyOf".to_owned(), json!([{"format": "ipv4"}, {"format": "ipv6"}]));
        }
        Value::Object(map) => map.values_mut().for_each(addresses),
        Value::Array(values) => values.iter_mut().for_each(addresses),
        _ => {}
    }
}

fn narrow_types(schemas: &mut Map<String, Value>) {
    for (name, pattern) in TYPE_PATTERNS {
        if let Some(schema) = schemas.get_mut(name).and_then(Value::as_object_mut) {
            schema.insert("pattern".to_owned(), json!(pattern));
        }
    }
}

/// What is declared of a resource, with as much as the path does not say.
fn declaration(kind: Kind, spec_needed: bool) -> Value {
    let examples = std::iter::once(example(kind)).chain(more(kind));
    let examples = examples.map(|(name, spec)| json!({"kind": kind.as_str(), "name": name, "spec": spec}));
    let mut properties = json!({
        "kind": {"const": kind.as_str()},
        "name": schema("ResourceName"),
        "spec": schema(&type_name(kind)),
    });
    if kind.has_tenant() {
        properties["tenant"] = json!({
            "anyOf": [schema("ResourceName"), {"type": "null"}],
            "description": "The owner; that of the path, or else \"default\", if it is left out.",
        });
    }
    let mut declaration = json!({
        "type": "object",
        "description": format!(
            "A {} as it is declared. Kind, tenant and name may be left out where the path says them.",
            kind.title()
        ),
        "properties": properties,
        "additionalProperties": false,
        "examples": examples.collect::<Vec<Value>>(),
    });
    if spec_needed {
        declaration["required"] = json!(["spec"]);
    }
    declaration
}

/// A declaration in which these fields must not be left out.
pub(super) fn declared_with(kind: Kind, fields: &[&str]) -> Value {
    json!({"allOf": [schema(&format!("{}Declaration", type_name(kind))), {"required": fields}]})
}

fn item(kind: Kind) -> Value {
    let mut required = vec!["kind", "name", "uid", "revision", "created", "spec", "status"];
    if kind.has_tenant() {
        required.push("tenant");
    }
    json!({
        "description": format!("A {} as it is shown.", kind.title()),
        "allOf": [schema("Item")],
        "type": "object",
        "properties": {"kind": {"const": kind.as_str()}, "spec": schema(&type_name(kind))},
        "required": required,
    })
}

fn page(kind: Kind) -> Value {
    json!({
        "description": format!("A part of a list of resources of kind {}.", kind.as_str()),
        "type": "object",
        "properties": {
            "items": {
                "type": "array",
                "description": "The items, in the order of tenant and name.",
                "items": schema(&format!("{}Item", type_name(kind))),
            },
            "revision": {
                "type": "integer", "minimum": 0,
                "description": "The revision of the fabric that the list shows; a watch from here misses nothing.",
            },
            "continue": {"type": "string", "description": "Given when there are more: ask again with it as `continue`."},
        },
        "required": ["items", "revision"],
    })
}

fn key() -> Value {
    json!({
        "description": "What tells a resource from all others. The tenant is \"default\" if it is left out.",
        "type": "object",
        "properties": {
            "kind": schema("Kind"),
            "tenant": {"anyOf": [schema("ResourceName"), {"type": "null"}]},
            "name": schema("ResourceName"),
        },
        "required": ["kind", "name"],
        "additionalProperties": false,
    })
}

fn change() -> Value {
    let resource = json!({"oneOf": Kind::ALL.map(|kind| declared_with(kind, &["kind", "name"]))});
    let revision = json!({
        "type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX,
        "description": "The revision that the caller saw; if the resource has another one by now, the change is refused.",
    });
    let object = |description: &str, name: &str, value: Value| {
        json!({
            "type": "object", "description": description, "properties": {name: value}, "required": [name],
            "additionalProperties": false,
        })
    };
    let with_revision = |name: &str, value: Value| {
        json!({
            "type": "object", "properties": {name: value, "revision": revision}, "required": [name],
            "additionalProperties": false,
        })
    };
    json!({
        "description": "One change.",
        "oneOf": [
            object("A new resource; refused if it exists.", "create", resource.clone()),
            object("Create or replace.", "put", with_revision("resource", resource.clone())),
            object("Replace what must exist.", "replace", with_revision("resource", resource)),
            object("Delete what must exist.", "delete", with_revision("key", schema("Key"))),
        ],
    })
}

fn change_set() -> Value {
    let example_change = |kind: Kind| {
        let (name, spec) = example(kind);
        json!({"put": {"resource": {"kind": kind.as_str(), "name": name, "spec": spec}}})
    };
    json!({
        "description": "Changes that come into force together, or not at all. They are carried out in an order in which \
                        what is referred to exists before what refers, whatever order they stand in.",
        "type": "object",
        "properties": {
            "changes": {"type": "array", "items": schema("Change")},
            "dryRun": {"type": "boolean", "description": "Check only, and say what would come of it."},
            "without": {
                "type": "array",
                "items": schema("ResourceName"),
                "description": "Hosts that need not have acknowledged the end of a VM's last move before `migrateTo` begins its \
                                next one. What such a host has of the VM may be lost until it has been told.",
            },
        },
        "required": ["changes"],
        "additionalProperties": false,
        "examples": [{"changes": [example_change(Kind::VmSubnet), example_change(Kind::IpPool)]}],
    })
}
