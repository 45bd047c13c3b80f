//! VM networks that go from one host of their gateway to another one.

use std::collections::BTreeMap;
use std::time::Duration;

use model::fabric::{Key, Kind, ResourceName};

use super::gateways::{compartment, connection, given, world};
use super::{World, key};
use crate::fabric::{Manner, TakeOver, TopicId};
use crate::gateway::health::{Health, Lost};

const WELL: Health = Health::Well { since: None };

fn name(text: &str) -> ResourceName {
    text.parse().unwrap()
}

fn network() -> Key {
    key(Kind::VmNetwork, "AAA")
}

fn health(host17: Health, host18: Health) -> BTreeMap<ResourceName, Health> {
    BTreeMap::from([(name("host17"), host17), (name("host18"), host18)])
}

/// Standby, leaving.
fn role(world: &World, host: &str) -> (bool, bool) {
    let compartment = compartment(world, host, "default/AAA").unwrap();
    (compartment.standby, compartment.leaving)
}

/// The VM network's records of the gateway subnet name this place, and its move, if it has one, that other place.
fn places(world: &World) -> (String, Option<String>) {
    let topic = TopicId::Network(world.get(Kind::VmNetwork, "AAA").allocation.rdid.unwrap());
    let vsid = given(world).unwrap().vsid;
    let (mut now, mut other) = (String::new(), None);
    for resource in world.fabric.topic(&topic).unwrap().values() {
        match resource {
            model::Resource::LookupRecord(record) if record.vsid == vsid => now = record.provider_address.to_string(),
            model::Resource::Migration(migration) if migration.vsid == vsid => {
                let to = migration.to.map(|to| format!("to {to}"));
                other = to.or(migration.from.map(|from| format!("from {from}")));
            }
            _ => {}
        }
    }
    (now, other)
}

fn has_port(world: &World, host: &str) -> bool {
    world.items(&TopicId::Host(name(host))).iter().any(|item| item.starts_with("port nvgw"))
}

fn with_nat() -> World {
    let mut world = world();
    world.apply(&connection("internet", "nat: {}"));
    world
}

fn drained(world: &mut World, which: &str) {
    let mut resource = world.get(Kind::Gateway, "gw").resource.clone();
    if let model::fabric::Spec::Gateway(spec) = &mut resource.spec {
        spec.drained = vec![name(which)];
    }
    world.change(&[crate::fabric::Change::Put { resource, revision: None }]).unwrap();
}

#[test]
fn a_drained_host_hands_over_step_by_step() {
    let mut world = with_nat();
    let well = health(WELL, WELL);
    assert!(world.fabric.take_overs(&well).is_empty());
    drained(&mut world, "host17");
    assert!(world.fabric.has_drained());
    let all = world.fabric.take_overs(&well);
    let expected = TakeOver {
        network: network(),
        from: name("host17"),
        to: name("host18"),
        manner: Manner::Prepared,
        reason: "host17 is drained".to_owned(),
    };
    assert_eq!(all, [expected]);

    // All hosts are told of both places, and each place has the port.
    world.take_over_all(&all).unwrap();
    assert_eq!(places(&world), ("192.168.4.17".to_owned(), Some("to 192.168.4.18".to_owned())));
    assert_eq!((role(&world, "host17"), role(&world, "host18")), ((false, false), (true, false)));
    assert!(has_port(&world, "host17") && has_port(&world, "host18"));
    assert!(world.fabric.take_overs(&well).is_empty(), "what is on its way is left to it");
    assert_eq!(world.fabric.arrivals().collect::<Vec<_>>(), [&network()]);

    // When they know, the new one forwards.
    world.settle(&network()).unwrap();
    assert_eq!(places(&world), ("192.168.4.17".to_owned(), Some("to 192.168.4.18".to_owned())));
    assert_eq!((role(&world, "host17"), role(&world, "host18")), ((false, false), (true, true)));

    // When it does, it is active, and the old one forwards what still comes.
    world.settle(&network()).unwrap();
    assert_eq!(places(&world), ("192.168.4.18".to_owned(), Some("from 192.168.4.17".to_owned())));
    assert_eq!((role(&world, "host17"), role(&world, "host18")), ((true, true), (false, false)));
    assert!(has_port(&world, "host17") && has_port(&world, "host18"));
    // What changes meanwhile does not disturb it.
    world.apply(&connection("internet", "nat: {log: true}"));
    assert_eq!(role(&world, "host17"), (true, true));

    world.settle(&network()).unwrap();
    assert_eq!(places(&world), ("192.168.4.18".to_owned(), None));
    assert_eq!((role(&world, "host17"), role(&world, "host18")), ((true, false), (false, false)));
    assert!(!has_port(&world, "host17") && has_port(&world, "host18"));
    assert!(world.settle(&network()).is_none());
    assert!(world.fabric.take_overs(&well).is_empty());
}

#[test]
fn a_dead_host_is_succeeded_at_once_also_while_it_hands_over() {
    let mut world = with_nat();
    let dead = health(Health::Dead { silent: Duration::from_millis(450) }, WELL);
    let all = world.fabric.take_overs(&dead);
    assert_eq!((all[0].manner, all[0].reason.as_str()), (Manner::Abrupt, "host17 has been silent for 450 ms"));
    drained(&mut world, "host17");
    let prepared = world.fabric.take_overs(&health(WELL, WELL));
    world.take_over_all(&prepared).unwrap();
    let all = world.fabric.take_overs(&dead);
    assert_eq!(all[0].manner, Manner::Abrupt);
    world.take_over_all(&all).unwrap();
    assert_eq!(places(&world), ("192.168.4.18".to_owned(), None));
    assert_eq!((role(&world, "host17"), role(&world, "host18")), ((true, false), (false, false)));
    // What was decided before that is nothing any more.
    assert!(world.take_over_all(&prepared).is_none());
    assert!(world.fabric.take_overs(&dead).is_empty(), "it has nothing more");
}

#[test]
fn one_without_its_link_outside_sends_on_and_one_that_was_to_come_is_not_waited_for() {
    let mut world = with_nat();
    let all = world.fabric.take_overs(&health(Health::Unfit(Lost::Outside), WELL));
    assert_eq!(all[0].manner, Manner::Forwarding);
    world.take_over_all(&all).unwrap();
    assert_eq!(places(&world), ("192.168.4.18".to_owned(), Some("from 192.168.4.17".to_owned())));
    world.settle(&network()).unwrap();

    drained(&mut world, "host18");
    let all = world.fabric.take_overs(&health(WELL, WELL));
    world.take_over_all(&all).unwrap();
    let all = world.fabric.take_overs(&health(Health::Unfit(Lost::Outside), WELL));
    assert_eq!((all.len(), all[0].manner), (1, Manner::Cancelled));
    world.take_over_all(&all).unwrap();
    assert_eq!(places(&world), ("192.168.4.18".to_owned(), None));
    // Nobody else is there, so it stays where it is.
    assert!(world.fabric.take_overs(&health(Health::Unfit(Lost::Outside), WELL)).is_empty());
}

#[test]
fn only_its_own_hosts_are_drained() {
    let mut world = world();
    let mut resource = world.get(Kind::Gateway, "gw").resource.clone();
    if let model::fabric::Spec::Gateway(spec) = &mut resource.spec {
        spec.drained = vec![name("host16")];
    }
    let refused = world.refused_changes(&[crate::fabric::Change::Put { resource, revision: None }]);
    assert_eq!(
        refused,
        ["gateway gw: host16 cannot be drained, since it is no host of the gateway; these are: host17, host18"]
    );
}

#[test]
fn one_host_is_left_that_is_not_drained() {
    let mut world = world();
    let mut resource = world.get(Kind::Gateway, "gw").resource.clone();
    if let model::fabric::Spec::Gateway(spec) = &mut resource.spec {
        spec.drained = vec![name("host18"), name("host17")];
    }
    let put =
        |resource: &model::fabric::Resource| crate::fabric::Change::Put { resource: resource.clone(), revision: None };
    assert_eq!(
        world.refused_changes(&[put(&resource)]),
        [
            "gateway gw: host17, host18 cannot be drained, since nobody would be left to take over; leave one of its hosts, or add \
             another with \"netvirt set gateway gw --add-gateway-host HOST=INTERFACE\""
        ]
    );
    if let model::fabric::Spec::Gateway(spec) = &mut resource.spec {
        spec.hosts.truncate(1);
        spec.drained = vec![name("host17")];
    }
    let refused = world.refused_changes(&[put(&resource)]);
    assert!(refused[0].starts_with("gateway gw: host17 cannot be drained, since nobody would be left"), "{refused:?}");
}

#[test]
fn a_new_network_does_not_begin_on_a_drained_host() {
    let mut world = world();
    drained(&mut world, "host17");
    world.apply(&connection("internet", "nat: {}"));
    assert_eq!(given(&world).unwrap().host.as_str(), "host18");
}

#[test]
fn networks_that_share_an_address_go_together() {
    let mut world = world();
    world.apply(&connection("internet", "nat: {sharedPorts: 1024}"));
    world.apply(
        "{kind: vm-network, name: BBB, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, name: other, spec: {vmNetwork: BBB, prefixes: [10.10.0.0/16]}}
---
{kind: gateway-connection, name: internet2, spec: {vmNetwork: BBB, gateway: gw, nat: {sharedPorts: 1024}}}",
    );
    world.apply(
        "{kind: host, name: host19, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.19/24], logicalNetworks: [TDIv2]}]}}",
    );
    let mut resource = world.get(Kind::Gateway, "gw").resource.clone();
    if let model::fabric::Spec::Gateway(spec) = &mut resource.spec {
        let mut third = spec.hosts[1].clone();
        (third.host, third.addresses) = (name("host19"), vec!["203.0.113.5/24".parse().unwrap()]);
        spec.hosts.push(third);
    }
    world.change(&[crate::fabric::Change::Put { resource, revision: None }]).unwrap();
    let mut health = health(Health::Dead { silent: Duration::from_secs(1) }, WELL);
    health.insert(name("host19"), WELL);
    let all = world.fabric.take_overs(&health);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].to, all[1].to, "one by one, each of the two hosts would get one");
}
