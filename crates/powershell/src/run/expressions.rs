//! Expressions.

use std::rc::Rc;

use super::{Failure, Shell, Stop};
use crate::syntax::tree::{Expression, Kind, Logical, Method, Operator, Piece, Place, Static, Unary};
use crate::value::{CUSTOM, Class, Object, Table, Value, View, operate, size};

/// What `catch` finds in `$_`.
const ERROR_RECORD: Class = Class { name: "System.Management.Automation.ErrorRecord", view: View::Text };

/// A failure as a value.
pub fn error_record(failure: &Failure) -> Value {
    let message = || Value::text(&failure.message);
    let exception = Object::value(&CUSTOM, vec![("Message", message())]);
    let fields = vec![("Exception", exception), ("Line", Value::Integer(failure.at.line.into())), ("Text", message())];
    Object::value(&ERROR_RECORD, fields)
}

/// Where an index counts to; negative ones from the end.
pub fn place(index: i64, length: usize) -> Option<usize> {
    let place = if index < 0 { index.checked_add(size(length))? } else { index };
    usize::try_from(place).ok().filter(|place| *place < length)
}

/// `x[y]`; what is not there is `$null`.
pub fn element(owner: &Value, index: &Value) -> Value {
    if let (Value::Array(_) | Value::Text(_), Value::Array(indices)) = (owner, index) {
        return Value::array(indices.borrow().iter().map(|index| element(owner, index)).collect());
    }
    match owner {
        Value::Table(table) => table.borrow().get(&index.to_text()).cloned().unwrap_or_default(),
        Value::Array(items) => {
            let items = items.borrow();
            let found = index.to_integer().and_then(|index| place(index, items.len()));
            found.map(|place| items[place].clone()).unwrap_or_default()
        }
        Value::Text(text) => {
            let letters: Vec<char> = text.chars().collect();
            let found = index.to_integer().and_then(|index| place(index, letters.len()));
            found.map(|place| Value::text(letters[place].to_string())).unwrap_or_default()
        }
        Value::Null => Value::Null,
        // Anything else is an array of one.
        other => match index.to_integer() {
            Some(0 | -1) => other.clone(),
            _ => other.member(&index.to_text()),
        },
    }
}

impl Shell {
    /// Where the last statement stood that was looked at, for what has no place of its own.
    pub(crate) fn here(&self) -> Place {
        self.at
    }

    /// The value of an expression.
    pub(crate) fn evaluate(&mut self, expression: &Expression) -> Result<Value, Stop> {
        self.at = expression.at;
        self.step(expression.at, 1)?;
        self.deeper(expression.at, |shell| shell.value_of(expression))
    }

    fn all(&mut self, expressions: &[Expression]) -> Result<Vec<Value>, Stop> {
        expressions.iter().map(|expression| self.evaluate(expression)).collect()
    }

    fn value_of(&mut self, expression: &Expression) -> Result<Value, Stop> {
        let at = expression.at;
        Ok(match &expression.kind {
            Kind::Text(text) => Value::Text(text.clone()),
            Kind::Integer(number) => Value::Integer(*number),
            Kind::Real(number) => Value::Real(*number),
            Kind::Variable(name) => self.variable(name),
            Kind::Environment(name) => std::env::var(name).map_or(Value::Null, Value::text),
            Kind::Expanding(pieces) => self.expand(at, pieces)?,
            Kind::Unary(operator, operand) => self.unary(at, *operator, operand)?,
            Kind::Binary(operator, left, right) => {
                let (left, right) = (self.evaluate(left)?, self.evaluate(right)?);
                self.binary(at, *operator, &left, &right)?
            }
            Kind::Logical(operator, left, right) => {
                let left = self.evaluate(left)?.is_true();
                Value::Boolean(match operator {
                    Logical::And => left && self.evaluate(right)?.is_true(),
                    Logical::Or => left || self.evaluate(right)?.is_true(),
                    Logical::Xor => left != self.evaluate(right)?.is_true(),
                })
            }
            Kind::Step(target, by, before) => self.step_by(at, target, *by, *before)?,
            Kind::Cast(cast, operand) => {
                let value = self.evaluate(operand)?;
                value.cast(*cast).or_else(|message| Self::fail(at, message))?
            }
            Kind::Is(operand, cast, not) => Value::Boolean(self.evaluate(operand)?.is_of(*cast) != *not),
            Kind::Member(of, name) => self.evaluate(of)?.member(name),
            Kind::Call(of, method, arguments) => {
                let of = self.evaluate(of)?;
                let arguments = self.all(arguments)?;
                call(&of, *method, &arguments).or_else(|message| Self::fail(at, message))?
            }
            Kind::Static(what, arguments) => {
                let arguments = self.all(arguments)?;
                of_type(*what, &arguments).or_else(|message| Self::fail(at, message))?
            }
            Kind::Index(of, index) => {
                let (of, index) = (self.evaluate(of)?, self.evaluate(index)?);
                element(&of, &index)
            }
            Kind::Paren(statement) => self.collect(statement)?,
            Kind::Sub(block) => Value::collected(self.output_of(&block.statements)?),
            Kind::Array(block) => Value::array(self.output_of(&block.statements)?),
            Kind::List(items) => Value::array(self.all(items)?),
            Kind::Table(entries, _) => {
                let mut table = Table::default();
                for (key, value) in entries {
                    let key = self.evaluate(key)?.to_text();
                    if table.get(&key).is_some() {
                        return Self::fail(at, format!("the hash table has the key \"{key}\" twice"));
                    }
                    let value = self.collect(value)?;
                    table.set(&key, value);
                }
                Value::table(table)
            }
            Kind::Script(block) => Value::Script(Rc::clone(block)),
        })
    }

    fn output_of(&mut self, statements: &[crate::syntax::tree::Statement]) -> Result<Vec<Value>, Stop> {
        let mut items = Vec::new();
        self.statements(statements, &mut |shell, value| {
            shell.step(shell.here(), 1)?;
            items.push(value);
            Ok(())
        })?;
        Ok(items)
    }

    fn expand(&mut self, at: Place, pieces: &[Piece]) -> Result<Value, Stop> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Value(expression) => text.push_str(&self.evaluate(expression)?.to_text()),
            }
            if text.len() > operate::MAX_TEXT {
                return Self::fail(at, format!("this would make a text of more than {} bytes", operate::MAX_TEXT));
            }
        }
        self.step(at, text.len() as u64 / 64)?;
        Ok(Value::text(text))
    }

    fn unary(&mut self, at: Place, operator: Unary, operand: &Expression) -> Result<Value, Stop> {
        let value = self.evaluate(operand)?;
        match operator {
            Unary::Not => Ok(Value::Boolean(!value.is_true())),
            Unary::Minus => self.binary(at, Operator::Subtract, &Value::Integer(0), &value),
            Unary::Plus => self.binary(at, Operator::Add, &Value::Integer(0), &value),
            Unary::Comma => Ok(Value::array(vec![value])),
            Unary::Join => operate::join(&value, "").map(Value::text).or_else(|message| Self::fail(at, message)),
            Unary::Split => {
                let text = value.to_text();
                Ok(Value::array(text.split_whitespace().map(Value::text).collect()))
            }
        }
    }

    fn binary(&mut self, at: Place, operator: Operator, left: &Value, right: &Value) -> Result<Value, Stop> {
        let value = operate::binary(operator, left, right).or_else(|message| Self::fail(at, message))?;
        self.step(at, operate::weight(&value).unsigned_abs())?;
        Ok(value)
    }

    fn step_by(
        &mut self,
        at: Place,
        target: &crate::syntax::tree::Target,
        by: i64,
        before: bool,
    ) -> Result<Value, Stop> {
        use crate::syntax::tree::Target;
        let old = match target {
            Target::Variable(name, _) => self.variable(name),
            Target::Member(of, name) => self.evaluate(of)?.member(name),
            Target::Index(of, index) => {
                let (of, index) = (self.evaluate(of)?, self.evaluate(index)?);
                element(&of, &index)
            }
            Target::List(_) => return Self::fail(at, "a list cannot be counted up"),
        };
        let new = self.binary(at, Operator::Add, &old.to_number().unwrap_or(Value::Integer(0)), &Value::Integer(by))?;
        self.assign_to(target, None, new.clone())?;
        Ok(if before { new } else { old })
    }
}

/// The arguments of a method, if there are as many as it takes.
fn texts<const N: usize>(arguments: &[Value]) -> Result<[String; N], String> {
    let texts: Vec<String> = arguments.iter().map(Value::to_text).collect();
    <[String; N]>::try_from(texts).map_err(|texts| format!("the method takes {N} arguments, and has {}", texts.len()))
}

fn call(of: &Value, method: Method, arguments: &[Value]) -> Result<Value, String> {
    match (of, method) {
        (Value::Table(table), Method::Add) => {
            let [key, value] = arguments else { return Err("Add takes a key and a value".to_owned()) };
            let key = key.to_text();
            if table.borrow().get(&key).is_some() {
                return Err(format!("the hash table has the key \"{key}\" already"));
            }
            table.borrow_mut().set(&key, value.clone());
            return Ok(Value::Null);
        }
        (Value::Table(table), Method::Remove) => {
            let [key] = texts::<1>(arguments)?;
            table.borrow_mut().remove(&key);
            return Ok(Value::Null);
        }
        (Value::Table(table), Method::ContainsKey | Method::Contains) => {
            let [key] = texts::<1>(arguments)?;
            return Ok(Value::Boolean(table.borrow().get(&key).is_some()));
        }
        (Value::Array(items), Method::Contains) => {
            let [wanted] = arguments else { return Err("Contains takes one argument".to_owned()) };
            return Ok(Value::Boolean(items.borrow().iter().any(|item| operate::equal(item, wanted, true))));
        }
        (Value::Array(_), Method::Add) => {
            return Err("an array has a fixed size; write $list += $value".to_owned());
        }
        (_, Method::Equals) => {
            let [other] = arguments else { return Err("Equals takes one argument".to_owned()) };
            return Ok(Value::Boolean(operate::equal(of, other, true)));
        }
        (Value::Null, _) => return Err("a method cannot be called on $null".to_owned()),
        _ => {}
    }
    of_text(&of.to_text(), of, method, arguments)
}

fn of_text(text: &str, of: &Value, method: Method, arguments: &[Value]) -> Result<Value, String> {
    let trimmed = |letters: &[Value]| -> Vec<char> {
        letters.iter().flat_map(|it| it.to_text().chars().collect::<Vec<_>>()).collect()
    };
    let is_trimmed =
        |set: &[char], letter: char| if set.is_empty() { letter.is_whitespace() } else { set.contains(&letter) };
    Ok(match method {
        Method::ToString => match arguments {
            [] => Value::text(text),
            // [guid]'s "B" is with braces, and numbers' formats are those of -f.
            [format] => match (uuid::Uuid::parse_str(text), format.to_text().to_uppercase().as_str()) {
                (Ok(id), "B") => Value::text(format!("{{{id}}}")),
                (Ok(id), "N") => Value::text(id.simple().to_string()),
                (Ok(id), "D") => Value::text(id.to_string()),
                _ => Value::text(operate::format(&format!("{{0:{}}}", format.to_text()), std::slice::from_ref(of))?),
            },
            _ => return Err("ToString takes one argument at most".to_owned()),
        },
        Method::ToUpper => Value::text(text.to_uppercase()),
        Method::ToLower => Value::text(text.to_lowercase()),
        Method::Trim => {
            let set = trimmed(arguments);
            Value::text(text.trim_matches(|letter| is_trimmed(&set, letter)))
        }
        Method::TrimStart => {
            let set = trimmed(arguments);
            Value::text(text.trim_start_matches(|letter| is_trimmed(&set, letter)))
        }
        Method::TrimEnd => {
            let set = trimmed(arguments);
            Value::text(text.trim_end_matches(|letter| is_trimmed(&set, letter)))
        }
        Method::Split => {
            let set = trimmed(arguments);
            Value::array(text.split(|letter| is_trimmed(&set, letter)).map(Value::text).collect())
        }
        Method::Replace => {
            let [what, with] = texts::<2>(arguments)?;
            if what.is_empty() {
                return Err("an empty text cannot be replaced".to_owned());
            }
            let replaced = text.replace(&what, &with);
            if replaced.len() > operate::MAX_TEXT {
                return Err(format!("this would make a text of more than {} bytes", operate::MAX_TEXT));
            }
            Value::text(replaced)
        }
        Method::Contains => Value::Boolean(text.contains(&texts::<1>(arguments)?[0])),
        Method::StartsWith => Value::Boolean(text.starts_with(&texts::<1>(arguments)?[0])),
        Method::EndsWith => Value::Boolean(text.ends_with(&texts::<1>(arguments)?[0])),
        Method::IndexOf => {
            let [wanted] = texts::<1>(arguments)?;
            let found = text.find(&wanted).map_or(-1, |at| size(text[..at].chars().count()));
            Value::Integer(found)
        }
        Method::Substring => substring(text, arguments)?,
        Method::PadLeft | Method::PadRight => pad(text, method, arguments)?,
        Method::Add | Method::Remove | Method::ContainsKey | Method::Equals => {
            return Err(format!("{} has no such method", of.sort()));
        }
    })
}

fn substring(text: &str, arguments: &[Value]) -> Result<Value, String> {
    let letters: Vec<char> = text.chars().collect();
    let number = |value: &Value| value.to_integer().and_then(|number| usize::try_from(number).ok());
    let part = match arguments {
        [from] => number(from).and_then(|from| letters.get(from..)),
        [from, length] => {
            number(from).zip(number(length)).and_then(|(from, length)| letters.get(from..from.checked_add(length)?))
        }
        _ => return Err("Substring takes where it begins and, if wanted, how long it is".to_owned()),
    };
    match part {
        Some(part) => Ok(Value::text(part.iter().collect::<String>())),
        None => Err(format!("the text has {} letters, and what Substring wants is outside", letters.len())),
    }
}

fn pad(text: &str, method: Method, arguments: &[Value]) -> Result<Value, String> {
    let width = arguments.first().and_then(Value::to_integer).and_then(|width| usize::try_from(width).ok());
    let Some(width) = width.filter(|width| *width <= operate::MAX_ITEMS) else {
        return Err(format!("the width must be a number of 0 to {}", operate::MAX_ITEMS));
    };
    let with = arguments.get(1).and_then(|with| with.to_text().chars().next()).unwrap_or(' ');
    let missing: String = std::iter::repeat_n(with, width.saturating_sub(text.chars().count())).collect();
    Ok(Value::text(if method == Method::PadLeft { missing + text } else { format!("{text}{missing}") }))
}

fn of_type(what: Static, arguments: &[Value]) -> Result<Value, String> {
    let real = |value: &Value| match value.to_number() {
        Some(Value::Integer(number)) => Ok(number as f64),
        Some(Value::Real(number)) => Ok(number),
        _ => Err(format!("\"{}\" is no number", value.to_text())),
    };
    let whole = |number: f64| if number.abs() < 9e15 { Value::Integer(number as i64) } else { Value::Real(number) };
    Ok(match (what, arguments) {
        (Static::NewGuid, _) => Value::text(uuid::Uuid::new_v4().to_string()),
        (Static::EmptyGuid, _) => Value::text(uuid::Uuid::nil().to_string()),
        (Static::IsNullOrEmpty, [text]) => Value::Boolean(text.to_text().is_empty()),
        (Static::IsNullOrWhiteSpace, [text]) => Value::Boolean(text.to_text().trim().is_empty()),
        (Static::Join, [between, items]) => Value::text(operate::join(items, &between.to_text())?),
        (Static::Format, [template, rest @ ..]) => {
            let rest: Vec<Value> = rest.iter().flat_map(Value::items).collect();
            Value::text(operate::format(&template.to_text(), &rest)?)
        }
        (Static::Min | Static::Max, [left, right]) => {
            let least = real(left)? <= real(right)?;
            let chosen = if least == (what == Static::Min) { left } else { right };
            chosen.to_number().unwrap_or_default()
        }
        (Static::Floor, [number]) => whole(real(number)?.floor()),
        (Static::Ceiling, [number]) => whole(real(number)?.ceil()),
        (Static::Round, [number]) => whole(real(number)?.round_ties_even()),
        _ => return Err("it does not take these arguments".to_owned()),
    })
}
