//! The distributed router: subnets of one routing domain reach each other, those of another do not; VMs as routers; the
//! lowest metric wins. Needs root.

use tests::capture::Capture;
use tests::stage::Stage;
use tests::tools::{must_not_ping, must_ping, must_tcp, run, run_any};

/// Tenant A has two subnets, and two VMs that lead to 10.9.0.0/24; tenant B has one subnet.
const TOPOLOGY: &str = r#"
name: LAB
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.4.22/24]}
vms:
  - {name: web1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24, "fd00:a::5/64"],
     routes: [{to: 0.0.0.0/0, via: 10.0.0.1}, {to: "::/0", via: "fd00:a::1"}]}
  - {name: db1, host: H1, mac: 06-06-00-00-01-05, vsid: 5002, addresses: [10.0.1.5/24, "fd00:b::5/64"],
     routes: [{to: 0.0.0.0/0, via: 10.0.1.1}, {to: "::/0", via: "fd00:b::1"}]}
  - {name: db2, host: H2, mac: 06-06-00-00-01-07, vsid: 5002, addresses: [10.0.1.7/24, "fd00:b::7/64"],
     routes: [{to: 0.0.0.0/0, via: 10.0.1.1}, {to: "::/0", via: "fd00:b::1"}]}
  - {name: near, host: H1, mac: 06-06-00-00-00-0a, vsid: 5001, addresses: [10.0.0.10/24],
     routes: [{to: 0.0.0.0/0, via: 10.0.0.1}]}
  - {name: far, host: H2, mac: 06-06-00-00-00-09, vsid: 5001, addresses: [10.0.0.9/24],
     routes: [{to: 0.0.0.0/0, via: 10.0.0.1}]}
  - {name: other, host: H1, mac: 08-08-00-00-00-05, vsid: 6001, addresses: [10.0.5.5/24],
     routes: [{to: 0.0.0.0/0, via: 10.0.5.1}]}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::5", mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.10, mac: 06-06-00-00-00-0a, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 5002, customerAddress: 10.0.1.5, mac: 06-06-00-00-01-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5002, customerAddress: "fd00:b::5", mac: 06-06-00-00-01-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5002, customerAddress: 10.0.1.7, mac: 06-06-00-00-01-07, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 5002, customerAddress: "fd00:b::7", mac: 06-06-00-00-01-07, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 6001, customerAddress: 10.0.5.5, mac: 08-08-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: "fd00:a::/64", nextHop: "::"}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5002, prefix: 10.0.1.0/24, nextHop: 0.0.0.0}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5002, prefix: "fd00:b::/64", nextHop: "::"}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.9.0.0/24, nextHop: 10.0.0.10, metric: 5}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.9.0.0/24, nextHop: 10.0.0.9, metric: 10}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000006001}", vsid: 6001, prefix: 10.0.5.0/24, nextHop: 0.0.0.0}}
"#;

#[test]
fn subnets_of_one_routing_domain_reach_each_other_through_their_gateway() {
    let stage = Stage::up(TOPOLOGY);
    let [web1, db1, db2] = ["web1", "db1", "db2"].map(|vm| stage.vm(vm));
    for to in ["10.0.1.5", "10.0.1.7", "fd00:b::5", "fd00:b::7"] {
        must_ping(&web1, to);
        // One hop less in each direction.
        let text = run(&web1, &format!("ping -n -c 1 -W 2 {to}"));
        assert!(text.contains("ttl=63"), "{text}");
    }
    // Through no router: in one subnet.
    assert!(run(&db1, "ping -n -c 1 -W 2 10.0.1.7").contains("ttl=64"));
    for (from, to, hops) in [
        (&web1, "10.0.1.7", ["10.0.0.1", "10.0.1.7"]),
        (&web1, "10.0.1.5", ["10.0.0.1", "10.0.1.5"]),
        (&db2, "10.0.0.5", ["10.0.1.1", "10.0.0.5"]),
        (&web1, "fd00:b::7", ["fd00:a::1", "fd00:b::7"]),
    ] {
        let text = run(from, &format!("traceroute -n -q 1 -w 2 -m 4 {to}"));
        let seen: Vec<_> = text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(seen, hops, "{text}");
    }
    must_tcp(&web1, &db2, "10.0.1.7");
    must_tcp(&db1, &web1, "10.0.0.5");
    must_tcp(&db2, &web1, "fd00:a::5");
}

#[test]
fn gateways_answer_pings_and_have_one_mac_address_everywhere() {
    let stage = Stage::up(TOPOLOGY);
    let (web1, db2) = (stage.vm("web1"), stage.vm("db2"));
    for to in ["10.0.0.1", "fd00:a::1", "10.0.1.1", "fd00:b::1"] {
        must_ping(&web1, to);
    }
    must_ping(&db2, "10.0.1.1");
    must_ping(&db2, "fd00:b::1");
    let mac = |text: String| {
        let word = text.split_whitespace().skip_while(|word| *word != "lladdr").nth(1);
        word.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let one = mac(run(&web1, "ip neighbour show 10.0.0.1"));
    assert_eq!(one, mac(run(&db2, "ip neighbour show 10.0.1.1")));
    assert_eq!(one, mac(run(&web1, "ip -6 neighbour show fd00:a::1")));
}

#[test]
fn no_packet_crosses_to_another_routing_domain() {
    let stage = Stage::up(TOPOLOGY);
    let (web1, other) = (stage.vm("web1"), stage.vm("other"));
    let capture = Capture::start(&other, "eth0", "icmp");
    let before = stage.drops(1, "web1", "NoRoute");
    must_not_ping(&web1, "10.0.5.5");
    stage.await_drops(1, "web1", "NoRoute", before, 2);
    assert_eq!(capture.end().count("icmp"), 0);
    must_not_ping(&other, "10.0.0.5");
    must_not_ping(&other, "10.0.1.7");
    must_ping(&other, "10.0.5.1");
}

#[test]
fn a_vm_is_a_router_and_the_lowest_metric_wins_until_it_is_deleted() {
    let stage = Stage::up(TOPOLOGY);
    let [near, far] = ["near", "far"].map(|vm| stage.vm(vm));
    for router in [&near, &far] {
        run(router, "ip link set lo up");
        run(router, "ip address add 10.9.0.1/32 dev lo");
    }
    let routed_by = |asker: &str| {
        let captures = [&near, &far].map(|router| Capture::start(router, "eth0", "icmp"));
        must_ping(&stage.vm(asker), "10.9.0.1");
        captures.map(|capture| capture.end().count("icmp.type == 8"))
    };
    assert_eq!(routed_by("web1"), [3, 0], "the metric 5 is better than 10");
    assert_eq!(routed_by("db2"), [3, 0]);
    let shown = stage.ok(1, "get customer-route 5001/10.9.0.0/24/10.0.0.9 -o wide");
    assert!(shown.contains("not in force") && shown.contains("better metric"), "{shown}");
    for host in [1, 2] {
        let said = stage.ok(host, "delete customer-route 5001/10.9.0.0/24/10.0.0.10");
        assert!(said.contains("deleted"), "{said}");
    }
    assert_eq!(routed_by("web1"), [0, 3], "the other route is the best now");
    assert_eq!(routed_by("db2"), [0, 3]);
    for host in [1, 2] {
        stage.ok(host, "delete customer-route 5001/10.9.0.0/24/10.0.0.9");
    }
    must_not_ping(&stage.vm("web1"), "10.9.0.1");
    // Who is no router any more may not send for others either.
    let before = stage.drops(2, "far", "SourceAddress");
    run_any(&far, "ping -n -c 2 -i 0.1 -W 1 -I 10.9.0.1 10.0.0.5");
    stage.await_drops(2, "far", "SourceAddress", before, 2);
}
