//! Samples of what two CPUs are at, by `perf`: where each of them was, and by which way it had come there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::layers::{self, Place};
use crate::{Error, interrupt};

/// Samples a second of each CPU: no multiple of what a kernel does regularly.
const FREQUENCY: &str = "2999";
/// How long perf needs until it samples.
const BEGIN: Duration = Duration::from_millis(500);
/// What a load needs at most after its measured time to end its threads; samples of that time do not count.
const END: Duration = Duration::from_millis(250);

/// perf at work.
#[derive(Debug)]
pub(super) struct Recording {
    perf: Child,
    file: PathBuf,
}

/// What it has written.
#[derive(Debug)]
pub(super) struct Recorded {
    file: PathBuf,
    /// Which samples count, in seconds of the monotonic clock.
    window: (f64, f64),
}

/// One CPU.
#[derive(Debug)]
pub(super) struct Side {
    /// Which.
    pub(super) cpu: usize,
    /// Samples of it.
    pub(super) samples: usize,
    /// How many of them were where, most first.
    pub(super) places: Vec<(Place, usize)>,
}

impl Recording {
    /// Begins to sample.
    pub(super) fn start(file: &Path, cpus: [usize; 2]) -> Result<Self, Error> {
        let cpus = cpus.map(|cpu| cpu.to_string()).join(",");
        let perf = Command::new("perf")
            // The clock of samples is the one that this process reads too.
            .args(["record", "-q", "-k", "mono", "-e", "cpu-clock", "-F", FREQUENCY, "-g", "-C", &cpus, "-o"])
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| Error::File { action: "run", path: "perf".into(), source })?;
        let recording = Self { perf, file: file.to_owned() };
        interrupt::pause(BEGIN)?;
        Ok(recording)
    }

    /// Ends it right after a load that counted for `measured`.
    pub(super) fn end(mut self, measured: Duration) -> Result<Recorded, Error> {
        let now = monotonic();
        self.ask_to_end();
        let status = self.perf.wait();
        status.map_err(|source| Error::File { action: "wait for", path: "perf".into(), source })?;
        let window = (now - measured.as_secs_f64(), now - END.as_secs_f64());
        Ok(Recorded { file: self.file.clone(), window })
    }

    fn ask_to_end(&self) {
        // It was not waited for yet, so the number is not another process's.
        let _ = kill(Pid::from_raw(self.perf.id().cast_signed()), Signal::SIGINT);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if matches!(self.perf.try_wait(), Ok(None)) {
            self.ask_to_end();
            let _ = self.perf.wait();
        }
    }
}

/// The monotonic clock, in seconds.
fn monotonic() -> f64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    now.map(|now| now.as_secs_f64()).unwrap_or_default()
}

impl Recorded {
    /// What these CPUs were at.
    pub(super) fn sides(&self, cpus: &[usize]) -> Result<Vec<Side>, Error> {
        let failed = |source| Error::File { action: "read, with perf,", path: self.file.clone(), source };
        let output = Command::new("perf")
            .args(["script", "-F", "comm,cpu,time,ip,sym", "-i"])
            .arg(&self.file)
            .stdin(Stdio::null())
            .output()
            .map_err(failed)?;
        let _ = fs::remove_file(&self.file);
        if !output.status.success() {
            return Err(failed(std::io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let samples: Vec<_> = text.split("\n\n").filter_map(sample).collect();
        let inside = |time: f64| self.window.0 <= time && time <= self.window.1;
        Ok(cpus
            .iter()
            .map(|cpu| side(*cpu, samples.iter().filter(|its| its.cpu == *cpu && inside(its.time))))
            .collect())
    }
}

fn side<'a>(cpu: usize, samples: impl Iterator<Item = &'a Sample<'a>>) -> Side {
    let (mut counted, mut all) = (BTreeMap::<Place, usize>::new(), 0);
    for sample in samples {
        *counted.entry(layers::place(sample.program, &sample.functions)).or_default() += 1;
        all += 1;
    }
    let mut places: Vec<_> = counted.into_iter().collect();
    places.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    Side { cpu, samples: all, places }
}

/// One sample.
#[derive(PartialEq, Debug)]
struct Sample<'a> {
    /// The process.
    program: &'a str,
    cpu: usize,
    time: f64,
    /// Where it was, and who had called that.
    functions: Vec<&'a str>,
}

/// Reads one sample of `perf script`: a line `COMMAND [CPU] TIME:`, then lines `ADDRESS FUNCTION`, the innermost first.
fn sample(text: &str) -> Option<Sample<'_>> {
    let mut lines = text.trim_start_matches('\n').lines();
    let (program, rest) = lines.next()?.split_once('[')?;
    let (cpu, time) = rest.split_once(']')?;
    let time = time.trim().trim_end_matches(':').trim();
    let functions = lines.filter_map(|line| Some(line.trim().split_once(' ')?.1.trim())).collect();
    Some(Sample { program: program.trim(), cpu: cpu.parse().ok()?, time: time.parse().ok()?, functions })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "kworker/0:1 events [001]  1234.500000: \n\tffffffff8151d3e9 lookup_nulls_elem_raw\n\t\
                        ffffffffc00311b3 bpf_prog_923fe24b18469235_decide_port\n\t          10b106 __sendmmsg\n";

    #[test]
    fn a_sample_is_read() {
        let sample = sample(TEXT).unwrap();
        assert_eq!((sample.program, sample.cpu), ("kworker/0:1 events", 1));
        assert!((sample.time - 1234.5).abs() < 1e-9);
        let functions = ["lookup_nulls_elem_raw", "bpf_prog_923fe24b18469235_decide_port", "__sendmmsg"];
        assert_eq!(sample.functions, functions);
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        assert_eq!(sample(""), None);
        assert_eq!(sample("nonsense\n"), None);
    }

    #[test]
    fn places_are_counted_most_first() {
        let read = sample(TEXT).unwrap();
        let idle = Sample { program: "swapper", cpu: 1, time: 0.0, functions: vec!["pv_native_safe_halt"] };
        let side = side(1, [&read, &idle, &read].into_iter());
        assert_eq!((side.samples, side.places[0].1, side.places[1].1), (3, 2, 1));
        assert_eq!(side.places[1].0.layer, "idle");
    }
}
