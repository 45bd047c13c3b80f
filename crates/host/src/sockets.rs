//! The receive buffers of another process' sockets, for programs that have no setting for them.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::{fs, io};

use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getsockname, getsockopt, setsockopt, sockopt,
};

use crate::Process;

impl Process {
    /// Gives all sockets of UDP that it has now receive buffers of so many bytes at least, whatever the machine's limit is (the
    /// kernel doubles it, for what it needs itself). Answers how many were smaller.
    ///
    /// # Errors
    /// When it has ended, or without CAP_NET_ADMIN or leave to trace it.
    pub fn enlarge_receive_buffers(&self, bytes: usize) -> io::Result<usize> {
        let mut enlarged = 0;
        for entry in fs::read_dir(format!("/proc/{}/fd", self.pid()))? {
            let entry = entry?;
            let is_socket = fs::read_link(entry.path())
                .is_ok_and(|what| what.as_os_str().as_encoded_bytes().starts_with(b"socket:"));
            let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()).filter(|_| is_socket)
            else {
                continue;
            };
            let socket = match self.descriptor_of(number) {
                Ok(socket) => socket,
                // It was closed meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::EBADF) => continue,
                Err(error) => return Err(error),
            };
            if is_udp(&socket) && getsockopt(&socket, sockopt::RcvBuf)? < bytes {
                setsockopt(&socket, sockopt::RcvBufForce, &bytes)?;
                enlarged += 1;
            }
        }
        Ok(enlarged)
    }

    /// A descriptor of our own of what is one of its descriptors (`pidfd_getfd`, Linux 5.6).
    fn descriptor_of(&self, number: RawFd) -> io::Result<OwnedFd> {
        // SAFETY: the call takes three numbers and gives a new descriptor or a negative number.
        let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_getfd, self.as_fd().as_raw_fd(), number, 0) };
        match RawFd::try_from(descriptor) {
            // SAFETY: it is new, and nobody else's.
            Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Whether it is a socket of UDP, of either family.
fn is_udp(socket: &OwnedFd) -> bool {
    let family = || getsockname::<SockaddrStorage>(socket.as_raw_fd()).ok()?.family();
    getsockopt(socket, sockopt::SockType) == Ok(SockType::Datagram)
        && matches!(family(), Some(AddressFamily::Inet | AddressFamily::Inet6))
}
