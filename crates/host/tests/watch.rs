//! The watch tells of devices and addresses as they come, change and go.

mod common;

use std::time::{Duration, Instant};

use common::Scratch;
use host::{Alarm, Link, LinkEvent, LinkWatch, Netlink, TableRoute, VethEnd};

/// Waits for the event that the test is about; others pass by.
fn expect<T>(watch: &mut LinkWatch, what: &str, wanted: impl Fn(&LinkEvent) -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    let mut seen = Vec::new();
    while Instant::now() < end {
        let Some(event) = watch.next_within(Duration::from_millis(200)).unwrap() else {
            continue;
        };
        if let Some(found) = wanted(&event) {
            return found;
        }
        seen.push(event);
    }
    panic!("no event tells: {what}; seen were {seen:#?}");
}

fn appeared(name: &str) -> impl Fn(&LinkEvent) -> Option<Link> {
    move |event| match event {
        LinkEvent::Appeared(link) if link.name == name => Some(link.clone()),
        _ => None,
    }
}

fn changed(name: &str, how: impl Fn(&Link) -> bool) -> impl Fn(&LinkEvent) -> Option<Link> {
    move |event| match event {
        LinkEvent::Changed(link) if link.name == name && how(link) => Some(link.clone()),
        _ => None,
    }
}

#[test]
fn a_device_is_told_from_its_making_to_its_end() {
    let (a, b) = (Scratch::new(), Scratch::new());
    let netlink = Netlink::in_namespace(&a).unwrap();
    let mut watch = netlink.watch_links().unwrap();
    expect(&mut watch, "lo was there before", appeared("lo"));
    netlink.create_veth(VethEnd::named("port1"), VethEnd::named("eth0"), &b).unwrap();
    let link = expect(&mut watch, "port1 appeared", appeared("port1"));
    assert!(!link.up && link.peer_elsewhere);
    netlink.set_up("port1").unwrap();
    expect(&mut watch, "port1 is up", changed("port1", |link| link.up));
    let address = "10.0.0.1/24".parse().unwrap();
    netlink.add_address("port1", address).unwrap();
    expect(&mut watch, "it has an address", changed("port1", |link| link.addresses.contains(&address)));
    netlink.delete_address("port1", address).unwrap();
    expect(&mut watch, "it has none", changed("port1", |link| !link.addresses.contains(&address)));
    netlink.set_mtu("port1", 1400).unwrap();
    expect(&mut watch, "its MTU", changed("port1", |link| link.mtu == 1400));
    // A bridge tells of its ports' end in messages that look like the device's own end.
    netlink.create_bridge("br0").unwrap();
    netlink.set_master("port1", Some("br0")).unwrap();
    expect(&mut watch, "its bridge", changed("port1", |link| link.master.is_some()));
    netlink.set_master("port1", None).unwrap();
    expect(&mut watch, "no bridge", changed("port1", |link| link.master.is_none()));
    netlink.delete_link("port1").unwrap();
    let gone = expect(&mut watch, "port1 went", |event| match event {
        LinkEvent::Gone(link) => Some(link.clone()),
        _ => None,
    });
    assert_eq!((gone.name.as_str(), gone.mtu), ("port1", 1400));
}

#[test]
fn a_stopped_watch_ends() {
    let a = Scratch::new();
    let watch = Netlink::in_namespace(&a).unwrap().watch_links().unwrap();
    let stop = watch.stop_handle();
    let reader = std::thread::spawn(move || watch.map(Result::unwrap).count());
    stop.stop();
    assert!(reader.join().unwrap() <= 1, "only lo was there");
}

#[test]
fn a_reader_that_is_slow_is_told_of_what_is_there_in_the_end() {
    let a = Scratch::new();
    let netlink = Netlink::in_namespace(&a).unwrap();
    netlink.create_veth(VethEnd::named("x0"), VethEnd::named("x1"), &a).unwrap();
    let mut watch = netlink.watch_links().unwrap();
    // More events than the queue and the socket's buffer hold together, while nobody reads.
    for round in 0..6000 {
        netlink.set_mtu("x0", 1400 + round % 100).unwrap();
    }
    netlink.set_mtu("x0", 1999).unwrap();
    expect(&mut watch, "the last MTU", |event| match event {
        LinkEvent::Appeared(link) | LinkEvent::Changed(link) => (link.mtu == 1999).then_some(()),
        LinkEvent::Gone(_) => None,
    });
}

#[test]
fn an_alarm_rings_for_changes_and_for_nothing_else() {
    let (a, b) = (Scratch::new(), Scratch::new());
    let netlink = Netlink::in_namespace(&a).unwrap();
    netlink.create_veth(VethEnd::named("port1"), VethEnd::named("eth0"), &b).unwrap();
    let (links, all) = (Alarm::of_links(&a).unwrap(), Alarm::of_links_and_routes(&a).unwrap());
    assert!(!links.has_rung() && !all.has_rung(), "what was before is not news");
    netlink.links().unwrap();
    assert!(!links.has_rung() && !all.has_rung(), "a question changes nothing");
    netlink.add_address("port1", "10.0.0.1/24".parse().unwrap()).unwrap();
    assert!(links.has_rung() && all.has_rung());
    assert!(!links.has_rung() && !all.has_rung(), "once is enough");
    netlink.set_mtu("port1", 1400).unwrap();
    assert!(links.has_rung());
    netlink.set_up("port1").unwrap();
    Netlink::in_namespace(&b).unwrap().set_up("eth0").unwrap();
    // Both have a carrier now, which the kernel says a little later, as it does of what it gives them of IPv6.
    let end = Instant::now() + Duration::from_secs(10);
    while netlink.link("port1").is_ok_and(|link| !link.carrier || link.addresses.len() < 2) {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(links.has_rung());
    let quiet = || !links.has_rung() && !all.has_rung();
    while !quiet() {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(500));
    }
    let device = netlink.link("port1").unwrap().index;
    let route = TableRoute { table: 254, to: "10.9.0.0/16".parse().unwrap(), via: None, device };
    netlink.add_route_of(110, &route).unwrap();
    assert!(all.has_rung() && !links.has_rung(), "a route is no device");
    netlink.delete_link("port1").unwrap();
    assert!(links.has_rung() && all.has_rung());
}
