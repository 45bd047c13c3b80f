//! Who gives way to whom: what the host declares, what the controller says, what was heard.

use std::collections::BTreeMap;

use ipnet::IpNet;
use model::resources_from_yaml;
use plan::{Link, LinkKind, compile};

use super::*;
use crate::learnt::MAX_PER_MAC;

const OWN: &str = "\
{kind: provider-address, spec: {address: 192.168.4.11, interface: eth0, prefixLength: 24}}
---
{kind: customer-route, spec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
---
{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}}
---
{kind: lookup-record, spec: {vsid: 5001, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.22, type: L2Only}}
---
{kind: port, name: own, spec: {device: own, mac: 06-06-00-00-00-0b, vsid: 5001}}";

fn desired() -> Desired {
    let addresses: Vec<IpNet> = vec!["192.168.4.11/24".parse().unwrap()];
    let link = Link { ifindex: 2, mtu: 1600, up: true, kind: LinkKind::Other, mac: None, addresses };
    let facts = Facts { links: BTreeMap::from([("eth0".parse().unwrap(), link)]), ..Facts::default() };
    Desired::new(Intent::new(resources_from_yaml(OWN).unwrap()).unwrap(), facts, Settings::default())
}

fn sets(text: &str) -> Vec<Change> {
    resources_from_yaml(text).unwrap_or_else(|error| panic!("{text}: {error}")).into_iter().map(Change::Set).collect()
}

fn key_of(kind: model::Kind, name: &str) -> Key {
    Key { kind, name: name.to_owned() }
}

fn record(name: &str) -> Key {
    key_of(model::Kind::LookupRecord, name)
}

/// Settles a step, and sees to it that what is held is what the compiler makes.
#[track_caller]
fn settle(desired: &mut Desired, step: Step) {
    desired.live.settle(&step.update);
    let compiled = compile(desired.live.intent(), desired.live.facts(), &Settings::default());
    assert_eq!(desired.live.tables(), &compiled.tables);
    assert_eq!(desired.live.findings(), compiled.findings);
}

#[track_caller]
fn control(desired: &mut Desired, changes: Vec<Change>) -> Vec<String> {
    let step = desired.control(&changes);
    settle(desired, step);
    desired.left_out()
}

fn heard(mac: u8, address: [u8; 4]) -> Learn {
    let address = pipeline::Address::v4(address);
    Learn { ifindex: 1, vsid: 5001, address, mac: [6, 6, 0, 0, 0, mac], reserved: 0 }
}

#[test]
fn one_contradiction_does_not_keep_the_rest_out_and_is_tried_again() {
    let mut desired = desired();
    let said = "\
{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.8, mac: 06-06-00-00-00-08, providerAddress: 192.168.4.22}}
---
{kind: port, name: theirs, spec: {device: own, mac: 06-06-00-00-00-0c, vsid: 5001}}
---
{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.1, mac: 06-06-00-00-00-0d, providerAddress: 192.168.4.22}}";
    let left = control(&mut desired, sets(said));
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(
        left[0].starts_with("lookup-record 5001/10.0.0.1 is left out: ") && left[0].contains("the gateway"),
        "{left:?}"
    );
    assert!(left[1].contains("port own and port theirs have the same device"), "{left:?}");
    assert!(desired.is_controlled(&record("5001/10.0.0.8")));
    // The host's own port goes, and the controller's has its place.
    let step = desired.declare(&[Change::Delete(key_of(model::Kind::Port, "own"))]).unwrap();
    settle(&mut desired, step);
    assert!(desired.is_waiting());
    assert_eq!(control(&mut desired, vec![]).len(), 1);
    assert!(desired.live.intent().get(&key_of(model::Kind::Port, "theirs")).is_some());
    // The controller corrects the other one.
    assert_eq!(control(&mut desired, vec![Change::Delete(record("5001/10.0.0.1"))]), [""; 0]);
    assert!(!desired.is_waiting());
}

#[test]
fn what_the_host_declares_is_not_the_controllers() {
    let mut desired = desired();
    let other = "{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-09, \
                 providerAddress: 192.168.4.33}}";
    let left = control(&mut desired, sets(other));
    assert!(left[0].contains("this host declares it itself"), "{left:?}");
    assert_eq!(control(&mut desired, vec![Change::Delete(record("5001/10.0.0.7"))]), [""; 0]);
    assert!(desired.live.intent().get(&record("5001/10.0.0.7")).is_some(), "it is the host's own");
    assert_eq!(control(&mut desired, vec![Change::Delete(record("5001/10.9.9.9"))]), [""; 0], "nothing to delete");
}

#[test]
fn a_replacement_that_contradicts_takes_what_it_replaces_with_it() {
    let mut desired = desired();
    let port = |device: &str| {
        format!("{{kind: port, name: theirs, spec: {{device: {device}, mac: 06-06-00-00-00-0c, vsid: 5001}}}}")
    };
    assert_eq!(control(&mut desired, sets(&port("theirs"))), [""; 0]);
    assert_eq!(control(&mut desired, sets(&port("own"))).len(), 1);
    assert!(
        desired.live.intent().get(&key_of(model::Kind::Port, "theirs")).is_none(),
        "the controller no longer says so"
    );
    assert_eq!(control(&mut desired, sets(&port("theirs"))), [""; 0]);
}

#[test]
fn a_socket_cannot_contradict_the_controller() {
    let mut desired = desired();
    let port = "{kind: port, name: theirs, spec: {device: tap1, mac: 06-06-00-00-00-0c, vsid: 5001}}";
    control(&mut desired, sets(port));
    let (before, declared) = (desired.live.tables().clone(), desired.declared.clone());
    let refused =
        desired.declare(&sets("{kind: port, name: mine, spec: {device: tap1, mac: 06-06-00-00-00-0e, vsid: 5001}}"));
    assert!(matches!(refused, Err(Refused::Contradiction(_))));
    let refused = desired
        .declare(&sets("{kind: provider-address, spec: {address: 192.168.4.99, interface: eth7, prefixLength: 24}}"));
    assert!(matches!(refused, Err(Refused::Findings(_))));
    assert_eq!((desired.live.tables(), &desired.declared), (&before, &declared));
}

#[test]
fn what_was_heard_gives_way_and_follows_its_l2_only_record() {
    let mut desired = desired();
    assert!(desired.learn(&heard(7, [10, 0, 0, 8])).is_none(), "its record is Static");
    assert!(desired.learn(&heard(5, [10, 0, 0, 7])).is_none(), "10.0.0.7 is another's");
    assert!(desired.learn(&heard(5, [10, 0, 0, 1])).is_none(), "that is the gateway");
    for last in 10..40 {
        if let Some(step) = desired.learn(&heard(5, [10, 0, 0, last])) {
            settle(&mut desired, step);
        }
    }
    let dynamic = |desired: &Desired| {
        let all = desired.live.intent().lookup_records();
        all.filter(|record| record.record_type == model::LookupRecordType::Dynamic).cloned().collect::<Vec<_>>()
    };
    assert_eq!(dynamic(&desired).len(), MAX_PER_MAC);
    // The VM moves to another host: what was heard of it moves too.
    let moved = "{kind: lookup-record, spec: {vsid: 5001, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.33, type: L2Only}}";
    let step = desired.declare(&sets(moved)).unwrap();
    settle(&mut desired, step);
    assert_eq!(dynamic(&desired).len(), MAX_PER_MAC);
    assert!(dynamic(&desired).iter().all(|record| record.provider_address.to_string() == "192.168.4.33"));
    // The controller says of one of the addresses whose it is.
    let other = "{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.10, mac: 06-06-00-00-00-09, providerAddress: 192.168.4.22}}";
    assert_eq!(control(&mut desired, sets(other)), [""; 0]);
    assert!(desired.is_controlled(&record("5001/10.0.0.10")));
    assert_eq!(dynamic(&desired).len(), MAX_PER_MAC - 1);
    // Its own record goes, and with it all that was heard; taken back, it is all there again.
    let before = desired.live.tables().clone();
    let step = desired.declare(&[Change::Delete(record("5001/06-06-00-00-00-05"))]).unwrap();
    assert_eq!(dynamic(&desired), []);
    let back = desired.undo(step);
    assert_eq!(desired.live.tables(), &before);
    assert_eq!(dynamic(&desired).len(), MAX_PER_MAC - 1);
    desired.live.settle(&back);
    let step = desired.declare(&[Change::Delete(record("5001/06-06-00-00-00-05"))]).unwrap();
    settle(&mut desired, step);
    assert!(desired.learn(&heard(5, [10, 0, 0, 50])).is_none());
}

#[test]
fn a_table_that_is_full_takes_what_fits_and_tries_the_rest_later() {
    let mut desired = desired();
    // As many provider addresses as there are, and ten more.
    let many = usize::try_from(pipeline::MAX_PROVIDERS).unwrap() + 9;
    let text: Vec<String> = (0..many)
        .map(|n| {
            format!(
                "{{kind: provider-address, spec: {{address: 10.200.{}.{}, interface: eth0, prefixLength: 24}}}}",
                n / 200,
                1 + n % 200
            )
        })
        .collect();
    let left = control(&mut desired, sets(&text.join("\n---\n")));
    let there = desired.live.tables().providers.len();
    assert!(there <= pipeline::MAX_PROVIDERS as usize && there > pipeline::MAX_PROVIDERS as usize / 2, "{there}");
    assert_eq!(left.len(), many + 1 - there);
    assert!(left[0].contains("a host holds 64"), "{left:?}");
}

#[test]
fn a_group_that_grows_too_large_for_a_port_is_left_out_and_not_the_port() {
    for owner in ["the host", "the controller"] {
        let mut desired = desired();
        let port = "{kind: port, name: guarded, spec: {device: tap1, mac: 06-06-00-00-00-0c, vsid: 5001, \
                    securityGroups: [acme/web/a, acme/web/b]}}";
        match owner {
            "the host" => {
                let step = desired.declare(&sets(port)).unwrap();
                settle(&mut desired, step);
            }
            _ => assert_eq!(control(&mut desired, sets(port)), [""; 0]),
        }
        let group = |name: &str, rules: usize| {
            let rules: Vec<String> =
                (1..=rules).map(|n| format!("{{direction: ingress, protocol: tcp, ports: [{n}]}}")).collect();
            sets(&format!("{{kind: security-group, name: acme/web/{name}, spec: {{rules: [{}]}}}}", rules.join(", ")))
        };
        assert_eq!(control(&mut desired, group("a", 9_000)), [""; 0]);
        let left = control(&mut desired, group("b", 9_000));
        assert!(left.len() == 1 && left[0].starts_with("security-group acme/web/b is left out: "), "{owner}: {left:?}");
        assert!(desired.live.intent().get(&key_of(model::Kind::Port, "guarded")).is_some(), "{owner}");
        assert_eq!(control(&mut desired, group("b", 2)), [""; 0], "{owner}");
    }
}
