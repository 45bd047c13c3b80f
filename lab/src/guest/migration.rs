//! Moves a running guest to another host, as libvirt does: a second QEMU waits there, the first one hands the guest over by
//! QMP, and ends. The network is not told: that is the operator's and the agents' to do. Who gives the two QEMUs their orders
//! may be somebody else (`netvirt migrate`), between [`Lab::receive_vm`] and [`Lab::received_vm`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use qemu::{HandOverError, Moved, Qmp, Way};
use serde::Serialize;
use serde_json::json;

use super::Place;
use super::qemu::{Begins, await_orders, start};
use crate::state::{Arriving, Lock, State};
use crate::topology::Vm;
use crate::{Lab, LabError, agent, build};

/// How long a guest may take to move.
const LIMIT: Duration = Duration::from_secs(120);
/// The longest pause that is aimed at, in milliseconds: what QEMU may still have to copy when it stops the guest.
const PAUSE_MS: u64 = 20;

/// Where the two QEMUs of a guest take orders, and the way between them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaited {
    /// The QEMU that the guest is in.
    pub source: PathBuf,
    /// The QEMU that waits for it.
    pub target: PathBuf,
    /// Where the latter can listen, as QEMU writes it.
    pub via: String,
}

impl Lab {
    /// Starts a QEMU on another host that waits for a guest.
    ///
    /// # Errors
    /// When there is no such guest or host, it does not run, is there already or on its way, or QEMU does not start.
    pub fn receive_vm(&mut self, vm: &str, host: &str) -> Result<Awaited, LabError> {
        let (mut state, _lock): (State, Lock) = State::lock(self.name())?;
        let (vm, device) = crate::lab::find_vm(&state, vm)?;
        let name = vm.name.to_string();
        let refused = |problem: &str| LabError::Migration { vm: name.clone(), problem: problem.to_owned() };
        if !vm.is_guest() {
            return Err(refused("it is a network namespace, and has a cable; \"netvirt lab plug\" moves that"));
        }
        let names: Vec<String> = state.topology.hosts.iter().map(|host| host.name.to_string()).collect();
        let Some(there) = state.topology.hosts.iter().find(|its| its.name.as_str() == host).map(|its| its.name.clone())
        else {
            return Err(LabError::NoNode { lab: self.name().to_owned(), node: host.to_owned(), nodes: names });
        };
        if state.host_of(&name).is_some_and(|from| from == host) {
            return Err(refused(&format!("it is on {host} already")));
        }
        if let Some(Arriving { host, .. }) = state.arriving.get(&name) {
            return Err(refused(&format!(
                "a QEMU on {host} waits for it already; \"netvirt lab received {name}\" ends that"
            )));
        }
        if !state.guests.get(&name).is_some_and(|guest| guest.process.is_alive()) {
            return Err(refused("its QEMU does not run"));
        }
        let here = Vm { host: there, ..vm };
        let Some(kit) = super::prepare(&state.topology)? else { return Err(refused("the lab has no guests")) };
        let source = super::place(&state, &name)?.qmp();
        build::build_tap(&state.topology, &here, &device)?;
        let started = start(&mut state, &here, &device, &kit, Begins::Waits);
        let target = started.and_then(|child| {
            self.children.insert(arriving(&name), child);
            let place = awaiting(&state, &name)?;
            await_orders(&place.qmp()).map(|_| place)
        });
        match target {
            Ok(place) => {
                let via = format!("unix:{}", place.incoming().display());
                Ok(Awaited { source, target: place.qmp(), via })
            }
            Err(error) => {
                self.end_arriving(&mut state, &name, &device)?;
                Err(error)
            }
        }
    }

    /// Takes in what has become of a guest for which a QEMU waits: the one of the two that it does not run in is ended. The host
    /// that it runs on.
    ///
    /// # Errors
    /// When nothing waits for it, or it runs in neither.
    pub fn received_vm(&mut self, vm: &str) -> Result<String, LabError> {
        let (mut state, _lock): (State, Lock) = State::lock(self.name())?;
        let (vm, device) = crate::lab::find_vm(&state, vm)?;
        let name = vm.name.to_string();
        let refused = |problem: &str| LabError::Migration { vm: name.clone(), problem: problem.to_owned() };
        let Some(come) = state.arriving.get(&name).cloned() else { return Err(refused("no QEMU waits for it")) };
        let from = state.host_of(&name).unwrap_or_default();
        if runs(&awaiting(&state, &name)?) {
            if let Some(old) = state.guests.insert(name.clone(), come.guest) {
                agent::end(old.process, Signal::SIGKILL, self.children.get_mut(&name));
            }
            if let Some(child) = self.children.remove(&arriving(&name)) {
                self.children.insert(name.clone(), child);
            }
            state.arriving.remove(&name);
            state.moved.insert(name, Some(come.host.clone()));
            state.save()?;
            build::remove_tap(&state.topology, &from, &device)?;
            return Ok(come.host);
        }
        let stays = super::place(&state, &name).is_ok_and(|place| runs(&place));
        self.end_arriving(&mut state, &name, &device)?;
        if stays { Ok(from) } else { Err(refused("it runs in neither of its two QEMUs")) }
    }

    /// Moves a running guest to another host. It has moved when this returns; when it cannot, it runs on where it was.
    ///
    /// # Errors
    /// When there is no such guest or host, it does not run, is there already, or QEMU gives up.
    pub fn migrate_vm(&mut self, vm: &str, host: &str) -> Result<Moved, LabError> {
        let awaited = self.receive_vm(vm, host)?;
        let moved = self.hand_over_vm(vm, &awaited);
        let there = self.received_vm(vm);
        let moved = moved?;
        there.map(|_| moved)
    }

    /// Gives the two QEMUs of a guest the orders that move it. What has become of it [`Lab::received_vm`] takes in.
    ///
    /// # Errors
    /// When they do not take the orders, or give it up; what has become of the guest is said.
    pub fn hand_over_vm(&mut self, vm: &str, awaited: &Awaited) -> Result<Moved, LabError> {
        let way = Way {
            uri: awaited.via.clone(),
            // Nothing but this guest is on the socket.
            parameters: json!({ "downtime-limit": PAUSE_MS, "max-bandwidth": u32::MAX }),
            limit: LIMIT,
            interrupted: Arc::default(),
        };
        let mut source = Qmp::connect(&awaited.source)?;
        let mut target = Qmp::connect(&awaited.target)?;
        qemu::hand_over(&mut source, &mut target, &way, |_| self.kill_arriving(vm))
            .map_err(|error: HandOverError| LabError::Migration { vm: vm.to_owned(), problem: error.to_string() })
    }

    /// Kills the QEMU that waits for a guest; whether it has ended.
    fn kill_arriving(&mut self, vm: &str) -> bool {
        let arriving_one = State::load(self.name()).ok().and_then(|state| state.arriving.get(vm).cloned());
        let Some(come) = arriving_one else { return false };
        agent::end(come.guest.process, Signal::SIGKILL, self.children.get_mut(&arriving(vm)));
        !come.guest.process.is_alive()
    }

    /// Ends the QEMU that waits for a guest, with its tap.
    fn end_arriving(&mut self, state: &mut State, name: &str, device: &str) -> Result<(), LabError> {
        if let Some(come) = state.arriving.remove(name) {
            agent::end(come.guest.process, Signal::SIGKILL, self.children.get_mut(&arriving(name)));
            self.children.remove(&arriving(name));
            // What stands in the way of removing it is not why the guest has not moved.
            let _ = build::remove_tap(&state.topology, &come.host, device);
        }
        state.save()
    }
}

/// Under which name the process is kept whose QEMU waits for a guest: no VM has a blank in its name.
fn arriving(vm: &str) -> String {
    format!("{vm} arriving")
}

/// Where the files of the QEMU are that waits for a guest.
fn awaiting(state: &State, vm: &str) -> Result<Place, LabError> {
    let come = state.arriving.get(vm).map(|come| come.guest.generation);
    let lab = state.topology.name.as_str();
    come.map(|generation| Place::new(lab, vm, generation))
        .ok_or_else(|| LabError::GuestGone { lab: lab.to_owned(), vm: vm.to_owned() })
}

/// Whether a QEMU runs its guest.
fn runs(place: &Place) -> bool {
    let status = Qmp::connect(&place.qmp()).and_then(|mut qmp| qmp.execute("query-status", json!({})));
    status.is_ok_and(|status| status["status"] == "running")
}
