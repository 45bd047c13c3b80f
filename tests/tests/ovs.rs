//! Interoperability with a datapath that nobody here wrote: Host 2 is Open vSwitch with a GRE port whose key is the VSID,
//! as the benchmark sets it up. Needs root.

use tests::capture::Capture;
use tests::open_vswitch::OpenVSwitch;
use tests::stage::{LIMIT, Stage, eventually};
use tests::tools::{must_ping, must_tcp, received_bytes, run, tcp};

/// Offloads are off on Host 2's VM: Open vSwitch's userspace reads frame by frame. 42 bytes of 1600 are for GRE.
const TOPOLOGY: &str = r#"
name: LAB
underlay: {kind: segment, mtu: 1600, offloads: {tso: false, gso: false, gro: false, tx: false}}
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.4.22/24], agent: false}
vms:
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24, "fd00:a::5/64"]}
  - {name: red1, host: H1, mac: 08-08-00-00-00-05, vsid: 6001, addresses: [10.0.0.5/24]}
  - {name: blue2, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24, "fd00:a::7/64"], mtu: 1558,
     offloads: {tso: false, gso: false, gro: false, tx: false}}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::5", mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::7", mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 6001, customerAddress: 10.0.0.5, mac: 08-08-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: "fd00:a::/64", nextHop: "::"}}
"#;

/// Connects the VM and the tunnel. A netvirt host sends FlowIDs in the lower eight bits of the key, which Open vSwitch compares
/// as a whole: so the tunnel takes every key, and flows choose the VSID.
fn connect(switch: &OpenVSwitch) {
    switch.vsctl("add-port br-int blue2 -- set interface blue2 ofport_request=1");
    switch.vsctl(
        "add-port br-int gre0 -- set interface gre0 type=gre options:remote_ip=192.168.4.11 options:key=flow \
         ofport_request=2",
    );
    let flows = [
        format!("in_port=1,actions=set_field:{}->tun_id,output:2", 5001 << 8),
        // The VSID alone is compared: the FlowID is masked.
        format!("in_port=2,tun_id={}/0xffffff00,actions=output:1", 5001 << 8),
    ];
    switch.set_flows("br-int", &flows);
}

#[test]
fn open_vswitch_and_netvirt_understand_each_other() {
    let stage = Stage::up(TOPOLOGY);
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    let host = stage.host(2);
    let switch = OpenVSwitch::start(stage.host(2), &stage.lab.folder().join("ovs"), "192.168.4.22/24");
    connect(&switch);
    assert!(
        eventually(LIMIT, || tests::tools::pings(&blue1, "10.0.0.7", 1) == 1),
        "{}\n{}",
        stage.all_drops(1),
        run(&host, "ip address")
    );
    let wire = Capture::start(&stage.host(1), "eth0", "proto gre");
    for (from, to) in [(&blue1, "10.0.0.7"), (&blue2, "10.0.0.5"), (&blue1, "fd00:a::7"), (&blue2, "fd00:a::5")] {
        must_ping(from, to);
    }
    // The largest packets, to the byte.
    for (from, to, size) in [(&blue1, "10.0.0.7", 1530), (&blue2, "10.0.0.5", 1530), (&blue1, "fd00:a::7", 1510)] {
        run(from, &format!("ping -n -M do -c 3 -i 0.1 -W 2 -s {size} {to}"));
    }
    for (from, to, address) in [(&blue1, &blue2, "10.0.0.7"), (&blue2, &blue1, "10.0.0.5")] {
        tcp(from, to, address, "-n 1M");
    }
    assert!(received_bytes(&tcp(&blue1, &blue2, "10.0.0.7", "-u -b 5M -l 1000 -n 500K")) > 400_000);
    let packets = wire.end();
    must_tcp(&blue1, &blue2, "10.0.0.7");
    must_tcp(&blue2, &blue1, "10.0.0.5");
    must_tcp(&blue1, &blue2, "fd00:a::7");
    must_tcp(&blue2, &blue1, "fd00:a::5");
    for provider in ["192.168.4.11", "192.168.4.22"] {
        let from = format!("ip.src == {provider} && gre");
        assert!(packets.count(&from) > 100, "nothing from {provider}");
        let wrong = format!("{from} && !(gre.flags_and_version == 0x2000 && gre.proto == 0x6558)");
        assert_eq!(packets.count(&wrong), 0, "{}", packets.lines(&wrong));
    }
    // Red, who has Blue1's address, hears nothing of it: Red's subnet is not on that host.
    let red1 = stage.json(1, "get port red1");
    let red1 = red1.as_array().map_or(&red1, |ports| &ports[0]);
    assert_eq!(red1["status"]["counters"]["txPackets"], 0, "{red1}");
}
