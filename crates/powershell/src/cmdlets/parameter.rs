//! What parameters take, and how values become that.

use std::net::IpAddr;

use ipnet::IpNet;
use model::{MacAddress, RoutingDomainId};

use crate::value::{Value, wildcard};

/// What a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    /// A text.
    Text,
    /// A whole number of this range.
    Integer(i64, i64),
    /// `$true` or `$false`.
    Boolean,
    /// Nothing: it is there or not.
    Switch,
    /// A MAC address.
    Mac,
    /// An address of either family.
    Address,
    /// A prefix of either family.
    Prefix,
    /// A UUID, in braces or not.
    Guid,
    /// One of these words, or the number of its place.
    Word(&'static [&'static str]),
    /// A script block.
    Script,
    /// A hash table.
    Table,
    /// Anything.
    Anything,
}

/// Where a parameter gets its value from, beside the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piped {
    /// From nowhere.
    No,
    /// It is each object of the pipeline.
    Value,
    /// It is the property of this name of each object of the pipeline.
    Name,
}

/// A parameter of a cmdlet.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// What it takes.
    pub takes: Takes,
    /// Whether it takes several.
    pub many: bool,
    /// Its place among arguments without names.
    pub position: Option<usize>,
    /// Whether it must be given.
    pub mandatory: bool,
    /// Where else it comes from.
    pub piped: Piped,
    /// Whether it is a filter that wildcards may stand in.
    pub wild: bool,
    /// Whether it takes all arguments without names that are left.
    pub rest: bool,
}

impl Parameter {
    /// A parameter that may be given by its name.
    pub const fn new(name: &'static str, takes: Takes) -> Self {
        Self {
            name,
            aliases: &[],
            takes,
            many: false,
            position: None,
            mandatory: false,
            piped: Piped::No,
            wild: false,
            rest: false,
        }
    }

    /// It must be given.
    pub const fn must(self) -> Self {
        Self { mandatory: true, ..self }
    }

    /// It takes several.
    pub const fn many(self) -> Self {
        Self { many: true, ..self }
    }

    /// It may be given by its place.
    pub const fn at(self, position: usize) -> Self {
        Self { position: Some(position), ..self }
    }

    /// It has other names.
    pub const fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// It is each object of the pipeline.
    pub const fn by_value(self) -> Self {
        Self { piped: Piped::Value, ..self }
    }

    /// It is a property of each object of the pipeline.
    pub const fn by_name(self) -> Self {
        Self { piped: Piped::Name, ..self }
    }

    /// It is a filter, of several values, that wildcards may stand in.
    pub const fn filter(self) -> Self {
        Self {
            many: true,
            wild: matches!(self.takes, Takes::Text | Takes::Mac | Takes::Address | Takes::Prefix | Takes::Guid),
            ..self
        }
    }

    /// It takes all that is left.
    pub const fn rest(self) -> Self {
        Self { rest: true, many: true, ..self }
    }

    /// What it takes, for sentences.
    pub fn accepted(&self) -> String {
        match self.takes {
            Takes::Text => "a text".to_owned(),
            Takes::Integer(least, most) => format!("a whole number of {least} to {most}"),
            Takes::Boolean => "$true or $false".to_owned(),
            Takes::Switch => "nothing, or :$true or :$false".to_owned(),
            Takes::Mac => "a MAC address of six bytes such as 101010101105".to_owned(),
            Takes::Address => "an address such as 10.0.0.5 or fd00::5".to_owned(),
            Takes::Prefix => "a prefix such as 10.0.0.0/24 or fd00::/64".to_owned(),
            Takes::Guid => "a GUID such as {11111111-2222-3333-4444-000000005001}".to_owned(),
            Takes::Word(words) => format!("one of {}", words.join(", ")),
            Takes::Script => "a script block { ... }".to_owned(),
            Takes::Table => "a hash table @{ ... }".to_owned(),
            Takes::Anything => "anything".to_owned(),
        }
    }

    /// A value made what the parameter takes.
    ///
    /// # Errors
    /// A sentence with the parameter, the value, and what is accepted.
    pub fn convert(&self, value: &Value) -> Result<Value, String> {
        if self.many {
            let items = match value {
                Value::Null => vec![Value::Null],
                value => value.items(),
            };
            let items = items.iter().map(|item| self.convert_one(item)).collect::<Result<Vec<_>, _>>()?;
            return Ok(Value::array(items));
        }
        match value {
            Value::Array(items) if !matches!(self.takes, Takes::Anything | Takes::Text) => {
                match items.borrow().as_slice() {
                    [one] => self.convert_one(one),
                    several => Err(format!("-{} takes one value, and {} were given", self.name, several.len())),
                }
            }
            value => self.convert_one(value),
        }
    }

    fn convert_one(&self, value: &Value) -> Result<Value, String> {
        let text = value.to_text();
        let trimmed = text.trim();
        if self.wild && wildcard::is_wild(&text) {
            return Ok(Value::text(text));
        }
        let refused = |why: &str| format!("-{} \"{text}\": {why}", self.name);
        let wrong = || refused(&format!("it takes {}", self.accepted()));
        if matches!(value, Value::Null) && !matches!(self.takes, Takes::Anything | Takes::Boolean | Takes::Switch) {
            return Err(format!("-{} is $null; it takes {}", self.name, self.accepted()));
        }
        Ok(match self.takes {
            Takes::Anything => value.clone(),
            Takes::Text => Value::text(text),
            Takes::Integer(least, most) => match value.to_integer() {
                Some(number) if !trimmed.is_empty() && (least..=most).contains(&number) => Value::Integer(number),
                _ => return Err(wrong()),
            },
            Takes::Boolean => match value {
                Value::Boolean(_) => value.clone(),
                Value::Integer(number) => Value::Boolean(*number != 0),
                _ => return Err(wrong()),
            },
            Takes::Switch => match value {
                Value::Boolean(_) => value.clone(),
                _ => return Err(wrong()),
            },
            Takes::Mac => match trimmed.parse::<MacAddress>() {
                Ok(mac) => Value::text(mac_text(mac)),
                Err(error) => return Err(refused(&error.to_string())),
            },
            Takes::Address => match trimmed.parse::<IpAddr>() {
                Ok(address) => Value::text(address.to_string()),
                Err(_) => return Err(wrong()),
            },
            // An address alone is none: who left the length out of a network did not mean that one address.
            Takes::Prefix => match trimmed.parse::<IpNet>() {
                Ok(prefix) => Value::text(prefix.to_string()),
                Err(_) => return Err(wrong()),
            },
            Takes::Guid => match uuid::Uuid::parse_str(trimmed) {
                Ok(id) => Value::text(format!("{{{}}}", id.to_string().to_uppercase())),
                Err(_) => return Err(wrong()),
            },
            Takes::Word(words) => match word(words, value) {
                Some(word) => Value::text(word),
                None => return Err(wrong()),
            },
            Takes::Script => match value {
                Value::Script(_) => value.clone(),
                _ => return Err(wrong()),
            },
            Takes::Table => match value {
                Value::Table(_) => value.clone(),
                _ => return Err(wrong()),
            },
        })
    }
}

/// A MAC address as HNV writes it: twelve digits.
pub fn mac_text(mac: MacAddress) -> String {
    mac.octets().iter().map(|octet| format!("{octet:02X}")).collect()
}

/// A routing domain, or a customer, as HNV writes it.
pub fn guid_text(id: RoutingDomainId) -> String {
    id.to_string().to_uppercase()
}

/// A word of an enumeration: its name, a beginning of it that no other has, or its number.
fn word(words: &'static [&'static str], value: &Value) -> Option<&'static str> {
    if let Value::Integer(number) = value {
        return usize::try_from(*number).ok().and_then(|number| words.get(number)).copied();
    }
    let lower = value.to_text().trim().to_lowercase();
    if let Ok(number) = lower.parse::<usize>() {
        return words.get(number).copied();
    }
    if let Some(exact) = words.iter().find(|word| word.to_lowercase() == lower) {
        return Some(exact);
    }
    let mut fitting = words.iter().filter(|word| !lower.is_empty() && word.to_lowercase().starts_with(&lower));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}
