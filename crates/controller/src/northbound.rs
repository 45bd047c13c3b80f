//! What operators and tenants ask of the controller: [`FabricApi`].

use std::sync::Arc;

use api::fabric::accounts::{
    Identity, IdentityProvider, NewPassword, NewUser, PasswordSet, Session, SessionInfo, SignIn, User, UserCreated,
};
use api::fabric::{
    Answer, AuditEntry, AuditQuery, Caller, Change, ChangeReport, ChangeResult, ChangeSet, ControllerStatus, FabricApi,
    Item, JoinToken, ListQuery, MAX_PAGE, NewJoinToken, NewToken, Page, Question, Realized, Role, Token, TokenCreated,
    Watch, WatchQuery,
};
use api::{Problem, ProblemType};
use model::fabric::{Key, Kind, Object, ResourceName};
use plan::fabric::Refusal;
use store::Store;

use crate::audience::Hosts;
use crate::commit::Actor;
use crate::core::{Core, Settings, Work};
use crate::error::RunError;
use crate::hosts::Sessions;
use crate::limits::MAX_CHANGES;
use crate::watching::FabricWatch;
use crate::{access, asking, audit, bulk, clock, core, first_start, listing, sessions, tokens, users};

/// A controller, as [`crate::run`] drives it. Clones are the same controller.
#[derive(Clone)]
pub struct Controller(pub(crate) Arc<Core>);

impl Controller {
    /// A controller over what the store has; an empty store is given the first resources. [`crate::run`] does this, and
    /// tests do.
    ///
    /// # Errors
    /// When what the store has cannot be taken over, or it cannot be written.
    pub fn open(store: Arc<dyn Store>, settings: Settings) -> Result<Self, RunError> {
        let core = Core::load(store, settings)?;
        first_start::resources(&core)?;
        Ok(Self(Arc::new(core)))
    }

    /// From now on, agents are told by these sessions. Only the first call counts.
    pub fn connect(&self, sessions: Arc<dyn Sessions>) {
        self.0.connect(sessions);
    }

    /// The revision of the fabric.
    pub fn revision(&self) -> u64 {
        self.0.state().revision
    }

    /// Follows what hosts acknowledge and tells watches of it, until [`Controller::end`]; on a thread of its own.
    pub fn follow_acks(&self) {
        self.0.follow_acks();
    }

    /// Ends watches and [`Controller::follow_acks`].
    pub fn end(&self) {
        self.0.end();
    }

    /// Tenants that are deleted here are those of no token and no user.
    fn nobodys_tenants(changes: &[Change], state: &crate::state::State) -> Result<(), Problem> {
        for change in changes {
            let Change::Delete { key, .. } = change else { continue };
            if key.kind != Kind::Tenant {
                continue;
            }
            let of = |tenant: &Option<ResourceName>| tenant.as_ref() == Some(&key.name);
            let tokens = state.tokens.iter().filter(|(_, token)| of(&token.tenant)).map(|(name, _)| ("token", name));
            let users = state.users.iter().filter(|(_, user)| of(&user.tenant)).map(|(name, _)| ("user", name));
            let all: Vec<(&str, &ResourceName)> = tokens.chain(users).collect();
            let Some((first, _)) = all.first() else { continue };
            let names: Vec<String> = all.iter().map(|(what, name)| format!("{what} \"{name}\"")).collect();
            return Err(Problem::conflict(format!(
                "{} {} is in use by {}; delete it first with \"netvirt delete {first} NAME\"",
                key.kind.title(),
                key.name,
                names.join(", ")
            )));
        }
        Ok(())
    }
}

impl FabricApi for Controller {
    fn authenticate(&self, secret: &str) -> Result<Caller, Problem> {
        tokens::authenticate(&self.0.state(), secret, clock::now())
    }

    fn realized(&self, caller: &Caller, revision: u64) -> Result<Realized, Problem> {
        let core = &self.0;
        let state = core.state();
        if revision > state.revision {
            return Err(Problem::not_found(format!("there is no revision {revision} yet, but {}", state.revision)));
        }
        if revision <= core.found {
            let detail = format!(
                "how far hosts are with revision {revision} is not known, since the controller has started after it; \
                 each hears what it missed when it connects"
            );
            return Err(Problem::new(ProblemType::Gone, detail));
        }
        let (of, lacking) = state.unrealized.lacking(revision);
        let done = of - lacking.len();
        // One tenant is not told of another's hosts.
        let named = access::confined_to(caller).is_none();
        let waited = Hosts::look(lacking.into_iter(), &state.needs, core.sessions()).realized(revision, named);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Realized { hosts: waited.hosts.saturating_add(count(done)), of: count(of), ..waited })
    }

    fn status(&self, caller: &Caller) -> Result<ControllerStatus, Problem> {
        let core = &self.0;
        let state = core.state();
        let confined = access::confined_to(caller);
        let count = |kind: Kind| match confined {
            None => state.fabric.count(kind),
            Some(tenant) => {
                let visible = |object: &&Object| access::sees(caller, &object.key());
                state.fabric.of_kind(kind, Some(tenant)).filter(visible).count()
            }
        };
        let shown = |kind: &Kind| access::list(caller, *kind, None).is_ok();
        let resources =
            Kind::ALL.into_iter().filter(shown).map(|kind| (kind.to_string(), count(kind) as u64)).collect();
        let mut status = ControllerStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: clock::rfc3339(core.started),
            revision: state.revision,
            resources,
            ..ControllerStatus::default()
        };
        if confined.is_none() {
            status.connected_hosts = u32::try_from(core.sessions().connected()).unwrap_or(u32::MAX);
            status.store_bytes = core.store.bytes().map_err(|error| Problem::internal(error.to_string()))?;
        }
        Ok(status)
    }

    fn list(&self, caller: &Caller, query: ListQuery) -> Result<Page, Problem> {
        listing::list(&self.0, caller, query)
    }

    fn get(&self, caller: &Caller, key: &Key) -> Result<Item, Problem> {
        access::read(caller, key)?;
        let state = self.0.state();
        let object = state.fabric.get(key).ok_or_else(|| core::problem(&[Refusal::NotFound { key: key.clone() }]))?;
        let admin = access::confined_to(caller).is_none();
        Ok(self.0.view(&state, |view| if admin { view.item_with_findings(object) } else { view.item(object) }))
    }

    fn change(&self, caller: &Caller, changes: ChangeSet) -> Result<ChangeReport, Problem> {
        let ChangeSet { changes, dry_run, without } = changes;
        if changes.len() > MAX_CHANGES {
            return Err(Problem::bad_request(format!(
                "{} changes are more than the {MAX_CHANGES} that one request may have; send several",
                changes.len()
            )));
        }
        changes.iter().try_for_each(|change| access::change(caller, change))?;
        let planned: Vec<_> = changes.iter().cloned().map(planned).collect();
        let done = self.0.transact(&Actor::new(caller.who()), dry_run, |state| {
            Self::nobodys_tenants(&changes, state)?;
            if caller.role == Role::Tenant {
                state.fabric.confine(&planned).map_err(|refusals| core::problem(&refusals))?;
            }
            let at_rest =
                self.0.view(state, |view| state.fabric.at_rest(&planned, &without, |object| view.late(object)));
            at_rest.map_err(|refusals| core::problem(&refusals))?;
            Ok(Work::Changes(planned.clone()).into())
        })?;
        let results = done.items.into_iter().map(|(outcome, item)| ChangeResult { outcome, item }).collect();
        Ok(ChangeReport { results, revision: done.revision, findings: done.findings })
    }

    fn watch(&self, caller: &Caller, query: WatchQuery) -> Result<Box<dyn Watch>, Problem> {
        Ok(Box::new(FabricWatch::begin(Arc::clone(&self.0), caller, query)?))
    }

    fn ask(&self, caller: &Caller, question: Question) -> Result<Answer, Problem> {
        asking::ask(&self.0, caller, question)
    }

    fn tokens(&self, caller: &Caller) -> Result<Vec<Token>, Problem> {
        access::admin(caller, "read tokens")?;
        Ok(self.0.state().tokens.iter().map(|(name, record)| tokens::shown(name, record)).collect())
    }

    fn create_token(&self, caller: &Caller, token: NewToken) -> Result<TokenCreated, Problem> {
        access::admin(caller, "make tokens")?;
        tokens::create(&self.0, &Actor::new(caller.who()), &token)
    }

    fn delete_token(&self, caller: &Caller, name: &ResourceName) -> Result<(), Problem> {
        access::admin(caller, "delete tokens")?;
        tokens::delete(&self.0, &Actor::new(caller.who()), name)
    }

    fn users(&self, caller: &Caller) -> Result<Vec<User>, Problem> {
        access::admin(caller, "read users")?;
        Ok(self.0.state().users.iter().map(|(name, record)| users::shown(name, record)).collect())
    }

    fn create_user(&self, caller: &Caller, user: NewUser) -> Result<UserCreated, Problem> {
        access::admin(caller, "make users")?;
        users::create(&self.0, &Actor::new(caller.who()), &user, clock::now())
    }

    fn delete_user(&self, caller: &Caller, name: &ResourceName) -> Result<(), Problem> {
        access::admin(caller, "delete users")?;
        users::delete(&self.0, &Actor::new(caller.who()), name)
    }

    fn set_password(&self, caller: &Caller, name: &ResourceName, new: NewPassword) -> Result<PasswordSet, Problem> {
        users::set_password(&self.0, caller, name, &new, clock::now())
    }

    fn sign_in(&self, sign_in: SignIn) -> Result<Session, Problem> {
        sessions::sign_in(&self.0, &sign_in, clock::now())
    }

    fn sign_in_with(&self, identity: Identity) -> Result<Session, Problem> {
        sessions::sign_in_with(&self.0, &identity, clock::now())
    }

    fn identity_provider(&self) -> Option<IdentityProvider> {
        self.0.settings.openid.as_ref().map(|openid| openid.provider.clone())
    }

    fn session(&self, secret: &str) -> Result<SessionInfo, Problem> {
        sessions::session(&self.0, secret, clock::now())
    }

    fn session_lasts(&self, secret: &str) -> Result<SessionInfo, Problem> {
        sessions::lasts(&self.0, secret, clock::now())
    }

    fn sign_out(&self, secret: &str) -> Result<(), Problem> {
        sessions::sign_out(&self.0, secret)
    }

    fn create_join_token(&self, caller: &Caller, token: NewJoinToken) -> Result<JoinToken, Problem> {
        access::admin(caller, "make join tokens")?;
        tokens::create_join(&self.0, &Actor::new(caller.who()), &token)
    }

    fn audit(&self, caller: &Caller, query: AuditQuery) -> Result<Vec<AuditEntry>, Problem> {
        let limit = query.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
        let failed = |error: &dyn std::fmt::Display| Problem::internal(error.to_string());
        let snapshot = self.0.store.snapshot().map_err(|error| failed(&error))?;
        audit::read(&*snapshot, access::confined_to(caller), query.before, limit).map_err(|error| failed(&error))
    }

    fn export(&self, caller: &Caller) -> Result<Vec<u8>, Problem> {
        access::admin(caller, "export")?;
        bulk::export(&self.0)
    }

    fn import(&self, caller: &Caller, text: &[u8]) -> Result<u64, Problem> {
        access::admin(caller, "import")?;
        bulk::import(&self.0, &Actor::new(caller.who()), text)
    }

    fn backup(&self, caller: &Caller) -> Result<Vec<u8>, Problem> {
        access::admin(caller, "make a backup")?;
        bulk::backup(&self.0)
    }
}

/// A change in the words of `plan`, which knows nothing of this interface.
fn planned(change: Change) -> plan::fabric::Change {
    match change {
        Change::Create(resource) => plan::fabric::Change::Create(resource),
        Change::Put { resource, revision } => plan::fabric::Change::Put { resource, revision },
        Change::Replace { resource, revision } => plan::fabric::Change::Replace { resource, revision },
        Change::Delete { key, revision } => plan::fabric::Change::Delete { key, revision },
    }
}
