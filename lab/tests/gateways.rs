//! The gateways of a lab are started beside their agents, killed, started again and ended, and what they made is removed with
//! the lab. Agent and gateway here are this test's own program and a script, so that the lab is judged by itself.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::memory::MemoryHost;
use common::{fresh_name, remains};
use host::Namespace;
use lab::{GatewayStatus, Lab, LabError, LabGuard, Topology, UpOptions};

/// Names the configuration with which a copy of this program acts as an agent.
const COPY_CONFIG: &str = "LAB_TEST_AGENT_CONFIG";

/// The copy's part: it answers until it is killed.
fn act_as_agent() -> bool {
    let Some(path) = std::env::var_os(COPY_CONFIG) else {
        return false;
    };
    let config: serde_json::Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let socket = PathBuf::from(config["socket"].as_str().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let socket = api::Socket::bind(socket).unwrap();
        api::server::serve(socket, Arc::new(MemoryHost::new()), std::future::pending()).await.unwrap();
    });
    true
}

/// A program that is an agent, and a gateway that makes a namespace with a daemon in it.
fn program(folder: &Path, test: &str) -> PathBuf {
    let path = folder.join("netvirt-like");
    let own = std::env::current_exe().unwrap();
    let text = format!(
        "#!/bin/sh\n\
         if [ \"$1\" = agent ]; then {COPY_CONFIG}=\"$3\" exec {} {test} --exact --nocapture; fi\n\
         echo \"started with $*\"\n\
         name=nvgw.$(basename $3 .sock).c.contoso\n\
         ip netns list | grep -q \"^$name\\b\" || {{ ip netns add $name; ip netns exec $name sleep 600 & }}\n\
         exec sleep 600\n",
        own.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn topology(lab: &str) -> Topology {
    Topology::from_yaml(&format!(
        "name: {lab}\noutside: {{}}\nhosts:\n\
         \x20 - {{name: {lab}h1, addresses: [192.168.4.11/24], outside: [], gateway: true}}\n\
         \x20 - {{name: {lab}h2, addresses: [192.168.4.12/24]}}\n"
    ))
    .unwrap()
}

fn gateway(lab: &Lab, host: &str) -> GatewayStatus {
    lab.status().unwrap().nodes.into_iter().find(|node| node.name == host).unwrap().gateway.unwrap()
}

/// Waits until the daemon of the gateway's namespace runs.
fn daemon(namespace: &str) -> u32 {
    loop {
        if let Ok(found) = Namespace::open(namespace)
            && let [pid] = found.processes().unwrap()[..]
            && host::process::start_time(pid).is_some()
        {
            return pid;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_gateway_runs_beside_its_agent_and_what_it_made_goes_with_the_lab() {
    if act_as_agent() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = fresh_name();
    let (h1, h2) = (format!("{name}h1"), format!("{name}h2"));
    let program = program(folder.path(), "a_gateway_runs_beside_its_agent_and_what_it_made_goes_with_the_lab");
    let options = UpOptions { program: Some(program), ..UpOptions::default() };
    let mut lab = LabGuard::up(&topology(&name), options).unwrap();
    let namespace = format!("nvgw.{h1}.c.contoso");
    let its_daemon = daemon(&namespace);

    let first = gateway(&lab, &h1);
    assert!(first.alive && first.namespaces == [namespace.clone()], "{first:?}");
    let said = std::fs::read_to_string(&first.log).unwrap();
    let socket = lab.socket(&h1).unwrap();
    assert!(said.contains(&format!("gateway --socket {} --folder", socket.display())), "{said}");
    assert!(lab.status().unwrap().nodes.iter().all(|node| node.name == h1 || node.gateway.is_none()));
    assert!(matches!(lab.start_gateway(&h1), Err(LabError::GatewayRuns { .. })));
    assert!(matches!(lab.kill_gateway(&h2), Err(LabError::NoGateway { .. })));
    lab.kill_gateway(&h1).unwrap();
    assert!(!gateway(&lab, &h1).alive && lab.gateway_pid(&h1).unwrap().is_none());
    assert_eq!(daemon(&namespace), its_daemon, "what it made outlives it");
    lab.start_gateway(&h1).unwrap();
    let second = gateway(&lab, &h1);
    assert!(second.alive && second.pid != first.pid);
    lab.stop_gateway(&h1).unwrap();
    lab.start_gateway(&h1).unwrap();

    // Somebody else takes the lab down.
    let third = gateway(&lab, &h1);
    lab::down(&name).unwrap();
    assert_eq!(host::process::start_time(third.pid.unwrap()), None);
    assert_eq!(host::process::start_time(its_daemon), None);
    assert!(!Namespace::exists(&namespace));
    assert_eq!(remains(&name, &[&h1, &h2]), Vec::<String>::new());
}

#[test]
fn a_gateway_that_ends_at_once_is_told_with_its_last_words_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let name = fresh_name();
    let test = "a_gateway_that_ends_at_once_is_told_with_its_last_words_and_nothing_is_left";
    if act_as_agent() {
        return;
    }
    let program = program(folder.path(), test);
    let text = std::fs::read_to_string(&program).unwrap().replace("exec sleep 600", "sleep 0.2; echo no luck; exit 3");
    std::fs::write(&program, text.replace("echo \"started with $*\"\n", "")).unwrap();
    let options = UpOptions { program: Some(program), ..UpOptions::default() };
    let error = LabGuard::up(&topology(&name), options).expect_err("it does not come up").to_string();
    assert!(error.contains(&format!("the gateway of host {name}h1 ended")) && error.contains("no luck"), "{error}");
    assert_eq!(remains(&name, &[&format!("{name}h1")]), Vec::<String>::new());
    assert!(!Namespace::exists(&format!("nvgw.{name}h1.c.contoso")));
}
