//! What is seen on a device: captured by tcpdump, decoded by tshark.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use lab::Node;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::tools::Background;

/// How long a packet that was sent may take to reach the file.
const SETTLE: Duration = Duration::from_millis(200);

/// A capture that runs.
pub struct Capture {
    tcpdump: Background,
    folder: TempDir,
}

/// A capture that has ended.
pub struct Packets {
    folder: TempDir,
}

impl Capture {
    /// Starts to capture what matches a filter (`""`: all) on a device, and waits until it does.
    #[track_caller]
    pub fn start(node: &Node, device: &str, filter: &str) -> Self {
        // Of each packet the headers alone, since with --immediate-mode the buffer has room for whole packets of the
        // largest size, which are few.
        Self::with_length(node, device, filter, 300)
    }

    /// The same with whole packets, for messages that are read to their end.
    #[track_caller]
    pub fn whole(node: &Node, device: &str, filter: &str) -> Self {
        Self::with_length(node, device, filter, 1600)
    }

    #[track_caller]
    fn with_length(node: &Node, device: &str, filter: &str, length: u32) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let file = folder.path().join("packets.pcap");
        // As root throughout: another user may not write into the scratch folder.
        let options = format!("-n -U --immediate-mode -s {length} -B 8192 -Z root");
        let command = format!("tcpdump -i {device} {options} -w {} {filter}", file.display());
        let tcpdump = Background::start(node, &command);
        tcpdump.await_words("listening on");
        Self { tcpdump, folder }
    }

    /// Ends it.
    #[track_caller]
    pub fn end(mut self) -> Packets {
        std::thread::sleep(SETTLE);
        self.tcpdump.end(Signal::SIGINT);
        Packets { folder: self.folder }
    }
}

impl Packets {
    fn file(&self) -> PathBuf {
        self.folder.path().join("packets.pcap")
    }

    /// The given fields of each packet that matches a display filter. Where a field occurs several times, as in outer
    /// and inner headers, its values stand one after the other with commas between.
    #[track_caller]
    pub fn fields(&self, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
        // Defragmentation would show fragments at the last of them alone.
        let options = ["-n", "-o", "ip.defragment:FALSE", "-T", "fields", "-E", "separator=|", "-E", "occurrence=a"];
        let mut command = Command::new("timeout");
        command.args(["30", "tshark", "-r"]).arg(self.file()).args(options).args(["-Y", filter]);
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command.output().expect("tshark runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tshark: {errors}");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
    }

    /// How many packets match a display filter (`"frame"`: all).
    #[track_caller]
    pub fn count(&self, filter: &str) -> usize {
        self.fields(filter, &["frame.number"]).len()
    }

    /// All packets that match a display filter, a line each, for the message of an assertion.
    #[track_caller]
    pub fn lines(&self, filter: &str) -> String {
        let mut command = Command::new("timeout");
        command.args(["30", "tshark", "-n", "-r"]).arg(self.file()).args(["-Y", filter]);
        let output = command.output().expect("tshark runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
