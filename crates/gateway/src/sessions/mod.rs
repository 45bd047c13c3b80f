//! The log of sessions, of those NAT connections that want one: FOLDER/log/sessions.log.
//!
//! The kernel tells of each connection that is opened and that ends. One thread listens to all compartments. While no gateway
//! runs nobody listens: then sessions that were both opened and ended meanwhile are missing, which the lines `watching` and
//! `found` show.

mod file;
mod line;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use host::Namespace;
use host::conntrack::{Conntrack, ConntrackEvent, ConntrackWatch, Entry, Tuple};
use model::gateway::Compartment;
use parking_lot::Mutex;
use plan::gateway::{NUMBER_MASK, number};

use crate::Error;
use file::LogFile;
use line::{What, line};

/// Compartments that come, and namespaces that are made anew, are looked for so often.
const TICK: Duration = Duration::from_millis(200);

/// What is to be logged of a compartment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    /// The compartment's name.
    name: String,
    /// Connections that want a log, by number.
    connections: BTreeMap<u16, String>,
}

/// What is to be logged, by namespace.
pub type Wanted = BTreeMap<String, Logged>;

/// What a compartment wants logged, if anything.
pub fn wanted(compartment: &Compartment) -> Option<Logged> {
    let logged = compartment.connections.iter().filter(|connection| connection.nat.as_ref().is_some_and(|nat| nat.log));
    let connections: BTreeMap<_, _> =
        logged.filter_map(|connection| Some((number(compartment, connection)?, connection.name.to_string()))).collect();
    (!connections.is_empty()).then(|| Logged { name: compartment.name.to_string(), connections })
}

/// The thread that writes the log.
#[derive(Debug)]
pub struct Log {
    wanted: Arc<Mutex<Wanted>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    /// Starts a thread that writes in this folder, as soon as something is wanted.
    ///
    /// # Errors
    /// When the folder cannot be made, or the system gives no thread.
    pub fn start(folder: &Path) -> Result<Self, Error> {
        let file = LogFile::in_folder(folder, file::LENGTH)?;
        let (wanted, stop) = (Arc::new(Mutex::new(Wanted::new())), Arc::new(AtomicBool::new(false)));
        let (to_log, stopped) = (Arc::clone(&wanted), Arc::clone(&stop));
        let work = move || Writer { file, open: BTreeMap::new(), failing: false }.work(&to_log, &stopped);
        let thread = thread::Builder::new().name("sessions".to_owned()).spawn(work).map_err(Error::Thread)?;
        Ok(Self { wanted, stop, thread: Some(thread) })
    }

    /// Tells what is to be logged from now on.
    pub fn tell(&self, wanted: Wanted) {
        *self.wanted.lock() = wanted;
    }

    /// Writes what was told until now, and ends.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A compartment that is listened to.
struct Open {
    namespace: Namespace,
    conntrack: Conntrack,
    watch: ConntrackWatch,
    /// Sessions that are there. The kernel tells of each change of one.
    known: HashSet<Tuple>,
}

/// What the thread has.
struct Writer {
    file: LogFile,
    open: BTreeMap<String, Open>,
    /// Whether the disk refused the last lines.
    failing: bool,
}

impl Writer {
    fn work(mut self, wanted: &Mutex<Wanted>, stop: &AtomicBool) {
        loop {
            let last = stop.load(Ordering::Relaxed);
            let wanted = wanted.lock().clone();
            let mut lines = String::new();
            self.open(&wanted, &mut lines);
            let ready = {
                let watches: Vec<_> = self.open.values().map(|open| &open.watch).collect();
                if watches.is_empty() {
                    thread::sleep(TICK);
                }
                ConntrackWatch::wait(&watches, TICK).unwrap_or_default()
            };
            let names: Vec<_> = self.open.keys().cloned().zip(ready).filter(|(_, ready)| *ready).collect();
            for (name, _) in names {
                let Some((open, logged)) = self.open.get_mut(&name).zip(wanted.get(&name)) else { continue };
                if let Err(error) = open.read(logged, &mut lines) {
                    tracing::warn!("sessions of {} are not logged for a moment: {error}", logged.name);
                    self.open.remove(&name);
                }
            }
            self.write(&lines);
            if last {
                return;
            }
        }
    }

    /// Listens to what is wanted, and to nothing else.
    fn open(&mut self, wanted: &Wanted, lines: &mut String) {
        self.open.retain(|name, open| wanted.contains_key(name) && open.namespace.is_in_place());
        for (name, logged) in wanted {
            if self.open.contains_key(name) || !Namespace::exists(name) {
                continue;
            }
            match Open::of(name, logged, lines) {
                Ok(open) => {
                    self.open.insert(name.clone(), open);
                }
                Err(error) => tracing::warn!("sessions of {} are not logged: {error}", logged.name),
            }
        }
    }

    fn write(&mut self, lines: &str) {
        let written = self.file.write(lines);
        if let Err(error) = &written
            && !self.failing
        {
            tracing::error!("the log of sessions cannot be written: {error}; make room on the disk");
        }
        self.failing = written.is_err();
    }
}

impl Open {
    /// Listens to a compartment; the sessions that are there are told.
    fn of(name: &str, logged: &Logged, lines: &mut String) -> Result<Self, host::Error> {
        let namespace = Namespace::open(name)?;
        let conntrack = Conntrack::in_namespace(&namespace)?;
        let watch = conntrack.watch()?;
        let mut open = Self { namespace, conntrack, watch, known: HashSet::new() };
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        lines.push_str(&format!("{time} watching {}\n", logged.name.replace(' ', "\\ ")));
        open.list(logged, lines)?;
        Ok(open)
    }

    /// Tells of sessions that are there and were not told of.
    fn list(&mut self, logged: &Logged, lines: &mut String) -> Result<(), host::Error> {
        for entry in self.conntrack.list()? {
            self.tell(What::Found, logged, &entry, lines);
        }
        Ok(())
    }

    /// Tells what has happened.
    fn read(&mut self, logged: &Logged, lines: &mut String) -> Result<(), host::Error> {
        for event in self.watch.read()? {
            match event {
                ConntrackEvent::Is(entry) => self.tell(What::Opened, logged, &entry, lines),
                ConntrackEvent::Gone(entry) => self.tell(What::Ended, logged, &entry, lines),
                ConntrackEvent::Missed => {
                    let time = humantime::format_rfc3339_millis(SystemTime::now());
                    lines.push_str(&format!("{time} missed {}\n", logged.name.replace(' ', "\\ ")));
                    self.list(logged, lines)?;
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, what: What, logged: &Logged, entry: &Entry, lines: &mut String) {
        let number = u16::try_from(entry.mark & NUMBER_MASK).unwrap_or_default();
        let Some(connection) = logged.connections.get(&number) else { return };
        let is_news = match what {
            What::Opened | What::Found => self.known.insert(entry.original),
            What::Ended => self.known.remove(&entry.original),
        };
        if is_news {
            lines.extend(line(SystemTime::now(), what, &logged.name, connection, entry));
        }
    }
}
