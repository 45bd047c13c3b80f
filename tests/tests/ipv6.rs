//! IPv6 inside and outside: customer addresses and provider addresses. Needs root.

use std::time::Duration;

use tests::capture::Capture;
use tests::frames::{send, udp_v6};
use tests::stage::{Stage, eventually};
use tests::tools::{must_not_ping, must_ping, must_tcp, run, run_any};

/// Two tenants with the same IPv6 addresses, on hosts whose provider addresses are IPv6 alone.
const TOPOLOGY: &str = r#"
name: LAB
underlay: {kind: segment, mtu: 1620}
hosts:
  - {name: H1, addresses: ["fd00:4::11/64"]}
  - {name: H2, addresses: ["fd00:4::22/64"]}
vms:
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: ["fd00:a::5/64", 10.0.0.5/24]}
  - {name: red1, host: H1, mac: 08-08-00-00-00-05, vsid: 6001, addresses: ["fd00:a::5/64"]}
  - {name: blue3, host: H1, mac: 06-06-00-00-00-09, vsid: 5001, addresses: ["fd00:a::9/64"]}
  - {name: blue2, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: ["fd00:a::7/64", 10.0.0.7/24]}
  - {name: red2, host: H2, mac: 08-08-00-00-00-07, vsid: 6001, addresses: ["fd00:a::7/64"]}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::5", mac: 06-06-00-00-00-05, providerAddress: "fd00:4::11"}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::7", mac: 06-06-00-00-00-07, providerAddress: "fd00:4::22"}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::9", mac: 06-06-00-00-00-09, providerAddress: "fd00:4::11"}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: "fd00:4::11"}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: "fd00:4::22"}}
  - {kind: lookup-record, spec: {vsid: 6001, customerAddress: "fd00:a::5", mac: 08-08-00-00-00-05, providerAddress: "fd00:4::11"}}
  - {kind: lookup-record, spec: {vsid: 6001, customerAddress: "fd00:a::7", mac: 08-08-00-00-00-07, providerAddress: "fd00:4::22"}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: "fd00:a::/64", nextHop: "::"}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000006001}", vsid: 6001, prefix: "fd00:a::/64", nextHop: "::"}}
"#;

#[test]
fn vms_reach_each_other_with_ipv6_inside_and_outside() {
    let stage = Stage::up(TOPOLOGY);
    let [blue1, blue2, blue3] = ["blue1", "blue2", "blue3"].map(|vm| stage.vm(vm));
    let red1 = stage.vm("red1");
    must_ping(&blue1, "fd00:a::7");
    must_ping(&red1, "fd00:a::7");
    must_ping(&blue3, "fd00:a::5");
    must_ping(&blue1, "10.0.0.7");
    // Of the two who have the address, each tenant's own has answered.
    assert!(run(&blue1, "ip neighbour show fd00:a::7").contains("06:06:00:00:00:07"));
    assert!(run(&red1, "ip neighbour show fd00:a::7").contains("08:08:00:00:00:07"));
    must_not_ping(&red1, "fd00:a::9");
    must_tcp(&blue1, &blue2, "fd00:a::7");
    must_tcp(&stage.vm("red2"), &red1, "fd00:a::5");
}

#[test]
fn the_host_answers_neighbour_discovery_and_the_underlay_hears_nothing() {
    let stage = Stage::up(TOPOLOGY);
    let blue1 = stage.vm("blue1");
    let wire = Capture::start(&stage.host(1), "eth0", "proto gre or ip6 proto gre");
    let own = Capture::start(&blue1, "eth0", "icmp6");
    // ndisc6 prints the link-layer address of a target.
    let answer = run_any(&blue1, "ndisc6 -1 -w 1000 fd00:a::7 eth0").to_lowercase();
    assert!(answer.contains("06:06:00:00:00:07"), "{answer}");
    let gateway = run_any(&blue1, "ndisc6 -1 -w 1000 fd00:a::1 eth0").to_lowercase();
    assert!(gateway.contains("link-layer address"), "{gateway}");
    let nobody = run_any(&blue1, "ndisc6 -1 -r 1 -w 300 fd00:a::99 eth0");
    assert!(!nobody.contains("link-layer address"), "{nobody}");
    let packets = own.end();
    assert!(packets.count("icmpv6.type == 136 && icmpv6.nd.na.target_address == fd00:a::7") >= 1);
    let heard = wire.end();
    assert_eq!(heard.count("icmpv6.type == 135 || icmpv6.type == 136"), 0, "{}", heard.lines("frame"));
    assert!(stage.drops(1, "blue1", "NoRecord") >= 1, "{}", stage.all_drops(1));
}

#[test]
fn a_vm_that_takes_anothers_address_is_told_of_the_conflict_and_cannot_use_it() {
    let stage = Stage::up(TOPOLOGY);
    let blue3 = stage.vm("blue3");
    // A lab's VMs do without, so that their addresses can be used at once.
    for (key, value) in [("accept_dad", "1"), ("dad_transmits", "1")] {
        blue3.namespace().set_sysctl(&format!("ipv6/conf/eth0/{key}"), value).unwrap();
    }
    // One is on its own host and one on the other.
    for address in ["fd00:a::5", "fd00:a::7"] {
        run(&blue3, &format!("ip -6 address add {address}/64 dev eth0"));
        let failed = eventually(Duration::from_secs(5), || {
            run(&blue3, &format!("ip -6 address show to {address}")).contains("dadfailed")
        });
        assert!(failed, "{}", run(&blue3, "ip -6 address show"));
    }
    // Who ignores that is kept from sending.
    let before = stage.drops(1, "blue3", "SourceAddress");
    let to = ([6, 6, 0, 0, 0, 5], "fd00:a::5".parse().unwrap());
    send(&blue3, "eth0", &udp_v6(([6, 6, 0, 0, 0, 9], "fd00:a::7".parse().unwrap()), to, b"forged"));
    stage.await_drops(1, "blue3", "SourceAddress", before, 1);
    // The owners notice nothing.
    must_ping(&stage.vm("blue1"), "fd00:a::7");
}
