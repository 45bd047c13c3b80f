//! The headers that the pipeline reads and writes, one protocol a file.

pub mod arp;
pub mod ethernet;
pub mod icmp;
pub mod ip;
pub mod neighbor;
pub mod nvgre;
pub mod transport;

/// Length of an Ethernet header without tags.
pub const ETHERNET_LEN: usize = 14;

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
