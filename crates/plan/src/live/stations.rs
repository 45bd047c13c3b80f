//! What a step makes of MAC addresses, their customer addresses, and what stands for them on the wire.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::{MacAddress, Vsid};
use pipeline::{Address, Record, RecordKey, StationKey};

use super::step::Step;
use super::{Place, State};
use crate::address::mac_of_link_local;
use crate::compile::Context;
use crate::compile::records::{
    entry, findings_of, gateway, gateway_addresses, merge, move_of, of_mac_address, on_wire, station_key,
};
use crate::{PortState, to_address};

impl State {
    /// Counts all records, and notes what else is found again when something changes.
    pub(super) fn take_census(&mut self, context: &Context) {
        for (key, resource) in context.intent.of_kind(model::Kind::LookupRecord) {
            if let model::Resource::LookupRecord(record) = resource {
                self.census.add(context, key, record);
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
    pub(super) fn stations(&mut self) -> Vec<((Vsid, IpAddr), Record)> {
        let intent = self.context.intent;
        let (mut declared, mut records) = (Vec::new(), Vec::new());
        for (vsid, mac) in self.touched.stations.take() {
            records.clear();
            records.extend(intent.records_at(vsid, mac));
            let port = intent.port_at(vsid, mac);
            let station = self.context.station_of((vsid, mac), port, records.iter().map(|(_, record)| *record));
            let mut merged: Option<Record> = None;
            for &(key, record) in &records {
                let entry = entry(self.context, &station, record);
                match &mut merged {
                    Some(merged) => merge(merged, entry),
                    None => merged = Some(entry),
                }
                if let Some(customer) = record.customer_address {
                    declared.push(((vsid, customer), entry));
                    self.touched.addresses.insert((vsid, customer));
                }
                if on_wire(record).is_some() {
                    // A port decides whether the VM of such a record is here.
                    self.state.census.place(self.context, key, record);
                    self.touched.peers.insert(record.provider_address);
                }
                let findings = findings_of(self.context, key, record);
                self.find_of(key, findings);
            }
            let other = merged.and_then(|merged| move_of(self.context, vsid, mac, merged));
            self.edits.moves.set(station_key(vsid, mac), other);
            self.edits.stations.set(station_key(vsid, mac), merged.and_then(of_mac_address));
            // Where IPv6 begins or ends to be spoken, those of all stations are touched anyway.
            if self.state.speaking.contains(&vsid) {
                self.touched.addresses.insert((vsid, mac.link_local().into()));
            }
            // What a port may do follows from its station.
            self.touched.ports.extend(port.map(|port| port.name.clone()));
        }
        self.edits.moves.put_in_order();
        self.edits.stations.put_in_order();
        for key in std::mem::take(&mut self.touched.gone) {
            self.find_of(&key, Vec::new());
        }
        declared
    }

    /// `RECORDS`, after `STATIONS`. What those declare is touched.
    pub(super) fn addresses(&mut self, mut declared: Vec<((Vsid, IpAddr), Record)>) {
        declared.sort_unstable_by_key(|(place, _)| *place);
        let mut declared = declared.into_iter().peekable();
        let mut of_subnet = (None, BTreeSet::new());
        for (vsid, address) in self.touched.addresses.take() {
            if of_subnet.0 != Some(vsid) {
                let routes = self.context.intent.on_link_routes(vsid);
                of_subnet = (Some(vsid), routes.flat_map(|route| gateway_addresses(self.context, route)).collect());
            }
            let known = declared.next_if(|(place, _)| *place == (vsid, address));
            let value = if of_subnet.1.contains(&address) {
                Some(gateway(self.context))
            } else {
                known
                    .map(|(_, entry)| entry)
                    .or_else(|| self.declared(vsid, address))
                    .or_else(|| self.link_local(vsid, address))
            };
            self.edits.records.set(RecordKey { vsid: vsid.get(), address: to_address(address) }, value);
        }
    }

    /// What the declared record of an address says.
    fn declared(&self, vsid: Vsid, address: IpAddr) -> Option<Record> {
        // No record declares a link-local address (`model` refuses it), and there may be one for each station.
        if matches!(address, IpAddr::V6(address) if address.is_unicast_link_local()) {
            return None;
        }
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
        if findings.is_empty() && self.state.findings.is_empty() {
            return;
        }
        self.find(Place::of(key), findings);
    }
}
