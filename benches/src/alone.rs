//! One benchmark at a time, and nothing left of one that was killed.

use std::fs::{self, File};
use std::path::PathBuf;

use nix::fcntl::{Flock, FlockArg};

use crate::Error;
use crate::contestant::LAB_PREFIX;

/// Held by the one benchmark that runs.
const LOCK: &str = "/run/netvirt/bench.lock";

/// Refuses to run beside another benchmark, for as long as what it returns is held.
///
/// # Errors
/// [`Error::Busy`], or when the lock cannot be written.
pub fn lock() -> Result<Flock<File>, Error> {
    let path = PathBuf::from(LOCK);
    let failed = |source| Error::File { action: "write", path: path.clone(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = File::create(&path).map_err(failed)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| Error::Busy { path: path.clone() })
}

/// Removes what a benchmark left that was killed.
///
/// # Errors
/// When it cannot be removed.
pub fn clear() -> Result<(), Error> {
    for left in lab::list()? {
        if left.name.starts_with(LAB_PREFIX) {
            lab::down(&left.name)?;
        }
    }
    Ok(())
}
