//! A store in one file, with redb: one process, one thread that writes, any number that read.
//!
//! A commit is on the disk (fsync) when it is answered. Commits that wait at the same time share one fsync.

mod backup;
mod layout;
mod watch;
mod writer;

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase as _, StorageError};

use crate::{CommitError, Entry, Error, Listing, OpenError, Revision, Snapshot, Store, Transaction, Watch, WatchError};
use layout::{ENTRIES, HISTORY, META};
use writer::{Job, Request};

/// Most operations of a transaction: 100,000 ports with their claims fit several times.
pub const MAX_OPERATIONS: usize = 4_000_000;

/// Most transactions that share an fsync.
pub const MAX_GROUP: usize = 256;

/// Most transactions that wait for the writer; who comes then waits for a place.
pub const MAX_WAITING: usize = 1024;

/// Most events that a watch reads ahead, but for a single commit that has more.
pub const WATCH_BUFFER: usize = 1000;

/// See [`Options::history_events`].
pub const DEFAULT_HISTORY_EVENTS: u64 = 100_000;

/// Memory for pages of the file.
const CACHE_BYTES: usize = 128 << 20;

/// How a store is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// How many of the latest events are kept for watches; older commits are forgotten whole. The last commit is
    /// always kept.
    pub history_events: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { history_events: DEFAULT_HISTORY_EVENTS }
    }
}

/// The file, and what tells watches that it has changed.
struct Shared {
    database: Database,
    path: PathBuf,
    /// The revision of the last durable commit; `None` once the store is closed.
    latest: Mutex<Option<Revision>>,
    changed: Condvar,
}

/// A store in one file.
pub struct RedbStore {
    shared: Arc<Shared>,
    /// `None` only while it is dropped.
    requests: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl RedbStore {
    /// Opens the store in this file, or makes it; only its owner may read the file.
    ///
    /// # Errors
    /// When another process has it, when it is something else, or when the system refuses.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Failed { path: path.to_owned(), source };
        let io = |what| move |source| failed(Error::Io { what, source });
        let mut open = OpenOptions::new();
        let fresh = !path.exists();
        // Made here, because redb would let everybody read it.
        open.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(io("open it"))?;
        if fresh {
            sync_folder(path).map_err(io("write its folder"))?;
        }
        let database = database(path)?;
        let revision = layout::prepare(&database, path)?;
        let shared = Arc::new(Shared {
            database,
            path: path.to_owned(),
            latest: Mutex::new(Some(revision)),
            changed: Condvar::new(),
        });
        let (requests, waiting) = sync_channel(MAX_WAITING);
        let for_writer = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer::run(&for_writer, options, &waiting))
            .map_err(io("start its writer"))?;
        Ok(Self { shared, requests: Some(requests), writer: Some(writer) })
    }

    fn ask<T>(&self, request: impl FnOnce(SyncSender<T>) -> Request) -> Result<T, Error> {
        let (reply, answer) = sync_channel(1);
        let requests = self.requests.as_ref().ok_or(Error::Closed)?;
        requests.send(request(reply)).map_err(|_| Error::Closed)?;
        answer.recv().map_err(|_| Error::Closed)
    }

    fn read(&self) -> Result<RedbSnapshot, Error> {
        let transaction = self.shared.database.begin_read().map_err(engine)?;
        let revision = layout::number(&transaction.open_table(META).map_err(engine)?, layout::REVISION)?;
        Ok(RedbSnapshot { transaction, revision })
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            // What was asked for is carried out first. A writer that panicked has said so already.
            let _ = writer.join();
        }
        *self.shared.latest.lock() = None;
        self.shared.changed.notify_all();
    }
}

impl Store for RedbStore {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        Ok(Box::new(self.read()?))
    }

    fn commit(&self, transaction: Transaction) -> Result<Revision, CommitError> {
        writer::check(&transaction)?;
        self.ask(|reply| Request::Commit(Job { transaction, reply }))?
    }

    fn watch(&self, prefix: &str, after: Revision) -> Result<Box<dyn Watch>, WatchError> {
        Ok(Box::new(watch::RedbWatch::begin(Arc::clone(&self.shared), prefix, after)?))
    }

    fn compact(&self, upto: Revision) -> Result<(), Error> {
        self.ask(|reply| Request::Compact { upto, reply })?
    }

    fn backup(&self, path: &Path) -> Result<(), Error> {
        backup::write(&self.read()?.transaction, path)
    }

    fn max_operations(&self) -> usize {
        MAX_OPERATIONS
    }

    fn bytes(&self) -> Result<u64, Error> {
        std::fs::metadata(&self.shared.path)
            .map(|file| file.len())
            .map_err(|source| Error::Io { what: "ask for the size of the store's file", source })
    }
}

struct RedbSnapshot {
    transaction: ReadTransaction,
    revision: Revision,
}

impl Snapshot for RedbSnapshot {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let entries = self.transaction.open_table(ENTRIES).map_err(engine)?;
        let value = entries.get(key).map_err(engine)?;
        value.map(|value| layout::entry(key, value.value())).transpose()
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, Error> {
        let entries = self.transaction.open_table(ENTRIES).map_err(engine)?;
        let from = after.filter(|after| *after >= prefix).unwrap_or(prefix);
        let mut listing = Listing { entries: Vec::new(), more: false };
        for row in entries.range(from..).map_err(engine)? {
            let (key, value) = row.map_err(engine)?;
            let key = key.value();
            if !key.starts_with(prefix) {
                break;
            }
            if after.is_some_and(|after| key <= after) {
                continue;
            }
            if listing.entries.len() == limit {
                listing.more = true;
                break;
            }
            listing.entries.push(layout::entry(key, value.value())?);
        }
        Ok(listing)
    }

    fn last(&self, prefix: &str, limit: usize) -> Result<Vec<String>, Error> {
        let entries = self.transaction.open_table(ENTRIES).map_err(engine)?;
        let end = behind(prefix);
        let rows = match &end {
            Some(end) => entries.range(prefix..end.as_str()),
            None => entries.range(prefix..),
        };
        let key = |row: Result<(redb::AccessGuard<'_, &str>, _), _>| Ok(row.map_err(engine)?.0.value().to_owned());
        rows.map_err(engine)?.rev().take(limit).map(key).collect()
    }
}

/// The first text behind all that begin with a prefix; none if there is no such text.
fn behind(prefix: &str) -> Option<String> {
    let mut kept = prefix.trim_end_matches(char::MAX).to_owned();
    let last = kept.pop()?;
    // Some numbers between characters are none themselves (surrogates).
    kept.extend((last..=char::MAX).nth(1));
    Some(kept)
}

/// Any error of redb that is not to be told apart from the others.
fn engine(error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::Corrupted(reason) => Error::Damaged(reason),
        redb::Error::Io(source) => Error::Io { what: "use the store's file", source },
        other => Error::Engine(other.to_string()),
    }
}

/// Opens a file as redb's, or makes it one if it is empty.
fn database(path: &Path) -> Result<Database, OpenError> {
    let path = path.to_owned();
    let foreign = |path, reason: &str| OpenError::Foreign { path, reason: reason.to_owned() };
    Database::builder().set_cache_size(CACHE_BYTES).create(&path).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(path),
        DatabaseError::UpgradeRequired(version) => foreign(path, &format!("it has redb's format {version}")),
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
            foreign(path, "it holds something else")
        }
        error => OpenError::Failed { path, source: engine(error) },
    })
}

/// Makes a new name in a folder durable.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

/// The tables, for those who copy all of them.
const fn tables() -> (layout::Entries, layout::History, layout::Meta) {
    (ENTRIES, HISTORY, META)
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn what_comes_behind_a_prefix() {
        assert_eq!(behind("p/").as_deref(), Some("p0"));
        assert_eq!(behind("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(behind("a\u{10ffff}\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(behind("\u{10ffff}"), None);
        assert_eq!(behind(""), None);
    }
}
