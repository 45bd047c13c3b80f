//! What a connection is, to the hosts: its answers pass where it may pass, and when that is revoked it ends; errors about it
//! and its fragments belong to it; the host shows it, and tells its first packet where a rule wants that. Needs root.

use std::time::Duration;

use tests::stage::{Stage, eventually};
use tests::tools::{Background, must_ping, pings, run, run_any};

/// Blue2 is in a group with these rules.
fn guarded(stage: &Stage, rules: &[&str]) {
    let rules = rules.iter().flat_map(|rule| ["--rule", *rule]);
    let create = ["create", "security-group", "web"].into_iter().chain(rules).collect::<Vec<_>>();
    stage.netvirt(2, &create).ok().unwrap_or_else(|error| panic!("{error}"));
    stage.ok(2, "set port blue2 --security-group web");
}

#[test]
fn a_connection_passes_both_ways_is_shown_and_ends_when_its_permission_is_revoked() {
    let stage = Stage::blue_red();
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    guarded(&stage, &["ingress allow tcp 5201"]);
    let mut server = Background::start(&blue2, "iperf3 -s -1 --forceflush");
    server.await_words("Server listening");
    let mut client = Background::start(&blue1, "iperf3 -c 10.0.0.7 -t 30 -i 1 --forceflush");
    client.await_words("1.00-2.00");
    let flows = stage.ok(2, "get flows blue2 --protocol tcp --service 5201 -o wide");
    assert!(flows.contains("10.0.0.7:5201") && flows.contains("<-") && flows.contains(" open "), "{flows}");
    assert!(flows.contains("NVGRE to 192.168.4.11, VSID 5001"), "{flows}");
    let at_client = stage.json(1, "get flows blue1 --address 10.0.0.7 --state open");
    let flows = at_client["flows"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(flows.iter().all(|flow| flow["opened"] == "egress" && flow["local"] == "10.0.0.5"), "{at_client}");
    // There are two, in no order: the one in which the two iperf3 agree, and the one with the data.
    let with_data = |flow: &serde_json::Value| flow["fromBytes"].as_u64() > flow["toBytes"].as_u64();
    assert!(flows.iter().any(with_data), "{at_client}");
    // Each filter leaves out what it is not about.
    let others = ["--protocol udp", "--service 1", "--address 10.0.0.99", "--state reset"];
    for filter in others.map(|filter| format!("get flows {filter}")).into_iter().chain(["get flows red1".to_owned()]) {
        let none = stage.json(1, &filter);
        assert_eq!((&none["matching"], &none["flows"]), (&0.into(), &serde_json::json!([])), "{filter}: {none}");
    }
    let first = stage.json(1, "get flows --protocol tcp --limit 1");
    assert_eq!((first["matching"].as_u64(), first["flows"].as_array().map(Vec::len)), (Some(2), Some(1)), "{first}");
    // Another permission does not stand for it.
    stage.netvirt(2, &["set", "security-group", "web", "--rule", "ingress allow tcp 80"]).ok().unwrap();
    let stalls =
        eventually(Duration::from_secs(8), || client.output().lines().any(|line| line.contains(" 0.00 bits/sec")));
    assert!(stalls, "{}", client.output());
    assert!(stage.drops(2, "uplink", "IngressRule") > 0, "{}", stage.all_drops(2));
    client.end(nix::sys::signal::Signal::SIGKILL);
    server.end(nix::sys::signal::Signal::SIGKILL);
}

#[test]
fn errors_and_fragments_belong_to_what_they_are_about() {
    let stage = Stage::blue_red();
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    guarded(&stage, &["ingress allow icmp 8", "ingress allow udp 40000"]);
    // A datagram to a port where nobody listens is answered by an error, which no rule allows at blue1 either.
    stage.netvirt(1, &["create", "security-group", "client"]).ok().unwrap();
    stage.ok(1, "set port blue1 --security-group client");
    let trace = run_any(&blue1, "traceroute -n -U -p 40000 -q 1 -w 2 -m 2 10.0.0.7");
    assert!(trace.lines().any(|line| line.contains("10.0.0.7") && line.contains("ms")), "{trace}");
    // One to a port that no rule allows never arrives.
    let trace = run_any(&blue1, "traceroute -n -U -p 50000 -q 1 -w 1 -m 1 10.0.0.7");
    assert!(trace.contains('*'), "{trace}");
    // 4,000 bytes are three fragments each way.
    assert_eq!(run(&blue1, "ping -n -s 4000 -c 3 -i 0.05 -W 2 10.0.0.7").matches("bytes from").count(), 3);
    // blue2's own ping is not blue1's business to allow, but blue1 is in a group of its own by now.
    assert_eq!(pings(&blue2, "10.0.0.5", 1), 0, "nobody lets blue2 in at blue1");
    stage.netvirt(1, &["set", "security-group", "client", "--rule", "ingress allow icmp 8"]).ok().unwrap();
    must_ping(&blue2, "10.0.0.5");
}

#[test]
fn a_rule_that_logs_tells_the_first_packet_of_each_flow() {
    let stage = Stage::blue_red();
    let blue1 = stage.vm("blue1");
    guarded(&stage, &["ingress allow icmp 8 log", "ingress deny udp 9 log"]);
    assert_eq!(pings(&blue1, "10.0.0.7", 3), 3);
    run_any(&blue1, "traceroute -n -U -p 9 -q 1 -w 1 -m 1 10.0.0.7");
    let log = || stage.log(2);
    let said = eventually(Duration::from_secs(5), || log().contains("denied ingress at port blue2: udp"));
    assert!(said, "{}", log());
    let allowed = "allowed ingress at port blue2: icmp from 10.0.0.5";
    assert_eq!(log().matches(allowed).count(), 1, "once for a flow: {}", log());
    assert!(log().contains("by the rule ingress allow icmp 8 log (security group web)"), "{}", log());
}

#[test]
fn trace_names_the_rule_that_decides() {
    let stage = Stage::blue_red();
    stage.netvirt(1, &["create", "security-group", "client", "--rule", "egress deny tcp 25"]).ok().unwrap();
    stage.ok(1, "set port blue1 --security-group client");
    let refused = stage.ok(1, "trace --from blue1 --to 10.0.0.7 --tcp --destination-port 25");
    assert!(refused.contains("may not pass: egress deny tcp 25 (security group client)"), "{refused}");
    assert!(refused.contains("EgressRule"), "{refused}");
    let passes = stage.ok(1, "trace --from blue1 --to 10.0.0.7 --tcp --destination-port 80");
    assert!(passes.contains("encapsulated in NVGRE to 192.168.4.22"), "{passes}");
}
