//! Properties of the compiler over random consistent intents.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use model::generators::UPLINK;
use model::{Intent, Name, Resource, Vsid};
use pipeline::{Address, RecordFlags, ReplicaKey, RouteKey, StationKey, Tables};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{Link, LinkKind, TableChanges, diff};

/// A host that has what the intent says, but for some of the ports' devices.
fn facts_of(intent: &Intent, present: &[bool], mtu: u32) -> Facts {
    let addresses = |name: &Name| {
        let own = intent.provider_addresses().filter(|own| own.interface == *name);
        own.filter_map(|own| IpNet::new(own.address, own.prefix_length).ok()).collect::<Vec<_>>()
    };
    let uplink: Name = UPLINK.parse().unwrap();
    let mut links = BTreeMap::new();
    links.insert(
        uplink.clone(),
        Link { ifindex: 2, mtu, up: true, kind: LinkKind::Other, mac: None, addresses: addresses(&uplink) },
    );
    for (index, port) in (0u32..).zip(intent.ports()) {
        let roll = index as usize % present.len().max(1);
        if present.get(roll).copied().unwrap_or(true) {
            let kind = match index % 3 {
                0 => LinkKind::Tap,
                other => LinkKind::Veth { peer_in_other_namespace: other == 1 },
            };
            links.insert(
                port.device.clone(),
                Link { ifindex: 100 + index, mtu: 1500, up: true, kind, mac: None, addresses: vec![] },
            );
        }
    }
    Facts { links, slots: BTreeMap::new() }
}

/// An intent and a host for it.
fn any_case() -> impl Strategy<Value = (Intent, Facts)> {
    (Intent::any(), vec(any::<bool>(), 1..8), 1280..9001u32).prop_map(|(intent, present, mtu)| {
        let facts = facts_of(&intent, &present, mtu);
        (intent, facts)
    })
}

/// The same with its resources in some order.
fn any_shuffled_case() -> impl Strategy<Value = (Intent, Facts, Vec<Resource>)> {
    any_case().prop_flat_map(|(intent, facts)| {
        let resources: Vec<Resource> = intent.resources().cloned().collect();
        (Just(intent), Just(facts), Just(resources).prop_shuffle())
    })
}

fn tables_of((intent, facts): &(Intent, Facts)) -> HostTables {
    compile(intent, facts, &Settings::default()).tables
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_consistent_intent_is_not_refused_on_a_host_that_has_what_it_says(case in any_case()) {
        let compiled = compile(&case.0, &case.1, &Settings::default());
        prop_assert_eq!(compiled.refusals().map(Finding::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    }

    #[test]
    fn the_order_of_declaration_does_not_matter((intent, facts, shuffled) in any_shuffled_case()) {
        let again = Intent::new(shuffled).unwrap();
        let settings = Settings::default();
        prop_assert_eq!(compile(&again, &facts, &settings), compile(&intent, &facts, &settings));
    }

    #[test]
    fn slots_in_force_are_kept(case in any_case()) {
        let before = tables_of(&case);
        let (intent, mut facts) = case;
        facts.slots = before.ports.iter().map(|(ifindex, port)| (*ifindex, port.slot)).collect();
        prop_assert_eq!(&tables_of(&(intent.clone(), facts.clone())), &before);
        // With the first device gone, the others stay where they are.
        let first = intent.ports().map(|port| &port.device).find(|device| facts.links.contains_key(*device));
        if let Some(first) = first {
            let gone = facts.links.remove(first).unwrap();
            let after = tables_of(&(intent, facts));
            for (ifindex, port) in before.ports.iter().filter(|(ifindex, _)| **ifindex != gone.ifindex) {
                prop_assert_eq!(after.ports[ifindex].slot, port.slot);
            }
        }
    }

    #[test]
    fn changes_make_the_old_tables_into_the_new_ones(old in any_case(), new in any_case()) {
        let (old, new) = (tables_of(&old), tables_of(&new));
        for (from, to) in [(&old, &new), (&new, &old), (&HostTables::default(), &new), (&new, &HostTables::default())] {
            let changes = diff(from, to);
            let mut tables = from.clone();
            tables.apply(&changes);
            prop_assert_eq!(&tables, to);
            prop_assert_eq!(changes.is_empty(), from == to);
            prop_assert_eq!(changes.describe().len(), changes.len());
            prop_assert!(diff(&tables, to).is_empty());
        }
    }

    #[test]
    fn a_table_changes_in_the_fewest_entries(old: BTreeMap<u8, u8>, new: BTreeMap<u8, u8>) {
        let changes = TableChanges::between(&old, &new);
        let differ = (0..=u8::MAX).filter(|key| old.get(key) != new.get(key)).count();
        prop_assert_eq!(changes.len(), differ);
        let mut table = old;
        changes.apply(&mut table);
        prop_assert_eq!(table, new);
    }

    #[test]
    fn no_domain_leads_into_another(case in any_case(), addresses in vec(any::<[u8; 4]>(), 8)) {
        let tables = tables_of(&case);
        let rdid_of: BTreeMap<u32, RoutingDomainId> =
            case.0.customer_routes().map(|route| (route.vsid.get(), route.rdid)).collect();
        let numbers: BTreeSet<u32> = tables.subnets.values().map(|subnet| subnet.domain).filter(|d| *d != 0).collect();
        prop_assert_eq!(numbers.len(), rdid_of.values().collect::<BTreeSet<_>>().len());
        for (key, route) in &tables.routes {
            prop_assert_eq!(tables.subnets[&route.vsid].domain, u32::from_be_bytes(key.domain));
        }
        for port in tables.ports.values().filter(|port| port.vsid != 0) {
            prop_assert_eq!(tables.subnets[&port.vsid].domain, port.domain);
            let asked = addresses.iter().map(|octets| Address::v4(*octets));
            for address in asked.chain(tables.records.keys().map(|key| key.address)) {
                if let Some(route) = tables.route(&RouteKey::exact(port.domain, address)) {
                    prop_assert_eq!(rdid_of.get(&route.vsid), rdid_of.get(&port.vsid));
                }
            }
        }
    }

    #[test]
    fn what_one_table_names_is_in_the_other(case in any_case()) {
        let tables = tables_of(&case);
        let entries = tables.records.iter().map(|(key, record)| (key.vsid, record));
        for (vsid, record) in entries.chain(tables.stations.iter().map(|(key, record)| (key.vsid, record))) {
            prop_assert!(tables.subnets.contains_key(&vsid));
            if record.ifindex != 0 {
                let port = &tables.ports[&record.ifindex];
                prop_assert_eq!((port.vsid, port.mac), (vsid, record.mac));
            }
            if !record.flags.has(RecordFlags::LOCAL) {
                prop_assert!(tables.peers.contains_key(&pipeline::PeerKey::first(record.provider)), "no peer for {record:?}");
            }
        }
        for peer in tables.peers.values() {
            prop_assert!(tables.providers.contains_key(&peer.local));
            let known = peer.flags.has(pipeline::PeerFlags::NEXT_HOP);
            prop_assert!(!known || peer.local.is_v4() == peer.next_hop.is_v4());
        }
        for (wire, plain) in &tables.plain {
            let key = pipeline::RecordKey { vsid: plain.vsid, address: plain.customer };
            let record = &tables.records[&key];
            let expected = if record.flags.has(RecordFlags::NAT) { record.provider } else { plain.customer };
            prop_assert_eq!(*wire, expected);
        }
        for (key, record) in tables.stations.iter().filter(|(_, record)| is_plain(record)) {
            prop_assert!(record.ifindex != 0, "{key:?} would be encapsulated to {:?}", record.provider);
        }
    }

    #[test]
    fn each_member_of_a_subnet_hears_it_once(case in any_case()) {
        let tables = tables_of(&case);
        let mut count = 0;
        for (vsid, subnet) in &tables.subnets {
            let replica = |index| tables.replica(&ReplicaKey { vsid: *vsid, index });
            let replicas: Vec<_> = (0..subnet.replicas).map(|index| replica(index).copied().unwrap()).collect();
            let (local, remote) = replicas.split_at(subnet.local_replicas as usize);
            let ports: Vec<u32> = tables.ports.iter().filter(|(_, port)| port.vsid == *vsid).map(|(i, _)| *i).collect();
            prop_assert_eq!(local.iter().map(|replica| replica.ifindex).collect::<Vec<_>>(), ports);
            let hosts: BTreeSet<Address> = remote.iter().map(|replica| replica.provider).collect();
            prop_assert_eq!(hosts.len(), remote.len());
            prop_assert!(remote.iter().all(|replica| replica.ifindex == 0));
            prop_assert!(hosts.iter().all(|host| tables.peers.contains_key(&pipeline::PeerKey::first(*host))));
            prop_assert!(!remote.iter().any(|replica| tables.providers.contains_key(&replica.provider)));
            let stations = tables.stations.iter().filter(|(key, record)| key.vsid == *vsid && !is_plain(record));
            // What moves is heard at both places.
            let moves = tables.moves.iter().filter(|(key, _)| key.vsid == *vsid).map(|(_, other)| other.there.provider);
            let without_record = case.0.migrations().filter(|it| it.vsid.get() == *vsid).filter_map(|it| it.other());
            let moves = moves.chain(without_record.map(crate::to_address));
            let providers = stations.map(|(_, record)| record.provider).chain(moves);
            let expected: BTreeSet<Address> =
                providers.filter(|provider| !tables.providers.contains_key(provider)).collect();
            prop_assert_eq!(hosts, expected);
            count += replicas.len();
        }
        prop_assert_eq!(tables.replicas.len(), count);
    }

    #[test]
    fn a_port_may_do_what_its_station_is(case in any_case()) {
        let tables = tables_of(&case);
        let declared: BTreeSet<Vsid> = case.0.ports().filter_map(|port| port.vsid).collect();
        for port in tables.ports.values() {
            let station = tables.station(&StationKey { vsid: port.vsid, mac: port.mac, reserved: 0 });
            let has = |flag| station.is_some_and(|station| station.flags.has(flag));
            prop_assert_eq!(port.flags.has(pipeline::PortFlags::LEARN), has(RecordFlags::L2_ONLY));
            prop_assert_eq!(port.flags.has(pipeline::PortFlags::FORWARDER), has(RecordFlags::FORWARDER));
            prop_assert!(port.vsid == 0 || declared.iter().any(|vsid| vsid.get() == port.vsid));
        }
    }
}

fn is_plain(record: &pipeline::Record) -> bool {
    record.flags.has(RecordFlags::NAT) || record.flags.has(RecordFlags::BARE)
}
