//! Every refusal of the controller is one sentence, whoever asks: the same from the command line, as a set of changes and
//! as a request for one resource, with the status and the type that a program decides by. Needs root.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::fabric::Fabric;
use tests::refusal::{complaint, problem, refused_both};
use tests::rest::Rest;

/// What there is before anything is refused.
const DECLARED: &str = "\
{kind: logical-network, name: TDIv2, spec: {networkVirtualization: true}}
---
{kind: host, name: host15, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.15/24], logicalNetworks: [TDIv2]}]}}
---
{kind: host, name: host16, spec: {uplinks: [{interface: eth0, addresses: [192.168.4.16/24], logicalNetworks: [TDIv2]}]}}
---
{kind: host, name: host18, spec: {uplinks: [{interface: eth0, addresses: [], logicalNetworks: [TDIv2]}]}}
---
{kind: vm-network, name: AAA, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, name: test, spec: {vmNetwork: AAA, prefixes: [10.10.0.0/16]}}
---
{kind: ip-pool, name: CA Pool, spec: {vmSubnet: test, ranges: [10.10.1.100-10.10.1.130]}}
---
{kind: port, name: test01, spec: {host: host16, vmNetwork: AAA, mac: 00-1D-D8-B7-1C-00}}
---
{kind: vm-network, name: none yet, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-network, name: dry, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, name: dry, spec: {vmNetwork: dry, prefixes: [10.0.0.0/16]}}
---
{kind: vm-network, name: two, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, name: two-1, spec: {vmNetwork: two, prefixes: [10.1.0.0/16]}}
---
{kind: vm-subnet, name: two-2, spec: {vmNetwork: two, prefixes: [10.2.0.0/16]}}
---
{kind: vm-network, name: tiny, spec: {logicalNetwork: TDIv2}}
---
{kind: vm-subnet, name: tiny, spec: {vmNetwork: tiny, prefixes: [10.0.0.0/30]}}
---
{kind: ip-pool, name: tiny, spec: {vmSubnet: tiny, ranges: [10.0.0.0-10.0.0.3]}}
---
{kind: port, name: tiny, spec: {vmNetwork: tiny, mac: 00-1D-D8-B7-1C-01}}
---
{kind: logical-network, name: Office, spec: {sites: [{name: hall, subnets: [{prefix: 172.16.0.0/16, vlan: 42}, {prefix: 172.17.0.0/16, vlan: 43}]}]}}
---
{kind: logical-network, name: Annex}
---
{kind: host, name: host17, spec: {uplinks: [{interface: eth1, addresses: [], logicalNetworks: [Office, Annex]}]}}
---
{kind: vm-network, name: floor, spec: {logicalNetwork: Office, isolation: vlan}}
---
{kind: vm-subnet, name: desk, spec: {vmNetwork: floor, vlan: 42, prefixes: [172.16.0.0/16], gateways: [172.16.0.254]}}
---
{kind: vm-network, name: bare, spec: {logicalNetwork: Office, isolation: none}}
---
{kind: vm-subnet, name: open, spec: {vmNetwork: bare, prefixes: [10.0.0.0/16]}}
---
{kind: port, name: bare, spec: {host: host17, vmNetwork: bare, mac: 00-1D-D8-B7-1C-02}}
---
{kind: vm-network, name: annex, spec: {logicalNetwork: Annex, isolation: none}}
---
{kind: vm-subnet, name: annex, spec: {vmNetwork: annex, prefixes: [10.0.0.0/24]}}
---
{kind: logical-network, name: drawn, spec: {networkVirtualization: true, providerPools: [{name: pa, prefix: 192.168.5.0/24, ranges: [192.168.5.100]}]}}
---
{kind: host, name: host21, spec: {uplinks: [{interface: eth0, addresses: [192.168.5.1/24], logicalNetworks: [drawn]}]}}
---
{kind: tenant, name: red, spec: {quota: {ports: 1}}}
---
{kind: port, tenant: red, name: one, spec: {mac: 00-1D-D8-B7-1C-03}}
---
{kind: mac-pool, name: default, spec: {ranges: [00-1D-D8-B7-1C-00..00-1D-D8-B7-1C-03]}}
";

/// Refusals that nobody can provoke in a test of some seconds, and why. `plan` has their sentences in its unit tests.
const ELSEWHERE: [(&str, &str); 2] = [
    ("Full", "it takes 1,048,576 resources, and gigabytes of memory"),
    ("Exhausted", "it takes 16,773,119 VM subnets, more than resources there can be, or as many random numbers alike"),
];

/// One refusal: the variant of `plan::fabric::Refusal`, the HTTP status, what stands in the sentence, the verb that asks
/// for it if there is one that can, and what is declared, in JSON, one after the other.
type Case<T> = (&'static str, u16, &'static str, &'static str, T);

const CONFLICT: u16 = 409;
const INVALID: u16 = 422;

// A table: what differs stands in one column.
#[rustfmt::skip]
const CASES: &[Case<&str>] = &[
    ("HostName", INVALID, r#"a host would know it as "a b""#,
        "",
        r#"{"kind": "port", "name": "a b", "spec": {}}"#),
    ("InterfaceName", INVALID, "cannot be the name of an interface",
        "create port a-name-of-sixteen --host host15",
        r#"{"kind": "port", "name": "a-name-of-sixteen", "spec": {"host": "host15"}}"#),
    ("ControlCharacter", INVALID, "vmName has a control character in it",
        "",
        r#"{"kind": "port", "name": "x", "spec": {"vmName": "a\tb"}}"#),
    ("Twice", INVALID, "uplink a stands there twice",
        "",
        r#"{"kind": "host", "name": "h", "spec": {"uplinks": [{"interface": "a", "addresses": []}, {"interface": "a", "addresses": []}]}}"#),
    ("Empty", INVALID, r#"host h has no uplink; name at least one with "--uplink NAME""#,
        "",
        r#"{"kind": "host", "name": "h", "spec": {"uplinks": []}}"#),
    ("HostBits", INVALID, "10.0.0.1/24 has bits set behind its length; write 10.0.0.0/24",
        "create vm-subnet s --vm-network AAA --prefix 10.0.0.1/24",
        r#"{"kind": "vm-subnet", "name": "s", "spec": {"vmNetwork": "AAA", "prefixes": ["10.0.0.1/24"]}}"#),
    ("PrefixLength", INVALID, "the length of 10.0.0.0/31 is out of range; choose one of 1 to 30 bits",
        "create vm-subnet s --vm-network AAA --prefix 10.0.0.0/31",
        r#"{"kind": "vm-subnet", "name": "s", "spec": {"vmNetwork": "AAA", "prefixes": ["10.0.0.0/31"]}}"#),
    ("NotUnicast", INVALID, "224.0.0.0 is not a unicast address",
        "create vm-subnet s --vm-network AAA --prefix 224.0.0.0/8",
        r#"{"kind": "vm-subnet", "name": "s", "spec": {"vmNetwork": "AAA", "prefixes": ["224.0.0.0/8"]}}"#),
    ("PrefixOverlap", CONFLICT, "10.10.7.0/24 overlaps with 10.10.0.0/16 of VM subnet test",
        "create vm-subnet s --vm-network AAA --prefix 10.10.7.0/24",
        r#"{"kind": "vm-subnet", "name": "s", "spec": {"vmNetwork": "AAA", "prefixes": ["10.10.7.0/24"]}}"#),
    ("RangeOverlap", CONFLICT, "overlaps with 10.10.1.100-10.10.1.130 of IP pool CA Pool",
        "create ip-pool p --vm-subnet test --range 10.10.1.120-10.10.1.140",
        r#"{"kind": "ip-pool", "name": "p", "spec": {"vmSubnet": "test", "ranges": ["10.10.1.120-10.10.1.140"]}}"#),
    ("MacRangeOverlap", CONFLICT, "overlaps with 00-1D-D8-B7-1C-00..00-1D-D8-B7-1C-03 of MAC pool default",
        "create mac-pool m --range 00-1D-D8-B7-1C-03..00-1D-D8-B7-1C-04",
        r#"{"kind": "mac-pool", "name": "m", "spec": {"ranges": ["00-1D-D8-B7-1C-03..00-1D-D8-B7-1C-04"]}}"#),
    ("RangeOutside", INVALID, "10.11.0.5 is not inside of one of the prefixes 10.10.0.0/16",
        "create ip-pool p --vm-subnet test --range 10.11.0.5",
        r#"{"kind": "ip-pool", "name": "p", "spec": {"vmSubnet": "test", "ranges": ["10.11.0.5"]}}"#),
    ("DnsSuffix", INVALID, r#""a..b" is not a domain name"#,
        "create ip-pool p --vm-subnet test --range 10.10.2.1 --dns-suffix a..b",
        r#"{"kind": "ip-pool", "name": "p", "spec": {"vmSubnet": "test", "ranges": ["10.10.2.1"], "dnsSuffixes": ["a..b"]}}"#),
    ("Families", INVALID, "10.1.0.0/16 and its next hop fd00::1 are of different families",
        "create ip-pool p --vm-subnet test --range 10.10.2.1 --route 10.1.0.0/16=fd00::1",
        r#"{"kind": "ip-pool", "name": "p", "spec": {"vmSubnet": "test", "ranges": ["10.10.2.1"], "routes": [{"prefix": "10.1.0.0/16", "nextHop": "fd00::1"}]}}"#),
    ("Missing", INVALID, "VM network n names logical network none, which does not exist; create it with",
        "create vm-network n --logical-network none",
        r#"{"kind": "vm-network", "name": "n", "spec": {"logicalNetwork": "none"}}"#),
    ("NotVirtualized", INVALID, "logical network Office does not allow network virtualization; allow it with",
        "create vm-network n --logical-network Office",
        r#"{"kind": "vm-network", "name": "n", "spec": {"logicalNetwork": "Office"}}"#),
    ("FlatTwice", CONFLICT, "is the VM network of logical network Office without isolation",
        "create vm-network n --logical-network Office --isolation none",
        r#"{"kind": "vm-network", "name": "n", "spec": {"logicalNetwork": "Office", "isolation": "none"}}"#),
    ("Isolation", INVALID, "vlan is for isolation vlan only, and VM network bare has isolation none",
        "create vm-subnet s --vm-network bare --vlan 43",
        r#"{"kind": "vm-subnet", "name": "s", "spec": {"vmNetwork": "bare", "vlan": 43}}"#),
    ("NoVlan", INVALID, "names no VLAN, and VM network floor has isolation vlan; name one of 42, 43",
        "create vm-subnet s --vm-network floor",
        r#"{"kind": "vm-subnet", "name": "s", "spec": {"vmNetwork": "floor"}}"#),
    ("UnknownVlan", INVALID, "logical network Office has VLAN 44 at no site; its VLANs are 42, 43",
        "create vm-subnet s --vm-network floor --vlan 44",
        r#"{"kind": "vm-subnet", "name": "s", "spec": {"vmNetwork": "floor", "vlan": 44}}"#),
    ("VlanPrefix", INVALID, "172.18.0.0/16 is inside of none of the prefixes that VLAN 43",
        "create vm-subnet s --vm-network floor --vlan 43 --prefix 172.18.0.0/16",
        r#"{"kind": "vm-subnet", "name": "s", "spec": {"vmNetwork": "floor", "vlan": 43, "prefixes": ["172.18.0.0/16"]}}"#),
    ("GatewayTwice", INVALID, "there are two IPv4 gateways",
        "create vm-subnet s --vm-network floor --vlan 43 --prefix 172.17.0.0/16 --gateway 172.17.0.1 --gateway 172.17.0.2",
        r#"{"kind": "vm-subnet", "name": "s", "spec": {"vmNetwork": "floor", "vlan": 43, "prefixes": ["172.17.0.0/16"], "gateways": ["172.17.0.1", "172.17.0.2"]}}"#),
    ("AddressKept", INVALID, "gateway 172.17.0.0 is the gateway, network or broadcast address of VM subnet s",
        "create vm-subnet s --vm-network floor --vlan 43 --prefix 172.17.0.0/16 --gateway 172.17.0.0",
        r#"{"kind": "vm-subnet", "name": "s", "spec": {"vmNetwork": "floor", "vlan": 43, "prefixes": ["172.17.0.0/16"], "gateways": ["172.17.0.0"]}}"#),
    ("Fixed", CONFLICT, "the VSID of VM subnet test cannot change while it is in use by port test01",
        "set vm-subnet test --vsid 5001",
        r#"{"kind": "vm-subnet", "name": "test", "spec": {"vmNetwork": "AAA", "prefixes": ["10.10.0.0/16"], "vsid": 5001}}"#),
    ("LeftOut", CONFLICT, "the new prefixes and gateways would leave out what is in use by IP pool CA Pool",
        "",
        r#"{"kind": "vm-subnet", "name": "test", "spec": {"vmNetwork": "AAA", "prefixes": ["10.10.0.0/24"]}}"#),
    ("ProvidersExhausted", CONFLICT, "provider pool pa of logical network drawn has given all of its 1 addresses",
        "",
        r#"{"kind": "host", "name": "host22", "spec": {"uplinks": [{"interface": "eth0", "addresses": ["192.168.5.2/24"], "logicalNetworks": ["drawn"]}]}}"#),
    ("Quota", CONFLICT, "tenant red has 1 ports, as many as its quota allows",
        "create port two --tenant red",
        r#"{"kind": "port", "tenant": "red", "name": "two", "spec": {}}"#),
    ("Claimed", CONFLICT, "MAC address 00-1D-D8-B7-1C-00 belongs to port test01 already",
        "create port x --mac 00-1D-D8-B7-1C-00",
        r#"{"kind": "port", "name": "x", "spec": {"mac": "00-1D-D8-B7-1C-00"}}"#),
    ("GatewayMac", INVALID, "MAC address 02-4E-56-00-00-01 is the one of every gateway",
        "create port x --mac 02-4E-56-00-00-01",
        r#"{"kind": "port", "name": "x", "spec": {"mac": "02-4E-56-00-00-01"}}"#),
    ("AddressOutside", INVALID, "address 10.11.0.5 is in none of the prefixes 10.10.0.0/16",
        "create port x --vm-network AAA --address 10.11.0.5",
        r#"{"kind": "port", "name": "x", "spec": {"vmNetwork": "AAA", "addresses": ["10.11.0.5"]}}"#),
    ("NoVmSubnet", INVALID, r#"VM network none yet has no VM subnet; create one with "netvirt create vm-subnet"#,
        "",
        r#"{"kind": "port", "name": "x", "spec": {"vmNetwork": "none yet"}}"#),
    ("NoIpPool", INVALID, r#"has no IP pool; create one with "netvirt create ip-pool NAME --vm-subnet dry"#,
        "create port x --vm-network dry --mac 00-1D-D8-00-00-01",
        r#"{"kind": "port", "name": "x", "spec": {"vmNetwork": "dry", "mac": "00-1D-D8-00-00-01"}}"#),
    ("PoolExhausted", CONFLICT, "IP pool tiny has given all of its 1 IPv4 addresses; add a range with",
        "create port x --vm-network tiny --mac 00-1D-D8-00-00-01",
        r#"{"kind": "port", "name": "x", "spec": {"vmNetwork": "tiny", "mac": "00-1D-D8-00-00-01"}}"#),
    ("MacsExhausted", CONFLICT, r#"the MAC pools have given all of their 4 addresses; name one with "--mac""#,
        "create port x",
        r#"{"kind": "port", "name": "x", "spec": {}}"#),
    ("WhichVmSubnet", INVALID, "VM network two has several VM subnets (two-1, two-2); say which with",
        "create port x --vm-network two",
        r#"{"kind": "port", "name": "x", "spec": {"vmNetwork": "two"}}"#),
    ("Elsewhere", INVALID, "VM subnet desk belongs to VM network floor, not to VM network AAA",
        "create port x --vm-network AAA --vm-subnet desk",
        r#"{"kind": "port", "name": "x", "spec": {"vmNetwork": "AAA", "vmSubnet": "desk"}}"#),
    ("Unconnected", INVALID, "port x names addresses but no VM network",
        "create port x --address 10.10.0.5",
        r#"{"kind": "port", "name": "x", "spec": {"addresses": ["10.10.0.5"]}}"#),
    ("Learnt", INVALID, "with addressing learnt the VM chooses its addresses; leave addresses out",
        "create port x --vm-network AAA --addressing learnt --address 10.10.0.5",
        r#"{"kind": "port", "name": "x", "spec": {"vmNetwork": "AAA", "addressing": "learnt", "addresses": ["10.10.0.5"]}}"#),
    ("NotCarried", INVALID, "host host17 has no uplink in logical network TDIv2; add it to one with",
        "create port x --host host17 --vm-network AAA",
        r#"{"kind": "port", "name": "x", "spec": {"host": "host17", "vmNetwork": "AAA"}}"#),
    ("NoProviderAddress", INVALID, "host host18 has no provider address in logical network TDIv2",
        "create port x --host host18 --vm-network AAA",
        r#"{"kind": "port", "name": "x", "spec": {"host": "host18", "vmNetwork": "AAA"}}"#),
    ("DeviceIsUplink", INVALID, r#""eth0" is an uplink of host host15"#,
        "create port x --host host15 --device eth0",
        r#"{"kind": "port", "name": "x", "spec": {"host": "host15", "device": "eth0"}}"#),
    ("SharedPhysical", INVALID, "it would share the physical network eth1 with VM subnet open",
        "create port x --host host17 --vm-network annex",
        r#"{"kind": "port", "name": "x", "spec": {"host": "host17", "vmNetwork": "annex"}}"#),
    ("ChangedTwice", INVALID, "port x is changed twice in one set of changes; keep one of the two",
        "",
        r#"{"kind": "port", "name": "x", "spec": {}} {"kind": "port", "name": "x", "spec": {"vmName": "x"}}"#),
];

/// All cases, with those that are too long to be written down.
fn cases() -> Vec<Case<Vec<Value>>> {
    let read = |text: &str| serde_json::Deserializer::from_str(text).into_iter().map(Result::unwrap).collect();
    let mut cases: Vec<Case<Vec<Value>>> = CASES
        .iter()
        .map(|&(variant, status, words, command, wanted)| (variant, status, words, command, read(wanted)))
        .collect();
    let ranges: Vec<String> = (0..257).map(|at| format!("10.10.{}.{}", 2 + at / 200, 1 + at % 200)).collect();
    let pool = json!({"kind": "ip-pool", "name": "p", "spec": {"vmSubnet": "test", "ranges": ranges}});
    cases.push(("TooMany", INVALID, "IP pool p has 257 ranges; at most 256 are possible", "", vec![pool]));
    let addresses: Vec<String> = (10..27).map(|at| format!("10.10.0.{at}")).collect();
    let port = json!({"kind": "port", "name": "x", "spec": {"vmNetwork": "AAA", "addresses": addresses}});
    cases.push(("TooMany", INVALID, "port x has 17 addresses; at most 16 are possible", "", vec![port]));
    cases
}

/// Where a resource is.
fn path(resource: &Value) -> String {
    let word = |field: &str| resource[field].as_str().map(|word| word.replace(' ', "%20"));
    let tenant = word("tenant").map(|tenant| format!("/tenants/{tenant}")).unwrap_or_default();
    format!("/v1{tenant}/{}s/{}", word("kind").unwrap(), word("name").unwrap())
}

/// The sentence is the same on all ways, and names what is wrong.
#[track_caller]
fn refused_everywhere(fabric: &Fabric, rest: &Rest, (variant, status, words, command, wanted): &Case<Vec<Value>>) {
    let puts: Vec<Value> = wanted.iter().map(|resource| json!({"put": {"resource": resource}})).collect();
    let sentence = problem(&rest.ask("POST", "/v1/changes", &[], Some(&json!({"changes": puts}))), *status);
    assert!(sentence.contains(words), "{variant}: {sentence}");
    // JSON is YAML too.
    let yaml = wanted.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n");
    assert_eq!(complaint(&fabric.try_apply(&yaml, &[])), sentence, "{variant}: netvirt apply");
    if let [resource] = wanted.as_slice() {
        let reply = rest.ask("PUT", &path(resource), &[], Some(resource));
        assert_eq!(problem(&reply, *status), sentence, "{variant}: PUT {}", path(resource));
    }
    if !command.is_empty() {
        let words: Vec<_> = command.split_whitespace().collect();
        assert_eq!(complaint(&fabric.try_op(&words)), sentence, "netvirt {command}");
    }
}

/// The variants of the enum, as its source has them.
fn variants() -> BTreeSet<&'static str> {
    let source = include_str!("../../crates/plan/src/fabric/refusal.rs");
    let body = source.split_once("pub enum Refusal {").expect("the enum").1;
    let body = body.split_once("\n}").expect("its end").0;
    body.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" {")).filter(|name| is_word(name)).collect()
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase()) && text.chars().all(char::is_alphanumeric)
}

#[test]
fn every_refusal_is_one_sentence_for_all() {
    let fabric = Fabric::alone();
    let rest = fabric.rest();
    fabric.try_apply(DECLARED, &[]).ok().unwrap_or_else(|error| panic!("{error}"));
    let before = fabric.json("status")["revision"].clone();
    let cases = cases();
    for case in &cases {
        refused_everywhere(&fabric, &rest, case);
    }
    let (new, stale) = (json!({"kind": "port", "name": "x"}), ["If-Match: \"1\""]);
    let present = json!({"kind": "port", "name": "test01", "spec": {"host": "host16", "vmNetwork": "AAA"}});
    for (command, request, status, words) in [
        (
            "delete port x",
            ("DELETE", "/v1/ports/x", &[][..], None),
            404,
            "there is no port x; \"netvirt get ports\" lists",
        ),
        ("", ("PUT", "/v1/ports/x", &stale, Some(&new)), 404, "there is no port x; \"netvirt get ports\" lists"),
        (
            "create port test01 --host host16 --vm-network AAA",
            ("POST", "/v1/ports", &[], Some(&present)),
            409,
            "port test01 exists already; change it with \"netvirt set port test01\"",
        ),
        (
            "set port test01 --vm-name x --revision 1",
            ("PUT", "/v1/ports/test01", &stale, Some(&present)),
            412,
            "not 1: somebody changed it meanwhile; look at it with \"netvirt get port test01\" and try again",
        ),
        (
            "delete host host16",
            ("DELETE", "/v1/hosts/host16", &[], None),
            409,
            "host host16 is in use by port test01; delete or change these first",
        ),
    ] {
        refused_both(&fabric, command, request, status, words);
    }
    assert_eq!(fabric.json("status")["revision"], before, "a refusal changed something");
    let mut covered: BTreeSet<&str> = cases.iter().map(|case| case.0).collect();
    covered.extend(["NotFound", "AlreadyExists", "Revision", "InUse"]);
    let reasons = ELSEWHERE.map(|(variant, reason)| format!("{variant}: {reason}"));
    println!("{} of {} refusals provoked; not {}", covered.len(), variants().len(), reasons.join("; "));
    let listed: BTreeSet<&str> = covered.iter().copied().chain(ELSEWHERE.map(|(variant, _)| variant)).collect();
    assert_eq!(listed, variants(), "each refusal has a case, or a reason why it has none");
    assert_eq!(listed.len(), covered.len() + ELSEWHERE.len(), "what has a case needs no reason");
}
