//! Where the time of a packet goes, per BPF program, helper and part of the kernel.

use std::process::ExitCode;
use std::time::Duration;

use benches::args;
use benches::contestant::{self, Contestant};
use benches::load::Timing;
use benches::run::Plan;
use benches::{Error, alone, interrupt, machine, measure, profile};
use clap::Parser;

/// Profiles measures of the benchmark: nanoseconds of each packet per BPF program and helper, by the kernel's own clocks
/// and by samples of both CPUs (perf, bpftool). Needs root; each contestant takes about 10 s for each measure.
#[derive(Clone, Debug, Parser)]
#[command(name = "profile", version)]
struct Args {
    /// Measures, as "benches --list" names them.
    #[arg(long, value_name = "MEASURE", value_delimiter = ',', default_value = "udp-64-1")]
    only: Vec<String>,
    /// Whose time.
    #[arg(long, value_name = "LETTERS", value_delimiter = ',', default_value = "a,n")]
    contestants: Vec<Contestant>,
    /// How long each is measured, twice.
    #[arg(long, value_name = "S", default_value = "3", value_parser = args::seconds)]
    seconds: f64,
    /// The two CPUs: that of the client's side and that of the server's. By default the first two of this process.
    #[arg(long, value_name = "CLIENT,SERVER", value_parser = args::cpus)]
    cpus: Option<[usize; 2]>,
    /// How many places of each CPU are shown, besides the sums.
    #[arg(long, value_name = "N", default_value_t = 30)]
    lines: usize,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Error> {
    let netvirt = match args.contestants.iter().any(|its| its.is_netvirt()) {
        true => Some(contestant::program()?),
        false => None,
    };
    let plan = Plan {
        measures: measure::select(&args.only, false)?,
        contestants: args.contestants.clone(),
        rounds: 1,
        far_off_rounds: 1,
        slow_rounds: 1,
        thorough: true,
        timing: Timing { warm_up: Duration::from_millis(500), measured: Duration::from_secs_f64(args.seconds) },
        cpus: args.cpus.map_or_else(args::first_cpus, Ok)?,
        netvirt,
    };
    if !host::process::is_root() {
        return Err(Error::Lab(lab::LabError::NotRoot));
    }
    interrupt::catch()?;
    let _lock = alone::lock()?;
    alone::clear()?;
    let machine = machine::look(&plan.netvirt.as_deref().into_iter().collect::<Vec<_>>());
    println!("{machine}\n");
    profile::run(&plan, args.lines, |seen| println!("{}", seen.text()))
}
