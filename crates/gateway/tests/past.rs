//! A host that was dead comes back and remembers that it was active: it stands by until the controller has spoken. Needs root.

mod world;

use model::gateway::ConnectionState;
use world::{Running, World, all_up, said, wait_for};

const OUTSIDE: &str = r#"{"mac": "02:00:00:00:01:01", "addresses": ["203.0.113.5/24"]}"#;
const NAT: (&str, &str) = ("internet", r#""nat": {"addresses": ["203.0.113.5"]}"#);

/// A gateway of two hosts that starts on one of them, where nothing is left of the time before.
fn back() -> (World, Running) {
    let mut world = World::new();
    world.add_vms("aaa");
    world.want(vec![world.compartment("aaa", OUTSIDE, &[NAT])]);
    world.change(|work| {
        let peer = serde_json::from_str(r#"{"host": "other", "address": "192.0.2.9"}"#).unwrap();
        work.gateway.as_mut().unwrap().peers = vec![peer];
        work.confirmed = false;
    });
    let running = world.run();
    (world, running)
}

/// Whether the compartment was ever reported as one that stands by, since there were so many reports.
fn stood_by(world: &World, since: usize) -> bool {
    let reports = world.agent.reports.lock();
    let mut connections =
        reports.iter().skip(since).flat_map(|report| &report.compartments).flat_map(|of| &of.connections);
    connections.any(|connection| connection.state == ConnectionState::Standby)
}

#[test]
fn what_was_active_stands_by_until_the_controller_says_that_it_is() {
    let (world, running) = back();
    world.ready("aaa", |all| all[0].state == ConnectionState::Standby);
    assert!(!world::pings(&world.outside, "203.0.113.1", "203.0.113.5"), "another host has the address");
    world.change(|work| work.confirmed = true);
    world.reported("aaa", all_up);
    let known = || said(&world.outside, "ip neigh show 203.0.113.5").contains("02:00:00:00:01:01").then_some(());
    wait_for("an announcement", known);

    // An agent or a gateway that starts again interrupts nothing: the host has been at it all the time.
    let reports = || world.agent.reports.lock().len();
    let before = reports();
    world.change(|work| work.confirmed = false);
    wait_for("a report", || (reports() > before).then_some(()));
    running.stop();
    let _running = world.run();
    let again = reports();
    wait_for("a report", || (reports() > again).then_some(()));
    world.reported("aaa", all_up);
    assert!(!stood_by(&world, before));
}

#[test]
fn without_a_controller_what_it_said_last_counts_after_a_while() {
    let (world, _running) = back();
    world.ready("aaa", |all| all[0].state == ConnectionState::Standby);
    world.reported("aaa", all_up);
}

#[test]
fn a_host_that_is_alone_waits_for_nobody() {
    let (world, running) = back();
    running.stop();
    world.made().iter().for_each(|name| _ = host::Namespace::delete(name));
    world.change(|work| work.gateway.as_mut().unwrap().peers.clear());
    let before = world.agent.reports.lock().len();
    let _running = world.run();
    world.ready("aaa", all_up);
    assert!(!stood_by(&world, before));
}
