//! What hosts say to each other, captured on the underlay and decoded by tshark: NVGRE as in RFC 7637, over IPv4 and
//! over IPv6. Needs root.

use std::collections::{BTreeMap, BTreeSet};

use tests::capture::{Capture, Packets};
use tests::frames::{send, tagged, udp_v4};
use tests::stage::{Stage, example};
use tests::tools::{Background, must_ping, run, tcp};

/// What tshark tells of each packet; of addresses the outer one stands first.
const FIELDS: [&str; 9] = [
    "ip.src",
    "ip.dst",
    "gre.flags_and_version",
    "gre.proto",
    "gre.key",
    "eth.src",
    "eth.dst",
    "ip.flags.df",
    "ip.flags.mf",
];

const BLUE1: [u8; 6] = [6, 6, 0, 0, 0, 5];
const BLUE2: [u8; 6] = [6, 6, 0, 0, 0, 7];

/// A number as tshark writes it.
fn number(text: &str) -> u32 {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    }
    .unwrap_or_else(|_| panic!("tshark writes the number \"{text}\""))
}

/// The VSID and the FlowID of a GRE key.
fn key(text: &str) -> (u32, u32) {
    (number(text) >> 8, number(text) & 0xff)
}

/// Both tenants talk, and the underlay is captured at host 2.
fn captured(stage: &Stage) -> Packets {
    let capture = Capture::start(&stage.host(2), "eth0", "");
    must_ping(&stage.vm("blue1"), "10.0.0.7");
    must_ping(&stage.vm("red1"), "10.0.0.7");
    tcp(&stage.vm("blue1"), &stage.vm("blue2"), "10.0.0.7", "-n 2M");
    tcp(&stage.vm("red2"), &stage.vm("red1"), "10.0.0.5", "-n 2M -P 8");
    capture.end()
}

#[test]
fn every_field_of_nvgre_over_ipv4_is_as_in_the_standard() {
    let stage = Stage::blue_red();
    let packets = captured(&stage);
    // VMs that have just come up speak of their multicast groups, in IPv6.
    let rows = packets.fields("gre && !icmpv6", &FIELDS);
    assert!(rows.len() > 50, "only {} packets:\n{}", rows.len(), packets.lines("frame"));
    let mut subnets = BTreeSet::new();
    for row in &rows {
        let [source, destination, flags, protocol, gre_key, from, to, df, mf] = row.array();
        let (outer, inner) = source.split_once(',').unwrap();
        let (outer_to, inner_to) = destination.split_once(',').unwrap();
        let first_host_sends = outer == "192.168.4.11";
        let ends = if first_host_sends { ["192.168.4.11", "192.168.4.22"] } else { ["192.168.4.22", "192.168.4.11"] };
        assert_eq!([outer, outer_to], ends, "{row:?}");
        let inner_ends = if first_host_sends { ["10.0.0.5", "10.0.0.7"] } else { ["10.0.0.7", "10.0.0.5"] };
        assert_eq!([inner, inner_to], inner_ends, "{row:?}");
        // The key is present, and no checksum, no sequence number, version 0.
        assert_eq!(number(flags), 0x2000, "{row:?}");
        assert_eq!(number(protocol), 0x6558, "{row:?}");
        let (vsid, _) = key(gre_key);
        let tenant = if vsid == 5001 { "06:06:00:00:00" } else { "08:08:00:00:00" };
        assert!([5001, 6001].contains(&vsid), "{row:?}");
        subnets.insert(vsid);
        let (last_from, last_to) = if first_host_sends { ("05", "07") } else { ("07", "05") };
        assert_eq!(from.split_once(',').unwrap().1, format!("{tenant}:{last_from}"), "{row:?}");
        assert_eq!(to.split_once(',').unwrap().1, format!("{tenant}:{last_to}"), "{row:?}");
        assert!(["1,1", "1,0", "True,True", "True,False"].contains(&df), "don't fragment is not set: {row:?}");
        assert!(["0,0", "False,False"].contains(&mf), "a fragment: {row:?}");
    }
    assert_eq!(subnets.len(), 2);
    assert_eq!(packets.count("vlan"), 0, "no inner tag");
    assert_eq!(packets.count("ip.flags.mf == 1 || ip.frag_offset > 0"), 0, "no fragment");
    assert_eq!(packets.count("icmp && !gre || tcp && !gre"), 0, "nothing of a tenant leaves unencapsulated");
}

/// A row of [`FIELDS`] as an array.
trait Row {
    fn array(&self) -> [&str; 9];
}

impl Row for Vec<String> {
    fn array(&self) -> [&str; 9] {
        let fields: Vec<_> = self.iter().map(String::as_str).collect();
        fields.try_into().unwrap_or_else(|_| panic!("{self:?}"))
    }
}

#[test]
fn the_flow_id_tells_flows_apart_and_is_constant_in_each() {
    let stage = Stage::blue_red();
    let packets = captured(&stage);
    let mut flows: BTreeMap<(String, String), BTreeSet<u32>> = BTreeMap::new();
    for row in packets.fields("gre && tcp", &["ip.src", "tcp.srcport", "tcp.dstport", "gre.key"]) {
        flows.entry((row[0].clone(), format!("{}-{}", row[1], row[2]))).or_default().insert(key(&row[3]).1);
    }
    assert!(flows.len() >= 20, "{flows:?}");
    for (flow, ids) in &flows {
        assert_eq!(ids.len(), 1, "flow {flow:?} has the FlowIDs {ids:?}");
    }
    let all: BTreeSet<u32> = flows.values().flatten().copied().collect();
    assert!(all.len() * 2 > flows.len(), "{} flows have the FlowIDs {all:?}", flows.len());
}

#[test]
fn nvgre_over_ipv6_has_the_same_fields() {
    let text = example("blue-red.yaml")
        .replace("providerAddress: 192.168.4.11", "providerAddress: \"fd00:4::11\"")
        .replace("providerAddress: 192.168.4.22", "providerAddress: \"fd00:4::22\"");
    let stage = Stage::up(&text);
    let packets = captured(&stage);
    let rows = packets.fields(
        "gre && !icmpv6",
        &["ipv6.src", "ipv6.dst", "ipv6.nxt", "gre.flags_and_version", "gre.proto", "gre.key", "ip.src"],
    );
    assert!(rows.len() > 50, "only {} packets:\n{}", rows.len(), packets.lines("frame"));
    let mut subnets = BTreeSet::new();
    for row in &rows {
        let inner = if row[0] == "fd00:4::11" { "10.0.0.5" } else { "10.0.0.7" };
        let remote = if row[0] == "fd00:4::11" { "fd00:4::22" } else { "fd00:4::11" };
        assert_eq!([&row[1], &row[2], &row[6]], [remote, "47", inner], "{row:?}");
        assert_eq!((number(&row[3]), number(&row[4])), (0x2000, 0x6558), "{row:?}");
        subnets.insert(key(&row[5]).0);
    }
    assert_eq!(subnets, BTreeSet::from([5001, 6001]));
    assert_eq!(packets.count("ipv6.fraghdr"), 0, "no fragment");
    assert_eq!(packets.count("ip && !ipv6"), 0, "nothing over IPv4");
}

#[test]
fn a_tagged_frame_of_a_vm_is_dropped_and_nothing_of_it_reaches_the_wire() {
    let stage = Stage::blue_red();
    let blue1 = stage.vm("blue1");
    let capture = Capture::start(&stage.host(2), "eth0", "proto gre");
    let receiver = Capture::start(&stage.vm("blue2"), "eth0", "");
    let before = stage.drops(1, "blue1", "VlanTag");
    let frame = udp_v4((BLUE1, [10, 0, 0, 5]), (BLUE2, [10, 0, 0, 7]), b"tagged");
    for vlan in [1, 42, 0] {
        send(&blue1, "eth0", &tagged(&frame, vlan));
    }
    stage.await_drops(1, "blue1", "VlanTag", before, 3);
    // The same without a tag arrives.
    send(&blue1, "eth0", &frame);
    must_ping(&blue1, "10.0.0.7");
    assert_eq!(receiver.end().count("udp.dstport == 2000 && !icmp"), 1);
    assert_eq!(capture.end().count("vlan"), 0);
    assert_eq!(stage.drops(1, "blue1", "VlanTag"), before + 3);
}

#[test]
fn a_ping_flood_of_one_size_after_the_other_is_never_cut() {
    let stage = Stage::blue_red();
    let capture = Capture::start(&stage.host(2), "eth0", "");
    let blue1 = stage.vm("blue1");
    let mut other = Background::start(&stage.vm("red1"), "ping -n -i 0.01 -s 1400 10.0.0.7");
    for size in [0, 1, 18, 100, 1000, 1472, 1510] {
        run(&blue1, &format!("ping -n -M do -c 2 -i 0.01 -W 2 -s {size} 10.0.0.7"));
    }
    assert!(other.runs());
    other.end(nix::sys::signal::Signal::SIGINT);
    let packets = capture.end();
    // 1510 + 8 ICMP + 20 IP is the port's MTU of 1538, which leaves room for NVGRE over IPv6; over IPv4 it adds 42.
    assert_eq!(packets.count("gre && ip.len == 1580"), 4, "{}", packets.lines("frame.len > 1500"));
    assert_eq!(packets.count("ip.flags.mf == 1 || ip.frag_offset > 0"), 0);
}
