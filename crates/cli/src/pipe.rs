//! Whether anybody still reads what is printed.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Waits so long, or until nobody reads the standard output any more; says whether nobody does.
///
/// A pipe without a reader reports an error condition although nothing is asked for; files and terminals that are
/// there report nothing.
pub fn standard_output_gone(time: Duration) -> bool {
    gone(std::io::stdout().as_fd(), time)
}

fn gone(output: std::os::fd::BorrowedFd<'_>, time: Duration) -> bool {
    let mut outputs = [PollFd::new(output, PollFlags::empty())];
    let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    match poll(&mut outputs, timeout) {
        Ok(0) => false,
        Ok(_) => outputs[0].any().unwrap_or(true),
        // Interrupted: whoever asks, asks again.
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_goes_is_noticed_at_once() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        assert!(!gone(writer.as_fd(), Duration::from_millis(1)));
        let waiting = std::thread::spawn(move || {
            let begin = std::time::Instant::now();
            (gone(writer.as_fd(), Duration::from_secs(60)), begin.elapsed())
        });
        drop(reader);
        let (gone, elapsed) = waiting.join().unwrap();
        assert!(gone && elapsed < Duration::from_secs(30), "{elapsed:?}");
    }
}
