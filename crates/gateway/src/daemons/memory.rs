//! What is remembered of daemons across a restart of the gateway, and how those that still run are found again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use host::{Namespace, Process};
use serde::{Deserialize, Serialize};

use super::files;
use crate::{Daemon, OnChange};

/// The variable by which a process says which daemon it is. One that was started and not yet written down is known by it.
pub(super) const MARK: &str = "NETVIRT_DAEMON";
/// The end of the names of what is remembered.
const SUFFIX: &str = ".daemon";

/// What a daemon cannot change while it runs.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Definition {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    own_folders: Vec<PathBuf>,
    user: Option<String>,
}

/// A file as the daemon was last told of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    /// A digest of its contents.
    pub(super) digest: String,
    /// What was to be done when they changed.
    pub(super) on_change: OnChange,
}

/// One daemon as it is remembered.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Memory {
    pub(super) kind: String,
    pub(super) pid: u32,
    pub(super) start: u64,
    pub(super) definition: Definition,
    pub(super) told: BTreeMap<String, Told>,
    pub(super) restarts: u64,
}

impl From<&Daemon> for Definition {
    fn from(daemon: &Daemon) -> Self {
        Self {
            program: daemon.program.clone(),
            arguments: daemon.arguments.clone(),
            environment: daemon.environment.clone(),
            own_folders: daemon.own_folders.clone(),
            user: daemon.user.map(str::to_owned),
        }
    }
}

/// What stands for a daemon in its environment.
pub(super) fn mark(folder: &Path, kind: &str, name: &str) -> String {
    folder.join(kind).join(name).to_string_lossy().into_owned()
}

/// Writes down what is to be remembered.
pub(super) fn write(folder: &Path, name: &str, memory: &Memory) -> std::io::Result<()> {
    files::write(folder, &format!("{name}{SUFFIX}"), &serde_json::to_vec(memory)?, (0, 0))
}

/// Forgets a daemon that has ended.
pub(super) fn forget(folder: &Path, name: &str) {
    files::remove(folder, &format!("{name}{SUFFIX}"));
}

/// Whether a daemon has run here before, in whatever way it has ended.
pub(super) fn has_run(folder: &Path, name: &str) -> bool {
    folder.join(format!("{name}{SUFFIX}")).exists()
}

/// The daemons of a folder that still run, by name. A process that is not provably the one that was started is not among
/// them.
pub(super) fn recall(folder: &Path, namespace: &Namespace) -> BTreeMap<String, (Memory, Process)> {
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let file = entry.file_name();
        let Some(name) = file.to_str().and_then(|file| file.strip_suffix(SUFFIX)) else { continue };
        let memory = fs::read(entry.path()).ok().and_then(|bytes| serde_json::from_slice::<Memory>(&bytes).ok());
        let Some(memory) = memory else { continue };
        if let Some(process) = Process::open(memory.pid).ok().filter(|process| process.start() == memory.start) {
            found.insert(name.to_owned(), (memory, process));
        }
    }
    for (name, (kind, process)) in strays(folder, namespace) {
        let unknown = Memory {
            kind,
            pid: process.pid(),
            start: process.start(),
            definition: Definition::default(),
            told: BTreeMap::new(),
            restarts: 0,
        };
        found.entry(name).or_insert((unknown, process));
    }
    found
}

/// Processes in the namespace that say that they are a daemon of this folder, by its name, with its kind: of several, the
/// one that started first, since the others are its children.
fn strays(folder: &Path, namespace: &Namespace) -> BTreeMap<String, (String, Process)> {
    let mut strays: BTreeMap<String, (String, Process)> = BTreeMap::new();
    let prefix = format!("{MARK}={}/", folder.display());
    for pid in namespace.processes().unwrap_or_default() {
        let Ok(process) = Process::open(pid) else { continue };
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let mut variables = environment.split(|byte| *byte == 0);
        let mark = variables.find_map(|one| std::str::from_utf8(one).ok()?.strip_prefix(&prefix));
        let Some((kind, name)) = mark.and_then(|mark| mark.split_once('/')) else { continue };
        match strays.get(name) {
            Some((_, other)) if other.start() <= process.start() => {}
            _ => _ = strays.insert(name.to_owned(), (kind.to_owned(), process)),
        }
    }
    strays
}
