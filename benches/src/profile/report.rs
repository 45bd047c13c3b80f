//! A profile, as a person reads it.

use std::collections::BTreeMap;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use super::Profile;
use super::samples::Side;
use crate::load::Load;

/// What a time is given for: the word, and how many of it a rate of 1 is.
const fn unit(load: Load) -> (&'static str, f64) {
    match load {
        Load::Stream(_) | Load::StreamBack => ("kB", 8000.0),
        Load::TcpRoundTrips | Load::UdpRoundTrips => ("round trip", 1.0),
        Load::Connections => ("connection", 1.0),
        Load::Packets { .. } | Load::Flows(_) => ("packet", 1.0),
    }
}

impl Profile {
    /// The whole of it.
    pub fn text(&self) -> String {
        let (word, per) = unit(self.measure.load);
        let rate = self.figures.rate / per;
        let (scale, named) = self.measure.unit();
        let head = format!(
            "{}, {}: {:.1} {named}, which is {:.0} ns of each CPU a {word}\n",
            self.contestant.named(self.measure.scene),
            self.measure.name,
            self.figures.rate / scale,
            1e9 / rate
        );
        let mut text = head + &self.programs_text();
        for (side, who) in self.sides.iter().zip(["client and host 1", "server and host 2"]) {
            text += &format!("\nCPU {} ({who}), {} samples\n{}\n", side.cpu, side.samples, self.side(side, rate, word));
        }
        text
    }

    /// What it costs.
    pub fn cost(&self) -> Cost {
        let (word, per) = unit(self.measure.load);
        let rate = self.figures.rate / per;
        let mut sides = [0.0; 2];
        for (sum, side) in sides.iter_mut().zip(&self.sides) {
            let own = side.places.iter().filter(|(place, _)| place.is_own());
            let own: usize = own.map(|(_, count)| count).sum();
            *sum = own as f64 / side.samples.max(1) as f64 * 1e9 / rate;
        }
        Cost { measure: self.measure.name, contestant: self.contestant.named(self.measure.scene), word, sides }
    }

    /// By the kernel's own clocks.
    fn programs_text(&self) -> String {
        if self.programs.is_empty() {
            return String::new();
        }
        let mut table = table(["program", "host", "attached to", "runs", "ns a run"], 3);
        for program in &self.programs {
            let each = program.nanoseconds as f64 / program.runs as f64;
            table.add_row([
                program.name.clone(),
                program.host.clone(),
                program.link.clone(),
                program.runs.to_string(),
                format!("{each:.0}"),
            ]);
        }
        format!("\nBy the kernel's clocks, which cost some 20 ns a run themselves\n{table}\n")
    }

    /// One CPU: its layers, and in each what took most.
    fn side(&self, side: &Side, rate: f64, word: &str) -> Table {
        let mut table = table(["where", &format!("ns a {word}"), "share"], 1);
        let mut layers = BTreeMap::<&str, usize>::new();
        for (place, count) in &side.places {
            *layers.entry(&place.layer).or_default() += count;
        }
        let mut layers: Vec<_> = layers.into_iter().collect();
        layers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let shown: Vec<_> = side.places.iter().take(self.lines).collect();
        let row = |name: String, count: usize| {
            let share = count as f64 / side.samples.max(1) as f64;
            [name, format!("{:.0}", share * 1e9 / rate), format!("{:.1} %", share * 100.0)]
        };
        for (layer, count) in layers {
            table.add_row(row(layer.to_owned(), count));
            for (place, count) in shown.iter().filter(|(place, _)| place.layer == layer) {
                table.add_row(row(format!("  {}", place.detail), *count));
            }
        }
        table
    }
}

/// What a packet costs each contestant, without idle time and the work of other processes. In measures on one core this
/// does not depend on what else the machine does; on two, what is lost between them costs the sender too, for nothing. The
/// first contestant of a measure is what the others are compared with.
pub fn summary(costs: &[Cost]) -> String {
    let mut table = table(["measure", "of", "contestant", "client's CPU, ns", "server's CPU, ns", "both", "ratio"], 3);
    for cost in costs {
        let first = costs.iter().find(|first| first.measure == cost.measure).unwrap_or(cost);
        let [client, server] = cost.sides;
        table.add_row([
            cost.measure.to_owned(),
            cost.word.to_owned(),
            cost.contestant.clone(),
            format!("{client:.0}"),
            format!("{server:.0}"),
            format!("{:.0}", cost.both()),
            format!("{:.2}", cost.both() / first.both()),
        ]);
    }
    format!("What it costs, without idle time and other processes\n{table}\n")
}

/// See [`summary`].
#[derive(Clone, PartialEq, Debug)]
pub struct Cost {
    measure: &'static str,
    contestant: String,
    /// What it is the cost of.
    word: &'static str,
    /// Nanoseconds on each CPU; where all runs on one, 0 on the other.
    sides: [f64; 2],
}

impl Cost {
    fn both(&self) -> f64 {
        self.sides.iter().sum()
    }
}

/// A table whose columns from `numbers` on are numbers.
fn table<const N: usize>(heads: [&str; N], numbers: usize) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(heads);
    for column in table.column_iter_mut().skip(numbers) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::layers::Place;
    use super::*;
    use crate::contestant::Contestant;
    use crate::load::Figures;
    use crate::measure;

    #[test]
    fn a_share_of_a_cpu_is_so_many_nanoseconds_of_each_packet() {
        let place = |layer: &str, detail: &str| Place { layer: layer.to_owned(), detail: detail.to_owned() };
        let places = vec![(place("netvirt_port", "decide_port"), 60), (place("idle", "halt"), 40)];
        let profile = Profile {
            measure: *measure::ALL.iter().find(|measure| measure.name == "udp-64-1").unwrap(),
            contestant: Contestant::Netvirt,
            figures: Figures { rate: 500_000.0, latency: None },
            programs: Vec::new(),
            sides: vec![Side { cpu: 0, samples: 100, places }],
            lines: 1,
        };
        let text = profile.text();
        assert!(text.starts_with("(n) netvirt, udp-64-1: 500.0 kpps, which is 2000 ns of each CPU a packet"), "{text}");
        let row = |name: &str| text.lines().find(|line| line.contains(name)).unwrap_or_default().to_owned();
        assert!(row("netvirt_port").contains("1200") && row("decide_port").contains("60.0 %"), "{text}");
        let cost = profile.cost();
        assert!((cost.both() - 1200.0).abs() < 1e-6, "{cost:?}");
        let twice = Cost { sides: [2400.0, 0.0], contestant: "(v) VXLAN".to_owned(), ..cost.clone() };
        let text_of_both = summary(&[cost, twice]);
        assert!(text_of_both.lines().any(|line| line.contains("VXLAN") && line.contains("2.00")), "{text_of_both}");
        assert!(row("idle").contains("800") && row("halt").is_empty(), "{text}");
    }
}
