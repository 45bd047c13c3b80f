//! The other sides of flows: by their addresses, and by the groups that they are members of.
//!
//! Prefixes lie in each other or apart, so that they are a tree, and an address belongs to the longest prefix that has it.
//! There, every rule is about all, about nobody, or about the members of one group; so two policies are two lists of
//! groups, and who decides is the first group of each that the other side is a member of.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::fabric::ResourceName;
use model::security::Remote;

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

/// All of them, each behind the one that it lies in.
pub(super) struct Places<'s> {
    places: Vec<Place>,
    sets: &'s AddressSets,
}

/// What a policy says to the members of groups at one place, the first that is met deciding.
struct Members<'p> {
    groups: Vec<(&'p ResourceName, bool)>,
    default: bool,
}

/// Who differs, by groups: a tree of questions.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Tree<'p> {
    /// Whether it opens, or closes; none: both policies say the same.
    Leaf(Option<bool>),
    Member(&'p ResourceName, Box<Tree<'p>>, Box<Tree<'p>>),
}

/// Answers to some of the questions.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Case<'p> {
    members_of: Vec<&'p ResourceName>,
    not_members_of: Vec<&'p ResourceName>,
}

impl<'s> Places<'s> {
    pub(super) fn of<'p: 's>(steps: impl Iterator<Item = &'s Step<'p>>, sets: &'s AddressSets) -> Self {
        let whole = [
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
            IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
        ];
        let named = steps.filter_map(|step| prefixes(step.remote?, sets)).flatten().map(IpNet::trunc);
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
        Self { places, sets }
    }

    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    /// Who differs between two policies, and whether they open or close.
    pub(super) fn differences(&self, before: (&[Step<'_>], bool), after: (&[Step<'_>], bool)) -> Vec<(bool, Peers)> {
        let mut by_case: BTreeMap<(bool, Case<'_>), Vec<bool>> = BTreeMap::new();
        for (index, place) in self.places.iter().enumerate() {
            let tree = difference(&self.members(place, before), &self.members(place, after), &Case::default());
            for opens in [true, false] {
                for case in cases(&tree, opens) {
                    let at = by_case.entry((opens, case)).or_insert_with(|| vec![false; self.places.len()]);
                    at[index] = true;
                }
            }
        }
        let owned = |names: Vec<&ResourceName>| names.into_iter().cloned().collect();
        let peers = |((opens, case), at): ((bool, Case<'_>), Vec<bool>)| {
            let (members_of, not_members_of) = (owned(case.members_of), owned(case.not_members_of));
            (opens, Peers { addresses: self.spans(&at), members_of, not_members_of })
        };
        by_case.into_iter().map(peers).collect()
    }

    /// What steps say at a place.
    fn members<'p>(&self, place: &Place, (steps, default): (&'p [Step<'_>], bool)) -> Members<'p> {
        let mut members = Members { groups: Vec::new(), default };
        for step in steps {
            match step.remote {
                Some(Remote::SecurityGroup(name)) => {
                    if !members.groups.iter().any(|(other, _)| *other == name) {
                        members.groups.push((name, step.allows));
                    }
                }
                Some(remote) if !is_inside(place.prefix, remote, self.sets) => {}
                // It is about everybody here, so that nothing behind it is ever asked.
                _ => {
                    members.default = step.allows;
                    break;
                }
            }
        }
        while members.groups.last().is_some_and(|(_, allows)| *allows == members.default) {
            members.groups.pop();
        }
        members
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

/// The prefixes that a remote stands for, if it stands for prefixes.
fn prefixes<'s>(remote: &'s Remote<ResourceName>, sets: &'s AddressSets) -> Option<&'s [IpNet]> {
    match remote {
        Remote::Prefixes(prefixes) => Some(prefixes),
        Remote::AddressSet(name) => Some(sets.get(name).map_or(&[], Vec::as_slice)),
        Remote::SecurityGroup(_) => None,
    }
}

fn is_inside(place: IpNet, remote: &Remote<ResourceName>, sets: &AddressSets) -> bool {
    prefixes(remote, sets).is_some_and(|prefixes| prefixes.iter().any(|prefix| prefix.trunc().contains(&place)))
}

/// What two policies say, group by group: those of `before` are asked first, then those of `after`, as far as the answers so
/// far leave it open.
fn difference<'p>(before: &Members<'p>, after: &Members<'p>, known: &Case<'p>) -> Tree<'p> {
    let decided = |members: &Members<'p>| {
        for (name, allows) in &members.groups {
            if known.members_of.contains(name) {
                return Ok(*allows);
            }
            if !known.not_members_of.contains(name) {
                return Err(*name);
            }
        }
        Ok(members.default)
    };
    let ask = |name: &'p ResourceName| {
        let (mut member, mut other) = (known.clone(), known.clone());
        member.members_of.push(name);
        other.not_members_of.push(name);
        let (yes, no) = (difference(before, after, &member), difference(before, after, &other));
        if yes == no { yes } else { Tree::Member(name, Box::new(yes), Box::new(no)) }
    };
    match (decided(before), decided(after)) {
        (Ok(before), Ok(after)) => Tree::Leaf((before != after).then_some(after)),
        (Err(name), _) | (_, Err(name)) => ask(name),
    }
}

/// Whether all who are left by these answers differ so.
fn is_all(tree: &Tree<'_>, case: &Case<'_>, opens: bool) -> bool {
    match tree {
        Tree::Leaf(leaf) => *leaf == Some(opens),
        Tree::Member(name, yes, _) if case.members_of.contains(name) => is_all(yes, case, opens),
        Tree::Member(name, _, no) if case.not_members_of.contains(name) => is_all(no, case, opens),
        Tree::Member(_, yes, no) => is_all(yes, case, opens) && is_all(no, case, opens),
    }
}

/// The fewest answers by which one knows who differs so.
fn cases<'p>(tree: &Tree<'p>, opens: bool) -> Vec<Case<'p>> {
    let mut found = Vec::new();
    collect(tree, opens, &Case::default(), &mut found);
    for case in &mut found {
        for name in case.not_members_of.clone() {
            let mut shorter = case.clone();
            shorter.not_members_of.retain(|other| *other != name);
            if is_all(tree, &shorter, opens) {
                *case = shorter;
            }
        }
        for name in case.members_of.clone() {
            let mut shorter = case.clone();
            shorter.members_of.retain(|other| *other != name);
            if is_all(tree, &shorter, opens) {
                *case = shorter;
            }
        }
        case.members_of.sort_unstable();
        case.not_members_of.sort_unstable();
    }
    found.sort_unstable();
    found.dedup();
    // Whom another case has, too, need not be said again.
    let within = |one: &Case<'p>, other: &Case<'p>| {
        let all = |few: &[&ResourceName], many: &[&ResourceName]| few.iter().all(|name| many.contains(name));
        one != other && all(&other.members_of, &one.members_of) && all(&other.not_members_of, &one.not_members_of)
    };
    let whole = found.clone();
    found.retain(|case| !whole.iter().any(|other| within(case, other)));
    found
}

fn collect<'p>(tree: &Tree<'p>, opens: bool, known: &Case<'p>, found: &mut Vec<Case<'p>>) {
    match tree {
        Tree::Leaf(leaf) if *leaf == Some(opens) => found.push(known.clone()),
        Tree::Leaf(_) => {}
        Tree::Member(name, yes, no) => {
            let (mut member, mut other) = (known.clone(), known.clone());
            member.members_of.push(name);
            other.not_members_of.push(name);
            collect(yes, opens, &member, found);
            collect(no, opens, &other, found);
        }
    }
}
