//! Everything at once: export, import, backup.

use std::collections::BTreeMap;

use api::{Problem, ProblemType};
use model::fabric::{DEFAULT_MAC_POOL, DEFAULT_TENANT, Kind, Object};
use plan::fabric::{Fabric, MAX_OBJECTS};
use store::{ImportError, Transaction};

use crate::commit::{self, Actor};
use crate::core::{Core, Prepared};
use crate::records;

/// What an export holds: what is declared, and what was given. Neither tokens nor the audit log.
const EXPORTED: [&str; 2] = [records::CLAIMS, records::OBJECTS];

pub fn export(core: &Core) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    store::export(&*core.store, &EXPORTED, &mut text).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(text)
}

/// Fills an empty controller. Returns how many resources there are then.
pub fn import(core: &Core, actor: &Actor, text: &[u8]) -> Result<u64, Problem> {
    let read = store::import(text).map_err(|error| match error {
        ImportError::Io(_) | ImportError::Line { .. } | ImportError::Header { .. } | ImportError::Truncated { .. } => {
            Problem::bad_request(error.to_string())
        }
        error => Problem::internal(error.to_string()),
    })?;
    let count = judge(&read)?;
    core.transact(actor, false, |state| {
        if let Some(object) = state.fabric.iter().find(|object| !is_default(object)) {
            return Err(Problem::conflict(format!(
                "an import fills an empty controller, and this one has resources already, {} for one; import into a \
                 new one",
                object.key()
            )));
        }
        // What exists from the first start on is replaced by what the export has of it.
        let mut extra = Transaction { puts: read.puts.clone(), ..Transaction::default() };
        let written: std::collections::BTreeSet<&str> = read.puts.iter().map(|(key, _)| key.as_str()).collect();
        let defaults = state.fabric.iter().map(|object| records::object_key(&object.key()));
        extra.deletes = defaults.filter(|key| !written.contains(key.as_str())).collect();
        let line = commit::audit(
            actor,
            "import",
            format!("{count} resources"),
            serde_json::Value::Null,
            serde_json::Value::Null,
        );
        Ok(Prepared { extra, lines: vec![line], reload: true, ..Prepared::default() })
    })?;
    Ok(count)
}

fn is_default(object: &Object) -> bool {
    let name = object.resource.name.as_str();
    match object.resource.kind() {
        Kind::Tenant => name == DEFAULT_TENANT,
        Kind::MacPool => name == DEFAULT_MAC_POOL,
        _ => false,
    }
}

/// Whether the text holds objects that can be, and just the claims that follow from them. Returns how many objects.
fn judge(read: &Transaction) -> Result<u64, Problem> {
    let invalid = |detail: String| Problem::new(ProblemType::Invalid, detail);
    let (mut objects, mut claims) = (Vec::new(), BTreeMap::new());
    for (key, value) in &read.puts {
        if key.starts_with(records::CLAIMS) {
            claims.insert(key.as_str(), String::from_utf8_lossy(value));
            continue;
        }
        let entry = store::Entry { key: key.clone(), value: value.clone(), created: 1, modified: 1 };
        let object = records::object(&entry).map_err(|error| invalid(error.to_string()))?;
        if records::object_key(&object.key()) != *key {
            return Err(invalid(format!("under \"{key}\" stands {}; the export was changed by hand", object.key())));
        }
        objects.push(object);
    }
    if objects.len() > MAX_OBJECTS {
        return Err(invalid(format!("{} resources are more than the {MAX_OBJECTS} that there can be", objects.len())));
    }
    let count = objects.len() as u64;
    for claim in Fabric::load(objects).claims() {
        let key = format!("{}{}", records::CLAIMS, claim.key);
        if claims.remove(key.as_str()).as_deref() != Some(&records::path(&claim.owner)) {
            return Err(invalid(format!("\"{key}\" must belong to {}; the export was changed by hand", claim.owner)));
        }
    }
    match claims.into_iter().next() {
        Some((key, owner)) => Err(invalid(format!(
            "\"{key}\" belongs to \"{owner}\", which has no use for it; the export was changed by hand"
        ))),
        None => Ok(count),
    }
}

pub fn backup(core: &Core) -> Result<Vec<u8>, Problem> {
    let path = core.settings.scratch.join(format!("backup-{}.redb", uuid::Uuid::new_v4().simple()));
    let copy = core.store.backup(&path).map_err(|error| error.to_string());
    let bytes = copy.and_then(|()| std::fs::read(&path).map_err(|error| format!("cannot read the backup: {error}")));
    // It holds secrets, and is not needed any more.
    let _ = std::fs::remove_file(&path);
    bytes.map_err(Problem::internal)
}
