//! The store of one file: what every store must do, and what is the file's own: one process at a time, limits of
//! history, copies, and death at any moment.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use store::{CommitError, Condition, OpenError, Options, RedbStore, Store, Transaction, WatchError};

fn scratch() -> (RedbStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (open(folder.path()), folder)
}

fn open(folder: &Path) -> RedbStore {
    RedbStore::open(&folder.join("store.redb"), Options::default()).unwrap()
}

fn put(key: &str, value: &str) -> Transaction {
    Transaction { puts: vec![(key.to_owned(), value.into())], ..Transaction::default() }
}

mod conformance {
    use super::scratch;

    store::conformance_tests!(scratch());
}

#[test]
fn what_was_committed_is_there_after_a_restart_with_its_history() {
    let (store, folder) = scratch();
    let first = store.commit(put("a", "1")).unwrap();
    store.commit(put("a", "2")).unwrap();
    let mode = std::fs::metadata(folder.path().join("store.redb")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds hashes of tokens");
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.revision().unwrap(), 2);
    assert_eq!(store.get("a").unwrap().unwrap().value, b"2");
    let mut watch = store.watch("", first).unwrap();
    assert_eq!(watch.next(Duration::ZERO).unwrap().unwrap().revision, 2);
}

#[test]
fn history_has_a_limit_and_the_last_commit_is_always_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&folder.path().join("s"), Options { history_events: 10 }).unwrap();
    for number in 1..=20 {
        store.commit(put("a", &number.to_string())).unwrap();
    }
    assert!(matches!(store.watch("", 9).map(|_| ()), Err(WatchError::Compacted { after: 9, oldest: 10 })));
    assert_eq!(store.watch("", 10).unwrap().next(Duration::ZERO).unwrap().unwrap().revision, 11);
    // A commit with more events than the limit is kept whole.
    let many = (0..30).map(|number| (format!("b/{number}"), Vec::new())).collect();
    store.commit(Transaction { puts: many, ..Transaction::default() }).unwrap();
    let changes = store.watch("", 20).unwrap().next(Duration::ZERO).unwrap().unwrap();
    assert_eq!((changes.revision, changes.events.len()), (21, 30));
    assert!(store.watch("", 19).is_err());
}

#[test]
fn a_watch_ends_with_its_store() {
    let (store, _folder) = scratch();
    let mut watch = store.watch("", 0).unwrap();
    let waiting = std::thread::spawn(move || watch.next(Duration::from_secs(60)).map(|_| ()));
    std::thread::sleep(Duration::from_millis(20));
    drop(store);
    assert!(waiting.join().unwrap().is_err());
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    std::fs::write(&path, "a letter to my aunt, long enough to be anything at all".repeat(200)).unwrap();
    let error = RedbStore::open(&path, Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert!(error.to_string().contains("store.redb is not a store"), "{error}");
    let error = RedbStore::open(&folder.path().join("no/such/folder"), Options::default()).err().unwrap();
    assert!(error.to_string().starts_with("cannot open the store"), "{error}");
}

#[test]
fn a_backup_under_load_holds_whole_transactions() {
    let (store, folder) = scratch();
    let store = Arc::new(store);
    let writer = Arc::clone(&store);
    let end = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let ended = Arc::clone(&end);
    let thread = std::thread::spawn(move || {
        let mut number = 0_u64;
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            number += 1;
            let puts = ["a", "b"].map(|key| (key.to_owned(), number.to_string().into())).to_vec();
            writer.commit(Transaction { puts, ..Transaction::default() }).unwrap();
        }
    });
    for number in 0..5 {
        std::thread::sleep(Duration::from_millis(20));
        let path = folder.path().join(format!("copy{number}"));
        store.backup(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let copy = RedbStore::open(&path, Options::default()).unwrap();
        let value = |key| copy.get(key).unwrap().map(|entry| (entry.value, entry.modified));
        assert_eq!(value("a"), value("b"));
        assert_eq!(value("a").map_or(0, |(_, modified)| modified), copy.revision().unwrap());
    }
    end.store(true, std::sync::atomic::Ordering::Relaxed);
    thread.join().unwrap();
}

/// Names the folder in which this test binary, started again by itself, commits until it is killed.
const CHILD: &str = "STORE_TEST_CHILD";

/// Does nothing unless it is the child of one of the tests below.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let store = open(Path::new(&folder));
    println!("open");
    for number in store.revision().unwrap() + 1.. {
        let key = format!("n/{number:09}");
        let transaction = Transaction { conditions: vec![Condition::Absent(key.clone())], ..put(&key, "x") };
        println!("done {}", store.commit(transaction).unwrap());
    }
}

fn start_child(folder: &Path) -> std::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(CHILD, folder).stdout(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn killed_at_any_moment_it_has_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..8 {
        let mut child = start_child(folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let deadline = Instant::now() + Duration::from_millis(40 + 13 * round);
        let mut told = |line: std::io::Result<String>| {
            let line = line.unwrap();
            // The harness writes "test child ... " in front of the first line.
            if let Some(number) = line.strip_prefix("done ") {
                acknowledged = number.parse().unwrap();
            }
        };
        while Instant::now() < deadline {
            lines.next().into_iter().for_each(&mut told);
        }
        child.kill().unwrap();
        lines.for_each(&mut told);
        child.wait().unwrap();
        let store = open(folder.path());
        let revision = store.revision().unwrap();
        assert!(revision == acknowledged || revision == acknowledged + 1, "{revision}, but told {acknowledged}");
        let keys = store.list("n/", None, usize::MAX).unwrap().entries;
        assert!(keys.iter().map(|entry| entry.modified).eq(1..=revision), "each commit is there, whole");
        let mut watch = store.watch("", revision.saturating_sub(1)).unwrap();
        assert_eq!(watch.next(Duration::ZERO).unwrap().map(|changes| changes.revision), Some(revision));
    }
    assert!(acknowledged > 8, "the child did commit: {acknowledged}");
}

#[test]
fn a_second_process_is_told_who_has_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start_child(folder.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("done")));
    let error = RedbStore::open(&folder.path().join("store.redb"), Options::default()).err().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(error, OpenError::InUse(_)), "{error:?}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    open(folder.path());
}

#[test]
fn a_refusal_is_a_sentence() {
    let (store, _folder) = scratch();
    store.commit(put("claims/mac/1", "a")).unwrap();
    let again = Transaction { conditions: vec![Condition::Absent("claims/mac/1".to_owned())], ..put("b", "") };
    let error = store.commit(again).unwrap_err();
    assert_eq!(error.to_string(), "\"claims/mac/1\" was written by revision 1 in the meantime");
    assert!(matches!(error, CommitError::Conflict { found: Some(1), .. }));
}
