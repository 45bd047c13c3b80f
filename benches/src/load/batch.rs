//! Many datagrams in one system call (sendmmsg, recvmmsg).

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Buffers of a number of datagrams, and where they go.
pub(super) struct Batch {
    headers: Vec<libc::mmsghdr>,
    /// Pointed to by `headers`. These three are never grown, so that what they hold stays where it is.
    vectors: Vec<libc::iovec>,
    _addresses: Vec<libc::sockaddr_in>,
    _buffers: Vec<u8>,
}

impl Batch {
    /// `count` datagrams of `size` bytes over a connected socket, or into buffers of that size.
    pub(super) fn new(count: usize, size: usize) -> Self {
        Self::build(count, size, Vec::new())
    }

    /// One datagram of `size` bytes to each of the targets.
    pub(super) fn to(targets: &[SocketAddrV4], size: usize) -> Self {
        Self::build(targets.len(), size, targets.iter().map(raw_address).collect())
    }

    /// `count` times the same bytes, over a socket that knows where to.
    pub(super) fn of(bytes: &[u8], count: usize) -> Self {
        let mut batch = Self::build(count, bytes.len(), Vec::new());
        batch.edit(|buffer| buffer.copy_from_slice(bytes));
        batch
    }

    /// Changes the bytes of each datagram, one after the other.
    pub(super) fn edit(&mut self, mut change: impl FnMut(&mut [u8])) {
        for vector in &self.vectors {
            // SAFETY: each vector points to a part of `_buffers` of its own, which this value owns and which has not moved;
            // nobody else writes to it, since `send` and `receive` have returned.
            change(unsafe { std::slice::from_raw_parts_mut(vector.iov_base.cast(), vector.iov_len) });
        }
    }

    fn build(count: usize, size: usize, mut addresses: Vec<libc::sockaddr_in>) -> Self {
        let mut buffers = vec![0x5a_u8; count * size];
        let mut vectors: Vec<libc::iovec> = buffers
            .chunks_exact_mut(size)
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() })
            .collect();
        let mut targets = addresses.iter_mut();
        let headers = vectors
            .iter_mut()
            .map(|vector| {
                // SAFETY: all zeros is a valid message header: no name, no buffers, no control data.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
                if let Some(address) = targets.next() {
                    header.msg_hdr.msg_name = std::ptr::from_mut(address).cast();
                    header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
                }
                header
            })
            .collect();
        Self { headers, vectors, _addresses: addresses, _buffers: buffers }
    }

    /// Sends the batch, or its beginning; returns how many datagrams were sent.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let count = self.headers.len() as libc::c_uint;
        // SAFETY: the headers point to buffers and addresses that this value owns and that have not moved.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), count, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Receives what is there, at least one unless the socket's time limit ends it or it is `at_once`; returns how
    /// many datagrams came.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, at_once: bool) -> io::Result<usize> {
        let count = self.headers.len() as libc::c_uint;
        let flags = if at_once { libc::MSG_DONTWAIT } else { libc::MSG_WAITFORONE };
        let (raw, headers, no_limit) = (socket.as_raw_fd(), self.headers.as_mut_ptr(), std::ptr::null_mut());
        // SAFETY: the headers point to buffers that this value owns, writes to alone, and that have not moved.
        let received = unsafe { libc::recvmmsg(raw, headers, count, flags as _, no_limit) };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }
}

/// An address as the kernel takes it.
fn raw_address(address: &SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::load::loopback::inside;

    fn receiver() -> (UdpSocket, SocketAddrV4) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let port = socket.local_addr().unwrap().port();
        (socket, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
    }

    #[test]
    fn a_batch_goes_to_all_its_targets() {
        inside(|| {
            let (receivers, targets): (Vec<_>, Vec<_>) = (0..3).map(|_| receiver()).unzip();
            let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            assert_eq!(Batch::to(&targets, 100).send(sender.as_fd()).unwrap(), 3);
            for receiver in receivers {
                let mut buffer = [0; 200];
                assert_eq!(receiver.recv(&mut buffer).unwrap(), 100);
            }
        });
    }

    #[test]
    fn what_was_sent_is_counted_and_waiting_ends() {
        inside(|| {
            let (receiver, target) = receiver();
            let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            sender.connect(target).unwrap();
            assert_eq!(Batch::new(5, 64).send(sender.as_fd()).unwrap(), 5);
            let mut buffers = Batch::new(8, 2048);
            assert_eq!(buffers.receive(receiver.as_fd(), false).unwrap(), 5);
            for at_once in [true, false] {
                let error = buffers.receive(receiver.as_fd(), at_once).unwrap_err();
                assert!(super::super::timed_out(&error), "{error}");
            }
        });
    }
}
