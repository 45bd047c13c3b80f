//! A daemon that works in a compartment, as data.

use std::path::PathBuf;

/// A daemon: what it is started with, in the compartment's network namespace and in a mount namespace of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Daemon {
    /// Its name, unique in the compartment: `bird`, `dnsmasq`, `charon`, `wg0`.
    pub name: String,
    /// The program, searched in `PATH` and in `/usr/sbin`, `/usr/lib/ipsec`.
    pub program: PathBuf,
    /// The Debian package that has the program, for the sentence that says that it is missing.
    pub package: &'static str,
    /// Its arguments. It stays in the foreground.
    pub arguments: Vec<String>,
    /// Variables of its environment, besides `PATH`.
    pub environment: Vec<(String, String)>,
    /// What it reads. The names are relative to the compartment's folder.
    pub files: Vec<ConfigFile>,
    /// Folders of the machine that it is to have for itself: each is covered by one of the same name in the compartment's folder.
    pub own_folders: Vec<PathBuf>,
    /// What is done when only the contents of `files` have changed.
    pub on_change: OnChange,
}

/// A file of a daemon's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigFile {
    /// Its name in the compartment's folder.
    pub name: String,
    /// What stands in it.
    pub contents: String,
}

/// What is done when the files of a daemon that runs have changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OnChange {
    /// It is ended and started anew.
    Restart,
    /// It is sent this signal.
    Signal(i32),
    /// This command is run in its namespaces: program, then arguments.
    Run(Vec<String>),
    /// Nothing: somebody else tells it.
    Nothing,
}
