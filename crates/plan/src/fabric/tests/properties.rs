//! Properties of random histories: legal and illegal changes of all kinds, by several tenants, on several hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::Intent;
use model::fabric::{Key, Kind, Object, ResourceName, Spec};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{BASE, PHYSICAL, State, World, puts, resource};
use crate::fabric::{Change, Fabric, Manner, Outcome, Topic, TopicId, Transition};

/// One event of a history.
#[derive(Clone, Debug)]
enum Event {
    Set(Vec<Change>),
    Learn(Key, Vec<IpAddr>),
    /// One of the ports is to move to a host.
    Depart(Index, ResourceName),
    /// One of the VMs that are to move is heard on the other host.
    Arrive(Index),
    /// One of those that have moved is known to be there.
    Settle(Index),
    /// A host takes over a VM network's gateway, or is to.
    TakeOver(Key, ResourceName, Manner),
}

/// One of the ports that are somewhere, as it is when its VM is to move.
fn departing(fabric: &Fabric, which: Index, host: &ResourceName) -> Option<Change> {
    let placed = |object: &&Object| matches!(&object.resource.spec, Spec::Port(port) if port.host.is_some());
    let ports: Vec<&Object> = fabric.iter().filter(placed).collect();
    let mut resource = ports.get(which.index(ports.len().max(1)))?.resource.clone();
    if let Spec::Port(port) = &mut resource.spec {
        port.migrate_to = Some(host.clone());
    }
    Some(Change::Put { resource, revision: None })
}

/// The port that one of the VMs has which are to move, as it is when its VM has come.
fn arrived(fabric: &Fabric, which: Index) -> Option<Change> {
    let ports = fabric.iter().filter_map(|object| {
        let Spec::Port(port) = &object.resource.spec else { return None };
        fabric.arrived(&object.key(), port.migrate_to.as_ref()?)
    });
    let ports: Vec<_> = ports.collect();
    let resource = ports.get(which.index(ports.len().max(1)))?.clone();
    Some(Change::Put { resource, revision: None })
}

const TENANTS: [&str; 2] = ["default", "blue team"];
const HOSTS: [&str; 4] = ["host15", "host16", "host17", "host18"];
const LOGICAL: [&str; 3] = ["TDIv2", "Office", "Spare"];
const NETWORKS: [&str; 3] = ["n0", "n1", "n2"];
const SUBNETS: [&str; 4] = ["s0", "s1", "s2", "s3"];
const POOLS: [&str; 4] = ["p0", "p1", "p2", "p3"];
const PORTS: [&str; 7] = ["t0", "t1", "t2", "t3", "t4", "t5", "t6"];
const GROUPS: [&str; 3] = ["g0", "g1", "g2"];
const PREFIXES: [&str; 7] =
    ["10.0.0.0/28", "10.0.0.0/24", "10.0.1.0/29", "'fd00::/64'", "172.16.0.0/24", "172.17.0.0/24", "10.0.2.0/28"];
const RANGES: [&str; 8] = [
    "10.0.0.2-10.0.0.4",
    "10.0.0.1-10.0.0.14",
    "10.0.1.1-10.0.1.7",
    "'fd00::2-fd00::5'",
    "'fd00::-fd00::3'",
    "172.16.0.5-172.16.0.9",
    "10.0.2.5",
    "10.0.0.3-10.0.0.6",
];
const ADDRESSES: [&str; 7] = ["10.0.0.3", "10.0.0.5", "10.0.1.2", "'fd00::3'", "172.16.0.6", "10.0.0.1", "10.0.2.5"];

/// One of these, or nothing.
fn field(name: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![1 => Just(String::new()), 3 => select(values).prop_map(move |value| format!("{name}: {value}, "))]
}

/// A list of a few of these.
fn list(
    name: &'static str,
    values: &'static [&'static str],
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = String> {
    proptest::sample::subsequence(values, count).prop_map(move |values| format!("{name}: [{}], ", values.join(", ")))
}

fn named(
    kind: &'static str,
    names: &'static [&'static str],
    spec: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    let tenant = select(&[TENANTS[0], TENANTS[0], TENANTS[1]][..]);
    (select(names), tenant, spec).prop_map(move |(name, tenant, spec)| {
        format!("{{kind: {kind}, tenant: {tenant}, name: {name}, spec: {{{spec}}}}}")
    })
}

fn any_logical_network() -> impl Strategy<Value = String> {
    let sites = select(
        &[
            "",
            "sites: [{name: a, subnets: [{prefix: 172.16.0.0/16, vlan: 42}]}], ",
            "sites: [{name: a, hosts: [host17], subnets: [{prefix: 172.16.0.0/16, vlan: 42}, {prefix: 10.0.0.0/8, vlan: 43}]}], ",
        ][..],
    );
    let pools = select(
        &[
            "",
            "providerPools: [{name: pa, prefix: 192.168.4.0/24, ranges: [192.168.4.15-192.168.4.18]}], ",
            "providerPools: [{name: pa, prefix: 192.168.4.0/24, ranges: [192.168.4.100-192.168.4.101]}], ",
            "providerPools: [{name: pa, prefix: 192.168.5.0/24, ranges: [192.168.5.100-192.168.5.101]}], ",
        ][..],
    );
    (select(&LOGICAL[..]), any::<bool>(), sites, pools).prop_map(|(name, virtual_, sites, pools)| {
        format!("{{kind: logical-network, name: {name}, spec: {{networkVirtualization: {virtual_}, {sites}{pools}}}}}")
    })
}

fn any_host() -> impl Strategy<Value = String> {
    let networks = || list("logicalNetworks", &LOGICAL, 0..3);
    let addresses = select(
        &["addresses: [], ", "addresses: [192.168.4.15/24], ", "addresses: [192.168.4.17/24, 192.168.5.17/24], "][..],
    );
    (select(&HOSTS[..]), networks(), networks(), addresses).prop_map(|(name, first, second, addresses)| {
        format!(
            "{{kind: host, name: {name}, spec: {{uplinks: [{{interface: eth0, {addresses}{first}}}, \
             {{interface: eth1, addresses: [], {second}}}]}}}}"
        )
    })
}

fn any_other_operators() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&["", "quota: {ports: 3}", "quota: {vmSubnets: 1, ipPools: 2}"][..])
            .prop_flat_map(|quota| select(&TENANTS[..])
                .prop_map(move |name| format!("{{kind: tenant, name: {name}, spec: {{{quota}}}}}"))),
        select(
            &[
                "{kind: mac-pool, name: few, spec: {ranges: [02-00-00-00-00-01..02-00-00-00-00-03]}}",
                "{kind: mac-pool, name: default, spec: {ranges: [00-1D-D8-B7-1C-00..00-1D-D8-B7-1C-02]}}",
                "{kind: mac-pool, name: default, spec: {ranges: [00-1D-D8-B7-1C-00..00-1D-D8-F4-1F-FF]}}",
            ][..]
        )
        .prop_map(str::to_owned),
    ]
}

fn any_network() -> impl Strategy<Value = String> {
    let isolation = field("isolation", &["nvgre", "vxlan", "geneve", "vlan", "none"]);
    let rdid = prop_oneof![5 => Just(""), 1 => Just("rdid: 11111111-2222-3333-4444-000000005001, ")];
    let logical = prop_oneof![3 => Just("TDIv2"), 1 => Just("Office"), 1 => Just("Spare")];
    let security = prop_oneof![4 => Just(""), 1 => Just("security: {egress: deny, ingress: allow}, ")];
    let limits = prop_oneof![4 => Just(""), 1 => Just("limits: {egress: {bandwidth: 1 Gbit/s}}, ")];
    let spec = (logical, isolation, rdid, security, limits).prop_map(|(on, isolation, rdid, security, limits)| {
        format!("logicalNetwork: {on}, {isolation}{security}{limits}{rdid}")
    });
    named("vm-network", &NETWORKS, spec)
}

fn any_subnet() -> impl Strategy<Value = String> {
    let vsid = prop_oneof![9 => Just(""), 1 => Just("vsid: 4097, ")];
    let vlan = prop_oneof![6 => Just(""), 1 => Just("vlan: 42, "), 1 => Just("vlan: 43, ")];
    let gateways = prop_oneof![9 => Just(""), 1 => Just("gateways: [172.16.0.1]")];
    let network = prop_oneof![2 => Just("n0"), 1 => select(&NETWORKS[..])];
    let prefixes = prop_oneof![3 => list("prefixes", &PREFIXES, 1..2), 1 => list("prefixes", &PREFIXES, 0..4)];
    let groups = prop_oneof![4 => Just(String::new()), 1 => list("securityGroups", &GROUPS, 1..2)];
    let spec = (network, prefixes, vsid, vlan, gateways, groups).prop_map(
        |(network, prefixes, vsid, vlan, gateways, groups)| {
            format!("vmNetwork: {network}, {prefixes}{vsid}{vlan}{groups}{gateways}")
        },
    );
    named("vm-subnet", &SUBNETS, spec)
}

fn any_pool() -> impl Strategy<Value = String> {
    let options = select(
        &[
            "",
            "reserved: [10.0.0.3]",
            "dnsServers: [10.0.0.53, 'fd00::53'], leaseTime: 8h",
            "dnsSuffixes: [example.com], routes: [{prefix: 10.9.0.0/16, nextHop: 10.0.0.9}]",
        ][..],
    );
    let ranges = prop_oneof![3 => list("ranges", &RANGES, 1..2), 1 => list("ranges", &RANGES, 1..3)];
    let spec = (prop_oneof![1 => Just("s0"), 1 => select(&SUBNETS[..])], ranges, options)
        .prop_map(|(subnet, ranges, options)| format!("vmSubnet: {subnet}, {ranges}{options}"));
    named("ip-pool", &POOLS, spec)
}

fn any_route() -> impl Strategy<Value = String> {
    let prefix = select(&["10.20.0.0/16", "0.0.0.0/0", "'fd20::/64'"][..]);
    let spec = (select(&NETWORKS[..]), prefix, select(&ADDRESSES[..]))
        .prop_map(|(network, prefix, hop)| format!("vmNetwork: {network}, prefix: {prefix}, nextHop: {hop}"));
    named("customer-route", &["r0", "r1", "r2"], spec)
}

fn any_port() -> impl Strategy<Value = String> {
    let extra = select(
        &[
            "",
            "",
            "",
            "addressing: learnt, ",
            "mac: 00-1D-D8-B7-1C-01, ",
            "ipPool: p0, ",
            "addresses: [10.0.0.3], ",
            "addresses: ['fd00::3', 10.0.0.5], ",
            "addresses: [10.0.0.3, 10.0.0.5], ",
        ][..],
    );
    let device =
        prop_oneof![6 => Just(""), 1 => Just("device: tap0, "), 1 => Just("limits: {ingress: {packets: 9}}, ")];
    let groups = prop_oneof![2 => Just(String::new()), 1 => list("securityGroups", &GROUPS, 1..3)];
    let spec = (
        field("host", &["host15", "host15", "host16", "host16", "host17", "host18"]),
        field("vmNetwork", &["n0", "n0", "n0", "n1", "n2"]),
        prop_oneof![3 => Just(String::new()), 1 => field("vmSubnet", &SUBNETS)],
        extra,
        device,
        groups,
        prop_oneof![4 => Just(String::new()), 1 => field("migrateTo", &["host15", "host16", "host17"])],
    )
        .prop_map(|(host, network, subnet, extra, device, groups, to)| {
            // A port without VM network cannot name what only a connected one has.
            let rest = if network.is_empty() { String::new() } else { format!("{network}{subnet}{extra}{groups}") };
            format!("{host}{to}{device}{rest}")
        });
    named("port", &PORTS, spec)
}

fn any_security_group() -> impl Strategy<Value = String> {
    let rules = proptest::sample::subsequence(
        &[
            "{direction: ingress, protocol: tcp, ports: [80], remote: {prefixes: [10.0.0.0/8]}}",
            "{direction: ingress, remote: {securityGroup: g0}}",
            "{direction: egress, action: deny, remote: {securityGroup: g1}}",
            "{direction: egress, action: deny, priority: 5, remote: {addressSet: a0}, log: true}",
            "{direction: egress, ports: [80]}",
        ][..],
        0..4,
    );
    let network = prop_oneof![3 => Just("n0"), 1 => select(&NETWORKS[..])];
    let spec =
        (network, rules).prop_map(|(network, rules)| format!("vmNetwork: {network}, rules: [{}]", rules.join(", ")));
    named("security-group", &GROUPS, spec)
}

fn any_address_set() -> impl Strategy<Value = String> {
    let network = prop_oneof![3 => Just("n0"), 1 => select(&NETWORKS[..])];
    let spec = (network, list("prefixes", &PREFIXES, 0..3))
        .prop_map(|(network, prefixes)| format!("vmNetwork: {network}, {prefixes}"));
    named("address-set", &["a0", "a1"], spec)
}

fn any_resource() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => any_logical_network(), 1 => any_host(), 1 => any_other_operators(), 2 => any_network(), 3 => any_subnet(),
        3 => any_pool(), 1 => any_route(), 8 => any_port(), 3 => any_security_group(), 1 => any_address_set(),
        2 => any_gateway(), 8 => any_connection(),
    ]
}

/// Gateways of which the second one's host may be the first one's, with few addresses to give.
fn any_gateway() -> impl Strategy<Value = String> {
    let hosts = select(
        &[
            "[{host: host15, interface: ext0, addresses: [203.0.113.3/24]}]",
            "[{host: host16, interface: ext0, addresses: [203.0.113.4/24]}, {host: host15, interface: ext0, addresses: [203.0.113.3/24]}]",
            "[{host: host16, interface: ext0}]",
            "[{host: host17, interface: eth1}]",
        ][..],
    );
    let networks = select(
        &[
            "{prefix: 203.0.113.0/24, nextHop: 203.0.113.1, ranges: [203.0.113.10-203.0.113.12]}",
            "{prefix: 203.0.113.0/24, ranges: [203.0.113.10-203.0.113.11, 203.0.113.20]}",
            "{prefix: 203.0.113.0/24, ranges: [203.0.113.10]}, {prefix: 'fd99::/64', ranges: ['fd99::10-fd99::11']}, \
             {prefix: 10.99.0.0/24, vlan: 42, ranges: [10.99.0.10-10.99.0.11]}",
            "",
        ][..],
    );
    (select(&["gw", "gw", "g2"][..]), select(&["TDIv2", "TDIv2", "Spare"][..]), hosts, networks).prop_map(
        |(name, on, hosts, networks)| {
            format!("{{kind: gateway, name: {name}, spec: {{logicalNetwork: {on}, hosts: {hosts}, networks: [{networks}]}}}}")
        },
    )
}

fn any_connection() -> impl Strategy<Value = String> {
    let service = select(
        &[
            "nat: {}",
            "nat: {}",
            "nat: {sharedPorts: 20000}",
            "nat: {addresses: [203.0.113.10], floating: [{external: 203.0.113.30, internal: 10.0.0.3}]}",
            "nat: {prefixes: [10.0.0.0/24], forwards: [{protocol: tcp, ports: 80, internal: 10.0.0.3}]}",
            "routing: {}, bgp: {localAs: 64512, neighbors: [{address: 203.0.113.1, remoteAs: 64513}]}",
            "routing: {vlan: 42, routes: [{prefix: 10.254.0.0/16, nextHop: 10.99.0.1}]}",
            "ipsec: {remote: 198.51.100.1, psk: x, remotePrefixes: [10.20.0.0/16]}",
            "wireguard: {peerKey: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=, remotePrefixes: [10.30.0.0/16]}",
            "dns: {domain: aaa.internal}",
            "dns: {names: [{name: db, addresses: [10.0.0.9]}]}, limits: {egress: {bandwidth: 1 Mbit/s}}",
        ][..],
    );
    let network = prop_oneof![5 => Just("n0"), 1 => select(&NETWORKS[..])];
    let gateway = prop_oneof![6 => Just("gw"), 1 => Just("g2")];
    let spec = (network, gateway, service)
        .prop_map(|(network, gateway, service)| format!("vmNetwork: {network}, gateway: {gateway}, {service}"));
    named("gateway-connection", &["c0", "c1", "c2"], spec)
}

/// The generator names a tenant everywhere; it is left out where there is none.
fn change_of(text: &str, how: u8) -> Change {
    let resource = resource(text);
    match how {
        0 => Change::Create(resource),
        1 => Change::Replace { resource, revision: None },
        2..=4 => Change::Delete { key: resource.key(), revision: None },
        _ => Change::Put { resource, revision: None },
    }
}

/// Mostly one change, sometimes several: one that is illegal spoils all.
fn few(change: impl Strategy<Value = Change> + Clone + 'static) -> impl Strategy<Value = Vec<Change>> {
    prop_oneof![3 => vec(change.clone(), 1), 1 => vec(change.clone(), 2), 1 => vec(change, 3..6)]
}

fn any_event() -> impl Strategy<Value = Event> {
    let change = (any_resource(), 0..16u8).prop_map(|(text, how)| change_of(&text, how)).boxed();
    let port = (select(&PORTS[..]), select(&TENANTS[..]));
    let learn = (port, proptest::sample::subsequence(&ADDRESSES[..], 0..4)).prop_map(|((port, tenant), addresses)| {
        let addresses = addresses.iter().map(|text| text.trim_matches('\'').parse().unwrap()).collect();
        Event::Learn(Key::new(Kind::Port, Some(tenant.parse().unwrap()), port.parse().unwrap()), addresses)
    });
    let arrive = any::<Index>().prop_map(Event::Arrive);
    let settle = any::<Index>().prop_map(Event::Settle);
    let depart = (any::<Index>(), select(&HOSTS[..]));
    let depart = depart.prop_map(|(which, host)| Event::Depart(which, host.parse().unwrap()));
    let manner = select(&[Manner::Prepared, Manner::Forwarding, Manner::Abrupt, Manner::Cancelled][..]);
    let take_over = (select(&TENANTS[..]), select(&HOSTS[..2]), manner).prop_map(|(tenant, host, manner)| {
        let network = Key::new(Kind::VmNetwork, Some(tenant.parse().unwrap()), "n0".parse().unwrap());
        Event::TakeOver(network, host.parse().unwrap(), manner)
    });
    prop_oneof![10 => few(change).prop_map(Event::Set), 1 => learn, 2 => depart, 2 => arrive, 2 => settle, 1 => take_over]
}

/// The fabric in which histories begin: both kinds of logical network, and something of everything on them.
fn start() -> World {
    let mut world = World::default();
    world.apply(&format!("{BASE}---\n{PHYSICAL}---\n{{kind: tenant, name: blue team}}\n"));
    world.apply(GATEWAY);
    for tenant in TENANTS {
        world.apply(&format!(
            "{{kind: vm-network, tenant: {tenant}, name: n0, spec: {{logicalNetwork: TDIv2}}}}
---
{{kind: vm-subnet, tenant: {tenant}, name: s0, spec: {{vmNetwork: n0, prefixes: [10.0.0.0/24]}}}}
---
{{kind: ip-pool, tenant: {tenant}, name: p0, spec: {{vmSubnet: s0, ranges: [10.0.0.2-10.0.0.4]}}}}
---
{{kind: security-group, tenant: {tenant}, name: g0, spec: {{vmNetwork: n0, rules: [{{direction: ingress, remote: {{securityGroup: g0}}}}]}}}}
---
{{kind: port, tenant: {tenant}, name: {port}, spec: {{host: host15, vmNetwork: n0, securityGroups: [g0]}}}}
---
{{kind: port, tenant: {tenant}, name: t1, spec: {{host: host16, vmNetwork: n0, addressing: learnt, device: dev-{device}}}}}
",
            port = if tenant == "default" { "t0" } else { "t2" },
            device = &tenant[..4],
        ));
    }
    world
}

/// The gateway that there is at first.
const GATEWAY: &str = "{kind: gateway, name: gw, spec: {logicalNetwork: TDIv2, hosts: [{host: host15, interface: ext0, \
                       addresses: [203.0.113.3/24]}], networks: [{prefix: 203.0.113.0/24, ranges: \
                       [203.0.113.10-203.0.113.12]}]}}";

/// What a subscriber of all topics has after a transition.
fn follow(replica: &mut BTreeMap<TopicId, Topic>, transition: &Transition) {
    for change in &transition.topics {
        let topic = replica.entry(change.topic.clone()).or_default();
        change.apply(topic);
        if topic.is_empty() {
            replica.remove(&change.topic);
        }
    }
}

/// What a store has after a transition; nothing may be claimed that is there, or released that is not.
fn keep(claims: &mut BTreeMap<String, Key>, transition: &Transition) -> Result<(), TestCaseError> {
    for claim in &transition.released {
        prop_assert_eq!(claims.remove(&claim.key), Some(claim.owner.clone()), "released: {}", &claim.key);
    }
    for claim in &transition.claimed {
        prop_assert_eq!(claims.insert(claim.key.clone(), claim.owner.clone()), None, "claimed: {}", &claim.key);
    }
    Ok(())
}

fn valid_on_every_host(fabric: &Fabric) -> Result<(), TestCaseError> {
    for host in fabric.of_kind(Kind::Host, None) {
        let name = &host.resource.name;
        let subscriptions = fabric.subscriptions(name);
        let topics: Vec<&Topic> = subscriptions.iter().filter_map(|id| fabric.topic(id)).collect();
        let keys: BTreeSet<_> = topics.iter().flat_map(|topic| topic.keys()).collect();
        prop_assert_eq!(keys.len(), topics.iter().map(|topic| topic.len()).sum::<usize>(), "a key in two topics");
        if let Err(errors) = Intent::new(topics.into_iter().flat_map(|topic| topic.values().cloned())) {
            prop_assert!(false, "{}: {:?}", name, errors.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        for id in &subscriptions {
            prop_assert!(fabric.subscribers(id).any(|subscriber| subscriber == name), "{} does not know {}", id, name);
        }
    }
    for (id, _) in fabric.topics() {
        for subscriber in fabric.subscribers(id) {
            prop_assert!(fabric.subscriptions(subscriber).contains(id), "{} does not know {}", subscriber, id);
        }
    }
    Ok(())
}

/// No two objects have one claim, and pools count as they should.
fn claims_are_unique(fabric: &Fabric) -> Result<(), TestCaseError> {
    let mut owners = BTreeMap::new();
    for object in fabric.iter() {
        for slot in fabric.slots(object) {
            let other = owners.insert(slot.to_string(), object.key());
            prop_assert!(other.is_none(), "{} belongs to {} and {}", slot, object.key(), other.unwrap());
        }
        if let Some((used, total)) = fabric.pool_usage(&object.key()) {
            prop_assert!(used <= total, "{} has given {} of {}", object.key(), used, total);
        }
    }
    let claims: BTreeMap<String, Key> = fabric.claims().map(|claim| (claim.key, claim.owner)).collect();
    prop_assert_eq!(claims, owners);
    Ok(())
}

/// What somebody asks for with an event; nothing if nobody is there to depart or arrive, `None` if the fabric itself takes
/// something in.
fn changes_of(fabric: &Fabric, event: &Event) -> Option<Vec<Change>> {
    match event {
        Event::Set(changes) => Some(changes.clone()),
        Event::Depart(which, host) => Some(departing(fabric, *which, host).into_iter().collect()),
        Event::Arrive(which) => Some(arrived(fabric, *which).into_iter().collect()),
        Event::Learn(..) | Event::Settle(_) | Event::TakeOver(..) => None,
    }
}

/// What the fabric itself takes in.
fn take_in(world: &mut World, event: &Event) -> Option<Transition> {
    match event {
        Event::Learn(port, addresses) => world.learn(port, addresses),
        Event::TakeOver(network, host, manner) => world.take_over(network, host, *manner),
        Event::Settle(which) => {
            let ports: Vec<Key> = world.fabric.arrivals().cloned().collect();
            ports.get(which.index(ports.len().max(1))).and_then(|port| world.settle(port))
        }
        Event::Set(_) | Event::Depart(..) | Event::Arrive(..) => None,
    }
}

/// Each change has its step, and in whatever order they are given the end is the same.
fn steps_are_right(
    changes: &[Change],
    transition: &Transition,
    mut other: World,
    after: &State,
    seed: u64,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(transition.steps.len(), changes.len());
    for (change, step) in changes.iter().zip(&transition.steps) {
        let of = step.after.as_ref().or(step.before.as_ref()).unwrap();
        prop_assert_eq!(of.key(), change.key());
        prop_assert_eq!(step.outcome == Outcome::Deleted, step.after.is_none());
    }
    let mut shuffled = changes.to_vec();
    let middle = usize::try_from(seed).unwrap_or(0) % changes.len();
    shuffled.rotate_left(middle);
    shuffled.reverse();
    prop_assert!(other.change(&shuffled).is_ok());
    prop_assert_eq!(&State::of(&other.fabric), after);
    Ok(())
}

fn run(events: Vec<Event>, seed: u64) -> Result<(), TestCaseError> {
    let mut world = start();
    let first = State::of(&world.fabric);
    let mut replica = first.topics.clone();
    let mut claims: BTreeMap<String, Key> =
        first.claims.iter().map(|claim| (claim.key.clone(), claim.owner.clone())).collect();
    for event in events {
        let changes = changes_of(&world.fabric, &event);
        if changes.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        let (before, other) = (State::of(&world.fabric), world.clone());
        let transition = match &changes {
            Some(changes) => match world.change(changes) {
                Ok(transition) => Some(transition),
                Err(refusals) => {
                    prop_assert!(!refusals.is_empty());
                    None
                }
            },
            None => take_in(&mut world, &event),
        };
        let Some(transition) = transition else {
            prop_assert_eq!(State::of(&world.fabric), before);
            continue;
        };
        let after = State::of(&world.fabric);
        if let Some(changes) = &changes {
            steps_are_right(changes, &transition, other, &after, seed)?;
        }
        follow(&mut replica, &transition);
        prop_assert_eq!(&replica, &after.topics);
        keep(&mut claims, &transition)?;
        prop_assert_eq!(&State::of(&Fabric::load(after.objects.iter().rev().cloned())), &after);
        let mut undone = world.fabric.clone();
        undone.undo(&transition);
        prop_assert_eq!(State::of(&undone), before);
        undone.redo(&transition);
        prop_assert_eq!(&State::of(&undone), &after);
        claims_are_unique(&world.fabric)?;
        valid_on_every_host(&world.fabric)?;
    }
    // All of it can go again.
    let everything: Vec<Change> = world
        .fabric
        .iter()
        .map(|object| Change::Delete { key: object.key(), revision: Some(object.revision) })
        .collect();
    let transition = world.change(&everything).map_err(|refusals| TestCaseError::fail(format!("{refusals:?}")))?;
    follow(&mut replica, &transition);
    keep(&mut claims, &transition)?;
    prop_assert_eq!((replica.len(), claims.len(), world.fabric.len()), (0, 0, 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn a_history_leaves_what_its_end_says(events in vec(any_event(), 1..40), seed: u64) {
        run(events, seed)?;
    }
}

/// The generator is worth nothing if everything is refused, or nothing.
#[test]
fn histories_are_both_legal_and_illegal() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut legal, mut illegal, mut arrivals, mut kinds) = (0, 0, 0, BTreeSet::new());
    for _ in 0..64 {
        let mut world = start();
        for event in vec(any_event(), 40).new_tree(&mut runner).unwrap().current() {
            let changes = match event {
                Event::Set(changes) => changes,
                Event::Depart(which, host) => departing(&world.fabric, which, &host).into_iter().collect(),
                Event::Arrive(which) => {
                    let changes: Vec<Change> = arrived(&world.fabric, which).into_iter().collect();
                    arrivals += changes.len();
                    changes
                }
                Event::Learn(..) | Event::Settle(_) | Event::TakeOver(..) => continue,
            };
            match world.change(&changes) {
                Ok(_) => legal += 1,
                Err(refusals) => {
                    illegal += 1;
                    kinds.extend(
                        refusals
                            .iter()
                            .map(|refusal| format!("{refusal:?}").split([' ', '{']).next().unwrap().to_owned()),
                    );
                }
            }
        }
    }
    assert!(legal > 150 && illegal > 150 && kinds.len() > 25, "{legal} legal, {illegal} illegal, {kinds:?}");
    assert!(arrivals > 20, "{arrivals} VMs have come");
}

#[test]
fn unused_names_stay_free() {
    // Tenants that differ in a space and an underscore alone would have one name on a host.
    let mut world = World::new();
    world.apply("{kind: tenant, name: a b}\n---\n{kind: tenant, name: a_b}");
    world.apply("{kind: port, tenant: a b, name: x, spec: {host: host15}}");
    let refused = world.refused("{kind: port, tenant: a_b, name: x, spec: {host: host15, device: y}}");
    assert_eq!(
        refused,
        ["port x of tenant a_b: the name a_b.x on host host15 belongs to port x of tenant a b already; choose another"]
    );
    assert!(puts("{kind: tenant, name: c}").len() == 1 && "a b".parse::<ResourceName>().is_ok());
}
