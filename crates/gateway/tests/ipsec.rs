//! IPsec of compartments against Debian's strongSwan as the other side, set up as its administrator would.

mod tunnels;

use gateway::{IpsecPart, Part};
use serde_json::json;
use tunnels::swan::{Site, psk};
use tunnels::{Ground, Net, Router, kill, segments_fit, supervisor, tcp, until};

/// A tunnel by a pre-shared key to the site at 192.0.SITE.1.
fn by_key(site: u8, key: &str) -> serde_json::Value {
    json!({"name": "office", "ipsec": {
        "remote": format!("192.0.{site}.1"), "psk": key, "remotePrefixes": ["10.2.0.0/24", "fd00:2::/64"]
    }})
}

#[test]
fn a_tunnel_by_key_carries_both_ways_and_is_adopted() {
    let router = Router::new("psk");
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&router, 21);
    site.start(&psk("192.0.21.1", "192.0.11.1", "swordfish", "", ""));
    ground.connection(by_key(21, "swordfish"));
    let supervisor = supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    assert_eq!(part.settle(&ground.place()), []);
    let report = ground.until_up(&mut part, "office");
    assert_eq!(report.carriers, ["charon", "userspace ESP"]);
    assert!(ground.vm.pings("10.2.0.10", 84), "{}", ground.net.sh("ip addr; ip route"));
    assert!(site.net.pings("10.1.0.10", 84));
    assert!(ground.vm.pings("fd00:2::10", 104));
    assert_eq!(tcp(&ground.vm, &site.net, "10.2.0.10:5001", 10_000_000), 10_000_000);
    assert_eq!(tcp(&site.net, &ground.vm, "10.1.0.10:5001", 10_000_000), 10_000_000);
    let report = ground.until(&mut part, "office", |report| report.sent_bytes > 10_000_000);
    assert!(report.received_bytes > 10_000_000, "{report:?}");

    // The gateway ends and another one begins: charon and its tunnel stay as they are.
    let pids = ground.net.pids("charon");
    drop((part, supervisor));
    let supervisor = tunnels::supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    assert_eq!(part.settle(&ground.place()), []);
    let report = ground.report(&mut part, "office");
    assert_eq!(report.state, model::gateway::ConnectionState::Up, "{report:?}");
    assert_eq!(ground.net.pids("charon"), pids);

    part.remove(&ground.place());
    assert_eq!(ground.net.pids("charon"), [] as [u32; 0]);
    assert!(!ground.net.sh("ip route").contains("10.2.0.0"));
}

/// Pings 200 times a second while something is done, and answers how many of so many did not come back.
fn losses(from: &Net, to: &str, count: u32, meanwhile: impl FnOnce()) -> u32 {
    std::thread::scope(|scope| {
        let pinging = scope.spawn(|| from.try_sh(&format!("ping -q -i 0.005 -c {count} -W 2 {to}")).1);
        meanwhile();
        let said = pinging.join().unwrap();
        let came = said.split(", ").find_map(|part| part.strip_suffix(" received")).unwrap_or_else(|| panic!("{said}"));
        count - came.parse::<u32>().unwrap()
    })
}

#[test]
fn keys_are_made_anew_without_loss() {
    let router = Router::new("rekey");
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&router, 21);
    site.start(&psk("192.0.21.1", "192.0.11.1", "swordfish", "", ""));
    ground.connection(by_key(21, "swordfish"));
    let supervisor = supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    part.settle(&ground.place());
    ground.until_up(&mut part, "office");
    let lost = losses(&ground.vm, "10.2.0.10", 1600, || {
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(1000));
            part.rekey("office").unwrap();
            part.tend(&ground.place());
            std::thread::sleep(std::time::Duration::from_millis(1000));
            assert!(site.swanctl("--rekey --child net").0);
            part.tend(&ground.place());
        }
    });
    assert_eq!(lost, 0);
    assert!(site.log().matches("CHILD_SA net{").count() >= 7, "keys were made anew six times");
    let rekeying = std::thread::scope(|scope| {
        let sent = scope.spawn(|| tcp(&ground.vm, &site.net, "10.2.0.10:5001", 50_000_000));
        for _ in 0..5 {
            part.rekey("office").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        sent.join().unwrap()
    });
    assert_eq!(rekeying, 50_000_000);
    // What keys that are gone carried stays counted. Counts are looked at each second: what old ones carry in their last moment
    // is not all seen.
    let before = ground.until_up(&mut part, "office").sent_bytes;
    for _ in 0..2 {
        assert_eq!(tcp(&ground.vm, &site.net, "10.2.0.10:5001", 10_000_000), 10_000_000);
        part.tend(&ground.place());
        part.rekey("office").unwrap();
    }
    ground.until(&mut part, "office", |report| report.sent_bytes > before + 20_000_000);
}

#[test]
fn a_dead_side_is_missed_and_comes_back_and_so_does_ours() {
    let router = Router::new("dead");
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&router, 21);
    let conf = psk("192.0.21.1", "192.0.11.1", "swordfish", "", "");
    site.start(&conf);
    ground.connection(by_key(21, "swordfish"));
    let supervisor = supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    part.settle(&ground.place());
    ground.until_up(&mut part, "office");

    // Our charon is killed.
    ground.net.pids("charon").into_iter().for_each(kill);
    until("the tunnel is back after our charon was killed", || {
        part.tend(&ground.place());
        ground.vm.pings("10.2.0.10", 84)
    });
    ground.until_up(&mut part, "office");

    // The other side is killed.
    site.kill();
    ground.until_reason(&mut part, "office", &["192.0.21.1", "is it up"]);
    site.start(&conf);
    ground.until_up(&mut part, "office");
    assert!(ground.vm.pings("10.2.0.10", 84));
}

#[test]
fn tenants_with_the_same_addresses_and_sites_with_the_same_have_tunnels_at_once() {
    let router = Router::new("same");
    let supervisor = supervisor();
    let mut all = Vec::new();
    for number in [11, 12] {
        let mut ground = Ground::new(&router, number);
        let mut site = Site::new(&router, number + 10);
        let (here, there) = (format!("192.0.{number}.1"), format!("192.0.{}.1", number + 10));
        site.start(&psk(&there, &here, &format!("key of {number}"), "", ""));
        ground.connection(by_key(number + 10, &format!("key of {number}")));
        let mut part = IpsecPart::new(supervisor.of("ipsec"));
        assert_eq!(part.settle(&ground.place()), []);
        all.push((ground, site, part));
    }
    for (ground, site, part) in &mut all {
        ground.until_up(part, "office");
        let before =
            site.net.sh("cat /sys/class/net/lo/statistics/rx_packets 2>/dev/null; cat /proc/net/snmp | grep Icmp:");
        assert!(ground.vm.pings("10.2.0.10", 84));
        let after =
            site.net.sh("cat /sys/class/net/lo/statistics/rx_packets 2>/dev/null; cat /proc/net/snmp | grep Icmp:");
        assert_ne!(before, after, "the ping went to this tenant's own site");
    }
}

#[test]
fn a_site_behind_nat_opens_the_tunnel() {
    let router = Router::new("nat");
    let nat = Router::new("natb");
    router.join(&nat.net, 22);
    nat.net.sh(
        "nft 'table ip t { chain c { type nat hook postrouting priority 100; oifname outside masquerade random; }; }'",
    );
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&nat, 31);
    ground.connection(json!({"name": "office", "ipsec": {
        "remote": "192.0.22.1", "remoteId": "192.0.31.1", "psk": "swordfish", "passive": true,
        "remotePrefixes": ["10.2.0.0/24", "fd00:2::/64"]
    }}));
    let supervisor = supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    assert_eq!(part.settle(&ground.place()), []);
    assert!(ground.report(&mut part, "office").reason.unwrap().contains("waiting for 192.0.22.1"));
    site.start(&psk("192.0.31.1", "192.0.11.1", "swordfish", "keyingtries = 0", "start_action = start"));
    ground.until_up(&mut part, "office");
    assert!(ground.vm.pings("10.2.0.10", 84));
    assert!(site.net.pings("10.1.0.10", 84));
}

#[test]
fn a_site_opens_the_tunnel_from_wherever_it_is() {
    let router = Router::new("roam");
    let nat = Router::new("roamb");
    router.join(&nat.net, 22);
    nat.net.sh(
        "nft 'table ip t { chain c { type nat hook postrouting priority 100; oifname outside masquerade random; }; }'",
    );
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&nat, 31);
    let named = |key: &str| {
        let conf = psk("192.0.31.1", "192.0.11.1", key, "keyingtries = 0", "start_action = start");
        conf.replace("id = 192.0.31.1", "id = office.example").replace("id-1 = 192.0.31.1", "id-1 = office.example")
    };
    ground.connection(json!({"name": "office", "ipsec": {
        "remoteId": "office.example", "psk": "swordfish", "passive": true, "remotePrefixes": ["10.2.0.0/24", "fd00:2::/64"]
    }}));
    // Another one that is elsewhere and has an address is told apart.
    ground.connection(json!({"name": "depot", "ipsec": {
        "remote": "192.0.23.1", "psk": "other", "passive": true, "remotePrefixes": ["10.3.0.0/24"]
    }}));
    let supervisor = supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    assert_eq!(part.settle(&ground.place()), []);
    let reason = ground.report(&mut part, "office").reason.unwrap();
    assert!(reason.contains("waiting for \"office.example\" from anywhere"), "{reason}");
    site.start(&named("sword"));
    ground.until_reason(&mut part, "office", &["pre-shared key of \"office.example\" is not ours"]);
    site.kill();
    site.start(&named("swordfish"));
    ground.until_up(&mut part, "office");
    assert!(ground.vm.pings("10.2.0.10", 84));
    assert!(site.net.pings("10.1.0.10", 84));
    assert!(ground.report(&mut part, "depot").reason.unwrap().contains("waiting for 192.0.23.1"));

    // It is somewhere else now.
    site.kill();
    nat.net.sh("ip addr del 192.0.22.1/24 dev outside && ip addr add 192.0.22.77/24 dev outside && \
         ip route replace default via 192.0.22.254");
    site.start(&named("swordfish"));
    until("the tunnel is back", || {
        part.tend(&ground.place());
        ground.vm.pings("10.2.0.10", 84)
    });
    ground.until_up(&mut part, "office");
}

#[test]
fn the_size_of_segments_is_what_fits_into_the_tunnel() {
    let router = Router::new("mss");
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&router, 21);
    site.start(&psk("192.0.21.1", "192.0.11.1", "swordfish", "", ""));
    // So that nothing but the gateway makes segments smaller.
    site.net.sh("ip link set ipsec0 mtu 1500");
    ground.connection(by_key(21, "swordfish"));
    ground.apply_rules();
    let supervisor = supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    assert_eq!(part.settle(&ground.place()), []);
    ground.until_up(&mut part, "office");
    // 1400 less the headers of IPv4 or IPv6, and of TCP.
    segments_fit(&ground, &site.net, ["10.2.0.10", "[fd00:2::10]"], [1360, 1340]);
}

#[test]
fn large_packets_pass_or_are_told_and_other_tunnels_do_not_notice_changes() {
    let router = Router::new("large");
    let mut ground = Ground::new(&router, 11);
    let (mut site, mut other) = (Site::new(&router, 21), Site::new(&router, 22));
    site.start(&psk("192.0.21.1", "192.0.11.1", "swordfish", "", ""));
    other.net.sh("ip addr add 10.3.0.10/32 dev lo");
    let elsewhere = |text: String| text.replace("10.2.0.0/24,fd00:2::/64", "10.3.0.0/24");
    other.start(&elsewhere(psk("192.0.22.1", "192.0.11.1", "second", "", "")));
    ground.connection(by_key(21, "swordfish"));
    ground.connection(json!({"name": "depot", "ipsec": {
        "remote": "192.0.22.1", "psk": "second", "remotePrefixes": ["10.3.0.0/24"]
    }}));
    let supervisor = supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    assert_eq!(part.settle(&ground.place()), []);
    ground.until_up(&mut part, "office");
    ground.until_up(&mut part, "depot");
    assert!(ground.vm.pings("10.2.0.10", 1400));
    assert!(site.net.pings("10.1.0.10", 1400));
    let (_, said) = ground.vm.try_sh("ping -M do -c 1 -W 2 -s 1450 10.2.0.10");
    assert!(said.contains("mtu = 1400") || said.contains("mtu=1400"), "{said}");

    // One is changed, then gone; the other's packets do not notice.
    let vm = std::sync::Arc::clone(&ground.vm);
    let lost = losses(&vm, "10.2.0.10", 600, || {
        other.reload(&elsewhere(psk("192.0.22.1", "192.0.11.1", "third", "", "")));
        ground.connection(json!({"name": "depot", "ipsec": {
            "remote": "192.0.22.1", "psk": "third", "remotePrefixes": ["10.3.0.0/24"]
        }}));
        part.settle(&ground.place());
        ground.until_up(&mut part, "depot");
        ground.compartment.connections.retain(|connection| connection.name.as_str() != "depot");
        part.settle(&ground.place());
    });
    assert_eq!(lost, 0);
    assert!(!ground.net.sh("ip route").contains("10.3.0.0"));
    ground.until_up(&mut part, "office");
}

#[test]
fn over_ipv6_with_addresses_inside_for_bgp() {
    let router = Router::new("six");
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&router, 21);
    let (here, there) = ("2001:db8:11::1", "2001:db8:21::1");
    let conf = psk(there, here, "swordfish", "", "");
    let conf = conf.replace("10.2.0.0/24,fd00:2::/64", "0.0.0.0/0").replace("10.1.0.0/24,fd00:1::/64", "0.0.0.0/0");
    site.start(&conf);
    site.net.sh("ip addr add 169.254.10.2/30 dev ipsec0");
    ground.connection(json!({"name": "office", "bgp": {"localAs": 65001, "neighbors": [
        {"address": "169.254.10.2", "remoteAs": 65002}
    ]}, "ipsec": {"remote": there, "psk": "swordfish", "addresses": ["169.254.10.1/30"]}}));
    let supervisor = supervisor();
    let mut part = IpsecPart::new(supervisor.of("ipsec"));
    assert_eq!(part.settle(&ground.place()), []);
    let report = ground.until_up(&mut part, "office");
    assert_eq!(report.addresses, [here.parse::<std::net::IpAddr>().unwrap()]);
    // What BGP speaks by, and what it would teach.
    assert!(ground.net.pings("169.254.10.2", 84), "{}", ground.net.sh("ip addr show ipsec0; ip route"));
    ground.net.sh("ip route add 10.2.0.0/24 via 169.254.10.2 dev ipsec0");
    assert!(ground.vm.pings("10.2.0.10", 84));
    assert!(ground.net.pings("169.254.10.2", 1400));
}
