//! What can go wrong on a host, each said with the value and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name cannot be that of a network namespace.
    #[error(
        "\"{0}\" cannot name a network namespace; use 1 to 255 letters, digits, '.', '_' and '-', not beginning with '.'"
    )]
    NamespaceName(String),
    /// A namespace of this name is there already.
    #[error("network namespace {0} exists already; delete it with \"ip netns delete {0}\" or choose another name")]
    NamespaceExists(String),
    /// There is no namespace of this name.
    #[error("there is no network namespace {0}; \"ip netns list\" shows those that are there")]
    NoNamespace(String),
    /// A step with a namespace failed.
    #[error("cannot {action} network namespace {name}: {source}{}", hint(source))]
    Namespace {
        /// What was tried.
        action: &'static str,
        /// Name of the namespace, or where it is.
        name: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The name cannot be that of a device.
    #[error("\"{0}\" cannot name a network device; use 1 to 15 characters without '/', ':' and white space")]
    DeviceName(String),
    /// There is no device of this name.
    #[error("there is no network device {0} in this network namespace; \"ip link\" shows those that are there")]
    NoDevice(String),
    /// The kernel refused a request by netlink.
    #[error("cannot {action}: {source}{}{}", detail(message), hint(source))]
    Netlink {
        /// What was asked for.
        action: String,
        /// The kernel's own words, when it gave some.
        message: Option<String>,
        /// The kernel's error.
        source: io::Error,
    },
    /// The kernel's answer could not be read.
    #[error("cannot read the kernel's netlink answer: {0}; please report this with the kernel's version")]
    Answer(String),
    /// A dump was torn by changes more often than it was repeated.
    #[error("the devices of this network namespace change so fast that they cannot be listed; try again")]
    Restless,
    /// A switch or a tap could not be set.
    #[error("cannot {action} on device {device}: {source}{}", hint(source))]
    Device {
        /// What was tried.
        action: String,
        /// Name of the device.
        device: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A sysctl could not be read or written.
    #[error("cannot {action} sysctl net.{key}: {source}{}", hint(source))]
    Sysctl {
        /// Reading or writing, with the value.
        action: String,
        /// Which, with dots or slashes, without the leading `net`.
        key: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A file that tells about the machine could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that tells about the machine does not say what it should.
    #[error("{path} says {text:?}, which is not understood; please report this with the kernel's version")]
    Unexpected {
        /// Which file.
        path: PathBuf,
        /// What it says.
        text: String,
    },
    /// The process lacks capabilities.
    #[error("{0}; run netvirt as root, or give its process these capabilities")]
    Capabilities(crate::capabilities::Missing),
    /// The kernel is too old.
    #[error(
        "Linux {found} is too old: netvirt attaches its programs by tcx, which Linux {needed} brought; boot Linux {needed} or newer"
    )]
    KernelTooOld {
        /// The running kernel.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// The kernel has no type information.
    #[error("the kernel offers no type information at {0}; boot a kernel that is built with CONFIG_DEBUG_INFO_BTF=y")]
    NoBtf(PathBuf),
    /// The folder is not in a bpffs.
    #[error("{path} is not in a bpffs, so that programs cannot be pinned there; choose a folder beneath {root}")]
    NotBpffs {
        /// Which folder.
        path: PathBuf,
        /// Where netvirt mounts one itself.
        root: &'static str,
    },
    /// A packet socket could not be opened.
    #[error("cannot open a packet socket, which sends DHCP answers: {source}{}", hint(source))]
    PacketSocket {
        /// What the kernel answered.
        source: io::Error,
    },
    /// A frame could not be sent.
    #[error("cannot send a frame of {length} bytes out of the device with interface index {ifindex}: {source}")]
    Send {
        /// Interface index of the device.
        ifindex: u32,
        /// Length of the frame in bytes.
        length: usize,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The bpffs could not be mounted, or the folder not made.
    #[error("cannot {action} {path}: {source}{}", hint(source))]
    Bpffs {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
}

impl Error {
    /// Whether the kernel said that what should be made is there already.
    pub fn is_exists(&self) -> bool {
        match self {
            Self::NamespaceExists(_) => true,
            Self::Netlink { source, .. } | Self::Namespace { source, .. } => {
                source.raw_os_error() == Some(libc::EEXIST)
            }
            _ => false,
        }
    }

    /// Whether the kernel lacks what was asked for: a kind of device that it was built without, for example.
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Netlink { source, .. } => matches!(source.raw_os_error(), Some(libc::EOPNOTSUPP)),
            _ => false,
        }
    }

    /// Whether what was asked for is not there.
    pub fn is_absent(&self) -> bool {
        match self {
            Self::NoNamespace(_) | Self::NoDevice(_) => true,
            Self::Netlink { source, .. } => {
                matches!(source.raw_os_error(), Some(libc::ENODEV | libc::ENOENT | libc::ESRCH))
            }
            _ => false,
        }
    }
}

/// What to do about the commonest refusal of all.
fn hint(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "; root, or CAP_NET_ADMIN and CAP_SYS_ADMIN, is needed",
        _ => "",
    }
}

/// The kernel's own words in parentheses.
fn detail(message: &Option<String>) -> String {
    message.as_ref().map(|text| format!(" ({text})")).unwrap_or_default()
}
