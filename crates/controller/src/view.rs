//! Objects as they are shown: what was declared, and the status that follows from the fabric and from what hosts said.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;

use api::fabric::{HostRealization, Item, PortDevice, Realized, Status};
use model::fabric::{Isolation, Key, Kind, Object, ResourceName, Spec};
use plan::fabric::{Fabric, host_port_name};

use crate::clock;
use crate::hosts::{Reports, Sessions};
use crate::limits::MAX_WAITING_FOR;
use crate::realized::Needs;

/// All that a status follows from, as one moment shows it.
pub struct View<'a> {
    pub fabric: &'a Fabric,
    pub needs: &'a Needs,
    pub reports: &'a Reports,
    sessions: &'a dyn Sessions,
    /// Hosts that have been asked for already: of a page of ports, most are on the same hosts.
    asked: RefCell<HashMap<ResourceName, Session>>,
    /// How far ports are in force: the same for all that are on one host, in one VM network and of one revision.
    ports: RefCell<HashMap<Placement, Realized>>,
    /// Whether hosts that are not ready are named, or counted only.
    names: bool,
}

/// Tenant, VM network, host and revision of a port.
type Placement = (Option<ResourceName>, Option<ResourceName>, Option<ResourceName>, u64);

#[derive(Clone, Copy)]
struct Session {
    connected: bool,
    in_force: Option<u64>,
}

impl<'a> View<'a> {
    pub fn new(fabric: &'a Fabric, needs: &'a Needs, reports: &'a Reports, sessions: &'a dyn Sessions) -> Self {
        Self { fabric, needs, reports, sessions, asked: RefCell::default(), ports: RefCell::default(), names: true }
    }

    /// Without the names of hosts that are not ready: for answers with very many objects.
    #[must_use]
    pub fn brief(self) -> Self {
        Self { names: false, ..self }
    }

    /// An object with its status.
    pub fn item(&self, object: &Object) -> Item {
        let Key { kind, tenant, name } = object.key();
        Item {
            kind,
            tenant,
            name,
            uid: object.uid,
            revision: object.revision,
            created: clock::rfc3339(object.created),
            spec: spec(object),
            status: self.status(object),
        }
    }

    fn session(&self, host: &ResourceName) -> Session {
        let mut asked = self.asked.borrow_mut();
        if let Some(session) = asked.get(host) {
            return *session;
        }
        let session = Session { connected: self.sessions.is_connected(host), in_force: self.sessions.in_force(host) };
        asked.insert(host.clone(), session);
        session
    }

    /// On how many of the hosts that need it, the object is in force.
    pub fn realized(&self, object: &Object) -> Option<Realized> {
        match &object.resource.spec {
            Spec::Tenant(_) | Spec::MacPool(_) => None,
            Spec::Port(port) => {
                let tenant = object.resource.tenant.clone();
                let placement = (tenant, port.vm_network.clone(), port.host.clone(), object.revision);
                if let Some(realized) = self.ports.borrow().get(&placement) {
                    return Some(realized.clone());
                }
                let realized = self.realized_on(object);
                self.ports.borrow_mut().insert(placement, realized.clone());
                Some(realized)
            }
            _ => Some(self.realized_on(object)),
        }
    }

    fn realized_on(&self, object: &Object) -> Realized {
        let hosts = self.fabric.hosts_needing(&object.key());
        let mut realized = Realized { of: count(hosts.len()), ..Realized::default() };
        for host in hosts {
            let session = self.session(&host);
            let revision = self.needs.revision(&host, object.revision);
            if session.in_force.is_some_and(|in_force| in_force >= revision) {
                realized.hosts += 1;
            } else if self.names && realized.waiting_for.len() < MAX_WAITING_FOR {
                let reason = match session {
                    Session { connected: false, .. } => "its agent is not connected".to_owned(),
                    Session { in_force: None, .. } => "its agent has not acknowledged anything yet".to_owned(),
                    Session { in_force: Some(now), .. } => {
                        format!("its agent has acknowledged revision {now} and not yet {revision}")
                    }
                };
                realized.waiting_for.push(HostRealization { host, reason });
            }
        }
        realized
    }

    /// The hosts that need the object and on which it is not in force.
    pub fn lacking(&self, object: &Object) -> Vec<ResourceName> {
        let mut hosts: Vec<_> = self.fabric.hosts_needing(&object.key()).into_iter().collect();
        hosts.retain(|host| {
            let revision = self.needs.revision(host, object.revision);
            self.session(host).in_force.is_none_or(|in_force| in_force < revision)
        });
        hosts
    }

    fn status(&self, object: &Object) -> Status {
        let mut status =
            Status { allocation: object.allocation.clone(), realized: self.realized(object), ..Status::default() };
        let key = object.key();
        match &object.resource.spec {
            Spec::Host(_) => self.host(&key.name, &mut status),
            Spec::Port(port) => {
                status.device = port.host.as_ref().map(|host| {
                    let report = self.reports.get(host).zip(host_port_name(&key));
                    match report.and_then(|(report, name)| report.ports.get(&name)) {
                        Some(true) => PortDevice::Bound,
                        Some(false) => PortDevice::Missing,
                        None => PortDevice::Unknown,
                    }
                });
            }
            Spec::IpPool(_) | Spec::MacPool(_) | Spec::LogicalNetwork(_) => {
                if let Some((used, total)) = self.fabric.pool_usage(&key) {
                    (status.used, status.total) = (Some(used), Some(total));
                }
            }
            Spec::VmSubnet(_) => status.gateways = self.gateways(object),
            Spec::Tenant(_) | Spec::VmNetwork(_) | Spec::CustomerRoute(_) => {}
        }
        status
    }

    fn host(&self, name: &ResourceName, status: &mut Status) {
        status.connected = Some(self.session(name).connected);
        if let Some(report) = self.reports.get(name) {
            status.version.clone_from(&report.version);
            status.last_seen = report.last_seen.map(clock::rfc3339);
            status.findings = report.refusal.iter().chain(&report.findings).cloned().collect();
        }
    }

    /// The distributed router in virtualized subnets, the physical network's routers in the others.
    fn gateways(&self, subnet: &Object) -> Vec<IpAddr> {
        let Spec::VmSubnet(spec) = &subnet.resource.spec else { return Vec::new() };
        let network = self.fabric.get(&subnet.key().sibling(Kind::VmNetwork, &spec.vm_network));
        let isolation = network.and_then(|network| match &network.resource.spec {
            Spec::VmNetwork(network) => Some(network.isolation),
            _ => None,
        });
        match (isolation, network.and_then(|network| network.allocation.rdid), subnet.allocation.vsid) {
            (Some(Isolation::Nvgre), Some(rdid), Some(vsid)) => {
                let on_link = |&prefix: &ipnet::IpNet| {
                    let next_hop = if prefix.addr().is_ipv4() {
                        IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)
                    } else {
                        IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)
                    };
                    model::CustomerRoute { rdid, vsid, prefix: prefix.trunc(), next_hop, metric: 0 }.gateway()
                };
                spec.prefixes.iter().filter_map(on_link).collect()
            }
            _ => spec.gateways.clone(),
        }
    }
}

/// What was declared, as JSON.
pub fn spec(object: &Object) -> serde_json::Value {
    // A spec has no map whose keys are no text, which is all that could fail.
    serde_json::to_value(&object.resource.spec).unwrap_or_default()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
