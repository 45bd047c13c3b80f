//! `netvirt lab`: hosts, VMs and an underlay in network namespaces, and guests in QEMU, on this machine.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lab::{Accelerator, Interrupted, LabError, LabStatus, LabSummary, NodeKind, NodeStatus, UpOptions};

use crate::CliError;
use crate::args::Output;
use crate::render::{self, NONE, Table};
use crate::run::Streams;
use crate::signals;

/// The verbs of a lab. They need root.
#[derive(Debug, Subcommand)]
pub enum LabVerb {
    /// Bring up the lab of a YAML file.
    Up {
        /// What to build.
        file: PathBuf,
    },
    /// Remove a lab and all that it made, also one whose making was cut short.
    Down {
        /// Its name.
        name: String,
    },
    /// Run a command in a node: in its network namespace, or in a guest.
    Exec(Exec),
    /// Pull a VM's cable out of its host and plug it into another one; the port is the operator's to move.
    Plug {
        /// The VM.
        vm: String,
        /// The host to plug it into.
        host: String,
        /// The lab, when there are several.
        #[arg(long, value_name = "NAME", env = "NETVIRT_LAB")]
        lab: Option<String>,
    },
    /// Move a running guest to another host, as libvirt would; its port is the operator's to move ("netvirt migrate").
    Migrate {
        /// The guest.
        vm: String,
        /// The host to move it to.
        host: String,
        /// The lab, when there are several.
        #[arg(long, value_name = "NAME", env = "NETVIRT_LAB")]
        lab: Option<String>,
    },
    /// Start a QEMU on another host that waits for a guest, and say how "netvirt migrate" reaches both QEMUs.
    Receive {
        /// The guest.
        vm: String,
        /// The host to move it to.
        host: String,
        /// The lab, when there are several.
        #[arg(long, value_name = "NAME", env = "NETVIRT_LAB")]
        lab: Option<String>,
    },
    /// End the one of a guest's two QEMUs that it does not run in, once somebody has moved it, or could not.
    Received {
        /// The guest.
        vm: String,
        /// The lab, when there are several.
        #[arg(long, value_name = "NAME", env = "NETVIRT_LAB")]
        lab: Option<String>,
    },
    /// Show a lab's nodes, addresses, agents and guests.
    Status {
        /// Its name; may be left out when there is one lab alone.
        name: Option<String>,
    },
    /// List the labs.
    List,
}

/// `netvirt lab exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// Host, VM, or the underlay's own node.
    pub node: String,
    /// The lab, when several have such a node.
    #[arg(long, value_name = "NAME", env = "NETVIRT_LAB")]
    pub lab: Option<String>,
    /// Command with its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Carries out a verb.
pub fn run(verb: &LabVerb, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    match verb {
        LabVerb::Up { file } => {
            let options = UpOptions::default();
            set_when_interrupted(options.interrupted.clone())?;
            let status = lab::up(file, options).map_err(|source| in_file(file, source))?;
            show(&status, output, streams)
        }
        LabVerb::Down { name } => {
            lab::down(name)?;
            streams.print(&format!("lab {name} is down\n"))
        }
        // The command takes the place of this process; what comes back is why it could not.
        LabVerb::Exec(Exec { node, lab, command }) => Err(lab::exec(lab.as_deref(), node, command).into()),
        LabVerb::Plug { vm, host, lab } => {
            lab::plug(lab.as_deref(), vm, host)?;
            streams.print(&format!("VM {vm} is plugged into {host}\n"))
        }
        LabVerb::Migrate { vm, host, lab } => {
            let moved = lab::migrate(lab.as_deref(), vm, host)?;
            let (pause, total) = (moved.pause, moved.total.as_millis());
            streams.print(&format!("guest {vm} runs on {host}: {pause}, and all of it took {total} ms\n"))
        }
        LabVerb::Receive { vm, host, lab } => {
            let awaited = lab::receive(lab.as_deref(), vm, host)?;
            let (source, target) = (awaited.source.display(), awaited.target.display());
            let text = match output {
                Output::Json => render::json(&awaited)?,
                Output::Yaml => render::yaml(&awaited)?,
                _ => format!(
                    "a QEMU on {host} waits for guest {vm}: --qmp {source} --target-qmp {target} --via {}\n",
                    awaited.via
                ),
            };
            streams.print(&text)
        }
        LabVerb::Received { vm, lab } => {
            let host = lab::received(lab.as_deref(), vm)?;
            streams.print(&format!("guest {vm} runs on {host}\n"))
        }
        LabVerb::Status { name: Some(name) } => show(&lab::status(name)?, output, streams),
        LabVerb::Status { name: None } => match lab::list()?.as_slice() {
            [only] => show(&lab::status(&only.name)?, output, streams),
            [] => streams.note(NO_LAB),
            several => {
                let names: Vec<&str> = several.iter().map(|lab| lab.name.as_str()).collect();
                Err(CliError::Usage(format!("which lab? name one of {}", names.join(", "))))
            }
        },
        LabVerb::List => {
            let labs = lab::list()?;
            match output {
                Output::Json => streams.print(&render::json(&labs)?),
                Output::Yaml => streams.print(&render::yaml(&labs)?),
                Output::Table | Output::Wide if labs.is_empty() => streams.note(NO_LAB),
                Output::Table | Output::Wide => streams.print(&summaries(&labs)),
                Output::Name => streams.print(&labs.iter().map(|lab| format!("{}\n", lab.name)).collect::<String>()),
            }
        }
    }
}

/// From here on a signal that would end this process says that the lab is no longer wanted: one that is half built is removed
/// first.
fn set_when_interrupted(interrupted: Interrupted) -> Result<(), CliError> {
    signals::on_end(move || interrupted.set())
}

const NO_LAB: &str = "no lab is up; bring one up with \"netvirt lab up FILE\"";

/// Errors about the text of a file name the file.
fn in_file(file: &std::path::Path, source: LabError) -> CliError {
    match source {
        source @ LabError::Yaml { .. } => CliError::LabFile { file: file.to_owned(), source: Box::new(source) },
        other => other.into(),
    }
}

fn show(status: &LabStatus, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let text = match output {
        Output::Json => render::json(status)?,
        Output::Yaml => render::yaml(status)?,
        Output::Table | Output::Wide => nodes(status, output == Output::Wide),
        Output::Name => status.nodes.iter().map(|node| format!("{}\n", node.name)).collect(),
    };
    streams.print(&text)
}

fn headings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn state(complete: bool) -> &'static str {
    if complete { "up" } else { "incomplete" }
}

fn summaries(labs: &[LabSummary]) -> String {
    let row = |lab: &LabSummary| {
        vec![lab.name.clone(), state(lab.complete).to_owned(), lab.hosts.to_string(), lab.vms.to_string()]
    };
    Table::new(headings(&["NAME", "STATE", "HOSTS", "VMS"])).render(labs.iter().map(row).collect(), true)
}

fn nodes(status: &LabStatus, wide: bool) -> String {
    let mut header = headings(&["NODE", "KIND", "ADDRESSES", "MTU", "HOST", "AGENT"]);
    let gateways = status.nodes.iter().any(|node| node.gateway.is_some());
    if gateways {
        header.push("GATEWAY".to_owned());
    }
    if wide {
        header.extend(headings(&["NAMESPACE", "SOCKET", "LOG"]));
    }
    let rows = status.nodes.iter().map(|node| node_row(node, gateways, wide)).collect();
    let table = Table::new(header).render(rows, true);
    let advice = if status.complete {
        String::new()
    } else {
        format!("It was not built to the end; remove it with \"netvirt lab down {}\".\n", status.name)
    };
    format!("Lab {}: {}\n{table}{}{advice}", status.name, state(status.complete), emulated(status))
}

/// Why guests are slower than they could be.
fn emulated(status: &LabStatus) -> String {
    let because = status.nodes.iter().find_map(|node| node.guest.as_ref()?.because.as_deref());
    because.map(|because| format!("Guests are emulated (tcg): {because}.\n")).unwrap_or_default()
}

/// What a node is, and how it is if it is not well.
fn kind(node: &NodeStatus) -> String {
    let kind = match node.kind {
        NodeKind::Underlay => "underlay",
        NodeKind::Controller => "controller",
        NodeKind::Host => "host",
        NodeKind::Vm => "VM",
        NodeKind::Outside => "outside",
        NodeKind::Router => "router",
        NodeKind::Server => "server",
    };
    match (&node.guest, node.present) {
        (Some(guest), _) => {
            let by = guest.accelerator.map_or("guest", Accelerator::name);
            if guest.alive { format!("{kind} ({by})") } else { format!("{kind} ({by}), ended") }
        }
        (None, true) => kind.to_owned(),
        (None, false) => format!("{kind}, missing"),
    }
}

fn node_row(node: &NodeStatus, gateways: bool, wide: bool) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    let addresses: Vec<String> = node.addresses.iter().map(ToString::to_string).collect();
    let process = |alive: bool, pid: Option<u32>| match pid.filter(|_| alive) {
        Some(pid) => format!("process {pid}"),
        None => "stopped".to_owned(),
    };
    let agent = node.agent.as_ref().map(|agent| process(agent.alive, agent.pid));
    let mut row = vec![
        node.name.clone(),
        kind(node),
        or_none(Some(addresses.join(", ")).filter(|text| !text.is_empty())),
        or_none(node.mtu.map(|mtu| mtu.to_string())),
        or_none(node.host.clone()),
        or_none(agent),
    ];
    if gateways {
        row.push(or_none(node.gateway.as_ref().map(|gateway| process(gateway.alive, gateway.pid))));
    }
    if wide {
        let (agent, guest) = (node.agent.as_ref(), node.guest.as_ref());
        let socket = agent.map(|agent| &agent.socket).or(guest.map(|guest| &guest.qmp));
        let log = agent.map(|agent| &agent.log).or(guest.map(|guest| &guest.console));
        row.push(node.namespace.clone());
        row.push(or_none(socket.map(|path| path.display().to_string())));
        row.push(or_none(log.map(|path| path.display().to_string())));
    }
    row
}

#[cfg(test)]
mod tests {
    use lab::{AgentStatus, GatewayStatus, GuestStatus};

    use super::*;

    fn node(name: &str, kind: NodeKind, address: Option<&str>) -> NodeStatus {
        NodeStatus {
            name: name.into(),
            kind,
            namespace: format!("demo-{name}"),
            present: true,
            addresses: address.into_iter().map(|text| text.parse().unwrap()).collect(),
            mtu: Some(1600),
            host: None,
            agent: None,
            gateway: None,
            guest: None,
        }
    }

    #[test]
    fn a_lab_is_a_table_of_nodes() {
        let agent = AgentStatus {
            pid: Some(42),
            alive: true,
            socket: "/run/netvirt/host1.sock".into(),
            log: "/run/netvirt/lab/demo/host1.log".into(),
        };
        let status = LabStatus {
            name: "demo".into(),
            complete: true,
            nodes: vec![
                NodeStatus { mtu: None, ..node("underlay", NodeKind::Underlay, None) },
                NodeStatus { agent: Some(agent), ..node("host1", NodeKind::Host, Some("192.168.4.11/24")) },
                NodeStatus {
                    host: Some("host1".into()),
                    present: false,
                    ..node("blue1", NodeKind::Vm, Some("10.0.0.5/24"))
                },
            ],
        };
        assert_eq!(
            nodes(&status, false),
            "\
Lab demo: up
NODE      KIND         ADDRESSES        MTU     HOST    AGENT
underlay  underlay     <none>           <none>  <none>  <none>
host1     host         192.168.4.11/24  1600    <none>  process 42
blue1     VM, missing  10.0.0.5/24      1600    host1   <none>
"
        );
        assert!(nodes(&status, true).contains("/run/netvirt/host1.sock"));
        let incomplete = nodes(&LabStatus { complete: false, ..status }, false);
        assert!(incomplete.ends_with("remove it with \"netvirt lab down demo\".\n"), "{incomplete}");
    }

    #[test]
    fn gateways_have_a_column_where_there_are_any() {
        let gateway = |alive| GatewayStatus {
            pid: Some(44),
            alive,
            namespaces: vec!["nvgw.host17.contoso.aaa".into()],
            log: "/run/netvirt/lab/demo/host17.gateway.log".into(),
        };
        let host = |name: &str, alive| NodeStatus {
            gateway: Some(gateway(alive)),
            ..node(name, NodeKind::Host, Some("192.168.4.17/24"))
        };
        let nodes_of = vec![
            host("host17", true),
            host("host18", false),
            node("internet", NodeKind::Router, None),
            node("www", NodeKind::Server, None),
        ];
        let status = LabStatus { name: "demo".into(), complete: true, nodes: nodes_of };
        assert_eq!(
            nodes(&status, false),
            "\
Lab demo: up
NODE      KIND    ADDRESSES        MTU   HOST    AGENT   GATEWAY
host17    host    192.168.4.17/24  1600  <none>  <none>  process 44
host18    host    192.168.4.17/24  1600  <none>  <none>  stopped
internet  router  <none>           1600  <none>  <none>  <none>
www       server  <none>           1600  <none>  <none>  <none>
"
        );
    }

    #[test]
    fn a_guest_says_what_runs_it_and_why() {
        let guest = |alive| GuestStatus {
            pid: Some(43),
            alive,
            accelerator: Some(Accelerator::Tcg),
            because: Some("there is no /dev/kvm".into()),
            qmp: "/run/netvirt/lab/demo/g1.guest/1/qmp".into(),
            console: "/run/netvirt/lab/demo/g1.guest/1/console.log".into(),
        };
        let vm = |name: &str, alive| NodeStatus {
            host: Some("host1".into()),
            guest: Some(guest(alive)),
            present: alive,
            ..node(name, NodeKind::Vm, Some("10.0.0.5/24"))
        };
        let status = LabStatus { name: "demo".into(), complete: true, nodes: vec![vm("g1", true), vm("g2", false)] };
        assert_eq!(
            nodes(&status, false),
            "\
Lab demo: up
NODE  KIND             ADDRESSES    MTU   HOST   AGENT
g1    VM (tcg)         10.0.0.5/24  1600  host1  <none>
g2    VM (tcg), ended  10.0.0.5/24  1600  host1  <none>
Guests are emulated (tcg): there is no /dev/kvm.
"
        );
        assert!(nodes(&status, true).contains("/run/netvirt/lab/demo/g1.guest/1/console.log"));
    }

    #[test]
    fn labs_are_listed() {
        let labs = [LabSummary { name: "demo".into(), hosts: 2, vms: 4, complete: false }];
        assert_eq!(summaries(&labs), "NAME  STATE       HOSTS  VMS\ndemo  incomplete  2      4\n");
    }
}
