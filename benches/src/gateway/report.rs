//! What was measured of gateways, as text and as JSON.

use std::fmt;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::rounds::Row;
use super::tenants::Tenants;
use crate::stats::{Summary, ratios, summarize};

/// All figures.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// What there is to know of how it was set up.
    pub notes: Vec<String>,
    /// What passes a compartment, and what passes those that it is compared with.
    pub rows: Vec<Row>,
    /// Many tenants.
    pub tenants: Vec<Tenants>,
}

impl Figures {
    /// The samples of the way that a row is compared with.
    fn beside(&self, row: &Row) -> Option<&Row> {
        let beside = row.beside.as_ref()?;
        self.rows.iter().find(|one| (&one.group, &one.measure, &one.way) == (&row.group, &row.measure, beside))
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["", "", "", "median", "spread", "ratio", "spread"]);
        let mut last = String::new();
        for row in &self.rows {
            let title = format!("{}: {}, {}", row.group, row.measure, row.unit);
            let said = if title == last { String::new() } else { title.clone() };
            last = title;
            let samples: Vec<f64> = row.samples.iter().copied().flatten().collect();
            let ratio = self.beside(row).and_then(|base| summarize(&ratios(&row.samples, &base.samples)));
            let trip = summarize(&row.latency).map(|one| format!("median trip {:.1} us", one.median));
            let [median, spread] = cells(summarize(&samples), 0);
            let [ratio, ratio_spread] = cells(ratio, 2);
            table.add_row([said, row.way.clone(), trip.unwrap_or_default(), median, spread, ratio, ratio_spread]);
        }
        for column in table.column_iter_mut().skip(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// Median and spread.
fn cells(summary: Option<Summary>, digits: usize) -> [String; 2] {
    summary.map_or_else(Default::default, |it| {
        [format!("{:.digits$}", it.median), format!("±{:.0} %", it.variation * 100.0)]
    })
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(out, "{note}"))?;
        if !self.rows.is_empty() {
            writeln!(out, "{}", self.table())?;
        }
        self.tenants.iter().try_for_each(|tenants| write!(out, "\n{tenants}"))
    }
}

impl fmt::Display for Tenants {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tunnel,
            carriers,
            count,
            networks,
            realized,
            up,
            daemons,
            processes,
            gateway,
            kernel,
            available,
            rest,
            ..
        } = self;
        let each = |kib: f64| kib / 1024.0 / (*count).max(1) as f64;
        let milliseconds = |seconds: f64| seconds * 1000.0 / (*count).max(1) as f64;
        writeln!(out, "{count} tenants with the same prefix: NAT, a routed connection and {tunnel} ({carriers}) each")?;
        writeln!(out, "  networks and ports, without connections: {networks:.1} s")?;
        writeln!(
            out,
            "  connections declared and realized: {realized:.1} s, {:.0} ms a tenant",
            milliseconds(*realized)
        )?;
        writeln!(out, "  all connections up: {up:.1} s, {:.0} ms a tenant", milliseconds(*up))?;
        writeln!(out, "  processes in compartments: {processes}, {:.2} MiB a tenant", each(*daemons as f64))?;
        writeln!(out, "  gateway and agent grow by {:.2} MiB a tenant", each(*gateway as f64))?;
        writeln!(
            out,
            "  the kernel's own memory grows by {:.2} MiB a tenant, other end included",
            each(*kernel as f64)
        )?;
        writeln!(
            out,
            "  memory available shrinks by {:.2} MiB a tenant, kernel and other end included",
            each(*available as f64)
        )?;
        writeln!(
            out,
            "  processor at rest: {:.1} % of one, {:.3} % a tenant",
            rest * 100.0,
            rest * 100.0 / (*count).max(1) as f64
        )?;
        let seen = &self.seen;
        writeln!(
            out,
            "  all {} pairs tried in {:.1} s: {} datagrams to addresses inside, outside and ports of others, {} of them refused at \
             once; {} arrived",
            seen.pairs, seen.seconds, seen.sent, seen.refused, seen.arrived
        )?;
        let [before, after] = seen.reached;
        writeln!(out, "  own servers, by {}: {before} of {} answered before, {after} after", self.servers, seen.own)
    }
}
