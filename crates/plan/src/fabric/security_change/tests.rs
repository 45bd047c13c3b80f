//! What is said to open and close is what opens and closes, as asking both policies packet by packet shows.

use std::net::IpAddr;

use model::security::Protocol;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::budget::MAX_STEPS;
use super::*;

fn name(text: &str) -> ResourceName {
    text.parse().unwrap()
}

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn sets() -> AddressSets {
    let office = ["10.2.0.0/16", "fd00::/64"].map(|text| text.parse().unwrap());
    AddressSets::from([(name("office"), office.to_vec())])
}

/// What a change from these rules to those opens and closes, in words.
fn said(before: &[&str], after: &[&str]) -> Vec<String> {
    let (before, after) = (rules(before), rules(after));
    let of = |rules| Policy { rules, defaults: Security::default() };
    words(&security_change(&name("own"), &of(&before), &of(&after), &sets()).unwrap())
}

fn words(reaches: &[Reach]) -> Vec<String> {
    let service = |services: &Services| match services {
        Services::AllBut(but) if but.is_empty() => "all".to_owned(),
        Services::AllBut(but) => {
            format!("all but {}", but.iter().map(ToString::to_string).collect::<Vec<_>>().join("+"))
        }
        Services::Of { protocol, ranges } => {
            let ranges: Vec<String> = ranges.iter().map(|(first, last)| format!(" {first}-{last}")).collect();
            format!("{protocol}{}", ranges.concat())
        }
    };
    let one = |reach: &Reach| {
        let span = |span: &Span| {
            let except: Vec<String> = span.except.iter().map(|prefix| format!(" without {prefix}")).collect();
            format!(" {}{}", span.prefix, except.concat())
        };
        let peers = &reach.peers;
        let addresses: String =
            if peers.is_everywhere() { " *".to_owned() } else { peers.addresses.iter().map(span).collect() };
        let members: String = peers.members_of.iter().map(|name| format!(" in {name}")).collect();
        let others: String = peers.not_members_of.iter().map(|name| format!(" not in {name}")).collect();
        let services: Vec<String> = reach.services.iter().map(service).collect();
        let sign = if reach.opens { '+' } else { '-' };
        format!("{sign}{} {}:{addresses}{members}{others}", reach.direction, services.join(", "))
    };
    reaches.iter().map(one).collect()
}

#[test]
fn a_rule_opens_what_it_says_and_nothing_that_was_open() {
    assert_eq!(said(&[], &["ingress allow tcp 80,443"]), ["+ingress tcp 80-80 443-443: * not in own"]);
    assert_eq!(
        said(&["ingress allow tcp 1-100"], &["ingress allow tcp 80-200"]),
        ["+ingress tcp 101-200: * not in own", "-ingress tcp 1-79: * not in own"]
    );
    assert_eq!(said(&["ingress allow tcp 80"], &["ingress allow tcp 80 log", "egress allow udp 53"]), [""; 0]);
}

#[test]
fn what_denies_comes_before_what_allows_and_a_lower_number_before_both() {
    let open = "ingress allow tcp 22 from 10.0.0.0/8";
    assert_eq!(
        said(&[open], &[open, "ingress deny tcp from 10.1.0.0/16"]),
        ["-ingress tcp 0-21 23-65535: 10.1.0.0/16 in own", "-ingress tcp 22-22: 10.1.0.0/16",]
    );
    assert_eq!(said(&[open, "ingress deny tcp 22"], &["ingress deny tcp 22"]), [""; 0]);
    let first = "ingress allow tcp 22 from 10.0.0.0/8 priority 10";
    assert_eq!(said(&["ingress deny any"], &["ingress deny any", first]), ["+ingress tcp 22-22: 10.0.0.0/8"]);
}

#[test]
fn addresses_are_said_with_what_is_not_meant() {
    let inner = "egress allow any to 10.0.0.0/8 priority 5";
    assert_eq!(said(&[inner], &[inner, "egress deny any"]), ["-egress all: 0.0.0.0/0 without 10.0.0.0/8 ::/0"]);
    assert_eq!(said(&[], &["egress deny udp to set:office"]), ["-egress udp: 10.2.0.0/16 fd00::/64"]);
    assert_eq!(said(&[], &["egress deny udp to set:nobody"]), [""; 0]);
}

#[test]
fn members_of_groups_are_told_apart() {
    let web = "ingress allow any from group:web";
    assert_eq!(said(&[], &[web]), ["+ingress all: * in web not in own"]);
    assert_eq!(said(&[web], &[web, "ingress deny icmp"]), ["-ingress icmp: * in own", "-ingress icmp: * in web"]);
    let closed = Policy { rules: &[], defaults: Security { ingress: IngressDefault::Deny, ..Security::default() } };
    let same = Policy { rules: &[], defaults: Security::default() };
    let change = |before, after| words(&security_change(&name("own"), before, after, &sets()).unwrap());
    assert_eq!(change(&same, &closed), ["-ingress all: * in own"]);
    assert_eq!(change(&Policy::NOTHING, &same), ["+ingress all: * in own", "+egress all: *"]);
}

#[test]
fn a_comparison_that_would_take_long_is_not_begun() {
    let many: Vec<String> = (0..6000).map(|port| format!("ingress allow tcp {port}")).collect();
    let many = rules(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let policy = Policy { rules: &many, defaults: Security::default() };
    assert_eq!(security_change(&name("own"), &policy, &policy, &sets()), None);
}

/// Rules from groups of so many names, which allow and deny in turn.
fn of_groups(count: usize) -> Vec<String> {
    let action = |group: usize| if group.is_multiple_of(2) { "allow" } else { "deny" };
    (0..count)
        .map(|group| format!("ingress {} tcp 80 from group:g{group} priority {}", action(group), group + 1))
        .collect()
}

#[test]
fn what_many_groups_in_another_order_decide_is_too_much_to_say() {
    let rules = |texts: Vec<String>| rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let ahead = rules(of_groups(300));
    let mut turned = ahead.clone();
    let priorities: Vec<u16> = ahead.iter().rev().map(|rule| rule.priority).collect();
    turned.iter_mut().zip(priorities).for_each(|(rule, priority)| rule.priority = priority);
    let policy = |rules| Policy { rules, defaults: Security::default() };
    let mut budget = Budget::new();
    // It ends since each of its steps is paid for, not since somebody looks at a clock.
    assert_eq!(within(&name("own"), &policy(&ahead), &policy(&turned), &sets(), &mut budget), None);
    assert!(budget.spent() <= MAX_STEPS);

    // As many in their order, and one more, are said.
    let more = [ahead.clone(), self::rules(&["ingress allow tcp 22 from group:g7"])].concat();
    let mut budget = Budget::new();
    let reaches = within(&name("own"), &policy(&ahead), &policy(&more), &sets(), &mut budget).unwrap();
    assert_eq!(words(&reaches), ["+ingress tcp 22-22: * in g7 not in own"]);
    assert!(budget.spent() < MAX_STEPS / 10, "{}", budget.spent());
    let allowing: Vec<String> = (0..150).map(|group| format!("ingress allow tcp 80 from group:g{group:03}")).collect();
    let (open, closed) = (rules(allowing.clone()), self::rules(&["ingress deny tcp 80"]));
    let reaches = security_change(&name("own"), &policy(&open), &policy(&[open.clone(), closed].concat()), &sets());
    assert_eq!(reaches.unwrap().len(), 151, "each group, and the group itself");
}

#[test]
fn a_chain_of_questions_ends_before_the_stack_does() {
    let many: Vec<String> = (0..4000).map(|group| format!("ingress allow any from group:g{group}")).collect();
    let many = rules(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let (before, after) = (many.get(1..).unwrap(), many.as_slice());
    let of = |rules| Policy { rules, defaults: Security::default() };
    assert_eq!(security_change(&name("own"), &of(before), &of(after), &sets()), None);
}

/// A packet as rules see it.
#[derive(Clone, Debug)]
struct Packet {
    direction: Direction,
    address: IpAddr,
    groups: Vec<ResourceName>,
    protocol: u8,
    port: u16,
}

/// Goes through the rules as they are declared.
fn passes(policy: &Policy<'_>, packet: &Packet) -> bool {
    let mut rules: Vec<&Rule> = policy.rules.iter().filter(|rule| rule.direction == packet.direction).collect();
    rules.sort_by_key(|rule| (rule.priority, rule.action == Action::Allow));
    if let Some(rule) = rules.into_iter().find(|rule| is_about(rule, packet)) {
        return rule.action == Action::Allow;
    }
    match packet.direction {
        Direction::Egress => policy.defaults.egress == Action::Allow,
        Direction::Ingress => match policy.defaults.ingress {
            IngressDefault::Allow => true,
            IngressDefault::Deny => false,
            IngressDefault::SameGroup => packet.groups.contains(&name("own")),
        },
    }
}

fn is_about(rule: &Rule, packet: &Packet) -> bool {
    let has = |prefixes: &[IpNet]| prefixes.iter().any(|prefix| prefix.contains(&packet.address));
    let remote = match &rule.remote {
        None => true,
        Some(Remote::Prefixes(prefixes)) => has(prefixes),
        Some(Remote::AddressSet(set)) => sets().get(set).is_some_and(|prefixes| has(prefixes)),
        Some(Remote::SecurityGroup(group)) => packet.groups.contains(group),
    };
    let [kind, code] = packet.port.to_be_bytes();
    remote
        && rule.protocol.number().is_none_or(|number| number == packet.protocol)
        && (rule.ports.is_empty()
            || rule.ports.iter().any(|ports| (ports.first()..=ports.last()).contains(&packet.port)))
        && rule.icmp_type.is_none_or(|wanted| wanted == kind)
        && rule.icmp_code.is_none_or(|wanted| wanted == code)
}

/// Whether a packet is among what was said.
fn is_said(reach: &Reach, packet: &Packet) -> bool {
    let service = |services: &Services| match services {
        Services::AllBut(but) => !but.contains(&Protocol::new(packet.protocol)),
        Services::Of { protocol, ranges } => {
            protocol.number() == Some(packet.protocol)
                && (ranges.is_empty() || ranges.iter().any(|(first, last)| (first..=last).contains(&&packet.port)))
        }
    };
    let there = |span: &Span| {
        span.prefix.contains(&packet.address) && !span.except.iter().any(|prefix| prefix.contains(&packet.address))
    };
    reach.direction == packet.direction
        && reach.services.iter().any(service)
        && reach.peers.addresses.iter().any(there)
        && reach.peers.members_of.iter().all(|group| packet.groups.contains(group))
        && !reach.peers.not_members_of.iter().any(|group| packet.groups.contains(group))
}

fn any_remote() -> impl Strategy<Value = Remote<ResourceName>> {
    let prefixes =
        ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.2.0.0/16", "fd00::/48", "fd00::/64", "::/0"];
    prop_oneof![
        subsequence(prefixes.to_vec(), 1..4)
            .prop_map(|texts| Remote::Prefixes(texts.into_iter().map(|text| text.parse().unwrap()).collect())),
        Just(Remote::AddressSet(name("office"))),
        select(vec!["own", "web", "db"]).prop_map(|text| Remote::SecurityGroup(name(text))),
    ]
}

prop_compose! {
    fn any_rule()(
        egress in any::<bool>(), deny in any::<bool>(), priority in select(vec![10u16, 20, 1000]),
        service in select(vec!["any", "tcp", "tcp 22", "tcp 80-90,443", "udp", "udp 53", "icmp", "icmp 8", "icmp 8/0"]),
        remote in option::of(any_remote()), log in any::<bool>(),
    ) -> Rule {
        let direction = if egress { "egress" } else { "ingress" };
        let action = if deny { "deny" } else { "allow" };
        let mut rule: Rule = format!("{direction} {action} {service} priority {priority}").parse().unwrap();
        rule.remote = remote;
        rule.log = log;
        rule
    }
}

fn any_defaults() -> impl Strategy<Value = Security> {
    let ingress = select(vec![IngressDefault::SameGroup, IngressDefault::Allow, IngressDefault::Deny]);
    (any::<bool>(), ingress)
        .prop_map(|(open, ingress)| Security { egress: if open { Action::Allow } else { Action::Deny }, ingress })
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let addresses =
        ["10.1.2.3", "10.1.3.1", "10.2.0.0", "10.255.255.255", "11.0.0.0", "fd00::1", "fd00:0:0:1::", "fd01::"];
    let ports = vec![0u16, 21, 22, 23, 53, 79, 80, 85, 90, 91, 443, 0x0800, 0x0801, 0x0900, 65535];
    let groups = subsequence(vec!["own", "web", "db"], 0..=3);
    (any::<bool>(), select(addresses.to_vec()), groups, select(vec![1u8, 6, 17, 47]), select(ports)).prop_map(
        |(egress, address, groups, protocol, port)| Packet {
            direction: if egress { Direction::Egress } else { Direction::Ingress },
            address: address.parse().unwrap(),
            groups: groups.into_iter().map(name).collect(),
            protocol,
            port,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn exactly_what_differs_is_said(
        kept in vec(any_rule(), 0..4), gone in vec(any_rule(), 0..3), new in vec(any_rule(), 0..3),
        defaults in any_defaults(), others in option::of(any_defaults()), packets in vec(any_packet(), 60),
    ) {
        let old: Vec<Rule> = gone.into_iter().chain(kept.iter().cloned()).collect();
        let new: Vec<Rule> = kept.into_iter().chain(new).collect();
        let before = Policy { rules: &old, defaults };
        let after = Policy { rules: &new, defaults: others.unwrap_or(defaults) };
        let reaches = security_change(&name("own"), &before, &after, &sets()).unwrap();
        for packet in packets {
            let told = |opens: bool| reaches.iter().any(|reach| reach.opens == opens && is_said(reach, &packet));
            let (was, is) = (passes(&before, &packet), passes(&after, &packet));
            prop_assert_eq!(told(true), !was && is, "opens: {:?}\n{:#?}", packet, words(&reaches));
            prop_assert_eq!(told(false), was && !is, "closes: {:?}\n{:#?}", packet, words(&reaches));
        }
    }

    #[test]
    fn nothing_is_said_of_the_same(rules in vec(any_rule(), 0..6), defaults in any_defaults()) {
        let mut turned = rules.clone();
        turned.reverse();
        let reaches = security_change(
            &name("own"), &Policy { rules: &rules, defaults }, &Policy { rules: &turned, defaults }, &sets(),
        );
        prop_assert_eq!(reaches, Some(Vec::new()));
    }
}
