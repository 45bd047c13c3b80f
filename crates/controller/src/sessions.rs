//! Sessions of users: begun by a password or by an identity provider, used, ended.
//!
//! Of a session's secret the store has the hash, so that people stay signed in when the controller starts anew. When it
//! was used is known in memory and written now and then.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::fabric::accounts::{Identity, Session, SessionInfo, SignIn, UserSource, csrf_of};
use api::{Problem, ProblemType};
use model::fabric::ResourceName;
use serde_json::{Value, json};
use store::Transaction;

use crate::commit::{self, Actor};
use crate::core::{Core, Prepared};
use crate::limits::{
    MAX_SESSIONS, MAX_SESSIONS_OF_USER, MAX_SESSIONS_SWEPT, SESSION_IDLE, SESSION_LIFE, SESSION_WRITTEN,
};
use crate::openid::Person;
use crate::records::{SESSIONS, SessionRecord, UserRecord};
use crate::state::{LiveSession, State};
use crate::{secrets, tokens, users};

/// A user who may begin a session, and what is written of it first.
type Admitted = (ResourceName, UserRecord, Prepared);

/// One sentence for all that can be wrong with a name and a password: nobody learns which users there are.
fn not_right() -> Problem {
    let detail = "the name or the password is not right; type both again, or ask an admin to set a new password with \
                  \"netvirt set password NAME\"";
    Problem::new(ProblemType::Unauthorized, detail)
}

fn signed_out(why: &str) -> Problem {
    Problem::new(ProblemType::Unauthorized, format!("{why}; sign in again"))
}

/// Begins a session of a local user.
pub fn sign_in(core: &Core, sign_in: &SignIn, now: u64) -> Result<Session, Problem> {
    let SignIn { name: typed, password, from } = sign_in;
    core.accounts.begin(typed, Some(*from), now)?;
    let name = typed.parse::<ResourceName>().ok();
    let known = name.and_then(|name| {
        let record = core.state().users.get(&name).cloned()?;
        Some((name, record))
    });
    let kept = known.as_ref().and_then(|(_, record)| record.password.as_deref());
    let fits = core.accounts.passwords.fits(password, kept);
    let fits = fits.inspect_err(|_| core.accounts.not_tried(typed, Some(*from)))?;
    let Some((name, known)) = known.as_ref().filter(|_| fits) else {
        let (object, tenant) = match &known {
            Some((name, record)) => (format!("user \"{name}\""), record.tenant.clone()),
            // What was typed is not written where there is no such user: it may be a password.
            None => ("a user that does not exist".to_owned(), None),
        };
        note_failure(core, object, tenant, *from, now);
        return Err(not_right());
    };
    core.accounts.succeeded(typed, Some(*from));
    begin(core, *from, now, None, |state| match state.users.get(name) {
        // Somebody may have set another one while this one was checked.
        Some(record) if record.password == known.password => Ok((name.clone(), record.clone(), Prepared::default())),
        _ => Err(not_right()),
    })
}

/// Begins a session of somebody for whom the identity provider speaks.
pub fn sign_in_with(core: &Core, identity: &Identity, now: u64) -> Result<Session, Problem> {
    let Some(openid) = &core.settings.openid else {
        let detail = "the controller knows no identity provider; an operator names one under \"console: openid:\" in the \
                      controller's configuration";
        return Err(Problem::not_found(detail));
    };
    let session = openid.admit(identity).and_then(|person| {
        begin(core, identity.from, now, Some(person.grant.clone()), |state| admitted(state, identity, &person, now))
    });
    if session.as_ref().is_err_and(|problem| problem.problem_type == ProblemType::Forbidden) {
        let object = format!("\"{}\" of {}", identity.subject, identity.issuer);
        note_failure(core, object, None, identity.from, now);
    }
    session
}

/// The user that somebody is who was admitted: made with the first session, and brought up to date with each.
fn admitted(state: &State, identity: &Identity, person: &Person, now: u64) -> Result<Admitted, Problem> {
    let source = UserSource::OpenId(identity.issuer.clone());
    let subject = Some(identity.subject.clone());
    let known = state.users.iter().find(|(_, record)| record.source == source && record.subject == subject);
    let (role, tenant) = (person.role, person.tenant.clone());
    let Some((name, before)) = known else {
        let name = &person.name;
        if state.users.contains_key(name) {
            let detail = format!(
                "the name \"{name}\" is another user's; ask an admin to delete that one, or the identity provider for \
                 another name"
            );
            return Err(Problem::new(ProblemType::Forbidden, detail));
        }
        let record = UserRecord { role, tenant, source, subject, password: None, created: now };
        users::check_new(state, name, &record)?;
        let line =
            users::line(&user_actor(name), "create-user", name, &record, [Value::Null, users::logged(name, &record)]);
        let prepared = users::put(name, &record, line)?;
        return Ok((name.clone(), record, prepared));
    };
    if (before.role, &before.tenant) == (role, &tenant) {
        return Ok((name.clone(), before.clone(), Prepared::default()));
    }
    tokens::check_role(state, &format!("user \"{name}\""), role, tenant.as_ref())?;
    let record = UserRecord { role, tenant, ..before.clone() };
    let states = [users::logged(name, before), users::logged(name, &record)];
    let line = users::line(&user_actor(name), "configure-user", name, &record, states);
    let prepared = users::without_sessions(state, name, users::put(name, &record, line)?);
    Ok((name.clone(), record, prepared))
}

/// A user as the one who does something, by the name that it has here: an identity provider may call the person otherwise.
fn user_actor(name: &ResourceName) -> Actor {
    Actor::new(format!("user {name}"))
}

/// Begins a session of whoever `admit` says, unless it refuses.
fn begin(
    core: &Core,
    from: IpAddr,
    now: u64,
    grant: Option<String>,
    admit: impl Fn(&State) -> Result<Admitted, Problem>,
) -> Result<Session, Problem> {
    let secret = secrets::new();
    let hash = secrets::hash(&secret);
    let mut caller = None;
    core.transact(&Actor::new("controller"), false, |state| {
        let (name, record, prepared) = admit(state)?;
        let mut over = to_end(state, &name, now);
        // With another role, all of the user's end already.
        over.retain(|hash| !prepared.extra.deletes.contains(&format!("{SESSIONS}{hash}")));
        if state.sessions.len() >= MAX_SESSIONS + over.len() {
            let detail = format!("{MAX_SESSIONS} sessions are open, which is the most; try again later");
            return Err(Problem::unavailable(detail));
        }
        caller = Some(users::caller(&name, &record));
        let session = SessionRecord { user: name.clone(), created: now, used: now, grant: grant.clone() };
        let value = serde_json::to_vec(&session).map_err(|error| Problem::internal(error.to_string()))?;
        let extra = Transaction {
            puts: vec![(format!("{SESSIONS}{hash}"), value)],
            deletes: over.iter().map(|hash| format!("{SESSIONS}{hash}")).collect(),
            ..Transaction::default()
        };
        let line = users::line(&user_actor(&name), "sign-in", &name, &record, [Value::Null, json!({ "from": from })]);
        let hash = hash.clone();
        Ok(prepared.and(extra, vec![line], move |state| {
            over.iter().for_each(|hash| {
                state.sessions.remove(hash);
            });
            state.sessions.insert(hash, LiveSession { record: session, used: now });
        }))
    })?;
    let caller = caller.ok_or_else(|| Problem::internal("a session began with nobody in it, which is a bug"))?;
    Ok(Session { secret: secret.into(), caller, expires: end(now) })
}

/// Sessions that go when one of this user begins: some that have ended by themselves, and of the user's own, if there are
/// too many, the one that was not used for longest.
fn to_end(state: &State, user: &ResourceName, now: u64) -> Vec<String> {
    let has_ended = |session: &LiveSession| ended(session, now).is_some();
    let over = state.sessions.iter().filter(|(_, session)| has_ended(session)).take(MAX_SESSIONS_SWEPT);
    let mut over: Vec<String> = over.map(|(hash, _)| hash.clone()).collect();
    let own = || state.sessions.iter().filter(|(_, session)| session.record.user == *user && !has_ended(session));
    if own().count() >= MAX_SESSIONS_OF_USER {
        over.extend(own().min_by_key(|(_, session)| session.used).map(|(hash, _)| hash.clone()));
    }
    over
}

/// Why a session has ended by itself, if it has.
fn ended(session: &LiveSession, now: u64) -> Option<Problem> {
    let hours = |millis: u64| Duration::from_millis(millis).as_secs() / 3600;
    if now.saturating_sub(session.record.created) >= SESSION_LIFE {
        return Some(signed_out(&format!("the session has ended after {} hours", hours(SESSION_LIFE))));
    }
    let idle = now.saturating_sub(session.used) >= SESSION_IDLE;
    idle.then(|| signed_out(&format!("the session has ended, since it was not used for {} hour", hours(SESSION_IDLE))))
}

/// When a session ends that began then.
fn end(created: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(created.saturating_add(SESSION_LIFE))
}

/// The session of a secret with its user, if both last.
fn find<'a>(core: &Core, state: &'a State, hash: &str, now: u64) -> Result<(&'a LiveSession, &'a UserRecord), Problem> {
    let session = state.sessions.get(hash).ok_or_else(|| signed_out("nobody is signed in with this session"))?;
    if let Some(problem) = ended(session, now) {
        return Err(problem);
    }
    let user = state.users.get(&session.record.user).ok_or_else(|| signed_out("the user of this session is gone"))?;
    match (&user.source, &core.settings.openid) {
        (UserSource::Local, _) => Ok((session, user)),
        (UserSource::OpenId(issuer), Some(openid)) if openid.provider.issuer == *issuer => {
            // What the claims were is not kept, so that nobody can say what the person would be by other rules.
            match session.record.grant.as_ref().is_some_and(|grant| openid.grants(grant)) {
                true => Ok((session, user)),
                false => Err(signed_out(&format!("what users of {issuer} may do here has been changed"))),
            }
        }
        (UserSource::OpenId(issuer), _) => Err(signed_out(&format!("the controller trusts {issuer} no longer"))),
    }
}

/// The session of a secret, which is used herewith.
pub fn session(core: &Core, secret: &str, now: u64) -> Result<SessionInfo, Problem> {
    let hash = secrets::hash(secret);
    let mut state = core.state();
    let (session, record) = find(core, &state, &hash, now)?;
    let info = info(secret, session, record);
    let unwritten = now.saturating_sub(session.record.used) >= SESSION_WRITTEN;
    if let Some(session) = state.sessions.get_mut(&hash) {
        session.used = now;
    }
    drop(state);
    if unwritten && let Err(problem) = write_use(core, &hash, now) {
        // It is in force all the same; the store's failure ends the controller where that is due.
        tracing::warn!("that a session is used is not written: {problem}");
    }
    Ok(info)
}

/// Writes down when a session was used.
fn write_use(core: &Core, hash: &str, now: u64) -> Result<(), Problem> {
    core.transact(&Actor::new("controller"), false, |state| {
        let Some(session) = state.sessions.get(hash) else { return Ok(Prepared::default()) };
        let record = SessionRecord { used: now, ..session.record.clone() };
        let value = serde_json::to_vec(&record).map_err(|error| Problem::internal(error.to_string()))?;
        let extra = Transaction { puts: vec![(format!("{SESSIONS}{hash}"), value)], ..Transaction::default() };
        let hash = hash.to_owned();
        Ok(Prepared::default().and(extra, Vec::new(), move |state| {
            if let Some(session) = state.sessions.get_mut(&hash) {
                session.record = record;
            }
        }))
    })?;
    Ok(())
}

/// The session of a secret, if it lasts; that is no use of it.
pub fn lasts(core: &Core, secret: &str, now: u64) -> Result<SessionInfo, Problem> {
    find(core, &core.state(), &secrets::hash(secret), now).map(|(session, record)| info(secret, session, record))
}

fn info(secret: &str, session: &LiveSession, record: &UserRecord) -> SessionInfo {
    let name = &session.record.user;
    SessionInfo {
        caller: users::caller(name, record),
        user: users::shown(name, record),
        expires: end(session.record.created),
        csrf: csrf_of(secret),
    }
}

/// Ends the session of a secret.
pub fn sign_out(core: &Core, secret: &str) -> Result<(), Problem> {
    let hash = secrets::hash(secret);
    let user = core.state().sessions.get(&hash).map(|session| session.record.user.clone());
    let Some(user) = user else { return Ok(()) };
    let actor = user_actor(&user);
    core.transact(&actor, false, |state| {
        if !state.sessions.contains_key(&hash) {
            return Ok(Prepared::default());
        }
        let line = |record| users::line(&actor, "sign-out", &user, record, [Value::Null, Value::Null]);
        let extra = Transaction { deletes: vec![format!("{SESSIONS}{hash}")], ..Transaction::default() };
        let hash = hash.clone();
        Ok(Prepared::default().and(extra, state.users.get(&user).map(line).into_iter().collect(), move |state| {
            state.sessions.remove(&hash);
        }))
    })?;
    Ok(())
}

/// Writes down that somebody tried to sign in, unless there is too much of it.
fn note_failure(core: &Core, object: String, tenant: Option<ResourceName>, from: IpAddr, now: u64) {
    let Some(left_out) = core.accounts.line(now) else { return };
    let actor = Actor::new(from.to_string());
    let mut after = json!({ "from": from });
    if left_out > 0 {
        after["failuresNotLogged"] = json!(left_out);
    }
    let mut line = commit::audit(&actor, "sign-in-failed", object, Value::Null, after);
    line.tenant = tenant;
    let prepare = |_: &State| Ok(Prepared { lines: vec![line.clone()], ..Prepared::default() });
    if let Err(problem) = core.transact(&actor, false, prepare) {
        tracing::warn!("that somebody failed to sign in is not in the audit log: {problem}");
    }
}

#[cfg(test)]
mod tests;
