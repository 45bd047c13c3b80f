//! Ports of physical networks: a switch with the ports of this host, the host itself, and the uplink.

mod common;

use common::{BROADCAST, Mac, Net, UPLINK, Way, blue, ip, nvgre, packet, udp};
use pipeline::{
    DropReason, Encapsulation, Flood, HostFlags, Meta, Port, PortFlags, Record, RecordFlags, RecordKey, StationKey,
    Strip, Subnet, Then, segment,
};

const BARE: u32 = segment::number(UPLINK, 0);
const TAGGED: u32 = segment::number(UPLINK, 42);
/// The host's own MAC address.
const HOST: Mac = [2, 0, 0, 0, 0, 1];
/// Somebody in the physical network.
const OTHER: Mac = [2, 0, 0, 0, 0, 9];

/// The network with two ports behind the uplink, 31 with an address and 32 without, and 33 and 34 on VLAN 42.
fn joined() -> Net {
    let mut net = Net::new();
    for (ifindex, vsid, number, flags) in [
        (31, BARE, 31, PortFlags::NONE),
        (32, BARE, 32, PortFlags::LEARN),
        (33, TAGGED, 31, PortFlags::LEARN),
        (34, TAGGED, 32, PortFlags::LEARN),
    ] {
        let mac = blue(number);
        net.ports.insert(ifindex, Port { vsid, domain: 0, slot: ifindex, mac, flags, mtu: 1500, ..Port::default() });
        let record = Record { mac, flags: RecordFlags::LOCAL, ifindex, ..Record::default() };
        net.stations.insert(StationKey { vsid, mac, reserved: 0 }, record);
    }
    let own = Record { mac: blue(31), flags: RecordFlags::LOCAL, ifindex: 31, ..Record::default() };
    net.records.insert(RecordKey { vsid: BARE, address: ip("192.168.4.50") }, own);
    for vsid in [BARE, TAGGED] {
        let record = Record { mac: HOST, flags: RecordFlags::LOCAL, ifindex: UPLINK, ..Record::default() };
        net.stations.insert(StationKey { vsid, mac: HOST, reserved: 0 }, record);
        net.subnets.insert(vsid, Subnet { replicas: 2, local_replicas: 2, ..Subnet::default() });
    }
    let host = net.host.as_mut().unwrap();
    host.flags = host.flags.with(HostFlags::PHYSICAL);
    net
}

fn flood(vsid: u32, except: u32, strip: Option<Strip>, then: Then) -> Way {
    let encapsulation = Encapsulation::Nvgre;
    Way::Flood(Flood { vsid, to: 2, except, encapsulation, hash: 0, traffic_class: 0, length: 0, strip, then })
}

fn tagged(mut frame: Vec<u8>, vlan: u8) -> Vec<u8> {
    frame.splice(12..12, [0x81, 0x00, 0xe0, vlan]);
    frame
}

#[test]
fn a_port_reaches_the_other_ports_the_host_and_the_wire() {
    let net = joined();
    let send = |from: u32, to: Mac| {
        let mac = net.ports[&from].mac;
        net.port_sends(from, &udp(to, mac, "192.168.4.50", "192.168.4.9", b""))
    };
    assert_eq!(send(31, blue(32)).way, Way::Port(32));
    assert_eq!(send(31, HOST).way, Way::Host(BARE));
    let frame = udp(OTHER, blue(31), "192.168.4.50", "192.168.4.9", b"");
    assert_eq!(net.port_sends(31, &frame).went(&Way::Wire(BARE)), frame);
    // On the VLAN the frame gets its tag, and the same MAC addresses are others.
    assert_eq!(send(33, blue(32)).way, Way::Port(34));
    let untagged = udp(OTHER, blue(31), "10.42.0.5", "10.42.0.9", b"");
    let sent = net.port_sends(33, &untagged).went(&Way::Wire(TAGGED));
    assert_eq!(sent[12..16], [0x81, 0, 0, 42]);
    assert_eq!(sent[16..], untagged[12..]);
    assert_eq!(net.port_sends(33, &udp(HOST, blue(31), "10.42.0.5", "10.42.0.9", b"")).way, Way::Host(TAGGED));
}

#[test]
fn groups_are_for_all() {
    let mut net = joined();
    let frame = udp(BROADCAST, blue(31), "192.168.4.50", "255.255.255.255", b"");
    assert_eq!(net.port_sends(31, &frame).way, flood(BARE, 31, None, Then::Wire));
    assert_eq!(net.underlay_sends(&frame).way, flood(BARE, 0, None, Then::Stack));
    assert_eq!(net.underlay_sends(&tagged(frame.clone(), 42)).way, flood(TAGGED, 0, Some(Strip::TAG), Then::Stack));
    assert_eq!(net.underlay_sends(&tagged(frame.clone(), 43)).way, Way::Pass);
    net.admit = false;
    net.port_sends(31, &frame).dropped(DropReason::FloodLimit);
}

#[test]
fn the_wire_reaches_the_ports_of_its_network_and_leaves_the_rest_to_the_host() {
    let net = joined();
    let frame = udp(blue(31), OTHER, "192.168.4.9", "192.168.4.50", b"x");
    assert_eq!(net.underlay_sends(&frame).went(&Way::Port(31)), frame);
    assert_eq!(net.underlay_sends(&tagged(frame.clone(), 42)).went(&Way::Port(33)), frame);
    for frame in [
        tagged(frame.clone(), 43),
        tagged(tagged(frame.clone(), 42), 42),
        udp(HOST, OTHER, "10.0.0.1", "10.0.0.2", b""),
    ] {
        assert_eq!(net.underlay_sends(&frame).went(&Way::Pass), frame);
    }
    // A tag beside the frame says the same as one inside.
    let meta = Meta { ifindex: UPLINK, len: frame.len() as u32, vlan: true, tag: 42, ..Meta::default() };
    assert_eq!(net.underlay_sends_as(&meta, &frame).went(&Way::Port(33)), frame);
    let meta = Meta { tag: segment::NO_VLAN, ..meta };
    assert_eq!(net.underlay_sends_as(&meta, &frame).way, Way::Pass);
    // What these programs put to the uplink themselves is not looked at again.
    let meta = Meta { ifindex: UPLINK, len: frame.len() as u32, decided: true, ..Meta::default() };
    assert_eq!(net.underlay_sends_as(&meta, &frame).way, Way::Pass);
}

#[test]
fn the_host_reaches_its_own_ports() {
    let net = joined();
    let frame = udp(blue(31), HOST, "192.168.4.11", "192.168.4.50", b"");
    assert_eq!(net.host_sends(&frame, false).way, Way::Port(31));
    assert_eq!(net.host_sends(&tagged(frame.clone(), 42), false).way, Way::Port(33));
    assert_eq!(net.host_sends(&frame, true).way, Way::Pass);
    let frame = udp(BROADCAST, HOST, "192.168.4.11", "255.255.255.255", b"");
    assert_eq!(net.host_sends(&frame, false).way, flood(BARE, 0, None, Then::Stack));
    let frame = udp(OTHER, HOST, "192.168.4.11", "192.168.4.9", b"");
    assert_eq!(net.host_sends(&frame, false).way, Way::Pass);
}

#[test]
fn sources_are_guarded() {
    let net = joined();
    let from = |ifindex: u32, number: u8, source: &str| {
        net.port_sends(ifindex, &udp(OTHER, blue(number), source, "192.168.4.9", b""))
    };
    from(31, 32, "192.168.4.50").dropped(DropReason::SourceMac);
    from(31, 31, "192.168.4.51").dropped(DropReason::SourceAddress);
    from(32, 32, "192.168.4.51").went(&Way::Wire(BARE));
    // Not even a port without addresses may take another's.
    from(32, 32, "192.168.4.50").dropped(DropReason::SourceAddress);
}

#[test]
fn a_vm_does_not_speak_for_a_host_of_the_overlay() {
    let net = joined();
    let inner = udp(blue(5), blue(7), "10.0.0.7", "10.0.0.5", b"");
    let mut frame = nvgre("192.168.4.22", "192.168.4.11", 5001, &inner);
    frame[6..12].copy_from_slice(&blue(32));
    net.port_sends(32, &frame).dropped(DropReason::Encapsulation);
    let mut frame = nvgre("192.168.4.50", "192.168.4.11", 5001, &inner);
    frame[6..12].copy_from_slice(&blue(31));
    assert_eq!(net.port_sends(31, &frame).way, Way::Host(BARE));
}

#[test]
fn what_the_wire_does_not_carry_is_dropped() {
    let net = joined();
    let mut frame = Vec::new();
    packet(OTHER, blue(31), "192.168.4.50", "192.168.4.9", 64).udp(1, 2).write(&mut frame, &[0; 1473]).unwrap();
    net.port_sends(31, &frame).dropped(DropReason::TooBig);
    let meta = Meta { ifindex: 31, len: frame.len() as u32, segment: 1400, ..Meta::default() };
    assert_eq!(net.port_sends_as(&meta, &frame).way, Way::Wire(BARE));
    frame[..6].copy_from_slice(&blue(32));
    assert_eq!(net.port_sends(31, &frame).way, Way::Port(32));
}
