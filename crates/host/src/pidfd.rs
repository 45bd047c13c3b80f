//! One process, for good: its id may become another one's, a descriptor of it may not (pidfd, Linux 5.3).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::null;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::process::start_time;

/// A process, ours or another's child. Its descriptor is readable, for `poll`, once it has ended.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    start: u64,
    descriptor: OwnedFd,
}

impl Process {
    /// The process that has this id now.
    ///
    /// # Errors
    /// `NotFound` when there is none or only its remains; what the kernel says else.
    pub fn open(pid: u32) -> io::Result<Self> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let raw = i32::try_from(pid).map_err(|_| gone())?;
        // SAFETY: the call takes two numbers and gives a new descriptor or a negative number.
        let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, raw, 0) };
        let descriptor = match RawFd::try_from(descriptor) {
            // SAFETY: it is new, and nobody else's.
            Ok(descriptor) if descriptor >= 0 => unsafe { OwnedFd::from_raw_fd(descriptor) },
            _ => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ESRCH) => return Err(gone()),
                error => return Err(error),
            },
        };
        // Read after the descriptor was had: an older one's time cannot be taken for that of what it names.
        let start = start_time(pid).ok_or_else(gone)?;
        Ok(Self { pid, start, descriptor })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it started, as [`start_time`] says it.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended, or the kernel refuses.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let signal = Signal::try_from(signal)? as i32;
        let descriptor = self.descriptor.as_raw_fd();
        // SAFETY: the descriptor is open; without information about the signal the kernel fills in its own.
        match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, descriptor, signal, null::<libc::siginfo_t>(), 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// How it ended, in words, once it has: a child of the caller is reaped, of others it is not known.
    pub fn reap(&self) -> String {
        let raw = i32::try_from(self.pid).unwrap_or(i32::MAX);
        match waitpid(Pid::from_raw(raw), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => format!("with exit code {code}"),
            Ok(WaitStatus::Signaled(_, signal, _)) => format!("by {signal}"),
            _ => "for a reason that is not known".to_owned(),
        }
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_is_signalled_reaped_and_gone() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = Process::open(child.id()).unwrap();
        assert_eq!(Some(process.start()), start_time(child.id()));
        process.signal(libc::SIGKILL).unwrap();
        let mut ended = [nix::poll::PollFd::new(process.as_fd(), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut ended, nix::poll::PollTimeout::NONE).unwrap();
        assert_eq!(Process::open(child.id()).unwrap_err().kind(), io::ErrorKind::NotFound, "remains are no process");
        assert_eq!(process.reap(), "by SIGKILL");
        assert!(process.signal(libc::SIGTERM).is_err());
        assert!(child.wait().is_err(), "it is reaped already");
    }
}
