//! Users over HTTPS, and what the fabric in memory makes of their sessions.

use api::fabric::accounts::{Identity, IdentityProvider, NewPassword, NewUser, SignIn, UserSource};
use api::fabric::memory::ADMIN_PASSWORD;
use api::fabric::{FabricApi as _, Role};
use api::{Problem, ProblemType};
use serde_json::json;

use crate::support::{Served, named, refused};

fn sign_in(name: &str, password: &str) -> SignIn {
    SignIn { name: name.to_owned(), password: password.into(), from: [127, 0, 0, 1].into() }
}

#[test]
fn users_are_made_shown_without_their_passwords_and_ended() {
    let served = Served::new();
    let made = served.json("POST", "/v1/users", "", &json!({"name": "tim 1", "role": "reader"}));
    assert_eq!((made.status, made.header("location")), (201, Some("/v1/users/tim%201")));
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let password = made.value()["password"].as_str().unwrap().to_owned();
    let shown = served.ask("GET", "/v1/users/tim%201", "", "");
    assert!(shown.status == 200 && !shown.body.contains("password"), "{shown:?}");
    assert_eq!(shown.value()["source"], json!("local"));
    assert_eq!(served.ask("GET", "/v1/users", "", "").value()["items"].as_array().unwrap().len(), 2);
    let session = served.fabric.sign_in(sign_in("tim 1", &password)).unwrap().secret;
    // A session opens pages, not this interface.
    let authorization = format!("Authorization: Bearer {}\r\n", session.as_str());
    assert_eq!(served.ask_as(&authorization, "GET", "/v1/status", "", "").status, 401);
    let set = served.json("PUT", "/v1/users/tim%201/password", "", &json!({"new": "correct horse battery"}));
    assert_eq!((set.status, set.header("cache-control"), set.body.as_str()), (200, Some("no-store"), "{}"));
    assert!(served.fabric.session(session.as_str()).is_err(), "signed out by it");
    let short = served.json("PUT", "/v1/users/tim%201/password", "", &json!({"new": "short"})).problem();
    assert!(short.status == 422 && short.detail.contains("at least 12"), "{short}");
    let odd = served.json("POST", "/v1/users", "", &json!({"name": "x", "role": "root"})).problem();
    assert!(odd.detail.contains("unknown variant `root`"), "{odd}");
    let again = served.json("POST", "/v1/users", "", &json!({"name": "tim 1", "role": "reader"})).problem();
    assert_eq!(again.problem_type, ProblemType::Conflict);
    let ended = served.ask("DELETE", "/v1/users/tim%201", "", "");
    assert_eq!((ended.status, ended.body.as_str()), (204, ""));
    for (method, path) in [("DELETE", "/v1/users/tim%201"), ("GET", "/v1/users/tim%201")] {
        assert_eq!(served.ask(method, path, "", "").problem().status, 404, "{method}");
    }
    assert_eq!(served.ask("PUT", "/v1/users/tim%201", "", "").problem().status, 405);
}

#[test]
fn the_typed_client_does_the_same_with_users() {
    let served = Served::new();
    let client = served.client();
    let user = NewUser { name: named("tim"), role: Role::Admin, tenant: None, password: Some("typed by tim".into()) };
    assert_eq!(client.create_user(&user).unwrap().password, None);
    assert_eq!(client.users().unwrap().len(), 2);
    let made = client.set_password(&named("tim"), &NewPassword::default()).unwrap().password.unwrap();
    served.fabric.sign_in(sign_in("tim", made.as_str())).unwrap();
    client.delete_user(&named("tim")).unwrap();
    assert_eq!(refused(&client.delete_user(&named("tim")).unwrap_err()).problem_type, ProblemType::NotFound);
    let reader = served.client_as("r", Role::Reader, None);
    assert_eq!(refused(&reader.users().unwrap_err()).problem_type, ProblemType::Forbidden);
    assert_eq!(refused(&reader.create_user(&user).unwrap_err()).problem_type, ProblemType::Forbidden);
}

#[test]
fn the_fabric_in_memory_has_sessions_to_build_pages_on() {
    let served = Served::new();
    let fabric = &served.fabric;
    let session = fabric.sign_in(sign_in("admin", ADMIN_PASSWORD)).unwrap();
    let info = fabric.session(session.secret.as_str()).unwrap();
    assert_eq!((info.caller.who().as_str(), info.user.role), ("user admin", Role::Admin));
    assert_eq!(fabric.session_lasts(session.secret.as_str()).unwrap().caller, info.caller);
    assert_eq!(fabric.session_uses(session.secret.as_str()), 1, "looking whether it lasts is no use");
    fabric.sign_out(session.secret.as_str()).unwrap();
    assert_eq!(fabric.session_lasts(session.secret.as_str()).unwrap_err().status, 401);
    let failures: Vec<Problem> = (0..6).map(|_| fabric.sign_in(sign_in("admin", "wrong")).unwrap_err()).collect();
    assert!(failures[..5].iter().all(|problem| problem.status == 401));
    assert_eq!((failures[5].status, failures[5].retry_after), (429, Some(60)));
    assert_eq!(fabric.identity_provider(), None);
    fabric.set_identity_provider(IdentityProvider {
        name: "Example ID".to_owned(),
        issuer: "https://id.example".to_owned(),
        client_id: "c".to_owned(),
        client_secret: "s".into(),
        scopes: Vec::new(),
        redirect_uri: None,
        authorities: None,
    });
    let claims = json!({"name": "ann", "role": "tenant", "tenant": "default"}).as_object().unwrap().clone();
    let (issuer, subject) = (fabric.identity_provider().unwrap().issuer, "7".to_owned());
    let identity = Identity { issuer: issuer.clone(), subject, claims, from: [127, 0, 0, 1].into() };
    let session = fabric.sign_in_with(identity.clone()).unwrap();
    assert_eq!(session.caller.tenant, Some(named("default")));
    assert_eq!(fabric.session(session.secret.as_str()).unwrap().user.source, UserSource::OpenId(issuer));
    let nobody = Identity { claims: serde_json::Map::new(), ..identity };
    assert_eq!(fabric.sign_in_with(nobody).unwrap_err().status, 403);
}
