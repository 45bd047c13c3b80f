//! From one kind of value to another: texts of values, numbers in texts, casts.

use std::net::IpAddr;
use std::rc::Rc;

use super::{CUSTOM, Object, Value, View};
use crate::syntax::text;
use crate::syntax::tree::{Cast, Kind, Simple};

impl Value {
    /// The value as a text, as `"$x"` shows it: elements of an array with blanks between.
    pub fn to_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Boolean(it) => if *it { "True" } else { "False" }.to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Real(number) => real(*number),
            Self::Text(text) => text.to_string(),
            Self::Array(items) => items.borrow().iter().map(Self::to_text).collect::<Vec<_>>().join(" "),
            Self::Table(_) => "System.Collections.Hashtable".to_owned(),
            Self::Object(object) => match object.get("Name") {
                _ if object.class.view == View::Text => object.get("Text").unwrap_or_default().to_text(),
                // What stands for something of a host is called by its name, so that it can be given as one.
                Some(name) if object.source.is_some() => name.to_text(),
                _ if *object.class == CUSTOM => {
                    let properties = object.properties.borrow();
                    let fields = properties.entries.iter().map(|(name, value)| format!("{name}={}", value.to_text()));
                    format!("@{{{}}}", fields.collect::<Vec<_>>().join("; "))
                }
                _ => object.class.name.to_owned(),
            },
            Self::Script(_) => "{ ... }".to_owned(),
        }
    }

    /// The value as a number, if it is or says one.
    pub fn to_number(&self) -> Option<Self> {
        match self {
            Self::Null => Some(Self::Integer(0)),
            Self::Boolean(it) => Some(Self::Integer(i64::from(*it))),
            Self::Integer(_) | Self::Real(_) => Some(self.clone()),
            Self::Text(written) => {
                let trimmed = written.trim();
                let (sign, digits) = match trimmed.strip_prefix('-') {
                    Some(rest) => (-1, rest),
                    None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed)),
                };
                if trimmed.is_empty() {
                    return Some(Self::Integer(0));
                }
                if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
                    return None;
                }
                match text::number(digits)? {
                    Kind::Integer(number) => number.checked_mul(sign).map(Self::Integer),
                    Kind::Real(number) => Some(Self::Real(number * sign as f64)),
                    _ => None,
                }
            }
            Self::Array(items) => match items.borrow().as_slice() {
                [one] => one.to_number(),
                _ => None,
            },
            Self::Table(_) | Self::Object(_) | Self::Script(_) => None,
        }
    }

    /// The value as a whole number; halves go to the even one, as PowerShell rounds.
    pub fn to_integer(&self) -> Option<i64> {
        match self.to_number()? {
            Self::Integer(number) => Some(number),
            Self::Real(number) => {
                let whole = number.round_ties_even();
                ((i64::MIN as f64)..(i64::MAX as f64)).contains(&whole).then_some(whole as i64)
            }
            _ => None,
        }
    }

    /// The value made what a cast says.
    ///
    /// # Errors
    /// In a sentence, when it cannot be made that.
    pub fn cast(&self, cast: Cast) -> Result<Self, String> {
        if cast.array {
            let items = self.items();
            let items = items.iter().map(|item| item.cast_one(cast.to)).collect::<Result<Vec<_>, _>>()?;
            return Ok(Self::array(items));
        }
        self.cast_one(cast.to)
    }

    fn cast_one(&self, to: Simple) -> Result<Self, String> {
        let refused = |what: &str| Err(format!("\"{}\" cannot be made {what}", self.to_text()));
        Ok(match to {
            Simple::Any => self.clone(),
            Simple::Text => Self::text(self.to_text()),
            Simple::Boolean | Simple::Switch => Self::Boolean(self.is_true()),
            Simple::Integer(least, most, name) => match self.to_integer() {
                Some(number) if (least..=most).contains(&number) => Self::Integer(number),
                Some(_) => return refused(&format!("[{name}], which goes from {least} to {most}")),
                None => return refused(&format!("a number ([{name}])")),
            },
            Simple::Real => match self.to_number() {
                Some(Self::Integer(number)) => Self::Real(number as f64),
                Some(number) => number,
                None => return refused("a number ([double])"),
            },
            Simple::Table | Simple::Ordered => match self {
                Self::Table(_) | Self::Null => self.clone(),
                _ => return refused("a hash table"),
            },
            Simple::Object => match self {
                Self::Table(table) => Self::Object(Rc::new(Object {
                    class: &CUSTOM,
                    properties: std::cell::RefCell::new(table.borrow().clone()),
                    source: None,
                })),
                other => other.clone(),
            },
            Simple::Script => match self {
                Self::Script(_) => self.clone(),
                _ => return refused("a script block"),
            },
            Simple::Guid => match uuid::Uuid::parse_str(self.to_text().trim()) {
                Ok(id) => Self::text(id.to_string()),
                Err(_) => return refused("a GUID such as 11111111-2222-3333-4444-000000005001"),
            },
            Simple::Address => match self.to_text().trim().parse::<IpAddr>() {
                Ok(address) => Self::text(address.to_string()),
                Err(_) => return refused("an address such as 10.0.0.5 or fd00::5"),
            },
            Simple::Void => Self::Null,
        })
    }

    /// Whether it is of a type already.
    pub fn is_of(&self, cast: Cast) -> bool {
        match (self, cast.to, cast.array) {
            (Self::Array(_), _, array) => array,
            (_, _, true) => false,
            (Self::Text(_), Simple::Text, _)
            | (Self::Boolean(_), Simple::Boolean | Simple::Switch, _)
            | (Self::Real(_), Simple::Real, _)
            | (Self::Table(_), Simple::Table, _)
            | (Self::Object(_), Simple::Object, _)
            | (Self::Script(_), Simple::Script, _) => true,
            (Self::Integer(number), Simple::Integer(least, most, _), _) => (least..=most).contains(number),
            (Self::Null, ..) => false,
            (_, Simple::Any, _) => true,
            _ => false,
        }
    }
}

/// A number with a fraction as PowerShell writes it.
pub fn real(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 { format!("{number:.0}") } else { number.to_string() }
}
