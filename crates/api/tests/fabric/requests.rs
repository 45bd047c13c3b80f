//! Requests that are wrong: each is refused with a problem that says what to do.

use api::ProblemType;
use serde_json::json;

use crate::support::{Answer, Served};

#[test]
fn who_shows_no_token_that_holds_learns_nothing() {
    let served = Served::new();
    let paths = ["/v1/status", "/v1/ports", "/v1/ports/a", "/v1/tokens", "/v1/watch", "/v1/backup", "/nowhere"];
    for authorization in
        ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic YTpi\r\n", "Authorization: Bearer \r\n"]
    {
        for path in paths {
            let answer = served.ask_as(authorization, "GET", path, "", "");
            assert_eq!(answer.problem().problem_type, ProblemType::Unauthorized, "{authorization}{path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"netvirt\""));
            assert!(answer.problem().detail.contains("netvirt create token"), "{answer:?}");
        }
    }
    for path in ["/healthz", "/v1/openapi.json"] {
        let answer = served.ask_as("", "GET", path, "", "");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(served.ask_as("", "GET", &format!("{path}?x=1"), "", "").problem().status, 400);
    }
    assert_eq!(served.ask_as("", "GET", "/v1/openapi.json", "", "").value(), api::fabric::openapi::document());
    let lower = format!("authorization: bearer {}\r\n", api::fabric::memory::ADMIN_SECRET);
    assert_eq!(served.ask_as(&lower, "GET", "/v1/status", "", "").status, 200);
}

#[test]
fn paths_and_methods_that_are_not_there_are_problems_too() {
    let served = Served::new();
    for path in
        ["/", "/v1", "/v1/vm-network", "/v1/switches", "/v1/ports/a/b", "/v1/tenants/default/hosts", "/v2/ports"]
    {
        let problem = served.ask("GET", path, "", "").problem();
        assert_eq!(problem.problem_type, ProblemType::NotFound);
        assert!(problem.detail.contains(path) && problem.detail.contains("/v1/openapi.json"), "{problem}");
    }
    for (method, path, allowed) in [
        ("DELETE", "/v1/ports", "GET,HEAD,POST"),
        ("PATCH", "/v1/ports/a", "GET,HEAD,PUT,DELETE"),
        ("POST", "/v1/tenants/default/ports/a", "GET,HEAD,PUT,DELETE"),
        ("GET", "/v1/changes", "POST"),
        ("PUT", "/v1/status", "GET,HEAD"),
        ("GET", "/v1/join-tokens", "POST"),
    ] {
        let answer = served.ask(method, path, "", "");
        assert_eq!(answer.problem().problem_type, ProblemType::MethodNotAllowed);
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
    assert_eq!(served.ask("HEAD", "/v1/ports", "", "").body, "");
}

#[test]
fn broken_encoding_and_names_that_are_none_are_named() {
    let served = Served::new();
    for path in ["/v1/ports/%zz", "/v1/ports/%ff", "/v1/ports/a%2", "/v1/ports?continue=%c3", "/%"] {
        let problem = served.ask("GET", path, "", "").problem();
        assert_eq!(problem.problem_type, ProblemType::BadRequest, "{path}");
        assert!(problem.detail.contains("percent-encoded UTF-8"), "{problem}");
    }
    for (path, words) in [
        ("/v1/ports/a%2Fb", "the name \"a/b\" has '/' in it"),
        ("/v1/tenants/%C3%BC/ports", "the name \"ü\" has 'ü' in it"),
        ("/v1/tokens/-x", "the name \"-x\""),
    ] {
        let method = if path.contains("tokens") { "DELETE" } else { "GET" };
        let problem = served.ask(method, path, "", "").problem();
        assert_eq!(problem.problem_type, ProblemType::BadRequest, "{path}");
        assert!(problem.detail.contains(words), "{problem}");
    }
}

#[test]
fn bodies_that_are_wrong_are_refused_with_the_field() {
    let served = Served::new();
    let json = "Content-Type: application/json\r\n";
    for (path, body, words) in [
        ("/v1/ports/a", "{", "EOF"),
        ("/v1/ports/a", "[]", "it is no object"),
        ("/v1/ports/a", r#"{"spec": null}"#, "null"),
        ("/v1/ports/a", r#"{"spec": []}"#, "write an object"),
        ("/v1/ports/a", r#"{"spec": {"mac": "x"}}"#, "spec.mac: \"x\""),
        ("/v1/tenants/a", r#"{"spec": {"quota": [null, null, null, null, 7]}}"#, "spec.quota: invalid type: sequence"),
        ("/v1/hosts/a", r#"{"spec": {"uplinks": [["eth0", [], []]]}}"#, "spec.uplinks[0]: invalid type: sequence"),
        ("/v1/ports/a", r#"{"spec": {"colour": "red"}}"#, "unknown field `colour`"),
        ("/v1/ports/a", r#"{"status": {}}"#, "unknown field `status`"),
        ("/v1/ports/a", r#"{"spec": {}, "spec": {}}"#, "duplicate field `spec`"),
        ("/v1/vm-subnets/a", "{}", "missing field `vmNetwork`"),
        (
            "/v1/ip-pools/a",
            r#"{"spec": {"vmSubnet": "t", "ranges": ["10.0.0.9-10.0.0.1"]}}"#,
            "spec.ranges[0]: the range",
        ),
    ] {
        let problem = served.ask("PUT", path, json, body).problem();
        assert_eq!(problem.problem_type, ProblemType::BadRequest);
        assert!(problem.detail.contains(words), "{body}: {problem}");
    }
    assert!(served.json("POST", "/v1/ports", "", &json!({})).problem().detail.contains("has no name"));
    for media_type in ["", "Content-Type: text/yaml\r\n", "Content-Type: application/jsonx\r\n"] {
        let answer = served.ask("PUT", "/v1/ports/a", media_type, "{}");
        assert_eq!(answer.problem().problem_type, ProblemType::UnsupportedMediaType, "{media_type}");
    }
    let with_charset = "Content-Type: Application/JSON; charset=utf-8\r\n";
    assert_eq!(served.ask("PUT", "/v1/ports/a", with_charset, "{}").status, 201);
    for path in ["/v1/status?x", "/v1/ports/a?dryRun=1", "/v1/ports/a?limit=1", "/v1/export?all=true", "/v1/tokens?a=b"]
    {
        assert_eq!(served.ask("GET", path, "", "").problem().problem_type, ProblemType::BadRequest, "{path}");
    }
}

#[test]
fn a_set_of_changes_is_one_transaction() {
    let served = Served::new();
    let changes = json!({"changes": [
        {"create": {"kind": "port", "name": "a", "spec": {}}},
        {"delete": {"key": {"kind": "port", "name": "b"}}},
        {"replace": {"resource": {"kind": "tenant", "name": "none", "spec": {}}}},
    ]});
    let problem = served.json("POST", "/v1/changes", "", &changes).problem();
    assert_eq!((problem.problem_type, problem.errors.len()), (ProblemType::Invalid, 2), "{problem}");
    assert_eq!(served.ask("GET", "/v1/ports/a", "", "").status, 404);
    for (body, words) in [
        (json!({"changes": [{"rename": {}}]}), "unknown variant `rename`"),
        (json!({"changes": [{"create": {"kind": "port", "name": "a", "spec": ["host15"]}}]}), "invalid type: sequence"),
        (
            json!({"changes": [{"put": [{"kind": "port", "name": "a", "spec": {}}, null]}]}),
            "invalid type: sequence, expected named fields",
        ),
        (json!({"changes": [{"delete": {"key": ["port", null, "a"]}}]}), "invalid type: sequence"),
        (
            json!({"changes": [{"delete": {"key": {"kind": "port", "name": "a"}, "revison": 1}}]}),
            "unknown field `revison`",
        ),
        (json!({"changes": [], "dryrun": true}), "unknown field `dryrun`"),
        (json!({"changes": [{"create": {"kind": "switch", "name": "a", "spec": {}}}]}), "there is no kind \"switch\""),
    ] {
        let problem = served.json("POST", "/v1/changes", "", &body).problem();
        assert_eq!(problem.problem_type, ProblemType::BadRequest);
        assert!(problem.detail.contains(words), "{problem}");
    }
    assert_eq!(served.json("POST", "/v1/changes", "", &json!({"changes": []})).status, 200);
}

#[test]
fn what_is_no_http_ends_the_connection() {
    let served = Served::new();
    let answer = served.raw(b"NONSENSE\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let many = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20));
    assert!(served.raw(many.as_bytes()).starts_with("HTTP/1.1 431"));
    assert_eq!(Answer::read(&served.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).status, 200);
}
