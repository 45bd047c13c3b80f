//! Numbers for what comes and goes, such that the same things have the same numbers whatever was there before.
//!
//! Each thing has the number that its hash says, or the next free one. Where two want the same the lower one has it and
//! the other moves on, also when the lower one comes later: an ordered hash table (Amble and Knuth, "Ordered hash tables",
//! 1974), which looks the same in whatever order it was filled. So a host that starts anew finds the numbers that are in
//! the kernel, and a change costs its own size.

use std::collections::BTreeMap;

/// Something that has another number now, and the one that it had.
pub(crate) type Moved<K> = (K, u32);

/// The numbers of some things.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Places<K> {
    lowest: u32,
    highest: u32,
    numbers: BTreeMap<K, u32>,
    /// Who has a number, and which one its hash says.
    taken: BTreeMap<u32, (K, u32)>,
}

impl<K: Ord + Clone> Places<K> {
    /// Numbers between two, both included. There must be more of them than things.
    pub(crate) const fn new(lowest: u32, highest: u32) -> Self {
        Self { lowest, highest, numbers: BTreeMap::new(), taken: BTreeMap::new() }
    }

    /// The number of a thing that is there.
    pub(crate) fn get(&self, key: &K) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    /// Those that are there, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, u32)> {
        self.numbers.iter().map(|(key, number)| (key, *number))
    }

    /// Gives a thing that is not there its number, and says who has another one now.
    pub(crate) fn insert(&mut self, key: K, hash: u64) -> Vec<Moved<K>> {
        let size = u64::from(self.highest - self.lowest) + 1;
        let home = self.lowest + (hash % size) as u32;
        let (mut number, mut moved) = (home, Vec::new());
        let mut homeless = (key, home);
        loop {
            match self.taken.get_mut(&number) {
                None => {
                    self.numbers.insert(homeless.0.clone(), number);
                    self.taken.insert(number, homeless);
                    return moved;
                }
                Some(owner) if homeless.0 < owner.0 => {
                    self.numbers.insert(homeless.0.clone(), number);
                    std::mem::swap(owner, &mut homeless);
                    moved.push((homeless.0.clone(), number));
                }
                Some(_) => {}
            }
            number = self.next(number);
        }
    }

    /// Takes the number of a thing back, and says who has another one now.
    pub(crate) fn remove(&mut self, key: &K) -> Vec<Moved<K>> {
        let Some(mut hole) = self.numbers.remove(key) else { return Vec::new() };
        self.taken.remove(&hole);
        let (mut number, mut moved) = (hole, Vec::new());
        loop {
            number = self.next(number);
            let Some((_, home)) = self.taken.get(&number) else { return moved };
            // Whose hash says a number behind the hole does not want it. Of those who do, the first is the lowest, since it
            // holds a number that the others passed by.
            if (1..=self.distance(hole, number)).contains(&self.distance(hole, *home)) {
                continue;
            }
            if let Some(owner) = self.taken.remove(&number) {
                moved.push((owner.0.clone(), number));
                self.numbers.insert(owner.0.clone(), hole);
                self.taken.insert(hole, owner);
                hole = number;
            }
        }
    }

    const fn next(&self, number: u32) -> u32 {
        if number == self.highest { self.lowest } else { number + 1 }
    }

    /// How many steps lead from a number to another.
    const fn distance(&self, from: u32, to: u32) -> u32 {
        if to >= from { to - from } else { (self.highest - from) + 1 + (to - self.lowest) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A hash that says few numbers, so that many meet.
    const fn hash(key: u8) -> u64 {
        (key as u64).wrapping_mul(7) / 5
    }

    #[test]
    fn the_lower_one_has_the_number_that_both_want() {
        let mut places = Places::new(1, 10);
        assert_eq!(places.insert('b', 4), []);
        assert_eq!(places.insert('c', 4), []);
        assert_eq!(places.insert('a', 4), [('b', 5), ('c', 6)]);
        let numbers: Vec<(char, u32)> = places.iter().map(|(key, number)| (*key, number)).collect();
        assert_eq!(numbers, [('a', 5), ('b', 6), ('c', 7)]);
        assert_eq!(places.remove(&'a'), [('b', 6), ('c', 7)]);
        assert_eq!((places.get(&'b'), places.get(&'c'), places.get(&'a')), (Some(5), Some(6), None));
        assert_eq!(places.remove(&'a'), []);
    }

    proptest! {
        #[test]
        fn numbers_do_not_tell_what_was_there_before(steps in vec((any::<bool>(), 0_u8..40), 0..120)) {
            let mut places = Places::new(3, 50);
            for (come, key) in steps {
                let before = places.numbers.clone();
                let moved = match (come, places.get(&key)) {
                    (true, None) => places.insert(key, hash(key)),
                    (true, Some(_)) => continue,
                    (false, _) => places.remove(&key),
                };
                let differ = before.iter().filter(|(other, number)| {
                    **other != key && places.get(other) != Some(**number)
                });
                let mut moved = moved;
                moved.sort_unstable();
                prop_assert_eq!(moved, differ.map(|(other, number)| (*other, *number)).collect::<Vec<_>>());
                let mut anew = Places::new(3, 50);
                for other in places.numbers.keys() {
                    anew.insert(*other, hash(*other));
                }
                prop_assert_eq!(&places, &anew);
            }
        }
    }
}
