//! Roles, tokens, the audit log, and everything at once.

use api::fabric::{AuditQuery, Change, NewJoinToken, NewToken, Role};
use api::{Outcome, ProblemType};
use model::fabric::Kind;
use serde_json::json;

use crate::support::{Served, named, port, port_key, put, refused, resource, set};

#[test]
fn a_tenant_sees_and_changes_what_it_owns() {
    let served = Served::new();
    let admin = served.client();
    for tenant in ["blue", "red"] {
        put(&admin, resource(Kind::Tenant, None, tenant, json!({})));
        put(&admin, resource(Kind::Port, Some(tenant), "vm", json!({})));
    }
    let blue = served.client_as("b", Role::Tenant, Some("blue"));
    let ports = blue.list_all(Kind::Port, None).unwrap().items;
    assert_eq!(ports.iter().map(|item| item.tenant.clone()).collect::<Vec<_>>(), [Some(named("blue"))]);
    assert_eq!(put(&blue, resource(Kind::Port, Some("blue"), "vm2", json!({}))).0, Outcome::Created);
    let other = Change::Create(resource(Kind::Port, Some("red"), "vm2", json!({})));
    let problem = refused(&blue.change(&set(vec![other])).unwrap_err());
    assert_eq!(problem.problem_type, ProblemType::Forbidden);
    let reader = served.client_as("r", Role::Reader, None);
    assert_eq!(reader.list_all(Kind::Port, None).unwrap().items.len(), 3);
    let change = Change::Delete { key: port_key("vm"), revision: None };
    assert_eq!(refused(&reader.change(&set(vec![change])).unwrap_err()).problem_type, ProblemType::Forbidden);
    for error in [
        reader.tokens().map(drop).unwrap_err(),
        reader.backup().map(drop).unwrap_err(),
        reader.export().map(drop).unwrap_err(),
        reader.import(b"{}".to_vec()).map(drop).unwrap_err(),
        reader.create_join_token(&NewJoinToken::default()).map(drop).unwrap_err(),
    ] {
        let problem = refused(&error);
        assert_eq!(problem.problem_type, ProblemType::Forbidden);
        assert!(problem.detail.contains("the token \"r\" has the role reader"), "{problem}");
    }
    let seen = blue.audit(&AuditQuery::default()).unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|entry| entry.tenant == Some(named("blue"))), "{seen:?}");
}

#[test]
fn a_tenant_sends_less_at_once_than_an_admin() {
    let served = Served::new();
    let admin = served.client();
    put(&admin, resource(Kind::Tenant, None, "blue", json!({})));
    let blue = served.client_as("b", Role::Tenant, Some("blue"));
    let text = "x".repeat(api::fabric::MAX_TENANT_BODY_BYTES);
    let port = resource(Kind::Port, Some("blue"), "vm", json!({ "vmName": text }));
    let problem = refused(&blue.change(&set(vec![Change::Create(port.clone())])).unwrap_err());
    assert_eq!(problem.problem_type, ProblemType::TooLarge);
    assert!(problem.detail.contains("larger than 2 MiB; send the changes in several requests"), "{problem}");
    assert_eq!(put(&admin, port).0, Outcome::Created);
}

#[test]
fn tokens_are_made_shown_without_their_secret_and_ended() {
    let served = Served::new();
    let made = served.json("POST", "/v1/tokens", "", &json!({"name": "ci 1", "role": "reader", "seconds": 60}));
    assert_eq!((made.status, made.header("location")), (201, Some("/v1/tokens/ci%201")));
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let secret = made.value()["secret"].as_str().unwrap().to_owned();
    let shown = served.ask("GET", "/v1/tokens/ci%201", "", "");
    assert!(shown.status == 200 && !shown.body.contains("secret"), "{shown:?}");
    assert!(shown.value()["expires"].is_string());
    let listed = served.ask("GET", "/v1/tokens", "", "").value();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    let authorization = format!("Authorization: Bearer {secret}\r\n");
    assert_eq!(served.ask_as(&authorization, "GET", "/v1/status", "", "").status, 200);
    let again = served.json("POST", "/v1/tokens", "", &json!({"name": "ci 1", "role": "reader"})).problem();
    assert_eq!(again.problem_type, ProblemType::Conflict);
    let orphan = served.json("POST", "/v1/tokens", "", &json!({"name": "x", "role": "tenant"})).problem();
    assert_eq!(orphan.problem_type, ProblemType::Invalid);
    let odd = served.json("POST", "/v1/tokens", "", &json!({"name": "x", "role": "root"})).problem();
    assert!(odd.detail.contains("unknown variant `root`"), "{odd}");
    let ended = served.ask("DELETE", "/v1/tokens/ci%201", "", "");
    assert_eq!((ended.status, ended.body.as_str()), (204, ""));
    assert_eq!(served.ask("DELETE", "/v1/tokens/ci%201", "", "").problem().status, 404);
    assert_eq!(served.ask("GET", "/v1/tokens/ci%201", "", "").problem().status, 404);
    assert_eq!(served.ask_as(&authorization, "GET", "/v1/status", "", "").problem().status, 401);
    let join = served.json("POST", "/v1/join-tokens", "", &json!({"host": "host15"}));
    assert_eq!((join.status, join.header("cache-control")), (201, Some("no-store")));
    assert_eq!(served.json("POST", "/v1/join-tokens", "", &json!(["host15", 1])).problem().status, 400);
}

#[test]
fn the_typed_client_does_the_same() {
    let served = Served::new();
    let client = served.client();
    let token = NewToken { name: named("ci"), role: Role::Admin, tenant: None, seconds: None };
    assert_eq!(client.create_token(&token).unwrap().token.name, named("ci"));
    assert_eq!(client.tokens().unwrap().len(), 2);
    client.delete_token(&named("ci")).unwrap();
    assert_eq!(refused(&client.delete_token(&named("ci")).unwrap_err()).problem_type, ProblemType::NotFound);
    assert_eq!(refused(&client.delete_token(&named("admin")).unwrap_err()).problem_type, ProblemType::Conflict);
    assert!(client.create_join_token(&NewJoinToken::default()).unwrap().token.starts_with("join-"));
    let status = client.status().unwrap();
    assert_eq!((status.revision, status.resources["tenant"]), (1, 1));
}

#[test]
fn the_audit_log_is_read_backwards_by_pages() {
    let served = Served::new();
    let client = served.client();
    for vm in ["one", "two", "three"] {
        put(&client, port("a", vm));
    }
    let page = client.audit(&AuditQuery { before: None, limit: Some(2) }).unwrap();
    let vms = page.iter().map(|entry| (&entry.before["vmName"], &entry.after["vmName"])).collect::<Vec<_>>();
    assert_eq!(vms, [(&json!("two"), &json!("three")), (&json!("one"), &json!("two"))]);
    assert_eq!(
        (page[0].who.as_str(), page[0].action.as_str(), page[0].object.as_str()),
        ("admin", "configure", "port \"a\"")
    );
    let next = client.audit(&AuditQuery { before: Some(page[1].id), limit: Some(1) }).unwrap();
    assert_eq!((next.len(), next[0].action.as_str()), (1, "create"));
    for query in ["limit=0", "limit=501", "before=x", "after=1"] {
        assert_eq!(served.ask("GET", &format!("/v1/audit?{query}"), "", "").problem().status, 400);
    }
}

#[test]
fn what_is_exported_is_imported_elsewhere() {
    let served = Served::new();
    let client = served.client();
    put(&client, resource(Kind::Tenant, None, "blue", json!({})));
    put(&client, resource(Kind::Port, Some("blue"), "vm 1", json!({"vmName": "x"})));
    let exported = served.ask("GET", "/v1/export", "", "");
    assert_eq!(exported.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(exported.header("content-disposition"), Some("attachment; filename=\"netvirt.jsonl\""));
    let text = client.export().unwrap();
    assert_eq!(text, exported.body.as_bytes());
    let other = Served::new();
    assert_eq!(other.client().import(text.clone()).unwrap(), 3);
    let spec = |served: &Served| served.client().list_all(Kind::Port, None).unwrap().items[0].spec.clone();
    assert_eq!(spec(&other), spec(&served));
    assert_eq!(refused(&other.client().import(text).unwrap_err()).problem_type, ProblemType::Conflict);
    let wrong = other.ask("POST", "/v1/import", "Content-Type: application/json\r\n", "{}").problem();
    assert_eq!(wrong.problem_type, ProblemType::UnsupportedMediaType);
    let garbage = refused(&Served::new().client().import(b"x\n".to_vec()).unwrap_err());
    assert!(garbage.detail.contains("line 1"), "{garbage}");
    let backup = served.ask("GET", "/v1/backup", "", "");
    assert_eq!(backup.header("content-type"), Some("application/octet-stream"));
    assert_eq!(backup.header("cache-control"), Some("no-store"));
    assert_eq!(client.backup().unwrap(), backup.body.as_bytes());
}
