//! Security groups: what nobody allowed does not reach a VM, on a host by itself and with a controller; rules that name
//! groups follow the VMs that are in them; and what is revoked ends flows that are under way. Needs root.

use lab::Node;
use tests::fabric::Fabric;
use tests::stage::{LIMIT, Stage};
use tests::tools::must_ping;

/// Whether a ping is answered.
fn pings(from: &Node, to: &str) -> bool {
    from.output(&["ping", "-n", "-c", "1", "-W", "1", to], LIMIT).expect("ping ends").success()
}

/// Changes something on a host; it must end well.
#[track_caller]
fn change(stage: &Stage, host: usize, arguments: &[&str]) {
    stage.netvirt(host, arguments).ok().unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_host_lets_pass_what_its_groups_allow() {
    let stage = Stage::blue_red();
    let (blue1, red1) = (stage.vm("blue1"), stage.vm("red1"));
    must_ping(&blue1, "10.0.0.7");
    // Nobody is in the group but the VM itself.
    change(&stage, 2, &["create", "security-group", "web"]);
    change(&stage, 2, &["set", "port", "blue2", "--security-group", "web"]);
    assert!(!pings(&blue1, "10.0.0.7"), "{}", stage.all_drops(2));
    // What the VM opens itself is answered, and others are not concerned.
    must_ping(&stage.vm("blue2"), "10.0.0.5");
    must_ping(&red1, "10.0.0.7");
    // By address, by service, with a denial before it, and by membership.
    let rule = |rules: &[&str]| {
        let rules = rules.iter().flat_map(|rule| ["--rule", *rule]);
        change(&stage, 2, &["set", "security-group", "web"].into_iter().chain(rules).collect::<Vec<_>>());
    };
    rule(&["ingress allow icmp 8 from 10.0.0.0/24"]);
    must_ping(&blue1, "10.0.0.7");
    rule(&["ingress allow icmp 8 from 10.0.0.0/24", "ingress deny any from 10.0.0.5/32 priority 10"]);
    assert!(!pings(&blue1, "10.0.0.7"), "what denies comes first");
    rule(&["ingress deny any from 10.0.0.0/24", "ingress allow icmp 8 from 10.0.0.5/32 priority 10"]);
    must_ping(&blue1, "10.0.0.7");
    rule(&["ingress allow tcp 80"]);
    assert!(!pings(&blue1, "10.0.0.7"));
    rule(&["ingress allow any from group:clients"]);
    assert!(!pings(&blue1, "10.0.0.7"));
    change(&stage, 2, &["set", "lookup-record", "5001/10.0.0.5", "--security-group", "clients"]);
    must_ping(&blue1, "10.0.0.7");
    change(&stage, 2, &["set", "lookup-record", "5001/10.0.0.5", "--security-group", ""]);
    assert!(!pings(&blue1, "10.0.0.7"), "who has left the group is not let in any more");
    rule(&["ingress allow any from set:friends"]);
    assert!(!pings(&blue1, "10.0.0.7"));
    change(&stage, 2, &["create", "address-set", "friends", "--prefix", "10.0.0.4/31"]);
    must_ping(&blue1, "10.0.0.7");
    change(&stage, 2, &["set", "port", "blue2", "--security-group", ""]);
    change(&stage, 2, &["delete", "security-group", "web"]);
    must_ping(&blue1, "10.0.0.7");
}

#[test]
fn ten_thousand_rules_and_a_thousand_groups_come_into_force() {
    let stage = Stage::blue_red();
    let blue1 = stage.vm("blue1");
    // The port's rules are 9,000 denials, then one for each of the thousand groups.
    let rules: Vec<String> = (0..9_000)
        .map(|number: u32| {
            let (a, b) = (number >> 8, number & 255);
            let port = 1000 + number;
            format!("{{direction: ingress, action: deny, protocol: tcp, ports: [{port}], remote: {{prefixes: [172.{a}.{b}.0/24]}}}}")
        })
        .chain((0..1000).map(|number| format!("{{direction: ingress, protocol: icmp, remote: {{securityGroup: g{number}}}}}")))
        .collect();
    let others: Vec<String> =
        (0..1000).map(|number| format!("---\n{{kind: security-group, name: g{number}, spec: {{}}}}\n")).collect();
    let yaml =
        format!("{{kind: security-group, name: large, spec: {{rules: [{}]}}}}\n{}", rules.join(", "), others.concat());
    stage.apply(2, &yaml).ok().unwrap_or_else(|error| panic!("{error}"));
    change(&stage, 2, &["set", "port", "blue2", "--security-group", "large"]);
    assert!(!pings(&blue1, "10.0.0.7"), "it is in none of the groups");
    for group in ["g0", "g999"] {
        change(&stage, 2, &["set", "lookup-record", "5001/10.0.0.5", "--security-group", group]);
        must_ping(&blue1, "10.0.0.7");
    }
    change(&stage, 2, &["set", "security-group", "large", "--rule", "ingress deny icmp"]);
    assert!(!pings(&blue1, "10.0.0.7"), "{}", stage.all_drops(2));
}

#[test]
fn a_controller_tells_hosts_who_is_in_which_group() {
    let mut fabric = Fabric::up(&[("test01", 1, 0x02), ("test02", 2, 0x03), ("test03", 1, 0x04)]);
    fabric.network();
    fabric.apply(
        "{kind: security-group, name: web, spec: {vmNetwork: AAA, rules: [{direction: ingress, protocol: icmp, remote: {securityGroup: clients}}]}}
---
{kind: security-group, name: clients, spec: {vmNetwork: AAA}}
",
    );
    fabric.port("test01", 1, 0x02, "--vm-network AAA");
    fabric.port("test02", 2, 0x03, "--vm-network AAA --security-group web");
    let [one, _] = ["test01", "test02"].map(|vm| fabric.lease(vm));
    let to = "10.10.1.101";
    let vm = fabric.vm("test01");
    assert!(one.address.starts_with("10.10.1.100/"), "{one:?}");
    assert!(!pings(&vm, to), "a stranger is not let in");
    fabric.op("set port test01 --security-group clients --wait");
    must_ping(&vm, to);
    let refused = fabric.refused("delete security-group clients");
    assert!(refused.contains("in use by security group web, port test01"), "{refused}");
    fabric.op("set port test01 --security-group= --wait");
    assert!(!pings(&vm, to), "who has left the group is let in");
    // The group follows VMs to other hosts: the one that may, and the one that lets it. Who may not stays out.
    fabric.op("set port test01 --security-group clients --wait");
    fabric.port("test03", 1, 0x04, "--vm-network AAA");
    fabric.lease("test03");
    let stranger = fabric.vm("test03");
    for (moved, host) in [("test01", 2), ("test02", 1), ("test01", 1)] {
        let target = fabric.stage.host_name(host);
        fabric.stage.lab.plug_vm(moved, &target).unwrap();
        fabric.op(&format!("set port {moved} --host {target} --wait"));
        must_ping(&vm, to);
        assert!(!pings(&stranger, to), "a stranger is let in when {moved} has come to {target}");
    }
    fabric.op("set port test01 --security-group= --wait");
    // For all ports of a subnet, and by the default of the VM network.
    fabric.op("set vm-subnet test --security-group web --wait");
    must_ping(&vm, to);
    let shown = fabric.op("describe security-group web");
    assert!(shown.contains("ingress allow icmp from group:clients"), "{shown}");
}
