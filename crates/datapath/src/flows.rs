//! The flow table: policy epochs that go up, flows as people ask for them, flows that end.

use std::collections::BTreeMap;

use aya::maps::{Array, MapData, MapError};
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use pipeline::flow::{Flow, FlowKey, FragmentKey, MAX_EPOCHS, Usage};
use pipeline::policy::Direction;
use pipeline::{Fragmented, MAX_PORTS};

use plan::Epochs;

use crate::Datapath;
use crate::batch;
use crate::error::Error;
use crate::raw::{Layout, Raw};

impl Datapath {
    /// Begins new policy epochs: what was decided about flows under the old ones counts no longer. To be done after the
    /// tables have been changed, and not before.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn begin_epochs(&mut self, epochs: &Epochs) -> Result<(), Error> {
        let indexes = match epochs {
            Epochs::All => return self.begin_all_epochs(),
            Epochs::Some(indexes) => indexes,
        };
        let map = self.ebpf.map_mut("EPOCHS").ok_or(Error::Missing("EPOCHS"))?;
        let mut array: Array<&mut MapData, u32> =
            map.try_into().map_err(|e: MapError| Error::map("open", "EPOCHS", &e))?;
        indexes.iter().try_for_each(|index| {
            let epoch = array.get(index, 0).map_err(|e| Error::map("read", "EPOCHS", &e))?;
            array.set(*index, epoch.wrapping_add(1), 0).map_err(|e| Error::map("write", "EPOCHS", &e))
        })
    }

    /// All of them, in two system calls rather than in thousands.
    fn begin_all_epochs(&mut self) -> Result<(), Error> {
        let map = self.descriptor("EPOCHS")?;
        let entries = batch::entries::<u32, u32>(map).map_err(|error| Error::map("read", "EPOCHS", &error))?;
        let (keys, epochs): (Vec<u32>, Vec<u32>) =
            entries.into_iter().map(|(index, epoch)| (index, epoch.wrapping_add(1))).unzip();
        assert_eq!(keys.len(), MAX_EPOCHS as usize, "an array has all of its entries");
        batch::update(map, &keys, &epochs).map_err(|stopped| Error::map("write", "EPOCHS", &stopped.source))
    }

    /// All policy epochs, by their indexes.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn epochs(&self) -> Result<Vec<u32>, Error> {
        let map = self.ebpf.map("EPOCHS").ok_or(Error::Missing("EPOCHS"))?;
        let array: Array<&MapData, u32> = map.try_into().map_err(|e: MapError| Error::map("open", "EPOCHS", &e))?;
        array.iter().collect::<Result<_, _>>().map_err(|e| Error::map("read", "EPOCHS", &e))
    }

    /// All flows.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn flows(&self) -> Result<BTreeMap<FlowKey, Flow>, Error> {
        self.read("FLOWS")
    }

    /// One flow.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn flow(&self, key: &FlowKey) -> Result<Option<Flow>, Error> {
        match self.hash::<FlowKey, Flow>("FLOWS")?.get(&Raw(*key), 0) {
            Ok(Raw(flow)) => Ok(Some(flow)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(Error::map("read", "FLOWS", &error)),
        }
    }

    /// How many flows the port with a counter slot has that were opened one way.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn usage(&self, slot: u32, opener: Direction) -> Result<Usage, Error> {
        let map = self.ebpf.map("USAGE").ok_or(Error::Missing("USAGE"))?;
        let array: Array<&MapData, Raw<Usage>> =
            map.try_into().map_err(|e: MapError| Error::map("open", "USAGE", &e))?;
        let Raw(usage) = array.get(&(slot * 2 + opener as u32), 0).map_err(|e| Error::map("read", "USAGE", &e))?;
        Ok(usage)
    }

    /// Forgets all flows, those that are under way too: where connections are tracked, only what the rules let pass as a
    /// new one goes on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn clear_flows(&mut self) -> Result<(), Error> {
        self.empty::<FlowKey, Flow>("FLOWS")?;
        self.empty::<FragmentKey, Fragmented>("FRAGMENTS")?;
        let map = self.ebpf.map_mut("USAGE").ok_or(Error::Missing("USAGE"))?;
        let mut usage: Array<&mut MapData, Raw<Usage>> =
            map.try_into().map_err(|e: MapError| Error::map("open", "USAGE", &e))?;
        (0..2 * MAX_PORTS).try_for_each(|index| {
            usage.set(index, Raw(Usage::default()), 0).map_err(|e| Error::map("write", "USAGE", &e))
        })
    }

    /// Deletes all entries of a map that packets write.
    fn empty<K: Layout + Ord, V: Layout>(&mut self, name: &'static str) -> Result<(), Error> {
        let keys: Vec<Raw<K>> = self.read::<K, V>(name)?.into_keys().map(Raw).collect();
        let deleted = batch::delete(self.checked::<K, V>(name)?, &keys);
        deleted.map_err(|stopped| Error::map("delete from", name, &stopped.source))
    }

    /// Forgets flows that have ended, and those of ports that are gone; how many.
    ///
    /// The kernel looks through them by itself, so that none is taken for ended that a packet has just prolonged.
    ///
    /// # Errors
    /// When the kernel does not run the program.
    pub fn sweep(&mut self) -> Result<u32, Error> {
        let program = self.ebpf.program_mut(SWEEP).ok_or(Error::Missing(SWEEP))?;
        let program: &mut SchedClassifier = program.try_into().map_err(Error::program)?;
        // The program wants a frame, and does not look at it.
        let frame = [0u8; 64];
        let run = program.test_run(TestRunOptions { data_in: Some(&frame), repeat: 1, ..TestRunOptions::default() });
        Ok(run.map_err(Error::program)?.return_value)
    }
}

/// The program that forgets flows.
pub(crate) const SWEEP: &str = "netvirt_sweep";
