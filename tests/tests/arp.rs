//! ARP: answered by the host from the records, unicast probes delivered, addresses learnt where records say L2Only.
//! Needs root.

use std::time::Duration;

use tests::capture::Capture;
use tests::stage::{Stage, eventually, example};
use tests::tools::{must_ping, run, run_any};

#[test]
fn the_host_answers_for_a_remote_address_and_the_underlay_hears_nothing() {
    let stage = Stage::blue_red();
    let wire = Capture::start(&stage.host(1), "eth0", "proto gre");
    for (vm, mac) in [("blue1", "06:06:00:00:00:07"), ("red1", "08:08:00:00:00:07")] {
        let text = run(&stage.vm(vm), "arping -c 1 -w 2 -I eth0 10.0.0.7").to_lowercase();
        assert!(text.contains("reply from 10.0.0.7") && text.contains(mac), "{text}");
    }
    let heard = wire.end();
    // VMs that have just come up speak of their multicast groups; of addresses nobody speaks.
    assert_eq!(heard.count("!icmpv6"), 0, "{}", heard.lines("frame"));
}

#[test]
fn nobody_answers_for_an_unknown_address_and_the_drop_has_a_name() {
    let stage = Stage::blue_red();
    let before = stage.drops(1, "blue1", "NoRecord");
    let text = run_any(&stage.vm("blue1"), "arping -c 2 -w 2 -I eth0 10.0.0.99");
    assert!(text.contains("Received 0 response"), "{text}");
    stage.await_drops(1, "blue1", "NoRecord", before, 2);
}

#[test]
fn a_unicast_probe_reaches_the_vm_itself() {
    let stage = Stage::blue_red();
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    let capture = Capture::start(&blue2, "eth0", "arp");
    // The neighbour table asks the neighbour itself whether it is still there.
    run(&blue1, "ip neighbour replace 10.0.0.7 lladdr 06:06:00:00:00:07 dev eth0 nud probe");
    let alive = eventually(Duration::from_secs(5), || run(&blue1, "ip neighbour show 10.0.0.7").contains("REACHABLE"));
    assert!(alive, "{}", run(&blue1, "ip neighbour show"));
    // The first question of arping goes to everybody, the others to who has answered.
    let text = run(&blue1, "arping -c 3 -w 4 -I eth0 10.0.0.7");
    assert!(text.contains("Received 3 response"), "{text}");
    let packets = capture.end();
    let probes = packets.count("arp.opcode == 1 && eth.dst == 06:06:00:00:00:07");
    assert!(probes >= 3, "{}", packets.lines("frame"));
    assert_eq!(packets.count("arp.opcode == 1 && eth.dst == ff:ff:ff:ff:ff:ff"), 0, "the host answered that one");
}

#[test]
fn addresses_of_l2only_records_are_found_by_flooding_and_learnt_on_both_hosts() {
    let text =
        example("blue-red.yaml").replace("vsid: 5001, customerAddress: 10.0.0.7, mac", "vsid: 5001, type: L2Only, mac");
    let stage = Stage::up(&text);
    let blue1 = stage.vm("blue1");
    let red2 = Capture::start(&stage.vm("red2"), "eth0", "arp");
    let listed = |host: usize| stage.ok(host, "get lookup-records");
    assert!(!listed(1).contains("5001/10.0.0.7") && listed(1).contains("L2Only"), "{}", listed(1));
    must_ping(&blue1, "10.0.0.7");
    for host in [1, 2] {
        let learnt = eventually(Duration::from_secs(5), || {
            listed(host).lines().any(|line| line.starts_with("5001/10.0.0.7") && line.contains("Dynamic"))
        });
        assert!(learnt, "{}", listed(host));
    }
    // An address that the VM takes later is found as well.
    run(&stage.vm("blue2"), "ip address add 10.0.0.77/24 dev eth0");
    must_ping(&blue1, "10.0.0.77");
    assert_eq!(red2.end().count("arp"), 0, "the question stayed in its subnet");
    // From now on the host answers by itself.
    assert!(eventually(Duration::from_secs(5), || listed(1).contains("5001/10.0.0.77")), "{}", listed(1));
    let wire = Capture::start(&stage.host(1), "eth0", "proto gre");
    let text = run(&blue1, "arping -c 1 -w 2 -I eth0 10.0.0.77").to_lowercase();
    assert!(text.contains("06:06:00:00:00:07"), "{text}");
    assert_eq!(wire.end().count("arp"), 0);
}
