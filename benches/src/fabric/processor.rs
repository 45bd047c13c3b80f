//! How long a process has kept processors busy.

use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use super::site::failed;
use crate::Error;

/// Processor time that a process has used since it began, in user space and in the kernel, all threads together, those
/// that have ended too (`/proc/PID/stat`, fields 14 and 15, see proc(5)). The kernel rounds it to a tick.
///
/// # Errors
/// When there is no such process.
pub fn used(pid: u32) -> Result<Duration, Error> {
    let failed = failed("look at the processor time of a process");
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| failed(&error))?;
    let second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u32::try_from(ticks).ok());
    match (ticks(&text), second.filter(|second| *second > 0)) {
        (Some(ticks), Some(second)) => Ok(Duration::from_secs(ticks) / second),
        _ => Err(failed(&format!("/proc/{pid}/stat says {text:?}"))),
    }
}

/// Both fields added up. The name in the second field may hold anything, so that it is counted from its last bracket.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 9 8 7 6 250 50 3 4 20 0 1 0 5";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn work_takes_time() {
        let before = used(std::process::id()).unwrap();
        let began = std::time::Instant::now();
        while used(std::process::id()).unwrap() < before + Duration::from_millis(20) {
            assert!(began.elapsed() < Duration::from_secs(60));
        }
    }
}
