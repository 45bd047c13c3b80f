//! The command line of the benchmark.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use crate::Error;
use crate::contestant::{self, Contestant};
use crate::load::Timing;
use crate::measure::{self, Measure};
use crate::run::Plan;

/// Measures netvirt against routing without overlay, kernel VXLAN with a bridge, and Open vSwitch in userspace, the latter
/// two with connection tracking as well, in network namespaces of this machine. Needs root.
///
/// Without --only and --contestants, (a), (b), (n) and (g1000) take part in all measures and the others in the core
/// measures alone; that takes about 17 minutes. With --quick it takes a minute and a half. Elsewhere a measurement takes
/// 0.75 s, times 5 rounds, for each contestant in each measure; one of a million flows some 5 s, times 3. A variant of
/// netvirt that the program does not know is reported and left out.
#[derive(Clone, Debug, Parser)]
#[command(name = "benches", version)]
pub struct Args {
    /// What to measure: names, or beginnings of names like "tcp-rr" or "local" (see --list); all by default.
    #[arg(long, value_name = "MEASURE", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Who takes part.
    #[arg(long, value_name = "LETTERS", value_delimiter = ',', default_value = "a,b,b',n,g10,g1000,v,e,c,c'")]
    pub contestants: Vec<Contestant>,
    /// How often each measurement is repeated.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: Option<u16>,
    /// How long a measurement lasts, after a quarter of it for warming up.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub seconds: Option<f64>,
    /// The two CPUs: that of the client's side and that of the server's. By default the first two of this process.
    #[arg(long, value_name = "CLIENT,SERVER", value_parser = cpus)]
    pub cpus: Option<[usize; 2]>,
    /// Few measures, 3 rounds of 0.5 s, and of the contestants (a), (b), (n) and (g1000) unless others are named.
    #[arg(long)]
    pub quick: bool,
    /// Writes all samples as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Lists the measures and who takes part in each, and ends.
    #[arg(long)]
    pub list: bool,
}

/// A length of time in seconds.
///
/// # Errors
/// When it is no number, too short or too long.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.05..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0.05 to 60 is wanted".to_owned()),
    }
}

/// Two different CPUs, as in `0,1`.
///
/// # Errors
/// When they are not two.
pub fn cpus(text: &str) -> Result<[usize; 2], String> {
    let wanted = || "two different numbers are wanted, as in 0,1".to_owned();
    let (client, server) = text.split_once(',').ok_or_else(wanted)?;
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wanted());
    let pair = [number(client)?, number(server)?];
    if pair[0] == pair[1] { Err(wanted()) } else { Ok(pair) }
}

impl Args {
    /// What they ask for.
    ///
    /// # Errors
    /// When they name a measure that there is not, there are too few CPUs, or netvirt shall take part and is not built.
    pub fn plan(&self) -> Result<Plan, Error> {
        let measures = measure::select(&self.only, self.quick)?;
        let mut contestants: Vec<_> =
            contestant::ALL.into_iter().filter(|its| self.contestants.contains(its)).collect();
        let anyone = self.contestants == contestant::ALL;
        if self.quick && anyone {
            contestants.retain(|its| its.is_thorough());
        }
        let runs = |contestant: &Contestant| measures.iter().any(|measure| contestant.does(measure));
        contestants.retain(runs);
        if contestants.is_empty() {
            return Err(Error::Nothing);
        }
        let netvirt = match contestants.iter().any(|its| its.is_netvirt()) {
            true => Some(contestant::program()?),
            false => None,
        };
        let rounds = self.rounds.map_or(if self.quick { 3 } else { 5 }, usize::from);
        let seconds = self.seconds.unwrap_or(0.5);
        Ok(Plan {
            measures,
            contestants,
            rounds,
            far_off_rounds: 2,
            slow_rounds: 3,
            thorough: !(anyone && self.only.is_empty()),
            timing: Timing {
                warm_up: Duration::from_secs_f64(seconds / 4.0),
                measured: Duration::from_secs_f64(seconds),
            },
            cpus: self.cpus.map_or_else(first_cpus, Ok)?,
            netvirt,
        })
    }
}

/// The first two CPUs that this process may use.
///
/// # Errors
/// [`Error::Cpus`].
pub fn first_cpus() -> Result<[usize; 2], Error> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_else(|_| CpuSet::new());
    let usable: Vec<_> = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect();
    match usable.as_slice() {
        [client, server, ..] => Ok([*client, *server]),
        few => Err(Error::Cpus { found: few.len() }),
    }
}

/// The list of measures for `--list`.
pub fn list() -> String {
    let core = |measure: &Measure| if measure.is_core() { ", core" } else { "" };
    let line = |measure: &Measure| {
        let who: Vec<_> = contestant::ALL.into_iter().filter(|its| its.does(measure)).map(Contestant::letter).collect();
        format!("{:<20} {:<32} {}{}\n", measure.name, who.join(" "), measure.title, core(measure))
    };
    measure::ALL.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parsed(words: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(["benches"].iter().chain(words))
    }

    #[test]
    fn the_grammar_is_sound() {
        Args::command().debug_assert();
        let args = parsed(&["--only", "tcp-1,crr", "--contestants", "a,b", "--rounds", "7", "--cpus", "1,0"]).unwrap();
        let plan = args.plan().unwrap();
        assert_eq!((plan.rounds, plan.cpus), (7, [1, 0]));
        assert_eq!(plan.contestants, [Contestant::Routed, Contestant::Bridge]);
        assert_eq!(plan.measures.len(), 3);
    }

    #[test]
    fn quick_is_short_and_without_the_slow_one() {
        let args = parsed(&["--quick", "--cpus", "0,1", "--contestants", "a,b"]).unwrap();
        let plan = args.plan().unwrap();
        assert_eq!(plan.rounds, 3);
        assert_eq!(plan.timing.measured, Duration::from_millis(500));
        let named = parsed(&["--quick", "--cpus", "0,1", "--contestants", "a,c"]).unwrap();
        assert!(named.plan().unwrap().contestants.contains(&Contestant::OpenVswitch));
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [["--cpus", "0"], ["--cpus", "1,1"], ["--seconds", "0"], ["--rounds", "0"], ["--contestants", "x"]]
        {
            assert!(parsed(&words).is_err(), "{words:?}");
        }
        let alone = parsed(&["--contestants", "c", "--only", "local", "--cpus", "0,1"]).unwrap();
        assert!(matches!(alone.plan(), Err(Error::Nothing)));
    }
}
