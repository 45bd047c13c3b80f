//! How entries, events and numbers lie in redb's tables.

use std::path::Path;

use redb::{Database, ReadableDatabase as _, ReadableTable, TableDefinition};

use super::engine;
use crate::{Entry, Error, Event, OpenError, Revision};

pub type Entries = TableDefinition<'static, &'static str, &'static [u8]>;
pub type History = TableDefinition<'static, (u64, u32), &'static [u8]>;
pub type Meta = TableDefinition<'static, &'static str, u64>;

/// Key -> created, modified, value.
pub const ENTRIES: Entries = TableDefinition::new("entries");
/// Revision and number of the event in it -> what happened, created, modified, length of the key, key, value.
pub const HISTORY: History = TableDefinition::new("history");
/// The numbers below.
pub const META: Meta = TableDefinition::new("meta");

/// The revision of the last commit.
pub const REVISION: &str = "revision";
/// The last revision whose events are forgotten.
pub const COMPACTED: &str = "compacted";
/// [`LAYOUT`].
const VERSION: &str = "layout";
/// The version of this layout.
const LAYOUT: u64 = 1;

const PUT: u8 = 0;
const DELETED: u8 = 1;

/// Makes the tables of a new file, or judges those of an old one. Returns the revision.
pub fn prepare(database: &Database, path: &Path) -> Result<Revision, OpenError> {
    let failed = |source| OpenError::Failed { path: path.to_owned(), source };
    let foreign = |reason| OpenError::Foreign { path: path.to_owned(), reason };
    let read = database.begin_read().map_err(|error| failed(engine(error)))?;
    let fresh = read.list_tables().map_err(|error| failed(engine(error)))?.next().is_none();
    drop(read);
    if fresh {
        make(database).map_err(failed)?;
        return Ok(0);
    }
    let read = database.begin_read().map_err(|error| failed(engine(error)))?;
    let meta = read.open_table(META).map_err(|error| foreign(error.to_string()))?;
    match number(&meta, VERSION).map_err(failed)? {
        LAYOUT => number(&meta, REVISION).map_err(failed),
        other => Err(foreign(format!("its layout has version {other}, and this netvirt knows version {LAYOUT}"))),
    }
}

/// Makes the tables.
fn make(database: &Database) -> Result<(), Error> {
    let write = database.begin_write().map_err(engine)?;
    write.open_table(ENTRIES).map_err(engine)?;
    write.open_table(HISTORY).map_err(engine)?;
    {
        let mut meta = write.open_table(META).map_err(engine)?;
        for (name, value) in [(VERSION, LAYOUT), (REVISION, 0), (COMPACTED, 0)] {
            meta.insert(name, value).map_err(engine)?;
        }
    }
    write.commit().map_err(engine)
}

/// A number of [`META`]; 0 if it is not there.
pub fn number(meta: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<u64, Error> {
    Ok(meta.get(name).map_err(engine)?.map_or(0, |value| value.value()))
}

/// A row of [`ENTRIES`].
pub fn entry_row(created: Revision, modified: Revision, value: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(16 + value.len());
    row.extend_from_slice(&created.to_be_bytes());
    row.extend_from_slice(&modified.to_be_bytes());
    row.extend_from_slice(value);
    row
}

/// Since when a row of [`ENTRIES`] is, without its value.
pub fn revisions(key: &str, row: &[u8]) -> Result<(Revision, Revision), Error> {
    let entry = entry_parts(row).ok_or_else(|| damaged(key))?;
    Ok((entry.0, entry.1))
}

/// What a row of [`ENTRIES`] means.
pub fn entry(key: &str, row: &[u8]) -> Result<Entry, Error> {
    let (created, modified, value) = entry_parts(row).ok_or_else(|| damaged(key))?;
    Ok(Entry { key: key.to_owned(), value: value.to_vec(), created, modified })
}

fn entry_parts(row: &[u8]) -> Option<(Revision, Revision, &[u8])> {
    let (created, rest) = row.split_first_chunk::<8>()?;
    let (modified, value) = rest.split_first_chunk::<8>()?;
    Some((Revision::from_be_bytes(*created), Revision::from_be_bytes(*modified), value))
}

fn damaged(key: &str) -> Error {
    Error::Damaged(format!("the row of \"{key}\" is too short"))
}

/// A row of [`HISTORY`].
pub fn event_row(event: &Event) -> Vec<u8> {
    let (tag, entry) = match event {
        Event::Put(entry) => (PUT, entry),
        Event::Deleted(entry) => (DELETED, entry),
    };
    let mut row = Vec::with_capacity(21 + entry.key.len() + entry.value.len());
    row.push(tag);
    // The length of a key is checked before it gets here.
    row.extend_from_slice(&u32::try_from(entry.key.len()).unwrap_or(u32::MAX).to_be_bytes());
    row.extend_from_slice(entry.key.as_bytes());
    row.extend_from_slice(&entry_row(entry.created, entry.modified, &entry.value));
    row
}

/// The key of a row of [`HISTORY`], as bytes.
pub fn event_key(row: &[u8]) -> Option<&[u8]> {
    let (length, rest) = row.get(1..)?.split_first_chunk::<4>()?;
    rest.get(..u32::from_be_bytes(*length) as usize)
}

/// What a row of [`HISTORY`] means.
pub fn event(revision: Revision, row: &[u8]) -> Result<Event, Error> {
    let parts = || {
        let key = event_key(row)?;
        let entry = self::entry(std::str::from_utf8(key).ok()?, row.get(5 + key.len()..)?).ok()?;
        match *row.first()? {
            PUT => Some(Event::Put(entry)),
            DELETED => Some(Event::Deleted(entry)),
            _ => None,
        }
    };
    parts().ok_or_else(|| Error::Damaged(format!("an event of revision {revision} cannot be read")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back(key in "[a-z/]{1,40}", value in proptest::collection::vec(any::<u8>(), 0..40), created: u64,
                          modified: u64) {
            let it = Entry { key: key.clone(), value: value.clone(), created, modified };
            prop_assert_eq!(&entry(&key, &entry_row(created, modified, &value)).unwrap(), &it);
            for event in [Event::Put(it.clone()), Event::Deleted(it)] {
                let row = event_row(&event);
                prop_assert_eq!(event_key(&row), Some(key.as_bytes()));
                prop_assert_eq!(self::event(1, &row).unwrap(), event);
            }
        }

        #[test]
        fn rows_of_nonsense_are_refused_or_read(row in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = event(1, &row);
            let _ = entry("a", &row);
        }
    }
}
