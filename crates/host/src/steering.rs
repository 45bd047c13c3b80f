//! Which CPUs process the packets that a device receives (receive packet steering, RPS).

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::netlink::checked;
use crate::{Error, Namespace};

// Of include/uapi/linux/mount.h, which libc lacks.
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;

impl Namespace {
    /// Names the CPUs that process what a device receives; none: the CPU that received it. The packets of one flow
    /// stay on one CPU. What a device's own GRO does happens before.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or when the kernel has no RPS or there is no such CPU.
    pub fn set_receive_cpus(&self, device: &str, cpus: &[usize]) -> Result<(), Error> {
        let device = checked(device)?;
        self.run(|| write_masks(device, &mask(cpus)))?.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NoDevice(device.to_owned()),
            _ => Error::Device {
                action: format!("steer what is received to CPUs {cpus:?}"),
                device: device.to_owned(),
                source: error,
            },
        })
    }
}

/// Writes the mask to each receive queue of a device of the calling thread's namespace.
fn write_masks(device: &str, mask: &str) -> io::Result<()> {
    // The /sys of the caller shows the devices of the namespace in which it was mounted. One that is mounted nowhere
    // shows ours, and is gone with its descriptor.
    let sysfs = own_sysfs()?;
    let queues = format!("/proc/self/fd/{}/class/net/{device}/queues", sysfs.as_raw_fd());
    for entry in fs::read_dir(queues)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("rx-") {
            fs::write(entry.path().join("rps_cpus"), mask)?;
        }
    }
    Ok(())
}

/// A sysfs of the calling thread's network namespace, mounted nowhere.
fn own_sysfs() -> io::Result<OwnedFd> {
    let name: &CStr = c"sysfs";
    // SAFETY: the name is a string that ends with zero and outlives the call.
    let context = descriptor(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), FSOPEN_CLOEXEC) })?;
    let (no_key, no_value): (*const libc::c_char, *const libc::c_char) = (std::ptr::null(), std::ptr::null());
    let raw = context.as_raw_fd();
    // SAFETY: this command takes neither key nor value.
    if unsafe { libc::syscall(libc::SYS_fsconfig, raw, FSCONFIG_CMD_CREATE, no_key, no_value, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call takes numbers alone.
    descriptor(unsafe { libc::syscall(libc::SYS_fsmount, raw, FSMOUNT_CLOEXEC, 0) })
}

/// The new descriptor that a system call returned.
fn descriptor(returned: libc::c_long) -> io::Result<OwnedFd> {
    match RawFd::try_from(returned) {
        // SAFETY: the kernel has just made it, and nobody else has it.
        Ok(raw) if raw >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(raw) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// CPUs as the kernel reads them: hexadecimal words of 32 bits, the highest first, with commas between.
fn mask(cpus: &[usize]) -> String {
    let words = cpus.iter().max().map_or(1, |highest| highest / 32 + 1);
    let word = |index: usize| {
        let bits = cpus.iter().filter(|cpu| **cpu / 32 == index);
        bits.fold(0_u32, |bits, cpu| bits | 1 << (cpu % 32))
    };
    let words: Vec<_> = (0..words).rev().map(|index| format!("{:08x}", word(index))).collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_words_of_32_bits() {
        assert_eq!(mask(&[]), "00000000");
        assert_eq!(mask(&[0]), "00000001");
        assert_eq!(mask(&[1, 0, 31]), "80000003");
        assert_eq!(mask(&[33, 0]), "00000002,00000001");
    }
}
