//! Whole frames out of a device, as they are: what is sent this way reaches the other end of a veth, or the process
//! behind a tap.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, sendto, socket,
};

use crate::{Error, Netlink};

/// A packet socket of one network namespace, for sending alone: it receives nothing, so nothing queues up in it.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens a socket in the namespace of `netlink`.
    ///
    /// # Errors
    /// Without CAP_NET_RAW, or when the namespace cannot be entered.
    pub fn open(netlink: &Netlink) -> Result<Self, Error> {
        // Without a protocol the kernel gives it no frame.
        let open = || {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            socket(AddressFamily::Packet, SockType::Raw, flags, None::<SockProtocol>)
        };
        netlink.namespace().run(open)?.map(Self).map_err(|errno| Error::PacketSocket { source: errno.into() })
    }

    /// Sends a frame, Ethernet header included, out of the device with this interface index.
    ///
    /// # Errors
    /// When there is no such device, when it is down, when the frame is longer than its MTU allows, or when its queue is
    /// full: a frame is lost then, as it may be on any wire.
    pub fn send(&self, ifindex: u32, frame: &[u8]) -> Result<(), Error> {
        let failed = |source| Error::Send { ifindex, length: frame.len(), source };
        let address = device_address(ifindex).ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let sent =
            sendto(self.0.as_raw_fd(), frame, &address, MsgFlags::empty()).map_err(|errno| failed(errno.into()))?;
        if sent == frame.len() { Ok(()) } else { Err(failed(io::ErrorKind::WriteZero.into())) }
    }
}

/// The address that names a device by its index.
fn device_address(ifindex: u32) -> Option<LinkAddr> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: 0,
        sll_ifindex: ifindex.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the pointer is to a whole address of that length, which is copied before `address` goes.
    unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) }
}
