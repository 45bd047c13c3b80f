//! VM networks of isolation `none` and `vlan`: VMs in the physical network behind the uplink. Needs root.

use tests::capture::Capture;
use tests::fabric::Fabric;
use tests::tools::{must_not_ping, must_ping, must_tcp, run};

/// A machine of the physical network that knows nothing of netvirt.
const MACHINE: &str = "  - {name: machine, addresses: [192.168.4.99/24], agent: false}\n";

fn static_address(fabric: &Fabric, vm: &str, address: &str) {
    run(&fabric.vm(vm), &format!("ip address add {address} dev eth0"));
}

#[test]
fn without_isolation_a_vm_is_a_machine_among_others() {
    let fabric = Fabric::up_beside(&[("test01", 1, 1), ("test02", 2, 2), ("test03", 1, 3)], MACHINE);
    fabric.op("create vm-network flat --logical-network TDIv2 --isolation none");
    let refusal = fabric.refused("create vm-network flat2 --logical-network TDIv2 --isolation none");
    assert!(refusal.contains("flat"), "the one that is there already is named: {refusal}");
    // Without a prefix and a pool addresses are the VMs' own affair.
    fabric.op("create vm-subnet all --vm-network flat");
    for (vm, host, mac) in [("test01", 1, 1), ("test02", 2, 2), ("test03", 1, 3)] {
        fabric.port(vm, host, mac, "--vm-network flat");
        static_address(&fabric, vm, &format!("192.168.4.5{mac}/24"));
    }
    let machine = fabric.stage.lab.host("machine").unwrap();
    must_ping(&fabric.vm("test01"), "192.168.4.99");
    must_ping(&machine, "192.168.4.52");
    must_ping(&fabric.vm("test01"), "192.168.4.52");
    must_ping(&fabric.vm("test01"), "192.168.4.53");
    // Its own host and the other one are machines of that network too.
    must_ping(&fabric.vm("test01"), "192.168.4.15");
    must_ping(&fabric.vm("test01"), "192.168.4.16");
    must_tcp(&fabric.vm("test01"), &fabric.vm("test02"), "192.168.4.52");
    must_tcp(&fabric.vm("test03"), &fabric.vm("test01"), "192.168.4.51");
    // A network card would drop what is for the VMs, were it not told.
    let flags = || run(&fabric.stage.host(2), "ip link show eth0");
    assert!(flags().contains("PROMISC"), "{}", flags());
    fabric.op("delete port test02");
    assert!(
        tests::stage::eventually(std::time::Duration::from_secs(5), || !flags().contains("PROMISC")),
        "{}",
        flags()
    );
    // A MAC address that is not the port's goes nowhere.
    run(&fabric.vm("test03"), "ip link set eth0 address 00:1d:d8:b7:1c:99");
    must_not_ping(&fabric.vm("test03"), "192.168.4.99");
}

#[test]
fn a_pool_gives_addresses_of_the_physical_network() {
    let fabric = Fabric::up_beside(&[("test01", 1, 1)], MACHINE);
    fabric.op("create vm-network flat --logical-network TDIv2 --isolation none");
    fabric.op("create vm-subnet office --vm-network flat --prefix 192.168.4.0/24 --gateway 192.168.4.99");
    fabric.op("create ip-pool office --vm-subnet office --range 192.168.4.200-192.168.4.210");
    fabric.port("test01", 1, 1, "--vm-network flat");
    let lease = fabric.lease("test01");
    assert_eq!((lease.address.as_str(), lease.gateway.as_str()), ("192.168.4.200/24", "192.168.4.99"));
    must_ping(&fabric.vm("test01"), "192.168.4.99");
}

#[test]
fn vlans_are_tagged_on_the_wire_and_kept_apart() {
    let fabric = Fabric::up(&[("red1", 1, 1), ("red2", 2, 2), ("blue1", 1, 3), ("blue2", 2, 4)]);
    let site = "kind: logical-network
name: campus
spec:
  sites:
    - name: all
      subnets: [{prefix: 10.42.0.0/24, vlan: 42}, {prefix: 10.43.0.0/24, vlan: 43}]
";
    fabric.apply(site);
    for host in [1, 2] {
        let name = fabric.stage.host_name(host);
        fabric.op(&format!("set host {name} --logical-network TDIv2 --logical-network campus"));
    }
    fabric.op("create vm-network departments --logical-network campus --isolation vlan");
    fabric.op("create vm-subnet red --vm-network departments --vlan 42 --prefix 10.42.0.0/24");
    fabric.op("create vm-subnet blue --vm-network departments --vlan 43 --prefix 10.43.0.0/24");
    fabric.op("create ip-pool red --vm-subnet red --range 10.42.0.10-10.42.0.20");
    let refusal = fabric.refused("create vm-subnet none --vm-network departments --vlan 44 --prefix 10.44.0.0/24");
    assert!(refusal.contains("44") && refusal.contains("campus"), "{refusal}");
    for (vm, host, mac) in [("red1", 1, 1), ("red2", 2, 2)] {
        fabric.port(vm, host, mac, "--vm-network departments --vm-subnet red");
        assert_eq!(fabric.lease(vm).address, format!("10.42.0.{}/24", 9 + mac));
    }
    // The same addresses in the other VLAN, by hand.
    for (vm, host, mac) in [("blue1", 1, 3), ("blue2", 2, 4)] {
        fabric.port(vm, host, mac, "--vm-network departments --vm-subnet blue --addressing learnt");
        static_address(&fabric, vm, &format!("10.42.0.{}/24", 7 + mac));
    }
    let underlay = fabric.stage.lab.node("underlay").unwrap();
    let capture = Capture::start(&underlay, "br0", "vlan");
    must_ping(&fabric.vm("red1"), "10.42.0.11");
    must_ping(&fabric.vm("blue1"), "10.42.0.11");
    let tags = capture.end().fields("icmp", &["vlan.id"]);
    assert!(tags.iter().any(|row| row[0] == "42") && tags.iter().any(|row| row[0] == "43"), "{tags:?}");
    must_tcp(&fabric.vm("red1"), &fabric.vm("red2"), "10.42.0.11");
    // blue2 goes silent: red1's neighbour of that address still is red2.
    run(&fabric.vm("red2"), "ip link set eth0 down");
    run(&fabric.vm("red1"), "ip neighbour flush dev eth0");
    must_not_ping(&fabric.vm("red1"), "10.42.0.11");
}
