//! Watches: what is new, what was missed, what is in force now.

mod support;

use std::time::Duration;

use api::ProblemType;
use api::fabric::{Caller, CallerKind, Event, EventKind, FabricApi as _, Role, Watch, WatchQuery};
use model::fabric::Kind;
use store::Store as _;
use support::{BASE, Fault, Scene, admin, beside, delete, key, name, port, puts};

const SOON: Duration = Duration::from_secs(5);

fn next(watch: &mut dyn Watch) -> Event {
    watch.next(SOON).unwrap().expect("an event within the time")
}

fn told(event: &Event) -> (EventKind, String) {
    (event.event, event.item.name.to_string())
}

#[test]
fn a_watch_sees_what_changes_and_what_goes() {
    let scene = Scene::new();
    let mut watch = scene.controller.watch(&admin(), WatchQuery::default()).unwrap();
    let report = scene.apply("kind: tenant\nname: blue\n").unwrap();
    let event = next(&mut *watch);
    assert_eq!(told(&event), (EventKind::Changed, "blue".to_owned()));
    assert_eq!((event.revision, &event.item), (report.revision, &report.results[0].item));
    scene.apply("kind: tenant\nname: blue\n").unwrap();
    scene.controller.change(&admin(), delete(key(Kind::Tenant, "blue"))).unwrap();
    assert_eq!(told(&next(&mut *watch)), (EventKind::Deleted, "blue".to_owned()));
    assert_eq!(watch.next(Duration::ZERO).unwrap(), None);
}

#[test]
fn a_watch_from_a_revision_misses_nothing_and_sees_nothing_twice() {
    let scene = Scene::new();
    let start = scene.controller.revision();
    scene.apply("kind: tenant\nname: a\n---\nkind: tenant\nname: b\n").unwrap();
    scene.controller.change(&admin(), delete(key(Kind::Tenant, "b"))).unwrap();
    let middle = scene.controller.revision();
    let scene = scene.restart();
    scene.apply("kind: tenant\nname: c\n").unwrap();
    let from =
        |revision| scene.controller.watch(&admin(), WatchQuery { from: Some(revision), ..WatchQuery::default() });
    let mut watch = from(start).unwrap();
    scene.apply("kind: tenant\nname: d\n").unwrap();
    let names: Vec<_> = (0..5).map(|_| told(&next(&mut *watch))).collect();
    let expected = [
        ("a", EventKind::Changed),
        ("b", EventKind::Changed),
        ("b", EventKind::Deleted),
        ("c", EventKind::Changed),
        ("d", EventKind::Changed),
    ];
    assert_eq!(names, expected.map(|(name, kind)| (kind, name.to_owned())));
    assert_eq!(watch.next(Duration::ZERO).unwrap(), None);
    assert_eq!(told(&next(&mut *from(middle).unwrap())).1, "c");
    let problem = from(scene.controller.revision() + 1).err().unwrap();
    assert_eq!(problem.problem_type, ProblemType::Gone);
    assert!(problem.detail.contains("still to come"), "{problem}");
    scene.store.compact(scene.controller.revision()).unwrap();
    let problem = from(start).err().unwrap();
    assert_eq!(problem.problem_type, ProblemType::Gone);
    assert!(problem.detail.contains("list again"), "{problem}");
}

#[test]
fn a_tenant_sees_its_own_alone() {
    let scene = Scene::new();
    scene.apply("kind: tenant\nname: blue\n").unwrap();
    let start = scene.controller.revision();
    let bob = Caller { kind: CallerKind::Token, name: name("bob"), role: Role::Tenant, tenant: Some(name("blue")) };
    let mut live = scene.controller.watch(&bob, WatchQuery::default()).unwrap();
    scene.apply("kind: port\nname: other\n---\nkind: port\ntenant: blue\nname: own\n").unwrap();
    let mut past = scene.controller.watch(&bob, WatchQuery { from: Some(start), ..WatchQuery::default() }).unwrap();
    for watch in [&mut live, &mut past] {
        assert_eq!(told(&next(&mut **watch)).1, "own");
        assert_eq!(watch.next(Duration::ZERO).unwrap(), None);
    }
}

#[test]
fn nobody_waits_for_a_host_that_was_deleted() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(&port("test02", "host16")).unwrap();
    let follower = scene.controller.clone();
    let thread = std::thread::spawn(move || follower.follow_acks());
    let query = WatchQuery { kind: Some(Kind::Port), name: Some(name("test01")), ..WatchQuery::default() };
    let mut watch = scene.controller.watch(&admin(), query).unwrap();
    let revision = scene.apply(&port("test01", "host15")).unwrap().revision;
    assert_eq!(told(&next(&mut *watch)).0, EventKind::Changed);
    scene.sessions.in_force.lock().insert(name("host15"), revision + 10);
    proto::Controller::acked(&scene.controller, &name("host15"), revision + 10);
    assert_eq!(watch.next(Duration::from_millis(100)).unwrap(), None, "host16 needs it too");
    scene.controller.change(&admin(), support::delete(key(Kind::Port, "test02"))).unwrap();
    scene.controller.change(&admin(), support::delete(key(Kind::Host, "host16"))).unwrap();
    assert_eq!(told(&next(&mut *watch)), (EventKind::Status, "test01".to_owned()));
    scene.controller.end();
    thread.join().unwrap();
}

#[test]
fn what_is_in_force_everywhere_is_told_when_the_last_host_says_so() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(&port("test02", "host16")).unwrap();
    let follower = scene.controller.clone();
    let thread = std::thread::spawn(move || follower.follow_acks());
    let query = WatchQuery { kind: Some(Kind::Port), ..WatchQuery::default() };
    let mut watch = scene.controller.watch(&admin(), query).unwrap();
    let report = scene.apply(&port("test01", "host15")).unwrap();
    let realized = report.results[0].item.status.realized.clone().unwrap();
    assert_eq!((realized.hosts, realized.of), (0, 2), "both hosts need the record");
    assert_eq!(realized.waiting_for[0].reason, "its agent is not connected");
    assert_eq!(told(&next(&mut *watch)), (EventKind::Changed, "test01".to_owned()));
    let ack = |host: &str, revision| {
        scene.sessions.in_force.lock().insert(name(host), revision);
        proto::Controller::acked(&scene.controller, &name(host), revision);
    };
    ack("host16", report.revision - 1);
    let realized = scene.get(&key(Kind::Port, "test01")).status.realized.unwrap();
    assert!(realized.waiting_for[1].reason.contains("has acknowledged revision"), "{realized:?}");
    // The older port is in force on host16, but host15 needs it by now too.
    assert_eq!(watch.next(Duration::from_millis(100)).unwrap(), None);
    ack("host15", report.revision);
    assert_eq!(told(&next(&mut *watch)), (EventKind::Status, "test02".to_owned()));
    assert_eq!(watch.next(Duration::from_millis(100)).unwrap(), None);
    ack("host16", report.revision);
    let event = next(&mut *watch);
    assert_eq!(told(&event), (EventKind::Status, "test01".to_owned()));
    assert!(event.item.status.realized.unwrap().everywhere());
    // A network is not in force on a host that needs it since a moment ago, however old the network is.
    let network = scene.get(&key(Kind::VmNetwork, "AAA")).status.realized.unwrap();
    assert!(network.everywhere() && network.of == 2);
    scene.apply("kind: host\nname: host17\nspec: {uplinks: [{interface: eth0, addresses: [192.168.4.17/24], logicalNetworks: [TDIv2]}]}\n").unwrap();
    scene.sessions.in_force.lock().insert(name("host17"), scene.controller.revision());
    scene.apply(&port("test03", "host17")).unwrap();
    let network = scene.get(&key(Kind::VmNetwork, "AAA")).status.realized.unwrap();
    assert_eq!((network.hosts, network.of), (2, 3), "{network:?}");
    scene.controller.end();
    thread.join().unwrap();
    let end = std::iter::repeat_with(|| watch.next(Duration::ZERO)).find_map(Result::err).unwrap();
    assert_eq!(end.problem_type, ProblemType::Unavailable);
}

#[test]
fn what_another_controller_does_is_told_too() {
    let scene = Scene::new();
    let (second, _) = beside(&scene.store, scene.folder.path());
    let mut watch = scene.controller.watch(&admin(), WatchQuery::default()).unwrap();
    second.change(&admin(), puts("kind: tenant\nname: theirs\n")).unwrap();
    scene.apply("kind: tenant\nname: ours\n").unwrap();
    assert_eq!(told(&next(&mut *watch)).1, "theirs");
    assert_eq!(told(&next(&mut *watch)).1, "ours");
    assert_eq!(watch.next(Duration::ZERO).unwrap(), None);
    scene.store.fail(Fault::Broken);
    scene.apply("kind: tenant\nname: never\n").unwrap_err();
    assert_eq!(watch.next(Duration::ZERO).unwrap(), None);
}
