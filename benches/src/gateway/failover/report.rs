//! Outages as a table and as JSON.

use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

/// All figures.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// What was done, and what it did to connections of each kind.
    pub rows: Vec<Row>,
}

/// What one way did to one kind.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What was done.
    pub way: &'static str,
    /// To what.
    pub kind: &'static str,
    /// The longest time in which nothing passed, of each round, in milliseconds.
    pub outages: Vec<f64>,
    /// TCP connections that were open, of all rounds.
    pub held: usize,
    /// Those that went on.
    pub kept: usize,
}

impl Row {
    pub(super) const fn new(way: &'static str, kind: &'static str) -> Self {
        Self { way, kind, outages: Vec::new(), held: 0, kept: 0 }
    }

    /// The value below which this share of the samples is (nearest rank).
    fn percentile(&self, share: f64) -> Option<f64> {
        let mut sorted = self.outages.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["", "over", "outage p50, ms", "p99, ms", "rounds", "TCP connections kept"]);
        for row in &self.rows {
            let cell = |share| row.percentile(share).map(|value| format!("{value:.0}")).unwrap_or_default();
            let kept = if row.held > 0 { format!("{} of {}", row.kept, row.held) } else { String::new() };
            let count = row.outages.len().to_string();
            table.add_row([row.way.to_owned(), row.kind.to_owned(), cell(0.5), cell(0.99), count, kept]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(out, "{table}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let mut row = Row::new("", "");
        assert_eq!(row.percentile(0.5), None);
        row.outages = (1..=20).rev().map(f64::from).collect();
        assert_eq!((row.percentile(0.5), row.percentile(0.99)), (Some(10.0), Some(20.0)));
    }
}
