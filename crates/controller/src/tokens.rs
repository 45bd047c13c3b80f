//! Tokens of people and programs, and those with which hosts join: made, shown, compared, ended.

use api::fabric::{Caller, CallerKind, JoinToken, NewJoinToken, NewToken, Role, Token, TokenCreated};
use api::{Problem, ProblemType};
use model::fabric::{Key, Kind, ResourceName};
use serde_json::Value;
use store::{Condition, Transaction};

use crate::commit::{self, Actor};
use crate::core::{Core, Prepared};
use crate::limits::{JOIN_SECONDS, MAX_JOIN_SECONDS, MAX_JOIN_TOKENS, MAX_TOKENS};
use crate::records::{JOIN, JoinRecord, TOKENS, TokenRecord};
use crate::state::State;
use crate::{clock, secrets};

/// Who has this secret. The time it takes tells nothing of the secrets that there are.
pub fn authenticate(state: &State, secret: &str, now: u64) -> Result<Caller, Problem> {
    let hash = secrets::hash(secret);
    let mut found = None;
    for (name, record) in &state.tokens {
        if secrets::same(&record.sha256, &hash) {
            found = Some((name, record));
        }
    }
    let unauthorized = |detail: String| Problem::new(ProblemType::Unauthorized, detail);
    let Some((name, record)) = found else {
        return Err(unauthorized(
            "nobody has this token; an admin makes one with \"netvirt create token NAME\"".to_owned(),
        ));
    };
    if let Some(expires) = record.expires.filter(|expires| *expires <= now) {
        return Err(unauthorized(format!(
            "token \"{name}\" ended at {}; ask an admin for a new one",
            clock::rfc3339(expires)
        )));
    }
    Ok(Caller { kind: CallerKind::Token, name: name.clone(), role: record.role, tenant: record.tenant.clone() })
}

/// A token without its secret.
pub fn shown(name: &ResourceName, record: &TokenRecord) -> Token {
    Token {
        name: name.clone(),
        role: record.role,
        tenant: record.tenant.clone(),
        created: clock::rfc3339(record.created),
        expires: record.expires.map(clock::rfc3339),
    }
}

/// A token as the audit log shows it.
fn logged(name: &ResourceName, record: &TokenRecord) -> Value {
    serde_json::to_value(shown(name, record)).unwrap_or_default()
}

fn check(state: &State, new: &NewToken) -> Result<(), Problem> {
    let NewToken { name, role, tenant, .. } = new;
    if state.tokens.contains_key(name) {
        return Err(Problem::conflict(format!(
            "there is a token \"{name}\" already; choose another name, or delete it with \"netvirt delete token {name}\""
        )));
    }
    if state.tokens.len() >= MAX_TOKENS {
        return Err(Problem::conflict(format!("there are {MAX_TOKENS} tokens, which is the most; delete some")));
    }
    check_role(state, &format!("token \"{name}\""), *role, tenant.as_ref())
}

/// Something, such as `token "x"`, may have this role and tenant.
pub fn check_role(state: &State, what: &str, role: Role, tenant: Option<&ResourceName>) -> Result<(), Problem> {
    match (role, tenant) {
        (Role::Tenant, None) => {
            return Err(Problem::invalid(format!("{what} has role tenant; say whose with \"--tenant NAME\"")));
        }
        (Role::Admin, Some(_)) => {
            return Err(Problem::invalid(format!(
                "{what} has role admin, which no tenant confines; leave the tenant out, or choose role tenant"
            )));
        }
        _ => {}
    }
    match tenant.filter(|tenant| state.fabric.get(&Key::global(Kind::Tenant, tenant)).is_none()) {
        Some(tenant) => Err(Problem::invalid(format!(
            "there is no tenant \"{tenant}\"; create it with \"netvirt create tenant {tenant}\""
        ))),
        None => Ok(()),
    }
}

/// When something ends that lasts so many seconds from now on.
fn end(now: u64, seconds: u64) -> u64 {
    now.saturating_add(seconds.saturating_mul(1000))
}

/// Makes a token.
pub fn create(core: &Core, actor: &Actor, new: &NewToken) -> Result<TokenCreated, Problem> {
    if new.seconds == Some(0) {
        return Err(Problem::invalid("a token of 0 seconds would never be valid; give it more, or none for ever"));
    }
    let (secret, now, name) = (secrets::new(), clock::now(), &new.name);
    let record = TokenRecord {
        sha256: secrets::hash(&secret),
        role: new.role,
        tenant: new.tenant.clone(),
        created: now,
        expires: new.seconds.map(|seconds| end(now, seconds)),
    };
    core.transact(actor, false, |state| {
        check(state, new)?;
        put(actor, name, &record)
    })?;
    Ok(TokenCreated { token: shown(name, &record), secret })
}

/// What makes a token, or replaces it.
pub fn put(actor: &Actor, name: &ResourceName, record: &TokenRecord) -> Result<Prepared, Problem> {
    let value = serde_json::to_vec(record).map_err(|error| Problem::internal(error.to_string()))?;
    let mut line = commit::audit(actor, "create-token", format!("token \"{name}\""), Value::Null, logged(name, record));
    line.tenant.clone_from(&record.tenant);
    let (name, record) = (name.clone(), record.clone());
    Ok(Prepared {
        extra: Transaction { puts: vec![(format!("{TOKENS}{name}"), value)], ..Transaction::default() },
        lines: vec![line],
        then: Some(Box::new(move |state| {
            state.tokens.insert(name, record);
        })),
        ..Prepared::default()
    })
}

/// Ends a token.
pub fn delete(core: &Core, actor: &Actor, name: &ResourceName) -> Result<(), Problem> {
    core.transact(actor, false, |state| {
        let record = state.tokens.get(name).ok_or_else(|| {
            Problem::not_found(format!("there is no token \"{name}\"; \"netvirt get tokens\" lists what there is"))
        })?;
        let admins = state.tokens.values().filter(|record| record.role == Role::Admin && record.expires.is_none());
        if record.role == Role::Admin && record.expires.is_none() && admins.count() == 1 {
            return Err(Problem::conflict(format!(
                "token \"{name}\" is the last one of role admin that does not end; make another one first"
            )));
        }
        let key = format!("{TOKENS}{name}");
        let mut line =
            commit::audit(actor, "delete-token", format!("token \"{name}\""), logged(name, record), Value::Null);
        line.tenant.clone_from(&record.tenant);
        let name = name.clone();
        Ok(Prepared {
            extra: Transaction { deletes: vec![key], ..Transaction::default() },
            lines: vec![line],
            then: Some(Box::new(move |state| {
                state.tokens.remove(&name);
            })),
            ..Prepared::default()
        })
    })?;
    Ok(())
}

/// Makes a token for a host to join with; those that have expired go.
pub fn create_join(core: &Core, actor: &Actor, new: &NewJoinToken) -> Result<JoinToken, Problem> {
    let seconds = new.seconds.unwrap_or(JOIN_SECONDS);
    if !(1..=MAX_JOIN_SECONDS).contains(&seconds) {
        return Err(Problem::invalid(format!(
            "a join token of {seconds} s is not possible; give it 1 to {MAX_JOIN_SECONDS} s (30 days)"
        )));
    }
    if let Some(host) = new.host.as_ref().filter(|host| !host.is_host_name()) {
        return Err(Problem::invalid(format!(
            "\"{host}\" is no name for a host, since it has a space; choose another"
        )));
    }
    let (id, secret, now) = (uuid::Uuid::new_v4().simple().to_string(), secrets::new(), clock::now());
    let record = JoinRecord { sha256: secrets::hash(&secret), host: new.host.clone(), expires: end(now, seconds) };
    let value = serde_json::to_vec(&record).map_err(|error| Problem::internal(error.to_string()))?;
    let expires = clock::rfc3339(record.expires);
    core.transact(actor, false, |state| {
        let over: Vec<String> =
            state.joins.iter().filter(|(_, it)| it.expires <= now).map(|(id, _)| id.clone()).collect();
        if state.joins.len() - over.len() >= MAX_JOIN_TOKENS {
            return Err(Problem::conflict(format!(
                "{MAX_JOIN_TOKENS} join tokens wait to be used, which is the most; use them, or wait until they end"
            )));
        }
        let key = format!("{JOIN}{id}");
        let after = serde_json::json!({ "id": id, "host": record.host, "expires": expires });
        let line = commit::audit(actor, "create-join-token", format!("join-token \"{id}\""), Value::Null, after);
        let extra = Transaction {
            conditions: vec![Condition::Absent(key.clone())],
            puts: vec![(key, value.clone())],
            deletes: over.iter().map(|id| format!("{JOIN}{id}")).collect(),
        };
        let (id, record) = (id.clone(), record.clone());
        let then = move |state: &mut State| {
            over.iter().for_each(|id| {
                state.joins.remove(id);
            });
            state.joins.insert(id, record);
        };
        Ok(Prepared { extra, lines: vec![line], then: Some(Box::new(then)), ..Prepared::default() })
    })?;
    let fingerprint = core.settings.fingerprint.clone();
    let token = proto::Token { id, secret, fingerprint }.to_string();
    Ok(JoinToken { token, expires, controller: core.settings.agents.clone() })
}
