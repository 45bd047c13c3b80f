//! Entries of a table that are to be other than they were, gathered before any of them is written.

use std::collections::BTreeMap;

use crate::{Changes, HostTables, TableChanges};
use pipeline::{
    Address, Peer, Plain, Port, Record, RecordKey, Replica, ReplicaKey, Route, RouteKey, StationKey, Subnet,
};

/// What some entries of one table are to be; `None` is no entry.
pub(super) struct Edit<K, V>(BTreeMap<K, Option<V>>);

impl<K, V> Default for Edit<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy, V: PartialEq + Copy> Edit<K, V> {
    /// Says what an entry is to be. What is said later counts.
    pub(super) fn set(&mut self, key: K, value: Option<V>) {
        self.0.insert(key, value);
    }

    /// Says what a part of the table is to be; what else it holds now goes.
    pub(super) fn replace<'a>(&mut self, now: impl Iterator<Item = (&'a K, &'a V)>, entries: BTreeMap<K, V>)
    where
        K: 'a,
        V: 'a,
    {
        self.0.extend(now.map(|(key, _)| (*key, None)));
        self.0.extend(entries.into_iter().map(|(key, value)| (key, Some(value))));
    }

    /// The entry as it is to be.
    pub(super) fn get<'a>(&'a self, table: &'a BTreeMap<K, V>, key: &K) -> Option<&'a V> {
        self.0.get(key).map_or_else(|| table.get(key), Option::as_ref)
    }

    /// Writes the entries, and says which of them differ from what they were.
    fn carry_out(self, table: &mut BTreeMap<K, V>) -> TableChanges<K, V> {
        let mut changes = TableChanges::default();
        for (key, value) in self.0 {
            match value {
                Some(value) => {
                    if table.insert(key, value) != Some(value) {
                        changes.upserts.insert(key, value);
                    }
                }
                None => {
                    if table.remove(&key).is_some() {
                        changes.deletions.insert(key);
                    }
                }
            }
        }
        changes
    }
}

/// The edits of all tables that change without being made anew.
#[derive(Default)]
pub(super) struct Edits {
    pub(super) ports: Edit<u32, Port>,
    pub(super) records: Edit<RecordKey, Record>,
    pub(super) stations: Edit<StationKey, Record>,
    pub(super) subnets: Edit<u32, Subnet>,
    pub(super) routes: Edit<RouteKey, Route>,
    pub(super) peers: Edit<Address, Peer>,
    pub(super) replicas: Edit<ReplicaKey, Replica>,
    pub(super) plain: Edit<Address, Plain>,
}

impl Edits {
    /// Writes all of them, and says what differs from what was.
    pub(super) fn carry_out(self, tables: &mut HostTables) -> Changes {
        Changes {
            host: None,
            ports: self.ports.carry_out(&mut tables.ports),
            records: self.records.carry_out(&mut tables.records),
            stations: self.stations.carry_out(&mut tables.stations),
            subnets: self.subnets.carry_out(&mut tables.subnets),
            routes: self.routes.carry_out(&mut tables.routes),
            peers: self.peers.carry_out(&mut tables.peers),
            providers: TableChanges::default(),
            replicas: self.replicas.carry_out(&mut tables.replicas),
            plain: self.plain.carry_out(&mut tables.plain),
        }
    }
}
