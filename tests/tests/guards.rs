//! The guards: what is forged by a VM, or on the underlay, is dropped under a name of its own, and counted. Needs root.

use std::net::Ipv4Addr;

use tests::capture::Capture;
use tests::frames::{BROADCAST, Mac, arp, mac_of, nvgre_v4, send, udp_v4};
use tests::stage::{Stage, example};
use tests::tools::{must_ping, run, run_any};

const BLUE1: Mac = [6, 6, 0, 0, 0, 5];
const BLUE2: Mac = [6, 6, 0, 0, 0, 7];
/// A VM of Blue on a third host, which is declared but not here.
const BLUE9: Mac = [6, 6, 0, 0, 0, 9];
const STRANGER: Mac = [2, 0, 0, 0, 0, 0x66];

const A1: [u8; 4] = [10, 0, 0, 5];
const A2: [u8; 4] = [10, 0, 0, 7];
const A9: [u8; 4] = [10, 0, 0, 9];

/// Blue and Red, and one record more.
fn stage() -> Stage {
    let record = "resources:\n  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.9, mac: \
                  06-06-00-00-00-09, providerAddress: 192.168.4.33}}";
    Stage::up(&example("blue-red.yaml").replace("resources:", record))
}

#[test]
fn a_vm_speaks_for_itself_alone() {
    let stage = stage();
    let blue1 = stage.vm("blue1");
    let receiver = Capture::start(&stage.vm("blue2"), "eth0", "udp port 2000 or arp");
    let honest = udp_v4((BLUE1, A1), (BLUE2, A2), b"honest");
    let mut lying_length = honest.clone();
    lying_length[16..18].copy_from_slice(&500u16.to_be_bytes());
    for (reason, frame) in [
        ("SourceMac", udp_v4((STRANGER, A1), (BLUE2, A2), b"forged")),
        ("SourceMac", udp_v4((BLUE2, A1), (BLUE2, A2), b"forged")),
        // From the very address that it goes to.
        ("Malformed", udp_v4((BLUE1, A2), (BLUE2, A2), b"forged")),
        ("SourceAddress", udp_v4((BLUE1, [10, 0, 0, 6]), (BLUE2, A2), b"forged")),
        ("SourceAddress", udp_v4((BLUE1, A9), (BLUE2, A2), b"forged")),
        // "10.0.0.7 is at me", to everybody and to one.
        ("NeighborSpoof", arp(BLUE1, BROADCAST, true, (BLUE1, A2), (BROADCAST, A2))),
        ("NeighborSpoof", arp(BLUE1, BLUE2, true, (BLUE1, A9), (BLUE2, A2))),
        // "10.0.0.5 is at another."
        ("NeighborSpoof", arp(BLUE1, BLUE2, true, (STRANGER, A1), (BLUE2, A2))),
        ("Malformed", lying_length),
        ("Malformed", honest[..30].to_vec()),
    ] {
        let before = stage.drops(1, "blue1", reason);
        send(&blue1, "eth0", &frame);
        stage.await_drops(1, "blue1", reason, before, 1);
        assert_eq!(stage.drops(1, "blue1", reason), before + 1, "{reason}");
    }
    send(&blue1, "eth0", &honest);
    must_ping(&blue1, "10.0.0.7");
    let heard = receiver.end();
    assert_eq!(heard.count("udp.dstport == 2000 && !icmp"), 1, "{}", heard.lines("frame"));
    let lies = "arp.src.proto_ipv4 == 10.0.0.9 || arp.src.hw_mac == 02:00:00:00:00:66";
    assert_eq!(heard.count(lies), 0, "{}", heard.lines("frame"));
}

#[test]
fn what_nobody_leads_to_is_dropped_at_the_sender() {
    let stage = stage();
    let blue1 = stage.vm("blue1");
    let before = stage.drops(1, "blue1", "NoRecord");
    run_any(&blue1, "ping -n -c 1 -W 1 10.0.0.99");
    stage.await_drops(1, "blue1", "NoRecord", before, 1);
    run(&blue1, "ip route add 10.77.0.0/16 via 10.0.0.1");
    let before = stage.drops(1, "blue1", "NoRoute");
    run_any(&blue1, "ping -n -c 2 -i 0.1 -W 1 10.77.0.1");
    stage.await_drops(1, "blue1", "NoRoute", before, 2);
    // As an operator sees it.
    let table = stage.ok(1, "get drops blue1");
    assert!(table.starts_with("PORT"), "{table}");
    let row: Vec<_> = table.lines().find(|line| line.contains("NoRoute")).unwrap().split_whitespace().collect();
    assert_eq!(row, ["blue1", "NoRoute", &(before + 2).to_string()], "{table}");
    assert!(stage.ok(1, "get drops blue1 -o wide").contains("no customer route of the routing domain leads to"));
    stage.ok(1, "delete drops");
    assert_eq!(stage.drops(1, "blue1", "NoRoute"), 0);
}

#[test]
fn what_is_forged_on_the_underlay_reaches_no_vm() {
    let stage = stage();
    let receivers = ["blue1", "red1"].map(|vm| Capture::start(&stage.vm(vm), "eth0", "udp port 2000"));
    let forger = stage.host(2);
    let from = |last: u8| (mac_of(&forger, "eth0"), Ipv4Addr::new(192, 168, 4, last));
    let to = (mac_of(&stage.host(1), "eth0"), Ipv4Addr::new(192, 168, 4, 11));
    let blue2 = udp_v4((BLUE2, A2), (BLUE1, A1), b"forged");
    let blue9 = udp_v4((BLUE9, A9), (BLUE1, A1), b"forged");
    let stranger = udp_v4((STRANGER, [10, 0, 0, 66]), (BLUE1, A1), b"forged");
    let to_nobody = udp_v4((BLUE2, A2), (STRANGER, [10, 0, 0, 66]), b"forged");
    for (reason, frame) in [
        ("UnknownSubnet", nvgre_v4(from(22), to, 7001, false, &blue2)),
        ("WrongProvider", nvgre_v4(from(22), to, 5001, false, &blue9)),
        ("WrongProvider", nvgre_v4(from(33), to, 5001, false, &blue2)),
        ("UnknownProvider", nvgre_v4(from(99), to, 5001, false, &blue2)),
        ("UnknownSource", nvgre_v4(from(22), to, 5001, false, &stranger)),
        // Blue's frame with Red's number: Red has no such VM.
        ("UnknownSource", nvgre_v4(from(22), to, 6001, false, &blue2)),
        ("NoRecord", nvgre_v4(from(22), to, 5001, false, &to_nobody)),
        ("OuterFragment", nvgre_v4(from(22), to, 5001, true, &blue2)),
        ("Malformed", nvgre_v4(from(22), to, 5001, false, &blue2[..20])),
        ("VlanTag", nvgre_v4(from(22), to, 5001, false, &tests::frames::tagged(&blue2, 7))),
    ] {
        let before = stage.drops(1, "uplink", reason);
        send(&forger, "eth0", &frame);
        stage.await_drops(1, "uplink", reason, before, 1);
    }
    let heard = receivers.map(|receiver| receiver.end().count("udp"));
    assert_eq!(heard, [0, 0]);
    // The very same with the right addresses arrives: the forger is who it says.
    let receiver = Capture::start(&stage.vm("blue1"), "eth0", "udp port 2000");
    send(&forger, "eth0", &nvgre_v4(from(22), to, 5001, false, &blue2));
    assert_eq!(receiver.end().count("udp.dstport == 2000 && !icmp"), 1, "{}", stage.all_drops(1));
}
