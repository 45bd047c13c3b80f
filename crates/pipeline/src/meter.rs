//! A token bucket: how many broadcast and multicast frames a port may send.
//!
//! The arithmetic is here, pure; where the bucket is kept and what time it is, is the caller's.

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// A bucket as it was left by the last frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Bucket {
    /// Time at which the bucket would have been full, in nanoseconds of a clock that never goes back; 0 at the start.
    pub full_at: u64,
}

impl Bucket {
    /// Takes a token at the time `now` from a bucket of `burst` tokens that gains `rate` tokens a second; the bucket
    /// afterwards, or `None` if it has no token.
    ///
    /// This is the virtual-scheduling form of the leaky bucket (ITU-T I.371, GCRA): one number is all there is to keep.
    #[inline(always)]
    pub const fn take(self, now: u64, rate: u32, burst: u32) -> Option<Self> {
        if rate == 0 || burst == 0 {
            return None;
        }
        let token = SECOND / rate as u64;
        let start = if self.full_at > now { self.full_at } else { now };
        // A full bucket holds `burst` tokens, so after this one at most the time of `burst` tokens may be missing.
        if start - now > token * (burst as u64 - 1) { None } else { Some(Self { full_at: start + token }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut bucket = Bucket::default();
        let mut passed = 0;
        for now in (SECOND..2 * SECOND).step_by(100_000) {
            if let Some(next) = bucket.take(now, 100, 20) {
                bucket = next;
                passed += 1;
            }
        }
        assert_eq!(passed, 20 + 99, "10,000 frames in a second against 100 a second with a burst of 20");
    }

    #[test]
    fn no_rate_no_frame() {
        assert_eq!(Bucket::default().take(5, 0, 10), None);
        assert_eq!(Bucket::default().take(5, 10, 0), None);
    }
}
