//! VMs that move to another host while they run.
//!
//! An operator says where a port is to go (`migrateTo`); hosts hear when its VM is there, and the controller takes that over;
//! when all know, nothing more is late.

use model::fabric::{Allocation, Key, Kind, Port, Resource, ResourceName, Spec};
use model::{MacAddress, Vsid};

use super::Run;
use crate::fabric::claims::Slot;
use crate::fabric::{Context, Fabric, MigrationRefusal, Refusal, TopicId, Transition};

impl Fabric {
    /// The port of a VM that was heard on a host that it was to move to, as it is from then on: on that host.
    pub fn arrived(&self, port: &Key, host: &ResourceName) -> Option<Resource> {
        let (object, spec) = self.port(port)?;
        if spec.migrate_to.as_ref() != Some(host) {
            return None;
        }
        let moved = Port { host: Some(host.clone()), migrate_to: None, ..spec.clone() };
        Some(Resource { spec: Spec::Port(moved), ..object.resource.clone() })
    }

    /// The ports that a host is told of, by VSID and MAC address.
    pub fn ports_at(&self, host: &ResourceName, is_one: impl Fn(Vsid, MacAddress) -> bool) -> Vec<Key> {
        let topic = self.topic(&TopicId::Host(host.clone()));
        let ports = topic.into_iter().flat_map(|topic| topic.values()).filter_map(|resource| match resource {
            model::Resource::Port(port) => Some(port),
            _ => None,
        });
        let wanted = ports.filter(|port| port.vsid.is_some_and(|vsid| is_one(vsid, port.mac)));
        wanted.filter_map(|port| Some(self.port_on_host(host, &port.name)?.key())).collect()
    }

    /// The port of a VM that moves away from a host, or has, and the host that it goes to; none if it does not.
    pub fn successor(&self, host: &ResourceName, vsid: Vsid, mac: MacAddress) -> Option<(Key, ResourceName)> {
        let key = self.claims.owner(&Slot::Mac(mac))?;
        let (object, spec) = self.port(key)?;
        let subnet = key.sibling(Kind::VmSubnet, object.allocation.vm_subnet.as_ref()?);
        if self.get(&subnet)?.allocation.vsid != Some(vsid) {
            return None;
        }
        let leaves = spec.host.as_ref() == Some(host);
        let has_left = object.allocation.came_from.as_ref() == Some(host);
        let to = if leaves {
            &spec.migrate_to
        } else if has_left {
            &spec.host
        } else {
            &None
        };
        Some((key.clone(), to.clone()?))
    }

    /// The ports whose VMs have moved and of which some host may not know that yet; and VM networks that move to another host of
    /// their gateway.
    pub fn arrivals(&self) -> impl Iterator<Item = &Key> {
        self.index.arrivals()
    }

    /// Takes in that all hosts know where a port's VM has gone: what was late has come. `None` if it has not moved. Of a VM
    /// network that moves to another host of its gateway it is the next step.
    pub fn settle(&mut self, port: &Key, context: Context<'_>) -> Option<Transition> {
        if port.kind == Kind::VmNetwork {
            return self.settle_gateway_move(port, context);
        }
        self.port(port)?.0.allocation.came_from.as_ref()?;
        let mut run = Run::new(self, context);
        run.allocate(port, |given| given.came_from = None);
        run.finish(vec![port.clone()]).ok()
    }

    /// Why a port's VM cannot move to another host while it runs, if it shall.
    pub(super) fn immovable(&self, key: &Key, spec: &Port) -> Option<Refusal> {
        let to = spec.migrate_to.as_ref()?;
        let Some(host) = &spec.host else { return Some(MigrationRefusal::FromNowhere { port: key.clone() }.into()) };
        if to == host {
            return Some(MigrationRefusal::ToItself { port: key.clone(), host: Key::global(Kind::Host, to) }.into());
        }
        let network = spec.vm_network.as_ref().and_then(|name| self.vm_network(key, name));
        if network.is_none_or(|network| !network.isolation.is_virtualized()) {
            return Some(MigrationRefusal::NotVirtualized { port: key.clone() }.into());
        }
        if let Some(from) = self.get(key).and_then(|object| object.allocation.came_from.as_ref()) {
            let from = Key::global(Kind::Host, from);
            return Some(MigrationRefusal::StillArriving { port: key.clone(), from }.into());
        }
        self.misplaced_at(key, spec, to)
    }
}

impl Run<'_, '_> {
    /// Whether a change fits to a move of the port's VM that is under way.
    pub(super) fn check_move(&mut self, key: &Key, spec: &Port) {
        let before = self.before.get(key).and_then(|(before, _)| before.as_ref());
        let Some(Spec::Port(before)) = before.map(|object| &object.resource.spec) else { return };
        let (Some(goes), Some(to)) = (&before.migrate_to, &spec.migrate_to) else { return };
        let (port, goes) = (key.clone(), Key::global(Kind::Host, goes));
        let network = spec.vm_network.as_ref().and_then(|name| self.fabric.vm_network(key, name));
        let refusal = if goes.name != *to {
            MigrationRefusal::Underway { port, to: goes }
        } else if spec.host.as_ref() == Some(to) {
            MigrationRefusal::ByHand { port, to: goes }
        } else if network.is_none_or(|network| !network.isolation.is_virtualized()) {
            MigrationRefusal::LeavesUnderway { port, to: goes }
        } else {
            return;
        };
        self.refuse(key, refusal.into());
    }
}

/// Where a port's VM has come from while it ran: with the change that puts it on the host that it was to move to, the one
/// before; and that stays until the port is put elsewhere.
pub(super) fn came_from(given: &Allocation, before: &Port, spec: &Port) -> Option<ResourceName> {
    // In another VM network nothing comes late for it.
    if before.vm_network != spec.vm_network || before.vm_subnet != spec.vm_subnet {
        return None;
    }
    if before.host == spec.host {
        return given.came_from.clone();
    }
    before.host.clone().filter(|_| spec.host.is_some() && before.migrate_to == spec.host)
}
