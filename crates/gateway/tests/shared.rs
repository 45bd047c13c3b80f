//! Tenants with the same addresses inside behind one address of the outside, each with ports of its own. Needs root.

mod world;

use host::{Netlink, VethEnd};
use world::{SERVER4, World, all_up, exchange, pings, said, sh, tcp, udp};

fn outside(tenant: u8) -> String {
    let first = 1024 * u32::from(tenant);
    let ports = format!("{first}-{}", first + 1023);
    format!(
        r#"{{"mac": "02:00:00:00:01:0{tenant}", "shared": [{{"address": "203.0.113.9", "ports": "{ports}"}},
            {{"address": "2001:db8::9", "ports": "{ports}"}}]}}"#
    )
}

fn world() -> (World, world::Running) {
    let mut world = World::new();
    let mut compartments = Vec::new();
    for (tenant, number) in [("aaa", 1_u8), ("bbb", 2)] {
        world.add_vms(tenant);
        let port = 1024 * u32::from(number) + 6;
        let nat = format!(
            r#""nat": {{"forwards": [{{"protocol": "tcp", "ports": "{port}", "internal": "10.1.0.6", "internalPort": 22}}]}}"#
        );
        compartments.push(world.compartment(tenant, &outside(number), &[("internet", &nat)]));
    }
    world.want(compartments);
    let running = world.run();
    world.ready("aaa", all_up);
    world.ready("bbb", all_up);
    (world, running)
}

#[test]
fn each_tenant_has_ports_of_its_own() {
    let (world, _running) = world();
    let server = udp(&world.outside, "198.51.100.10:7000");
    let server6 = udp(&world.outside, "[2001:db8:ffff::10]:7000");
    for (tenant, ports) in [("aaa", 1024..2048), ("bbb", 2048..3072)] {
        let vms = world.vms(tenant);
        let (seen, answered) = exchange(&udp(vms, "10.1.0.5:6000"), "198.51.100.10:7000", &server).unwrap();
        assert!(
            answered && ports.contains(&seen.port()) && seen.ip().to_string() == "203.0.113.9",
            "{tenant} {seen} {answered}"
        );
        let (seen, answered) = exchange(&udp(vms, "[fd00:1::5]:6000"), "[2001:db8:ffff::10]:7000", &server6).unwrap();
        assert!(
            answered && ports.contains(&seen.port()) && seen.ip().to_string() == "2001:db8::9",
            "{tenant} {seen} {answered}"
        );
        assert_eq!(
            tcp((vms, "10.1.0.5"), (&world.outside, "198.51.100.10:7001"), "198.51.100.10:7001").unwrap().to_string(),
            "203.0.113.9"
        );
        assert!(pings(vms, "10.1.0.5", SERVER4) && pings(vms, "fd00:1::5", "2001:db8:ffff::10"), "{tenant}");
        let port = ports.start + 6;
        let seen = tcp((&world.outside, SERVER4), (vms, "10.1.0.6:22"), &format!("203.0.113.9:{port}"));
        assert_eq!(seen.unwrap().to_string(), SERVER4);
    }
    // Ports of nobody lead nowhere; the address itself answers.
    assert!(tcp((&world.outside, SERVER4), (world.vms("aaa"), "10.1.0.6:22"), "203.0.113.9:9000").is_err());
    assert!(pings(&world.outside, "203.0.113.1", "203.0.113.9"));
}

#[test]
fn a_tenant_reaches_another_ones_ports_and_its_own() {
    let (world, _running) = world();
    let seen = tcp((world.vms("aaa"), "10.1.0.5"), (world.vms("bbb"), "10.1.0.6:22"), "203.0.113.9:2054");
    assert_eq!(seen.unwrap().to_string(), "203.0.113.9");
    let seen = tcp((world.vms("aaa"), "10.1.0.5"), (world.vms("aaa"), "10.1.0.6:22"), "203.0.113.9:1030");
    assert_eq!(seen.unwrap().to_string(), "203.0.113.9");
}

#[test]
fn errors_from_outside_find_the_vm() {
    let (world, _running) = world();
    // Behind the router lies a host at the end of a link with a small MTU.
    let far = host::Namespace::create(&format!("nvt-{}-far", world.name)).unwrap();
    let out = Netlink::in_namespace(&world.outside).unwrap();
    out.create_veth(
        VethEnd { name: "thin", mac: None, mtu: Some(1300) },
        VethEnd { name: "eth0", mac: None, mtu: Some(1300) },
        &far,
    )
    .unwrap();
    sh(&world.outside, "ip link set thin up; ip address add 192.0.2.1/24 dev thin");
    sh(
        &far,
        "ip link set lo up; ip link set eth0 up; ip address add 192.0.2.2/24 dev eth0; ip route add default via 192.0.2.1",
    );
    for tenant in ["aaa", "bbb"] {
        let vms = world.vms(tenant);
        let closed = said(vms, "ping -n -c 1 -W 2 -M do -s 1372 -I 10.1.0.5 192.0.2.2");
        assert!(closed.contains("Frag needed and DF set (mtu = 1300)"), "{tenant}: {closed}");
        sh(vms, "ip route flush cache");
        let hops = said(vms, "traceroute -n -q 1 -w 2 -s 10.1.0.5 192.0.2.2 || tracepath -n 192.0.2.2");
        assert!(hops.contains("10.254.254.2") && hops.contains("203.0.113.1") && hops.contains("192.0.2.2"), "{hops}");
        // A port that is closed is said to be.
        let question = udp(vms, "10.1.0.5:6100");
        question.connect("198.51.100.10:7999").unwrap();
        question.send(b"anybody?").unwrap();
        let refused = question.recv(&mut [0; 8]).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "{tenant}");
    }
    host::Namespace::delete(far.name().unwrap()).unwrap();
}

#[test]
fn fragments_find_the_tenant() {
    let (world, _running) = world();
    let (vms, outside) = (world.vms("bbb"), &world.outside);
    let (question, server) = (udp(vms, "10.1.0.5:6000"), udp(outside, "198.51.100.10:7000"));
    let (seen, _) = exchange(&question, "198.51.100.10:7000", &server).unwrap();
    server.send_to(&[7; 4000], seen).unwrap();
    let mut buffer = [0; 5000];
    assert_eq!(question.recv(&mut buffer).unwrap(), 4000);
}

#[test]
fn a_dry_block_of_ports_is_told() {
    let mut world = World::new();
    world.add_vms("aaa");
    let outside = r#"{"mac": "02:00:00:00:01:01", "shared": [{"address": "203.0.113.9", "ports": "1024-1039"}]}"#;
    world.want(vec![world.compartment("aaa", outside, &[("internet", r#""nat": {"log": true}"#)])]);
    let _running = world.run();
    world.ready("aaa", all_up);
    let vms = world.vms("aaa");
    let sockets: Vec<_> = (0..40).map(|number| udp(vms, &format!("10.1.0.5:{}", 6000 + number))).collect();
    for socket in &sockets {
        socket.send_to(b"x", "198.51.100.10:7000").unwrap();
    }
    let dry = "the port block 1024-1039 of 203.0.113.9 has run dry; give the connection more ports";
    let told = world.reported("aaa", |all| all[0].reason.as_ref().is_some_and(|reason| reason.contains(dry)));
    assert!(told[0].refused >= 20 && told[0].sessions >= Some(16), "{told:?}");
    let log = std::fs::read_to_string(world.folder.path().join("log/sessions.log")).unwrap();
    assert_eq!(log.matches("opened aaa/net internet udp 10.1.0.5:60").count(), 16, "{log}");
}

#[test]
fn a_tenant_may_have_addresses_of_its_own_too() {
    let mut world = World::new();
    world.add_vms("aaa");
    let outside = r#"{"mac": "02:00:00:00:01:01", "addresses": ["203.0.113.7/24"],
        "shared": [{"address": "203.0.113.9", "ports": "1024-2047"}]}"#;
    let nat = r#""nat": {"floating": [{"external": "203.0.113.7", "internal": "10.1.0.7"}], "forwards": [{"protocol":
        "tcp", "external": "203.0.113.9", "ports": "1030", "internal": "10.1.0.7", "internalPort": 22}]}"#;
    let routing = r#""routing": {"routes": [{"prefix": "192.0.2.0/24", "nextHop": "203.0.113.1"}]}"#;
    world.want(vec![world.compartment("aaa", outside, &[("internet", nat), ("datacenter", routing)])]);
    let _running = world.run();
    world.ready("aaa", all_up);
    let (vms, outside) = (world.vms("aaa"), &world.outside);
    sh(outside, "ip address add 192.0.2.1/32 dev lo; ip route add 10.1.0.0/24 via 203.0.113.7");
    for (vm, server, seen) in [
        ("10.1.0.5", "198.51.100.10:7000", "203.0.113.9"),
        ("10.1.0.7", "198.51.100.10:7000", "203.0.113.7"),
        ("10.1.0.5", "192.0.2.1:7000", "10.1.0.5"),
    ] {
        assert_eq!(tcp((vms, vm), (outside, server), server).unwrap().to_string(), seen, "{vm} {server}");
    }
    // Two of these connections were translated.
    world.reported("aaa", |all| all[0].sessions == Some(2));
    // What came in by the edge is answered by it, also of a VM that has a way of its own.
    let seen = tcp((outside, SERVER4), (vms, "10.1.0.7:22"), "203.0.113.9:1030");
    assert_eq!(seen.unwrap().to_string(), SERVER4);
    let seen = tcp((outside, SERVER4), (vms, "10.1.0.7:23"), "203.0.113.7:23");
    assert_eq!(seen.unwrap().to_string(), SERVER4);
}
