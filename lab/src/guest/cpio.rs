//! Writes the archive that a kernel unpacks into its first file system: cpio in the format "newc", as the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst describes it.

use std::collections::BTreeSet;
use std::io::{self, Write};

/// Kinds of files, in the high bits of their mode.
const FOLDER: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
/// The name behind the last file.
const TRAILER: &str = "TRAILER!!!";

/// An archive that is being written. All in it is root's and has no times, so that the same files give the same bytes.
pub(super) struct Archive<W> {
    out: W,
    /// Folders that are in it.
    folders: BTreeSet<String>,
    /// Number of the next file.
    inode: u32,
}

impl<W: Write> Archive<W> {
    /// An empty one.
    pub(super) const fn new(out: W) -> Self {
        Self { out, folders: BTreeSet::new(), inode: 1 }
    }

    /// Adds a folder and those above it, unless they are there.
    pub(super) fn folder(&mut self, path: &str) -> io::Result<()> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for folder in ends.map(|end| &path[..end]).filter(|folder| !folder.is_empty()) {
            if self.folders.insert(folder.to_owned()) {
                self.entry(folder, FOLDER | 0o755, &[])?;
            }
        }
        Ok(())
    }

    /// Adds a file that anybody may run, and the folders above it. The path is relative to the root.
    pub(super) fn file(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder)?;
        }
        self.entry(path, REGULAR | 0o755, bytes)
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entry(TRAILER, 0, &[])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        let size = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let name_size = path.len() as u32 + 1;
        // Inode, mode, owner, group, links, time, size, two devices of two numbers each, length of the name, no checksum.
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.inode += 1;
        let mut head = String::from("070701");
        for field in fields {
            head += &format!("{field:08x}");
        }
        head += path;
        self.out.write_all(head.as_bytes())?;
        // The name's zero byte, and as many as lead to a multiple of four.
        self.pad(head.len(), 1)?;
        self.out.write_all(bytes)?;
        self.pad(bytes.len(), 0)
    }

    /// So many zero bytes, and those that lead to a multiple of four.
    fn pad(&mut self, written: usize, least: usize) -> io::Result<()> {
        let end = (written + least).next_multiple_of(4);
        self.out.write_all(&[0; 8][..end - written])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_begins_at_a_multiple_of_four() {
        let mut archive = Archive::new(Vec::new());
        archive.file("usr/bin/a", b"12345").unwrap();
        archive.file("usr/bin/b", b"").unwrap();
        let bytes = archive.finish().unwrap();
        let heads: Vec<_> =
            bytes.windows(6).enumerate().filter(|(_, six)| *six == b"070701").map(|(at, _)| at).collect();
        // Two folders, two files and the trailer.
        assert_eq!(heads.len(), 5);
        assert!(heads.iter().all(|at| at % 4 == 0), "{heads:?}");
        assert_eq!(bytes.len() % 4, 0);
        let file = &bytes[heads[2]..heads[3]];
        assert!(file.windows(9).any(|nine| nine == b"usr/bin/a") && file.ends_with(b"12345\0\0\0"));
    }
}
