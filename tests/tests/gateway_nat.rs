//! NAT of a gateway: VMs get out under an address of the gateway's, one address of the outside may stand for one VM, single
//! ports lead to VMs, and tenants with the same prefixes share one address. Needs root.

use tests::cloud::{Cloud, WWW};
use tests::site::{Conversation, Greeter, ask, ask_udp};
use tests::stage::{LIMIT, eventually};
use tests::tools::{must_not_ping, must_ping, received_bytes, run, run_any, tcp};

/// Address and port in what a greeter said.
fn seen(greeting: &str) -> (String, u16) {
    let peer = greeting.split(" sees ").nth(1).unwrap_or_else(|| panic!("{greeting}"));
    let peer = peer.split(": ").next().unwrap_or(peer);
    let peer: std::net::SocketAddr = peer.parse().unwrap_or_else(|error| panic!("{greeting}: {error}"));
    (peer.ip().to_string(), peer.port())
}

#[test]
fn vms_get_out_under_one_address_and_nothing_comes_in_that_was_not_asked_for() {
    let cloud = Cloud::up(&[("red", 1, 1), ("rose", 2, 2)], "");
    cloud.tenant("red");
    let (red, lease) = cloud.vm("red", "red", 1, 1);
    let (rose, _) = cloud.vm("red", "rose", 2, 2);
    assert_eq!(lease.address, "10.10.1.100/24");
    let www = cloud.node("www");
    let _greeter = Greeter::start(&www, WWW);
    assert!(ask(&red, WWW).is_err(), "there is no way out yet");

    cloud.connect("red", "internet", "nat: {}");
    cloud.await_state("red", "internet", "up");
    let own = cloud.address("red", "internet");
    for vm in [&red, &rose] {
        must_ping(vm, "198.51.100.7");
        assert_eq!(seen(&ask(vm, WWW).unwrap()).0, own);
        assert_eq!(seen(&ask_udp(vm, WWW).unwrap()).0, own);
    }
    // A full-size frame that must not be cut is answered with the size that fits, and TCP is told before.
    let path = run_any(&red, "traceroute -n -I -q 1 -w 1 198.51.100.7");
    assert!(path.contains("198.51.100.7") && path.contains("203.0.113.1"), "{path}");
    // Outside, nothing answers at the address, and nobody knows the VM's.
    let _listening = Greeter::start(&red, "0.0.0.0:80");
    assert!(ask(&www, &format!("{own}:80")).is_err());
    must_not_ping(&www, "10.10.1.100");

    let report = || cloud.report("red", "internet");
    assert!(eventually(LIMIT, || report()["sessions"].as_u64().is_some_and(|sessions| sessions > 0)), "{:#}", report());
    assert!(report()["carriers"].to_string().contains("nftables"), "{:#}", report());
    cloud.op("delete gateway-connection internet --tenant red");
    assert!(eventually(LIMIT, || ask(&red, WWW).is_err()), "{}", cloud.logs());
}

#[test]
fn an_address_stands_for_one_vm_and_single_ports_lead_to_vms_from_inside_too() {
    let cloud = Cloud::up(&[("red", 1, 1), ("rose", 2, 2)], "");
    cloud.tenant("red");
    let (red, _) = cloud.vm("red", "red", 1, 1);
    let (rose, _) = cloud.vm("red", "rose", 2, 2);
    let www = cloud.node("www");
    let _greeter = Greeter::start(&www, WWW);
    let _red = Greeter::start(&red, "10.10.1.100:80");
    let _rose = Greeter::start(&rose, "10.10.1.101:443");
    cloud.connect(
        "red",
        "internet",
        "nat: {floating: [{external: 203.0.113.30, internal: 10.10.1.100}], forwards: [{protocol: tcp, ports: 8443, \
         internal: 10.10.1.101, internalPort: 443}, {protocol: udp, ports: 5000-5001, internal: 10.10.1.101, \
         internalPort: 443}]}",
    );
    cloud.await_state("red", "internet", "up");
    let own = cloud.address("red", "internet");

    // One to one, in both directions.
    assert_eq!(seen(&ask(&red, WWW).unwrap()).0, "203.0.113.30");
    let asked = ask(&www, "203.0.113.30:80").unwrap();
    assert_eq!((asked.starts_with("red sees"), seen(&asked).0.as_str()), (true, "198.51.100.7"), "{asked}");
    // The other one has the shared way out, and the ports that lead to it.
    assert_eq!(seen(&ask(&rose, WWW).unwrap()).0, own);
    let asked = ask(&www, &format!("{own}:8443")).unwrap();
    assert!(asked.starts_with("rose sees 198.51.100.7:"), "{asked}");
    assert!(ask_udp(&www, &format!("{own}:5000")).unwrap().starts_with("rose sees"));
    assert!(ask(&www, &format!("{own}:443")).is_err(), "only what is forwarded leads in");
    // VMs reach each other by their names outside as well (hairpin).
    assert!(ask(&red, &format!("{own}:8443")).unwrap().starts_with("rose sees"));
    assert!(ask(&rose, "203.0.113.30:80").unwrap().starts_with("red sees"));
    assert!(ask(&rose, &format!("{own}:8443")).unwrap().starts_with("rose sees"), "even itself");
}

#[test]
fn tenants_with_the_same_prefixes_share_one_address() {
    let cloud = Cloud::up_with(&[("red", 1, 1), ("blue", 1, 2)], "", "203.0.113.16-203.0.113.16");
    let www = cloud.node("www");
    let _greeter = Greeter::start(&www, WWW);
    let vms: Vec<_> = [("red", 1), ("blue", 2)]
        .map(|(tenant, mac)| {
            cloud.tenant(tenant);
            let (vm, lease) = cloud.vm(tenant, tenant, 1, mac);
            assert_eq!(lease.address, "10.10.1.100/24");
            cloud.connect(tenant, "internet", "nat: {sharedPorts: 1024}");
            vm
        })
        .into();
    for tenant in ["red", "blue"] {
        cloud.await_state(tenant, "internet", "up");
    }
    let mut talks: Vec<_> = vms.iter().map(|vm| Conversation::open(vm, WWW).unwrap()).collect();
    let peers: Vec<_> = talks.iter().map(|talk| seen(talk.greeting())).collect();
    assert!(peers.iter().all(|(address, _)| address == "203.0.113.16"), "{peers:?}");
    // Each has ports of its own, many times over.
    let blocks: Vec<_> = vms
        .iter()
        .map(|vm| (0..20).map(|_| seen(&ask(vm, WWW).unwrap()).1 / 1024).collect::<std::collections::BTreeSet<_>>())
        .collect();
    assert!(blocks[0].is_disjoint(&blocks[1]) && blocks.iter().all(|block| block.len() <= 2), "{blocks:?}");
    for (vm, talk) in vms.iter().zip(&mut talks) {
        talk.say("still here").unwrap();
        must_ping(vm, "198.51.100.7");
        assert!(ask_udp(vm, WWW).is_ok());
    }
}

#[test]
fn a_prefix_of_ipv6_stands_for_another_in_both_directions() {
    const WWW6: &str = "[2001:db8:1::7]:80";
    let cloud = Cloud::up(&[("red", 1, 1), ("rose", 2, 2)], "");
    cloud.tenant("red");
    cloud.op("create vm-subnet six --tenant red --vm-network net --prefix fd00:a::/64");
    cloud.op("create ip-pool six --tenant red --vm-subnet six --range fd00:a::100-fd00:a::1ff");
    let vms: Vec<_> = [("red", 1), ("rose", 2)]
        .map(|(name, number)| {
            cloud.fabric.port(
                name,
                number,
                0xA0 | u8::try_from(number).unwrap_or_default(),
                "--tenant red --vm-network net --vm-subnet six",
            );
            let vm = cloud.node(name);
            run(&vm, &format!("ip -6 address add fd00:a::{:x}/64 dev eth0 nodad", 0xff + number));
            run(&vm, "ip -6 route add default via fd00:a::1");
            vm
        })
        .into();
    let www = cloud.node("www");
    let _greeter = Greeter::start(&www, WWW6);
    cloud.connect(
        "red",
        "internet",
        "nat: {translations: [{internal: \"fd00:a::/64\", external: \"2001:db8:a::/64\"}]}",
    );
    let shown = cloud.await_state("red", "internet", "up");
    let all = shown["status"]["connection"]["external"].to_string();
    let own = all.split('"').find(|text| text.starts_with("2001:db8::")).unwrap_or_else(|| panic!("{shown:#}"));
    // The outside is told by its administrator where the prefix is.
    let own = own.split('/').next().unwrap_or_default();
    run(&cloud.node("internet"), &format!("ip -6 route add 2001:db8:a::/64 via {own}"));
    for (vm, last) in vms.iter().zip(["100", "101"]) {
        must_ping(vm, "2001:db8:1::7");
        assert_eq!(seen(&ask(vm, WWW6).unwrap()).0, format!("2001:db8:a::{last}"));
        // Each VM is reached at the address that stands for it, and sees who asks.
        let greeter = Greeter::start(vm, "[::]:8080");
        let asked = ask(&www, &format!("[2001:db8:a::{last}]:8080")).unwrap();
        assert_eq!(seen(&asked).0, "2001:db8:1::7");
        drop(greeter);
    }
    // Nothing of what is inside is known outside.
    must_not_ping(&www, "fd00:a::100");
}

#[test]
fn a_connection_has_the_bandwidth_that_it_is_given_in_each_direction() {
    /// Bits a second of the cap, and seconds of a transfer.
    const CAP: u64 = 20_000_000;
    const TIME: u64 = 1;
    let cloud = Cloud::up(&[("red", 1, 1)], "");
    cloud.tenant("red");
    let (red, _) = cloud.vm("red", "red", 1, 1);
    let www = cloud.node("www");
    let limits = |limits: &str| {
        cloud.connect("red", "internet", &format!("nat: {{}}{limits}"));
        cloud.await_state("red", "internet", "up");
    };
    // In bits.
    let carried = |options: &str| received_bytes(&tcp(&red, &www, "198.51.100.7", &format!("-t {TIME} {options}"))) * 8;
    limits("");
    for options in ["", "-R"] {
        assert!(carried(options) > 2 * CAP * TIME, "without a limit there is more than one leaves");
    }
    limits(", limits: {egress: {bandwidth: 20 Mbit/s}, ingress: {bandwidth: 20 Mbit/s}}");
    // What waits on the way, or went at once after a silence, comes beside what the limit lets pass.
    let shaped = || ["", "-R"].iter().all(|options| (CAP * TIME / 2..CAP * TIME * 3 / 2).contains(&carried(options)));
    assert!(eventually(LIMIT, shaped), "{}", cloud.logs());
    // The limit goes, and is gone.
    limits("");
    assert!(eventually(LIMIT, || carried("") > 2 * CAP * TIME), "{}", cloud.logs());
}
