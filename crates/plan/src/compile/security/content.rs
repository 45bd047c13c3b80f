//! What the security groups of a port say together: for each direction one list of rules, in the order in which they
//! decide.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ipnet::IpNet;
use model::security::{Action, Direction, IngressDefault, Remote};
use model::{Intent, Port, QualifiedName, SecurityGroup, SecurityRule};
use pipeline::policy::{self, MAX_RULES, PolicyFlags, RuleFlags};

/// The security groups that a port or a VM is in, in their order, each once.
pub(crate) type GroupSet = Arc<[QualifiedName]>;

/// Groups as a set.
pub(crate) fn group_set<'a>(names: impl IntoIterator<Item = &'a QualifiedName>) -> GroupSet {
    let mut names: Vec<QualifiedName> = names.into_iter().cloned().collect();
    names.sort_unstable();
    names.dedup();
    names.into()
}

/// The other side of a rule.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Whom {
    Everybody,
    Prefixes(Vec<IpNet>),
    /// By name, since many rules may name one large set.
    AddressSet(QualifiedName),
    Group(QualifiedName),
}

/// Services whose numbers (protocol, then port or ICMP type and code) begin with the same bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Service {
    /// Protocol in the upper 8 of 24 bits, the port in the others; 0 behind the length.
    pub(crate) value: u32,
    /// How many of the 24 bits count.
    pub(crate) length: u32,
}

/// One rule in its place.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Listed {
    pub(crate) flags: u32,
    pub(crate) services: Vec<Service>,
    pub(crate) whom: Whom,
}

/// What groups say together.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Content {
    /// See [`policy::Policy::flags`].
    pub(crate) flags: u32,
    /// By [`policy::Direction`].
    pub(crate) sides: [Vec<Listed>; 2],
    /// The address sets that the rules name.
    pub(crate) sets: BTreeMap<QualifiedName, Vec<IpNet>>,
    /// How many rules there are beyond [`MAX_RULES`], of each direction; these are left out.
    pub(crate) beyond: [usize; 2],
}

/// The rules of groups in the order in which they decide: by priority, what denies before what allows, then by group and
/// place in it.
fn in_order<'a>(groups: &[&'a SecurityGroup]) -> Vec<(&'a SecurityGroup, &'a SecurityRule)> {
    let mut rules: Vec<_> =
        groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (*group, rule))).collect();
    // Stable: the groups are in the order of their names, and the rules in theirs.
    rules.sort_by_key(|(_, rule)| (rule.priority, rule.action == Action::Allow));
    rules
}

/// The rule of a port's policy at a place in the list of a direction, in words, with the group that it is of.
pub fn rule_at(intent: &Intent, port: &Port, direction: policy::Direction, index: usize) -> Option<String> {
    let names = group_set(&port.security_groups);
    let groups: Vec<&SecurityGroup> = names.iter().filter_map(|name| intent.security_group(name)).collect();
    let rules = in_order(&groups).into_iter().filter(|(_, rule)| side_of(rule.direction) == direction);
    let declared = rules.map(|(group, rule)| (group, Some(rule)));
    let members = groups.iter().filter(|group| group.ingress_default == IngressDefault::SameGroup);
    let members = members.filter(|_| direction == policy::Direction::Ingress).map(|group| (*group, None));
    declared.chain(members).nth(index).map(|(group, rule)| match rule {
        Some(rule) => format!("{rule} (security group {})", group.name),
        None => format!("members of the same security group {}", group.name),
    })
}

/// The place of a direction in the tables.
pub(crate) const fn side_of(direction: Direction) -> policy::Direction {
    match direction {
        Direction::Ingress => policy::Direction::Ingress,
        Direction::Egress => policy::Direction::Egress,
    }
}

impl Content {
    /// What these groups say. One that is not declared says nothing, and so opens nothing.
    pub(crate) fn of(intent: &Intent, names: &GroupSet) -> Self {
        let groups: Vec<&SecurityGroup> = names.iter().filter_map(|name| intent.security_group(name)).collect();
        let egress = groups.iter().any(|group| group.egress_default == Action::Allow);
        let ingress = groups.iter().any(|group| group.ingress_default == IngressDefault::Allow);
        let mut flags = PolicyFlags::NONE;
        for (_, flag) in
            [(egress, PolicyFlags::EGRESS), (ingress, PolicyFlags::INGRESS)].into_iter().filter(|(set, _)| *set)
        {
            flags = flags.with(flag);
        }
        let mut content = Self { flags: flags.0, ..Self::default() };
        content.list(&groups);
        for group in groups.iter().filter(|group| group.ingress_default == IngressDefault::SameGroup) {
            let flags = RuleFlags::ALLOW.0;
            let listed = Listed { flags, services: services_of_protocol(None), whom: Whom::Group(group.name.clone()) };
            content.sides[policy::Direction::Ingress as usize].push(listed);
        }
        for (side, beyond) in content.sides.iter_mut().zip(&mut content.beyond) {
            *beyond = side.len().saturating_sub(MAX_RULES as usize);
            side.truncate(MAX_RULES as usize);
        }
        let named = groups.iter().flat_map(|group| &group.rules).filter_map(SecurityRule::address_set);
        let known = named.filter_map(|name| intent.address_set(name));
        content.sets = known.map(|set| (set.name.clone(), set.prefixes.clone())).collect();
        content
    }

    /// Lists the rules.
    fn list(&mut self, groups: &[&SecurityGroup]) {
        for (_, rule) in in_order(groups) {
            self.sides[side_of(rule.direction) as usize].push(listed(rule));
        }
    }

    /// A number that another content is unlikely to have. Only whether it is another one matters, to nobody but this host:
    /// what it is may change from one version to the next.
    pub(crate) fn digest(&self, names: &GroupSet) -> u64 {
        let mut hasher = Fnv::default();
        names.hash(&mut hasher);
        self.hash(&mut hasher);
        hasher.finish()
    }
}

fn listed(rule: &SecurityRule) -> Listed {
    let flags = [(rule.action == Action::Allow, RuleFlags::ALLOW), (rule.log, RuleFlags::LOG)];
    let whom = match &rule.remote {
        None => Whom::Everybody,
        Some(Remote::Prefixes(prefixes)) => Whom::Prefixes(prefixes.clone()),
        Some(Remote::AddressSet(name)) => Whom::AddressSet(name.clone()),
        Some(Remote::SecurityGroup(name)) => Whom::Group(name.clone()),
    };
    Listed {
        flags: flags.into_iter().filter(|(set, _)| *set).fold(RuleFlags::NONE, |all, (_, flag)| all.with(flag)).0,
        services: services(rule),
        whom,
    }
}

/// Bits of a port, or of an ICMP type and code.
const PORT_BITS: u32 = 16;
/// Bits of a service's number.
pub(crate) const SERVICE_BITS: u32 = 8 + PORT_BITS;

fn services_of_protocol(protocol: Option<u8>) -> Vec<Service> {
    vec![match protocol {
        None => Service { value: 0, length: 0 },
        Some(number) => Service { value: u32::from(number) << PORT_BITS, length: SERVICE_BITS - PORT_BITS },
    }]
}

/// The services of a rule.
fn services(rule: &SecurityRule) -> Vec<Service> {
    let Some(number) = rule.protocol.number() else { return services_of_protocol(None) };
    let of_protocol = u32::from(number) << PORT_BITS;
    if let Some(icmp_type) = rule.icmp_type {
        let (code, length) = rule.icmp_code.map_or((0, SERVICE_BITS - 8), |code| (code, SERVICE_BITS));
        return vec![Service { value: of_protocol | u32::from(icmp_type) << 8 | u32::from(code), length }];
    }
    if rule.ports.is_empty() {
        return services_of_protocol(Some(number));
    }
    let ranges = rule.ports.iter().flat_map(|range| prefixes_of(range.first(), range.last()));
    ranges.map(|(port, bits)| Service { value: of_protocol | port, length: SERVICE_BITS - PORT_BITS + bits }).collect()
}

/// The fewest prefixes, each a port and how many of its bits count, that a range consists of.
fn prefixes_of(first: u16, last: u16) -> impl Iterator<Item = (u32, u32)> {
    let (mut from, last) = (u32::from(first), u32::from(last));
    std::iter::from_fn(move || {
        (from <= last).then(|| {
            // As large as where it begins allows, and as what is left allows.
            let aligned = if from == 0 { PORT_BITS } else { from.trailing_zeros() };
            let size = aligned.min((last - from + 1).ilog2());
            let port = from;
            from += 1 << size;
            (port, PORT_BITS - size)
        })
    })
}

/// FNV-1a in 64 bits (draft-eastlake-fnv).
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The hash of something by which it is numbered; see [`Content::digest`].
pub(crate) fn hash_of(what: impl Hash) -> u64 {
    let mut hasher = Fnv::default();
    what.hash(&mut hasher);
    mix(hasher.finish())
}

/// Makes each bit depend on all others (the finalizer of SplitMix64), which FNV-1a does not for the last bytes.
pub(crate) const fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_range_of_ports_becomes_few_prefixes() {
        let prefixes = |first, last| prefixes_of(first, last).collect::<Vec<_>>();
        assert_eq!(prefixes(80, 80), [(80, 16)]);
        assert_eq!(prefixes(0, 65535), [(0, 0)]);
        assert_eq!(prefixes(8000, 8100), [(8000, 10), (8064, 11), (8096, 14), (8100, 16)]);
        assert_eq!(prefixes(1, 65535).len(), 16);
        assert_eq!(prefixes(1, 65534).len(), 30);
    }

    proptest! {
        #[test]
        fn a_port_is_in_the_prefixes_of_its_range_and_no_other(first: u16, last: u16, port: u16) {
            let (first, last) = (first.min(last), first.max(last));
            for port in [port, first, last, first.wrapping_sub(1), last.wrapping_add(1)] {
                let matches = |(value, bits): &(u32, u32)| (value ^ u32::from(port)).checked_shr(16 - bits).unwrap_or(0) == 0;
                let count = prefixes_of(first, last).filter(matches).count();
                prop_assert_eq!(count, usize::from((first..=last).contains(&port)));
            }
        }
    }
}
