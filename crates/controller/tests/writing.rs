//! While the store writes: everybody reads what was before, and what fails has never been seen.

mod support;

use std::time::Duration;

use api::Problem;
use api::fabric::{ChangeReport, EventKind, FabricApi as _, WatchQuery};
use controller::limits::MAX_ASIDE;
use model::fabric::Kind;
use plan::fabric::TopicId;
use proto::Controller as _;
use support::{BASE, Fault, Scene, admin, key, list, name, port, puts};

/// Makes a change on a thread of its own.
fn change(scene: &Scene, yaml: String) -> std::thread::JoinHandle<Result<ChangeReport, Problem>> {
    let controller = scene.controller.clone();
    std::thread::spawn(move || controller.change(&admin(), puts(&yaml)))
}

#[test]
fn everybody_reads_what_was_before() {
    let scene = Scene::new();
    let base = scene.apply(BASE).unwrap();
    let mut watch = scene.controller.watch(&admin(), WatchQuery::default()).unwrap();
    let told = scene.sessions.published.lock().len();
    scene.store.hold();
    let first = change(&scene, port("test01", "host15"));
    scene.store.until_asked(1);
    let second = change(&scene, port("test02", "host16"));
    // None of this waits for the store.
    assert_eq!(scene.controller.get(&admin(), &key(Kind::Port, "test01")).unwrap_err().status, 404);
    assert!(list(&scene.controller, Kind::Port).is_empty());
    assert_eq!(scene.get(&key(Kind::IpPool, "CA Pool")).status.used, Some(0));
    assert_eq!(scene.controller.status(&admin()).unwrap().revision, base.revision);
    assert_eq!(scene.controller.authenticate("nobody's").unwrap_err().status, 401);
    assert_eq!(scene.controller.topics_of(&name("host15")), [TopicId::Host(name("host15"))].into());
    assert_eq!(scene.controller.topic(&TopicId::Host(name("host15"))).revision, base.revision);
    let mut late = scene.controller.watch(&admin(), WatchQuery::default()).unwrap();
    assert!(watch.next(Duration::ZERO).unwrap().is_none() && late.next(Duration::ZERO).unwrap().is_none());
    assert_eq!((scene.sessions.published.lock().len(), scene.store.asked()), (told, 1), "one change after the other");
    scene.store.let_go();
    let (first, second) = (first.join().unwrap().unwrap(), second.join().unwrap().unwrap());
    assert_eq!((first.revision, second.revision), (base.revision + 1, base.revision + 2));
    let addresses = |report: &ChangeReport| report.results[0].item.status.allocation.addresses.clone();
    assert_ne!(addresses(&first), addresses(&second));
    for watch in [&mut watch, &mut late] {
        for (report, name) in [(&first, "test01"), (&second, "test02")] {
            let event = watch.next(Duration::from_secs(10)).unwrap().expect("an event");
            let seen = (event.event, event.item.name.as_str(), event.revision);
            assert_eq!(seen, (EventKind::Changed, name, report.revision));
        }
    }
    let published: Vec<u64> = scene.sessions.published.lock()[told..].iter().map(|(revision, _)| *revision).collect();
    assert_eq!(published, [first.revision, second.revision]);
    drop((watch, late));
    let before = scene.all();
    assert_eq!(scene.restart().all(), before, "memory and store agree");
}

#[test]
fn what_fails_has_never_been_seen() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(&port("test01", "host15")).unwrap();
    let before = scene.all();
    for (fault, status) in [(Fault::Conflict, 409), (Fault::Broken, 503)] {
        let mut watch = scene.controller.watch(&admin(), WatchQuery::default()).unwrap();
        scene.store.hold();
        scene.store.fail(fault);
        let moved = change(&scene, port("test01", "host16") + "---\n" + &port("test02", "host16"));
        scene.store.until_asked(1);
        assert_eq!(scene.all(), before);
        scene.store.let_go();
        assert_eq!(moved.join().unwrap().unwrap_err().status, status);
        assert_eq!(scene.all(), before);
        assert_eq!(watch.next(Duration::ZERO).unwrap(), None);
    }
    scene.store.fail(Fault::None);
    scene.apply(&port("test02", "host16")).unwrap();
    let before = scene.all();
    assert_eq!(scene.restart().all(), before);
}

#[test]
fn a_very_large_change_is_waited_for_and_fails_without_a_trace() {
    let scene = Scene::new();
    let before = scene.all();
    let tenants: String = (0..=MAX_ASIDE).map(|number| format!("---\nkind: tenant\nname: t{number}\n")).collect();
    scene.store.hold();
    let made = change(&scene, tenants.clone());
    scene.store.until_asked(1);
    let controller = scene.controller.clone();
    let reader = std::thread::spawn(move || controller.status(&admin()).unwrap().resources["tenant"]);
    std::thread::sleep(Duration::from_millis(100));
    assert!(!reader.is_finished(), "nothing is shown that may yet fail");
    scene.store.let_go();
    made.join().unwrap().unwrap();
    assert_eq!(reader.join().unwrap(), MAX_ASIDE as u64 + 2);
    scene.store.fail(Fault::Broken);
    let all = scene.all();
    assert_ne!(all, before);
    assert_eq!(scene.apply(&tenants.replace("name: t", "name: u")).unwrap_err().status, 503);
    assert_eq!(scene.all(), all);
}
