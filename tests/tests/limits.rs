//! What a controller takes at most, and what it says at the limit: the same on the command line and to HTTP clients. The
//! limits of lists in a resource stand among its refusals (`refusals.rs`). Needs root.

use std::time::Duration;

use serde_json::{Value, json};
use tests::fabric::Fabric;
use tests::refusal::{problem, refused_both};

#[test]
fn limits_are_said_by_name() {
    let fabric = Fabric::alone();
    let rest = fabric.rest();
    let get = |path: &str| rest.ask("GET", path, &[], None);
    for path in ["/v1/ports?limit=501", "/v1/ports?limit=0", "/v1/audit?limit=501"] {
        let sentence = problem(&get(path), 400);
        assert!(sentence.contains("is no size of a page; ask for 1 to 500, and for more by pages"), "{sentence}");
    }
    let (day, month) = (json!({"seconds": 0}), json!({"seconds": 2_592_001}));
    let life = "s is not possible; give it 1 to 2592000 s (30 days)";
    let role = |role: &str, tenant: Value| json!({"name": "t", "role": role, "tenant": tenant});
    let (tenant, admin, nobody) =
        (role("tenant", Value::Null), role("admin", json!("default")), role("reader", json!("x")));
    for (command, method, path, body, status, words) in [
        ("create join-token --expires 0s", "POST", "/v1/join-tokens", Some(&day), 422, life),
        ("create join-token --expires 2592001s", "POST", "/v1/join-tokens", Some(&month), 422, life),
        ("", "POST", "/v1/tokens", Some(&tenant), 422, "token \"t\" has role tenant; say whose with \"--tenant NAME\""),
        ("", "POST", "/v1/tokens", Some(&admin), 422, "token \"t\" has role admin, which no tenant confines"),
        (
            "create token t --role reader --tenant x",
            "POST",
            "/v1/tokens",
            Some(&nobody),
            422,
            "there is no tenant \"x\"; create it with \"netvirt create tenant x\"",
        ),
        (
            "delete token admin",
            "DELETE",
            "/v1/tokens/admin",
            None,
            409,
            "is the last one of role admin that does not end",
        ),
        (
            "delete token t",
            "DELETE",
            "/v1/tokens/t",
            None,
            404,
            "there is no token \"t\"; \"netvirt get tokens\" lists",
        ),
    ] {
        refused_both(&fabric, command, (method, path, &[], body), status, words);
    }
}

/// Makes so many tokens of a sort, on one connection.
#[track_caller]
fn make(fabric: &Fabric, path: &str, count: usize, body: impl Fn(usize) -> Value) {
    let rest = fabric.rest();
    let mut config = tempfile::NamedTempFile::new().unwrap();
    for number in 0..count {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!(
            "next\nurl = \"{}{path}\"\ncacert = \"{}\"\nheader = \"Authorization: Bearer {}\"\nheader = \
             \"Content-Type: application/json\"\ndata = \"{}\"\nsilent\nshow-error\nfail\noutput = \"/dev/null\"\n",
            rest.url,
            rest.authority.display(),
            rest.token,
            quoted(&body(number).to_string())
        );
        // The first has nothing before it.
        let text = if number == 0 { text.trim_start_matches("next\n") } else { &text };
        std::io::Write::write_all(&mut config, text.as_bytes()).unwrap();
    }
    let config = config.path().display().to_string();
    let output = rest.node.output(&["curl", "--config", &config], Duration::from_secs(60)).unwrap();
    output.ok().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn there_are_so_many_tokens_and_no_more() {
    let fabric = Fabric::alone();
    // One is the admin's own.
    make(&fabric, "/v1/tokens", 999, |number| json!({"name": format!("t{number}"), "role": "reader"}));
    let (token, any) = (json!({"name": "more", "role": "reader"}), json!({}));
    let request = ("POST", "/v1/tokens", &[][..], Some(&token));
    let words = "there are 1000 tokens, which is the most; delete some";
    refused_both(&fabric, "create token more --role reader", request, 409, words);
    fabric.op("delete token t0");
    fabric.op("create token more --role reader");
    make(&fabric, "/v1/join-tokens", 1000, |_| json!({}));
    let request = ("POST", "/v1/join-tokens", &[][..], Some(&any));
    let words = "1000 join tokens wait to be used, which is the most; use them, or wait until they end";
    refused_both(&fabric, "create join-token", request, 409, words);
}

#[test]
fn what_is_too_large_is_refused_before_it_is_done() {
    let fabric = Fabric::alone();
    let rest = fabric.rest();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    let sentence = problem(&rest.send("POST", "/v1/changes", &[], Some(&path)), 413);
    assert_eq!(sentence, "the request is larger than 64 MiB; send the changes in several requests");
    let delete = r#"{"delete":{"key":{"kind":"port","name":"a"}}}"#;
    let changes = vec![delete; 250_001].join(",");
    std::fs::write(&path, format!(r#"{{"changes":[{changes}]}}"#)).unwrap();
    let sentence = problem(&rest.send("POST", "/v1/changes", &[], Some(&path)), 400);
    assert_eq!(sentence, "250001 changes are more than the 250000 that one request may have; send several");
    // It answers others as before.
    fabric.op("status");
}
