//! Frames as they come from the underlay: encapsulated by the project's own code, by somebody else, or not at all.

use datapath::Role;
use pipeline::encapsulation;
use pipeline::headers::ETHERNET_LEN;
use pipeline::{Address, Encapsulation, Peer, PeerKey, Record, RecordFlags, RecordKey, StationKey, Tunnel};
use rand::Rng as _;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};

use crate::craft::{self, BROADCAST, Ip, Mac};
use crate::port_frames::{Case, Frames, unspecified};

impl Frames<'_> {
    /// A frame from the underlay.
    pub fn uplink_frame(&mut self) -> Case {
        match self.rng.random_range(0..100) {
            0..87 => self.encapsulated(),
            87..97 => self.plain(),
            _ => self.foreign(),
        }
    }

    /// A sender: the key of its record, and the record; from another host if there is one.
    fn sender(&mut self) -> Option<(RecordKey, Record)> {
        let records = || self.tables.records.iter().map(|(key, record)| (*key, *record));
        let remote = records().filter(|(_, record)| self.tables.peers.contains_key(&PeerKey::first(record.provider)));
        let remote = remote.choose(self.rng);
        if self.rng.random_bool(0.95) && remote.is_some() { remote } else { records().choose(self.rng) }
    }

    /// A receiver in a subnet: address and MAC address; on this host if there is one.
    fn receiver(&mut self, vsid: u32, v4: bool) -> Option<(Address, Mac)> {
        let records = self.tables.records.iter().filter(|(key, _)| key.vsid == vsid && key.address.is_v4() == v4);
        let local = records.clone().filter(|(_, record)| record.ifindex != 0).choose(self.rng);
        let any = records.choose(self.rng);
        let station = self.tables.stations.iter().filter(|(key, _)| key.vsid == vsid);
        let local_station = station.filter(|(_, record)| record.ifindex != 0).map(|(key, _)| key.mac).choose(self.rng);
        let moving = self.tables.records.iter().filter(|(key, record)| {
            key.vsid == vsid && key.address.is_v4() == v4 && record.flags.has(RecordFlags::MOVES)
        });
        if let Some((key, record)) = moving.choose(self.rng)
            && self.rng.random_bool(0.3)
        {
            return Some((key.address, record.mac));
        }
        match (local, any, local_station) {
            (Some((key, record)), ..) if self.rng.random_bool(0.85) => Some((key.address, record.mac)),
            (_, _, Some(mac)) if self.rng.random_bool(0.8) => Some((self.unknown(v4), mac)),
            (_, Some((key, record)), _) => Some((key.address, record.mac)),
            _ => None,
        }
    }

    /// What the inner frame may be, its VSID, and what it tries.
    fn inner(&mut self) -> Option<(Vec<u8>, u32, Address, u32, &'static str)> {
        let (key, record) = self.sender()?;
        let v4 = key.address.is_v4();
        let routed = self.rng.random_bool(0.2);
        let domain = self.tables.subnets.get(&key.vsid).map_or(0, |subnet| subnet.domain);
        let vsid = match self.rng.random_range(0..20) {
            0 => self.rng.random_range(0..1 << 24),
            1 => self.tables.subnets.keys().copied().choose(self.rng)?,
            _ if routed => {
                let same = self.tables.subnets.iter().filter(|(_, subnet)| subnet.domain == domain);
                same.map(|(vsid, _)| *vsid).choose(self.rng).unwrap_or(key.vsid)
            }
            _ => key.vsid,
        };
        let (destination, mac) = self.receiver(vsid, v4).unwrap_or((unspecified(v4), BROADCAST));
        let mac = if self.rng.random_bool(0.08) { BROADCAST } else { mac };
        let source_mac = match self.rng.random_range(0..30) {
            0 => [6, 6, 0, 0, 9, 9],
            1 => self.tables.stations.keys().map(|key| key.mac).choose(self.rng)?,
            _ if routed => self.gateway_mac,
            _ => record.mac,
        };
        let source = match self.rng.random_range(0..30) {
            0 => self.unknown(v4),
            1 => pipeline::headers::neighbor::link_local(&record.mac),
            2 => unspecified(v4),
            3 => self.any_address(vsid, v4),
            _ if key.address == unspecified(v4) => self.unknown(v4),
            _ => key.address,
        };
        let destination = if source.is_v4() == destination.is_v4() { destination } else { source };
        let (payload, ethertype, segment, what) = match self.rng.random_range(0..20) {
            0..2 if v4 => {
                let sender_mac = if self.rng.random_bool(0.9) { record.mac } else { BROADCAST };
                let sender = if self.rng.random_bool(0.1) { unspecified(true) } else { source };
                let operation = self.rng.random_range(1..=2);
                (craft::arp(operation, (sender_mac, sender), ([0; 6], destination)), craft::ARP, 0, "inner ARP")
            }
            2 => (vec![7; self.rng.random_range(0..80)], 0x88b5, 0, "inner of another protocol"),
            3..6 if !source.is_v4() => {
                let mut ip = Ip::new(source, destination, craft::ICMPV6);
                ip.ttl = 255;
                let kind = *[135, 136].choose(self.rng).expect("two");
                let target = if self.rng.random() { source } else { destination };
                (ip.packet(&ip.icmp(kind, 0, [0; 4], &target.octets())), craft::IPV6, 0, "inner ND")
            }
            _ => {
                let (packet, segment, what) = self.packet(source, destination);
                (packet, if source.is_v4() { craft::IPV4 } else { craft::IPV6 }, segment, what)
            }
        };
        let frame = self.tagged(craft::ethernet(mac, source_mac, ethertype, &payload));
        let other = self.tables.moves.get(&StationKey { vsid: key.vsid, mac: record.mac, reserved: 0 });
        let provider = match other {
            Some(other) if self.rng.random_bool(0.4) => other.there.provider,
            _ => record.provider,
        };
        Some((frame, vsid, provider, segment, what))
    }

    /// An encapsulated frame, right or wrong.
    fn encapsulated(&mut self) -> Case {
        let uplink = self.devices.uplink;
        let Some((inner, vsid, provider, segment, what)) = self.inner() else { return self.foreign() };
        let from = match self.rng.random_range(0..20) {
            0 => self.tables.peers.keys().map(|key| key.provider).choose(self.rng).unwrap_or(provider),
            1 => self.unknown(provider.is_v4()),
            _ => provider,
        };
        let ours = self.tables.providers.keys().filter(|own| own.is_v4() == from.is_v4()).copied().choose(self.rng);
        let to = match self.rng.random_range(0..40) {
            0 => self.unknown(from.is_v4()),
            _ => ours.unwrap_or_else(|| self.unknown(from.is_v4())),
        };
        let relayed = self.rng.random_bool(0.04);
        let to = if relayed && self.rng.random_bool(0.7) {
            let peers = self.tables.peers.keys().map(|key| key.provider);
            peers.filter(|peer| peer.is_v4() == from.is_v4()).choose(self.rng).unwrap_or(to)
        } else {
            to
        };
        // Mostly in what the subnet has, but any will do.
        let encapsulation = match self.tables.subnets.get(&vsid) {
            Some(subnet) if self.rng.random_bool(0.8) => subnet.encapsulation(),
            _ => *Encapsulation::ALL.choose(self.rng).expect("three"),
        };
        let mut frame = self.encapsulate(encapsulation, &inner, vsid, from, to);
        let what = match self.rng.random_range(0..100) {
            0..10 => self.spoil(&mut frame, encapsulation, from.is_v4()),
            10..20 if encapsulation == Encapsulation::Geneve => self.with_options(&mut frame, from.is_v4()),
            _ => what,
        };
        let mut case = Case::new(Role::Uplink, frame, uplink, what);
        case.meta.relayed = relayed;
        case.meta.segment = segment;
        case
    }

    /// By the project's own encapsulation, as the host with the provider address `from` would.
    fn encapsulate(
        &mut self,
        encapsulation: Encapsulation,
        inner: &[u8],
        vsid: u32,
        from: Address,
        to: Address,
    ) -> Vec<u8> {
        let peer = Peer { local: from, ..Peer::default() };
        let traffic_class = self.rng.random_range(0..4);
        let tunnel = Tunnel { peer: &peer, remote: &to, encapsulation, vsid, hash: self.rng.random(), traffic_class };
        let mut head = [0; ETHERNET_LEN];
        let known = inner.len().min(ETHERNET_LEN);
        head[..known].copy_from_slice(&inner[..known]);
        let head = std::array::from_fn(|i| u16::from_ne_bytes([head[2 * i], head[2 * i + 1]]));
        let words = match (encapsulation.is_udp(), from.is_v4()) {
            (false, true) => encapsulation::nvgre_v4(&tunnel, &head, inner.len()).to_vec(),
            (false, false) => encapsulation::nvgre_v6(&tunnel, &head, inner.len()).to_vec(),
            (true, true) => encapsulation::udp_v4(&tunnel, &head, inner.len()).to_vec(),
            (true, false) => encapsulation::udp_v6(&tunnel, &head, inner.len()).to_vec(),
        };
        let mut frame: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        frame.extend(inner.get(ETHERNET_LEN..).unwrap_or_default());
        frame
    }

    /// Options of Geneve behind its header, some of them critical, some too long.
    fn with_options(&mut self, frame: &mut Vec<u8>, v4: bool) -> &'static str {
        let at = encapsulation::room(Encapsulation::Geneve, v4) - 8;
        let words = self.rng.random_range(1..=40);
        frame[at] = words;
        let options: Vec<u8> = (0..4 * words).map(|_| self.rng.random()).collect();
        frame.splice(at + 8..at + 8, options);
        if self.rng.random_bool(0.2) {
            frame[at + 1] |= if self.rng.random() { 0x40 } else { 0x80 };
        }
        let more = 4 * u16::from(words);
        let (length_at, udp) = if v4 { (16, 34 + 4) } else { (18, 54 + 4) };
        for at in [length_at, udp] {
            let length = u16::from_be_bytes([frame[at], frame[at + 1]]) + more;
            frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
        }
        if v4 {
            frame[24..26].fill(0);
            let sum = craft::checksum(&[&frame[14..34]]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        "Geneve with options"
    }

    /// Makes outer headers wrong.
    fn spoil(&mut self, frame: &mut Vec<u8>, encapsulation: Encapsulation, v4: bool) -> &'static str {
        // All three have 8 bytes before the inner frame, the protocol in the second word of them or nothing.
        let header = encapsulation::room(encapsulation, v4) - 8;
        match self.rng.random_range(0..6) {
            0 => {
                frame[header] ^= 1 << self.rng.random_range(0..8);
                "wrong flags of the encapsulation"
            }
            1 => {
                frame[header + 1] ^= 1 << self.rng.random_range(0..8);
                "wrong version of the encapsulation"
            }
            2 => {
                frame[header + 2..header + 4].copy_from_slice(&[0x08, 0x00]);
                "wrong protocol of the encapsulation"
            }
            3 if v4 => {
                frame[20..22].copy_from_slice(&[0x20, self.rng.random_range(0..2)]);
                "outer fragment"
            }
            3 => {
                let frame_protocol = if self.rng.random_bool(0.9) { frame[20] } else { craft::UDP };
                frame[20] = craft::FRAGMENT;
                frame.splice(54..54, [frame_protocol, 0, 0, self.rng.random_range(0..2) << 3 | 1, 0, 0, 0, 7]);
                "outer fragment"
            }
            4 if v4 => {
                frame[14] = 0x46;
                frame.splice(34..34, [1, 1, 1, 1]);
                "outer options"
            }
            _ => {
                let length_at = if v4 { 16 } else { 18 };
                frame[length_at] = self.rng.random();
                "wrong outer length"
            }
        }
    }

    /// A packet that may stand for one of a VM's: rules Nat and None.
    fn plain(&mut self) -> Case {
        let uplink = self.devices.uplink;
        let local = self.tables.plain.iter().filter(|(_, plain)| {
            let key = RecordKey { vsid: plain.vsid, address: plain.customer };
            self.tables.records.get(&key).is_some_and(|record| record.ifindex != 0)
        });
        let local = local.map(|(address, plain)| (*address, *plain)).choose(self.rng);
        let any = self.tables.plain.iter().map(|(address, plain)| (*address, *plain)).choose(self.rng);
        let Some((to, plain)) = (if self.rng.random_bool(0.9) { local.or(any) } else { any }) else {
            return self.foreign();
        };
        let others = self.tables.plain.iter().filter(|(address, _)| address.is_v4() == to.is_v4());
        let same = others.clone().filter(|(_, other)| other.vsid == plain.vsid).map(|(a, _)| *a).choose(self.rng);
        let other = others.map(|(address, _)| *address).choose(self.rng);
        let from = match self.rng.random_range(0..10) {
            0 => Some(self.unknown(to.is_v4())),
            1 => other,
            _ => same,
        };
        let from = from.unwrap_or_else(|| self.unknown(to.is_v4()));
        let (packet, segment, _) = self.packet(from, to);
        let ethertype = if to.is_v4() { craft::IPV4 } else { craft::IPV6 };
        let frame = craft::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], ethertype, &packet);
        let mut case = Case::new(Role::Uplink, self.tagged(frame), uplink, "not encapsulated");
        case.meta.segment = segment;
        case
    }

    /// The underlay's own traffic.
    fn foreign(&mut self) -> Case {
        let uplink = self.devices.uplink;
        let v4 = self.rng.random();
        let own = self.tables.providers.keys().filter(|own| own.is_v4() == v4).copied().choose(self.rng);
        let (from, to) = (self.unknown(v4), own.unwrap_or_else(|| self.unknown(v4)));
        let (payload, ethertype) = match self.rng.random_range(0..4) {
            0 => (craft::arp(1, ([2, 0, 0, 0, 0, 2], from), ([0; 6], to)), craft::ARP),
            _ => (self.packet(from, to).0, if v4 { craft::IPV4 } else { craft::IPV6 }),
        };
        let frame = craft::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], ethertype, &payload);
        let mut case = Case::new(Role::Uplink, self.tagged(frame), uplink, "the underlay's own");
        case.meta.relayed = self.rng.random_bool(0.1);
        case
    }
}
