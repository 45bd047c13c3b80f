//! What the resources of an intent are found by, beside their keys, so that a change costs about its own size however
//! much else is declared.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

use crate::{
    Global, Key, Kind, LookupRecord, MacAddress, Migration, Name, Port, QualifiedName, Resource, RoutingDomainId,
    SecurityGroup, SharedKey, TranslationMethod, Vsid,
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

    /// Those of some groups, in their order and each once, that have more than one key.
    pub(super) fn several_among<'a>(&self, some: &'a [G]) -> Vec<&'a G> {
        if some.len() <= self.0.len() / LARGE_PART {
            return some.iter().filter(|group| self.of((*group).clone()).nth(1).is_some()).collect();
        }
        let mut some = some.iter().peekable();
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        let several = pairs.filter(|((one, _), (other, _))| one == other).filter_map(|((group, _), _)| {
            while some.next_if(|other| *other < group).is_some() {}
            some.next_if(|other| *other == group)
        });
        several.collect()
    }

    /// Adds keys that are not there. Where they are a large part, putting them in order by themselves and merging costs
    /// less than looking for the place of each.
    fn extend(&mut self, new: Vec<(G, SharedKey)>) {
        if new.len() > self.0.len() / LARGE_PART {
            self.0.append(&mut new.into_iter().collect());
        } else {
            self.0.extend(new);
        }
    }

    fn put(&mut self, group: G, key: &SharedKey, present: bool) {
        if present {
            self.0.insert((group, key.clone()));
        } else {
            self.0.remove(&(group, key.clone()));
        }
    }
}

/// From which part of what is there on something new is merged with it as a whole.
pub(super) const LARGE_PART: usize = 8;

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
    /// Ports by the security groups that they are in.
    pub(super) members: Groups<QualifiedName>,
    /// Security groups by the other groups and the address sets that their rules name.
    pub(super) remotes: Groups<(Kind, QualifiedName)>,
    /// What holds of the host as a whole.
    pub(super) global: Global,
    /// Migrations by subnet and MAC address.
    pub(super) migrations: BTreeMap<Station, Migration>,
}

/// Lookup records, of which there may be very many at once, on their way into an [`Index`].
#[derive(Default)]
pub(super) struct Gathered {
    stations: Vec<(Station, SharedKey)>,
    hosts: Vec<(IpAddr, SharedKey)>,
    wires: Vec<(IpAddr, SharedKey)>,
}

impl Gathered {
    fn add(&mut self, key: &SharedKey, record: &LookupRecord) {
        self.stations.push((station(record.vsid, record.mac), key.clone()));
        if record.rule != TranslationMethod::Nat {
            self.hosts.push((record.provider_address, key.clone()));
        }
        self.wires.extend(wire_address(record).map(|wire| (wire, key.clone())));
    }
}

impl Index {
    /// Notes that a resource is there that was not: at once, or, of a lookup record, with all others that are gathered.
    pub(super) fn add(&mut self, key: &SharedKey, resource: &Resource, gathered: &mut Gathered) {
        match resource {
            Resource::LookupRecord(record) => gathered.add(key, record),
            _ => self.put(key, resource, true),
        }
    }

    /// Notes all records that were gathered.
    pub(super) fn add_gathered(&mut self, gathered: Gathered) {
        let Gathered { stations, hosts, wires } = gathered;
        self.stations.extend(stations);
        self.hosts.extend(hosts);
        self.wires.extend(wires);
    }

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
            Resource::DhcpScope(_)
            | Resource::RoutingDomain(_)
            | Resource::AddressSet(_)
            | Resource::Gateway(_)
            | Resource::Compartment(_) => {}
            Resource::Migration(migration) => {
                let station = station(migration.vsid, migration.mac);
                match present {
                    true => drop(self.migrations.insert(station, *migration)),
                    false => drop(self.migrations.remove(&station)),
                }
            }
            Resource::Global(global) => self.global = if present { *global } else { Global::default() },
            Resource::Port(port) => self.port(key, port, present),
            Resource::SecurityGroup(group) => self.security_group(key, group, present),
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
        for group in &port.security_groups {
            self.members.put(group.clone(), key, present);
        }
    }

    fn security_group(&mut self, key: &SharedKey, group: &SecurityGroup, present: bool) {
        for rule in &group.rules {
            let group = rule.remote_group().map(|name| (Kind::SecurityGroup, name.clone()));
            let set = rule.address_set().map(|name| (Kind::AddressSet, name.clone()));
            for named in group.into_iter().chain(set) {
                self.remotes.put(named, key, present);
            }
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
