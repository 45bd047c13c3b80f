//! Sizes: what a port may send, who is told of what is too big, and frames that stand for many segments. Needs root.

use tests::capture::Capture;
use tests::stage::Stage;
use tests::tools::{must_ping, received_bytes, run, run_any, tcp};

/// One underlay of 1600 bytes, IPv4 alone: 42 are for NVGRE. `MTU` stands for what is said of blue1.
const TOPOLOGY: &str = r#"
name: LAB
underlay: {kind: segment, mtu: 1600, offloads: {gro: true}}
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.4.22/24]}
vms:
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24, "fd00:a::5/64"]MTU}
  - {name: blue2, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24, "fd00:a::7/64"]MTU}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::5", mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: "fd00:a::7", mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: "fd00:a::/64", nextHop: "::"}}
"#;

/// The lab with VMs that have the MTU of their ports.
fn told() -> Stage {
    Stage::up(&TOPOLOGY.replace("MTU", ""))
}

/// The lab with VMs that believe that they may send more than the underlay carries.
fn mistaken() -> Stage {
    Stage::up(&TOPOLOGY.replace("MTU", ", mtu: 1600"))
}

#[test]
fn a_port_may_send_what_the_underlay_leaves_and_the_vm_is_told() {
    let stage = told();
    let port = stage.json(1, "get port blue1");
    let port = port.as_array().map_or(&port, |ports| &ports[0]);
    assert_eq!(port["status"]["mtu"], 1558, "{port}");
    let blue1 = stage.vm("blue1");
    assert!(run(&blue1, "ip link show eth0").contains("mtu 1558"));
    // The largest packets, to the byte: 28 bytes of IPv4 and ICMP, 48 of IPv6 and ICMPv6.
    for (to, size) in [("10.0.0.7", 1558 - 28), ("fd00:a::7", 1558 - 48)] {
        run(&blue1, &format!("ping -n -M do -c 2 -i 0.1 -W 2 -s {size} {to}"));
    }
}

#[test]
fn the_gateway_tells_who_sends_too_much() {
    let stage = mistaken();
    let blue1 = stage.vm("blue1");
    let capture = Capture::start(&blue1, "eth0", "icmp or icmp6");
    let text = run_any(&blue1, "ping -n -M do -c 1 -W 2 -s 1550 10.0.0.7");
    assert!(text.contains("10.0.0.1") && text.contains("mtu = 1558"), "{text}");
    let text = run_any(&blue1, "ping -n -M do -c 1 -W 2 -s 1530 fd00:a::7");
    assert!(text.contains("fd00:a::1") && text.to_lowercase().contains("mtu=1558"), "{text}");
    let packets = capture.end();
    let told = packets.fields("icmp.type == 3 && icmp.code == 4", &["ip.src", "icmp.mtu", "icmp.checksum.status"]);
    assert_eq!(told[0][..2], ["10.0.0.1,10.0.0.5".to_owned(), "1558".to_owned()], "{told:?}");
    let told = packets.fields("icmpv6.type == 2", &["ipv6.src", "icmpv6.mtu"]);
    assert_eq!(told[0], ["fd00:a::1,fd00:a::5", "1558"], "{told:?}");
    // What the kernel has learnt from it.
    assert!(run(&blue1, "ip route get 10.0.0.7").contains("mtu 1558"), "{}", run(&blue1, "ip route get 10.0.0.7"));
    assert!(run(&blue1, "ip route get fd00:a::7").contains("mtu 1558"), "{}", run(&blue1, "ip route get fd00:a::7"));
    must_ping(&blue1, "10.0.0.7");
}

#[test]
fn tcp_of_vms_with_a_wrong_mtu_is_clamped_and_works() {
    for options in ["-n 5M", "-n 5M -R"] {
        let stage = mistaken();
        let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
        let capture = Capture::start(&blue2, "eth0", "tcp");
        for address in ["10.0.0.7", "fd00:a::7"] {
            let bytes = received_bytes(&tcp(&blue1, &blue2, address, options));
            assert!(bytes > 1_000_000, "{bytes} bytes to {address}");
        }
        let packets = capture.end();
        let sizes = |filter: &str| packets.fields(filter, &["tcp.options.mss_val"]);
        let heard = "tcp.flags.syn == 1 && tcp.flags.ack == 0";
        assert!(sizes(&format!("{heard} && ip")).iter().all(|row| row[0] == "1518"), "{:?}", sizes(heard));
        assert!(sizes(&format!("{heard} && ipv6")).iter().all(|row| row[0] == "1498"), "{:?}", sizes(heard));
        assert!(!sizes(heard).is_empty());
        assert_eq!(packets.count("icmp"), 0);
    }
}

#[test]
fn frames_that_stand_for_many_segments_cross_whole() {
    let stage = told();
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    for address in ["10.0.0.7", "fd00:a::7"] {
        let wire = Capture::start(&stage.host(2), "eth0", "proto gre");
        let heard = Capture::start(&blue2, "eth0", "tcp");
        let bytes = received_bytes(&tcp(&blue1, &blue2, address, "-n 50M"));
        assert!(bytes > 30_000_000, "{bytes}");
        for (place, packets) in [("wire", wire.end()), ("VM", heard.end())] {
            let data = packets.fields("tcp.len > 0", &["frame.len"]);
            let sizes: Vec<u32> = data.iter().filter_map(|row| row[0].parse().ok()).collect();
            let whole: u64 = sizes.iter().filter(|size| **size > 1600 + 14).map(|size| u64::from(*size)).sum();
            let all: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
            assert!(whole * 10 > all * 9, "{address}, {place}: {whole} of {all} bytes came in large frames");
            assert!(
                sizes.iter().max().is_some_and(|most| *most > 20_000),
                "{address}, {place}: {:?}",
                sizes.iter().max()
            );
        }
    }
}

#[test]
fn finished_frames_cross_too_when_offloads_are_off() {
    let stage = Stage::up(&TOPOLOGY.replace("MTU", ", offloads: {tso: false, gso: false, tx: false}"));
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    let wire = Capture::start(&stage.host(2), "eth0", "proto gre");
    let bytes = received_bytes(&tcp(&blue1, &blue2, "10.0.0.7", "-n 5M"));
    assert!(bytes > 1_000_000, "{bytes}");
    let packets = wire.end();
    assert!(packets.count("tcp.len == 1506 && ip.len == 1600") > 100, "{}", packets.lines("frame.number < 20"));
    assert_eq!(packets.count("ip.flags.mf == 1 || ip.frag_offset > 0"), 0);
}
