//! Physical networks: which ports of this host are joined to which, and the host itself, which is a station there too.
//!
//! A host has few ports beside the records of others, so all of this is made at once whatever changes.

use std::collections::BTreeMap;

use model::{MacAddress, PhysicalNetwork};
use pipeline::{
    Address, MAX_REPLICAS, Record, RecordFlags, RecordKey, Replica, ReplicaKey, StationKey, Subnet, segment,
};

use super::{Compiled, Context, port_key};
use crate::{Finding, Link, LinkKind, to_address};

/// The entries that physical networks have in the tables, beside those of their ports in `PORTS`.
#[derive(Default)]
pub(crate) struct Networks {
    pub(crate) stations: BTreeMap<StationKey, Record>,
    pub(crate) records: BTreeMap<RecordKey, Record>,
    pub(crate) subnets: BTreeMap<u32, Subnet>,
    pub(crate) replicas: BTreeMap<ReplicaKey, Replica>,
    pub(crate) findings: BTreeMap<PhysicalNetwork, Finding>,
}

/// The lowest number that a physical network can have; VSIDs are below.
pub(crate) const LOWEST: u32 = segment::number(0, 0);

/// The number of a physical network, if its uplink is there and can be one.
pub(crate) fn number(context: &Context, network: &PhysicalNetwork) -> Option<u32> {
    let link = context.facts.links.get(&network.interface).filter(|link| is_uplink(link))?;
    Some(segment::number(link.ifindex, network.vlan.map_or(0, model::VlanId::get)))
}

/// Whether a network can be behind the interface: a tap is a VM's, and a number has room for so high an index only.
fn is_uplink(link: &Link) -> bool {
    link.kind != LinkKind::Tap && link.ifindex <= segment::MAX_UPLINK
}

/// The largest network packet of a VM on a physical network: the uplink's own, since nothing is added.
pub(crate) fn mtu(context: &Context, network: &PhysicalNetwork) -> Option<u32> {
    number(context, network)?;
    context.facts.links.get(&network.interface).map(|link| link.mtu)
}

/// What there is to say about the uplink of a port.
pub(crate) fn finding_of(context: &Context, port: &model::Port) -> Option<Finding> {
    let interface = port.physical.as_ref()?.interface.clone();
    match context.facts.links.get(&interface) {
        None => Some(Finding::NoInterface { key: port_key(port), interface }),
        Some(link) if !is_uplink(link) => Some(Finding::NotAnUplink { key: port_key(port), interface }),
        Some(_) => None,
    }
}

/// Fills what physical networks have in the tables, after `PORTS`.
pub(super) fn physical(context: &Context, compiled: &mut Compiled) {
    let Networks { stations, records, subnets, replicas, findings } = networks(context);
    compiled.tables.stations.extend(stations);
    compiled.tables.records.extend(records);
    compiled.tables.subnets.extend(subnets);
    compiled.tables.replicas.extend(replicas);
    compiled.findings.extend(findings.into_values());
}

/// The entries of all physical networks that ports of this host are in.
pub(crate) fn networks(context: &Context) -> Networks {
    let mut networks = Networks::default();
    let mut members = BTreeMap::<&PhysicalNetwork, (u32, BTreeMap<u32, &model::Port>)>::new();
    for port in context.intent.ports() {
        let Some(network) = &port.physical else { continue };
        let (Some(number), Some(link)) = (number(context, network), context.facts.links.get(&port.device)) else {
            continue;
        };
        members.entry(network).or_insert_with(|| (number, BTreeMap::new())).1.insert(link.ifindex, port);
        networks.join(number, port, link.ifindex);
    }
    for (network, (number, ports)) in members {
        if let Some(mac) = context.facts.links.get(&network.interface).and_then(|link| link.mac) {
            // A VM with the uplink's MAC address would be cut off; the host is not.
            networks.stations.insert(station_key(number, mac), station(mac, segment::uplink(number)));
        }
        networks.share(network, number, &ports);
    }
    networks
}

impl Networks {
    /// Adds a port: where its MAC address is, and the addresses that it alone may speak from.
    fn join(&mut self, number: u32, port: &model::Port, ifindex: u32) {
        let record = station(port.mac, ifindex);
        self.stations.insert(station_key(number, port.mac), record);
        let addresses = port.addresses.iter().copied().chain([port.mac.link_local().into()]);
        self.records.extend(addresses.map(|ip| (RecordKey { vsid: number, address: to_address(ip) }, record)));
    }

    /// Adds who hears a broadcast.
    fn share(&mut self, network: &PhysicalNetwork, number: u32, ports: &BTreeMap<u32, &model::Port>) {
        let kept = ports.len().min(MAX_REPLICAS as usize) as u32;
        for (index, ifindex) in (0..kept).zip(ports.keys().copied()) {
            let replica = Replica { ifindex, provider: Address::default() };
            self.replicas.insert(ReplicaKey { vsid: number, index }, replica);
        }
        self.subnets.insert(number, Subnet { replicas: kept, local_replicas: kept, ..Subnet::default() });
        let left_out: Vec<String> =
            ports.values().skip(kept as usize).map(|port| format!("port {}", port.name)).collect();
        if !left_out.is_empty() {
            let (network, limit) = (network.clone(), MAX_REPLICAS);
            self.findings.insert(network.clone(), Finding::TooManyOnUplink { network, limit, left_out });
        }
    }
}

const fn station_key(number: u32, mac: MacAddress) -> StationKey {
    StationKey { vsid: number, mac: mac.octets(), reserved: 0 }
}

fn station(mac: MacAddress, ifindex: u32) -> Record {
    Record { mac: mac.octets(), flags: RecordFlags::LOCAL, ifindex, groups: 0, provider: Address::default() }
}
