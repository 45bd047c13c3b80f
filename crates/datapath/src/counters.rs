//! The counters of ports and of the uplink.

use aya::maps::{MapData, MapError, PerCpuArray, PerCpuValues};
use pipeline::{Counters, DropReason, MAX_REASONS};

use crate::Datapath;
use crate::error::Error;
use crate::raw::Raw;

/// Counters of one slot, summed over the CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SlotCounters {
    /// Frames that came from the port, or for slot 0 from the underlay and were for us.
    pub from_packets: u64,
    /// Their bytes.
    pub from_bytes: u64,
    /// Frames that went to the port, or for slot 0 to the underlay.
    pub to_packets: u64,
    /// Their bytes.
    pub to_bytes: u64,
    drops: DropCounts,
}

/// An array that has a default whatever its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct DropCounts([u64; MAX_REASONS]);

impl Default for DropCounts {
    fn default() -> Self {
        Self([0; MAX_REASONS])
    }
}

impl SlotCounters {
    /// Frames dropped for a reason.
    pub fn drops(&self, reason: DropReason) -> u64 {
        self.drops.0[reason as usize]
    }

    /// Frames dropped, for whatever reason.
    pub fn all_drops(&self) -> u64 {
        self.drops.0.iter().sum()
    }

    fn add(&mut self, other: &Counters) {
        self.from_packets += other.from_packets;
        self.from_bytes += other.from_bytes;
        self.to_packets += other.to_packets;
        self.to_bytes += other.to_bytes;
        for (sum, count) in self.drops.0.iter_mut().zip(other.drops) {
            *sum += count;
        }
    }
}

const ZERO: Counters = Counters { from_packets: 0, from_bytes: 0, to_packets: 0, to_bytes: 0, drops: [0; MAX_REASONS] };

impl Datapath {
    /// The counters of a slot; slot 0 is the uplink's.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn counters(&self, slot: u32) -> Result<SlotCounters, Error> {
        let map = self.ebpf.map("COUNTERS").ok_or(Error::Missing("COUNTERS"))?;
        let array: PerCpuArray<&MapData, Raw<Counters>> =
            map.try_into().map_err(|e: MapError| Error::map("open", "COUNTERS", &e))?;
        let values = array.get(&slot, 0).map_err(|e| Error::map("read", "COUNTERS", &e))?;
        let mut sum = SlotCounters::default();
        for Raw(counters) in values.iter() {
            sum.add(counters);
        }
        Ok(sum)
    }

    /// Sets the counters of a slot to zero; what is counted at the same moment may survive.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn clear_counters(&mut self, slot: u32) -> Result<(), Error> {
        let map = self.ebpf.map_mut("COUNTERS").ok_or(Error::Missing("COUNTERS"))?;
        let mut array: PerCpuArray<&mut MapData, Raw<Counters>> =
            map.try_into().map_err(|e: MapError| Error::map("open", "COUNTERS", &e))?;
        let cpus = aya::util::nr_cpus().map_err(|(_, e)| Error::map("write to", "COUNTERS", &e))?;
        let zeros =
            PerCpuValues::try_from(vec![Raw(ZERO); cpus]).map_err(|e| Error::map("write to", "COUNTERS", &e))?;
        array.set(slot, zeros, 0).map_err(|e| Error::map("write to", "COUNTERS", &e))
    }
}
