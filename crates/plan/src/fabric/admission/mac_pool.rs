//! MAC pools: ranges that no other pool has.

use model::fabric::{Key, Kind, MacPool, MacRange, Spec};

use super::Run;
use crate::fabric::Refusal;

impl Run<'_, '_> {
    pub(super) fn check_mac_pool(&mut self, key: &Key, spec: &MacPool) {
        self.length(key, "ranges", spec.ranges.len());
        if spec.ranges.is_empty() {
            self.refuse(key, Refusal::Empty { key: key.clone(), what: "range", option: "--range FIRST..LAST" });
        }
        let mut seen: Vec<(Key, MacRange)> = Vec::new();
        for pool in self.fabric.of_kind(Kind::MacPool, None).filter(|pool| pool.key() != *key) {
            if let Spec::MacPool(other) = &pool.resource.spec {
                seen.extend(other.ranges.iter().map(|range| (pool.key(), *range)));
            }
        }
        for range in &spec.ranges {
            if let Some((other, theirs)) = seen.iter().find(|(_, theirs)| theirs.overlaps(range)).cloned() {
                self.refuse(key, Refusal::MacRangeOverlap { key: key.clone(), range: *range, other, theirs });
            }
            seen.push((key.clone(), *range));
        }
    }
}
