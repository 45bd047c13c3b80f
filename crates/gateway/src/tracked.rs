//! How many connections a namespace's kernel tracks, and could not track.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use host::Namespace;

/// Where an insertion that failed is counted in the kernel's own counters of connections (/proc/net/stat/nf_conntrack), in the
/// order of its columns.
const INSERT_FAILED: usize = 9;

/// So much is read at once.
const PIECE: usize = 4096;

/// The files that say it. They stay open, since they show the namespace that they were opened in, and to enter it each second
/// would cost more than to read.
#[derive(Debug)]
pub struct Tracked {
    count: File,
    table: File,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// How many are tracked.
    pub count: u64,
    /// How many could not be taken up, since no port was free for them.
    pub insert_failed: u64,
}

impl Tracked {
    /// Opens them; `None` where the kernel tracks no connections yet.
    pub fn open(namespace: &Namespace) -> Option<Self> {
        let open = || {
            let count = File::open("/proc/sys/net/netfilter/nf_conntrack_count").ok()?;
            Some(Self { count, table: File::open("/proc/thread-self/net/stat/nf_conntrack").ok()? })
        };
        namespace.run(open).ok()?
    }

    /// Reads them; what another kernel does not say is not known.
    pub fn connections(&self) -> Option<Connections> {
        let count = read(&self.count).ok()?.trim().parse().ok()?;
        let table = read(&self.table).unwrap_or_default();
        let of_cpu = |line: &str| u64::from_str_radix(line.split_whitespace().nth(INSERT_FAILED)?, 16).ok();
        Some(Connections { count, insert_failed: table.lines().skip(1).filter_map(of_cpu).sum() })
    }
}

/// A file of /proc from its beginning.
fn read(file: &File) -> io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; PIECE];
        let length = file.read_at(&mut piece, bytes.len() as u64)?;
        if length == 0 {
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        bytes.extend_from_slice(&piece[..length]);
    }
}
