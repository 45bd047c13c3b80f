//! VMs that are virtual machines with a kernel of their own: QEMU on a tap in their host, beside those that are network
//! namespaces. `image` and `modules` say what they boot from, `accelerator` what runs them, `qemu` starts them, `exec`
//! runs commands in them, `migration` moves them. Orders to a QEMU are the crate `qemu`'s.

mod accelerator;
mod cpio;
mod exec;
mod foreign;
mod image;
mod migration;
mod modules;
mod place;
mod qemu;
mod setup;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

pub use accelerator::Accelerator;
pub(crate) use accelerator::Choice;
pub use foreign::ForeignGuest;
pub use migration::Awaited;
pub(crate) use place::Place;

use ::qemu::Qmp;

use crate::state::State;
use crate::topology::{Topology, Vm};
use crate::{Lab, LabError, UpOptions};
use exec::Session;
use image::Image;

/// How long what the lab itself runs in a guest may take.
const SETUP_LIMIT: Duration = Duration::from_secs(20);
/// How long a guest may take to say its addresses for a status.
const STATUS_LIMIT: Duration = Duration::from_secs(2);

/// Signals that are handed on to a command in a guest.
const FORWARDED: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
/// So many signals, and a command that heeds none of them is left to itself.
const PATIENCE: usize = 3;

/// What guests are made with.
pub(crate) struct Kit {
    image: Image,
    choice: Choice,
}

/// What the guests of a topology are made with; none when it has none.
pub(crate) fn prepare(topology: &Topology) -> Result<Option<Kit>, LabError> {
    if !topology.vms.iter().any(Vm::is_guest) {
        return Ok(None);
    }
    let image = image::prepare()?;
    let choice = accelerator::choose(&image)?;
    Ok(Some(Kit { image, choice }))
}

/// Starts all guests; they come up side by side.
pub(crate) fn start(state: &mut State, kit: &Kit, children: &mut BTreeMap<String, Child>) -> Result<(), LabError> {
    let topology = state.topology.clone();
    for (vm, device) in topology.vms.iter().zip(topology.vm_devices()).filter(|(vm, _)| vm.is_guest()) {
        let child = qemu::start(state, vm, &device, kit, qemu::Begins::Boots)?;
        children.insert(vm.name.to_string(), child);
    }
    Ok(())
}

/// Waits until all guests are up, and gives them addresses and routes.
pub(crate) fn furnish(
    state: &State,
    children: &mut BTreeMap<String, Child>,
    options: &UpOptions,
) -> Result<(), LabError> {
    for vm in state.topology.vms.iter().filter(|vm| vm.is_guest()) {
        if let Some(child) = children.get_mut(vm.name.as_str()) {
            qemu::await_up(state, vm.name.as_str(), child, options)?;
        }
        set(state, vm.name.as_str(), &setup::script(vm))?;
    }
    Ok(())
}

/// Gives a guest's interface an MTU.
pub(crate) fn set_mtu(state: &State, vm: &str, mtu: u32) -> Result<(), LabError> {
    set(state, vm, &format!("ip link set eth0 mtu {mtu}"))
}

/// Runs a script in a guest that must end well.
fn set(state: &State, vm: &str, script: &str) -> Result<(), LabError> {
    let place = place(state, vm)?;
    let ran = Session::open(&place).and_then(|mut session| session.output(&["sh", "-c", script], SETUP_LIMIT));
    let problem = match ran {
        Ok((0, _)) => return Ok(()),
        Ok((code, printed)) => format!("does not take its settings (exit code {code}): {}", printed.trim_end()),
        Err(error) => format!("cannot be given its settings: {error}"),
    };
    let log = place.console();
    Err(LabError::Guest { vm: vm.to_owned(), problem, tail: crate::agent::tail(&log), log })
}

/// Addresses and MTU of a guest's interface, as far as it can be asked.
pub(crate) fn interface(state: &State, vm: &str) -> (Vec<ipnet::IpNet>, Option<u32>) {
    let asked = place(state, vm).ok().and_then(|place| {
        let mut session = Session::attempt(&place, STATUS_LIMIT).ok()??;
        session.output(&["ip", "address", "show", "dev", "eth0"], STATUS_LIMIT).ok()
    });
    asked.map(|(_, text)| setup::parse_interface(&text)).unwrap_or_default()
}

/// Where the files of a guest are.
fn place(state: &State, vm: &str) -> Result<Place, LabError> {
    let guest = state.guests.get(vm).filter(|guest| guest.process.is_alive());
    let generation = guest.map(|guest| guest.generation);
    let lab = state.topology.name.as_str();
    generation
        .map(|generation| Place::new(lab, vm, generation))
        .ok_or_else(|| LabError::GuestGone { lab: lab.to_owned(), vm: vm.to_owned() })
}

/// Runs a command in a guest as if this process became it: what it reads and prints are this process's, signals are
/// handed on, and this process ends with its exit code. What comes back is why that could not be.
pub(crate) fn become_command(state: &State, vm: &str, command: &[String]) -> LabError {
    let shell = ["sh".to_owned()];
    let command = if command.is_empty() { &shell[..] } else { command };
    let failed = |source: io::Error| LabError::InGuest {
        program: command.first().cloned().unwrap_or_default(),
        vm: vm.to_owned(),
        source,
    };
    let place = match place(state, vm) {
        Ok(place) => place,
        Err(error) => return error,
    };
    let mut session = match Session::open(&place) {
        Ok(session) => session,
        Err(error) => return failed(error),
    };
    // Before there is a second thread, so that none of them is ended by a signal; and not before the guest answers, since
    // who waits for that may be interrupted.
    let signals: SigSet = FORWARDED.into_iter().collect();
    if let Err(error) = signals.thread_block() {
        return failed(error.into());
    }
    match session.remote() {
        Ok(remote) => {
            std::thread::spawn(move || hand_on(&signals, &remote));
        }
        Err(error) => return failed(error),
    }
    match session.run(command, io::stdin(), &mut io::stdout(), &mut io::stderr()) {
        Ok(code) => std::process::exit(code),
        // Who reads what is printed has gone, as "head" does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(128 + Signal::SIGPIPE as i32),
        Err(error) => failed(error),
    }
}

/// Hands signals on to the command for as long as this process lives.
fn hand_on(signals: &SigSet, remote: &exec::Remote) {
    for count in 1.. {
        let Ok(signal) = signals.wait() else { return };
        if count > PATIENCE || !remote.signal(signal as i32 as u8) {
            // The guest kills the command when it sees that nobody is there any more.
            std::process::exit(128 + signal as i32);
        }
    }
}

impl Lab {
    /// The process of a guest's QEMU, if it runs.
    ///
    /// # Errors
    /// When there is no such VM.
    pub fn guest_pid(&self, vm: &str) -> Result<Option<u32>, LabError> {
        let state = State::load(self.name())?;
        crate::lab::find_vm(&state, vm)?;
        let alive = state.guests.get(vm).filter(|guest| guest.process.is_alive());
        Ok(alive.map(|guest| guest.process.pid))
    }

    /// Where a guest's QEMU takes orders (QMP).
    ///
    /// # Errors
    /// When there is no such guest, or its QEMU does not run.
    pub fn qmp_path(&self, vm: &str) -> Result<PathBuf, LabError> {
        let state = State::load(self.name())?;
        crate::lab::find_vm(&state, vm)?;
        Ok(place(&state, vm)?.qmp())
    }

    /// A connection to a guest's QEMU, for orders.
    ///
    /// # Errors
    /// When there is no such guest, its QEMU does not run, or does not answer.
    pub fn qmp(&self, vm: &str) -> Result<Qmp, LabError> {
        Ok(Qmp::connect(&self.qmp_path(vm)?)?)
    }
}
