//! Whatever happened before, what is held is what the compiler makes of everything at once.

use std::sync::LazyLock;

use ipnet::IpNet;
use model::generators::UPLINK;
use model::security::IngressDefault;
use model::{
    AddressSet, CustomerRoute, DhcpScope, Key, MacAddress, PhysicalNetwork, QualifiedName, SecurityGroup, SecurityRule,
    TranslationMethod,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as Pick;

use super::*;
use crate::compile::domains::fnv1a;
use crate::{LinkKind, compile};

/// Two routing domains whose hashes meet, so that the number of the higher one depends on whether the lower one is there.
static MEETING: LazyLock<[RoutingDomainId; 2]> = LazyLock::new(|| {
    let mut seen = BTreeMap::new();
    (1_u128..)
        .find_map(|number| {
            // All bytes differ from one to the next: of such that differ in few, hashes seldom meet.
            let uuid = uuid::Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            let rdid = RoutingDomainId::new(uuid).unwrap();
            seen.insert(fnv1a(rdid.as_bytes()), rdid).map(|first| [first, rdid])
        })
        .unwrap()
});

/// Names of two security groups whose hashes as sets of one meet, and of another.
static GROUPS: LazyLock<[QualifiedName; 3]> = LazyLock::new(|| {
    let mut seen = BTreeMap::new();
    let [one, other] = (0_u32..)
        .find_map(|number| {
            let name: QualifiedName = format!("tenant/network/group{number}").parse().unwrap();
            let number = crate::compile::security::hash_of_groups([&name]);
            seen.insert(number, name.clone()).map(|first| [first, name])
        })
        .unwrap();
    [one, other, "web".parse().unwrap()]
});

/// What a history is made of: resources that agree for the most part, and the devices that ports and provider addresses
/// name.
#[derive(Clone, Debug)]
struct Pool {
    resources: Vec<Resource>,
    devices: Vec<Name>,
}

/// One event of a history.
#[derive(Clone, Debug)]
enum Event {
    /// Resources are put and deleted.
    Change { puts: Vec<Pick>, deletes: Vec<Pick> },
    /// A device is another one, or gone.
    Link { device: Pick, link: Option<(u8, u16, u8)> },
    /// All customer routes of a subnet come, or go.
    Subnet { like: Pick, come: bool },
    /// All customer routes of a routing domain come, or go.
    Domain { like: Pick, come: bool },
    /// All devices come.
    Links,
    /// What was done last is taken back.
    Undo,
    /// What was done last is in force.
    Settle,
}

fn any_names() -> impl Strategy<Value = Vec<QualifiedName>> {
    proptest::sample::subsequence(GROUPS.to_vec(), 0..=3)
}

/// A security group as it may be, among others with one of these names.
fn any_group() -> impl Strategy<Value = SecurityGroup> {
    let name = proptest::sample::select(GROUPS.to_vec());
    let rules = proptest::sample::subsequence(RULES.to_vec(), 0..=RULES.len());
    let ingress = prop_oneof![Just(IngressDefault::SameGroup), Just(IngressDefault::Allow)];
    (name, rules, ingress).prop_map(|(name, rules, ingress_default)| SecurityGroup {
        rules: rules.into_iter().map(rule).collect(),
        ingress_default,
        ..SecurityGroup::new(name)
    })
}

const RULES: [&str; 6] = [
    "ingress allow tcp 80-443 from 10.0.0.0/8",
    "ingress deny any from set:set",
    "egress deny udp 53 to set:set priority 7 log",
    "ingress allow any from group:0",
    "egress allow any to group:1 priority 3",
    "ingress allow icmp 8/0 from group:web",
];

/// The rule, with the names of the groups that meet for their numbers.
fn rule(text: &str) -> SecurityRule {
    let rule: SecurityRule = text.parse().unwrap();
    rule.renamed(|name| match name.as_str() {
        "0" => GROUPS[0].clone(),
        "1" => GROUPS[1].clone(),
        _ => name.clone(),
    })
}

/// Resources in groups, and the groups, as they may be.
fn secured(resources: &mut Vec<Resource>, groups: Vec<SecurityGroup>, memberships: &[Vec<QualifiedName>]) {
    let mut others = Vec::new();
    for (resource, names) in resources.iter_mut().zip(memberships.iter().cycle()) {
        let before = resource.clone();
        match resource {
            Resource::Port(port) if port.vsid.is_some() => port.security_groups.clone_from(names),
            Resource::LookupRecord(record) => record.security_groups.clone_from(names),
            _ => continue,
        }
        // As it is in no groups, as well.
        others.push(before);
    }
    resources.extend(others);
    resources.extend(groups.into_iter().map(Resource::SecurityGroup));
    for prefixes in [&["10.0.0.0/24", "fd00::/64"][..], &["0.0.0.0/0"], &[]] {
        let prefixes = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
        resources.push(Resource::AddressSet(AddressSet { name: "set".parse().unwrap(), prefixes }));
    }
}

fn any_pool() -> impl Strategy<Value = Pool> {
    let security = (vec(any_group(), 0..8), vec(any_names(), 1..8));
    (vec(Intent::any(), 2..4), any::<bool>(), security).prop_map(|(intents, meet, (groups, memberships))| {
        let mut resources: Vec<Resource> = intents.iter().flat_map(|intent| intent.resources().cloned()).collect();
        let vsids: BTreeSet<Vsid> = intents.iter().flat_map(|i| i.customer_routes().map(|route| route.vsid)).collect();
        for (index, vsid) in vsids.into_iter().enumerate() {
            let prefix: IpNet = if index % 2 == 0 { "10.0.0.0/24" } else { "fd00::/64" }.parse().unwrap();
            resources.push(Resource::DhcpScope(scope(Some(vsid), None, prefix)));
        }
        let physical = PhysicalNetwork { interface: UPLINK.parse().unwrap(), vlan: None };
        resources.push(Resource::DhcpScope(scope(None, Some(physical.clone()), "192.168.4.0/24".parse().unwrap())));
        let mut joined = model::Port::new(
            "joined".parse().unwrap(),
            "joined".parse().unwrap(),
            "06-06-09-00-00-01".parse().unwrap(),
            None,
        );
        joined.physical = Some(physical);
        resources.push(Resource::Port(joined));
        resources.extend(ports_of_plain_records(&intents));
        secured(&mut resources, groups, &memberships);
        if meet {
            for resource in &mut resources {
                if let Resource::CustomerRoute(route) = resource {
                    let tenant = (route.vsid.get() / 1000) as usize;
                    route.rdid = MEETING.get(tenant % 3).copied().unwrap_or(route.rdid);
                }
            }
        }
        let named = resources.iter().filter_map(|resource| match resource {
            Resource::Port(port) => Some(port.device.clone()),
            _ => None,
        });
        let devices: BTreeSet<Name> = named.chain([UPLINK.parse().unwrap()]).collect();
        Pool { resources, devices: devices.into_iter().collect() }
    })
}

/// A port for each VM whose packets are not encapsulated: it decides whether the VM is on this host.
fn ports_of_plain_records(intents: &[Intent]) -> Vec<Resource> {
    let records = intents.iter().flat_map(Intent::lookup_records);
    let plain = records.filter(|record| record.rule != TranslationMethod::Encap);
    let stations: BTreeSet<(Vsid, MacAddress)> = plain.map(|record| (record.vsid, record.mac)).collect();
    let ports = (0..).zip(stations).map(|(number, (vsid, mac))| {
        let name: Name = format!("plain-vm{number}").parse().unwrap();
        Resource::Port(model::Port::new(name.clone(), name, mac, Some(vsid)))
    });
    ports.collect()
}

fn scope(vsid: Option<Vsid>, physical: Option<PhysicalNetwork>, prefix: IpNet) -> DhcpScope {
    DhcpScope {
        vsid,
        physical,
        prefix,
        gateway: None,
        dns_servers: vec![],
        dns_suffixes: vec![],
        routes: vec![],
        lease_time: model::LeaseTime::default(),
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let picks = |range| vec(any::<Pick>(), range);
    let link = prop::option::weighted(0.8, (0..6_u8, 1280..2000_u16, any::<u8>()));
    prop_oneof![
        6 => (picks(1..4), picks(0..2)).prop_map(|(puts, deletes)| Event::Change { puts, deletes }),
        2 => picks(1..6).prop_map(|deletes| Event::Change { puts: vec![], deletes }),
        2 => (picks(8..60), picks(0..2)).prop_map(|(puts, deletes)| Event::Change { puts, deletes }),
        5 => (any::<Pick>(), link).prop_map(|(device, link)| Event::Link { device, link }),
        2 => (any::<Pick>(), any::<bool>()).prop_map(|(like, come)| Event::Subnet { like, come }),
        2 => (any::<Pick>(), any::<bool>()).prop_map(|(like, come)| Event::Domain { like, come }),
        1 => Just(Event::Links),
        1 => Just(Event::Undo),
        4 => Just(Event::Settle),
    ]
}

impl Pool {
    /// A device as it may be; each has a few interface indexes of its own, as if it were made anew.
    fn link(&self, device: &Name, (again, mtu, kind): (u8, u16, u8)) -> Link {
        let place = self.devices.iter().position(|name| name == device).unwrap_or(0) as u32;
        let kind = match kind % 3 {
            0 => LinkKind::Tap,
            other => LinkKind::Veth { peer_in_other_namespace: other == 1 },
        };
        let uplink = device.as_str() == UPLINK;
        let addresses = if uplink && again > 0 { &["192.168.4.10/24", "fd01:0:0:4::10/64"][..] } else { &[] };
        Link {
            // The order of the indexes is not that of the names.
            ifindex: 2 + (place * 7 + u32::from(again) * 13) % 97 + 100 * place,
            mtu: mtu.into(),
            up: mtu % 5 != 0,
            kind,
            mac: (again % 2 == 1).then(|| MacAddress::new([2, 0, 0, 0, 1, place as u8]).unwrap()),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    /// The changes that bring customer routes of the pool, or take those that are there.
    fn routes(&self, intent: &Intent, come: bool, is_one: impl Fn(&CustomerRoute) -> bool) -> Vec<Change> {
        let is_one = |resource: &&Resource| matches!(resource, Resource::CustomerRoute(route) if is_one(route));
        let changes: BTreeMap<Key, Change> = if come {
            let routes = self.resources.iter().filter(is_one);
            routes.map(|route| (route.key(), Change::Set(route.clone()))).collect()
        } else {
            let keys = intent.resources().filter(is_one).map(Resource::key);
            keys.map(|key| (key.clone(), Change::Delete(key))).collect()
        };
        changes.into_values().collect()
    }

    /// The changes or links of an event.
    fn what(&self, live: &mut Live, event: &Event) -> Option<Result<Update, Vec<IntentError>>> {
        let routes: Vec<&CustomerRoute> = self
            .resources
            .iter()
            .filter_map(|resource| match resource {
                Resource::CustomerRoute(route) => Some(route),
                _ => None,
            })
            .collect();
        let like = |pick: &Pick| (!routes.is_empty()).then(|| *pick.get(&routes));
        let changes = match event {
            Event::Change { puts, deletes } => self.changes(live.intent(), puts, deletes),
            Event::Subnet { like: pick, come } => {
                let vsid = like(pick)?.vsid;
                self.routes(live.intent(), *come, |route| route.vsid == vsid)
            }
            Event::Domain { like: pick, come } => {
                let rdid = like(pick)?.rdid;
                self.routes(live.intent(), *come, |route| route.rdid == rdid)
            }
            Event::Link { device, link } => {
                let device = device.get(&self.devices).clone();
                let link = link.map(|link| self.link(&device, link));
                return Some(Ok(live.observe([(device, link)])));
            }
            Event::Links => {
                let links = self.devices.iter().map(|device| (device.clone(), Some(self.link(device, (1, 1500, 1)))));
                return Some(Ok(live.observe(links)));
            }
            Event::Undo | Event::Settle => return None,
        };
        Some(live.update(changes))
    }

    fn changes(&self, intent: &Intent, puts: &[Pick], deletes: &[Pick]) -> Vec<Change> {
        let keys: Vec<Key> = intent.resources().map(Resource::key).collect();
        let deletes = deletes.iter().filter(|_| !keys.is_empty()).map(|pick| Change::Delete(pick.get(&keys).clone()));
        let puts = puts.iter().map(|pick| Change::Set(pick.get(&self.resources).clone()));
        let by_key: BTreeMap<Key, Change> = deletes.chain(puts).map(|change| (change.key(), change)).collect();
        by_key.into_values().collect()
    }
}

/// What is held is what the compiler makes, and what is counted is what is there.
fn check(live: &Live) -> Result<(), TestCaseError> {
    let given = &live.given;
    // Its tables, findings and ports are the compiler's.
    let anew = Live::new(given.intent.clone(), given.facts.clone(), given.settings);
    prop_assert_eq!(live.tables(), anew.tables());
    prop_assert_eq!(live.ports(), anew.ports());
    prop_assert_eq!(&live.state.census, &anew.state.census);
    prop_assert_eq!(&live.state.bound, &anew.state.bound);
    prop_assert_eq!(&live.state.slots, &anew.state.slots);
    prop_assert_eq!(&live.state.speaking, &anew.state.speaking);
    prop_assert_eq!(&live.state.findings, &anew.state.findings);
    prop_assert_eq!(&given.numbers, &anew.given.numbers);
    prop_assert_eq!(&given.security, &anew.given.security);
    Ok(())
}

/// What an update says is what happened.
fn check_update(before: &Live, live: &Live, update: &Update) -> Result<(), TestCaseError> {
    let mut tables = before.tables().clone();
    tables.apply(&update.changes);
    prop_assert_eq!(&tables, live.tables());
    prop_assert_eq!(&update.changes, &diff(before.tables(), live.tables()));
    let (old, new) = (before.findings(), live.findings());
    let mut expected: Vec<Finding> = new.into_iter().filter(|finding| !old.contains(finding)).collect();
    let mut found = update.findings.clone();
    expected.sort();
    found.sort();
    prop_assert_eq!(found, expected);
    let names = before.ports().keys().chain(live.ports().keys());
    let differ: BTreeSet<Name> =
        names.filter(|name| before.ports().get(*name) != live.ports().get(*name)).cloned().collect();
    prop_assert_eq!(&update.ports, &differ);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_history_leads_where_compiling_its_outcome_leads(pool in any_pool(), events in vec(any_event(), 1..40)) {
        let mut live = Live::new(Intent::default(), Facts::default(), Settings::default());
        // What the last update can be taken back to.
        let mut last: Option<(Live, Update)> = None;
        for event in events {
            match (&event, last.take()) {
                (Event::Undo, Some((earlier, update))) => {
                    live.undo(update);
                    prop_assert_eq!(live.intent(), earlier.intent());
                    prop_assert_eq!(live.facts(), earlier.facts());
                    prop_assert_eq!(live.tables(), earlier.tables());
                    check(&live)?;
                }
                // Each update is settled or taken back before the next one.
                (_, Some((_, update))) => {
                    live.settle(&update);
                    check(&live)?;
                }
                (_, None) => {}
            }
            let before = live.clone();
            let update = match pool.what(&mut live, &event) {
                Some(Ok(update)) => update,
                Some(Err(_)) => {
                    prop_assert_eq!(live.intent(), before.intent());
                    prop_assert_eq!(live.tables(), before.tables());
                    continue;
                }
                None => continue,
            };
            check(&live)?;
            check_update(&before, &live, &update)?;
            last = Some((before, update));
        }
        let compiled = compile(live.intent(), live.facts(), &Settings::default());
        prop_assert_eq!(live.tables(), &compiled.tables);
        prop_assert_eq!(live.ports(), &compiled.ports);
        prop_assert_eq!(live.findings(), compiled.findings);
    }
}
