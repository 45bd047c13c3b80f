//! Verbs of those who start VMs on a host: people, scripts of QEMU, libvirt.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use model::Name;

/// `netvirt port`.
#[derive(Debug, Subcommand)]
pub enum PortVerb {
    /// Make the device of a port, a tap, for a VM to be started on; a port that any host may plug comes to this host.
    Plug(Plug),
    /// Remove the device of a port; a port that any host may plug leaves this host.
    Unplug(Unplug),
    /// Print what this host remembers of a port's VM, its connections and leases, for the host that it moves to. Between hosts of
    /// a controller that goes by itself.
    Recall {
        /// The port.
        port: String,
    },
    /// Take in what "recall" has printed on another host: connections go on whoever may open them.
    Remember {
        /// The port.
        port: String,
        /// The file; "-" is the standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// For QEMU and libvirt, as "script": they have made the tap, which becomes the port that names it as its device.
    QemuUp {
        /// The tap.
        device: String,
    },
    /// For QEMU and libvirt, as "downscript": they are about to remove the tap.
    QemuDown {
        /// The tap.
        device: String,
    },
}

/// `netvirt port plug`.
#[derive(Debug, Args)]
pub struct Plug {
    /// The port: its name on this host, its device, or its UUID at the controller.
    pub port: String,
    /// The name that its device must have; of a port that any host may plug and that names none, the name that it gets.
    #[arg(long, value_name = "NAME")]
    pub device: Option<Name>,
    /// How many queues the VM's interface has: with several, the tap is made for several.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub queues: u32,
    /// User who may open the tap beside root, by name or number.
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
}

/// `netvirt port unplug`.
#[derive(Debug, Args)]
pub struct Unplug {
    /// The port: its name on this host, its device, or its UUID at the controller.
    #[arg(required_unless_present = "leftovers", conflicts_with = "leftovers")]
    pub port: Option<String>,
    /// Remove what is left of all ports that are gone.
    #[arg(long)]
    pub leftovers: bool,
    /// Remove a device although a process has it open: its VM is cut off.
    #[arg(long)]
    pub force: bool,
}

/// `netvirt libvirt`.
#[derive(Debug, Subcommand)]
pub enum LibvirtVerb {
    /// For libvirt, from /etc/libvirt/hooks/qemu: plugs and unplugs the ports of a domain, whose XML is the standard input.
    Hook(Hook),
    /// Plug a port into a domain that runs.
    Attach(Attach),
    /// Unplug a port from a domain that runs.
    Detach(Detach),
}

/// `netvirt libvirt hook`: what libvirt gives to a hook, in its order.
#[derive(Debug, Args)]
pub struct Hook {
    /// Name of the domain.
    pub domain: String,
    /// What is being done: prepare, start, started, stopped, release, migrate, reconnect and so on.
    pub operation: String,
    /// Whether that begins or ends.
    pub sub_operation: Option<String>,
    /// More of it.
    pub extra: Option<String>,
}

/// `netvirt libvirt attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// Name, number or UUID of the domain.
    pub domain: String,
    /// The port: its UUID at the controller, its name on this host, or its device.
    pub port: String,
    /// The domain keeps it when it is started anew.
    #[arg(long)]
    pub persistent: bool,
    /// What the VM's interface is.
    #[arg(long, value_name = "MODEL", default_value = "virtio")]
    pub model: String,
    /// How many queues it has.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub queues: u32,
    #[command(flatten)]
    pub to: Connect,
}

/// `netvirt libvirt detach`.
#[derive(Debug, Args)]
pub struct Detach {
    /// Name, number or UUID of the domain.
    pub domain: String,
    /// The port: its UUID at the controller, its name on this host, or its device.
    pub port: String,
    /// The domain does without it when it is started anew.
    #[arg(long)]
    pub persistent: bool,
    #[command(flatten)]
    pub to: Connect,
}

/// Which libvirt.
#[derive(Debug, Default, Args)]
pub struct Connect {
    /// URI of the libvirt to ask, as of "virsh --connect".
    #[arg(long, value_name = "URI")]
    pub connect: Option<String>,
}
