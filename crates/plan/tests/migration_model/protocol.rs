//! The protocol of live migration: a controller, an agent on each host, a hypervisor and an underlay, any of which may take
//! as long as it likes, and some of which may die. What hosts decide is asked of [`Hosts`].

use std::sync::Arc;

use crate::hosts::{Declared, Fate, FrameNumber, Host, Hosts, Kernel, Other, Speaker, Written};

/// What the controller and the hypervisor wait for. The tests show that each of these is needed.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The hosts that must have been told where the VM will be before it may be started there.
    pub start: &'static [Host],
    /// The hosts that must have been told that it is there before anybody forgets where it was.
    pub forget: &'static [Host],
    /// Nobody forgets before frames that were sent earlier have arrived or are lost for good.
    pub settles: bool,
    /// A migration begins when these hosts have forgotten the one before.
    pub begin: &'static [Host],
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Migrations, there and back.
    pub migrations: usize,
    /// Migrations that are taken back.
    pub cancelled: u8,
    /// Frames on the underlay at a time.
    pub frames: usize,
    /// Parts of the system that are dead at a time.
    pub dead: usize,
    /// Whether an agent writes one table after the other, and may be seen, or die, in between.
    pub torn: bool,
}

/// An agent, and the kernel of its host.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Agent {
    /// It runs.
    pub alive: bool,
    /// The number of the newest declaration that it has got.
    pub revision: u8,
    /// What is in the kernel, which outlives the agent.
    pub kernel: Kernel,
}

/// The VM.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Vm {
    /// Where it runs, or ran last.
    pub at: Host,
    /// It does not run.
    pub paused: bool,
    /// It has said something since it runs there.
    pub spoke: bool,
}

/// A frame on the underlay.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Flight {
    /// Its bytes.
    pub frame: FrameNumber,
    /// Where it goes.
    pub to: Host,
    /// Who sent it.
    pub speaker: Speaker,
    /// Tunnels that it has been through.
    pub tunnels: u8,
    /// What its host had been told when it was sent.
    pub revision: u8,
    /// It was certain to reach the VM when it was sent, and the VM has not left since.
    pub certain: bool,
}

/// What must never happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Violation {
    /// A frame was lost that was certain to reach the VM.
    Lost,
    /// A frame came to a place where the VM has not been yet.
    Early,
    /// A frame of the VM's was refused on the way to this host, or on it.
    Refused(Host),
    /// A frame went through a third tunnel.
    Loop,
    /// The host took the VM to be elsewhere again.
    Back(Host),
    /// A frame came to somebody else than its receiver.
    Astray,
}

/// Everything.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// All that was declared, the newest last.
    pub declared: Vec<Declared>,
    /// The controller runs; what it has said outlives it.
    pub controller: bool,
    /// The hypervisor may take the VM to the place where it will be.
    pub permitted: bool,
    /// The VM.
    pub vm: Vm,
    /// The agents by host.
    pub agents: [Agent; 3],
    /// Frames on the underlay, in no order.
    pub flights: Vec<Flight>,
    /// Migrations that were taken back.
    pub cancelled: u8,
    /// What should not have happened.
    pub violation: Option<Violation>,
    /// The host that has refused the VM's frames since it did not know yet where it would be.
    pub uninformed: Option<Host>,
}

/// One step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The controller declares where the VM will be.
    Begin,
    /// It lets the VM go there.
    Permit,
    /// The hypervisor gives up, and the controller takes back what it declared.
    Cancel,
    /// The hypervisor pauses the VM at the old place.
    Pause,
    /// It lets the VM run at the new one.
    Resume,
    /// The new place's agent reports that the VM was heard, and the controller declares that it is there.
    Arrived,
    /// The controller forgets where the VM was.
    Forget,
    /// An agent gets this declaration: the newest, or one that took its time. None is sent in vain, as the next one says all.
    Receive(Host, u8),
    /// An agent writes the next of its tables.
    Write(Host),
    /// An agent dies.
    Crash(Host),
    /// It is started again.
    Restart(Host),
    /// The controller dies.
    CrashController,
    /// It is started again.
    RestartController,
    /// Somebody speaks.
    Speak(Speaker),
    /// The underlay delivers a frame.
    Arrive(usize),
    /// It loses one.
    Lose(usize),
}

/// Everybody who speaks, but for the VM, which does so from where it is.
const PEERS: [Host; 2] = [Host::A, Host::C];

/// The protocol.
#[derive(Clone)]
pub struct Protocol {
    /// What is waited for.
    pub rules: Rules,
    /// What is looked at.
    pub bounds: Bounds,
    /// Frames may be lost and refused, which is not looked at.
    pub loses: bool,
    /// What hosts decide.
    pub hosts: Arc<Hosts>,
}

impl Violation {
    /// Whether it must not happen even to who waits for nothing.
    const fn is_grave(self) -> bool {
        matches!(self, Self::Loop | Self::Astray)
    }
}

impl State {
    /// Before anything.
    pub fn first() -> Self {
        let at = Declared { at: Host::A, other: Other::Nothing };
        let kernel = Kernel { written: Written::all(at), heard: None };
        let agent = Agent { alive: true, revision: 0, kernel };
        Self {
            declared: vec![at],
            controller: true,
            permitted: false,
            vm: Vm { at: Host::A, paused: false, spoke: true },
            agents: [agent.clone(), agent.clone(), agent],
            flights: Vec::new(),
            cancelled: 0,
            violation: None,
            uninformed: None,
        }
    }

    /// What is declared now.
    pub fn newest(&self) -> Declared {
        self.declared[self.declared.len() - 1]
    }

    /// Its number.
    pub fn revision(&self) -> u8 {
        (self.declared.len() - 1) as u8
    }

    fn agent(&self, host: Host) -> &Agent {
        &self.agents[host as usize]
    }

    fn agent_mut(&mut self, host: Host) -> &mut Agent {
        &mut self.agents[host as usize]
    }

    /// Whether an agent has written all that it has got.
    fn has_written(&self, host: Host) -> bool {
        let agent = self.agent(host);
        agent.kernel.written == Written::all(self.declared[usize::from(agent.revision)])
    }

    /// Whether a host acknowledges the newest declaration. That an acknowledgement takes its time needs no state of its
    /// own: it stays true, and the controller may always wait before it acts on it.
    pub fn acknowledges(&self, host: Host) -> bool {
        self.agent(host).revision == self.revision() && self.has_written(host)
    }

    /// Whether a host has been told where the VM will be, or more.
    fn is_informed(&self, host: Host) -> bool {
        let told = self.declared.iter().rposition(|declared| declared.other == Other::To);
        told.is_none_or(|told| usize::from(self.knows(host)) >= told)
    }

    /// The number of the newest declaration that a host's tables are of, or one between it and what they are of.
    fn knows(&self, host: Host) -> u8 {
        let revision = self.agent(host).revision;
        if self.has_written(host) { revision } else { revision.saturating_sub(1) }
    }

    fn dead(&self) -> usize {
        self.agents.iter().filter(|agent| !agent.alive).count() + usize::from(!self.controller)
    }

    fn declare(&mut self, declared: Declared) {
        self.permitted = false;
        self.declared.push(declared);
    }

    /// Writes the next table, in the order of `Datapath::apply`.
    fn write(&mut self, host: Host) {
        let agent = &self.agents[host as usize];
        let target = self.declared[usize::from(agent.revision)];
        let Kernel { written, heard } = &mut self.agent_mut(host).kernel;
        if target.other != Other::Nothing && written.moves != target {
            written.moves = target;
        } else if written.stations != target {
            written.stations = target;
        } else if written.records != target {
            written.records = target;
        } else if written.ports != target {
            written.ports = target;
        } else if heard.is_some() {
            *heard = None;
        } else {
            written.moves = target;
        }
    }
}

impl Protocol {
    /// All steps that may be next.
    pub fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        if state.violation.is_some() {
            return;
        }
        self.steps_of_controller(state, steps);
        self.steps_of_agents(state, steps);
        let moves = state.newest().other == Other::To && state.permitted;
        if moves && !state.vm.paused && state.vm.at == state.newest().at {
            steps.push(Step::Pause);
        }
        if moves && state.vm.paused {
            steps.push(Step::Resume);
        }
        if state.flights.len() < self.bounds.frames {
            steps.extend(PEERS.map(|host| Step::Speak(Speaker::Peer(host))));
            if !state.vm.paused {
                steps.extend(PEERS.map(|peer| Step::Speak(Speaker::Vm(state.vm.at, peer))));
            }
        }
        for flight in 0..state.flights.len() {
            steps.extend([Step::Arrive(flight), Step::Lose(flight)]);
        }
    }

    fn steps_of_controller(&self, state: &State, steps: &mut Vec<Step>) {
        if !state.controller {
            steps.push(Step::RestartController);
            return;
        }
        if state.dead() < self.bounds.dead {
            steps.push(Step::CrashController);
        }
        let acknowledge = |hosts: &[Host]| hosts.iter().all(|host| state.acknowledges(*host));
        let Declared { at, other } = state.newest();
        match other {
            Other::Nothing => {
                let migrations = state.declared.iter().filter(|declared| declared.other == Other::To).count();
                let more = migrations < self.bounds.migrations + usize::from(state.cancelled);
                if more && acknowledge(self.rules.begin) {
                    steps.push(Step::Begin);
                }
            }
            Other::To => {
                if !state.permitted && acknowledge(self.rules.start) {
                    steps.push(Step::Permit);
                }
                if state.vm.at == at && state.cancelled < self.bounds.cancelled {
                    steps.push(Step::Cancel);
                }
                let there = state.agent(at.other());
                let is_current = there.alive && there.revision == state.revision();
                if is_current && there.kernel.heard == Some(at.other()) {
                    steps.push(Step::Arrived);
                }
            }
            Other::From => {
                let settled = state.flights.iter().all(|flight| flight.revision == state.revision());
                if acknowledge(self.rules.forget) && (settled || !self.rules.settles) {
                    steps.push(Step::Forget);
                }
            }
        }
    }

    fn steps_of_agents(&self, state: &State, steps: &mut Vec<Step>) {
        for host in Host::ALL {
            let agent = state.agent(host);
            if !agent.alive {
                steps.push(Step::Restart(host));
                continue;
            }
            if state.dead() < self.bounds.dead {
                steps.push(Step::Crash(host));
            }
            steps.extend((agent.revision + 1..=state.revision()).map(|revision| Step::Receive(host, revision)));
            if !state.has_written(host) {
                steps.push(Step::Write(host));
            }
        }
    }

    /// What comes of a step.
    pub fn step(&self, state: &State, step: Step) -> State {
        let mut next = state.clone();
        let at = state.newest().at;
        match step {
            Step::Begin => next.declare(Declared { at, other: Other::To }),
            Step::Permit => next.permitted = true,
            Step::Cancel => {
                next.vm.paused = false;
                next.cancelled += 1;
                next.declare(Declared { at, other: Other::Nothing });
            }
            Step::Pause => {
                next.vm.paused = true;
                for flight in &mut next.flights {
                    flight.certain = false;
                }
            }
            Step::Resume => next.vm = Vm { at: at.other(), paused: false, spoke: false },
            Step::Arrived => next.declare(Declared { at: at.other(), other: Other::From }),
            Step::Forget => next.declare(Declared { at, other: Other::Nothing }),
            Step::Receive(host, revision) => {
                next.agent_mut(host).revision = revision;
                while !self.bounds.torn && !next.has_written(host) {
                    next.write(host);
                }
            }
            Step::Write(host) => next.write(host),
            Step::Crash(host) => next.agent_mut(host).alive = false,
            Step::Restart(host) => next.agent_mut(host).alive = true,
            Step::CrashController => next.controller = false,
            Step::RestartController => next.controller = true,
            Step::Speak(speaker) => self.speak(&mut next, speaker),
            Step::Arrive(index) => {
                let flight = next.flights.remove(index);
                let host = flight.to;
                let fate = self.hosts.receives(host, &mut next.agent_mut(host).kernel, flight.frame);
                carry(&mut next, host, flight, fate);
            }
            Step::Lose(index) => drop(next.flights.remove(index)),
        }
        next.flights.sort_unstable();
        self.compare_views(state, &mut next);
        if self.loses {
            next.violation = next.violation.filter(|violation| violation.is_grave());
            next.uninformed = None;
        }
        next
    }

    fn speak(&self, next: &mut State, speaker: Speaker) {
        let certain = matches!(speaker, Speaker::Peer(host) if self.reaches(next, host));
        let host = speaker.host();
        let revision = next.knows(host);
        let flight = Flight { frame: 0, to: host, speaker, tunnels: 0, revision, certain };
        let fate = self.hosts.sends(&mut next.agent_mut(host).kernel, speaker);
        if let Speaker::Vm(..) = speaker {
            next.vm.spoke |= !matches!(fate, Fate::Dropped(_));
        }
        carry(next, host, flight, fate);
    }

    /// Whether a frame of this host's peer would reach the VM, and the VM would run, if it took no time.
    pub fn reaches(&self, state: &State, peer: Host) -> bool {
        let kernel = |host: Host| state.agent(host).kernel;
        let (mut host, mut fate) = (peer, self.hosts.sends(&mut kernel(peer), Speaker::Peer(peer)));
        for _ in 0..3 {
            match fate {
                Fate::Away { to, frame, .. } => (host, fate) = (to, self.hosts.receives(to, &mut kernel(to), frame)),
                fate => return fate == Fate::Vm && host == state.vm.at && !state.vm.paused,
            }
        }
        false
    }

    /// Whether the peer of a host would be reached by the VM.
    pub fn is_reached(&self, state: &State, peer: Host) -> bool {
        let kernel = |host: Host| state.agent(host).kernel;
        match self.hosts.sends(&mut kernel(state.vm.at), Speaker::Vm(state.vm.at, peer)) {
            Fate::Away { to, frame, .. } => self.hosts.receives(to, &mut kernel(to), frame) == Fate::Peer,
            fate => fate == Fate::Peer,
        }
    }

    /// Where a host takes the VM to be.
    pub fn view(&self, state: &State, host: Host) -> Option<Host> {
        self.hosts.view(host, &state.agent(host).kernel)
    }

    /// A host that has the VM where it runs does not take it to be elsewhere again.
    fn compare_views(&self, before: &State, next: &mut State) {
        for host in Host::ALL {
            let stays = before.vm.at == next.vm.at && !next.vm.paused;
            if stays && before.agent(host).kernel != next.agent(host).kernel {
                let at = Some(next.vm.at);
                if self.view(before, host) == at && self.view(next, host) != at {
                    next.violation = next.violation.or(Some(Violation::Back(host)));
                }
            }
        }
    }
}

/// Notes what has become of a frame on a host.
fn carry(next: &mut State, host: Host, flight: Flight, fate: Fate) {
    let violation = match (fate, flight.speaker) {
        (Fate::Away { again: false, .. }, _) if flight.tunnels > 0 => Some(Violation::Astray),
        (Fate::Away { .. }, _) if flight.tunnels >= 2 => Some(Violation::Loop),
        (Fate::Away { to, frame, .. }, _) => {
            next.flights.push(Flight { frame, to, tunnels: flight.tunnels + 1, ..flight });
            None
        }
        (Fate::Vm, Speaker::Peer(_)) if host == next.vm.at => None,
        (Fate::Vm, Speaker::Peer(_)) if next.newest().other == Other::To && host != next.newest().at => {
            Some(Violation::Early)
        }
        (Fate::Vm | Fate::Dropped(_), Speaker::Peer(_)) => flight.certain.then_some(Violation::Lost),
        (Fate::Peer, Speaker::Vm(_, peer)) if host == peer => None,
        (Fate::Dropped(_), Speaker::Vm(..)) => {
            if !next.is_informed(host) {
                next.uninformed = next.uninformed.or(Some(host));
                return;
            }
            Some(Violation::Refused(host))
        }
        (Fate::Vm | Fate::Peer, _) => Some(Violation::Astray),
    };
    next.violation = next.violation.or(violation);
}
