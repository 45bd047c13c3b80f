//! VMs that move, at a controller: what is waited for before the next move, and what hosts have left out.

mod support;

use api::fabric::{ChangeSet, FabricApi as _};
use model::fabric::Kind;
use proto::{Controller as _, Report};
use support::{BASE, Scene, admin, key, name, puts};

fn port(fields: &str) -> String {
    format!("{{kind: port, name: test01, spec: {{vmNetwork: AAA, {fields}}}}}")
}

fn acknowledge(scene: &Scene, host: &str) {
    let revision = scene.controller.revision();
    scene.sessions.in_force.lock().insert(name(host), revision);
    scene.controller.acked(&name(host), revision);
}

#[test]
fn a_move_begins_when_the_hosts_have_acknowledged_the_last() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(&port("host: host16")).unwrap();
    let there = port("host: host16, migrateTo: host15");
    let refused = scene.apply(&there).unwrap_err();
    assert_eq!(refused.status, 409);
    assert!(
        refused.detail.contains("not all hosts have acknowledged") && refused.detail.contains("host16"),
        "{refused}"
    );
    acknowledge(&scene, "host16");
    scene.apply(&there).unwrap();
}

#[test]
fn a_host_that_is_away_is_passed_over_when_that_is_said() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    let third = "{kind: host, name: host17, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.17/24], logicalNetworks: [TDIv2]}]}}";
    scene.apply(third).unwrap();
    scene.apply("{kind: port, name: test02, spec: {vmNetwork: AAA, host: host17}}").unwrap();
    scene.apply(&port("host: host16")).unwrap();
    acknowledge(&scene, "host16");
    let there = puts(&port("host: host16, migrateTo: host15"));
    let refused = scene.controller.change(&admin(), there.clone()).unwrap_err();
    assert!(refused.detail.contains("host17 (its agent is not connected)"), "{refused}");
    let without = |host: &str| ChangeSet { without: vec![name(host)], ..there.clone() };
    let refused = scene.controller.change(&admin(), without("host16")).unwrap_err();
    assert!(refused.detail.contains("cannot be passed over"), "{refused}");
    scene.controller.change(&admin(), without("host17")).unwrap();
}

#[test]
fn what_a_host_has_left_out_stands_in_the_port_s_status() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(&port("host: host16")).unwrap();
    acknowledge(&scene, "host16");
    let said = |sentence: &str| {
        let findings = vec![sentence.to_owned(), "port test02 is left out: so".to_owned()];
        scene.controller.report(&name("host16"), Report { findings, ..Report::default() });
        scene.get(&key(Kind::Port, "test01")).status.findings
    };
    assert_eq!(
        said("port test01 is left out: this host declares it itself"),
        ["host16: port test01 is left out: this host declares it itself"]
    );
    assert_eq!(said("something else"), [""; 0]);
}
