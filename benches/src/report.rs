//! The table, and the same as JSON.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::contestant::Contestant;
use crate::load::Figures;
use crate::machine::Machine;
use crate::measure::{Measure, Scene};
use crate::run::{Outcome, Plan, Results};
use crate::stats::{Summary, ratios, summarize};

/// All that is known at the end.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    machine: Machine,
    settings: Settings,
    lines: Vec<Line>,
    notes: Vec<String>,
    failures: Vec<String>,
}

#[derive(Clone, Copy, Default, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    rounds: usize,
    far_off_rounds: usize,
    slow_rounds: usize,
    warm_up_seconds: f64,
    measured_seconds: f64,
    client_cpu: usize,
    server_cpu: usize,
}

/// One line of the table: a rate or a percentile.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    measure: &'static str,
    title: String,
    scene: Scene,
    unit: &'static str,
    less_is_better: bool,
    /// The ratio that netvirt shall reach, of a rate.
    goal: Option<f64>,
    entries: Vec<Entry>,
}

/// One contestant in a line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    contestant: &'static str,
    title: &'static str,
    /// In the line's unit, by round.
    samples: Vec<Option<f64>>,
    absolute: Option<Summary>,
    /// To the baseline in the same round; none when that did not run.
    ratio: Option<Summary>,
}

/// What netvirt, of one variant, shall reach beside a peer.
struct Goal {
    ours: Contestant,
    theirs: Contestant,
    /// How much, in words, before the peer's letter.
    words: &'static str,
    share: Share,
}

/// How much of the peer's rate is wanted, and where.
enum Share {
    /// What the measure itself says, see [`Measure::goal`].
    Measure,
    /// The same everywhere.
    Of(f64),
    /// The same on one host; elsewhere nothing.
    OnOneHost(f64),
}

impl Goal {
    const fn new(ours: Contestant, theirs: Contestant, words: &'static str, share: Share) -> Self {
        Self { ours, theirs, words, share }
    }

    /// What is wanted in a line, if anything is.
    fn share(&self, line: &Line) -> Option<f64> {
        let rate = line.goal?;
        match self.share {
            Share::Measure => Some(rate),
            Share::Of(share) => Some(share),
            Share::OnOneHost(share) => (line.scene == Scene::OneHost).then_some(share),
        }
    }
}

/// The words of [`Measure::goal`].
const RATE: &str = "0.95 in TCP streams, else 1.00, of";

/// What is promised: a baseline's speed, also with security groups; many rules at the price of none; and on one host no
/// less than a bridge.
const GOALS: [Goal; 9] = [
    Goal::new(Contestant::Netvirt, Contestant::Routed, RATE, Share::Measure),
    Goal::new(Contestant::Groups10, Contestant::Routed, RATE, Share::Measure),
    Goal::new(Contestant::Groups1000, Contestant::Routed, RATE, Share::Measure),
    Goal::new(Contestant::Vxlan, Contestant::Routed, RATE, Share::Measure),
    Goal::new(Contestant::Geneve, Contestant::Routed, RATE, Share::Measure),
    Goal::new(Contestant::Groups1000, Contestant::Netvirt, "0.98 of", Share::Of(0.98)),
    Goal::new(Contestant::Netvirt, Contestant::Bridge, "on one host 1.00 of", Share::OnOneHost(1.0)),
    Goal::new(Contestant::Groups1000, Contestant::Bridge, "on one host 1.00 of", Share::OnOneHost(1.0)),
    Goal::new(Contestant::Groups1000, Contestant::BridgeTracked, "1.00 of", Share::Of(1.0)),
];

/// What one line shows of the figures.
type Reading = fn(&Figures) -> Option<f64>;

impl Report {
    /// Puts the results together.
    pub fn new(machine: Machine, plan: &Plan, results: &Results) -> Self {
        let settings = Settings {
            rounds: plan.rounds,
            far_off_rounds: plan.far_off_rounds.min(plan.rounds),
            slow_rounds: plan.slow_rounds.min(plan.rounds),
            warm_up_seconds: plan.timing.warm_up.as_secs_f64(),
            measured_seconds: plan.timing.measured.as_secs_f64(),
            client_cpu: plan.cpus[0],
            server_cpu: plan.cpus[1],
        };
        Self {
            machine,
            settings,
            lines: results.outcomes.iter().flat_map(lines).collect(),
            notes: results.notes.clone(),
            failures: results.failures.iter().map(ToString::to_string).collect(),
        }
    }

    /// As a person reads it.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.machine);
        let mut scenes: Vec<_> = self.lines.iter().map(|line| line.scene == Scene::OneHost).collect();
        scenes.dedup();
        for local in scenes {
            let place = if local { "On one host" } else { "Between two hosts" };
            text += &format!("\n{place}\n{}\n", self.table(local));
        }
        text += &self.foot();
        text += &self.goals();
        for failure in &self.failures {
            text += &format!("failed: {failure}\n");
        }
        text
    }

    /// How to read it.
    fn foot(&self) -> String {
        let Settings { rounds, far_off_rounds, slow_rounds, warm_up_seconds, measured_seconds, client_cpu, server_cpu } =
            self.settings;
        let mut text = format!(
            "
- (a): median ± coefficient of variation. Others: median of the ratios to (a) in the same round, ± their variation.
- {rounds} interleaved rounds, the order turned each time; {measured_seconds} s each after
  {warm_up_seconds} s of warm-up.
- Two cores: client, its VM and host 1 on CPU {client_cpu}; server, its VM and host 2 on CPU {server_cpu}.
  A veth's receive path runs on the sender's CPU, so each uplink hands what it receives to its host's CPU (RPS). What an
  uplink's own GRO does still runs on the sender's, as does waking the other CPU, which in a virtual machine may cost
  about as much as a packet.
- One core: all on CPU {client_cpu}. On one host nothing is steered: packets are delivered on the sender's CPU.
- All TCP sockets use CUBIC; client and server are threads of one process.
- MTU of the underlay 1600 unless stated, of the VMs what fits; on one host 1500.
"
        );
        if self.lines.iter().any(|line| line.measure.contains("flows")) {
            text += &format!(
                "- Packet socket: whole frames, a flow after the other, each sent once before the warm-up; what the \
                 server's VM takes in\n  is counted. A million flows: {slow_rounds} rounds.\n"
            );
        }
        if self.shows(Contestant::Groups10) || self.shows(Contestant::Groups1000) {
            text += "- (g10), (g1000): that many rules each way at both ports, stateful; the last one alone matches.\n";
        }
        if self.shows(Contestant::OpenVswitch) || self.shows(Contestant::OpenVswitchTracked) {
            text += &format!(
                "- (c), (c'): {far_off_rounds} rounds. It reads frames one by one, so its VMs' offloads are off always. \
                 Its daemons are pinned\n  to the CPU of their host.\n"
            );
        }
        for note in &self.notes {
            text += &format!("- {note}\n");
        }
        text
    }

    /// How far netvirt is from its goals, a line for each; nothing of goals whose two sides were not measured.
    fn goals(&self) -> String {
        GOALS.iter().filter_map(|goal| self.goal(goal)).collect()
    }

    fn goal(&self, goal: &Goal) -> Option<String> {
        let ratio = |line: &Line| {
            let samples = |its: Contestant| line.entries.iter().find(|entry| entry.contestant == its.letter());
            let (ours, theirs) = (samples(goal.ours)?, samples(goal.theirs)?);
            Some((summarize(&ratios(&ours.samples, &theirs.samples))?.median, goal.share(line)?, line.measure))
        };
        let ratios: Vec<_> = self.lines.iter().filter_map(ratio).collect();
        if ratios.is_empty() {
            return None;
        }
        let short: Vec<_> = ratios
            .iter()
            .filter(|(ratio, share, _)| ratio < share)
            .map(|(ratio, share, name)| format!("{name} {ratio:.3} of {share:.2}"))
            .collect();
        let missed = if short.is_empty() { "none".to_owned() } else { short.join(", ") };
        let (met, all) = (ratios.len() - short.len(), ratios.len());
        let (ours, theirs, words) = (goal.ours.letter(), goal.theirs.letter(), goal.words);
        Some(format!("({ours}) {words} ({theirs}): reached in {met} of {all} measures; short of it: {missed}.\n"))
    }

    fn shows(&self, contestant: Contestant) -> bool {
        let letter = contestant.letter();
        let mut entries = self.lines.iter().flat_map(|line| &line.entries);
        entries.any(|entry| entry.contestant == letter)
    }

    /// The table of one scene.
    fn table(&self, local: bool) -> Table {
        let lines: Vec<_> = self.lines.iter().filter(|line| (line.scene == Scene::OneHost) == local).collect();
        let mut columns: Vec<(&str, &str)> = Vec::new();
        for entry in lines.iter().flat_map(|line| &line.entries) {
            if !columns.iter().any(|(letter, _)| *letter == entry.contestant) {
                columns.push((entry.contestant, entry.title));
            }
        }
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        let heads = columns.iter().map(|(letter, title)| format!("({letter}) {title}"));
        let first = ["measure".to_owned(), "unit".to_owned()];
        table.set_header(first.into_iter().chain(heads));
        for line in lines {
            let cells = columns.iter().map(|(letter, _)| {
                let entry = line.entries.iter().find(|entry| entry.contestant == *letter);
                entry.map_or_else(|| "–".to_owned(), Entry::cell)
            });
            let unit =
                if line.less_is_better { format!("{}, less is better", line.unit) } else { line.unit.to_owned() };
            table.add_row([line.title.clone(), unit].into_iter().chain(cells));
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

impl Entry {
    /// Ratio, or the absolute figure of the baseline and where there is no baseline.
    fn cell(&self) -> String {
        let percent = |variation: f64| format!("±{:>2.0} %", variation * 100.0);
        match (self.contestant == Contestant::Routed.letter(), self.ratio, self.absolute) {
            (false, Some(ratio), _) => format!("{:.2} {}", ratio.median, percent(ratio.variation)),
            (_, _, Some(absolute)) => format!("{} {}", digits(absolute.median), percent(absolute.variation)),
            (_, _, None) => "failed".to_owned(),
        }
    }
}

/// Three digits that matter.
fn digits(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// The lines of a measure: the rate, and percentiles where there are some.
fn lines(outcome: &Outcome) -> Vec<Line> {
    let measure = &outcome.measure;
    let (scale, unit) = measure.unit();
    let mut rate = line(outcome, measure.title.to_owned(), (scale, unit), |figures| Some(figures.rate));
    rate.goal = Some(measure.goal());
    let mut lines = vec![rate];
    let readings: [(&str, Reading); 2] = [
        ("median", |figures| figures.latency.map(|(median, _)| median)),
        ("99th percentile", |figures| figures.latency.map(|(_, p99)| p99)),
    ];
    let figures = || outcome.series.iter().flat_map(|series| series.rounds.iter().flatten());
    if figures().any(|figures| figures.latency.is_some()) {
        for (name, reading) in readings {
            let mut line = line(outcome, format!("  {name}"), (1.0, "µs"), reading);
            line.less_is_better = true;
            lines.push(line);
        }
    }
    lines
}

/// One line.
fn line(outcome: &Outcome, title: String, (scale, unit): (f64, &'static str), reading: Reading) -> Line {
    let Measure { name, scene, .. } = outcome.measure;
    let samples: Vec<(Contestant, Vec<Option<f64>>)> = outcome
        .series
        .iter()
        .map(|series| {
            let read = |figures: &Figures| reading(figures).map(|value| value / scale);
            let values = series.rounds.iter().map(|round| round.as_ref().and_then(read));
            (series.contestant, values.collect())
        })
        .collect();
    let baseline =
        samples.iter().find(|(contestant, _)| *contestant == Contestant::Routed).map(|(_, values)| values.clone());
    let entries = samples
        .into_iter()
        .map(|(contestant, samples)| Entry {
            contestant: contestant.letter(),
            title: contestant.title(scene),
            absolute: summarize(&samples.iter().flatten().copied().collect::<Vec<_>>()),
            ratio: baseline.as_ref().and_then(|baseline| summarize(&ratios(&samples, baseline))),
            samples,
        })
        .collect();
    Line { measure: name, title, scene, unit, less_is_better: false, goal: None, entries }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;
    use crate::run::Series;

    fn outcome(name: &str, rates: &[(Contestant, [f64; 3])]) -> Outcome {
        let measure = *measure::ALL.iter().find(|measure| measure.name == name).unwrap();
        let figures =
            |rate: f64| Some(Figures { rate, latency: name.contains("rr-").then_some((1e6 / rate, 2e6 / rate)) });
        let series = rates
            .iter()
            .map(|(contestant, rates)| Series { contestant: *contestant, rounds: rates.map(figures).to_vec() });
        Outcome { measure, series: series.collect() }
    }

    #[test]
    fn the_ratio_is_the_median_of_the_ratios_and_not_of_the_medians() {
        let rates = [(Contestant::Routed, [10e9, 20e9, 40e9]), (Contestant::Netvirt, [10e9, 10e9, 36e9])];
        let lines = lines(&outcome("tcp-1", &rates));
        assert_eq!(lines.len(), 1);
        let [base, ours] = lines[0].entries.as_slice() else { panic!("{lines:?}") };
        assert!((base.absolute.unwrap().median - 20.0).abs() < 1e-9, "in Gbit/s: {base:?}");
        assert!((ours.ratio.unwrap().median - 0.9).abs() < 1e-9, "{ours:?}");
        assert!(base.cell().starts_with("20.0 ±") && ours.cell().starts_with("0.90 ±"));
    }

    #[test]
    fn round_trips_have_percentiles_for_which_less_is_better() {
        let lines = lines(&outcome("tcp-rr-1", &[(Contestant::Routed, [1e4; 3])]));
        let units: Vec<_> = lines.iter().map(|line| (line.unit, line.less_is_better)).collect();
        assert_eq!(units, [("k/s", false), ("µs", true), ("µs", true)]);
        assert!((lines[2].entries[0].absolute.unwrap().median - 200.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_short_of_its_goal_is_named() {
        let report = |rate: f64| {
            let rates = [(Contestant::Routed, [1e5; 3]), (Contestant::Netvirt, [rate; 3])];
            let machine = crate::machine::look(&[]);
            let settings = Settings {
                rounds: 3,
                far_off_rounds: 2,
                slow_rounds: 3,
                warm_up_seconds: 0.25,
                measured_seconds: 1.0,
                client_cpu: 0,
                server_cpu: 1,
            };
            let lines = lines(&outcome("tcp-rr-1", &rates));
            Report { machine, settings, lines, notes: Vec::new(), failures: Vec::new() }
        };
        let text = report(9.9e4).text();
        assert!(text.contains("(a): reached in 0 of 1 measures; short of it: tcp-rr-1 0.990 of 1.00."), "{text}");
        assert!(report(1e5).text().contains("in 1 of 1 measures; short of it: none."));
    }

    #[test]
    fn a_bridge_is_a_goal_on_one_host_and_rules_are_compared_with_none() {
        let rates =
            [(Contestant::Bridge, [1e5; 3]), (Contestant::Netvirt, [1.1e5; 3]), (Contestant::Groups1000, [1.05e5; 3])];
        let reached = |name: &str, ours, theirs| {
            let lines = lines(&outcome(name, &rates));
            let report = Report {
                machine: crate::machine::look(&[]),
                settings: Settings::default(),
                lines,
                notes: Vec::new(),
                failures: Vec::new(),
            };
            let goal = GOALS.iter().find(|goal| (goal.ours, goal.theirs) == (ours, theirs)).unwrap();
            report.goal(goal)
        };
        assert_eq!(reached("udp-64-1", Contestant::Netvirt, Contestant::Bridge), None);
        let local = reached("local-udp-64-1", Contestant::Netvirt, Contestant::Bridge).unwrap();
        assert!(local.contains("in 1 of 1"), "{local}");
        let rules = reached("udp-64-1", Contestant::Groups1000, Contestant::Netvirt).unwrap();
        assert!(rules.contains("udp-64-1 0.955 of 0.98"), "{rules}");
    }

    #[test]
    fn without_the_baseline_figures_are_absolute() {
        let lines = lines(&outcome("udp-64-1", &[(Contestant::Bridge, [5e5, 6e5, 7e5])]));
        let entry = &lines[0].entries[0];
        assert!(entry.ratio.is_none() && entry.cell().starts_with("600 ±"), "{entry:?}");
    }
}
