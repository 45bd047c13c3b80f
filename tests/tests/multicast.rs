//! Broadcast and multicast: to all other ports of the subnet, on all hosts, to nobody else, and not without limit.
//! Needs root.

use tests::capture::{Capture, Packets};
use tests::frames::{BROADCAST, Mac, send_many, udp_v4, udp_v6};
use tests::stage::Stage;
use tests::tools::must_ping;

const TOPOLOGY: &str = r#"
name: LAB
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.4.22/24]}
vms:
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24, "fd00:a::5/64"]}
  - {name: blue3, host: H1, mac: 06-06-00-00-00-09, vsid: 5001, addresses: [10.0.0.9/24]}
  - {name: blue2, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24]}
  - {name: blue4, host: H2, mac: 06-06-00-00-00-08, vsid: 5001, addresses: [10.0.0.8/24]}
  - {name: red1, host: H1, mac: 08-08-00-00-00-05, vsid: 6001, addresses: [10.0.0.5/24]}
  - {name: red2, host: H2, mac: 08-08-00-00-00-07, vsid: 6001, addresses: [10.0.0.7/24]}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::5", mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.8, mac: 06-06-00-00-00-08, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 6001, customerAddress: 10.0.0.5, mac: 08-08-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 6001, customerAddress: 10.0.0.7, mac: 08-08-00-00-00-07, providerAddress: 192.168.4.22}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000006001}", vsid: 6001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
"#;

const BLUE1: Mac = [6, 6, 0, 0, 0, 5];
/// The datagrams of this story, without the errors that quote them.
const SENT: &str = "udp.dstport == 2000 && !icmp && !icmpv6";
const PEERS: [&str; 3] = ["blue3", "blue2", "blue4"];

/// Three frames to each of the groups.
fn groups() -> [Vec<u8>; 3] {
    let from = (BLUE1, [10, 0, 0, 5]);
    let from_v6 = (BLUE1, "fd00:a::5".parse().unwrap());
    [
        udp_v4(from, (BROADCAST, [10, 0, 0, 255]), b"broadcast"),
        udp_v4(from, ([1, 0, 0x5e, 1, 1, 1], [239, 1, 1, 1]), b"multicast"),
        udp_v6(from_v6, ([0x33, 0x33, 0, 0, 0x12, 0x34], "ff05::1234".parse().unwrap()), b"multicast"),
    ]
}

#[test]
fn all_other_ports_of_the_subnet_hear_it_once_and_no_other_does() {
    let stage = Stage::up(TOPOLOGY);
    let listen = |vm: &str| Capture::start(&stage.vm(vm), "eth0", "udp port 2000");
    let peers = PEERS.map(listen);
    let strangers = ["red1", "red2"].map(listen);
    let own = listen("blue1");
    let wire = Capture::start(&stage.host(2), "eth0", "proto gre");
    for frame in groups() {
        send_many(&stage.vm("blue1"), "eth0", &frame, 3);
    }
    let count = |packets: &Packets| packets.count(SENT);
    assert_eq!(peers.map(|peer| count(&peer.end())), [9, 9, 9]);
    assert_eq!(strangers.map(|stranger| count(&stranger.end())), [0, 0]);
    assert_eq!(count(&own.end()), 9, "the sender hears none of it again");
    let wire = wire.end();
    assert_eq!(count(&wire), 9, "one copy for host 2, whose two ports it serves:\n{}", wire.lines("frame"));
    assert_eq!(wire.count(&format!("gre.key >= {} && gre.key < {}", 5001 << 8, 5002 << 8)), wire.count("gre"));
}

#[test]
fn the_limit_holds_back_a_storm_and_counts_it() {
    const STORM: usize = 5_000;
    let stage = Stage::up(TOPOLOGY);
    let blue1 = stage.vm("blue1");
    let peers = PEERS.map(|vm| Capture::start(&stage.vm(vm), "eth0", "udp port 2000"));
    let before = stage.drops(1, "blue1", "FloodLimit");
    let began = std::time::Instant::now();
    send_many(&blue1, "eth0", &groups()[0], STORM);
    // 1,000 a second after a burst of 200.
    let allowed = 200 + began.elapsed().as_millis() as usize + 1;
    let heard = peers.map(|peer| peer.end().count(SENT));
    let dropped = (stage.drops(1, "blue1", "FloodLimit") - before) as usize;
    assert!(
        heard.iter().all(|heard| (200..=allowed).contains(heard)),
        "{heard:?} frames were heard, {allowed} allowed"
    );
    assert_eq!(heard, [STORM - dropped; 3], "what was not dropped was heard by all");
    // Others have a limit of their own, and unicast has none.
    must_ping(&blue1, "10.0.0.7");
}
