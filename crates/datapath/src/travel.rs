//! Flows that come with a VM from another host: into the table, by the kernel itself, which alone can count them rightly
//! beside packets.

use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use pipeline::travel::{Arrived, MAX_TOGETHER, Traveller};

use crate::Datapath;
use crate::batch;
use crate::error::Error;
use crate::raw::Raw;

/// The program that takes flows in.
pub(crate) const TAKE_FLOWS: &str = "netvirt_take_flows";

/// What became of flows that came with a VM.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// They are remembered.
    pub taken: usize,
    /// They have been seen here since.
    pub known: usize,
    /// They have ended, or their port is not here.
    pub gone: usize,
    /// Their port has as many as it may.
    pub no_room: usize,
}

impl Taken {
    /// Takes the outcomes of one call in: a byte for each [`Arrived`].
    fn add(&mut self, outcomes: u32) {
        let count = |arrived: Arrived| (outcomes >> (arrived as u32 * 8) & 0xff) as usize;
        self.taken += count(Arrived::Taken);
        self.known += count(Arrived::Known);
        self.gone += count(Arrived::Gone);
        self.no_room += count(Arrived::NoRoom);
    }
}

impl Datapath {
    /// Takes flows in that come with the VM of the port with the device of this interface index.
    ///
    /// # Errors
    /// When the kernel refuses; those before may have been taken.
    pub fn take_flows(&mut self, ifindex: u32, travellers: &[Traveller]) -> Result<Taken, Error> {
        let mut taken = Taken::default();
        for some in travellers.chunks(MAX_TOGETHER as usize) {
            let keys: Vec<u32> = (0..some.len() as u32).collect();
            let values: Vec<Raw<Traveller>> = some.iter().copied().map(Raw).collect();
            let written = batch::update(self.descriptor("TRAVELLERS")?, &keys, &values);
            written.map_err(|stopped| Error::map("write", "TRAVELLERS", &stopped.source))?;
            taken.add(self.run_taking(ifindex, some.len() as u32)?);
        }
        Ok(taken)
    }

    /// Runs the program on the flows that lie ready.
    fn run_taking(&mut self, ifindex: u32, count: u32) -> Result<u32, Error> {
        let program = self.ebpf.program_mut(TAKE_FLOWS).ok_or(Error::Missing(TAKE_FLOWS))?;
        let program: &mut SchedClassifier = program.try_into().map_err(Error::program)?;
        // Zeros behind the two numbers, since the kernel wants a frame.
        let mut frame = [0u8; 64];
        frame[..4].copy_from_slice(&ifindex.to_ne_bytes());
        frame[4..8].copy_from_slice(&count.to_ne_bytes());
        let run = program.test_run(TestRunOptions { data_in: Some(&frame), repeat: 1, ..TestRunOptions::default() });
        Ok(run.map_err(Error::program)?.return_value)
    }
}
