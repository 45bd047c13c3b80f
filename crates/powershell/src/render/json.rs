//! Values as JSON.

use serde_json::{Map, Value as Json};

use crate::value::{Value, convert};

/// A value as JSON; what stands deeper than so many levels is written as a text.
pub fn of(value: &Value, depth: usize) -> Json {
    let map = |entries: &[(std::rc::Rc<str>, Value)]| -> Json {
        let fields = entries.iter().map(|(name, value)| (name.to_string(), below(value, depth)));
        Json::Object(fields.collect::<Map<String, Json>>())
    };
    match value {
        Value::Null => Json::Null,
        Value::Boolean(it) => Json::Bool(*it),
        Value::Integer(number) => (*number).into(),
        Value::Real(number) => {
            serde_json::Number::from_f64(*number).map_or_else(|| convert::real(*number).into(), Json::Number)
        }
        Value::Text(text) => Json::String(text.to_string()),
        Value::Array(items) => Json::Array(items.borrow().iter().map(|item| below(item, depth)).collect()),
        Value::Table(table) => map(&table.borrow().entries),
        Value::Object(object) => map(&object.properties.borrow().entries),
        Value::Script(_) => Json::String(value.to_text()),
    }
}

fn below(value: &Value, depth: usize) -> Json {
    match (value, depth.checked_sub(1)) {
        (Value::Array(_) | Value::Table(_) | Value::Object(_), None) => Json::String(value.to_text()),
        (value, Some(depth)) => of(value, depth),
        (value, None) => of(value, 0),
    }
}
