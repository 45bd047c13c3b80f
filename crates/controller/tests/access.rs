//! Who may do what: roles through the whole interface, tokens, join tokens.

mod support;

use api::ProblemType;
use api::fabric::{Caller, CallerKind, FabricApi as _, ListQuery, NewJoinToken, NewToken, Role, WatchQuery};
use controller::limits::{MAX_JOIN_TOKENS, MAX_TOKENS};
use model::fabric::{Key, Kind};
use store::Store as _;
use support::{BASE, Scene, admin, delete, key, name, puts};

fn new(text: &str, role: Role, tenant: Option<&str>) -> NewToken {
    NewToken { name: name(text), role, tenant: tenant.map(name), seconds: None }
}

/// A scene with two tenants, and the caller of a token of the first.
fn tenants() -> (Scene, Caller) {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene
        .apply("kind: tenant\nname: blue\n---\nkind: tenant\nname: red\n---\nkind: port\ntenant: red\nname: r\n")
        .unwrap();
    let created = scene.controller.create_token(&admin(), new("bob", Role::Tenant, Some("blue"))).unwrap();
    let caller = scene.controller.authenticate(&created.secret).unwrap();
    assert_eq!(
        caller,
        Caller { kind: CallerKind::Token, name: name("bob"), role: Role::Tenant, tenant: Some(name("blue")) }
    );
    (scene, caller)
}

#[test]
fn a_tenant_has_its_own_and_nothing_else() {
    let (scene, bob) = tenants();
    let controller = &scene.controller;
    let own = "kind: vm-network\ntenant: blue\nname: N\nspec: {logicalNetwork: TDIv2}\n---\nkind: port\ntenant: blue\nname: p\n";
    controller.change(&bob, puts(own)).unwrap();
    let list = |kind, tenant: Option<&str>| {
        controller
            .list(&bob, ListQuery { kind, tenant: tenant.map(name), limit: None, continue_token: None, search: None })
    };
    assert_eq!(list(Kind::Port, None).unwrap().items.len(), 1);
    assert_eq!(list(Kind::LogicalNetwork, None).unwrap().items.len(), 1);
    assert_eq!(list(Kind::Tenant, None).unwrap().items.len(), 1);
    let red = Key::new(Kind::Port, Some(name("red")), name("r"));
    for problem in [
        list(Kind::Host, None).unwrap_err(),
        list(Kind::Port, Some("red")).unwrap_err(),
        controller.get(&bob, &red).unwrap_err(),
        controller.get(&bob, &Key::new(Kind::Port, Some(name("red")), name("nobody"))).unwrap_err(),
        controller.change(&bob, delete(red)).unwrap_err(),
        controller.change(&bob, puts("kind: tenant\nname: blue\nspec: {quota: {ports: 1000}}\n")).unwrap_err(),
        // All or nothing: what would be allowed is not done either.
        controller
            .change(&bob, puts("kind: port\ntenant: blue\nname: q\n---\nkind: port\ntenant: red\nname: q\n"))
            .unwrap_err(),
        controller.tokens(&bob).unwrap_err(),
        controller.create_token(&bob, new("x", Role::Admin, None)).unwrap_err(),
        controller.delete_token(&bob, &name("admin")).unwrap_err(),
        controller.create_join_token(&bob, NewJoinToken::default()).unwrap_err(),
        controller.export(&bob).unwrap_err(),
        controller.import(&bob, b"").unwrap_err(),
        controller.backup(&bob).unwrap_err(),
    ] {
        assert_eq!(problem.problem_type, ProblemType::Forbidden, "{problem}");
        assert!(
            problem.detail.starts_with("token \"bob\" has role tenant of tenant \"blue\" and may not "),
            "{problem}"
        );
    }
    assert_eq!(list(Kind::Port, None).unwrap().items.len(), 1);
    let status = controller.status(&bob).unwrap();
    assert_eq!(status.resources.get("port"), Some(&1));
    assert_eq!((status.resources.get("host"), status.connected_hosts, status.store_bytes), (None, 0, 0));
    assert!(controller.status(&admin()).unwrap().store_bytes > 0);
}

#[test]
fn a_tenant_reaches_neither_the_physical_network_nor_a_host_by_itself() {
    let (scene, bob) = tenants();
    let port = "kind: port\ntenant: blue\nname: p\nspec: {host: host15, device: eth1}\n";
    let flat = "kind: vm-network\ntenant: blue\nname: F\nspec: {logicalNetwork: TDIv2, isolation: none}\n";
    for (yaml, why) in [(port, "host says which device of which host"), (flat, "isolation none")] {
        let problem = scene.controller.change(&bob, puts(yaml)).unwrap_err();
        assert_eq!((problem.problem_type, problem.status), (ProblemType::Forbidden, 403));
        assert!(problem.detail.contains(why) && problem.detail.ends_with("or ask an admin"), "{problem}");
        scene.apply(yaml).unwrap();
        // What an operator has made may be said again, and is unchanged.
        assert_eq!(scene.controller.change(&bob, puts(yaml)).unwrap().results[0].outcome, api::Outcome::Unchanged);
    }
    // Whom a MAC address belongs to is not told to other tenants.
    scene.apply("kind: port\ntenant: red\nname: hidden\nspec: {mac: 06-06-00-00-00-05}\n").unwrap();
    let thief = "kind: port\ntenant: blue\nname: q\nspec: {mac: 06-06-00-00-00-05}\n";
    let problem = scene.controller.change(&bob, puts(thief)).unwrap_err();
    assert!(
        problem.status == 409 && !problem.detail.contains("red") && !problem.detail.contains("hidden"),
        "{problem}"
    );
}

#[test]
fn a_reader_reads() {
    let (scene, _) = tenants();
    let created = scene.controller.create_token(&admin(), new("eve", Role::Reader, None)).unwrap();
    let eve = scene.controller.authenticate(&created.secret).unwrap();
    assert!(scene.controller.get(&eve, &key(Kind::Host, "host15")).is_ok());
    assert!(scene.controller.watch(&eve, WatchQuery::default()).is_ok());
    let problem = scene.controller.change(&eve, puts("kind: port\nname: p\n")).unwrap_err();
    assert!(problem.detail.starts_with("token \"eve\" has role reader and may not change port \"p\";"), "{problem}");
}

#[test]
fn tokens_live_until_they_are_deleted_or_end() {
    let (scene, bob) = tenants();
    let created =
        scene.controller.create_token(&admin(), NewToken { seconds: Some(3600), ..new("t", Role::Admin, None) });
    let secret = created.unwrap().secret;
    let scene = scene.restart();
    assert_eq!(scene.controller.authenticate(&secret).unwrap().name, name("t"));
    let names: Vec<String> = scene.controller.tokens(&admin()).unwrap().iter().map(|it| it.name.to_string()).collect();
    assert_eq!(names, ["bob", "t"]);
    let file = std::fs::read(scene.folder.path().join("store.redb")).unwrap();
    assert!(!file.windows(secret.len()).any(|part| part == secret.as_bytes()), "secrets are not on the disk");
    scene.controller.delete_token(&admin(), &name("t")).unwrap();
    assert_eq!(scene.controller.authenticate(&secret).unwrap_err().problem_type, ProblemType::Unauthorized);
    assert_eq!(scene.controller.delete_token(&admin(), &name("t")).unwrap_err().problem_type, ProblemType::NotFound);
    let short = NewToken { seconds: Some(1), ..new("short", Role::Admin, None) };
    let secret = scene.controller.create_token(&admin(), short).unwrap().secret;
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let problem = scene.controller.authenticate(&secret).unwrap_err();
    assert!(problem.detail.starts_with("token \"short\" ended at "), "{problem}");
    let actions: Vec<String> = scene
        .controller
        .audit(&admin(), api::fabric::AuditQuery::default())
        .unwrap()
        .into_iter()
        .take(2)
        .map(|line| line.action)
        .collect();
    assert_eq!(actions, ["create-token", "delete-token"]);
    assert_eq!(scene.controller.audit(&bob, api::fabric::AuditQuery::default()).unwrap().len(), 1, "its own token");
}

#[test]
fn tokens_that_cannot_be_are_refused_with_the_remedy() {
    let (scene, _) = tenants();
    let refused = |token| scene.controller.create_token(&admin(), token).unwrap_err().detail;
    assert!(refused(new("bob", Role::Admin, None)).contains("there is a token \"bob\" already"));
    assert!(refused(new("x", Role::Tenant, None)).contains("say whose with \"--tenant NAME\""));
    assert!(refused(new("x", Role::Admin, Some("blue"))).contains("leave the tenant out"));
    assert!(refused(new("x", Role::Reader, Some("green"))).contains("netvirt create tenant green"));
    assert!(refused(NewToken { seconds: Some(0), ..new("x", Role::Admin, None) }).contains("never be valid"));
    scene.controller.create_token(&admin(), new("root", Role::Admin, None)).unwrap();
    let problem = scene.controller.delete_token(&admin(), &name("root")).unwrap_err();
    assert!(problem.detail.contains("the last one of role admin"), "{problem}");
    let problem = scene.controller.change(&admin(), delete(key(Kind::Tenant, "blue"))).unwrap_err();
    assert_eq!(problem.problem_type, ProblemType::Conflict);
    assert!(problem.detail.contains("in use by token \"bob\""), "a later tenant of that name would be open to it");
}

/// Writes many records at once, as if they had been made one by one before the controller started.
fn with_records(count: usize, record: impl Fn(usize) -> (String, serde_json::Value)) -> Scene {
    let scene = Scene::new();
    let puts = (0..count).map(record).map(|(key, value)| (key, value.to_string().into_bytes())).collect();
    scene.store.commit(store::Transaction { puts, ..store::Transaction::default() }).unwrap();
    scene.restart()
}

#[test]
fn one_token_too_many_is_refused() {
    let record =
        |number| (format!("tokens/t{number}"), serde_json::json!({"sha256": "00", "role": "reader", "created": 0}));
    let scene = with_records(MAX_TOKENS - 1, record);
    scene.controller.create_token(&admin(), new("last", Role::Reader, None)).unwrap();
    let problem = scene.controller.create_token(&admin(), new("more", Role::Reader, None)).unwrap_err();
    assert!(problem.detail.contains("1000 tokens"), "{problem}");
}

#[test]
fn join_tokens_are_texts_that_hosts_read_and_limited() {
    let record = |number| (format!("join/{number}"), serde_json::json!({"sha256": "00", "expires": u64::MAX}));
    let scene = with_records(MAX_JOIN_TOKENS - 2, record);
    let create = |seconds, host: Option<&str>| {
        scene.controller.create_join_token(&admin(), NewJoinToken { host: host.map(name), seconds })
    };
    let made = create(None, None).unwrap();
    assert_eq!(made.controller, "controller.example:7444");
    assert_eq!(made.token.parse::<proto::Token>().unwrap().fingerprint, "0f".repeat(32));
    assert!(create(Some(0), None).unwrap_err().detail.contains("1 to 2592000 s"));
    assert!(create(None, Some("a b")).unwrap_err().detail.contains("has a space"));
    create(Some(1), None).unwrap();
    assert!(create(None, None).unwrap_err().detail.contains("wait to be used"));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    create(None, None).unwrap();
}
