//! Routes of any table, rules, neighbours, stacked devices and counters of nftables, in the kernel. Needs root.

mod common;

use common::Scratch;
use host::{Asked, Netfilter, Netlink, PolicyRule, Reachability, TableRoute, VethEnd};

/// Some program's number.
const OURS: u8 = 110;

fn pair() -> (Scratch, Scratch, Netlink, Netlink) {
    let (a, b) = (Scratch::new(), Scratch::new());
    let (na, nb) = (Netlink::in_namespace(&a).unwrap(), Netlink::in_namespace(&b).unwrap());
    na.create_veth(VethEnd::named("x"), VethEnd::named("y"), &b).unwrap();
    na.set_up("x").unwrap();
    nb.set_up("y").unwrap();
    (a, b, na, nb)
}

#[test]
fn routes_are_known_by_who_made_them() {
    let (_a, _b, na, _nb) = pair();
    na.add_address("x", "192.0.2.1/24".parse().unwrap()).unwrap();
    na.add_address("x", "2001:db8::1/64".parse().unwrap()).unwrap();
    let device = na.link("x").unwrap().index;
    let route = |table, to: &str, via: &str| TableRoute {
        table,
        to: to.parse().unwrap(),
        via: Some(via.parse().unwrap()),
        device,
    };
    // In the order in which the kernel tells of them.
    let mut routes = vec![
        route(1001, "10.0.0.0/8", "192.0.2.2"),
        route(254, "0.0.0.0/0", "203.0.113.1"),
        route(254, "fd00::/8", "2001:db8::2"),
    ];
    for route in &routes {
        na.add_route_of(OURS, route).unwrap();
    }
    assert!(na.add_route_of(OURS, &routes[0]).unwrap_err().is_exists());
    assert_eq!(na.routes_of(OURS).unwrap(), routes, "those of the kernel are left out");
    assert!(na.routes_in(254).unwrap().len() > 2);
    na.delete_route_of(OURS, &routes.remove(1)).unwrap();
    assert_eq!(na.routes_of(OURS).unwrap(), routes);
}

#[test]
fn rules_read_back_as_they_were_made() {
    let (_a, _b, na, _nb) = pair();
    let rules = [false, true].map(|v6| {
        [
            PolicyRule { v6, priority: 80, mark: Some((1, 0xff)), asks: Asked::Table(1000), but_default: false },
            PolicyRule { v6, priority: 90, mark: None, asks: Asked::Table(254), but_default: true },
            PolicyRule { v6, priority: 91, mark: Some((7, u32::MAX)), asks: Asked::Nothing, but_default: false },
            PolicyRule { v6, priority: 70, mark: Some((0, u32::MAX)), asks: Asked::Table(254), but_default: false },
            PolicyRule { v6, priority: 75, mark: Some((8, 0xf8)), asks: Asked::Rules(91), but_default: false },
        ]
    });
    for rule in rules.as_flattened() {
        na.add_rule(rule).unwrap();
    }
    let present = na.rules().unwrap();
    assert!(rules.as_flattened().iter().all(|rule| present.contains(rule)), "{present:?}");
    for rule in rules.as_flattened() {
        na.delete_rule(rule).unwrap();
    }
    assert!(na.rules().unwrap().iter().all(|rule| !(70..=91).contains(&rule.priority)));
}

#[test]
fn neighbours_that_answer_are_told_from_those_that_do_not() {
    let (_a, _b, na, nb) = pair();
    na.add_address("x", "192.0.2.1/24".parse().unwrap()).unwrap();
    nb.add_address("y", "192.0.2.2/24".parse().unwrap()).unwrap();
    let device = na.link("x").unwrap().index;
    let state = |address: &str, wanted: Reachability| {
        let address = address.parse().unwrap();
        na.ask_for_neighbour(device, address).unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while na.neighbour(device, address).unwrap() != Some(wanted) {
            assert!(std::time::Instant::now() < until, "{address} is {:?}", na.neighbour(device, address));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    state("192.0.2.2", Reachability::Reachable);
    state("192.0.2.3", Reachability::Failed);
    assert_eq!(na.neighbour(device, "192.0.2.9".parse().unwrap()).unwrap(), None);
}

#[test]
fn devices_stand_on_others() {
    let (a, b, na, nb) = pair();
    let mac = [2, 0, 0, 0, 1, 1];
    na.create_macvlan(VethEnd { name: "outside", mac: Some(mac), mtu: None }, "x", &b).unwrap();
    let made = nb.link("outside").unwrap();
    assert_eq!((made.mac, made.lower, made.up), (Some(mac), Some(na.link("x").unwrap().index), false));
    nb.rename("outside", "other").unwrap();
    assert!(nb.link("outside").unwrap_err().is_absent());
    match na.create_vlan("x.7", "x", 7) {
        Ok(()) => assert_eq!(na.link("x.7").unwrap().vlan, Some((na.link("x").unwrap().index, 7))),
        // A kernel without VLANs says so.
        Err(error) => assert!(error.is_unsupported(), "{error}"),
    }
    assert!(a.is_in_place());
}

#[test]
fn named_counters_are_read() {
    let (a, ..) = pair();
    let filter = Netfilter::in_namespace(&a).unwrap();
    assert_eq!(filter.counters("netvirt").unwrap(), []);
    let rules = "table inet netvirt { counter sent { packets 3 bytes 99; }; }; table inet other { counter c { }; }";
    let output = a.command("nft").arg(rules).output().expect("nft is there (Debian: apt install nftables)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let counters = filter.counters("netvirt").unwrap();
    assert_eq!(counters, [host::Counter { name: "sent".to_owned(), packets: 3, bytes: 99 }]);
}
