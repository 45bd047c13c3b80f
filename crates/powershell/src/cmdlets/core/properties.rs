//! Properties as they are typed behind `Select-Object`, `Sort-Object` and the `Format-` cmdlets: names, wildcards, script
//! blocks, and hash tables with a name and an expression.

use crate::cmdlets::Call;
use crate::run::{Shell, Stop};
use crate::value::{Value, wildcard};

/// One property that is wanted.
pub enum Wanted {
    /// By its name, or by a pattern.
    Name(String),
    /// By an expression, under a name.
    Computed(String, std::rc::Rc<crate::syntax::tree::Block>),
}

/// The properties that a parameter names.
pub fn wanted(call: &Call<'_>, parameter: &str) -> Result<Vec<Wanted>, Stop> {
    call.bound.items(parameter).iter().map(|value| one(call, parameter, value)).collect()
}

fn one(call: &Call<'_>, parameter: &str, value: &Value) -> Result<Wanted, Stop> {
    match value {
        Value::Script(block) => Ok(Wanted::Computed("{ ... }".to_owned(), block.clone())),
        Value::Table(table) => {
            let table = table.borrow();
            let find = |names: &[&str]| names.iter().find_map(|name| table.get(name)).cloned();
            let name = find(&["Name", "N", "Label", "L"]);
            match find(&["Expression", "E"]) {
                Some(Value::Script(block)) => {
                    Ok(Wanted::Computed(name.map_or_else(|| "{ ... }".to_owned(), |name| name.to_text()), block))
                }
                Some(property) => Ok(Wanted::Name(property.to_text())),
                None => call.fail(format!(
                    "-{parameter}: the hash table has no Expression; write @{{Name='x'; Expression={{ ... }}}}"
                )),
            }
        }
        other => Ok(Wanted::Name(other.to_text())),
    }
}

/// The names and values of all properties of an object.
pub fn all_of(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(object) => {
            let properties = object.properties.borrow();
            properties.entries.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
        }
        Value::Table(table) => {
            let table = table.borrow();
            table.entries.iter().map(|(name, value)| (name.to_string(), value.clone())).collect()
        }
        Value::Text(text) => vec![("Length".to_owned(), Value::Integer(crate::value::size(text.chars().count())))],
        _ => Vec::new(),
    }
}

/// The wanted properties of an object, under the names that they have.
pub fn of(shell: &mut Shell, value: &Value, wanted: &[Wanted]) -> Result<Vec<(String, Value)>, Stop> {
    let mut fields: Vec<(String, Value)> = Vec::new();
    for want in wanted {
        match want {
            Wanted::Computed(name, block) => {
                let computed = shell.value_with(block, value.clone())?;
                fields.push((name.clone(), computed));
            }
            Wanted::Name(pattern) if wildcard::is_wild(pattern) => {
                let fitting = all_of(value).into_iter().filter(|(name, _)| wildcard::matches(pattern, name, false));
                fields.extend(fitting.collect::<Vec<_>>());
            }
            Wanted::Name(name) => {
                // Under the name that it has, in its case.
                let all = all_of(value);
                let known = all.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
                fields.push(known.cloned().unwrap_or_else(|| (name.clone(), value.member(name))));
            }
        }
    }
    Ok(fields)
}
