//! The supervisor of daemons: starts them in compartments, takes up those that a former gateway started, starts again what
//! ended, tells them what has changed, ends what is no longer wanted. They outlive the gateway.
//!
//! **Invariant:** no process is signalled that is not provably one that was started here: it is named by its id together
//! with its start, and held by a descriptor.

mod entry;
mod files;
mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use host::{Namespace, Process};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::{Condvar, Mutex};

use crate::{Daemon, DaemonStatus, Place};
use entry::Entry;
pub use files::own_folder;

/// Where daemons are looked for, beside `PATH`.
pub const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/lib/ipsec", "/usr/lib/frr", "/usr/libexec/ipsec"];
/// Logs are looked at so often.
const LOGS: Duration = Duration::from_secs(30);
/// How long a command by which a daemon is told of changes may take.
const COMMAND: Duration = Duration::from_secs(5);
/// How long the end of all daemons of a compartment is waited for; they are killed before.
const REMOVAL: Duration = Duration::from_secs(6);

/// The daemons of one compartment by name; compartments by their folders.
type Compartments = BTreeMap<PathBuf, BTreeMap<String, Entry>>;

/// What the keeper's thread and its owner share.
struct Shared {
    state: Mutex<State>,
    /// Wakes the keeper.
    wake: EventFd,
    /// Told whenever a daemon has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    compartments: Compartments,
    stop: bool,
}

/// The supervisor of all daemons of a gateway. Dropping it leaves them running.
pub struct Supervisor {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

/// The daemons of one kind, in whichever compartments: what a part works with.
#[derive(Clone)]
pub struct Daemons {
    shared: Arc<Shared>,
    kind: &'static str,
}

impl Supervisor {
    /// A supervisor that knows of nothing yet.
    ///
    /// # Errors
    /// When the kernel gives no descriptor or no thread.
    pub fn new() -> io::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let shared = Arc::new(Shared { state: Mutex::default(), wake, ended: Condvar::new() });
        let own = Arc::clone(&shared);
        let keeper = thread::Builder::new().name("daemons".to_owned()).spawn(move || keep(&own))?;
        Ok(Self { shared, keeper: Some(keeper) })
    }

    /// The daemons of this kind: a word that stays the same from one start of the gateway to the next.
    pub fn of(&self, kind: &'static str) -> Daemons {
        Daemons { shared: Arc::clone(&self.shared), kind }
    }
}

impl Daemons {
    /// Makes the daemons of this kind in a compartment those that are wanted, and no others. What has to end is told to, and
    /// followed by what comes in its place once it has. Answers what is in the way, as sentences.
    pub fn settle(&mut self, place: &Place<'_>, wanted: &[Daemon]) -> Vec<String> {
        let now = Instant::now();
        let mut commands = Vec::new();
        {
            let mut state = self.shared.state.lock();
            let daemons = known(&mut state, place.folder, place.namespace);
            for (name, entry) in daemons.iter_mut().filter(|(_, entry)| entry.kind() == self.kind) {
                if !wanted.iter().any(|daemon| daemon.name == *name) {
                    entry.unwant(now);
                }
            }
            for daemon in wanted {
                let new = || Entry::new(place.folder, self.kind, &daemon.name, place.namespace);
                let entry = daemons.entry(daemon.name.clone()).or_insert_with(new);
                if let Some(command) = entry.want(place.namespace, daemon, now) {
                    commands.push((daemon, command));
                }
                entry.tick(&BTreeSet::new(), now);
            }
        }
        let _ = self.shared.wake.write(1);
        // Not under the lock: others are started again meanwhile.
        for (daemon, words) in commands {
            let result = run(place, daemon, &words);
            if let Some(entry) = entry(&mut self.shared.state.lock(), place.folder, &daemon.name) {
                match result {
                    Ok(()) => entry.was_told(),
                    Err(why) => entry.was_not_told(&why),
                }
            }
        }
        wanted.iter().filter_map(|daemon| self.status(place.folder, &daemon.name).trouble).collect()
    }

    /// How a daemon of the compartment that has this folder is.
    pub fn status(&self, folder: &Path, name: &str) -> DaemonStatus {
        let mut state = self.shared.state.lock();
        entry(&mut state, folder, name).map_or_else(DaemonStatus::default, |entry| entry.status(Instant::now()))
    }

    /// The last lines of a daemon's log since it started, in one line.
    pub fn last_words(&self, folder: &Path, name: &str) -> Option<String> {
        entry(&mut self.shared.state.lock(), folder, name)?.words()
    }

    /// Kills the daemons of this kind in a compartment, so that they can tell nobody that they end. They are not wanted any
    /// more; it is not waited for their end.
    pub fn kill(&mut self, place: &Place<'_>) {
        let mut state = self.shared.state.lock();
        let daemons = known(&mut state, place.folder, place.namespace);
        daemons.values_mut().filter(|entry| entry.kind() == self.kind).for_each(|entry| entry.kill(Instant::now()));
        let _ = self.shared.wake.write(1);
    }

    /// Ends all daemons of this kind in a compartment, also those of a former gateway, and waits for it. Answers what did not
    /// end, as sentences.
    pub fn remove(&mut self, place: &Place<'_>) -> Vec<String> {
        let until = Instant::now() + REMOVAL;
        let mut state = self.shared.state.lock();
        let ours = |entry: &Entry| entry.kind() == self.kind;
        let daemons = known(&mut state, place.folder, place.namespace);
        daemons.values_mut().filter(|entry| ours(entry)).for_each(|entry| entry.unwant(Instant::now()));
        let _ = self.shared.wake.write(1);
        let left = |state: &State| {
            let daemons = state.compartments.get(place.folder).into_iter().flatten();
            let left = daemons.filter(|(_, entry)| ours(entry) && !entry.is_over());
            left.map(|(name, _)| format!("{name} in {} does not end", place.folder.display())).collect::<Vec<_>>()
        };
        while !left(&state).is_empty() && !self.shared.ended.wait_until(&mut state, until).timed_out() {}
        let sentences = left(&state);
        if state.compartments.get(place.folder).is_some_and(|daemons| daemons.values().all(Entry::is_over)) {
            state.compartments.remove(place.folder);
        }
        sentences
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.shared.state.lock().stop = true;
        let _ = self.shared.wake.write(1);
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// The daemons of a compartment; when it is asked for first, those of a former gateway.
fn known<'s>(state: &'s mut State, folder: &Path, namespace: &Namespace) -> &'s mut BTreeMap<String, Entry> {
    state.compartments.entry(folder.to_owned()).or_insert_with(|| {
        let found = memory::recall(folder, namespace).into_iter();
        let adopt = |(name, (memory, process)): (String, _)| {
            let entry = Entry::adopt(folder, &name, namespace, memory, process);
            (name, entry)
        };
        found.map(adopt).collect()
    })
}

fn entry<'s>(state: &'s mut State, folder: &Path, name: &str) -> Option<&'s mut Entry> {
    state.compartments.get_mut(folder)?.get_mut(name)
}

/// The keeper's life: does what is due, then waits for a process to end, for a time to come or for a word from its owner.
fn keep(shared: &Shared) {
    let mut gone = BTreeSet::new();
    let mut logs = Instant::now() + LOGS;
    loop {
        let now = Instant::now();
        let mut due = logs;
        let mut watched: Vec<Arc<Process>> = Vec::new();
        {
            let mut state = shared.state.lock();
            if state.stop {
                return;
            }
            for entry in state.compartments.values_mut().flat_map(BTreeMap::values_mut) {
                due = entry.tick(&gone, now).map_or(due, |at| due.min(at));
                watched.extend(entry.process().cloned());
                if logs <= now {
                    entry.cut_log();
                }
            }
            for daemons in state.compartments.values_mut() {
                daemons.retain(|_, entry| !entry.is_over());
            }
        }
        shared.ended.notify_all();
        if logs <= now {
            logs = now + LOGS;
        }
        gone = wait(shared, &watched, due.min(logs));
    }
}

/// Waits until a process has ended, something was said, or the time has come. Answers which have ended.
fn wait(shared: &Shared, watched: &[Arc<Process>], until: Instant) -> BTreeSet<u32> {
    let mut descriptors: Vec<PollFd<'_>> =
        watched.iter().map(|process| PollFd::new(process.as_fd(), PollFlags::POLLIN)).collect();
    descriptors.push(PollFd::new(shared.wake.as_fd(), PollFlags::POLLIN));
    // Rounded up, lest it be woken just before the time again and again.
    let left = until.saturating_duration_since(Instant::now()).as_millis() + 1;
    let _ = poll(&mut descriptors, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
    let _ = shared.wake.read();
    let ended = |descriptor: &PollFd<'_>| descriptor.any().unwrap_or(false);
    let ended = watched.iter().zip(&descriptors).filter(|(_, descriptor)| ended(descriptor));
    ended.map(|(process, _)| process.pid()).collect()
}

/// The program's file: as it is named, or in the folders where programs are.
fn find(program: &Path) -> Option<PathBuf> {
    let runs = |path: &Path| path.metadata().is_ok_and(|its| its.is_file() && its.permissions().mode() & 0o111 != 0);
    if program.components().count() > 1 {
        return runs(program).then(|| program.to_owned());
    }
    entry::path().split(':').map(|folder| Path::new(folder).join(program)).find(|path| runs(path))
}

/// Runs a command in a daemon's namespaces. The sentence has what it said.
fn run(place: &Place<'_>, daemon: &Daemon, words: &[String]) -> Result<(), String> {
    let (program, arguments) = words.split_first().ok_or("the command is empty")?;
    let program = find(Path::new(program)).ok_or_else(|| format!("there is no program {program}"))?;
    let failed = |error: io::Error| error.to_string();
    let covered = entry::covered(place.folder, daemon).map_err(failed)?;
    let mut command = place.namespace.daemon_command(program, &covered).map_err(failed)?;
    command.args(arguments).env_clear().env("PATH", entry::path()).envs(daemon.environment.iter().cloned());
    limited(&mut command, COMMAND)
}

/// Runs a command to its end, but not for longer than this.
fn limited(command: &mut Command, limit: Duration) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    let (mut said, saying) = io::pipe().map_err(failed)?;
    let also = saying.try_clone().map_err(failed)?;
    let mut child = command.stdin(Stdio::null()).stdout(saying).stderr(also).spawn().map_err(failed)?;
    // The command holds the ends of the pipe, and the command is ours: else what it says would have no end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let process = Process::open(child.id());
    let mut late = false;
    if let Ok(process) = &process {
        let mut end = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        late = poll(&mut end, PollTimeout::try_from(limit.as_millis()).unwrap_or(PollTimeout::MAX)) != Ok(1);
    }
    if late {
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    let mut bytes = Vec::new();
    // What it started and left behind may hold the pipe open.
    let mut more = [PollFd::new(said.as_fd(), PollFlags::POLLIN)];
    if poll(&mut more, PollTimeout::ZERO) == Ok(1) {
        bytes.resize(4096, 0);
        let length = io::Read::read(&mut said, &mut bytes).unwrap_or(0);
        bytes.truncate(length);
    }
    let words = files::in_one_line(&String::from_utf8_lossy(&bytes)).unwrap_or_else(|| "it said nothing".to_owned());
    match (late, status.success()) {
        (true, _) => Err(format!("it took longer than {} s: {words}", limit.as_secs())),
        (false, true) => Ok(()),
        (false, false) => Err(format!("{status}: {words}")),
    }
}
