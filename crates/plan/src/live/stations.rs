//! What a step makes of MAC addresses, their customer addresses, and what stands for them on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{MacAddress, Vsid};
use pipeline::{Address, Record, RecordKey, StationKey};

use super::step::Step;
use super::{Place, State};
use crate::address::mac_of_link_local;
use crate::compile::Context;
use crate::compile::records::{
    entry, findings_of, gateway, gateway_addresses, merge, of_mac_address, on_wire, station_key,
};
use crate::{PortState, to_address};

impl State {
    /// Counts all records, and notes what else is found again when something changes.
    pub(super) fn take_census(&mut self, context: &Context) {
        for (key, resource) in context.intent.of_kind(model::Kind::LookupRecord) {
            if let model::Resource::LookupRecord(record) = resource {
                self.census.add(key, record, context.is_local(record));
                if crate::compile::records::may_speak_v6(record) {
                    self.speaking.insert(record.vsid);
                }
            }
        }
        let routes = context.intent.customer_routes().filter(|route| route.is_on_link());
        self.speaking.extend(routes.filter(|route| route.prefix.addr().is_ipv6()).map(|route| route.vsid));
        for (name, status) in &self.ports {
            if let PortState::Bound { ifindex, slot } = status.state {
                self.slots.insert(ifindex, slot);
                self.bound.entry(ifindex).or_default().insert(name.clone());
            }
        }
    }
}

impl Step<'_> {
    /// `STATIONS`, and what the records of each station add to the other tables.
    pub(super) fn stations(&mut self) -> BTreeMap<(Vsid, IpAddr), Record> {
        let mut declared = BTreeMap::new();
        for (vsid, mac) in std::mem::take(&mut self.touched.stations) {
            let station = self.context.station(vsid, mac);
            let mut merged: Option<Record> = None;
            for (key, record) in self.context.intent.records_at(vsid, mac) {
                let entry = entry(self.context, &station, record);
                match &mut merged {
                    Some(merged) => merge(merged, entry),
                    None => merged = Some(entry),
                }
                if let Some(customer) = record.customer_address {
                    declared.insert((vsid, customer), entry);
                    self.touched.addresses.insert((vsid, customer));
                }
                if on_wire(record).is_some() {
                    // A port decides whether the VM of such a record is here.
                    self.state.census.place(key, record, self.context.is_local(record));
                    self.touched.peers.insert(record.provider_address);
                }
                let findings = findings_of(self.context, key, record);
                self.find_of(key, findings);
            }
            self.edits.stations.set(station_key(vsid, mac), merged.and_then(of_mac_address));
            self.touched.addresses.insert((vsid, mac.link_local().into()));
            // What a port may do follows from its station.
            self.touched.ports.extend(self.context.intent.port_at(vsid, mac).map(|port| port.name.clone()));
        }
        for key in std::mem::take(&mut self.touched.gone) {
            self.find_of(&key, Vec::new());
        }
        declared
    }

    /// `RECORDS`, after `STATIONS`.
    pub(super) fn addresses(&mut self, declared: &BTreeMap<(Vsid, IpAddr), Record>) {
        let mut of_subnet = (None, BTreeSet::new());
        for (vsid, address) in std::mem::take(&mut self.touched.addresses) {
            if of_subnet.0 != Some(vsid) {
                let routes = self.context.intent.on_link_routes(vsid);
                of_subnet = (Some(vsid), routes.flat_map(|route| gateway_addresses(self.context, route)).collect());
            }
            let value = if of_subnet.1.contains(&address) {
                Some(gateway(self.context))
            } else {
                let known = declared.get(&(vsid, address)).copied();
                known.or_else(|| self.declared(vsid, address)).or_else(|| self.link_local(vsid, address))
            };
            self.edits.records.set(RecordKey { vsid: vsid.get(), address: to_address(address) }, value);
        }
    }

    /// What the declared record of an address says.
    fn declared(&self, vsid: Vsid, address: IpAddr) -> Option<Record> {
        let (_, record) = self.context.intent.record_of(vsid, address)?;
        Some(entry(self.context, &self.context.station(vsid, record.mac), record))
    }

    /// What the station says whose link-local address this is, if IPv6 may be spoken in the subnet.
    fn link_local(&self, vsid: Vsid, address: IpAddr) -> Option<Record> {
        let IpAddr::V6(address) = address else { return None };
        let mac = mac_of_link_local(address)?;
        self.state.speaking.contains(&vsid).then_some(())?;
        self.edits.stations.get(&self.state.tables.stations, &station_key(vsid, mac)).copied()
    }

    /// Touches the link-local addresses of all stations of a subnet.
    pub(super) fn link_locals_of(&mut self, vsid: Vsid) {
        let lowest = |vsid| StationKey { vsid, mac: [0; 6], reserved: 0 };
        let stations = self.state.tables.stations.range(lowest(vsid.get())..lowest(vsid.get() + 1));
        let macs = stations.filter_map(|(key, _)| MacAddress::new(key.mac).ok());
        self.touched.addresses.extend(macs.map(|mac| (vsid, mac.link_local().into())));
    }

    /// `PLAIN`.
    pub(super) fn wires(&mut self) {
        for wire in std::mem::take(&mut self.touched.wires) {
            let record = self.context.intent.record_on_wire(wire);
            let value = record.and_then(on_wire).map(|(_, plain)| plain);
            let wire: Address = to_address(wire);
            self.edits.plain.set(wire, value);
        }
    }

    fn find_of(&mut self, key: &model::Key, findings: Vec<crate::Finding>) {
        self.find(Place::of(key), findings);
    }
}
