//! The fabric as the store has it, in memory: loaded at the start, and again when somebody else has written.

use std::collections::{BTreeMap, HashMap};

use model::fabric::{Key, Kind, Object, ResourceName};
use plan::fabric::{Fabric, Topic, TopicChange, TopicId};
use store::{Condition, Snapshot, Store, Transaction};

use crate::audit::AuditLog;
use crate::error::LoadError;
use crate::limits::SESSION_WRITTEN;
use crate::realized::{Needs, Unrealized};
use crate::records::{self, JoinRecord, SessionRecord, TokenRecord, UserRecord};

/// How many entries are read at a time.
const PAGE: usize = 1000;

/// What one lock guards: everything that a change reads or writes.
#[derive(Default)]
pub struct State {
    pub fabric: Fabric,
    /// The store's revision: of the last commit that is in the fabric.
    pub revision: u64,
    /// The revision that last wrote [`records::FABRIC`].
    head: Option<u64>,
    pub audit: AuditLog,
    pub tokens: BTreeMap<ResourceName, TokenRecord>,
    pub joins: BTreeMap<String, JoinRecord>,
    /// Whether there were users at some time.
    pub users_begun: bool,
    pub users: BTreeMap<ResourceName, UserRecord>,
    /// By the hashes of their secrets.
    pub sessions: HashMap<String, LiveSession>,
    pub needs: Needs,
    pub unrealized: Unrealized,
}

/// A session, and when it was really used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveSession {
    pub record: SessionRecord,
    /// Milliseconds since 1970.
    pub used: u64,
}

impl State {
    /// Reads the store. What it says of claims and what follows from its objects are made to agree, and the
    /// disagreements are returned: there are none unless a version of netvirt claims more than the one before, or the
    /// store was changed by other means.
    pub fn load(store: &dyn Store) -> Result<(Self, Vec<String>), LoadError> {
        // It may have something to bring in order first.
        let audit = AuditLog::load(store)?;
        let snapshot = store.snapshot()?;
        let mut state = Self { audit, revision: snapshot.revision(), ..Self::default() };
        let mut objects = Vec::new();
        each(&*snapshot, records::OBJECTS, |entry| {
            objects.push(records::object(&entry)?);
            Ok(())
        })?;
        state.fabric = Fabric::load(objects);
        state.head = snapshot.get(records::FABRIC)?.map(|entry| entry.modified);
        each(&*snapshot, records::TOKENS, |entry| {
            let name = entry.key[records::TOKENS.len()..].parse().map_err(LoadError::Name)?;
            state.tokens.insert(name, records::read(&entry)?);
            Ok(())
        })?;
        each(&*snapshot, records::JOIN, |entry| {
            state.joins.insert(entry.key[records::JOIN.len()..].to_owned(), records::read(&entry)?);
            Ok(())
        })?;
        state.users_begun = snapshot.get(records::USERS_BEGUN)?.is_some();
        each(&*snapshot, records::USERS, |entry| {
            let name = entry.key[records::USERS.len()..].parse().map_err(LoadError::Name)?;
            state.users.insert(name, records::read(&entry)?);
            Ok(())
        })?;
        each(&*snapshot, records::SESSIONS, |entry| {
            let record: SessionRecord = records::read(&entry)?;
            let used = record.used.saturating_add(SESSION_WRITTEN);
            state.sessions.insert(entry.key[records::SESSIONS.len()..].to_owned(), LiveSession { record, used });
            Ok(())
        })?;
        let mut claims = BTreeMap::new();
        each(&*snapshot, records::CLAIMS, |entry| {
            claims.insert(entry.key, String::from_utf8_lossy(&entry.value).into_owned());
            Ok(())
        })?;
        let (mend, differences) = state.reconcile(claims);
        if !differences.is_empty() {
            state.revision = store.commit(mend)?;
        }
        Ok((state, differences))
    }

    /// What makes the claims those that follow from the objects, and what differs.
    fn reconcile(&self, mut written: BTreeMap<String, String>) -> (Transaction, Vec<String>) {
        let (mut mend, mut differences) = (Transaction::default(), Vec::new());
        for claim in self.fabric.claims() {
            let (key, owner) = (format!("{}{}", records::CLAIMS, claim.key), records::path(&claim.owner));
            let found = written.remove(&key);
            if found.as_ref() != Some(&owner) {
                let found = found.map_or_else(|| "nobody".to_owned(), |other| format!("\"{other}\""));
                differences.push(format!("\"{key}\" belongs to \"{owner}\", but the store said {found}"));
                mend.puts.push((key, owner.into_bytes()));
            }
        }
        for (key, owner) in written {
            differences.push(format!("\"{key}\" belongs to nobody, but the store said \"{owner}\""));
            mend.deletes.push(key);
        }
        (mend, differences)
    }

    /// A transaction that changes the fabric: it fails if anybody else has changed it since.
    pub fn transaction(&self) -> Transaction {
        let key = records::FABRIC.to_owned();
        let condition = match self.head {
            Some(revision) => Condition::Unchanged { key: key.clone(), revision },
            None => Condition::Absent(key.clone()),
        };
        Transaction { conditions: vec![condition], puts: vec![(key, b"{}".to_vec())], deletes: Vec::new() }
    }

    /// The fabric was changed by this revision.
    pub const fn changed(&mut self, revision: u64) {
        self.revision = revision;
        self.head = Some(revision);
    }

    /// The uid of a host.
    pub fn host(&self, name: &ResourceName) -> Option<&Object> {
        self.fabric.get(&Key::global(Kind::Host, name))
    }

    /// Replaces everything by what the store has. Returns what changes for the hosts.
    pub fn replace(&mut self, new: Self) -> Vec<TopicChange> {
        let changes = difference(&self.fabric, &new.fabric);
        let old = std::mem::replace(self, new);
        (self.needs, self.unrealized) = (old.needs, old.unrealized);
        for (hash, session) in &mut self.sessions {
            if let Some(known) = old.sessions.get(hash) {
                session.used = known.used;
            }
        }
        self.needs.update(&self.fabric, &changes, self.revision);
        changes
    }
}

/// Reads everything under a prefix.
pub fn each(
    snapshot: &dyn Snapshot,
    prefix: &str,
    mut visit: impl FnMut(store::Entry) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let mut after = None::<String>;
    loop {
        let page = snapshot.list(prefix, after.as_deref(), PAGE)?;
        after = page.entries.last().map(|entry| entry.key.clone());
        page.entries.into_iter().try_for_each(&mut visit)?;
        if !page.more {
            return Ok(());
        }
    }
}

/// What makes the topics of one fabric those of another.
fn difference(old: &Fabric, new: &Fabric) -> Vec<TopicChange> {
    let empty = Topic::new();
    let mut topics: BTreeMap<&TopicId, (&Topic, &Topic)> =
        old.topics().map(|(id, topic)| (id, (topic, &empty))).collect();
    for (id, topic) in new.topics() {
        topics.entry(id).or_insert((&empty, &empty)).1 = topic;
    }
    let change = |(id, (old, new)): (&TopicId, (&Topic, &Topic))| {
        let puts: Vec<_> =
            new.iter().filter(|(key, resource)| old.get(key) != Some(resource)).map(|(_, it)| it.clone()).collect();
        let deletes: Vec<_> = old.keys().filter(|key| !new.contains_key(key)).cloned().collect();
        let changed = !(puts.is_empty() && deletes.is_empty());
        changed.then(|| TopicChange { topic: id.clone(), puts, deletes })
    };
    topics.into_iter().filter_map(change).collect()
}
