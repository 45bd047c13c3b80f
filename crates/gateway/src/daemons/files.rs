//! What daemons read and write: their configuration, their folders, their logs.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Component, Path, PathBuf};

use nix::unistd::User;

/// A log is cut to [`KEPT`] bytes when it has grown beyond these.
const LOG: u64 = 256 * 1024;
/// What of a long log is kept: its end.
const KEPT: u64 = 64 * 1024;
/// How much of a daemon's last words is told.
const WORDS: usize = 300;

/// Where in the compartment's folder is what a daemon sees as `path`, one of its own folders.
pub fn own_folder(folder: &Path, path: &Path) -> PathBuf {
    folder.join("own").join(path.strip_prefix("/").unwrap_or(path))
}

/// The user and group of this name, as numbers; root's without a name.
pub(super) fn owner(user: Option<&str>) -> io::Result<(u32, u32)> {
    let Some(name) = user else { return Ok((0, 0)) };
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("there is no user {name} on this machine"));
    let user = User::from_name(name)?.ok_or_else(missing)?;
    Ok((user.uid.as_raw(), user.gid.as_raw()))
}

/// Makes a folder, for its owner alone.
pub(super) fn make_folder(path: &Path, owner: (u32, u32)) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    chown(path, Some(owner.0), Some(owner.1))
}

/// Writes a file of the compartment's folder for its owner alone. Who reads it meanwhile has the old or the new one whole.
pub(super) fn write(folder: &Path, name: &str, contents: &[u8], owner: (u32, u32)) -> io::Result<()> {
    let path = inside(folder, name)?;
    let parent = path.parent().unwrap_or(folder);
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let mut new = path.clone().into_os_string();
    new.push(".new");
    // What a predecessor left half-written may have another owner.
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(contents)?;
    std::os::unix::fs::fchown(&file, Some(owner.0), Some(owner.1))?;
    fs::rename(&new, &path)
}

/// Removes a file of the compartment's folder, if it is there.
pub(super) fn remove(folder: &Path, name: &str) {
    if let Ok(path) = inside(folder, name) {
        let _ = fs::remove_file(path);
    }
}

/// The path of a file that must be in the folder.
fn inside(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let legal = !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let outside =
        || io::Error::new(io::ErrorKind::InvalidInput, format!("\"{name}\" is no file of the compartment's folder"));
    if legal { Ok(folder.join(name)) } else { Err(outside()) }
}

/// Opens a log for one more run: where it now ends, and where a daemon writes.
pub(super) fn open_log(path: &Path) -> io::Result<(u64, File)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    Ok((file.metadata()?.len(), file))
}

/// Cuts a long log. A daemon that goes on writes at its new end, since it was opened for appending; what it writes at this
/// very moment may be lost.
pub(super) fn cut_log(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    if length <= LOG {
        return Ok(());
    }
    let mut kept = Vec::new();
    file.seek(SeekFrom::Start(length - KEPT))?;
    (&mut file).take(KEPT).read_to_end(&mut kept)?;
    file.set_len(0)?;
    file.write_all(&kept)
}

/// The last lines of a log from this place on, in one line.
pub(super) fn last_words(path: &Path, from: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let from = if from > length { 0 } else { from };
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(4096)))).ok()?;
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes).ok()?;
    in_one_line(&String::from_utf8_lossy(&bytes))
}

/// The last lines of a text, in one line.
pub(super) fn in_one_line(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut words = String::new();
    for line in lines.iter().rev().take(3) {
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect();
        if !words.is_empty() && words.len() + line.len() > WORDS {
            break;
        }
        words = if words.is_empty() { line } else { format!("{line} / {words}") };
    }
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let owner = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        write(folder.path(), "a/b.conf", b"1", owner).unwrap();
        write(folder.path(), "a/b.conf", b"2", owner).unwrap();
        assert_eq!(fs::read(folder.path().join("a/b.conf")).unwrap(), b"2");
        for outside in ["", "/etc/passwd", "../x", "a/../../x"] {
            assert!(write(folder.path(), outside, b"", owner).is_err(), "{outside}");
        }
        remove(folder.path(), "a/b.conf");
        assert!(!folder.path().join("a/b.conf").exists());
    }

    #[test]
    fn a_log_keeps_its_end_and_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let (start, mut writer) = open_log(&path).unwrap();
        assert_eq!(start, 0);
        for number in 0..40_000 {
            writeln!(writer, "line {number}").unwrap();
        }
        cut_log(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), KEPT);
        writeln!(writer, "the\u{7}end").unwrap();
        assert_eq!(last_words(&path, 0).unwrap(), "line 39998 / line 39999 / the end");
        assert_eq!(last_words(&path, fs::metadata(&path).unwrap().len()), None);
    }
}
