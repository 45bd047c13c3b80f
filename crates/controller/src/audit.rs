//! The audit log: where its lines lie, how many are kept, and which somebody may read.
//!
//! Each tenant's lines lie by themselves, and so do those of what belongs to no tenant. So a tenant reads its own without
//! a look at anybody else's, and one that changes very much pushes out its own lines and not the others'.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use api::fabric::AuditEntry;
use model::fabric::ResourceName;
use store::{Condition, Entry, Snapshot, Store, Transaction};

use crate::commit::PrepareError;
use crate::error::LoadError;
use crate::limits::{MAX_AUDIT, MAX_AUDIT_OF_TENANT};
use crate::records::{self, AUDIT, AUDIT_COUNTS};
use crate::state::each;

/// Most lines that are read at a time, of one tenant.
const MAX_READ: usize = 256;

/// Whose lines: a tenant's, or those of what belongs to none.
pub type Scope = Option<ResourceName>;

/// What must be known of the audit log to write on.
#[derive(Clone, Debug)]
pub struct AuditLog {
    /// The number of the next line.
    next: u64,
    counts: BTreeMap<Scope, u64>,
    keep: Keep,
}

/// How many lines are kept.
#[derive(Clone, Copy, Debug)]
struct Keep {
    all: u64,
    tenant: u64,
}

/// What changes in [`AuditLog`] once a transaction is written.
#[derive(Debug, Default)]
pub struct Added {
    lines: u64,
    counts: Vec<(Scope, u64)>,
}

impl Default for AuditLog {
    fn default() -> Self {
        let keep = Keep { all: MAX_AUDIT, tenant: MAX_AUDIT_OF_TENANT };
        Self { next: 1, counts: BTreeMap::new(), keep }
    }
}

impl AuditLog {
    /// What the store has. Lines as a version before wrote them, all in one row, are brought into their places first.
    pub fn load(store: &dyn Store) -> Result<Self, LoadError> {
        let mut log = Self::default();
        let mut snapshot = store.snapshot()?;
        if snapshot.list(AUDIT_COUNTS, None, 1)?.entries.is_empty() {
            sort(store)?;
            snapshot = store.snapshot()?;
        }
        each(&*snapshot, AUDIT_COUNTS, |entry| {
            let scope = scope(&entry.key[AUDIT_COUNTS.len()..]).map_err(LoadError::Name)?;
            let newest = snapshot.list(&lines_of(&scope), None, 1)?.entries.pop();
            log.next = log.next.max(newest.map_or(0, |line| number(&line.key)) + 1);
            log.counts.insert(scope, records::read(&entry)?);
            Ok(())
        })?;
        Ok(log)
    }

    /// Whether anything was ever written down.
    pub const fn has_begun(&self) -> bool {
        self.next > 1
    }

    /// Takes lines into a transaction, in their order; what is beyond the limits goes, the oldest first.
    pub fn add(
        &self,
        transaction: &mut Transaction,
        lines: Vec<AuditEntry>,
        store: &dyn Store,
    ) -> Result<Added, PrepareError> {
        let mut new: BTreeMap<Scope, u64> = BTreeMap::new();
        for line in &lines {
            *new.entry(line.tenant.clone()).or_default() += 1;
        }
        let mut surplus = self.surplus(&new);
        let mut added = Added { lines: lines.len() as u64, counts: Vec::new() };
        let mut touched: Vec<&Scope> = new.keys().chain(surplus.keys()).collect();
        touched.sort_unstable();
        touched.dedup();
        for scope in touched {
            let (had, gains) = (self.count(scope), new.get(scope).copied().unwrap_or_default());
            let count = (had + gains).saturating_sub(surplus.get(scope).copied().unwrap_or_default());
            added.counts.push((scope.clone(), count));
            let key = format!("{AUDIT_COUNTS}{}", records::owner(scope.as_ref()));
            match count {
                0 if had == 0 => {}
                0 => transaction.deletes.push(key),
                _ => transaction.puts.push((key, count.to_string().into_bytes())),
            }
        }
        for (scope, surplus) in surplus.iter_mut().filter(|(_, surplus)| **surplus > 0) {
            let old = (*surplus).min(self.count(scope));
            let limit = usize::try_from(old).unwrap_or(usize::MAX);
            transaction.deletes.extend(store.snapshot()?.last(&lines_of(scope), limit)?);
            // The rest goes before it has come.
            *surplus -= old;
        }
        for (id, mut line) in (self.next..).zip(lines) {
            if let Some(surplus) = surplus.get_mut(&line.tenant).filter(|surplus| **surplus > 0) {
                *surplus -= 1;
                continue;
            }
            line.id = id;
            let key = records::audit_key(line.tenant.as_ref(), id);
            transaction.conditions.push(Condition::Absent(key.clone()));
            transaction.puts.push((key, serde_json::to_vec(&line)?));
        }
        Ok(added)
    }

    /// The transaction is written.
    pub fn written(&mut self, added: Added) {
        self.next += added.lines;
        for (scope, count) in added.counts {
            if count == 0 {
                self.counts.remove(&scope);
            } else {
                self.counts.insert(scope, count);
            }
        }
    }

    fn count(&self, scope: &Scope) -> u64 {
        self.counts.get(scope).copied().unwrap_or_default()
    }

    /// How many of the oldest lines must go with so many new ones: of a tenant with too many, its own; with too many in
    /// all, of whoever has most.
    fn surplus(&self, new: &BTreeMap<Scope, u64>) -> BTreeMap<Scope, u64> {
        let mut gone: BTreeMap<Scope, u64> = BTreeMap::new();
        for (scope, gains) in new.iter().filter(|(scope, _)| scope.is_some()) {
            let surplus = (self.count(scope) + gains).saturating_sub(self.keep.tenant);
            if surplus > 0 {
                gone.insert(scope.clone(), surplus);
            }
        }
        let sum = |counts: &BTreeMap<Scope, u64>| counts.values().sum::<u64>();
        let mut surplus = (sum(&self.counts) + sum(new)).saturating_sub(sum(&gone) + self.keep.all);
        if surplus == 0 {
            return gone;
        }
        let mut counts = self.counts.clone();
        new.iter().for_each(|(scope, gains)| *counts.entry(scope.clone()).or_default() += gains);
        gone.iter().for_each(|(scope, loses)| *counts.entry(scope.clone()).or_default() -= loses);
        let mut longest: BinaryHeap<(u64, Scope)> = counts.into_iter().map(|(scope, count)| (count, scope)).collect();
        while surplus > 0
            && let Some((count, scope)) = longest.pop()
        {
            let second = longest.peek().map_or(0, |(count, _)| *count);
            let loses = (count - second).max(1).min(surplus).min(count);
            surplus -= loses;
            *gone.entry(scope.clone()).or_default() += loses;
            longest.push((count - loses, scope));
        }
        gone
    }
}

/// The newest lines, of one tenant or of all, that have lower numbers than `before`.
pub fn read(
    snapshot: &dyn Snapshot,
    tenant: Option<&ResourceName>,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<AuditEntry>, LoadError> {
    let mut scopes: Vec<Scope> = tenant.into_iter().cloned().map(Some).collect();
    if tenant.is_none() {
        each(snapshot, AUDIT_COUNTS, |entry| {
            scopes.push(scope(&entry.key[AUDIT_COUNTS.len()..]).map_err(LoadError::Name)?);
            Ok(())
        })?;
    }
    let mut rows: Vec<Row> = scopes.iter().map(|scope| Row::new(scope, before)).collect();
    let mut next = BinaryHeap::new();
    for (place, row) in rows.iter_mut().enumerate() {
        next.extend(row.number(snapshot)?.map(|number| (number, place)));
    }
    let mut lines = Vec::new();
    while lines.len() < limit
        && let Some((_, place)) = next.pop()
    {
        let row = &mut rows[place];
        if let Some(line) = row.read.pop_front() {
            lines.push(records::read(&line)?);
        }
        next.extend(row.number(snapshot)?.map(|number| (number, place)));
    }
    Ok(lines)
}

/// The lines of one scope, from the newest on. Of many scopes few lines are wanted, so that it reads one, then more.
struct Row {
    prefix: String,
    after: Option<String>,
    read: VecDeque<Entry>,
    more: bool,
    size: usize,
}

impl Row {
    fn new(scope: &Scope, before: Option<u64>) -> Self {
        let after = before.map(|before| records::audit_key(scope.as_ref(), before));
        Self { prefix: lines_of(scope), after, read: VecDeque::new(), more: true, size: 1 }
    }

    /// The number of the next line.
    fn number(&mut self, snapshot: &dyn Snapshot) -> Result<Option<u64>, store::Error> {
        if self.read.is_empty() && self.more {
            let page = snapshot.list(&self.prefix, self.after.as_deref(), self.size)?;
            self.after = page.entries.last().map(|line| line.key.clone());
            (self.more, self.size) = (page.more, (self.size * 4).min(MAX_READ));
            self.read = page.entries.into();
        }
        Ok(self.read.front().map(|line| number(&line.key)))
    }
}

/// Brings lines into their places that lie in one row, and counts all lines.
fn sort(store: &dyn Store) -> Result<(), LoadError> {
    let snapshot = store.snapshot()?;
    let (mut counts, mut moved) = (BTreeMap::<Scope, u64>::new(), Transaction::default());
    each(&*snapshot, AUDIT, |entry| {
        let line: AuditEntry = records::read(&entry)?;
        let key = records::audit_key(line.tenant.as_ref(), line.id);
        *counts.entry(line.tenant).or_default() += 1;
        if key != entry.key {
            moved.deletes.push(entry.key);
            moved.puts.push((key, entry.value));
        }
        // What is written so far is found in its place after a crash, and only counted.
        if moved.puts.len() >= 10_000 {
            store.commit(std::mem::take(&mut moved))?;
        }
        Ok(())
    })?;
    for (scope, count) in counts {
        moved.puts.push((format!("{AUDIT_COUNTS}{}", records::owner(scope.as_ref())), count.to_string().into_bytes()));
    }
    store.commit(moved)?;
    Ok(())
}

/// Where the lines of a scope lie.
fn lines_of(scope: &Scope) -> String {
    format!("{AUDIT}{}/", records::owner(scope.as_ref()))
}

/// The scope with this name in keys.
fn scope(text: &str) -> Result<Scope, model::fabric::ResourceNameError> {
    if text == records::NOBODY { Ok(None) } else { text.parse().map(Some) }
}

/// The number of the line under this key.
fn number(key: &str) -> u64 {
    let digits = key.rsplit('/').next().and_then(|digits| digits.parse::<u64>().ok());
    digits.map_or(0, |digits| u64::MAX - digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{Options, RedbStore};

    fn new_store() -> (RedbStore, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (RedbStore::open(&folder.path().join("store.redb"), Options::default()).unwrap(), folder)
    }

    fn name(text: &str) -> ResourceName {
        text.parse().unwrap()
    }

    fn line(tenant: Option<&str>, object: &str) -> AuditEntry {
        AuditEntry {
            id: 0,
            time: String::new(),
            who: "tim".to_owned(),
            action: "create".to_owned(),
            object: object.to_owned(),
            tenant: tenant.map(name),
            before: serde_json::Value::Null,
            after: serde_json::Value::Null,
        }
    }

    /// Adds lines in one transaction.
    fn write(log: &mut AuditLog, store: &RedbStore, lines: Vec<AuditEntry>) {
        let mut transaction = Transaction::default();
        let added = log.add(&mut transaction, lines, store).unwrap();
        store.commit(transaction).unwrap();
        log.written(added);
        assert_eq!(format!("{:?}", AuditLog::load(store).unwrap().counts), format!("{:?}", log.counts));
        assert_eq!(AuditLog::load(store).unwrap().next, log.next);
    }

    fn numbers(store: &RedbStore, tenant: Option<&str>, before: Option<u64>, limit: usize) -> Vec<u64> {
        let tenant = tenant.map(name);
        let lines = read(&*store.snapshot().unwrap(), tenant.as_ref(), before, limit).unwrap();
        lines.into_iter().map(|line| line.id).collect()
    }

    fn lines(tenant: Option<&str>, count: usize) -> Vec<AuditEntry> {
        (0..count).map(|number| line(tenant, &number.to_string())).collect()
    }

    #[test]
    fn a_tenant_reads_its_own_and_an_admin_all_in_order() {
        let (store, _folder) = new_store();
        let mut log = AuditLog::default();
        assert!(!log.has_begun());
        for _ in 0..40 {
            write(&mut log, &store, vec![line(None, "a"), line(Some("blue"), "b"), line(Some("blue 2"), "c")]);
        }
        assert!(log.has_begun());
        let all: Vec<u64> = (1..=120).rev().collect();
        assert_eq!(numbers(&store, None, None, 500), all);
        assert_eq!(numbers(&store, None, Some(50), 7), (43..50).rev().collect::<Vec<u64>>());
        let blue: Vec<u64> = all.iter().copied().filter(|number| number % 3 == 2).collect();
        assert_eq!(numbers(&store, Some("blue"), None, 500), blue);
        assert_eq!(numbers(&store, Some("blue"), Some(50), 2), [47, 44]);
        assert_eq!(numbers(&store, Some("red"), None, 500), [0; 0]);
    }

    #[test]
    fn who_changes_much_pushes_out_its_own_lines() {
        let (store, _folder) = new_store();
        let mut log = AuditLog { keep: Keep { all: 20, tenant: 8 }, ..AuditLog::default() };
        write(&mut log, &store, vec![line(Some("red"), "r"), line(None, "o")]);
        for _ in 0..10 {
            write(&mut log, &store, lines(Some("blue"), 3));
        }
        assert_eq!(numbers(&store, Some("blue"), None, 100), (25..=32).rev().collect::<Vec<u64>>());
        assert_eq!(numbers(&store, Some("red"), None, 100), [1]);
        // More in one transaction than are kept: the last ones stay.
        write(&mut log, &store, lines(Some("blue"), 50));
        assert_eq!(numbers(&store, Some("blue"), None, 100), (75..=82).rev().collect::<Vec<u64>>());
        assert_eq!(numbers(&store, None, None, 100).len(), 10);
    }

    #[test]
    fn with_too_many_in_all_those_go_who_have_most() {
        let (store, _folder) = new_store();
        let mut log = AuditLog { keep: Keep { all: 20, tenant: 8 }, ..AuditLog::default() };
        write(&mut log, &store, [lines(Some("a"), 8), lines(Some("b"), 8), lines(None, 4)].concat());
        write(&mut log, &store, lines(Some("c"), 2));
        let count = |log: &AuditLog, tenant: Option<&str>| log.count(&tenant.map(name));
        assert_eq!((count(&log, Some("a")), count(&log, Some("b")), count(&log, Some("c"))), (7, 7, 2));
        assert_eq!(numbers(&store, Some("a"), None, 100), (2..=8).rev().collect::<Vec<u64>>());
        assert_eq!((count(&log, None), numbers(&store, None, None, 100).len()), (4, 20));
        // What belongs to no tenant has no limit of its own, and gives way as well when there is most of it.
        write(&mut log, &store, lines(None, 30));
        assert_eq!(numbers(&store, None, None, 100).len(), 20);
        assert!(count(&log, Some("c")) == 2 && count(&log, None) >= count(&log, Some("a")), "{log:?}");
        write(&mut log, &store, lines(None, 1));
        assert_eq!(numbers(&store, None, None, 100).len(), 20);
    }

    #[test]
    fn lines_in_one_row_are_brought_into_their_places() {
        let (store, _folder) = new_store();
        let mut old = Transaction::default();
        for id in 1..=25_000_u64 {
            let line = AuditEntry { id, ..line((id % 2 == 0).then_some("blue"), "x") };
            old.puts.push((format!("{AUDIT}{:020}", u64::MAX - id), serde_json::to_vec(&line).unwrap()));
        }
        store.commit(old).unwrap();
        let log = AuditLog::load(&store).unwrap();
        assert_eq!((log.next, log.count(&None), log.count(&Some(name("blue")))), (25_001, 12_500, 12_500));
        assert_eq!(numbers(&store, Some("blue"), Some(9), 100), [8, 6, 4, 2]);
        assert_eq!(numbers(&store, None, Some(4), 100), [3, 2, 1]);
        let revision = store.revision().unwrap();
        AuditLog::load(&store).unwrap();
        assert_eq!(store.revision().unwrap(), revision, "once");
    }
}
