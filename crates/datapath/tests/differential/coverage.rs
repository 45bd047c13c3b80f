//! What the random frames reached.

use std::collections::BTreeMap;

use pipeline::{DropReason, Stage};

use crate::port_frames::Case;
use crate::userspace::{Expected, KINDS};

/// Reasons that a test run cannot give, and why.
const UNREACHABLE: [(DropReason, &str); 2] = [
    (DropReason::PuntLost, "the ring is emptied after each frame; see the test of its limit"),
    (DropReason::RateLimit, "the kernel's meters have a clock, and user space has none; see the test of limits"),
];

/// How often each thing happened.
#[derive(Default)]
pub struct Coverage {
    /// Frames that both saw.
    pub compared: u64,
    /// Frames that the kernel's test run does not take; user space took them without a panic.
    pub refused: u64,
    /// Sound frames that were sent on.
    pub sound: u64,
    /// Flows that both remembered, over all batches.
    pub flows: u64,
    /// VMs that both heard at their new places, over all batches.
    pub heard: u64,
    /// Frames whose flow was known.
    pub known: u64,
    kinds: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<DropReason, u64>,
    tried: BTreeMap<&'static str, u64>,
}

impl Coverage {
    /// Counts a frame.
    pub fn add(&mut self, case: &Case, expected: &Expected) {
        self.compared += 1;
        *self.kinds.entry(expected.kind).or_default() += 1;
        let decided = !matches!(expected.kind, "drop" | "pass");
        self.known += u64::from(decided && expected.stages.last() == Some(&Stage::Known));
        *self.tried.entry(case.what).or_default() += 1;
        if let Some(reason) = expected.reason {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    /// Every kind of verdict and every reason that there can be has been seen.
    pub fn assert_complete(&self) {
        let kinds: Vec<_> = KINDS.iter().filter(|kind| !self.kinds.contains_key(*kind)).collect();
        let reachable = |reason: &&DropReason| !UNREACHABLE.iter().any(|(other, _)| other == *reason);
        let reasons: Vec<_> = DropReason::ALL.iter().filter(reachable).collect();
        let reasons: Vec<_> = reasons.into_iter().filter(|reason| !self.reasons.contains_key(reason)).collect();
        assert!(kinds.is_empty() && reasons.is_empty(), "never seen: verdicts {kinds:?}, reasons {reasons:?}");
        // Half of what the fixed seed draws: without these nobody would miss the flow table.
        let (flows, known) = (self.flows, self.known);
        assert!(flows >= 400 && known >= 700, "{flows} flows are remembered, {known} frames find theirs known");
        assert!(self.heard >= 20, "{} VMs were heard at their new places", self.heard);
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} frames compared, {} taken by user space alone", self.compared, self.refused)?;
        writeln!(f, "{} sound ones were sent on, and sound they came out", self.sound)?;
        writeln!(f, "{} flows were remembered, {} frames found theirs known", self.flows, self.known)?;
        writeln!(f, "{} VMs were heard at their new places", self.heard)?;
        writeln!(f, "frames:")?;
        self.tried.iter().try_for_each(|(what, count)| writeln!(f, "  {count:6} {what}"))?;
        writeln!(f, "verdicts:")?;
        self.kinds.iter().try_for_each(|(kind, count)| writeln!(f, "  {count:6} {kind}"))?;
        writeln!(f, "reasons:")?;
        self.reasons.iter().try_for_each(|(reason, count)| writeln!(f, "  {count:6} {}", reason.name()))
    }
}
