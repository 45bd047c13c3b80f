//! Which of the capabilities that netvirt needs the process has.

use std::fmt;
use std::fs;

use crate::Error;

/// A capability that netvirt needs somewhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Capability {
    /// Devices, addresses, routes and attaching programs.
    NetAdmin,
    /// Raw sockets.
    NetRaw,
    /// Entering namespaces, mounting bpffs.
    SysAdmin,
    /// Loading programs that read kernel memory by type information.
    Perfmon,
    /// Loading programs and making maps.
    Bpf,
}

impl Capability {
    /// What an agent needs to run a host: its programs and maps (Bpf, Perfmon), attaching them (NetAdmin) and mounting
    /// bpffs (SysAdmin), and answering DHCP by packet sockets (NetRaw).
    pub const AGENT: [Self; 5] = [Self::NetAdmin, Self::NetRaw, Self::SysAdmin, Self::Perfmon, Self::Bpf];

    /// Number of the bit (include/uapi/linux/capability.h).
    const fn bit(self) -> u32 {
        match self {
            Self::NetAdmin => 12,
            Self::NetRaw => 13,
            Self::SysAdmin => 21,
            Self::Perfmon => 38,
            Self::Bpf => 39,
        }
    }

    /// What it is needed for.
    const fn purpose(self) -> &'static str {
        match self {
            Self::NetAdmin => "devices, routes and attaching programs",
            Self::NetRaw => "raw sockets",
            Self::SysAdmin => "entering namespaces and mounting bpffs",
            Self::Perfmon => "loading programs that the kernel lets compare pointers",
            Self::Bpf => "loading programs and making maps",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
        })
    }
}

/// Capabilities that are needed and not there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing(pub Vec<Capability>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<_> = self.0.iter().map(|capability| format!("{capability} ({})", capability.purpose())).collect();
        write!(f, "this process lacks {}", list.join(", "))
    }
}

/// Those of `needed` that the calling thread does not have in its effective set.
///
/// # Errors
/// When /proc cannot be read.
pub fn missing(needed: &[Capability]) -> Result<Vec<Capability>, Error> {
    let path = "/proc/thread-self/status";
    let status = fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
    let effective = effective(&status).ok_or_else(|| Error::Unexpected { path: path.into(), text: status.clone() })?;
    Ok(needed.iter().copied().filter(|capability| effective & (1 << capability.bit()) == 0).collect())
}

/// Refuses when one of `needed` is missing.
///
/// # Errors
/// [`Error::Capabilities`] names all that are missing.
pub fn require(needed: &[Capability]) -> Result<(), Error> {
    let missing = missing(needed)?;
    if missing.is_empty() { Ok(()) } else { Err(Error::Capabilities(Missing(missing))) }
}

/// The effective set in the text of /proc/PID/status.
fn effective(status: &str) -> Option<u64> {
    let digits = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_set_is_read() {
        assert_eq!(effective("Name:\tx\nCapPrm:\t00ff\nCapEff:\t000001fffeffffff\n"), Some(0x1ff_feff_ffff));
        assert_eq!(effective("Name:\tx\n"), None);
    }

    #[test]
    fn what_is_missing_is_named_with_its_purpose() {
        let text = Error::Capabilities(Missing(vec![Capability::NetAdmin, Capability::Bpf])).to_string();
        assert_eq!(
            text,
            "this process lacks CAP_NET_ADMIN (devices, routes and attaching programs), CAP_BPF (loading programs and \
             making maps); run netvirt as root, or give its process these capabilities"
        );
    }
}
