//! Signals that would end this process in the middle of something that must be brought to an end: they are noted instead.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::{SigSet, Signal};

use crate::CliError;

/// What ends a program at the terminal, or when the terminal goes.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// From here on a signal that would end this process calls this, once; there must be no other thread yet. Programs that are run begin with a clean mask, so they are
/// ended by a signal as ever.
///
/// # Errors
/// [`CliError::Signals`].
pub fn on_end(call: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    let signals: SigSet = ENDING.into_iter().collect();
    signals.thread_block().map_err(|error| CliError::Signals(error.into()))?;
    let wait = move || {
        if signals.wait().is_ok() {
            call();
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop).map_err(CliError::Signals)
}

/// From here on a signal that would end this process sets a mark, whichever thread it comes to.
///
/// # Errors
/// [`CliError::Signals`].
pub fn note(noted: &Arc<AtomicBool>) -> Result<(), CliError> {
    ENDING.iter().try_for_each(|signal| {
        let registered = signal_hook::flag::register(*signal as i32, Arc::clone(noted));
        registered.map(drop).map_err(CliError::Signals)
    })
}
