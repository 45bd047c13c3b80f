//! `make bench-migration`: guests that move under load, and what guests send each other, on netvirt and on kernel VXLAN with a
//! bridge.

use std::path::PathBuf;
use std::process::ExitCode;

use benches::moving::Plan;
use benches::{Error, alone, interrupt, machine};
use clap::Parser;

/// Moves a real guest back and forth between two hosts in different subnets of the underlay, under ping, a TCP stream at full
/// rate and idle connections, and measures what guests on two hosts send each other; with netvirt and with kernel VXLAN
/// and a bridge, in turns. Needs root; takes some ten minutes.
#[derive(Clone, Debug, Parser)]
#[command(name = "migration", version)]
struct Args {
    /// How often the guest moves with each.
    #[arg(long, value_name = "N", default_value_t = 20)]
    moves: usize,
    /// Idle connections.
    #[arg(long, value_name = "N", default_value_t = 200)]
    idle: usize,
    /// How often the streams between guests are measured with each, in turns.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// How long each stream lasts, in seconds.
    #[arg(long, value_name = "S", default_value_t = 8)]
    seconds: u64,
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
    let machine = machine::look(&[&netvirt, "qemu-system-x86_64".as_ref(), "iperf3".as_ref()]);
    let plan =
        Plan { netvirt, moves: args.moves.max(1), idle: args.idle, rounds: args.rounds, seconds: args.seconds.max(1) };
    let figures = plan.run()?;
    println!("{machine}\n{figures}");
    if let Some(path) = &args.json {
        let failed = |source| Error::File { action: "write", path: path.clone(), source };
        let text = serde_json::to_string_pretty(&figures).map_err(|error| failed(error.into()))?;
        std::fs::write(path, text + "\n").map_err(failed)?;
    }
    Ok(())
}
