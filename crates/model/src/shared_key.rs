//! Keys that many maps hold, compared without being looked up in memory.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::Arc;

use crate::Key;

/// A [`Key`] that costs little to copy, and little to compare: a map of 100,000 records is searched by numbers that lie
/// in it, and the names themselves are read only where these are equal.
#[derive(Clone, Debug)]
pub struct SharedKey {
    /// The kind and the first bytes of the name, in the order of keys.
    prefix: u128,
    key: Arc<Key>,
}

impl From<Key> for SharedKey {
    fn from(key: Key) -> Self {
        let mut prefix = [0; 16];
        let (kind, name) = prefix.split_at_mut(1);
        kind[0] = key.kind as u8;
        for (place, byte) in name.iter_mut().zip(key.name.bytes()) {
            *place = byte;
        }
        Self { prefix: u128::from_be_bytes(prefix), key: Arc::new(key) }
    }
}

impl Deref for SharedKey {
    type Target = Key;
    fn deref(&self) -> &Key {
        &self.key
    }
}

/// Its order is the one of the keys (see the test), as a map needs to be searched by either.
impl Borrow<Key> for SharedKey {
    fn borrow(&self) -> &Key {
        &self.key
    }
}

impl PartialEq for SharedKey {
    fn eq(&self, other: &Self) -> bool {
        self.prefix == other.prefix && self.key == other.key
    }
}

impl Eq for SharedKey {}

impl PartialOrd for SharedKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SharedKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.prefix.cmp(&other.prefix).then_with(|| self.key.cmp(&other.key))
    }
}

impl std::fmt::Display for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.key.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Kind;

    fn any_key() -> impl Strategy<Value = Key> {
        // Names that share more than fits into the number, and such that end inside of it.
        let names =
            prop_oneof![Just("5001/10.0.12.34/".to_owned()), "[a-c/0]{0,20}", "5001/10\\.[0-9.]{0,12}", ".{0,18}"];
        (proptest::sample::select(&Kind::ALL[..]), names, "[a-b\u{0}]{0,3}")
            .prop_map(|(kind, name, end)| Key { kind, name: name + &end })
    }

    proptest! {
        #[test]
        fn the_order_is_the_one_of_the_keys(one in any_key(), other in any_key()) {
            let (shared, shared_other) = (SharedKey::from(one.clone()), SharedKey::from(other.clone()));
            prop_assert_eq!(shared.cmp(&shared_other), one.cmp(&other));
            prop_assert_eq!(shared == shared_other, one == other);
        }
    }
}
