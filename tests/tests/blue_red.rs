//! Blue and Red have the same addresses on the same two hosts: each is served, and neither notices the other. Needs root.

use std::thread;

use tests::capture::Capture;
use tests::stage::{Stage, example};
use tests::tools::{must_ping, received_bytes, run, run_any, tcp};

/// What Blue's VMs say to each other: nothing of it may be seen by Red.
const BLUE: &str = "ether host 06:06:00:00:00:05 or ether host 06:06:00:00:00:07";

#[test]
fn both_tenants_ping_and_run_tcp_at_the_same_time() {
    let stage = Stage::blue_red();
    let [blue1, blue2] = ["blue1", "blue2"].map(|vm| stage.vm(vm));
    let [red1, red2] = ["red1", "red2"].map(|vm| stage.vm(vm));
    for (from, to) in [(&blue1, "10.0.0.7"), (&red1, "10.0.0.7"), (&blue2, "10.0.0.5"), (&red2, "10.0.0.5")] {
        must_ping(from, to);
    }
    // Each tenant's server answers from the same address and port.
    let bytes = thread::scope(|scope| {
        let blue = scope.spawn(|| received_bytes(&tcp(&blue1, &blue2, "10.0.0.7", "-t 1")));
        let red = scope.spawn(|| received_bytes(&tcp(&red1, &red2, "10.0.0.7", "-t 1")));
        [blue, red].map(|tenant| tenant.join().unwrap())
    });
    assert!(bytes.iter().all(|bytes| *bytes > 10_000_000), "{bytes:?} bytes in a second");
    // What each VM has in its neighbour table is its own tenant's MAC address.
    assert!(run(&blue1, "ip neighbour show 10.0.0.7").contains("06:06:00:00:00:07"));
    assert!(run(&red1, "ip neighbour show 10.0.0.7").contains("08:08:00:00:00:07"));
}

#[test]
fn red_sees_nothing_of_blue() {
    let stage = Stage::blue_red();
    let [blue1, blue2] = ["blue1", "blue2"].map(|vm| stage.vm(vm));
    let captures = ["red1", "red2"].map(|vm| Capture::start(&stage.vm(vm), "eth0", ""));
    let own = Capture::start(&blue2, "eth0", BLUE);
    must_ping(&blue1, "10.0.0.7");
    // Broadcast: to all of Blue, and to nobody else.
    run_any(&blue1, "ping -n -b -c 3 -i 0.05 -W 1 10.0.0.255");
    // An address that nobody has, which is asked for by broadcast.
    run_any(&blue1, "ping -n -c 1 -W 1 10.0.0.99");
    tcp(&blue1, &blue2, "10.0.0.7", "-n 1M");
    let heard = own.end();
    assert!(heard.count("icmp && eth.dst == ff:ff:ff:ff:ff:ff") >= 3, "Blue2 hears Blue1's broadcast");
    for capture in captures {
        let packets = capture.end();
        let foreign = "eth.addr == 06:06:00:00:00:05 || eth.addr == 06:06:00:00:00:07 || icmp || tcp || arp";
        assert_eq!(packets.count(foreign), 0, "{}", packets.lines("frame"));
    }
}

#[test]
fn the_operator_sees_what_is_declared_and_what_was_counted() {
    let stage = Stage::blue_red();
    must_ping(&stage.vm("blue1"), "10.0.0.7");
    for host in [1, 2] {
        let records = stage.ok(host, "get lookup-records");
        assert_eq!(records.lines().count(), 1 + 4, "{records}");
        for name in ["5001/10.0.0.5", "5001/10.0.0.7", "6001/10.0.0.5", "6001/10.0.0.7"] {
            let line = records.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{records}"));
            assert!(line.contains("Encap") && line.contains("Static") && line.ends_with("in force"), "{line}");
        }
        assert!(records.contains("06-06-00-00-00-05") && records.contains("192.168.4.22"), "{records}");
        let routes = stage.ok(host, "get customer-routes");
        assert!(
            routes.contains("{11111111-2222-3333-4444-000000005001}") && routes.contains("10.0.0.0/24"),
            "{routes}"
        );
        assert!(routes.contains("{11111111-2222-3333-4444-000000006001}"), "{routes}");
    }
    assert!(stage.ok(1, "get provider-addresses").contains("192.168.4.11"));
    assert!(stage.ok(2, "get provider-addresses").contains("192.168.4.22"));
    let ports = stage.json(1, "get ports");
    let port = |name: &str| {
        let found = ports.as_array().unwrap().iter().find(|port| port["name"] == name);
        found.unwrap_or_else(|| panic!("{ports}")).clone()
    };
    let (blue, red) = (port("blue1"), port("red1"));
    assert_eq!((&blue["status"]["state"], &blue["spec"]["vsid"]), (&"bound".into(), &5001.into()), "{blue}");
    // Three requests and three answers, and the question for the neighbour.
    assert!(blue["status"]["counters"]["rxPackets"].as_u64().unwrap() >= 4, "{blue}");
    assert!(blue["status"]["counters"]["txPackets"].as_u64().unwrap() >= 3, "{blue}");
    assert!(red["status"]["counters"]["txPackets"].as_u64().unwrap() < 3, "{red}");
    let status = stage.ok(1, "status");
    assert!(status.contains("2, 2 bound") && status.contains("192.168.4.11"), "{status}");
}

#[test]
fn a_router_between_the_hosts_makes_no_difference() {
    let stage = Stage::up(&example("blue-red-routed.yaml"));
    for (tenant, stranger) in [("blue", "08:08"), ("red", "06:06")] {
        let [one, two] = ["1", "2"].map(|number| stage.vm(&format!("{tenant}{number}")));
        must_ping(&one, "10.0.0.7");
        must_ping(&two, "10.0.0.5");
        assert!(received_bytes(&tcp(&one, &two, "10.0.0.7", "-t 1")) > 1_000_000);
        assert!(!run(&one, "ip neighbour show").contains(stranger));
    }
}
