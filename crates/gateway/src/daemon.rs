//! A daemon that works in a compartment, as data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A daemon: what it is started with, in the compartment's network namespace and in a mount namespace of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Daemon {
    /// Its name, unique in the compartment: `bird`, `dnsmasq`, `charon`, `wg74da`. It is a legal name of a file.
    pub name: String,
    /// The program, searched in `PATH` and in the folders where Debian puts daemons ([`crate::daemons::FOLDERS`]).
    pub program: PathBuf,
    /// The Debian package that has the program, for the sentence that says that it is missing.
    pub package: &'static str,
    /// Its arguments. It stays in the foreground.
    pub arguments: Vec<String>,
    /// More arguments for when it has run here before: it has died, or is replaced by itself.
    pub arguments_again: Vec<String>,
    /// Variables of its environment, besides `PATH`.
    pub environment: Vec<(String, String)>,
    /// What it reads.
    pub files: Vec<ConfigFile>,
    /// Folders of the machine that it is to have for itself: each is covered by [`crate::daemons::own_folder`], which is in
    /// the compartment's folder and shared by its daemons. None may hold the compartment's folder.
    pub own_folders: Vec<PathBuf>,
    /// The user that it becomes by itself once it has started as root. Its files and its own folders are that user's; none:
    /// root's.
    pub user: Option<&'static str>,
}

/// A file of a daemon's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigFile {
    /// Where it is in the compartment's folder; parts are divided by slashes.
    pub name: String,
    /// What stands in it.
    pub contents: String,
    /// What is done when only the contents have changed.
    pub on_change: OnChange,
}

/// What is done when files of a daemon that runs have changed. Of several, a restart goes before all others.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnChange {
    /// It is ended and started anew.
    Restart,
    /// It is sent this signal.
    Signal(i32),
    /// This command is run in its namespaces: program, then arguments. It is tried again until it succeeds.
    Run(Vec<String>),
    /// Nothing: somebody else tells it.
    Nothing,
}

/// How a daemon is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DaemonStatus {
    /// Its process, when it runs.
    pub pid: Option<u32>,
    /// How often it was started again after it had ended by itself.
    pub restarts: u64,
    /// Why it does not run, or does not run for long, as a sentence that says what to do.
    pub trouble: Option<String>,
}
