//! VXLAN and Geneve beside NVGRE: three VM networks on one pair of hosts, each in its own encapsulation, every field as in
//! the standards; and a peer that nobody here wrote, Linux's own VXLAN device with a bridge. Needs root.

use std::collections::{BTreeMap, BTreeSet};

use tests::capture::{Capture, Packets};
use tests::stage::{LIMIT, Stage, eventually};
use tests::tools::{must_ping, must_tcp, pings, run, tcp};

/// Green in NVGRE, Blue in VXLAN, Red in Geneve, all with the same addresses; V4 and V6 are provider addresses.
const THREE: &str = r#"
name: LAB
underlay: {kind: segment, mtu: 1600, offloads: {gro: true}}
hosts:
  - {name: H1, addresses: [192.168.4.11/24, "fd00:4::11/64"]}
  - {name: H2, addresses: [192.168.4.22/24, "fd00:4::22/64"]}
vms:
  - {name: green1, host: H1, mac: 04-04-00-00-00-05, vsid: 4101, addresses: [10.0.0.5/24]}
  - {name: green2, host: H2, mac: 04-04-00-00-00-07, vsid: 4101, addresses: [10.0.0.7/24]}
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24, "fd00:a::5/64"]}
  - {name: blue2, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24, "fd00:a::7/64"]}
  - {name: red1, host: H1, mac: 08-08-00-00-00-05, vsid: 6001, addresses: [10.0.0.5/24]}
  - {name: red2, host: H2, mac: 08-08-00-00-00-07, vsid: 6001, addresses: [10.0.0.7/24]}
resources:
  - {kind: lookup-record, spec: {vsid: 4101, customerAddress: 10.0.0.5, mac: 04-04-00-00-00-05, providerAddress: PROVIDER11}}
  - {kind: lookup-record, spec: {vsid: 4101, customerAddress: 10.0.0.7, mac: 04-04-00-00-00-07, providerAddress: PROVIDER22}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: PROVIDER11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: PROVIDER22}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::5", mac: 06-06-00-00-00-05, providerAddress: PROVIDER11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::7", mac: 06-06-00-00-00-07, providerAddress: PROVIDER22}}
  - {kind: lookup-record, spec: {vsid: 6001, customerAddress: 10.0.0.5, mac: 08-08-00-00-00-05, providerAddress: PROVIDER11}}
  - {kind: lookup-record, spec: {vsid: 6001, customerAddress: 10.0.0.7, mac: 08-08-00-00-00-07, providerAddress: PROVIDER22}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000004101}", vsid: 4101, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: "fd00:a::/64", nextHop: "::"}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000006001}", vsid: 6001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
  - {kind: routing-domain, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", encapsulation: vxlan}}
  - {kind: routing-domain, spec: {rdid: "{11111111-2222-3333-4444-000000006001}", encapsulation: geneve}}
"#;

/// What is said between the hosts while all three networks talk.
fn captured(stage: &Stage) -> Packets {
    let capture = Capture::start(&stage.host(2), "eth0", "");
    for tenant in ["green", "blue", "red"] {
        let (one, two) = (stage.vm(&format!("{tenant}1")), stage.vm(&format!("{tenant}2")));
        must_ping(&one, "10.0.0.7");
        tcp(&one, &two, "10.0.0.7", "-n 2M");
        tcp(&two, &one, "10.0.0.5", "-n 2M -P 8");
    }
    capture.end()
}

/// A number as tshark writes it.
fn number(text: &str) -> u32 {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    }
    .unwrap_or_else(|_| panic!("tshark writes the number \"{text}\""))
}

/// The first of several values of a field: that of the outer header.
fn outer(text: &str) -> &str {
    text.split(',').next().unwrap_or_default()
}

/// The fields of both encapsulations over UDP, whatever is outside.
fn assert_fields(packets: &Packets) {
    let rows = packets.fields(
        "vxlan && !icmpv6",
        &["vxlan.flags", "vxlan.vni", "udp.srcport", "udp.dstport", "udp.checksum", "udp.length", "eth.src"],
    );
    assert!(rows.len() > 50, "only {} packets in VXLAN:\n{}", rows.len(), packets.lines("frame"));
    for row in &rows {
        assert_eq!((number(&row[0]), number(&row[1])), (0x0800, 5001), "{row:?}");
        assert!(row[6].split(',').nth(1).is_some_and(|mac| mac.starts_with("06:06")), "{row:?}");
    }
    let more = packets.fields(
        "geneve && !icmpv6",
        &[
            "geneve.version",
            "geneve.vni",
            "udp.srcport",
            "udp.dstport",
            "udp.checksum",
            "udp.length",
            "geneve.proto_type",
            "geneve.flags",
            "eth.src",
        ],
    );
    assert!(more.len() > 50, "only {} packets in Geneve:\n{}", more.len(), packets.lines("frame"));
    for row in &more {
        assert_eq!((number(&row[0]), number(&row[1]), number(&row[6])), (0, 6001, 0x6558), "{row:?}");
        assert_eq!(number(&row[7]), 0, "neither control nor critical: {row:?}");
        assert!(row[8].split(',').nth(1).is_some_and(|mac| mac.starts_with("08:08")), "{row:?}");
    }
    for (row, port) in rows.iter().map(|row| (row, 4789)).chain(more.iter().map(|row| (row, 6081))) {
        assert!(number(outer(&row[2])) >= 49152, "the source port is no dynamic one: {row:?}");
        assert_eq!((number(outer(&row[3])), number(outer(&row[4]))), (port, 0), "{row:?}");
    }
    let green = packets.fields("gre && !icmpv6", &["gre.key", "eth.src"]);
    assert!(green.len() > 50, "only {} packets in NVGRE", green.len());
    for row in &green {
        assert_eq!(number(&row[0]) >> 8, 4101, "{row:?}");
    }
    assert_eq!(packets.count("ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr"), 0, "no fragment");
    // What stands for many segments crosses whole, in both directions.
    for encapsulation in ["vxlan", "geneve", "gre"] {
        for side in ["05", "07"] {
            let large = format!("{encapsulation} && frame.len > 10000 && eth.src[5] == {side}");
            assert!(packets.count(&large) > 5, "{large}: {}", packets.lines(encapsulation));
        }
    }
}

#[test]
fn three_networks_travel_each_in_its_own_encapsulation_over_ipv4() {
    let stage = Stage::up(&THREE.replace("PROVIDER", "192.168.4."));
    let packets = captured(&stage);
    assert_fields(&packets);
    assert_eq!(packets.count("(vxlan || geneve) && !(ip.flags.df == 1)"), 0, "don't fragment is set");
    assert_eq!(packets.count("(vxlan || geneve) && ipv6.nxt == 17"), 0, "over IPv4 alone");
    // The source port tells flows apart, and is one for each.
    let mut flows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in packets.fields("vxlan && tcp", &["eth.src", "tcp.srcport", "tcp.dstport", "udp.srcport"]) {
        flows.entry(format!("{} {}-{}", row[0], row[1], row[2])).or_default().insert(outer(&row[3]).to_owned());
    }
    assert!(flows.len() >= 20 && flows.values().all(|ports| ports.len() == 1), "{flows:?}");
    let all: BTreeSet<&String> = flows.values().flatten().collect();
    assert!(all.len() * 2 > flows.len(), "{flows:?}");
    must_tcp(&stage.vm("blue1"), &stage.vm("blue2"), "fd00:a::7");
}

#[test]
fn over_ipv6_they_do_too_without_a_checksum() {
    let text = THREE.replace("PROVIDER11", "\"fd00:4::11\"").replace("PROVIDER22", "\"fd00:4::22\"");
    let stage = Stage::up(&text);
    let packets = captured(&stage);
    assert_fields(&packets);
    assert_eq!(packets.count("(vxlan || geneve) && !(ipv6.nxt == 17)"), 0, "over IPv6 alone");
    assert_eq!(packets.count("(vxlan || geneve) && ipv6.flow == 0"), 0, "the flow label spreads flows");
}

#[test]
fn the_mtu_of_a_port_is_what_its_encapsulation_leaves() {
    let stage = Stage::up(&THREE.replace("PROVIDER", "192.168.4."));
    // Both families are outside, so that the longer header counts: 1600 less 62 of NVGRE, less 70 of the others.
    for (port, mtu) in [("green1", 1538), ("blue1", 1530), ("red1", 1530)] {
        let port = stage.json(1, &format!("get port {port}"));
        let port = port.as_array().map_or(&port, |ports| &ports[0]);
        assert_eq!(port["status"]["mtu"], mtu, "{port}");
    }
    // A larger packet is told so, and one to the byte passes: 1600 less 50 over IPv4, less IP and ICMP.
    let blue1 = stage.vm("blue1");
    for (number, vm) in [(1, "blue1"), (2, "blue2")] {
        run(&stage.vm(vm), "ip link set eth0 mtu 1600");
        run(&stage.host(number), &format!("ip link set {vm} mtu 1600"));
    }
    run(&blue1, "ping -n -M do -c 2 -i 0.1 -W 2 -s 1522 10.0.0.7");
    let told = tests::tools::run_any(&blue1, "ping -n -M do -c 2 -i 0.1 -W 2 -s 1523 10.0.0.7");
    assert!(told.contains("mtu = 1550") || told.contains("mtu=1550"), "{told}");
}

#[test]
fn a_network_changes_its_encapsulation_while_it_talks() {
    let stage = Stage::up(&THREE.replace("PROVIDER", "192.168.4."));
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    let set = |host, encapsulation: &str| {
        stage.ok(
            host,
            &format!("set routing-domain {{11111111-2222-3333-4444-000000005001}} --encapsulation {encapsulation}"),
        );
    };
    must_ping(&blue1, "10.0.0.7");
    // As long as another VM network is in VXLAN, and Red in Geneve, both hosts take all: one may change before the other.
    for host in [1, 2] {
        stage.ok(host, "create routing-domain --rdid 11111111-2222-3333-4444-000000009001 --encapsulation vxlan");
    }
    for (host, encapsulation) in [(1, "geneve"), (2, "geneve"), (2, "nvgre"), (1, "nvgre"), (1, "vxlan")] {
        set(host, encapsulation);
        must_ping(&blue1, "10.0.0.7");
        must_ping(&blue2, "10.0.0.5");
    }
    stage.ok(1, "delete routing-domain {11111111-2222-3333-4444-000000005001}");
    let capture = Capture::start(&stage.host(2), "eth0", "src host 192.168.4.11");
    must_ping(&blue1, "10.0.0.7");
    let packets = capture.end();
    assert!(packets.count("gre && icmp") >= 3 && packets.count("vxlan") == 0, "{}", packets.lines("frame"));
}

/// Blue alone; Host 2 is Linux's VXLAN device.
fn with_kernel(provider: &str, remote: &str, options: &str) -> Stage {
    let hosts = "  - {name: H2, addresses: [192.168.4.22/24, \"fd00:4::22/64\"]}";
    let text = THREE.replace(hosts, &hosts.replace("]}", "], agent: false}"));
    let text = text.replace("PROVIDER11", &format!("\"{provider}\"")).replace("PROVIDER22", &format!("\"{remote}\""));
    let stage = Stage::up(&text);
    let host = stage.host(2);
    for command in [
        &format!(
            "ip link add vx0 mtu 1530 type vxlan id 5001 local {remote} dev eth0 dstport 4789 nolearning {options}"
        ),
        "ip link add br0 type bridge",
        "ip link set vx0 master br0",
        "ip link set blue2 master br0",
        "ip link set br0 up",
        "ip link set vx0 up",
        "ip link set blue2 up",
        &format!("bridge fdb append 00:00:00:00:00:00 dev vx0 dst {provider}"),
        &format!("bridge fdb append 06:06:00:00:00:05 dev vx0 dst {provider}"),
    ] {
        run(&host, command);
    }
    stage
}

#[test]
fn linuxs_own_vxlan_device_understands_us_with_and_without_checksums() {
    for (provider, remote, options) in [
        ("192.168.4.11", "192.168.4.22", "udpcsum"),
        ("192.168.4.11", "192.168.4.22", "noudpcsum"),
        ("fd00:4::11", "fd00:4::22", "udp6zerocsumrx udp6zerocsumtx"),
        ("fd00:4::11", "fd00:4::22", "udp6zerocsumrx noudp6zerocsumtx"),
    ] {
        let stage = with_kernel(provider, remote, options);
        let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
        let answered = eventually(LIMIT, || pings(&blue1, "10.0.0.7", 1) == 1);
        assert!(answered, "{options}: {}\n{}", stage.all_drops(1), run(&stage.host(2), "ip -s -d link show vx0"));
        for (from, to) in [(&blue1, "10.0.0.7"), (&blue2, "10.0.0.5"), (&blue1, "fd00:a::7"), (&blue2, "fd00:a::5")] {
            must_ping(from, to);
        }
        let wire = Capture::start(&stage.host(1), "eth0", "udp port 4789");
        must_tcp(&blue1, &blue2, "10.0.0.7");
        must_tcp(&blue2, &blue1, "10.0.0.5");
        let packets = wire.end();
        let from = "vxlan && eth.src == 06:06:00:00:00:07";
        let without = packets.count(&format!("{from} && udp.checksum == 0"));
        let all = packets.count(from);
        let expected = if options.ends_with(" udp6zerocsumtx") || options == "noudpcsum" { all } else { 0 };
        assert_eq!((without, all > 20), (expected, true), "{options}: {without} of {all} without a checksum");
        must_tcp(&blue1, &blue2, "fd00:a::7");
        must_tcp(&blue2, &blue1, "fd00:a::5");
    }
}
