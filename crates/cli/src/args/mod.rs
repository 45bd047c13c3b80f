//! The grammar of the command line, after kubectl's: verb, kind, name.

mod plug;
mod target;
#[cfg(test)]
mod tests;
mod verbs;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use model::fabric::ResourceName;

use crate::fields::CreateWhat;
use crate::roles::{AgentOptions, ControllerOptions, GatewayArgs, JoinOptions, LeaveOptions};

pub use plug::{Attach, Connect, Detach, Hook, LibvirtVerb, Plug, PortVerb, Unplug};
pub use target::{Knows, Target};
pub use verbs::{Apply, Create, Delete, Describe, Diff, Get, Migrate, OfFlows, Set, StoreVerb, Trace, Watch, duration};

const AFTER_HELP: &str = "\
A host's agent is asked with --host or --socket, a controller with --context. Without them, kinds that only one of the
two has go there; for ports, customer routes and status the controller is asked if there is a context, else the host.

Exit codes:
  0  done; of \"diff\": no differences
  1  refused: the error says why and what to do; of \"diff\": there are differences
  2  wrong usage; of \"diff\" also: refused
  3  no agent or controller answers
  4  declared, but not realized on every host within --wait
  130  interrupted

Environment:
  NETVIRT_SOCKET   socket of the agent to ask, unless --socket or --host says another
  NETVIRT_CONTEXT  file that says how to reach the controller, unless --context says another; by default the first of
                   /etc/netvirt/context.yaml, ~/.config/netvirt/context.yaml, /var/lib/netvirt/controller/admin.yaml
  NETVIRT_TENANT   tenant, unless --tenant says another; by default the context's, or else \"default\"
  NO_COLOR         no colours in help and usage errors, even on a terminal";

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
    #[arg(long, global = true, value_name = "PATH", conflicts_with_all = ["host", "context"])]
    pub socket: Option<PathBuf>,
    /// Host whose agent to ask, by /run/netvirt/NAME.sock. With create and set of a port at a controller: the host that
    /// the port is plugged on.
    #[arg(long, global = true, value_name = "NAME")]
    pub host: Option<String>,
    /// File that says how to reach the controller to ask.
    #[arg(long, global = true, value_name = "FILE")]
    pub context: Option<PathBuf>,
    /// Owner of the resources; the context's, or "default", if nothing else is said.
    #[arg(short, long, global = true, value_name = "NAME")]
    pub tenant: Option<ResourceName>,
    /// The resources of all tenants.
    #[arg(short = 'A', long, global = true, conflicts_with = "tenant")]
    pub all_tenants: bool,
    /// How to print: table, wide, json (whole, with the status), yaml (what "netvirt apply" takes back) or name.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table, hide_possible_values = true)]
    pub output: Output,
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
    /// Names alone, one a line.
    Name,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show resources, or counters of drops, in a table.
    Get(Get),
    /// Show all there is to know of resources.
    Describe(Describe),
    /// Show resources, and then what changes, until interrupted.
    Watch(Watch),
    /// Declare a new resource.
    Create(Create),
    /// Change the given fields of a resource.
    Set(Set),
    /// Delete resources, or set the counters of drops to 0.
    Delete(Delete),
    /// Create or change the resources of YAML files, all or none.
    Apply(Apply),
    /// Show what "apply" would change, as a unified diff.
    Diff(Diff),
    /// Let the network follow a VM that is moved to another host while it runs.
    Migrate(Migrate),
    /// Make and remove the devices of ports, for VMs that are started on this host.
    #[command(subcommand)]
    Port(PortVerb),
    /// What libvirt's domains need of this host.
    #[command(subcommand)]
    Libvirt(LibvirtVerb),
    /// Say what becomes of a packet, stage by stage, by the function that the kernel runs.
    Trace(Trace),
    /// Show how the host or the controller is.
    Status,
    /// Run a host's agent.
    Agent(AgentOptions),
    /// Run the gateway of a host that is declared to be one, beside its agent.
    Gateway(GatewayArgs),
    /// Run a controller.
    Controller(ControllerOptions),
    /// This host's membership in a fabric.
    #[command(subcommand)]
    Host(HostVerb),
    /// What a controller has stored: export, import, backup.
    #[command(subcommand)]
    Store(StoreVerb),
    /// Hosts, VMs and an underlay in network namespaces on this machine.
    #[command(subcommand)]
    Lab(crate::lab::LabVerb),
    /// Carry out a script of PowerShell at hosts' agents, with the cmdlets of NetWNV; or commands from the terminal.
    Powershell(crate::powershell::Powershell),
    /// What this host is, in another's words.
    #[command(subcommand)]
    Export(crate::powershell::ExportVerb),
    /// What others say, in a controller's words.
    #[command(subcommand)]
    Import(crate::powershell::ImportVerb),
    /// Print the completion script for a shell; with it names are completed too, by asking who knows them.
    Completion {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// `netvirt host`.
#[derive(Debug, Subcommand)]
pub enum HostVerb {
    /// Enrol this host at a controller; then "netvirt agent" needs no configuration.
    Join(JoinOptions),
    /// Give up this host's membership, its certificate and what the controller said; its agent must be stopped.
    Leave(LeaveOptions),
    /// List the hosts of the controller; the same as "netvirt get hosts".
    List,
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
