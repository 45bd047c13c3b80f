//! What the figures were measured with: machine, kernel, versions, date.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// Facts of a machine; what cannot be found out is left open.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// When it began (RFC 3339, UTC).
    pub date: String,
    /// The processor's name.
    pub cpu: String,
    /// How many processors there are.
    pub cpus: usize,
    /// Memory in MiB.
    pub memory: u64,
    /// The kernel's release and version.
    pub kernel: String,
    /// Whether BPF programs are compiled to machine code.
    pub bpf_jit: bool,
    /// Versions of the programs that take part.
    pub versions: Vec<String>,
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, cpu, cpus, memory, kernel, bpf_jit, versions } = self;
        let jit = if *bpf_jit { "on" } else { "off" };
        write!(out, "{date}, {cpu}, {cpus} CPUs, {memory} MiB, {kernel}, BPF JIT {jit}")?;
        versions.iter().try_for_each(|version| write!(out, "\n{version}"))
    }
}

/// Looks at this machine. `programs` are asked for their versions.
pub fn look(programs: &[&Path]) -> Machine {
    let cpuinfo = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name));
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
    };
    let kilobytes = read("/proc/meminfo").split_whitespace().nth(1).map(str::parse::<u64>);
    Machine {
        date: output(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"])),
        cpu: field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cpus: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
        memory: kilobytes.and_then(Result::ok).unwrap_or_default() / 1024,
        kernel: output(Command::new("uname").args(["-srm"])),
        bpf_jit: read("/proc/sys/net/core/bpf_jit_enable").trim() != "0",
        versions: programs.iter().map(|program| output(Command::new(program).arg("--version"))).collect(),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first line that a program prints.
fn output(command: &mut Command) -> String {
    let program = command.get_program().to_string_lossy().into_owned();
    let printed = command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match printed.as_deref().map(|text| text.lines().next()) {
        Ok(Some(line)) => line.trim().to_owned(),
        _ => format!("{program}, version unknown"),
    }
}
