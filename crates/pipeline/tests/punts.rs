//! What the host's agent answers, and what a tenant's own servers answer where it does not.

mod common;

use common::{BROADCAST, GATEWAY, Mac, Net, Way, blue, ip, packet, udp};
use pipeline::{DropReason, MAX_PUNT, Meta, PortFlags};

const PORT: u32 = 11;
const OWN: &str = "10.0.0.5";
const ALL_AGENTS: &str = "ff02::1:2";
const ALL_AGENTS_MAC: Mac = [0x33, 0x33, 0, 1, 0, 2];
/// A link-local address that does not follow from the MAC address (RFC 7217).
const PRIVATE: &str = "fe80::9876:5432:10ab:cdef";

/// The network, the agent answering in the subnet of Blue's ports.
fn scoped(flags: PortFlags) -> Net {
    let mut net = Net::new();
    for port in net.ports.values_mut().filter(|port| port.vsid == 5001) {
        port.flags = flags;
    }
    net
}

/// A datagram of the VM behind [`PORT`].
fn datagram(to: Mac, source: &str, destination: &str, ports: (u16, u16)) -> Vec<u8> {
    let mut frame = Vec::new();
    packet(to, blue(5), source, destination, 64).udp(ports.0, ports.1).write(&mut frame, &[0; 300]).unwrap();
    frame
}

/// A router solicitation of the VM behind [`PORT`].
fn solicitation(source: &str, hops: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    let to = [0x33, 0x33, 0, 0, 0, 2];
    packet(to, blue(5), source, "ff02::2", hops).icmpv6_raw(133, 0, [0; 4]).write(&mut frame, &[]).unwrap();
    frame
}

#[test]
fn the_agent_gets_what_clients_ask_by_dhcp() {
    let net = scoped(PortFlags::DHCP);
    let asks = |frame: &[u8]| net.port_sends(PORT, frame).went(&Way::Agent(5001));
    asks(&datagram(BROADCAST, "0.0.0.0", "255.255.255.255", (68, 67)));
    // Renewing, by the way of the gateway; rebinding; a server that is the gateway.
    asks(&datagram(GATEWAY, OWN, "192.0.2.253", (68, 67)));
    asks(&datagram(BROADCAST, OWN, "255.255.255.255", (68, 67)));
    asks(&datagram(GATEWAY, OWN, "10.0.0.1", (68, 67)));
    // An address that was the VM's own and is nobody's, or another's, by now: the agent tells it so.
    asks(&datagram(GATEWAY, "192.168.77.7", "192.0.2.253", (68, 67)));
    asks(&datagram(BROADCAST, "10.0.0.6", "255.255.255.255", (68, 67)));
    // Nobody else may be told anything from there.
    let forged = udp(blue(6), blue(5), "192.168.77.7", "10.0.0.6", b"");
    net.port_sends(PORT, &forged).dropped(DropReason::SourceAddress);
}

#[test]
fn a_tenants_own_server_works_where_there_is_no_scope() {
    let net = Net::new();
    let discover = datagram(BROADCAST, "0.0.0.0", "255.255.255.255", (68, 67));
    assert!(matches!(net.port_sends(PORT, &discover).way, Way::Flood(_)));
    net.port_sends(PORT, &datagram(blue(6), OWN, "10.0.0.6", (67, 68))).went(&Way::Port(12));
    assert!(matches!(net.port_sends(PORT, &solicitation("fe80::406:ff:fe00:5", 255)).way, Way::Flood(_)));
    // A scope for one family leaves the other alone.
    let net = scoped(PortFlags::DHCP_V6);
    assert!(matches!(net.port_sends(PORT, &discover).way, Way::Flood(_)));
    let net = scoped(PortFlags::DHCP);
    assert!(matches!(net.port_sends(PORT, &solicitation("fe80::406:ff:fe00:5", 255)).way, Way::Flood(_)));
}

#[test]
fn what_is_for_a_vm_goes_to_that_vm() {
    let net = scoped(PortFlags::DHCP);
    net.port_sends(PORT, &datagram(blue(6), OWN, "10.0.0.6", (68, 67))).went(&Way::Port(12));
    net.port_sends(PORT, &udp(blue(6), blue(5), OWN, "10.0.0.6", b"")).went(&Way::Port(12));
}

#[test]
fn a_vm_is_no_dhcp_server_where_the_host_is() {
    let net = scoped(PortFlags::DHCP.with(PortFlags::DHCP_V6));
    for ports in [(67, 68), (67, 67), (4000, 68)] {
        net.port_sends(PORT, &datagram(blue(6), OWN, "10.0.0.6", ports)).dropped(DropReason::RogueDhcp);
    }
    for ports in [(547, 546), (4000, 546)] {
        net.port_sends(PORT, &datagram(blue(6), "fd00::5", "fd00::6", ports)).dropped(DropReason::RogueDhcp);
    }
}

#[test]
fn the_agent_gets_dhcpv6_and_router_solicitations_from_any_link_local_address() {
    let net = scoped(PortFlags::DHCP_V6);
    for source in ["fe80::406:ff:fe00:5", PRIVATE, "fd00::5"] {
        net.port_sends(PORT, &datagram(ALL_AGENTS_MAC, source, ALL_AGENTS, (546, 547))).went(&Way::Agent(5001));
        net.port_sends(PORT, &solicitation(source, 255)).went(&Way::Agent(5001));
    }
    net.port_sends(PORT, &solicitation("::", 255)).went(&Way::Agent(5001));
    // The link-local address of another is not any.
    let gateway = "fe80::4e:56ff:fe00:1";
    net.port_sends(PORT, &solicitation(gateway, 255)).dropped(DropReason::SourceAddress);
    // What was routed is no router solicitation, and to others such an address is nobody's.
    net.port_sends(PORT, &solicitation(PRIVATE, 64)).dropped(DropReason::SourceAddress);
    net.port_sends(PORT, &udp(blue(6), blue(5), PRIVATE, "fd00::6", b"")).dropped(DropReason::SourceAddress);
}

#[test]
fn the_agent_is_not_overrun() {
    let mut net = scoped(PortFlags::DHCP);
    let mut long = Vec::new();
    let sizes = MAX_PUNT as usize - 14 - 20 - 8;
    let discover = || packet(BROADCAST, blue(5), "0.0.0.0", "255.255.255.255", 64).udp(68, 67);
    discover().write(&mut long, &vec![0; sizes]).unwrap();
    net.port_sends(PORT, &long).went(&Way::Agent(5001));
    long.clear();
    discover().write(&mut long, &vec![0; sizes + 1]).unwrap();
    net.port_sends(PORT, &long).dropped(DropReason::PuntSize);
    let frame = datagram(BROADCAST, "0.0.0.0", "255.255.255.255", (68, 67));
    let meta = Meta { ifindex: PORT, len: frame.len() as u32, segment: 100, ..Meta::default() };
    net.port_sends_as(&meta, &frame).dropped(DropReason::PuntSize);
    net.admit = false;
    net.port_sends(PORT, &frame).dropped(DropReason::PuntLimit);
}

#[test]
fn the_address_of_the_server_is_the_one_of_hyper_v() {
    assert_eq!(pipeline::DHCP_SERVER, ip("192.0.2.253"));
}
