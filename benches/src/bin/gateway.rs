//! `make bench-gateway`: gateways beside plain Linux routers and VPN daemons alone, and many tenants on one.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use benches::gateway::{Part, Plan};
use benches::load::Timing;
use benches::{Error, alone, args, interrupt, machine};
use clap::Parser;

/// Measures what passes a gateway's compartment beside a plain Linux router with the same rules, beside one that has the VMs behind
/// kernel VXLAN, and beside the VPN daemons alone; and what many tenants cost that have the same prefixes, NAT, a routed
/// connection and a tunnel each. Needs root; takes some ten minutes.
#[derive(Clone, Debug, Parser)]
#[command(name = "gateway", version)]
struct Args {
    /// Which parts; all by default.
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
    /// How often each measurement is repeated, in turns.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// How long a measurement lasts, after a quarter of it for warming up.
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = args::seconds)]
    seconds: f64,
    /// The two CPUs: that of the client's side and that of the server's. By default the first two of this process.
    #[arg(long, value_name = "CLIENT,SERVER", value_parser = args::cpus)]
    cpus: Option<[usize; 2]>,
    /// How many tenants there are with WireGuard; 0: this is not measured.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(0..=500))]
    tenants: u16,
    /// How many tenants there are with IPsec.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=500))]
    ipsec_tenants: u16,
    /// For how many seconds the processor is looked at while all tenants rest.
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = args::seconds)]
    rest: f64,
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
    let machine = machine::look(&[&netvirt, "nft".as_ref(), "/usr/lib/ipsec/charon".as_ref(), "wireguard-go".as_ref()]);
    let all = [Part::Nat, Part::Routing, Part::Vpn, Part::Tenants];
    let plan = Plan {
        netvirt,
        parts: if args.only.is_empty() { all.to_vec() } else { args.only.clone() },
        rounds: usize::from(args.rounds),
        timing: Timing {
            warm_up: Duration::from_secs_f64(args.seconds / 4.0),
            measured: Duration::from_secs_f64(args.seconds),
        },
        cpus: args.cpus.map_or_else(args::first_cpus, Ok)?,
        tenants: [args.tenants, args.ipsec_tenants].map(usize::from),
        rest: Duration::from_secs_f64(args.rest),
    };
    let (figures, result) = plan.run();
    println!("{machine}\n{} rounds of {} s\n{figures}", plan.rounds, args.seconds);
    if let Some(path) = &args.json {
        let failed = |source| Error::File { action: "write", path: path.clone(), source };
        let text = serde_json::to_string_pretty(&figures).map_err(|error| failed(error.into()))?;
        std::fs::write(path, text + "\n").map_err(failed)?;
    }
    result
}
