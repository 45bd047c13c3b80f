//! `netvirt trace` says what really happens: for a ping that is answered, for one to another tenant, for one that no route
//! leads, for one that comes too far. Needs root.

use serde_json::Value;
use tests::capture::Capture;
use tests::stage::Stage;
use tests::tools::{must_not_ping, must_ping, run, run_any};

/// The verdict of a trace at host 1, and its reason if it drops.
fn trace(stage: &Stage, arguments: &str) -> (String, Option<String>, Value) {
    let report = stage.json(1, &format!("trace {arguments}"));
    let verdict = report["verdict"].as_str().unwrap_or_else(|| panic!("{report}")).to_owned();
    let reason = report["reason"].as_str().map(str::to_owned);
    (verdict, reason, report)
}

/// All output lines of a report together.
fn output(report: &Value) -> String {
    report["output"].as_array().unwrap().iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect()
}

#[test]
fn a_ping_that_is_answered_leaves_as_the_trace_says() {
    let stage = Stage::blue_red();
    let blue1 = stage.vm("blue1");
    for (vm, vsid) in [("blue1", 5001), ("red1", 6001)] {
        let (verdict, reason, report) = trace(&stage, &format!("--from {vm} --to 10.0.0.7"));
        assert!(verdict.contains("192.168.4.22") && verdict.contains(&vsid.to_string()), "{report:#}");
        assert_eq!(reason, None);
        must_ping(&stage.vm(vm), "10.0.0.7");
    }
    // The packet on the wire has the very fields.
    let (_, _, report) = trace(&stage, "--from blue1 --to 10.0.0.7");
    let wire = Capture::start(&stage.host(2), "eth0", "proto gre");
    run(&blue1, "ping -n -c 1 -W 2 -s 56 10.0.0.7");
    let rows = wire.end().fields("icmp.type == 8", &["ip.src", "ip.dst", "gre.key", "ip.len", "ip.ttl"]);
    let key = u32::from_str_radix(rows[0][2].trim_start_matches("0x"), 16).unwrap();
    let text = output(&report);
    assert!(text.contains(&format!("VSID {} FlowID 0x{:02x}", key >> 8, key & 0xff)), "{key:#x}: {text}");
    let outer = |field: usize| rows[0][field].split(',').next().unwrap().to_owned();
    assert!(text.contains(&format!("IPv4 {} -> {}, GRE, TTL {}", outer(0), outer(1), outer(4))), "{rows:?}: {text}");
    assert!(text.contains(&format!("{} bytes", outer(3))), "{rows:?}: {text}");
    // For people: the stages in their order, each with what it looked up.
    let text = stage.ok(1, "trace --from blue1 --to 10.0.0.7");
    let places: Vec<_> =
        [" 1. parse", "source guard", "forward", "locate", "Verdict:"].map(|word| text.find(word)).into();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    assert!(text.contains("06-06-00-00-00-07"), "{text}");
}

#[test]
fn a_ping_that_is_dropped_is_dropped_for_the_reason_that_the_trace_gives() {
    let stage = Stage::blue_red();
    let blue1 = stage.vm("blue1");
    run(&blue1, "ip route add 10.77.0.0/16 via 10.0.0.1");
    // Red has a VM that Blue has not.
    for host in [1, 2] {
        let record = "kind: lookup-record\nspec: {vsid: 6001, customerAddress: 10.0.0.8, mac: 08-08-00-00-00-08, \
                      providerAddress: 192.168.4.22}\n";
        stage.apply(host, record).ok().unwrap();
    }
    for (to, expected) in [("10.77.0.1", "NoRoute"), ("10.0.0.99", "NoRecord"), ("10.0.0.8", "NoRecord")] {
        let (verdict, reason, report) = trace(&stage, &format!("--from blue1 --to {to}"));
        assert_eq!(reason.as_deref(), Some(expected), "{report:#}");
        assert!(verdict.contains("drop"), "{verdict}");
        let before = stage.drops(1, "blue1", expected);
        must_not_ping(&blue1, to);
        stage.await_drops(1, "blue1", expected, before, 1);
    }
    let (_, reason, report) = trace(&stage, "--from blue1 --to 10.0.0.7 --source 10.0.0.66");
    assert_eq!(reason.as_deref(), Some("SourceAddress"), "{report:#}");
}

#[test]
fn a_packet_that_is_answered_is_traced_to_its_answer() {
    let stage = Stage::blue_red();
    let blue1 = stage.vm("blue1");
    let (_, reason, report) = trace(&stage, "--from blue1 --to 10.0.0.1");
    assert_eq!(reason, None, "{report:#}");
    assert!(output(&report).contains("10.0.0.1 -> 10.0.0.5"), "{report:#}");
    must_ping(&blue1, "10.0.0.1");
    // Too big for the way: the gateway says so.
    let (_, _, report) = trace(&stage, "--from blue1 --to 10.0.0.7 --size 2000 --dont-fragment");
    assert!(output(&report).contains("10.0.0.1 -> 10.0.0.5"), "{report:#}");
    run(&blue1, "ip link set eth0 mtu 2100");
    run(&stage.host(1), "ip link set blue1 mtu 2100");
    let text = run_any(&blue1, "ping -n -M do -c 1 -W 2 -s 2000 10.0.0.7");
    assert!(text.contains("From 10.0.0.1") && text.contains("mtu = 1558"), "{text}");
}

#[test]
fn a_trace_changes_nothing_and_says_what_it_lacks() {
    let stage = Stage::blue_red();
    let before = stage.at_rest(1);
    trace(&stage, "--from blue1 --to 10.0.0.7");
    trace(&stage, "--from blue1 --to 10.0.0.99");
    assert_eq!(stage.ok(1, "get ports"), before, "no counter moves");
    let output = stage.netvirt(1, &["trace", "--from", "blue7", "--to", "10.0.0.7"]);
    assert_eq!(output.status.code(), Some(1), "{}{}", output.stdout, output.stderr);
    assert!(output.stderr.contains("blue7"), "{}", output.stderr);
}
