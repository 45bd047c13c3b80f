//! How answers look: tables as kubectl's, descriptions, traces, and JSON and YAML for programs.

mod columns;
mod describe;
pub mod fabric;
mod flows;
mod table;
mod trace;
mod watch;

use api::{ChangeReport, DropCounter, Item};
use model::{Kind, Resource};
use serde::Serialize;

use crate::CliError;

pub use columns::NONE;
pub use describe::{describe, status};
pub use flows::flows;
pub use table::Table;
pub use trace::trace;
pub use watch::Watcher;

/// Pretty JSON.
pub fn json(value: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|error| CliError::Render(error.to_string()))
}

/// YAML of anything.
pub fn yaml(value: &impl Serialize) -> Result<String, CliError> {
    serde_saphyr::to_string(value).map_err(|error| CliError::Render(error.to_string()))
}

/// Items as the resources that they declare, in the form that `apply` takes.
pub fn resources(items: &[Item]) -> Result<String, CliError> {
    let resources: Vec<Resource> = items
        .iter()
        .map(|item| {
            let whole = serde_json::json!({"kind": item.kind, "name": item.name, "spec": item.spec});
            serde_json::from_value(whole)
        })
        .collect::<Result<_, _>>()
        .map_err(|error| CliError::Render(error.to_string()))?;
    model::resources_to_yaml(&resources).map_err(|error| CliError::Render(error.to_string()))
}

/// A table of items.
pub fn items(kind: Kind, items: &[Item], wide: bool) -> String {
    let rows = items.iter().map(|item| columns::row(item, wide)).collect();
    table::Table::new(columns::header(kind, wide)).render(rows, true)
}

/// A table of drops.
pub fn drops(drops: &[DropCounter], wide: bool) -> String {
    let rows = drops.iter().map(|drop| columns::drop_row(drop, wide)).collect();
    table::Table::new(columns::drop_header(wide)).render(rows, true)
}

/// What became of changes, one line each.
pub fn report(report: &ChangeReport, dry_run: bool) -> String {
    let suffix = if dry_run { " (dry run)" } else { "" };
    report.results.iter().map(|result| format!("{} {}{suffix}\n", result.key, result.outcome)).collect()
}
