//! The words of the language that netvirt knows: operators, types, methods, variables.

use super::tree::{Cast, Comparison, Logical, Method, Operator, Simple, Static, Unary};

/// A binary operator by what is written, in lower case.
pub fn binary(text: &str) -> Option<Operator> {
    Some(match text {
        "+" => Operator::Add,
        "-" => Operator::Subtract,
        "*" => Operator::Multiply,
        "/" => Operator::Divide,
        "%" => Operator::Remainder,
        ".." => Operator::Range,
        "-f" => Operator::Format,
        "-join" => Operator::Join,
        "-split" | "-isplit" => Operator::Split,
        "-replace" | "-ireplace" => Operator::Replace,
        "-band" => Operator::BitAnd,
        "-bor" => Operator::BitOr,
        "-bxor" => Operator::BitXor,
        "-shl" => Operator::ShiftLeft,
        "-shr" => Operator::ShiftRight,
        word => {
            let word = word.strip_prefix('-')?;
            let (comparison, case) = match (comparison(word), word.split_at_checked(1)?) {
                (Some(comparison), _) => (comparison, false),
                (None, ("i", word)) => (comparison(word)?, false),
                (None, ("c", word)) => (comparison(word)?, true),
                _ => return None,
            };
            Operator::Compare(comparison, case)
        }
    })
}

fn comparison(word: &str) -> Option<Comparison> {
    use Comparison::*;
    Some(match word {
        "eq" => Equal,
        "ne" => NotEqual,
        "lt" => Less,
        "le" => LessOrEqual,
        "gt" => Greater,
        "ge" => GreaterOrEqual,
        "like" => Like,
        "notlike" => NotLike,
        "match" => Match,
        "notmatch" => NotMatch,
        "contains" => Contains,
        "notcontains" => NotContains,
        "in" => In,
        "notin" => NotIn,
        _ => return None,
    })
}

/// A logical operator.
pub fn logical(text: &str) -> Option<Logical> {
    Some(match text {
        "-and" => Logical::And,
        "-or" => Logical::Or,
        "-xor" => Logical::Xor,
        _ => return None,
    })
}

/// A unary operator.
pub fn unary(text: &str) -> Option<Unary> {
    Some(match text {
        "!" | "-not" => Unary::Not,
        "-" => Unary::Minus,
        "+" => Unary::Plus,
        "," => Unary::Comma,
        "-join" => Unary::Join,
        "-split" => Unary::Split,
        _ => return None,
    })
}

/// A type by its name between brackets.
pub fn cast(text: &str) -> Option<Cast> {
    let lower = text.trim().to_ascii_lowercase();
    let (name, array) = match lower.strip_suffix("[]") {
        Some(name) => (name, true),
        None => (lower.as_str(), false),
    };
    let name = name.trim().strip_prefix("system.").unwrap_or(name.trim());
    let (to, array) = match name {
        "object" | "psobject" | "cimsession" | "ciminstance" | "microsoft.management.infrastructure.ciminstance" => {
            (Simple::Any, array)
        }
        "array" => (Simple::Any, true),
        "string" | "char" => (Simple::Text, array),
        "bool" | "boolean" => (Simple::Boolean, array),
        "switch" | "switchparameter" => (Simple::Switch, array),
        "byte" => (Simple::Integer(0, 255, "byte"), array),
        "int16" => (Simple::Integer(i16::MIN as i64, i16::MAX as i64, "int16"), array),
        "uint16" => (Simple::Integer(0, u16::MAX as i64, "uint16"), array),
        "int" | "int32" => (Simple::Integer(i32::MIN as i64, i32::MAX as i64, "int"), array),
        "uint32" => (Simple::Integer(0, u32::MAX as i64, "uint32"), array),
        "long" | "int64" => (Simple::Integer(i64::MIN, i64::MAX, "long"), array),
        "double" | "float" | "single" | "decimal" => (Simple::Real, array),
        "hashtable" | "collections.hashtable" => (Simple::Table, array),
        "ordered" => (Simple::Ordered, array),
        "pscustomobject" => (Simple::Object, array),
        "scriptblock" => (Simple::Script, array),
        "guid" => (Simple::Guid, array),
        "ipaddress" | "net.ipaddress" => (Simple::Address, array),
        "void" => (Simple::Void, array),
        _ => return None,
    };
    Some(Cast { to, array })
}

/// The types that [`cast`] knows, for sentences.
pub const TYPES: &str = "string, bool, switch, byte, int16, uint16, int, uint32, long, double, hashtable, ordered, \
                         pscustomobject, scriptblock, guid, ipaddress, object, array, void";

/// All methods, by their names in lower case.
pub const METHODS: [(&str, Method); 19] = [
    ("tostring", Method::ToString),
    ("toupper", Method::ToUpper),
    ("tolower", Method::ToLower),
    ("trim", Method::Trim),
    ("trimstart", Method::TrimStart),
    ("trimend", Method::TrimEnd),
    ("split", Method::Split),
    ("replace", Method::Replace),
    ("contains", Method::Contains),
    ("startswith", Method::StartsWith),
    ("endswith", Method::EndsWith),
    ("substring", Method::Substring),
    ("indexof", Method::IndexOf),
    ("padleft", Method::PadLeft),
    ("padright", Method::PadRight),
    ("add", Method::Add),
    ("remove", Method::Remove),
    ("containskey", Method::ContainsKey),
    ("equals", Method::Equals),
];

/// A method or property of a type, by both names; how many arguments it takes at least and at most, `None` for a property.
pub fn of_type(kind: &str, member: &str) -> Option<(Static, Option<(usize, usize)>)> {
    let kind = kind.to_ascii_lowercase();
    let kind = kind.strip_prefix("system.").unwrap_or(&kind);
    Some(match (kind, member.to_ascii_lowercase().as_str()) {
        ("guid", "newguid") => (Static::NewGuid, Some((0, 0))),
        ("guid", "empty") => (Static::EmptyGuid, None),
        ("string", "isnullorempty") => (Static::IsNullOrEmpty, Some((1, 1))),
        ("string", "isnullorwhitespace") => (Static::IsNullOrWhiteSpace, Some((1, 1))),
        ("string", "join") => (Static::Join, Some((2, 2))),
        ("string", "format") => (Static::Format, Some((1, 64))),
        ("math", "min") => (Static::Min, Some((2, 2))),
        ("math", "max") => (Static::Max, Some((2, 2))),
        ("math", "floor") => (Static::Floor, Some((1, 1))),
        ("math", "ceiling") => (Static::Ceiling, Some((1, 1))),
        ("math", "round") => (Static::Round, Some((1, 1))),
        _ => return None,
    })
}

/// Variables that PowerShell fills by itself and netvirt does not: a script that reads one would be misled.
pub const UNKNOWN_VARIABLES: [&str; 16] = [
    "error",
    "executioncontext",
    "host",
    "input",
    "lastexitcode",
    "matches",
    "myinvocation",
    "nestedpromptlevel",
    "profile",
    "psboundparameters",
    "pscmdlet",
    "psculture",
    "psuiculture",
    "shellid",
    "stacktrace",
    "switch",
];
