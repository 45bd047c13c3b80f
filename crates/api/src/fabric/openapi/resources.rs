//! The uniform paths of a kind: list, create, get, put, delete.

use model::fabric::Kind;
use serde_json::{Value, json};

use super::operations::{CHANGING, Operation, json_of};
use super::schemas::{declared_with, schema, type_name};
use crate::ProblemType;

/// The kind and the way to it, of which the words of its operations follow.
struct Subject {
    kind: Kind,
    name: String,
    /// What stands behind the name of an operation below a tenant.
    suffix: &'static str,
    /// Parameters of the path in front of the name.
    owner: &'static [&'static str],
}

/// The paths of a kind, below its tenant or not.
pub(super) fn resource_paths(kind: Kind, below_tenant: bool) -> [(String, Value); 2] {
    let plural = kind.plural();
    let (path, suffix, owner): (_, _, &[&str]) = if below_tenant {
        (format!("/v1/tenants/{{tenant}}/{plural}"), "OfTenant", &["tenant"])
    } else {
        (format!("/v1/{plural}"), "", &[])
    };
    let subject = Subject { kind, name: type_name(kind), suffix, owner };
    let one = format!("{path}/{{name}}");
    [
        (path, json!({"get": list(&subject), "post": create(&subject)})),
        (one, json!({"get": get(&subject), "put": put(&subject), "delete": delete(&subject)})),
    ]
}

impl Subject {
    fn operation(&self, verb: &str, summary: &str) -> Operation {
        let Self { kind, name, suffix, .. } = self;
        Operation::new(&format!("{verb}{name}{suffix}"), kind.as_str(), summary)
    }

    fn parameters(&self, further: &[&'static str]) -> Vec<&'static str> {
        self.owner.iter().chain(further).copied().collect()
    }

    /// The words for whose a resource without a tenant in the path is.
    fn default_tenant(&self) -> &'static str {
        if self.kind.has_tenant() && self.owner.is_empty() { " of the tenant \"default\"" } else { "" }
    }
}

fn list(subject: &Subject) -> Value {
    let title = subject.kind.title();
    let whose = match (subject.kind.has_tenant(), subject.owner.is_empty()) {
        (false, _) => "",
        (true, true) => " of all tenants that the caller may see",
        (true, false) => " of a tenant",
    };
    subject
        .operation("list", &format!("Each {title}{whose}, by pages"))
        .parameters(&subject.parameters(&["limit", "continue", "search"]))
        .answers(200, "A page, in the order of tenant and name.", json_of(&format!("{}Page", subject.name)))
        .may(&[ProblemType::NotFound, ProblemType::Gone])
        .done()
}

fn create(subject: &Subject) -> Value {
    let item = || json_of(&format!("{}Item", subject.name));
    subject
        .operation("create", &format!("Create a {}", subject.kind.title()))
        .parameters(&subject.parameters(&["dryRun"]))
        .body("application/json", declared_with(subject.kind, &["name"]))
        .answers(200, "What would come of it (dry run).", item())
        .answers(201, "It is created.", item())
        .headers(201, &["ETag", "Location"])
        .may(&CHANGING)
        .done()
}

fn get(subject: &Subject) -> Value {
    subject
        .operation("get", &format!("One {}{}", subject.kind.title(), subject.default_tenant()))
        .parameters(&subject.parameters(&["name", "ifNoneMatch"]))
        .answers(200, "The resource.", json_of(&format!("{}Item", subject.name)))
        .headers(200, &["ETag"])
        .answers(304, "It still has one of the ETags.", None)
        .headers(304, &["ETag"])
        .may(&[ProblemType::NotFound])
        .done()
}

fn put(subject: &Subject) -> Value {
    let item = || json_of(&format!("{}Item", subject.name));
    subject
        .operation("put", &format!("Create or replace a {}{}", subject.kind.title(), subject.default_tenant()))
        .describe("Give the ETag that you saw as `If-Match` to replace nothing that somebody else has changed.")
        .parameters(&subject.parameters(&["name", "dryRun", "ifMatch", "ifAbsent"]))
        .body("application/json", schema(&format!("{}Declaration", subject.name)))
        .answers(200, "It is replaced, or was so already; or what would come of it (dry run).", item())
        .answers(201, "It is created.", item())
        .headers(201, &["ETag", "Location"])
        .may(&CHANGING)
        .done()
}

fn delete(subject: &Subject) -> Value {
    subject
        .operation("delete", &format!("Delete a {}{}", subject.kind.title(), subject.default_tenant()))
        .parameters(&subject.parameters(&["name", "dryRun", "ifMatch"]))
        .answers(200, "It is deleted; this is how it last was.", json_of(&format!("{}Item", subject.name)))
        .may(&CHANGING)
        .done()
}
