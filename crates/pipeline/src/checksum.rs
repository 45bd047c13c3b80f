//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

use crate::headers::part;
use crate::packet::Packet;

/// Adds the carries of a sum of 16-bit words back in.
#[inline(always)]
pub const fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

/// Sum of the 16-bit words of `N` bytes in network order; an odd last byte counts as the upper half of a word.
#[inline(always)]
pub fn sum<const N: usize>(bytes: &[u8; N]) -> u32 {
    let mut sum = 0;
    let mut i = 0;
    while i + 1 < N {
        sum += u32::from(u16::from_be_bytes(part(bytes, i)));
        i += 2;
    }
    if i < N {
        let [last] = part(bytes, i);
        sum += u32::from(last) << 8;
    }
    sum
}

/// What a checksum changes by when the words that sum up to `old` become those that sum up to `new`.
#[inline(always)]
pub const fn difference(old: u32, new: u32) -> u16 {
    fold(!fold(old) as u32 + fold(new) as u32)
}

/// A checksum after a [`difference`] in what it covers (RFC 1624, equation 3).
///
/// Of the two representations of zero it gives the one that the kernel's `csum_replace_by_diff` gives, which adds in
/// 32 bits: hence the 0xffff, a zero of ones' complement.
#[inline(always)]
pub const fn correct(checksum: u16, difference: u16) -> u16 {
    !fold(0xffff + !checksum as u32 + difference as u32)
}

/// Sum over `len` bytes of a packet from `offset`; `None` if the packet ends before. `len` must not exceed `LIMIT`, which
/// must be a multiple of 16.
#[inline(always)]
pub fn sum_range<const LIMIT: usize, P: Packet>(packet: &P, offset: usize, len: usize) -> Option<u32> {
    match add_up::<LIMIT, P>(packet, offset, len) {
        TRUNCATED => None,
        sum => Some(sum),
    }
}

/// A sum that no packet reaches: 65,535 bytes have at most 0x7fff_8000.
const TRUNCATED: u32 = u32::MAX;

/// A call of its own in the kernel, with a result that fits in a register. The loops have constant bounds, as the
/// kernel's verifier wants.
#[inline(never)]
fn add_up<const LIMIT: usize, P: Packet>(packet: &P, offset: usize, len: usize) -> u32 {
    let mut total = 0u32;
    let mut done = 0;
    let mut i = 0;
    while i < LIMIT / 16 {
        if done + 16 > len {
            break;
        }
        let Some(bytes) = packet.bytes_at::<16>(offset + done) else { return TRUNCATED };
        total += sum(&bytes);
        done += 16;
        i += 1;
    }
    // What is left is less than 16 bytes: by its bits, so as not to count byte by byte.
    let rest = len.saturating_sub(done);
    if rest & 8 != 0 {
        let Some(bytes) = packet.bytes_at::<8>(offset + done) else { return TRUNCATED };
        total += sum(&bytes);
        done += 8;
    }
    if rest & 4 != 0 {
        let Some(bytes) = packet.bytes_at::<4>(offset + done) else { return TRUNCATED };
        total += sum(&bytes);
        done += 4;
    }
    if rest & 2 != 0 {
        let Some(bytes) = packet.bytes_at::<2>(offset + done) else { return TRUNCATED };
        total += sum(&bytes);
        done += 2;
    }
    if rest & 1 != 0 {
        let Some(bytes) = packet.bytes_at::<1>(offset + done) else { return TRUNCATED };
        total += sum(&bytes);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1071_example() {
        assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
    }

    #[test]
    fn an_odd_byte_is_the_upper_half() {
        assert_eq!(sum(&[0x12, 0x34, 0x56]), 0x1234 + 0x5600);
    }

    proptest::proptest! {
        #[test]
        fn incremental_is_the_same_as_from_scratch(words: [u16; 6], new: u16, at in 0usize..6) {
            let total = |words: &[u16]| !fold(words.iter().map(|w| u32::from(*w)).sum());
            let mut changed = words;
            changed[at] = new;
            // 0x0000 and 0xffff are the two representations of zero; a sum that is not all zero never has the first.
            let got = correct(total(&words), difference(words[at].into(), new.into()));
            let want = total(&changed);
            proptest::prop_assert!(got == want || (got ^ want) == 0xffff && (got == 0 || want == 0));
        }
    }
}
