//! The demos as their readers meet them: told to the end, left in the middle, interrupted. Needs root.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tests::stage::{Stage, program};

/// The whole of a demo takes some seconds; a machine that does other work as well needs more.
const LIMIT: Duration = Duration::from_secs(100);
/// The lab of `scripts/demo`.
const LAB: &str = "tour";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A lab beside the demo's, with a node of a name that the demo has as well.
const BESIDE: &str = "\
name: LAB
underlay: {kind: segment, mtu: 1600}
hosts: [{name: H1, addresses: [192.168.9.1/24]}]
vms: [{name: test01, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24]}]
";

/// A script with the program that is tested in its path, and a folder of its own for what it writes.
fn script(name: &str, folder: &Path) -> Command {
    let mut path = program().parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    let mut command = Command::new(root().join("scripts").join(name));
    // A group of its own, as a shell gives each job.
    command.env("PATH", path).env("TMPDIR", folder).stdin(Stdio::null()).process_group(0);
    command
}

/// Waits for its end.
fn ended(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > end {
            let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
            panic!("it has not ended within {} s", LIMIT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the lab of the demo stands, wholly or in part.
fn lab_stands() -> bool {
    lab::list().unwrap().iter().any(|lab| lab.name == LAB)
}

/// What a demo leaves in its folder.
fn left(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn told_to_the_end(name: &str, last: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("told");
    let told = File::create(&file).unwrap();
    let both = told.try_clone().unwrap();
    let status = ended(&mut script(name, folder.path()).stdout(told).stderr(both).spawn().unwrap());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(status.success(), "{status}\n{text}");
    assert!(text.contains(last), "{text}");
    std::fs::remove_file(file).unwrap();
    assert_eq!(left(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn the_demo_is_told_to_its_end() {
    let _beside = Stage::up(BESIDE);
    told_to_the_end("demo", "Two VM networks with one prefix, from nothing to a ping, and a VM that moved");
    assert!(!lab_stands());
}

#[test]
fn the_demo_by_hand_is_told_to_its_end() {
    told_to_the_end("demo-by-hand", "neither has noticed the other");
}

#[test]
fn the_demo_with_guests_is_told_to_its_end() {
    told_to_the_end("demo-vm", "A guest that moved to another host while it ran, with its network and its connections");
    assert!(!lab_stands());
}

#[test]
fn the_demo_of_gateways_is_told_to_its_end() {
    told_to_the_end("demo-gateway", "Two companies with the same addresses");
    assert!(lab::list().unwrap().iter().all(|lab| lab.name != "tour-gateway"));
}

#[test]
fn a_reader_who_goes_away_leaves_no_lab_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = script("demo", folder.path());
    // Both into one pipe: then nothing can be said to anybody any more.
    let mut child = command.stderr(writer.try_clone().unwrap()).stdout(writer).spawn().unwrap();
    drop(command);
    let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
    let seen = lines.by_ref().find(|line| line.contains("Lab tour: up"));
    assert!(seen.is_some() && lab_stands(), "the lab does not come up");
    drop(lines);
    let status = ended(&mut child);
    assert!(!status.success() && status.signal().is_none(), "{status}");
    assert!(!lab_stands());
    assert_eq!(left(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn an_interrupted_demo_leaves_no_lab_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = script("demo", folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = child.stderr.take().unwrap();
    let told = child.stdout.take().unwrap();
    let mut lines = BufReader::new(told).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line.contains("netvirt get hosts")));
    killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let rest = std::thread::spawn(move || lines.count());
    assert_eq!(ended(&mut child).code(), Some(130));
    let mut text = String::new();
    errors.read_to_string(&mut text).unwrap();
    rest.join().unwrap();
    assert!(text.contains("Interrupted in step 1") && text.contains("Cleaning up"), "{text}");
    assert!(!lab_stands());
    assert_eq!(left(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_lab_that_is_interrupted_while_it_is_built_is_removed() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut command = Command::new(program());
        command.args(["lab", "up"]).arg(root().join("examples/tour.yaml"));
        let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let end = Instant::now() + LIMIT;
        while !lab_stands() {
            assert!(Instant::now() < end && child.try_wait().unwrap().is_none(), "nothing is built");
            std::thread::sleep(Duration::from_millis(2));
        }
        killpg(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        let code = ended(&mut child).code();
        let mut text = String::new();
        child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(code, Some(130), "{text}");
        assert!(text.starts_with("error: interrupted; what was built of lab tour"), "{text}");
        assert!(!lab_stands());
    }
}
