//! Removes all that the state of a lab names, whatever of it there is. It does not stop at the first thing that cannot
//! be removed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Child;

use host::Namespace;
use nix::sys::signal::Signal;

use crate::LabError;
use crate::agent;
use crate::state::{Process, State};
use crate::wiring::{CONTROLLER, gateway_handle};

/// Takes a lab down. `children` are the handles of those agents and guests that the caller itself started.
pub(crate) fn take_down(state: &State, children: &mut BTreeMap<String, Child>) -> Result<(), LabError> {
    let lab = state.topology.name.as_str();
    let mut problems = Vec::new();
    for (vm, guest) in &state.guests {
        // Nothing that a guest has outlives it, so it is not asked politely.
        agent::end(guest.process, Signal::SIGKILL, children.get_mut(vm));
    }
    for come in state.arriving.values() {
        agent::end(come.guest.process, Signal::SIGKILL, None);
    }
    for (host, process) in &state.gateways {
        agent::end(*process, Signal::SIGTERM, children.get_mut(&gateway_handle(host)));
    }
    for (host, process) in &state.agents {
        agent::end(*process, Signal::SIGTERM, children.get_mut(host));
    }
    if let Some(process) = state.controller {
        agent::end(process, Signal::SIGTERM, children.get_mut(CONTROLLER));
    }
    // What gateways made outlives them.
    let of_gateways = state.of_gateways().unwrap_or_else(|error| {
        problems.push(error.to_string());
        Vec::new()
    });
    for name in of_gateways.iter().chain(&state.namespaces) {
        remove_namespace(name, &mut problems);
    }
    for folder in &state.bpffs {
        note(folder, fs::remove_dir_all(folder), &mut problems);
        // The folder of all hosts goes with the last of them, and stays while another host has pins.
        let _ = folder.parent().map(fs::remove_dir);
    }
    for socket in &state.sockets {
        note(socket, fs::remove_file(socket), &mut problems);
        // What an agent locks so that no second one takes its socket.
        let lock = socket.with_extension("sock.lock");
        note(&lock, fs::remove_file(&lock), &mut problems);
    }
    if problems.is_empty() {
        return State::remove(lab);
    }
    Err(LabError::Leftovers { lab: lab.to_owned(), problems })
}

/// Removes a namespace and ends what runs in it.
pub(crate) fn remove_namespace(name: &str, problems: &mut Vec<String>) {
    end_processes(name, problems);
    match Namespace::delete(name) {
        Err(error) if !error.is_absent() => problems.push(error.to_string()),
        _ => {}
    }
}

/// Ends the processes in a lab's namespace: programs that users left running, and agents that were not written down
/// because the one who started them was killed. They would keep the namespace and its devices alive. The caller and
/// those above it are spared, should it be inside itself.
fn end_processes(name: &str, problems: &mut Vec<String>) {
    let Ok(namespace) = Namespace::open(name) else { return };
    let callers: Vec<_> = std::iter::successors(Some(std::process::id()), |pid| host::process::parent(*pid)).collect();
    match namespace.processes() {
        Ok(pids) => {
            for pid in pids.into_iter().filter(|pid| !callers.contains(pid)) {
                if let Some(start_time) = host::process::start_time(pid) {
                    agent::end(Process { pid, start_time }, Signal::SIGKILL, None);
                }
            }
        }
        Err(error) => problems.push(error.to_string()),
    }
}

/// That something is not there is no problem.
fn note(path: &Path, removed: io::Result<()>, problems: &mut Vec<String>) {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            problems.push(format!("cannot remove {}: {error}", path.display()));
        }
        _ => {}
    }
}
