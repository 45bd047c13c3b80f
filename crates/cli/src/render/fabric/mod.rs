//! How the answers of a controller look.

mod asking;
mod columns;
mod describe;
mod watch;

use api::fabric::accounts::{User, UserSource};
use api::fabric::{AuditEntry, ChangeReport, Item, Token};
use model::fabric::{self, Kind, Resource, Spec};

use super::{NONE, Table};
use crate::CliError;

pub use asking::{counters, host_report, leases, trace, tunnels};
pub use describe::{describe, status};
pub use watch::Watcher;

/// Items as the resources that they declare, in the form that `apply` takes.
pub fn resources<'a>(items: impl IntoIterator<Item = &'a Item>) -> Result<String, CliError> {
    let resource = |item: &Item| {
        let spec = Spec::deserialize(item.kind, item.spec.clone())?;
        Ok(Resource { tenant: item.tenant.clone(), name: item.name.clone(), spec })
    };
    let resources: Vec<Resource> = items
        .into_iter()
        .map(resource)
        .collect::<Result<_, serde_json::Error>>()
        .map_err(|error| CliError::Render(error.to_string()))?;
    fabric::resources_to_yaml(&resources).map_err(CliError::yaml)
}

/// A table of items, with their owners if wanted.
pub fn items(kind: Kind, items: &[Item], wide: bool, tenants: bool) -> String {
    let rows = items.iter().map(|item| columns::row(item, wide, tenants)).collect();
    Table::new(columns::header(kind, wide, tenants)).render(rows, true)
}

/// What became of changes, one line each.
pub fn report(report: &ChangeReport, dry_run: bool) -> String {
    let suffix = if dry_run { " (dry run)" } else { "" };
    report.results.iter().map(|result| format!("{} {}{suffix}\n", result.item.key(), result.outcome)).collect()
}

fn headings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn or_none<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| NONE.to_owned(), ToString::to_string)
}

/// A table of tokens.
pub fn tokens(tokens: &[Token]) -> String {
    let row = |token: &Token| {
        vec![
            token.name.to_string(),
            token.role.as_str().to_owned(),
            or_none(token.tenant.as_ref()),
            token.created.clone(),
            token.expires.clone().unwrap_or_else(|| "never".to_owned()),
        ]
    };
    Table::new(headings(&["NAME", "ROLE", "TENANT", "CREATED", "EXPIRES"]))
        .render(tokens.iter().map(row).collect(), true)
}

/// A table of users.
pub fn users(users: &[User]) -> String {
    let row = |user: &User| {
        let source = match &user.source {
            UserSource::Local => "local",
            UserSource::OpenId(issuer) => issuer,
        };
        vec![
            user.name.to_string(),
            user.role.as_str().to_owned(),
            or_none(user.tenant.as_ref()),
            user.created.clone(),
            source.to_owned(),
        ]
    };
    Table::new(headings(&["NAME", "ROLE", "TENANT", "CREATED", "SOURCE"])).render(users.iter().map(row).collect(), true)
}

/// A table of lines of the audit log; wide with what was declared before and after.
pub fn audit(entries: &[AuditEntry], wide: bool) -> String {
    let mut header = headings(&["ID", "TIME", "WHO", "ACTION", "OBJECT"]);
    if wide {
        header.extend(headings(&["TENANT", "BEFORE", "AFTER"]));
    }
    let row = |entry: &AuditEntry| {
        let mut row = vec![
            entry.id.to_string(),
            entry.time.clone(),
            entry.who.clone(),
            entry.action.clone(),
            entry.object.clone(),
        ];
        if wide {
            let text = |value: &serde_json::Value| if value.is_null() { NONE.to_owned() } else { value.to_string() };
            row.extend([or_none(entry.tenant.as_ref()), text(&entry.before), text(&entry.after)]);
        }
        row
    };
    Table::new(header).render(entries.iter().map(row).collect(), true)
}
