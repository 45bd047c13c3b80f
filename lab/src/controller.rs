//! The controller of a lab: its process, and how hosts join it. All of it is done as an operator does it, by running
//! `netvirt` in the nodes.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use host::Namespace;

use crate::agent::{log_path, tail};
use crate::error::InNode;
use crate::state::{Process, State};
use crate::topology::Controller;
use crate::wiring::{ETH0, lab_folder, namespace_name};
use crate::{LabError, Node, Output, UpOptions};

/// How long one `netvirt` of an operator may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(20);
/// How often is looked whether the controller answers.
const GLANCE: Duration = Duration::from_millis(20);
/// Port of the controller's REST interface.
const REST_PORT: u16 = 7443;
/// Port that agents connect to.
const AGENTS_PORT: u16 = 7444;
/// Environment variable by which `netvirt` finds the controller.
pub(crate) const CONTEXT_VARIABLE: &str = "NETVIRT_CONTEXT";

/// Folder of the controller's store, certificates and context.
pub(crate) fn state_folder(lab: &str, name: &str) -> PathBuf {
    lab_folder(lab).join(format!("{name}.state"))
}

/// The file by which the operator's commands reach the controller.
pub(crate) fn context_path(lab: &str, name: &str) -> PathBuf {
    state_folder(lab, name).join("admin.yaml")
}

/// Starts the controller and writes its process down. It goes on when the caller ends.
pub(crate) fn start(state: &mut State, program: &Path, controller: &Controller) -> Result<Child, LabError> {
    let (lab, node) = (state.topology.name.to_string(), controller.name.as_str());
    let path = log_path(&lab, node);
    let failed = |source| LabError::File { action: "write", path: path.clone(), source };
    let log = File::options().create(true).append(true).open(&path).map_err(failed)?;
    let errors = log.try_clone().map_err(failed)?;
    let namespace = Namespace::open(&namespace_name(&state.topology.name, node)).in_node(node)?;
    let mut command = namespace.command(program);
    command.arg("controller").arg("--state").arg(state_folder(&lab, node));
    command.arg("--listen").arg(format!("[::]:{REST_PORT}")).arg("--agents").arg(format!("[::]:{AGENTS_PORT}"));
    for address in &controller.addresses {
        command.arg("--advertise").arg(address.addr().to_string());
    }
    let child = command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // A group of its own: what interrupts the caller at the terminal does not reach the controller.
        .process_group(0)
        .spawn()
        .map_err(|source| LabError::Run { program: program.display().to_string(), node: node.to_owned(), source })?;
    let start_time = host::process::start_time(child.id()).unwrap_or_default();
    state.controller = Some(Process { pid: child.id(), start_time });
    state.save()?;
    Ok(child)
}

/// Waits until the controller answers.
pub(crate) fn await_ready(
    state: &State,
    program: &Path,
    controller: &Controller,
    child: &mut Child,
    options: &UpOptions,
) -> Result<(), LabError> {
    let limit = options.ready_within;
    let (lab, name) = (state.topology.name.as_str(), controller.name.as_str());
    let log = log_path(lab, name);
    let failed = |problem: String| {
        let (tail, log) = (tail(&log), log.clone());
        Err(LabError::Controller { node: name.to_owned(), problem, log, tail })
    };
    let context = context_path(lab, name);
    let end = Instant::now() + limit;
    loop {
        options.interrupted.check(lab)?;
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return failed(format!("ended ({status}) instead of starting")),
            Err(error) => return failed(format!("is lost ({error})")),
        }
        // The context is written when there is something to reach.
        let last = if context.exists() {
            let asked = netvirt(state, program, name, &["status", "--context", &text(&context)])?;
            if asked.success() {
                return Ok(());
            }
            asked.stderr
        } else {
            format!("{} is not there yet", context.display())
        };
        if Instant::now() >= end {
            return failed(format!("does not answer within {} s ({})", limit.as_secs(), last.trim()));
        }
        thread::sleep(GLANCE);
    }
}

/// Enrols a host at the controller: a token there, `netvirt host join` here.
pub(crate) fn join(state: &State, program: &Path, controller: &Controller, host: &str) -> Result<(), LabError> {
    let lab = state.topology.name.as_str();
    let context = text(&context_path(lab, controller.name.as_str()));
    let asked = ["create", "join-token", "--name", host, "--context", &context, "-o", "json"];
    let answer = netvirt(state, program, controller.name.as_str(), &asked)?.ok()?;
    let token = serde_json::from_str::<serde_json::Value>(&answer)
        .ok()
        .and_then(|token| token.get("token")?.as_str().map(str::to_owned));
    let address = controller.addresses.first().map(|address| std::net::SocketAddr::new(address.addr(), AGENTS_PORT));
    let (Some(token), Some(address)) = (token, address) else {
        let (log, problem) = (log_path(lab, controller.name.as_str()), format!("gave no token, but: {answer}"));
        return Err(LabError::Controller { node: controller.name.to_string(), problem, tail: tail(&log), log });
    };
    let (address, folder) = (address.to_string(), text(&crate::agent::state_folder(lab, host)));
    let joining = ["host", "join", "--controller", &address, "--token", &token, "--uplink", ETH0];
    netvirt(state, program, host, &[&joining[..], &["--name", host, "--state", &folder]].concat())?.ok()?;
    Ok(())
}

/// Runs `netvirt` in a node.
fn netvirt(state: &State, program: &Path, node: &str, arguments: &[&str]) -> Result<Output, LabError> {
    let program = text(program);
    let node = Node::open(node, &namespace_name(&state.topology.name, node))?;
    node.output(&[&[program.as_str()], arguments].concat(), COMMAND_LIMIT)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
