//! Entries of a table that are to be other than they were, gathered before any of them is written.

use std::collections::BTreeMap;

use crate::TableChanges;

/// From which part of a table on its changes are merged with it as a whole, rather than put in one by one.
const LARGE_PART: usize = 8;

/// What some entries of one table are to be; `None` is no entry.
pub(crate) struct Edit<K, V> {
    /// What was said later stands behind, and counts.
    said: Vec<(K, Option<V>)>,
    /// So many of them are in order, each once.
    in_order: usize,
}

impl<K, V> Default for Edit<K, V> {
    fn default() -> Self {
        Self { said: Vec::new(), in_order: 0 }
    }
}

impl<K: Ord + Copy, V: PartialEq + Copy> Edit<K, V> {
    /// Says what an entry is to be. What is said later counts.
    pub(crate) fn set(&mut self, key: K, value: Option<V>) {
        self.said.push((key, value));
    }

    /// Says what a part of the table is to be; what else it holds now goes.
    pub(crate) fn replace<'a>(&mut self, now: impl Iterator<Item = (&'a K, &'a V)>, entries: BTreeMap<K, V>)
    where
        K: 'a,
        V: 'a,
    {
        self.said.extend(now.map(|(key, _)| (*key, None)));
        self.said.extend(entries.into_iter().map(|(key, value)| (key, Some(value))));
    }

    /// Makes [`Edit::get`] cheap, until more is said.
    pub(crate) fn put_in_order(&mut self) {
        // Stable: what was said last of a key is the last one of its kind.
        self.said.sort_by_key(|(key, _)| *key);
        self.said.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                *earlier = *later;
            }
            same
        });
        self.in_order = self.said.len();
    }

    /// The entry as it is to be.
    pub(crate) fn get<'a>(&'a self, table: &'a BTreeMap<K, V>, key: &K) -> Option<&'a V> {
        let (before, late) = self.said.split_at(self.in_order);
        let late = late.iter().rev().find(|(said, _)| said == key);
        let said = late.or_else(|| before.get(before.binary_search_by_key(key, |(said, _)| *said).ok()?));
        said.map_or_else(|| table.get(key), |(_, value)| value.as_ref())
    }

    /// Writes the entries, and says which of them differ from what they were.
    pub(crate) fn carry_out(mut self, table: &mut BTreeMap<K, V>) -> TableChanges<K, V> {
        self.put_in_order();
        let differs = |(key, value): &(K, Option<V>)| table.get(key) != value.as_ref();
        let (upserts, deletions): (Vec<_>, Vec<_>) =
            self.said.into_iter().filter(differs).partition(|(_, value)| value.is_some());
        let changes = TableChanges {
            deletions: deletions.into_iter().map(|(key, _)| key).collect(),
            upserts: upserts.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
        };
        if changes.upserts.len() > table.len() / LARGE_PART {
            table.retain(|key, _| !changes.deletions.contains(key));
            table.append(&mut changes.upserts.clone());
        } else {
            changes.apply(table);
        }
        changes
    }
}
