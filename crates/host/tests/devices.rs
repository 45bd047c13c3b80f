//! Devices, addresses, routes and neighbours by netlink, judged by packets and by iproute2.

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::process::Output;
use std::time::Duration;

use common::Scratch;
use host::{Error, LinkKind, Namespace, Netlink, Offload, Route, TapOptions, VethEnd, Vxlan};

/// Runs a program inside and gives what it printed.
fn shown(namespace: &Namespace, command: &str) -> String {
    let mut words = command.split(' ');
    let Output { status, stdout, stderr } =
        namespace.command(words.next().unwrap()).args(words).output().expect("iproute2 is installed");
    assert!(status.success(), "{command}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Two namespaces with a veth pair between them, up and with addresses.
fn pair() -> (Scratch, Scratch, Netlink, Netlink) {
    let (a, b) = (Scratch::new(), Scratch::new());
    let (na, nb) = (Netlink::in_namespace(&a).unwrap(), Netlink::in_namespace(&b).unwrap());
    let near = VethEnd { mac: Some([2, 0, 0, 0, 0, 1]), mtu: Some(1600), ..VethEnd::named("left") };
    na.create_veth(near, VethEnd { mtu: Some(1600), ..VethEnd::named("right") }, &b).unwrap();
    for (netlink, device, addresses) in
        [(&na, "left", ["10.1.0.1/24", "fd00:1::1/64"]), (&nb, "right", ["10.1.0.2/24", "fd00:1::2/64"])]
    {
        netlink.set_up(device).unwrap();
        for address in addresses {
            netlink.add_address(device, address.parse().unwrap()).unwrap();
        }
    }
    (a, b, na, nb)
}

/// A datagram from one namespace arrives in the other.
fn datagram_crosses(from: &Namespace, from_ip: &str, to: &Namespace, to_ip: &str) {
    let bind = |ip: &str| UdpSocket::bind(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
    let receiver = to.run(|| bind(to_ip)).unwrap();
    let sender = from.run(|| bind(from_ip)).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    sender.send_to(b"hello", receiver.local_addr().unwrap()).unwrap();
    let mut buffer = [0; 16];
    let (length, source) = receiver.recv_from(&mut buffer).expect("the datagram arrives");
    assert_eq!((&buffer[..length], source), (&b"hello"[..], sender.local_addr().unwrap()));
}

#[test]
fn packets_cross_a_veth_pair_between_namespaces() {
    let (a, b, na, _nb) = pair();
    datagram_crosses(&a, "10.1.0.1", &b, "10.1.0.2");
    datagram_crosses(&b, "fd00:1::2", &a, "fd00:1::1");
    let link = na.link("left").unwrap();
    assert_eq!((link.kind, link.mtu, link.mac), (LinkKind::Veth, 1600, Some([2, 0, 0, 0, 0, 1])));
    assert!(link.up && link.carrier && link.peer_elsewhere);
    assert!(link.addresses.contains(&"10.1.0.1/24".parse().unwrap()), "{link:?}");
    assert!(link.addresses.contains(&"fd00:1::1/64".parse().unwrap()), "{link:?}");
    na.delete_address("left", "10.1.0.1/24".parse().unwrap()).unwrap();
    assert!(!na.link("left").unwrap().addresses.contains(&"10.1.0.1/24".parse().unwrap()));
}

#[test]
fn a_pair_in_one_namespace_has_no_peer_elsewhere() {
    let a = Scratch::new();
    let netlink = Netlink::in_namespace(&a).unwrap();
    netlink.create_veth(VethEnd::named("x0"), VethEnd::named("x1"), &a).unwrap();
    let links = netlink.links().unwrap();
    assert!(links.iter().filter(|link| link.name.starts_with('x')).all(|link| !link.peer_elsewhere));
    netlink.delete_link("x0").unwrap();
    assert!(matches!(netlink.link("x1"), Err(Error::NoDevice(_))));
}

#[test]
fn devices_are_made_changed_moved_and_deleted() {
    let (a, b, na, nb) = pair();
    na.create_bridge("br0").unwrap();
    na.set_master("left", Some("br0")).unwrap();
    let bridge = na.link("br0").unwrap();
    assert_eq!((bridge.kind, bridge.up), (LinkKind::Bridge, false));
    assert_eq!(na.link("left").unwrap().master, Some(bridge.index));
    na.set_master("left", None).unwrap();
    assert_eq!(na.link("left").unwrap().master, None);
    na.set_mtu("left", 9000).unwrap();
    na.set_down("left").unwrap();
    na.set_mac("left", [6, 6, 0, 0, 0, 5]).unwrap();
    let link = na.link("left").unwrap();
    assert_eq!((link.mtu, link.mac, link.up), (9000, Some([6, 6, 0, 0, 0, 5]), false));
    na.move_link("left", &b, Some("moved")).unwrap();
    assert!(na.link("left").unwrap_err().is_absent());
    assert!(!nb.link("moved").unwrap().peer_elsewhere);
    assert!(na.create_bridge("br0").unwrap_err().is_exists());
    let text = na.create_bridge("a-name-of-16-chr").unwrap_err().to_string();
    assert!(text.contains("cannot name a network device"), "{text}");
    na.delete_link("br0").unwrap();
    let text = na.set_up("br0").unwrap_err().to_string();
    assert!(text.starts_with("there is no network device br0"), "{text}");
    drop(a);
}

#[test]
fn a_vxlan_device_sends_by_its_forwarding_entries() {
    let (a, b, na, nb) = pair();
    for (namespace, netlink, device, own, other, tunnel) in [
        (&a, &na, "left", "10.1.0.1", "10.1.0.2", "192.0.2.1/24"),
        (&b, &nb, "right", "10.1.0.2", "10.1.0.1", "192.0.2.2/24"),
    ] {
        netlink
            .create_vxlan(&Vxlan { name: "vx0", vni: 5001, local: own.parse().unwrap(), device, port: 4789 })
            .unwrap();
        netlink.add_fdb_entry("vx0", [0; 6], other.parse().unwrap()).unwrap();
        netlink.add_fdb_entry("vx0", [0; 6], "10.1.0.77".parse().unwrap()).unwrap();
        netlink.add_fdb_entry("vx0", [2, 0, 0, 0, 0, 9], other.parse().unwrap()).unwrap();
        netlink.set_up("vx0").unwrap();
        netlink.add_address("vx0", tunnel.parse().unwrap()).unwrap();
        assert_eq!(netlink.link("vx0").unwrap().kind, LinkKind::Vxlan);
        let entries = shown(namespace, "bridge fdb show dev vx0");
        assert!(entries.contains(&format!("00:00:00:00:00:00 dst {other} self permanent")), "{entries}");
        assert!(entries.contains("00:00:00:00:00:00 dst 10.1.0.77 self permanent"), "{entries}");
        assert!(entries.contains(&format!("02:00:00:00:00:09 dst {other} self permanent")), "{entries}");
    }
    datagram_crosses(&a, "192.0.2.1", &b, "192.0.2.2");
}

#[test]
fn routes_and_neighbours_are_as_iproute2_shows_them() {
    let (a, _b, na, _nb) = pair();
    let via = |to: &str, via: &str| Route::via(to.parse().unwrap(), via.parse().unwrap());
    na.add_route(&via("0.0.0.0/0", "10.1.0.2")).unwrap();
    na.add_route(&Route { mtu: Some(1400), ..via("198.51.100.0/24", "10.1.0.2") }).unwrap();
    let onlink = Route { onlink: true, device: Some("left"), metric: Some(7), ..via("203.0.113.0/24", "192.0.2.9") };
    na.add_route(&onlink).unwrap();
    na.add_route(&Route::on_link("192.0.2.77/32".parse().unwrap(), "left")).unwrap();
    na.add_route(&via("::/0", "fd00:1::2")).unwrap();
    let v4 = shown(&a, "ip -4 route show");
    for line in [
        "default via 10.1.0.2 dev left proto static",
        "198.51.100.0/24 via 10.1.0.2 dev left proto static mtu 1400",
        "203.0.113.0/24 via 192.0.2.9 dev left proto static metric 7 onlink",
        "192.0.2.77 dev left proto static scope link",
    ] {
        assert!(v4.lines().any(|shown| shown.trim() == line), "{line}\nnot in\n{v4}");
    }
    let v6 = shown(&a, "ip -6 route show");
    assert!(v6.contains("default via fd00:1::2 dev left proto static"), "{v6}");
    na.delete_route(&onlink).unwrap();
    assert!(!shown(&a, "ip -4 route show").contains("203.0.113.0"));
    let text = na.add_route(&via("198.18.0.0/15", "172.31.0.1")).unwrap_err().to_string();
    assert!(text.starts_with("cannot add the route to 198.18.0.0/15: "), "{text}");

    na.set_neighbour("left", "10.1.0.9".parse().unwrap(), [2, 0, 0, 0, 0, 9]).unwrap();
    na.set_neighbour("left", "fd00:1::9".parse().unwrap(), [2, 0, 0, 0, 0, 9]).unwrap();
    let neighbours = shown(&a, "ip neigh show");
    for ip in ["10.1.0.9", "fd00:1::9"] {
        assert!(neighbours.contains(&format!("{ip} dev left lladdr 02:00:00:00:00:09 PERMANENT")), "{neighbours}");
    }
    na.delete_neighbour("left", "10.1.0.9".parse().unwrap()).unwrap();
    assert!(!shown(&a, "ip neigh show").contains("10.1.0.9 "));
}

#[test]
fn offloads_are_switched_and_read_back() {
    let (a, _b, na, _nb) = pair();
    for offload in [Offload::Gro, Offload::Gso, Offload::Tso, Offload::TxChecksum] {
        for on in [true, false, true] {
            na.set_offload("left", offload, on).unwrap();
            assert_eq!(na.offload("left", offload).unwrap(), on, "{offload:?}");
        }
    }
    na.set_offload("left", Offload::Gro, true).unwrap();
    na.set_offload("left", Offload::TxChecksum, false).unwrap();
    assert!(!na.offload("left", Offload::Tso).unwrap(), "TSO needs the checksum");
    let text = na.set_offload("absent", Offload::Gro, true).unwrap_err().to_string();
    assert!(text.starts_with("there is no network device absent"), "{text}");
    drop(a);
}

#[test]
fn a_tap_persists_in_its_namespace() {
    let a = Scratch::new();
    let netlink = Netlink::in_namespace(&a).unwrap();
    netlink.create_tap("tap0", TapOptions { vnet_hdr: true, multi_queue: true }).unwrap();
    let link = netlink.link("tap0").unwrap();
    assert_eq!((link.kind, link.carrier), (LinkKind::Tun, false));
    netlink.set_queue("tap0", 2000).unwrap();
    assert_eq!(netlink.link("tap0").unwrap().queue, 2000);
    let details = shown(&a, "ip -details link show tap0");
    assert!(
        details.contains("tun type tap pi off vnet_hdr on multi_queue") && details.contains("persist on"),
        "{details}"
    );
    assert!(netlink.create_tap("tap0", TapOptions { vnet_hdr: true, multi_queue: true }).is_err());
    assert!(Netlink::current().unwrap().link("tap0").unwrap_err().is_absent());
    netlink.delete_link("tap0").unwrap();
}

#[test]
fn what_a_device_receives_is_steered_to_a_cpu() {
    let (a, _b, _, _) = pair();
    a.set_receive_cpus("left", &[0]).unwrap();
    let file = "/sys/class/net/left/queues/rx-0/rps_cpus";
    let command = format!("ip netns exec {} cat {file}", a.name());
    // The width of the mask is that of the kernel's most CPUs.
    let mask = |text: &str| u128::from_str_radix(&text.trim().replace(',', ""), 16).unwrap();
    assert_eq!(mask(&shown(&a, &command)), 1);
    a.set_receive_cpus("left", &[]).unwrap();
    assert_eq!(mask(&shown(&a, &command)), 0);
    assert!(a.set_receive_cpus("absent", &[0]).unwrap_err().is_absent());
}
