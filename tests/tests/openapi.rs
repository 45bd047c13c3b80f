//! The controller answers as its OpenAPI document says, and in no other way: schemathesis makes requests out of the
//! document, right ones and wrong ones, and judges every answer. Needs root, and schemathesis (`scripts/tools test`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tests::fabric::Fabric;

/// How long one run may take; on an idle machine it needs a fourth of it.
const LIMIT: Duration = Duration::from_secs(160);

/// Requests are drawn from here on, so that a run that finds something finds it again.
const SEED: &str = "20637";

/// Where the requests of the second run lead: each kind has a resource of this name.
const FOUND: &str = "[parameters]\n\"path.name\" = \"default\"\n\"path.tenant\" = \"default\"\n";

/// What is asked of a host: 503 is the right answer while its agent is not there, as in both runs; of all else it is a fault.
const ASKED_OF_HOSTS: &str = "[[operations]]
include-operation-id = [\"askCounters\", \"getHostStatus\", \"getHostTunnels\", \"getLeases\", \"getPortCounters\", \"tracePacket\"]
checks.not_a_server_error.expected-statuses = [\"2xx\", \"3xx\", \"4xx\", 503]
";

/// One resource of each kind (tenant and MAC pool are there from the first start), all of one name, each standing on
/// the others.
const ONE_OF_EACH: &str = "\
{kind: logical-network, name: default, spec: {networkVirtualization: true, sites: [{name: hall, subnets: [{prefix: 192.168.4.0/24}]}], providerPools: [{name: pa, prefix: 192.168.4.0/24, ranges: [192.168.4.100-192.168.4.199]}]}}
---
{kind: host, name: default, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.15/24], logicalNetworks: [default]}]}}
---
{kind: vm-network, name: default, spec: {logicalNetwork: default}}
---
{kind: vm-subnet, name: default, spec: {vmNetwork: default, prefixes: [10.10.0.0/16, 'fd00:10::/64']}}
---
{kind: ip-pool, name: default, spec: {vmSubnet: default, ranges: [10.10.1.100-10.10.1.130], dnsServers: [10.10.0.53], dnsSuffixes: [vm.example.com], routes: [{prefix: 10.20.0.0/16, nextHop: 10.10.0.9}]}}
---
{kind: customer-route, name: default, spec: {vmNetwork: default, prefix: 0.0.0.0/0, nextHop: 10.10.1.100}}
---
{kind: port, name: default, spec: {host: default, device: tap0, vmNetwork: default, vmName: default}}
";

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program: what `scripts/tools` put into the project, or else any that is found.
fn schemathesis() -> String {
    let own = root().join(".tools/bin/schemathesis");
    if own.exists() { own.display().to_string() } else { "schemathesis".to_owned() }
}

/// Lets schemathesis judge the controller; it may find nothing. Returns how many requests it made.
///
/// All of its checks take part but one: whether what fits the schema is also taken depends on what is declared already,
/// which no schema can say. A watch never ends, and an import is no JSON, so both are left to tests of their own.
#[track_caller]
fn judge(fabric: &Fabric, config: &str, options: &[&str]) -> u64 {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (config_file, report, home) = (path("schemathesis.toml"), path("report.json"), path(""));
    std::fs::write(&config_file, config).expect("a scratch file takes text");
    let rest = fabric.rest();
    let (document, authority) = (format!("{}/v1/openapi.json", rest.url), rest.authority.display().to_string());
    let (program, bearer) = (schemathesis(), format!("Authorization: Bearer {}", rest.token));
    // It keeps notes in the working directory.
    let run = ["env", "-C", &home, &program, "--no-color", "--config-file", &config_file, "run", &document];
    let whom = ["--url", &rest.url, "--tls-verify", &authority, "--header", &bearer];
    let checks = ["--checks", "all", "--exclude-checks", "positive_data_acceptance", "--continue-on-failure"];
    let paths = ["--exclude-path", "/v1/watch", "--exclude-path", "/v1/import"];
    let how = ["--seed", SEED, "--generation-database", "none", "--no-shrink", "--request-timeout", "20"];
    let told = ["--report", "json", "--report-json-path", &report];
    let command = [&run[..], &whom, &checks, &paths, &how, &told, options].concat();
    let output = rest.node.output(&command, LIMIT).unwrap_or_else(|error| {
        panic!("{error}; \"scripts/tools test\" installs schemathesis into .tools/bin of the project")
    });
    assert!(output.success(), "schemathesis found something:\n{}{}", output.stdout, output.stderr);
    let text = std::fs::read_to_string(&report).unwrap_or_else(|error| panic!("{report}: {error}"));
    let report: Value = serde_json::from_str(&text).expect("the report is JSON");
    assert_eq!(report["complete"], true, "{text}");
    assert_eq!(report["operations"]["tested"], report["operations"]["selected"], "{text}");
    assert_eq!(report["operations"]["errored"], 0, "{text}");
    report["test_cases"]["generated"].as_u64().unwrap_or_default()
}

/// The controller still knows its admin, and has taken some of the requests.
#[track_caller]
fn assert_changed(fabric: &Fabric) {
    let status = fabric.json("status");
    let changes = status["revision"].as_u64().unwrap_or_default();
    assert!(changes > 15, "no more than {changes} changes came of the requests: {status}");
}

#[test]
fn what_is_served_is_the_document_that_is_checked_in() {
    let fabric = Fabric::alone();
    let served = fabric.rest().ask("GET", "/v1/openapi.json", &[], None);
    assert_eq!((served.status, served.content_type.as_str()), (200, "application/json"));
    let file = root().join("docs/openapi.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let kept: Value = serde_json::from_str(&text).expect("the document is JSON");
    assert!(
        served.body == kept,
        "docs/openapi.json is not what the controller serves; renew it with \"NETVIRT_RENEW=1 cargo test -p api openapi\""
    );
}

#[test]
fn an_empty_controller_does_nothing_undocumented() {
    let fabric = Fabric::alone();
    // It would list the tokens, end its own, and be refused all else; the other run ends tokens.
    let requests = judge(&fabric, ASKED_OF_HOSTS, &["--max-examples", "2", "--exclude-operation-id", "deleteToken"]);
    assert!(requests > 5000, "only {requests} requests were made");
    assert_changed(&fabric);
}

#[test]
fn a_controller_with_resources_does_nothing_undocumented() {
    let fabric = Fabric::alone();
    // Its host is nobody's, so that nothing of it comes into force.
    fabric.try_apply(ONE_OF_EACH, &[]).ok().unwrap_or_else(|error| panic!("{error}"));
    let requests =
        judge(&fabric, &format!("{FOUND}{ASKED_OF_HOSTS}"), &["--max-examples", "10", "--phases", "examples,fuzzing"]);
    assert!(requests > 500, "only {requests} requests were made");
    assert_changed(&fabric);
}
