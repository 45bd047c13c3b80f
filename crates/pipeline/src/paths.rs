//! Several ways to one host: which of them a flow takes (equal-cost multi-path, ECMP).
//!
//! Every frame of a flow takes the same one, so that none overtakes another (RFC 2992). What chooses is the part of the
//! flow's hash that the outer headers carry too, by which a copy that was put back to an uplink finds its way again.

use crate::tables::{Address, Peer, PeerKey, Tables};

/// Bits of the hash that do not choose: the upper 8 do.
const UNUSED_BITS: u32 = 24;

/// Which of so many ways the flow with this hash takes, from 0.
#[inline(always)]
pub const fn index(hash: u32, paths: u16) -> u32 {
    ((hash >> UNUSED_BITS) * paths as u32) >> 8
}

/// The way to a host for the flow with this hash.
#[inline(always)]
pub fn choose<'t, T: Tables>(tables: &'t T, provider: &Address, hash: u32) -> Option<&'t Peer> {
    let mut key = PeerKey::first(*provider);
    let first = tables.peer(&key)?;
    key.path = index(hash, first.paths);
    if key.path == 0 {
        return Some(first);
    }
    // While ways come and go, one that is counted may not be there yet.
    match tables.peer(&key) {
        Some(peer) => Some(peer),
        None => Some(first),
    }
}

/// The first way to a host: whether there is any, and what all of them have in common.
#[inline(always)]
pub fn any<'t, T: Tables>(tables: &'t T, provider: &Address) -> Option<&'t Peer> {
    tables.peer(&PeerKey::first(*provider))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_spread_evenly_over_the_ways() {
        for paths in 1..=crate::MAX_PATHS as u16 {
            let mut taken = [0; crate::MAX_PATHS as usize];
            for hash in 0..=u32::from(u8::MAX) {
                taken[index(hash << UNUSED_BITS | 0xff_ffff, paths) as usize] += 1;
            }
            let used = &taken[..usize::from(paths)];
            let (least, most) = (used.iter().min().unwrap(), used.iter().max().unwrap());
            assert!(most - least <= 1 && taken.iter().sum::<u32>() == 256, "{paths} ways are taken {taken:?} times");
        }
        assert_eq!(index(u32::MAX, 0), 0, "an entry that counts none is the only one");
    }
}
