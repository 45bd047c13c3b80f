//! Why a lab cannot be had, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why something with a lab was not done.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text is no topology.
    #[error("line {line}, column {column}: {message}")]
    Yaml {
        /// Line, from 1.
        line: u64,
        /// Column in characters, from 1.
        column: u64,
        /// What is wrong.
        message: String,
    },
    /// The topology contradicts itself.
    #[error("the topology of lab {lab} cannot be built:\n  {}", problems.join("\n  "))]
    Invalid {
        /// The lab.
        lab: String,
        /// All that is wrong, a sentence each.
        problems: Vec<String>,
    },
    /// There is such a lab already.
    #[error("lab {0} is up already, or was left half-built; take it down first with \"netvirt lab down {0}\"")]
    UpAlready(String),
    /// Whoever wanted it wants it no longer.
    #[error("interrupted; what was built of lab {0} by then is removed again")]
    Interrupted(String),
    /// There is no such lab.
    #[error("there is no lab {0}; \"netvirt lab list\" shows those that are up")]
    NoLab(String),
    /// The lab has no such node.
    #[error("lab {lab} has no node {node}; its nodes are {}", nodes.join(", "))]
    NoNode {
        /// The lab.
        lab: String,
        /// What was asked for.
        node: String,
        /// What is there.
        nodes: Vec<String>,
    },
    /// More than one lab has a node of this name.
    #[error("the labs {} all have a node {node}; say which is meant with \"--lab NAME\" or NETVIRT_LAB", labs.join(", "))]
    Ambiguous {
        /// The node.
        node: String,
        /// The labs.
        labs: Vec<String>,
    },
    /// The node runs no agent.
    #[error("host {host} of lab {lab} has no agent; give it \"agent: true\" in the topology")]
    NoAgent {
        /// The lab.
        lab: String,
        /// The host.
        host: String,
    },
    /// The agent runs already.
    #[error("the agent of host {host} runs already, as process {pid}; stop it first")]
    AgentRuns {
        /// The host.
        host: String,
        /// Its process id.
        pid: u32,
    },
    /// The node runs no gateway.
    #[error("host {host} of lab {lab} has no gateway; give it \"gateway: true\" in the topology")]
    NoGateway {
        /// The lab.
        lab: String,
        /// The host.
        host: String,
    },
    /// The gateway runs already.
    #[error("the gateway of host {host} runs already, as process {pid}; stop it first")]
    GatewayRuns {
        /// The host.
        host: String,
        /// Its process id.
        pid: u32,
    },
    /// A gateway did not start.
    #[error("the gateway of host {host} {problem}; the end of its log {log} is:\n{tail}")]
    Gateway {
        /// The host.
        host: String,
        /// What happened.
        problem: String,
        /// Where its log is.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// Something outside of this lab has what it needs.
    #[error("lab {lab} cannot be built: {problem}")]
    Taken {
        /// The lab.
        lab: String,
        /// What is taken, by whom, and what to do.
        problem: String,
    },
    /// A file of the lab could not be written, read or removed.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state of a lab does not make sense.
    #[error(
        "{path} is not the state of a lab ({reason}); remove its network namespaces by \"ip netns delete\", then this file"
    )]
    State {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The caller is not root.
    #[error("a lab is made of network namespaces, which needs root; run the command with sudo")]
    NotRoot,
    /// It is not known which program the agents are.
    #[error(
        "the program netvirt is not known here: run \"netvirt lab\", or set the environment variable NETVIRT_BIN to its path{0}"
    )]
    NoProgram(String),
    /// The controller did not start.
    #[error("the controller on {node} {problem}; the end of its log {log} is:\n{tail}")]
    Controller {
        /// Its node.
        node: String,
        /// What happened.
        problem: String,
        /// Where its log is.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// There is no controller in the lab.
    #[error("lab {0} has no controller; give its topology a \"controller\"")]
    NoController(String),
    /// An agent did not start.
    #[error("the agent of host {host} {problem}; the end of its log {log} is:\n{tail}")]
    Agent {
        /// The host.
        host: String,
        /// What happened.
        problem: String,
        /// Where its log is.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A guest does not move.
    #[error("guest {vm} does not move: {problem}")]
    Migration {
        /// The guest.
        vm: String,
        /// What is wrong.
        problem: String,
    },
    /// What guests are made of is not here.
    #[error("guests cannot be started: {0}")]
    GuestImage(String),
    /// A guest did not come up, or does not take its settings.
    #[error("guest {vm} {problem}; the end of its console {log} is:\n{tail}")]
    Guest {
        /// The guest.
        vm: String,
        /// What happened.
        problem: String,
        /// Where its console is kept.
        log: PathBuf,
        /// The console's last lines, and what QEMU said.
        tail: String,
    },
    /// The QEMU of a guest does not run.
    #[error(
        "guest {vm} does not run, its QEMU has ended; take the lab down with \"netvirt lab down {lab}\" and bring it up again"
    )]
    GuestGone {
        /// The lab.
        lab: String,
        /// The guest.
        vm: String,
    },
    /// Somebody pulls at a guest's cable.
    #[error(
        "VM {0} is a guest (\"kind: vm\"), whose interface goes where its QEMU is; a guest is moved by live migration, not \
         by its cable"
    )]
    GuestCable(String),
    /// Somebody asks this machine's kernel for what is another's.
    #[error("VM {0} is a guest (\"kind: vm\"), whose devices its own kernel has; run \"ip\" in it instead")]
    GuestDevices(String),
    /// A command cannot be run in a guest.
    #[error("cannot run {program} in guest {vm}: {source}")]
    InGuest {
        /// The command.
        program: String,
        /// The guest.
        vm: String,
        /// Why.
        source: io::Error,
    },
    /// QEMU does not do what it was ordered to.
    #[error(transparent)]
    Qmp(#[from] qemu::QmpError),
    /// An agent gave no answer or refused.
    #[error("the agent of host {host} cannot be asked for {what}: {source}")]
    Ask {
        /// The host.
        host: String,
        /// What was asked for.
        what: String,
        /// Why.
        source: api::ClientError,
    },
    /// A program could not be started.
    #[error("cannot run {program} in {node}: {source}; is it installed?")]
    Run {
        /// Which program.
        program: String,
        /// Where.
        node: String,
        /// Why.
        source: io::Error,
    },
    /// A program did not end in time.
    #[error("{program} in {node} did not end within {limit:?} and was killed; it printed:\n{printed}")]
    Timeout {
        /// With its arguments.
        program: String,
        /// Where.
        node: String,
        /// How long it had.
        limit: Duration,
        /// What it printed until then.
        printed: String,
    },
    /// A program ended with a failure.
    #[error("{program} in {node} failed ({status}); it printed:\n{printed}")]
    Failed {
        /// With its arguments.
        program: String,
        /// Where.
        node: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it printed.
        printed: String,
    },
    /// Not everything could be removed.
    #[error("lab {lab} is not down wholly; try \"netvirt lab down {lab}\" again:\n  {}", problems.join("\n  "))]
    Leftovers {
        /// The lab.
        lab: String,
        /// What is left and why.
        problems: Vec<String>,
    },
    /// What the kernel refused.
    #[error("in {node}: {source}")]
    Host {
        /// In which node.
        node: String,
        /// What.
        source: host::Error,
    },
}

/// Names the node in which the kernel refused.
pub(crate) trait InNode<T> {
    /// The node's name.
    fn in_node(self, node: &str) -> Result<T, LabError>;
}

impl<T> InNode<T> for Result<T, host::Error> {
    fn in_node(self, node: &str) -> Result<T, LabError> {
        self.map_err(|source| LabError::Host { node: node.to_owned(), source })
    }
}
