//! The second half of `make bench`: how fast a controller is, and what many ports cost.

use std::path::PathBuf;
use std::process::ExitCode;

use benches::fabric::{Plan, report};
use benches::{Error, interrupt, machine};
use clap::Parser;

/// Measures a controller with its store and agents, in network namespaces of this machine. Needs root; takes some
/// minutes, half a one with --quick.
#[derive(Clone, Debug, Parser)]
#[command(name = "fabric", version)]
struct Args {
    /// Other ports there are when a port is created, one measure each, rising. Agents hear of changes when there are as
    /// many ports as simulated hosts.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "0,1000,5000,100000")]
    ports: Vec<usize>,
    /// How often each is measured.
    #[arg(long, value_name = "N", default_value_t = 100)]
    rounds: usize,
    /// Simulated agents that a change is to reach.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    agents: usize,
    /// 0 and 1,000 other ports, 20 rounds, 100 agents.
    #[arg(long)]
    quick: bool,
    /// Writes all samples as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
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
    if !host::process::is_root() {
        return Err(Error::Lab(lab::LabError::NotRoot));
    }
    interrupt::catch()?;
    let netvirt = benches::contestant::program()?;
    let mut plan =
        Plan { netvirt, other_ports: args.ports.clone(), rounds: args.rounds.max(1), agents: args.agents.max(1) };
    if args.quick {
        (plan.other_ports, plan.rounds, plan.agents) = (vec![0, 1000], 20, 100);
    }
    plan.other_ports.sort_unstable();
    let machine = machine::look(&[&plan.netvirt]);
    let (figures, result) = plan.run();
    println!("{}", report::text(&machine, &figures));
    if let Some(path) = &args.json {
        let failed = |source| Error::File { action: "write", path: path.clone(), source };
        let text = serde_json::to_string_pretty(&figures).map_err(|error| failed(error.into()))?;
        std::fs::write(path, text + "\n").map_err(failed)?;
    }
    result
}
