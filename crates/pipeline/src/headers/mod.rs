//! The headers that the pipeline reads and writes, one protocol a file.

pub mod arp;
pub mod ethernet;
pub mod extension;
pub mod geneve;
pub mod icmp;
pub mod ip;
pub mod neighbor;
pub mod nvgre;
pub mod transport;
pub mod vxlan;

/// Length of an Ethernet header without tags.
pub const ETHERNET_LEN: usize = 14;

/// Bytes of a header as 16-bit words in memory order.
///
/// What is written for every packet is written so: all fields of the headers between hosts begin at even offsets, and the
/// compiler, which must take a byte array to lie anywhere, would store each byte by itself.
pub type Words<const N: usize> = [u16; N];

/// An Ethernet header in words.
pub type EthernetWords = Words<7>;

/// Two bytes as a word in memory order.
#[inline(always)]
pub(crate) const fn word(first: u8, second: u8) -> u16 {
    u16::from_ne_bytes([first, second])
}

/// Four bytes, given as a number in memory order, as two words.
#[inline(always)]
pub(crate) const fn halves(four: u32) -> [u16; 2] {
    let [a, b, c, d] = four.to_ne_bytes();
    [word(a, b), word(c, d)]
}

/// A MAC address as three words.
#[inline(always)]
pub(crate) fn mac_words(mac: &[u8; 6]) -> [u16; 3] {
    let word = |at| u16::from_ne_bytes(part(mac, at));
    [word(0), word(2), word(4)]
}

/// Three words as a MAC address.
#[inline(always)]
pub(crate) const fn mac_of(words: [u16; 3]) -> [u8; 6] {
    let [first, second, third] = words;
    let ([a, b], [c, d], [e, f]) = (first.to_ne_bytes(), second.to_ne_bytes(), third.to_ne_bytes());
    [a, b, c, d, e, f]
}

/// Whether two MAC addresses are the same, compared by words.
#[inline(always)]
pub fn same_mac(one: &[u8; 6], other: &[u8; 6]) -> bool {
    let ([a, b, c], [d, e, f]) = (mac_words(one), mac_words(other));
    (a ^ d) | (b ^ e) | (c ^ f) == 0
}

/// The bytes `offset..offset + N` of a longer array whose length is known; both are constants, so that the compiler
/// reads them as one word and sees that the bounds hold.
#[inline(always)]
pub(crate) fn part<const LEN: usize, const N: usize>(bytes: &[u8; LEN], offset: usize) -> [u8; N] {
    match bytes.get(offset..offset + N) {
        Some(slice) => slice.try_into().unwrap_or([0; N]),
        None => [0; N],
    }
}

/// Writes `bytes` into a longer array from `offset`; both are constants.
#[inline(always)]
pub(crate) fn put<const LEN: usize, const N: usize>(target: &mut [u8; LEN], offset: usize, bytes: [u8; N]) {
    if let Some(slice) = target.get_mut(offset..offset + N) {
        slice.copy_from_slice(&bytes);
    }
}
