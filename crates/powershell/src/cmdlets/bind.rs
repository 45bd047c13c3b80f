//! From the arguments of a command to the parameters of its cmdlet.

use std::collections::BTreeMap;

use super::parameter::{Parameter, Piped, Takes};
use super::{Cmdlet, Style};
use crate::value::Value;

/// An argument whose value is known.
#[derive(Clone, Debug)]
pub enum Given {
    /// By its place.
    Positional(Value),
    /// By its name; a switch may have no value, and one that is not tied to it with a colon is no switch's.
    Named(String, Option<Value>, bool),
}

/// What the parameters of a cmdlet are.
#[derive(Clone, Debug, Default)]
pub struct Bound {
    values: BTreeMap<&'static str, Value>,
}

impl Bound {
    /// The value of a parameter, if it was given.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Whether a parameter was given.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether a switch is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(Value::is_true)
    }

    /// A parameter as a text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(Value::to_text)
    }

    /// A parameter as a number.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::to_integer)
    }

    /// The values of a parameter that takes several.
    pub fn items(&self, name: &str) -> Vec<Value> {
        self.get(name).map(Value::items).unwrap_or_default()
    }

    /// Takes a parameter out.
    pub fn remove(&mut self, name: &str) {
        self.values.remove(name);
    }
}

/// What every cmdlet takes (about_CommonParameters).
pub const COMMON: &[Parameter] = &[
    Parameter::new("ErrorAction", Takes::Word(&["SilentlyContinue", "Stop", "Continue", "Inquire", "Ignore"]))
        .also(&["ea"]),
    Parameter::new("WarningAction", Takes::Word(&["SilentlyContinue", "Stop", "Continue", "Inquire", "Ignore"]))
        .also(&["wa"]),
    Parameter::new("Verbose", Takes::Switch).also(&["vb"]),
    Parameter::new("Debug", Takes::Switch).also(&["db"]),
];
/// What cmdlets take that change something.
pub const CHANGING: &[Parameter] =
    &[Parameter::new("WhatIf", Takes::Switch).also(&["wi"]), Parameter::new("Confirm", Takes::Switch).also(&["cf"])];
/// What cmdlets take that speak to hosts.
pub const REMOTE: &[Parameter] = &[
    Parameter::new("CimSession", Takes::Anything).also(&["Session"]).many(),
    Parameter::new("ThrottleLimit", Takes::Integer(0, i32::MAX as i64)),
    Parameter::new("AsJob", Takes::Switch),
];

/// All parameters of a cmdlet, its own first.
pub fn parameters(cmdlet: &Cmdlet) -> impl Iterator<Item = &'static Parameter> {
    let changing = if cmdlet.changes { CHANGING } else { &[] };
    let remote = if cmdlet.remote { REMOTE } else { &[] };
    cmdlet.parameters.iter().chain(changing).chain(remote).chain(COMMON)
}

/// The parameter of a name, of an alias, or of the beginning of a name that no other has.
///
/// # Errors
/// In a sentence.
pub fn find(cmdlet: &Cmdlet, name: &str) -> Result<&'static Parameter, String> {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    if let Some(found) = parameters(cmdlet).find(|it| is(it.name) || it.aliases.iter().any(|alias| is(alias))) {
        return Ok(found);
    }
    let lower = name.to_lowercase();
    let fitting: Vec<&Parameter> = parameters(cmdlet).filter(|it| it.name.to_lowercase().starts_with(&lower)).collect();
    match fitting.as_slice() {
        [one] => Ok(one),
        [] => {
            let known: Vec<String> = parameters(cmdlet).map(|it| format!("-{}", it.name)).collect();
            Err(format!("{} has no parameter -{name}; it has {}", cmdlet.name, known.join(", ")))
        }
        several => {
            let names: Vec<String> = several.iter().map(|it| format!("-{}", it.name)).collect();
            Err(format!("-{name} of {} may be any of {}; write more of it", cmdlet.name, names.join(", ")))
        }
    }
}

/// What the command line gives.
///
/// # Errors
/// In a sentence with the cmdlet, the parameter, the value and what is accepted.
pub fn command_line(cmdlet: &Cmdlet, given: &[Given]) -> Result<Bound, String> {
    let mut bound = Bound::default();
    let mut positional = Vec::new();
    for argument in given {
        match argument {
            Given::Positional(value) => positional.push(value.clone()),
            Given::Named(name, value, tied) => {
                let parameter = find(cmdlet, name)?;
                let value = match (parameter.takes, value) {
                    (Takes::Switch, None) => Value::Boolean(true),
                    (Takes::Switch, Some(value)) if !tied => {
                        positional.push(value.clone());
                        Value::Boolean(true)
                    }
                    (_, Some(value)) => value.clone(),
                    (_, None) => {
                        return Err(in_cmdlet(
                            cmdlet,
                            &format!("-{} needs a value: {}", parameter.name, parameter.accepted()),
                        ));
                    }
                };
                put(cmdlet, &mut bound, parameter, &value)?;
            }
        }
    }
    let mut positional = positional.into_iter();
    let mut places: Vec<&Parameter> = parameters(cmdlet).filter(|it| it.position.is_some()).collect();
    places.sort_by_key(|parameter| parameter.position);
    for parameter in places {
        if bound.has(parameter.name) || parameter.rest {
            continue;
        }
        let Some(value) = positional.next() else { break };
        put(cmdlet, &mut bound, parameter, &value)?;
    }
    let left: Vec<Value> = positional.collect();
    if left.is_empty() {
        return Ok(bound);
    }
    match parameters(cmdlet).find(|it| it.rest && !bound.has(it.name)) {
        Some(rest) => put(cmdlet, &mut bound, rest, &Value::array(left))?,
        None => {
            let message = format!("it takes no argument \"{}\" without a name here", left[0].to_text());
            return Err(in_cmdlet(cmdlet, &message));
        }
    }
    Ok(bound)
}

fn in_cmdlet(cmdlet: &Cmdlet, message: &str) -> String {
    format!("{}: {message}", cmdlet.name)
}

fn put(cmdlet: &Cmdlet, bound: &mut Bound, parameter: &'static Parameter, value: &Value) -> Result<(), String> {
    let value = parameter.convert(value).map_err(|message| in_cmdlet(cmdlet, &message))?;
    match bound.values.insert(parameter.name, value) {
        None => Ok(()),
        Some(_) => Err(in_cmdlet(cmdlet, &format!("-{} is given twice", parameter.name))),
    }
}

/// What an object of the pipeline gives besides.
///
/// # Errors
/// As [`command_line`].
pub fn piped(cmdlet: &Cmdlet, bound: &mut Bound, input: &Value) -> Result<(), String> {
    let mut taken = false;
    for parameter in parameters(cmdlet).filter(|it| it.piped == Piped::Value && !bound.has(it.name)).collect::<Vec<_>>()
    {
        // Of several that take the object the first that it fits has it.
        if parameter.convert(input).is_ok() && (fits(parameter, input) || cmdlet.style == Style::All) {
            put(cmdlet, bound, parameter, input)?;
            taken = true;
            break;
        }
    }
    for parameter in parameters(cmdlet).filter(|it| it.piped == Piped::Name) {
        if bound.has(parameter.name) {
            continue;
        }
        let Value::Object(object) = input else { continue };
        let names = std::iter::once(parameter.name).chain(parameter.aliases.iter().copied());
        let property = names.into_iter().find_map(|name| object.get(name));
        if let Some(value) = property.filter(|value| !matches!(value, Value::Null)) {
            put(cmdlet, bound, parameter, &value)?;
            taken = true;
        }
    }
    let takes = parameters(cmdlet).any(|it| it.piped != Piped::No);
    if !taken && takes && !parameters(cmdlet).any(|it| it.piped != Piped::No && bound.has(it.name)) {
        let message = format!("it takes no {} from the pipeline", input.sort());
        return Err(in_cmdlet(cmdlet, &message));
    }
    Ok(())
}

/// Whether an object is for a parameter that takes objects of the pipeline as they are.
fn fits(parameter: &Parameter, input: &Value) -> bool {
    match parameter.name {
        "InputObject" => true,
        _ => !matches!(input, Value::Table(_) | Value::Script(_)),
    }
}

/// Whether all is there that must be.
///
/// # Errors
/// In a sentence.
pub fn whole(cmdlet: &Cmdlet, bound: &Bound) -> Result<(), String> {
    let missing: Vec<String> = parameters(cmdlet)
        .filter(|it| it.mandatory && !bound.has(it.name))
        .map(|it| format!("-{} ({})", it.name, it.accepted()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(in_cmdlet(cmdlet, &format!("it needs {}", missing.join(" and "))))
}
