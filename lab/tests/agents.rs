//! The agents of a lab are started with their configuration, asked, killed, started again and ended. The agent here is
//! a copy of this test's own program that keeps what it is given and answers like a host, so that the lab is judged by
//! itself.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::memory::MemoryHost;
use api::{Change, ChangeSet, Client, HostApi};
use common::{fresh_name, remains};
use lab::{AgentStatus, Lab, LabError, LabGuard, Topology, UpOptions};
use model::{Kind, Resource};
use serde::Deserialize;

/// Names the configuration with which a copy of this program acts as an agent.
const COPY_CONFIG: &str = "LAB_TEST_AGENT_CONFIG";

/// What an agent reads; a field that is missing or too many is refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    name: String,
    socket: PathBuf,
    state: PathBuf,
    bpffs: PathBuf,
    flood: Flood,
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flood {
    rate: u32,
    burst: u32,
}

fn read_config(path: &Path) -> Config {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The copy's part: it serves until it is killed.
fn act_as_agent() -> bool {
    let Some(path) = std::env::var_os(COPY_CONFIG) else {
        return false;
    };
    let config = read_config(path.as_ref());
    host::kernel::ensure_bpffs(&config.bpffs).unwrap();
    std::fs::write(&config.state, "kept").unwrap();
    let memory = MemoryHost::new();
    let changes = config.resources.into_iter().map(Change::Create).collect();
    memory.change(ChangeSet { changes, dry_run: false }).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let socket = api::Socket::bind(config.socket).unwrap();
        api::server::serve(socket, Arc::new(memory), std::future::pending()).await.unwrap();
    });
    true
}

/// The program that makes a copy of this one act as an agent.
fn agent_program(folder: &Path, test: &str) -> PathBuf {
    let path = folder.join("agent");
    let own = std::env::current_exe().unwrap();
    let text = format!("#!/bin/sh\n{COPY_CONFIG}=\"$3\" exec {} {test} --exact --nocapture\n", own.display());
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The example with names of its own.
fn blue_red(lab: &str) -> Topology {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/blue-red.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.replace("name: blue-red", &format!("name: {lab}"));
    Topology::from_yaml(&text.replace("host1", &format!("{lab}h1")).replace("host2", &format!("{lab}h2"))).unwrap()
}

fn agent(lab: &Lab, host: &str) -> AgentStatus {
    lab.status().unwrap().nodes.into_iter().find(|node| node.name == host).unwrap().agent.unwrap()
}

#[test]
fn agents_get_their_configuration_and_vms_the_mtu_that_agents_say() {
    if act_as_agent() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = fresh_name();
    let (h1, h2) = (format!("{name}h1"), format!("{name}h2"));
    let program = agent_program(folder.path(), "agents_get_their_configuration_and_vms_the_mtu_that_agents_say");
    let options = UpOptions { program: Some(program), ..UpOptions::default() };
    let mut lab = LabGuard::up(&blue_red(&name), options).unwrap();

    let config = read_config(Path::new(&format!("/run/netvirt/lab/{name}/{h1}.yaml")));
    assert_eq!((config.name.as_str(), config.flood.rate, config.flood.burst), (h1.as_str(), 1000, 200));
    let keys: Vec<_> = config.resources.iter().map(|resource| resource.key().to_string()).collect();
    assert_eq!(keys[..4], ["provider-address 192.168.4.11", "provider-address fd00:4::11", "port blue1", "port red1"]);
    assert_eq!(keys.len(), 4 + 4 + 2, "all lookup records and customer routes too");

    let client = Client::new(lab.socket(&h2).unwrap()).unwrap();
    let ports: Vec<_> = client.list(Kind::Port).unwrap().into_iter().map(|item| item.name).collect();
    assert_eq!(ports, ["blue2", "red2"]);
    // The agent's word, which no default is, at both ends of the cable.
    let mtu = |node: &lab::Node, device| node.netlink().unwrap().link(device).unwrap().mtu;
    assert_eq!(mtu(&lab.vm("blue2").unwrap(), "eth0"), 1458);
    assert_eq!(mtu(&lab.host(&h2).unwrap(), "blue2"), 1458);

    lab.down().unwrap();
    assert_eq!(remains(&name, &[&h1, &h2]), Vec::<String>::new());
}

#[test]
fn an_agent_is_killed_and_started_again() {
    if act_as_agent() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = fresh_name();
    let host = format!("{name}h1");
    let program = agent_program(folder.path(), "an_agent_is_killed_and_started_again");
    let options = UpOptions { program: Some(program), ..UpOptions::default() };
    let mut lab = LabGuard::up(&blue_red(&name), options).unwrap();
    let first = agent(&lab, &host);
    assert!(first.alive);
    assert!(matches!(lab.start_agent(&host), Err(LabError::AgentRuns { .. })));
    lab.kill_agent(&host).unwrap();
    assert!(!agent(&lab, &host).alive);
    lab.start_agent(&host).unwrap();
    let second = agent(&lab, &host);
    assert!(second.alive && second.pid != first.pid);
    lab.restart_agent(&host).unwrap();
    let third = agent(&lab, &host);
    assert!(third.alive && third.pid != second.pid);
    assert!(matches!(lab.kill_agent("blue1"), Err(LabError::NoNode { .. })));
    // Somebody else takes the lab down.
    lab::down(&name).unwrap();
    assert_eq!(host::process::start_time(third.pid.unwrap()), None);
    assert_eq!(remains(&name, &[&host]), Vec::<String>::new());
}
