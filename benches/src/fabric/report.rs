//! The figures of a controller, as a person reads them and as JSON.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::machine::Machine;

/// One figure.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    title: String,
    value: f64,
    unit: &'static str,
    /// What it shall not exceed.
    goal: Option<f64>,
    /// What it was made of, in the order in which it was measured.
    samples: Vec<f64>,
}

impl Figure {
    /// Something that is measured once.
    pub fn single(title: &str, value: f64, unit: &'static str, goal: Option<f64>) -> Self {
        Self { title: title.to_owned(), value, unit, goal, samples: vec![value] }
    }

    /// Median and 99th percentile (nearest rank) of samples; the goal is the latter's.
    pub fn percentiles(title: &str, samples: &[f64], unit: &'static str, goal: Option<f64>) -> Vec<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let figure = |name: &str, value: Option<f64>, goal| Self {
            title: format!("{title}, {name} of {}", sorted.len()),
            value: value.unwrap_or(f64::NAN),
            unit,
            goal,
            samples: samples.to_vec(),
        };
        vec![figure("p50", rank(50), None), figure("p99", rank(99), goal)]
    }
}

/// The table.
pub fn text(machine: &Machine, figures: &[Figure]) -> String {
    let Machine { date, cpu, cpus, memory, kernel, versions, .. } = machine;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["measure", "value", "goal", ""]);
    for figure in figures {
        let goal = figure.goal.map_or_else(String::new, |goal| format!("< {goal} {}", figure.unit));
        let reached = figure.goal.map_or("", |goal| if figure.value < goal { "reached" } else { "missed" });
        table.add_row([figure.title.clone(), format!("{:.2} {}", figure.value, figure.unit), goal, reached.to_owned()]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{date}, {cpu}, {cpus} CPUs, {memory} MiB, {kernel}\n{}\n\n{table}\n", versions.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let [median, last] = &Figure::percentiles("x", &samples, "ms", Some(30.0))[..] else { panic!("two figures") };
        assert_eq!((median.value, median.goal), (50.0, None));
        assert_eq!((last.value, last.goal), (99.0, Some(30.0)));
        assert!(Figure::percentiles("x", &[], "ms", None)[0].value.is_nan());
        assert_eq!(Figure::percentiles("x", &[7.0], "ms", None)[1].value, 7.0);
    }
}
