//! What processes and the kernel take of memory and of processors.

use std::fs;
use std::time::Duration;

use host::Namespace;

use super::failed;
use crate::Error;
use crate::fabric::processor;

/// Memory that could be had without swapping, in KiB (`MemAvailable`, proc(5)).
pub(super) fn available() -> Result<u64, Error> {
    field(&meminfo()?, "MemAvailable:")
        .ok_or_else(|| failed("look at the memory")(&"/proc/meminfo does not tell MemAvailable"))
}

/// Memory that the kernel has for itself, in KiB: its objects, what it keeps for each processor, stacks and page tables
/// (proc(5)).
pub(super) fn kernel() -> Result<u64, Error> {
    let text = meminfo()?;
    Ok(["Slab:", "Percpu:", "KernelStack:", "PageTables:"].iter().filter_map(|name| field(&text, name)).sum())
}

fn meminfo() -> Result<String, Error> {
    fs::read_to_string("/proc/meminfo").map_err(|error| failed("look at the memory")(&error))
}

/// A process' proportional share of memory, in KiB (`Pss`, proc(5)); nothing of one that has ended.
fn share(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    field(&text, "Pss:").unwrap_or_default()
}

/// The shares of processes together, in KiB.
pub(super) fn shares(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| share(*pid)).sum()
}

/// Processor time that processes have used; those that have ended do not count.
pub(super) fn used(pids: &[u32]) -> Duration {
    pids.iter().filter_map(|pid| processor::used(*pid).ok()).sum()
}

/// The processes of namespaces with these names.
pub(super) fn processes(names: &[String]) -> Result<Vec<u32>, Error> {
    let mut all = Vec::new();
    for name in names {
        all.extend(Namespace::open(name)?.processes()?);
    }
    Ok(all)
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_share_of_what_is_available() {
        let own = shares(&[std::process::id()]);
        assert!(own > 0 && own < available().unwrap());
        assert!(kernel().unwrap() > 0);
        assert_eq!(field("Pss_Anon: 3 kB\nPss:   7 kB\n", "Pss:"), Some(7));
    }
}
