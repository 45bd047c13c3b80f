//! Telling one process from a later one with the same id, and what a process has for itself.

use std::ffi::{CStr, CString};
use std::path::Path;
use std::{fs, io};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// When a process started, in clock ticks since the machine's boot (field 22 of /proc/PID/stat); absent when there is
/// no such process, or only its unreaped remains. Together with the process id it names one process for good.
pub fn start_time(pid: u32) -> Option<u64> {
    parse_start_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads the fields behind the command's name, which itself may hold blanks and parentheses.
fn parse_start_time(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// The parent of a process.
pub fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Puts a file over another one for this process, and what becomes of it, alone: the mounts of all others stay as they are.
///
/// # Errors
/// When the kernel refuses.
pub fn cover(path: &Path, with: &Path) -> io::Result<()> {
    const NOTHING: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING)?;
    mount(Some(with), path, NOTHING, MsFlags::MS_BIND, NOTHING)?;
    Ok(())
}

/// Puts folders over others, first before second, for this process, and what becomes of it, alone. What others mount and
/// unmount later is seen here as well: else a process would keep alive the namespaces whose names it saw when it started.
/// It allocates nothing, and may be called between fork and exec.
///
/// # Errors
/// When the kernel refuses.
pub fn cover_folders(folders: &[(CString, CString)]) -> io::Result<()> {
    const NOTHING: Option<&CStr> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NOTHING, c"/", NOTHING, MsFlags::MS_REC | MsFlags::MS_SLAVE, NOTHING)?;
    for (with, path) in folders {
        mount(Some(with.as_c_str()), path.as_c_str(), NOTHING, MsFlags::MS_BIND, NOTHING)?;
    }
    Ok(())
}

/// Whether the caller is root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_command_may_look_like_fields() {
        let stat = "7 (a) Z 1 (b) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0";
        assert_eq!(parse_start_time(stat), Some(4711));
    }

    #[test]
    fn this_process_has_a_start_time_and_remains_have_none() {
        assert!(start_time(std::process::id()).is_some());
        assert_eq!(parse_start_time("7 (a) Z 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0"), None);
    }
}
