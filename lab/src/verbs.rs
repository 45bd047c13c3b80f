//! The verbs of `netvirt lab`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use qemu::Moved;

use crate::guest::Awaited;
use crate::state::State;
use crate::topology::Topology;
use crate::wiring::lab_folder;
use crate::{Lab, LabError, LabStatus, LabSummary, UpOptions};
use crate::{controller, guest};

/// `netvirt lab up FILE`: brings a lab up from a file, and tells what it looks like.
///
/// # Errors
/// Those of [`Topology::from_file`] and [`Lab::up`].
pub fn up(file: &Path, options: UpOptions) -> Result<LabStatus, LabError> {
    Lab::up(&Topology::from_file(file)?, options)?.status()
}

/// `netvirt lab down NAME`: removes a lab, also one whose maker was killed.
///
/// # Errors
/// When there is none of this name, or something cannot be removed.
pub fn down(name: &str) -> Result<(), LabError> {
    if !host::process::is_root() {
        return Err(LabError::NotRoot);
    }
    Lab::open(name)?.down()
}

/// `netvirt lab list`: all labs.
///
/// # Errors
/// When a lab's state cannot be read.
pub fn list() -> Result<Vec<LabSummary>, LabError> {
    crate::status::list()
}

/// `netvirt lab status NAME`: nodes, addresses, agents.
///
/// # Errors
/// When there is none of this name.
pub fn status(name: &str) -> Result<LabStatus, LabError> {
    Lab::open(name)?.status()
}

/// `netvirt lab plug VM HOST`: pulls a VM's cable out of its host and plugs it into another one. `lab` may be left out
/// when one lab alone has such a VM.
///
/// # Errors
/// Those of [`Lab::plug_vm`].
pub fn plug(lab: Option<&str>, vm: &str, host: &str) -> Result<(), LabError> {
    lab_with(lab, vm)?.plug_vm(vm, host)
}

/// `netvirt lab migrate VM HOST`: moves a running guest to another host. `lab` may be left out when one lab alone has such a VM.
///
/// # Errors
/// Those of [`Lab::migrate_vm`].
pub fn migrate(lab: Option<&str>, vm: &str, host: &str) -> Result<Moved, LabError> {
    lab_with(lab, vm)?.migrate_vm(vm, host)
}

/// `netvirt lab receive VM HOST`: starts a QEMU that waits for a guest. `lab` may be left out when one lab alone has such a VM.
///
/// # Errors
/// Those of [`Lab::receive_vm`].
pub fn receive(lab: Option<&str>, vm: &str, host: &str) -> Result<Awaited, LabError> {
    lab_with(lab, vm)?.receive_vm(vm, host)
}

/// `netvirt lab received VM`: ends the one of a guest's two QEMUs that it does not run in; the host that it runs on.
///
/// # Errors
/// Those of [`Lab::received_vm`].
pub fn received(lab: Option<&str>, vm: &str) -> Result<String, LabError> {
    lab_with(lab, vm)?.received_vm(vm)
}

/// The lab of this name, or the one that has the VM.
fn lab_with(lab: Option<&str>, vm: &str) -> Result<Lab, LabError> {
    if !host::process::is_root() {
        return Err(LabError::NotRoot);
    }
    Lab::open(&lab.map_or_else(|| lab_of(vm), |lab| Ok(lab.to_owned()))?)
}

/// `netvirt lab exec NODE -- CMD...`: becomes the command, inside the node's namespace. It returns only with the error
/// that kept it from that; otherwise exit code, signals and terminal are the command's own. Of a command in a guest they
/// are handed on, and there is no terminal. `lab` may be left out when one lab alone has such a node.
pub fn exec(lab: Option<&str>, node: &str, command: &[String]) -> LabError {
    if !host::process::is_root() {
        return LabError::NotRoot;
    }
    let found = lab.map_or_else(|| lab_of(node), |lab| Ok(lab.to_owned()));
    let state = match found.and_then(|lab| State::load(&lab)) {
        Ok(state) => state,
        Err(error) => return error,
    };
    if state.topology.vms.iter().any(|vm| vm.name.as_str() == node && vm.is_guest()) {
        return guest::become_command(&state, node, command);
    }
    let its_lab = state.topology.name.to_string();
    let node = match Lab::open(&its_lab).and_then(|lab| lab.node(node)) {
        Ok(found) => found,
        Err(error) => return error,
    };
    let program = command.first().map_or("sh", String::as_str);
    let mut process = node.command(program);
    process.args(command.iter().skip(1));
    // Who is at the controller's machine reaches the controller.
    if let Some(context) = context_for(lab, node.name()) {
        process.env(controller::CONTEXT_VARIABLE, context);
    }
    if let Err(error) = own_resolver(&state, node.name()) {
        return error;
    }
    let source = process.exec();
    LabError::Run { program: program.to_owned(), node: node.name().to_owned(), source }
}

/// What is written in a VM or a server about the names that it asks for is about that one: it is given a file of its own for
/// it.
fn own_resolver(state: &State, node: &str) -> Result<(), LabError> {
    const RESOLVER: &str = "/etc/resolv.conf";
    let is_vm = state.topology.vms.iter().any(|vm| vm.name.as_str() == node);
    let is_outside = state.topology.outside_nodes().iter().any(|its| its == node);
    // A link leads elsewhere, and whoever replaces it replaces the machine's.
    if !(is_vm || is_outside) || !fs::symlink_metadata(RESOLVER).is_ok_and(|it| it.is_file()) {
        return Ok(());
    }
    let own = lab_folder(state.topology.name.as_str()).join(format!("{node}.resolv.conf"));
    let made = fs::File::options().create(true).append(true).open(&own).map(drop);
    made.and_then(|()| host::process::cover(Path::new(RESOLVER), &own)).map_err(|source| LabError::File {
        action: "put in the place of /etc/resolv.conf",
        path: own,
        source,
    })
}

/// The context of the controller, if the node is one.
fn context_for(lab: Option<&str>, node: &str) -> Option<PathBuf> {
    let labs = lab.map_or_else(
        || list().unwrap_or_default().into_iter().map(|lab| lab.name).collect(),
        |lab| vec![lab.to_owned()],
    );
    labs.iter().find_map(|lab| {
        let state = State::load(lab).ok()?;
        let its = state.topology.controller.filter(|its| its.name.as_str() == node)?;
        Some(controller::context_path(lab, its.name.as_str()))
    })
}

/// The one lab that has a node of this name.
fn lab_of(name: &str) -> Result<String, LabError> {
    let (mut found, mut all) = (Vec::new(), Vec::new());
    for lab in list()? {
        let nodes = State::load(&lab.name)?.topology.nodes();
        if nodes.iter().any(|node| node == name) {
            found.push(lab.name.clone());
        }
        all.extend(nodes);
    }
    match found.as_slice() {
        [lab] => Ok(lab.clone()),
        [] => Err(LabError::NoNode { lab: "(any)".to_owned(), node: name.to_owned(), nodes: all }),
        _ => Err(LabError::Ambiguous { node: name.to_owned(), labs: found }),
    }
}
