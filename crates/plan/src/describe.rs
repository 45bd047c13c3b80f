//! Changes of the tables as sentences for people: what drifted, what an apply did.

use std::fmt;

use pipeline::moves::{Move, MoveFlags};
use pipeline::{
    Address, Host, HostFlags, Peer, PeerFlags, PeerKey, Plain, Port, PortFlags, Provider, Record, RecordFlags,
    RecordKey, Replica, ReplicaKey, Route, RouteFlags, RouteKey, StationKey, Subnet, SubnetFlags, segment,
};

use crate::{Changes, TableChanges};

/// A key or a value of a table as people read it.
trait Readable {
    fn readable(&self) -> String;
}

impl Changes {
    /// One line for each entry that changes, table by table.
    pub fn describe(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match self.host {
            Some(Some(host)) => lines.push(format!("set host: {}", host.readable())),
            Some(None) => lines.push("delete host".to_owned()),
            None => {}
        }
        describe_table(&mut lines, "port", &self.ports);
        describe_table(&mut lines, "record", &self.records);
        describe_table(&mut lines, "station", &self.stations);
        describe_table(&mut lines, "subnet", &self.subnets);
        describe_table(&mut lines, "route", &self.routes);
        describe_table(&mut lines, "peer", &self.peers);
        describe_table(&mut lines, "provider", &self.providers);
        describe_table(&mut lines, "replica", &self.replicas);
        describe_table(&mut lines, "plain", &self.plain);
        describe_table(&mut lines, "move", &self.moves);
        lines
    }
}

fn describe_table<K: Ord + Readable, V: Readable>(lines: &mut Vec<String>, table: &str, changes: &TableChanges<K, V>) {
    lines.extend(changes.deletions.iter().map(|key| format!("delete {table} {}", key.readable())));
    lines.extend(
        changes.upserts.iter().map(|(key, value)| format!("set {table} {}: {}", key.readable(), value.readable())),
    );
}

/// Six bytes as Hyper-V writes a MAC address. Tables read back from the kernel may hold any bytes.
struct Mac([u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}-{b:02X}-{c:02X}-{d:02X}-{e:02X}-{g:02X}")
    }
}

/// The words of the bits that are set, each with a blank before it.
fn words(flags: impl IntoIterator<Item = (bool, &'static str)>) -> String {
    flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| format!(" {word}")).collect()
}

impl Readable for Host {
    fn readable(&self) -> String {
        let flags = words([
            (self.flags.has(HostFlags::PLAIN), "plain"),
            (self.flags.has(HostFlags::PHYSICAL), "physical"),
            (self.flags.has(HostFlags::VXLAN), "VXLAN"),
            (self.flags.has(HostFlags::GENEVE), "Geneve"),
            (self.flags.has(HostFlags::EXTERNAL_ROUTER), "external router"),
        ]);
        let Self { flood_rate, flood_burst, punt_rate, punt_burst, .. } = self;
        format!(
            "gateway {}, flood {flood_rate}/s burst {flood_burst}, punt {punt_rate}/s burst {punt_burst}{flags}",
            Mac(self.gateway_mac)
        )
    }
}

/// An interface index, a VSID, or a physical network's number.
impl Readable for u32 {
    fn readable(&self) -> String {
        network(*self)
    }
}

/// A VSID; of a physical network `#UPLINK.VLAN`, the uplink being an interface index, and without VLAN if it is untagged.
fn network(number: u32) -> String {
    match (segment::is_physical(number), segment::vlan(number)) {
        (false, _) => number.to_string(),
        (true, 0) => format!("#{}", segment::uplink(number)),
        (true, vlan) => format!("#{}.{vlan}", segment::uplink(number)),
    }
}

impl Readable for Address {
    fn readable(&self) -> String {
        self.to_string()
    }
}

impl Readable for Port {
    fn readable(&self) -> String {
        let flags = words([
            (self.flags.has(PortFlags::PEER), "peer"),
            (self.flags.has(PortFlags::LEARN), "learn"),
            (self.flags.has(PortFlags::FORWARDER), "forwarder"),
            (self.flags.has(PortFlags::DHCP), "dhcp"),
            (self.flags.has(PortFlags::DHCP_V6), "dhcpv6"),
        ]);
        let Self { vsid, domain, slot, mtu, .. } = self;
        let mac = Mac(self.mac);
        if segment::is_physical(*vsid) {
            return format!("network {} MTU {mtu} slot {slot} MAC {mac}{flags}", network(*vsid));
        }
        format!("VSID {vsid} domain {domain:08x} slot {slot} MAC {mac}{flags}")
    }
}

impl Readable for RecordKey {
    fn readable(&self) -> String {
        format!("{}/{}", network(self.vsid), self.address)
    }
}

impl Readable for StationKey {
    fn readable(&self) -> String {
        format!("{}/{}", network(self.vsid), Mac(self.mac))
    }
}

impl Readable for Record {
    fn readable(&self) -> String {
        let flags = words([
            (self.flags.has(RecordFlags::LOCAL), "local"),
            (self.flags.has(RecordFlags::GATEWAY), "gateway"),
            (self.flags.has(RecordFlags::FORWARDER), "forwarder"),
            (self.flags.has(RecordFlags::WILDCARD), "wildcard"),
            (self.flags.has(RecordFlags::L2_ONLY), "l2-only"),
            (self.flags.has(RecordFlags::NAT), "nat"),
            (self.flags.has(RecordFlags::BARE), "bare"),
            (self.flags.has(RecordFlags::DYNAMIC), "dynamic"),
            (self.flags.has(RecordFlags::MOVES), "moves"),
        ]);
        format!("MAC {} at {} interface {}{flags}", Mac(self.mac), self.provider, self.ifindex)
    }
}

impl Readable for Move {
    fn readable(&self) -> String {
        let direction = if self.flags.has(MoveFlags::FROM) { "from" } else { "to" };
        format!("{direction} {} interface {}", self.there.provider, self.there.ifindex)
    }
}

impl Readable for Subnet {
    fn readable(&self) -> String {
        let flags = words([
            (self.flags.has(SubnetFlags::LEARN), "learn"),
            (self.flags.has(SubnetFlags::VXLAN), "VXLAN"),
            (self.flags.has(SubnetFlags::GENEVE), "Geneve"),
        ]);
        format!("domain {:08x} replicas {} local {}{flags}", self.domain, self.replicas, self.local_replicas)
    }
}

impl Readable for RouteKey {
    fn readable(&self) -> String {
        let bits = self.prefix_len.saturating_sub(Self::DOMAIN_BITS);
        let bits = if self.address.is_v4() && bits >= 96 { bits - 96 } else { bits };
        format!("{:08x} {}/{bits}", u32::from_be_bytes(self.domain), self.address)
    }
}

impl Readable for Route {
    fn readable(&self) -> String {
        if self.flags.has(RouteFlags::ON_LINK) {
            format!("on-link in VSID {}", self.vsid)
        } else {
            format!("next hop {} in VSID {}", self.next_hop, self.vsid)
        }
    }
}

impl Readable for PeerKey {
    fn readable(&self) -> String {
        if self.path == 0 { self.provider.to_string() } else { format!("{}/{}", self.provider, self.path) }
    }
}

impl Readable for Peer {
    fn readable(&self) -> String {
        let next_hop = match self.flags.has(PeerFlags::NEXT_HOP) {
            true => format!("next hop {}", self.next_hop),
            false => "next hop by the kernel".to_owned(),
        };
        let paths = if self.paths > 1 { format!(" one of {} ways", self.paths) } else { String::new() };
        format!("from {} interface {} MTU {} {next_hop}{paths}", self.local, self.uplink, self.mtu)
    }
}

impl Readable for Provider {
    fn readable(&self) -> String {
        format!("interface {}", self.uplink)
    }
}

impl Readable for ReplicaKey {
    fn readable(&self) -> String {
        format!("{}/{}", network(self.vsid), self.index)
    }
}

impl Readable for Replica {
    fn readable(&self) -> String {
        if self.ifindex != 0 { format!("interface {}", self.ifindex) } else { format!("host {}", self.provider) }
    }
}

impl Readable for Plain {
    fn readable(&self) -> String {
        format!("{}/{}", self.vsid, self.customer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostTables, diff};

    #[test]
    fn each_change_is_one_line_with_key_and_value() {
        let old = HostTables {
            ports: [(7, Port::default())].into(),
            providers: [(Address::v4([192, 168, 4, 11]), Provider { uplink: 2 })].into(),
            ..HostTables::default()
        };
        let mut new = HostTables {
            host: Some(Host {
                gateway_mac: [2, 0x4e, 0x56, 0, 0, 1],
                flood_rate: 1000,
                flood_burst: 200,
                ..Host::default()
            }),
            providers: old.providers.clone(),
            ..HostTables::default()
        };
        new.records.insert(
            RecordKey { vsid: 5001, address: Address::v4([10, 0, 0, 7]) },
            Record {
                mac: [6, 6, 0, 0, 0, 7],
                flags: RecordFlags::FORWARDER.with(RecordFlags::DYNAMIC),
                ifindex: 0,
                groups: 0,
                provider: Address::v4([192, 168, 4, 22]),
            },
        );
        let on_link = Route { vsid: 5001, flags: RouteFlags::ON_LINK, next_hop: Address::UNSPECIFIED_V4 };
        let key = RouteKey { prefix_len: 32 + 96 + 24, domain: [0, 0, 0, 9], address: Address::v4([10, 0, 0, 0]) };
        new.routes.insert(key, on_link);
        assert_eq!(
            diff(&old, &new).describe(),
            [
                "set host: gateway 02-4E-56-00-00-01, flood 1000/s burst 200, punt 0/s burst 0",
                "delete port 7",
                "set record 5001/10.0.0.7: MAC 06-06-00-00-00-07 at 192.168.4.22 interface 0 forwarder dynamic",
                "set route 00000009 10.0.0.0/24: on-link in VSID 5001",
            ]
        );
        assert_eq!(diff(&new, &new).describe(), Vec::<String>::new());
    }
}
