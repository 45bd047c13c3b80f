//! An IPv4 or IPv6 address as the tables hold it.

use crate::headers::{part, put};

/// An IPv4 or IPv6 address in 16 bytes of network order; IPv4 as `::ffff:a.b.c.d` (RFC 4291, 2.5.5.2).
///
/// Kept as four words in memory order, since the kernel programs have too little stack to move bytes one by one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(C)]
pub struct Address {
    words: [u32; 4],
}

/// The third word of every IPv4 address.
const V4_WORD: u32 = 0x0000_ffff_u32.to_be();

impl Address {
    /// `0.0.0.0`, in a lookup record the key of a wildcard for IPv4.
    pub const UNSPECIFIED_V4: Self = Self::v4([0; 4]);
    /// `::`, in a lookup record the key of a wildcard for IPv6.
    pub const UNSPECIFIED_V6: Self = Self { words: [0; 4] };

    /// The address with these bytes in network order.
    #[inline(always)]
    pub const fn new(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Self {
            words: [
                u32::from_ne_bytes([a, b, c, d]),
                u32::from_ne_bytes([e, f, g, h]),
                u32::from_ne_bytes([i, j, k, l]),
                u32::from_ne_bytes([m, n, o, p]),
            ],
        }
    }

    /// The address with these words, each of four bytes in memory order.
    #[inline(always)]
    pub const fn from_words(words: [u32; 4]) -> Self {
        Self { words }
    }

    /// The four words, each of four bytes in memory order.
    #[inline(always)]
    pub const fn words(&self) -> [u32; 4] {
        self.words
    }

    /// The IPv4 address with these four bytes in network order.
    #[inline(always)]
    pub const fn v4(octets: [u8; 4]) -> Self {
        Self { words: [0, 0, V4_WORD, u32::from_ne_bytes(octets)] }
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    pub const fn is_v4(&self) -> bool {
        let [a, b, c, _] = self.words;
        a | b == 0 && c == V4_WORD
    }

    /// The address with these bytes in network order, word by word: as [`Address::new`], for packets.
    #[inline(always)]
    pub fn read(octets: &[u8; 16]) -> Self {
        let word = |at| u32::from_ne_bytes(part(octets, at));
        Self { words: [word(0), word(4), word(8), word(12)] }
    }

    /// The bytes in network order.
    #[inline(always)]
    pub fn octets(&self) -> [u8; 16] {
        let [a, b, c, d] = self.words;
        let mut octets = [0; 16];
        put(&mut octets, 0, a.to_ne_bytes());
        put(&mut octets, 4, b.to_ne_bytes());
        put(&mut octets, 8, c.to_ne_bytes());
        put(&mut octets, 12, d.to_ne_bytes());
        octets
    }

    /// Sum of the two 16-bit words of an IPv4 address, for the Internet checksum.
    #[inline(always)]
    pub const fn sum_v4(&self) -> u32 {
        let [_, _, _, last] = self.words;
        let last = u32::from_be(last);
        (last >> 16) + (last & 0xffff)
    }

    /// Sum of the 16-bit words that stand in a packet, for the Internet checksum.
    #[inline(always)]
    pub const fn sum(&self) -> u32 {
        let [a, b, c, _] = self.words;
        let mut sum = self.sum_v4();
        if !self.is_v4() {
            let (a, b, c) = (u32::from_be(a), u32::from_be(b), u32::from_be(c));
            sum += (a >> 16) + (a & 0xffff) + (b >> 16) + (b & 0xffff) + (c >> 16) + (c & 0xffff);
        }
        sum
    }

    /// The last four bytes: the IPv4 address, if it is one.
    #[inline(always)]
    pub const fn last4(&self) -> [u8; 4] {
        let [_, _, _, last] = self.words;
        last.to_ne_bytes()
    }
}

/// In the order of the bytes: IPv4 before IPv6.
impl Ord for Address {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.octets().cmp(&other.octets())
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl core::fmt::Display for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.is_v4() {
            core::net::Ipv4Addr::from(self.last4()).fmt(f)
        } else {
            core::net::Ipv6Addr::from(self.octets()).fmt(f)
        }
    }
}

impl core::fmt::Debug for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_is_told_from_ipv6() {
        assert!(Address::v4([10, 0, 0, 5]).is_v4());
        assert!(Address::UNSPECIFIED_V4.is_v4());
        assert!(!Address::UNSPECIFIED_V6.is_v4());
        assert_eq!(Address::v4([10, 0, 0, 5]).to_string(), "10.0.0.5");
        assert_eq!(Address::v4([10, 0, 0, 5]).octets()[10..], [0xff, 0xff, 10, 0, 0, 5]);
    }

    proptest::proptest! {
        #[test]
        fn bytes_come_back_and_order_is_theirs(a: [u8; 16], b: [u8; 16]) {
            proptest::prop_assert_eq!(Address::new(a).octets(), a);
            proptest::prop_assert_eq!(Address::read(&a), Address::new(a));
            let address = Address::new(a);
            let words = if address.is_v4() { crate::checksum::sum(&address.last4()) } else { crate::checksum::sum(&a) };
            proptest::prop_assert_eq!(address.sum(), words);
            proptest::prop_assert_eq!(Address::new(a).cmp(&Address::new(b)), a.cmp(&b));
        }
    }
}
