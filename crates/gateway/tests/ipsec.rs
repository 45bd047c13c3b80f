//! IPsec of compartments against Debian's strongSwan as the other side, set up as its administrator would.

mod tunnels;

use gateway::{IpsecPart, Part};
use serde_json::json;
use tunnels::swan::{Site, psk};
use tunnels::{Ground, Router, supervisor, tcp};

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
    assert!(ground.vm.pings("fd00:2::10", 104), "{} {} {} {}", ground.net.sh("ip -6 addr; ip -6 route; ip -s link show ipsec0; ping -c1 -W1 fd00:fe::1 2>&1; ping -c1 -W1 -I fd00:1::1 fd00:2::10 2>&1 || true"), ground.vm.sh("ip -6 addr; ip -6 route get fd00:2::10; ip -6 route"), site.net.sh("ip -6 route; ip -s link show ipsec0"), 1);
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
