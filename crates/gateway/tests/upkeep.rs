//! Limits and bandwidth, routing without translation, prefixes of IPv6, what a restart leaves, what removal takes away. Needs root.

mod world;

use host::Netlink;
use model::gateway::ConnectionState;
use world::{SERVER4, World, all_up, exchange, said, sh, tcp, udp, wait_for};

const OUTSIDE: &str = r#"{"mac": "02:00:00:00:01:01", "addresses": ["203.0.113.5/24", "2001:db8::5/64"]}"#;

fn world(connections: &[(&str, &str)]) -> (World, world::Running) {
    let mut world = World::new();
    world.add_vms("aaa");
    world.want(vec![world.compartment("aaa", OUTSIDE, connections)]);
    let running = world.run();
    world.ready("aaa", all_up);
    (world, running)
}

#[test]
fn what_is_over_a_limit_is_refused_and_counted() {
    let nat = r#""nat": {"addresses": ["203.0.113.5"], "limits": {"connections": 10, "connectionsPerAddress": 7}}"#;
    let (world, _running) = world(&[("internet", nat)]);
    let vms = world.vms("aaa");
    for (vm, sockets) in [("10.1.0.5", 9_u16), ("10.1.0.6", 6)] {
        for number in 0..sockets {
            udp(vms, &format!("{vm}:{}", 6000 + number)).send_to(b"x", "198.51.100.10:7000").unwrap();
        }
    }
    // Of nine, two are too many for one address; of the thirteen that are left three are too many for all.
    let told = world.reported("aaa", |all| all[0].refused == 5);
    let reason = told[0].reason.as_deref().unwrap_or_default();
    for words in
        ["the limit of 10 connections at once is reached", "the limit of 7 connections at once of each address"]
    {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(told[0].state, ConnectionState::Up);
}

#[test]
fn more_new_connections_in_a_second_than_the_limit_are_refused_and_counted() {
    let nat = r#""nat": {"addresses": ["203.0.113.5"], "limits": {"newPerSecond": 5}}"#;
    let (world, _running) = world(&[("internet", nat)]);
    for number in 0..200 {
        udp(world.vms("aaa"), &format!("10.1.0.5:{}", 6000 + number)).send_to(b"x", "198.51.100.10:7000").unwrap();
    }
    let words = "the limit of 5 new connections a second is reached";
    world.reported("aaa", |all| all[0].reason.as_deref().is_some_and(|reason| reason.contains(words)));
    // They would have to take 19 seconds for fewer to be refused.
    let told = world.reported("aaa", |all| all[0].refused >= 100);
    assert!(told[0].refused <= 195, "five may open: {told:?}");
}

#[test]
fn bandwidth_is_capped_in_both_directions() {
    let nat = r#""nat": {"addresses": ["203.0.113.5"]}, "limits": {"egress": {"bandwidth": "20 Mbit/s"},
        "ingress": {"bandwidth": "40 Mbit/s"}}"#;
    let (world, _running) = world(&[("internet", nat)]);
    let mut server = world
        .outside
        .command("iperf3")
        .args(["-s", "-B", SERVER4])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let rate = |more: &str| {
        let rate = wait_for("iperf3", || {
            let output = sh(world.vms("aaa"), &format!("iperf3 -J -t 3 -O 1 -B 10.1.0.5 -c {SERVER4} {more}"));
            let json: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
            // The server may not listen yet, or still be busy with the test before.
            json["end"]["sum_received"]["bits_per_second"].as_f64()
        });
        rate / 1e6
    };
    let (out, back) = (rate(""), rate("-R"));
    server.kill().unwrap();
    server.wait().unwrap();
    assert!((10.0..22.0).contains(&out) && (22.0..44.0).contains(&back), "{out} Mbit/s out, {back} Mbit/s in");
}

#[test]
fn routed_prefixes_leave_as_they_are_and_nothing_else_does() {
    let routing = r#""routing": {"routes": [{"prefix": "198.51.100.0/24", "nextHop": "203.0.113.1"}]}"#;
    let (world, _running) = world(&[("datacenter", routing)]);
    let (vms, outside) = (world.vms("aaa"), &world.outside);
    sh(outside, "ip route add 10.1.0.0/24 via 203.0.113.5; ip address add 192.0.2.9/32 dev lo");
    assert_eq!(
        tcp((vms, "10.1.0.5"), (outside, "198.51.100.10:80"), "198.51.100.10:80").unwrap().to_string(),
        "10.1.0.5"
    );
    assert_eq!(tcp((outside, SERVER4), (vms, "10.1.0.6:81"), "10.1.0.6:81").unwrap().to_string(), SERVER4);
    let answer = udp(outside, "192.0.2.9:7000");
    assert_eq!(exchange(&udp(vms, "10.1.0.5:6000"), "192.0.2.9:7000", &answer), None);
    assert_eq!(exchange(&udp(outside, "192.0.2.9:6001"), "10.1.0.5:7001", &udp(vms, "10.1.0.5:7001")), None);
    let told = world.reported("aaa", |all| all[0].sent_bytes > 0 && all[0].received_bytes > 0);
    assert_eq!(told[0].sessions, None);
}

#[test]
fn prefixes_of_ipv6_stand_for_one_another() {
    let nat = r#""nat": {"translations": [{"internal": "fd00:1::/64", "external": "2001:db8:5::/64"}]}"#;
    let (world, _running) = world(&[("internet", nat)]);
    let (vms, outside) = (world.vms("aaa"), &world.outside);
    sh(outside, "ip route add 2001:db8:5::/64 via 2001:db8::5");
    let (question, answer) = (udp(vms, "[fd00:1::5]:6000"), udp(outside, "[2001:db8:ffff::10]:7000"));
    let (seen, answered) = exchange(&question, "[2001:db8:ffff::10]:7000", &answer).unwrap();
    assert_eq!((seen.to_string().as_str(), answered), ("[2001:db8:5::5]:6000", true));
    let (question, answer) = (udp(outside, "[2001:db8:ffff::10]:6001"), udp(vms, "[fd00:1::6]:7001"));
    assert!(exchange(&question, "[2001:db8:5::6]:7001", &answer).unwrap().1);
}

#[test]
fn a_gateway_that_starts_again_takes_up_what_is_there() {
    let nat = r#""nat": {"addresses": ["203.0.113.5"]}, "limits": {"egress": {"bandwidth": "20 Mbit/s"}}"#;
    let (world, running) = world(&[("internet", nat)]);
    let (vms, outside) = (world.vms("aaa"), &world.outside);
    let (question, server) = (udp(vms, "10.1.0.5:6000"), udp(outside, "198.51.100.10:7000"));
    let before = exchange(&question, "198.51.100.10:7000", &server).unwrap();
    running.stop();
    assert_eq!(exchange(&question, "198.51.100.10:7000", &server), Some(before), "traffic flows without a gateway");
    let state = || {
        let links = Netlink::in_namespace(&world.inner("aaa")).unwrap().links().unwrap();
        let links: Vec<_> = links.into_iter().map(|link| (link.name, link.index, link.alias)).collect();
        (links, said(&world.inner("aaa"), "nft -a list ruleset | grep -v packets"))
    };
    let then = state();
    world.agent.reports.lock().clear();
    let _running = world.run();
    let told = world.reported("aaa", all_up);
    assert_eq!(state(), then);
    assert!(told[0].sent_bytes > 0 && told[0].sessions == Some(1), "{told:?}");
    assert_eq!(exchange(&question, "198.51.100.10:7000", &server), Some(before));
    // Rules that change keep counters and flows.
    let nat = r#""nat": {"addresses": ["203.0.113.5"], "limits": {"connections": 100}}"#;
    world.want(vec![world.compartment("aaa", OUTSIDE, &[("internet", nat)])]);
    wait_for("other rules", || {
        said(&world.inner("aaa"), "nft list ruleset").contains("ct count over 100").then_some(())
    });
    assert_eq!(exchange(&question, "198.51.100.10:7000", &server), Some(before));
    world.reported("aaa", |all| all[0].sent_bytes > told[0].sent_bytes);
}

#[test]
fn what_is_wanted_no_more_goes_also_while_no_gateway_ran() {
    let nat = r#""nat": {"addresses": ["203.0.113.5"]}"#;
    let (world, running) = world(&[("internet", nat)]);
    assert_eq!(world.made().len(), 1);
    world.want(Vec::new());
    let near = Netlink::in_namespace(&world.host).unwrap();
    let all_gone = || (world.made().is_empty() && near.link("gw-aaa").is_err()).then_some(());
    wait_for("removal", all_gone);
    world.want(vec![world.compartment("aaa", OUTSIDE, &[("internet", nat)])]);
    world.ready("aaa", all_up);
    let mut sleeper = world.inner("aaa").command("sleep").arg("1000").spawn().unwrap();
    running.stop();
    world.want(Vec::new());
    let _running = world.run();
    wait_for("removal", all_gone);
    assert!(!sleeper.wait().unwrap().success(), "a process in the namespace is ended");
}

#[test]
fn a_compartment_that_stands_by_is_silent_until_it_is_active() {
    let mut world = World::new();
    world.add_vms("aaa");
    let mut compartment =
        world.compartment("aaa", OUTSIDE, &[("internet", r#""nat": {"addresses": ["203.0.113.5"]}"#)]);
    compartment.standby = true;
    world.want(vec![compartment.clone()]);
    let _running = world.run();
    world.ready("aaa", |all| all[0].state == ConnectionState::Standby);
    let outside = &world.outside;
    assert!(!world::pings(outside, "203.0.113.1", "203.0.113.5"));
    // Another host has the address until now; neighbors hear of the change at once.
    sh(outside, "ip neigh replace 203.0.113.5 lladdr 02:00:00:00:09:09 dev ext nud reachable");
    compartment.standby = false;
    world.want(vec![compartment.clone()]);
    world.reported("aaa", all_up);
    let heard = || said(outside, "ip neigh show 203.0.113.5").contains("02:00:00:00:01:01").then_some(());
    wait_for("an announcement", heard);
    let vms = world.vms("aaa");
    assert!(tcp((vms, "10.1.0.5"), (outside, "198.51.100.10:80"), "198.51.100.10:80").is_ok());
    compartment.standby = true;
    world.want(vec![compartment]);
    world.reported("aaa", |all| all[0].state == ConnectionState::Standby);
    assert!(!world::pings(outside, "203.0.113.1", "203.0.113.5"));
}

#[test]
fn troubles_are_told_and_what_is_spoilt_is_mended() {
    let nat = r#""nat": {"addresses": ["203.0.113.5"]}"#;
    let (world, _running) = world(&[("internet", nat)]);
    let inner = world.inner("aaa");
    sh(&inner, "ip link set outside down; ip address flush dev inside");
    wait_for("mending", || {
        let links = said(&inner, "ip address");
        (links.contains("203.0.113.5/24") && links.contains("10.254.254.2/29")).then_some(())
    });
    sh(&world.outside, "ip link set ext down");
    let says = |words: &str| {
        let told = world.reported("aaa", |all| all[0].reason.as_ref().is_some_and(|reason| reason.contains(words)));
        assert_eq!(told[0].state, ConnectionState::Down, "{told:?}");
    };
    says("no carrier");
    let host_says = |words: &str| {
        wait_for(words, || world.agent.reports.lock().last()?.trouble.as_ref()?.contains(words).then_some(()));
    };
    host_says("the external interface has no carrier");
    sh(&world.outside, "ip address flush dev ext; ip link set ext up");
    says("the router 203.0.113.1 does not answer ARP");
    world.change(|work| work.gateway.as_mut().unwrap().interface = "eth9".parse().unwrap());
    says("the external interface eth9 is not there");
    // The host says it too, also when nobody needs the interface.
    world.want(Vec::new());
    wait_for("removal", || world.made().is_empty().then_some(()));
    host_says("the external interface eth9 is not there; attach it, or correct the interface of the gateway");
    world.change(|work| work.gateway.as_mut().unwrap().interface = "eth1".parse().unwrap());
    wait_for("recovery", || world.agent.reports.lock().last()?.trouble.is_none().then_some(()));
}

#[test]
fn a_compartment_that_is_leaving_forwards_and_answers_for_nothing() {
    let nat = r#""nat": {"addresses": ["203.0.113.5"]}"#;
    let (world, _running) = world(&[("internet", nat)]);
    let (vms, outside) = (world.vms("aaa"), &world.outside);
    let (question, server) = (udp(vms, "10.1.0.5:6000"), udp(outside, "198.51.100.10:7000"));
    let before = exchange(&question, "198.51.100.10:7000", &server).unwrap();
    let mut compartment = world.compartment("aaa", OUTSIDE, &[("internet", nat)]);
    (compartment.standby, compartment.leaving) = (true, true);
    world.want(vec![compartment]);
    world.reported("aaa", |all| all[0].state == ConnectionState::Standby);
    assert_eq!(exchange(&question, "198.51.100.10:7000", &server), Some(before));
    sh(outside, "ip neigh flush dev ext");
    let settings = || {
        said(
            &world.inner("aaa"),
            "sysctl net.ipv4.conf.outside.arp_ignore; ip address; nft list chain inet netvirt silence",
        )
    };
    assert!(!world::pings(outside, "203.0.113.1", "203.0.113.5"), "{}", settings());
    assert!(!world::pings(outside, "2001:db8::1", "2001:db8::5"), "{}", settings());
}

#[test]
fn a_hundred_tenants_do_not_wait_for_one_another() {
    let world = World::new();
    let compartments = (0..100).map(|number| {
        let outside = format!(
            r#"{{"mac": "02:00:00:00:{:02x}:01", "addresses": ["203.0.113.{}/24"]}}"#,
            number + 1,
            number + 100
        );
        let nat = format!(r#""nat": {{"addresses": ["203.0.113.{}"]}}"#, number + 100);
        world.compartment(&format!("t{number}"), &outside, &[("internet", &nat)])
    });
    let mut compartments: Vec<_> = compartments.collect();
    // One cannot be carried out: its device is somebody else's.
    compartments[50].inside.device = "eth1".parse().unwrap();
    world.want(compartments);
    let began = std::time::Instant::now();
    let running = world.run();
    let up = || {
        let last = world.agent.reports.lock().last().cloned()?;
        let up = last.compartments.iter().filter(|one| all_up(&one.connections)).count();
        (up >= 99).then_some(up)
    };
    wait_for("99 compartments", up);
    println!("99 compartments are up after {:?}", began.elapsed());
    let told = world.reported("t50", |all| all[0].state == ConnectionState::Down);
    let reason = told[0].reason.as_deref().unwrap_or_default();
    assert!(reason.contains("the device eth1 is there already and no gateway has made it"), "{told:?}");
    running.stop();
    let began = std::time::Instant::now();
    world.agent.reports.lock().clear();
    let _running = world.run();
    wait_for("99 compartments", up);
    println!("99 compartments are taken up after {:?}", began.elapsed());
    world.want(Vec::new());
    wait_for("removal", || world.made().is_empty().then_some(()));
}
