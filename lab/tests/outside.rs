//! What lies outside: hosts, sites and the router see each other on one segment, servers are behind their routers, and a
//! site behind NAT is reached by nobody.

mod common;

use common::{LIMIT, ping, remains, up};
use lab::{LabError, NodeKind, Topology};

const OUTSIDE: &str = r#"
name: LAB
outside:
  router:
    addresses: [203.0.113.1/24, "2001:db8::1/64"]
    lan: [198.51.100.1/24, "2001:db8:1::1/64"]
    servers:
      - {name: www, addresses: [198.51.100.7/24, "2001:db8:1::7/64"]}
hosts:
  - {name: h1, addresses: [192.168.4.11/24], outside: [203.0.113.11/24], agent: false}
  - {name: h2, addresses: [192.168.4.22/24], outside: [], agent: false}
sites:
  - name: contoso
    addresses: [203.0.113.100/24, "2001:db8::100/64"]
    lan: [10.10.2.1/24]
    servers:
      - {name: sql, addresses: [10.10.2.5/24]}
  - name: fabrikam
    addresses: [203.0.113.101/24]
    routes: [{to: 10.10.2.0/24, via: 203.0.113.100}]
    lan: [10.20.2.1/24]
    servers:
      - {name: ad, addresses: [10.20.2.5/24]}
      - {name: dns, addresses: [10.20.2.6/24]}
  - name: cafe
    addresses: [203.0.113.102/24]
    nat: true
"#;

#[test]
fn everything_outside_is_reached_as_its_routes_say() {
    let mut lab = up(OUTSIDE);
    let name = lab.name().to_owned();
    let node = |name: &str| lab.node(name).unwrap();
    // The whole MTU is there, between neighbours and through routers.
    ping(&node("h1"), "203.0.113.100", 1500 - 28).unwrap();
    let shown = ping(&node("sql"), "198.51.100.7", 1472);
    assert!(shown.is_err(), "the outside knows nothing of a company's own addresses: {shown:?}");
    ping(&node("contoso"), "198.51.100.7", 1472).unwrap();
    ping(&node("contoso"), "2001:db8:1::7", 1452).unwrap();
    ping(&node("sql"), "10.10.2.1", 1472).unwrap();
    ping(&node("ad"), "10.20.2.6", 1472).unwrap();
    let routes = node("fabrikam").output(&["ip", "route"], LIMIT).unwrap().ok().unwrap();
    assert!(routes.contains("10.10.2.0/24 via 203.0.113.100 dev eth0") && !routes.contains("default"), "{routes}");
    // An interface without an address is there, and up.
    let eth1 = node("h2").netlink().unwrap().link("eth1").unwrap();
    assert!(eth1.up && eth1.carrier && eth1.addresses.iter().all(|its| its.addr().is_ipv6()), "{eth1:?}");

    let kinds: Vec<_> = lab.status().unwrap().nodes.into_iter().map(|its| (its.name, its.kind, its.present)).collect();
    let expected = [
        ("underlay", NodeKind::Underlay),
        ("h1", NodeKind::Host),
        ("h2", NodeKind::Host),
        ("outside", NodeKind::Outside),
        ("internet", NodeKind::Router),
        ("contoso", NodeKind::Router),
        ("fabrikam", NodeKind::Router),
        ("cafe", NodeKind::Router),
        ("cafe-nat", NodeKind::Router),
        ("www", NodeKind::Server),
        ("sql", NodeKind::Server),
        ("ad", NodeKind::Server),
        ("dns", NodeKind::Server),
    ];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind, true)));
    lab.down().unwrap();
    assert_eq!(remains(&name, &[]), Vec::<String>::new());
}

#[test]
fn a_site_behind_nat_gets_out_under_its_routers_address_and_is_not_reached() {
    let lab = up(OUTSIDE);
    let (cafe, www) = (lab.node("cafe").unwrap(), lab.node("www").unwrap());
    let listener = ["timeout", "10", "tcpdump", "-n", "-l", "-c", "1", "-i", "eth0", "icmp[0] == 8"];
    let seen = std::thread::spawn(move || www.output(&listener, LIMIT).unwrap().ok().unwrap());
    // Until it listens, and one more after it does.
    while !seen.is_finished() {
        ping(&cafe, "198.51.100.7", 56).unwrap();
    }
    let seen = seen.join().unwrap();
    assert!(seen.contains("203.0.113.102 > 198.51.100.7: ICMP echo request"), "{seen}");
    // Even one who knows where it is does not get in.
    let h1 = lab.node("h1").unwrap();
    h1.output(&["ip", "route", "add", "100.64.0.0/24", "via", "203.0.113.102"], LIMIT).unwrap().ok().unwrap();
    let tried = h1.output(&["ping", "-c", "1", "-W", "1", "100.64.0.2"], LIMIT).unwrap();
    assert!(!tried.success(), "{}", tried.stdout);
}

#[test]
fn contradictions_of_the_outside_are_named_at_once() {
    let refused = |text: &str| match Topology::from_yaml(text) {
        Err(LabError::Invalid { problems, .. }) => problems.join("\n"),
        other => panic!("{other:?}"),
    };
    let said = refused(
        r#"
name: x
hosts:
  - {name: h1, addresses: [192.168.4.11/24], outside: []}
  - {name: h2, addresses: [192.168.4.12/24], gateway: true}
sites:
  - {name: contoso, addresses: [203.0.113.100/24]}
"#,
    );
    for sentence in [
        "host h1 is on the outside, but the topology has no \"outside\"; add one",
        "site contoso is on the outside, but",
        "host h2 has \"gateway: true\" and no interface for it; write \"outside: []\"",
    ] {
        assert!(said.contains(sentence), "{sentence}\nis not in\n{said}");
    }
    let said = refused(
        r#"
name: x
outside:
  mtu: 100
  router:
    addresses: [203.0.113.1/24]
    lan: [203.0.113.129/25]
    servers: [{name: h1, addresses: [198.51.100.7/24]}]
hosts:
  - {name: h1, addresses: [192.168.4.11/24], outside: [203.0.114.1/24]}
  - {name: h2, addresses: [192.168.4.12/24], outside: [203.0.113.2/24], gateway: true}
  - {name: h3, addresses: [192.168.4.13/24], outside: [], gateway: true, agent: false}
  - {name: outside, addresses: [192.168.4.14/24]}
sites:
  - {name: a, addresses: [203.0.113.2/24, "2001:db8::2/64"], nat: true, lan: [10.0.0.1/24]}
  - name: b
    addresses: []
    routes: [{to: 0.0.0.0/0, via: 203.0.113.9}, {to: "::/0", via: 203.0.113.1}]
    lan: [10.0.0.1/24]
    servers:
      - {name: s1, addresses: [10.0.0.1/24]}
      - {name: s2, addresses: []}
"#,
    );
    for sentence in [
        "two nodes are named h1",
        "a node is named outside, as the segment itself is; choose another name",
        "the outside's MTU is 100; choose one of 1280 to 65535",
        "203.0.114.1/24 of h1 is in no prefix of the outside's router",
        "host h2 has \"gateway: true\" and addresses on the outside",
        "host h3 has \"gateway: true\" and \"agent: false\"",
        "203.0.113.2 is an address of both h2 and a on the outside",
        "site a has \"nat: true\", which is of IPv4",
        "b has no address on the outside",
        "b: the route to 0.0.0.0/0 goes via 203.0.113.9, which is in the prefix of none of its addresses",
        "b: the route to ::/0 goes via 203.0.113.1, which is of the other IP version",
        "the LAN 203.0.113.129/25 of internet overlaps its 203.0.113.1/24 on the outside",
        "198.51.100.7/24 of server h1 is in no prefix of the \"lan\" of internet",
        "10.0.0.1 is an address of both b and s1 behind b",
        "server s2 has no address",
    ] {
        assert!(said.contains(sentence), "{sentence}\nis not in\n{said}");
    }
}
