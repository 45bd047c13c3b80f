//! A lab that is up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::state::{Lock, State};
use crate::topology::{Topology, Vm};
use crate::wiring::{CONTROLLER, PARKED, gateway_handle, lab_folder, namespace_name, socket_path};
use crate::{LabError, LabStatus, Node};
use crate::{agent, build, controller, gateway, guest, teardown};

/// How a lab is brought up.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// The program that the agents are; by default this program, if it is named `netvirt`, or else the one that the
    /// environment variable NETVIRT_BIN names.
    pub program: Option<PathBuf>,
    /// How long each agent may take to answer, and to bind its ports.
    pub ready_within: Duration,
    /// Set by somebody else when the lab is no longer wanted: what was built by then is removed again.
    pub interrupted: Interrupted,
}

impl Default for UpOptions {
    fn default() -> Self {
        Self { program: None, ready_within: Duration::from_secs(60), interrupted: Interrupted::default() }
    }
}

/// Whether a lab that is being built is no longer wanted. All clones are one.
#[derive(Clone, Default, Debug)]
pub struct Interrupted(Arc<AtomicBool>);

impl Interrupted {
    /// Says that it is no longer wanted.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Refuses to go on if it is no longer wanted.
    pub(crate) fn check(&self, lab: &str) -> Result<(), LabError> {
        if self.0.load(Ordering::Relaxed) { Err(LabError::Interrupted(lab.to_owned())) } else { Ok(()) }
    }
}

/// A lab that is up. It stays so when this is dropped; see [`crate::LabGuard`] for the opposite.
///
/// Its methods block, and must not be called from asynchronous code.
#[derive(Debug)]
pub struct Lab {
    pub(crate) name: String,
    pub(crate) options: UpOptions,
    /// Agents, gateways, and QEMUs of guests, that this process started: who starts a process must wait for its end.
    pub(crate) children: BTreeMap<String, Child>,
}

impl Lab {
    /// Builds a lab, starts its agents and guests, waits until they answer and gives the VMs the MTU of their ports. When
    /// one of it fails or it is interrupted, what was made is removed.
    ///
    /// # Errors
    /// When the topology contradicts itself, something that it needs is taken, this is not root, or a step fails.
    pub fn up(topology: &Topology, options: UpOptions) -> Result<Self, LabError> {
        topology.validate()?;
        if !host::process::is_root() {
            return Err(LabError::NotRoot);
        }
        let program = match (&options.program, topology.hosts.iter().any(|host| host.agent)) {
            (Some(program), _) => program.clone(),
            (None, true) => agent::program()?,
            (None, false) => PathBuf::new(),
        };
        // What may be missing on this machine is missed before anything is made.
        let kit = guest::prepare(topology)?;
        let (mut state, _lock) = State::claim(topology)?;
        let mut lab = Self { name: topology.name.to_string(), options, children: BTreeMap::new() };
        match lab.raise(&mut state, &program, kit.as_ref()) {
            Ok(()) => Ok(lab),
            Err(error) => {
                // The first error is the one to tell; what cannot be removed is told by the next `down`.
                let _ = teardown::take_down(&state, &mut lab.children);
                // What a signal of the terminal did to the programs that building runs is not worth a word.
                lab.options.interrupted.check(&lab.name)?;
                Err(error)
            }
        }
    }

    /// All steps after the claim.
    fn raise(&mut self, state: &mut State, program: &Path, kit: Option<&guest::Kit>) -> Result<(), LabError> {
        let topology = state.topology.clone();
        let (lab, interrupted) = (self.name.clone(), self.options.interrupted.clone());
        build::build(&topology)?;
        interrupted.check(&lab)?;
        agent::write_configs(&topology)?;
        // Guests come up while the agents do.
        if let Some(kit) = kit {
            guest::start(state, kit, &mut self.children)?;
        }
        if let Some(its) = &topology.controller {
            let mut child = controller::start(state, program, its)?;
            let ready = controller::await_ready(state, program, its, &mut child, &self.options);
            self.children.insert(CONTROLLER.to_owned(), child);
            ready?;
            for host in topology.hosts.iter().filter(|host| host.joined) {
                interrupted.check(&lab)?;
                controller::join(state, program, its, host.name.as_str())?;
            }
        }
        let hosts: Vec<_> = topology.hosts.iter().filter(|host| host.agent).map(|host| host.name.as_str()).collect();
        // All are started before one is waited for.
        for host in &hosts {
            let child = agent::start(state, program, host)?;
            self.children.insert((*host).to_owned(), child);
        }
        for host in &hosts {
            if let Some(child) = self.children.get_mut(*host) {
                agent::await_ready(&self.name, host, child, &self.options)?;
            }
        }
        for host in topology.hosts.iter().filter(|host| host.gateway) {
            interrupted.check(&lab)?;
            let host = host.name.as_str();
            let mut child = gateway::start(state, program, host)?;
            let ready = gateway::await_ready(&lab, host, &mut child, &self.options);
            self.children.insert(gateway_handle(host), child);
            ready?;
        }
        guest::furnish(state, &mut self.children, &self.options)?;
        for (vm, device) in topology.vms.iter().zip(topology.vm_devices()) {
            interrupted.check(&lab)?;
            self.fit_mtu(state, vm, vm.host.as_str(), &device)?;
        }
        state.complete = true;
        state.save()
    }

    /// A lab that somebody brought up.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn open(name: &str) -> Result<Self, LabError> {
        State::load(name)?;
        Ok(Self { name: name.to_owned(), options: UpOptions::default(), children: BTreeMap::new() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A folder for what goes with the lab, logs of programs that run in it for example: `down` removes it.
    pub fn folder(&self) -> PathBuf {
        lab_folder(&self.name)
    }

    /// Removes all that the lab made, and ends the processes in its namespaces.
    ///
    /// # Errors
    /// When something cannot be removed; all else is, and `down` can be called again.
    pub fn down(&mut self) -> Result<(), LabError> {
        let (state, _lock) = State::lock(&self.name)?;
        teardown::take_down(&state, &mut self.children)
    }

    /// A host.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn host(&self, name: &str) -> Result<Node, LabError> {
        self.node_among(name, |topology| topology.hosts.iter().map(|host| host.name.to_string()).collect())
    }

    /// A VM.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn vm(&self, name: &str) -> Result<Node, LabError> {
        self.node_among(name, |topology| topology.vms.iter().map(|vm| vm.name.to_string()).collect())
    }

    /// Any node: a host, a VM, what is on the outside, or the underlay's own (`underlay` of a segment, `router` of a routed
    /// one) and the outside's (`outside`).
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn node(&self, name: &str) -> Result<Node, LabError> {
        self.node_among(name, Topology::nodes)
    }

    /// Nodes, addresses, agents.
    ///
    /// # Errors
    /// When the lab was taken down meanwhile.
    pub fn status(&self) -> Result<LabStatus, LabError> {
        Ok(crate::status::status(&State::load(&self.name)?))
    }

    /// Where a host's agent listens.
    ///
    /// # Errors
    /// When there is no such host, or it has no agent.
    pub fn socket(&self, host: &str) -> Result<PathBuf, LabError> {
        self.require_agent(&State::load(&self.name)?, host)?;
        Ok(socket_path(host))
    }

    /// Kills a host's agent with SIGKILL, as a crash would.
    ///
    /// # Errors
    /// When there is no such host, or it has no agent.
    pub fn kill_agent(&mut self, host: &str) -> Result<(), LabError> {
        self.end_agent(host, Signal::SIGKILL)
    }

    /// Asks a host's agent to end, and kills it when it does not.
    ///
    /// # Errors
    /// When there is no such host, or it has no agent.
    pub fn stop_agent(&mut self, host: &str) -> Result<(), LabError> {
        self.end_agent(host, Signal::SIGTERM)
    }

    /// Starts a host's agent and waits until it answers.
    ///
    /// # Errors
    /// When it runs already, or does not start.
    pub fn start_agent(&mut self, host: &str) -> Result<(), LabError> {
        let (mut state, _lock) = State::lock(&self.name)?;
        self.require_agent(&state, host)?;
        if let Some(process) = state.agents.get(host).filter(|process| process.is_alive()) {
            return Err(LabError::AgentRuns { host: host.to_owned(), pid: process.pid });
        }
        let program = self.options.program.clone().map_or_else(agent::program, Ok)?;
        let mut child = agent::start(&mut state, &program, host)?;
        let ready = agent::await_ready(&self.name, host, &mut child, &self.options);
        if let Some(mut before) = self.children.insert(host.to_owned(), child) {
            // It is not alive, as was seen above: only its remains are taken.
            let _ = before.wait();
        }
        ready
    }

    /// Ends a host's agent and starts it again.
    ///
    /// # Errors
    /// Those of [`Lab::stop_agent`] and [`Lab::start_agent`].
    pub fn restart_agent(&mut self, host: &str) -> Result<(), LabError> {
        self.stop_agent(host)?;
        self.start_agent(host)
    }

    /// The file by which `netvirt --context`, run in the controller's node, reaches the controller.
    ///
    /// # Errors
    /// [`LabError::NoController`].
    pub fn context(&self) -> Result<PathBuf, LabError> {
        let state = State::load(&self.name)?;
        let its = state.topology.controller.ok_or_else(|| LabError::NoController(self.name.clone()))?;
        Ok(controller::context_path(&self.name, its.name.as_str()))
    }

    /// The process of the controller, if it runs.
    ///
    /// # Errors
    /// When the lab was taken down meanwhile.
    pub fn controller_pid(&self) -> Result<Option<u32>, LabError> {
        let process = State::load(&self.name)?.controller;
        Ok(process.filter(|process| process.is_alive()).map(|process| process.pid))
    }

    /// Kills the controller with SIGKILL, as a crash would.
    ///
    /// # Errors
    /// [`LabError::NoController`].
    pub fn kill_controller(&mut self) -> Result<(), LabError> {
        self.end_controller(Signal::SIGKILL)
    }

    /// Asks the controller to end, and kills it when it does not.
    ///
    /// # Errors
    /// [`LabError::NoController`].
    pub fn stop_controller(&mut self) -> Result<(), LabError> {
        self.end_controller(Signal::SIGTERM)
    }

    /// Starts the controller and waits until it answers.
    ///
    /// # Errors
    /// When it runs already, or does not start.
    pub fn start_controller(&mut self) -> Result<(), LabError> {
        let (mut state, _lock) = State::lock(&self.name)?;
        let its = state.topology.controller.clone().ok_or_else(|| LabError::NoController(self.name.clone()))?;
        if let Some(process) = state.controller.filter(|process| process.is_alive()) {
            return Err(LabError::AgentRuns { host: its.name.to_string(), pid: process.pid });
        }
        let program = self.options.program.clone().map_or_else(agent::program, Ok)?;
        let mut child = controller::start(&mut state, &program, &its)?;
        let ready = controller::await_ready(&state, &program, &its, &mut child, &self.options);
        if let Some(mut before) = self.children.insert(CONTROLLER.to_owned(), child) {
            // It is not alive, as was seen above: only its remains are taken.
            let _ = before.wait();
        }
        ready
    }

    fn end_controller(&mut self, signal: Signal) -> Result<(), LabError> {
        let (state, _lock): (State, Lock) = State::lock(&self.name)?;
        if state.topology.controller.is_none() {
            return Err(LabError::NoController(self.name.clone()));
        }
        if let Some(process) = state.controller {
            agent::end(process, signal, self.children.get_mut(CONTROLLER));
        }
        self.children.remove(CONTROLLER);
        Ok(())
    }

    /// Pulls a VM's cable out of its host: the host's device goes, the VM loses its carrier. Nothing is done when it is
    /// out already.
    ///
    /// # Errors
    /// When there is no such VM, it is a guest, or the kernel refuses.
    pub fn unplug_vm(&mut self, vm: &str) -> Result<(), LabError> {
        let (mut state, _lock) = State::lock(&self.name)?;
        let (vm, device) = find_cable(&state, vm)?;
        let Some(host) = state.host_of(vm.name.as_str()) else {
            return Ok(());
        };
        build::unplug(&state.topology, &vm, &host, &device)?;
        state.moved.insert(vm.name.to_string(), None);
        state.save()
    }

    /// Plugs a VM's cable into a host, pulling it out of the one where it is. The agents are told nothing: the port and
    /// the lookup records are the caller's to move, and [`Lab::fit_vm_mtu`] gives the VM the MTU of its port when that is done.
    ///
    /// # Errors
    /// When there is no such VM or host, the VM is a guest, or the kernel refuses.
    pub fn plug_vm(&mut self, vm: &str, host: &str) -> Result<(), LabError> {
        let (mut state, _lock) = State::lock(&self.name)?;
        let (vm, device) = find_cable(&state, vm)?;
        let names: Vec<_> = state.topology.hosts.iter().map(|host| host.name.to_string()).collect();
        if !names.iter().any(|name| name == host) {
            return Err(LabError::NoNode { lab: self.name.clone(), node: host.to_owned(), nodes: names });
        }
        let from = state.host_of(vm.name.as_str());
        if from.as_deref() == Some(host) {
            return Ok(());
        }
        let from = from.as_deref().map_or((vm.name.as_str(), PARKED), |from| (from, device.as_str()));
        build::plug(&state.topology, &vm, from, host, &device)?;
        state.moved.insert(vm.name.to_string(), Some(host.to_owned()));
        state.save()
    }

    /// Gives a VM the MTU of its port on a host, as the host's agent says, unless the topology says another.
    ///
    /// # Errors
    /// When there is no such VM, or its host's agent does not know the port.
    pub fn fit_vm_mtu(&self, vm: &str) -> Result<(), LabError> {
        let state = State::load(&self.name)?;
        let (vm, device) = find_vm(&state, vm)?;
        match state.host_of(vm.name.as_str()) {
            Some(host) => self.fit_mtu(&state, &vm, &host, &device),
            None => Ok(()),
        }
    }

    fn fit_mtu(&self, state: &State, vm: &Vm, host: &str, device: &str) -> Result<(), LabError> {
        let topology = &state.topology;
        let has_agent = topology.hosts.iter().any(|its| its.name.as_str() == host && its.agent);
        // The agent has nothing to say about the size of what it does not virtualize.
        if !has_agent || vm.mtu.is_some() || vm.vsid.is_none() {
            return Ok(());
        }
        let mtu = agent::port_mtu(&self.name, host, vm.name.as_str(), self.options.ready_within)?;
        build::set_vm_mtu(topology, vm, host, device, mtu)?;
        if vm.is_guest() { guest::set_mtu(state, vm.name.as_str(), mtu) } else { Ok(()) }
    }

    fn end_agent(&mut self, host: &str, signal: Signal) -> Result<(), LabError> {
        let (state, _lock): (State, Lock) = State::lock(&self.name)?;
        self.require_agent(&state, host)?;
        if let Some(process) = state.agents.get(host) {
            agent::end(*process, signal, self.children.get_mut(host));
        }
        self.children.remove(host);
        Ok(())
    }

    /// Refuses a host that is not there or has no agent.
    fn require_agent(&self, state: &State, host: &str) -> Result<(), LabError> {
        match state.topology.hosts.iter().find(|its| its.name.as_str() == host) {
            Some(its) if its.agent => Ok(()),
            Some(_) => Err(LabError::NoAgent { lab: self.name.clone(), host: host.to_owned() }),
            None => Err(LabError::NoNode {
                lab: self.name.clone(),
                node: host.to_owned(),
                nodes: state.topology.hosts.iter().map(|host| host.name.to_string()).collect(),
            }),
        }
    }

    fn node_among(&self, name: &str, among: impl FnOnce(&Topology) -> Vec<String>) -> Result<Node, LabError> {
        let state = State::load(&self.name)?;
        let nodes = among(&state.topology);
        if !nodes.iter().any(|node| node == name) {
            return Err(LabError::NoNode { lab: self.name.clone(), node: name.to_owned(), nodes });
        }
        let Some(vm) = state.topology.vms.iter().find(|vm| vm.name.as_str() == name && vm.is_guest()) else {
            return Node::open(name, &namespace_name(&state.topology.name, name));
        };
        let host = state.host_of(name).unwrap_or_else(|| vm.host.to_string());
        let program = self.options.program.clone().map_or_else(agent::program, Ok)?;
        Node::open_guest(&self.name, name, &namespace_name(&state.topology.name, &host), program)
    }
}

/// A VM whose cable can be moved, and the name of the host's end of it.
fn find_cable(state: &State, name: &str) -> Result<(Vm, String), LabError> {
    let (vm, device) = find_vm(state, name)?;
    if vm.is_guest() {
        return Err(LabError::GuestCable(name.to_owned()));
    }
    Ok((vm, device))
}

/// A VM and the name of the host's end of its cable.
pub(crate) fn find_vm(state: &State, name: &str) -> Result<(Vm, String), LabError> {
    let mut vms = state.topology.vms.iter().zip(state.topology.vm_devices());
    vms.find(|(vm, _)| vm.name.as_str() == name).map(|(vm, device)| (vm.clone(), device)).ok_or_else(|| {
        LabError::NoNode {
            lab: state.topology.name.to_string(),
            node: name.to_owned(),
            nodes: state.topology.vms.iter().map(|vm| vm.name.to_string()).collect(),
        }
    })
}
