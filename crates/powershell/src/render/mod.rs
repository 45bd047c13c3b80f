//! Objects as people see them: as PowerShell shows lists and tables.

pub mod csv;
pub mod json;

use std::rc::Rc;

use crate::value::{Class, FORMATTED, Object, Value, View};

/// A property under its name.
pub type Field = (String, Value);

/// Most objects that wait for others of their kind before they are shown.
const MAX_WAITING: usize = 10_000;

/// Shows values as they come: objects of one kind that follow one another are one list or one table.
#[derive(Default)]
pub struct Printer {
    waiting: Vec<Value>,
}

impl Printer {
    /// What is to be shown because of this value; it may itself wait for others.
    pub fn take(&mut self, value: Value, width: Option<usize>) -> String {
        match &value {
            Value::Null => String::new(),
            Value::Array(items) => {
                let items = items.borrow().clone();
                items.into_iter().map(|item| self.take(item, width)).collect()
            }
            Value::Object(object) if *object.class == FORMATTED => {
                let text = object.get("Text").unwrap_or_default().to_text();
                self.flush(width) + &text
            }
            Value::Object(object) if object.class.view == View::Text => self.flush(width) + &value.to_text() + "\n",
            Value::Object(_) | Value::Table(_) => {
                let mut text = String::new();
                let differs = self.waiting.last().is_some_and(|last| !is_alike(last, &value));
                if differs || self.waiting.len() >= MAX_WAITING {
                    text = self.flush(width);
                }
                self.waiting.push(value);
                text
            }
            other => self.flush(width) + &other.to_text() + "\n",
        }
    }

    /// What is still to be shown.
    pub fn flush(&mut self, width: Option<usize>) -> String {
        let waiting = std::mem::take(&mut self.waiting);
        let Some(first) = waiting.first() else { return String::new() };
        let as_list = is_list(first);
        let rows: Vec<Vec<Field>> = match first {
            Value::Table(_) => waiting.iter().flat_map(entries).collect(),
            _ => waiting.iter().map(|item| shown(item, as_list)).collect(),
        };
        if as_list { list(&rows, width) } else { table(&rows, width, true) }
    }
}

/// The entries of a hash table as rows.
fn entries(value: &Value) -> Vec<Vec<Field>> {
    let Value::Table(table) = value else { return Vec::new() };
    let table = table.borrow();
    let row = |(name, value): &(Rc<str>, Value)| {
        vec![("Name".to_owned(), Value::Text(name.clone())), ("Value".to_owned(), value.clone())]
    };
    table.entries.iter().map(row).collect()
}

fn is_alike(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Table(_), Value::Table(_)) => true,
        (Value::Object(left), Value::Object(right)) => {
            let names = |object: &Rc<Object>| -> Vec<Rc<str>> {
                object.properties.borrow().entries.iter().map(|(name, _)| name.clone()).collect()
            };
            left.class.name == right.class.name && (left.class.view != View::Any || names(left) == names(right))
        }
        _ => false,
    }
}

fn is_list(value: &Value) -> bool {
    match value {
        Value::Object(object) => match &object.class.view {
            View::List(_) => true,
            View::Table(_) | View::Text => false,
            View::Any => object.properties.borrow().entries.len() > 4,
        },
        _ => false,
    }
}

/// The properties of an object that are shown where nothing else is said; in a list those of the table too.
pub fn shown(value: &Value, as_list: bool) -> Vec<Field> {
    let Value::Object(object) = value else {
        return match value {
            Value::Table(table) => {
                table.borrow().entries.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
            }
            other => vec![("Value".to_owned(), other.clone())],
        };
    };
    let named = |class: &Class| -> Option<Vec<(&'static str, &'static str)>> {
        match &class.view {
            View::List(names) => Some(names.iter().map(|name| (*name, *name)).collect()),
            View::Table(columns) if !as_list => Some(columns.to_vec()),
            _ => None,
        }
    };
    match named(object.class) {
        Some(columns) => {
            let field =
                |(heading, property): (&str, &str)| (heading.to_owned(), object.get(property).unwrap_or_default());
            let mut fields: Vec<Field> = columns.into_iter().map(field).collect();
            // Where it comes from is shown when it was asked for elsewhere.
            fields.extend(object.get("PSComputerName").map(|name| ("PSComputerName".to_owned(), name)));
            fields
        }
        None => {
            let properties = object.properties.borrow();
            properties.entries.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
        }
    }
}

/// A value in a cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("{{{}}}", items.borrow().iter().map(Value::to_text).collect::<Vec<_>>().join(", "))
        }
        other => other.to_text().replace(['\r', '\n'], " "),
    }
}

/// Properties one a line, the labels as wide as the widest.
pub fn list(rows: &[Vec<Field>], width: Option<usize>) -> String {
    let mut text = String::new();
    for row in rows.iter().filter(|row| !row.is_empty()) {
        let label = row.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        text.push('\n');
        for (name, value) in row {
            let value = cell(value);
            let room = width.map(|width| width.saturating_sub(label + 3).max(1));
            let letters: Vec<char> = value.chars().collect();
            let chunks: Vec<String> = match room {
                Some(room) => letters.chunks(room).map(|chunk| chunk.iter().collect()).collect(),
                None => vec![value],
            };
            let first = chunks.first().map_or("", String::as_str);
            text.push_str(format!("{name:label$} : {first}").trim_end());
            if first.is_empty() {
                text.push(' ');
            }
            text.push('\n');
            for chunk in chunks.iter().skip(1) {
                text.push_str(&format!("{:label$}   {chunk}\n", ""));
            }
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Properties in columns, as wide as what is in them; numbers stand at the right.
pub fn table(rows: &[Vec<Field>], width: Option<usize>, headings: bool) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.first().into_iter().flatten() {
        names.push(name);
    }
    if names.is_empty() {
        return String::new();
    }
    let find = |row: &[Field], name: &str| {
        row.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let columns: Vec<Column> = names
        .iter()
        .map(|name| {
            let values: Vec<Value> = rows.iter().map(|row| find(row, name)).collect();
            let right =
                !values.is_empty() && values.iter().all(|value| matches!(value, Value::Integer(_) | Value::Real(_)));
            let cells: Vec<String> = values.iter().map(cell).collect();
            let least = if headings { name.chars().count() } else { 1 };
            let wide = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0).max(least);
            Column { name, cells, right, wide }
        })
        .collect();
    let columns = fitted(columns, width);
    let line = |cells: Vec<(&str, &Column)>| -> String {
        let padded: Vec<String> = cells.into_iter().map(|(text, column)| column.padded(text)).collect();
        padded.join(" ").trim_end().to_owned() + "\n"
    };
    let mut text = "\n".to_owned();
    if headings {
        text.push_str(&line(columns.iter().map(|column| (column.name, column)).collect()));
        let dashes: Vec<String> =
            columns.iter().map(|column| "-".repeat(column.name.chars().count().min(column.wide))).collect();
        text.push_str(&line(dashes.iter().map(String::as_str).zip(&columns).collect()));
    }
    for number in 0..rows.len() {
        text.push_str(&line(columns.iter().map(|column| (column.cells[number].as_str(), column)).collect()));
    }
    text.push('\n');
    text
}

struct Column<'r> {
    name: &'r str,
    cells: Vec<String>,
    right: bool,
    wide: usize,
}

impl Column<'_> {
    fn padded(&self, text: &str) -> String {
        let wide = self.wide;
        let letters = text.chars().count();
        let text = if letters > wide {
            let kept: String = text.chars().take(wide.saturating_sub(1)).collect();
            format!("{kept}…")
        } else {
            text.to_owned()
        };
        if self.right { format!("{text:>wide$}") } else { format!("{text:<wide$}") }
    }
}

/// The columns that there is room for; the last of them is cut short.
fn fitted(mut columns: Vec<Column<'_>>, width: Option<usize>) -> Vec<Column<'_>> {
    let Some(width) = width else { return columns };
    let (mut used, mut kept) = (0, 0);
    for column in &mut columns {
        let left = width.saturating_sub(used + usize::from(used > 0));
        if left < 3 {
            break;
        }
        column.wide = column.wide.min(left);
        used += column.wide + usize::from(used > 0);
        kept += 1;
    }
    columns.truncate(kept);
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::CUSTOM;

    fn object(fields: &[(&str, Value)]) -> Value {
        Object::value(&CUSTOM, fields.iter().map(|(name, value)| (*name, value.clone())).collect())
    }

    #[test]
    fn few_properties_are_a_table_and_many_are_a_list() {
        let mut printer = Printer::default();
        let one = object(&[("Name", Value::text("blue1")), ("Number", Value::Integer(5))]);
        let two = object(&[("Name", Value::text("b")), ("Number", Value::Integer(50))]);
        assert_eq!(printer.take(one, None) + &printer.take(two, None), "");
        assert_eq!(
            printer.take(Value::text("x"), None),
            "\nName  Number\n----  ------\nblue1      5\nb         50\n\nx\n"
        );
        let names = ["a", "bb", "ccc", "dddd", "eeeee"];
        let many = object(&names.map(|name| (name, Value::text(name))));
        assert_eq!(printer.take(many, Some(12)), "");
        let shown = "\na     : a\nbb    : bb\nccc   : ccc\ndddd  : dddd\neeeee : eeee\n        e\n\n";
        assert_eq!(printer.flush(Some(12)), shown);
        assert_eq!(printer.flush(None), "");
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let row = vec![("Name".to_owned(), Value::text("a long name")), ("Other".to_owned(), Value::text("x"))];
        assert_eq!(table(std::slice::from_ref(&row), Some(8), true), "\nName\n----\na long …\n\n");
        assert_eq!(table(&[row], Some(15), false), "\na long name x\n\n");
        let empty = vec![
            ("A".to_owned(), Value::Null),
            ("B".to_owned(), Value::array(vec![Value::Integer(1), Value::text("x")])),
        ];
        assert_eq!(list(&[empty], None), "\nA : \nB : {1, x}\n\n");
    }
}
