//! What a lab has made, or is about to make: written before it is made, so that it can always be removed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use host::Namespace;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::LabError;
use crate::error::InNode;
use crate::guest::Choice;
use crate::topology::Topology;
use crate::wiring::{bpffs_folder, lab_folder, labs_folder, namespace_name, socket_path};

const STATE: &str = "state.json";

/// A process that was started for the lab. The start time keeps it apart from a later process with the same id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Clock ticks since boot.
    pub(crate) start_time: u64,
}

impl Process {
    /// Whether it still runs.
    pub(crate) fn is_alive(self) -> bool {
        host::process::start_time(self.pid) == Some(self.start_time)
    }
}

/// A guest that was started.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Guest {
    /// Its QEMU.
    pub(crate) process: Process,
    /// Its how many-th QEMU it is, from 1.
    pub(crate) generation: u32,
    /// What it runs under.
    pub(crate) choice: Choice,
}

/// A QEMU that waits for a guest to come from another one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Arriving {
    /// What the guest will be there.
    pub(crate) guest: Guest,
    /// The host.
    pub(crate) host: String,
}

/// The state of a lab.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct State {
    /// What it shall be.
    pub(crate) topology: Topology,
    /// Whether it was built to the end.
    pub(crate) complete: bool,
    /// Names of its network namespaces.
    pub(crate) namespaces: Vec<String>,
    /// Sockets of its agents.
    pub(crate) sockets: Vec<PathBuf>,
    /// Folders in bpffs of its agents.
    pub(crate) bpffs: Vec<PathBuf>,
    /// The agents that were started, by host.
    pub(crate) agents: BTreeMap<String, Process>,
    /// The gateways that were started, by host.
    #[serde(default)]
    pub(crate) gateways: BTreeMap<String, Process>,
    /// The controller, once it was started.
    #[serde(default)]
    pub(crate) controller: Option<Process>,
    /// The guests that were started, by VM.
    #[serde(default)]
    pub(crate) guests: BTreeMap<String, Guest>,
    /// The guests that others wait for, by VM.
    #[serde(default)]
    pub(crate) arriving: BTreeMap<String, Arriving>,
    /// Where VMs are that were moved or unplugged since: the host, or none.
    pub(crate) moved: BTreeMap<String, Option<String>>,
}

/// The right to change a lab; held for as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "dropping it unlocks")] Flock<File>);

impl State {
    /// Where the state of a lab is.
    fn path(lab: &str) -> PathBuf {
        lab_folder(lab).join(STATE)
    }

    /// Claims all that a lab will be made of and writes it down. Nothing of it is made yet.
    pub(crate) fn claim(topology: &Topology) -> Result<(Self, Lock), LabError> {
        let lab = topology.name.as_str();
        let labs = labs_folder();
        make_folder(&labs)?;
        // One lab claims at a time, so that two cannot claim the same.
        let _all = lock(&labs)?;
        if Self::path(lab).exists() {
            return Err(LabError::UpAlready(lab.to_owned()));
        }
        let with_agent = || topology.hosts.iter().filter(|host| host.agent).map(|host| host.name.as_str());
        let state = Self {
            topology: topology.clone(),
            complete: false,
            namespaces: topology.namespaced_nodes().iter().map(|node| namespace_name(&topology.name, node)).collect(),
            sockets: with_agent().map(socket_path).collect(),
            bpffs: with_agent().map(bpffs_folder).collect(),
            agents: BTreeMap::new(),
            gateways: BTreeMap::new(),
            controller: None,
            guests: BTreeMap::new(),
            arriving: BTreeMap::new(),
            moved: BTreeMap::new(),
        };
        state.check_free()?;
        make_folder(&lab_folder(lab))?;
        let lock = lock(&lab_folder(lab))?;
        state.save()?;
        Ok((state, lock))
    }

    /// Refuses what belongs to somebody else already: taking the lab down would destroy it.
    fn check_free(&self) -> Result<(), LabError> {
        let taken = |problem| Err(LabError::Taken { lab: self.topology.name.to_string(), problem });
        for other in Self::names()? {
            let Ok(state) = Self::load(&other) else { continue };
            if let Some(socket) = state.sockets.iter().find(|socket| self.sockets.contains(socket)) {
                let host = socket.file_stem().unwrap_or_default().to_string_lossy();
                return taken(format!(
                    "lab {other} has a host {host} too, and agents are told apart by the host's name; rename one, or \
                     take the other down with \"netvirt lab down {other}\""
                ));
            }
        }
        if let Some(name) = self.namespaces.iter().find(|name| Namespace::exists(name)) {
            return taken(format!(
                "network namespace {name} exists and is not the lab's; delete it with \"ip netns delete {name}\", or \
                 rename the lab"
            ));
        }
        let theirs = self.of_gateways()?;
        if let Some(name) = theirs.first() {
            return taken(format!(
                "network namespace {name} is of a gateway outside of any lab; stop that and delete the namespace with \"ip \
                 netns delete {name}\", or rename the host"
            ));
        }
        for socket in &self.sockets {
            if std::os::unix::net::UnixStream::connect(socket).is_ok() {
                return taken(format!("an agent outside of any lab listens on {}; stop it first", socket.display()));
            }
        }
        if let Some(folder) = self.bpffs.iter().find(|folder| folder.exists()) {
            let folder = folder.display();
            return taken(format!(
                "{folder} is there, with the programs of an agent outside of any lab; if that is not wanted any more, \
                 remove it with \"rm -r {folder}\""
            ));
        }
        Ok(())
    }

    /// The network namespaces that are there of its gateways.
    pub(crate) fn of_gateways(&self) -> Result<Vec<String>, LabError> {
        let hosts = self.topology.hosts.iter().filter(|host| host.gateway);
        let beginnings: Vec<_> = hosts.map(|host| plan::gateway::namespace_prefix(host.name.as_str())).collect();
        if beginnings.is_empty() {
            return Ok(Vec::new());
        }
        let mut names = Namespace::list().in_node(self.topology.name.as_str())?;
        names.retain(|name| beginnings.iter().any(|beginning| name.starts_with(beginning)));
        Ok(names)
    }

    /// Reads the state of a lab.
    pub(crate) fn load(lab: &str) -> Result<Self, LabError> {
        let path = Self::path(lab);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // A name with a slash, for example, is that of no lab either.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(LabError::NoLab(lab.to_owned()));
            }
            Err(source) => {
                return Err(LabError::File { action: "read", path, source });
            }
        };
        serde_json::from_str(&text).map_err(|error| LabError::State { path, reason: error.to_string() })
    }

    /// Writes it, whole or not at all.
    pub(crate) fn save(&self) -> Result<(), LabError> {
        let path = Self::path(self.topology.name.as_str());
        let failed = |source| LabError::File { action: "write", path: path.clone(), source };
        let text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        let fresh = path.with_extension("json.new");
        let mut file = File::create(&fresh).map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&fresh, &path).map_err(failed)
    }

    /// Removes the lab's folder with the state in it: the last step of taking a lab down. The state goes last.
    pub(crate) fn remove(lab: &str) -> Result<(), LabError> {
        let folder = lab_folder(lab);
        let failed = |source| LabError::File { action: "remove", path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name() != STATE {
                remove_any(&entry.path()).map_err(failed)?;
            }
        }
        fs::remove_dir_all(&folder).map_err(failed)
    }

    /// Names of all labs, sorted.
    pub(crate) fn names() -> Result<Vec<String>, LabError> {
        let path = labs_folder();
        let failed = |source| LabError::File { action: "read", path: path.clone(), source };
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if Self::path(&name).exists() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Waits for the right to change a lab, and reads its state.
    pub(crate) fn lock(lab: &str) -> Result<(Self, Lock), LabError> {
        // Read first, so that a lab that is not there is named as such.
        Self::load(lab)?;
        let lock = lock(&lab_folder(lab))?;
        Ok((Self::load(lab)?, lock))
    }

    /// Where a VM is now: the host, or none when it is unplugged.
    pub(crate) fn host_of(&self, vm: &str) -> Option<String> {
        match self.moved.get(vm) {
            Some(host) => host.clone(),
            None => self.topology.vms.iter().find(|its| its.name.as_str() == vm).map(|its| its.host.to_string()),
        }
    }
}

/// Removes a file or folder.
fn remove_any(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Makes a folder and those above it.
fn make_folder(path: &Path) -> Result<(), LabError> {
    fs::create_dir_all(path).map_err(|source| LabError::File {
        action: "make the folder",
        path: path.to_owned(),
        source,
    })
}

/// Waits for the lock on a folder. Who removed the folder meanwhile held the lock of something that is gone, so that
/// it is asked again whether there is such a folder.
fn lock(folder: &Path) -> Result<Lock, LabError> {
    let failed = |source| LabError::File { action: "lock", path: folder.to_owned(), source };
    loop {
        let file = File::open(folder).map_err(failed)?;
        let locked = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| failed(error.into()))?;
        let (mine, there) = (locked.metadata().map_err(failed)?, fs::metadata(folder));
        if there.is_ok_and(|there| there.ino() == mine.ino()) {
            return Ok(Lock(locked));
        }
        if !folder.exists() {
            return Err(failed(io::ErrorKind::NotFound.into()));
        }
    }
}
