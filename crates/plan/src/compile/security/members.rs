//! Who is a member of which security groups, and which rules name them: the numbers of sets of groups, and `MEMBERS`.

use std::collections::{BTreeMap, BTreeSet};

use model::{Intent, MacAddress, Vsid};
use pipeline::policy::MemberKey;

use super::bits::Bits;
use super::content::{GroupSet, group_set, hash_of};
use super::edits::SecurityEdits;
use super::numbers::END;
use super::places::{Moved, Places};

/// A VM in a subnet.
pub(crate) type Member = (Vsid, MacAddress);

/// The VMs that are in security groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Members {
    groups: BTreeMap<Member, GroupSet>,
    /// How many VMs are in just these groups.
    counts: BTreeMap<GroupSet, usize>,
    numbers: Places<GroupSet>,
}

impl Default for Members {
    fn default() -> Self {
        Self { groups: BTreeMap::new(), counts: BTreeMap::new(), numbers: Places::new(1, u32::MAX) }
    }
}

/// What a change made of the members.
#[derive(Default)]
pub(crate) struct MembersTouched {
    /// The VMs whose groups have another number now.
    pub(crate) members: BTreeSet<Member>,
    /// The sets of groups that came, went or have another number now, each with the number that it had.
    pub(crate) sets: BTreeMap<GroupSet, Option<u32>>,
}

/// The groups that a VM is in: those of its records, and those of its port.
pub(crate) fn groups_of(intent: &Intent, (vsid, mac): Member) -> Option<GroupSet> {
    let port = intent.port_at(vsid, mac).into_iter().flat_map(|port| &port.security_groups);
    let records = intent.records_at(vsid, mac).flat_map(|(_, record)| &record.security_groups);
    let set = group_set(port.chain(records));
    (!set.is_empty()).then_some(set)
}

impl Members {
    /// The number of the groups that a VM is in; 0 for none.
    pub(crate) fn number(&self, member: Member) -> u32 {
        self.groups.get(&member).and_then(|groups| self.numbers.get(groups)).unwrap_or(0)
    }

    /// The sets of groups that some VM is in, with their numbers.
    pub(crate) fn sets(&self) -> impl Iterator<Item = (&GroupSet, u32)> {
        self.numbers.iter()
    }

    /// The number of a set of groups that some VM is in.
    pub(crate) fn number_of(&self, groups: &GroupSet) -> Option<u32> {
        self.numbers.get(groups)
    }

    /// Makes these VMs members of what they are in now.
    pub(crate) fn update(&mut self, intent: &Intent, members: impl IntoIterator<Item = Member>) -> MembersTouched {
        let mut touched = MembersTouched::default();
        for member in members {
            let groups = groups_of(intent, member);
            if self.groups.get(&member) == groups.as_ref() {
                continue;
            }
            touched.members.insert(member);
            if let Some(groups) = &groups {
                self.count(groups, &mut touched);
            }
            let before = match groups {
                Some(groups) => self.groups.insert(member, groups),
                None => self.groups.remove(&member),
            };
            if let Some(groups) = before {
                self.discount(&groups, &mut touched);
            }
        }
        touched.sets.retain(|groups, before| self.numbers.get(groups) != *before);
        let moved = |groups: &GroupSet| touched.sets.get(groups).is_some_and(Option::is_some);
        let all = self.groups.iter().filter(|(_, groups)| moved(groups)).map(|(member, _)| *member);
        if touched.sets.values().any(Option::is_some) {
            touched.members.extend(all);
        }
        touched
    }

    fn count(&mut self, groups: &GroupSet, touched: &mut MembersTouched) {
        let count = self.counts.entry(groups.clone()).or_default();
        *count += 1;
        if *count == 1 {
            touched.sets.entry(groups.clone()).or_insert(None);
            touched.moved(self.numbers.insert(groups.clone(), hash_of(groups)));
        }
    }

    fn discount(&mut self, groups: &GroupSet, touched: &mut MembersTouched) {
        let Some(count) = self.counts.get_mut(groups) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(groups);
            touched.sets.entry(groups.clone()).or_insert(self.numbers.get(groups));
            touched.moved(self.numbers.remove(groups));
        }
    }
}

impl MembersTouched {
    fn moved(&mut self, moved: Vec<Moved<GroupSet>>) {
        for (groups, before) in moved {
            self.sets.entry(groups).or_insert(Some(before));
        }
    }
}

/// `MEMBERS`, with the numbers of the sets of rules in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MemberRules {
    entries: BTreeMap<MemberKey, Bits>,
    numbers: Places<MemberKey>,
}

impl Default for MemberRules {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), numbers: Places::new(END, u32::MAX) }
    }
}

impl MemberRules {
    /// The keys of one direction of a policy.
    pub(crate) fn of_side(&self, side: u32) -> impl Iterator<Item = &MemberKey> {
        let range = MemberKey { side, groups: 0 }..=MemberKey { side, groups: u32::MAX };
        self.entries.range(range).map(|(key, _)| key)
    }

    /// Makes these entries what they are to be, and says what that changes in the tables.
    pub(crate) fn update(&mut self, wanted: BTreeMap<MemberKey, Option<Bits>>, edits: &mut SecurityEdits) {
        let mut before = BTreeMap::<MemberKey, Option<(u32, Bits)>>::new();
        for (key, bits) in wanted {
            let old = self.entries.get(&key).cloned();
            if old == bits {
                continue;
            }
            let number = self.numbers.get(&key);
            before.entry(key).or_insert_with(|| number.zip(old));
            let moved = match (number, &bits) {
                (None, Some(_)) => self.numbers.insert(key, hash_of((key.side, key.groups))),
                (Some(_), None) => self.numbers.remove(&key),
                (None, None) | (Some(_), Some(_)) => Vec::new(),
            };
            for (other, number) in moved {
                let bits = self.entries.get(&other).cloned();
                before.entry(other).or_insert_with(|| bits.map(|bits| (number, bits)));
            }
            match bits {
                Some(bits) => self.entries.insert(key, bits),
                None => self.entries.remove(&key),
            };
        }
        for (number, bits) in before.values().flatten() {
            edits.no_words(*number, bits);
        }
        for key in before.into_keys() {
            let now = self.numbers.get(&key).zip(self.entries.get(&key));
            edits.members.set(key, now.map(|(number, bits)| bits.matches(number)));
            if let Some((number, bits)) = now {
                edits.words(number, bits);
            }
        }
    }
}
