//! A small network for the tests: Blue (VSIDs 5001 and 5002) and Red (6001) with the same addresses, as the host with
//! the provider addresses 192.168.4.11 and fd01::11 sees it. Frames are built and read by etherparse.
#![allow(dead_code, reason = "each test file is a crate of its own and uses its part")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket, TransportSlice};
use pipeline::flow::{Flow, FlowEntry, FlowKey, FragmentKey, Usage};
use pipeline::meter::{Limit, MeterKey, Size};
use pipeline::moves::Move;
use pipeline::policy::{Direction, Logged, Matches, MemberKey, Policy, PrefixKey, Rule, RuleKey, ServiceKey, WordKey};
use pipeline::{
    Action, Address, Buffer, DropReason, Flood, Fragmented, Host, HostFlags, Meta, Peer, PeerFlags, PeerKey, Plain,
    Port, Provider, Record, RecordFlags, RecordKey, Replica, ReplicaKey, Route, RouteFlags, RouteKey, StationKey,
    Subnet, SubnetFlags, Tables, Verdict, Work, apply,
};

pub mod memory;
pub mod policies;

use memory::Memory;
use policies::Policies;

/// A MAC address.
pub type Mac = [u8; 6];

/// Everybody's gateway.
pub const GATEWAY: Mac = [0x02, 0x4e, 0x56, 0, 0, 1];
/// Broadcast.
pub const BROADCAST: Mac = [0xff; 6];
/// Interface index of the uplink.
pub const UPLINK: u32 = 2;
/// MTU of the underlay.
pub const MTU: u32 = 1600;

/// The MAC address of Blue's VM with this number: ports 5 and 6 are here and in VSID 5001, 15 is here and in 5002, 9 is
/// here and reached by rules Nat and None, the others are elsewhere.
pub const fn blue(number: u8) -> Mac {
    [6, 6, 0, 0, 0, number]
}

/// The MAC address of Red's VM with this number: port 5 is here, 7 elsewhere.
pub const fn red(number: u8) -> Mac {
    [8, 8, 0, 0, 0, number]
}

/// An address out of its text.
pub fn ip(text: &str) -> Address {
    match text.parse().expect("an address") {
        IpAddr::V4(v4) => Address::v4(v4.octets()),
        IpAddr::V6(v6) => Address::new(v6.octets()),
    }
}

/// The tables.
#[derive(Default)]
pub struct Net {
    pub host: Option<Host>,
    pub ports: BTreeMap<u32, Port>,
    pub records: BTreeMap<RecordKey, Record>,
    pub stations: BTreeMap<StationKey, Record>,
    pub moves: BTreeMap<StationKey, Move>,
    pub subnets: BTreeMap<u32, Subnet>,
    pub routes: Vec<(RouteKey, Route)>,
    pub peers: BTreeMap<PeerKey, Peer>,
    pub providers: BTreeMap<Address, Provider>,
    pub replicas: BTreeMap<ReplicaKey, Replica>,
    pub plain: BTreeMap<Address, Plain>,
    pub admit: bool,
    /// What the limits were asked.
    pub metered: std::cell::RefCell<Vec<(MeterKey, Limit, Size)>>,
    pub memory: Memory,
    pub policies: Policies,
}

impl Tables for Net {
    fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }
    fn port(&self, ifindex: u32) -> Option<&Port> {
        self.ports.get(&ifindex)
    }
    fn record(&self, key: &RecordKey) -> Option<&Record> {
        self.records.get(key)
    }
    fn station(&self, key: &StationKey) -> Option<&Record> {
        self.stations.get(key)
    }
    fn moves(&self, key: &StationKey) -> Option<&Move> {
        self.moves.get(key)
    }
    fn heard_at(&self, key: &StationKey) -> Option<&Address> {
        self.memory.heard.borrow().get(key).copied()
    }
    fn hear(&self, key: &StationKey, provider: &Address) {
        self.memory.heard.borrow_mut().insert(*key, Box::leak(Box::new(*provider)));
    }
    fn subnet(&self, vsid: u32) -> Option<&Subnet> {
        self.subnets.get(&vsid)
    }
    fn route(&self, key: &RouteKey) -> Option<&Route> {
        let bits = |key: &RouteKey| u128::from_be_bytes(key.address.octets());
        let matches = |route: &RouteKey| {
            let shift = 128 - (route.prefix_len - RouteKey::DOMAIN_BITS);
            route.domain == key.domain && (shift == 128 || bits(route) >> shift == bits(key) >> shift)
        };
        let matching = self.routes.iter().filter(|(route, _)| matches(route));
        matching.max_by_key(|(route, _)| route.prefix_len).map(|(_, route)| route)
    }
    fn peer(&self, key: &PeerKey) -> Option<&Peer> {
        self.peers.get(key)
    }
    fn provider(&self, address: &Address) -> Option<&Provider> {
        self.providers.get(address)
    }
    fn replica(&self, key: &ReplicaKey) -> Option<&Replica> {
        self.replicas.get(key)
    }
    fn plain(&self, address: &Address) -> Option<&Plain> {
        self.plain.get(address)
    }
    fn policy(&self, number: u32) -> Option<&Policy> {
        self.policies.policy(number)
    }
    fn prefix(&self, key: &PrefixKey) -> Option<&Matches> {
        self.policies.prefix(key)
    }
    fn member(&self, key: &MemberKey) -> Option<&Matches> {
        self.policies.member(key)
    }
    fn service(&self, key: &ServiceKey) -> Option<&Matches> {
        self.policies.service(key)
    }
    fn word(&self, key: &WordKey) -> Option<&u64> {
        self.policies.word(key)
    }
    fn rule(&self, key: &RuleKey) -> Option<&Rule> {
        self.policies.rule(key)
    }
    fn now(&self) -> u64 {
        self.memory.now.get()
    }
    fn epoch(&self, index: u32) -> u32 {
        self.memory.epochs.borrow().get(&index).copied().unwrap_or(0)
    }
    fn flow(&self, key: &FlowKey) -> Option<&FlowEntry> {
        self.memory.flows.borrow().get(key).copied()
    }
    fn create_flow(&self, key: &FlowKey, flow: &Flow) -> bool {
        self.memory.create(key, flow)
    }
    fn write_flow(&self, key: &FlowKey, flow: &Flow) -> bool {
        self.memory.write(key, flow)
    }
    fn usage(&self, slot: u32, opener: Direction) -> Usage {
        self.memory.usage.borrow().get(&(slot, opener)).copied().unwrap_or_default()
    }
    fn count_flow(&self, slot: u32, opener: Direction, flows: i32, half_open: i32) {
        self.memory.count(slot, opener, flows, half_open);
    }
    fn fragment(&self, key: &FragmentKey) -> Option<&Fragmented> {
        self.memory.fragments.borrow().get(key).copied()
    }
    fn note_fragment(&self, key: &FragmentKey, fragmented: &Fragmented) {
        self.memory.fragments.borrow_mut().insert(*key, Box::leak(Box::new(*fragmented)));
    }
    fn log(&self, logged: &Logged) {
        self.memory.logged.borrow_mut().push(*logged);
    }
    fn admit(&self, key: &MeterKey, limit: &Limit, size: Size) -> bool {
        self.metered.borrow_mut().push((*key, *limit, size));
        self.admit
    }
    fn admit_flood(&self, _slot: u32) -> bool {
        self.admit
    }
    fn admit_punt(&self, _slot: u32) -> bool {
        self.admit
    }
}

impl Net {
    /// The network.
    pub fn new() -> Self {
        let mut net = Self { admit: true, ..Self::default() };
        let (gateway_mac, flags) = (GATEWAY, HostFlags::PLAIN);
        net.host = Some(Host { gateway_mac, flags, flood_rate: 1, flood_burst: 1, ..Host::default() });
        for (own, other) in [("192.168.4.11", "192.168.4.22"), ("fd01::11", "fd01::22")] {
            net.providers.insert(ip(own), Provider { uplink: UPLINK });
            net.add_peer(own, other);
        }
        let here = "192.168.4.11";
        let there = "192.168.4.22";
        for (ifindex, vsid, mac, own, provider) in [
            (11, 5001, blue(5), "10.0.0.5 fd00::5", here),
            (12, 5001, blue(6), "10.0.0.6 fd00::6", here),
            (13, 5002, blue(15), "10.0.1.5 fd00:0:0:1::5", here),
            (21, 6001, red(5), "10.0.0.5 fd00::5", here),
            (0, 5001, blue(7), "10.0.0.7 fd00::7", there),
            (0, 5001, blue(8), "10.0.0.8 fd00::8", "fd01::22"),
            (0, 5002, blue(17), "10.0.1.7 fd00:0:0:1::7", there),
            (0, 6001, red(7), "10.0.0.7 fd00::7", there),
        ] {
            net.vm(ifindex, vsid, mac, own, provider);
        }
        net.plain_vms();
        for (domain, vsid, prefix, next_hop) in [
            (1, 5001, "10.0.0.0/24", "0.0.0.0"),
            (1, 5002, "10.0.1.0/24", "0.0.0.0"),
            (1, 5001, "fd00::/64", "::"),
            (1, 5002, "fd00:0:0:1::/64", "::"),
            (1, 5001, "10.9.0.0/16", "10.0.0.7"),
            (1, 5002, "10.9.1.0/24", "10.0.1.7"),
            (1, 5001, "10.9.9.0/24", "10.0.0.99"),
            (2, 6001, "10.0.0.0/24", "0.0.0.0"),
            (2, 6001, "fd00::/64", "::"),
        ] {
            net.add_route(domain, vsid, prefix, next_hop);
        }
        for (vsid, domain, v4, v6) in
            [(5001, 1, "10.0.0.1", "fd00::1"), (5002, 1, "10.0.1.1", "fd00:0:0:1::1"), (6001, 2, "10.0.0.1", "fd00::1")]
        {
            net.add_subnet(vsid, domain, v4, v6);
        }
        net
    }

    fn add_peer(&mut self, own: &str, other: &str) {
        let (local, next_hop) = (ip(own), ip(other));
        let peer = Peer { local, next_hop, uplink: UPLINK, mtu: MTU, flags: PeerFlags::NEXT_HOP, paths: 1 };
        self.peers.insert(PeerKey::first(ip(other)), peer);
    }

    fn vm(&mut self, ifindex: u32, vsid: u32, mac: Mac, own: &str, provider: &str) {
        let flags = if ifindex == 0 { RecordFlags::NONE } else { RecordFlags::LOCAL };
        let record = Record { mac, flags, ifindex, groups: 0, provider: ip(provider) };
        for address in own.split_whitespace() {
            self.records.insert(RecordKey { vsid, address: ip(address) }, record);
        }
        self.stations.insert(StationKey { vsid, mac, reserved: 0 }, record);
        if ifindex != 0 {
            let domain = if vsid == 6001 { 2 } else { 1 };
            self.ports.insert(ifindex, Port { vsid, domain, slot: ifindex, mac, ..Port::default() });
        }
    }

    /// Blue 9 here and Blue 10 elsewhere are reached without encapsulation: by Nat at 198.18.0.x and fd03::x, by None
    /// at 172.16.0.x.
    fn plain_vms(&mut self) {
        self.vm(14, 5001, blue(9), "", "192.168.4.11");
        for (number, ifindex) in [(9, 14), (10, 0)] {
            for (customer, wire, flags) in [
                (format!("10.0.0.{number}"), format!("198.18.0.{number}"), RecordFlags::NAT),
                (format!("fd00::{number}"), format!("fd03::{number}"), RecordFlags::NAT),
                (format!("172.16.0.{number}"), format!("172.16.0.{number}"), RecordFlags::BARE),
            ] {
                let provider = if flags == RecordFlags::BARE { ip("192.168.4.22") } else { ip(&wire) };
                let key = RecordKey { vsid: 5001, address: ip(&customer) };
                self.records.insert(key, Record { mac: blue(number), flags, ifindex, groups: 0, provider });
                self.plain.insert(ip(&wire), Plain { vsid: 5001, customer: ip(&customer) });
                if ifindex == 0 && flags == RecordFlags::NAT {
                    self.add_peer(if provider.is_v4() { "192.168.4.11" } else { "fd01::11" }, &wire);
                }
            }
        }
    }

    /// Adds a customer route.
    pub fn add_route(&mut self, domain: u32, vsid: u32, prefix: &str, next_hop: &str) {
        let (address, length) = prefix.split_once('/').expect("a prefix");
        let address = ip(address);
        let mapped = if address.is_v4() { 96 } else { 0 };
        let prefix_len = RouteKey::DOMAIN_BITS + mapped + length.parse::<u32>().expect("a length");
        let next_hop = ip(next_hop);
        let on_link = next_hop == Address::UNSPECIFIED_V4 || next_hop == Address::UNSPECIFIED_V6;
        let flags = if on_link { RouteFlags::ON_LINK } else { RouteFlags::NONE };
        let key = RouteKey { prefix_len, domain: domain.to_be_bytes(), address };
        self.routes.push((key, Route { vsid, flags, next_hop }));
    }

    fn add_subnet(&mut self, vsid: u32, domain: u32, v4: &str, v6: &str) {
        let flags = RecordFlags::LOCAL.with(RecordFlags::GATEWAY);
        let gateway = Record { mac: GATEWAY, flags, ..Record::default() };
        for address in [v4, v6, "fe80::4e:56ff:fe00:1"] {
            self.records.insert(RecordKey { vsid, address: ip(address) }, gateway);
        }
        let ports = self.ports.iter().filter(|(_, port)| port.vsid == vsid).map(|(ifindex, _)| *ifindex);
        let ports = ports.map(|ifindex| Replica { ifindex, ..Replica::default() });
        let hosts = ["192.168.4.22", "fd01::22"].map(|host| Replica { ifindex: 0, provider: ip(host) });
        let local_replicas = ports.clone().count() as u32;
        let replicas: Vec<Replica> = ports.chain(hosts).collect();
        let count = replicas.len() as u32;
        self.replicas.extend((0..).map(|index| ReplicaKey { vsid, index }).zip(replicas));
        let (gateway_v4, gateway_v6) = (ip(v4), ip(v6));
        let flags = SubnetFlags::NONE;
        let subnet =
            Subnet { domain, flags, replicas: count, local_replicas, gateway_v4, gateway_v6, ..Subnet::default() };
        self.subnets.insert(vsid, subnet);
    }

    /// A frame that the VM behind a port sends.
    pub fn port_sends(&self, ifindex: u32, frame: &[u8]) -> Done {
        self.port_sends_as(&meta(ifindex, frame), frame)
    }

    /// The same, with what is known beside the bytes.
    pub fn port_sends_as(&self, meta: &Meta, frame: &[u8]) -> Done {
        let mut room = vec![0; frame.len() + 2048];
        room[..frame.len()].copy_from_slice(frame);
        let mut buffer = Buffer::new(&mut room, frame.len());
        let (mut work, mut verdict) = (Work::default(), Verdict::default());
        pipeline::from_port(&buffer, self, meta, &mut work, &mut verdict);
        pipeline::limit(&buffer, self, meta, &work, &mut verdict);
        let way = self.carry_out(&mut buffer, &verdict, &work, meta);
        Done { way, frame: buffer.as_slice().to_vec() }
    }

    /// A frame that comes from the underlay.
    pub fn underlay_sends(&self, frame: &[u8]) -> Done {
        self.underlay_sends_as(&meta(UPLINK, frame), frame)
    }

    /// The same, with what is known beside the bytes.
    pub fn underlay_sends_as(&self, meta: &Meta, frame: &[u8]) -> Done {
        let mut room = vec![0; frame.len() + 2048];
        room[..frame.len()].copy_from_slice(frame);
        let mut buffer = Buffer::new(&mut room, frame.len());
        let (mut work, mut verdict) = (Work::default(), Verdict::default());
        pipeline::from_uplink(&buffer, self, meta, &mut work, &mut verdict);
        pipeline::limit(&buffer, self, meta, &work, &mut verdict);
        let way = self.carry_out(&mut buffer, &verdict, &work, meta);
        Done { way, frame: buffer.as_slice().to_vec() }
    }

    /// A frame that this host's own stack sends by the uplink; `decided` if these programs put it there.
    pub fn host_sends(&self, frame: &[u8], decided: bool) -> Done {
        let mut room = vec![0; frame.len() + 2048];
        room[..frame.len()].copy_from_slice(frame);
        let mut buffer = Buffer::new(&mut room, frame.len());
        let (mut work, mut verdict) = (Work::default(), Verdict::default());
        let meta = Meta { decided, ..meta(UPLINK, frame) };
        pipeline::from_host(&buffer, self, &meta, &mut work, &mut verdict);
        pipeline::limit(&buffer, self, &meta, &work, &mut verdict);
        let way = self.carry_out(&mut buffer, &verdict, &work, &meta);
        Done { way, frame: buffer.as_slice().to_vec() }
    }

    fn carry_out(&self, frame: &mut Buffer, verdict: &Verdict, work: &Work, meta: &Meta) -> Way {
        let result = match verdict.action() {
            Action::Pass => return Way::Pass,
            Action::Drop(reason) => return Way::Drop(reason),
            Action::Deliver { ifindex, strip, translation, .. } => apply::translate(frame, &work.edit, &translation)
                .and_then(|()| apply::deliver(frame, strip, &work.edit))
                .map(|()| Way::Port(ifindex)),
            Action::Encapsulate { tunnel } => apply::edit(frame, &work.edit)
                .and_then(|()| apply::encapsulate(frame, &tunnel, &work.edit, meta.len))
                .map(|()| Way::Tunnel(tunnel.vsid)),
            Action::Plain { translation, .. } => apply::translate(frame, &work.edit, &translation)
                .and_then(|()| apply::plain(frame, &work.edit))
                .map(|()| Way::Plain),
            Action::Answer(_) => apply::answer(frame, verdict, &GATEWAY).map(|()| Way::Answer),
            Action::Flood(flood) => Ok(Way::Flood(flood)),
            Action::Wire { network } => apply::tag(frame, network).map(|()| Way::Wire(network)),
            Action::Host { network } => apply::tag(frame, network).map(|()| Way::Host(network)),
            Action::Punt { vsid } => Ok(Way::Agent(vsid)),
            Action::Onward { peer, remote } => {
                apply::onward(frame, peer, remote, &work.edit).map(|()| Way::Onward(*remote))
            }
            Action::Relay { peer } => Ok(Way::Relay(peer.next_hop)),
        };
        result.unwrap_or(Way::Drop(DropReason::NoRoom))
    }
}

fn meta(ifindex: u32, frame: &[u8]) -> Meta {
    Meta { ifindex, len: frame.len() as u32, ..Meta::default() }
}

/// Where a frame goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    Pass,
    Drop(DropReason),
    Port(u32),
    Tunnel(u32),
    Plain,
    Answer,
    Flood(Flood),
    Agent(u32),
    Wire(u32),
    Host(u32),
    Relay(Address),
    Onward(Address),
}

/// What became of a frame.
#[derive(Clone, Debug)]
pub struct Done {
    pub way: Way,
    pub frame: Vec<u8>,
}

impl Done {
    /// The frame, which must have gone this way.
    #[track_caller]
    pub fn went(self, way: &Way) -> Vec<u8> {
        assert_eq!(self.way, *way);
        self.frame
    }

    /// It must have been dropped for this reason.
    #[track_caller]
    pub fn dropped(self, reason: DropReason) {
        assert_eq!(self.way, Way::Drop(reason));
    }
}

/// The beginning of an IP packet in a frame.
pub fn packet(
    to: Mac,
    from: Mac,
    source: &str,
    destination: &str,
    ttl: u8,
) -> PacketBuilderStep<etherparse::IpHeaders> {
    let ethernet = PacketBuilder::ethernet2(from, to);
    match (source.parse().expect("an address"), destination.parse().expect("an address")) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ethernet.ipv4(Ipv4Addr::octets(&source), destination.octets(), ttl)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            ethernet.ipv6(Ipv6Addr::octets(&source), destination.octets(), ttl)
        }
        _ => panic!("{source} and {destination} are not of one family"),
    }
}

/// A UDP datagram in a frame.
pub fn udp(to: Mac, from: Mac, source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    packet(to, from, source, destination, 64).udp(1000, 2000).write(&mut frame, payload).expect("a datagram");
    frame
}

/// An echo request in a frame.
pub fn echo(to: Mac, from: Mac, source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
    let (mut frame, step) = (Vec::new(), packet(to, from, source, destination, 64));
    let written = if source.contains(':') {
        step.icmpv6_echo_request(7, 1).write(&mut frame, payload)
    } else {
        step.icmpv4_echo_request(7, 1).write(&mut frame, payload)
    };
    written.expect("an echo request");
    frame
}

/// A SYN with these options in a frame.
pub fn syn(to: Mac, from: Mac, source: &str, destination: &str, options: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let step = packet(to, from, source, destination, 64).tcp(40_000, 443, 1, 64_000).syn();
    step.options_raw(options).expect("options").write(&mut frame, &[]).expect("a segment");
    frame
}

/// Outer headers in a frame as another host sends them, built by etherparse; over IPv4 if the addresses are.
pub fn nvgre(from: &str, to: &str, vsid: u32, inner: &[u8]) -> Vec<u8> {
    let mut payload = vec![0x20, 0x00, 0x65, 0x58];
    payload.extend((vsid << 8 | 0x5a).to_be_bytes());
    payload.extend(inner);
    let mut frame = Vec::new();
    let step = packet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], from, to, 64);
    step.write(&mut frame, etherparse::IpNumber::GRE, &payload).expect("a packet");
    frame
}

/// Where the inner frame of one of our own encapsulated frames begins.
pub fn inner(frame: &[u8]) -> &[u8] {
    let at = if frame[12..14] == [0x08, 0x00] { 14 + 20 + 8 } else { 14 + 40 + 8 };
    &frame[at..]
}

/// Lengths and checksums of a frame are right, as etherparse sees it.
#[track_caller]
pub fn assert_sound(frame: &[u8]) {
    let packet = SlicedPacket::from_ethernet(frame).expect("headers that hold together");
    match packet.net.as_ref().expect("an IP packet") {
        NetSlice::Ipv4(v4) => {
            let header = v4.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum(), "the IPv4 header's checksum");
            match packet.transport.as_ref().expect("a transport header") {
                TransportSlice::Tcp(tcp) => {
                    assert_eq!(
                        tcp.checksum(),
                        tcp.calc_checksum_ipv4(header.source, header.destination).expect("short")
                    );
                }
                TransportSlice::Udp(udp) if udp.checksum() != 0 => {
                    let header = udp.to_header().calc_checksum_ipv4(&header, udp.payload());
                    assert_eq!(udp.checksum(), header.expect("short"));
                }
                TransportSlice::Icmpv4(icmp) => {
                    let mut sum = etherparse::checksum::Sum16BitWords::new();
                    sum = sum.add_slice(icmp.slice());
                    assert_eq!(sum.ones_complement(), 0, "the ICMP checksum");
                }
                _ => {}
            }
        }
        NetSlice::Ipv6(v6) => {
            let (from, to) = (v6.header().source(), v6.header().destination());
            match packet.transport.as_ref().expect("a transport header") {
                TransportSlice::Tcp(tcp) => {
                    assert_eq!(tcp.checksum(), tcp.calc_checksum_ipv6(from, to).expect("short"))
                }
                TransportSlice::Udp(udp) => {
                    let sum = udp.to_header().calc_checksum_ipv6_raw(from, to, udp.payload());
                    assert_eq!(udp.checksum(), sum.expect("short"));
                }
                TransportSlice::Icmpv6(icmp) => assert!(icmp.is_checksum_valid(from, to), "the ICMPv6 checksum"),
                _ => {}
            }
        }
        NetSlice::Arp(_) => {}
    }
}
