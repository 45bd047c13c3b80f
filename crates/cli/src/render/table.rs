//! Tables in kubectl's look: no lines, upper-case headings, columns as wide as what is in them and two spaces apart.

use comfy_table::{Column, ColumnConstraint, Width, presets};

/// Spaces between columns.
const GAP: u16 = 2;

/// A table that may grow downwards: each rendering keeps the widths of the one before.
#[derive(Debug)]
pub struct Table {
    header: Vec<String>,
    widths: Vec<u16>,
}

impl Table {
    /// A table with these headings.
    pub fn new(header: Vec<String>) -> Self {
        Self { widths: vec![0; header.len()], header }
    }

    /// Rows as text, with or without the headings above them.
    pub fn render(&mut self, rows: Vec<Vec<String>>, with_header: bool) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        if with_header {
            table.set_header(self.header.clone());
        }
        table.add_rows(rows);
        for (width, content) in self.widths.iter_mut().zip(table.column_max_content_widths()) {
            *width = content.max(*width);
        }
        for (column, width) in table.column_iter_mut().zip(&self.widths) {
            fit(column, *width);
        }
        table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

fn fit(column: &mut Column, width: u16) {
    column.set_padding((0, GAP));
    column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width + GAP)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_are_two_spaces_apart_and_no_line_ends_in_spaces() {
        let mut table = Table::new(row(&["NAME", "MAC"]));
        assert_eq!(
            table.render(vec![row(&["a", "1"]), row(&["longer", ""])], true),
            "NAME    MAC\na       1\nlonger\n"
        );
        assert_eq!(table.render(vec![row(&["b", "2"])], false), "b       2\n");
    }
}
