//! Token buckets: how many broadcast and multicast frames a port may send, and how much of all frames.
//!
//! The arithmetic is here, pure; where the bucket is kept and what time it is, is the caller's.

use crate::policy::Direction;

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

/// Parts of a nanosecond in which the meters of bandwidth count, so that a short frame at a high rate is no rounding error.
const TICKS: u64 = 16;
/// Ticks in a second.
const TICKS_A_SECOND: u64 = SECOND * TICKS;

/// Largest burst, in bytes or packets, of which the ticks of a second each still fit in 64 bits.
pub const MAX_BURST: u32 = 1_000_000_000;

/// A limit of one direction. Zero in `bandwidth` or `packets` is no limit of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[repr(C)]
pub struct Limit {
    /// Thousands of bits a second.
    pub bandwidth: u32,
    /// Bytes at once after a silence, [`MAX_BURST`] at most.
    pub burst: u32,
    /// Packets a second.
    pub packets: u32,
    /// Packets at once after a silence.
    pub packet_burst: u32,
}

impl Limit {
    /// Whether it limits anything.
    #[inline(always)]
    pub const fn is_set(&self) -> bool {
        self.bandwidth | self.packets != 0
    }
}

/// Most meters on one host: the least used are forgotten first, and what is forgotten begins anew.
pub const MAX_METERS: u32 = 1 << 15;

/// What a frame counts for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Bytes, those of the Ethernet headers included.
    pub bytes: u32,
    /// Packets.
    pub packets: u32,
}

/// More than any frame counts for: 64 KiB, divided into segments as small as TCP makes them (`TCP_MIN_MSS`, 88 bytes), each
/// with headers of its own.
const LARGEST: Size = Size { bytes: 1 << 18, packets: 1 << 10 };

/// Which meter: of a port or of a VM network, in one direction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(C)]
pub struct MeterKey {
    /// [`Direction`], and 2 more for a VM network.
    pub which: u32,
    /// Slot of the port's counters, or number of the routing domain.
    pub number: u32,
}

impl MeterKey {
    /// Of a port.
    #[inline(always)]
    pub const fn port(slot: u32, direction: Direction) -> Self {
        Self { which: direction as u32, number: slot }
    }

    /// Of a VM network on this host.
    #[inline(always)]
    pub const fn network(domain: u32, direction: Direction) -> Self {
        Self { which: direction as u32 | 2, number: domain }
    }
}

/// When what has passed will have been paid for, in ticks of a clock that never goes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Meter {
    /// By bandwidth.
    pub bytes: u64,
    /// By packets.
    pub packets: u64,
}

/// What becomes of one number of a [`Meter`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The frame passes.
    pub passes: bool,
    /// All was paid for: before anything is added, the number is to be that of now.
    pub anew: bool,
    /// What is to be added if the frame passes.
    pub cost: u64,
}

/// The time now, in ticks.
#[inline(always)]
pub const fn ticks(nanoseconds: u64) -> u64 {
    nanoseconds * TICKS
}

/// Of `amount`, at `rate` of these a second, of which `burst` may pass at once; `paid_at` is the meter's number.
///
/// A frame passes as long as less than the burst is owed, however long it is, and is owed then: so a frame that stands for
/// many segments may be longer than the burst, and the rate is kept all the same. Several CPUs may add at the same time: what
/// is lost when two of them begin anew at once is nothing that a limit that bites would have missed.
///
/// More than the burst and the `largest` frame is owed only where another limit, a lower one, was in force before: what was
/// owed to that is forgotten, or a port could be silent for a minute after its limit was raised.
#[inline(always)]
pub const fn step(paid_at: u64, now: u64, amount: u64, rate: u64, burst: u64, largest: u64) -> Step {
    // No rate would be a division by zero, which the caller has ruled out; the verifier wants to see it.
    let rate = if rate == 0 { 1 } else { rate };
    let burst = if burst > MAX_BURST as u64 { MAX_BURST as u64 } else { burst };
    let owed = paid_at.saturating_sub(now);
    let within = owed == 0 || owed < burst * TICKS_A_SECOND / rate;
    // Asked of what would be dropped only: a division.
    let anew = owed == 0 || !within && owed > (burst + largest) * TICKS_A_SECOND / rate;
    Step { passes: within || anew, anew, cost: amount * TICKS_A_SECOND / rate }
}

impl Limit {
    /// What becomes of a meter's number of bandwidth.
    #[inline(always)]
    pub const fn of_bytes(&self, paid_at: u64, now: u64, size: Size) -> Step {
        step(paid_at, now, size.bytes as u64, self.bandwidth as u64 * 125, self.burst as u64, LARGEST.bytes as u64)
    }

    /// What becomes of a meter's number of packets.
    #[inline(always)]
    pub const fn of_packets(&self, paid_at: u64, now: u64, size: Size) -> Step {
        step(paid_at, now, size.packets as u64, self.packets as u64, self.packet_burst as u64, LARGEST.packets as u64)
    }
}

const _: () = assert!(size_of::<Limit>() == 16 && size_of::<MeterKey>() == 8 && size_of::<Meter>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that pass in ten seconds of frames of so many bytes, offered at twice the rate.
    fn passed(limit: Limit, frame: u32) -> u64 {
        let (mut paid_at, mut passed) = (0, 0);
        let mut now = ticks(SECOND);
        let gap = u64::from(frame) * TICKS_A_SECOND / (250 * u64::from(limit.bandwidth));
        while now < ticks(11 * SECOND) {
            let step = limit.of_bytes(paid_at, now, Size { bytes: frame, packets: 1 });
            if step.passes {
                paid_at = step.cost + if step.anew { now } else { paid_at };
                passed += u64::from(frame);
            }
            now += gap;
        }
        passed
    }

    #[test]
    fn the_rate_is_kept_by_small_frames_and_by_such_as_are_longer_than_the_burst() {
        for bandwidth in [1000, 100_000, 10_000_000, 100_000_000] {
            for (frame, burst) in [(64, 256_000), (1514, 256_000), (65_000, 256_000), (65_000, 1514)] {
                if bandwidth > 8_000_000 && frame < 1000 {
                    continue;
                }
                let expected = 1250 * u64::from(bandwidth) + u64::from(burst);
                let limit = Limit { bandwidth, burst, ..Limit::default() };
                let got = passed(limit, frame);
                let slack = expected / 100 + u64::from(frame);
                assert!(got.abs_diff(expected) <= slack, "{limit:?}, frames of {frame}: {got} for {expected}");
            }
        }
    }

    #[test]
    fn what_was_owed_to_a_lower_limit_is_forgotten_when_it_is_raised() {
        let slow = Limit { packets: 1, packet_burst: 64, ..Limit::default() };
        let fast = Limit { packets: 1000, packet_burst: 300, ..Limit::default() };
        let (now, one) = (ticks(SECOND), Size { bytes: 98, packets: 1 });
        let mut paid_at = 0;
        for _ in 0..200 {
            let step = slow.of_packets(paid_at, now, one);
            if step.passes {
                paid_at = step.cost + if step.anew { now } else { paid_at };
            }
        }
        // It owes its burst and the last packet, and no more passes for as long.
        assert!(
            !slow.of_packets(paid_at, now, one).passes && !slow.of_packets(paid_at, now, one).anew,
            "the slow limit does not bite"
        );
        let step = fast.of_packets(paid_at, now, one);
        assert!(step.passes && step.anew);
        // What the limit itself can have let pass is not forgotten.
        let most = ticks(SECOND) + (300 + u64::from(LARGEST.packets)) * TICKS_A_SECOND / 1000;
        let step = |paid_at| fast.of_packets(paid_at, now, one);
        assert!(!step(most).passes && !step(most).anew);
        assert!(step(most + 1).passes && step(most + 1).anew);
    }

    #[test]
    fn the_largest_numbers_are_no_overflow() {
        let most = Limit { bandwidth: 4_000_000_000, burst: u32::MAX, packets: u32::MAX, packet_burst: u32::MAX };
        for limit in [most, Limit { bandwidth: 1, packets: 1, ..most }] {
            for paid_at in [0, ticks(SECOND), u64::MAX] {
                let size = Size { bytes: 1 << 20, packets: 1 << 14 };
                let steps =
                    [limit.of_bytes(paid_at, ticks(SECOND), size), limit.of_packets(paid_at, ticks(SECOND), size)];
                assert!(steps.iter().all(|step| step.passes && step.anew), "{limit:?} {paid_at} {steps:?}");
            }
        }
    }

    #[test]
    fn packets_are_counted_apart_from_bytes() {
        let limit = Limit { packets: 1000, packet_burst: 10, ..Limit::default() };
        let size = Size { bytes: 9000, packets: 6 };
        let first = limit.of_packets(0, ticks(SECOND), size);
        assert_eq!(first, Step { passes: true, anew: true, cost: 6 * TICKS_A_SECOND / 1000 });
        let owed = ticks(SECOND) + first.cost;
        assert!(limit.of_packets(owed, ticks(SECOND), size).passes, "6 of 10 are owed");
        assert!(!limit.of_packets(owed + first.cost, ticks(SECOND), size).passes, "12 of 10 are owed");
        assert!(!Limit::default().is_set() && limit.is_set());
    }

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
