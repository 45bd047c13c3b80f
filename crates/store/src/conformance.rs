//! What every implementation of [`Store`] must do, as functions that panic where it does not.
//!
//! [`crate::conformance_tests`] makes a test of each. They are written against an empty store; one that was used before
//! is none, since revisions count from its first commit (in etcd: relative to the first one seen).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{
    Changes, CommitError, Condition, Entry, Event, MAX_KEY_BYTES, MAX_VALUE_BYTES, Revision, Store, Transaction, Watch,
    WatchError, export, import,
};

/// Makes one test of each function here. The argument is an expression that makes an empty store,
/// `(impl Store + 'static, anything that must live as long)`.
#[macro_export]
macro_rules! conformance_tests {
    ($new:expr) => {
        $crate::conformance_tests!($new =>
            a_commit_makes_and_counts, conditions_are_kept, all_or_nothing, deleted_is_gone, lists_are_paged,
            the_last_keys_come_first, a_snapshot_stays, a_watch_sees_each_commit_once, a_watch_resumes, a_watch_waits_and_ends_its_wait,
            the_compacted_past_is_refused, limits_are_refused, writers_are_serial, exports_come_back,
            a_backup_is_a_store
        );
    };
    ($new:expr => $($name:ident),*) => {
        $(#[test]
        fn $name() {
            let (store, _keep) = $new;
            $crate::conformance::$name(std::sync::Arc::new(store));
        })*
    };
}

const SOON: Duration = Duration::from_secs(5);
const NOW: Duration = Duration::from_millis(20);

type Shared = Arc<dyn Store>;

fn put(key: &str, value: &str) -> Transaction {
    Transaction { puts: vec![(key.to_owned(), value.into())], ..Transaction::default() }
}

fn create(key: &str, value: &str) -> Transaction {
    Transaction { conditions: vec![Condition::Absent(key.to_owned())], ..put(key, value) }
}

fn delete(key: &str) -> Transaction {
    Transaction { deletes: vec![key.to_owned()], ..Transaction::default() }
}

fn conflict(result: Result<Revision, CommitError>) -> (String, Option<Revision>) {
    match result {
        Err(CommitError::Conflict { key, found }) => (key, found),
        other => panic!("a conflict was expected: {other:?}"),
    }
}

fn entry(key: &str, value: &str, created: Revision, modified: Revision) -> Entry {
    Entry { key: key.to_owned(), value: value.into(), created, modified }
}

fn keys(store: &dyn Store, prefix: &str, after: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let listing = store.list(prefix, after, limit).unwrap();
    (listing.entries.into_iter().map(|entry| entry.key).collect(), listing.more)
}

fn next(watch: &mut dyn Watch) -> Changes {
    watch.next(SOON).unwrap().expect("an event within the time")
}

/// Revisions rise by one, and an entry knows which made it and which wrote it last.
pub fn a_commit_makes_and_counts(store: Shared) {
    assert_eq!(store.get("a").unwrap(), None);
    let first = store.commit(create("a", "1")).unwrap();
    assert_eq!(store.revision().unwrap(), first);
    assert_eq!(store.commit(create("b", "2")).unwrap(), first + 1);
    assert_eq!(store.commit(put("a", "3")).unwrap(), first + 2);
    assert_eq!(store.get("a").unwrap(), Some(entry("a", "3", first, first + 2)));
    assert_eq!(store.get("b").unwrap(), Some(entry("b", "2", first + 1, first + 1)));
    assert_eq!(store.commit(Transaction::default()).unwrap(), first + 2, "nothing written, no revision");
    assert!(store.bytes().unwrap() > 0);
}

/// Each condition, met and not met.
pub fn conditions_are_kept(store: Shared) {
    let first = store.commit(create("a", "1")).unwrap();
    assert_eq!(conflict(store.commit(create("a", "2"))), ("a".to_owned(), Some(first)));
    let only = |revision| Condition::Unchanged { key: "a".to_owned(), revision };
    let seen = |revision, value| Transaction { conditions: vec![only(revision)], ..put("a", value) };
    let second = store.commit(seen(first, "2")).unwrap();
    assert_eq!(conflict(store.commit(seen(first, "3"))), ("a".to_owned(), Some(second)));
    assert_eq!(store.get("a").unwrap(), Some(entry("a", "2", first, second)));
    store.commit(delete("a")).unwrap();
    assert_eq!(conflict(store.commit(seen(second, "3"))), ("a".to_owned(), None));
    // Conditions may be about keys that are not written, and are judged without writing anything too.
    let alone = |condition| Transaction { conditions: vec![condition], ..Transaction::default() };
    assert_eq!(conflict(store.commit(alone(only(1)))).0, "a");
    store.commit(alone(Condition::Absent("a".to_owned()))).unwrap();
}

/// A transaction of which one condition does not hold leaves no trace.
pub fn all_or_nothing(store: Shared) {
    let first = store.commit(create("taken", "x")).unwrap();
    let mut transaction = create("free", "1");
    transaction.conditions.push(Condition::Absent("taken".to_owned()));
    transaction.puts.push(("other".to_owned(), b"2".to_vec()));
    transaction.deletes.push("taken".to_owned());
    assert_eq!(conflict(store.commit(transaction)), ("taken".to_owned(), Some(first)));
    assert_eq!(keys(&*store, "", None, 10), (vec!["taken".to_owned()], false));
    assert_eq!(store.revision().unwrap(), first);
}

/// What is deleted is gone, and made anew it is new.
pub fn deleted_is_gone(store: Shared) {
    store.commit(create("a", "1")).unwrap();
    store.commit(delete("a")).unwrap();
    assert_eq!(store.get("a").unwrap(), None);
    let again = store.commit(create("a", "2")).unwrap();
    assert_eq!(store.get("a").unwrap(), Some(entry("a", "2", again, again)));
    store.commit(delete("never there")).unwrap();
}

/// Lists are in the order of keys, end at the prefix, and go on where a page ended, whatever happened in between.
pub fn lists_are_paged(store: Shared) {
    for key in ["p/b", "p/a", "p/c", "o", "q", "p", "p0"] {
        store.commit(create(key, "")).unwrap();
    }
    let list = |after, limit| keys(&*store, "p/", after, limit);
    let named = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(list(None, 10), (named(&["p/a", "p/b", "p/c"]), false));
    assert_eq!(list(None, 3), (named(&["p/a", "p/b", "p/c"]), false));
    assert_eq!(list(None, 2), (named(&["p/a", "p/b"]), true));
    assert_eq!(list(Some("p/b"), 2), (named(&["p/c"]), false));
    assert_eq!(list(Some("a"), 1), (named(&["p/a"]), true));
    assert_eq!(list(Some("z"), 1), (named(&[]), false));
    store.commit(delete("p/b")).unwrap();
    assert_eq!(list(Some("p/b"), 2), (named(&["p/c"]), false));
    assert_eq!(keys(&*store, "", None, 2), (named(&["o", "p"]), true));
}

/// The last keys of a prefix come from behind, and end at the prefix.
pub fn the_last_keys_come_first(store: Shared) {
    for key in ["p/b", "p/a", "p/c", "p/\u{10ffff}", "o", "q", "p", "p0"] {
        store.commit(create(key, "")).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.last("p/", 10).unwrap(), ["p/\u{10ffff}", "p/c", "p/b", "p/a"]);
    assert_eq!(snapshot.last("p/", 2).unwrap(), ["p/\u{10ffff}", "p/c"]);
    assert_eq!(snapshot.last("", 2).unwrap(), ["q", "p0"]);
    assert_eq!(snapshot.last("p/x", 2).unwrap(), [""; 0]);
    store.commit(delete("q")).unwrap();
    assert_eq!(snapshot.last("", 1).unwrap(), ["q"], "a snapshot stays");
}

/// A snapshot shows one revision, whatever is committed afterwards.
pub fn a_snapshot_stays(store: Shared) {
    let first = store.commit(create("a", "1")).unwrap();
    let snapshot = store.snapshot().unwrap();
    store.commit(put("a", "2")).unwrap();
    store.commit(create("b", "3")).unwrap();
    assert_eq!(snapshot.revision(), first);
    assert_eq!(snapshot.get("a").unwrap(), Some(entry("a", "1", first, first)));
    assert_eq!(snapshot.list("", None, 10).unwrap().entries, [entry("a", "1", first, first)]);
}

/// Every commit that touches the prefix comes once, whole and in order; deletions show what was there.
pub fn a_watch_sees_each_commit_once(store: Shared) {
    let start = store.revision().unwrap();
    let mut watch = store.watch("p/", start).unwrap();
    let transaction = Transaction {
        puts: vec![("p/b".into(), b"1".to_vec()), ("other".into(), b"2".to_vec()), ("p/a".into(), b"3".to_vec())],
        ..Transaction::default()
    };
    let first = store.commit(transaction).unwrap();
    store.commit(put("other", "4")).unwrap();
    let third = store.commit(Transaction { deletes: vec!["p/b".into()], ..put("p/a", "5") }).unwrap();
    let made = [Event::Put(entry("p/a", "3", first, first)), Event::Put(entry("p/b", "1", first, first))];
    assert_eq!(next(&mut *watch), Changes { revision: first, events: made.to_vec() });
    let then = [Event::Put(entry("p/a", "5", first, third)), Event::Deleted(entry("p/b", "1", first, first))];
    assert_eq!(next(&mut *watch), Changes { revision: third, events: then.to_vec() });
    assert_eq!(watch.next(NOW).unwrap(), None);
}

/// A watch from an old revision sees what followed, and then what is new; many commits too.
pub fn a_watch_resumes(store: Shared) {
    let first = store.commit(create("a", "0")).unwrap();
    for number in 1..=2500 {
        store.commit(put("a", &number.to_string())).unwrap();
    }
    let mut watch = store.watch("", first + 500).unwrap();
    for number in 501..=2500 {
        let changes = next(&mut *watch);
        assert_eq!((changes.revision, &changes.events[0].entry().value), (first + number, &number.to_string().into()));
    }
    assert_eq!(watch.next(NOW).unwrap(), None);
    let new = store.commit(delete("a")).unwrap();
    assert_eq!(next(&mut *watch).revision, new);
}

/// A watch sleeps until something happens, and not longer than it was asked to.
pub fn a_watch_waits_and_ends_its_wait(store: Shared) {
    let mut watch = store.watch("a", store.revision().unwrap()).unwrap();
    let begin = Instant::now();
    assert_eq!(watch.next(NOW).unwrap(), None);
    assert!(begin.elapsed() >= NOW);
    let writer = Arc::clone(&store);
    let thread = std::thread::spawn(move || {
        std::thread::sleep(NOW);
        writer.commit(put("b", "not asked for")).unwrap();
        writer.commit(put("a", "1")).unwrap()
    });
    let changes = next(&mut *watch);
    assert_eq!(changes.revision, thread.join().unwrap());
    assert!(begin.elapsed() < SOON);
}

/// What is compacted cannot be watched any more, neither by a new watch nor by a slow one; the rest can.
pub fn the_compacted_past_is_refused(store: Shared) {
    let first = store.commit(put("a", "1")).unwrap();
    let second = store.commit(put("a", "2")).unwrap();
    let third = store.commit(put("a", "3")).unwrap();
    store.compact(second).unwrap();
    match store.watch("", first).map(|_| ()) {
        Err(WatchError::Compacted { after, oldest }) => assert_eq!((after, oldest), (first, second)),
        other => panic!("the past was to be refused: {other:?}"),
    }
    assert_eq!(next(&mut *store.watch("", second).unwrap()).revision, third);
    assert_eq!(store.get("a").unwrap(), Some(entry("a", "3", first, third)), "entries stay");
    let mut slow = store.watch("", third).unwrap();
    for number in 0..5000 {
        store.commit(put("a", &number.to_string())).unwrap();
    }
    store.compact(store.revision().unwrap()).unwrap();
    let end = std::iter::repeat_with(|| slow.next(NOW)).find_map(Result::err).unwrap();
    assert!(matches!(end, WatchError::Compacted { .. }), "{end}");
}

/// What is too long, too large or said twice is refused, and changes nothing.
pub fn limits_are_refused(store: Shared) {
    let long = "k".repeat(MAX_KEY_BYTES);
    store.commit(put(&long, "")).unwrap();
    assert!(matches!(store.commit(put(&format!("{long}k"), "")), Err(CommitError::KeyLength(1025))));
    assert!(matches!(store.commit(put("", "")), Err(CommitError::KeyLength(0))));
    let large = "v".repeat(MAX_VALUE_BYTES);
    let revision = store.commit(put("a", &large)).unwrap();
    assert!(matches!(store.commit(put("b", &format!("{large}v"))), Err(CommitError::ValueTooLarge { .. })));
    let twice = Transaction { deletes: vec!["a".to_owned()], ..put("a", "") };
    assert!(matches!(store.commit(twice), Err(CommitError::Duplicate(key)) if key == "a"));
    let many = Transaction { deletes: vec!["a".to_owned(); store.max_operations() + 1], ..Transaction::default() };
    assert!(matches!(store.commit(many), Err(CommitError::TooManyOperations { .. })));
    assert_eq!(store.revision().unwrap(), revision);
}

/// Of many that claim the same key at once exactly one gets it, and no two commits have one revision.
pub fn writers_are_serial(store: Shared) {
    let claim = |who: usize| {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            let claims = (0..50).map(|number| store.commit(create(&format!("claim/{number}"), &who.to_string())));
            claims.filter_map(Result::ok).collect::<Vec<_>>()
        })
    };
    let threads: Vec<_> = (0..8).map(claim).collect();
    let mut revisions: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 50, "each claim was given once");
    let entries = store.list("claim/", None, 100).unwrap().entries;
    let kept: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.modified, entry.key)).collect();
    assert!(kept.into_keys().eq(revisions), "who was told that he has it, has it");
}

/// An export is the same for the same content, and importing it gives that content, once.
pub fn exports_come_back(store: Shared) {
    store.commit(put("a/1", r#"{"x":1}"#)).unwrap();
    store.commit(put("b/1", "plain")).unwrap();
    store.commit(put("secret/1", "hidden")).unwrap();
    let read = |store: &dyn Store| {
        let mut text = Vec::new();
        export(store, &["a/", "b/"], &mut text).unwrap();
        text
    };
    let text = read(&*store);
    assert!(!String::from_utf8_lossy(&text).contains("hidden"));
    let transaction = import(text.as_slice()).unwrap();
    assert_eq!(conflict(store.commit(transaction.clone())).0, "a/1", "an import overwrites nothing");
    store.commit(Transaction { deletes: vec!["a/1".into(), "b/1".into()], ..Transaction::default() }).unwrap();
    store.commit(transaction).unwrap();
    assert_eq!(read(&*store), text);
}

/// A backup that is made while others write is whole; making it twice replaces it.
pub fn a_backup_is_a_store(store: Shared) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy");
    store.commit(put("a", "1")).unwrap();
    store.backup(&path).unwrap();
    store.commit(put("a", "2")).unwrap();
    store.backup(&path).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
}
