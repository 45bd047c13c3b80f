//! Geneve and VXLAN with a datapath that nobody here wrote: Host 2 is Open vSwitch in user space, with a tunnel port of the
//! kind and the VSID as its key. Needs root.

use tests::capture::Capture;
use tests::open_vswitch::OpenVSwitch;
use tests::stage::{LIMIT, Stage, eventually};
use tests::tools::{must_ping, must_tcp, run, tcp};

/// Offloads are off on Host 2's VM: Open vSwitch's userspace reads frame by frame. 50 bytes of 1600 are for UDP, the
/// tunnel's header and the inner Ethernet header over IPv4.
const TOPOLOGY: &str = r#"
name: LAB
underlay: {kind: segment, mtu: 1600, offloads: {tso: false, gso: false, gro: false, tx: false}}
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.4.22/24], agent: false}
vms:
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24, "fd00:a::5/64"]}
  - {name: blue2, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24, "fd00:a::7/64"], mtu: 1550,
     offloads: {tso: false, gso: false, gro: false, tx: false}}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::5", mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::7", mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: "fd00:a::/64", nextHop: "::"}}
  - {kind: routing-domain, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", encapsulation: ENCAPSULATION}}
"#;

/// Both sides talk, with what is outside as Open vSwitch sends it by itself and with checksums.
fn understand_each_other(encapsulation: &str, port: u16) {
    let stage = Stage::up(&TOPOLOGY.replace("ENCAPSULATION", encapsulation));
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    let host = stage.host(2);
    let switch = OpenVSwitch::start(stage.host(2), &stage.lab.folder().join("ovs"), "192.168.4.22/24");
    switch.vsctl("add-port br-int blue2");
    switch.vsctl(&format!(
        "add-port br-int tun0 -- set interface tun0 type={encapsulation} options:remote_ip=192.168.4.11 options:key=5001"
    ));
    assert!(
        eventually(LIMIT, || tests::tools::pings(&blue1, "10.0.0.7", 1) == 1),
        "{}\n{}",
        stage.all_drops(1),
        run(&host, "ip address")
    );
    for checksum in [false, true] {
        switch.vsctl(&format!("set interface tun0 options:csum={checksum}"));
        let wire = Capture::start(&stage.host(1), "eth0", &format!("udp port {port}"));
        for (from, to) in [(&blue1, "10.0.0.7"), (&blue2, "10.0.0.5"), (&blue1, "fd00:a::7"), (&blue2, "fd00:a::5")] {
            must_ping(from, to);
        }
        // The largest packets, to the byte.
        for (from, to, size) in [(&blue1, "10.0.0.7", 1522), (&blue2, "10.0.0.5", 1522), (&blue1, "fd00:a::7", 1502)] {
            run(from, &format!("ping -n -M do -c 3 -i 0.1 -W 2 -s {size} {to}"));
        }
        for (from, to, address) in [(&blue1, &blue2, "10.0.0.7"), (&blue2, &blue1, "10.0.0.5")] {
            tcp(from, to, address, "-n 1M");
        }
        let packets = wire.end();
        for provider in ["192.168.4.11", "192.168.4.22"] {
            let from = format!("ip.src == {provider} && {encapsulation}");
            assert!(packets.count(&from) > 100, "nothing from {provider}");
            let wrong = format!("{from} && !({encapsulation}.vni == 5001)");
            assert_eq!(packets.count(&wrong), 0, "{}", packets.lines(&wrong));
        }
        let with = packets.count(&format!("ip.src == 192.168.4.22 && {encapsulation} && !(udp.checksum == 0)"));
        assert_eq!(with > 0, checksum, "Open vSwitch sends {with} checksums");
    }
    must_tcp(&blue1, &blue2, "fd00:a::7");
    must_tcp(&blue2, &blue1, "fd00:a::5");
}

#[test]
fn open_vswitch_and_netvirt_understand_each_other_in_geneve() {
    understand_each_other("geneve", 6081);
}

#[test]
fn open_vswitch_and_netvirt_understand_each_other_in_vxlan() {
    understand_each_other("vxlan", 4789);
}
