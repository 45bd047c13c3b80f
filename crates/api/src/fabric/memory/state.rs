//! What a [`super::MemoryFabric`] holds, and what changes do to it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::fabric::{Key, Kind, Resource, ResourceName, Spec};
use serde_json::Value;
use uuid::Uuid;

use super::accounts::Accounts;
use super::{ADMIN_PASSWORD, ADMIN_SECRET, rfc3339};
use crate::fabric::accounts::{NewUser, User};
use crate::fabric::{
    AuditEntry, Change, ChangeReport, ChangeResult, ChangeSet, Event, EventKind, Item, NewToken, Role, Token,
    TokenCreated,
};
use crate::{Outcome, Problem, ProblemType};

/// How many events are kept for watches that resume.
const MAX_EVENTS: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    pub(super) started: SystemTime,
    pub(super) revision: u64,
    pub(super) objects: BTreeMap<Key, Item>,
    pub(super) tokens: BTreeMap<ResourceName, TokenCreated>,
    pub(super) accounts: Accounts,
    pub(super) audit: Vec<AuditEntry>,
    /// Events after `forgotten`.
    pub(super) events: VecDeque<Event>,
    /// The last revision whose events are gone.
    forgotten: u64,
    /// How many events there ever were, so that a watch knows its place.
    pub(super) told: u64,
}

pub(super) fn missing(key: &Key) -> Problem {
    Problem::not_found(format!("there is no {key}; see \"netvirt get {}\"", key.kind.plural()))
}

/// Place in a list as text.
pub(super) fn token_of_item(item: &Item) -> String {
    let tenant = item.tenant.as_ref().map_or("", |tenant| tenant.as_str());
    BASE64_URL_SAFE_NO_PAD.encode(format!("{tenant}/{}", item.name))
}

/// The same back.
pub(super) fn key_of_token(token: &str) -> Result<(Option<ResourceName>, ResourceName), Problem> {
    let read = || {
        let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (tenant, name) = text.split_once('/')?;
        let tenant = if tenant.is_empty() { None } else { Some(tenant.parse().ok()?) };
        Some((tenant, name.parse().ok()?))
    };
    read().ok_or_else(|| {
        Problem::bad_request(format!("continue={token} was given by no page; begin with the first one, without it"))
    })
}

/// The time after so many seconds.
pub(super) fn later(seconds: u64) -> Result<String, Problem> {
    /// A hundred years.
    const LONGEST: u64 = 100 * 365 * 86_400;
    if seconds == 0 || seconds > LONGEST {
        let detail = format!("a token cannot last {seconds} s; give 1 to {LONGEST}, or none");
        return Err(Problem::invalid(detail));
    }
    Ok(rfc3339(SystemTime::now() + Duration::from_secs(seconds)))
}

impl State {
    pub(super) fn new() -> Self {
        let mut state = Self {
            started: SystemTime::now(),
            revision: 0,
            objects: BTreeMap::new(),
            tokens: BTreeMap::new(),
            accounts: Accounts::default(),
            audit: Vec::new(),
            events: VecDeque::new(),
            forgotten: 0,
            told: 0,
        };
        let resource = Resource::new(None, ResourceName::default_tenant(), model::fabric::Tenant::default());
        let changes = ChangeSet { changes: vec![Change::Create(resource)], ..ChangeSet::default() };
        // Nothing is there that could stand against it.
        let _ = state.change("controller", changes);
        if let Ok(name) = "admin".parse::<ResourceName>() {
            let token = Token {
                name: name.clone(),
                role: Role::Admin,
                tenant: None,
                created: rfc3339(state.started),
                expires: None,
            };
            let password = Some(ADMIN_PASSWORD.into());
            let _ = state.accounts.create(NewUser { name: name.clone(), role: Role::Admin, tenant: None, password });
            state.tokens.insert(name, TokenCreated { token, secret: ADMIN_SECRET.to_owned() });
        }
        state
    }

    pub(super) fn connected_hosts(&self) -> u32 {
        let connected = self.objects.values().filter(|item| item.status.connected == Some(true)).count();
        u32::try_from(connected).unwrap_or(u32::MAX)
    }

    pub(super) fn forget(&mut self) {
        self.events.clear();
        self.forgotten = self.revision;
    }

    /// The number of the first event after a revision; of the next one, if none is named.
    pub(super) fn after(&self, from: Option<u64>) -> Result<u64, Problem> {
        let Some(from) = from else { return Ok(self.told) };
        if from < self.forgotten {
            let detail = format!("revision {from} is kept no longer; list again, and watch from the list's revision");
            return Err(Problem::new(ProblemType::Gone, detail));
        }
        let later = self.events.iter().filter(|event| event.revision > from).count();
        Ok(self.told - later as u64)
    }

    /// All changes, or none.
    pub(super) fn change(&mut self, who: &str, changes: ChangeSet) -> Result<ChangeReport, Problem> {
        let before = self.objects.clone();
        let revision = self.revision + 1;
        let mut results = vec![None; changes.changes.len()];
        let mut problems = Vec::new();
        let mut ordered = changes.changes.into_iter().enumerate().collect::<Vec<_>>();
        ordered.sort_by_key(|(_, change)| {
            let rank = Kind::ALL.iter().position(|kind| *kind == change.key().kind).unwrap_or(0);
            if matches!(change, Change::Delete { .. }) { Kind::ALL.len() * 2 - rank } else { rank }
        });
        for (index, change) in ordered {
            match self.one(change, revision) {
                Ok(result) => results[index] = Some(result),
                Err(problem) => problems.push(problem),
            }
        }
        let results = results.into_iter().flatten().collect::<Vec<_>>();
        let after = if problems.is_empty() && !changes.dry_run { None } else { Some(before.clone()) };
        if let Some(objects) = after {
            self.objects = objects;
        }
        if let Some(first) = problems.first() {
            let problem_type = if problems.len() == 1 { first.problem_type } else { ProblemType::Invalid };
            return Err(Problem::with_errors(
                problem_type,
                problems.into_iter().map(|problem| problem.detail).collect(),
            ));
        }
        if !changes.dry_run && results.iter().any(|result| result.outcome != Outcome::Unchanged) {
            self.revision = revision;
            results.iter().for_each(|result| self.note(who, result, before.get(&result.item.key())));
        }
        Ok(ChangeReport { results, revision: self.revision, findings: Vec::new() })
    }

    /// Tells watches and the audit log.
    fn note(&mut self, who: &str, result: &ChangeResult, before: Option<&Item>) {
        let (event, action) = match result.outcome {
            Outcome::Unchanged => return,
            Outcome::Created => (EventKind::Changed, "create"),
            Outcome::Configured => (EventKind::Changed, "configure"),
            Outcome::Deleted => (EventKind::Deleted, "delete"),
        };
        let item = &result.item;
        self.events.push_back(Event { event, revision: self.revision, item: item.clone() });
        self.told += 1;
        if self.events.len() > MAX_EVENTS
            && let Some(oldest) = self.events.pop_front()
        {
            self.forgotten = oldest.revision;
        }
        self.audit.push(AuditEntry {
            id: self.audit.len() as u64 + 1,
            time: rfc3339(SystemTime::now()),
            who: who.to_owned(),
            action: action.to_owned(),
            object: item.key().to_string(),
            tenant: item.tenant.clone(),
            before: before.map_or(Value::Null, |before| before.spec.clone()),
            after: if event == EventKind::Deleted { Value::Null } else { item.spec.clone() },
        });
    }

    /// Tells the audit log what was done to a user, or by it.
    pub(super) fn note_account(&mut self, who: &str, action: &str, user: &User) {
        self.audit.push(AuditEntry {
            id: self.audit.len() as u64 + 1,
            time: rfc3339(SystemTime::now()),
            who: who.to_owned(),
            action: action.to_owned(),
            object: format!("user \"{}\"", user.name),
            tenant: user.tenant.clone(),
            before: Value::Null,
            after: Value::Null,
        });
    }

    fn one(&mut self, change: Change, revision: u64) -> Result<ChangeResult, Problem> {
        let key = change.key();
        let old = self.objects.get(&key);
        let seen = match &change {
            Change::Create(_) => None,
            Change::Put { revision, .. } | Change::Replace { revision, .. } | Change::Delete { revision, .. } => {
                *revision
            }
        };
        if let (Some(seen), Some(old)) = (seen, old)
            && seen != old.revision
        {
            let detail = format!(
                "{key} has revision {}, not {seen} any more; get it anew, see what has changed, and try again",
                old.revision
            );
            return Err(Problem::new(ProblemType::PreconditionFailed, detail));
        }
        match change {
            Change::Create(_) if old.is_some() => {
                Err(Problem::conflict(format!("{key} exists; change it with \"netvirt set {key}\"")))
            }
            Change::Replace { .. } | Change::Delete { .. } if old.is_none() => Err(missing(&key)),
            Change::Delete { .. } => self.delete(&key),
            Change::Create(resource) | Change::Put { resource, .. } | Change::Replace { resource, .. } => {
                self.put(key, &resource.spec, revision)
            }
        }
    }

    fn delete(&mut self, key: &Key) -> Result<ChangeResult, Problem> {
        let owned = |other: &&Key| key.kind == Kind::Tenant && other.tenant.as_ref() == Some(&key.name);
        if let Some(user) = self.objects.keys().find(owned) {
            return Err(Problem::conflict(format!("{key} owns {user}; delete that first")));
        }
        let item = self.objects.remove(key).ok_or_else(|| missing(key))?;
        Ok(ChangeResult { outcome: Outcome::Deleted, item })
    }

    fn put(&mut self, key: Key, spec: &Spec, revision: u64) -> Result<ChangeResult, Problem> {
        if let Some(tenant) = &key.tenant
            && !self.objects.contains_key(&Key::global(Kind::Tenant, tenant))
        {
            let detail =
                format!("there is no tenant \"{tenant}\"; create one with \"netvirt create tenant '{tenant}'\"");
            return Err(Problem::invalid(detail));
        }
        let spec = serde_json::to_value(spec).map_err(|error| Problem::internal(error.to_string()))?;
        let old = self.objects.get(&key);
        let outcome = match old {
            None => Outcome::Created,
            Some(old) if old.spec == spec => Outcome::Unchanged,
            Some(_) => Outcome::Configured,
        };
        let item = Item {
            kind: key.kind,
            tenant: key.tenant.clone(),
            name: key.name.clone(),
            uid: old.map_or_else(Uuid::new_v4, |old| old.uid),
            revision: old.filter(|_| outcome == Outcome::Unchanged).map_or(revision, |old| old.revision),
            created: old.map_or_else(|| rfc3339(SystemTime::now()), |old| old.created.clone()),
            spec,
            status: old.map(|old| old.status.clone()).unwrap_or_default(),
        };
        self.objects.insert(key, item.clone());
        Ok(ChangeResult { outcome, item })
    }

    pub(super) fn create_token(&mut self, who: &str, new: NewToken) -> Result<TokenCreated, Problem> {
        let NewToken { name, role, tenant, seconds } = new;
        if self.tokens.contains_key(&name) {
            let detail = format!("the token \"{name}\" exists; end it with \"netvirt delete token '{name}'\"");
            return Err(Problem::conflict(detail));
        }
        if role == Role::Tenant && tenant.is_none() {
            return Err(Problem::invalid("a token with the role tenant needs a tenant; name one"));
        }
        let expires = seconds.map(later).transpose()?;
        let token = Token { name: name.clone(), role, tenant, created: rfc3339(SystemTime::now()), expires };
        let created = TokenCreated { token, secret: Uuid::new_v4().simple().to_string() };
        self.audit.push(AuditEntry {
            id: self.audit.len() as u64 + 1,
            time: rfc3339(SystemTime::now()),
            who: who.to_owned(),
            action: "create-token".to_owned(),
            object: format!("token \"{name}\""),
            tenant: created.token.tenant.clone(),
            before: Value::Null,
            after: Value::Null,
        });
        self.tokens.insert(name, created.clone());
        Ok(created)
    }
}
