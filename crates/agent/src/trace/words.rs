//! Keys and values of the tables as operators read them: in the words of the resources that they were made of.

use std::collections::BTreeMap;

use model::{Intent, RoutingDomainId};
use pipeline::moves::{Move, MoveFlags};
use pipeline::policy::{Direction, Policy, PolicyFlags, Rule, RuleFlags, RuleKey};
use pipeline::{
    Host, HostFlags, Peer, PeerFlags, PeerKey, Plain, Port, PortFlags, Provider, Record, RecordFlags, RecordKey,
    Replica, ReplicaKey, Route, RouteFlags, RouteKey, StationKey, Subnet, SubnetFlags, segment,
};

/// Six bytes as Hyper-V writes a MAC address, groups too.
pub(super) fn mac(octets: [u8; 6]) -> String {
    octets.map(|octet| format!("{octet:02X}")).join("-")
}

/// "1 port", "2 ports".
pub(super) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// What gives numbers in the tables their names.
pub(super) struct Words<'a> {
    intent: &'a Intent,
    names: &'a dyn Fn(u32) -> Option<String>,
    domains: BTreeMap<u32, RoutingDomainId>,
}

impl<'a> Words<'a> {
    /// The names that an intent and the host's interfaces have.
    pub fn new(intent: &'a Intent, names: &'a dyn Fn(u32) -> Option<String>) -> Self {
        let domains = plan::domain_numbers(intent).into_iter().map(|(rdid, number)| (number, rdid)).collect();
        Self { intent, names, domains }
    }

    /// The port or interface with this index.
    pub fn interface(&self, ifindex: u32) -> String {
        (self.names)(ifindex).unwrap_or_else(|| format!("interface {ifindex}"))
    }

    /// The port of this MAC address in a VM subnet.
    fn declared(&self, port: &Port) -> Option<&'a model::Port> {
        let same = |known: &&model::Port| {
            known.mac.octets() == port.mac && known.vsid.is_some_and(|vsid| vsid.get() == port.vsid)
        };
        self.intent.ports().find(same)
    }

    /// The security groups that a policy is made of, those of one of its ports.
    pub fn policy_key(&self, port: Option<&Port>) -> String {
        let groups = port.and_then(|port| self.declared(port)).map(|port| &port.security_groups);
        let groups = groups.map(|groups| groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        groups.unwrap_or_else(|| "of security groups that are gone".to_owned())
    }

    pub fn policy(policy: &Policy) -> String {
        let [egress, ingress] = policy.rules;
        let rest = |flag| if policy.flags.has(flag) { "passes" } else { "does not pass" };
        format!(
            "{} of egress, what none matches {}; {} of ingress, what none matches {}",
            count(egress as usize, "rule"),
            rest(PolicyFlags::EGRESS),
            count(ingress as usize, "rule"),
            rest(PolicyFlags::INGRESS)
        )
    }

    /// The rule at a place, as it was declared.
    pub fn rule(&self, port: Option<&Port>, key: &RuleKey, rule: &Rule) -> String {
        let direction = if key.side & 1 == 0 { Direction::Egress } else { Direction::Ingress };
        let declared = port.and_then(|port| self.declared(port));
        let words = declared.and_then(|port| plan::rule_at(self.intent, port, direction, key.index as usize));
        let what = if rule.flags.has(RuleFlags::ALLOW) { "may pass" } else { "may not pass" };
        format!("{what}: {}", words.unwrap_or_else(|| "a rule that is gone".to_owned()))
    }

    /// The network with this number in the tables.
    pub fn network(&self, number: u32) -> String {
        if !segment::is_physical(number) {
            return format!("VSID {number}");
        }
        let uplink = self.interface(segment::uplink(number));
        match segment::vlan(number) {
            0 => format!("physical network {uplink}"),
            vlan => format!("VLAN {vlan} of physical network {uplink}"),
        }
    }

    /// The routing domain with this number in the tables.
    fn domain(&self, number: u32) -> String {
        match (number, self.domains.get(&number)) {
            (_, Some(rdid)) => format!("RDID {rdid}"),
            (0, None) => "no RDID".to_owned(),
            (number, None) => format!("routing domain {number:08x}, which no customer route names any more"),
        }
    }

    pub fn host(&self, host: &Host) -> String {
        let flags = flags([
            (host.flags.has(HostFlags::PLAIN), "some packets travel unencapsulated"),
            (host.flags.has(HostFlags::VXLAN), "VXLAN is taken"),
            (host.flags.has(HostFlags::GENEVE), "Geneve is taken"),
            (host.flags.has(HostFlags::EXTERNAL_ROUTER), "routers are outside of the hosts"),
        ]);
        format!("gateway MAC {}{flags}", mac(host.gateway_mac))
    }

    pub fn port(&self, port: &Port) -> String {
        let flags = flags([
            (port.flags.has(PortFlags::LEARN), "its addresses are learnt"),
            (port.flags.has(PortFlags::FORWARDER), "forwards for others"),
            (port.flags.has(PortFlags::DHCP), "the host answers DHCP"),
            (port.flags.has(PortFlags::DHCP_V6), "the host answers DHCPv6"),
        ]);
        if segment::is_physical(port.vsid) {
            return format!("{}, MTU {}, MAC {}{flags}", self.network(port.vsid), port.mtu, mac(port.mac));
        }
        format!("VSID {}, {}, MAC {}{flags}", port.vsid, self.domain(port.domain), mac(port.mac))
    }

    pub fn record_key(key: &RecordKey) -> String {
        format!("{}/{}", key.vsid, key.address)
    }

    pub fn station_key(key: &StationKey) -> String {
        format!("{}/{}", key.vsid, mac(key.mac))
    }

    pub fn record(&self, record: &Record) -> String {
        let has = |flag| record.flags.has(flag);
        if has(RecordFlags::GATEWAY) {
            return format!("{}, the gateway, which each host is", mac(record.mac));
        }
        let rule = match (has(RecordFlags::NAT), has(RecordFlags::BARE)) {
            (true, _) => "TranslationMethodNat",
            (_, true) => "TranslationMethodNone",
            _ => "TranslationMethodEncap",
        };
        let record_type = match (has(RecordFlags::WILDCARD), has(RecordFlags::L2_ONLY), has(RecordFlags::DYNAMIC)) {
            (true, ..) => "GatewayWildcard",
            (_, true, _) => "L2Only",
            (.., true) => "Dynamic",
            _ => "Static",
        };
        let port = match record.ifindex {
            0 if has(RecordFlags::LOCAL) => " (this host, but no port is plugged)".to_owned(),
            0 => String::new(),
            ifindex => format!(" (port {} of this host)", self.interface(ifindex)),
        };
        let flags = flags([(has(RecordFlags::FORWARDER), "forwards for others"), (has(RecordFlags::MOVES), "moves")]);
        format!("{} at {}{port}, {rule}, {record_type}{flags}", mac(record.mac), record.provider)
    }

    pub fn other_place(&self, other: &Move) -> String {
        let direction = if other.flags.has(MoveFlags::FROM) { "has come from" } else { "is to go" };
        format!("{direction}: {}", self.record(&other.there))
    }

    pub fn subnet(&self, subnet: &Subnet) -> String {
        let gateways =
            [subnet.gateway_v4, subnet.gateway_v6].into_iter().filter(|gateway| *gateway != Default::default());
        let gateways: String = gateways.map(|gateway| format!(", gateway {gateway}")).collect();
        let (here, all) = (subnet.local_replicas as usize, subnet.replicas as usize);
        let learn = flags([(subnet.flags.has(SubnetFlags::LEARN), "has L2Only records")]);
        format!(
            "{}{gateways}, in {}, {} here, {}{learn}",
            self.domain(subnet.domain),
            subnet.encapsulation().name(),
            count(here, "port"),
            count(all.saturating_sub(here), "other host"),
        )
    }

    pub fn route_key(&self, key: &RouteKey) -> String {
        format!("{} to {}", self.domain(u32::from_be_bytes(key.domain)), key.address)
    }

    /// A customer route, whose prefix is its key's.
    pub fn route(&self, key: &RouteKey, route: &Route) -> String {
        let bits = key.prefix_len.saturating_sub(RouteKey::DOMAIN_BITS);
        let bits = if key.address.is_v4() { bits.saturating_sub(96) } else { bits };
        let way = match route.flags.has(RouteFlags::ON_LINK) {
            true => "on-link".to_owned(),
            false => format!("next hop {}", route.next_hop),
        };
        format!("{}/{bits} in VSID {}, {way}", key.address, route.vsid)
    }

    /// The first way to a host is its name alone, since most hosts have no other.
    pub fn peer_key(key: &PeerKey) -> String {
        match key.path {
            0 => key.provider.to_string(),
            path => format!("{}/{path}", key.provider),
        }
    }

    pub fn peer(&self, peer: &Peer) -> String {
        let next_hop = match peer.flags.has(PeerFlags::NEXT_HOP) {
            true => format!("next hop {}", peer.next_hop),
            false => "next hop by the kernel's routing table".to_owned(),
        };
        let paths = if peer.paths > 1 { format!(", one of {} ways", peer.paths) } else { String::new() };
        format!("from {} by {}, MTU {}, {next_hop}{paths}", peer.local, self.interface(peer.uplink), peer.mtu)
    }

    pub fn provider(&self, provider: &Provider) -> String {
        format!("this host's, on {}", self.interface(provider.uplink))
    }

    pub fn replica_key(key: &ReplicaKey) -> String {
        format!("{}/{}", key.vsid, key.index)
    }

    pub fn replica(&self, replica: &Replica) -> String {
        match replica.ifindex {
            0 => format!("host {}", replica.provider),
            ifindex => format!("port {}", self.interface(ifindex)),
        }
    }

    pub fn plain(&self, plain: &Plain) -> String {
        format!("{}/{}", plain.vsid, plain.customer)
    }
}

/// The words of the bits that are set, each after a comma.
fn flags<const N: usize>(flags: [(bool, &str); N]) -> String {
    flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| format!(", {word}")).collect()
}
