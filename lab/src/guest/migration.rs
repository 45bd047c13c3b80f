//! Moves a running guest to another host, as libvirt does: a second QEMU waits there, the first one hands the guest over by
//! QMP, and ends. The network is not told: that is the operator's and the agents' to do.

use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Accelerator, Qmp, qemu};
use crate::state::{Guest, Lock, State};
use crate::topology::Vm;
use crate::{Lab, LabError, agent, build};

/// How long a guest may take to move.
const LIMIT: Duration = Duration::from_secs(120);
/// The longest pause that is aimed at, in milliseconds: what QEMU may still have to copy when it stops the guest.
const PAUSE_MS: u64 = 20;

/// How a guest has moved.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// How long the guest stood still, in milliseconds.
    pub pause_ms: u64,
    /// How long all of it took, in milliseconds.
    pub total_ms: u64,
}

impl Lab {
    /// Moves a running guest to another host. It has moved when this returns; when it cannot, it runs on where it was.
    ///
    /// # Errors
    /// When there is no such guest or host, it does not run, is there already, or QEMU gives up.
    pub fn migrate_vm(&mut self, vm: &str, host: &str) -> Result<Moved, LabError> {
        let (mut state, lock): (State, Lock) = State::lock(self.name())?;
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
        let from = state.host_of(&name).unwrap_or_default();
        if from == host {
            return Err(refused(&format!("it is on {host} already")));
        }
        let Some(old) = state.guests.get(&name).filter(|guest| guest.process.is_alive()).cloned() else {
            return Err(refused("its QEMU does not run"));
        };
        let here = Vm { host: there, ..vm };
        let Some(kit) = super::prepare(&state.topology)? else { return Err(refused("the lab has no guests")) };
        build::build_tap(&state.topology, &here, &device)?;
        let handed_over = hand_over(&mut state, &here, &device, &kit);
        match handed_over {
            Ok((moved, child)) => {
                self.end_guest(&name, &old);
                self.keep_child(&name, child);
                state.moved.insert(name, Some(host.to_owned()));
                state.save()?;
                build::remove_tap(&state.topology, &from, &device)?;
                drop(lock);
                Ok(moved)
            }
            Err(error) => {
                let new = state.guests.insert(name.clone(), old.clone());
                if let Some(new) = new.filter(|new| *new != old) {
                    agent::end(new.process, Signal::SIGKILL, None);
                }
                state.save()?;
                // What stands in the way of removing it is not why the guest has not moved.
                let _ = build::remove_tap(&state.topology, host, &device);
                Err(error)
            }
        }
    }
}

/// Starts the second QEMU, has the first one hand the guest over, and ends that.
fn hand_over(state: &mut State, vm: &Vm, device: &str, kit: &super::Kit) -> Result<(Moved, Child), LabError> {
    let name = vm.name.as_str();
    let mut source = Qmp::connect(&super::place(state, name)?.qmp())?;
    let mut child = qemu::start_incoming(state, vm, device, &kit.image, &kit.choice)?;
    let place = super::place(state, name)?;
    let moved = transfer(&mut source, &place, name, kit.choice.accelerator);
    if moved.is_err() {
        // It has never run the guest.
        let _ = child.kill();
        let _ = child.wait();
    }
    moved.map(|moved| (moved, child))
}

/// Hands the guest over.
///
/// One that is emulated stands still while it is copied: QEMU 7.2 loses track of pages that such a guest writes meanwhile, and
/// one in about ten guests died of it within seconds.
fn transfer(source: &mut Qmp, place: &super::Place, vm: &str, by: Accelerator) -> Result<Moved, LabError> {
    let mut target = qemu::await_orders(&place.qmp())?;
    let incoming = format!("unix:{}", place.incoming().display());
    target.execute("migrate-incoming", json!({ "uri": incoming }))?;
    // Nothing but this guest is on the socket.
    source.execute("migrate-set-parameters", json!({ "downtime-limit": PAUSE_MS, "max-bandwidth": u32::MAX }))?;
    let began = Instant::now();
    let stands_still = by == Accelerator::Tcg;
    if stands_still {
        source.execute("stop", json!({}))?;
    }
    let handed_over = source
        .execute("migrate", json!({ "uri": incoming }))
        .and_then(|_| await_end(source, vm))
        .and_then(|pause_ms| {
            if stands_still { wake(&mut target, vm) } else { target.await_event(&["RESUME"], LIMIT) }.map(|_| pause_ms)
        });
    let all = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match handed_over {
        Ok(pause_ms) => Ok(Moved { pause_ms: if stands_still { all } else { pause_ms }, total_ms: all }),
        Err(error) => {
            // It runs on where it was; the other QEMU is ended by the caller.
            source.execute("cont", json!({}))?;
            Err(error)
        }
    }
}

/// Has a guest run on that stood still while it came.
fn wake(target: &mut Qmp, vm: &str) -> Result<Value, LabError> {
    await_arrival(target, vm)?;
    target.execute("cont", json!({}))?;
    // As QEMU does by itself for a guest that runs when it comes; these are the times that it takes then.
    target.execute("announce-self", json!({ "initial": 50, "max": 550, "rounds": 5, "step": 100 }))
}

/// Waits until a guest that stands still has come: the one who sent it is done a moment before.
fn await_arrival(target: &mut Qmp, vm: &str) -> Result<(), LabError> {
    let end = Instant::now() + LIMIT;
    while target.execute("query-status", json!({}))?["status"] == "inmigrate" {
        if Instant::now() >= end {
            return Err(given_up(vm, &json!({ "error-desc": "it does not come in" })));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Waits until all of the guest has been copied; how long it stood still for that, in milliseconds, as QEMU says.
fn await_end(source: &mut Qmp, vm: &str) -> Result<u64, LabError> {
    let end = Instant::now() + LIMIT;
    loop {
        let state = source.execute("query-migrate", json!({}))?;
        match state["status"].as_str() {
            Some("completed") => {
                return Ok(state["downtime"].as_u64().unwrap_or_default());
            }
            Some("failed" | "cancelled") => return Err(given_up(vm, &state)),
            _ if Instant::now() >= end => {
                source.execute("migrate_cancel", json!({}))?;
                return Err(given_up(vm, &json!({ "error-desc": "it takes too long" })));
            }
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn given_up(vm: &str, state: &Value) -> LabError {
    let why = state["error-desc"].as_str().unwrap_or("QEMU does not say why");
    LabError::Migration { vm: vm.to_owned(), problem: format!("QEMU gave it up: {why}; it runs on where it was") }
}

impl Lab {
    /// Ends the QEMU that a guest has left.
    fn end_guest(&mut self, name: &str, old: &Guest) {
        agent::end(old.process, Signal::SIGKILL, self.children.get_mut(name));
    }

    fn keep_child(&mut self, name: &str, child: Child) {
        self.children.insert(name.to_owned(), child);
    }
}
