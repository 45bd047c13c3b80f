//! The other sides of flows: by their addresses, and by the groups that they are members of.
//!
//! Prefixes lie in each other or apart, so that they are a tree, and an address belongs to the longest prefix that has it.
//! There, every rule is about all, about nobody, or about the members of one group; so what two policies say there is a
//! matter of groups alone (`members`).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::fabric::ResourceName;
use model::security::Remote;

use super::budget::Budget;
use super::members::{self, Case, Group, Members};
use super::{AddressSets, Step};

/// Other sides of flows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Peers {
    /// Where they are. All addresses, if it is both families whole.
    pub addresses: Vec<Span>,
    /// They are members of all of these.
    pub members_of: Vec<ResourceName>,
    /// They are members of none of these.
    pub not_members_of: Vec<ResourceName>,
}

/// Addresses of a prefix.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span {
    /// The prefix.
    pub prefix: IpNet,
    /// Parts of it that are not meant.
    pub except: Vec<IpNet>,
}

impl Peers {
    /// Whether they are at every address.
    pub fn is_everywhere(&self) -> bool {
        let whole = |span: &Span| span.prefix.prefix_len() == 0 && span.except.is_empty();
        self.addresses.len() == 2 && self.addresses.iter().all(whole)
    }
}

/// A prefix that some rule names, or the whole of a family.
struct Place {
    prefix: IpNet,
    /// The place of the prefix that it lies in.
    parent: Option<usize>,
}

/// All of them, each behind the one that it lies in, and the groups that rules name.
pub(super) struct Places<'s> {
    places: Vec<Place>,
    /// In the order of their names.
    groups: Vec<&'s ResourceName>,
    /// The places that are in the prefixes of a remote.
    inside: HashMap<&'s Remote<ResourceName>, Vec<bool>>,
}

/// Whom a step is about, at a place.
#[derive(Clone, Copy)]
enum About<'s> {
    Everybody,
    Members(Group),
    Inside(&'s [bool]),
}

impl<'s> Places<'s> {
    /// None if there is too much of it to go through.
    pub(super) fn of<'p: 's>(
        steps: impl Iterator<Item = &'s Step<'p>>,
        sets: &'s AddressSets,
        budget: &mut Budget,
    ) -> Option<Self> {
        let whole = [
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
            IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
        ];
        let (mut groups, mut ranges): (Vec<&'s ResourceName>, HashMap<_, &'s [IpNet]>) = (Vec::new(), HashMap::new());
        for remote in steps.filter_map(|step| step.remote) {
            budget.spend(1 + cost(remote))?;
            match prefixes(remote, sets) {
                Ok(prefixes) => {
                    ranges.insert(remote, prefixes);
                }
                Err(group) => groups.push(group),
            }
        }
        groups.sort_unstable();
        groups.dedup();
        budget.spend(ranges.values().map(|prefixes| prefixes.len()).sum())?;
        let named = ranges.values().copied().flatten().map(IpNet::trunc);
        let mut all: Vec<IpNet> = whole.into_iter().chain(named).collect();
        // By family and address, and what contains others before them.
        all.sort_unstable_by_key(|prefix| (prefix.addr(), prefix.prefix_len()));
        all.dedup();
        let mut places: Vec<Place> = Vec::new();
        for prefix in all {
            let mut parent = places.len().checked_sub(1);
            while let Some(at) = parent.filter(|at| !places[*at].prefix.contains(&prefix)) {
                parent = places[at].parent;
            }
            places.push(Place { prefix, parent });
        }
        let mut inside = HashMap::new();
        for (remote, prefixes) in ranges {
            budget.spend(places.len() + prefixes.len())?;
            let own: HashSet<IpNet> = prefixes.iter().map(IpNet::trunc).collect();
            let mut within: Vec<bool> = Vec::with_capacity(places.len());
            for place in &places {
                within.push(own.contains(&place.prefix) || place.parent.is_some_and(|parent| within[parent]));
            }
            inside.insert(remote, within);
        }
        Some(Self { places, groups, inside })
    }

    /// Who differs between two policies, and whether they open or close. None if it takes too long to say.
    pub(super) fn differences(
        &self,
        before: (&[Step<'_>], bool),
        after: (&[Step<'_>], bool),
        budget: &mut Budget,
    ) -> Option<Vec<(bool, Peers)>> {
        let steps = (self.about(before.0, budget)?, self.about(after.0, budget)?);
        let mut by_case: BTreeMap<(bool, Case), Vec<bool>> = BTreeMap::new();
        for index in 0..self.places.len() {
            let (before, after) =
                (self.members(index, &steps.0, before.1, budget)?, self.members(index, &steps.1, after.1, budget)?);
            for case in members::differences(&before, &after, self.groups.len(), budget)? {
                let at = match by_case.entry(case) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        budget.spend(self.places.len())?;
                        entry.insert(vec![false; self.places.len()])
                    }
                };
                at[index] = true;
            }
        }
        let owned = |groups: Vec<Group>| groups.into_iter().map(|group| self.groups[group].clone()).collect();
        let peers = |((opens, case), at): ((bool, Case), Vec<bool>)| {
            let (members_of, not_members_of) = (owned(case.members_of), owned(case.not_members_of));
            (opens, Peers { addresses: self.spans(&at), members_of, not_members_of })
        };
        Some(by_case.into_iter().map(peers).collect())
    }

    /// Whom steps are about, and what they say.
    fn about(&self, steps: &[Step<'_>], budget: &mut Budget) -> Option<Vec<(About<'_>, bool)>> {
        budget.spend(steps.iter().map(|step| 1 + step.remote.map_or(0, cost)).sum())?;
        let about = |remote: &Remote<ResourceName>| match remote {
            Remote::SecurityGroup(name) => self.groups.binary_search(&name).ok().map(About::Members),
            remote => self.inside.get(remote).map(|inside| About::Inside(inside)),
        };
        // A remote that is not known here is none of any step, so that nothing is left out.
        let one = |step: &Step<'_>| Some((step.remote.map_or(Some(About::Everybody), about)?, step.allows));
        Some(steps.iter().filter_map(one).collect())
    }

    /// What steps say at a place.
    fn members(
        &self,
        place: usize,
        steps: &[(About<'_>, bool)],
        default: bool,
        budget: &mut Budget,
    ) -> Option<Members> {
        budget.spend(steps.len() + self.groups.len())?;
        let (mut members, mut seen) = (Members { groups: Vec::new(), default }, vec![false; self.groups.len()]);
        for (about, allows) in steps {
            match about {
                About::Members(group) => {
                    if !std::mem::replace(&mut seen[*group], true) {
                        members.groups.push((*group, *allows));
                    }
                }
                About::Inside(inside) if !inside[place] => {}
                // It is about everybody here, so that nothing behind it is ever asked.
                About::Everybody | About::Inside(_) => {
                    members.default = *allows;
                    break;
                }
            }
        }
        while members.groups.last().is_some_and(|(_, allows)| *allows == members.default) {
            members.groups.pop();
        }
        Some(members)
    }

    /// The places that are meant, as few prefixes with exceptions.
    fn spans(&self, meant: &[bool]) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        // The span that each place is in, if it is meant.
        let mut span_of: Vec<Option<usize>> = Vec::with_capacity(self.places.len());
        for (index, place) in self.places.iter().enumerate() {
            let around = place.parent.and_then(|parent| span_of[parent]);
            span_of.push(match (meant[index], around) {
                (true, Some(span)) => Some(span),
                (true, None) => {
                    spans.push(Span { prefix: place.prefix, except: Vec::new() });
                    Some(spans.len() - 1)
                }
                (false, Some(span)) => {
                    spans[span].except.push(place.prefix);
                    None
                }
                (false, None) => None,
            });
        }
        spans
    }
}

/// The prefixes that a remote stands for; the group, if it stands for one.
fn prefixes<'s>(remote: &'s Remote<ResourceName>, sets: &'s AddressSets) -> Result<&'s [IpNet], &'s ResourceName> {
    match remote {
        Remote::Prefixes(prefixes) => Ok(prefixes),
        Remote::AddressSet(name) => Ok(sets.get(name).map_or(&[], Vec::as_slice)),
        Remote::SecurityGroup(name) => Err(name),
    }
}

/// What it costs to look for a remote among others.
fn cost(remote: &Remote<ResourceName>) -> usize {
    match remote {
        Remote::Prefixes(prefixes) => prefixes.len(),
        Remote::AddressSet(_) | Remote::SecurityGroup(_) => 1,
    }
}
