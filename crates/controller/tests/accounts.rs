//! Users through the whole interface: who may make them, what they may do, what becomes of them with their tenants.

mod support;

use std::net::IpAddr;

use api::fabric::accounts::{NewPassword, NewUser, SignIn, UserSource};
use api::fabric::{AuditQuery, FabricApi as _, ListQuery, NewToken, Role};
use model::fabric::{Key, Kind};
use store::Store as _;
use support::{BASE, Scene, admin, delete, key, name, puts};

const PASSWORD: &str = "correct horse battery";

fn new(text: &str, role: Role, tenant: Option<&str>) -> NewUser {
    NewUser { name: name(text), role, tenant: tenant.map(name), password: Some(PASSWORD.into()) }
}

fn sign_in(text: &str, password: &str) -> SignIn {
    SignIn { name: text.to_owned(), password: password.into(), from: IpAddr::from([192, 0, 2, 1]) }
}

fn tenants() -> Scene {
    let scene = Scene::new();
    scene.apply(BASE).unwrap();
    scene
        .apply("kind: tenant\nname: blue\n---\nkind: tenant\nname: red\n---\nkind: port\ntenant: red\nname: r\n")
        .unwrap();
    scene
}

#[test]
fn a_user_may_do_what_a_token_of_its_role_may() {
    let scene = tenants();
    let controller = &scene.controller;
    let created = controller.create_user(&admin(), new("tim", Role::Tenant, Some("blue"))).unwrap();
    assert_eq!((created.user.source, created.password), (UserSource::Local, None));
    let session = controller.sign_in(sign_in("tim", PASSWORD)).unwrap();
    let tim = controller.session(session.secret.as_str()).unwrap().caller;
    controller.change(&tim, puts("kind: port\ntenant: blue\nname: p\n")).unwrap();
    let query = ListQuery { kind: Kind::Port, tenant: None, search: None, limit: None, continue_token: None };
    assert_eq!(controller.list(&tim, query).unwrap().items.len(), 1);
    let red = Key::new(Kind::Port, Some(name("red")), name("r"));
    for problem in [
        controller.get(&tim, &red).unwrap_err(),
        controller.users(&tim).unwrap_err(),
        controller.create_user(&tim, new("x", Role::Admin, None)).unwrap_err(),
        controller.delete_user(&tim, &name("tim")).unwrap_err(),
        controller.set_password(&tim, &name("admin"), NewPassword::default()).unwrap_err(),
        controller.tokens(&tim).unwrap_err(),
    ] {
        assert_eq!(problem.status, 403);
        assert!(
            problem.detail.starts_with("user \"tim\" has role tenant of tenant \"blue\" and may not ")
                && problem.detail.ends_with("; ask an admin to do it, or for a role that may"),
            "{problem}"
        );
    }
    let lines = controller.audit(&tim, AuditQuery::default()).unwrap();
    let told: Vec<String> = lines.iter().map(|line| format!("{} {} {}", line.who, line.action, line.object)).collect();
    assert_eq!(
        told,
        [
            "user tim create port \"p\" of tenant \"blue\"",
            "user tim sign-in user \"tim\"",
            "admin create-user user \"tim\""
        ]
    );
    assert_eq!(lines[1].after, serde_json::json!({"from": "192.0.2.1"}));
}

#[test]
fn a_token_of_the_same_name_is_somebody_else() {
    let scene = tenants();
    let token = NewToken { name: name("tim"), role: Role::Tenant, tenant: Some(name("blue")), seconds: None };
    let secret = scene.controller.create_token(&admin(), token).unwrap().secret;
    scene.controller.create_user(&admin(), new("tim", Role::Admin, None)).unwrap();
    let token = scene.controller.authenticate(&secret).unwrap();
    let own = NewPassword { old: Some(PASSWORD.into()), new: None };
    assert_eq!(scene.controller.set_password(&token, &name("tim"), own).unwrap_err().status, 403);
    let session = scene.controller.sign_in(sign_in("tim", PASSWORD)).unwrap();
    assert_eq!(session.caller.who(), "user tim");
    assert_eq!(token.who(), "tim");
    // What is signed in with is no token, and the other way round.
    assert_eq!(scene.controller.authenticate(session.secret.as_str()).unwrap_err().status, 401);
    assert_eq!(scene.controller.session(&secret).unwrap_err().status, 401);
}

#[test]
fn users_that_cannot_be_are_refused_with_the_remedy() {
    let scene = tenants();
    let controller = &scene.controller;
    controller.create_user(&admin(), new("tim", Role::Tenant, Some("blue"))).unwrap();
    let refused = |user| controller.create_user(&admin(), user).unwrap_err().detail;
    assert!(refused(new("tim", Role::Admin, None)).contains("there is a user \"tim\" already"));
    assert!(
        refused(new("x", Role::Tenant, None)).contains("user \"x\" has role tenant; say whose with \"--tenant NAME\"")
    );
    assert!(refused(new("x", Role::Admin, Some("blue"))).contains("leave the tenant out"));
    assert!(refused(new("x", Role::Reader, Some("green"))).contains("netvirt create tenant green"));
    let short = NewUser { password: Some("short".into()), ..new("x", Role::Admin, None) };
    assert!(refused(short).contains("at least 12"));
    assert_eq!(controller.users(&admin()).unwrap().len(), 1);
    let problem = controller.delete_user(&admin(), &name("x")).unwrap_err();
    assert_eq!(problem.detail, "there is no user \"x\"; \"netvirt get users\" lists what there is");
    let problem = controller.change(&admin(), delete(key(Kind::Tenant, "blue"))).unwrap_err();
    assert!(
        problem.detail.contains("in use by user \"tim\"; delete it first with \"netvirt delete user NAME\""),
        "{problem}"
    );
    controller.delete_user(&admin(), &name("tim")).unwrap();
    controller.change(&admin(), delete(key(Kind::Tenant, "blue"))).unwrap();
}

#[test]
fn the_last_admin_stays() {
    let scene = tenants();
    let controller = &scene.controller;
    controller.create_user(&admin(), new("ann", Role::Admin, None)).unwrap();
    controller.create_user(&admin(), new("eve", Role::Reader, None)).unwrap();
    let problem = controller.delete_user(&admin(), &name("ann")).unwrap_err();
    assert_eq!(problem.status, 409);
    assert_eq!(
        problem.detail,
        "user \"ann\" is the last one of role admin, without whom nobody could administer anything in the console; make another \
         one first with \"netvirt create user NAME --role admin\""
    );
    controller.create_user(&admin(), new("bob", Role::Admin, None)).unwrap();
    controller.delete_user(&admin(), &name("ann")).unwrap();
    controller.delete_user(&admin(), &name("eve")).unwrap();
    assert_eq!(controller.users(&admin()).unwrap().len(), 1);
}

#[test]
fn a_password_that_is_made_up_is_told_once_and_written_nowhere() {
    let scene = tenants();
    let made = NewUser { password: None, ..new("tim", Role::Admin, None) };
    let first = scene.controller.create_user(&admin(), made).unwrap().password.unwrap();
    let again =
        scene.controller.set_password(&admin(), &name("tim"), NewPassword::default()).unwrap().password.unwrap();
    let scene = scene.restart();
    assert_eq!(scene.controller.sign_in(sign_in("tim", first.as_str())).unwrap_err().status, 401);
    let session = scene.controller.sign_in(sign_in("tim", again.as_str())).unwrap().secret;
    let export = scene.controller.export(&admin()).unwrap();
    let audit = serde_json::to_vec(&scene.controller.audit(&admin(), AuditQuery::default()).unwrap()).unwrap();
    let file = std::fs::read(scene.folder.path().join("store.redb")).unwrap();
    let hash = scene.store.get("users/tim").unwrap().unwrap().value;
    let hash: serde_json::Value = serde_json::from_slice(&hash).unwrap();
    let hash = hash["password"].as_str().unwrap();
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    for secret in [first.as_str(), again.as_str(), session.as_str()] {
        assert!(!holds(&file, secret) && !holds(&audit, secret) && !holds(&export, secret));
    }
    assert!(holds(&file, hash) && !holds(&audit, hash) && !holds(&export, hash));
    let scene = scene.restart();
    assert_eq!(scene.controller.session(session.as_str()).unwrap().user.name, name("tim"));
}
