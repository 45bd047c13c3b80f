//! Router solicitations and advertisements: all fields and options of what is answered.

mod common;

use std::net::Ipv6Addr;

use common::{GATEWAY_MAC, LINK_LOCAL, MAC, port, with};
use dhcp::{Binding, Event};
use etherparse::icmpv6::{Icmpv6PayloadSlice, NdpOptionSlice, RouterAdvertisementHeader};
use etherparse::{Icmpv6Type, LinkSlice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use model::MacAddress;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: [u8; 16] = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2).octets();

fn solicitation(source: Ipv6Addr, hop_limit: u8, options: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(MAC, [0x33, 0x33, 0, 0, 0, 2])
        .ipv6(source.octets(), ALL_ROUTERS, hop_limit)
        .icmpv6(Icmpv6Type::RouterSolicitation);
    let mut frame = Vec::new();
    builder.write(&mut frame, options).unwrap();
    frame
}

/// What a router says.
struct Advertisement {
    mac: [u8; 6],
    destination: Ipv6Addr,
    header: RouterAdvertisementHeader,
    /// Type and the bytes behind type and length.
    options: Vec<(u8, Vec<u8>)>,
}

fn read(frame: &[u8]) -> Advertisement {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else { panic!("{packet:?}") };
    assert_eq!(ethernet.source(), GATEWAY_MAC);
    let Some(NetSlice::Ipv6(ip)) = &packet.net else { panic!("{packet:?}") };
    let header = ip.header();
    assert_eq!(header.source_addr(), MacAddress::new(GATEWAY_MAC).unwrap().link_local());
    assert_eq!(header.hop_limit(), 255);
    let Some(TransportSlice::Icmpv6(icmp)) = &packet.transport else { panic!("{packet:?}") };
    assert!(icmp.is_checksum_valid(header.source(), header.destination()));
    let Icmpv6Type::RouterAdvertisement(advertisement) = icmp.icmp_type() else { panic!("{icmp:?}") };
    let Ok(Icmpv6PayloadSlice::RouterAdvertisement(payload)) = icmp.payload_slice() else { panic!("{icmp:?}") };
    let options = payload.options_iterator().map(|option| {
        let option: NdpOptionSlice = option.unwrap();
        (option.option_type().0, option.as_bytes()[2..].to_vec())
    });
    Advertisement {
        mac: ethernet.destination(),
        destination: header.destination_addr(),
        header: advertisement,
        options: options.collect(),
    }
}

fn solicited(port: &Binding) -> Advertisement {
    let answer = dhcp::answer(&solicitation(LINK_LOCAL, 255, &[1, 1, 0, 0x1d, 0xd8, 0xb7, 0x1c, 0]), port).unwrap();
    assert_eq!(answer.event, Event::RouterAdvertised);
    read(&answer.frame.unwrap())
}

#[test]
fn a_solicitation_is_answered_with_all_that_a_host_needs() {
    let heard = solicited(&port());
    assert_eq!((heard.mac, heard.destination), (MAC, LINK_LOCAL));
    let header = RouterAdvertisementHeader {
        cur_hop_limit: 64,
        managed_address_config: true,
        other_config: true,
        router_lifetime: 65_535,
    };
    assert_eq!(heard.header, header);
    let day = 86_400u32.to_be_bytes();
    let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    // On-link, and no address is made of it.
    let prefix = [&[64, 0x80][..], &day, &day, &[0; 4], &address("fd00:a::")].concat();
    let route = [&[48, 0][..], &day, &address("fd00:b::")].concat();
    let servers = [&[0, 0][..], &day, &address("fd00:a::53")].concat();
    let mut search = [&[0, 0][..], &day, b"\x04corp\x07example\x00\x07example\x00"].concat();
    search.resize(30, 0);
    let expected = vec![
        (1, GATEWAY_MAC.to_vec()),
        (5, vec![0, 0, 0, 0, 0x05, 0xb2]),
        (3, prefix),
        (24, route),
        (25, servers),
        (31, search),
    ];
    assert_eq!(heard.options, expected);
}

#[test]
fn who_has_no_address_hears_it_with_everybody_and_so_do_all_unasked() {
    let answer = dhcp::answer(&solicitation(Ipv6Addr::UNSPECIFIED, 255, &[]), &port()).unwrap().frame.unwrap();
    assert_eq!(Some(&answer), dhcp::router_advertisement(&port()).as_ref());
    let heard = read(&answer);
    assert_eq!((heard.mac, heard.destination), ([0x33, 0x33, 0, 0, 0, 1], ALL_NODES));
}

fn prefix_flags(heard: &Advertisement) -> u8 {
    heard.options.iter().find(|(kind, _)| *kind == 3).unwrap().1[1]
}

#[test]
fn vms_make_addresses_only_where_the_host_learns_them() {
    let mut port = with(common::SCOPES, &["10.10.1.100"]);
    let heard = solicited(&port);
    assert!(!heard.header.managed_address_config && heard.header.other_config, "DHCPv6 has no address");
    assert_eq!(prefix_flags(&heard), 0x80);
    port.learns = true;
    assert_eq!(prefix_flags(&solicited(&port)), 0xc0);
    port.addresses.push("fd00:a::100".parse().unwrap());
    assert_eq!(prefix_flags(&solicited(&port)), 0x80, "DHCPv6 has an address");
}

#[test]
fn where_routers_are_outside_of_the_hosts_none_is_advertised() {
    let heard = solicited(&Binding { routes: false, ..port() });
    assert_eq!(heard.header.router_lifetime, 0);
    assert!(heard.options.iter().all(|(kind, _)| *kind != 24), "a route leads through nobody");
}

#[test]
fn in_a_physical_network_the_gateway_is_no_router() {
    let scope =
        "kind: dhcp-scope\nspec: {physical: {interface: eth0}, prefix: \"fd00:a::/64\", gateway: \"fd00:a::1\"}";
    let heard = solicited(&with(scope, &["fd00:a::100"]));
    assert_eq!(heard.header.router_lifetime, 0);
    assert!(heard.header.managed_address_config);
}

#[test]
fn what_is_no_solicitation_by_the_rules_gets_no_answer() {
    let port = port();
    assert_eq!(dhcp::answer(&solicitation(LINK_LOCAL, 64, &[]), &port), None, "routed");
    assert_eq!(dhcp::answer(&solicitation(LINK_LOCAL, 255, &[1, 0, 0, 0, 0, 0, 0, 0]), &port), None, "empty option");
    assert_eq!(dhcp::answer(&solicitation(LINK_LOCAL, 255, &[1, 1, 0]), &port), None, "cut option");
    let named = [1, 1, 0, 0x1d, 0xd8, 0xb7, 0x1c, 0];
    assert_eq!(dhcp::answer(&solicitation(Ipv6Addr::UNSPECIFIED, 255, &named), &port), None, "nobody's MAC address");
    let v4_only = with("kind: dhcp-scope\nspec: {vsid: 5001, prefix: 10.10.0.0/16}", &["10.10.1.100"]);
    assert_eq!(dhcp::answer(&solicitation(LINK_LOCAL, 255, &[]), &v4_only), None, "no IPv6 scope");
    assert_eq!(dhcp::router_advertisement(&v4_only), None);
}
