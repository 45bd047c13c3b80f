//! Runs a kernel program on one frame without sending it anywhere (`BPF_PROG_TEST_RUN`), so that tests can compare the
//! kernel's decision with the one in user space.

use std::os::fd::AsFd as _;

use aya::programs::{TestRun as _, TestRunOptions};
use pipeline::Meta;

use crate::attach::Role;
use crate::error::Error;
use crate::{Datapath, program};

/// What became of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What the program returned: -1 next, 2 drop, 7 redirect.
    pub action: i32,
    /// [`pipeline::Verdict::code`], which the program leaves in the control block.
    pub verdict: u32,
    /// The reason of a drop, or the interface index that the frame goes to.
    pub detail: u32,
    /// The frame as the program left it.
    pub frame: Vec<u8>,
}

/// Offsets in `struct __sk_buff` (include/uapi/linux/bpf.h).
const IFINDEX: usize = 40;
const MARK: usize = 8;
const CB: usize = 48;
const GSO_SIZE: usize = 176;
/// Length of `struct __sk_buff` up to `hwtstamp`.
const CONTEXT_LEN: usize = 192;
/// `gso_segs`.
const GSO_SEGS: usize = 164;
/// The kernel keeps some room at both ends of the page that holds the frame.
const MAX_FRAME: usize = 3_000;

impl Datapath {
    /// Runs a role's program on a frame that came in as `meta` says.
    ///
    /// # Errors
    /// When the kernel does not take the frame: it wants at least 14 bytes, and those of an IP header where the EtherType
    /// announces one.
    pub fn test_run(&mut self, role: Role, frame: &[u8], meta: &Meta) -> Result<Outcome, Error> {
        let mut context = [0u8; CONTEXT_LEN];
        context[IFINDEX..IFINDEX + 4].copy_from_slice(&meta.ifindex.to_ne_bytes());
        let mark = match (meta.relayed, meta.decided) {
            (true, _) => RELAY_MARK,
            (false, true) => DECIDED_MARK,
            (false, false) => 0,
        };
        context[MARK..MARK + 4].copy_from_slice(&mark.to_ne_bytes());
        if meta.segment != 0 {
            context[GSO_SIZE..GSO_SIZE + 4].copy_from_slice(&meta.segment.to_ne_bytes());
            context[GSO_SEGS..GSO_SEGS + 4].copy_from_slice(&2u32.to_ne_bytes());
        }
        let mut out = vec![0u8; MAX_FRAME];
        let mut context_out = [0u8; CONTEXT_LEN];
        let program = program(&mut self.ebpf, role)?;
        let _ = program.fd().map_err(Error::program)?.as_fd();
        let result = program
            .test_run(TestRunOptions {
                data_in: Some(frame),
                data_out: Some(&mut out),
                ctx_in: Some(&context),
                ctx_out: Some(&mut context_out),
                repeat: 1,
                ..TestRunOptions::default()
            })
            .map_err(Error::program)?;
        out.truncate(result.data_size_out as usize);
        let word = |at: usize| u32::from_ne_bytes(context_out[at..at + 4].try_into().expect("four bytes"));
        Ok(Outcome { action: result.return_value as i32, verdict: word(CB), detail: word(CB + 4), frame: out })
    }
}

/// As in the kernel programs.
const RELAY_MARK: u32 = 0x6e76_7431;
/// As in the kernel programs.
const DECIDED_MARK: u32 = 0x6e76_7432;
