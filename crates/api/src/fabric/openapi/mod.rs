//! The OpenAPI 3.1 document of the controller's northbound interface.
//!
//! The schemas come out of the types that server and client use; the paths of all kinds are the same few, written once.

mod accounts;
mod asking;
mod examples;
mod operations;
mod resources;
mod schemas;

use serde_json::{Value, json};

/// The document, as `/v1/openapi.json` serves it.
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "netvirt controller",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Networks of tenants on shared hosts: declare them once, and every host learns what it must.",
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
        },
        "servers": [{
            "url": "https://{controller}:{port}",
            "variables": {"controller": {"default": "localhost"}, "port": {"default": "7443"}},
        }],
        "security": [{"bearer": []}],
        "tags": operations::tags(),
        "paths": operations::paths(),
        "components": {
            "securitySchemes": {"bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "The secret of a token. The first one stands in admin.yaml in the controller's state folder.",
            }},
            "schemas": schemas::schemas(),
            "parameters": operations::parameters(),
            "headers": operations::headers(),
            "responses": operations::problems(),
        },
    })
}

const DESCRIPTION: &str = "\
Every resource has a kind, a name and, unless it is the operator's, a tenant. `spec` is what was declared, `status` what \
the controller knows of it.\n\n\
A resource's ETag is its revision. With `If-Match` a change is refused (412) if the resource was changed in the \
meantime. `dryRun=true` checks a change and shows what would come of it. Lists come in pages.\n\n\
Every error is a problem (RFC 9457), whose `detail` says what is wrong, with which value, and what to do. A request for \
a path or method that is not described here is answered with 404 or 405, one without a token with 401.";

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

    fn written() -> String {
        let mut text = serde_json::to_string_pretty(&document()).unwrap();
        text.push('\n');
        text
    }

    /// With `NETVIRT_RENEW=1` the file is written instead.
    #[test]
    fn the_document_that_is_checked_in_is_the_one_that_is_served() {
        if std::env::var_os("NETVIRT_RENEW").is_some() {
            std::fs::write(FILE, written()).unwrap();
        }
        let file = std::fs::read_to_string(FILE).unwrap_or_default();
        assert!(
            file == written(),
            "docs/openapi.json is not what the controller serves; if the change of the interface is meant, renew it \
             with \"NETVIRT_RENEW=1 cargo test -p api openapi\" and look at the difference"
        );
    }

    /// Every `$ref` of a value.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100, "{}", found.len());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_what_it_answers() {
        let document = document();
        let mut names = std::collections::BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters")
            {
                assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
                let responses = operation["responses"].as_object().unwrap();
                assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
                let open = operation["security"] == json!([]);
                assert_eq!(responses.contains_key("401"), !open, "{method} {path}");
            }
        }
    }
}
