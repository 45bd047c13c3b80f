//! A routed connection: the outside learns of the VM network's prefixes by BGP, from FRR's point of view and BIRD's, and VMs are
//! reached by their own addresses. Needs root.

use tests::cloud::{Cloud, WWW};
use tests::site::{Bird, Frr, Greeter, ask};
use tests::stage::{LIMIT, eventually};
use tests::tools::{must_ping, pings};

#[test]
fn frr_learns_of_the_vm_network_and_vms_are_reached_untranslated() {
    let cloud = Cloud::up(&[("red", 1, 1)], "");
    cloud.tenant("red");
    let (red, _) = cloud.vm("red", "red", 1, 1);
    let www = cloud.node("www");
    let _greeter = Greeter::start(&www, WWW);
    let _red = Greeter::start(&red, "10.10.1.100:80");
    cloud.connect(
        "red",
        "uplink",
        "routing: {}, bgp: {localAs: 65010, neighbors: [{address: 203.0.113.1, remoteAs: 65000}]}",
    );
    let own = cloud.address("red", "uplink");
    let shown = cloud.connection("red", "uplink");
    assert_ne!(shown["status"]["connection"]["state"], "up", "nobody answers yet: {shown:#}");
    let speaker = Frr::speaker(65000, "203.0.113.1", &[(&own, 65010)], &["198.51.100.0/24"]);
    let mut frr = Frr::start(cloud.node("internet"), &speaker);
    frr.await_route("10.10.1.0/24");
    cloud.await_state("red", "uplink", "up");
    cloud.await_learnt("red", "uplink", "198.51.100.0/24");

    must_ping(&red, "198.51.100.7");
    assert!(ask(&red, WWW).unwrap().starts_with("www sees 10.10.1.100:"));
    assert!(ask(&www, "10.10.1.100:80").unwrap().starts_with("red sees 198.51.100.7:"));

    // A bgpd that crashes and comes back costs nothing (graceful restart).
    frr.kill();
    must_ping(&red, "198.51.100.7");
    frr.restart();
    cloud.await_state("red", "uplink", "up");
    cloud.await_learnt("red", "uplink", "198.51.100.0/24");
    frr.await_route("10.10.1.0/24");
    must_ping(&www, "10.10.1.100");

    // What the neighbor does not tell any more is not reached any more.
    frr.configure(&["router bgp 65000", "address-family ipv4 unicast", "no network 198.51.100.0/24"]);
    let gone = || !cloud.report("red", "uplink")["learnt"].to_string().contains("198.51.100");
    assert!(eventually(LIMIT, gone), "{}", cloud.described("red", "uplink"));
    assert!(eventually(LIMIT, || pings(&red, "198.51.100.7", 1) == 0), "{}", cloud.logs());
}

#[test]
fn bird_with_a_password_filters_and_more_prefixes_than_are_allowed() {
    let cloud = Cloud::up(&[("red", 1, 1)], "");
    cloud.tenant("red");
    let (red, _) = cloud.vm("red", "red", 1, 1);
    cloud.connect(
        "red",
        "uplink",
        "routing: {}, bgp: {localAs: 65010, neighbors: [{address: 203.0.113.1, remoteAs: 65000, password: opensesame, \
         maxPrefixes: 2, import: [{prefix: 198.51.100.0/22, atMost: 24}]}]}",
    );
    let own = cloud.address("red", "uplink");
    let speaker = |prefixes: &[&str]| {
        let routes: String = prefixes.iter().map(|prefix| format!("route {prefix} blackhole; ")).collect();
        format!(
            "router id 203.0.113.1;\nprotocol static {{ ipv4; {routes}}}\nprotocol direct {{ ipv4; interface \"lan0\"; }}\n\
             protocol bgp cloud {{ local 203.0.113.1 as 65000; neighbor {own} as 65010; password \"opensesame\"; connect \
             retry time 1; ipv4 {{ import all; export where source ~ [RTS_STATIC, RTS_DEVICE]; }}; }}\n"
        )
    };
    let bird = Bird::start(cloud.node("internet"), &speaker(&["192.0.2.0/24"]));
    bird.await_route("10.10.1.0/24");
    cloud.await_state("red", "uplink", "up");
    cloud.await_learnt("red", "uplink", "198.51.100.0/24");
    let report = cloud.report("red", "uplink");
    assert!(!report["learnt"].to_string().contains("192.0.2.0"), "{report:#}");
    must_ping(&red, "198.51.100.7");
    drop(bird);
    let _bird =
        Bird::start(cloud.node("internet"), &speaker(&["198.51.101.0/24", "198.51.102.0/24", "198.51.103.0/24"]));
    cloud.await_words("red", "uplink", "told more than 2 prefixes; raise maxPrefixes");
}
