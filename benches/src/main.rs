//! `make bench`: runs the benchmark and prints its table.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use benches::args::{self, Args};
use benches::contestant::Contestant;
use benches::report::Report;
use benches::run::Plan;
use benches::{Error, alone, interrupt, machine};
use clap::Parser;

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        print!("{}", args::list());
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            match error {
                // What a shell makes of the signal.
                Error::Interrupted => ExitCode::from(130),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn run(args: &Args) -> Result<ExitCode, Error> {
    let plan = args.plan()?;
    if !host::process::is_root() {
        return Err(Error::Lab(lab::LabError::NotRoot));
    }
    interrupt::catch()?;
    let _lock = alone::lock()?;
    alone::clear()?;
    let machine = machine::look(&programs(&plan));
    let results = plan.run()?;
    let report = Report::new(machine, &plan, &results);
    println!("{}", report.text());
    if let Some(path) = &args.json {
        let failed = |source| Error::File { action: "write", path: path.clone(), source };
        let text = serde_json::to_string_pretty(&report).map_err(|error| failed(error.into()))?;
        fs::write(path, text + "\n").map_err(failed)?;
    }
    Ok(if results.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The programs whose versions matter.
fn programs(plan: &Plan) -> Vec<&Path> {
    let switches = [Contestant::OpenVswitch, Contestant::OpenVswitchTracked];
    let switch = plan.contestants.iter().any(|its| switches.contains(its));
    let switch = switch.then_some(Path::new("ovs-vswitchd"));
    plan.netvirt.as_deref().into_iter().chain(switch).collect()
}
