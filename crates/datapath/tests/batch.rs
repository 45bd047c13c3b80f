//! Many entries are written, read and deleted as one by one; and where the kernel refuses one of many, the error says
//! which, and what came before it can be taken back.

use std::path::{Path, PathBuf};

use datapath::Datapath;
use pipeline::{
    Address, MAX_PEERS, MAX_PROVIDERS, MAX_RECORDS, Peer, PeerKey, Provider, Record, RecordFlags, RecordKey, Route,
    RouteKey, StationKey,
};
use plan::{Changes, HostTables, diff};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// More than go into one system call.
const MANY: u32 = 5000;

/// A folder of pinned maps, removed however the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        assert!(host::process::is_root(), "this test makes BPF maps, and needs root");
        let root = Path::new(host::kernel::BPFFS_ROOT);
        host::kernel::ensure_bpffs(root).unwrap();
        Self(root.join(format!("netvirt-test-{name}-{}", std::process::id())))
    }

    fn open(&self) -> Datapath {
        Datapath::open(&self.0).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = Datapath::remove(&self.0) {
            eprintln!("{error}");
        }
    }
}

fn address(number: u32) -> Address {
    let [_, b, c, d] = number.to_be_bytes();
    Address::v4([10, b, c, d])
}

fn route(number: u32) -> (RouteKey, Route) {
    let key = RouteKey {
        prefix_len: RouteKey::DOMAIN_BITS + 128,
        domain: (1 + number % 3).to_be_bytes(),
        address: address(number),
    };
    (key, Route { vsid: 5001 + number, ..Route::default() })
}

/// Some of so many entries of each of the large tables, with values of their own.
fn tables(random: &mut ChaCha8Rng, most: u32) -> HostTables {
    let mut tables = HostTables::default();
    for number in 0..most {
        let mac = [6, 6, 0, 0, (number >> 8) as u8, number as u8];
        let provider = Address::v4([192, 168, 4, random.random()]);
        let record = Record { mac, flags: RecordFlags::NONE, ifindex: random.random_range(0..3), groups: 0, provider };
        if random.random_bool(0.7) {
            tables.records.insert(RecordKey { vsid: 5001, address: address(number) }, record);
        }
        if random.random_bool(0.7) {
            tables.stations.insert(StationKey { vsid: 5001, mac, reserved: 0 }, record);
        }
        if random.random_bool(0.7) {
            let (key, value) = route(number);
            tables.routes.insert(key, Route { flags: value.flags, vsid: random.random_range(1..9000), ..value });
        }
    }
    tables
}

/// The same changes, each entry by itself.
fn one_by_one(changes: &Changes) -> Vec<Changes> {
    let mut all = Vec::new();
    macro_rules! split {
        ($($table:ident),*) => { $(
            for (key, value) in &changes.$table.upserts {
                let mut one = Changes::default();
                one.$table.upserts.insert(*key, *value);
                all.push(one);
            }
            for key in &changes.$table.deletions {
                let mut one = Changes::default();
                one.$table.deletions.insert(*key);
                all.push(one);
            }
        )* };
    }
    split!(records, stations, routes);
    all
}

#[test]
fn many_entries_are_as_many_single_ones() {
    let (folder, other) = (Folder::new("many"), Folder::new("single"));
    let (mut many, mut single) = (folder.open(), other.open());
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut before = HostTables::default();
    // From nothing to many, over entries that are there and others that go, and to less than is worth a batch.
    for most in [MANY, MANY, 700, 20, 10, 0] {
        let after = tables(&mut random, most);
        let changes = diff(&before, &after);
        many.apply(&changes).unwrap();
        one_by_one(&changes).iter().for_each(|one| single.apply(one).unwrap());
        assert!(many.tables().unwrap() == after, "in one go, {most}");
        assert!(single.tables().unwrap() == after, "one by one, {most}");
        before = after;
    }
}

#[test]
fn what_is_not_there_is_deleted_without_complaint() {
    let folder = Folder::new("absent");
    let mut datapath = folder.open();
    let all = tables(&mut ChaCha8Rng::seed_from_u64(8), MANY);
    let mut some = all.clone();
    let mut number = 0;
    some.records.retain(|_, _| {
        number += 1;
        // The first, the last of a system call and the first of the next are among those that are missing.
        number > 1 && ![4095, 4096, 4097].contains(&number) && number % 5 != 0
    });
    some.routes.retain(|key, _| key.domain[3] == 2);
    datapath.apply(&diff(&HostTables::default(), &some)).unwrap();
    datapath.apply(&diff(&all, &HostTables::default())).unwrap();
    assert!(datapath.tables().unwrap() == HostTables::default());
}

/// Applies changes that the kernel refuses in part, and takes back what was done of them.
fn refused(datapath: &mut Datapath, changes: &Changes) -> (String, HostTables) {
    let before = datapath.tables().unwrap();
    let error = datapath.apply(changes).unwrap_err().to_string();
    let after = datapath.tables().unwrap();
    datapath.apply(&diff(&after, &before)).unwrap();
    assert!(datapath.tables().unwrap() == before, "not taken back: {error}");
    (error, after)
}

#[test]
fn the_entry_that_is_refused_is_named_and_the_rest_can_be_taken_back() {
    let folder = Folder::new("refused");
    let mut datapath = folder.open();
    // A prefix that is longer than the key; in the order of keys it is the last one, in the second system call.
    for count in [3, MANY] {
        let mut changes = Changes::default();
        changes.routes.upserts.extend((0..count).map(route));
        let wrong = RouteKey { prefix_len: 999, domain: 1_u32.to_be_bytes(), address: Address::v4([10, 77, 0, 1]) };
        changes.routes.upserts.insert(wrong, Route::default());
        let (error, after) = refused(&mut datapath, &changes);
        assert!(error.starts_with("cannot write to map ROUTES: "), "{error}");
        assert!(error.contains("999") && error.contains("10.77.0.1") && error.contains("Invalid argument"), "{error}");
        assert_eq!(after.routes.len(), count as usize);
    }
}

#[test]
fn a_map_that_is_full_says_so_and_which_entry_found_it_so() {
    let folder = Folder::new("full");
    let mut datapath = folder.open();
    let entries = |map: &str, numbers: std::ops::RangeInclusive<u32>| {
        let mut changes = Changes::default();
        match map {
            "PROVIDERS" => changes.providers.upserts.extend(numbers.map(|it| (address(it), Provider::default()))),
            _ => changes.peers.upserts.extend(numbers.map(|it| (PeerKey::first(address(it)), Peer::default()))),
        }
        changes
    };
    for (map, most) in [("PROVIDERS", MAX_PROVIDERS), ("PEERS", MAX_PEERS)] {
        let entry = match map {
            "PROVIDERS" => format!("{:?}", address(most)),
            _ => format!("{:?}", PeerKey::first(address(most))),
        };
        let expected = format!("cannot write to map {map}: {entry}: the map is full");
        let (error, after) = refused(&mut datapath, &entries(map, 0..=most));
        assert_eq!((error, after.providers.len() + after.peers.len()), (expected.clone(), most as usize), "as a batch");
        datapath.apply(&entries(map, 0..=most - 2)).unwrap();
        let (error, after) = refused(&mut datapath, &entries(map, most - 1..=most));
        assert_eq!((error, after.providers.len() + after.peers.len()), (expected, most as usize), "one by one");
        let now = datapath.tables().unwrap();
        datapath.apply(&diff(&now, &HostTables::default())).unwrap();
    }
}

#[test]
fn of_two_large_tables_the_one_that_is_full_is_named_and_the_other_is_written() {
    let folder = Folder::new("both");
    let mut datapath = folder.open();
    let mut changes = Changes::default();
    let key = |number| RecordKey { vsid: 5001, address: address(number) };
    changes.records.upserts.extend((0..=MAX_RECORDS).map(|number| (key(number), Record::default())));
    changes.stations.upserts = tables(&mut ChaCha8Rng::seed_from_u64(9), MANY).stations;
    let (error, after) = refused(&mut datapath, &changes);
    assert_eq!(error, format!("cannot write to map RECORDS: {:?}: the map is full", key(MAX_RECORDS)));
    assert_eq!((after.records.len(), after.stations), (MAX_RECORDS as usize, changes.stations.upserts));
}
