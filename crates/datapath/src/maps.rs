//! The maps: filling them with what changed, and reading all of them back.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use aya::maps::lpm_trie::{Key as TrieKey, LpmTrie};
use aya::maps::{Array, HashMap, Map, MapData, MapError};
use pipeline::moves::Move;
use pipeline::policy::{
    MAX_ALL_RULES, MAX_MATCHES, MAX_POLICIES, MAX_SET_WORDS, Matches, MemberKey, Policy, PrefixKey, Rule, RuleKey,
    ServiceKey, WordKey,
};
use pipeline::{
    Address, Counters, Host, MAX_MOVES, MAX_PEERS, MAX_PORTS, MAX_PROVIDERS, MAX_RECORDS, MAX_ROUTES, MAX_SUBNETS,
    Peer, PeerKey, Plain, Port, Provider, Record, RecordKey, Replica, ReplicaKey, Route, RouteKey, StationKey, Subnet,
};
use plan::{Changes, HostTables, TableChanges};

use crate::Datapath;
use crate::batch;
use crate::error::Error;
use crate::raw::{Layout, Raw, TrieLayout};

/// Raised when the meaning of an entry changes while its size stays.
const MEANING: u64 = 1;

/// What the maps look like, as a number: two versions of netvirt with the same one share the maps, and one with another
/// makes new ones beside the old, fills them, and then switches the programs over.
pub const LAYOUT: u32 = {
    let numbers = [
        MEANING,
        size_of::<Host>() as u64,
        size_of::<Port>() as u64,
        size_of::<RecordKey>() as u64,
        size_of::<StationKey>() as u64,
        size_of::<Record>() as u64,
        size_of::<Move>() as u64,
        size_of::<Subnet>() as u64,
        size_of::<RouteKey>() as u64,
        size_of::<Route>() as u64,
        size_of::<PeerKey>() as u64,
        size_of::<Peer>() as u64,
        size_of::<Provider>() as u64,
        size_of::<ReplicaKey>() as u64,
        size_of::<Replica>() as u64,
        size_of::<Plain>() as u64,
        size_of::<Counters>() as u64,
        MAX_PORTS as u64,
        MAX_RECORDS as u64,
        MAX_MOVES as u64,
        MAX_ROUTES as u64,
        MAX_SUBNETS as u64,
        MAX_PEERS as u64,
        MAX_PROVIDERS as u64,
        size_of::<Policy>() as u64,
        size_of::<PrefixKey>() as u64,
        size_of::<MemberKey>() as u64,
        size_of::<ServiceKey>() as u64,
        size_of::<Matches>() as u64,
        size_of::<WordKey>() as u64,
        size_of::<RuleKey>() as u64,
        size_of::<Rule>() as u64,
        MAX_POLICIES as u64,
        MAX_MATCHES as u64,
        MAX_SET_WORDS as u64,
        MAX_ALL_RULES as u64,
        size_of::<pipeline::flow::FlowKey>() as u64,
        size_of::<pipeline::flow::Flow>() as u64,
        size_of::<pipeline::flow::Usage>() as u64,
        size_of::<pipeline::flow::FragmentKey>() as u64,
        size_of::<pipeline::Fragmented>() as u64,
        size_of::<pipeline::travel::Traveller>() as u64,
        pipeline::travel::MAX_TOGETHER as u64,
        size_of::<pipeline::meter::MeterKey>() as u64,
        size_of::<pipeline::meter::Meter>() as u64,
        pipeline::flow::MAX_FRAGMENTED as u64,
        pipeline::meter::MAX_METERS as u64,
        pipeline::flow::MAX_FLOWS as u64,
        pipeline::flow::MAX_EPOCHS as u64,
    ];
    // FNV-1a.
    let mut hash = 0x811c_9dc5_u32;
    let mut i = 0;
    while i < numbers.len() {
        hash = (hash ^ (numbers[i] as u32)).wrapping_mul(0x0100_0193);
        hash = (hash ^ ((numbers[i] >> 32) as u32)).wrapping_mul(0x0100_0193);
        i += 1;
    }
    hash
};

impl Datapath {
    /// Carries changes out: first what is written, then what is removed, so that nothing that stays in force is missing
    /// in between. Ports and subnets go last on the way in, and first on the way out: a packet finds its port only when
    /// all that the port needs is there. So it is with policies: what says that a rule matches comes after the rule, and a
    /// port or a record that names a policy or groups after these.
    ///
    /// # Errors
    /// When the kernel refuses an entry, for instance since the map is full. What came before it has been written; the
    /// caller takes it back by applying the reverse of the changes.
    pub fn apply(&mut self, changes: &Changes) -> Result<(), Error> {
        if let Some(host) = changes.host {
            self.write_host(host)?;
        }
        self.upsert("WORDS", &changes.words)?;
        self.upsert("RULES", &changes.rules)?;
        self.upsert_trie("PREFIXES", &changes.prefixes)?;
        self.upsert("MEMBERS", &changes.members)?;
        self.upsert_trie("SERVICES", &changes.services)?;
        self.upsert("POLICIES", &changes.policies)?;
        self.upsert("PROVIDERS", &changes.providers)?;
        self.upsert("PEERS", &changes.peers)?;
        self.upsert("PLAIN", &changes.plain)?;
        self.upsert("MOVES", &changes.moves)?;
        self.upsert_both("STATIONS", &changes.stations, "RECORDS", &changes.records)?;
        self.upsert("REPLICAS", &changes.replicas)?;
        self.upsert_trie("ROUTES", &changes.routes)?;
        self.upsert("SUBNETS", &changes.subnets)?;
        self.upsert("PORTS", &changes.ports)?;

        self.delete("PORTS", &changes.ports)?;
        self.delete("SUBNETS", &changes.subnets)?;
        self.delete_trie("ROUTES", &changes.routes)?;
        self.delete("REPLICAS", &changes.replicas)?;
        self.delete("RECORDS", &changes.records)?;
        self.delete("STATIONS", &changes.stations)?;
        // By now no record and no port tells a packet to look at the move, or to note where its VM was heard; only one that
        // was under way may still. The note goes first, as nothing would tell an agent that died in between of it: the next
        // migration of the VM to that place would find it, and take it to be there already.
        let heard =
            TableChanges::<_, Address> { deletions: changes.moves.deletions.clone(), ..TableChanges::default() };
        self.delete("HEARD", &heard)?;
        self.delete("MOVES", &changes.moves)?;
        self.delete("HEARD", &heard)?;
        let sent_on = TableChanges::<_, u64> { deletions: changes.moves.deletions.clone(), ..TableChanges::default() };
        self.delete("SENT_ON", &sent_on)?;
        self.delete("PLAIN", &changes.plain)?;
        self.delete("PEERS", &changes.peers)?;
        self.delete("PROVIDERS", &changes.providers)?;
        self.delete("POLICIES", &changes.policies)?;
        self.delete_trie("SERVICES", &changes.services)?;
        self.delete("MEMBERS", &changes.members)?;
        self.delete_trie("PREFIXES", &changes.prefixes)?;
        self.delete("RULES", &changes.rules)?;
        self.delete("WORDS", &changes.words)
    }

    /// Reads all tables back from the kernel.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn tables(&self) -> Result<HostTables, Error> {
        Ok(HostTables {
            host: self.read_host()?,
            ports: self.read("PORTS")?,
            records: self.read("RECORDS")?,
            stations: self.read("STATIONS")?,
            moves: self.read("MOVES")?,
            subnets: self.read("SUBNETS")?,
            routes: self.read_trie("ROUTES")?,
            peers: self.read("PEERS")?,
            providers: self.read("PROVIDERS")?,
            replicas: self.read("REPLICAS")?,
            plain: self.read("PLAIN")?,
            policies: self.read("POLICIES")?,
            prefixes: self.read_trie("PREFIXES")?,
            members: self.read("MEMBERS")?,
            services: self.read_trie("SERVICES")?,
            words: self.read("WORDS")?,
            rules: self.read("RULES")?,
        })
    }

    /// Where the VMs that move were heard, as far as they were.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn heard(&self) -> Result<BTreeMap<StationKey, Address>, Error> {
        self.read("HEARD")
    }

    /// How many frames for VMs that have moved were sent on to them, of those that there were any for.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn sent_on(&self) -> Result<BTreeMap<StationKey, u64>, Error> {
        self.read("SENT_ON")
    }

    fn read_host(&self) -> Result<Option<Host>, Error> {
        let map = self.ebpf.map("HOST").ok_or(Error::Missing("HOST"))?;
        let array: Array<&MapData, Raw<Host>> = map.try_into().map_err(|e: MapError| Error::map("open", "HOST", &e))?;
        let Raw(host) = array.get(&0, 0).map_err(|e| Error::map("read", "HOST", &e))?;
        // An array's entry always exists; before it is written it is all zero, which no gateway's MAC address is.
        Ok((host != Host::default()).then_some(host))
    }

    fn write_host(&mut self, host: Option<Host>) -> Result<(), Error> {
        let map = self.ebpf.map_mut("HOST").ok_or(Error::Missing("HOST"))?;
        let mut array: Array<&mut MapData, Raw<Host>> =
            map.try_into().map_err(|e: MapError| Error::map("open", "HOST", &e))?;
        array.set(0, Raw(host.unwrap_or_default()), 0).map_err(|e| Error::map("write", "HOST", &e))
    }

    pub(crate) fn hash<K: Layout, V: Layout>(
        &self,
        name: &'static str,
    ) -> Result<HashMap<&MapData, Raw<K>, Raw<V>>, Error> {
        let map = self.ebpf.map(name).ok_or(Error::Missing(name))?;
        map.try_into().map_err(|e: MapError| Error::map("open", name, &e))
    }

    fn hash_mut<K: Layout, V: Layout>(
        &mut self,
        name: &'static str,
    ) -> Result<HashMap<&mut MapData, Raw<K>, Raw<V>>, Error> {
        let map = self.ebpf.map_mut(name).ok_or(Error::Missing(name))?;
        map.try_into().map_err(|e: MapError| Error::map("open", name, &e))
    }

    /// What system calls know the map by.
    pub(crate) fn descriptor(&self, name: &'static str) -> Result<BorrowedFd<'_>, Error> {
        match self.ebpf.map(name) {
            Some(Map::HashMap(map) | Map::LruHashMap(map) | Map::LpmTrie(map) | Map::Array(map)) => {
                Ok(map.fd().as_fd())
            }
            _ => Err(Error::Missing(name)),
        }
    }

    /// The same, of a hash map with keys and values of these sizes.
    pub(crate) fn checked<K: Layout, V: Layout>(&self, name: &'static str) -> Result<BorrowedFd<'_>, Error> {
        self.hash::<K, V>(name)?;
        self.descriptor(name)
    }

    pub(crate) fn read<K: Layout + Ord, V: Layout>(&self, name: &'static str) -> Result<BTreeMap<K, V>, Error> {
        let entries = batch::entries::<Raw<K>, Raw<V>>(self.checked::<K, V>(name)?);
        let entries = entries.map_err(|error| Error::map("read", name, &error))?;
        Ok(entries.into_iter().map(|(Raw(key), Raw(value))| (key, value)).collect())
    }

    fn upsert<K: Layout + Ord + Debug, V: Layout>(
        &mut self,
        name: &'static str,
        changes: &TableChanges<K, V>,
    ) -> Result<(), Error> {
        if changes.upserts.is_empty() {
            return Ok(());
        }
        if changes.upserts.len() >= batch::WORTH_WHILE {
            return upsert_batch(self.checked::<K, V>(name)?, name, changes);
        }
        let mut map = self.hash_mut::<K, V>(name)?;
        for (key, value) in &changes.upserts {
            let written = map.insert(Raw(*key), Raw(*value), 0);
            written.map_err(|error| Error::entry(WRITE, name, key, &io_error(error)))?;
        }
        Ok(())
    }

    /// Writes two tables of which neither needs the other: where they are large, at once.
    fn upsert_both<K: Layout + Ord + Debug, L: Layout + Ord + Debug, V: Layout>(
        &mut self,
        one: &'static str,
        changes: &TableChanges<K, V>,
        other: &'static str,
        other_changes: &TableChanges<L, V>,
    ) -> Result<(), Error> {
        if changes.upserts.len().min(other_changes.upserts.len()) < WORTH_A_THREAD {
            self.upsert(one, changes)?;
            return self.upsert(other, other_changes);
        }
        let (map, other_map) = (self.checked::<K, V>(one)?, self.checked::<L, V>(other)?);
        std::thread::scope(|scope| {
            let beside = scope.spawn(|| upsert_batch(map, one, changes));
            let written = upsert_batch(other_map, other, other_changes);
            beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(written)
        })
    }

    fn delete<K: Layout + Ord + Debug, V: Layout>(
        &mut self,
        name: &'static str,
        changes: &TableChanges<K, V>,
    ) -> Result<(), Error> {
        if changes.deletions.is_empty() {
            return Ok(());
        }
        if changes.deletions.len() >= batch::WORTH_WHILE {
            let keys: Vec<Raw<K>> = changes.deletions.iter().copied().map(Raw).collect();
            let deleted = batch::delete(self.checked::<K, V>(name)?, &keys);
            return deleted.map_err(|stopped| Error::entry(DELETE, name, &keys[stopped.at].0, &stopped.source));
        }
        let mut map = self.hash_mut::<K, V>(name)?;
        for key in &changes.deletions {
            let deleted = absent_is_fine(map.remove(&Raw(*key)));
            deleted.map_err(|error| Error::entry(DELETE, name, key, &io_error(error)))?;
        }
        Ok(())
    }

    fn read_trie<K: TrieLayout, V: Layout>(&self, name: &'static str) -> Result<BTreeMap<K, V>, Error> {
        let map = self.ebpf.map(name).ok_or(Error::Missing(name))?;
        let trie: LpmTrie<&MapData, K::Data, Raw<V>> =
            map.try_into().map_err(|e: MapError| Error::map("open", name, &e))?;
        trie.iter()
            .map(|entry| entry.map(|(key, Raw(value))| (K::from_trie(key.prefix_len(), key.data()), value)))
            .collect::<Result<_, _>>()
            .map_err(|e| Error::map("read", name, &e))
    }

    fn trie_mut<K: TrieLayout, V: Layout>(
        &mut self,
        name: &'static str,
    ) -> Result<LpmTrie<&mut MapData, K::Data, Raw<V>>, Error> {
        let map = self.ebpf.map_mut(name).ok_or(Error::Missing(name))?;
        map.try_into().map_err(|e: MapError| Error::map("open", name, &e))
    }

    fn upsert_trie<K: TrieLayout, V: Layout>(
        &mut self,
        name: &'static str,
        changes: &TableChanges<K, V>,
    ) -> Result<(), Error> {
        if changes.upserts.is_empty() {
            return Ok(());
        }
        // That keys and values are those of the map is looked at in any case.
        let mut trie = self.trie_mut::<K, V>(name)?;
        if changes.upserts.len() >= batch::WORTH_WHILE {
            let keys: Vec<TrieKey<K::Data>> = changes.upserts.keys().map(trie_key).collect();
            let values: Vec<Raw<V>> = changes.upserts.values().copied().map(Raw).collect();
            let written = batch::update(self.descriptor(name)?, &keys, &values);
            return written.map_err(|stopped| trie_refused::<K>(WRITE, name, &keys, stopped));
        }
        for (key, value) in &changes.upserts {
            let written = trie.insert(&trie_key(key), Raw(*value), 0);
            written.map_err(|error| Error::entry(WRITE, name, key, &io_error(error)))?;
        }
        Ok(())
    }

    fn delete_trie<K: TrieLayout, V: Layout>(
        &mut self,
        name: &'static str,
        changes: &TableChanges<K, V>,
    ) -> Result<(), Error> {
        if changes.deletions.is_empty() {
            return Ok(());
        }
        // That keys and values are those of the map is looked at in any case.
        let mut trie = self.trie_mut::<K, V>(name)?;
        if changes.deletions.len() >= batch::WORTH_WHILE {
            let keys: Vec<TrieKey<K::Data>> = changes.deletions.iter().map(trie_key).collect();
            let deleted = batch::delete(self.descriptor(name)?, &keys);
            return deleted.map_err(|stopped| trie_refused::<K>(DELETE, name, &keys, stopped));
        }
        for key in &changes.deletions {
            let deleted = absent_is_fine(trie.remove(&trie_key(key)));
            deleted.map_err(|error| Error::entry(DELETE, name, key, &io_error(error)))?;
        }
        Ok(())
    }
}

/// A key as aya's tries have it.
fn trie_key<K: TrieLayout>(key: &K) -> TrieKey<K::Data> {
    let (length, data) = key.to_trie();
    TrieKey::new(length, data)
}

/// Which entry of a batch the kernel refused.
fn trie_refused<K: TrieLayout>(
    what: &'static str,
    name: &'static str,
    keys: &[TrieKey<K::Data>],
    stopped: batch::Stopped,
) -> Error {
    let key = &keys[stopped.at];
    Error::entry(what, name, &K::from_trie(key.prefix_len(), key.data()), &stopped.source)
}

/// From how many entries on a table is written beside another one: below, a thread costs more than it saves.
const WORTH_A_THREAD: usize = 1024;

/// Writes entries as a batch. The map's keys and values must be of these types.
fn upsert_batch<K: Layout + Debug + Ord, V: Layout>(
    map: BorrowedFd,
    name: &'static str,
    changes: &TableChanges<K, V>,
) -> Result<(), Error> {
    let keys: Vec<Raw<K>> = changes.upserts.keys().copied().map(Raw).collect();
    let values: Vec<Raw<V>> = changes.upserts.values().copied().map(Raw).collect();
    let written = batch::update(map, &keys, &values);
    written.map_err(|stopped| Error::entry(WRITE, name, &keys[stopped.at].0, &stopped.source))
}

/// What is done to a map, in the words of its errors.
const WRITE: &str = "write to";
/// See [`WRITE`].
const DELETE: &str = "delete from";

/// To delete what is not there is no failure: the state afterwards is the one that was asked for.
fn absent_is_fine(result: Result<(), MapError>) -> Result<(), MapError> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// What the kernel said, as a batch says it.
fn io_error(error: MapError) -> io::Error {
    match error {
        MapError::SyscallError(error) => error.io_error,
        other => io::Error::other(other),
    }
}
