//! What is wrong with a topology is said with its place, its value and what to do; the examples are right.

use std::path::{Path, PathBuf};

use lab::{Topology, UnderlayKind};

fn refusal(text: &str) -> String {
    Topology::from_yaml(text).expect_err("it is refused").to_string()
}

const HOSTS: &str = "name: x\nhosts:\n  - {name: h1, addresses: [192.168.4.11/24]}\n";

#[test]
fn what_is_no_topology_is_refused_with_line_and_column() {
    for (text, place, words) in [
        ("name: x\nhosts: [", "line 2", ""),
        ("name: x\nhosts:\n  - {name: h1, addresses: [192.168.4.11/24], agnet: true}\n", "line 3, column 46", "agnet"),
        ("name: x\nhosts:\n  - {name: h1, addresses: [192.168.4.311/24]}\n", "line 3, column 28", "invalid"),
        ("name: x\nunderlay: {kind: ring}\nhosts: []\n", "line 2, column 18", "ring"),
        ("hosts: []\n", "line 1", "name"),
        (
            &format!("{HOSTS}vms:\n  - name: v\n    host: h1\n    mac: 06-06-00-00-00-05\n    vsid: 70\n"),
            "line 8",
            "VSID 70 is out of range; choose one of 4096 to 16777214",
        ),
        (&format!("{HOSTS}vms:\n  - {{name: v, host: h1, mac: 01-00-5e-00-00-05}}\n"), "line 5", "multicast"),
        (&format!("{HOSTS}resources:\n  - kind: lookup-rekord\n    spec: {{}}\n"), "line 5", "lookup-rekord"),
    ] {
        let refused = refusal(text);
        assert!(refused.starts_with(place) && refused.contains(words), "{text}\nis refused so: {refused}");
    }
}

#[test]
fn all_contradictions_are_named_at_once() {
    let refused = refusal(
        r#"
name: x
underlay: {kind: cable, mtu: 500}
hosts:
  - {name: h1, addresses: [192.168.4.11/24]}
  - {name: h2, addresses: [192.168.4.11/24]}
  - {name: router, addresses: [], agent: false}
vms:
  - {name: h1, host: h7, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24], mtu: 100}
  - name: v2
    host: h1
    mac: 06-06-00-00-00-05
    vsid: 5001
    addresses: [10.0.0.5/24]
    routes: [{to: 0.0.0.0/0, via: 10.9.0.1}, {to: 0.0.0.0/0, via: "fd00::1"}]
  - {name: v3, host: h1, mac: 06-06-00-00-00-05, vsid: 6001, addresses: [10.0.0.5/24]}
resources:
  - kind: provider-address
    spec: {address: 192.168.4.11, interface: eth0, prefixLength: 24}
"#,
    );
    for sentence in [
        "two nodes are named h1",
        "a node is named router, which is the underlay's own",
        "a cable joins exactly two hosts, and there are 3",
        "the underlay's MTU is 500; choose one of 1280 to 65535",
        "192.168.4.11 is an address of both h1 and h2",
        "host router has no address",
        "VM h1 is on host h7, which is not under \"hosts\"",
        "the MTU of VM h1 is 100",
        "06-06-00-00-00-05 is the MAC address of both h1 and v2 in one VM subnet",
        "10.0.0.5 is an address of both h1 and v2 in one VM subnet",
        "via 10.9.0.1, which is in the prefix of none of its addresses",
        "via fd00::1, which is of the other IP version",
        "provider-address 192.168.4.11 is under \"resources\"",
    ] {
        assert!(refused.contains(sentence), "{sentence}\nis not in\n{refused}");
    }
    assert!(!refused.contains("v3"), "another VM subnet may have the same addresses: {refused}");
}

#[test]
fn a_router_needs_subnets_that_differ() {
    let text = "name: x\nunderlay: {kind: routed}\nhosts:\n  - {name: h1, addresses: [192.168.4.11/24]}\n  - {name: \
                h2, addresses: [192.168.4.22/24]}\n  - {name: h3, addresses: [10.0.0.1/32]}\n";
    let refused = refusal(text);
    assert!(refused.contains("192.168.4.22/24 of host h2 is in the same subnet as host h1"), "{refused}");
    assert!(refused.contains("the prefix of 10.0.0.1/32 (host h3) has no address left for the router"), "{refused}");
}

#[test]
fn a_name_that_makes_a_namespace_too_long_is_refused() {
    let text = HOSTS.replace("name: x", &format!("name: {}", "x".repeat(61)));
    assert!(refusal(&text).contains("is too long for a network namespace (64 characters of 63)"));
}

/// The folder of the examples.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

#[test]
fn every_example_is_a_legal_topology() {
    let mut count = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            Topology::from_file(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            count += 1;
        }
    }
    assert!(count >= 2);
}

#[test]
fn blue_red_is_the_story_that_the_readme_tells() {
    let topology = Topology::from_file(&examples().join("blue-red.yaml")).unwrap();
    assert_eq!(topology.underlay.kind, UnderlayKind::Segment);
    let vms: Vec<_> = topology
        .vms
        .iter()
        .map(|vm| {
            let vsid = vm.vsid.map(u32::from).unwrap_or_default();
            format!("{} {} {} {vsid} {}", vm.name, vm.host, vm.mac, vm.addresses[0])
        })
        .collect();
    assert_eq!(
        vms,
        [
            "blue1 host1 06-06-00-00-00-05 5001 10.0.0.5/24",
            "red1 host1 08-08-00-00-00-05 6001 10.0.0.5/24",
            "blue2 host2 06-06-00-00-00-07 5001 10.0.0.7/24",
            "red2 host2 08-08-00-00-00-07 6001 10.0.0.7/24",
        ]
    );
    let written = serde_json::to_string(&topology).unwrap();
    assert_eq!(serde_json::from_str::<Topology>(&written).unwrap(), topology);
}

#[test]
fn contradicting_records_are_refused_before_anything_is_built() {
    let record = |mac: &str| {
        format!(
            "  - kind: lookup-record\n    spec: {{vsid: 5001, customerAddress: 10.0.0.5, mac: {mac}, providerAddress: \
             192.168.4.11}}\n"
        )
    };
    let text = format!("{HOSTS}resources:\n{}{}", record("06-06-00-00-00-05"), record("06-06-00-00-00-06"));
    let refused = refusal(&text);
    assert!(refused.contains("5001/10.0.0.5"), "{refused}");
}

#[test]
fn what_only_a_guest_has_is_refused_elsewhere_and_must_make_sense() {
    let vm = |fields: &str| format!("{HOSTS}vms:\n  - {{name: v, host: h1, mac: 06-06-00-00-00-05{fields}}}\n");
    for (fields, words) in [
        (", memory: 256", "VM v is a network namespace and has \"memory\""),
        (", kind: namespace, queues: 2", "and has \"queues\", which only a guest has"),
        (", kind: vm, memory: 64", "memory of VM v is 64; choose 96 to 65536 MiB"),
        (", kind: vm, cpus: 0", "cpus of VM v is 0; choose 1 to 16 processors"),
        (", kind: vm, cpus: 2, queues: 4", "VM v has 4 queues and 2 processors"),
    ] {
        let refused = refusal(&vm(fields));
        assert!(refused.contains(words), "{fields} is refused so: {refused}");
    }
    let refused = refusal(&vm(", kind: container"));
    assert!(refused.starts_with("line 5") && refused.contains("container"), "{refused}");
    Topology::from_yaml(&vm(", kind: vm, cpus: 4, queues: 4, memory: 512")).expect("a guest of four queues is legal");
}
