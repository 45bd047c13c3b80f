//! Where the files of a running guest are: a folder for each QEMU that a guest has had, so that two can be there at once
//! while a guest moves from one to the other.

use std::path::{Path, PathBuf};

use crate::wiring::lab_folder;

/// How many commands may run in a guest at once, each on a port of its own.
pub(crate) const EXEC_PORTS: usize = 16;

/// The place of one QEMU of a guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    /// That of a guest's n-th QEMU, from 1.
    pub(crate) fn new(lab: &str, vm: &str, generation: u32) -> Self {
        Self(lab_folder(lab).join(format!("{vm}.guest")).join(generation.to_string()))
    }

    /// That of a QEMU that the lab has not started.
    pub(crate) fn elsewhere(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// Where QEMU takes orders (QMP).
    pub(crate) fn qmp(&self) -> PathBuf {
        self.0.join("qmp")
    }

    /// Where a guest that comes from another QEMU comes in.
    pub(crate) fn incoming(&self) -> PathBuf {
        self.0.join("incoming")
    }

    /// What the guest's kernel and first process print.
    pub(crate) fn console(&self) -> PathBuf {
        self.0.join("console.log")
    }

    /// What QEMU itself complains about.
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("qemu.log")
    }

    /// The other end of a port for commands.
    pub(crate) fn exec(&self, port: usize) -> PathBuf {
        self.0.join(format!("exec{port}"))
    }

    /// Who holds a lock on this has the port.
    pub(crate) fn exec_lock(&self, port: usize) -> PathBuf {
        self.0.join(format!("exec{port}.lock"))
    }
}
