//! Daemons of sites and plain routers, which run as long as their handles live.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use host::Process;
use lab::Node;

use super::failed;
use crate::{Error, interrupt};

/// How long one may take to be there.
const LIMIT: Duration = Duration::from_secs(20);
/// Room in the sockets of sites' daemons, in bytes.
pub(super) const ROOM: usize = 4 << 20;
/// How often is looked whether it is.
const GLANCE: Duration = Duration::from_millis(20);

/// A daemon in a node, with a `/run` of its own. It is killed when this goes.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    name: &'static str,
    log: PathBuf,
    /// What it sees as `/run`.
    pub(super) run: PathBuf,
}

impl Daemon {
    /// Starts it, with a folder for its files that is made here. It sees that folder's `run` as `/run`, and nothing else that is
    /// there.
    pub(super) fn start(node: &Node, folder: &Path, name: &'static str, command: &[&str]) -> Result<Self, Error> {
        let (run, log) = (folder.join("run"), folder.join("log"));
        let failed = |source| Error::File { action: "write", path: log.clone(), source };
        fs::create_dir_all(&run).map_err(failed)?;
        let out = File::create(&log).map_err(failed)?;
        let errors = out.try_clone().map_err(failed)?;
        // As a gateway's: in a session of its own, for the kernel divides processors between sessions.
        let (program, arguments) = command.split_first().unwrap_or((&name, &[]));
        let mut command =
            node.namespace().daemon_command(program, &[(run.clone(), PathBuf::from("/run"))]).map_err(failed)?;
        let child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .map_err(|source| Error::Socket { action: "start a daemon", source })?;
        Ok(Self { child, name, log, run })
    }

    /// Waits until something holds that shows that it is there.
    pub(super) fn until(&mut self, mut is_so: impl FnMut(&Path) -> bool) -> Result<(), Error> {
        let end = Instant::now() + LIMIT;
        while !is_so(&self.run) {
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            if !matches!(self.child.try_wait(), Ok(None)) {
                return Err(failed("start a daemon")(&format!("{} has ended; its log says:\n{}", self.name, log())));
            }
            if Instant::now() >= end {
                let what = format!("{} is not ready", self.name);
                return Err(Error::Late { what, seconds: LIMIT.as_secs(), log: log() });
            }
            interrupt::pause(GLANCE)?;
        }
        Ok(())
    }
}

impl Daemon {
    /// Gives its sockets room for what comes while it waits for a processor.
    pub(super) fn make_room(&self) -> Result<(), Error> {
        let enlarged = Process::open(self.child.id()).and_then(|process| process.enlarge_receive_buffers(ROOM));
        enlarged.map(drop).map_err(|error| failed("enlarge the receive buffers of a site's daemon")(&error))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a script of the shell in a node; it must end well.
pub(super) fn script(node: &Node, text: &str) -> Result<String, Error> {
    Ok(node.output(&["sh", "-ec", text], LIMIT)?.ok()?)
}

/// The file of this name in a daemon's own `/run`.
pub(super) fn own(folder: &Path, name: &str) -> PathBuf {
    folder.join("run").join(name)
}

/// Writes a file that a daemon reads.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |source| Error::File { action: "write", path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

/// Reads a file that a gateway wrote.
pub(super) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File { action: "read", path: path.to_owned(), source })
}
