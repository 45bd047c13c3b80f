//! Questions about ports: each goes to the host of the port, all hosts are asked at once, and what some do not answer is told
//! beside what the others do.

use std::collections::{BTreeMap, HashMap};

use api::fabric::asking::MAX_ASKED_PORTS;
use api::fabric::{Dropped, Lease, Leases, PortTraffic, Traffic, Unanswered};
use api::{DropCounter, HostAnswer, HostQuestion, PortCounters, PortLease, Problem};
use model::MacAddress;
use model::fabric::{Key, Kind, Object, ResourceName, Spec};
use plan::fabric::host_port_name;

use super::{Asker, Silence, another, answered};

/// Said of a port that is on no host.
const NOWHERE: &str = "the port is on no host, so nobody counts and lends for it; it is plugged when its VM starts";
/// Said of a port that its host has no device of.
const NO_DEVICE: &str = "the port has no device yet, so nothing passes it; it is there when its VM has started";
/// Said of a port that its host does not know.
const NOT_YET: &str = "the host of the port does not know the port yet; ask again";

/// Ports where they are: by host, and there by the names that they have.
#[derive(Default)]
struct Places {
    hosts: BTreeMap<ResourceName, BTreeMap<String, ResourceName>>,
    nowhere: Vec<ResourceName>,
}

impl Places {
    fn add(&mut self, port: &Object) {
        let (key, name) = (port.key(), port.resource.name.clone());
        let host = match &port.resource.spec {
            Spec::Port(spec) => spec.host.as_ref(),
            _ => None,
        };
        match host.zip(host_port_name(&key)) {
            Some((host, there)) => {
                self.hosts.entry(host.clone()).or_default().insert(there.to_string(), name);
            }
            None => self.nowhere.push(name),
        }
    }
}

/// What was answered, and what was not.
#[derive(Default)]
struct Gathered {
    unanswered: Vec<Unanswered>,
    /// The first refusal, if nobody answers.
    problem: Option<Problem>,
    answers: bool,
}

impl Gathered {
    fn lacks(&mut self, ports: Vec<ResourceName>, reason: impl Into<String>) {
        let reason = reason.into();
        if ports.is_empty() {
            return;
        }
        match self.unanswered.iter_mut().find(|known| known.reason == reason) {
            Some(known) => known.ports.extend(ports),
            None => self.unanswered.push(Unanswered { ports, reason }),
        }
    }

    /// What nobody could say; the refusal of those who refused if there is nothing beside it.
    fn rest(self) -> Result<Vec<Unanswered>, Problem> {
        if self.answers || self.unanswered.is_empty() {
            return Ok(self.unanswered);
        }
        let reasons: Vec<&str> = self.unanswered.iter().map(|unanswered| unanswered.reason.as_str()).collect();
        Err(self.problem.unwrap_or_else(|| Problem::unavailable(reasons.join("; "))))
    }
}

impl Asker<'_> {
    pub(super) fn counters(&self, tenant: &ResourceName, ports: &[ResourceName]) -> Result<Traffic, Problem> {
        if ports.len() > MAX_ASKED_PORTS {
            return Err(Problem::bad_request(format!(
                "{} ports are more than the {MAX_ASKED_PORTS} that one question may be about; ask several times",
                ports.len()
            )));
        }
        let mut places = Places::default();
        for port in ports {
            let key = Key::new(Kind::Port, Some(tenant.clone()), port.clone());
            self.with(&key, |_, port| places.add(port))?;
        }
        let (mut gathered, mut known) = (Gathered::default(), HashMap::new());
        let asked = |ports| HostQuestion::Counters { ports };
        self.gather(places, &mut gathered, asked, |names, answer, gathered| {
            let HostAnswer::Counters(counters) = answer else { return Err(another()) };
            for counted in counters {
                let Some(port) = names.remove(&counted.port) else { continue };
                match traffic(&port, counted) {
                    Some(traffic) => {
                        known.insert(port, traffic);
                    }
                    None => gathered.lacks(vec![port], NO_DEVICE),
                }
            }
            gathered.answers |= !known.is_empty();
            gathered.lacks(std::mem::take(names).into_values().collect(), NOT_YET);
            Ok(())
        });
        let unanswered = gathered.rest()?;
        Ok(Traffic { ports: ports.iter().filter_map(|port| known.remove(port)).collect(), unanswered })
    }

    pub(super) fn leases(&self, tenant: &ResourceName, vm_subnet: &ResourceName) -> Result<Leases, Problem> {
        let subnet = Key::new(Kind::VmSubnet, Some(tenant.clone()), vm_subnet.clone());
        let (places, macs) = self.with(&subnet, |fabric, _| {
            let (mut places, mut macs) = (Places::default(), HashMap::<ResourceName, MacAddress>::new());
            let ports = fabric.of_kind(Kind::Port, subnet.tenant.as_ref());
            for port in ports.filter(|port| port.allocation.vm_subnet.as_ref() == Some(vm_subnet)) {
                places.add(port);
                macs.extend(port.allocation.mac.map(|mac| (port.resource.name.clone(), mac)));
            }
            // Whose VM is nowhere has no lease.
            places.nowhere.clear();
            (places, macs)
        })?;
        let (mut gathered, mut leases) = (Gathered::default(), Vec::new());
        let asked = |ports| HostQuestion::Leases { ports };
        self.gather(places, &mut gathered, asked, |names, answer, gathered| {
            let HostAnswer::Leases(lent) = answer else { return Err(another()) };
            gathered.answers = true;
            leases.extend(lent.into_iter().filter_map(|lease| {
                let port = names.get(&lease.port)?;
                Some(told(port, *macs.get(port)?, lease))
            }));
            Ok(())
        });
        let unanswered = gathered.rest()?;
        leases.sort_by(|one, other| (&one.port, one.address).cmp(&(&other.port, other.address)));
        Ok(Leases { leases, unanswered })
    }

    /// Asks all hosts at once, and takes in what they answer; `names` are the ports of one by the names that they have there.
    fn gather(
        &self,
        places: Places,
        gathered: &mut Gathered,
        question: impl Fn(Vec<String>) -> HostQuestion,
        mut take: impl FnMut(&mut BTreeMap<String, ResourceName>, HostAnswer, &mut Gathered) -> Result<(), Silence>,
    ) {
        gathered.lacks(places.nowhere, NOWHERE);
        let begun = places.hosts.into_iter().map(|(host, names)| {
            let pending = self.begin(&host, &question(names.keys().cloned().collect()));
            (host, names, pending)
        });
        // All are asked before the first is waited for.
        for (host, mut names, pending) in begun.collect::<Vec<_>>() {
            let taken = pending.and_then(answered).and_then(|answer| take(&mut names, answer, gathered));
            if let Err(silence) = taken {
                let problem = self.told(&host, silence);
                gathered.lacks(names.into_values().collect(), problem.detail.clone());
                gathered.problem.get_or_insert(problem);
            }
        }
    }
}

/// What passed a port, as its tenant sees it; none if its device is not there.
fn traffic(port: &ResourceName, counted: PortCounters) -> Option<PortTraffic> {
    let counters = counted.counters?;
    let dropped =
        |DropCounter { reason, explanation, packets, .. }: DropCounter| Dropped { reason, explanation, packets };
    Some(PortTraffic {
        port: port.clone(),
        sent_packets: counters.rx_packets,
        sent_bytes: counters.rx_bytes,
        received_packets: counters.tx_packets,
        received_bytes: counters.tx_bytes,
        drops: counted.drops.into_iter().map(dropped).collect(),
    })
}

fn told(port: &ResourceName, mac: MacAddress, lease: PortLease) -> Lease {
    let PortLease { address, state, since, until, .. } = lease;
    Lease { port: port.clone(), mac, address, state, since, until }
}
