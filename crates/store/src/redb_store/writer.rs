//! The one thread that writes: takes what waits, judges one transaction after the other, and makes all of them durable
//! with one fsync.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, SyncSender};

use redb::{ReadableTable as _, ReadableTableMetadata as _, Table};

use super::layout::{self, COMPACTED, ENTRIES, HISTORY, META, REVISION};
use super::{MAX_GROUP, MAX_OPERATIONS, Options, Shared, engine};
use crate::{CommitError, Condition, Entry, Error, Event, MAX_KEY_BYTES, MAX_VALUE_BYTES, Revision, Transaction};

/// A transaction, and who waits for it.
pub struct Job {
    pub transaction: Transaction,
    pub reply: SyncSender<Result<Revision, CommitError>>,
}

/// What the writer is asked for.
pub enum Request {
    Commit(Job),
    Compact { upto: Revision, reply: SyncSender<Result<(), Error>> },
}

/// What can be said of a transaction without looking at the store.
pub fn check(transaction: &Transaction) -> Result<(), CommitError> {
    let operations = transaction.operations();
    if operations > MAX_OPERATIONS {
        return Err(CommitError::TooManyOperations { operations, limit: MAX_OPERATIONS });
    }
    let mut seen = HashSet::with_capacity(transaction.puts.len() + transaction.deletes.len());
    for key in transaction.puts.iter().map(|(key, _)| key).chain(&transaction.deletes) {
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(CommitError::KeyLength(key.len()));
        }
        if !seen.insert(key) {
            return Err(CommitError::Duplicate(key.clone()));
        }
    }
    match transaction.puts.iter().find(|(_, value)| value.len() > MAX_VALUE_BYTES) {
        Some((key, value)) => Err(CommitError::ValueTooLarge { key: key.clone(), bytes: value.len() }),
        None => Ok(()),
    }
}

/// Carries out requests until nobody can make any more.
pub fn run(shared: &Shared, options: Options, requests: &Receiver<Request>) {
    let mut postponed = None;
    while let Some(request) = postponed.take().or_else(|| requests.recv().ok()) {
        match request {
            Request::Compact { upto, reply } => {
                let _ = reply.send(compact(shared, upto));
            }
            Request::Commit(job) => {
                let mut group = vec![job];
                while group.len() < MAX_GROUP {
                    match requests.try_recv() {
                        Ok(Request::Commit(job)) => group.push(job),
                        Ok(other) => {
                            postponed = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                commit(shared, options, group);
            }
        }
    }
}

/// Carries out a group and answers everybody in it.
fn commit(shared: &Shared, options: Options, group: Vec<Job>) {
    let (transactions, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|job| (job.transaction, job.reply)).unzip();
    match write(shared, options, transactions) {
        Ok((latest, results)) => {
            *shared.latest.lock() = Some(latest);
            shared.changed.notify_all();
            for (reply, result) in replies.into_iter().zip(results) {
                // Who does not wait any more does not want to know.
                let _ = reply.send(result);
            }
        }
        Err(error) => {
            tracing::error!("{error}");
            let text = error.to_string();
            for reply in replies {
                let _ = reply.send(Err(Error::Engine(text.clone()).into()));
            }
        }
    }
}

type Results = Vec<Result<Revision, CommitError>>;

fn write(shared: &Shared, options: Options, transactions: Vec<Transaction>) -> Result<(Revision, Results), Error> {
    let write = shared.database.begin_write().map_err(engine)?;
    let mut results = Vec::with_capacity(transactions.len());
    let (first, last) = {
        let mut tables = Tables {
            entries: write.open_table(ENTRIES).map_err(engine)?,
            history: write.open_table(HISTORY).map_err(engine)?,
        };
        let mut meta = write.open_table(META).map_err(engine)?;
        let first = layout::number(&meta, REVISION)?;
        let mut last = first;
        for transaction in transactions {
            let result = tables.judge(&transaction)?;
            if result.is_ok() && !(transaction.puts.is_empty() && transaction.deletes.is_empty()) {
                last += 1;
                tables.apply(transaction, last)?;
            }
            results.push(result.map(|()| last));
        }
        if last > first {
            meta.insert(REVISION, last).map_err(engine)?;
            if let Some(forgotten) = tables.trim(options.history_events, last)? {
                meta.insert(COMPACTED, forgotten).map_err(engine)?;
            }
        }
        (first, last)
    };
    if last > first {
        write.commit().map_err(engine)?;
    } else {
        write.abort().map_err(engine)?;
    }
    Ok((last, results))
}

struct Tables<'a> {
    entries: Table<'a, &'static str, &'static [u8]>,
    history: Table<'a, (u64, u32), &'static [u8]>,
}

impl Tables<'_> {
    /// Whether all conditions hold.
    fn judge(&self, transaction: &Transaction) -> Result<Result<(), CommitError>, Error> {
        for condition in &transaction.conditions {
            let key = condition.key();
            let row = self.entries.get(key).map_err(engine)?;
            let found = row.map(|row| layout::revisions(key, row.value())).transpose()?.map(|(_, modified)| modified);
            let holds = match condition {
                Condition::Absent(_) => found.is_none(),
                Condition::Unchanged { revision, .. } => found == Some(*revision),
            };
            if !holds {
                return Ok(Err(CommitError::Conflict { key: key.to_owned(), found }));
            }
        }
        Ok(Ok(()))
    }

    /// Writes and deletes, and remembers it as events in the order of keys.
    fn apply(&mut self, transaction: Transaction, revision: Revision) -> Result<(), Error> {
        let mut operations: Vec<(String, Option<Vec<u8>>)> =
            transaction.puts.into_iter().map(|(key, value)| (key, Some(value))).collect();
        operations.extend(transaction.deletes.into_iter().map(|key| (key, None)));
        operations.sort_by(|one, other| one.0.cmp(&other.0));
        let mut number = 0;
        for (key, value) in operations {
            let event = match value {
                Some(value) => {
                    let before = self.entries.get(key.as_str()).map_err(engine)?;
                    let before = before.map(|row| layout::revisions(&key, row.value())).transpose()?;
                    let created = before.map_or(revision, |(created, _)| created);
                    let row = layout::entry_row(created, revision, &value);
                    self.entries.insert(key.as_str(), row.as_slice()).map_err(engine)?;
                    Event::Put(Entry { key, value, created, modified: revision })
                }
                None => {
                    let before = self.entries.remove(key.as_str()).map_err(engine)?;
                    let Some(before) = before.map(|row| layout::entry(&key, row.value())).transpose()? else {
                        continue;
                    };
                    Event::Deleted(before)
                }
            };
            self.history.insert((revision, number), layout::event_row(&event).as_slice()).map_err(engine)?;
            number += 1;
        }
        Ok(())
    }

    /// Forgets the oldest commits, as long as there are more events than the limit, but never the last commit. Returns
    /// the last one that was forgotten.
    fn trim(&mut self, limit: u64, last: Revision) -> Result<Option<Revision>, Error> {
        let mut surplus = self.history.len().map_err(engine)?.saturating_sub(limit);
        let mut forgotten = None;
        loop {
            let first = self.history.first().map_err(engine)?.map(|(key, _)| key.value().0);
            match first {
                Some(first) if first < last && (surplus > 0 || forgotten == Some(first)) => {
                    self.history.pop_first().map_err(engine)?;
                    surplus = surplus.saturating_sub(1);
                    forgotten = Some(first);
                }
                _ => return Ok(forgotten),
            }
        }
    }
}

fn compact(shared: &Shared, upto: Revision) -> Result<(), Error> {
    let write = shared.database.begin_write().map_err(engine)?;
    {
        let mut meta = write.open_table(META).map_err(engine)?;
        let mut history = write.open_table(HISTORY).map_err(engine)?;
        let upto = upto.min(layout::number(&meta, REVISION)?);
        if upto > layout::number(&meta, COMPACTED)? {
            history.retain_in(..=(upto, u32::MAX), |_, _| false).map_err(engine)?;
            meta.insert(COMPACTED, upto).map_err(engine)?;
        }
    }
    write.commit().map_err(engine)
}
