//! Questions that hosts answer, on demand, through their sessions: who may ask, whom, and how what is answered is told.
//!
//! `ports` asks about ports, each on its host; `trace` follows a packet from host to host; `tenant` leaves out what a tenant is
//! not told.
//!
//! **Invariant:** no lock is held while a host answers, and nothing of an answer is kept.

mod ports;
mod tenant;
mod trace;

use std::collections::HashMap;
use std::net::IpAddr;

use api::fabric::asking::ASK_TIMEOUT;
use api::fabric::{Answer, Caller, HostReport, Question, Tunnel, Tunnels};
use api::{HostAnswer, HostQuestion, PeerTraffic, Problem};
use model::fabric::{Key, Kind, Object, ResourceName};
use plan::fabric::{Fabric, Refusal};
use proto::AskError;

use crate::core::Core;
use crate::hosts::Pending;
use crate::{access, core};

/// Asks the hosts.
pub fn ask(core: &Core, caller: &Caller, question: Question) -> Result<Answer, Problem> {
    let asker = Asker { core, caller };
    match question {
        Question::Counters { tenant, ports } => asker.counters(&tenant, &ports).map(Answer::Counters),
        Question::Host { host } => asker.host(&host).map(Box::new).map(Answer::Host),
        Question::Tunnels { host } => asker.tunnels(&host).map(Answer::Tunnels),
        Question::Leases { tenant, vm_subnet } => asker.leases(&tenant, &vm_subnet).map(Answer::Leases),
        Question::Trace { tenant, packet } => asker.trace(&tenant, packet).map(Answer::Trace),
    }
}

/// Who asks, and of which fabric.
struct Asker<'a> {
    core: &'a Core,
    caller: &'a Caller,
}

/// Why a host did not answer.
enum Silence {
    /// It could not be asked, or answered nothing.
    Host(AskError),
    /// It refuses.
    Refused(Problem),
}

/// An answer of another kind than was asked for.
fn another() -> Silence {
    Silence::Refused(Problem::internal("a host has answered another question than was asked, which is a bug"))
}

impl Asker<'_> {
    /// Whether the caller is told everything. A tenant learns nothing of hosts and of the provider's network.
    fn whole(&self) -> bool {
        access::confined_to(self.caller).is_none()
    }

    /// What the object is of which the caller may read.
    fn with<T>(&self, key: &Key, look: impl FnOnce(&Fabric, &Object) -> T) -> Result<T, Problem> {
        access::read(self.caller, key)?;
        let state = self.core.state();
        let object = state.fabric.get(key).ok_or_else(|| core::problem(&[Refusal::NotFound { key: key.clone() }]))?;
        Ok(look(&state.fabric, object))
    }

    /// Whose part of a host's places a question takes: a tenant has one, however many tokens and users it has.
    fn asker(&self) -> String {
        access::confined_to(self.caller).map_or_else(|| self.caller.who(), |tenant| format!("tenant {tenant}"))
    }

    /// Begins to ask a host.
    fn begin(&self, host: &ResourceName, question: &HostQuestion) -> Result<Pending, Silence> {
        self.core.sessions().ask(host, &self.asker(), question).map_err(Silence::Host)
    }

    /// Asks a host and waits.
    fn one(&self, host: &ResourceName, question: &HostQuestion) -> Result<HostAnswer, Silence> {
        answered(self.begin(host, question)?)
    }

    /// A silence in a sentence for the caller.
    fn told(&self, host: &ResourceName, silence: Silence) -> Problem {
        match silence {
            Silence::Host(error @ AskError::Share) if self.whole() => {
                Problem::too_many_requests(format!("host \"{host}\" {error}"), ASK_TIMEOUT.as_secs())
            }
            Silence::Host(error) if self.whole() => Problem::unavailable(format!("host \"{host}\" {error}")),
            Silence::Host(error) => tenant::unanswered(&error),
            Silence::Refused(problem) if self.whole() => problem,
            Silence::Refused(problem) => tenant::refused(problem),
        }
    }

    fn host(&self, host: &ResourceName) -> Result<HostReport, Problem> {
        self.with(&Key::global(Kind::Host, host), |_, _| ())?;
        match self.one(host, &HostQuestion::Status {}) {
            Ok(HostAnswer::Status(report)) => Ok(*report),
            Ok(_) => Err(self.told(host, another())),
            Err(silence) => Err(self.told(host, silence)),
        }
    }

    fn tunnels(&self, host: &ResourceName) -> Result<Tunnels, Problem> {
        self.with(&Key::global(Kind::Host, host), |_, _| ())?;
        let peers = match self.one(host, &HostQuestion::Tunnels {}) {
            Ok(HostAnswer::Tunnels(peers)) => peers,
            Ok(_) => return Err(self.told(host, another())),
            Err(silence) => return Err(self.told(host, silence)),
        };
        let hosts = by_address(&self.core.state().fabric);
        let tunnel = |peer: PeerTraffic| Tunnel {
            remote: peer.remote,
            host: hosts.get(&peer.remote).cloned(),
            flows: peer.flows,
            sent_packets: peer.to_packets,
            sent_bytes: peer.to_bytes,
            received_packets: peer.from_packets,
            received_bytes: peer.from_bytes,
        };
        Ok(Tunnels { tunnels: peers.into_iter().map(tunnel).collect() })
    }
}

/// Waits for an answer.
fn answered(pending: Pending) -> Result<HostAnswer, Silence> {
    let bytes = pending(ASK_TIMEOUT).map_err(Silence::Host)?;
    HostAnswer::read(&bytes).map_err(Silence::Refused)
}

/// The host that has a provider address.
fn host_with(fabric: &Fabric, address: IpAddr) -> Option<ResourceName> {
    let mut hosts = fabric.of_kind(Kind::Host, None);
    let host = hosts.find(|host| host.allocation.provider_addresses.iter().any(|own| own.addr() == address));
    host.map(|host| host.resource.name.clone())
}

/// All hosts by their provider addresses, for whoever asks about many.
fn by_address(fabric: &Fabric) -> HashMap<IpAddr, ResourceName> {
    let own = |host: &Object| {
        let name = host.resource.name.clone();
        let addresses = host.allocation.provider_addresses.iter().map(|own| own.addr());
        addresses.map(move |address| (address, name.clone())).collect::<Vec<_>>()
    };
    fabric.of_kind(Kind::Host, None).flat_map(own).collect()
}
