//! A fabric without hosts behind it: keeps what it is given. For tests of clients and of the server; it allocates nothing.

mod accounts;
mod asking;
mod state;
mod watch;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use model::fabric::{Key, Kind, Resource, ResourceName};
use serde_json::Value;

use super::accounts::{
    Identity, IdentityProvider, NewPassword, NewUser, PasswordSet, Session, SessionInfo, SignIn, User, UserCreated,
};
use super::{
    Answer, AuditEntry, AuditQuery, Caller, CallerKind, Change, ChangeReport, ChangeSet, ControllerStatus, FabricApi,
    Item, JoinToken, ListQuery, MAX_PAGE, NewJoinToken, NewToken, Page, Question, Realized, Role, Status, Token,
    TokenCreated, Watch, WatchQuery,
};
use crate::{Problem, ProblemType};
use state::{State, missing};
use watch::MemoryWatch;

/// The secret of the token `admin`, which is there from the beginning.
pub const ADMIN_SECRET: &str = "admin-secret";

/// The password of the user `admin`, who is there from the beginning.
pub const ADMIN_PASSWORD: &str = "admin-password";

/// See the module.
#[derive(Debug)]
pub struct MemoryFabric {
    shared: Arc<Shared>,
}

/// What the fabric and its watches share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    /// A lock whose holder panicked guards test data only, which is as good as before.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryFabric {
    fn default() -> Self {
        Self::new()
    }
}

/// A time as it is shown.
fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

fn forbidden(caller: &Caller, what: &str) -> Problem {
    let detail =
        format!("the {} \"{}\" has the role {}; only an admin may {what}", caller.kind, caller.name, caller.role);
    Problem::new(ProblemType::Forbidden, detail)
}

fn admins_only(caller: &Caller, what: &str) -> Result<(), Problem> {
    if caller.role == Role::Admin { Ok(()) } else { Err(forbidden(caller, what)) }
}

/// Whether the caller may see what this tenant owns, or nobody.
fn sees(caller: &Caller, tenant: Option<&ResourceName>) -> bool {
    caller.tenant.is_none() || tenant.is_none() || caller.tenant.as_ref() == tenant
}

impl MemoryFabric {
    /// A fabric with the tenant `default` and the token `admin`.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::new(State::new()), changed: Condvar::new() }) }
    }

    /// From now on, people may sign in with this provider as well. What its claims `name`, `role` and `tenant` say is what
    /// the user is.
    pub fn set_identity_provider(&self, provider: IdentityProvider) {
        self.shared.lock().accounts.provider = Some(provider);
    }

    /// How often the session of a secret was used.
    pub fn session_uses(&self, secret: &str) -> u64 {
        self.shared.lock().accounts.uses(secret)
    }

    /// Has a resource be in this state from now on, as if hosts had said so.
    ///
    /// # Errors
    /// When there is no such resource.
    pub fn set_status(&self, key: &Key, status: Status) -> Result<(), Problem> {
        let mut state = self.shared.lock();
        state.objects.get_mut(key).ok_or_else(|| missing(key))?.status = status;
        Ok(())
    }

    /// Forgets the events up to now, as a controller does that has been running for long.
    pub fn forget(&self) {
        self.shared.lock().forget();
    }
}

impl FabricApi for MemoryFabric {
    fn authenticate(&self, secret: &str) -> Result<Caller, Problem> {
        let state = self.shared.lock();
        let found = state.tokens.values().find(|token| token.secret == secret);
        let TokenCreated { token, .. } = found.ok_or_else(|| {
            let detail = "nobody has this token; an admin makes one with \"netvirt create token NAME\"";
            Problem::new(ProblemType::Unauthorized, detail)
        })?;
        Ok(Caller { kind: CallerKind::Token, name: token.name.clone(), role: token.role, tenant: token.tenant.clone() })
    }

    fn realized(&self, _: &Caller, revision: u64) -> Result<Realized, Problem> {
        let now = self.shared.lock().revision;
        if revision > now {
            return Err(Problem::not_found(format!("there is no revision {revision} yet, but {now}")));
        }
        // There are no hosts.
        Ok(Realized::default())
    }

    fn status(&self, caller: &Caller) -> Result<ControllerStatus, Problem> {
        let state = self.shared.lock();
        let seen = |key: &&Key| sees(caller, key.tenant.as_ref());
        let count = |kind: Kind| state.objects.keys().filter(|key| key.kind == kind).filter(seen).count() as u64;
        Ok(ControllerStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: rfc3339(state.started),
            revision: state.revision,
            resources: Kind::ALL.into_iter().map(|kind| (kind.as_str().to_owned(), count(kind))).collect(),
            connected_hosts: state.connected_hosts(),
            store_bytes: 0,
            realized: None,
        })
    }

    fn list(&self, caller: &Caller, query: ListQuery) -> Result<Page, Problem> {
        let state = self.shared.lock();
        let after = query.continue_token.as_deref().map(state::key_of_token).transpose()?;
        let limit = query.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
        let wanted = |key: &Key| {
            key.kind == query.kind
                && (query.tenant.is_none() || key.tenant == query.tenant)
                && sees(caller, key.tenant.as_ref())
                && after.as_ref().is_none_or(|after| (&key.tenant, &key.name) > (&after.0, &after.1))
        };
        let needle = query.search.unwrap_or_default().to_lowercase();
        let mentions = |item: &Item| serde_json::to_string(item).unwrap_or_default().to_lowercase().contains(&needle);
        let mut objects = state.objects.iter().filter(|(key, item)| wanted(key) && mentions(item));
        let items = objects.by_ref().take(limit).map(|(_, item)| item.clone()).collect::<Vec<_>>();
        let more = objects.next().is_some();
        let continue_token = items.last().filter(|_| more).map(state::token_of_item);
        Ok(Page { items, revision: state.revision, continue_token })
    }

    fn get(&self, caller: &Caller, key: &Key) -> Result<Item, Problem> {
        let state = self.shared.lock();
        let item = state.objects.get(key).filter(|_| sees(caller, key.tenant.as_ref()));
        item.cloned().ok_or_else(|| missing(key))
    }

    fn change(&self, caller: &Caller, changes: ChangeSet) -> Result<ChangeReport, Problem> {
        for change in &changes.changes {
            let key = change.key();
            let own = caller.role == Role::Tenant && caller.tenant.is_some() && caller.tenant == key.tenant;
            if caller.role != Role::Admin && !own {
                return Err(forbidden(caller, &format!("change {key}")));
            }
        }
        let mut state = self.shared.lock();
        let report = state.change(&caller.who(), changes)?;
        self.shared.changed.notify_all();
        Ok(report)
    }

    fn watch(&self, caller: &Caller, query: WatchQuery) -> Result<Box<dyn Watch>, Problem> {
        let next = self.shared.lock().after(query.from)?;
        Ok(Box::new(MemoryWatch { shared: Arc::clone(&self.shared), caller: caller.clone(), query, next }))
    }

    fn ask(&self, caller: &Caller, question: Question) -> Result<Answer, Problem> {
        asking::answer(self, caller, question)
    }

    fn tokens(&self, caller: &Caller) -> Result<Vec<Token>, Problem> {
        admins_only(caller, "see tokens")?;
        Ok(self.shared.lock().tokens.values().map(|created| created.token.clone()).collect())
    }

    fn create_token(&self, caller: &Caller, token: NewToken) -> Result<TokenCreated, Problem> {
        admins_only(caller, "make tokens")?;
        self.shared.lock().create_token(&caller.who(), token)
    }

    fn delete_token(&self, caller: &Caller, name: &ResourceName) -> Result<(), Problem> {
        admins_only(caller, "end tokens")?;
        let mut state = self.shared.lock();
        if caller.kind == CallerKind::Token && *name == caller.name {
            let detail = format!("the token \"{name}\" is the one that asks; end it with another one");
            return Err(Problem::conflict(detail));
        }
        let gone = state.tokens.remove(name);
        gone.map(drop).ok_or_else(|| {
            Problem::not_found(format!("there is no token \"{name}\"; \"netvirt get tokens\" lists what there is"))
        })
    }

    fn users(&self, caller: &Caller) -> Result<Vec<User>, Problem> {
        admins_only(caller, "see users")?;
        Ok(self.shared.lock().accounts.users.values().map(|(user, _)| user.clone()).collect())
    }

    fn create_user(&self, caller: &Caller, user: NewUser) -> Result<UserCreated, Problem> {
        admins_only(caller, "make users")?;
        let mut state = self.shared.lock();
        let created = state.accounts.create(user)?;
        state.note_account(&caller.who(), "create-user", &created.user);
        Ok(created)
    }

    fn delete_user(&self, caller: &Caller, name: &ResourceName) -> Result<(), Problem> {
        admins_only(caller, "delete users")?;
        let mut state = self.shared.lock();
        let user = state.accounts.delete(name)?;
        state.note_account(&caller.who(), "delete-user", &user);
        Ok(())
    }

    fn set_password(&self, caller: &Caller, name: &ResourceName, new: NewPassword) -> Result<PasswordSet, Problem> {
        let own = caller.kind == CallerKind::User && caller.name == *name;
        if !own {
            admins_only(caller, "set passwords of others")?;
        }
        let mut state = self.shared.lock();
        let (user, set) = state.accounts.set_password(name, new, own)?;
        state.note_account(&caller.who(), "set-password", &user);
        Ok(set)
    }

    fn sign_in(&self, sign_in: SignIn) -> Result<Session, Problem> {
        let mut state = self.shared.lock();
        let (session, user) = state.accounts.sign_in(&sign_in)?;
        state.note_account(&session.caller.who(), "sign-in", &user);
        Ok(session)
    }

    fn sign_in_with(&self, identity: Identity) -> Result<Session, Problem> {
        let mut state = self.shared.lock();
        let (session, user) = state.accounts.sign_in_with(&identity)?;
        state.note_account(&session.caller.who(), "sign-in", &user);
        Ok(session)
    }

    fn identity_provider(&self) -> Option<IdentityProvider> {
        self.shared.lock().accounts.provider.clone()
    }

    fn session(&self, secret: &str) -> Result<SessionInfo, Problem> {
        self.shared.lock().accounts.session(secret)
    }

    fn session_lasts(&self, secret: &str) -> Result<SessionInfo, Problem> {
        self.shared.lock().accounts.lasting(secret)
    }

    fn sign_out(&self, secret: &str) -> Result<(), Problem> {
        let mut state = self.shared.lock();
        if let Some(user) = state.accounts.sign_out(secret) {
            state.note_account(&format!("user {}", user.name), "sign-out", &user);
        }
        Ok(())
    }

    fn create_join_token(&self, caller: &Caller, token: NewJoinToken) -> Result<JoinToken, Problem> {
        admins_only(caller, "let hosts join")?;
        let expires = state::later(token.seconds.unwrap_or(3600))?;
        Ok(JoinToken {
            token: format!("join-{}", uuid::Uuid::new_v4().simple()),
            expires,
            controller: "127.0.0.1:7444".to_owned(),
        })
    }

    fn audit(&self, caller: &Caller, query: AuditQuery) -> Result<Vec<AuditEntry>, Problem> {
        let state = self.shared.lock();
        let entries = state.audit.iter().rev();
        let wanted = |entry: &&AuditEntry| {
            query.before.is_none_or(|before| entry.id < before)
                && (caller.tenant.is_none() || entry.tenant == caller.tenant)
        };
        Ok(entries.filter(wanted).take(query.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE)).cloned().collect())
    }

    fn export(&self, caller: &Caller) -> Result<Vec<u8>, Problem> {
        admins_only(caller, "export")?;
        let mut lines = Vec::new();
        for item in self.shared.lock().objects.values() {
            let line = serde_json::to_string(item).map_err(|error| Problem::internal(error.to_string()))?;
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
        }
        Ok(lines)
    }

    fn import(&self, caller: &Caller, text: &[u8]) -> Result<u64, Problem> {
        admins_only(caller, "import")?;
        let mut state = self.shared.lock();
        if state.objects.len() > 1 {
            return Err(Problem::conflict("the controller is not empty; import into one without resources"));
        }
        let mut changes = Vec::new();
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let wrong = |error: &dyn std::fmt::Display| {
                Problem::bad_request(format!("line {} is no exported resource: {error}", number + 1))
            };
            let item: Item = serde_json::from_slice(line).map_err(|error| wrong(&error))?;
            let declared = serde_json::json!({
                "kind": item.kind, "tenant": item.tenant, "name": item.name, "spec": item.spec
            });
            let resource: Resource = serde_json::from_value::<Value>(declared)
                .and_then(serde_json::from_value)
                .map_err(|error| wrong(&error))?;
            changes.push(Change::Put { resource, revision: None });
        }
        let report = state.change(&caller.who(), ChangeSet { changes, ..ChangeSet::default() })?;
        self.shared.changed.notify_all();
        Ok(report.results.len() as u64)
    }

    /// There is no file; the export stands for it.
    fn backup(&self, caller: &Caller) -> Result<Vec<u8>, Problem> {
        self.export(caller)
    }
}
