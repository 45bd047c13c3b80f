//! What VMs and the outside see of a compartment that translates addresses: real sockets in network namespaces. Needs root.

mod world;

use world::{SERVER4, SERVER6, World, all_up, exchange, pings, sh, tcp, udp};

const OUTSIDE: &str = r#"{"mac": "02:00:00:00:01:01",
    "addresses": ["203.0.113.5/24", "203.0.113.7/24", "2001:db8::5/64"]}"#;

const NAT: &str = r#""nat": {"addresses": ["203.0.113.5", "2001:db8::5"],
    "floating": [{"external": "203.0.113.7", "internal": "10.1.0.7"}],
    "forwards": [{"protocol": "tcp", "ports": "8000-8003", "internal": "10.1.0.6", "internalPort": 80},
                 {"protocol": "udp", "ports": "5000-5010", "internal": "10.1.0.6"}]}"#;

fn world() -> (World, world::Running) {
    let mut world = World::new();
    world.add_vms("aaa");
    world.want(vec![world.compartment("aaa", OUTSIDE, &[("internet", NAT)])]);
    let running = world.run();
    world.ready("aaa", all_up);
    (world, running)
}

#[test]
fn many_vms_leave_in_the_name_of_one_address() {
    let (world, _running) = world();
    let (vms, outside) = (world.vms("aaa"), &world.outside);
    for (vm, server, seen) in [("10.1.0.5", SERVER4, "203.0.113.5"), ("fd00:1::5", SERVER6, "2001:db8::5")] {
        let brackets = |address: &str, port| match address.contains(':') {
            true => format!("[{address}]:{port}"),
            false => format!("{address}:{port}"),
        };
        let at = brackets(server, 7000);
        let (question, answer) = (udp(vms, &brackets(vm, 6000)), udp(outside, &at));
        let (who, answered) = exchange(&question, &at, &answer).expect("it arrives");
        assert_eq!((who.ip().to_string().as_str(), answered), (seen, true));
        assert_eq!(tcp((vms, vm), (outside, &at), &at).unwrap().to_string(), seen);
        assert!(pings(vms, vm, server), "{vm} {server}");
    }
    // Nobody outside reaches a VM by itself: neither by its address nor by the NAT's.
    sh(outside, "ip route add 10.1.0.0/24 via 203.0.113.5");
    let (question, answer) = (udp(outside, "203.0.113.1:6001"), udp(vms, "10.1.0.5:7001"));
    assert_eq!(exchange(&question, "10.1.0.5:7001", &answer), None);
    assert_eq!(exchange(&question, "203.0.113.5:7001", &answer), None);
    // The compartment itself answers.
    assert!(pings(outside, "203.0.113.1", "203.0.113.5"));
    assert!(pings(vms, "10.1.0.5", "10.254.254.2"));
}

#[test]
fn addresses_and_ports_of_the_outside_lead_to_vms() {
    let (world, _running) = world();
    let (vms, outside) = (world.vms("aaa"), &world.outside);
    // A floating address stands for its VM in both directions.
    let (question, answer) = (udp(outside, "198.51.100.10:6000"), udp(vms, "10.1.0.7:7000"));
    assert_eq!(exchange(&question, "203.0.113.7:7000", &answer), Some(("198.51.100.10:6000".parse().unwrap(), true)));
    let (question, answer) = (udp(vms, "10.1.0.7:6002"), udp(outside, "198.51.100.10:7002"));
    let (who, answered) = exchange(&question, "198.51.100.10:7002", &answer).unwrap();
    assert_eq!((who.ip().to_string().as_str(), answered), ("203.0.113.7", true));
    // Ports that change their numbers, and a range that keeps them.
    let seen = tcp((outside, SERVER4), (vms, "10.1.0.6:82"), "203.0.113.5:8002");
    assert_eq!(seen.unwrap().to_string(), SERVER4);
    let (question, answer) = (udp(outside, "198.51.100.10:6003"), udp(vms, "10.1.0.6:5007"));
    assert!(exchange(&question, "203.0.113.5:5007", &answer).unwrap().1);
    // A port beside the range leads nowhere.
    let answer = udp(vms, "10.1.0.6:5011");
    assert_eq!(exchange(&question, "203.0.113.5:5011", &answer), None);
}

#[test]
fn vms_reach_one_another_by_addresses_of_the_outside() {
    let (world, _running) = world();
    let vms = world.vms("aaa");
    let seen = tcp((vms, "10.1.0.5"), (vms, "10.1.0.6:81"), "203.0.113.5:8001");
    assert_eq!(seen.unwrap().to_string(), "203.0.113.5");
    let (question, answer) = (udp(vms, "10.1.0.5:6004"), udp(vms, "10.1.0.7:7004"));
    let (who, answered) = exchange(&question, "203.0.113.7:7004", &answer).unwrap();
    assert_eq!((who.ip().to_string().as_str(), answered), ("203.0.113.5", true));
    // A VM that has an address of its own outside is seen under it.
    let (question, answer) = (udp(vms, "10.1.0.7:6005"), udp(vms, "10.1.0.6:5005"));
    assert_eq!(exchange(&question, "203.0.113.5:5005", &answer).unwrap().0.ip().to_string(), "203.0.113.7");
}

#[test]
fn who_sends_from_addresses_that_are_not_its_own_is_not_heard() {
    let (world, _running) = world();
    let (vms, outside) = (world.vms("aaa"), &world.outside);
    sh(vms, "ip address add 10.9.0.1/32 dev lo");
    let answer = udp(outside, "198.51.100.10:7000");
    assert_eq!(exchange(&udp(vms, "10.9.0.1:6000"), "198.51.100.10:7000", &answer), None);
    sh(outside, "ip address add 10.1.0.99/32 dev lo");
    let answer = udp(vms, "10.1.0.7:7001");
    assert_eq!(exchange(&udp(outside, "10.1.0.99:6000"), "203.0.113.7:7001", &answer), None);
    let counted = world::said(&world.inner("aaa"), "nft list counter inet netvirt spoofed");
    assert!(counted.contains("packets 8"), "{counted}");
}
