//! What hosts say through a controller, from the command line to what a person reads, over TLS.

mod support;

use serde_json::Value;
use support::Controller;

/// A host, and a port of Blue beside those of the default tenant; all ports are in subnets.
const MORE: &str = "\
{kind: host, name: host15, spec: {}}
---
{kind: tenant, name: blue}
---
{kind: vm-network, tenant: blue, name: net, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, tenant: blue, name: front, spec: {vmNetwork: net, prefixes: [10.10.0.0/16]}}
---
{kind: port, tenant: blue, name: web, spec: {vmNetwork: net, vmSubnet: front}}
";

fn controller() -> Controller {
    let controller = Controller::with_aaa();
    controller.ok(&["apply", "-f", "-"], MORE);
    controller.get("set port test01 --vm-subnet test");
    controller
}

fn json(controller: &Controller, line: &str) -> Value {
    serde_json::from_str(&controller.get(&format!("{line} -o json"))).unwrap()
}

#[test]
fn counters_are_a_line_a_port() {
    let controller = controller();
    let table = "PORT    SENT             RECEIVED         DROPPED\ntest01  5450 (534.1 kB)  5995 (587.5 kB)  0\n";
    assert_eq!(controller.get("get counters"), table);
    let wide = controller.get("get counters web --tenant blue -o wide");
    assert!(wide.lines().next().unwrap().ends_with("REASONS") && wide.contains("3 NoRoute"), "{wide}");
    let all = controller.get("get counters -A");
    assert!(all.starts_with("TENANT") && all.contains("blue ") && all.contains("default "), "{all}");
    let told = json(&controller, "get counters --tenant blue");
    assert_eq!((&told[0]["port"], &told[0]["tenant"]), (&"web".into(), &"blue".into()));
    assert_eq!(controller.get("get counters -o name"), "port/test01\n");
    let (code, err) = controller.refused("get counters nobody");
    assert!(code != 0 && err.contains("nobody"), "{err}");
    let (_, err) = controller.refused("get counters --watch");
    assert!(err.contains("counters cannot be watched"), "{err}");
    let (_, err) = controller.refused("delete counters test01");
    assert!(err.contains("counters are what hosts say"), "{err}");
}

#[test]
fn leases_are_a_line_an_address() {
    let controller = controller();
    let text = controller.get("get leases test");
    let line: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((line[1], line[3]), ("test01", "Bound"), "{text}");
    let told = json(&controller, "get leases -A");
    assert_eq!(told.as_array().unwrap().len(), 2, "{told}");
    assert!(told[0]["until"].as_str().unwrap().ends_with('Z'), "{told}");
    let (code, err) = controller.refused("get leases nowhere");
    assert!(code != 0 && err.contains("nowhere"), "{err}");
}

#[test]
fn what_a_host_says_stands_behind_what_is_known_of_it() {
    let controller = controller();
    let text = controller.get("describe host host15");
    let (known, said) = text.split_once("The host itself:\n").unwrap();
    assert!(known.starts_with("Name:                host15\n"), "{text}");
    for words in ["was missing and has been added", "sent 120 (16.8 kB)", "NoRoute"] {
        assert!(said.contains(words), "{words}: {text}");
    }
    let text = controller.get("get tunnels host15");
    assert!(
        text.starts_with("REMOTE        HOST    FLOWS  SENT") && text.contains("192.168.4.16  host16  2"),
        "{text}"
    );
    let (_, err) = controller.refused("get tunnels");
    assert!(err.contains("name one"), "{err}");
}

#[test]
fn a_trace_goes_from_host_to_host() {
    let controller = controller();
    let text = controller.get("trace --from test01 --to 10.10.1.101 --ttl 9");
    let places = ["On host host15:", "Packet: ", "Verdict: encapsulated", "On host host16:", "Verdict: delivered"];
    let places: Vec<_> = places.iter().map(|words| text.find(words)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    let told = json(&controller, "trace --from web --tenant blue --to 10.10.1.101");
    assert_eq!(told["legs"][1]["end"]["fate"], "delivered", "{told}");
    let last = controller.get("trace --from test01 --to 10.10.1.101 -o name");
    assert_eq!(last, "delivered to port test02 on this host\n");
    let (code, err) = controller.refused("trace --from web --to 10.10.1.101");
    assert!(code != 0 && err.contains("web"), "{err}");
    let (_, err) = controller.refused("trace --from test01 --to 10.10.1.101 --dest-port 80");
    assert!(err.contains("say which"), "{err}");
}
