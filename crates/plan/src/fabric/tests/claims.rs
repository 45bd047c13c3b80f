//! Ports that any host may plug: who gets them, who lets them go, and what a host is told.

use model::fabric::{Kind, Port, ResourceName, Spec};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::{AAA, World, key};
use crate::fabric::{Change, ClaimRefusal, ClaimStep};

const WEB: &str = "{kind: port, name: web, spec: {anyHost: true, vmNetwork: AAA}}";

fn world() -> World {
    let mut world = World::new();
    world.apply(AAA);
    world.apply(WEB);
    world
}

fn host(number: u8) -> ResourceName {
    format!("host{number}").parse().unwrap()
}

impl World {
    fn uid(&self) -> Uuid {
        self.get(Kind::Port, "web").uid
    }

    fn web(&self) -> &Port {
        match &self.get(Kind::Port, "web").resource.spec {
            Spec::Port(port) => port,
            _ => unreachable!("a port's spec"),
        }
    }

    /// Where it is, and where it goes.
    fn place(&self) -> (Option<&str>, Option<&str>) {
        let Port { host, migrate_to, .. } = self.web();
        (host.as_ref().map(ResourceName::as_str), migrate_to.as_ref().map(ResourceName::as_str))
    }

    /// As a controller does it: what is to change is changed, and judged again. `bound` is what is known of the device.
    fn claim(&mut self, number: u8, device: Option<&str>, bound: Option<bool>) -> Result<ClaimStep, String> {
        let device = device.map(|name| name.parse().unwrap());
        for _ in 0..3 {
            let step = self.fabric.claim(self.uid(), &host(number), device.as_ref(), |_, _| bound);
            match step.map_err(|refusal| refusal.to_string())? {
                ClaimStep::Change(resource) => {
                    let changed = self.change(&[Change::Put { resource: *resource, revision: None }]);
                    changed.map_err(|refusals| refusals[0].to_string())?;
                }
                step => return Ok(step),
            }
        }
        panic!("a claim never stands");
    }

    fn release(&mut self, number: u8) -> bool {
        let Some(resource) = self.fabric.release(self.uid(), &host(number)) else { return false };
        self.change(&[Change::Put { resource, revision: None }]).expect("what is released is free");
        true
    }

    fn arrive(&mut self) {
        let to = self.web().migrate_to.clone();
        if let Some(resource) = to.and_then(|to| self.fabric.arrived(&key(Kind::Port, "web"), &to)) {
            self.change(&[Change::Put { resource, revision: None }]).expect("a VM may come");
        }
    }
}

fn stands(moves: bool) -> Result<ClaimStep, String> {
    Ok(ClaimStep::Stands { port: key(Kind::Port, "web"), moves })
}

#[test]
fn who_plugs_it_gets_it_and_lets_it_go() {
    let mut world = world();
    assert_eq!(world.claim(15, None, None), stands(false));
    assert_eq!(world.place(), (Some("host15"), None));
    assert_eq!(world.claim(15, Some("web"), None), stands(false), "once more");
    assert!(!world.release(16), "another host has nothing to let go");
    assert!(world.release(15) && !world.release(15));
    assert_eq!(world.place(), (None, None));
}

#[test]
fn a_vm_that_runs_elsewhere_moves_and_its_source_takes_nothing_back() {
    let mut world = world();
    world.claim(16, None, None).unwrap();
    assert_eq!(world.claim(15, None, Some(true)), stands(true));
    assert_eq!(world.place(), (Some("host16"), Some("host15")));
    // The source may have unplugged it before the VM is heard at the other end, and after.
    assert!(!world.release(16));
    world.arrive();
    assert_eq!(world.place(), (Some("host15"), None));
    assert!(!world.release(16));
    // What is late could be taken for the next move.
    assert!(matches!(world.claim(16, None, Some(true)), Ok(ClaimStep::Wait(_))));
    world.settle(&key(Kind::Port, "web")).unwrap();
    assert_eq!(world.claim(16, None, Some(true)), stands(true));
    // It never came: the host that waits for it takes that back.
    assert!(world.release(16));
    assert_eq!(world.place(), (Some("host15"), None));
}

#[test]
fn what_nobody_has_plugged_in_does_not_move_but_is_taken() {
    let mut world = world();
    world.claim(16, None, None).unwrap();
    assert_eq!(world.claim(15, None, Some(false)), stands(false));
    assert_eq!(world.place(), (Some("host15"), None));
}

#[test]
fn a_device_may_be_named_while_it_is_nowhere() {
    let mut world = world();
    world.claim(15, Some("tap7"), None).unwrap();
    assert_eq!(world.web().device.as_ref().unwrap().as_str(), "tap7");
    let refused = world.claim(16, Some("tap8"), Some(true)).unwrap_err();
    assert!(refused.contains("has device tap7 on every host, not tap8"), "{refused}");
    let mut world = self::world();
    world.claim(15, Some("web"), None).unwrap();
    assert_eq!(world.web().device, None, "its own name needs not be named");
}

#[test]
fn a_host_learns_of_no_port_that_is_not_for_it() {
    let mut world = world();
    let stranger = Uuid::from_u128(77);
    let test01 = world.get(Kind::Port, "test01").uid;
    let refused = |world: &World, uid| world.fabric.claim(uid, &host(15), None, |_, _| None).unwrap_err();
    assert_eq!(refused(&world, stranger), ClaimRefusal::Unknown(stranger));
    assert_eq!(refused(&world, test01), ClaimRefusal::Unknown(test01), "it is host16's");
    assert!(!refused(&world, test01).to_string().contains("test01"));
    assert_eq!(world.fabric.release(test01, &host(16)), None, "an operator's choice stays");
    world.apply("{kind: port, name: web, spec: {anyHost: true}}");
    assert_eq!(refused(&world, world.uid()), ClaimRefusal::Unconnected(world.uid()));
    world.apply("{kind: port, name: web, spec: {vmNetwork: AAA}}");
    assert_eq!(refused(&world, world.uid()), ClaimRefusal::Unknown(world.uid()));
    // What hosts can plug is found again after a restart.
    world.apply(WEB);
    let fabric = crate::fabric::Fabric::load(world.fabric.iter().cloned());
    assert!(fabric.claim(world.uid(), &host(15), None, |_, _| None).is_ok());
}

#[test]
fn a_host_that_cannot_have_it_is_told_why() {
    let mut world = world();
    world.apply("{kind: host, name: host17, spec: {uplinks: [{interface: eth0, addresses: [192.168.9.17/24]}]}}");
    let refused = world.claim(17, None, None).unwrap_err();
    assert!(refused.contains("host17") && refused.contains("TDIv2"), "{refused}");
    world.claim(15, None, None).unwrap();
    world.apply("{kind: host, name: host18, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.18/24], logicalNetworks: [TDIv2]}]}}");
    world.claim(16, None, Some(true)).unwrap();
    let refused = world.claim(18, None, Some(true)).unwrap_err();
    assert!(refused.contains("on its way to another host"), "{refused}");
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Claim(u8, Option<bool>),
    Release(u8),
    Arrive,
    Settle,
}

fn any_event() -> impl Strategy<Value = Event> {
    let number = || select(&[15_u8, 16][..]);
    prop_oneof![
        4 => (number(), any::<Option<bool>>()).prop_map(|(number, bound)| Event::Claim(number, bound)),
        3 => number().prop_map(Event::Release),
        2 => Just(Event::Arrive),
        1 => Just(Event::Settle),
    ]
}

proptest! {
    /// Whatever hosts do, and in whatever order: a claim that stands is for the host that made it, a port that was let go is
    /// nobody's by that, and a host never loses a port by what another one lets go.
    #[test]
    fn claims_and_releases_keep_to_their_hosts(events in vec(any_event(), 1..30)) {
        let mut world = world();
        for event in events {
            let before = world.web().clone();
            match event {
                Event::Claim(number, bound) => {
                    if let Ok(ClaimStep::Stands { moves, .. }) = world.claim(number, None, bound) {
                        let own = if moves { &world.web().migrate_to } else { &world.web().host };
                        prop_assert_eq!(own.as_ref(), Some(&host(number)));
                    }
                }
                Event::Release(number) => {
                    world.release(number);
                    let after = world.web();
                    prop_assert!(after.migrate_to != Some(host(number)));
                    prop_assert!(after.host != Some(host(number)) || after.migrate_to.is_some());
                    prop_assert!(before.host == after.host || before.host == Some(host(number)));
                }
                Event::Arrive => world.arrive(),
                Event::Settle => drop(world.settle(&key(Kind::Port, "web"))),
            }
        }
    }
}
