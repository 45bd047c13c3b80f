//! Several uplinks: flows between two hosts are spread over two cables, each flow keeps to one, and when one cable fails all
//! take the other. Needs root.

use std::collections::BTreeSet;

use lab::Node;
use tests::capture::{Capture, Packets};
use tests::stage::{LIMIT, Stage, eventually};
use tests::tools::{must_ping, pings, run, tcp};

/// The provider addresses are on devices that lead nowhere, and two routes of one cost lead to the other host's. The lab's own cable,
/// `eth0`, is the first way; the second, `eth1`, is added by hand.
const TOPOLOGY: &str = r#"
name: LAB
underlay: {kind: cable, mtu: 1600}
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.4.22/24]}
vms:
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24]}
  - {name: blue2, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24]}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 172.16.0.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 172.16.0.22}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
"#;

/// Joins the hosts by a second cable, and gives each its provider address and the two ways.
fn up(encapsulation: &str) -> Stage {
    let stage = Stage::up(TOPOLOGY);
    let (one, two) = (stage.host(1), stage.host(2));
    run(&one, "ip link add eth1 mtu 1600 type veth peer name other1 mtu 1600");
    let of_two = two.namespace().name().expect("a namespace with a name");
    run(&one, &format!("ip link set other1 netns {of_two} name eth1"));
    for (number, host, own, far) in [(1, &one, 11, 22), (2, &two, 22, 11)] {
        for command in [
            "ip link add pa0 type bridge".to_owned(),
            format!("ip address add 172.16.0.{own}/32 dev pa0"),
            format!("ip address add 192.168.5.{own}/24 dev eth1"),
            "ip link set pa0 up".to_owned(),
            "ip link set eth1 up".to_owned(),
        ] {
            run(host, &command);
        }
        let applied = stage.apply(
            number,
            &format!(
                "{{kind: provider-address, spec: {{address: 172.16.0.{own}, interface: pa0, prefixLength: 32}}}}\n---\n\
                 {{kind: provider-route, spec: {{prefix: 172.16.0.0/24, nextHop: 192.168.4.{far}, interface: eth0}}}}\n---\n\
                 {{kind: provider-route, spec: {{prefix: 172.16.0.0/24, nextHop: 192.168.5.{far}, interface: eth1}}}}\n---\n\
                 {{kind: routing-domain, spec: {{rdid: 11111111-2222-3333-4444-000000005001, encapsulation: {encapsulation}}}}}\n"
            ),
        );
        applied.ok().unwrap_or_else(|error| panic!("{error}"));
        stage.ok(number, &format!("delete provider-address 192.168.4.{own}"));
    }
    stage
}

/// The flows of Blue's VMs that one cable carried.
fn flows(packets: &Packets) -> BTreeSet<String> {
    let rows = packets.fields("tcp", &["ip.src", "tcp.srcport", "tcp.dstport"]);
    rows.into_iter().map(|row| row.join(" ")).collect()
}

/// Captures both cables at a host while it does something.
fn both(host: &Node, act: impl FnOnce()) -> [Packets; 2] {
    let captures = ["eth0", "eth1"].map(|device| Capture::start(host, device, ""));
    act();
    captures.map(Capture::end)
}

#[test]
fn flows_are_spread_over_two_uplinks_and_each_keeps_to_one() {
    for encapsulation in ["nvgre", "vxlan", "geneve"] {
        let stage = up(encapsulation);
        let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
        assert!(eventually(LIMIT, || pings(&blue1, "10.0.0.7", 1) == 1), "{}", stage.all_drops(1));
        let packets = both(&stage.host(2), || {
            tcp(&blue1, &blue2, "10.0.0.7", "-n 4M -P 16");
        });
        let [first, second] = packets.each_ref().map(flows);
        // Each host spreads what it sends itself; the inner source stands behind the outer one.
        for sender in [",10.0.0.5 ", ",10.0.0.7 "] {
            let [one, other] = [&first, &second].map(|flows| flows.iter().filter(|flow| flow.contains(sender)).count());
            assert!(one >= 2 && other >= 2, "{encapsulation}: {sender} sends {one} and {other} flows");
        }
        let shared: Vec<_> = first.intersection(&second).collect();
        assert!(shared.is_empty(), "{encapsulation}: flows on both uplinks: {shared:?}");
        for packets in &packets {
            let foreign = packets.count("tcp && !(ip.src == 172.16.0.11 || ip.src == 172.16.0.22)");
            assert_eq!(foreign, 0, "the outer source is the provider address on both: {}", packets.lines("tcp"));
        }
    }
}

#[test]
fn a_cable_that_fails_is_left_and_taken_again() {
    let stage = up("vxlan");
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    assert!(eventually(LIMIT, || pings(&blue1, "10.0.0.7", 1) == 1), "{}", stage.all_drops(1));
    run(&stage.host(1), "ip link set eth1 down");
    let one_way = |host| {
        let hosts = stage.json(host, "get provider-routes");
        let used = hosts
            .as_array()
            .expect("a list")
            .iter()
            .filter(|route| route["status"]["hosts"].as_array().is_some_and(|hosts| !hosts.is_empty()));
        used.count() == 1
    };
    assert!(eventually(LIMIT, || one_way(1) && one_way(2)), "{}", stage.ok(1, "get provider-routes -o wide"));
    let packets = both(&stage.host(2), || {
        must_ping(&blue1, "10.0.0.7");
        tcp(&blue1, &blue2, "10.0.0.7", "-n 2M -P 8");
    });
    let [first, second] = packets.each_ref().map(flows);
    assert!(first.len() >= 16 && second.is_empty(), "{first:?} and {second:?}");
    run(&stage.host(1), "ip link set eth1 up");
    let again = || {
        let [_, second] = both(&stage.host(2), || {
            tcp(&blue1, &blue2, "10.0.0.7", "-n 1M -P 16");
        });
        !flows(&second).is_empty()
    };
    assert!(eventually(LIMIT, again), "eth1 is not taken again: {}", stage.ok(1, "get provider-routes -o wide"));
}
