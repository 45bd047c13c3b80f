//! One node of a lab, and programs that run in it.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use host::{Namespace, Netlink};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::LabError;
use crate::error::InNode;

/// How often a program that has a time limit is looked at.
const GLANCE: Duration = Duration::from_millis(2);

/// A host, VM or underlay node of a lab.
#[derive(Clone, Debug)]
pub struct Node {
    name: String,
    namespace: Namespace,
}

/// How a program ended and what it printed.
#[derive(Clone, Debug)]
pub struct Output {
    /// The node that it ran in.
    pub node: String,
    /// The program with its arguments.
    pub program: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Output {
    /// Whether it ended well.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// What it printed, if it ended well.
    ///
    /// # Errors
    /// [`LabError::Failed`] with all that it printed.
    pub fn ok(self) -> Result<String, LabError> {
        if self.success() {
            return Ok(self.stdout);
        }
        let printed = format!("{}{}", self.stdout, self.stderr);
        Err(LabError::Failed { program: self.program, node: self.node, status: self.status, printed })
    }
}

impl Node {
    pub(crate) fn open(name: &str, namespace: &str) -> Result<Self, LabError> {
        Ok(Self { name: name.to_owned(), namespace: Namespace::open(namespace).in_node(name)? })
    }

    /// Its name in the topology.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its network namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its devices.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn netlink(&self) -> Result<Netlink, LabError> {
        Netlink::in_namespace(&self.namespace).in_node(&self.name)
    }

    /// A command that will run in it, with the mounts of the caller.
    pub fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    /// Runs a program to its end, at most for `limit`, and gives what it printed. At the limit the program and what
    /// it started are killed.
    ///
    /// # Errors
    /// When there is no such program, or at the limit. That it ends with a failure is no error here; see
    /// [`Output::ok`].
    pub fn output(&self, args: &[&str], limit: Duration) -> Result<Output, LabError> {
        let program = args.join(" ");
        let failed = |source| LabError::Run { program: program.clone(), node: self.name.clone(), source };
        let (first, rest) = args.split_first().ok_or_else(|| failed(std::io::ErrorKind::InvalidInput.into()))?;
        let mut child = self
            .command(first)
            .args(rest)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        // Both are read while the program runs, or it would stop at a full pipe.
        let stdout = read_all(child.stdout.take());
        let stderr = read_all(child.stderr.take());
        let ended = wait(&mut child, limit).map_err(failed)?;
        if ended.is_none() {
            // What it started may hold the pipes open; the group holds all of it.
            let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
            let _ = child.wait();
        }
        let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
        match ended {
            Some(status) => Ok(Output { node: self.name.clone(), program, status, stdout, stderr }),
            None => {
                Err(LabError::Timeout { program, node: self.name.clone(), limit, printed: format!("{stdout}{stderr}") })
            }
        }
    }
}

/// Reads a pipe to its end on a thread of its own; what is not UTF-8 is replaced.
fn read_all(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is what there is to show.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for the end of a child; none at the limit.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        thread::sleep(GLANCE);
    }
}
