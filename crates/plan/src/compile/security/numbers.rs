//! The numbers of the policies of a host, and of their sets.
//!
//! They follow from what a policy says. One that says something else has other numbers: it is written beside the old one,
//! and a port has the one or the other, never a mixture.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::classifier::Policy;
use super::content::{GroupSet, mix};

/// The numbers of one policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Numbers {
    /// Its own, below [`END`] and never 0.
    pub(crate) policy: u32,
    /// The one of its first set, never 0; the others follow it, all below [`END`].
    pub(crate) first_set: u32,
}

/// Numbers of policies and of their sets lie below: a policy's is shifted by one bit to make room for the direction, and
/// the upper half of the sets belongs to members.
pub(crate) const END: u32 = 1 << 31;

/// The numbers of all policies, in whatever order they came: where two want the same, that of the higher groups moves on.
pub(crate) fn numbers(policies: &BTreeMap<GroupSet, Arc<Policy>>) -> BTreeMap<GroupSet, Numbers> {
    let (mut taken, mut blocks) = (BTreeSet::from([0]), BTreeMap::new());
    let place = |(names, policy): (&GroupSet, &Arc<Policy>)| {
        let sets = policy.sets.len() as u32;
        let mut attempts = (0_u64..).map(|attempt| candidate(policy.digest, attempt));
        let is_free =
            |numbers: &Numbers| !taken.contains(&numbers.policy) && block_is_free(&blocks, numbers.first_set, sets);
        // There are far more numbers than a host has policies and sets, so that some attempt finds free ones.
        let numbers = attempts.find(is_free).unwrap_or(candidate(policy.digest, 0));
        taken.insert(numbers.policy);
        blocks.insert(numbers.first_set, numbers.first_set.saturating_add(sets));
        (names.clone(), numbers)
    };
    policies.iter().map(place).collect()
}

/// The numbers that a policy tries next.
const fn candidate(digest: u64, attempt: u64) -> Numbers {
    let hash = mix(digest.wrapping_add(attempt));
    Numbers { policy: (hash as u32) % END, first_set: 1 + ((hash >> 32) as u32) % (END - 1) }
}

/// Whether so many numbers from one on are below [`END`] and in no block; `blocks` has where each begins and ends.
fn block_is_free(blocks: &BTreeMap<u32, u32>, from: u32, count: u32) -> bool {
    let Some(end) = from.checked_add(count).filter(|end| *end <= END) else { return false };
    // Blocks do not overlap, so that the last one that begins before this one ends is the one to look at. An empty one is
    // given a number of its own all the same.
    let before = blocks.range(..end.max(from + 1)).next_back();
    before.is_none_or(|(start, stop)| *stop.max(&(start + 1)) <= from)
}

#[cfg(test)]
mod tests {
    use super::super::bits::Bits;
    use super::super::content::group_set;
    use super::*;
    use model::QualifiedName;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn names(number: usize) -> GroupSet {
        let name: QualifiedName = format!("group{number:04}").parse().unwrap();
        group_set([&name])
    }

    fn policy(digest: u64, sets: usize) -> Arc<Policy> {
        Arc::new(Policy { digest, sets: vec![Bits::default(); sets], ..Policy::default() })
    }

    #[test]
    fn where_two_want_the_same_the_higher_moves_on() {
        let both = BTreeMap::from([(names(1), policy(7, 3)), (names(2), policy(7, 3))]);
        let one = BTreeMap::from([(names(2), policy(7, 3))]);
        assert_eq!(numbers(&one)[&names(2)], candidate(7, 0));
        assert_eq!(numbers(&both)[&names(1)], candidate(7, 0));
        assert_eq!(numbers(&both)[&names(2)], candidate(7, 1));
    }

    proptest! {
        #[test]
        fn numbers_do_not_meet(policies in vec((0_u64..20, 0_usize..5), 0..60)) {
            let policies: BTreeMap<GroupSet, Arc<Policy>> = (0..)
                .zip(policies)
                .map(|(number, (digest, sets))| (names(number), policy(digest, sets)))
                .collect();
            let numbers = numbers(&policies);
            let distinct: BTreeSet<u32> = numbers.values().map(|numbers| numbers.policy).collect();
            prop_assert_eq!(distinct.len(), policies.len());
            prop_assert!(distinct.iter().all(|number| (1..END).contains(number)));
            let sets: Vec<u32> = policies
                .iter()
                .flat_map(|(names, policy)| (0..policy.sets.len() as u32).map(|set| numbers[names].first_set + set))
                .collect();
            prop_assert_eq!(sets.iter().collect::<BTreeSet<_>>().len(), sets.len());
            prop_assert!(sets.iter().all(|set| (1..END).contains(set)));
        }
    }
}
