//! Where the time of a packet goes: the kernel's own clocks of the BPF programs, and samples of both CPUs by `perf`.
//!
//! Each measure is run twice: once with the clocks, which cost some 20 ns a run themselves, and once with the samples.

mod layers;
mod programs;
mod report;
mod samples;

use std::time::Duration;

use crate::contestant::{Contestant, Stage};
use crate::load::{self, Figures};
use crate::measure::Measure;
use crate::run::Plan;
use crate::{Error, interrupt};

/// What was seen of one contestant in one measure.
#[derive(Debug)]
pub struct Profile {
    measure: Measure,
    contestant: Contestant,
    /// While the samples were taken.
    figures: Figures,
    programs: Vec<programs::Program>,
    /// Of the client's CPU and of the server's; of one where all runs on one.
    sides: Vec<samples::Side>,
    /// How many lines each CPU has at most.
    lines: usize,
}

/// Time for the kernel to forget what a measurement was about.
const SETTLE: Duration = Duration::from_millis(200);

/// Profiles each contestant of a plan in each of its measures; what is seen is handed out one by one. `lines` is how many
/// each CPU has at most.
///
/// # Errors
/// When somebody cannot be set up or measured, `perf` or `bpftool` is missing, or the end is asked for.
pub fn run(plan: &Plan, lines: usize, mut seen: impl FnMut(Profile)) -> Result<(), Error> {
    for measure in &plan.measures {
        for contestant in plan.runners(measure) {
            let mut stage = plan.raise(contestant, measure.scene)?;
            seen(one(plan, measure, contestant, &mut stage, lines)?);
        }
    }
    Ok(())
}

fn one(
    plan: &Plan,
    measure: &Measure,
    contestant: Contestant,
    stage: &mut Stage,
    lines: usize,
) -> Result<Profile, Error> {
    let (hosts, perf) = (stage.host_names(), stage.folder("perf.data"));
    let ends = stage.prepare(measure, plan.cpus)?;
    let clocks = programs::Clocks::start()?;
    let before = programs::read(&hosts)?;
    load::run(measure.load, ends, plan.timing)?;
    let programs = programs::since(before, programs::read(&hosts)?);
    drop(clocks);
    interrupt::pause(SETTLE)?;
    let recording = samples::Recording::start(&perf, plan.cpus)?;
    let figures = load::run(measure.load, ends, plan.timing)?;
    let recorded = recording.end(plan.timing.measured)?;
    let mut cpus = vec![ends.client_cpu, ends.server_cpu];
    cpus.dedup();
    let sides = recorded.sides(&cpus)?;
    Ok(Profile { measure: *measure, contestant, figures, programs, sides, lines })
}
