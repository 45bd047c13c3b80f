//! Values with commas between.

use super::Field;

/// The headings and a line for each row; every value in quotes, as ConvertTo-Csv writes them.
pub fn lines(rows: &[Vec<Field>], delimiter: char) -> Vec<String> {
    let Some(first) = rows.first() else { return Vec::new() };
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let between = delimiter.to_string();
    let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
    let headings = names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(&between);
    let row = |row: &Vec<Field>| {
        let cells = names.iter().map(|name| {
            let value = row.iter().find(|(known, _)| known == name).map(|(_, value)| value.to_text());
            value.map_or_else(String::new, |text| quoted(&text))
        });
        cells.collect::<Vec<_>>().join(&between)
    };
    std::iter::once(headings).chain(rows.iter().map(row)).collect()
}
