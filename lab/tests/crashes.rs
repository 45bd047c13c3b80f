//! Whatever happens to the one who builds a lab: nothing is left that `down` does not remove, and what is not the
//! lab's is left alone.

mod common;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{LIMIT, fresh_name, remains};
use lab::{Lab, LabError, Topology, UpOptions};

/// Names the topology that the copy of this test shall bring up.
const COPY_FILE: &str = "LAB_TEST_TOPOLOGY";
const COPY_PROGRAM: &str = "LAB_TEST_PROGRAM";

/// A topology with as many VMs as make building take a while.
fn wide(lab: &str, host: &str, agent: bool) -> String {
    let mut text = format!(
        "name: {lab}\nunderlay: {{kind: segment}}\nhosts:\n  - {{name: {host}, addresses: [192.168.4.11/24], agent: \
         {agent}}}\nvms:\n"
    );
    for number in 1..=20 {
        text += &format!(
            "  - {{name: vm{number}, host: {host}, mac: 06-06-00-00-00-{number:02x}, vsid: 5001, addresses: \
             [10.0.0.{number}/24]}}\n"
        );
    }
    text
}

/// An agent that starts and never answers.
fn mute_agent(folder: &std::path::Path) -> PathBuf {
    let path = folder.join("mute-agent");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(b"#!/bin/sh\necho \"started with $*\"\nexec sleep 600\n").unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// In a copy of this test's process the lab is brought up; the copy waits then to be killed.
fn act_as_copy() -> bool {
    let Some(file) = std::env::var_os(COPY_FILE) else {
        return false;
    };
    let topology = Topology::from_file(file.as_ref()).unwrap();
    let program = std::env::var_os(COPY_PROGRAM).map(PathBuf::from);
    let _lab = Lab::up(&topology, UpOptions { program, ready_within: Duration::from_secs(60), ..UpOptions::default() })
        .unwrap();
    std::thread::sleep(Duration::from_secs(60));
    true
}

/// Starts the copy.
fn copy(test: &str, file: &std::path::Path, program: Option<&std::path::Path>) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact"]).env(COPY_FILE, file).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(program) = program {
        command.env(COPY_PROGRAM, program);
    }
    command.spawn().unwrap()
}

/// Waits for something to come about.
fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !happened() {
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_a_killed_builder_left_is_removed_by_down() {
    if act_as_copy() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Killed when so many of the 22 namespaces are there; the last time when all is built.
    for reached in [0, 1, 3, 9, 21, 22] {
        let name = fresh_name();
        let file = folder.path().join("lab.yaml");
        std::fs::write(&file, wide(&name, "h1", false)).unwrap();
        let mut child = copy("what_a_killed_builder_left_is_removed_by_down", &file, None);
        wait_for("the claim", || !remains(&name, &[]).is_empty() && Lab::open(&name).is_ok());
        let count = || remains(&name, &[]).iter().filter(|found| !found.starts_with('/')).count();
        wait_for("the namespaces", || count() >= reached);
        child.kill().unwrap();
        child.wait().unwrap();
        let again = Lab::up(&Topology::from_file(&file).unwrap(), UpOptions::default());
        assert!(matches!(again, Err(LabError::UpAlready(_))));
        lab::down(&name).unwrap();
        assert_eq!(remains(&name, &[]), Vec::<String>::new(), "killed at {reached}");
    }
}

#[test]
fn the_agent_of_a_killed_builder_is_ended_by_down() {
    if act_as_copy() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (name, host) = (fresh_name(), format!("h{}", fresh_name()));
    let file = folder.path().join("lab.yaml");
    std::fs::write(&file, wide(&name, &host, true)).unwrap();
    let program = mute_agent(folder.path());
    let mut child = copy("the_agent_of_a_killed_builder_is_ended_by_down", &file, Some(&program));
    let agent = || {
        let nodes = lab::status(&name).ok()?.nodes;
        nodes.iter().find_map(|node| node.agent.as_ref().filter(|agent| agent.alive)?.pid)
    };
    wait_for("the agent", || agent().is_some());
    let pid = agent().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(host::process::start_time(pid).is_some(), "the agent outlives its starter");
    lab::down(&name).unwrap();
    assert_eq!(host::process::start_time(pid), None);
    assert_eq!(remains(&name, &[&host]), Vec::<String>::new());
}

#[test]
fn an_agent_that_ends_at_once_takes_the_lab_down_and_its_log_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("failing-agent");
    std::fs::write(&program, "#!/bin/sh\necho \"this host has no $1\" >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (name, host) = (fresh_name(), format!("h{}", fresh_name()));
    let topology = Topology::from_yaml(&wide(&name, &host, true)).unwrap();
    let options = UpOptions { program: Some(program), ..UpOptions::default() };
    let text = Lab::up(&topology, options).unwrap_err().to_string();
    assert!(text.contains("ended (exit status: 3) instead of starting"), "{text}");
    assert!(text.ends_with("this host has no agent"), "{text}");
    assert_eq!(remains(&name, &[&host]), Vec::<String>::new());
}

#[test]
fn an_agent_that_never_answers_takes_the_lab_down() {
    let folder = tempfile::tempdir().unwrap();
    let (name, host) = (fresh_name(), format!("h{}", fresh_name()));
    let topology = Topology::from_yaml(&wide(&name, &host, true)).unwrap();
    let program = Some(mute_agent(folder.path()));
    let options = UpOptions { program, ready_within: Duration::from_millis(500), ..UpOptions::default() };
    let text = Lab::up(&topology, options).unwrap_err().to_string();
    assert!(text.contains("does not answer within"), "{text}");
    assert!(text.contains(&format!("started with agent --config /run/netvirt/lab/{name}/{host}.yaml")), "{text}");
    assert_eq!(remains(&name, &[&host]), Vec::<String>::new());
}

#[test]
fn a_lab_that_is_no_longer_wanted_is_removed_while_it_waits_for_an_agent() {
    let folder = tempfile::tempdir().unwrap();
    let (name, host) = (fresh_name(), format!("h{}", fresh_name()));
    let topology = Topology::from_yaml(&wide(&name, &host, true)).unwrap();
    let options = UpOptions { program: Some(mute_agent(folder.path())), ..UpOptions::default() };
    let interrupted = options.interrupted.clone();
    let building = std::thread::spawn(move || Lab::up(&topology, options).map(drop));
    let log = PathBuf::from(format!("/run/netvirt/lab/{name}/{host}.log"));
    wait_for("the agent", || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("started with")));
    let begin = Instant::now();
    interrupted.set();
    let error = building.join().unwrap().unwrap_err();
    assert!(matches!(&error, LabError::Interrupted(lab) if *lab == name), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert_eq!(remains(&name, &[&host]), Vec::<String>::new());
}

#[test]
fn two_labs_cannot_have_one_host() {
    if act_as_copy() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (first, second, host) = (fresh_name(), fresh_name(), format!("h{}", fresh_name()));
    let file = folder.path().join("lab.yaml");
    std::fs::write(&file, wide(&first, &host, true)).unwrap();
    let program = mute_agent(folder.path());
    let mut child = copy("two_labs_cannot_have_one_host", &file, Some(&program));
    wait_for("the first lab", || Lab::open(&first).is_ok());
    let options = UpOptions { program: Some(program), ..UpOptions::default() };
    let refused = Lab::up(&Topology::from_yaml(&wide(&second, &host, true)).unwrap(), options);
    child.kill().unwrap();
    child.wait().unwrap();
    lab::down(&first).unwrap();
    let text = refused.unwrap_err().to_string();
    assert!(text.contains(&format!("lab {first} has a host {host} too")), "{text}");
    assert_eq!(remains(&second, &[]), Vec::<String>::new());
}
