//! A store as text: a header and one JSON object a line, in the order of keys, so that equal contents give equal text.
//!
//! Revisions are left out: they count the commits of one store, and another one counts its own.

use std::io::{BufRead, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{Condition, ImportError, Revision, Snapshot, Store, Transaction};

/// The name of the format, in the header.
pub const EXPORT_FORMAT: &str = "netvirt-store";

/// Its version, in the header.
pub const EXPORT_VERSION: u32 = 1;

/// How many entries are read at a time.
const PAGE: usize = 1000;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
    entries: u64,
}

/// A line: the value as JSON where it is written as we would write it, else as text, else in base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    json: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Line {
    fn of(key: String, value: &[u8]) -> Self {
        let empty = Self { key, json: None, text: None, base64: None };
        // A JSON null would be read back as no value at all.
        let json = serde_json::from_slice::<serde_json::Value>(value).ok().filter(|json| !json.is_null());
        if let Some(json) = json.filter(|json| serde_json::to_vec(json).is_ok_and(|again| again == value)) {
            return Self { json: Some(json), ..empty };
        }
        match std::str::from_utf8(value) {
            Ok(text) => Self { text: Some(text.to_owned()), ..empty },
            Err(_) => Self { base64: Some(STANDARD.encode(value)), ..empty },
        }
    }

    fn value(&self) -> Result<Vec<u8>, String> {
        match (&self.json, &self.text, &self.base64) {
            (Some(json), None, None) => serde_json::to_vec(json).map_err(|error| error.to_string()),
            (None, Some(text), None) => Ok(text.clone().into_bytes()),
            (None, None, Some(base64)) => STANDARD.decode(base64).map_err(|error| error.to_string()),
            _ => Err("exactly one of \"json\", \"text\" and \"base64\" must be there".to_owned()),
        }
    }
}

/// Writes all entries whose key begins with one of the prefixes; these must be ascending, none the beginning of
/// another. Returns the revision that the text shows.
///
/// # Errors
/// When the store cannot be read or the text not be written.
pub fn export(store: &dyn Store, prefixes: &[&str], mut text: impl Write) -> Result<Revision, ImportError> {
    let snapshot = store.snapshot()?;
    let mut entries = 0;
    for prefix in prefixes {
        each(&*snapshot, prefix, |_, _| {
            entries += 1;
            Ok(())
        })?;
    }
    let header = Header { format: EXPORT_FORMAT.to_owned(), version: EXPORT_VERSION, entries };
    serde_json::to_writer(&mut text, &header).map_err(std::io::Error::from)?;
    text.write_all(b"\n")?;
    for prefix in prefixes {
        each(&*snapshot, prefix, |key, value| {
            serde_json::to_writer(&mut text, &Line::of(key, &value)).map_err(std::io::Error::from)?;
            Ok(text.write_all(b"\n")?)
        })?;
    }
    text.flush()?;
    Ok(snapshot.revision())
}

fn each(
    snapshot: &dyn Snapshot,
    prefix: &str,
    mut visit: impl FnMut(String, Vec<u8>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    let mut after = None::<String>;
    loop {
        let page = snapshot.list(prefix, after.as_deref(), PAGE)?;
        after = page.entries.last().map(|entry| entry.key.clone());
        for entry in page.entries {
            visit(entry.key, entry.value)?;
        }
        if !page.more {
            return Ok(());
        }
    }
}

/// Reads an export into a transaction that writes all of it, if none of its keys exists; whoever calls commits it,
/// after judging what is in it, and with what else belongs to it.
///
/// # Errors
/// When the text is no export, or not whole.
pub fn import(text: impl BufRead) -> Result<Transaction, ImportError> {
    let mut lines = text.lines();
    let expected = || ImportError::Header {
        expected: format!("{{\"format\":\"{EXPORT_FORMAT}\",\"version\":{EXPORT_VERSION},\"entries\":N}}"),
    };
    let header = lines.next().transpose()?.ok_or_else(expected)?;
    let header: Header = serde_json::from_str(&header).map_err(|_| expected())?;
    if header.format != EXPORT_FORMAT || header.version != EXPORT_VERSION {
        return Err(expected());
    }
    let mut transaction = Transaction::default();
    for (index, line) in lines.enumerate() {
        let at = |reason| ImportError::Line { line: index + 2, reason };
        let line: Line = serde_json::from_str(&line?).map_err(|error| at(error.to_string()))?;
        let value = line.value().map_err(at)?;
        transaction.conditions.push(Condition::Absent(line.key.clone()));
        transaction.puts.push((line.key, value));
    }
    let found = transaction.puts.len() as u64;
    if found != header.entries {
        return Err(ImportError::Truncated { announced: header.entries, found });
    }
    Ok(transaction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_readable_where_they_can_be() {
        let written = |value: &[u8]| serde_json::to_string(&Line::of("k".into(), value)).unwrap();
        assert_eq!(written(br#"{"b":1,"a":[true]}"#), r#"{"key":"k","json":{"b":1,"a":[true]}}"#);
        assert_eq!(written(br#"{ "b": 1 }"#), r#"{"key":"k","text":"{ \"b\": 1 }"}"#);
        assert_eq!(written(b"null"), r#"{"key":"k","text":"null"}"#);
        assert_eq!(written(&[0xff]), r#"{"key":"k","base64":"/w=="}"#);
    }

    #[test]
    fn what_is_no_export_is_refused_with_its_line() {
        let read = |text: &str| import(text.as_bytes()).unwrap_err().to_string();
        assert!(read("").contains("first line"));
        assert!(read("{\"format\":\"other\",\"version\":1,\"entries\":0}\n").contains("first line"));
        assert!(read("{\"format\":\"netvirt-store\",\"version\":2,\"entries\":0}\n").contains("first line"));
        let head = "{\"format\":\"netvirt-store\",\"version\":1,\"entries\":2}\n";
        assert!(read(&format!("{head}{{\"key\":\"a\",\"json\":1}}\n")).contains("announces 2 entries, and 1"));
        assert!(read(&format!("{head}{{\"key\":\"a\"}}\n")).starts_with("line 2: exactly one"));
        assert!(read(&format!("{head}{{\"key\":\"a\",\"json\":1}}\nnonsense\n")).starts_with("line 3"));
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value in proptest::collection::vec(any::<u8>(), 0..64), text in ".{0,20}") {
            for value in [value, text.into_bytes()] {
                let line = serde_json::to_string(&Line::of("k".into(), &value)).unwrap();
                prop_assert_eq!(serde_json::from_str::<Line>(&line).unwrap().value(), Ok(value));
            }
        }
    }
}
