//! Tap devices: network interfaces whose other end is a process, such as QEMU.

use std::ffi::c_char;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use crate::netlink::checked;
use crate::{Error, Netlink};

/// How a tap is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TapOptions {
    /// Whether frames carry a virtio header, which lets offloads pass.
    pub vnet_hdr: bool,
    /// Whether several queues can be opened.
    pub multi_queue: bool,
}

impl Netlink {
    /// Makes a persistent tap: it stays until [`Netlink::delete_link`], and a process that opens it later must ask for
    /// the same options. It is down.
    ///
    /// # Errors
    /// When the name is illegal, or taken by a device that is no such tap, or without CAP_NET_ADMIN.
    pub fn create_tap(&self, name: &str, options: TapOptions) -> Result<(), Error> {
        let failed = |source| Error::Device { action: "make a tap".to_owned(), device: name.to_owned(), source };
        let name_bytes = checked(name)?.as_bytes();
        // A tap belongs to the namespace of the thread that opens /dev/net/tun.
        self.namespace().run(|| make(name_bytes, options, libc::IFF_TUN_EXCL, None))?.map_err(failed)
    }

    /// Makes a tap persistent that is there already, if it fits these options and no process has it open, and gives it to a
    /// user, who may open it then without being root. Without it one is made, as by [`Netlink::create_tap`].
    ///
    /// # Errors
    /// [`Error::is_busy`] when a process has it open, [`Error::is_other_kind`] when it is no such tap; or without CAP_NET_ADMIN.
    pub fn adopt_tap(&self, name: &str, options: TapOptions, owner: Option<u32>) -> Result<(), Error> {
        let failed = |source| Error::Device { action: "take over a tap".to_owned(), device: name.to_owned(), source };
        let name_bytes = checked(name)?.as_bytes();
        self.namespace().run(|| make(name_bytes, options, 0, owner))?.map_err(failed)
    }
}

impl Error {
    /// Whether a process has the tap open.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Device { source, .. } if source.raw_os_error() == Some(libc::EBUSY))
    }

    /// Whether the device is no tap, or one that was made with other options.
    pub fn is_other_kind(&self) -> bool {
        matches!(self, Self::Device { source, .. } if source.raw_os_error() == Some(libc::EINVAL))
    }
}

/// Makes the tap in the namespace of the calling thread.
fn make(name: &[u8], options: TapOptions, exclusive: libc::c_int, owner: Option<u32>) -> io::Result<()> {
    let mut flags = libc::IFF_TAP | libc::IFF_NO_PI | exclusive;
    if options.vnet_hdr {
        flags |= libc::IFF_VNET_HDR;
    }
    if options.multi_queue {
        flags |= libc::IFF_MULTI_QUEUE;
    }
    let tun = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(name) {
        *slot = *byte as c_char;
    }
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the request outlives the call and TUNSETIFF reads and writes exactly an `ifreq`.
    if unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if let Some(owner) = owner {
        // SAFETY: TUNSETOWNER takes a number, not a pointer.
        if unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOWNER as _, libc::c_ulong::from(owner)) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: TUNSETPERSIST takes a number, not a pointer.
    if unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETPERSIST as _, 1) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
