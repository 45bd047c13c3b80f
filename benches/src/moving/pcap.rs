//! What tcpdump has seen at a device, read from the file that it writes (libpcap's format, as its pcap-savefile manual page has it).

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use lab::Node;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Error;

/// How much of a frame is kept: Ethernet, IPv4, ICMP.
const KEPT: &str = "64";
/// How long tcpdump may take to begin, and to end.
const LIMIT: Duration = Duration::from_secs(10);
/// Bytes before the first frame.
const FILE_HEADER: usize = 24;
const FRAME_HEADER: usize = 16;
/// What a file begins with whose times are in microseconds, in this machine's order.
const MAGIC: u32 = 0xa1b2_c3d4;

/// A frame that was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// Since 1970.
    pub(super) at: Duration,
    /// How long it was, in bytes.
    pub(super) length: u32,
    /// Its beginning.
    bytes: Vec<u8>,
}

impl Seen {
    /// Who sent it.
    pub(super) fn source(&self) -> Option<&[u8]> {
        self.bytes.get(6..12)
    }

    /// The kind (8 is a request, 0 its answer) and the number of a ping.
    pub(super) fn ping(&self) -> Option<(u8, u16)> {
        let is_icmp = self.bytes.get(12..14)? == [8, 0] && *self.bytes.get(23)? == 1;
        let start = 14 + usize::from(self.bytes.get(14)? & 0xf) * 4;
        let number = [*self.bytes.get(start + 6)?, *self.bytes.get(start + 7)?];
        is_icmp.then_some((*self.bytes.get(start)?, u16::from_be_bytes(number)))
    }
}

/// A tcpdump that runs.
pub(super) struct Capture {
    child: Child,
    path: PathBuf,
}

impl Capture {
    /// Begins to look at a device of a node. Words of the filter are divided by spaces.
    pub(super) fn start(node: &Node, device: &str, filter: &str, path: PathBuf) -> Result<Self, Error> {
        let file = path.display().to_string();
        let started = node
            .command("tcpdump")
            .args(["-i", device, "-n", "-U", "-s", KEPT, "-B", "8192", "-Z", "root", "-w", &file])
            .args(filter.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = started.map_err(|source| Error::File { action: "run tcpdump into", path: path.clone(), source })?;
        let capture = Self { child, path };
        let end = Instant::now() + LIMIT;
        // The header is written when it listens.
        while std::fs::metadata(&capture.path).map_or(0, |file| file.len()) < FILE_HEADER as u64 {
            if Instant::now() >= end {
                let what = format!("tcpdump does not listen at {device} of {}", node.name());
                return Err(Error::Late { what, seconds: LIMIT.as_secs(), log: String::new() });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(capture)
    }

    /// Ends it; what it has seen.
    pub(super) fn finish(mut self) -> Result<Vec<Seen>, Error> {
        let failed = |source| Error::File { action: "read", path: self.path.clone(), source };
        // Until it is waited for, the number is not another process's.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT);
        self.child.wait().map_err(failed)?;
        let bytes = std::fs::read(&self.path).map_err(failed)?;
        let _ = std::fs::remove_file(&self.path);
        Ok(parse(&bytes))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The frames of a file, as far as it is one.
fn parse(bytes: &[u8]) -> Vec<Seen> {
    let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let mut seen = Vec::new();
    let mut at = FILE_HEADER;
    if number(0) != Some(MAGIC) {
        return seen;
    }
    while let (Some(seconds), Some(micros), Some(kept), Some(length)) =
        (number(at), number(at + 4), number(at + 8), number(at + 12))
    {
        let start = at + FRAME_HEADER;
        let Some(frame) = bytes.get(start..start + kept as usize) else { break };
        let time = Duration::from_secs(u64::from(seconds)) + Duration::from_micros(u64::from(micros));
        seen.push(Seen { at: time, length, bytes: frame.to_vec() });
        at = start + kept as usize;
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_is_read_from_a_file() {
        let mut frame = vec![6, 6, 0, 0, 0, 5, 6, 6, 0, 0, 0, 7, 8, 0, 0x45];
        frame.resize(23, 0);
        frame.push(1);
        frame.resize(34, 0);
        frame.extend([8, 0, 0, 0, 0, 1, 2, 3]);
        let mut file = MAGIC.to_ne_bytes().to_vec();
        file.resize(FILE_HEADER, 0);
        for word in [7, 500_000, frame.len() as u32, 98] {
            file.extend(word.to_ne_bytes());
        }
        file.extend(&frame);
        // One that is cut off does not count.
        file.extend([1; 10]);
        let seen = parse(&file);
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].at, seen[0].length), (Duration::from_millis(7500), 98));
        assert_eq!(seen[0].ping(), Some((8, 0x203)));
        assert_eq!(seen[0].source(), Some([6, 6, 0, 0, 0, 7].as_slice()));
        assert_eq!(parse(b"no such file"), []);
    }
}
