//! Users: made, shown, given passwords, ended. What ends with them are their sessions, in the same transaction.

use api::fabric::accounts::{NewPassword, NewUser, PasswordSet, Secret, User, UserCreated, UserSource};
use api::fabric::{AuditEntry, Caller, CallerKind, Role};
use api::{Problem, ProblemType};
use model::fabric::ResourceName;
use serde_json::Value;
use store::Transaction;

use crate::commit::{self, Actor};
use crate::core::{Core, Prepared};
use crate::limits::MAX_USERS;
use crate::records::{SESSIONS, USERS, USERS_BEGUN, UserRecord};
use crate::state::State;
use crate::{access, clock, passwords, tokens};

/// A user without its password.
pub fn shown(name: &ResourceName, record: &UserRecord) -> User {
    User {
        name: name.clone(),
        role: record.role,
        tenant: record.tenant.clone(),
        created: clock::rfc3339(record.created),
        source: record.source.clone(),
    }
}

/// Who asks when this user does.
pub fn caller(name: &ResourceName, record: &UserRecord) -> Caller {
    Caller { kind: CallerKind::User, name: name.clone(), role: record.role, tenant: record.tenant.clone() }
}

fn missing(name: &ResourceName) -> Problem {
    Problem::not_found(format!("there is no user \"{name}\"; \"netvirt get users\" lists what there is"))
}

/// A line of the audit log about a user, which its tenant may read.
pub fn line(actor: &Actor, action: &str, name: &ResourceName, record: &UserRecord, states: [Value; 2]) -> AuditEntry {
    let [before, after] = states;
    let mut line = commit::audit(actor, action, format!("user \"{name}\""), before, after);
    line.tenant.clone_from(&record.tenant);
    line
}

/// A user as the audit log shows it.
pub fn logged(name: &ResourceName, record: &UserRecord) -> Value {
    serde_json::to_value(shown(name, record)).unwrap_or_default()
}

/// There is room for this new user, and it may be what it is to be.
pub fn check_new(state: &State, name: &ResourceName, record: &UserRecord) -> Result<(), Problem> {
    if state.users.contains_key(name) {
        return Err(Problem::conflict(format!(
            "there is a user \"{name}\" already; choose another name, or delete it with \"netvirt delete user {name}\""
        )));
    }
    if state.users.len() >= MAX_USERS {
        return Err(Problem::conflict(format!("there are {MAX_USERS} users, which is the most; delete some")));
    }
    tokens::check_role(state, &format!("user \"{name}\""), record.role, record.tenant.as_ref())
}

/// What writes a user down.
pub fn put(name: &ResourceName, record: &UserRecord, line: AuditEntry) -> Result<Prepared, Problem> {
    let value = serde_json::to_vec(record).map_err(|error| Problem::internal(error.to_string()))?;
    let puts = vec![(format!("{USERS}{name}"), value), (USERS_BEGUN.to_owned(), b"{}".to_vec())];
    let (name, record) = (name.clone(), record.clone());
    Ok(Prepared {
        extra: Transaction { puts, ..Transaction::default() },
        lines: vec![line],
        then: Some(Box::new(move |state| {
            state.users_begun = true;
            state.users.insert(name, record);
        })),
        ..Prepared::default()
    })
}

/// The same, and all its sessions end.
pub fn without_sessions(state: &State, name: &ResourceName, prepared: Prepared) -> Prepared {
    let sessions = state.sessions.iter().filter(|(_, session)| session.record.user == *name);
    let hashes: Vec<String> = sessions.map(|(hash, _)| hash.clone()).collect();
    let deletes = hashes.iter().map(|hash| format!("{SESSIONS}{hash}")).collect();
    prepared.and(Transaction { deletes, ..Transaction::default() }, Vec::new(), move |state| {
        hashes.iter().for_each(|hash| {
            state.sessions.remove(hash);
        });
    })
}

/// Makes a local user.
pub fn create(core: &Core, actor: &Actor, new: &NewUser, now: u64) -> Result<UserCreated, Problem> {
    let NewUser { name, role, tenant, password } = new;
    let (set, told) = passwords::chosen(password.as_ref(), name.as_str())?;
    let source = UserSource::Local;
    let mut record =
        UserRecord { role: *role, tenant: tenant.clone(), source, subject: None, password: None, created: now };
    // What is refused is refused before the work of hashing.
    check_new(&core.state(), name, &record)?;
    record.password = Some(core.accounts.passwords.hash(&set)?);
    core.transact(actor, false, |state| {
        check_new(state, name, &record)?;
        put(name, &record, line(actor, "create-user", name, &record, [Value::Null, logged(name, &record)]))
    })?;
    Ok(UserCreated { user: shown(name, &record), password: told })
}

/// Somebody is left who can administer the console: the last admin among the users is not deleted. A token can make users too,
/// but who has only the console would find nobody to ask.
fn check_gone(state: &State, name: &ResourceName, record: &UserRecord) -> Result<(), Problem> {
    let other = |(other, record): (&ResourceName, &UserRecord)| other != name && record.role == Role::Admin;
    if record.role != Role::Admin || state.users.iter().any(other) {
        return Ok(());
    }
    Err(Problem::conflict(format!(
        "user \"{name}\" is the last one of role admin, without whom nobody could administer anything in the console; make \
         another one first with \"netvirt create user NAME --role admin\""
    )))
}

/// Ends a user and its sessions.
pub fn delete(core: &Core, actor: &Actor, name: &ResourceName) -> Result<(), Problem> {
    core.transact(actor, false, |state| {
        let record = state.users.get(name).ok_or_else(|| missing(name))?;
        check_gone(state, name, record)?;
        let gone = name.clone();
        let prepared = Prepared {
            extra: Transaction { deletes: vec![format!("{USERS}{name}")], ..Transaction::default() },
            lines: vec![line(actor, "delete-user", name, record, [logged(name, record), Value::Null])],
            then: Some(Box::new(move |state| {
                state.users.remove(&gone);
            })),
            ..Prepared::default()
        };
        Ok(without_sessions(state, name, prepared))
    })?;
    Ok(())
}

/// Gives a local user another password, and ends its sessions.
pub fn set_password(
    core: &Core,
    caller: &Caller,
    name: &ResourceName,
    new: &NewPassword,
    now: u64,
) -> Result<PasswordSet, Problem> {
    let own = caller.kind == CallerKind::User && caller.name == *name;
    if !own {
        access::admin(caller, "set passwords of others")?;
    }
    let known = core.state().users.get(name).cloned().ok_or_else(|| missing(name))?;
    if let UserSource::OpenId(issuer) = &known.source {
        return Err(Problem::conflict(format!(
            "user \"{name}\" has no password here, but signs in with {issuer}; set the password there"
        )));
    }
    let (set, told) = passwords::chosen(new.new.as_ref(), name.as_str())?;
    if own {
        check_old(core, name, new.old.as_ref(), known.password.as_deref(), now)?;
    }
    let password = Some(core.accounts.passwords.hash(&set)?);
    let actor = Actor::new(caller.who());
    core.transact(&actor, false, |state| {
        let record = state.users.get(name).ok_or_else(|| missing(name))?;
        if own && record.password != known.password {
            return Err(Problem::conflict(format!(
                "the password of user \"{name}\" was changed by somebody else at the same time; sign in again"
            )));
        }
        let record = UserRecord { password: password.clone(), ..record.clone() };
        let line = line(&actor, "set-password", name, &record, [Value::Null, Value::Null]);
        Ok(without_sessions(state, name, put(name, &record, line)?))
    })?;
    // Who waits because others guessed need not wait with the new one.
    core.accounts.succeeded(name.as_str(), None);
    Ok(PasswordSet { password: told })
}

/// Whoever changes its own password knows it. Attempts are counted as those to sign in are.
fn check_old(
    core: &Core,
    name: &ResourceName,
    old: Option<&Secret>,
    kept: Option<&str>,
    now: u64,
) -> Result<(), Problem> {
    let Some(old) = old else {
        return Err(Problem::invalid("to set your own password, give the old one too"));
    };
    core.accounts.begin(name.as_str(), None, now)?;
    let fits = core.accounts.passwords.fits(old, kept);
    if !fits.inspect_err(|_| core.accounts.not_tried(name.as_str(), None))? {
        let detail = "the old password is not right; type it again, or ask an admin to set a new one";
        return Err(Problem::new(ProblemType::Forbidden, detail));
    }
    core.accounts.succeeded(name.as_str(), None);
    Ok(())
}
