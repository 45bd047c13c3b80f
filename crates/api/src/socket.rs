//! The unix socket that an agent listens on: made whole or not at all, in the place of a dead agent's, never in that
//! of a living one's.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Most bytes of a socket's path: `sun_path` of unix(7) less the closing zero and the `~` of the temporary name.
const MAX_PATH_BYTES: usize = 106;
/// Who may ask: the owner alone.
const MODE: u32 = 0o600;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The kernel takes no path of this length.
    #[error("the socket's path {path} has {len} bytes, the kernel allows {MAX_PATH_BYTES}; choose a shorter one", path = .0.display(), len = .0.as_os_str().len())]
    PathTooLong(PathBuf),
    /// Another process listens there.
    #[error("another agent listens on {path} already; stop it, or choose another socket", path = .0.display())]
    InUse(PathBuf),
    /// Something that is no socket is there.
    #[error("{path} exists and is no socket; remove it, or choose another path", path = .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot {what} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// A listening socket. The file goes away with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Held as long as the socket is, so that of two agents that start at once only one gets the path.
    _lock: File,
}

impl Socket {
    /// Listens on `path`, which nobody but the file's owner may connect to. The folder is made if it is missing.
    ///
    /// # Errors
    /// When another process listens there, something else is in the way, or the system refuses.
    pub fn bind(path: impl Into<PathBuf>) -> Result<Self, SocketError> {
        let path = path.into();
        if path.as_os_str().len() > MAX_PATH_BYTES {
            return Err(SocketError::PathTooLong(path));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
        }
        let lock = lock(&path)?;
        refuse_what_lives(&path)?;
        // The socket gets its mode before it gets its name: nobody can connect in between.
        let temporary = beside(&path, "~");
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &temporary)(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&temporary).map_err(failed("listen on", &path))?;
        let named = fs::set_permissions(&temporary, Permissions::from_mode(MODE))
            .map_err(failed("set the mode of", &path))
            .and_then(|()| fs::rename(&temporary, &path).map_err(failed("put in place", &path)));
        if let Err(error) = named {
            // The first error is the one to report; a leftover is removed by the next start.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        Ok(Self { listener, path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The listener, ready for tokio.
    pub(crate) fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Without the file a client learns at once that nobody listens. If it cannot be removed it is stale, and
        // the next start takes its place.
        let _ = fs::remove_file(&self.path);
    }
}

/// An error with what was tried and with which file.
fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SocketError {
    let path = path.to_owned();
    move |source| SocketError::Io { what, path, source }
}

/// The path with something appended.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    bytes.extend_from_slice(suffix.as_bytes());
    PathBuf::from(std::ffi::OsStr::from_bytes(&bytes))
}

/// Takes the lock of the path; the kernel releases it when the process ends, however it ends.
fn lock(path: &Path) -> Result<File, SocketError> {
    let lock_path = beside(path, ".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(failed("open the lock", &lock_path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(SocketError::InUse(path.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(failed("lock", &lock_path)(error)),
    }
}

/// Refuses when the path is taken by something that is alive or no socket. A socket that nobody answers on is stale.
fn refuse_what_lives(path: &Path) -> Result<(), SocketError> {
    use std::os::unix::fs::FileTypeExt;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at", path)(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => Err(SocketError::NotASocket(path.to_owned())),
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(SocketError::InUse(path.to_owned())),
            Err(_) => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_may_connect_and_the_file_goes_with_the_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/agent.sock");
        let socket = Socket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        // Neither std nor the kernel removes the file when a listener goes: this is what a killed agent leaves.
        drop(UnixListener::bind(&path).unwrap());
        drop(UnixListener::bind(beside(&path, "~")).unwrap());
        let _socket = Socket::bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_living_agent_keeps_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        let first = Socket::bind(&path).unwrap();
        assert!(matches!(Socket::bind(&path), Err(SocketError::InUse(_))));
        UnixStream::connect(&path).unwrap();
        drop(first);
        let _foreign = UnixListener::bind(&path).unwrap();
        let error = Socket::bind(&path).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("another agent listens on {} already; stop it, or choose another socket", path.display())
        );
    }

    #[test]
    fn a_file_in_the_way_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Socket::bind(&path), Err(SocketError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_path_that_the_kernel_would_cut_is_refused() {
        let path = format!("/{}", "x".repeat(MAX_PATH_BYTES));
        let error = Socket::bind(&path).unwrap_err();
        assert!(error.to_string().contains("has 107 bytes, the kernel allows 106"), "{error}");
    }
}
