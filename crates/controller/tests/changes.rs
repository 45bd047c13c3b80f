//! What is declared: kept over restarts, refused whole or taken whole, written down, listed in pages.

mod support;

use std::sync::Arc;

use api::ProblemType;
use api::fabric::{AuditQuery, Change, ChangeSet, FabricApi as _, ListQuery};
use model::fabric::{Kind, resources_from_yaml};
use store::Store as _;
use support::{BASE, Fault, Scene, admin, beside, delete, key, list, name, port, puts};

#[test]
fn the_first_start_makes_the_default_tenant_and_mac_pool_once() {
    let scene = Scene::new();
    assert_eq!(scene.get(&key(Kind::Tenant, "default")).status.realized, None);
    let pool = scene.get(&key(Kind::MacPool, "default"));
    assert_eq!(pool.spec["ranges"][0], "00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF");
    assert_eq!((pool.status.used, pool.status.total), (Some(0), Some(0x3d_0400)));
    scene.controller.change(&admin(), delete(key(Kind::MacPool, "default"))).unwrap();
    let scene = scene.restart();
    assert!(list(&scene.controller, Kind::MacPool).is_empty(), "what was deleted stays so");
}

#[test]
fn a_restart_changes_nothing() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(&port("test01", "host15")).unwrap();
    let (before, revision) = (scene.all(), scene.controller.revision());
    let port_item = scene.get(&key(Kind::Port, "test01"));
    assert_eq!(port_item.status.allocation.addresses, ["10.10.1.100".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(port_item.revision, revision);
    let scene = scene.restart();
    assert_eq!(scene.all(), before);
    assert_eq!(scene.controller.revision(), revision, "nothing was mended, nothing was made anew");
    let gateways = scene.get(&key(Kind::VmSubnet, "test")).status.gateways;
    assert_eq!(gateways, ["10.10.0.1".parse::<std::net::IpAddr>().unwrap()]);
    let report = scene.apply(BASE).unwrap();
    assert!(report.results.iter().all(|result| result.outcome == api::Outcome::Unchanged));
    assert_eq!(report.revision, revision, "what is so already makes no revision");
}

#[test]
fn agents_are_told_each_revision_once_and_in_order() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(&port("test01", "host15")).unwrap();
    let published = scene.sessions.published.lock();
    let revisions: Vec<u64> = published.iter().map(|(revision, _)| *revision).collect();
    assert!(revisions.windows(2).all(|pair| pair[0] < pair[1]), "{revisions:?}");
    let (revision, topics) = published.last().unwrap();
    assert_eq!(*revision, scene.controller.revision());
    let topics: Vec<String> = topics.iter().map(|change| change.topic.to_string()).collect();
    assert!(
        topics.contains(&"host/host15".to_owned()) && topics.iter().any(|it| it.starts_with("network/")),
        "{topics:?}"
    );
}

#[test]
fn a_refusal_changes_nothing_and_says_the_remedy() {
    let scene = Scene::new();
    let (base, _) = BASE.split_once("---\nkind: vm-subnet").unwrap();
    scene.apply(base).unwrap();
    let (before, revision) = (scene.all(), scene.controller.revision());
    let problem = scene.apply(&port("test01", "host15")).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::Invalid);
    assert!(problem.detail.starts_with("VM network AAA has no VM subnet; create one with"), "{problem}");
    assert_eq!((scene.all(), scene.controller.revision()), (before, revision));
    let problem = scene.controller.change(&admin(), delete(key(Kind::Port, "nobody"))).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::NotFound);
    assert_eq!(scene.controller.get(&admin(), &key(Kind::Port, "nobody")).unwrap_err(), problem, "one sentence");
}

#[test]
fn an_edit_of_what_has_changed_is_refused() {
    let scene = Scene::new();
    scene.apply("kind: tenant\nname: blue\n").unwrap();
    let seen = scene.get(&key(Kind::Tenant, "blue")).revision;
    let edit = |text: &str, revision| {
        let resource =
            resources_from_yaml(&format!("kind: tenant\nname: blue\nspec: {{description: {text}}}\n")).unwrap();
        let changes = vec![Change::Put { resource: resource[0].clone(), revision: Some(revision) }];
        scene.controller.change(&admin(), ChangeSet { changes, ..ChangeSet::default() })
    };
    let report = edit("mine", seen).unwrap();
    let problem = edit("too late", seen).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::PreconditionFailed);
    edit("now", report.results[0].item.revision).unwrap();
    assert_eq!(scene.get(&key(Kind::Tenant, "blue")).spec["description"], "now");
}

#[test]
fn a_dry_run_says_what_would_be_and_leaves_no_trace() {
    let scene = Scene::new();
    let report = scene.controller.change(&admin(), ChangeSet { dry_run: true, ..puts(BASE) }).unwrap();
    assert_eq!(report.results.len(), 6);
    assert!(report.results[4].item.status.allocation.vsid.is_some());
    assert_eq!(report.revision, scene.controller.revision());
    assert!(list(&scene.controller, Kind::Host).is_empty());
    let problem = scene.controller.change(&admin(), ChangeSet { dry_run: true, ..puts(&port("p", "host15")) });
    assert!(problem.is_err());
}

#[test]
fn what_is_in_use_is_not_deleted_and_its_users_are_named() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(&port("test01", "host15")).unwrap();
    for (kind, of, user) in
        [(Kind::VmSubnet, "test", "CA Pool"), (Kind::Host, "host15", "test01"), (Kind::VmNetwork, "AAA", "test")]
    {
        let problem = scene.controller.change(&admin(), delete(key(kind, of))).unwrap_err();
        assert_eq!(problem.problem_type, ProblemType::Conflict);
        assert!(problem.detail.contains(user), "{problem}");
    }
}

#[test]
fn quotas_hold() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply("kind: tenant\nname: default\nspec: {quota: {ports: 1}}\n").unwrap();
    scene.apply(&port("test01", "host15")).unwrap();
    let problem = scene.apply(&port("test02", "host15")).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::Conflict);
    assert!(problem.detail.contains("quota") && problem.detail.contains('1'), "{problem}");
}

#[test]
fn every_change_is_in_the_audit_log_with_before_and_after() {
    let scene = Scene::new();
    scene.apply("kind: tenant\nname: blue\n").unwrap();
    scene.apply("kind: tenant\nname: blue\nspec: {description: x}\n").unwrap();
    scene.apply("kind: tenant\nname: blue\nspec: {description: x}\n").unwrap();
    scene.apply("kind: port\nname: p\ntenant: blue\n").unwrap();
    scene.controller.change(&admin(), delete(key(Kind::Tenant, "nobody"))).unwrap_err();
    let log = |before, limit| scene.controller.audit(&admin(), AuditQuery { before, limit }).unwrap();
    let lines = log(None, Some(3));
    let told: Vec<_> = lines.iter().map(|line| (line.action.as_str(), line.object.as_str())).collect();
    assert_eq!(
        told,
        [("create", "port \"p\" of tenant \"blue\""), ("configure", "tenant \"blue\""), ("create", "tenant \"blue\"")]
    );
    assert!(lines.iter().all(|line| line.who == "admin"));
    assert_eq!(
        (&lines[1].before["description"], &lines[1].after["description"]),
        (&serde_json::Value::Null, &"x".into())
    );
    assert!(lines[2].before.is_null());
    let older = log(Some(lines[2].id), None);
    assert_eq!(older.len(), 2, "the controller's own first resources: {older:?}");
    assert!(older.iter().all(|line| line.who == "controller" && line.id < lines[2].id));
    let scene = scene.restart();
    scene.apply("kind: tenant\nname: red\n").unwrap();
    let lines = scene.controller.audit(&admin(), AuditQuery { before: None, limit: Some(2) }).unwrap();
    assert_eq!(lines[0].id, lines[1].id + 1, "numbers go on after a restart");
    let kind = api::fabric::CallerKind::Token;
    let blue =
        api::fabric::Caller { kind, name: name("b"), role: api::fabric::Role::Tenant, tenant: Some(name("blue")) };
    let seen = scene.controller.audit(&blue, AuditQuery::default()).unwrap();
    assert_eq!(seen.len(), 1, "a tenant sees what was done to what it owns: {seen:?}");
}

#[test]
fn pages_go_on_where_they_ended_whatever_happens_in_between() {
    let scene = Scene::new();
    let ports: Vec<String> = (0..7).map(|number| format!("kind: port\nname: p{number}\n")).collect();
    scene.apply(&ports.join("---\n")).unwrap();
    scene.apply("kind: tenant\nname: blue\n---\nkind: port\ntenant: blue\nname: b\n").unwrap();
    let page = |limit, continue_token, tenant: Option<&str>| {
        let query =
            ListQuery { kind: Kind::Port, tenant: tenant.map(name), limit: Some(limit), continue_token, search: None };
        let page = scene.controller.list(&admin(), query).unwrap();
        (page.items.iter().map(|item| item.name.to_string()).collect::<Vec<_>>(), page.continue_token)
    };
    let (names, first) = page(3, None, None);
    assert_eq!(names, ["b", "p0", "p1"]);
    scene.controller.change(&admin(), delete(key(Kind::Port, "p1"))).unwrap();
    scene.apply("kind: port\nname: p00\n").unwrap();
    let (names, second) = page(4, first.clone(), None);
    assert_eq!(names, ["p2", "p3", "p4", "p5"]);
    assert_eq!(page(4, second, None), (vec!["p6".to_owned()], None));
    assert_eq!(page(9, None, Some("blue")), (vec!["b".to_owned()], None));
    assert_eq!(page(2, None, Some("default")).0, ["p0", "p00"]);
    assert_eq!(page(0, None, None).0.len(), 1, "a page has at least one");
    let query = ListQuery { kind: Kind::Host, tenant: None, limit: None, continue_token: first, search: None };
    assert_eq!(scene.controller.list(&admin(), query).unwrap_err().problem_type, ProblemType::BadRequest);
}

#[test]
fn what_the_store_refuses_leaves_memory_as_it_was() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    let (before, revision) = (scene.all(), scene.controller.revision());
    scene.store.fail(Fault::Conflict);
    let problem = scene.apply(&port("test01", "host15")).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::Conflict);
    assert!(problem.detail.contains("try again"), "{problem}");
    assert_eq!((scene.all(), scene.controller.revision()), (before.clone(), revision));
    scene.store.fail(Fault::Broken);
    let problem = scene.apply(&port("test01", "host15")).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::Unavailable);
    assert_eq!((scene.all(), scene.controller.revision()), (before, revision));
    assert!(!scene.sessions.published.lock().iter().any(|(published, _)| *published > revision), "nobody was told");
    scene.store.fail(Fault::None);
    let report = scene.apply(&port("test01", "host15")).unwrap();
    let address = &report.results[0].item.status.allocation.addresses[0];
    assert_eq!(address.to_string(), "10.10.1.100", "what was refused holds no address");
    assert_eq!(scene.restart().all().len(), 9);
}

#[test]
fn two_controllers_of_one_store_never_give_one_address_twice() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    let (second, sessions) = beside(&scene.store, scene.folder.path());
    let make = |controller: controller::Controller, prefix: &'static str| {
        std::thread::spawn(move || {
            let mut made = 0;
            for number in 0..12 {
                let changes = puts(&port(&format!("{prefix}{number}"), "host15"));
                // With two writers, one may lose twice in a row; it says so, and is to try again.
                while let Err(problem) = controller.change(&admin(), changes.clone()) {
                    assert_eq!(problem.problem_type, ProblemType::Conflict, "{problem}");
                    assert!(problem.detail.contains("at the same time"), "{problem}");
                }
                made += 1;
            }
            made
        })
    };
    let threads = [make(scene.controller.clone(), "a"), make(second.clone(), "b")];
    assert_eq!(threads.map(|thread| thread.join().unwrap()), [12, 12]);
    // Whoever was not last learns of it with his next change.
    scene.apply("kind: tenant\nname: x\n").unwrap();
    second.change(&admin(), puts("kind: tenant\nname: y\n")).unwrap();
    scene.apply("kind: tenant\nname: z\n").unwrap();
    second.change(&admin(), puts("kind: tenant\nname: z\nspec: {description: z}\n")).unwrap();
    scene.apply("kind: tenant\nname: z\nspec: {description: zz}\n").unwrap();
    let items = list(&scene.controller, Kind::Port);
    let mut addresses: Vec<_> = items.iter().flat_map(|item| item.status.allocation.addresses.clone()).collect();
    let mut macs: Vec<_> = items.iter().filter_map(|item| item.status.allocation.mac).collect();
    addresses.sort_unstable();
    addresses.dedup();
    macs.sort_unstable();
    macs.dedup();
    assert_eq!((items.len(), addresses.len(), macs.len()), (24, 24, 24));
    let revisions: Vec<u64> = sessions.published.lock().iter().map(|(revision, _)| *revision).collect();
    assert!(revisions.windows(2).all(|pair| pair[0] < pair[1]), "{revisions:?}");
    let all = scene.all();
    drop(second);
    assert_eq!(scene.restart().all(), all, "memory was what the store has");
}

#[test]
fn claims_that_do_not_agree_are_mended_at_the_start() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    let claims = |scene: &Scene| scene.store.list("claims/", None, 1000).unwrap().entries;
    let before: Vec<_> = claims(&scene).into_iter().map(|entry| (entry.key, entry.value)).collect();
    assert!(!before.is_empty());
    let transaction = store::Transaction {
        puts: vec![("claims/vsid/9999".to_owned(), b"vm-subnet/default/gone".to_vec())],
        deletes: vec![before[0].0.clone()],
        ..store::Transaction::default()
    };
    scene.store.commit(transaction).unwrap();
    let scene = scene.restart();
    let after: Vec<_> = claims(&scene).into_iter().map(|entry| (entry.key, entry.value)).collect();
    assert_eq!(after, before);
    scene.apply(&port("test01", "host15")).unwrap();
}

#[test]
fn what_is_exported_fills_an_empty_controller() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene.apply(&port("test01", "host15")).unwrap();
    let text = scene.controller.export(&admin()).unwrap();
    assert_eq!(scene.controller.export(&admin()).unwrap(), text);
    assert!(!String::from_utf8_lossy(&text).contains("sha256"), "secrets are not in it");
    let problem = scene.controller.import(&admin(), &text).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::Conflict);
    assert!(problem.detail.contains("has resources already"), "{problem}");

    let other = Scene::new();
    assert_eq!(other.controller.import(&admin(), &text).unwrap(), 9);
    let allocation = |scene: &Scene| {
        scene
            .all()
            .into_iter()
            .map(|item| (item.key(), item.uid, item.spec, item.status.allocation))
            .collect::<Vec<_>>()
    };
    assert_eq!(allocation(&other), allocation(&scene));
    assert_eq!(other.controller.export(&admin()).unwrap(), text);
    assert!(!other.sessions.published.lock().is_empty(), "agents were told");
    let report = other.apply(&port("test02", "host16")).unwrap();
    assert_eq!(report.results[0].item.status.allocation.addresses[0].to_string(), "10.10.1.101");

    let third = Scene::new();
    let text = String::from_utf8(text).unwrap();
    let bad = text
        .replace("10.10.1.100\",\"json\"", "10.10.1.107\",\"json\"")
        .replace("10.10.1.100\",\"text\"", "10.10.1.107\",\"text\"");
    assert_ne!(bad, text);
    let problem = third.controller.import(&admin(), bad.as_bytes()).unwrap_err();
    assert!(problem.detail.contains("changed by hand"), "{problem}");
    assert_eq!(third.controller.import(&admin(), b"nonsense").unwrap_err().problem_type, ProblemType::BadRequest);
    assert_eq!(third.all().len(), 2);
}

#[test]
fn a_backup_is_a_whole_controller() {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    let bytes = scene.controller.backup(&admin()).unwrap();
    assert_eq!(std::fs::read_dir(scene.folder.path()).unwrap().count(), 1, "nothing is left behind");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("store.redb"), bytes).unwrap();
    let store = store::RedbStore::open(&folder.path().join("store.redb"), store::Options::default()).unwrap();
    let copy = controller::Controller::open(Arc::new(store), support::settings(folder.path())).unwrap();
    assert_eq!(list(&copy, Kind::Host), list(&scene.controller, Kind::Host));
    assert_eq!(copy.revision(), scene.controller.revision());
}

#[test]
fn one_change_too_many_is_refused() {
    let scene = Scene::new();
    let change = Change::Delete { key: key(Kind::Port, "p"), revision: None };
    let changes = vec![change; controller::limits::MAX_CHANGES + 1];
    let problem = scene.controller.change(&admin(), ChangeSet { changes, ..ChangeSet::default() }).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::BadRequest);
    assert!(problem.detail.contains("250001 changes"), "{problem}");
}
