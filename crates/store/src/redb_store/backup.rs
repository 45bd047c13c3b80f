//! A copy of all tables as one moment shows them, in a file of its own.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use redb::{Database, Key, ReadTransaction, ReadableTable as _, TableDefinition, Value, WriteTransaction};

use super::{engine, sync_folder, tables};
use crate::Error;

/// Writes the copy beside its place, and puts it there when it is whole.
pub fn write(from: &ReadTransaction, path: &Path) -> Result<(), Error> {
    let io = |what| move |source| Error::Io { what, source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut open = OpenOptions::new();
    // Made here, because redb would let everybody read it.
    open.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(io("write the copy of the store"))?;
    let copy = copy_into(from, &new).and_then(|()| {
        std::fs::rename(&new, path).map_err(io("replace the copy of the store"))?;
        sync_folder(path).map_err(io("write the folder of the copy of the store"))
    });
    if copy.is_err() {
        // Half a copy helps nobody; the error says why there is none.
        let _ = std::fs::remove_file(&new);
    }
    copy
}

fn copy_into(from: &ReadTransaction, path: &Path) -> Result<(), Error> {
    let database = Database::builder().create(path).map_err(engine)?;
    let write = database.begin_write().map_err(engine)?;
    let (entries, history, meta) = tables();
    copy(from, &write, entries)?;
    copy(from, &write, history)?;
    copy(from, &write, meta)?;
    write.commit().map_err(engine)
}

fn copy<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    definition: TableDefinition<'static, K, V>,
) -> Result<(), Error> {
    let source = from.open_table(definition).map_err(engine)?;
    let mut target = to.open_table(definition).map_err(engine)?;
    for row in source.iter().map_err(engine)? {
        let (key, value) = row.map_err(engine)?;
        target.insert(key.value(), value.value()).map_err(engine)?;
    }
    Ok(())
}
