//! What BIRD is told.

use model::gateway::{Inside, Outside, Routing, Wireguard};

use super::*;

fn neighbor(address: &str, remote_as: u32) -> BgpNeighbor {
    BgpNeighbor {
        address: address.parse().unwrap(),
        remote_as,
        password: None,
        multihop: false,
        hold_time: None,
        import: Vec::new(),
        export: Vec::new(),
        max_prefixes: None,
        graceful_restart: None,
    }
}

fn connection(name: &str, neighbors: Vec<BgpNeighbor>) -> Connection {
    Connection {
        name: name.parse().unwrap(),
        nat: None,
        routing: Some(Routing::default()),
        ipsec: None,
        wireguard: None,
        dns: None,
        bgp: Some(Bgp { local_as: 65010, router_id: None, neighbors, announce: Vec::new() }),
        limits: Default::default(),
    }
}

fn compartment(connections: Vec<Connection>) -> Compartment {
    Compartment {
        name: "blue/net".parse().unwrap(),
        standby: false,
        leaving: false,
        inside: Inside {
            device: "nvtg0".parse().unwrap(),
            mac: "02:00:00:00:00:01".parse().unwrap(),
            addresses: vec!["10.254.254.2/29".parse().unwrap()],
            routers: Vec::new(),
            prefixes: vec!["10.0.0.0/24".parse().unwrap(), "fd00:a::/64".parse().unwrap()],
        },
        outside: Some(Outside {
            mac: "02:00:00:00:00:02".parse().unwrap(),
            vlan: None,
            addresses: vec!["192.0.2.10/24".parse().unwrap(), "2001:db8::10/64".parse().unwrap()],
            next_hops: Vec::new(),
            shared: Vec::new(),
        }),
        connections,
    }
}

fn first(compartment: &Compartment) -> Option<String> {
    config(compartment, Start::First)
}

fn filter(prefix: &str, at_least: Option<u8>, at_most: Option<u8>) -> PrefixFilter {
    PrefixFilter { prefix: prefix.parse().unwrap(), at_least, at_most }
}

#[test]
fn without_bgp_and_on_standby_there_is_nothing_to_do() {
    assert_eq!(first(&compartment(Vec::new())), None);
    let mut standby = compartment(vec![connection("core", vec![neighbor("192.0.2.1", 65001)])]);
    assert!(first(&standby).is_some());
    standby.standby = true;
    assert_eq!(first(&standby), None);
}

#[test]
fn by_default_all_is_taken_but_what_is_our_own_and_the_way_to_everything() {
    let text = first(&compartment(vec![connection("core", vec![neighbor("192.0.2.1", 65001)])])).unwrap();
    for line in [
        "router id 192.0.2.10;",
        "local 192.0.2.10 as 65010;",
        "neighbor 192.0.2.1 as 65001;",
        "direct; interface \"outside\";",
        "hold time 9;",
        "receive limit 1000 action restart;",
        "10.0.0.0/24+, 10.254.254.0/29+ ] then reject;",
        "if net = 0.0.0.0/0 then reject;",
        "if net ~ [ 10.0.0.0/24 ] then accept;",
        "kernel table 100; persist; scan time 30;",
        "route 10.0.0.0/24 via \"inside\";",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("fd00:a::/64"), "what is of another family is announced to nobody:\n{text}");
}

#[test]
fn only_one_that_is_started_again_leaves_the_kernels_routes_for_a_time() {
    let compartment = compartment(vec![connection("core", vec![neighbor("192.0.2.1", 65001)])]);
    let again = config(&compartment, Start::Again).unwrap();
    assert_eq!(again.replace("persist; graceful restart;", "persist;"), first(&compartment).unwrap());
    assert_eq!(again.matches("persist; graceful restart;").count(), 2, "{again}");
}

#[test]
fn a_filter_that_names_everything_takes_it() {
    let mut named = neighbor("192.0.2.1", 65001);
    named.import = vec![filter("0.0.0.0/0", None, None), filter("10.9.0.0/16", Some(20), Some(24))];
    named.export = vec![filter("10.0.0.0/24", None, None)];
    let text = first(&compartment(vec![connection("core", vec![named])])).unwrap();
    assert!(text.contains("if !(net ~ [ 0.0.0.0/0{0,0}, 10.9.0.0/16{20,24} ]) then reject;"), "{text}");
    assert!(text.contains("if !(net ~ [ 10.0.0.0/24{24,24} ]) then reject;"), "{text}");
    assert!(!text.contains("net = 0.0.0.0/0"), "{text}");
}

#[test]
fn bounds_of_a_filter() {
    let pattern = |prefix, least, most| pattern(&filter(prefix, least, most), false);
    assert_eq!(pattern("10.1.2.3/8", None, None).unwrap(), "10.0.0.0/8{8,8}");
    assert_eq!(pattern("10.0.0.0/8", Some(4), Some(40)).unwrap(), "10.0.0.0/8{8,32}");
    assert_eq!(pattern("10.0.0.0/8", Some(24), None).unwrap(), "10.0.0.0/8{24,24}");
    assert_eq!(pattern("10.0.0.0/8", Some(24), Some(16)), None);
    assert_eq!(pattern("fd00::/8", None, None), None);
}

#[test]
fn names_of_sessions_do_not_depend_on_other_connections() {
    let first = connection("a site with a very long name", vec![neighbor("192.0.2.1", 1), neighbor("192.0.2.1", 2)]);
    let second = connection("b", vec![neighbor("2001:db8::1", 1)]);
    let both = compartment(vec![first, second.clone()]);
    let names: Vec<String> = sessions(&both).into_iter().map(|session| session.protocol).collect();
    assert_eq!(names, ["a_site_with_a_very:192.0.2.1", "a_site_with_a_very:192.0.2.1:2", "b:2001:db8::1"]);
    assert_eq!(sessions(&compartment(vec![second]))[0].protocol, names[2]);
}

#[test]
fn a_tunnel_speaks_from_its_own_address() {
    let mut tunnel = connection("branch", vec![neighbor("169.254.7.1", 65001)]);
    tunnel.routing = None;
    tunnel.wireguard = Some(Wireguard {
        private_key: None,
        listen_port: None,
        peer_key: "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=".parse().unwrap(),
        preshared_key: None,
        endpoint: None,
        remote_prefixes: Vec::new(),
        addresses: vec!["169.254.7.2/30".parse().unwrap()],
        keepalive: None,
    });
    let text = first(&compartment(vec![tunnel])).unwrap();
    assert!(text.contains("local 169.254.7.2 as 65010;") && text.contains("interface \"wg"), "{text}");
}

#[test]
fn what_bird_cannot_read_is_left_out_and_told() {
    let mut quoted = neighbor("192.0.2.2", 65001);
    quoted.password = Some(Secret::new("a\" ; } protocol static { }"));
    let neighbors =
        vec![neighbor("192.0.2.1", 65001), quoted, neighbor("192.0.2.10", 65001), neighbor("fe80::1", 65001)];
    let compartment = compartment(vec![connection("core", neighbors)]);
    let sentences: Vec<Option<String>> = sessions(&compartment).iter().map(trouble).collect();
    assert!(sentences[1].as_ref().unwrap().contains("quotation mark"), "{sentences:?}");
    assert!(sentences[2].as_ref().unwrap().contains("is no address of a neighbor"), "{sentences:?}");
    assert_eq!((&sentences[0], &sentences[3]), (&None, &None));
    let text = first(&compartment).unwrap();
    assert!(!text.contains("192.0.2.2") && text.contains("neighbor fe80::1 as 65001;"), "{text}");
    let off: Vec<bool> = sessions(&compartment).iter().map(Session::is_off_link).collect();
    assert_eq!(off, [false; 4]);
}

#[test]
fn a_neighbor_far_away_is_reached_by_what_is_declared() {
    let mut far = neighbor("198.51.100.7", 65001);
    (far.multihop, far.hold_time) = (true, Some(1));
    let text = first(&compartment(vec![connection("core", vec![far])])).unwrap();
    let elsewhere = neighbor("198.51.100.8", 65001);
    let elsewhere = self::compartment(vec![connection("core", vec![elsewhere])]);
    assert!(sessions(&elsewhere)[0].is_off_link());
    for line in ["multihop;", "igp table declared4;", "if bgp_next_hop != 198.51.100.7 then reject;", "hold time 3;"] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
