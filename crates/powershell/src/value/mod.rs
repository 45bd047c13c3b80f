//! Values of scripts.

pub mod convert;
pub mod operate;
pub mod wildcard;

use std::cell::RefCell;
use std::rc::Rc;

use crate::hosts::Source;
use crate::syntax::tree::Block;

/// A value.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `$null`.
    #[default]
    Null,
    /// `$true`, `$false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// A text.
    Text(Rc<str>),
    /// An array.
    Array(Rc<RefCell<Vec<Value>>>),
    /// A hash table.
    Table(Rc<RefCell<Table>>),
    /// An object.
    Object(Rc<Object>),
    /// A script block.
    Script(Rc<Block>),
}

/// A hash table; keys are found in any case, and keep the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The entries.
    pub entries: Vec<(Rc<str>, Value)>,
}

impl Table {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// Puts a value under a key.
    pub fn set(&mut self, key: &str, value: Value) {
        match self.entries.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key)) {
            Some((_, old)) => *old = value,
            None => self.entries.push((key.into(), value)),
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) {
        self.entries.retain(|(known, _)| !known.eq_ignore_ascii_case(key));
    }
}

/// An object: named properties.
#[derive(Debug)]
pub struct Object {
    /// How it is shown, and whose properties it has.
    pub class: &'static Class,
    /// The properties, in the order in which they are shown.
    pub properties: RefCell<Table>,
    /// What it stands for, if it is something of a host.
    pub source: Option<Source>,
}

/// What kind of object it is.
#[derive(PartialEq, Eq, Debug)]
pub struct Class {
    /// Name, as .NET would write it.
    pub name: &'static str,
    /// How it is shown if nothing else is said.
    pub view: View,
}

/// How objects are shown if nothing else is said.
#[derive(PartialEq, Eq, Debug)]
pub enum View {
    /// These properties, one a line.
    List(&'static [&'static str]),
    /// These properties in columns: heading, property.
    Table(&'static [(&'static str, &'static str)]),
    /// All properties: in columns up to four, else one a line.
    Any,
    /// As the text that it has.
    Text,
}

/// Objects that scripts make themselves.
pub const CUSTOM: Class = Class { name: "System.Management.Automation.PSCustomObject", view: View::Any };
/// What a `Format-` cmdlet has made.
pub const FORMATTED: Class = Class { name: "netvirt.Formatted", view: View::Text };

impl Object {
    /// An object that stands for nothing of a host.
    pub fn value(class: &'static Class, properties: Vec<(&str, Value)>) -> Value {
        Self::of(class, properties, None)
    }

    /// An object, and what it stands for.
    pub fn of(class: &'static Class, properties: Vec<(&str, Value)>, source: Option<Source>) -> Value {
        let entries = properties.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Value::Object(Rc::new(Self { class, properties: RefCell::new(Table { entries }), source }))
    }

    /// A property.
    pub fn get(&self, name: &str) -> Option<Value> {
        self.properties.borrow().get(name).cloned()
    }
}

impl Value {
    /// A text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// An array.
    pub fn array(items: Vec<Self>) -> Self {
        Self::Array(Rc::new(RefCell::new(items)))
    }

    /// A hash table.
    pub fn table(table: Table) -> Self {
        Self::Table(Rc::new(RefCell::new(table)))
    }

    /// What a pipeline makes of its output: nothing, the one thing, or an array.
    pub fn collected(mut items: Vec<Self>) -> Self {
        match items.len() {
            0 => Self::Null,
            1 => items.swap_remove(0),
            _ => Self::array(items),
        }
    }

    /// What a pipeline takes in of it, one by one: the elements of an array, nothing of `$null`.
    pub fn items(&self) -> Vec<Self> {
        match self {
            Self::Null => Vec::new(),
            Self::Array(items) => items.borrow().clone(),
            other => vec![other.clone()],
        }
    }

    /// Whether it counts as true.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Boolean(it) => *it,
            Self::Integer(number) => *number != 0,
            Self::Real(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Array(items) => match items.borrow().as_slice() {
                [] => false,
                [one] => one.is_true(),
                _ => true,
            },
            Self::Table(_) | Self::Object(_) | Self::Script(_) => true,
        }
    }

    /// A property of it; of an array those of its elements.
    pub fn member(&self, name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        match self {
            Self::Object(object) => object.get(name).unwrap_or(match lower.as_str() {
                "count" | "length" => Self::Integer(1),
                _ => Self::Null,
            }),
            Self::Table(table) => {
                let table = table.borrow();
                if let Some(value) = table.get(name) {
                    return value.clone();
                }
                match lower.as_str() {
                    "count" => Self::Integer(size(table.entries.len())),
                    "keys" => Self::array(table.entries.iter().map(|(key, _)| Self::Text(key.clone())).collect()),
                    "values" => Self::array(table.entries.iter().map(|(_, value)| value.clone()).collect()),
                    _ => Self::Null,
                }
            }
            Self::Array(items) => {
                let items = items.borrow();
                match lower.as_str() {
                    "count" | "length" => Self::Integer(size(items.len())),
                    _ => Self::collected(items.iter().flat_map(|item| item.member(name).items()).collect()),
                }
            }
            Self::Text(text) => match lower.as_str() {
                "length" => Self::Integer(size(text.chars().count())),
                "count" => Self::Integer(1),
                // Texts stand for addresses too: [ipaddress] has this property.
                "ipaddresstostring" | "guid" => self.clone(),
                _ => Self::Null,
            },
            Self::Null if matches!(lower.as_str(), "count" | "length") => Self::Integer(0),
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Real(_) | Self::Script(_) => {
                match lower.as_str() {
                    "count" | "length" => Self::Integer(1),
                    _ => Self::Null,
                }
            }
        }
    }

    /// The name of what it is, in sentences.
    pub const fn sort(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a truth value",
            Self::Integer(_) => "a whole number",
            Self::Real(_) => "a number",
            Self::Text(_) => "a text",
            Self::Array(_) => "an array",
            Self::Table(_) => "a hash table",
            Self::Object(_) => "an object",
            Self::Script(_) => "a script block",
        }
    }
}

/// A length as a number of scripts.
pub fn size(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
