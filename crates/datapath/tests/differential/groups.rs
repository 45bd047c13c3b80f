//! Security groups for a random network: rules about what the frames are made of, and ports and records that are in groups.

use model::security::{Action, IngressDefault};
use model::{AddressSet, Change, Intent, QualifiedName, Resource, SecurityGroup};
use rand::Rng as _;
use rand::seq::IteratorRandom as _;
use rand_chacha::ChaCha8Rng;

/// Names of groups.
const GROUPS: [&str; 4] = ["web", "db", "ops", "all"];
/// What rules are put together from.
const PROTOCOLS: [&str; 8] = ["any", "tcp", "udp", "icmp", "icmpv6", "tcp 1-20000", "udp 0-33000", "47"];
/// See [`PROTOCOLS`].
const REMOTES: [&str; 8] =
    ["", "10.0.0.0/22", "10.0.0.0/29", "fd00::/16", "fd00::/126,172.17.0.0/16", "group:web", "group:db", "set:some"];

fn name(text: &str) -> QualifiedName {
    text.parse().expect("a name")
}

fn rule(rng: &mut ChaCha8Rng) -> String {
    let (direction, word) = if rng.random() { ("ingress", "from") } else { ("egress", "to") };
    let action = if rng.random_bool(0.6) { "allow" } else { "deny" };
    let protocol = PROTOCOLS.iter().choose(rng).expect("some");
    let remote = match *REMOTES.iter().choose(rng).expect("some") {
        "" => String::new(),
        remote => format!(" {word} {remote}"),
    };
    let log = if rng.random_bool(0.2) { " log" } else { "" };
    format!("{direction} {action} {protocol}{remote} priority {}{log}", rng.random_range(0..5))
}

/// With groups, most of the time.
pub fn with_groups(intent: &Intent, rng: &mut ChaCha8Rng) -> Intent {
    if rng.random_bool(0.3) {
        return intent.clone();
    }
    let set = AddressSet { name: name("some"), prefixes: vec!["10.0.1.0/24".parse().expect("a prefix")] };
    let mut changes = vec![Change::Set(Resource::AddressSet(set))];
    for group in GROUPS {
        let mut group = SecurityGroup::new(name(group));
        // Now and then more rules than one word of a set has.
        let count = if rng.random_bool(0.1) { rng.random_range(60..200) } else { rng.random_range(0..8) };
        // What contradicts itself, as ICMP from an IPv6 prefix, is no rule.
        group.rules = (0..count).filter_map(|_| rule(rng).parse().ok()).collect();
        group.egress_default = if rng.random_bool(0.6) { Action::Allow } else { Action::Deny };
        let defaults = [IngressDefault::SameGroup, IngressDefault::Allow, IngressDefault::Deny];
        group.ingress_default = *defaults.iter().choose(rng).expect("some");
        changes.push(Change::Set(Resource::SecurityGroup(group)));
    }
    let mut some = |most: usize| -> Vec<QualifiedName> {
        let count = rng.random_range(0..=most);
        GROUPS.iter().choose_multiple(rng, count).into_iter().map(|group| name(group)).collect()
    };
    for resource in intent.resources() {
        match resource {
            Resource::Port(port) if port.vsid.is_some() => {
                let mut port = port.clone();
                port.security_groups = some(2);
                changes.push(Change::Set(Resource::Port(port)));
            }
            Resource::LookupRecord(record) => {
                let mut record = record.clone();
                record.security_groups = some(2);
                changes.push(Change::Set(Resource::LookupRecord(record)));
            }
            _ => {}
        }
    }
    // What the network has of groups already would be named twice.
    let changes = changes.into_iter().filter(|change| {
        let key = change.key();
        !matches!(key.kind, model::Kind::SecurityGroup | model::Kind::AddressSet) || intent.get(&key).is_none()
    });
    intent.with(changes).unwrap_or_else(|errors| panic!("the groups contradict something: {errors:?}"))
}
