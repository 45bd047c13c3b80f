//! Asked as [`pipeline::policy`] says, the tables give what going through the rules one by one gives.

use std::net::IpAddr;

use ipnet::IpNet;
use model::security::{Action, Direction, IngressDefault, PortRange, Protocol, Remote};
use model::{AddressSet, Intent, LookupRecord, MacAddress, Port, QualifiedName, SecurityGroup, SecurityRule};
use pipeline::stages::security::{ALLOWED, Desk, LOGGED, Question, evaluate};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::compile::records::station_key;
use crate::{Facts, HostTables, Link, LinkKind, Settings, compile, to_address};

/// A packet as the rules see it.
#[derive(Clone, Debug)]
struct Flow {
    direction: Direction,
    remote: IpAddr,
    protocol: u8,
    /// Destination port, or ICMP type and code.
    port: u16,
    /// A fragment that says nothing of the port.
    fragment: bool,
}

/// What is decided: whether it passes, and whether that is told.
type Decision = (bool, bool);

/// Asks the tables, as the kernel does.
fn ask(tables: &HostTables, number: u32, groups: u32, flow: &Flow) -> Decision {
    if number == 0 {
        return (true, false);
    }
    let question = Question {
        policy: number,
        direction: super::content::side_of(flow.direction),
        remote: to_address(flow.remote),
        groups,
        protocol: flow.protocol,
        has_service: !flow.fragment,
        service: flow.port,
    };
    let mut desk = Desk::default();
    desk.question = question;
    let answer = evaluate(tables, &mut desk);
    (answer & ALLOWED != 0, answer & LOGGED != 0)
}

/// Goes through the rules as they are declared.
fn naive(intent: &Intent, of_port: &[QualifiedName], of_remote: &[QualifiedName], flow: &Flow) -> Decision {
    if of_port.is_empty() {
        return (true, false);
    }
    let mut names = of_port.to_vec();
    names.sort();
    let groups: Vec<&SecurityGroup> = names.iter().filter_map(|name| intent.security_group(name)).collect();
    let all = groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.direction == flow.direction);
    let mut rules: Vec<&SecurityRule> = all.collect();
    rules.sort_by_key(|rule| (rule.priority, rule.action == Action::Allow));
    if let Some(rule) = rules.into_iter().find(|rule| meets(intent, rule, of_remote, flow)) {
        return (rule.action == Action::Allow, rule.log);
    }
    let open = |group: &&SecurityGroup| match flow.direction {
        Direction::Egress => group.egress_default == Action::Allow,
        Direction::Ingress => match group.ingress_default {
            IngressDefault::Allow => true,
            IngressDefault::Deny => false,
            IngressDefault::SameGroup => of_remote.contains(&group.name),
        },
    };
    (groups.iter().any(open), false)
}

fn meets(intent: &Intent, rule: &SecurityRule, of_remote: &[QualifiedName], flow: &Flow) -> bool {
    let inside = |prefixes: &[IpNet]| prefixes.iter().any(|prefix| prefix.contains(&flow.remote));
    let remote = match &rule.remote {
        None => true,
        Some(Remote::Prefixes(prefixes)) => inside(prefixes),
        Some(Remote::AddressSet(name)) => intent.address_set(name).is_some_and(|set| inside(&set.prefixes)),
        Some(Remote::SecurityGroup(name)) => of_remote.contains(name),
    };
    let [upper, lower] = flow.port.to_be_bytes();
    let all_ports = PortRange::new(0, u16::MAX).unwrap();
    remote
        && rule.protocol.number().is_none_or(|number| number == flow.protocol)
        // All ports are those of a fragment as well.
        && (!flow.fragment || rule.icmp_type.is_none() && (rule.ports.is_empty() || rule.ports.contains(&all_ports)))
        && (rule.ports.is_empty() || rule.ports.iter().any(|range| (range.first()..=range.last()).contains(&flow.port)))
        && rule.icmp_type.is_none_or(|number| number == upper)
        && rule.icmp_code.is_none_or(|number| number == lower)
}

fn name(text: &str) -> QualifiedName {
    text.parse().unwrap()
}

fn any_name() -> impl Strategy<Value = QualifiedName> {
    select(vec!["a", "b", "c", "t/n/d"]).prop_map(name)
}

fn any_prefix() -> impl Strategy<Value = IpNet> {
    select(vec![
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.1.0/24",
        "10.1.1.1/32",
        "10.1.1.128/25",
        "192.168.0.0/16",
        "::/0",
        "::/80",
        "::/1",
        "fd00::/8",
        "fd00:1::/32",
        "fd00:1::1/128",
        "8000::/1",
    ])
    .prop_map(|text| text.parse().unwrap())
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let addresses = vec![
        "10.1.1.1",
        "10.1.1.200",
        "10.1.2.1",
        "10.2.0.1",
        "192.168.1.1",
        "8.8.8.8",
        "fd00:1::1",
        "fd00:1::2",
        "fd01::1",
        "2001:db8::1",
        "::1:2",
    ];
    let ports = vec![0, 1, 79, 80, 81, 443, 8000, 8050, 8100, 8101, 65535, 0x0800, 0x0801, 0x0300];
    let direction = select(vec![Direction::Ingress, Direction::Egress]);
    let fragment = prop::bool::weighted(0.1);
    (direction, select(addresses), select(vec![1, 6, 17, 47, 58, 132]), select(ports), fragment).prop_map(
        |(direction, remote, protocol, port, fragment)| {
            let remote = remote.parse().unwrap();
            Flow { direction, remote, protocol, port, fragment }
        },
    )
}

fn any_rule() -> impl Strategy<Value = SecurityRule> {
    let remote = prop_oneof![
        3 => vec(any_prefix(), 1..3).prop_map(Remote::Prefixes),
        1 => select(vec!["s", "t/n/s"]).prop_map(|set| Remote::AddressSet(name(set))),
        2 => any_name().prop_map(Remote::SecurityGroup),
    ];
    let protocol = select(vec!["any", "tcp", "udp", "icmp", "icmpv6", "47", "sctp"]);
    let ports = vec(select(vec!["80", "0", "80-443", "8000-8100", "1-65534", "0-65535", "443"]), 0..3);
    let icmp = (option::of(select(vec![8_u8, 3])), option::of(select(vec![0_u8, 1])));
    let priority = select(vec![10, 20, 1000]);
    let direction = prop_oneof![Just(Direction::Ingress), Just(Direction::Egress)];
    (direction, any::<bool>(), priority, (protocol, ports, icmp), option::weighted(0.8, remote), any::<bool>())
        .prop_map(|(direction, allow, priority, (protocol, ports, icmp), remote, log)| {
            let mut rule = SecurityRule::new(direction, if allow { Action::Allow } else { Action::Deny });
            rule.priority = priority;
            rule.protocol = protocol.parse::<Protocol>().unwrap();
            if rule.protocol.has_ports() {
                rule.ports = ports.iter().map(|range| range.parse::<PortRange>().unwrap()).collect();
            }
            if rule.protocol.is_icmp() {
                rule.icmp_type = icmp.0;
                rule.icmp_code = icmp.0.and(icmp.1);
            }
            rule.remote = remote;
            rule.log = log;
            // What the checks refuse is another test's.
            if rule.check().is_err() {
                rule.remote = None;
            }
            rule
        })
}

fn any_group() -> impl Strategy<Value = SecurityGroup> {
    let egress = select(vec![Action::Allow, Action::Deny]);
    let ingress = select(vec![IngressDefault::SameGroup, IngressDefault::Allow, IngressDefault::Deny]);
    (any_name(), prop_oneof![8 => vec(any_rule(), 0..12), 1 => vec(any_rule(), 60..200)], egress, ingress).prop_map(
        |(name, rules, egress_default, ingress_default)| SecurityGroup { name, rules, egress_default, ingress_default },
    )
}

/// Groups that a VM is in.
fn any_membership() -> impl Strategy<Value = Vec<QualifiedName>> {
    vec(any_name(), 0..4).prop_map(|mut names| {
        names.sort();
        names.dedup();
        names.reverse();
        names
    })
}

const MAC: &str = "06-06-00-00-00-05";
const REMOTE: &str = "06-06-00-00-00-06";

fn mac(text: &str) -> MacAddress {
    text.parse().unwrap()
}

/// A host with one port, and a VM elsewhere.
fn intent(
    groups: Vec<SecurityGroup>,
    sets: Vec<Vec<IpNet>>,
    of_port: &[QualifiedName],
    of_remote: &[QualifiedName],
) -> Intent {
    let mut port = Port::new("p".parse().unwrap(), "p".parse().unwrap(), mac(MAC), Some(Vsid::new(5001).unwrap()));
    port.security_groups = of_port.to_vec();
    let record = LookupRecord {
        vsid: Vsid::new(5001).unwrap(),
        customer_address: Some("10.0.0.6".parse().unwrap()),
        mac: mac(REMOTE),
        provider_address: "192.168.4.22".parse().unwrap(),
        rule: model::TranslationMethod::Encap,
        record_type: model::LookupRecordType::Static,
        vm_name: None,
        customer_id: None,
        context: None,
        security_groups: of_remote.to_vec(),
    };
    let groups: BTreeMap<QualifiedName, SecurityGroup> =
        groups.into_iter().map(|group| (group.name.clone(), group)).collect();
    let sets = ["s", "t/n/s"].into_iter().zip(sets).map(|(set, prefixes)| AddressSet { name: name(set), prefixes });
    let resources = [Resource::Port(port), Resource::LookupRecord(record)].into_iter();
    let resources =
        resources.chain(groups.into_values().map(Resource::SecurityGroup)).chain(sets.map(Resource::AddressSet));
    Intent::new(resources).unwrap()
}

fn facts() -> Facts {
    let kind = LinkKind::Tap;
    let link = Link { ifindex: 7, mtu: 1500, kind, mac: None, addresses: Vec::new(), up: true };
    Facts { links: BTreeMap::from([("p".parse().unwrap(), link)]), slots: BTreeMap::new() }
}

fn tables(intent: &Intent) -> HostTables {
    compile(intent, &facts(), &Settings::default()).tables
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_tables_decide_as_the_rules_one_by_one(
        groups in vec(any_group(), 0..5),
        sets in vec(vec(any_prefix(), 0..4), 0..3),
        of_port in any_membership(),
        of_remote in any_membership(),
        flows in vec(any_flow(), 40),
    ) {
        let intent = intent(groups, sets, &of_port, &of_remote);
        let tables = tables(&intent);
        let number = tables.ports[&7].policy;
        prop_assert_eq!(number == 0, of_port.is_empty());
        let remote = tables.stations[&station_key(Vsid::new(5001).unwrap(), mac(REMOTE))].groups;
        prop_assert_eq!(remote == 0, of_remote.is_empty());
        for flow in &flows {
            let expected = naive(&intent, &of_port, &of_remote, flow);
            prop_assert_eq!(ask(&tables, number, remote, flow), expected, "{:?}\n{:#?}", flow, tables);
        }
    }
}

#[test]
fn ten_thousand_rules_are_made_quickly_and_a_host_says_when_there_are_too_many() {
    let rule = |number: u32| {
        let mut rule = SecurityRule::new(Direction::Ingress, Action::Allow);
        rule.protocol = "tcp".parse().unwrap();
        rule.ports = vec![PortRange::new(number as u16, number as u16 + 10).unwrap()];
        let [_, _, a, b] = number.to_be_bytes();
        rule.remote = Some(Remote::Prefixes(vec![format!("10.{a}.{b}.0/24").parse().unwrap()]));
        rule
    };
    let mut group = SecurityGroup::new(name("large"));
    group.rules = (0..10_000).map(rule).collect();
    let intent = intent(vec![group.clone()], vec![], &[name("large")], &[name("large")]);
    let tables = tables(&intent);
    let flow = |third: u8, port| Flow {
        direction: Direction::Ingress,
        remote: format!("10.5.{third}.9").parse().unwrap(),
        protocol: 6,
        port,
        fragment: false,
    };
    let number = tables.ports[&7].policy;
    // Rule 5 * 256 + 7 is for the ports from 1287 to 1297.
    assert_eq!(ask(&tables, number, 0, &flow(7, 1297)), (true, false));
    assert_eq!(ask(&tables, number, 0, &flow(7, 1298)), (false, false));
    assert_eq!(tables.policies[&number].rules, [0, 10_001]);

    let mut more = group;
    more.name = name("more");
    let both = [name("large"), name("more")];
    let with_more = Intent::new(
        intent
            .resources()
            .cloned()
            .map(|resource| match resource {
                Resource::Port(mut port) => {
                    port.security_groups = both.to_vec();
                    Resource::Port(port)
                }
                other => other,
            })
            .chain([Resource::SecurityGroup(more)]),
    );
    let compiled = compile(&with_more.unwrap(), &facts(), &Settings::default());
    let refusals: Vec<String> =
        compiled.refusals().map(ToString::to_string).filter(|text| text.contains("rules")).collect();
    assert_eq!(
        refusals,
        [
            "port p: its security groups have 20002 rules for ingress together, and a port takes 16384; put it into fewer groups, or \
             replace rules by such with address sets and ranges of ports"
        ]
    );
}

#[test]
fn what_is_not_declared_opens_nothing_and_is_told() {
    let intent = intent(
        vec![SecurityGroup {
            rules: vec![
                "ingress allow any from set:nobody".parse().unwrap(),
                "ingress allow any from group:strangers".parse().unwrap(),
            ],
            ..SecurityGroup::new(name("a"))
        }],
        vec![],
        &[name("b"), name("a")],
        &[name("b")],
    );
    let compiled = compile(&intent, &facts(), &Settings::default());
    let said: Vec<String> =
        compiled.findings.iter().map(ToString::to_string).filter(|text| text.contains("group")).collect();
    assert_eq!(
        said,
        [
            "port p: there is no security group \"b\": it opens nothing, and a port that is in no other neither sends nor is sent \
             anything; declare it with \"netvirt create security-group\", or take the port out of it",
            "security-group a: its rules name address set \"nobody\", which is not there, and so they match nobody; declare it with \
             \"netvirt create address-set\"",
            "security-group a: its rules name security group \"strangers\", which is not declared here; correct the name if it is \
             not one of other hosts' VMs alone",
        ]
    );
    let flow = Flow {
        direction: Direction::Ingress,
        remote: "10.0.0.6".parse().unwrap(),
        protocol: 6,
        port: 80,
        fragment: false,
    };
    let number = compiled.tables.ports[&7].policy;
    let remote = compiled.tables.stations[&station_key(Vsid::new(5001).unwrap(), mac(REMOTE))].groups;
    assert_eq!(ask(&compiled.tables, number, remote, &flow), (false, false), "group b is not there to be the same");
}
