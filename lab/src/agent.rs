//! The agents of a lab: their configuration, their start and their end.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use api::{Client, PortStatus};
use host::Namespace;
use model::{Kind, Name, Port, ProviderAddress, Resource};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;

use crate::error::InNode;
use crate::state::{Process, State};
use crate::topology::Topology;
use crate::wiring::{ETH0, bpffs_folder, lab_folder, namespace_name, socket_path};
use crate::{LabError, UpOptions};

/// How long an agent may think about one question.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long an agent that was asked to end has before it is killed.
const END_LIMIT: Duration = Duration::from_secs(5);
/// How often is looked whether something has come about.
const GLANCE: Duration = Duration::from_millis(10);
/// How much of a log is shown when an agent fails.
const TAIL_LINES: usize = 30;

/// The file that `netvirt agent --config` reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentConfig<'a> {
    name: &'a Name,
    socket: PathBuf,
    state: PathBuf,
    bpffs: PathBuf,
    flood: Flood,
    resources: Vec<Resource>,
}

/// How many broadcast frames each port may send.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Flood {
    /// Frames a second.
    rate: u32,
    /// Frames at once.
    burst: u32,
}

/// Where a host's log is.
pub(crate) fn log_path(lab: &str, host: &str) -> PathBuf {
    lab_folder(lab).join(format!("{host}.log"))
}

/// Where a host's agent keeps what outlives it.
pub(crate) fn state_folder(lab: &str, host: &str) -> PathBuf {
    lab_folder(lab).join(format!("{host}.state"))
}

/// Where a host's configuration is.
fn config_path(lab: &str, host: &str) -> PathBuf {
    lab_folder(lab).join(format!("{host}.yaml"))
}

/// Writes the configuration of each host with an agent.
pub(crate) fn write_configs(topology: &Topology) -> Result<(), LabError> {
    let lab = topology.name.as_str();
    for host in topology.hosts.iter().filter(|host| host.agent) {
        let name = host.name.as_str();
        let config = AgentConfig {
            name: &host.name,
            socket: socket_path(name),
            state: state_folder(lab, name),
            bpffs: bpffs_folder(name),
            flood: Flood { rate: 1000, burst: 200 },
            resources: resources_of(topology, host),
        };
        let path = config_path(lab, name);
        let failed = |source| LabError::File { action: "write", path: path.clone(), source };
        let text = serde_saphyr::to_string(&config).map_err(|error| failed(std::io::Error::other(error)))?;
        fs::write(&path, text).map_err(failed)?;
    }
    Ok(())
}

/// What a host is given: its provider addresses, the ports of its VMs, and what all hosts get.
pub(crate) fn resources_of(topology: &Topology, host: &crate::topology::Host) -> Vec<Resource> {
    if host.joined {
        return Vec::new();
    }
    let interface: Result<Name, _> = ETH0.parse();
    let addresses = host.addresses.iter().zip(interface.iter().cycle()).map(|(address, interface)| {
        Resource::ProviderAddress(ProviderAddress {
            address: address.addr(),
            interface: interface.clone(),
            prefix_length: address.prefix_len(),
        })
    });
    let ports = topology.vms.iter().zip(topology.vm_devices()).filter(|(vm, _)| vm.host == host.name);
    let ports = ports.filter_map(|(vm, device)| {
        // Short names of VMs are legal names, because those of VMs are.
        let device = device.parse().ok()?;
        Some(Resource::Port(Port::new(vm.name.clone(), device, vm.mac, vm.vsid)))
    });
    addresses.chain(ports).chain(topology.resources.iter().cloned()).collect()
}

/// The program that the agents are: this one, if it is netvirt, or the one that NETVIRT_BIN names.
pub(crate) fn program() -> Result<PathBuf, LabError> {
    if let Ok(own) = std::env::current_exe()
        && own.file_name().is_some_and(|name| name == "netvirt")
    {
        return Ok(own);
    }
    match std::env::var_os("NETVIRT_BIN").map(PathBuf::from) {
        Some(path) if path.is_file() => Ok(path),
        Some(path) => Err(LabError::NoProgram(format!("; {} is not a file", path.display()))),
        None => Err(LabError::NoProgram(String::new())),
    }
}

/// Starts a host's agent and writes its process down. It goes on when the caller ends.
pub(crate) fn start(state: &mut State, program: &Path, host: &str) -> Result<Child, LabError> {
    let lab = state.topology.name.to_string();
    let path = log_path(&lab, host);
    let failed = |source| LabError::File { action: "write", path: path.clone(), source };
    let log = File::options().create(true).append(true).open(&path).map_err(failed)?;
    let errors = log.try_clone().map_err(failed)?;
    let namespace = Namespace::open(&namespace_name(&state.topology.name, host)).in_node(host)?;
    let child = namespace
        .command(program)
        .args(["agent", "--config"])
        .arg(config_path(&lab, host))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // A group of its own: what interrupts the caller at the terminal does not reach the agent.
        .process_group(0)
        .spawn()
        .map_err(|source| LabError::Run { program: program.display().to_string(), node: host.to_owned(), source })?;
    // Who dies between these two lines leaves an agent that is found by its namespace when the lab is taken down.
    let start_time = host::process::start_time(child.id()).unwrap_or_default();
    state.agents.insert(host.to_owned(), Process { pid: child.id(), start_time });
    state.save()?;
    Ok(child)
}

/// Waits until a host's agent answers.
pub(crate) fn await_ready(lab: &str, host: &str, child: &mut Child, options: &UpOptions) -> Result<(), LabError> {
    let limit = options.ready_within;
    let log = log_path(lab, host);
    let failed = |problem: String| {
        let tail = tail(&log);
        Err(LabError::Agent { host: host.to_owned(), problem, log: log.clone(), tail })
    };
    let client = client(host, "its status")?.with_timeout(ANSWER_LIMIT);
    let end = Instant::now() + limit;
    loop {
        options.interrupted.check(lab)?;
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) => return failed(format!("ended ({status}) instead of starting")),
            Err(error) => return failed(format!("is lost ({error})")),
        }
        match client.status() {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= end => {
                return failed(format!("does not answer within {} s ({error})", limit.as_secs()));
            }
            Err(_) => thread::sleep(GLANCE),
        }
    }
}

/// Asks for a port's MTU, waiting until the agent has bound the port.
pub(crate) fn port_mtu(lab: &str, host: &str, vm: &str, limit: Duration) -> Result<u32, LabError> {
    let what = format!("the MTU of port {vm}");
    let client = client(host, &what)?.with_timeout(ANSWER_LIMIT);
    let end = Instant::now() + limit;
    loop {
        let item = client.get(Kind::Port, vm).map_err(|source| LabError::Ask {
            host: host.to_owned(),
            what: what.clone(),
            source,
        })?;
        if let Some(mtu) = item.status_as::<PortStatus>().and_then(|status| status.mtu) {
            return Ok(mtu);
        }
        if Instant::now() >= end {
            let log = log_path(lab, host);
            let (tail, host) = (tail(&log), host.to_owned());
            let problem = format!("has not bound port {vm} within {} s", limit.as_secs());
            return Err(LabError::Agent { host, problem, log, tail });
        }
        thread::sleep(GLANCE);
    }
}

/// A client of a host's agent.
fn client(host: &str, what: &str) -> Result<Client, LabError> {
    Client::new(socket_path(host)).map_err(|source| LabError::Ask {
        host: host.to_owned(),
        what: what.to_owned(),
        source,
    })
}

/// Sends a signal to a process if it is still the one that was written down, and waits until it is gone. One that asks
/// politely is followed by SIGKILL. `child` is its handle when it is ours: it must be waited for.
pub(crate) fn end(process: Process, signal: Signal, child: Option<&mut Child>) {
    let send = |signal| {
        if process.is_alive() {
            // It may have ended since it was looked at, which is what is wanted.
            let _ = kill(Pid::from_raw(process.pid.cast_signed()), signal);
        }
    };
    send(signal);
    if !gone_within(process, END_LIMIT) {
        send(Signal::SIGKILL);
        gone_within(process, END_LIMIT);
    }
    if let Some(child) = child {
        let _ = child.wait();
    }
}

/// Whether a process ends in time.
fn gone_within(process: Process, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    while process.is_alive() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(GLANCE);
    }
    true
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    match lines.len() {
        0 => "(empty)".to_owned(),
        count => lines[count.saturating_sub(TAIL_LINES)..].join("\n"),
    }
}
