//! The edge of a gateway's host: a network namespace that has the addresses which several compartments share, and hands each
//! packet for one of them to the compartment whose port, or identifier of ICMP's queries, it is for. It tracks nothing and
//! translates nothing, so that it needs no memory for each flow; it puts fragments together, since only the first has ports.
//!
//! Packets are dispatched by a mark, and the mark chooses a table of routes before the kernel looks whether the address is its
//! own.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use model::gateway::{Gateway, SharedAddress};

use super::OUTSIDE;
use super::layout::{Asked, EDGE_THERE, MAIN_TABLE, Rule, everything, sysctls as of_compartments};
use super::ruleset::text::{FAMILIES, Family, Text, braces};
use super::ruleset::{Ruleset, nat::range};

/// Where the kernel's rule for its own addresses stands in the edge: behind those of the marks. Elsewhere it is the first.
pub const LOCAL_PRIORITY: u32 = 32_000;

/// The kernel's table of its own addresses.
pub const LOCAL_TABLE: u32 = 255;

/// Priorities of the rules for packets without a mark, of those for groups of marks, and of those for each.
const FIRST_PRIORITY: u32 = 1000;
const FIRST_OF_GROUPS: u32 = 1100;
const FIRST_OF_SLOTS: u32 = 2000;

/// So many marks are a group; a power of two. A packet passes a rule of each group and those of its own.
const GROUP: u32 = 32;

/// Numbers of the tables of compartments begin here.
const FIRST_TABLE: u32 = 1000;

/// The highest slot. Rules of 4000 compartments would be slow before they were too many.
pub const LAST_SLOT: u16 = 4000;

/// A compartment that shares addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its place at the edge, its own as long as it is there.
    pub slot: u16,
    /// Which ports of which addresses are its.
    pub shared: Vec<SharedAddress>,
    /// Whether the edge answers for those addresses on its behalf. For one that is leaving it only forwards.
    pub answers: bool,
}

/// The routers outside of those families that somebody shares an address of: that another one is silent is in nobody's way.
pub fn needed_hops<'s>(shared: impl Iterator<Item = &'s SharedAddress> + Clone, next_hops: &[IpAddr]) -> Vec<IpAddr> {
    let needed = |hop: &&IpAddr| shared.clone().any(|shared| shared.address.is_ipv6() == hop.is_ipv6());
    next_hops.iter().filter(needed).copied().collect()
}

/// A route of the edge.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Route {
    /// The table that it is in.
    pub table: u32,
    /// Where to.
    pub to: IpNet,
    /// The next hop, on the device's link.
    pub via: IpAddr,
    /// The device.
    pub device: String,
}

/// The edge's device towards the compartment of a slot.
pub fn device(slot: u16) -> String {
    format!("e{slot}")
}

/// The mark of a slot's packets.
fn mark(slot: u16) -> u32 {
    u32::from(slot) + 1
}

/// The addresses of the edge's device outside: the host's, and those that are shared.
pub fn addresses(gateway: &Gateway, members: &[Member]) -> Vec<IpNet> {
    let mut addresses = gateway.addresses.clone();
    for address in shared(members.iter().filter(|member| member.answers)) {
        if addresses.iter().all(|known| known.addr() != address) {
            addresses.push(IpNet::from(address));
        }
    }
    addresses
}

/// The addresses that are shared, each once.
pub fn shared<'m>(members: impl IntoIterator<Item = &'m Member>) -> Vec<IpAddr> {
    let mut all: Vec<_> = members.into_iter().flat_map(|member| &member.shared).map(|part| part.address).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The edge's routes: of each compartment a table that leads to it, and in the main table the way to everything.
pub fn routes(members: &[Member], next_hops: &[IpAddr]) -> Vec<Route> {
    let mut routes = Vec::new();
    for v6 in [false, true] {
        let to = everything(v6);
        if let Some(via) = next_hops.iter().find(|hop| hop.is_ipv6() == v6) {
            routes.push(Route { table: MAIN_TABLE, to, via: *via, device: OUTSIDE.to_owned() });
        }
        for member in members.iter().filter(|member| member.shared.iter().any(|part| part.address.is_ipv6() == v6)) {
            let table = FIRST_TABLE + u32::from(member.slot);
            routes.push(Route { table, to, via: EDGE_THERE[usize::from(v6)], device: device(member.slot) });
        }
    }
    routes
}

/// Which table is asked, in both families. What has no mark, all that leaves, passes no rules of compartments; what comes to one
/// passes over those of other groups. Else each packet would pass the rules of all.
pub fn rules(members: &[Member]) -> Vec<Rule> {
    let rule = |priority, mark, asks| Rule { priority, mark, asks, but_default: false };
    let unmarked = |priority, table| rule(priority, Some((0, u32::MAX)), Asked::Table(table));
    let mut rules = vec![unmarked(FIRST_PRIORITY, LOCAL_TABLE), unmarked(FIRST_PRIORITY + 1, MAIN_TABLE)];
    let begin = |group: u32| FIRST_OF_SLOTS + group * (GROUP + 1);
    let groups: BTreeSet<_> = members.iter().map(|member| mark(member.slot) / GROUP).collect();
    for group in groups {
        let marks = (group * GROUP, !(GROUP - 1));
        rules.push(rule(FIRST_OF_GROUPS + group, Some(marks), Asked::Rules(begin(group))));
        // The kernel goes to a rule that is there, whoever comes and goes: this one is for nobody.
        rules.push(unmarked(begin(group), LOCAL_TABLE));
    }
    rules.extend(members.iter().map(|member| {
        let (mark, table) = (mark(member.slot), FIRST_TABLE + u32::from(member.slot));
        rule(begin(mark / GROUP) + 1 + mark % GROUP, Some((mark, u32::MAX)), Asked::Table(table))
    }));
    rules.push(rule(LOCAL_PRIORITY, None, Asked::Table(LOCAL_TABLE)));
    rules
}

/// What the edge's namespace is set to: as compartments are, but packets may come from addresses that are its own.
pub fn sysctls(devices: &[&str]) -> Vec<(String, String)> {
    let mut all = of_compartments(devices);
    all.push(("ipv4/conf/all/accept_local".to_owned(), "1".to_owned()));
    all
}

/// The edge's rules.
pub fn ruleset(members: &[Member]) -> Ruleset {
    let mut text = Text::default();
    text.counter(UNOWNED);
    let mut dispatch =
        vec!["type filter hook prerouting priority raw; policy accept;".to_owned(), "notrack".to_owned()];
    let mut own = vec!["type route hook output priority raw; policy accept;".to_owned(), "notrack".to_owned()];
    for family in FAMILIES {
        let addresses: Vec<_> = shared(members).into_iter().filter(|address| address.is_ipv6() == family.v6).collect();
        let nets: Vec<_> = addresses.iter().copied().map(IpNet::from).collect();
        text.prefixes(&format!("shared{}", family.digit), family, &nets);
        if addresses.is_empty() {
            continue;
        }
        let mut choices = Vec::new();
        for (at, address) in addresses.iter().enumerate() {
            let name = format!("owner{}_{at}", family.digit);
            text.chain(&name, &owners(members, *address, family));
            choices.push(format!("{address} : goto {name}"));
        }
        let choose = format!("{} daddr vmap {}", family.ip, braces(&choices));
        own.push(choose.clone());
        dispatch.push(choose);
    }
    text.chain("dispatch", &dispatch);
    text.chain("dispatch_own", &own);
    let forward = [
        "type filter hook forward priority filter; policy drop;",
        "meta mark != 0 accept",
        "iifname \"e*\" oifname \"outside\" ip saddr @shared4 accept",
        "iifname \"e*\" oifname \"outside\" ip6 saddr @shared6 accept",
        "counter name unowned",
    ];
    text.chain("forward", &forward.map(ToOwned::to_owned));
    let input = [
        "type filter hook input priority filter; policy drop;",
        "iifname \"lo\" accept",
        "meta l4proto { icmp, ipv6-icmp } accept",
        "udp dport 33434-33534 reject",
        "counter name unowned",
    ];
    text.chain("input", &input.map(ToOwned::to_owned));
    // A mention of connections is what has the kernel put fragments together, though none is tracked.
    text.chain("defragment", &["ct state new accept".to_owned()]);
    text.finish()
}

/// Packets for ports that are nobody's.
pub const UNOWNED: &str = "unowned";

/// Whose a packet for a shared address is: by its port; by the identifier of an answer to a query; and by either in what is
/// left of our packet in an error about it (RFC 792, RFC 4443), provided that it is at its usual place.
fn owners(members: &[Member], address: IpAddr, family: Family) -> Vec<String> {
    let mut pairs = Vec::new();
    for member in members {
        for part in member.shared.iter().filter(|part| part.address == address) {
            pairs.push((part.ports.first(), range(part.ports.first(), part.ports.last()), mark(member.slot)));
        }
    }
    pairs.sort_unstable();
    let map: Vec<_> = pairs.iter().map(|(_, ports, mark)| format!("{ports} : {mark:#x}")).collect();
    let map = braces(&map);
    // Bits from the beginning of the ICMP header: eight bytes of its own, then the IP header, then ours.
    let (icmp, errors, plain, protocol, port, query) = if family.v6 {
        let errors = "{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem }";
        ("icmpv6", errors, "@th,64,4 6", 112, 384, 58)
    } else {
        ("icmp", "{ destination-unreachable, time-exceeded, parameter-problem }", "@th,64,8 0x45", 136, 224, 1)
    };
    let identifier = port + 32;
    vec![
        format!("meta l4proto {{ tcp, udp }} meta mark set th dport map {map} accept"),
        format!("{icmp} type echo-reply meta mark set {icmp} id map {map} accept"),
        format!(
            "{icmp} type {errors} {plain} @th,{protocol},8 {{ 6, 17 }} meta mark set @th,{port},16 map {map} accept"
        ),
        format!(
            "{icmp} type {errors} {plain} @th,{protocol},8 {query} meta mark set @th,{identifier},16 map {map} accept"
        ),
    ]
}
