//! Ports that any host may plug: what is declared by a claim, who must know of it, and what is written down.

mod support;

use api::fabric::{AuditQuery, FabricApi as _};
use model::Name;
use model::fabric::Kind;
use proto::{Claim, Claimed, Controller as _, PortReport, Report};
use support::{BASE, Scene, admin, key, name, port};
use uuid::Uuid;

const WEB: &str = "kind: port\nname: web\nspec: {anyHost: true, vmNetwork: AAA}\n";

/// A network with a port on host16 and one that any host may plug.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(&port("test01", "host16")).unwrap();
    scene.apply(WEB).unwrap();
    know(&scene, &["host15", "host16"]);
    scene
}

/// These hosts have all that there is.
fn know(scene: &Scene, hosts: &[&str]) {
    let revision = scene.controller.revision();
    scene.sessions.in_force.lock().extend(hosts.iter().map(|host| (name(host), revision)));
}

fn uid(scene: &Scene) -> Uuid {
    scene.get(&key(Kind::Port, "web")).uid
}

fn ask(scene: &Scene, host: &str, release: bool) -> Claimed {
    scene.controller.claim(&name(host), &Claim { uid: uid(scene), device: None, release })
}

fn place(scene: &Scene) -> (String, String) {
    let spec = scene.get(&key(Kind::Port, "web")).spec;
    let field = |name: &str| spec.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    (field("host"), field("migrateTo"))
}

fn pending(claimed: &Claimed) -> &str {
    match claimed {
        Claimed::Pending(why) => why,
        other => panic!("{other:?}"),
    }
}

/// What host15 says of the device of the port.
fn say(scene: &Scene, bound: bool) {
    let ports = vec![PortReport { name: "web".parse::<Name>().unwrap(), bound }];
    scene.controller.report(&name("host15"), Report { ports, ..Report::default() });
}

#[test]
fn a_host_waits_for_itself_alone_when_nothing_moves() {
    let scene = scene();
    let first = ask(&scene, "host15", false);
    assert!(pending(&first).contains("is not yet known on host15"), "{first:?}");
    assert_eq!(place(&scene), ("host15".to_owned(), String::new()));
    // That another host is away keeps no VM from being started.
    let revision = scene.controller.revision();
    know(&scene, &["host15"]);
    assert_eq!(ask(&scene, "host15", false), Claimed::Done);
    assert_eq!(scene.controller.revision(), revision, "what stands is not declared again");
    let lines = scene.controller.audit(&admin(), AuditQuery { before: None, limit: Some(1) }).unwrap();
    assert_eq!((lines[0].who.as_str(), lines[0].action.as_str()), ("host host15", "claim"));
    assert_eq!(ask(&scene, "host15", true), Claimed::Done);
    assert_eq!(ask(&scene, "host15", true), Claimed::Done, "once more");
    assert_eq!(place(&scene), (String::new(), String::new()));
    let lines = scene.controller.audit(&admin(), AuditQuery { before: None, limit: Some(1) }).unwrap();
    assert_eq!(lines[0].action, "release");
}

#[test]
fn a_vm_that_moves_waits_for_all_who_send_to_it() {
    let scene = scene();
    ask(&scene, "host15", false);
    know(&scene, &["host15", "host16"]);
    say(&scene, true);
    let first = ask(&scene, "host16", false);
    assert!(pending(&first).contains("not yet known on host15, host16"), "{first:?}");
    assert_eq!(place(&scene), ("host15".to_owned(), "host16".to_owned()));
    know(&scene, &["host16"]);
    assert!(pending(&ask(&scene, "host16", false)).contains("not yet known on host15"));
    know(&scene, &["host15"]);
    assert_eq!(ask(&scene, "host16", false), Claimed::Done);
    assert_eq!(ask(&scene, "host15", true), Claimed::Done, "the source has nothing to give back");
    assert_eq!(place(&scene), ("host15".to_owned(), "host16".to_owned()));
    assert_eq!(ask(&scene, "host16", true), Claimed::Done, "it never came");
    assert_eq!(place(&scene), ("host15".to_owned(), String::new()));
    // Once its device is seen to be gone there is nothing that could move.
    say(&scene, false);
    ask(&scene, "host16", false);
    assert_eq!(place(&scene), ("host16".to_owned(), String::new()));
}

#[test]
fn what_a_host_cannot_have_is_refused_and_nothing_changes() {
    let scene = scene();
    let revision = scene.controller.revision();
    let claim = |uid| scene.controller.claim(&name("host15"), &Claim { uid, device: None, release: false });
    let test01 = scene.get(&key(Kind::Port, "test01")).uid;
    for uid in [test01, Uuid::from_u128(9)] {
        let refused = claim(uid);
        let Claimed::Refused(why) = &refused else { panic!("{refused:?}") };
        assert!(
            why.contains(&format!("there is no port {uid} that any host may plug")) && !why.contains("test01"),
            "{why}"
        );
    }
    scene
        .apply("kind: host\nname: host17\nspec: {uplinks: [{interface: eth0, addresses: [192.168.9.17/24]}]}\n")
        .unwrap();
    let refused = ask(&scene, "host17", false);
    assert!(matches!(&refused, Claimed::Refused(why) if why.contains("host17")), "{refused:?}");
    assert_eq!(scene.controller.revision(), revision + 1);
}
