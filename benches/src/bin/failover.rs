//! `make bench-failover`: what a user notices when the active host of a gateway fails, or hands over.

use std::path::PathBuf;
use std::process::ExitCode;

use benches::gateway::failover::{FailoverPlan, Way};
use benches::{Error, alone, interrupt, machine};
use clap::{Parser, ValueEnum};

/// Kills the active host of a gateway in one way after the other, its processes and daemons, and cuts its links, while pings and TCP
/// connections pass; tells how long nothing passed, and how many connections went on. Needs root; takes two hours with 20 rounds.
#[derive(Clone, Debug, Parser)]
#[command(name = "failover", version)]
struct Args {
    /// Which ways; all by default.
    #[arg(long, value_name = "WAY", value_delimiter = ',')]
    only: Vec<Way>,
    /// How often each.
    #[arg(long, value_name = "N", default_value_t = 20)]
    rounds: usize,
    /// TCP connections through NAT.
    #[arg(long, value_name = "N", default_value_t = 100)]
    connections: usize,
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
    let _alone = alone::lock()?;
    alone::clear()?;
    let netvirt = benches::contestant::program()?;
    let machine = machine::look(&[&netvirt, "bird".as_ref(), "wireguard-go".as_ref(), "swanctl".as_ref()]);
    let ways = if args.only.is_empty() { Way::value_variants().to_vec() } else { args.only.clone() };
    let plan = FailoverPlan { netvirt, ways, rounds: args.rounds.max(1), connections: args.connections };
    let (figures, result) = plan.run();
    println!("{machine}\n{figures}");
    if let Some(path) = &args.json {
        let failed = |source| Error::File { action: "write", path: path.clone(), source };
        let text = serde_json::to_string_pretty(&figures).map_err(|error| failed(error.into()))?;
        std::fs::write(path, text + "\n").map_err(failed)?;
    }
    result
}
