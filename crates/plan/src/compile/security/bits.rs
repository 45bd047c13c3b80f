//! Sets of rules as the tables hold them: the words that are not zero.

use pipeline::policy::{Matches, SUMMARY_WORDS, WordKey};

/// A set of rules by their places in the list: index and value of each word that is not zero, in order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Bits(Vec<(u32, u64)>);

impl Bits {
    /// Adds a rule. Those of a list come in its order, and are found soonest so.
    pub(crate) fn insert(&mut self, rule: u32) {
        let (word, bit) = (rule / 64, 1 << (rule % 64));
        let at = match self.0.last() {
            Some((last, _)) if *last == word => Ok(self.0.len() - 1),
            Some((last, _)) if *last > word => self.0.binary_search_by_key(&word, |(word, _)| *word),
            _ => Err(self.0.len()),
        };
        match at {
            Ok(at) => self.0[at].1 |= bit,
            Err(at) => self.0.insert(at, (word, bit)),
        }
    }

    /// The rules that are in one or the other.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let (mut one, mut other) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut words = Vec::with_capacity(one.len().max(other.len()));
        while let (Some(&&(a, bits)), Some(&&(b, more))) = (one.peek(), other.peek()) {
            if a <= b {
                one.next();
            }
            if b <= a {
                other.next();
            }
            words.push(match a.cmp(&b) {
                std::cmp::Ordering::Less => (a, bits),
                std::cmp::Ordering::Equal => (a, bits | more),
                std::cmp::Ordering::Greater => (b, more),
            });
        }
        words.extend(one.chain(other));
        Self(words)
    }

    /// How many words are not zero.
    pub(crate) const fn words(&self) -> usize {
        self.0.len()
    }

    /// What a table says of the set with this number.
    pub(crate) fn matches(&self, set: u32) -> Matches {
        let mut summary = [0; SUMMARY_WORDS];
        for (word, _) in &self.0 {
            if let Some(place) = summary.get_mut(*word as usize / 64) {
                *place |= 1 << (word % 64);
            }
        }
        Matches { set, reserved: 0, summary }
    }

    /// The words of the set with this number.
    pub(crate) fn entries(&self, set: u32) -> impl Iterator<Item = (WordKey, u64)> + use<'_> {
        self.0.iter().map(move |(word, bits)| (WordKey { set, word: *word }, *bits))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn bits(rules: &[u32]) -> Bits {
        let mut bits = Bits::default();
        rules.iter().for_each(|rule| bits.insert(*rule));
        bits
    }

    fn rules(bits: &Bits) -> BTreeSet<u32> {
        let of_word = |&(word, value): &(u32, u64)| {
            (0..64).filter(move |bit| value >> bit & 1 == 1).map(move |bit| word * 64 + bit)
        };
        bits.0.iter().flat_map(of_word).collect()
    }

    #[test]
    fn the_summary_says_which_words_are_not_zero() {
        let matches = bits(&[0, 63, 64, 64 * 64, 64 * 255 + 7]).matches(5);
        assert_eq!((matches.set, matches.summary), (5, [0b11, 1, 0, 1 << 63]));
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_in(one in vec(0_u32..16_384, 0..40), other in vec(0_u32..16_384, 0..40)) {
            let union = bits(&one).union(&bits(&other));
            prop_assert_eq!(rules(&union), one.iter().chain(&other).copied().collect::<BTreeSet<_>>());
            let all: Vec<u32> = rules(&union).into_iter().collect();
            prop_assert_eq!(bits(&all), union);
        }
    }
}
