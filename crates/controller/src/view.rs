//! Objects as they are shown: what was declared, and the status that follows from the fabric and from what hosts said.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use api::fabric::{Item, PortDevice, Realized, Status};
use model::fabric::{Allocation, Key, Kind, Object, ResourceName, Spec};
use plan::fabric::{Audience, Fabric, Late, host_port_name};

use crate::audience::Hosts;
use crate::clock;
use crate::gateway_reports::GatewayReports;
use crate::gateway_status;
use crate::hosts::{Reports, Sessions};
use crate::realized::Needs;

/// All that a status follows from, as one moment shows it.
pub struct View<'a> {
    pub fabric: &'a Fabric,
    pub needs: &'a Needs,
    pub reports: &'a Reports,
    gateways: &'a GatewayReports,
    sessions: &'a dyn Sessions,
    /// Who has been asked for already: a page of ports is needed by the hosts of a few networks.
    audiences: RefCell<HashMap<Audience, Rc<Hosts>>>,
    /// Whether hosts that are not ready are named, or counted only.
    names: bool,
}

impl<'a> View<'a> {
    pub fn new(
        fabric: &'a Fabric,
        needs: &'a Needs,
        reports: &'a Reports,
        gateways: &'a GatewayReports,
        sessions: &'a dyn Sessions,
    ) -> Self {
        Self { fabric, needs, reports, gateways, sessions, audiences: RefCell::default(), names: true }
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

    /// The hosts that need the object; `None` for kinds that no host needs.
    fn audience(&self, object: &Object) -> Option<Rc<Hosts>> {
        let audience = self.fabric.audience(&object.key())?;
        let mut audiences = self.audiences.borrow_mut();
        if let Some(hosts) = audiences.get(&audience) {
            return Some(Rc::clone(hosts));
        }
        let hosts = Rc::new(Hosts::look(self.fabric.hosts_in_audience(&audience), self.needs, self.sessions));
        audiences.insert(audience, Rc::clone(&hosts));
        Some(hosts)
    }

    /// On how many of the hosts that need it, the object is in force.
    pub fn realized(&self, object: &Object) -> Option<Realized> {
        if matches!(object.resource.spec, Spec::Tenant(_) | Spec::MacPool(_)) {
            return None;
        }
        let hosts = self.audience(object);
        Some(hosts.map(|hosts| hosts.realized(object.revision, self.names)).unwrap_or_default())
    }

    /// The hosts that need the object and on which it is not in force.
    pub fn lacking(&self, object: &Object) -> Vec<ResourceName> {
        let hosts = self.audience(object);
        hosts.map(|hosts| hosts.lacking(object.revision).cloned().collect()).unwrap_or_default()
    }

    /// The same, with whether they are connected.
    pub fn late(&self, object: &Object) -> Vec<Late> {
        self.audience(object).map(|hosts| hosts.late(object.revision).collect()).unwrap_or_default()
    }

    /// An object with its status, and of a port with what hosts have left out of it and why. That may name what belongs to
    /// others, and is for an admin alone.
    pub fn item_with_findings(&self, object: &Object) -> Item {
        let mut item = self.item(object);
        if item.kind == Kind::Port {
            item.status.findings = self.left_out(&object.key());
        }
        item
    }

    /// What hosts say that they have left out of a port, each as `HOST: sentence`.
    fn left_out(&self, port: &Key) -> Vec<String> {
        let told = self.fabric.told_of(port);
        let said = self.fabric.hosts_needing(port).into_iter().flat_map(|host| {
            let report = self.reports.get(&host);
            let own = report.into_iter().flat_map(|report| &report.findings);
            let own = own.filter(|sentence| told.iter().any(|key| key.is_left_out_by(sentence)));
            own.map(|sentence| format!("{host}: {sentence}")).collect::<Vec<_>>()
        });
        said.collect()
    }

    fn status(&self, object: &Object) -> Status {
        // Of a tunnel, the key is nobody's to see.
        let allocation = Allocation { private_key: None, ..object.allocation.clone() };
        let mut status = Status { allocation, realized: self.realized(object), ..Status::default() };
        let key = object.key();
        match &object.resource.spec {
            Spec::Host(_) => self.host(&key.name, &mut status),
            Spec::Port(port) => {
                status.last_move = self.reports.last_move(&key).cloned();
                status.device = port.host.as_ref().map(|host| {
                    let report = self.reports.get(host).zip(host_port_name(&key));
                    match report.and_then(|(report, name)| report.ports.get(&name)) {
                        Some(true) => PortDevice::Bound,
                        Some(false) => PortDevice::Missing,
                        None => PortDevice::Unknown,
                    }
                });
            }
            Spec::IpPool(_) | Spec::MacPool(_) | Spec::LogicalNetwork(_) | Spec::Gateway(_) => {
                if let Spec::Gateway(spec) = &object.resource.spec {
                    status.gateway_hosts = gateway_status::hosts(self.fabric, self.gateways, spec);
                    status.families = gateway_status::families(self.fabric, spec);
                }
                if let Some((used, total)) = self.fabric.pool_usage(&key) {
                    (status.used, status.total) = (Some(used), Some(total));
                }
            }
            Spec::GatewayConnection(spec) => {
                status.connection = gateway_status::connection(self.fabric, self.gateways, &key, spec);
            }
            Spec::VmSubnet(_) => status.gateways = self.gateways(object),
            Spec::Tenant(_)
            | Spec::VmNetwork(_)
            | Spec::AddressSet(_)
            | Spec::SecurityGroup(_)
            | Spec::CustomerRoute(_) => {}
        }
        status
    }

    fn host(&self, name: &ResourceName, status: &mut Status) {
        status.connected = self.sessions.standing(&[name]).first().map(|standing| standing.connected);
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
            (Some(isolation), Some(rdid), Some(vsid)) if isolation.is_virtualized() => {
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

/// What was declared, as JSON, without secrets.
pub fn spec(object: &Object) -> serde_json::Value {
    if let Spec::GatewayConnection(connection) = &object.resource.spec {
        let mut shown = connection.clone();
        shown.hide();
        return serde_json::to_value(shown).unwrap_or_default();
    }
    // A spec has no map whose keys are no text, which is all that could fail.
    serde_json::to_value(&object.resource.spec).unwrap_or_default()
}
