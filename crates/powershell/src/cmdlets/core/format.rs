//! Cmdlets that make texts of objects.

use super::properties::{self, Wanted};
use crate::cmdlets::parameter::{Parameter, Takes};
use crate::cmdlets::{Call, Cmdlet};
use crate::render::{self, csv, json};
use crate::run::{Emit, Shell, Stop};
use crate::value::{FORMATTED, Object, Value};

const INPUT: Parameter = Parameter::new("InputObject", Takes::Anything).by_value();

/// All of them.
pub const CMDLETS: &[Cmdlet] = &[
    Cmdlet::new(
        "Format-List",
        "Shows properties one a line.",
        &[Parameter::new("Property", Takes::Anything).many().at(0), INPUT, Parameter::new("Force", Takes::Switch)],
        format_list,
    )
    .also(&["fl"])
    .all(),
    Cmdlet::new(
        "Format-Table",
        "Shows properties in columns.",
        &[
            Parameter::new("Property", Takes::Anything).many().at(0),
            INPUT,
            Parameter::new("AutoSize", Takes::Switch),
            Parameter::new("Wrap", Takes::Switch),
            Parameter::new("HideTableHeaders", Takes::Switch),
        ],
        format_table,
    )
    .also(&["ft"])
    .all(),
    Cmdlet::new(
        "ConvertTo-Json",
        "Makes JSON of objects.",
        &[INPUT, Parameter::new("Depth", Takes::Integer(0, 100)), Parameter::new("Compress", Takes::Switch)],
        convert_to_json,
    )
    .all(),
    Cmdlet::new(
        "ConvertTo-Csv",
        "Makes comma-separated values of objects.",
        &[
            INPUT,
            Parameter::new("Delimiter", Takes::Text),
            Parameter::new("NoTypeInformation", Takes::Switch).also(&["NTI"]),
        ],
        convert_to_csv,
    )
    .all(),
    Cmdlet::new(
        "Out-String",
        "Makes one text of objects as they would be shown.",
        &[INPUT, Parameter::new("Width", Takes::Integer(2, i32::MAX as i64)), Parameter::new("Stream", Takes::Switch)],
        out_string,
    )
    .all(),
];

fn inputs(call: &Call<'_>) -> Vec<Value> {
    match &call.input {
        Some(input) => input.clone(),
        None => call.bound.items("InputObject"),
    }
}

fn text(text: String) -> Value {
    Object::value(&FORMATTED, vec![("Text", Value::text(text))])
}

/// Rows of names and values.
fn rows(shell: &mut Shell, call: &Call<'_>, list: bool) -> Result<Vec<Vec<(String, Value)>>, Stop> {
    let wanted = properties::wanted(call, "Property")?;
    let mut rows = Vec::new();
    for item in inputs(call) {
        rows.push(if wanted.is_empty() { render::shown(&item, list) } else { properties::of(shell, &item, &wanted)? });
    }
    Ok(rows)
}

fn format_list(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let rows = rows(shell, call, true)?;
    let shown = render::list(&rows, shell.console.width());
    emit(shell, text(shown))
}

fn format_table(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let rows = rows(shell, call, false)?;
    let width = if call.bound.is_on("Wrap") { None } else { shell.console.width() };
    let shown = render::table(&rows, width, !call.bound.is_on("HideTableHeaders"));
    emit(shell, text(shown))
}

fn convert_to_json(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let depth = call.bound.integer("Depth").and_then(|depth| usize::try_from(depth).ok()).unwrap_or(2);
    let items = inputs(call);
    let value = match items.as_slice() {
        [one] => json::of(one, depth),
        several => serde_json::Value::Array(several.iter().map(|item| json::of(item, depth)).collect()),
    };
    let text =
        if call.bound.is_on("Compress") { serde_json::to_string(&value) } else { serde_json::to_string_pretty(&value) };
    // JSON values are always texts.
    emit(shell, Value::text(text.unwrap_or_default()))
}

fn convert_to_csv(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let delimiter = call.bound.text("Delimiter").unwrap_or_else(|| ",".to_owned());
    let mut letters = delimiter.chars();
    let (Some(delimiter), None) = (letters.next(), letters.next()) else {
        return call.fail(format!("-Delimiter \"{delimiter}\": it takes one letter"));
    };
    let all = [Wanted::Name("*".to_owned())];
    let mut rows = Vec::new();
    for item in inputs(call) {
        rows.push(properties::of(shell, &item, &all)?);
    }
    csv::lines(&rows, delimiter).into_iter().try_for_each(|line| emit(shell, Value::text(line)))
}

fn out_string(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let width =
        call.bound.integer("Width").and_then(|width| usize::try_from(width).ok()).or_else(|| shell.console.width());
    let mut printer = render::Printer::default();
    let mut all: String = inputs(call).into_iter().map(|item| printer.take(item, width)).collect();
    all.push_str(&printer.flush(width));
    if call.bound.is_on("Stream") {
        return all.lines().try_for_each(|line| emit(shell, Value::text(line)));
    }
    emit(shell, Value::text(all))
}
