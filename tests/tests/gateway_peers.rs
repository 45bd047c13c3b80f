//! What gateways meet outside runs in the lab by itself: two sites with tunnels between them, made of strongSwan, FRR, BIRD,
//! wireguard-go and dnsmasq alone. What a gateway's story sees go wrong is then not theirs. Needs root.

use tests::site::{
    Bird, Conversation, Dnsmasq, Frr, Greeter, IpsecPeer, StrongSwan, WireguardGo, WireguardPeer, ask, ask_udp,
    wireguard_keys,
};
use tests::stage::Stage;
use tests::tools::{must_not_ping, must_ping, run};

const SITES: &str = "
name: LAB
outside: {router: {addresses: [203.0.113.1/24]}}
hosts: [{name: H1, addresses: [192.168.4.11/24], agent: false}]
sites:
  - {name: north, addresses: [203.0.113.100/24], lan: [10.10.2.1/24], servers: [{name: sql, addresses: [10.10.2.5/24]}]}
  - {name: south, addresses: [203.0.113.101/24], lan: [10.10.1.1/24], servers: [{name: web, addresses: [10.10.1.5/24]}]}
  - {name: cafe, addresses: [203.0.113.102/24], nat: true, lan: [10.10.3.1/24],
     servers: [{name: guest, addresses: [10.10.3.5/24]}]}
";

#[test]
fn strongswan_and_frr_join_two_sites() {
    let stage = Stage::up(SITES);
    let node = |name: &str| stage.lab.node(name).unwrap();
    let mut ends: Vec<_> = ["north", "south"].into_iter().map(|site| StrongSwan::start(node(site))).collect();
    let north =
        IpsecPeer { local: "203.0.113.100", remote: "203.0.113.101", psk: "opensesame", ..IpsecPeer::default() };
    ends[0].load(&north);
    ends[1].load(&IpsecPeer { local: north.remote, remote: north.local, ..north });
    ends[0].initiate("cloud");
    ends[1].await_up("cloud");
    ends[0].address("169.254.10.1/30");
    ends[1].address("169.254.10.2/30");
    let near = Frr::speaker(65001, "10.10.2.1", &[("169.254.10.2", 65002)], &["10.10.2.0/24"]);
    let far = Frr::speaker(65002, "10.10.1.1", &[("169.254.10.1", 65001)], &["10.10.1.0/24"]);
    let (near, far) = (Frr::start(node("north"), &near), Frr::start(node("south"), &far));
    near.await_route("10.10.1.0/24");
    far.await_route("10.10.2.0/24");
    must_ping(&node("web"), "10.10.2.5");
    let path = run(&node("web"), "traceroute -n -I -q 1 -w 1 10.10.2.5");
    assert!(path.contains("169.254.10.1"), "{path}");

    let _sql = Greeter::start(&node("sql"), "10.10.2.5:1433");
    let mut talk = Conversation::open(&node("web"), "10.10.2.5:1433").unwrap();
    assert!(talk.greeting().starts_with("sql sees 10.10.1.5:"), "{}", talk.greeting());
    talk.say("select 1").unwrap();
    assert!(ask_udp(&node("web"), "10.10.2.5:1433").unwrap().contains("hello"));
    ends[1].kill();
    assert!(ask(&node("web"), "10.10.2.5:1433").is_err());
}

#[test]
fn wireguard_go_and_bird_join_two_sites_one_of_them_behind_nat() {
    let stage = Stage::up(SITES);
    let node = |name: &str| stage.lab.node(name).unwrap();
    let (north_key, north_public) = wireguard_keys();
    let (cafe_key, cafe_public) = wireguard_keys();
    let north = WireguardPeer {
        private_key: &north_key,
        listen_port: 51820,
        public_key: &cafe_public,
        allowed: "10.10.3.0/24, 169.254.20.2/32",
        ..WireguardPeer::default()
    };
    let cafe = WireguardPeer {
        private_key: &cafe_key,
        listen_port: 51820,
        public_key: &north_public,
        endpoint: "203.0.113.100:51820",
        allowed: "10.10.2.0/24, 169.254.20.1/32",
        keepalive: 1,
    };
    let north = WireguardGo::start(node("north"), &north, &["169.254.20.1/32"]);
    must_not_ping(&node("sql"), "10.10.3.5");
    let cafe = WireguardGo::start(node("cafe"), &cafe, &["169.254.20.2/32"]);
    cafe.await_handshake();
    north.await_handshake();
    must_ping(&node("sql"), "10.10.3.5");
    assert!(north.show().contains("endpoint: 203.0.113.102:"), "{}", north.show());

    let speaker = |own: &str, near: u32, other: &str, far: u32, prefix: &str| {
        format!(
            "router id {own};\nprotocol static {{ ipv4; route {prefix} blackhole; }}\nprotocol bgp site {{ local {own} as \
             {near}; neighbor {other} as {far}; multihop 2; connect retry time 1; ipv4 {{ import all; export where source \
             = RTS_STATIC; }}; }}\n"
        )
    };
    let one = Bird::start(node("north"), &speaker("169.254.20.1", 65001, "169.254.20.2", 65003, "192.0.2.0/25"));
    let other = Bird::start(node("cafe"), &speaker("169.254.20.2", 65003, "169.254.20.1", 65001, "192.0.2.128/25"));
    one.await_route("192.0.2.128/25");
    other.await_route("192.0.2.0/25");
}

#[test]
fn dnsmasq_knows_its_zone_and_nothing_else() {
    let stage = Stage::up(SITES);
    let node = |name: &str| stage.lab.node(name).unwrap();
    let dns = Dnsmasq::start(node("sql"), "contoso.example", &[("sql", "10.10.2.5"), ("ad", "10.10.2.2")]);
    let asked = run(&node("north"), "dig +short +time=2 +tries=1 @10.10.2.5 ad.contoso.example");
    assert_eq!(asked.trim(), "10.10.2.2");
    let asked = run(&node("north"), "dig +time=2 +tries=1 @10.10.2.5 www.example");
    assert!(asked.contains("REFUSED"), "{asked}");
    assert!(dns.log().contains("query[A] ad.contoso.example from 10.10.2.1"), "{}", dns.log());
}
