//! One node of a lab, and programs that run in it.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
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
    guest: Option<GuestAccess>,
}

/// How commands get into a guest.
#[derive(Clone, Debug)]
struct GuestAccess {
    lab: String,
    /// netvirt, whose `lab exec` carries them.
    program: PathBuf,
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
        Ok(Self { name: name.to_owned(), namespace: Namespace::open(namespace).in_node(name)?, guest: None })
    }

    /// A guest, whose QEMU is in this namespace.
    pub(crate) fn open_guest(lab: &str, name: &str, namespace: &str, program: PathBuf) -> Result<Self, LabError> {
        let guest = Some(GuestAccess { lab: lab.to_owned(), program });
        Ok(Self { guest, ..Self::open(name, namespace)? })
    }

    /// Whether it is a virtual machine with a kernel of its own.
    pub const fn is_guest(&self) -> bool {
        self.guest.is_some()
    }

    /// Its name in the topology.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its network namespace; of a guest, which has none, that of its host, where its QEMU and its tap are.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its devices.
    ///
    /// # Errors
    /// When the namespace cannot be entered, and of a guest, whose devices are another kernel's.
    pub fn netlink(&self) -> Result<Netlink, LabError> {
        if self.is_guest() {
            return Err(LabError::GuestDevices(self.name.clone()));
        }
        Netlink::in_namespace(&self.namespace).in_node(&self.name)
    }

    /// A command that will run in it, with the mounts of the caller. In a guest it is `netvirt lab exec` that runs here
    /// and hands on arguments, streams, signals and the exit code; environment and folder stay outside, and files are the
    /// guest's own.
    pub fn command(&self, program: &str) -> Command {
        let Some(guest) = &self.guest else {
            return self.namespace.command(program);
        };
        let mut command = Command::new(&guest.program);
        command.args(["lab", "exec", "--lab", &guest.lab, &self.name, "--", program]);
        command
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
        let mut command = self.command(first);
        let Ended { status, stdout, stderr } =
            run_limited(command.args(rest).stdin(Stdio::null()), limit).map_err(failed)?;
        match status {
            Some(status) => Ok(Output { node: self.name.clone(), program, status, stdout, stderr }),
            None => {
                Err(LabError::Timeout { program, node: self.name.clone(), limit, printed: format!("{stdout}{stderr}") })
            }
        }
    }
}

/// How a program with a time limit ended.
pub(crate) struct Ended {
    /// None: it was killed at the limit.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end, at most for `limit`; then it and what it started are killed.
pub(crate) fn run_limited(command: &mut Command, limit: Duration) -> std::io::Result<Ended> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()?;
    // Both are read while the program runs, or it would stop at a full pipe.
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());
    let status = wait(&mut child, limit)?;
    if status.is_none() {
        // What it started may hold the pipes open; the group holds all of it.
        let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
        let _ = child.wait();
    }
    let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    Ok(Ended { status, stdout, stderr })
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
