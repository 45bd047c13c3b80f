//! The files of the log of sessions: one is written, some older ones are kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::compartment::make_folder;

/// Length in bytes from which on a new file is begun.
pub const LENGTH: u64 = 64 << 20;

/// How many older files are kept. Together they hold some five million sessions.
pub const KEPT: usize = 15;

/// The file that is written: `sessions.log`; the one before it is `sessions.log.1`, and so on.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    open: Option<(File, u64)>,
    longest: u64,
}

impl LogFile {
    /// The log in this folder, which is made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn in_folder(folder: &Path, longest: u64) -> Result<Self, Error> {
        make_folder(folder)?;
        Ok(Self { path: folder.join("sessions.log"), open: None, longest })
    }

    /// Writes lines.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn write(&mut self, lines: &str) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.open.as_ref().is_some_and(|(_, length)| *length >= self.longest) {
            self.open = None;
            self.rotate()?;
        }
        if self.open.is_none() {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
            let length = file.metadata()?.len();
            self.open = Some((file, length));
        }
        if let Some((file, length)) = &mut self.open {
            file.write_all(lines.as_bytes())?;
            *length += lines.len() as u64;
        }
        Ok(())
    }

    /// Names each file by the next number; the last one goes.
    fn rotate(&self) -> io::Result<()> {
        let older = |number: usize| PathBuf::from(format!("{}.{number}", self.path.display()));
        for number in (1..KEPT).rev() {
            match fs::rename(older(number), older(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, older(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_files_are_kept_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LogFile::in_folder(folder.path(), 4).unwrap();
        for number in 0..20 {
            log.write(&format!("line {number}\n")).unwrap();
        }
        assert_eq!(fs::read_to_string(folder.path().join("sessions.log")).unwrap(), "line 19\n");
        assert_eq!(fs::read_to_string(folder.path().join("sessions.log.1")).unwrap(), "line 18\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), KEPT + 1);
        // Another gateway goes on where this one ended.
        let mut log = LogFile::in_folder(folder.path(), 100).unwrap();
        log.write("more\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("sessions.log")).unwrap(), "line 19\nmore\n");
    }
}
