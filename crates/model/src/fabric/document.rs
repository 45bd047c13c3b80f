//! Fabric resources as text: `{kind, tenant, name, spec}` for serde, and YAML of many documents.
//!
//! Where the kind stands before the spec, as everybody writes it, the spec is read straight into the type that the
//! kind asks for, so that an error of the reader knows line and column.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Kind, Resource, ResourceName, Spec};
use crate::document::{self, YamlError, YamlWriteError};

/// Reads the resources of a YAML text; each document (`---` between them) is one resource, empty ones are passed over.
///
/// # Errors
/// At the first place where the text is not YAML or a resource is not as it must be.
pub fn resources_from_yaml(text: &str) -> Result<Vec<Resource>, YamlError> {
    document::documents_from_yaml(text)
}

/// Writes resources as YAML, one document each.
///
/// # Errors
/// Those of the YAML writer; there is no resource that it is known to refuse.
pub fn resources_to_yaml<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Result<String, YamlWriteError> {
    document::documents_to_yaml(resources)
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Resource", 4)?;
        document.serialize_field("kind", &self.kind())?;
        match &self.tenant {
            Some(tenant) => document.serialize_field("tenant", tenant)?,
            None => document.skip_field("tenant")?,
        }
        document.serialize_field("name", &self.name)?;
        document.serialize_field("spec", &self.spec)?;
        document.end()
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Kind,
    Tenant,
    Name,
    Spec,
}

/// Reads the spec of a kind.
struct SpecOf(Kind);

impl<'de> DeserializeSeed<'de> for SpecOf {
    type Value = Spec;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Spec, D::Error> {
        reader.deserialize_map(self)
    }
}

/// A spec has named fields; by itself serde would take a list of their values too.
impl<'de> Visitor<'de> for SpecOf {
    type Value = Spec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the spec of a {} with named fields", self.0.title())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Spec, A::Error> {
        Spec::deserialize(self.0, serde::de::value::MapAccessDeserializer::new(map))
    }
}

struct Document;

impl<'de> Visitor<'de> for Document {
    type Value = Resource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a resource with kind, name and spec")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Resource, A::Error> {
        let (mut kind, mut tenant, mut name) = (None::<Kind>, None::<ResourceName>, None::<ResourceName>);
        // A spec that stands before its kind is kept until the kind is known.
        let (mut spec, mut early) = (None::<Spec>, None::<serde_json::Value>);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Kind if kind.is_some() => return Err(A::Error::duplicate_field("kind")),
                Field::Kind => {
                    let word: String = map.next_value()?;
                    kind = Some(word.parse().map_err(A::Error::custom)?);
                }
                Field::Tenant if tenant.is_some() => return Err(A::Error::duplicate_field("tenant")),
                Field::Tenant => tenant = map.next_value()?,
                Field::Name if name.is_some() => return Err(A::Error::duplicate_field("name")),
                Field::Name => name = Some(map.next_value()?),
                Field::Spec if spec.is_some() || early.is_some() => return Err(A::Error::duplicate_field("spec")),
                Field::Spec => match kind {
                    Some(kind) => spec = Some(map.next_value_seed(SpecOf(kind))?),
                    None => early = Some(map.next_value()?),
                },
            }
        }
        let kind = kind.ok_or_else(|| A::Error::missing_field("kind"))?;
        let name = name.ok_or_else(|| A::Error::missing_field("name"))?;
        let spec = match (spec, early) {
            (Some(spec), _) => spec,
            (None, Some(early)) => SpecOf(kind).deserialize(early).map_err(A::Error::custom)?,
            (None, None) => {
                let empty = serde_json::Value::Object(serde_json::Map::new());
                Spec::deserialize(kind, empty).map_err(|error| A::Error::custom(format!("spec: {error}")))?
            }
        };
        if let Some(tenant) = tenant.as_ref().filter(|_| !kind.has_tenant()) {
            return Err(A::Error::custom(format!(
                "a {} belongs to no tenant; leave \"tenant: {tenant}\" out",
                kind.title()
            )));
        }
        Ok(Resource::new(tenant, name, spec))
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
kind: vm-network
name: AAA
spec:
  logicalNetwork: TDIv2
---
kind: ip-pool
tenant: blue
name: CA Pool
spec: {vmSubnet: test, ranges: [10.10.1.100-10.10.1.130], dnsServers: [10.10.0.53], leaseTime: 8h}
---
kind: tenant
name: blue
";

    #[test]
    fn what_is_written_is_read() {
        let resources = resources_from_yaml(TEXT).unwrap();
        assert_eq!(resources.len(), 3);
        assert_eq!(resources[0].key().to_string(), "vm-network \"AAA\"");
        assert_eq!(resources[1].key().to_string(), "ip-pool \"CA Pool\" of tenant \"blue\"");
        assert_eq!(resources_from_yaml(&resources_to_yaml(&resources).unwrap()).unwrap(), resources);
        let json = serde_json::to_string(&resources[1]).unwrap();
        assert_eq!(serde_json::from_str::<Resource>(&json).unwrap(), resources[1]);
    }

    #[test]
    fn an_error_names_line_and_field() {
        let error = resources_from_yaml(&TEXT.replace("10.10.1.100-", "10.10.1.300-")).unwrap_err();
        assert_eq!(error.line, 9, "{error}");
        assert!(error.to_string().contains("not a range of addresses"), "{error}");
        let error = resources_from_yaml(&TEXT.replace("vmSubnet", "subnet")).unwrap_err();
        assert!(error.to_string().contains("subnet"), "{error}");
        let error = resources_from_yaml("kind: tenant\nname: blue\nspec:\n  quota: [1, 2, 3, 4, 5]\n").unwrap_err();
        assert_eq!((error.line, error.field.as_deref()), (4, Some("spec.quota")), "{error}");
        assert!(error.message.contains("mapping"), "{error}");
        let error = resources_from_yaml("spec: [null, null]\nkind: tenant\nname: blue\n").unwrap_err();
        assert!(error.message.contains("named fields"), "{error}");
        let subnet = |prefixes: &str| {
            let text = format!("kind: vm-subnet\nname: a\nspec: {{vmNetwork: AAA, prefixes: {prefixes}}}\n");
            resources_from_yaml(&text).unwrap_err().to_string()
        };
        let error = subnet("['10.0.0.0/244', fd00::/64]");
        assert!(error.starts_with("line 3, column 35, spec.prefixes[0]: \"10.0.0.0/244\" is not"), "{error}");
        assert!(error.contains("10.0.0.0/24 or fd00::/64"), "{error}");
        assert!(subnet("10.0.0.0/24").contains("a list is expected here"), "{}", subnet("10.0.0.0/24"));
        let error = resources_from_yaml("kind: vm-network\nname: a\nspec: {logicalNetwork: [b]}\n").unwrap_err();
        assert!(error.message.contains("one value is expected here"), "{error}");
        let error = resources_from_yaml("kind: tenant\nname: a\n  spec: {}\n").unwrap_err();
        assert_eq!(error.field, None, "{error}");
        let error = resources_from_yaml("kind: tenant\ntenant: blue\nname: red\n").unwrap_err();
        assert!(error.to_string().contains("belongs to no tenant"), "{error}");
    }
}
