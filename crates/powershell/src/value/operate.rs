//! Operators. As in PowerShell the left operand decides: a text is added to, a number is counted with, and of an array each
//! element is compared.

use std::cmp::Ordering;

use super::{Table, Value, size, wildcard};
use crate::syntax::tree::{Comparison, Operator};

/// The longest text, and the most elements of an array, that an operator makes.
pub const MAX_TEXT: usize = 16 << 20;
/// See [`MAX_TEXT`].
pub const MAX_ITEMS: usize = 1 << 20;

/// What an operator makes of two values.
///
/// # Errors
/// In a sentence.
pub fn binary(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    match operator {
        Operator::Add => add(left, right),
        Operator::Subtract => arithmetic(operator, left, right),
        Operator::Multiply => multiply(left, right),
        Operator::Divide | Operator::Remainder => arithmetic(operator, left, right),
        Operator::Range => range(left, right),
        Operator::Format => format(&left.to_text(), &right.items()).map(Value::text),
        Operator::Join => Ok(Value::text(join(left, &right.to_text())?)),
        Operator::Split => split(left, &right.to_text()),
        Operator::Replace => replace(left, right),
        Operator::BitAnd | Operator::BitOr | Operator::BitXor | Operator::ShiftLeft | Operator::ShiftRight => {
            bits(operator, left, right)
        }
        Operator::Compare(comparison, case) => compare(comparison, case, left, right),
    }
}

fn number(value: &Value) -> Result<Value, String> {
    value.to_number().ok_or_else(|| format!("\"{}\" is no number", value.to_text()))
}

fn too_long(what: &str, limit: usize) -> String {
    format!("this would make {what} of more than {limit}; make less of it at once")
}

fn add(left: &Value, right: &Value) -> Result<Value, String> {
    match left {
        Value::Null => Ok(right.clone()),
        Value::Text(text) => {
            let sum = format!("{text}{}", right.to_text());
            if sum.len() > MAX_TEXT { Err(too_long("a text in bytes", MAX_TEXT)) } else { Ok(Value::text(sum)) }
        }
        Value::Array(items) => {
            let mut sum = items.borrow().clone();
            match right {
                Value::Array(more) => sum.extend(more.borrow().iter().cloned()),
                one => sum.push(one.clone()),
            }
            if sum.len() > MAX_ITEMS { Err(too_long("an array of elements", MAX_ITEMS)) } else { Ok(Value::array(sum)) }
        }
        Value::Table(table) => match right {
            Value::Table(more) => {
                let mut sum: Table = table.borrow().clone();
                for (key, value) in &more.borrow().entries {
                    if sum.get(key).is_some() {
                        return Err(format!("both hash tables have the key \"{key}\""));
                    }
                    sum.set(key, value.clone());
                }
                Ok(Value::table(sum))
            }
            _ => Err("only a hash table can be added to a hash table".to_owned()),
        },
        _ => arithmetic(Operator::Add, left, right),
    }
}

fn multiply(left: &Value, right: &Value) -> Result<Value, String> {
    let times = || {
        let times = right.to_integer().ok_or_else(|| format!("\"{}\" is no number", right.to_text()))?;
        usize::try_from(times).map_err(|_| format!("nothing can be repeated {times} times"))
    };
    match left {
        Value::Text(text) => {
            let times = times()?;
            if text.len().saturating_mul(times) > MAX_TEXT {
                return Err(too_long("a text in bytes", MAX_TEXT));
            }
            Ok(Value::text(text.repeat(times)))
        }
        Value::Array(items) => {
            let (items, times) = (items.borrow(), times()?);
            if items.len().saturating_mul(times) > MAX_ITEMS {
                return Err(too_long("an array of elements", MAX_ITEMS));
            }
            Ok(Value::array(std::iter::repeat_n(items.as_slice(), times).flatten().cloned().collect()))
        }
        _ => arithmetic(Operator::Multiply, left, right),
    }
}

fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    let (left, right) = (number(left)?, number(right)?);
    let zero = matches!(right, Value::Integer(0));
    if zero && matches!(operator, Operator::Divide | Operator::Remainder) {
        return Err("nothing can be divided by zero".to_owned());
    }
    if let (Value::Integer(left), Value::Integer(right)) = (&left, &right) {
        let whole = match operator {
            Operator::Add => left.checked_add(*right),
            Operator::Subtract => left.checked_sub(*right),
            Operator::Multiply => left.checked_mul(*right),
            Operator::Remainder => left.checked_rem(*right),
            // What does not come out even is a number with a fraction.
            _ if left.checked_rem(*right) == Some(0) => left.checked_div(*right),
            _ => None,
        };
        if let Some(whole) = whole {
            return Ok(Value::Integer(whole));
        }
    }
    let real = |value: &Value| match value {
        Value::Integer(number) => *number as f64,
        Value::Real(number) => *number,
        _ => f64::NAN,
    };
    let (left, right) = (real(&left), real(&right));
    Ok(Value::Real(match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Remainder => left % right,
        _ => left / right,
    }))
}

fn range(left: &Value, right: &Value) -> Result<Value, String> {
    let end = |value: &Value| value.to_integer().ok_or_else(|| format!("\"{}\" is no number", value.to_text()));
    let (from, to) = (end(left)?, end(right)?);
    if from.abs_diff(to) as usize >= MAX_ITEMS {
        return Err(too_long("an array of elements", MAX_ITEMS));
    }
    let numbers: Vec<Value> = if from <= to {
        (from..=to).map(Value::Integer).collect()
    } else {
        (to..=from).rev().map(Value::Integer).collect()
    };
    Ok(Value::array(numbers))
}

fn bits(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    let whole = |value: &Value| value.to_integer().ok_or_else(|| format!("\"{}\" is no whole number", value.to_text()));
    let (left, right) = (whole(left)?, whole(right)?);
    let by = (right & 63) as u32;
    Ok(Value::Integer(match operator {
        Operator::BitAnd => left & right,
        Operator::BitOr => left | right,
        Operator::BitXor => left ^ right,
        Operator::ShiftLeft => left.wrapping_shl(by),
        _ => left >> by,
    }))
}

/// `-join`, and `[string]::Join`.
///
/// # Errors
/// When it would be too long.
pub fn join(items: &Value, between: &str) -> Result<String, String> {
    let joined = items.items().iter().map(Value::to_text).collect::<Vec<_>>().join(between);
    if joined.len() > MAX_TEXT { Err(too_long("a text in bytes", MAX_TEXT)) } else { Ok(joined) }
}

/// A regular expression that looks at case or not. Its size is bounded, and so is the time that it takes (crate `regex`).
fn pattern(text: &str, case: bool) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(text)
        .case_insensitive(!case)
        .build()
        .map_err(|_| format!("\"{text}\" is no regular expression that is supported"))
}

fn split(left: &Value, separator: &str) -> Result<Value, String> {
    let pattern = pattern(separator, false)?;
    let mut parts = Vec::new();
    for item in left.items() {
        parts.extend(pattern.split(&item.to_text()).map(Value::text));
    }
    Ok(Value::array(parts))
}

fn replace(left: &Value, right: &Value) -> Result<Value, String> {
    let arguments = right.items();
    let (what, with) = match arguments.as_slice() {
        [what] => (what.to_text(), String::new()),
        [what, with] => (what.to_text(), with.to_text()),
        _ => return Err("-replace takes a regular expression and what stands in its place".to_owned()),
    };
    let pattern = pattern(&what, false)?;
    let one = |value: &Value| Value::text(pattern.replace_all(&value.to_text(), with.as_str()));
    Ok(match left {
        Value::Array(items) => Value::array(items.borrow().iter().map(one).collect()),
        value => one(value),
    })
}

/// `-f`: `{0}`, `{1,8}`, `{0:X4}`, `{0:D3}`, `{0:N2}`.
///
/// # Errors
/// In a sentence.
pub fn format(template: &str, arguments: &[Value]) -> Result<String, String> {
    let (mut out, mut letters) = (String::new(), template.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            '{' if letters.peek() == Some(&'{') => out.extend(letters.next()),
            '}' if letters.peek() == Some(&'}') => out.extend(letters.next()),
            '{' => {
                let inner: String = letters.by_ref().take_while(|letter| *letter != '}').collect();
                out.push_str(&item(&inner, arguments)?);
            }
            letter => out.push(letter),
        }
        if out.len() > MAX_TEXT {
            return Err(too_long("a text in bytes", MAX_TEXT));
        }
    }
    Ok(out)
}

fn item(inner: &str, arguments: &[Value]) -> Result<String, String> {
    let malformed =
        || format!("{{{inner}}} is not understood in a format; write {{0}}, {{0,8}}, {{0:X4}}, {{0:D3}} or {{0:N2}}");
    let (place, how) = inner.split_once(':').map_or((inner, ""), |(place, how)| (place, how));
    let (number, width) = place.split_once(',').map_or((place, "0"), |(number, width)| (number, width));
    let number: usize = number.trim().parse().map_err(|_| malformed())?;
    let width: i64 = width.trim().parse().map_err(|_| malformed())?;
    let value = arguments.get(number).ok_or_else(|| {
        format!("the format has {{{number}}}, and there are {} values; count from 0", arguments.len())
    })?;
    let text = formatted(value, how).ok_or_else(malformed)?;
    let columns =
        usize::try_from(width.unsigned_abs()).ok().filter(|columns| *columns <= 1000).ok_or_else(malformed)?;
    Ok(if width < 0 { format!("{text:<columns$}") } else { format!("{text:>columns$}") })
}

fn formatted(value: &Value, how: &str) -> Option<String> {
    let Some(kind) = how.chars().next() else { return Some(value.to_text()) };
    let digits: usize = match &how[kind.len_utf8()..] {
        "" => 0,
        digits => digits.parse().ok().filter(|digits| *digits <= 100)?,
    };
    Some(match kind {
        'X' => format!("{:0digits$X}", value.to_integer()?),
        'x' => format!("{:0digits$x}", value.to_integer()?),
        'D' | 'd' => format!("{:0digits$}", value.to_integer()?),
        'N' | 'n' | 'F' | 'f' => {
            let digits = if how.len() == 1 { 2 } else { digits };
            let number = match value.to_number()? {
                Value::Integer(number) => number as f64,
                Value::Real(number) => number,
                _ => return None,
            };
            format!("{number:.digits$}")
        }
        _ => return None,
    })
}

fn compare(comparison: Comparison, case: bool, left: &Value, right: &Value) -> Result<Value, String> {
    use Comparison::*;
    let has = |items: &Value, wanted: &Value| items.items().iter().any(|item| equal(item, wanted, case));
    match comparison {
        Contains => return Ok(Value::Boolean(has(left, right))),
        NotContains => return Ok(Value::Boolean(!has(left, right))),
        In => return Ok(Value::Boolean(has(right, left))),
        NotIn => return Ok(Value::Boolean(!has(right, left))),
        _ => {}
    }
    let regular = match comparison {
        Match | NotMatch => Some(pattern(&right.to_text(), case)?),
        _ => None,
    };
    let one = |left: &Value| -> Result<bool, String> {
        let ordered = |wanted: fn(Ordering) -> bool| -> Result<bool, String> {
            order(left, right, case)
                .map(wanted)
                .ok_or_else(|| format!("{} and {} have no order", left.sort(), right.sort()))
        };
        Ok(match comparison {
            Equal => equal(left, right, case),
            NotEqual => !equal(left, right, case),
            Less => ordered(Ordering::is_lt)?,
            LessOrEqual => ordered(Ordering::is_le)?,
            Greater => ordered(Ordering::is_gt)?,
            GreaterOrEqual => ordered(Ordering::is_ge)?,
            Like => wildcard::matches(&right.to_text(), &left.to_text(), case),
            NotLike => !wildcard::matches(&right.to_text(), &left.to_text(), case),
            Match => regular.as_ref().is_some_and(|regular| regular.is_match(&left.to_text())),
            _ => !regular.as_ref().is_some_and(|regular| regular.is_match(&left.to_text())),
        })
    };
    // Of an array those elements come out of which it is true.
    if let Value::Array(items) = left {
        let items = items.borrow().clone();
        let mut fitting = Vec::new();
        for item in items {
            if one(&item)? {
                fitting.push(item);
            }
        }
        return Ok(Value::array(fitting));
    }
    one(left).map(Value::Boolean)
}

/// Whether two values are equal, the right one made what the left one is.
pub fn equal(left: &Value, right: &Value, case: bool) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Boolean(left), right) => *left == right.is_true(),
        (Value::Integer(_) | Value::Real(_), right) => {
            right.to_number().is_some_and(|right| order(left, &right, case) == Some(Ordering::Equal))
        }
        (Value::Text(left), right) => {
            let right = right.to_text();
            if case { **left == *right } else { left.to_lowercase() == right.to_lowercase() }
        }
        (Value::Object(left), Value::Object(right)) => std::rc::Rc::ptr_eq(left, right),
        (Value::Table(left), Value::Table(right)) => std::rc::Rc::ptr_eq(left, right),
        (Value::Object(_), right) => left.to_text().to_lowercase() == right.to_text().to_lowercase(),
        _ => false,
    }
}

/// Which of two values comes first.
pub fn order(left: &Value, right: &Value, case: bool) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Null, _) => Some(Ordering::Less),
        (_, Value::Null) => Some(Ordering::Greater),
        (Value::Text(left), right) => {
            let right = right.to_text();
            Some(if case { (**left).cmp(&*right) } else { left.to_lowercase().cmp(&right.to_lowercase()) })
        }
        _ => match (left.to_number()?, right.to_number()?) {
            (Value::Integer(left), Value::Integer(right)) => Some(left.cmp(&right)),
            (left, right) => {
                let real = |value| match value {
                    Value::Integer(number) => number as f64,
                    Value::Real(number) => number,
                    _ => f64::NAN,
                };
                real(left).partial_cmp(&real(right))
            }
        },
    }
}

/// How much work it was to make a value, in steps: what is large counts more.
pub fn weight(value: &Value) -> i64 {
    match value {
        Value::Text(text) => size(text.len() / 64),
        Value::Array(items) => size(items.borrow().len() / 8),
        _ => 0,
    }
}
