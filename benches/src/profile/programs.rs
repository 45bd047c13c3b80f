//! What the kernel itself counts of BPF programs: runs, and the time that they took.

use std::fs;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::Error;

/// Where the agents of labs pin what they attach.
const PINS: &str = "/sys/fs/bpf/netvirt";

/// A program that is attached.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Program {
    /// The host's name.
    pub(super) host: String,
    /// What it is attached to, as its pin is called.
    pub(super) link: String,
    /// Its name.
    pub(super) name: String,
    /// How often it ran.
    pub(super) runs: u64,
    /// How long, in nanoseconds.
    pub(super) nanoseconds: u64,
}

/// Has the kernel take the times of programs for as long as it is held.
#[derive(Debug)]
pub(super) struct Clocks {
    _held: OwnedFd,
}

impl Clocks {
    /// Switches them on.
    pub(super) fn start() -> Result<Self, Error> {
        // BPF_ENABLE_STATS of enum bpf_cmd, and BPF_STATS_RUN_TIME of enum bpf_stats_type (linux/bpf.h, Linux 5.8).
        const ENABLE_STATS: libc::c_long = 32;
        let kind: u32 = 0;
        // SAFETY: the attribute of this command is one number of 32 bits, of which pointer and length are given.
        let descriptor =
            unsafe { libc::syscall(libc::SYS_bpf, ENABLE_STATS, std::ptr::from_ref(&kind), size_of::<u32>()) };
        let descriptor = i32::try_from(descriptor).unwrap_or(-1);
        if descriptor < 0 {
            let source = std::io::Error::last_os_error();
            return Err(Error::Socket { action: "have the kernel take the times of BPF programs", source });
        }
        // SAFETY: the kernel has just made it for this process, and nobody else knows of it.
        Ok(Self { _held: unsafe { OwnedFd::from_raw_fd(descriptor) } })
    }
}

/// A link, in the words of bpftool.
#[derive(Deserialize)]
struct Link {
    prog_id: u32,
}

/// A program, in the words of bpftool.
#[derive(Deserialize)]
struct Counters {
    name: String,
    #[serde(default)]
    run_time_ns: u64,
    #[serde(default)]
    run_cnt: u64,
}

/// All programs that the agents of these hosts have attached, with what was counted so far.
pub(super) fn read(hosts: &[String]) -> Result<Vec<Program>, Error> {
    let mut programs = Vec::new();
    for host in hosts {
        let folder = Path::new(PINS).join(host).join("links");
        // Hosts of peers have none.
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let mut links: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        links.sort();
        for path in links {
            let link: Link = bpftool(&["link", "show", "pinned", &path.display().to_string()])?;
            let counters: Counters = bpftool(&["prog", "show", "id", &link.prog_id.to_string()])?;
            programs.push(Program {
                host: host.clone(),
                link: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
                name: counters.name,
                runs: counters.run_cnt,
                nanoseconds: counters.run_time_ns,
            });
        }
    }
    Ok(programs)
}

/// What was counted between two readings; programs that did not run are left out.
pub(super) fn since(before: Vec<Program>, mut after: Vec<Program>) -> Vec<Program> {
    for program in &mut after {
        let same = |old: &&Program| (&old.host, &old.link) == (&program.host, &program.link);
        if let Some(old) = before.iter().find(same) {
            program.runs = program.runs.saturating_sub(old.runs);
            program.nanoseconds = program.nanoseconds.saturating_sub(old.nanoseconds);
        }
    }
    after.retain(|program| program.runs > 0);
    after
}

/// What bpftool says to a question.
fn bpftool<T: for<'de> Deserialize<'de>>(arguments: &[&str]) -> Result<T, Error> {
    let failed = |source| Error::File { action: "run", path: "bpftool".into(), source };
    let output = Command::new("bpftool").arg("-j").args(arguments).output().map_err(failed)?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        failed(std::io::Error::other(format!("{}: {error}: {said}", arguments.join(" "))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_before_does_not_count_and_what_did_not_run_is_left_out() {
        let program = |link: &str, runs, nanoseconds| Program {
            host: "h".to_owned(),
            link: link.to_owned(),
            name: "netvirt_port".to_owned(),
            runs,
            nanoseconds,
        };
        let before = vec![program("port-1", 10, 1000), program("port-2", 5, 500)];
        let after = vec![program("port-1", 30, 5000), program("port-2", 5, 500), program("port-3", 1, 7)];
        assert_eq!(since(before, after), [program("port-1", 20, 4000), program("port-3", 1, 7)]);
    }
}
