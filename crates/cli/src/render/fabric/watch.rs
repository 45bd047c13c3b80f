//! What was shown of a controller's resources, and what is different now.

use std::collections::BTreeMap;

use api::fabric::Item;
use model::fabric::{Key, Kind};
use serde_json::{Value, json};

use super::columns;
use crate::CliError;
use crate::args::Output;
use crate::render::Table;

/// Remembers what was shown, and shows what is new, changed or gone.
#[derive(Debug)]
pub struct Watcher {
    wide: bool,
    tenants: bool,
    /// None for programs, which get one line of JSON an event.
    table: Option<Table>,
    /// Whether the headings are still to be shown.
    is_new: bool,
    shown: BTreeMap<Key, Shown>,
}

#[derive(Clone, PartialEq, Debug)]
enum Shown {
    Row(Vec<String>),
    Object(Value),
}

impl Watcher {
    /// A watcher that has shown nothing.
    pub fn new(kind: Kind, output: Output, tenants: bool) -> Self {
        let wide = output == Output::Wide;
        let mut header = vec!["EVENT".to_owned()];
        header.extend(columns::header(kind, wide, tenants));
        let table = matches!(output, Output::Table | Output::Wide).then(|| Table::new(header));
        Self { wide, tenants, table, is_new: true, shown: BTreeMap::new() }
    }

    /// What is different with this list of all that there is.
    pub fn list(&mut self, items: &[Item]) -> Result<String, CliError> {
        let mut before = std::mem::take(&mut self.shown);
        let mut events = Vec::new();
        for item in items {
            let (key, shown) = (item.key(), self.look(item)?);
            match before.remove(&key) {
                None => events.push(("created", shown.clone())),
                Some(old) if old != shown => events.push(("changed", shown.clone())),
                Some(_) => {}
            }
            self.shown.insert(key, shown);
        }
        events.extend(before.into_values().map(|gone| ("deleted", gone)));
        Ok(self.render(events))
    }

    /// What is different with this item.
    pub fn seen(&mut self, item: &Item) -> Result<String, CliError> {
        let shown = self.look(item)?;
        let event = match self.shown.insert(item.key(), shown.clone()) {
            None => "created",
            Some(old) if old != shown => "changed",
            Some(_) => return Ok(String::new()),
        };
        Ok(self.render(vec![(event, shown)]))
    }

    /// An item is gone.
    pub fn gone(&mut self, item: &Item) -> Result<String, CliError> {
        match self.shown.remove(&item.key()) {
            Some(shown) => Ok(self.render(vec![("deleted", shown)])),
            None => Ok(String::new()),
        }
    }

    fn look(&self, item: &Item) -> Result<Shown, CliError> {
        if self.table.is_some() {
            return Ok(Shown::Row(columns::row(item, self.wide, self.tenants)));
        }
        serde_json::to_value(item).map(Shown::Object).map_err(|error| CliError::Render(error.to_string()))
    }

    fn render(&mut self, events: Vec<(&str, Shown)>) -> String {
        let (mut rows, mut lines) = (Vec::new(), String::new());
        for (event, shown) in events {
            match shown {
                Shown::Row(cells) => rows.push([vec![event.to_owned()], cells].concat()),
                Shown::Object(object) => lines.push_str(&format!("{}\n", json!({"event": event, "object": object}))),
            }
        }
        match &mut self.table {
            Some(table) if self.is_new || !rows.is_empty() => {
                let first = std::mem::take(&mut self.is_new);
                table.render(rows, first)
            }
            _ => lines,
        }
    }
}
