//! What pages of operators and of tenants have in common: specs as types, tables, fields, sizes for people, pictures in a page.

use api::Problem;
use api::fabric::Item;
use maud::{Markup, PreEscaped, html};
use serde::de::DeserializeOwned;

use crate::context::View;
use crate::pictures::Words;
use crate::texts::{Language, Text};

/// What was declared, as its type.
///
/// # Errors
/// When it is of another version of the interface.
pub fn spec<T: DeserializeOwned>(item: &Item) -> Result<T, Problem> {
    serde_json::from_value(item.spec.clone())
        .map_err(|error| Problem::internal(format!("{} cannot be read: {error}", item.key())))
}

/// A table that scrolls by itself on narrow screens, with what it is called, or a sentence where it has no rows.
pub fn table(view: &View<'_>, title: Text, columns: &[Text], rows: &[Markup], nothing: Text) -> Markup {
    html! {
        @if rows.is_empty() {
            p.hint { (view.t(nothing)) }
        } @else {
            div.wide tabindex="0" role="group" aria-label=(view.t(title)) {
                table {
                    thead { tr { @for column in columns { th scope="col" { (view.t(*column)) } } } }
                    tbody { @for row in rows { tr { (row) } } }
                }
            }
        }
    }
}

/// Texts with commas between them.
pub fn joined<T: ToString>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(", ")
}

/// A field of a form: a label, a hint below it, and what is typed into.
pub fn field(view: &View<'_>, label: Text, hint: Option<Text>, input: &Markup) -> Markup {
    html! {
        label.field {
            span { (view.t(label)) }
            @if let Some(hint) = hint { small { (view.t(hint)) } }
            (input)
        }
    }
}

/// A choice among values, each with its text.
pub fn select(name: &str, chosen: &str, options: &[(String, String)]) -> Markup {
    html! {
        select name=(name) {
            @for (value, text) in options { option value=(value) selected[value == chosen] { (text) } }
        }
    }
}

/// What pictures say, in the language of the request.
pub const fn words(view: &View<'_>) -> Words {
    match view.context.language {
        Language::English => Words::ENGLISH,
        Language::Chinese => Words::CHINESE,
    }
}

/// A picture inside of a page.
pub fn inside(svg: String) -> Markup {
    html! { figure.picture tabindex="0" { (PreEscaped(svg)) } }
}

/// What a number of bytes is to people.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut unit = 0;
    // In tenths of the unit.
    let mut tenths = count / 100;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_a_unit_that_fits() {
        let said = [0, 999, 1000, 1_549, 999_999, 1_000_000, 12_345_678_901, u64::MAX].map(bytes);
        assert_eq!(said, ["0 B", "999 B", "1.0 kB", "1.5 kB", "999.9 kB", "1.0 MB", "12.3 GB", "18446.7 PB"]);
    }
}
