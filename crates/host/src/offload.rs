//! Switches of a device's offloads: what it may receive and send in pieces larger than the wire carries.

use std::ffi::c_char;
use std::io;
use std::os::fd::AsRawFd;

use crate::netlink::checked;
use crate::{Error, Netlink};

/// An offload that can be switched.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Offload {
    /// Generic receive offload: received segments are merged.
    Gro,
    /// Generic segmentation offload: the kernel cuts as late as it can.
    Gso,
    /// TCP segmentation offload: the device cuts. Needs [`Offload::TxChecksum`]. Connections with accurate ECN, which
    /// Linux does not use unless told to, have a switch of their own that this one leaves alone.
    Tso,
    /// The device computes checksums on sending.
    TxChecksum,
}

impl Offload {
    /// Getting and setting commands of the ethtool ioctl (include/uapi/linux/ethtool.h).
    const fn commands(self) -> (u32, u32) {
        match self {
            Self::Gro => (0x2b, 0x2c),
            Self::Gso => (0x23, 0x24),
            Self::Tso => (0x1e, 0x1f),
            Self::TxChecksum => (0x16, 0x17),
        }
    }

    /// The word that `ethtool -K` takes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gro => "gro",
            Self::Gso => "gso",
            Self::Tso => "tso",
            Self::TxChecksum => "tx",
        }
    }
}

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    cmd: u32,
    data: u32,
}

impl Netlink {
    /// Switches an offload of a device. Switching [`Offload::TxChecksum`] off takes TSO with it.
    ///
    /// # Errors
    /// When there is no such device or it cannot switch that.
    pub fn set_offload(&self, device: &str, offload: Offload, on: bool) -> Result<(), Error> {
        let action = || format!("switch {} {}", offload.as_str(), if on { "on" } else { "off" });
        self.ethtool(device, offload.commands().1, u32::from(on), action).map(|_| ())
    }

    /// Whether an offload of a device is on.
    ///
    /// # Errors
    /// When there is no such device or it does not know that switch.
    pub fn offload(&self, device: &str, offload: Offload) -> Result<bool, Error> {
        let action = || format!("read the switch {}", offload.as_str());
        self.ethtool(device, offload.commands().0, 0, action).map(|data| data != 0)
    }

    /// One command of the ethtool ioctl with one number, and the number that came back.
    fn ethtool(&self, device: &str, cmd: u32, data: u32, action: impl Fn() -> String) -> Result<u32, Error> {
        let mut value = EthtoolValue { cmd, data };
        // SAFETY: all zeros is a valid `ifreq`.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // The name fits and keeps its final zero, because `checked` allows 15 bytes.
        for (slot, byte) in request.ifr_name.iter_mut().zip(checked(device)?.bytes()) {
            *slot = byte as c_char;
        }
        request.ifr_ifru.ifru_data = (&raw mut value).cast();
        // SAFETY: `request` and the `value` that it points to outlive the call, and the command reads and writes
        // exactly an `ethtool_value`.
        let result = unsafe { libc::ioctl(self.ioctls.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) };
        if result == 0 {
            return Ok(value.data);
        }
        let source = io::Error::last_os_error();
        if source.raw_os_error() == Some(libc::ENODEV) {
            return Err(Error::NoDevice(device.to_owned()));
        }
        Err(Error::Device { action: action(), device: device.to_owned(), source })
    }
}
