//! One step: what is touched is made anew, table after table, in the order in which they build on each other.

use std::collections::{BTreeMap, BTreeSet};

use model::{Key, Kind, Name, Port, Resource, RoutingDomainId};

use pipeline::{RecordKey, ReplicaKey, StationKey};

use super::edits::Edits;
use super::touched::Touched;
use super::{Place, State, Update};
use crate::compile::physical::{LOWEST, Networks, networks};
use crate::compile::ports::{entry, findings_of, mtu_of, slots};
use crate::compile::records::station_key;
use crate::compile::security::{self, SecurityEdits};
use crate::compile::underlay::overlay_mtu;
use crate::compile::{Context, host};
use crate::{Finding, PortState, PortStatus};

/// One step under way.
pub(super) struct Step<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) state: &'a mut State,
    pub(super) touched: Touched,
    pub(super) edits: Edits,
    update: Update,
}

impl<'a> Step<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        state: &'a mut State,
        touched: Touched,
        security: SecurityEdits,
    ) -> Self {
        let edits = Edits { security, ..Edits::default() };
        Self { context, state, touched, edits, update: Update::default() }
    }

    /// Makes all that is touched anew.
    pub(super) fn carry_out(mut self, old_numbers: &BTreeMap<RoutingDomainId, u32>) -> Update {
        self.routes(old_numbers);
        self.domains();
        self.speaking();
        let declared = self.stations();
        self.addresses(declared);
        self.wires();
        self.ports();
        self.peers();
        self.subnets();
        if self.touched.physical {
            self.physical();
        }
        self.security_groups();
        let Self { context, state, edits, mut update, .. } = self;
        update.changes = edits.carry_out(&mut state.tables);
        let host = Some(host(context, &state.tables));
        if state.tables.host != host {
            state.tables.host = host;
            update.changes.host = Some(host);
        }
        update
    }

    /// Takes over what there is to say about something now, and notes what is new in it.
    pub(super) fn find(&mut self, place: Place, findings: Vec<Finding>) {
        let before = if findings.is_empty() {
            self.state.findings.remove(&place)
        } else {
            self.state.findings.insert(place, findings.clone())
        };
        let before = before.unwrap_or_default();
        self.update.findings.extend(findings.into_iter().filter(|finding| !before.contains(finding)));
    }

    /// `PORTS`, after `STATIONS`, and the state of each port.
    fn ports(&mut self) {
        let names = std::mem::take(&mut self.touched.ports);
        let mut devices = self.bind(&names);
        if !devices.is_empty() {
            let slots = slots(self.state.bound.keys().copied(), &self.context.facts.slots);
            let before = std::mem::replace(&mut self.state.slots, slots);
            let moved = self.state.slots.iter().filter(|(ifindex, slot)| before.get(ifindex) != Some(slot));
            devices.extend(moved.map(|(ifindex, _)| *ifindex));
        }
        let slot_of = |state: &State, ifindex: u32| state.slots.get(&ifindex).copied().unwrap_or(0);
        let links = names.iter().filter_map(|name| self.state.ports.get(name)?.ifindex());
        devices.extend(links.collect::<Vec<_>>());
        let mut touched = names;
        for ifindex in devices {
            touched.extend(self.state.bound.get(&ifindex).into_iter().flatten().cloned());
            self.device(ifindex, slot_of(self.state, ifindex));
        }
        let mtu = overlay_mtu(self.context);
        for name in touched {
            let port = self.port(&name);
            let status = port.map(|port| {
                let link = self.context.facts.links.get(&port.device);
                let state = link.map_or(PortState::NoDevice, |link| PortState::Bound {
                    ifindex: link.ifindex,
                    slot: slot_of(self.state, link.ifindex),
                });
                PortStatus { state, mtu: mtu_of(self.context, port, &mtu) }
            });
            let before = match status {
                Some(status) => self.state.ports.insert(name.clone(), status),
                None => self.state.ports.remove(&name),
            };
            let findings = port.map(|port| findings_of(self.context, port)).unwrap_or_default();
            self.find(Place::Port(port_key(&name)), findings);
            if before != status {
                self.update.ports.insert(name);
            }
        }
    }

    /// Binds and unbinds ports; the interface indexes of devices that have another port for it, or none.
    fn bind(&mut self, names: &BTreeSet<Name>) -> BTreeSet<u32> {
        let mut devices = BTreeSet::new();
        for name in names {
            let before = self.state.ports.get(name).and_then(PortStatus::ifindex);
            let link = self.port(name).and_then(|port| self.context.facts.links.get(&port.device));
            let after = link.map(|link| link.ifindex);
            if before == after {
                continue;
            }
            if let Some(ifindex) = before
                && let Some(others) = self.state.bound.get_mut(&ifindex)
            {
                others.remove(name);
                if others.is_empty() {
                    self.state.bound.remove(&ifindex);
                }
            }
            if let Some(ifindex) = after {
                self.state.bound.entry(ifindex).or_default().insert(name.clone());
            }
            devices.extend(before.into_iter().chain(after));
        }
        devices
    }

    /// The entry of one device.
    fn device(&mut self, ifindex: u32, slot: u32) {
        // While devices change their names two ports may be at one; the compiler takes the last one.
        let last = self.state.bound.get(&ifindex).and_then(BTreeSet::last);
        let entry = last.and_then(|name| self.port(name)).and_then(|port| {
            let link = self.context.facts.links.get(&port.device)?;
            let key = port.vsid.map(|vsid| station_key(vsid, port.mac));
            let station = key.and_then(|key| self.edits.stations.get(&self.state.tables.stations, &key));
            entry(self.context, station, port, link, slot)
        });
        self.edits.ports.set(ifindex, entry);
    }

    /// What physical networks have in the tables.
    fn physical(&mut self) {
        let Networks { stations, records, subnets, replicas, findings } = networks(self.context);
        let tables = &self.state.tables;
        let lowest = StationKey { vsid: LOWEST, ..StationKey::default() };
        self.edits.stations.replace(tables.stations.range(lowest..), stations);
        let lowest = RecordKey { vsid: LOWEST, ..RecordKey::default() };
        self.edits.records.replace(tables.records.range(lowest..), records);
        self.edits.subnets.replace(tables.subnets.range(LOWEST..), subnets);
        let lowest = ReplicaKey { vsid: LOWEST, ..ReplicaKey::default() };
        self.edits.replicas.replace(tables.replicas.range(lowest..), replicas);
        let known = self.state.findings.keys().filter(|place| matches!(place, Place::Physical(_)));
        let mut found: BTreeMap<Place, Vec<Finding>> = known.map(|place| (place.clone(), Vec::new())).collect();
        found.extend(findings.into_iter().map(|(network, finding)| (Place::Physical(network), vec![finding])));
        for (place, findings) in found {
            self.find(place, findings);
        }
    }

    /// What there is to say about security groups.
    fn security_groups(&mut self) {
        let intent = self.context.intent;
        for name in std::mem::take(&mut self.touched.groups) {
            let findings = intent.security_group(&name).map(|group| security::findings_of_group(intent, group));
            let key = Key { kind: Kind::SecurityGroup, name: name.as_str().to_owned() };
            self.find(Place::SecurityGroup(key), findings.unwrap_or_default());
        }
    }

    fn port(&self, name: &Name) -> Option<&'a Port> {
        match self.context.intent.get(&port_key(name)) {
            Some(Resource::Port(port)) => Some(port),
            _ => None,
        }
    }
}

fn port_key(name: &Name) -> Key {
    Key { kind: Kind::Port, name: name.as_str().to_owned() }
}
