//! The grammar of the command line, after kubectl's: verb, kind, name.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use model::{Kind, MacAddress};

use crate::fields::{CreateWhat, SetWhat};

/// Folder of the sockets that `--host` names.
const SOCKET_FOLDER: &str = "/run/netvirt";
/// Host that is asked when none is named.
const DEFAULT_HOST: &str = "agent";
/// Environment variable with the socket that is asked when none is named.
pub const SOCKET_VARIABLE: &str = "NETVIRT_SOCKET";

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  refused: the error says why and what to do
  2  wrong usage
  3  no agent answers

Environment:
  NETVIRT_SOCKET  socket of the agent to ask, unless --socket or --host says another
  NO_COLOR        no colours in help and usage errors, even on a terminal";

/// Network virtualization for Linux hosts: tenants with networks of their own on shared hosts.
#[derive(Debug, Parser)]
#[command(name = "netvirt", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What may stand with any verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Socket of the agent to ask.
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "host")]
    pub socket: Option<PathBuf>,
    /// Host to ask, for /run/netvirt/NAME.sock.
    #[arg(long, global = true, value_name = "NAME")]
    pub host: Option<String>,
    /// How to print: table, wide, json (whole, with the status) or yaml (what "netvirt apply" takes back).
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
}

impl Global {
    /// The socket to ask, given the value of [`SOCKET_VARIABLE`].
    pub fn socket_path(&self, variable: Option<OsString>) -> PathBuf {
        let of_host = |name: &str| PathBuf::from(format!("{SOCKET_FOLDER}/{name}.sock"));
        match (&self.socket, &self.host, variable) {
            (Some(path), _, _) => path.clone(),
            (None, Some(name), _) => of_host(name),
            (None, None, Some(path)) if !path.is_empty() => path.into(),
            (None, None, _) => of_host(DEFAULT_HOST),
        }
    }
}

/// How to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Output {
    /// Columns for people.
    Table,
    /// More columns.
    Wide,
    /// For programs: what is declared and its status.
    Json,
    /// What "netvirt apply" takes back.
    Yaml,
}

/// What `get`, `describe` and `delete` are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Target {
    /// Where a customer address is.
    #[value(aliases = ["lookup-records", "lr", "lrs"])]
    LookupRecord,
    /// Which subnet or VM leads to a prefix.
    #[value(aliases = ["customer-routes", "cr", "crs"])]
    CustomerRoute,
    /// An address of this host in the underlay.
    #[value(aliases = ["provider-addresses", "pa", "pas"])]
    ProviderAddress,
    /// A route in the underlay.
    #[value(aliases = ["provider-routes", "pr", "prs"])]
    ProviderRoute,
    /// A VM's or container's network interface.
    #[value(aliases = ["ports", "po"])]
    Port,
    /// Counters of dropped packets.
    #[value(aliases = ["drop"])]
    Drops,
}

impl Target {
    /// The kind of resource; none for the counters.
    pub const fn kind(self) -> Option<Kind> {
        match self {
            Self::LookupRecord => Some(Kind::LookupRecord),
            Self::CustomerRoute => Some(Kind::CustomerRoute),
            Self::ProviderAddress => Some(Kind::ProviderAddress),
            Self::ProviderRoute => Some(Kind::ProviderRoute),
            Self::Port => Some(Kind::Port),
            Self::Drops => None,
        }
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show resources, or counters of drops, in a table.
    Get(Get),
    /// Show all there is to know of resources.
    Describe(Describe),
    /// Declare a new resource.
    Create(Create),
    /// Change the given fields of a resource.
    Set(Set),
    /// Delete resources, or set the counters of drops to 0.
    Delete(Delete),
    /// Create or change the resources of a YAML file, all or none.
    Apply(Apply),
    /// Say what becomes of a packet, stage by stage, by the function that the kernel runs.
    Trace(Trace),
    /// Show how the host is.
    Status,
    /// Run a host's agent.
    Agent(Agent),
    /// Hosts, VMs and an underlay in network namespaces on this machine.
    #[command(subcommand)]
    Lab(crate::lab::LabVerb),
    /// Print the completion script for a shell.
    Completion {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// `netvirt get`.
#[derive(Debug, Args)]
pub struct Get {
    /// Kind, singular or plural; short: lr, cr, pa, pr, po.
    #[arg(value_enum, value_name = "KIND")]
    pub target: Target,
    /// Names; all if there is none. Of drops, names of ports.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Go on and print what changes, until interrupted.
    #[arg(short, long)]
    pub watch: bool,
}

/// `netvirt describe`.
#[derive(Debug, Args)]
pub struct Describe {
    /// Kind, singular or plural; short: lr, cr, pa, pr, po.
    #[arg(value_enum, value_name = "KIND")]
    pub target: Target,
    /// Names; all if there is none.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

/// `netvirt create`.
#[derive(Debug, Args)]
pub struct Create {
    #[command(subcommand)]
    pub what: CreateWhat,
    /// Check only, and say what would come of it.
    #[arg(long, global = true)]
    pub dry_run: bool,
}

/// `netvirt set`.
#[derive(Debug, Args)]
pub struct Set {
    #[command(subcommand)]
    pub what: SetWhat,
    /// Check only, and say what would come of it.
    #[arg(long, global = true)]
    pub dry_run: bool,
}

/// `netvirt delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Kind, singular or plural; short: lr, cr, pa, pr, po.
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
}

/// `netvirt agent`.
#[derive(Debug, Args)]
pub struct Agent {
    /// Configuration of the host.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Check the configuration and the host, and end.
    #[arg(long)]
    pub check: bool,
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
    /// Time to live, or hop limit.
    #[arg(long, value_name = "HOPS")]
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

/// The grammar. What `create` needs is required there and optional with `set`, out of the same declaration.
pub fn command() -> clap::Command {
    Cli::command().mut_subcommand("create", |create| {
        CreateWhat::REQUIRED.iter().fold(create, |create, (kind, required)| {
            create.mut_subcommand(kind, |kind| {
                required.iter().fold(kind, |kind, field| kind.mut_arg(field, |field| field.required(true)))
            })
        })
    })
}

/// Reads a command line.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches: ArgMatches = command().try_get_matches_from(args)?;
    Cli::from_arg_matches(&matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Cli, clap::Error> {
        parse(std::iter::once("netvirt").chain(text.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn the_grammar_contradicts_itself_nowhere() {
        command().debug_assert();
    }

    #[test]
    fn every_verb_is_understood() {
        for text in [
            "get lookup-record",
            "get lookup-records 5001/10.0.0.5 5001/10.0.0.7 -o wide",
            "get lr -o json",
            "get cr -o yaml --host host1",
            "get pa --watch",
            "get provider-addresses",
            "get pr -w",
            "get ports blue1",
            "get drops",
            "describe port blue1",
            "describe lr",
            "create lookup-record --vsid 5001 --customer-address 10.0.0.5 --mac 06-06-00-00-00-05 --provider-address \
             192.168.4.11 --rule encap --type static --vm-name Blue1",
            "create lr --vsid 5001 --ca 0.0.0.0 --mac 06:06:00:00:00:05 --pa fd00::11 --rule TranslationMethodNat \
             --type GatewayWildcard --dry-run",
            "create customer-route --rdid {11111111-2222-3333-4444-000000005001} --vsid 5001 --prefix 10.0.0.0/24 \
             --next-hop 0.0.0.0 --metric 5",
            "create provider-address --address 192.168.4.11 --interface up0 --prefix-length 24",
            "create provider-route --prefix 192.168.5.0/24 --next-hop 192.168.4.1 --interface up0",
            "create port blue1 --device tap1 --mac 06-06-00-00-00-05 --vsid 5001",
            "create port plain --device tap1 --mac 06-06-00-00-00-05 --vsid 0",
            "set lookup-record 5001/10.0.0.5 --provider-address 192.168.4.22",
            "set port blue1 --vsid 6001 --dry-run",
            "set customer-route 5001/10.0.0.0/24/0.0.0.0 --metric 7",
            "set pa 192.168.4.11 --interface up1",
            "set provider-route 192.168.5.0/24/192.168.4.1 --metric 1",
            "delete port blue1 red1",
            "delete ports --all --dry-run",
            "delete -f host.yaml",
            "delete drops",
            "apply -f a.yaml -f b.yaml --dry-run",
            "apply -f -",
            "trace --from blue1 --to 10.0.0.7",
            "trace --from blue1 --to fd00::7 --tcp --dest-port 443 --source-port 1024 --syn --size 0 --ttl 1",
            "trace --from blue1 --to 10.0.0.7 --udp --source 10.0.0.5 --via 00-00-5E-00-01-01 --dont-fragment",
            "status --socket /run/netvirt/x.sock",
            "agent --config host.yaml --check",
            "completion bash",
            "lab up demo.yaml",
            "lab down demo",
            "lab exec blue1 -- ping -c 3 10.0.0.7",
            "lab exec --lab demo blue1 -- ip -o link",
            "lab status demo -o json",
            "lab status",
            "lab list",
        ] {
            line(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }

    #[test]
    fn wrong_usage_names_the_flag_and_the_value() {
        for (text, words) in [
            ("get vlan", "invalid value 'vlan' for '<KIND>'"),
            ("create lr --vsid 70", "VSID 70 is out of range; choose one of 4096 to 16777214"),
            ("create lr --vsid 5001", "--mac <MAC>"),
            ("create lr --mac 01-00-5e-00-00-01", "is a multicast address"),
            ("create lr --rule gre", "the rules are encap, nat and none"),
            ("create lr --type learnt", "the types are static, dynamic, l2only and gateway-wildcard"),
            ("create cr --prefix 10.0.0.0", "\"10.0.0.0\" is not a prefix"),
            ("create port --device tap1 --mac 06-06-00-00-00-05", "<NAME>"),
            ("create port a/b --device tap1 --mac 06-06-00-00-00-05", "has '/' in it"),
            ("trace --from blue1", "--to <ADDRESS>"),
            ("trace --from blue1 --to 10.0.0.7 --tcp --udp", "cannot be used with"),
            ("trace --from blue1 --to 10.0.0.7 --syn", "--tcp"),
            ("trace --from blue1 --to blue2", "invalid value 'blue2' for '--to <ADDRESS>'"),
            ("delete", "<KIND>"),
            ("delete port blue1 --all", "cannot be used with"),
            ("delete port -f host.yaml", "cannot be used with"),
            ("apply", "--file <FILE>"),
            ("lab exec blue1", "<COMMAND>"),
            ("lab exec blue1 ping", "unexpected argument 'ping'"),
            ("status --host a --socket b", "cannot be used with"),
            ("get lr -o xml", "invalid value 'xml'"),
        ] {
            let error = line(text).map(|_| ()).expect_err(text);
            assert_eq!(error.exit_code(), 2, "{text}");
            assert!(error.to_string().contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn the_socket_is_found_by_flag_host_variable_and_habit_in_this_order() {
        let path =
            |text: &str, variable: Option<&str>| line(text).unwrap().global.socket_path(variable.map(Into::into));
        assert_eq!(path("status --socket /s", Some("/v")), PathBuf::from("/s"));
        assert_eq!(path("status --host host1", Some("/v")), PathBuf::from("/run/netvirt/host1.sock"));
        assert_eq!(path("status", Some("/v")), PathBuf::from("/v"));
        assert_eq!(path("status", Some("")), PathBuf::from("/run/netvirt/agent.sock"));
        assert_eq!(path("--host host2 status", None), PathBuf::from("/run/netvirt/host2.sock"));
    }
}
