//! What is different between one answer and the next.

use std::collections::BTreeMap;

use api::{DropCounter, Item};
use serde::Serialize;
use serde_json::{Value, json};

use super::{columns, table::Table};
use crate::CliError;
use crate::args::{Output, Target};

/// Remembers what was shown, and shows what is new, changed or gone.
#[derive(Debug)]
pub struct Watcher {
    wide: bool,
    /// None for programs, which get one line of JSON an event.
    table: Option<Table>,
    /// By name: the row that was shown, or the object.
    shown: Option<BTreeMap<String, Shown>>,
}

#[derive(Clone, PartialEq, Debug)]
enum Shown {
    Row(Vec<String>),
    Object(Value),
}

impl Watcher {
    /// A watcher that has seen nothing.
    pub fn new(target: Target, output: Output) -> Self {
        let wide = output == Output::Wide;
        let mut header = vec!["EVENT".to_owned()];
        header.extend(match target.host_kind() {
            Some(kind) => columns::header(kind, wide),
            None => columns::drop_header(wide),
        });
        let table = matches!(output, Output::Table | Output::Wide).then(|| Table::new(header));
        Self { wide, table, shown: None }
    }

    /// Whether it has seen nothing.
    pub const fn is_new(&self) -> bool {
        self.shown.is_none()
    }

    /// What is different with these items.
    pub fn items(&mut self, items: &[Item]) -> Result<String, CliError> {
        let wide = self.wide;
        self.update(items, |item| item.name.clone(), |item| columns::row(item, wide))
    }

    /// What is different with these counters.
    pub fn drops(&mut self, drops: &[DropCounter]) -> Result<String, CliError> {
        let wide = self.wide;
        self.update(drops, |drop| format!("{}/{}", drop.port, drop.reason), |drop| columns::drop_row(drop, wide))
    }

    fn update<T: Serialize>(
        &mut self,
        things: &[T],
        name: impl Fn(&T) -> String,
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<String, CliError> {
        let mut next = BTreeMap::new();
        for thing in things {
            let shown = if self.table.is_some() {
                Shown::Row(row(thing))
            } else {
                Shown::Object(serde_json::to_value(thing).map_err(|error| CliError::Render(error.to_string()))?)
            };
            next.insert(name(thing), shown);
        }
        let first = self.shown.is_none();
        let before = self.shown.take().unwrap_or_default();
        let mut events = Vec::new();
        for (name, shown) in &next {
            match before.get(name) {
                None => events.push(("created", shown.clone())),
                Some(old) if old != shown => events.push(("changed", shown.clone())),
                Some(_) => {}
            }
        }
        events
            .extend(before.into_iter().filter(|(name, _)| !next.contains_key(name)).map(|(_, gone)| ("deleted", gone)));
        self.shown = Some(next);
        Ok(self.render(events, first))
    }

    fn render(&mut self, events: Vec<(&str, Shown)>, first: bool) -> String {
        let (mut rows, mut lines) = (Vec::new(), String::new());
        for (event, shown) in events {
            match shown {
                Shown::Row(cells) => rows.push([vec![event.to_owned()], cells].concat()),
                Shown::Object(object) => lines.push_str(&format!("{}\n", json!({"event": event, "object": object}))),
            }
        }
        match &mut self.table {
            Some(table) if first || !rows.is_empty() => table.render(rows, first),
            _ => lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drop(port: &str, packets: u64) -> DropCounter {
        DropCounter { port: port.into(), reason: "no-record".into(), explanation: "e".into(), packets }
    }

    #[test]
    fn only_what_is_different_is_shown_again() {
        let mut watcher = Watcher::new(Target::Drops, Output::Table);
        assert_eq!(
            watcher.drops(&[drop("blue1", 1), drop("red1", 5)]).unwrap(),
            "EVENT    PORT   REASON     PACKETS\ncreated  blue1  no-record  1\ncreated  red1   no-record  5\n"
        );
        assert_eq!(watcher.drops(&[drop("blue1", 1), drop("red1", 5)]).unwrap(), "");
        assert_eq!(
            watcher.drops(&[drop("blue1", 2)]).unwrap(),
            "changed  blue1  no-record  2\ndeleted  red1   no-record  5\n"
        );
    }

    #[test]
    fn programs_get_a_line_of_json_for_each_event() {
        let mut watcher = Watcher::new(Target::Drops, Output::Json);
        assert_eq!(watcher.drops(&[]).unwrap(), "");
        let line = watcher.drops(&[drop("blue1", 1)]).unwrap();
        let event: Value = serde_json::from_str(line.strip_suffix('\n').unwrap()).unwrap();
        assert_eq!((&event["event"], &event["object"]["packets"]), (&json!("created"), &json!(1)));
    }
}
