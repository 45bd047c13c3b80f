//! Tun devices: network interfaces without a link layer, whose other end is a process that takes and gives IP packets.

use std::ffi::c_char;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use crate::netlink::checked;
use crate::{Error, Netlink};

impl Netlink {
    /// Makes a persistent tun device, or keeps the one that is there: it stays until [`Netlink::delete_link`], also while no
    /// process has it open. One that is made is down.
    ///
    /// # Errors
    /// When the name is illegal, or taken by a device that is no tun, or without CAP_NET_ADMIN.
    pub fn create_tun(&self, name: &str) -> Result<(), Error> {
        let failed = |source| Error::Device { action: "make a tun".to_owned(), device: name.to_owned(), source };
        if self.link(name).is_ok() {
            return Ok(());
        }
        self.namespace()
            .run(|| {
                let tun = open(name)?;
                // SAFETY: TUNSETPERSIST takes a number, not a pointer.
                if unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETPERSIST as _, 1) } != 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            })?
            .map_err(failed)
    }
}

/// Opens a tun device in the network namespace of the calling thread: each read takes one IP packet, each write gives one.
/// Neither waits: without a packet, or without room, they answer [`io::ErrorKind::WouldBlock`].
///
/// # Errors
/// When another process has it open (`EBUSY`), it is no tun, or without CAP_NET_ADMIN.
pub fn open_tun(name: &str) -> Result<File, Error> {
    let failed = |source| Error::Device { action: "open the tun".to_owned(), device: name.to_owned(), source };
    open(name).map_err(failed)
}

fn open(name: &str) -> io::Result<File> {
    let name = checked(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
    let tun = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *slot = *byte as c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request outlives the call and TUNSETIFF reads and writes exactly an `ifreq`.
    if unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(tun)
}
