//! The uniform paths of all kinds: list, create, get, put, delete, their ETags and pages.

use api::fabric::{ListQuery, MAX_PAGE};
use api::{Outcome, ProblemType};
use model::fabric::Kind;
use serde_json::{Value, json};

use crate::support::{Served, named, port, port_key, put};

/// The example of a kind in the OpenAPI document.
fn example(kind: Kind) -> Value {
    let document = api::fabric::openapi::document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let declared = schemas.values().filter_map(|schema| schema["examples"].get(0));
    declared.into_iter().find(|example| example["kind"] == kind.as_str()).unwrap().clone()
}

#[test]
fn every_kind_is_created_shown_changed_and_deleted_on_its_paths() {
    let served = Served::new();
    for kind in Kind::ALL {
        let declared = example(kind);
        let name = declared["name"].as_str().unwrap().replace(' ', "%20");
        let all = format!("/v1/{}", kind.plural());
        let one = if kind.has_tenant() {
            format!("/v1/tenants/default/{}/{name}", kind.plural())
        } else {
            format!("{all}/{name}")
        };
        let created = served.json("POST", &all, "", &declared);
        assert_eq!((created.status, created.header("location")), (201, Some(one.as_str())), "{created:?}");
        let item = created.value();
        assert_eq!(created.header("etag").unwrap(), format!("\"{}\"", item["revision"]));
        for path in [&one, &format!("{all}/{name}")] {
            let shown = served.ask("GET", path, "", "");
            assert_eq!((shown.status, shown.value()), (200, item.clone()));
            assert_eq!(shown.header("etag"), created.header("etag"));
        }
        let listed = served.ask("GET", &all, "", "").value();
        assert!(listed["items"].as_array().unwrap().contains(&item), "{listed}");
        let again = served.json("POST", &all, "", &declared);
        assert_eq!(again.problem().problem_type, ProblemType::Conflict);
        let same = served.json("PUT", &one, "", &json!({"spec": declared["spec"]}));
        assert_eq!((same.status, same.value()), (200, item.clone()));
        let deleted = served.ask("DELETE", &one, "", "");
        assert_eq!((deleted.status, deleted.value()), (200, item));
        assert_eq!(served.ask("GET", &one, "", "").problem().problem_type, ProblemType::NotFound);
        assert_eq!(served.ask("DELETE", &one, "", "").problem().problem_type, ProblemType::NotFound);
    }
}

#[test]
fn a_path_below_a_tenant_says_whose_a_resource_is() {
    let served = Served::new();
    served.json("PUT", "/v1/tenants/blue", "", &json!({}));
    let created = served.json("POST", "/v1/tenants/blue/ports", "", &json!({"name": "vm 1"}));
    assert_eq!(created.header("location"), Some("/v1/tenants/blue/ports/vm%201"), "{created:?}");
    assert_eq!(created.value()["tenant"], "blue");
    let elsewhere = served.json("PUT", "/v1/ports/vm%201", "", &json!({}));
    assert_eq!((elsewhere.status, elsewhere.value()["tenant"].clone()), (201, json!("default")));
    let count = |path: &str| served.ask("GET", path, "", "").value()["items"].as_array().unwrap().len();
    assert_eq!((count("/v1/ports"), count("/v1/tenants/blue/ports"), count("/v1/tenants/default/ports")), (2, 1, 1));
    for (path, body, words) in [
        ("/v1/tenants/blue/ports/a", json!({"tenant": "red"}), "tenant \"blue\""),
        ("/v1/ports/a", json!({"tenant": "red"}), "tenant \"default\""),
        ("/v1/ports/a", json!({"name": "b"}), "name \"a\""),
        ("/v1/ports/a", json!({"kind": "host"}), "/v1/hosts"),
        ("/v1/hosts/a", json!({"tenant": "red"}), "belongs to no tenant"),
    ] {
        let problem = served.json("PUT", path, "", &body).problem();
        assert_eq!(problem.problem_type, ProblemType::BadRequest);
        assert!(problem.detail.contains(words), "{problem}");
    }
}

#[test]
fn an_etag_keeps_two_editors_apart() {
    let served = Served::new();
    let spec = |vm: &str| json!({"spec": {"vmName": vm}});
    let first = served.json("PUT", "/v1/ports/a", "", &spec("one"));
    let etag = first.header("etag").unwrap().to_owned();
    let matching = |etag: &str| format!("If-Match: {etag}\r\n");
    let second = served.json("PUT", "/v1/ports/a", &matching(&etag), &spec("two"));
    assert_eq!(second.status, 200);
    let now = second.header("etag").unwrap().to_owned();
    assert_ne!(etag, now);
    for stale in [etag.as_str(), "\"0\", \"999\"", "\"none\", W/\"1\"", &format!("W/{now}")] {
        let refused = served.json("PUT", "/v1/ports/a", &matching(stale), &spec("three"));
        assert_eq!(refused.problem().problem_type, ProblemType::PreconditionFailed, "{stale}");
        let refused = served.ask("DELETE", "/v1/ports/a", &matching(stale), "");
        assert_eq!(refused.problem().problem_type, ProblemType::PreconditionFailed, "{stale}");
    }
    let listed = matching(&format!("{etag}, {now}"));
    assert_eq!(served.json("PUT", "/v1/ports/a", &listed, &spec("four")).status, 200);
    assert_eq!(served.json("PUT", "/v1/ports/b", &matching("*"), &spec("x")).problem().status, 404);
    let fresh = served.ask("GET", "/v1/ports/a", "", "").header("etag").unwrap().to_owned();
    assert_eq!(served.ask("DELETE", "/v1/ports/a", &matching(&fresh), "").status, 200);
}

#[test]
fn what_a_client_has_already_is_not_sent_again_and_what_exists_is_not_created() {
    let served = Served::new();
    let unless = |etag: &str| format!("If-None-Match: {etag}\r\n");
    let created = served.json("PUT", "/v1/ports/a", &unless("*"), &json!({}));
    assert_eq!(created.status, 201);
    let etag = created.header("etag").unwrap();
    for seen in [etag, "*", &format!("\"7\", W/{etag}")] {
        let same = served.ask("GET", "/v1/ports/a", &unless(seen), "");
        assert_eq!((same.status, same.body.as_str(), same.header("etag")), (304, "", Some(etag)));
    }
    assert_eq!(served.ask("GET", "/v1/ports/a", &unless("\"7\""), "").status, 200);
    let exists = served.json("PUT", "/v1/ports/a", &unless("*"), &json!({})).problem();
    assert_eq!(exists.problem_type, ProblemType::PreconditionFailed);
    assert!(exists.detail.contains("port \"a\" exists"), "{exists}");
    for headers in [unless("\"1\""), format!("{}If-Match: *\r\n", unless("*"))] {
        assert_eq!(served.json("PUT", "/v1/ports/a", &headers, &json!({})).problem().status, 400);
    }
    let malformed = served.ask("GET", "/v1/ports/a", &unless("7"), "").problem();
    assert!(malformed.detail.contains("if-none-match: 7 is not a list of ETags"), "{malformed}");
}

#[test]
fn a_dry_run_shows_what_would_be_and_changes_nothing() {
    let served = Served::new();
    let shown = served.json("POST", "/v1/ports?dryRun=true", "", &json!({"name": "a"}));
    assert_eq!((shown.status, shown.header("etag"), shown.header("location")), (200, None, None));
    assert_eq!(served.ask("GET", "/v1/ports/a", "", "").status, 404);
    assert_eq!(served.json("POST", "/v1/ports?dryRun=false", "", &json!({"name": "a"})).status, 201);
    assert_eq!(served.ask("DELETE", "/v1/ports/a?dryRun=true", "", "").status, 200);
    assert_eq!(served.ask("GET", "/v1/ports/a", "", "").status, 200);
}

#[test]
fn of_many_editors_with_one_etag_one_wins() {
    let served = Served::new();
    put(&served.client(), port("a", "first"));
    let etag = served.ask("GET", "/v1/ports/a", "", "").header("etag").unwrap().to_owned();
    let results = std::thread::scope(|scope| {
        let editors = (0..8).map(|number| {
            let (served, etag) = (&served, &etag);
            scope.spawn(move || {
                let body = json!({"spec": {"vmName": number.to_string()}});
                served.json("PUT", "/v1/ports/a", &format!("If-Match: {etag}\r\n"), &body).status
            })
        });
        let editors = editors.collect::<Vec<_>>();
        editors.into_iter().map(|editor| editor.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(results.iter().filter(|status| **status == 200).count(), 1, "{results:?}");
    assert_eq!(results.iter().filter(|status| **status == 412).count(), 7, "{results:?}");
}

#[test]
fn lists_come_in_pages_that_miss_nothing() {
    let served = Served::new();
    let client = served.client();
    for number in 0..7 {
        assert_eq!(put(&client, port(&format!("p{number}"), "x")).0, Outcome::Created);
    }
    let mut query = ListQuery { kind: Kind::Port, tenant: None, limit: Some(3), continue_token: None, search: None };
    let mut names = Vec::new();
    loop {
        let page = client.list(&query).unwrap();
        assert!(page.items.len() <= 3);
        names.extend(page.items.iter().map(|item| item.name.to_string()));
        // What comes in between behind the place of the list is seen, what stood there is not seen twice.
        put(&client, port("p3 and more", "x"));
        query.continue_token = page.continue_token;
        if query.continue_token.is_none() {
            break;
        }
    }
    assert_eq!(names, ["p0", "p1", "p2", "p3", "p3 and more", "p4", "p5", "p6"]);
    let all = client.list_all(Kind::Port, Some(&named("default"))).unwrap();
    assert_eq!((all.items.len(), all.continue_token), (8, None));
    assert_eq!(all.items[0], client.get(&port_key("p0")).unwrap());
    for (query, words) in [
        ("limit=0", "1 to 500"),
        (&*format!("limit={}", MAX_PAGE + 1), "501"),
        ("limit=x", "limit"),
        ("continue=x", "given by no page"),
        ("limit=1&limit=2", "duplicate"),
        ("Limit=1", "unknown field `Limit`"),
    ] {
        let problem = served.ask("GET", &format!("/v1/ports?{query}"), "", "").problem();
        assert_eq!(problem.problem_type, ProblemType::BadRequest);
        assert!(problem.detail.contains(words), "{problem}");
    }
}

#[test]
fn every_page_of_many_is_followed() {
    let served = Served::new();
    let client = served.client();
    let changes = (0..MAX_PAGE * 2 + 1).map(|number| api::fabric::Change::Create(port(&format!("p{number:05}"), "x")));
    client.change(&crate::support::set(changes.collect())).unwrap();
    let all = client.list_all(Kind::Port, None).unwrap();
    assert_eq!(all.items.len(), MAX_PAGE * 2 + 1);
    assert!(all.items.is_sorted_by(|a, b| a.name < b.name));
}
