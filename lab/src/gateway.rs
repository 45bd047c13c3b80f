//! The gateways of a lab: `netvirt gateway` on a host, beside its agent.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use host::Namespace;
use nix::sys::signal::Signal;

use crate::agent::{self, tail};
use crate::error::InNode;
use crate::state::{Process, State};
use crate::teardown::remove_namespace;
use crate::wiring::{gateway_handle, lab_folder, namespace_name, socket_path};
use crate::{Lab, LabError, UpOptions};

/// How often is looked whether it has begun.
const GLANCE: Duration = Duration::from_millis(10);

/// Where a gateway's log is.
pub(crate) fn log_path(lab: &str, host: &str) -> PathBuf {
    lab_folder(lab).join(format!("{host}.gateway.log"))
}

/// Where a gateway keeps what its daemons need.
fn folder(lab: &str, host: &str) -> PathBuf {
    lab_folder(lab).join(format!("{host}.gateway"))
}

/// Starts a host's gateway and writes its process down. It goes on when the caller ends.
pub(crate) fn start(state: &mut State, program: &Path, host: &str) -> Result<Child, LabError> {
    let lab = state.topology.name.to_string();
    let path = log_path(&lab, host);
    let failed = |source| LabError::File { action: "write", path: path.clone(), source };
    // Each start has a log of its own, by whose first words is seen that it has begun.
    let before = path.with_extension("log.before");
    if path.exists() {
        fs::rename(&path, before).map_err(failed)?;
    }
    let log = File::options().create(true).append(true).open(&path).map_err(failed)?;
    let errors = log.try_clone().map_err(failed)?;
    let namespace = Namespace::open(&namespace_name(&state.topology.name, host)).in_node(host)?;
    let child = namespace
        .command(program)
        .args(["gateway", "--socket"])
        .arg(socket_path(host))
        .arg("--folder")
        .arg(folder(&lab, host))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // A group of its own: what interrupts the caller at the terminal does not reach the gateway.
        .process_group(0)
        .spawn()
        .map_err(|source| LabError::Run { program: program.display().to_string(), node: host.to_owned(), source })?;
    let start_time = host::process::start_time(child.id()).unwrap_or_default();
    state.gateways.insert(host.to_owned(), Process { pid: child.id(), start_time });
    state.save()?;
    Ok(child)
}

/// Waits until a host's gateway has begun: until it says something, and still runs.
pub(crate) fn await_ready(lab: &str, host: &str, child: &mut Child, options: &UpOptions) -> Result<(), LabError> {
    let log = log_path(lab, host);
    let failed = |problem: String| {
        let tail = tail(&log);
        Err(LabError::Gateway { host: host.to_owned(), problem, log: log.clone(), tail })
    };
    let end = Instant::now() + options.ready_within;
    loop {
        options.interrupted.check(lab)?;
        let has_spoken = fs::metadata(&log).is_ok_and(|log| log.len() > 0);
        match child.try_wait() {
            Ok(None) if has_spoken => return Ok(()),
            Ok(None) if Instant::now() >= end => {
                return failed(format!("says nothing within {} s", options.ready_within.as_secs()));
            }
            Ok(None) => thread::sleep(GLANCE),
            Ok(Some(status)) => return failed(format!("ended ({status}) instead of starting")),
            Err(error) => return failed(format!("is lost ({error})")),
        }
    }
}

impl Lab {
    /// The process of a host's gateway, if it runs.
    ///
    /// # Errors
    /// When there is no such host, or it has no gateway.
    pub fn gateway_pid(&self, host: &str) -> Result<Option<u32>, LabError> {
        let state = State::load(&self.name)?;
        require_gateway(&state, host)?;
        let process = state.gateways.get(host).filter(|process| process.is_alive());
        Ok(process.map(|process| process.pid))
    }

    /// The folder of a host's gateway.
    ///
    /// # Errors
    /// When there is no such host, or it has no gateway.
    pub fn gateway_folder(&self, host: &str) -> Result<PathBuf, LabError> {
        require_gateway(&State::load(&self.name)?, host)?;
        Ok(folder(&self.name, host))
    }

    /// Kills a host's gateway with SIGKILL, as a crash would. What it made stays.
    ///
    /// # Errors
    /// When there is no such host, or it has no gateway.
    pub fn kill_gateway(&mut self, host: &str) -> Result<(), LabError> {
        self.end_gateway(host, Signal::SIGKILL)
    }

    /// Kills a host's gateway and takes away what it made, as when the machine dies: compartments, and all that runs in them.
    ///
    /// # Errors
    /// When there is no such host, it has no gateway, or something cannot be removed.
    pub fn lose_gateway(&mut self, host: &str) -> Result<(), LabError> {
        self.kill_gateway(host)?;
        let (state, _lock) = State::lock(&self.name)?;
        let (beginning, mut problems) = (plan::gateway::namespace_prefix(host), Vec::new());
        for name in state.of_gateways()?.iter().filter(|name| name.starts_with(&beginning)) {
            remove_namespace(name, &mut problems);
        }
        let lab = self.name.clone();
        if problems.is_empty() { Ok(()) } else { Err(LabError::Leftovers { lab, problems }) }
    }

    /// Asks a host's gateway to end, and kills it when it does not. What it made stays.
    ///
    /// # Errors
    /// When there is no such host, or it has no gateway.
    pub fn stop_gateway(&mut self, host: &str) -> Result<(), LabError> {
        self.end_gateway(host, Signal::SIGTERM)
    }

    /// Starts a host's gateway.
    ///
    /// # Errors
    /// When it runs already, or does not start.
    pub fn start_gateway(&mut self, host: &str) -> Result<(), LabError> {
        let (mut state, _lock) = State::lock(&self.name)?;
        require_gateway(&state, host)?;
        if let Some(process) = state.gateways.get(host).filter(|process| process.is_alive()) {
            return Err(LabError::GatewayRuns { host: host.to_owned(), pid: process.pid });
        }
        let program = self.options.program.clone().map_or_else(agent::program, Ok)?;
        let mut child = start(&mut state, &program, host)?;
        let ready = await_ready(&self.name, host, &mut child, &self.options);
        if let Some(mut before) = self.children.insert(gateway_handle(host), child) {
            // It is not alive, as was seen above: only its remains are taken.
            let _ = before.wait();
        }
        ready
    }

    fn end_gateway(&mut self, host: &str, signal: Signal) -> Result<(), LabError> {
        let (state, _lock) = State::lock(&self.name)?;
        require_gateway(&state, host)?;
        let handle = gateway_handle(host);
        if let Some(process) = state.gateways.get(host) {
            agent::end(*process, signal, self.children.get_mut(&handle));
        }
        self.children.remove(&handle);
        Ok(())
    }
}

/// Refuses a host that is not there or has no gateway.
fn require_gateway(state: &State, host: &str) -> Result<(), LabError> {
    match state.topology.hosts.iter().find(|its| its.name.as_str() == host) {
        Some(its) if its.gateway => Ok(()),
        Some(_) => Err(LabError::NoGateway { lab: state.topology.name.to_string(), host: host.to_owned() }),
        None => Err(LabError::NoNode {
            lab: state.topology.name.to_string(),
            node: host.to_owned(),
            nodes: state.topology.hosts.iter().map(|host| host.name.to_string()).collect(),
        }),
    }
}
