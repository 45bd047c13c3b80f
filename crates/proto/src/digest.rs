//! What two sides compare to know that they have the same topic.

use sha2::{Digest as _, Sha256};

/// The digest of a topic: the sum, modulo 2^128, of the first 16 bytes of the SHA-256 of each of its items.
///
/// It does not depend on the order of items, and it is kept up by adding what comes and subtracting what goes. It is
/// there to notice that two sides differ; it is no proof against somebody who chooses items so that sums collide, and
/// needs not be, since both sides believe the controller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Digest(u128);

impl Digest {
    /// The digest of a topic with this one item.
    pub fn of(item: &[u8]) -> Self {
        let hash: [u8; 32] = Sha256::digest(item).into();
        let mut first = [0; 16];
        first.copy_from_slice(&hash[..16]);
        Self(u128::from_be_bytes(first))
    }

    /// With an item more, by the item's own digest.
    pub const fn add(&mut self, item: Self) {
        self.0 = self.0.wrapping_add(item.0);
    }

    /// With an item less, by the item's own digest.
    pub const fn subtract(&mut self, item: Self) {
        self.0 = self.0.wrapping_sub(item.0);
    }

    /// As it travels.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// As it travelled.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_what_goes_leaves_no_trace() {
        let items = [&b"one"[..], b"two", b"three"].map(Digest::of);
        let sum = |order: [usize; 3]| {
            let mut digest = Digest::default();
            order.into_iter().for_each(|index| digest.add(items[index]));
            digest
        };
        let mut digest = sum([0, 1, 2]);
        assert_eq!(digest, sum([2, 0, 1]));
        assert_eq!(Digest::from_bytes(digest.to_bytes()), digest);
        items.into_iter().for_each(|item| digest.subtract(item));
        assert_eq!(digest, Digest::default());
        // SHA-256 of "abc" begins so (FIPS 180-4).
        assert_eq!(Digest::of(b"abc").to_string(), "ba7816bf8f01cfea414140de5dae2223");
    }
}
