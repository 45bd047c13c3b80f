//! Security groups: the policies of the host's ports, who is a member of what, and the tables that follow from both.
//!
//! [`Security`] is kept up change by change; the compiler makes one anew. Both hold the same, since nothing in it is
//! numbered by the order in which it came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Intent, Key, Kind, MacAddress, Name, QualifiedName, Replaced, Resource, SharedKey, Vsid};
use pipeline::policy::{MAX_RULES, MemberKey, side};

mod bits;
mod classifier;
mod content;
mod edits;
mod members;
mod numbers;
mod places;
#[cfg(test)]
mod properties;

use bits::Bits;
use classifier::Policy;
pub use content::rule_at;
use content::{Content, GroupSet, group_set};
use edits::SIDES;
pub(crate) use edits::SecurityEdits;
use members::{Member, MemberRules, Members, MembersTouched};
use numbers::{Numbers, numbers};

use crate::Finding;

/// The number that a set of groups has where no other wants it.
#[cfg(test)]
pub(crate) fn hash_of_groups<'a>(names: impl IntoIterator<Item = &'a QualifiedName>) -> u32 {
    let mut members = places::Places::new(1, u32::MAX);
    let groups = group_set(names);
    members.insert(groups.clone(), content::hash_of(&groups));
    members.get(&groups).unwrap_or(0)
}

/// The security groups of a host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Security {
    /// The ports that are in security groups.
    ports: BTreeMap<Name, GroupSet>,
    /// The ports of each policy.
    users: BTreeMap<GroupSet, BTreeSet<Name>>,
    policies: BTreeMap<GroupSet, Arc<Policy>>,
    numbers: BTreeMap<GroupSet, Numbers>,
    members: Members,
    rules: MemberRules,
}

/// What a change touches beside the tables of security groups.
#[derive(Default)]
pub(crate) struct SecurityTouched {
    /// Ports with another policy, or with something else to say about theirs.
    pub(crate) ports: BTreeSet<Name>,
    /// VMs whose groups have another number.
    pub(crate) members: BTreeSet<(Vsid, MacAddress)>,
    /// Security groups with something else to say about them.
    pub(crate) groups: BTreeSet<QualifiedName>,
}

/// What resources that changed are about, as they were and as they are.
#[derive(Default)]
struct Concerned {
    ports: BTreeSet<Name>,
    members: BTreeSet<Member>,
    groups: BTreeSet<QualifiedName>,
    sets: BTreeSet<QualifiedName>,
}

impl Concerned {
    fn add(&mut self, resource: &Resource) {
        match resource {
            Resource::Port(port) if !port.security_groups.is_empty() => {
                self.ports.insert(port.name.clone());
                self.members.extend(port.vsid.map(|vsid| (vsid, port.mac)));
            }
            Resource::LookupRecord(record) if !record.security_groups.is_empty() => {
                self.members.insert((record.vsid, record.mac));
            }
            Resource::SecurityGroup(group) => {
                self.groups.insert(group.name.clone());
            }
            Resource::AddressSet(set) => {
                self.sets.insert(set.name.clone());
            }
            _ => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.members.is_empty() && self.groups.is_empty() && self.sets.is_empty()
    }
}

impl Security {
    /// The security groups of an intent, and what the tables have of them.
    pub(crate) fn new(intent: &Intent) -> (Self, SecurityEdits) {
        let (mut security, mut concerned) = (Self::default(), Concerned::default());
        intent.resources().for_each(|resource| concerned.add(resource));
        let (edits, _) = security.follow(intent, concerned);
        (security, edits)
    }

    /// Takes over what changed.
    pub(crate) fn update(&mut self, intent: &Intent, replaced: &[Replaced]) -> (SecurityEdits, SecurityTouched) {
        let mut concerned = Concerned::default();
        for Replaced { key, before } in replaced {
            let after = |key: &SharedKey| intent.get_shared(key);
            before.iter().chain(after(key)).for_each(|resource| concerned.add(resource));
        }
        if concerned.is_empty() {
            return Default::default();
        }
        self.follow(intent, concerned)
    }

    /// The number of the policy of these security groups; 0 for none.
    pub(crate) fn policy(&self, port: &Name) -> u32 {
        let numbers = self.ports.get(port).and_then(|groups| self.numbers.get(groups));
        numbers.map_or(0, |numbers| numbers.policy)
    }

    /// The number of the groups that a VM is in; 0 for none.
    pub(crate) fn groups(&self, vsid: Vsid, mac: MacAddress) -> u32 {
        self.members.number((vsid, mac))
    }

    fn follow(&mut self, intent: &Intent, concerned: Concerned) -> (SecurityEdits, SecurityTouched) {
        let (mut edits, mut touched) = (SecurityEdits::default(), SecurityTouched::default());
        touched.ports.extend(concerned.ports.iter().cloned());
        for group in &concerned.groups {
            touched.groups.insert(group.clone());
            touched.groups.extend(intent.groups_that_name(Kind::SecurityGroup, group).map(|group| group.name.clone()));
        }
        let mut groups = concerned.groups;
        for set in &concerned.sets {
            let named_by = intent.groups_that_name(Kind::AddressSet, set).map(|group| group.name.clone());
            groups.extend(named_by);
        }
        touched.groups.extend(groups.iter().cloned());
        let mut stale = self.use_policies(intent, concerned.ports);
        if !groups.is_empty() {
            let has_one = |names: &&GroupSet| names.iter().any(|name| groups.contains(name));
            stale.extend(self.users.keys().filter(has_one).cloned());
        }
        let members = self.members.update(intent, concerned.members);
        let mut wanted = BTreeMap::new();
        self.make_policies(intent, &stale, &mut touched, &mut wanted, &mut edits);
        self.name_members(&members, &mut wanted);
        self.rules.update(wanted, &mut edits);
        touched.members = members.members;
        (edits, touched)
    }

    /// Notes which groups these ports are in now; the sets of groups of which a policy came or went with that.
    fn use_policies(&mut self, intent: &Intent, ports: BTreeSet<Name>) -> BTreeSet<GroupSet> {
        let mut stale = BTreeSet::new();
        for name in ports {
            let key = Key { kind: Kind::Port, name: name.as_str().to_owned() };
            let groups = match intent.get(&key) {
                Some(Resource::Port(port)) if !port.security_groups.is_empty() => {
                    Some(group_set(&port.security_groups))
                }
                _ => None,
            };
            let before = match &groups {
                Some(groups) => self.ports.insert(name.clone(), groups.clone()),
                None => self.ports.remove(&name),
            };
            if before == groups {
                continue;
            }
            if let Some(before) = before
                && let Some(users) = self.users.get_mut(&before)
            {
                users.remove(&name);
                if users.is_empty() {
                    self.users.remove(&before);
                }
                stale.insert(before);
            }
            if let Some(groups) = groups {
                stale.insert(groups.clone());
                self.users.entry(groups).or_default().insert(name);
            }
        }
        stale.retain(|groups| self.users.contains_key(groups) != self.policies.contains_key(groups));
        stale
    }

    /// Makes policies anew, and gives all their numbers.
    fn make_policies(
        &mut self,
        intent: &Intent,
        stale: &BTreeSet<GroupSet>,
        touched: &mut SecurityTouched,
        wanted: &mut BTreeMap<MemberKey, Option<Bits>>,
        edits: &mut SecurityEdits,
    ) {
        let mut before = BTreeMap::<GroupSet, Option<Arc<Policy>>>::new();
        for names in stale {
            let new = self.users.contains_key(names).then(|| Policy::new(names, &Content::of(intent, names)));
            let users = self.users.get(names).into_iter().flatten();
            // Whether all its groups are declared may be another question, also where it says the same.
            touched.ports.extend(users.cloned());
            if self.policies.get(names).map(Arc::as_ref) == new.as_ref() {
                continue;
            }
            let old = match new {
                Some(new) => self.policies.insert(names.clone(), Arc::new(new)),
                None => self.policies.remove(names),
            };
            before.insert(names.clone(), old);
        }
        if before.is_empty() {
            return;
        }
        let numbers = numbers(&self.policies);
        let old_numbers = std::mem::replace(&mut self.numbers, numbers);
        let is_new = |names: &GroupSet| before.contains_key(names) || old_numbers.get(names) != self.numbers.get(names);
        for (names, old) in old_numbers.iter().filter(|(names, _)| is_new(names)) {
            let now = self.policies.get(names);
            if let Some(policy) = before.get(names).map_or(now, Option::as_ref) {
                edits.policy(policy, *old, false);
            }
            for direction in SIDES {
                wanted.extend(self.rules.of_side(side(old.policy, direction)).map(|key| (*key, None)));
            }
        }
        for (names, new) in self.numbers.iter().filter(|(names, _)| is_new(names)) {
            let Some(policy) = self.policies.get(names) else { continue };
            edits.policy(policy, *new, true);
            touched.ports.extend(self.users.get(names).into_iter().flatten().cloned());
            for (groups, number) in self.members.sets() {
                wanted.extend(members_of(policy, *new, groups, number));
            }
        }
    }

    /// `MEMBERS` of the sets of groups that came or went.
    fn name_members(&self, touched: &MembersTouched, wanted: &mut BTreeMap<MemberKey, Option<Bits>>) {
        for (groups, before) in &touched.sets {
            for (names, numbers) in &self.numbers {
                let Some(policy) = self.policies.get(names) else { continue };
                if let Some(before) = before {
                    for (key, _) in members_of(policy, *numbers, groups, *before) {
                        wanted.entry(key).or_insert(None);
                    }
                }
                if let Some(number) = self.members.number_of(groups) {
                    wanted.extend(members_of(policy, *numbers, groups, number));
                }
            }
        }
    }

    /// What there is to say about the groups of a port.
    pub(crate) fn findings_of(&self, intent: &Intent, port: &model::Port) -> Vec<Finding> {
        let key = || super::port_key(port);
        let unknown = port.security_groups.iter().filter(|group| intent.security_group(group).is_none());
        let mut findings: Vec<Finding> =
            unknown.map(|group| Finding::NoSecurityGroup { key: key(), group: group.clone() }).collect();
        let policy = self.ports.get(&port.name).and_then(|groups| self.policies.get(groups));
        for (direction, beyond) in SIDES.into_iter().zip(policy.map_or([0; 2], |policy| policy.beyond)) {
            if beyond > 0 {
                let (count, limit) = (beyond + MAX_RULES as usize, MAX_RULES);
                findings.push(Finding::TooManyRules { key: key(), direction, count, limit });
            }
        }
        findings
    }
}

/// What the rules of a policy have for VMs in these groups.
fn members_of(
    policy: &Policy,
    numbers: Numbers,
    groups: &GroupSet,
    number: u32,
) -> impl Iterator<Item = (MemberKey, Option<Bits>)> {
    SIDES.into_iter().zip(&policy.sides).filter_map(move |(direction, laid_out)| {
        let bits = laid_out.members(groups)?;
        Some((MemberKey { side: side(numbers.policy, direction), groups: number }, Some(bits)))
    })
}

/// What there is to say about a security group: names in its rules that lead nowhere.
pub fn findings_of_group(intent: &Intent, group: &model::SecurityGroup) -> Vec<Finding> {
    let key = || Resource::SecurityGroup(group.clone()).key();
    let named = |name: fn(&model::SecurityRule) -> Option<&QualifiedName>| {
        group.rules.iter().filter_map(name).collect::<BTreeSet<&QualifiedName>>()
    };
    let sets = named(model::SecurityRule::address_set).into_iter().filter(|set| intent.address_set(set).is_none());
    let mut findings: Vec<Finding> = sets.map(|set| Finding::NoAddressSet { key: key(), set: set.clone() }).collect();
    let others = named(model::SecurityRule::remote_group).into_iter();
    let others = others.filter(|other| intent.security_group(other).is_none());
    findings.extend(others.map(|other| Finding::NoRemoteGroup { key: key(), group: other.clone() }));
    findings
}
