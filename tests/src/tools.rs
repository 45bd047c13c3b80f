//! Real clients in the nodes of a lab: ping, iperf3, and programs that run beside a story.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use lab::Node;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::stage::{LIMIT, eventually};

/// What a command prints; it must end well. Words are divided by spaces.
#[track_caller]
pub fn run(node: &Node, command: &str) -> String {
    let words: Vec<_> = command.split_whitespace().collect();
    let output = node.output(&words, LIMIT).unwrap_or_else(|error| panic!("{error}"));
    output.ok().unwrap_or_else(|error| panic!("{error}"))
}

/// What a command prints, and complains about, however it ends.
#[track_caller]
pub fn run_any(node: &Node, command: &str) -> String {
    let words: Vec<_> = command.split_whitespace().collect();
    let output = node.output(&words, LIMIT).unwrap_or_else(|error| panic!("{error}"));
    output.stdout + &output.stderr
}

/// How many answers so many pings get.
#[track_caller]
pub fn pings(node: &Node, to: &str, count: u32) -> u32 {
    let text = run_any(node, &format!("ping -n -c {count} -i 0.05 -W 1 {to}"));
    let received = text.split(',').find_map(|part| part.trim().strip_suffix(" received"));
    received.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("ping {to} from {}: {text}", node.name()))
}

/// All of three pings must be answered.
#[track_caller]
pub fn must_ping(node: &Node, to: &str) {
    assert_eq!(pings(node, to, 3), 3, "{} pings {to}", node.name());
}

/// None of two pings may be answered.
#[track_caller]
pub fn must_not_ping(node: &Node, to: &str) {
    assert_eq!(pings(node, to, 2), 0, "{} pings {to}", node.name());
}

/// A program that runs beside the story. It is ended when this goes.
pub struct Background {
    child: Child,
    folder: TempDir,
    command: String,
}

impl Background {
    /// Starts it. Words are divided by spaces.
    #[track_caller]
    pub fn start(node: &Node, command: &str) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let output = File::create(folder.path().join("output")).expect("a scratch file");
        let errors = output.try_clone().expect("a second handle of a file");
        let mut words = command.split_whitespace();
        let child = node
            .command(words.next().expect("a program"))
            .args(words)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command} on {}: {error}", node.name()));
        Self { child, folder, command: command.to_owned() }
    }

    /// What it has printed.
    pub fn output(&self) -> String {
        let bytes = fs::read(self.folder.path().join("output")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it has printed these words.
    #[track_caller]
    pub fn await_words(&self, words: &str) {
        let said = eventually(Duration::from_secs(10), || self.output().contains(words));
        assert!(said, "{} does not say \"{words}\": {}", self.command, self.output());
    }

    /// Waits for its own end, and gives what it printed.
    #[track_caller]
    pub fn finish(&mut self, limit: Duration) -> String {
        let ended = eventually(limit, || matches!(self.child.try_wait(), Ok(Some(_))));
        assert!(ended, "{} does not end in {limit:?}: {}", self.command, self.output());
        self.output()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end by a signal, and gives what it printed.
    #[track_caller]
    pub fn end(&mut self, signal: Signal) -> String {
        // Until it is waited for, the number is not another process's.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), signal);
        self.finish(Duration::from_secs(5))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// TCP by iperf3, as much as the `options` of the client say: what the client reports.
#[track_caller]
pub fn tcp(client: &Node, server: &Node, address: &str, options: &str) -> Value {
    let listener = Background::start(server, &format!("iperf3 -s -1 --forceflush -B {address}"));
    listener.await_words("Server listening");
    let text = run_any(client, &format!("iperf3 -J -c {address} --connect-timeout 3000 {options}"));
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("iperf3: {error}: {text}"));
    assert_eq!(report["error"], Value::Null, "{} to {address} of {}: {text}", client.name(), server.name());
    report
}

/// Bytes that arrived in a [`tcp`].
pub fn received_bytes(report: &Value) -> u64 {
    report["end"]["sum_received"]["bytes"].as_u64().unwrap_or_default()
}

/// TCP must carry eight megabytes: enough for full-size segments and for windows to open. The server may be told of the end
/// before it has counted them all.
#[track_caller]
pub fn must_tcp(client: &Node, server: &Node, address: &str) {
    let bytes = received_bytes(&tcp(client, server, address, "-n 8M"));
    assert!(bytes > 1_000_000, "{} sent {bytes} bytes to {address} of {}", client.name(), server.name());
}
