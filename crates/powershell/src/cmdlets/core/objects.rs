//! Cmdlets that choose, order, count and change objects.

use std::cmp::Ordering;

use super::properties::{self, Wanted};
use crate::cmdlets::parameter::{Parameter, Takes};
use crate::cmdlets::{Call, Cmdlet};
use crate::run::{Emit, Shell, Stop};
use crate::value::{CUSTOM, Class, Object, Table, Value, View, operate, size};

const INPUT: Parameter = Parameter::new("InputObject", Takes::Anything).by_value();

/// The comparisons of `Where-Object Name -eq value`.
const COMPARISONS: [&str; 14] = [
    "EQ",
    "NE",
    "LT",
    "LE",
    "GT",
    "GE",
    "Like",
    "NotLike",
    "Match",
    "NotMatch",
    "Contains",
    "NotContains",
    "In",
    "NotIn",
];

/// All of them.
pub const CMDLETS: &[Cmdlet] = &[
    Cmdlet::new(
        "Where-Object",
        "Lets pass the objects of which a script block, or a comparison of a property, is true.",
        &[
            Parameter::new("FilterScript", Takes::Anything).at(0).must(),
            Parameter::new("Comparison", Takes::Anything).rest(),
            INPUT,
            Parameter::new("EQ", Takes::Anything),
            Parameter::new("NE", Takes::Anything),
            Parameter::new("LT", Takes::Anything),
            Parameter::new("LE", Takes::Anything),
            Parameter::new("GT", Takes::Anything),
            Parameter::new("GE", Takes::Anything),
            Parameter::new("Like", Takes::Anything),
            Parameter::new("NotLike", Takes::Anything),
            Parameter::new("Match", Takes::Anything),
            Parameter::new("NotMatch", Takes::Anything),
            Parameter::new("Contains", Takes::Anything),
            Parameter::new("NotContains", Takes::Anything),
            Parameter::new("In", Takes::Anything),
            Parameter::new("NotIn", Takes::Anything),
        ],
        where_object,
    )
    .also(&["where", "?"]),
    Cmdlet::new(
        "ForEach-Object",
        "Carries out a script block for each object, or takes a property of each.",
        &[Parameter::new("Process", Takes::Anything).at(0).must(), INPUT],
        for_each_object,
    )
    .also(&["foreach", "%"]),
    Cmdlet::new(
        "Select-Object",
        "Takes properties of objects, or some of the objects.",
        &[
            Parameter::new("Property", Takes::Anything).many().at(0),
            INPUT,
            Parameter::new("ExpandProperty", Takes::Text),
            Parameter::new("ExcludeProperty", Takes::Text).many(),
            Parameter::new("First", Takes::Integer(0, i32::MAX as i64)),
            Parameter::new("Last", Takes::Integer(0, i32::MAX as i64)),
            Parameter::new("Skip", Takes::Integer(0, i32::MAX as i64)),
            Parameter::new("Unique", Takes::Switch),
        ],
        select_first,
    )
    .also(&["select"]),
    Cmdlet::new(
        "Sort-Object",
        "Orders objects by properties.",
        &[
            Parameter::new("Property", Takes::Anything).many().at(0),
            INPUT,
            Parameter::new("Descending", Takes::Switch),
            Parameter::new("Unique", Takes::Switch),
            Parameter::new("CaseSensitive", Takes::Switch),
        ],
        sort_object,
    )
    .also(&["sort"])
    .all(),
    Cmdlet::new(
        "Measure-Object",
        "Counts objects, and adds up, averages and compares a property.",
        &[
            Parameter::new("Property", Takes::Text).at(0),
            INPUT,
            Parameter::new("Sum", Takes::Switch),
            Parameter::new("Average", Takes::Switch),
            Parameter::new("Minimum", Takes::Switch),
            Parameter::new("Maximum", Takes::Switch),
        ],
        measure_object,
    )
    .also(&["measure"])
    .all(),
    Cmdlet::new(
        "Group-Object",
        "Puts objects together that have the same property.",
        &[Parameter::new("Property", Takes::Anything).many().at(0), INPUT, Parameter::new("NoElement", Takes::Switch)],
        group_object,
    )
    .also(&["group"])
    .all(),
    Cmdlet::new(
        "New-Object",
        "Makes an object with the properties of a hash table; of type PSObject alone.",
        &[
            Parameter::new("TypeName", Takes::Word(&["PSObject", "PSCustomObject", "Object"])).at(0).must(),
            Parameter::new("Property", Takes::Table),
        ],
        new_object,
    ),
    Cmdlet::new(
        "Add-Member",
        "Adds a property to an object.",
        &[
            Parameter::new("InputObject", Takes::Anything).by_value().must(),
            Parameter::new("MemberType", Takes::Word(&["NoteProperty"])).also(&["Type"]),
            Parameter::new("NotePropertyName", Takes::Text).also(&["Name"]).at(0).must(),
            Parameter::new("NotePropertyValue", Takes::Anything).also(&["Value"]).at(1).must(),
            Parameter::new("PassThru", Takes::Switch),
            Parameter::new("Force", Takes::Switch),
        ],
        add_member,
    ),
];

fn inputs(call: &Call<'_>) -> Vec<Value> {
    match &call.input {
        Some(input) => input.clone(),
        None => call.bound.items("InputObject"),
    }
}

fn where_object(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let filter = call.bound.get("FilterScript").cloned().unwrap_or_default();
    for item in inputs(call) {
        let passes = match &filter {
            Value::Script(block) => shell.value_with(block, item.clone())?.is_true(),
            name => compared(shell, call, &item.member(&name.to_text()))?,
        };
        if passes {
            emit(shell, item)?;
        }
    }
    Ok(())
}

/// `Where-Object Name -eq value`, whose comparison is a parameter, and `Where-Object Name`.
fn compared(_: &mut Shell, call: &Call<'_>, property: &Value) -> Result<bool, Stop> {
    let mut given: Vec<(String, Value)> = COMPARISONS
        .iter()
        .filter_map(|name| call.bound.get(name).map(|value| (format!("-{}", name.to_lowercase()), value.clone())))
        .collect();
    let rest = call.bound.items("Comparison");
    match rest.as_slice() {
        [] => {}
        [operator, value @ ..] => given.push((operator.to_text().to_lowercase(), Value::collected(value.to_vec()))),
    }
    match given.as_slice() {
        [] => Ok(property.is_true()),
        [(operator, value)] => {
            let Some(known) = crate::syntax::words::binary(operator) else {
                return call.fail(format!("{operator} is no comparison; write -eq, -ne, -lt, -le, -gt, -ge, -like, -match, -in or their opposites"));
            };
            match operate::binary(known, property, value) {
                Ok(value) => Ok(value.is_true()),
                Err(message) => call.fail(message),
            }
        }
        _ => call.fail("it takes one comparison; write several as a script block { $_.Name -eq 'x' -and ... }"),
    }
}

fn for_each_object(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let process = call.bound.get("Process").cloned().unwrap_or_default();
    for item in inputs(call) {
        match &process {
            Value::Script(block) => shell.call_with(block, item, emit)?,
            name => {
                for value in item.member(&name.to_text()).items() {
                    emit(shell, value)?;
                }
            }
        }
    }
    Ok(())
}

/// `Select-Object` goes object by object, so that `-First` ends what comes before it; `-Last` and `-Unique` look at all.
fn select_first(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let number = |name: &str| call.bound.integer(name).and_then(|number| usize::try_from(number).ok());
    if call.bound.has("Last") || call.bound.is_on("Unique") {
        return call.fail(
            "-Last and -Unique are not supported with objects one by one; collect them first: $all = ...; $all[-1]",
        );
    }
    let (first, skip) = (number("First"), number("Skip").unwrap_or(0));
    if first == Some(0) {
        return Err(Stop::Enough(call.pipeline));
    }
    for item in inputs(call) {
        if call.before >= skip {
            selected(shell, call, &item, emit)?;
        }
        if let Some(first) = first
            && call.before + 1 >= skip + first
        {
            return Err(Stop::Enough(call.pipeline));
        }
    }
    Ok(())
}

fn selected(shell: &mut Shell, call: &Call<'_>, item: &Value, emit: &mut Emit<'_>) -> Result<(), Stop> {
    if let Some(name) = call.bound.text("ExpandProperty") {
        for value in item.member(&name).items() {
            emit(shell, value)?;
        }
        return Ok(());
    }
    let mut wanted = properties::wanted(call, "Property")?;
    let excluded: Vec<String> = call.bound.items("ExcludeProperty").iter().map(Value::to_text).collect();
    if wanted.is_empty() && excluded.is_empty() {
        return emit(shell, item.clone());
    }
    if wanted.is_empty() {
        wanted.push(Wanted::Name("*".to_owned()));
    }
    let mut table = Table::default();
    for (name, value) in properties::of(shell, item, &wanted)? {
        if !excluded.iter().any(|pattern| crate::value::wildcard::matches(pattern, &name, false)) {
            table.set(&name, value);
        }
    }
    let source = match item {
        Value::Object(object) => object.source.clone(),
        _ => None,
    };
    let fields = table.entries.iter().map(|(name, value)| (&**name, value.clone())).collect();
    emit(shell, Object::of(&CUSTOM, fields, source))
}

fn sort_object(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let wanted = properties::wanted(call, "Property")?;
    let mut keyed: Vec<(Vec<Value>, Value)> = Vec::new();
    for item in inputs(call) {
        let keys = if wanted.is_empty() {
            vec![item.clone()]
        } else {
            properties::of(shell, &item, &wanted)?.into_iter().map(|(_, value)| value).collect()
        };
        keyed.push((keys, item));
    }
    let case = call.bound.is_on("CaseSensitive");
    let compare = |left: &[Value], right: &[Value]| -> Ordering {
        let mut pairs = left.iter().zip(right);
        pairs.find_map(|(left, right)| in_order(left, right, case)).unwrap_or(Ordering::Equal)
    };
    keyed.sort_by(|(left, _), (right, _)| compare(left, right));
    if call.bound.is_on("Unique") {
        keyed.dedup_by(|(left, _), (right, _)| compare(left, right).is_eq());
    }
    if call.bound.is_on("Descending") {
        keyed.reverse();
    }
    keyed.into_iter().try_for_each(|(_, item)| emit(shell, item))
}

/// Which of two keys comes first, if one does. Addresses are ordered as such, not as texts.
fn in_order(left: &Value, right: &Value, case: bool) -> Option<Ordering> {
    let address = |value: &Value| value.to_text().parse::<std::net::IpAddr>().ok();
    if let (Value::Text(_), Some(left), Some(right)) = (left, address(left), address(right)) {
        return Some(left.cmp(&right)).filter(|order| order.is_ne());
    }
    let order = operate::order(left, right, case).unwrap_or_else(|| left.to_text().cmp(&right.to_text()));
    Some(order).filter(|order| order.is_ne())
}

const MEASURE: Class = Class {
    name: "Microsoft.PowerShell.Commands.GenericMeasureInfo",
    view: View::List(&["Count", "Average", "Sum", "Maximum", "Minimum", "Property"]),
};

fn measure_object(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let items = inputs(call);
    let property = call.bound.text("Property");
    let values: Vec<Value> = match &property {
        Some(name) => {
            items.iter().map(|item| item.member(name)).filter(|value| !matches!(value, Value::Null)).collect()
        }
        None => items,
    };
    let (mut sum, mut numbers) = (Value::Integer(0), Vec::new());
    if ["Sum", "Average", "Minimum", "Maximum"].iter().any(|name| call.bound.is_on(name)) {
        for value in &values {
            let Some(number) = value.to_number() else {
                return call.fail(format!("\"{}\" is no number", value.to_text()));
            };
            sum = operate::binary(crate::syntax::tree::Operator::Add, &sum, &number)
                .or_else(|message| call.fail(message))?;
            numbers.push(number);
        }
    }
    let extreme = |wanted: Ordering| {
        numbers
            .iter()
            .cloned()
            .reduce(|best, next| if operate::order(&next, &best, false) == Some(wanted) { next } else { best })
    };
    let if_on =
        |name: &str, value: Option<Value>| if call.bound.is_on(name) { value.unwrap_or_default() } else { Value::Null };
    let count = Value::Integer(size(values.len()));
    let average = operate::binary(crate::syntax::tree::Operator::Divide, &sum, &count).ok();
    let fields = vec![
        ("Count", count),
        ("Average", if_on("Average", average)),
        ("Sum", if_on("Sum", Some(sum))),
        ("Maximum", if_on("Maximum", extreme(Ordering::Greater))),
        ("Minimum", if_on("Minimum", extreme(Ordering::Less))),
        ("Property", property.map_or(Value::Null, Value::text)),
    ];
    emit(shell, Object::value(&MEASURE, fields))
}

const GROUP: Class = Class {
    name: "Microsoft.PowerShell.Commands.GroupInfo",
    view: View::Table(&[("Count", "Count"), ("Name", "Name"), ("Group", "Group")]),
};

fn group_object(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let wanted = properties::wanted(call, "Property")?;
    let mut groups: Vec<(String, Vec<Value>)> = Vec::new();
    for item in inputs(call) {
        let keys: Vec<String> = if wanted.is_empty() {
            vec![item.to_text()]
        } else {
            properties::of(shell, &item, &wanted)?.iter().map(|(_, value)| value.to_text()).collect()
        };
        let key = keys.join(", ");
        match groups.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&key)) {
            Some((_, items)) => items.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    for (name, items) in groups {
        let count = Value::Integer(size(items.len()));
        let group = if call.bound.is_on("NoElement") { Value::Null } else { Value::array(items) };
        emit(shell, Object::value(&GROUP, vec![("Count", count), ("Name", Value::text(name)), ("Group", group)]))?;
    }
    Ok(())
}

fn new_object(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let properties = match call.bound.get("Property") {
        Some(Value::Table(table)) => table.borrow().clone(),
        _ => Table::default(),
    };
    let fields = properties.entries.iter().map(|(name, value)| (&**name, value.clone())).collect();
    emit(shell, Object::value(&CUSTOM, fields))
}

fn add_member(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let name = call.bound.text("NotePropertyName").unwrap_or_default();
    let value = call.bound.get("NotePropertyValue").cloned().unwrap_or_default();
    let target = call.bound.get("InputObject").cloned().unwrap_or_default();
    let Value::Object(object) = &target else {
        return call.fail(format!("{} cannot have more properties; make it a [pscustomobject] first", target.sort()));
    };
    if object.get(&name).is_some() && !call.bound.is_on("Force") {
        return call.fail(format!("the object has a property {name}; overwrite it with -Force"));
    }
    object.properties.borrow_mut().set(&name, value);
    if call.bound.is_on("PassThru") { emit(shell, target.clone()) } else { Ok(()) }
}
