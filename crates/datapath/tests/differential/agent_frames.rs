//! Frames that the host's agent may have to answer: DHCP, DHCPv6 and router solicitations, right ones and wrong ones.

use datapath::Role;
use pipeline::headers::neighbor;
use pipeline::{Address, Port, RecordFlags};
use rand::Rng as _;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};

use crate::craft::{self, BROADCAST, Ip};
use crate::port_frames::{Case, Frames};

impl Frames<'_> {
    /// A message of a client, or of somebody who plays the server.
    pub fn for_agent(&mut self, ifindex: u32, port: &Port) -> Case {
        match self.rng.random_range(0..10) {
            0..5 => self.dhcp(ifindex, port),
            5..8 => self.dhcp_v6(ifindex, port),
            _ => self.router_solicitation(ifindex, port),
        }
    }

    /// The address of the gateway of the port's subnet, if it has one.
    fn gateway(&mut self, port: &Port, v4: bool) -> Option<Address> {
        let gateways = self.tables.records.iter().filter(|(key, record)| {
            key.vsid == port.vsid && key.address.is_v4() == v4 && record.flags.has(RecordFlags::GATEWAY)
        });
        gateways.map(|(key, _)| key.address).choose(self.rng)
    }

    /// Few bytes, many, or about as many as the agent takes.
    fn body(&mut self) -> Vec<u8> {
        let length = match self.rng.random_range(0..10) {
            0 => self.rng.random_range(1440..1490),
            1 => self.rng.random_range(0..2000),
            _ => self.rng.random_range(200..400),
        };
        vec![self.rng.random(); length]
    }

    fn dhcp(&mut self, ifindex: u32, port: &Port) -> Case {
        let renewing = self.rng.random();
        let source = if renewing { self.source(port, true) } else { Address::UNSPECIFIED_V4 };
        let (destination, mac) = match self.rng.random_range(0..10) {
            0..5 => (Address::v4([255; 4]), BROADCAST),
            5..7 => (pipeline::DHCP_SERVER, self.gateway_mac),
            7..8 => (self.gateway(port, true).unwrap_or(pipeline::DHCP_SERVER), self.gateway_mac),
            8 => (self.any_address(port.vsid, true), self.gateway_mac),
            _ => (self.any_address(port.vsid, true), [6, 6, 0, 0, 0, self.rng.random()]),
        };
        let ports = *[(68, 67), (68, 67), (68, 67), (67, 68), (67, 67), (68, 68)].choose(self.rng).expect("some");
        let mut ip = Ip::new(source, destination, craft::UDP);
        ip.fragment = *[0, 0, 0, 0, 0x2000, 0x00b9].choose(self.rng).expect("some");
        let body = self.body();
        let datagram = ip.udp(ports, self.rng.random(), &body);
        let mut case =
            Case::new(Role::Port, craft::ethernet(mac, port.mac, craft::IPV4, &ip.packet(&datagram)), ifindex, "DHCP");
        if self.rng.random_bool(0.03) {
            case.meta.segment = self.rng.random_range(1..1500);
        }
        case
    }

    /// Some address that an IPv6 client may have before DHCPv6 gives it one.
    fn early_address(&mut self, port: &Port) -> Address {
        match self.rng.random_range(0..10) {
            0..4 => neighbor::link_local(&port.mac),
            4..7 => Address::new([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 9, 8, 7, 6, 5, 4, 3, self.rng.random()]),
            7 => Address::UNSPECIFIED_V6,
            _ => self.source(port, false),
        }
    }

    fn dhcp_v6(&mut self, ifindex: u32, port: &Port) -> Case {
        let all_agents = Address::new([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2]);
        let (destination, mac) = match self.rng.random_range(0..10) {
            0..7 => (all_agents, craft::group_mac(&all_agents)),
            7..9 => (self.gateway(port, false).unwrap_or(all_agents), self.gateway_mac),
            _ => (self.any_address(port.vsid, false), self.gateway_mac),
        };
        let ports = *[(546, 547), (546, 547), (546, 547), (1025, 547), (547, 546)].choose(self.rng).expect("some");
        let mut ip = Ip::new(self.early_address(port), destination, craft::UDP);
        ip.ttl = 1;
        let body = self.body();
        let datagram = ip.udp(ports, true, &body);
        Case::new(Role::Port, craft::ethernet(mac, port.mac, craft::IPV6, &ip.packet(&datagram)), ifindex, "DHCPv6")
    }

    fn router_solicitation(&mut self, ifindex: u32, port: &Port) -> Case {
        let all_routers = Address::new([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        let gateway = self.gateway(port, false).filter(|_| self.rng.random_bool(0.2));
        let (destination, mac) = match gateway {
            Some(gateway) => (gateway, self.gateway_mac),
            None => (all_routers, craft::group_mac(&all_routers)),
        };
        let mut ip = Ip::new(self.early_address(port), destination, craft::ICMPV6);
        ip.ttl = if self.rng.random_bool(0.9) { 255 } else { 64 };
        let [a, b, c, d, e, f] = port.mac;
        let option: &[u8] = if self.rng.random() { &[1, 1, a, b, c, d, e, f] } else { &[] };
        let message = ip.icmp(133, 0, [0; 4], option);
        let frame = craft::ethernet(mac, port.mac, craft::IPV6, &ip.packet(&message));
        Case::new(Role::Port, frame, ifindex, "router solicitation")
    }
}
