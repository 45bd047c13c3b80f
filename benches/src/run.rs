//! Runs what was chosen: in each round each measure, in each measure each contestant, the order turned every time.

use std::path::PathBuf;
use std::time::Duration;

use crate::contestant::{Contestant, Stage};
use crate::load::{self, Figures, Timing};
use crate::measure::{Measure, Scene};
use crate::{Error, interrupt};

/// What shall be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is measured.
    pub measures: Vec<Measure>,
    /// Whose.
    pub contestants: Vec<Contestant>,
    /// How often.
    pub rounds: usize,
    /// How often for those that are far off.
    pub far_off_rounds: usize,
    /// How often for measures that take long.
    pub slow_rounds: usize,
    /// Whether everybody takes part wherever it can; otherwise some in the measures of the core alone.
    pub thorough: bool,
    /// For how long.
    pub timing: Timing,
    /// CPUs of the client's and the server's side.
    pub cpus: [usize; 2],
    /// The netvirt that is measured.
    pub netvirt: Option<PathBuf>,
}

/// What one contestant showed in one measure.
#[derive(Clone, Debug)]
pub struct Series {
    /// Who.
    pub contestant: Contestant,
    /// What was seen, by round; none where it did not run or failed.
    pub rounds: Vec<Option<Figures>>,
}

/// What all contestants showed in one measure.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What.
    pub measure: Measure,
    /// Whose, in the order of the table.
    pub series: Vec<Series>,
}

/// All that was seen.
#[derive(Debug, Default)]
pub struct Results {
    /// By measure.
    pub outcomes: Vec<Outcome>,
    /// Measurements that failed, and who could not be set up.
    pub failures: Vec<Error>,
    /// What there is to know of how somebody was set up.
    pub notes: Vec<String>,
}

/// Time between two measurements, in which what is under way arrives and closed connections are forgotten.
const SETTLE: Duration = Duration::from_millis(50);

impl Plan {
    /// Who runs in a measure.
    pub fn runners(&self, measure: &Measure) -> impl Iterator<Item = Contestant> {
        let (measure, all) = (*measure, self.thorough || measure.is_core());
        let contestants = self.contestants.iter().copied();
        contestants.filter(move |contestant| contestant.does(&measure) && (all || contestant.is_thorough()))
    }

    /// The places of the contestants in the order of one measurement: turned by one from round to round and from
    /// measure to measure, so that nobody always follows the same.
    fn order(round: usize, measure: usize, count: usize) -> impl Iterator<Item = usize> {
        (0..count).map(move |place| (place + round + measure) % count)
    }

    /// Whether a contestant runs in a round of a measure.
    fn runs_in(&self, measure: &Measure, contestant: Contestant, round: usize) -> bool {
        (!contestant.is_far_off() || round < self.far_off_rounds) && (!measure.is_slow() || round < self.slow_rounds)
    }

    /// Runs all of it; a line for each measurement goes to standard error.
    ///
    /// # Errors
    /// When nobody can be set up or the end is asked for. Measurements that fail are among the results, and so is who
    /// cannot be set up: a netvirt that does not know of what is measured, for example.
    pub fn run(&self) -> Result<Results, Error> {
        let mut scenes: Vec<Scene> = self.measures.iter().map(|measure| measure.scene).collect();
        scenes.sort_unstable();
        scenes.dedup();
        let mut results = Results::default();
        for scene in scenes {
            self.run_scene(scene, &mut results)?;
        }
        let ran = |outcome: &Outcome| outcome.series.iter().any(|series| series.rounds.iter().any(Option::is_some));
        if !results.outcomes.iter().any(ran) {
            return Err(results.failures.pop().unwrap_or(Error::Nothing));
        }
        // Scenes are run one after the other, and shown in the order of the list.
        results.outcomes.sort_by_key(|outcome| {
            let name = outcome.measure.name;
            self.measures.iter().position(|measure| measure.name == name)
        });
        Ok(results)
    }

    /// All measures of one scene; the stages stand side by side as long.
    fn run_scene(&self, scene: Scene, results: &mut Results) -> Result<(), Error> {
        let measures: Vec<_> = self.measures.iter().filter(|measure| measure.scene == scene).collect();
        let mut stages: Vec<(Contestant, Stage)> = Vec::new();
        for contestant in &self.contestants {
            if !measures.iter().any(|measure| self.runners(measure).any(|runner| runner == *contestant)) {
                continue;
            }
            eprintln!("setting up {}", contestant.named(scene));
            match self.raise(*contestant, scene) {
                Ok(stage) => {
                    let notes = stage.note.iter().filter(|note| !results.notes.contains(note));
                    results.notes.extend(notes.cloned().collect::<Vec<_>>());
                    stages.push((*contestant, stage));
                }
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    eprintln!("{error}");
                    results.failures.push(error);
                }
            }
        }
        let mut outcomes: Vec<_> = measures.iter().map(|measure| self.empty(measure)).collect();
        for round in 0..self.rounds {
            for (number, outcome) in outcomes.iter_mut().enumerate() {
                let mut line = Vec::new();
                for place in Self::order(round, number, outcome.series.len()) {
                    let series = &mut outcome.series[place];
                    if !self.runs_in(&outcome.measure, series.contestant, round) {
                        continue;
                    }
                    let found = stages.iter_mut().find(|(its, _)| *its == series.contestant);
                    let Some((_, stage)) = found else { continue };
                    match self.measure(&outcome.measure, stage) {
                        Ok(figures) => {
                            line.push(spoken(&outcome.measure, series.contestant, figures));
                            series.rounds[round] = Some(figures);
                        }
                        Err(Error::Interrupted) => return Err(Error::Interrupted),
                        Err(source) => {
                            line.push(format!("{} failed", series.contestant.letter()));
                            results.failures.push(Error::Measurement {
                                measure: outcome.measure.name,
                                contestant: series.contestant.named(scene),
                                source: Box::new(source),
                            });
                        }
                    }
                }
                if line.is_empty() {
                    continue;
                }
                let (name, (_, unit)) = (outcome.measure.name, outcome.measure.unit());
                eprintln!("round {}/{} {name}: {} {unit}", round + 1, self.rounds, line.join(", "));
            }
        }
        results.outcomes.extend(outcomes);
        Ok(())
    }

    /// A stage whose VMs reach each other.
    ///
    /// # Errors
    /// When it cannot be built, or they do not.
    pub fn raise(&self, contestant: Contestant, scene: Scene) -> Result<Stage, Error> {
        let stage = contestant.raise(scene, self.netvirt.as_ref())?;
        match stage.reach(self.cpus) {
            Ok(()) => Ok(stage),
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(source) => Err(Error::Setup { contestant: contestant.named(scene), source: Box::new(source) }),
        }
    }

    /// One measurement.
    fn measure(&self, measure: &Measure, stage: &mut Stage) -> Result<Figures, Error> {
        let ends = stage.prepare(measure, self.cpus)?;
        interrupt::pause(SETTLE)?;
        let figures = load::run(measure.load, ends, self.timing);
        // Whatever an interrupted load says, it says because it was interrupted.
        interrupt::check()?;
        figures
    }

    /// An outcome in which nobody has run yet.
    fn empty(&self, measure: &Measure) -> Outcome {
        let series = self.runners(measure).map(|contestant| Series { contestant, rounds: vec![None; self.rounds] });
        Outcome { measure: *measure, series: series.collect() }
    }
}

/// A measurement in the line of progress.
fn spoken(measure: &Measure, contestant: Contestant, figures: Figures) -> String {
    let rate = figures.rate / measure.unit().0;
    format!("{} {rate:.2}", contestant.letter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestant;

    fn plan() -> Plan {
        Plan {
            measures: crate::measure::ALL.to_vec(),
            contestants: contestant::ALL.to_vec(),
            rounds: 5,
            far_off_rounds: 2,
            slow_rounds: 3,
            thorough: true,
            timing: Timing { warm_up: Duration::ZERO, measured: Duration::ZERO },
            cpus: [0, 1],
            netvirt: None,
        }
    }

    #[test]
    fn everyone_comes_first_once_in_as_many_rounds_as_there_are_contestants() {
        let mut firsts: Vec<_> = (0..4).filter_map(|round| Plan::order(round, 3, 4).next()).collect();
        firsts.sort_unstable();
        assert_eq!(firsts, [0, 1, 2, 3]);
        let mut all: Vec<_> = Plan::order(2, 1, 4).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
    }

    #[test]
    fn who_is_far_off_runs_less_often_and_never_on_one_host() {
        let plan = plan();
        let first = &plan.measures[0];
        let slow = |round| plan.runs_in(first, Contestant::OpenVswitch, round);
        assert!(slow(1) && !slow(2) && plan.runs_in(first, Contestant::Netvirt, 4));
        for measure in &plan.measures {
            let runs = plan.runners(measure).any(|its| its == Contestant::OpenVswitch);
            assert!(!(runs && measure.scene == Scene::OneHost), "{}", measure.name);
            assert!(plan.runners(measure).any(|its| its == Contestant::Netvirt));
            assert_eq!(plan.runs_in(measure, Contestant::Netvirt, 3), !measure.is_slow());
        }
    }

    #[test]
    fn without_being_asked_to_some_run_in_the_core_alone() {
        let plan = Plan { thorough: false, ..plan() };
        for measure in &plan.measures {
            let runs = |contestant| plan.runners(measure).any(|its| its == contestant);
            assert_eq!(runs(Contestant::BridgeTracked), measure.is_core(), "{}", measure.name);
            assert!(runs(Contestant::Netvirt) && runs(Contestant::Routed));
        }
    }
}
