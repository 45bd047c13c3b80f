//! What must change in the tables of a host to make one set of them into another.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::moves::Move;
use pipeline::policy::{Matches, MemberKey, Policy, PrefixKey, Rule, RuleKey, ServiceKey, WordKey};
use pipeline::{
    Address, Host, Peer, PeerKey, Plain, Port, Provider, Record, RecordKey, Replica, ReplicaKey, Route, RouteKey,
    StationKey, Subnet,
};

use crate::HostTables;

/// What changes in one table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableChanges<K: Ord, V> {
    /// Entries to remove.
    pub deletions: BTreeSet<K>,
    /// Entries to write, new ones and such with another value.
    pub upserts: BTreeMap<K, V>,
}

impl<K: Ord, V> Default for TableChanges<K, V> {
    fn default() -> Self {
        Self { deletions: BTreeSet::new(), upserts: BTreeMap::new() }
    }
}

impl<K: Ord + Copy, V: PartialEq + Copy> TableChanges<K, V> {
    /// What makes `old` into `new`.
    pub fn between(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> Self {
        Self {
            deletions: old.keys().filter(|key| !new.contains_key(key)).copied().collect(),
            upserts: new
                .iter()
                .filter(|(key, value)| old.get(key) != Some(value))
                .map(|(key, value)| (*key, *value))
                .collect(),
        }
    }

    /// How many entries change.
    pub fn len(&self) -> usize {
        self.deletions.len() + self.upserts.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.deletions.is_empty() && self.upserts.is_empty()
    }

    /// Carries the changes out.
    pub fn apply(&self, table: &mut BTreeMap<K, V>) {
        for key in &self.deletions {
            table.remove(key);
        }
        table.extend(self.upserts.iter().map(|(key, value)| (*key, *value)));
    }
}

/// What changes in the tables of a host; each field is one BPF map.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// The new value of [`HostTables::host`], if it changes.
    pub host: Option<Option<Host>>,
    /// See [`HostTables::ports`].
    pub ports: TableChanges<u32, Port>,
    /// See [`HostTables::records`].
    pub records: TableChanges<RecordKey, Record>,
    /// See [`HostTables::stations`].
    pub stations: TableChanges<StationKey, Record>,
    /// See [`HostTables::moves`].
    pub moves: TableChanges<StationKey, Move>,
    /// See [`HostTables::subnets`].
    pub subnets: TableChanges<u32, Subnet>,
    /// See [`HostTables::routes`].
    pub routes: TableChanges<RouteKey, Route>,
    /// See [`HostTables::peers`].
    pub peers: TableChanges<PeerKey, Peer>,
    /// See [`HostTables::providers`].
    pub providers: TableChanges<Address, Provider>,
    /// See [`HostTables::replicas`].
    pub replicas: TableChanges<ReplicaKey, Replica>,
    /// See [`HostTables::plain`].
    pub plain: TableChanges<Address, Plain>,
    /// See [`HostTables::policies`].
    pub policies: TableChanges<u32, Policy>,
    /// See [`HostTables::prefixes`].
    pub prefixes: TableChanges<PrefixKey, Matches>,
    /// See [`HostTables::members`].
    pub members: TableChanges<MemberKey, Matches>,
    /// See [`HostTables::services`].
    pub services: TableChanges<ServiceKey, Matches>,
    /// See [`HostTables::words`].
    pub words: TableChanges<WordKey, u64>,
    /// See [`HostTables::rules`].
    pub rules: TableChanges<RuleKey, Rule>,
}

impl Changes {
    /// How many entries change, over all tables.
    pub fn len(&self) -> usize {
        usize::from(self.host.is_some())
            + self.ports.len()
            + self.records.len()
            + self.stations.len()
            + self.moves.len()
            + self.subnets.len()
            + self.routes.len()
            + self.peers.len()
            + self.providers.len()
            + self.replicas.len()
            + self.plain.len()
            + self.policies.len()
            + self.prefixes.len()
            + self.members.len()
            + self.services.len()
            + self.words.len()
            + self.rules.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What makes `old` into `new`.
pub fn diff(old: &HostTables, new: &HostTables) -> Changes {
    Changes {
        host: (old.host != new.host).then_some(new.host),
        ports: TableChanges::between(&old.ports, &new.ports),
        records: TableChanges::between(&old.records, &new.records),
        stations: TableChanges::between(&old.stations, &new.stations),
        moves: TableChanges::between(&old.moves, &new.moves),
        subnets: TableChanges::between(&old.subnets, &new.subnets),
        routes: TableChanges::between(&old.routes, &new.routes),
        peers: TableChanges::between(&old.peers, &new.peers),
        providers: TableChanges::between(&old.providers, &new.providers),
        replicas: TableChanges::between(&old.replicas, &new.replicas),
        plain: TableChanges::between(&old.plain, &new.plain),
        policies: TableChanges::between(&old.policies, &new.policies),
        prefixes: TableChanges::between(&old.prefixes, &new.prefixes),
        members: TableChanges::between(&old.members, &new.members),
        services: TableChanges::between(&old.services, &new.services),
        words: TableChanges::between(&old.words, &new.words),
        rules: TableChanges::between(&old.rules, &new.rules),
    }
}

impl HostTables {
    /// Carries the changes out.
    pub fn apply(&mut self, changes: &Changes) {
        if let Some(host) = changes.host {
            self.host = host;
        }
        changes.ports.apply(&mut self.ports);
        changes.records.apply(&mut self.records);
        changes.stations.apply(&mut self.stations);
        changes.moves.apply(&mut self.moves);
        changes.subnets.apply(&mut self.subnets);
        changes.routes.apply(&mut self.routes);
        changes.peers.apply(&mut self.peers);
        changes.providers.apply(&mut self.providers);
        changes.replicas.apply(&mut self.replicas);
        changes.plain.apply(&mut self.plain);
        changes.policies.apply(&mut self.policies);
        changes.prefixes.apply(&mut self.prefixes);
        changes.members.apply(&mut self.members);
        changes.services.apply(&mut self.services);
        changes.words.apply(&mut self.words);
        changes.rules.apply(&mut self.rules);
    }
}
