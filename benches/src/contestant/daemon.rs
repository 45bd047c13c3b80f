//! A program that runs on a host for as long as its stage stands.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Error, interrupt};

/// How long it may take to start.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(10);

/// A running program. It is ended when this goes.
#[derive(Debug)]
pub(super) struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it, with its output in a log in that folder.
    pub(super) fn start(mut command: Command, folder: &Path) -> Result<Self, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        let log = folder.join(format!("{program}.out"));
        let failed = |action| {
            let path = log.clone();
            move |source| Error::File { action, path, source }
        };
        let output = File::create(&log).map_err(failed("write"))?;
        let errors = output.try_clone().map_err(failed("write"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // A group of its own: Ctrl-C reaches this process alone, which then ends it.
            .process_group(0)
            .spawn()
            .map_err(|source| Error::File { action: "run", path: program.clone().into(), source })?;
        Ok(Self { name: program, child, log })
    }

    /// Waits until a file appears that tells that it is ready.
    pub(super) fn await_file(&mut self, path: &Path) -> Result<(), Error> {
        let end = Instant::now() + READY_WITHIN;
        while !path.exists() {
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            if ended || Instant::now() >= end {
                let what = if ended { "ended instead of starting" } else { "is not ready" };
                return Err(Error::Late {
                    what: format!("{} {what}", self.name),
                    seconds: READY_WITHIN.as_secs(),
                    log: fs::read_to_string(&self.log).unwrap_or_default(),
                });
            }
            interrupt::pause(GLANCE)?;
        }
        Ok(())
    }

    /// Pins all its threads.
    pub(super) fn pin(&self, cpu: usize) -> Result<(), Error> {
        let pinned = |source: nix::Error| Error::Pin { cpu, source: source.into() };
        let mut set = CpuSet::new();
        set.set(cpu).map_err(pinned)?;
        let path = PathBuf::from(format!("/proc/{}/task", self.child.id()));
        let threads = fs::read_dir(&path).map_err(|source| Error::File { action: "read", path, source })?;
        for thread in threads.flatten() {
            let Some(thread) = thread.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            match sched_setaffinity(Pid::from_raw(thread), &set) {
                // It ended since it was listed.
                Ok(()) | Err(nix::Error::ESRCH) => {}
                Err(error) => return Err(pinned(error)),
            }
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Until it is waited for below, the number is not another process's.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let end = Instant::now() + END_WITHIN;
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(GLANCE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
