//! Frames as VMs send them, right ones and wrong ones, made out of the tables so that most of them hit something.

use datapath::Role;
use pipeline::{Address, Meta, Port, RecordFlags, segment};
use plan::HostTables;
use rand::Rng as _;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use rand_chacha::ChaCha8Rng;

use crate::craft::{self, BROADCAST, Ip, Mac};
use crate::world::{Devices, UPLINK_MAC};

/// A frame, and how it comes in.
#[derive(Clone, Debug)]
pub struct Case {
    pub role: Role,
    pub frame: Vec<u8>,
    pub meta: Meta,
    /// What was meant to be tried.
    pub what: &'static str,
}

impl Case {
    pub fn new(role: Role, frame: Vec<u8>, ifindex: u32, what: &'static str) -> Self {
        let len = frame.len() as u32;
        Self { role, frame, meta: Meta { ifindex, len, ..Meta::default() }, what }
    }
}

/// Draws frames for one set of tables.
pub struct Frames<'a> {
    pub rng: &'a mut ChaCha8Rng,
    pub tables: &'a HostTables,
    pub devices: &'a Devices,
    pub gateway_mac: Mac,
}

impl<'a> Frames<'a> {
    pub fn new(rng: &'a mut ChaCha8Rng, tables: &'a HostTables, devices: &'a Devices) -> Self {
        let gateway_mac = tables.host.map_or([2, 0, 0, 0, 0, 9], |host| host.gateway_mac);
        Self { rng, tables, devices, gateway_mac }
    }

    /// The next one.
    pub fn draw(&mut self) -> Case {
        let mut case = match self.rng.random_range(0..100) {
            0..54 => self.port_frame(),
            54..62 => self.wire_frame(),
            _ => self.uplink_frame(),
        };
        match self.rng.random_range(0..100) {
            0..8 => self.truncate(&mut case),
            8..16 => self.flip(&mut case),
            16..19 => {
                let extra = self.rng.random_range(1..60);
                case.frame.resize(case.frame.len() + extra, 0xa5);
                case.what = "padded";
            }
            _ => {}
        }
        case.frame.truncate(2900);
        case.meta.len = case.frame.len() as u32;
        case
    }

    fn truncate(&mut self, case: &mut Case) {
        let classes = [14, 20, 34, 40, 42, 54, 58, 62, 66, 70, 78, 96, 100, 110, 120, 140];
        let near = *classes.choose(self.rng).expect("some") + self.rng.random_range(0..4) - 2;
        let at = if self.rng.random() { near } else { self.rng.random_range(0..=case.frame.len()) };
        case.frame.truncate(at);
        case.what = "truncated";
    }

    fn flip(&mut self, case: &mut Case) {
        for _ in 0..self.rng.random_range(1..5) {
            let end = if self.rng.random_bool(0.8) { case.frame.len().min(90) } else { case.frame.len() };
            if end > 0 {
                let at = self.rng.random_range(0..end);
                case.frame[at] = if self.rng.random() { self.rng.random() } else { case.frame[at] ^ 1 };
            }
        }
        case.what = "bytes flipped";
    }

    /// A frame that a VM sends.
    fn port_frame(&mut self) -> Case {
        let Some((ifindex, port)) = self.tables.ports.iter().choose(self.rng).map(|(i, p)| (*i, *p)) else {
            let device = *self.devices.ports.choose(self.rng).expect("devices");
            let frame = craft::ethernet(BROADCAST, [2, 0, 0, 0, 0, 1], craft::IPV4, &[0; 60]);
            return Case::new(Role::Port, frame, device, "no port");
        };
        if self.rng.random_bool(0.01) {
            let frame = craft::ethernet(self.gateway_mac, port.mac, craft::ARP, &[0; 60]);
            return Case::new(Role::Port, frame, self.devices.uplink, "no port");
        }
        match self.rng.random_range(0..100) {
            0..12 => self.arp(ifindex, &port),
            12..26 => self.neighbor(ifindex, &port),
            26..30 => self.other(ifindex, &port),
            30..34 => self.without_address(ifindex, &port),
            34..40 => self.for_agent(ifindex, &port),
            40..45 if segment::is_physical(port.vsid) => self.like_a_host(ifindex, &port),
            _ => {
                let (frame, segment, what) = self.ip(&port);
                let mut case = Case::new(Role::Port, frame, ifindex, what);
                case.meta.segment = segment;
                case
            }
        }
    }

    /// Some address of the port with this MAC address, or somebody else's.
    pub fn source(&mut self, port: &Port, v4: bool) -> Address {
        let own = self.tables.records.iter().filter(|(key, record)| {
            key.vsid == port.vsid
                && record.mac == port.mac
                && key.address.is_v4() == v4
                && key.address != Address::UNSPECIFIED_V4
                && key.address != Address::UNSPECIFIED_V6
        });
        let own = own.map(|(key, _)| key.address).choose(self.rng);
        match self.rng.random_range(0..100) {
            0..5 => self.any_address(port.vsid, v4),
            5..8 => self.unknown(v4),
            8..9 => unspecified(v4),
            9..14 if !v4 => pipeline::headers::neighbor::link_local(&port.mac),
            _ => own.unwrap_or_else(|| self.unknown(v4)),
        }
    }

    /// The address of some record of the subnet, or of any if there is none.
    pub fn any_address(&mut self, vsid: u32, v4: bool) -> Address {
        let of_family = |address: &Address| address.is_v4() == v4 && *address != unspecified(v4);
        let keys = self.tables.records.keys().filter(|key| of_family(&key.address));
        let in_subnet = keys.clone().filter(|key| key.vsid == vsid).choose(self.rng);
        match in_subnet.or_else(|| keys.choose(self.rng)) {
            Some(key) => key.address,
            None => self.unknown(v4),
        }
    }

    /// An address that may or may not be in some prefix.
    pub fn unknown(&mut self, v4: bool) -> Address {
        let last = self.rng.random_range(0..=255);
        let subnet = self.rng.random_range(0..3);
        match (v4, self.rng.random_range(0..3)) {
            (true, 0) => Address::v4([8, 8, 8, last]),
            (true, _) => Address::v4([10, 0, subnet, last]),
            (false, 0) => Address::new([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]),
            (false, _) => Address::new([0xfd, 0, 0, 0, 0, 0, 0, subnet, 0, 0, 0, 0, 0, 0, 0, last]),
        }
    }

    fn destination(&mut self, port: &Port, v4: bool) -> Address {
        match self.rng.random_range(0..100) {
            0..40 => self.any_address(port.vsid, v4),
            40..65 => {
                let subnets = self.tables.subnets.iter().filter(|(_, subnet)| subnet.domain == port.domain);
                let vsid = subnets.map(|(vsid, _)| *vsid).choose(self.rng).unwrap_or(port.vsid);
                self.any_address(vsid, v4)
            }
            65..72 => {
                let vsid = self.tables.subnets.keys().copied().choose(self.rng).unwrap_or(port.vsid);
                self.any_address(vsid, v4)
            }
            72..84 => {
                let gateways = self.tables.records.iter().filter(|(key, record)| {
                    key.vsid == port.vsid && key.address.is_v4() == v4 && record.flags.has(RecordFlags::GATEWAY)
                });
                gateways.map(|(key, _)| key.address).choose(self.rng).unwrap_or_else(|| self.unknown(v4))
            }
            84..88 if v4 => Address::v4([224, 0, 0, self.rng.random_range(1..=252)]),
            84..88 => Address::new([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, self.rng.random_range(1..=20)]),
            88..89 if v4 => Address::v4([255; 4]),
            _ => self.unknown(v4),
        }
    }

    /// The MAC address that the sender believes to be right, or another.
    fn toward(&mut self, vsid: u32, destination: &Address) -> Mac {
        if Ip::new(*destination, *destination, 0).to_group() && self.rng.random_bool(0.9) {
            return if *destination == Address::v4([255; 4]) { BROADCAST } else { craft::group_mac(destination) };
        }
        let record = self.tables.records.get(&pipeline::RecordKey { vsid, address: *destination });
        let record = record.map(|record| record.mac);
        match (self.rng.random_range(0..100), record) {
            (0..3, _) => BROADCAST,
            (3..6, _) => [6, 6, 0, 0xee, 0xee, self.rng.random()],
            (6..12, _) => self.tables.stations.keys().map(|key| key.mac).choose(self.rng).unwrap_or(BROADCAST),
            (12..22 | 50..60, _) if segment::is_physical(vsid) => UPLINK_MAC,
            (12..22, _) | (_, None) => self.gateway_mac,
            (_, Some(mac)) => mac,
        }
    }

    /// A family that the port has an address of, if it has any.
    fn family(&mut self, port: &Port) -> bool {
        let own = self.tables.records.iter().filter(|(key, record)| key.vsid == port.vsid && record.mac == port.mac);
        let own = own.map(|(key, _)| key.address.is_v4()).choose(self.rng);
        if self.rng.random_bool(0.85) { own.unwrap_or(true) } else { self.rng.random() }
    }

    /// For a sender that is reached without encapsulation often another one of its subnet.
    fn of_the_same_kind(&mut self, vsid: u32, source: &Address) -> Option<Address> {
        let plain = |flags: RecordFlags| flags.has(RecordFlags::NAT) || flags.has(RecordFlags::BARE);
        let record = self.tables.records.get(&pipeline::RecordKey { vsid, address: *source })?;
        if !plain(record.flags) || self.rng.random_bool(0.3) {
            return None;
        }
        let others = self.tables.records.iter().filter(|(key, other)| {
            key.vsid == vsid && key.address.is_v4() == source.is_v4() && plain(other.flags) && other.ifindex == 0
        });
        others.map(|(key, _)| key.address).choose(self.rng)
    }

    fn source_mac(&mut self, port: &Port) -> Mac {
        match self.rng.random_range(0..100) {
            0..2 => [6, 6, 0, 0, 0, self.rng.random()],
            2 => [7, 6, 0, 0, 0, 1],
            _ => port.mac,
        }
    }

    /// An IP packet from a port: the frame, its segment size, and what it tries.
    fn ip(&mut self, port: &Port) -> (Vec<u8>, u32, &'static str) {
        let v4 = self.family(port);
        let source = self.source(port, v4);
        let destination = self.destination(port, v4);
        let destination = self.of_the_same_kind(port.vsid, &source).unwrap_or(destination);
        let mac = self.toward(port.vsid, &destination);
        let (packet, segment, what) = self.packet(source, destination);
        let ethertype = if v4 { craft::IPV4 } else { craft::IPV6 };
        let source_mac = self.source_mac(port);
        (self.tagged(craft::ethernet(mac, source_mac, ethertype, &packet)), segment, what)
    }

    /// Now and then with a VLAN tag in it.
    pub fn tagged(&mut self, mut frame: Vec<u8>) -> Vec<u8> {
        if self.rng.random_bool(0.02) {
            let tag = if self.rng.random() { [0x81, 0, 0, 5] } else { [0x88, 0xa8, 0, 5] };
            frame.splice(12..12, tag);
        }
        frame
    }

    /// An IP packet: its bytes, the segment size, and what it tries.
    pub fn packet(&mut self, source: Address, destination: Address) -> (Vec<u8>, u32, &'static str) {
        let rng = &mut *self.rng;
        let v4 = source.is_v4();
        let mut ip = Ip::new(source, destination, craft::TCP);
        ip.traffic_class = if rng.random() { rng.random() } else { 0 };
        ip.ttl = *[64, 64, 64, 64, 255, 2, 1, 0].choose(rng).expect("some");
        if rng.random() {
            ip.fragment = 0;
        }
        if v4 && rng.random_bool(0.08) {
            ip.options = rng.random_range(1..=10);
        }
        let ports = (rng.random(), *[80, 443, 53, 67].choose(rng).expect("some"));
        let limits: Vec<u32> = self.tables.peers.values().map(|peer| peer.mtu).collect();
        let payload = payload(rng, &limits);
        let mut segment = 0;
        let (transport, what) = match rng.random_range(0..100) {
            0..18 => (ip.tcp(ports, 0x02, &options(rng), &[]), "SYN"),
            18..36 => {
                if rng.random_bool(0.4) {
                    segment = *[536, 1200, 1398, 1448, 1460, 8948].choose(rng).expect("some");
                }
                (ip.tcp(ports, 0x10, &options(rng), &payload), "TCP")
            }
            36..56 => {
                ip.protocol = craft::UDP;
                if rng.random_bool(0.1) {
                    segment = rng.random_range(1..1500);
                }
                (ip.udp(ports, rng.random_bool(0.7), &payload), "UDP")
            }
            56..74 => {
                ip.protocol = if v4 { craft::ICMP } else { craft::ICMPV6 };
                (ip.icmp(if v4 { 8 } else { 128 }, 0, [0, 1, 0, 1], &payload), "echo")
            }
            74..82 => {
                ip.protocol = if v4 { craft::ICMP } else { craft::ICMPV6 };
                let kind = *[0, 3, 4, 5, 11, 12, 1, 2, 128, 129, 133, 134, 137, 143].choose(rng).expect("some");
                (ip.icmp(kind, rng.random_range(0..3), [0; 4], &payload), "ICMP")
            }
            82..90 => {
                let body = fragment(rng, &mut ip, ports, &payload);
                (body, "fragment")
            }
            90..93 if !v4 => {
                ip.protocol = 0;
                let mut body = vec![craft::ICMPV6, 0, 5, 2, 0, 0, 0, 0];
                body.extend(ip.icmp(143, 0, [0, 0, 0, 0], &payload));
                (body, "hop-by-hop")
            }
            _ => {
                ip.protocol = *[craft::GRE, 50, 132, 1, 58, craft::FRAGMENT, rng.random()].choose(rng).expect("some");
                (payload, "other protocol")
            }
        };
        let mut packet = ip.packet(&transport);
        misstate_length(rng, &mut packet, v4);
        (packet, segment, what)
    }

    fn arp(&mut self, ifindex: u32, port: &Port) -> Case {
        let sender = match self.rng.random_range(0..10) {
            0 => Address::UNSPECIFIED_V4,
            _ => self.source(port, true),
        };
        let target = if self.rng.random_bool(0.1) { sender } else { self.destination(port, true) };
        let sender_mac = if self.rng.random_bool(0.95) { port.mac } else { [6, 6, 0, 0, 0, 9] };
        let operation = *[1, 1, 1, 1, 2, 2, 0, 3].choose(self.rng).expect("some");
        let mac = if self.rng.random_bool(0.8) { BROADCAST } else { self.toward(port.vsid, &target) };
        let source_mac = self.source_mac(port);
        let target_mac = if self.rng.random() { [0; 6] } else { mac };
        let mut message = craft::arp(operation, (sender_mac, sender), (target_mac, target));
        if self.rng.random() {
            message.resize(46, 0);
        }
        let frame = self.tagged(craft::ethernet(mac, source_mac, craft::ARP, &message));
        Case::new(Role::Port, frame, ifindex, "ARP")
    }

    fn neighbor(&mut self, ifindex: u32, port: &Port) -> Case {
        let target = self.destination(port, false);
        let kind = *[135, 135, 135, 135, 136, 136, 133, 134, 137].choose(self.rng).expect("some");
        let probing = kind == 135 && self.rng.random_bool(0.1);
        let source = if probing { Address::UNSPECIFIED_V6 } else { self.source(port, false) };
        let target = if kind == 136 && self.rng.random_bool(0.8) { source } else { target };
        let destination = match self.rng.random_range(0..4) {
            0 => target,
            1 if kind != 135 => Address::new([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            _ => craft::solicited_node(&target),
        };
        let mut ip = Ip::new(source, destination, craft::ICMPV6);
        ip.ttl = if self.rng.random_bool(0.95) { 255 } else { 64 };
        let mut body = Vec::from(target.octets());
        let named = if self.rng.random_bool(0.9) { port.mac } else { [6, 6, 0, 0, 0, 9] };
        if !probing && self.rng.random_bool(0.8) {
            body.extend([if kind == 136 { 2 } else { 1 }, 1]);
            body.extend(named);
        }
        if self.rng.random_bool(0.05) {
            body.truncate(self.rng.random_range(0..24));
        }
        let message = ip.icmp(kind, 0, [0; 4], &body);
        let mac = if destination == target { self.toward(port.vsid, &target) } else { craft::group_mac(&destination) };
        let source_mac = self.source_mac(port);
        let frame = self.tagged(craft::ethernet(mac, source_mac, craft::IPV6, &ip.packet(&message)));
        Case::new(Role::Port, frame, ifindex, "ND")
    }

    /// Neither IP nor ARP.
    fn other(&mut self, ifindex: u32, port: &Port) -> Case {
        let stations = self.tables.stations.iter().filter(|(key, _)| key.vsid == port.vsid);
        let plain = |flags: RecordFlags| flags.has(RecordFlags::NAT) || flags.has(RecordFlags::BARE);
        let bare = stations.clone().filter(|(_, record)| plain(record.flags) && record.ifindex == 0);
        let bare = bare.map(|(key, _)| key.mac).choose(self.rng).filter(|_| self.rng.random_bool(0.9));
        let mac = bare.or_else(|| stations.map(|(key, _)| key.mac).choose(self.rng));
        let mac = if self.rng.random_bool(0.7) { mac.unwrap_or(self.gateway_mac) } else { BROADCAST };
        let ethertype = *[0x88b5, 0x88cc, 0x0026, 0x8847].choose(self.rng).expect("some");
        let limits: Vec<u32> = self.tables.peers.values().map(|peer| peer.mtu).collect();
        let payload = payload(self.rng, &limits);
        let source_mac = self.source_mac(port);
        Case::new(Role::Port, craft::ethernet(mac, source_mac, ethertype, &payload), ifindex, "neither IP nor ARP")
    }

    /// What a client sends before it has an address.
    fn without_address(&mut self, ifindex: u32, port: &Port) -> Case {
        if self.rng.random() {
            let mut ip = Ip::new(Address::UNSPECIFIED_V4, Address::v4([255; 4]), craft::UDP);
            ip.ttl = 128;
            let datagram = ip.udp((68, if self.rng.random_bool(0.9) { 67 } else { 68 }), true, &[1; 300]);
            let frame = craft::ethernet(BROADCAST, port.mac, craft::IPV4, &ip.packet(&datagram));
            return Case::new(Role::Port, frame, ifindex, "DHCP");
        }
        let all_routers = Address::new([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        let mut ip = Ip::new(Address::UNSPECIFIED_V6, all_routers, craft::ICMPV6);
        ip.ttl = 255;
        let message = ip.icmp(133, 0, [0; 4], &[]);
        let frame = craft::ethernet(craft::group_mac(&all_routers), port.mac, craft::IPV6, &ip.packet(&message));
        Case::new(Role::Port, frame, ifindex, "router solicitation")
    }
}

/// `0.0.0.0` or `::`.
pub fn unspecified(v4: bool) -> Address {
    if v4 { Address::UNSPECIFIED_V4 } else { Address::UNSPECIFIED_V6 }
}

impl Ip {
    /// Whether the destination is a group.
    fn to_group(self) -> bool {
        if self.destination.is_v4() { self.destination.last4()[0] >= 224 } else { self.destination.octets()[0] == 0xff }
    }
}

/// What follows the IP header of a fragment of a datagram.
fn fragment(rng: &mut ChaCha8Rng, ip: &mut Ip, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let more = rng.random_bool(0.5);
    let offset: u16 = if more && rng.random() { 0 } else { rng.random_range(1..0x2000) };
    ip.fragment = offset | if more { 0x2000 } else { 0 };
    let mut body = Vec::new();
    if ip.v4() {
        ip.protocol = *[craft::TCP, craft::UDP, craft::ICMP].choose(rng).expect("some");
    } else {
        ip.protocol = craft::FRAGMENT;
        let [high, low] = ((offset << 3) | u16::from(more)).to_be_bytes();
        body.extend([craft::UDP, 0, high, low, 0, 0, 0, 1]);
    }
    body.extend(ip.udp(ports, true, payload));
    body
}

/// Makes the length in an IP header wrong now and then.
fn misstate_length(rng: &mut ChaCha8Rng, packet: &mut [u8], v4: bool) {
    let length = match rng.random_range(0..60) {
        0 => 0,
        1 => rng.random::<u16>() & 0x7ff,
        _ => return,
    };
    let at = if v4 { 2 } else { 4 };
    packet[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

/// Some bytes: few, many, or about as many as fit.
fn payload(rng: &mut ChaCha8Rng, limits: &[u32]) -> Vec<u8> {
    let about = limits.choose(rng).copied().unwrap_or(1500).min(2000) as usize;
    let length = match rng.random_range(0..100) {
        0..65 => rng.random_range(0..70),
        65..78 => rng.random_range(0..1300),
        78..92 => about.saturating_sub(*[42, 62].choose(rng).expect("two") + rng.random_range(0..64)),
        _ => rng.random_range(1300..2700),
    };
    let first: u8 = rng.random();
    (0..length).map(|i| first.wrapping_add(i as u8)).collect()
}

/// TCP options: a maximum segment size somewhere, padding, others, nonsense.
fn options(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut options = Vec::new();
    for _ in 0..rng.random_range(0..5) {
        match rng.random_range(0..12) {
            0..5 => {
                let size: u16 = *[1460, 1440, 8960, 536, 65495, 0, rng.random()].choose(rng).expect("some");
                options.extend([2, 4]);
                options.extend(size.to_be_bytes());
            }
            5..8 => options.push(1),
            8 => options.extend([4, 2]),
            9 => options.extend([8, 10, 1, 2, 3, 4, 5, 6, 7, 8]),
            10 => options.extend([3, 3, 7]),
            _ => options.extend([rng.random(), rng.random_range(0..6)]),
        }
    }
    options.truncate(40);
    options
}
