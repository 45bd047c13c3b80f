//! What stands behind each verb.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use model::MacAddress;
use model::fabric::ResourceName;

use super::Target;
use crate::fields::{CreateWhat, SetWhat};

/// `netvirt get`.
#[derive(Debug, Args)]
pub struct Get {
    /// Kind, singular, plural or short.
    #[arg(value_enum, value_name = "KIND")]
    pub target: Target,
    /// Names; all if there is none. Of drops, names of ports.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Go on and print what changes, until interrupted.
    #[arg(short, long)]
    pub watch: bool,
    /// Of the audit log: how many lines, the newest. Of flows: how many, 1,000 without it.
    #[arg(long, value_name = "NUMBER")]
    pub limit: Option<usize>,
    #[command(flatten)]
    pub flows: OfFlows,
}

/// Which flows; of flows a NAME is the name of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[command(next_help_heading = "Of flows")]
pub struct OfFlows {
    /// IP protocol: tcp, udp, icmp, icmpv6, or a number.
    #[arg(long, value_name = "PROTOCOL")]
    pub protocol: Option<String>,
    /// Address on either side.
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<IpAddr>,
    /// TCP or UDP port on either side, or ICMP identifier.
    #[arg(long, value_name = "PORT")]
    pub service: Option<u16>,
    /// How far it has come: new, opening, open, closing, closed, reset.
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
}

/// `netvirt watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// Kind, singular, plural or short.
    #[arg(value_enum, value_name = "KIND")]
    pub target: Target,
    /// Names; all if there is none.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `netvirt describe`.
#[derive(Debug, Args)]
pub struct Describe {
    /// Kind, singular, plural or short.
    #[arg(value_enum, value_name = "KIND")]
    pub target: Target,
    /// Names; all if there is none.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// How long a change may take until it is in force, where one asks to wait for it.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Waiting {
    /// Wait until it is realized on every host that needs it, but no longer than this, 30s by default. At a controller
    /// only.
    #[arg(
        long,
        global = true,
        value_name = "TIMEOUT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30s",
        value_parser = duration
    )]
    pub wait: Option<Duration>,
}

/// `netvirt create`.
#[derive(Debug, Args)]
pub struct Create {
    #[command(subcommand)]
    pub what: CreateWhat,
    /// Check only, and say what would come of it.
    #[arg(long, global = true)]
    pub dry_run: bool,
    #[command(flatten)]
    pub waiting: Waiting,
}

/// `netvirt set`.
#[derive(Debug, Args)]
pub struct Set {
    #[command(subcommand)]
    pub what: SetWhat,
    /// Check only, and say what would come of it.
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Refuse if the resource has another revision by now. Without it the given fields go into whatever the resource
    /// has become. At a controller only.
    #[arg(long, global = true, value_name = "NUMBER")]
    pub revision: Option<u64>,
    #[command(flatten)]
    pub waiting: Waiting,
}

/// `netvirt migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// The VM's port.
    pub port: String,
    /// The host that its VM will run on.
    #[arg(long, value_name = "HOST")]
    pub to: ResourceName,
    /// Where the QEMU that the VM is in takes orders (QMP): it hands the VM over when the network is ready. Without this and
    /// --libvirt, somebody else moves the VM when he is told to.
    #[arg(long, value_name = "SOCKET", requires_all = ["target_qmp", "via"], conflicts_with = "libvirt")]
    pub qmp: Option<PathBuf>,
    /// Where the QEMU on the other host takes orders, started with "-incoming defer". A socket of another machine is brought
    /// here by "ssh -L".
    #[arg(long, value_name = "SOCKET", requires = "qmp")]
    pub target_qmp: Option<PathBuf>,
    /// The way from one QEMU to the other, as both see it: tcp:ADDRESS:PORT with an address of the other host, or unix:PATH.
    #[arg(long, value_name = "URI", requires = "qmp")]
    pub via: Option<String>,
    /// Has libvirt move this domain ("virsh migrate --live") when the network is ready.
    #[arg(long, value_name = "DOMAIN")]
    pub libvirt: Option<String>,
    /// The connections to libvirt; {host} stands for the name of the host.
    #[arg(long, value_name = "URI", requires = "libvirt", default_value = "qemu+ssh://{host}/system")]
    pub uri: String,
    /// Do not wait for a host that is away, and is neither of the two: what it sends to the VM, and the VM to it, may be lost until
    /// it is back and has been told.
    #[arg(long, value_name = "HOST")]
    pub without: Vec<ResourceName>,
    /// How long the VM may take to move, and then to give its first sign of life there.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub timeout: Duration,
    /// More arguments of "virsh migrate".
    #[arg(last = true, value_name = "ARGUMENT", requires = "libvirt")]
    pub virsh: Vec<String>,
}

/// `netvirt delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Kind, singular, plural or short.
    #[arg(value_enum, value_name = "KIND", required_unless_present = "file", conflicts_with = "file")]
    pub target: Option<Target>,
    /// Names.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// All of the kind.
    #[arg(long, conflicts_with_all = ["names", "file"])]
    pub all: bool,
    /// The resources of this YAML file; "-" is the standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// Check only, and say what would come of it.
    #[arg(long)]
    pub dry_run: bool,
    /// Wait until it is gone from every host that had it, but no longer than this, 30s by default. At a controller only.
    #[arg(
        long,
        value_name = "TIMEOUT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30s",
        value_parser = duration
    )]
    pub wait: Option<Duration>,
}

/// `netvirt apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// YAML file of one or many documents; "-" is the standard input. Several files are one transaction.
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    pub file: Vec<PathBuf>,
    /// Check only, and say what would come of it.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub waiting: Waiting,
}

/// `netvirt diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// YAML file of one or many documents; "-" is the standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    pub file: Vec<PathBuf>,
}

/// `netvirt store`.
#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// Write everything that is declared and allocated as JSON lines; secrets are not in it.
    Export {
        /// Where to; the standard output if it is left out.
        file: Option<PathBuf>,
    },
    /// Fill an empty controller with what was exported.
    Import {
        /// What "netvirt store export" wrote; "-" is the standard input.
        file: PathBuf,
    },
    /// Copy the store while the controller runs. The copy holds secrets; it takes the place of store.redb.
    Backup {
        /// Where to; a file that is not there yet.
        file: PathBuf,
    },
}

/// `netvirt trace`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("protocol").args(["icmp", "tcp", "udp"]))]
pub struct Trace {
    /// Name of the port whose VM would send the packet.
    #[arg(long, value_name = "PORT")]
    pub from: String,
    /// Destination address.
    #[arg(long, value_name = "ADDRESS")]
    pub to: IpAddr,
    /// An echo request; this is the default.
    #[arg(long)]
    pub icmp: bool,
    /// A TCP segment.
    #[arg(long)]
    pub tcp: bool,
    /// A UDP datagram.
    #[arg(long)]
    pub udp: bool,
    /// Source address; by default one of the VM's.
    #[arg(long, value_name = "ADDRESS")]
    pub source: Option<IpAddr>,
    /// Source port of TCP or UDP.
    #[arg(long, value_name = "NUMBER", conflicts_with = "icmp")]
    pub source_port: Option<u16>,
    /// Destination port of TCP or UDP.
    #[arg(long, visible_alias = "destination-port", value_name = "NUMBER", conflicts_with = "icmp")]
    pub dest_port: Option<u16>,
    /// Time to live, or hop limit, with which the VM sends it: 1 to 255.
    #[arg(long, value_name = "HOPS", value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: Option<u8>,
    /// Payload in bytes.
    #[arg(long, value_name = "BYTES")]
    pub size: Option<u32>,
    /// With --tcp: a SYN.
    #[arg(long, requires = "tcp")]
    pub syn: bool,
    /// Forbid fragmentation (IPv4; IPv6 always does).
    #[arg(long)]
    pub dont_fragment: bool,
    /// Destination MAC address; by default as the VM would, the gateway's or the neighbour's.
    #[arg(long, value_name = "MAC")]
    pub via: Option<MacAddress>,
}

/// A time span such as `30s`, `8h` or `30d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| format!("\"{text}\" is not a time span; write one such as 30s, 8h or 30d"))
}
