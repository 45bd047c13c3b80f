//! What the resources of an intent are found by, beside their keys, so that a change costs about its own size however
//! much else is declared.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

use crate::{
    Key, Kind, LookupRecord, MacAddress, Name, Port, Resource, RoutingDomainId, SharedKey, TranslationMethod, Vsid,
};

/// A key that is not above any other: where a group begins.
static LOWEST: LazyLock<SharedKey> =
    LazyLock::new(|| SharedKey::from(Key { kind: Kind::LookupRecord, name: String::new() }));

/// Keys by what their resources have in common; in each group in their own order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Groups<G>(BTreeSet<(G, SharedKey)>);

impl<G> Default for Groups<G> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<G: Ord + Clone> Groups<G> {
    /// The keys of one group.
    pub(super) fn of(&self, group: G) -> impl Iterator<Item = &SharedKey> + use<'_, G> {
        self.from(group.clone()).take_while(move |(other, _)| *other == group).map(|(_, key)| key)
    }

    /// All entries from the first of a group on.
    pub(super) fn from(&self, group: G) -> impl Iterator<Item = &(G, SharedKey)> + use<'_, G> {
        self.0.range((group, LOWEST.clone())..)
    }

    /// The groups that are not empty, each once.
    pub(super) fn groups(&self) -> impl Iterator<Item = &G> {
        let mut last = None;
        self.0.iter().filter_map(move |(group, _)| {
            let new = last != Some(group);
            last = Some(group);
            new.then_some(group)
        })
    }

    fn put(&mut self, group: G, key: &SharedKey, present: bool) {
        if present {
            self.0.insert((group, key.clone()));
        } else {
            self.0.remove(&(group, key.clone()));
        }
    }
}

/// A VSID and a MAC address, as a group.
pub(super) type Station = (Vsid, [u8; 6]);

/// The lowest station of a subnet.
pub(super) const fn lowest_station(vsid: Vsid) -> Station {
    (vsid, [0; 6])
}

pub(super) const fn station(vsid: Vsid, mac: MacAddress) -> Station {
    (vsid, mac.octets())
}

/// The groups of an intent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Index {
    /// Lookup records by subnet and MAC address.
    pub(super) stations: Groups<Station>,
    /// Lookup records whose provider address is a host's, by it.
    pub(super) hosts: Groups<IpAddr>,
    /// Lookup records of what is not encapsulated, by the address on the wire.
    pub(super) wires: Groups<IpAddr>,
    /// On-link customer routes by subnet.
    pub(super) on_link: Groups<Vsid>,
    /// Other customer routes by subnet and next hop.
    pub(super) next_hops: Groups<(Vsid, IpAddr)>,
    /// Customer routes by destination; the routing domains are the first halves.
    pub(super) destinations: Groups<(RoutingDomainId, IpNet)>,
    /// Provider addresses and provider routes by interface.
    pub(super) uplinks: Groups<Name>,
    /// Ports by device.
    pub(super) devices: Groups<Name>,
    /// Ports by subnet and MAC address.
    pub(super) ports: Groups<Station>,
}

impl Index {
    /// Notes that a resource is there, or is no longer.
    pub(super) fn put(&mut self, key: &SharedKey, resource: &Resource, present: bool) {
        match resource {
            Resource::LookupRecord(record) => self.record(key, record, present),
            Resource::CustomerRoute(route) => {
                self.destinations.put((route.rdid, route.prefix), key, present);
                if route.is_on_link() {
                    self.on_link.put(route.vsid, key, present);
                } else {
                    self.next_hops.put((route.vsid, route.next_hop), key, present);
                }
            }
            Resource::ProviderAddress(address) => self.uplinks.put(address.interface.clone(), key, present),
            Resource::ProviderRoute(route) => self.uplinks.put(route.interface.clone(), key, present),
            Resource::DhcpScope(_) => {}
            Resource::Port(port) => self.port(key, port, present),
        }
    }

    fn record(&mut self, key: &SharedKey, record: &LookupRecord, present: bool) {
        self.stations.put(station(record.vsid, record.mac), key, present);
        if record.rule != TranslationMethod::Nat {
            self.hosts.put(record.provider_address, key, present);
        }
        if let Some(wire) = wire_address(record) {
            self.wires.put(wire, key, present);
        }
    }

    fn port(&mut self, key: &SharedKey, port: &Port, present: bool) {
        self.devices.put(port.device.clone(), key, present);
        if let Some(vsid) = port.vsid {
            self.ports.put(station(vsid, port.mac), key, present);
        }
    }
}

/// The address that stands for the record's VM on the wire, where nothing is encapsulated.
pub(super) const fn wire_address(record: &LookupRecord) -> Option<IpAddr> {
    match (record.rule, record.customer_address) {
        (TranslationMethod::Nat, Some(_)) => Some(record.provider_address),
        (TranslationMethod::None, address) => address,
        (TranslationMethod::Encap, _) | (TranslationMethod::Nat, None) => None,
    }
}
