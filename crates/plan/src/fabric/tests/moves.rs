//! VMs that move: when a move is over, when the next one may begin, and what is refused meanwhile.

use std::time::Duration;

use super::*;
use crate::fabric::{Late, MAX_HOST_PORTS, RefusalSort, SETTLING, SETTLING_WITHOUT, Settling};

fn late(host: &str, connected: bool) -> Late {
    Late { host: host.parse().unwrap(), connected }
}

fn port(fields: &str) -> String {
    format!("{{kind: port, name: test01, spec: {{vmNetwork: AAA, {fields}}}}}")
}

fn world() -> World {
    let mut world = World::new();
    world.apply(AAA);
    world
}

/// What is said when a move begins while these are late.
fn begun(world: &World, yaml: &str, late: &[Late], without: &[&str]) -> Vec<String> {
    let without: Vec<_> = without.iter().map(|host| host.parse().unwrap()).collect();
    let refusals = world.fabric.at_rest(&puts(yaml), &without, |_| late.to_vec()).err().unwrap_or_default();
    sentences(&refusals)
}

#[test]
fn a_move_settles_when_all_know_and_later_without_those_who_are_away() {
    let mut settling = Settling::default();
    let one = || key(Kind::Port, "test01");
    let at = |seconds: u64| Duration::from_secs(100 + seconds);
    // Who is connected can still be told.
    assert_eq!(settling.look(at(0), [(one(), vec![late("host15", true), late("host17", false)])]), []);
    assert_eq!(settling.next(), None);
    assert_eq!(settling.look(at(1), [(one(), vec![late("host17", false)])]), []);
    assert_eq!(settling.next(), Some(at(1) + SETTLING_WITHOUT));
    assert_eq!(settling.look(at(20), [(one(), vec![late("host17", false)])]), []);
    assert_eq!(settling.next(), Some(at(1) + SETTLING_WITHOUT), "the time goes on");
    // It is back: the time is another one, and begins anew.
    assert_eq!(settling.look(at(30), [(one(), Vec::new())]), []);
    assert_eq!(settling.next(), Some(at(30) + SETTLING));
    assert_eq!(settling.look(at(30) + SETTLING, [(one(), Vec::new())]), [one()]);
    assert_eq!(settling.next(), None, "it is said once");
    // One that has gone meanwhile is forgotten.
    assert_eq!(settling.look(at(50), [(one(), Vec::new())]), []);
    assert_eq!(settling.look(at(60), []), []);
    assert_eq!(settling.next(), None);
}

#[test]
fn the_next_move_waits_until_all_know_the_end_of_the_last() {
    let mut world = world();
    let there = port("host: host16, migrateTo: host15");
    assert_eq!(begun(&world, &there, &[], &[]), [""; 0]);
    assert_eq!(
        begun(&world, &there, &[late("host15", true), late("host17", false)], &[]),
        [
            "port test01: not all hosts have acknowledged what was declared of it last (not yet: host15, host17 (its agent is not \
             connected)), and one that does not know that a VM's last move is over misunderstands the next one; try again in a moment, or \
             pass over a host that is away with \"netvirt migrate test01 --to host15 --without HOST\""
        ]
    );
    assert_eq!(begun(&world, &there, &[late("host17", false)], &["host17"]), [""; 0]);
    for host in ["host15", "host16"] {
        let told = begun(&world, &there, &[], &[host]);
        assert!(told[0].contains(&format!("host {host} is one of the two hosts")), "{told:?}");
    }
    // What begins no move waits for nobody.
    let nobody_knows = [late("host15", true)];
    assert_eq!(begun(&world, &port("host: host15"), &nobody_knows, &[]), [""; 0]);
    world.apply(&there);
    assert_eq!(begun(&world, &there, &nobody_knows, &[]), [""; 0], "it is on its way already");
    assert_eq!(begun(&world, &port("host: host16"), &nobody_knows, &[]), [""; 0], "and may stay after all");
}

#[test]
fn what_a_move_does_not_allow_is_said_as_it_is() {
    let mut world = world();
    world.apply("{kind: host, name: host17, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.17/24], logicalNetworks: [TDIv2]}]}}");
    world.apply(&port("host: host16, migrateTo: host15"));
    let elsewhere = world.refused(&port("host: host16, migrateTo: host17"));
    assert_eq!(
        elsewhere,
        [
            "port test01: it is on its way to host host15 already; wait until it is there, or when it is sure that its VM stays, take \
          that back with \"netvirt set port test01 --migrate-to ''\""
        ]
    );
    let by_hand = world.refused(&port("host: host15, migrateTo: host15"));
    assert_eq!(
        by_hand,
        [
            "port test01: it is on its way to host host15, and is put there when its VM is heard there; if its VM is there and silent, say \
          that it goes nowhere any more as well: \"netvirt set port test01 --host host15 --migrate-to ''\""
        ]
    );
    let apart = "{kind: port, name: test01, spec: {host: host16, migrateTo: host15}}";
    assert!(
        world.refused(apart)[0].starts_with("port test01: its VM is on its way to host host15, and until it is there")
    );
    // A tenant is told what it can do.
    let refusals = world.fabric.confine(&puts(apart)).unwrap_err();
    assert_eq!(refusals[0].sort(), RefusalSort::Conflict);
    assert_eq!(
        sentences(&refusals),
        [
            "port test01: an operator moves its VM to another host, and until that is over it stays in a VM network of isolation nvgre, \
          vxlan or geneve; try again in a moment"
        ]
    );
    // By hand it arrives as it does by itself.
    world.apply(&port("host: host15"));
    assert_eq!(world.get(Kind::Port, "test01").allocation.came_from, Some("host16".parse().unwrap()));
    let again = world.refused(&port("host: host15, migrateTo: host17"));
    assert!(again[0].contains("not all hosts know yet that it has come from host host16"), "{again:?}");
}

#[test]
fn nobody_moves_to_a_host_that_is_full() {
    let mut world = world();
    let subnet = "{kind: vm-subnet, name: wide, spec: {vmNetwork: AAA, prefixes: [10.20.0.0/16]}}\n---\n\
                  {kind: ip-pool, name: wide, spec: {vmSubnet: wide, ranges: [10.20.0.10-10.20.200.1]}}";
    world.apply(subnet);
    let full: Vec<Change> = (0..MAX_HOST_PORTS)
        .flat_map(|number| {
            puts(&format!(
                "{{kind: port, name: p{number}, spec: {{host: host15, vmNetwork: AAA, vmSubnet: wide, device: tap{number}}}}}"
            ))
        })
        .collect();
    world.change(&full).unwrap();
    world.apply(&port("vmSubnet: test, host: host16"));
    let told = world.refused(&port("vmSubnet: test, host: host16, migrateTo: host15"));
    assert_eq!(
        told,
        [format!("host host15 has {} connected ports; at most {MAX_HOST_PORTS} are possible", MAX_HOST_PORTS + 1)]
    );
}

#[test]
fn what_hosts_are_told_of_a_port_has_names() {
    let mut world = world();
    world.apply(&port("host: host16, migrateTo: host15"));
    let told: Vec<String> = world.fabric.told_of(&key(Kind::Port, "test01")).iter().map(ToString::to_string).collect();
    let given = world.get(Kind::Port, "test01").allocation.clone();
    let vsid = world.get(Kind::VmSubnet, "test").allocation.vsid.unwrap();
    let all = [
        "port test01".to_owned(),
        format!("migration {vsid}/{}", given.mac.unwrap()),
        format!("lookup-record {vsid}/10.10.1.100"),
    ];
    assert_eq!(told, all);
    // They are what is in the topics.
    let everything: Vec<String> =
        world.fabric.topics().flat_map(|(_, topic)| topic.keys().map(ToString::to_string)).collect();
    assert!(all.iter().all(|key| everything.contains(key)), "{everything:?}");
    // What a host says of them is known again.
    let port = &world.fabric.told_of(&key(Kind::Port, "test01"))[0];
    assert!(port.is_left_out_by(&port.left_out("this host declares it itself")));
    assert!(!port.is_left_out_by("port test010 is left out: so"));
}

#[test]
fn a_refused_move_to_where_the_vm_is_changes_nobodys_subscriptions() {
    let mut world = World::new();
    world.apply(AAA);
    let topic = TopicId::Network(world.get(Kind::VmNetwork, "AAA").allocation.rdid.unwrap());
    world.apply("{kind: port, name: test02, spec: {host: host16, vmNetwork: AAA}}");
    for _ in 0..2 {
        world.refused("{kind: port, name: test02, spec: {host: host16, migrateTo: host16, vmNetwork: AAA}}");
    }
    world.delete(Kind::Port, "test02").unwrap();
    assert_eq!(world.fabric.subscribers(&topic).count(), 1, "test01 is still there");
}
