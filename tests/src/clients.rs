//! DHCP clients in the VMs of a lab, each as on a machine of its own: a VM is only a network namespace, so what a client
//! writes about the machine (resolv.conf, leases, process identifiers) goes to folders that it alone sees.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lab::Node;
use tempfile::TempDir;

use crate::stage::LIMIT;
use crate::tools::Background;

/// The folders of one machine.
pub struct Machine {
    node: Node,
    folder: TempDir,
}

/// What a client's process does before it becomes the client. `$F` is the machine's folder; mounts are the process's own.
const ENTER: &str = r#"#!/bin/sh
set -e
F=$1
shift
mount --make-rprivate /
mount --bind "$F/etc" /etc
mount --bind "$F/lib" /var/lib
mount --bind "$F/run" /run
exec "$@"
"#;

impl Machine {
    /// The machine of a VM, with a copy of this one's /etc and no DNS.
    pub fn of(node: Node) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let copied = Command::new("cp").args(["-a", "/etc", "."]).current_dir(folder.path()).status();
        assert!(copied.expect("cp runs").success(), "/etc cannot be copied");
        for name in ["lib/dhcp", "lib/dhcpcd", "run/dhcpcd"] {
            fs::create_dir_all(folder.path().join(name)).expect("a scratch folder takes folders");
        }
        let machine = Self { node, folder };
        machine.write("enter", ENTER);
        // It may be a link out of the folder.
        let _ = fs::remove_file(machine.path("etc/resolv.conf"));
        machine.write("etc/resolv.conf", "");
        machine
    }

    /// Its VM.
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// Where a file of it is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of it; a script can be run.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// What a file of it says; nothing if there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// What its resolv.conf says, line by line, sorted, without comments.
    pub fn resolver(&self) -> Vec<String> {
        let text = self.read("etc/resolv.conf");
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut lines: Vec<_> = lines.map(str::to_owned).collect();
        lines.sort();
        lines.dedup();
        lines
    }

    /// A command as it runs there, for at most 60 seconds. `$F` stands for the machine's folder.
    fn command(&self, command: &str) -> String {
        let folder = self.folder.path().display();
        let command = command.replace("$F", &folder.to_string());
        format!("timeout -k 2 60 unshare --mount --uts {folder}/enter {folder} {command}")
    }

    /// Runs a program there to its end: what it prints and complains about.
    #[track_caller]
    pub fn run(&self, command: &str) -> String {
        let command = self.command(command);
        let words: Vec<_> = command.split_whitespace().collect();
        let output = self.node.output(&words, LIMIT).unwrap_or_else(|error| panic!("{error}"));
        output.stdout + &output.stderr
    }

    /// Starts a program there that runs beside the story.
    #[track_caller]
    pub fn start(&self, command: &str) -> Background {
        Background::start(&self.node, &self.command(command))
    }
}
