//! Ctrl-C and a request to end: seen between two steps, so that everything is cleaned up on the way out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::Error;

/// Longest time that passes between the signal and the end of a pause.
const GLANCE: Duration = Duration::from_millis(20);

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_: libc::c_int) {
    ASKED.store(true, Ordering::Relaxed);
}

/// From now on SIGINT, SIGTERM and SIGHUP do not kill the process, but are noted.
///
/// # Errors
/// When the kernel refuses.
pub fn catch() -> Result<(), Error> {
    // System calls that a signal would interrupt go on: the generator's own have time limits.
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler stores one atomic flag, which is allowed in any context.
        unsafe { sigaction(signal, &action) }.map_err(|error| Error::Signals(error.into()))?;
    }
    Ok(())
}

/// Whether the end was asked for.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Refuses to go on after the end was asked for.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn check() -> Result<(), Error> {
    if asked() { Err(Error::Interrupted) } else { Ok(()) }
}

/// Waits, or less when the end is asked for.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn pause(length: Duration) -> Result<(), Error> {
    let end = Instant::now() + length;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(GLANCE));
    }
}
