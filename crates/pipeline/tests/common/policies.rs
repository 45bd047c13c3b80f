//! Policies as the tables hold them, made of rules the slow way: each property of a packet that a test may ask for has its
//! set. How a host makes them is `plan`'s business.

use std::collections::BTreeMap;

use pipeline::Address;
use pipeline::policy::{
    Direction, Matches, MemberKey, Policy, PolicyFlags, PrefixKey, Rule, RuleFlags, RuleKey, ServiceKey, WordKey, side,
};

/// Whom a rule is about.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Remote {
    Anybody,
    /// A prefix, its length counted from the beginning of the 128 bits.
    Prefix(Address, u32),
    /// Those with this number of security groups.
    Groups(u32),
}

/// A rule.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Told {
    pub direction: Direction,
    pub remote: Remote,
    pub protocol: Option<u8>,
    /// First and last port.
    pub ports: Option<(u16, u16)>,
    pub flags: RuleFlags,
}

impl Told {
    /// A rule that allows what it matches, of all protocols and with everybody.
    pub const fn allow(direction: Direction) -> Self {
        Self { direction, remote: Remote::Anybody, protocol: None, ports: None, flags: RuleFlags::ALLOW }
    }

    /// Whether the rule is about a packet.
    pub fn matches(&self, direction: Direction, remote: Address, groups: u32, protocol: u8, port: Option<u16>) -> bool {
        let remote = match self.remote {
            Remote::Anybody => true,
            Remote::Prefix(prefix, len) => common_bits(prefix, remote) >= len,
            Remote::Groups(number) => groups == number,
        };
        let ports = match (self.ports, port) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((first, last)), Some(port)) => (first..=last).contains(&port),
        };
        self.direction == direction && remote && self.protocol.is_none_or(|own| own == protocol) && ports
    }
}

fn common_bits(one: Address, other: Address) -> u32 {
    (u128::from_be_bytes(one.octets()) ^ u128::from_be_bytes(other.octets())).leading_zeros()
}

/// The tables of policies.
#[derive(Clone, Default, Debug)]
pub struct Policies {
    pub policies: BTreeMap<u32, Policy>,
    pub prefixes: Vec<(PrefixKey, Matches)>,
    pub members: BTreeMap<MemberKey, Matches>,
    pub services: Vec<(ServiceKey, Matches)>,
    pub words: BTreeMap<WordKey, u64>,
    pub rules: BTreeMap<RuleKey, Rule>,
    sets: u32,
}

impl Policies {
    /// Adds a policy.
    pub fn add(&mut self, number: u32, flags: PolicyFlags, told: &[Told]) {
        let mut policy = Policy { flags, rules: [0; 2] };
        for direction in [Direction::Egress, Direction::Ingress] {
            let rules: Vec<&Told> = told.iter().filter(|rule| rule.direction == direction).collect();
            policy.rules[direction as usize] = rules.len() as u32;
            self.add_side(side(number, direction), &rules);
        }
        self.policies.insert(number, policy);
    }

    fn add_side(&mut self, side: u32, rules: &[&Told]) {
        for (index, rule) in rules.iter().enumerate() {
            self.rules.insert(RuleKey { side, index: index as u32 }, Rule { flags: rule.flags });
        }
        let (bytes, base) = (side.to_be_bytes(), PrefixKey::SIDE_BITS);
        let mut prefixes: Vec<(Address, u32)> = rules
            .iter()
            .filter_map(|rule| match rule.remote {
                Remote::Prefix(prefix, len) => Some((prefix, len)),
                _ => None,
            })
            .chain([(Address::default(), 0)])
            .collect();
        prefixes.dedup();
        for (address, len) in prefixes {
            let met = |rule: &Told| match rule.remote {
                Remote::Anybody => true,
                Remote::Prefix(prefix, shorter) => shorter <= len && common_bits(prefix, address) >= shorter,
                Remote::Groups(_) => false,
            };
            let matches = self.set(rules, met);
            self.prefixes.push((PrefixKey { prefix_len: base + len, side: bytes, address }, matches));
        }
        for rule in rules {
            let Remote::Groups(groups) = rule.remote else { continue };
            let matches = self.set(rules, |rule| rule.remote == Remote::Groups(groups));
            self.members.insert(MemberKey { side, groups }, matches);
        }
        let any = self.set(rules, |rule| rule.protocol.is_none() && rule.ports.is_none());
        let key = ServiceKey { prefix_len: ServiceKey::SIDE_BITS, side: bytes, ..ServiceKey::default() };
        self.services.push((key, any));
        for protocol in 0..=u8::MAX {
            if !rules.iter().any(|rule| rule.protocol == Some(protocol)) {
                continue;
            }
            let of = |rule: &Told| rule.protocol.is_none_or(|own| own == protocol);
            let all = self.set(rules, |rule| of(rule) && rule.ports.is_none());
            let key =
                ServiceKey { prefix_len: ServiceKey::PROTOCOL_BITS, side: bytes, protocol, ..ServiceKey::default() };
            self.services.push((key, all));
            for port in 0..=u16::MAX {
                let within = |rule: &Told| rule.ports.is_some_and(|(first, last)| (first..=last).contains(&port));
                if rules.iter().any(|rule| of(rule) && within(rule)) {
                    let matches = self.set(rules, |rule| of(rule) && (rule.ports.is_none() || within(rule)));
                    self.services.push((ServiceKey::exact(side, protocol, port), matches));
                }
            }
        }
    }

    fn set(&mut self, rules: &[&Told], met: impl Fn(&Told) -> bool) -> Matches {
        self.sets += 1;
        let mut matches = Matches { set: self.sets, ..Matches::default() };
        for (index, _) in rules.iter().enumerate().filter(|(_, rule)| met(rule)) {
            let word = index as u32 / 64;
            *self.words.entry(WordKey { set: self.sets, word }).or_default() |= 1 << (index % 64);
            matches.summary[word as usize / 64] |= 1 << (word % 64);
        }
        matches
    }

    pub fn policy(&self, number: u32) -> Option<&Policy> {
        self.policies.get(&number)
    }

    pub fn prefix(&self, key: &PrefixKey) -> Option<&Matches> {
        let met = |one: &PrefixKey| {
            one.side == key.side && common_bits(one.address, key.address) >= one.prefix_len - PrefixKey::SIDE_BITS
        };
        self.prefixes.iter().filter(|(one, _)| met(one)).max_by_key(|(one, _)| one.prefix_len).map(|(_, found)| found)
    }

    pub fn member(&self, key: &MemberKey) -> Option<&Matches> {
        self.members.get(key)
    }

    pub fn service(&self, key: &ServiceKey) -> Option<&Matches> {
        let bits = |key: &ServiceKey| {
            let [a, b] = key.port;
            u32::from_be_bytes([key.protocol, a, b, 0])
        };
        let met = |one: &ServiceKey| {
            let common = (bits(one) ^ bits(key)).leading_zeros();
            one.side == key.side && one.prefix_len <= key.prefix_len && common >= one.prefix_len - ServiceKey::SIDE_BITS
        };
        self.services.iter().filter(|(one, _)| met(one)).max_by_key(|(one, _)| one.prefix_len).map(|(_, found)| found)
    }

    pub fn word(&self, key: &WordKey) -> Option<&u64> {
        self.words.get(key)
    }

    pub fn rule(&self, key: &RuleKey) -> Option<&Rule> {
        self.rules.get(key)
    }
}
