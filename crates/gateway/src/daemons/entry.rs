//! One daemon under supervision: what it is to be, what runs, and when it is started again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, io};

use host::{Namespace, Process};
use sha2::{Digest, Sha256};

use super::files;
use super::memory::{self, Definition, MARK, Memory, Told};
use crate::{Daemon, DaemonStatus, OnChange};

/// The first wait before a daemon that ended is started again. It doubles up to [`SLOWEST`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const SLOWEST: Duration = Duration::from_secs(10);
/// A daemon that has lived for so long is in no trouble, and is started again soon when it ends: that it ends again and again
/// costs no more then than waiting would save.
const STEADY: Duration = SLOWEST;
/// A daemon that is told to end has so long to do it.
const GRACE: Duration = Duration::from_secs(2);
/// SIGTERM and SIGKILL, as numbers.
const TERM: i32 = nix::sys::signal::Signal::SIGTERM as i32;
const KILL: i32 = nix::sys::signal::Signal::SIGKILL as i32;

/// A process of a daemon.
struct Running {
    process: Arc<Process>,
    since: Instant,
    /// When it is killed, once it was told to end.
    kill_at: Option<Instant>,
    /// Where its run begins in the log.
    log_from: u64,
}

/// A daemon under supervision.
pub(super) struct Entry {
    folder: PathBuf,
    kind: String,
    name: String,
    namespace: Namespace,
    /// What it is to be; absent, it is to end.
    wanted: Option<Daemon>,
    running: Option<Running>,
    /// What runs was started so.
    definition: Definition,
    /// What runs was told so.
    told: BTreeMap<String, Told>,
    restarts: u64,
    /// Whether it has run in this namespace before.
    again: bool,
    /// How often it ended by itself with no long life between.
    ends: u32,
    last_end: String,
    wait: Duration,
    next_try: Option<Instant>,
    /// Why it could not be started.
    failure: Option<String>,
}

impl Entry {
    /// A daemon that is not there yet.
    pub(super) fn new(folder: &Path, kind: &str, name: &str, namespace: &Namespace) -> Self {
        Self {
            folder: folder.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace: namespace.clone(),
            wanted: None,
            running: None,
            definition: Definition::default(),
            told: BTreeMap::new(),
            restarts: 0,
            again: memory::has_run(folder, name),
            ends: 0,
            last_end: String::new(),
            wait: FIRST_WAIT,
            next_try: None,
            failure: None,
        }
    }

    /// A daemon that a former gateway has started.
    pub(super) fn adopt(folder: &Path, name: &str, namespace: &Namespace, memory: Memory, process: Process) -> Self {
        let running = Running { process: process.into(), since: Instant::now(), kill_at: None, log_from: 0 };
        Self {
            running: Some(running),
            definition: memory.definition,
            told: memory.told,
            restarts: memory.restarts,
            ..Self::new(folder, &memory.kind, name, namespace)
        }
    }

    /// What it is to be from now on. Its files are written; what else is to be done is left to [`Entry::tick`], but for a
    /// command that is handed out.
    pub(super) fn want(&mut self, namespace: &Namespace, daemon: &Daemon, now: Instant) -> Option<Vec<String>> {
        self.namespace = namespace.clone();
        let unlike = self.definition != Definition::from(daemon);
        let changed_files = self.wanted.as_ref().is_none_or(|old| old.files != daemon.files);
        if self.wanted.as_ref() != Some(daemon) {
            // What is wanted now may well start where the former did not.
            (self.next_try, self.wait) = (None, FIRST_WAIT);
        }
        self.wanted = Some(daemon.clone());
        let Some(running) = &self.running else { return None };
        if running.kill_at.is_some() {
            return None;
        }
        let elsewhere = !self.namespace.holds(running.process.pid());
        if unlike || elsewhere {
            self.again &= !elsewhere;
            self.end(now);
            return None;
        }
        if changed_files && let Err(error) = self.write_files() {
            self.failure = Some(self.cannot("write the files of", &error));
            return None;
        }
        self.tell(now)
    }

    /// It is to end.
    pub(super) fn unwant(&mut self, now: Instant) {
        self.wanted = None;
        self.end(now);
    }

    /// It is to end at once.
    pub(super) fn kill(&mut self, now: Instant) {
        self.wanted = None;
        if let Some(running) = &mut self.running {
            let _ = running.process.signal(KILL);
            running.kill_at = Some(now + GRACE);
        }
    }

    /// Does what is due, and says when something is due again. `ended` has the processes that were seen to have ended.
    pub(super) fn tick(&mut self, ended: &BTreeSet<u32>, now: Instant) -> Option<Instant> {
        if self.running.as_ref().is_some_and(|running| ended.contains(&running.process.pid())) {
            self.ended(now);
        }
        if let Some(running) = &mut self.running {
            if running.kill_at.is_some_and(|at| at <= now) {
                tracing::warn!(daemon = self.name, folder = %self.folder.display(), "does not end; it is killed");
                let _ = running.process.signal(KILL);
                running.kill_at = Some(now + GRACE);
            }
            return running.kill_at;
        }
        let daemon = self.wanted.clone()?;
        if let Some(at) = self.next_try.filter(|at| *at > now) {
            return Some(at);
        }
        match self.start(&daemon, now) {
            Ok(()) => self.failure = None,
            Err(sentence) => {
                tracing::warn!(daemon = self.name, folder = %self.folder.display(), "{sentence}");
                self.failure = Some(sentence);
                self.put_off(now);
            }
        }
        self.next_try.filter(|_| self.running.is_none())
    }

    /// Whose it is.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether nothing is left of it, and nothing is wanted.
    pub(super) fn is_over(&self) -> bool {
        self.wanted.is_none() && self.running.is_none()
    }

    /// What is to be watched for its end.
    pub(super) fn process(&self) -> Option<&Arc<Process>> {
        self.running.as_ref().map(|running| &running.process)
    }

    /// How it is.
    pub(super) fn status(&self, now: Instant) -> DaemonStatus {
        let steady = self.running.as_ref().is_some_and(|running| now.duration_since(running.since) >= STEADY);
        let trouble = match &self.failure {
            Some(failure) => Some(failure.clone()),
            None if self.ends >= 2 && !steady => Some(format!(
                "{} has ended {} times in a row, last {}; it is started again and again; its log is {}",
                self.name,
                self.ends,
                self.last_end,
                self.log().display()
            )),
            None => None,
        };
        DaemonStatus { pid: self.process().map(|process| process.pid()), restarts: self.restarts, trouble }
    }

    /// Its last words, from when it last started on.
    pub(super) fn words(&self) -> Option<String> {
        files::last_words(&self.log(), self.running.as_ref().map_or(0, |running| running.log_from))
    }

    /// The command was run, or was not to be: what the files say now is known to the daemon.
    pub(super) fn was_told(&mut self) {
        let Some(daemon) = &self.wanted else { return };
        self.told = told(daemon);
        self.failure = None;
        self.remember();
    }

    /// The command did not do it.
    pub(super) fn was_not_told(&mut self, why: &str) {
        self.failure = Some(format!(
            "{} does not take its new configuration: {why}; its log is {}",
            self.name,
            self.log().display()
        ));
    }

    /// Keeps its log short.
    pub(super) fn cut_log(&self) {
        let _ = files::cut_log(&self.log());
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn cannot(&self, what: &str, error: &dyn std::fmt::Display) -> String {
        format!("cannot {what} {} in {}: {error}", self.name, self.folder.display())
    }

    /// Tells what runs to end.
    fn end(&mut self, now: Instant) {
        if let Some(running) = self.running.as_mut().filter(|running| running.kill_at.is_none()) {
            let _ = running.process.signal(TERM);
            running.kill_at = Some(now + GRACE);
        }
    }

    /// What ran has ended.
    fn ended(&mut self, now: Instant) {
        let Some(running) = self.running.take() else { return };
        let how = running.process.reap();
        if self.wanted.is_none() {
            memory::forget(&self.folder, &self.name);
            // There may be secrets in them.
            self.told.keys().for_each(|name| files::remove(&self.folder, name));
        }
        self.told.clear();
        self.definition = Definition::default();
        if running.kill_at.is_some() {
            return;
        }
        let words = files::last_words(&self.log(), running.log_from).unwrap_or_else(|| "it said nothing".to_owned());
        tracing::warn!(daemon = self.name, folder = %self.folder.display(), "has ended {how}: {words}");
        if now.duration_since(running.since) >= STEADY {
            (self.ends, self.wait) = (0, FIRST_WAIT);
        }
        self.ends += 1;
        self.restarts += 1;
        self.last_end = format!("{how}: {words}");
        self.put_off(now);
    }

    fn put_off(&mut self, now: Instant) {
        self.next_try = Some(now + self.wait);
        self.wait = (self.wait * 2).min(SLOWEST);
    }

    /// Does what is to be done when files differ from what it was told. A command is handed out.
    fn tell(&mut self, now: Instant) -> Option<Vec<String>> {
        let daemon = self.wanted.as_ref()?;
        let new = told(daemon);
        let gone = self.told.iter().filter(|(name, _)| !new.contains_key(*name));
        let changed =
            new.iter().filter(|(name, file)| self.told.get(*name).is_none_or(|old| old.digest != file.digest));
        let due: Vec<OnChange> = gone.chain(changed).map(|(_, file)| file.on_change.clone()).collect();
        if due.contains(&OnChange::Restart) {
            self.end(now);
            return None;
        }
        let mut signals = BTreeSet::new();
        let mut command = None;
        for action in due {
            match action {
                OnChange::Signal(signal) => _ = signals.insert(signal),
                OnChange::Run(words) => command = Some(words),
                OnChange::Restart | OnChange::Nothing => {}
            }
        }
        for signal in signals {
            if let Some(Err(error)) = self.process().map(|process| process.signal(signal)) {
                tracing::warn!(daemon = self.name, signal, "cannot signal it: {error}");
            }
        }
        if command.is_none() && self.told != new {
            self.was_told();
        }
        command
    }

    /// Writes its files, and removes those that are no longer its own.
    fn write_files(&self) -> io::Result<()> {
        let Some(daemon) = &self.wanted else { return Ok(()) };
        let owner = files::owner(daemon.user)?;
        for path in &daemon.own_folders {
            files::make_folder(&files::own_folder(&self.folder, path), owner)?;
        }
        for file in &daemon.files {
            files::write(&self.folder, &file.name, file.contents.as_bytes(), owner)?;
        }
        for name in self.told.keys().filter(|name| !daemon.files.iter().any(|file| file.name == **name)) {
            files::remove(&self.folder, name);
        }
        Ok(())
    }

    /// Starts it.
    fn start(&mut self, daemon: &Daemon, now: Instant) -> Result<(), String> {
        let program = super::find(&daemon.program).ok_or_else(|| {
            let program = daemon.program.display();
            format!(
                "there is no program {program} on this host; install it, on Debian with \"apt install {}\"",
                daemon.package
            )
        })?;
        self.write_files().map_err(|error| self.cannot("write the files of", &error))?;
        let failed = |error: io::Error| self.cannot("start", &error);
        let covered = covered(&self.folder, daemon).map_err(failed)?;
        let (log_from, log) = files::open_log(&self.log()).map_err(failed)?;
        let mut command = self.namespace.daemon_command(program, &covered).map_err(failed)?;
        let more = if self.again { &daemon.arguments_again[..] } else { &[] };
        command
            .args(&daemon.arguments)
            .args(more)
            .env_clear()
            .env("PATH", path())
            .envs(daemon.environment.iter().cloned());
        command.env(MARK, memory::mark(&self.folder, &self.kind, &self.name)).current_dir("/").stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(failed)?).stderr(log);
        let child = command.spawn().map_err(failed)?;
        // Our own child keeps its number until we reap it, so that this is it, or its remains.
        match Process::open(child.id()) {
            Ok(process) => {
                let process = Arc::new(process);
                self.running = Some(Running { process, since: now, kill_at: None, log_from });
            }
            Err(_) => {
                self.ended_at_once(child, log_from, now);
                return Ok(());
            }
        }
        self.definition = Definition::from(daemon);
        self.told = told(daemon);
        self.next_try = None;
        self.again = true;
        self.remember();
        tracing::info!(daemon = self.name, folder = %self.folder.display(), pid = child.id(), "started");
        Ok(())
    }

    /// It had ended before it could be watched.
    fn ended_at_once(&mut self, mut child: std::process::Child, log_from: u64, now: Instant) {
        let how = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let words = files::last_words(&self.log(), log_from).unwrap_or_else(|| "it said nothing".to_owned());
        self.ends += 1;
        self.restarts += 1;
        self.last_end = format!("at once ({how}): {words}");
        self.put_off(now);
    }

    /// Writes down what runs, for a gateway that comes after us.
    fn remember(&self) {
        let Some(process) = self.process() else { return };
        let memory = Memory {
            kind: self.kind.clone(),
            pid: process.pid(),
            start: process.start(),
            definition: self.definition.clone(),
            told: self.told.clone(),
            restarts: self.restarts,
        };
        if let Err(error) = memory::write(&self.folder, &self.name, &memory) {
            tracing::warn!(daemon = self.name, folder = %self.folder.display(), "cannot write down that it runs: {error}");
        }
    }
}

/// What covers what for a daemon. The folders are made.
pub(super) fn covered(folder: &Path, daemon: &Daemon) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut covered = Vec::new();
    for path in &daemon.own_folders {
        if folder.starts_with(path) {
            let sentence = format!("{} cannot be covered, since the compartment's folder is in it", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
        }
        std::fs::create_dir_all(path)?;
        covered.push((files::own_folder(folder, path), path.clone()));
    }
    Ok(covered)
}

/// Where programs are looked for by daemons.
pub(super) fn path() -> String {
    let own = env::var("PATH").unwrap_or_default();
    let folders = own.split(':').filter(|folder| !folder.is_empty()).chain(super::FOLDERS);
    folders.collect::<Vec<_>>().join(":")
}

/// The files of a daemon as it is to know them.
fn told(daemon: &Daemon) -> BTreeMap<String, Told> {
    let digest = |contents: &str| {
        Sha256::digest(contents.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let told = |file: &crate::ConfigFile| Told { digest: digest(&file.contents), on_change: file.on_change.clone() };
    daemon.files.iter().map(|file| (file.name.clone(), told(file))).collect()
}
