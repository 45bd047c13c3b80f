//! What cannot be of gateways is refused in words that say what to do, through the command line. Needs root.

use tests::cloud::Cloud;
use tests::stage::eventually;

#[test]
fn what_a_gateway_cannot_give_and_what_is_in_use_is_said_with_what_to_do() {
    let cloud = Cloud::up_with(&[], "", "203.0.113.16-203.0.113.16");
    for tenant in ["red", "blue"] {
        cloud.tenant(tenant);
    }
    cloud.connect("red", "internet", "nat: {}");
    // The pool has run dry.
    let dry = cloud.try_connect("blue", "internet", "nat: {}");
    assert!(!dry.success(), "{}", dry.stdout);
    for words in ["blue", "1", "in use", "netvirt set gateway edge"] {
        assert!(dry.stderr.contains(words), "{words} is not in: {}", dry.stderr);
    }
    // A gateway that somebody uses stays.
    let used = cloud.fabric.refused("delete gateway edge");
    assert!(used.contains("internet") && used.contains("edge"), "{used}");
    let used = cloud.fabric.refused(&format!("delete host {}", cloud.host_name(3)));
    assert!(used.contains("edge"), "{used}");
    // Routes that overlap.
    let overlapping = cloud.try_connect(
        "red",
        "office",
        "ipsec: {remote: 203.0.113.100, psk: opensesame, remotePrefixes: [10.10.1.0/25]}",
    );
    assert!(
        overlapping.stderr.contains("10.10.1.0/25") && overlapping.stderr.contains("10.10.1.0/24"),
        "{}",
        overlapping.stderr
    );
    // Two things in one connection, and none.
    let both = cloud.try_connect("red", "both", "nat: {}, dns: {}").stderr;
    assert!(both.contains("exactly one of nat, routing, ipsec, wireguard and dns"), "{both}");
    // What is given back may be had.
    cloud.op("delete gateway-connection internet --tenant red");
    cloud.connect("blue", "internet", "nat: {}");
    cloud.await_state("blue", "internet", "up");
    cloud.op("delete gateway-connection internet --tenant blue");
    cloud.op("delete gateway edge");
}

#[test]
fn a_gateway_that_does_not_run_is_told_of_its_connections() {
    let mut cloud = Cloud::up(&[], "");
    cloud.tenant("red");
    let hosts = [3, 4].map(|host| cloud.host_name(host));
    for host in &hosts {
        cloud.fabric.stage.lab.stop_gateway(host).unwrap();
    }
    cloud.connect("red", "internet", "nat: {}");
    cloud.await_words("red", "internet", "netvirt gateway");
    cloud.fabric.stage.lab.start_gateway(&hosts[0]).unwrap();
    cloud.await_state("red", "internet", "up");
    // What it made outlives it, and is gone when it is not declared any more.
    let namespaces = || {
        let status = cloud.fabric.stage.lab.status().unwrap();
        status.nodes.into_iter().filter_map(|node| node.gateway).flat_map(|its| its.namespaces).count()
    };
    assert!(namespaces() >= 1);
    cloud.op("delete gateway-connection internet --tenant red");
    assert!(eventually(std::time::Duration::from_secs(10), || namespaces() == 0), "{}", cloud.logs());
}
