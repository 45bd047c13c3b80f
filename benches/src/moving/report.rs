//! What was measured of guests, as text and as JSON.

use std::fmt;

use serde::Serialize;

use super::idle::Kept;
use super::scene::Scene;
use super::streams::{PLACES, Sizes};
use super::under_load::{Block, Sample};
use crate::stats::{ratios, summarize};

/// All figures of one contestant.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contestant {
    /// Its name.
    pub name: String,
    /// Mbit/s from guest to guest, one a round.
    pub streams: Vec<f64>,
    /// Sizes of frames at the sending guest's tap, its host's uplink and the receiving guest's tap.
    pub frames: [Option<Sizes>; PLACES],
    /// What was seen of moves.
    pub blocks: Vec<Block>,
    /// Idle connections: those that the guest has opened, and those that were opened towards it.
    pub idle: [Kept; 2],
}

impl Contestant {
    fn moves(&self) -> impl Iterator<Item = &Sample> {
        self.blocks.iter().flat_map(|block| &block.moves)
    }

    /// A figure of all moves.
    fn each(&self, of: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.moves().map(of).collect()
    }

    fn sum(&self, of: impl Fn(&Sample) -> usize) -> usize {
        self.moves().map(of).sum()
    }

    /// Streams that broke.
    fn broken(&self) -> usize {
        self.blocks.iter().filter(|block| block.stream.is_none()).count()
    }
}

/// All figures.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// What guests run under.
    pub accelerator: String,
    /// Of each contestant.
    pub contestants: Vec<Contestant>,
}

impl Figures {
    /// None yet.
    pub(super) fn new(scenes: &[Scene]) -> Self {
        let contestant = |scene: &Scene| Contestant {
            name: scene.kind.name().to_owned(),
            streams: Vec::new(),
            frames: [None; PLACES],
            blocks: Vec::new(),
            idle: [Kept::default(); 2],
        };
        Self {
            accelerator: scenes.first().map(|scene| scene.accelerator.clone()).unwrap_or_default(),
            contestants: scenes.iter().map(contestant).collect(),
        }
    }

    pub(super) fn stream(&mut self, place: usize, rate: f64) {
        self.contestants[place].streams.push(rate);
    }

    pub(super) fn frames(&mut self, place: usize, sizes: [Option<Sizes>; PLACES]) {
        self.contestants[place].frames = sizes;
    }

    pub(super) fn moved(&mut self, place: usize, block: Block) {
        self.contestants[place].blocks.push(block);
    }

    pub(super) fn held(&mut self, place: usize, kept: [Kept; 2]) {
        self.contestants[place].idle = kept;
    }
}

/// The sample that so many of a hundred are not above.
fn percentile(samples: &[f64], of: usize) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() * of).div_ceil(100).checked_sub(1)?;
    sorted.get(place).copied()
}

/// Median, 99th percentile and largest, in milliseconds.
fn spread(samples: &[f64]) -> String {
    let ms = |of| percentile(samples, of).map_or("–".to_owned(), |value| format!("{value:.1}"));
    format!("p50 {} ms, p99 {} ms ({} samples)", ms(50), ms(99), samples.len())
}

fn sizes(sizes: Option<Sizes>) -> String {
    sizes.map_or("none seen".to_owned(), |it| {
        format!("median {} B, largest {} B ({} frames)", it.median, it.largest, it.count)
    })
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "guests run under {}", self.accelerator)?;
        for contestant in &self.contestants {
            let Contestant { name, streams, frames, blocks, idle, .. } = contestant;
            writeln!(out, "\n{name}")?;
            if let Some(summary) = summarize(streams) {
                let (median, variation) = (summary.median, summary.variation * 100.0);
                writeln!(
                    out,
                    "  guest to guest, TCP: {median:.0} Mbit/s ±{variation:.0} % ({} rounds)",
                    summary.count
                )?;
            }
            writeln!(out, "  frames at the sender's tap: {}", sizes(frames[0]))?;
            writeln!(out, "  frames at its host's uplink: {}", sizes(frames[1]))?;
            writeln!(out, "  frames at the receiver's tap: {}", sizes(frames[2]))?;
            let (moves, streams) = (contestant.moves().count(), contestant.broken());
            writeln!(out, "  moves: {moves}; broken: {streams} of {} streams", blocks.len())?;
            let broken = |kept: &Kept| format!("{} of {}", kept.of - kept.kept, kept.of);
            let [by, to] = idle.each_ref().map(broken);
            writeln!(
                out,
                "  broken idle connections: {by} that the guest has opened, {to} that were opened towards it"
            )?;
            writeln!(out, "  pause: {}", spread(&contestant.each(|sample| sample.pause)))?;
            let first: Vec<f64> = contestant.moves().filter_map(|sample| sample.first).collect();
            writeln!(out, "  resume to its first frame at the other VM: {}", spread(&first))?;
            let pings: usize = blocks.iter().map(|block| block.pings).sum();
            writeln!(
                out,
                "  pings not answered, of {pings}: {} sent while it stood still ({} of those were answered late), {} in the 100 ms \
                 before, {} after it ran again, {} elsewhere",
                contestant.sum(|sample| sample.lost_in_pause),
                contestant.sum(|sample| sample.late),
                contestant.sum(|sample| sample.lost_before),
                contestant.sum(|sample| sample.lost_after),
                blocks.iter().map(|block| block.lost_elsewhere).sum::<usize>(),
            )?;
            let rates: Vec<f64> = blocks.iter().filter_map(|block| block.stream).collect();
            if let Some(summary) = summarize(&rates) {
                writeln!(
                    out,
                    "  the stream over moves and pauses: {:.0} Mbit/s ({} blocks)",
                    summary.median, summary.count
                )?;
            }
        }
        if let [own, other] = self.contestants.as_slice() {
            let some = |samples: &[f64]| samples.iter().copied().map(Some).collect::<Vec<_>>();
            if let Some(ratio) = summarize(&ratios(&some(&own.streams), &some(&other.streams))) {
                let (median, variation) = (ratio.median, ratio.variation * 100.0);
                writeln!(out, "\nguest to guest, {} over {}: {median:.2} ±{variation:.0} %", own.name, other.name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(percentile(&samples, 50), Some(10.0));
        assert_eq!(percentile(&samples, 99), Some(20.0));
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(spread(&[2.0]), "p50 2.0 ms, p99 2.0 ms (1 samples)");
    }
}
