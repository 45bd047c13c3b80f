//! Frames of physical networks: as they come in by the uplink or leave by it, and what only hosts should send there.

use datapath::Role;
use pipeline::{Address, Port, segment};
use rand::Rng as _;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};

use crate::craft::{self, BROADCAST, Ip, Mac};
use crate::port_frames::{Case, Frames};
use crate::world::UPLINK_MAC;

impl Frames<'_> {
    /// A frame that somebody in a physical network sent, or this host.
    pub fn wire_frame(&mut self) -> Case {
        let uplink = self.devices.uplink;
        let stations = self.tables.stations.keys().filter(|key| segment::is_physical(key.vsid));
        let (number, mac) = match stations.choose(self.rng) {
            Some(key) => (key.vsid, key.mac),
            None => (segment::number(uplink, 42), [6, 6, 9, 0, 0, 1]),
        };
        let mac: Mac = match self.rng.random_range(0..20) {
            0..4 => BROADCAST,
            4 => [0x33, 0x33, 0, 0, 0, 1],
            5 => UPLINK_MAC,
            6 => [6, 6, 9, 0, 0, self.rng.random_range(0..9)],
            _ => mac,
        };
        let v4 = self.rng.random();
        let (from, to) = (self.unknown(v4), self.any_address(number, v4));
        let (payload, ethertype, segment_size) = match self.rng.random_range(0..8) {
            0..2 => (craft::arp(1, ([2, 0, 0, 0, 0, 7], self.unknown(true)), ([0; 6], to)), craft::ARP, 0),
            2 => (vec![7; self.rng.random_range(0..80)], 0x88b5, 0),
            _ => {
                let (packet, size, _) = self.packet(from, to);
                (packet, if v4 { craft::IPV4 } else { craft::IPV6 }, size)
            }
        };
        let mut frame = craft::ethernet(mac, [2, 0, 0, 0, 0, 7], ethertype, &payload);
        let vlan = if self.rng.random_bool(0.85) { segment::vlan(number) } else { self.rng.random_range(0..50) };
        // The priority is nobody's concern, and a tag may say nothing else.
        let priority = if self.rng.random() { 0xe0 } else { 0 };
        if vlan != 0 || self.rng.random_bool(0.1) {
            let [high, low] = vlan.to_be_bytes();
            frame.splice(12..12, [0x81, 0, high | priority, low]);
        }
        if self.rng.random_bool(0.04) {
            let tag = *[[0x81, 0], [0x88, 0xa8]].choose(self.rng).expect("two");
            frame.splice(12..12, [tag[0], tag[1], 0, 42]);
        }
        let role = if self.rng.random_bool(0.7) { Role::Uplink } else { Role::Host };
        let what = if role == Role::Uplink { "from the wire" } else { "from the host" };
        let mut case = Case::new(role, frame, uplink, what);
        case.meta.segment = segment_size;
        case.meta.decided = self.rng.random_bool(0.05);
        case
    }

    /// An encapsulated frame, or nearly one, of a VM on the physical network.
    pub fn like_a_host(&mut self, ifindex: u32, port: &Port) -> Case {
        let v4 = self.rng.random();
        let source = self.source(port, v4);
        let destination =
            self.tables.peers.keys().map(|key| key.provider).filter(|peer| peer.is_v4() == v4).choose(self.rng);
        let destination: Address = destination.unwrap_or_else(|| self.unknown(v4));
        let mut header = vec![0x20, 0, 0x65, 0x58, 0, 0x13, 0x89, 0];
        if self.rng.random_bool(0.3) {
            header[self.rng.random_range(0..4)] ^= 1;
        }
        header.extend([0xab; 40]);
        let packet = Ip::new(source, destination, craft::GRE).packet(&header);
        let ethertype = if v4 { craft::IPV4 } else { craft::IPV6 };
        let frame = craft::ethernet([2, 0, 0, 0, 0, 9], port.mac, ethertype, &packet);
        Case::new(Role::Port, frame, ifindex, "like a host's")
    }
}
