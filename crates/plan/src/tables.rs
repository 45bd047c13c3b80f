//! The tables of one host as ordered maps: what [`crate::compile`] writes, what is read back from the kernel, and what
//! a trace looks things up in.

use std::collections::BTreeMap;

use pipeline::flow::{Flow, FlowEntry, FlowKey, FragmentKey, Usage};
use pipeline::meter::{Limit, MeterKey, Size};
use pipeline::moves::Move;
use pipeline::policy::{Direction, Matches, MemberKey, Policy, PrefixKey, Rule, RuleKey, ServiceKey, WordKey};
use pipeline::{
    Address, Fragmented, Host, Peer, PeerKey, Plain, Port, Provider, Record, RecordKey, Replica, ReplicaKey, Route,
    RouteKey, StationKey, Subnet, Tables,
};

/// The content of all tables of one host; each field is one BPF map.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostTables {
    /// What the pipeline must know of the host itself; `None` before it is written.
    pub host: Option<Host>,
    /// Ports by the interface index of their device.
    pub ports: BTreeMap<u32, Port>,
    /// Where a customer address is.
    pub records: BTreeMap<RecordKey, Record>,
    /// Where a MAC address is.
    pub stations: BTreeMap<StationKey, Record>,
    /// The other places of VMs that move.
    pub moves: BTreeMap<StationKey, Move>,
    /// VM subnets by VSID.
    pub subnets: BTreeMap<u32, Subnet>,
    /// Customer routes.
    pub routes: BTreeMap<RouteKey, Route>,
    /// The ways to other hosts.
    pub peers: BTreeMap<PeerKey, Peer>,
    /// This host's provider addresses.
    pub providers: BTreeMap<Address, Provider>,
    /// Where broadcast and multicast frames go.
    pub replicas: BTreeMap<ReplicaKey, Replica>,
    /// What an address on the wire stands for where nothing is encapsulated.
    pub plain: BTreeMap<Address, Plain>,
    /// Policies by number.
    pub policies: BTreeMap<u32, Policy>,
    /// The rules that addresses meet by their prefixes.
    pub prefixes: BTreeMap<PrefixKey, Matches>,
    /// The rules that name security groups of remotes.
    pub members: BTreeMap<MemberKey, Matches>,
    /// The rules that services meet.
    pub services: BTreeMap<ServiceKey, Matches>,
    /// Words of sets of rules, those that are not zero.
    pub words: BTreeMap<WordKey, u64>,
    /// What the rules say.
    pub rules: BTreeMap<RuleKey, Rule>,
}

/// The longest prefix that a [`RouteKey`] can have, in bits.
const LONGEST: u32 = RouteKey::DOMAIN_BITS + 128;

impl HostTables {
    /// The customer route with the longest prefix that matches, and its key.
    ///
    /// As in the kernel's trie, a prefix longer than that of the key asked for does not match.
    pub fn route_entry(&self, key: &RouteKey) -> Option<(&RouteKey, &Route)> {
        let address = u128::from_be_bytes(key.address.octets());
        // The domain is always compared whole: a table holds no route whose prefix ends inside of it.
        (RouteKey::DOMAIN_BITS..=key.prefix_len.min(LONGEST)).rev().find_map(|prefix_len| {
            let host_bits = LONGEST - prefix_len;
            let kept = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            let prefix = Address::new((address & kept).to_be_bytes());
            self.routes.get_key_value(&RouteKey { prefix_len, domain: key.domain, address: prefix })
        })
    }

    /// The rules of the longest prefix that matches, and its key; as [`HostTables::route_entry`].
    pub fn prefix_entry(&self, key: &PrefixKey) -> Option<(&PrefixKey, &Matches)> {
        let address = u128::from_be_bytes(key.address.octets());
        (PrefixKey::SIDE_BITS..=key.prefix_len.min(LONGEST)).rev().find_map(|prefix_len| {
            let kept = u128::MAX.checked_shl(LONGEST - prefix_len).unwrap_or(0);
            let prefix = Address::new((address & kept).to_be_bytes());
            self.prefixes.get_key_value(&PrefixKey { prefix_len, side: key.side, address: prefix })
        })
    }

    /// The rules of the narrowest service that matches, and its key; as [`HostTables::route_entry`].
    pub fn service_entry(&self, key: &ServiceKey) -> Option<(&ServiceKey, &Matches)> {
        let [a, b] = key.port;
        let service = u32::from_be_bytes([0, key.protocol, a, b]);
        let longest = ServiceKey::PROTOCOL_BITS + 16;
        (ServiceKey::SIDE_BITS..=key.prefix_len.min(longest)).rev().find_map(|prefix_len| {
            let kept = u32::MAX.checked_shl(longest - prefix_len).unwrap_or(0);
            let [_, protocol, a, b] = (service & kept).to_be_bytes();
            self.services.get_key_value(&ServiceKey { prefix_len, side: key.side, protocol, port: [a, b], reserved: 0 })
        })
    }
}

impl Tables for HostTables {
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

    /// What is noted beside the tables is not in them.
    fn heard_at(&self, _: &StationKey) -> Option<&Address> {
        None
    }

    fn hear(&self, _: &StationKey, _: &Address) {}

    fn subnet(&self, vsid: u32) -> Option<&Subnet> {
        self.subnets.get(&vsid)
    }

    fn route(&self, key: &RouteKey) -> Option<&Route> {
        self.route_entry(key).map(|(_, route)| route)
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
        self.policies.get(&number)
    }

    fn prefix(&self, key: &PrefixKey) -> Option<&Matches> {
        self.prefix_entry(key).map(|(_, matches)| matches)
    }

    fn member(&self, key: &MemberKey) -> Option<&Matches> {
        self.members.get(key)
    }

    fn service(&self, key: &ServiceKey) -> Option<&Matches> {
        self.service_entry(key).map(|(_, matches)| matches)
    }

    fn word(&self, key: &WordKey) -> Option<&u64> {
        self.words.get(key)
    }

    fn rule(&self, key: &RuleKey) -> Option<&Rule> {
        self.rules.get(key)
    }

    /// These tables have no clock, as they have no meter: see [`HostTables::admit_flood`].
    fn now(&self) -> u64 {
        0
    }

    fn epoch(&self, _index: u32) -> u32 {
        0
    }

    /// None: what these tables decide about is the first packet of its flow, so that a trace gives the same answer each
    /// time, and the one that a change of the tables would give.
    fn flow(&self, _key: &FlowKey) -> Option<&FlowEntry> {
        None
    }

    fn create_flow(&self, _key: &FlowKey, _flow: &Flow) -> bool {
        true
    }
    fn write_flow(&self, _key: &FlowKey, _flow: &Flow) -> bool {
        true
    }

    fn usage(&self, _slot: u32, _opener: Direction) -> Usage {
        Usage::default()
    }

    fn count_flow(&self, _slot: u32, _opener: Direction, _flows: i32, _half_open: i32) {}

    fn fragment(&self, _key: &FragmentKey) -> Option<&Fragmented> {
        None
    }

    fn note_fragment(&self, _key: &FragmentKey, _fragmented: &Fragmented) {}

    /// All that a limit might refuse: these tables have no clock and no meter, as [`HostTables::admit_flood`] says.
    fn admit(&self, _: &MeterKey, _: &Limit, _: Size) -> bool {
        true
    }

    /// Whether the host lets broadcast and multicast frames pass at all.
    ///
    /// These tables have no clock and no meter, so that a trace changes nothing and gives the same answer each time:
    /// each frame is admitted as if the port had been silent before, and none where [`Host::flood_rate`] is 0.
    fn admit_flood(&self, _slot: u32) -> bool {
        self.host.is_some_and(|host| host.flood_rate != 0)
    }

    /// Whether the host's agent takes frames at all; without a meter, as [`HostTables::admit_flood`].
    fn admit_punt(&self, _slot: u32) -> bool {
        self.host.is_some_and(|host| host.punt_rate != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(domain: u32, bits: u32, address: Address) -> RouteKey {
        RouteKey { prefix_len: RouteKey::DOMAIN_BITS + bits, domain: domain.to_be_bytes(), address }
    }

    #[test]
    fn the_longest_prefix_of_the_domain_wins() {
        let mut tables = HostTables::default();
        let routes = [
            (1, 96, [0, 0, 0, 0], 10),
            (1, 96 + 8, [10, 0, 0, 0], 11),
            (1, 96 + 24, [10, 0, 0, 0], 12),
            (1, 96 + 32, [10, 0, 0, 5], 13),
            (2, 96 + 24, [10, 0, 0, 0], 20),
        ];
        for (domain, bits, address, vsid) in routes {
            tables.routes.insert(key(domain, bits, Address::v4(address)), Route { vsid, ..Route::default() });
        }
        tables.routes.insert(key(3, 0, Address::default()), Route { vsid: 30, ..Route::default() });
        let vsid = |domain, address| tables.route(&RouteKey::exact(domain, Address::v4(address))).map(|r| r.vsid);
        assert_eq!(vsid(1, [10, 0, 0, 5]), Some(13));
        assert_eq!(vsid(1, [10, 0, 0, 6]), Some(12));
        assert_eq!(vsid(1, [10, 0, 1, 6]), Some(11));
        assert_eq!(vsid(1, [11, 0, 0, 5]), Some(10));
        assert_eq!(vsid(2, [10, 0, 0, 5]), Some(20));
        assert_eq!(vsid(2, [10, 0, 1, 5]), None);
        assert_eq!(vsid(4, [10, 0, 0, 5]), None);
        // An IPv4 default route does not catch IPv6; a prefix of no bits catches both families.
        assert_eq!(tables.route(&RouteKey::exact(1, Address::new([0x20; 16]))), None);
        assert_eq!(tables.route(&RouteKey::exact(3, Address::new([0x20; 16]))).map(|r| r.vsid), Some(30));
        // As in the kernel, what is asked for limits what is found.
        let asked = key(1, 96 + 24, Address::v4([10, 0, 0, 5]));
        assert_eq!(tables.route(&asked).map(|r| r.vsid), Some(12));
    }

    #[test]
    fn floods_pass_where_the_host_allows_them() {
        let mut tables = HostTables::default();
        assert!(!tables.admit_flood(1));
        tables.host = Some(Host { flood_rate: 1, ..Host::default() });
        assert!(tables.admit_flood(1) && !tables.admit_punt(1));
        tables.host = Some(Host { punt_rate: 1, ..Host::default() });
        assert!(!tables.admit_flood(1) && tables.admit_punt(1));
        tables.host = Some(Host::default());
        assert!(!tables.admit_flood(1));
    }
}
