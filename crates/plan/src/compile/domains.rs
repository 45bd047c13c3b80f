//! The numbers of the routing domains on one host.

use std::collections::{BTreeMap, BTreeSet};

use model::{Intent, RoutingDomainId};

/// The number of each routing domain of an intent, by which the tables name it.
pub fn domain_numbers(intent: &Intent) -> BTreeMap<RoutingDomainId, u32> {
    numbers(intent.customer_routes().map(|route| route.rdid))
}

/// Gives each routing domain a number other than 0 and other than that of the others.
///
/// The number is a hash of the UUID, so that it stays what it is when other domains come and go, and a restarted agent
/// finds it again without having kept anything. Where two hashes meet, the higher UUID takes the next free number.
fn numbers(rdids: impl IntoIterator<Item = RoutingDomainId>) -> BTreeMap<RoutingDomainId, u32> {
    place(rdids.into_iter().map(|rdid| (rdid, fnv1a(rdid.as_bytes()))))
}

fn place(hashes: impl IntoIterator<Item = (RoutingDomainId, u32)>) -> BTreeMap<RoutingDomainId, u32> {
    let mut taken = BTreeSet::from([0]);
    let hashes: BTreeMap<RoutingDomainId, u32> = hashes.into_iter().collect();
    hashes
        .into_iter()
        .map(|(rdid, hash)| {
            let mut number = hash;
            while !taken.insert(number) {
                number = number.wrapping_add(1);
            }
            (rdid, number)
        })
        .collect()
}

/// FNV-1a in 32 bits (draft-eastlake-fnv): its short and fixed definition makes the numbers the same everywhere.
pub(crate) fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    #[test]
    fn the_hash_is_the_one_of_the_draft() {
        // Test vectors of draft-eastlake-fnv.
        assert_eq!(fnv1a(b""), 0x811c_9dc5);
        assert_eq!(fnv1a(b"a"), 0xe40c_292c);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn where_hashes_meet_the_higher_uuid_moves_on() {
        let rdid = |last: u32| format!("11111111-2222-3333-4444-{last:012}").parse::<RoutingDomainId>().unwrap();
        let placed = place([(rdid(3), u32::MAX), (rdid(2), u32::MAX), (rdid(1), 7), (rdid(4), 0), (rdid(5), 7)]);
        // After the highest number comes 0, which is no domain, and then 1, which rdid(3) took before rdid(4).
        let expected = [(rdid(1), 7), (rdid(2), u32::MAX), (rdid(3), 1), (rdid(4), 2), (rdid(5), 8)];
        assert_eq!(placed, BTreeMap::from(expected));
    }

    proptest! {
        #[test]
        fn numbers_are_distinct_and_never_zero(rdids in btree_set(RoutingDomainId::any(), 0..50)) {
            let numbers = numbers(rdids.iter().rev().copied());
            let distinct: BTreeSet<u32> = numbers.values().copied().collect();
            prop_assert_eq!(distinct.len(), rdids.len());
            prop_assert!(!distinct.contains(&0));
        }
    }
}
