//! One policy, laid out for the three look-ups of [`pipeline::policy`], without the numbers that it has on a host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use model::QualifiedName;
use pipeline::policy::{MAX_MATCHES, MAX_SET_WORDS, Policy as Entry, PolicyFlags, Rule, RuleFlags};

use super::bits::Bits;
use super::content::{Content, GroupSet, Listed, SERVICE_BITS, Service, Whom};

/// A prefix of addresses, IPv4 ones mapped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Prefix {
    pub(crate) address: u128,
    pub(crate) length: u32,
}

/// All IPv4 addresses.
const ALL_V4: Prefix = Prefix { address: 0xffff_0000_0000, length: 96 };
/// All addresses of both families.
const ALL: Prefix = Prefix { address: 0, length: 0 };

impl Prefix {
    fn of(prefix: IpNet) -> Self {
        let length = u32::from(prefix.prefix_len());
        match prefix.network() {
            IpAddr::V4(v4) => Self { address: v4.to_ipv6_mapped().to_bits(), length: length + ALL_V4.length },
            IpAddr::V6(v6) => Self { address: v6.to_bits(), length },
        }
    }

    const fn contains(&self, other: &Self) -> bool {
        let host_bits = 128 - self.length;
        let differ = (self.address ^ other.address).checked_shr(host_bits);
        self.length <= other.length && matches!(differ, None | Some(0))
    }
}

impl Service {
    const fn contains(&self, other: &Self) -> bool {
        let rest = SERVICE_BITS - self.length;
        self.length <= other.length && (self.value ^ other.value) >> rest == 0
    }
}

/// One direction of a policy. Numbers of sets are places in [`Policy::sets`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Side {
    pub(crate) rules: Vec<Rule>,
    pub(crate) prefixes: Vec<(Prefix, usize)>,
    pub(crate) services: Vec<(Service, usize)>,
    /// The rules that name a security group.
    pub(crate) groups: BTreeMap<QualifiedName, Bits>,
}

impl Side {
    /// The rules that name one of these groups; none if no rule does.
    pub(crate) fn members(&self, groups: &GroupSet) -> Option<Bits> {
        let mut named = groups.iter().filter_map(|group| self.groups.get(group));
        let first = named.next()?.clone();
        Some(named.fold(first, |all, bits| all.union(bits)))
    }
}

/// What groups say together, laid out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) entry: Entry,
    pub(crate) sides: [Side; 2],
    /// The sets of rules that prefixes and services meet, each once.
    pub(crate) sets: Vec<Bits>,
    /// See [`Content::digest`].
    pub(crate) digest: u64,
    /// See [`Content::beyond`].
    pub(crate) beyond: [usize; 2],
}

/// Sets of rules, each once, and how many words they have.
#[derive(Default)]
struct Sets {
    places: BTreeMap<Bits, usize>,
    words: usize,
}

impl Sets {
    fn place(&mut self, bits: Bits) -> usize {
        let (next, words) = (self.places.len(), bits.words());
        *self.places.entry(bits).or_insert_with(|| {
            self.words += words;
            next
        })
    }

    /// Whether there is more than a host holds, so that it is refused and the rest need not be made.
    const fn is_too_large(&self) -> bool {
        self.words > MAX_SET_WORDS as usize
    }
}

impl Policy {
    /// Lays out what these groups say.
    pub(crate) fn new(names: &GroupSet, content: &Content) -> Self {
        let mut sets = Sets::default();
        let sides = content.sides.each_ref().map(|rules| side(rules, &content.sets, &mut sets));
        let mut by_place: Vec<(usize, Bits)> = sets.places.into_iter().map(|(bits, place)| (place, bits)).collect();
        by_place.sort_unstable_by_key(|(place, _)| *place);
        Self {
            entry: Entry {
                flags: PolicyFlags(content.flags),
                rules: content.sides.each_ref().map(|rules| rules.len() as u32),
            },
            sides,
            sets: by_place.into_iter().map(|(_, bits)| bits).collect(),
            digest: content.digest(names),
            beyond: content.beyond,
        }
    }
}

fn side(rules: &[Listed], address_sets: &BTreeMap<QualifiedName, Vec<IpNet>>, sets: &mut Sets) -> Side {
    let (mut everybody, mut prefixes) = (Bits::default(), BTreeMap::<Prefix, Bits>::new());
    let (mut services, mut named) = (BTreeMap::<Service, Bits>::new(), BTreeMap::<&QualifiedName, Bits>::new());
    let mut side = Side::default();
    for (rule, listed) in (0..).zip(rules) {
        side.rules.push(Rule { flags: RuleFlags(listed.flags) });
        for service in &listed.services {
            services.entry(*service).or_default().insert(rule);
        }
        match &listed.whom {
            Whom::Everybody => everybody.insert(rule),
            Whom::Prefixes(all) => {
                for prefix in all {
                    prefixes.entry(Prefix::of(*prefix)).or_default().insert(rule);
                }
            }
            Whom::AddressSet(name) => named.entry(name).or_default().insert(rule),
            Whom::Group(name) => side.groups.entry(name.clone()).or_default().insert(rule),
        }
    }
    for (name, bits) in named {
        for prefix in address_sets.get(name).into_iter().flatten() {
            if prefixes.len() > MAX_MATCHES as usize {
                break;
            }
            let own = prefixes.entry(Prefix::of(*prefix)).or_default();
            *own = own.union(&bits);
        }
    }
    side.prefixes = addresses(prefixes, everybody, sets);
    // A service that is not named meets what is for all services.
    side.services = inherited(services, &Bits::default(), Service::contains, sets);
    side
}

/// The prefixes of both families, each with the rules of those that it is inside of.
///
/// The IPv4 addresses lie inside of the IPv6 ones, but a rule for IPv6 prefixes is not for them: where one of these holds
/// all IPv4 addresses, an entry for them says what they meet.
fn addresses(mut own: BTreeMap<Prefix, Bits>, everybody: Bits, sets: &mut Sets) -> Vec<(Prefix, usize)> {
    let is_v4 = |prefix: &Prefix| ALL_V4.contains(prefix);
    let mut v4: BTreeMap<Prefix, Bits> =
        own.iter().filter(|(prefix, _)| is_v4(prefix)).map(|(p, b)| (*p, b.clone())).collect();
    own.retain(|prefix, _| !is_v4(prefix));
    if own.keys().any(|prefix| prefix.contains(&ALL_V4)) {
        v4.entry(ALL_V4).or_default();
    }
    if everybody.words() > 0 {
        own.entry(ALL).or_default();
    }
    let mut all = inherited(own, &everybody, Prefix::contains, sets);
    all.extend(inherited(v4, &everybody, Prefix::contains, sets));
    all
}

/// Each entry with the rules of all that it is inside of, and with those that all of them meet.
fn inherited<K: Ord + Copy>(
    own: BTreeMap<K, Bits>,
    all: &Bits,
    contains: impl Fn(&K, &K) -> bool,
    sets: &mut Sets,
) -> Vec<(K, usize)> {
    let (mut entries, mut around) = (Vec::with_capacity(own.len()), Vec::<(K, Bits)>::new());
    // What holds an entry comes before it.
    for (key, bits) in own {
        while around.pop_if(|(other, _)| !contains(other, &key)).is_some() {}
        let full = bits.union(around.last().map_or(all, |(_, bits)| bits));
        entries.push((key, sets.place(full.clone())));
        around.push((key, full));
        if sets.is_too_large() {
            break;
        }
    }
    entries
}
