//! What a controller can be asked: the trait that it implements and that the server offers over HTTPS.

use std::time::Duration;

use model::fabric::{Key, Kind, ResourceName};

use super::accounts::{
    Identity, IdentityProvider, NewPassword, NewUser, PasswordSet, Session, SessionInfo, SignIn, User, UserCreated,
};
use super::{
    Answer, AuditEntry, AuditQuery, Caller, ChangeReport, ChangeSet, ControllerStatus, Event, Item, JoinToken,
    NewJoinToken, NewToken, Page, Question, Realized, Token, TokenCreated,
};
use crate::Problem;

/// Which resources of a kind, and how many of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListQuery {
    /// The kind.
    pub kind: Kind,
    /// Those of this tenant; of all that the caller may see, if absent.
    pub tenant: Option<ResourceName>,
    /// At most so many; [`super::MAX_PAGE`] if absent or more.
    pub limit: Option<usize>,
    /// [`Page::continue_token`] of the page before.
    pub continue_token: Option<String>,
    /// Those alone that mention this, as [`model::fabric::Object::mentions`] says; all, if absent.
    pub search: Option<String>,
}

/// Which events, and from when.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WatchQuery {
    /// Of this kind; of all, if absent.
    pub kind: Option<Kind>,
    /// Of this tenant; of all that the caller may see, if absent.
    pub tenant: Option<ResourceName>,
    /// Of this one resource.
    pub name: Option<ResourceName>,
    /// Events after this revision; from now on, if absent. One that is too old is refused with
    /// [`crate::ProblemType::Gone`]: list again.
    pub from: Option<u64>,
}

/// A stream of events. Dropping it ends the watch.
pub trait Watch: Send {
    /// The next event; `Ok(None)` if there was none within `timeout`. After an error there are no more.
    ///
    /// # Errors
    /// When the watcher was too slow, and events are lost ([`crate::ProblemType::Gone`]).
    fn next(&mut self, timeout: Duration) -> Result<Option<Event>, Problem>;
}

/// What a controller can be asked.
///
/// The methods block; the server calls them on threads of their own, several at a time. Each checks what the caller
/// may do.
///
/// # Errors
/// Each method answers with a [`Problem`], whose type decides the HTTP status.
pub trait FabricApi: Send + Sync + 'static {
    /// Who has this secret; [`crate::ProblemType::Unauthorized`] if nobody.
    fn authenticate(&self, secret: &str) -> Result<Caller, Problem>;

    /// The controller itself.
    fn status(&self, caller: &Caller) -> Result<ControllerStatus, Problem>;

    /// On how many of the hosts that had to carry a revision out, it is in force: what it deleted is gone there. When it
    /// is everywhere, they are counted no longer. [`crate::ProblemType::Gone`] if it is too old to be known.
    fn realized(&self, caller: &Caller, revision: u64) -> Result<Realized, Problem>;

    /// Resources of a kind, in the order of tenant and name, a page at a time.
    fn list(&self, caller: &Caller, query: ListQuery) -> Result<Page, Problem>;

    /// One resource.
    fn get(&self, caller: &Caller, key: &Key) -> Result<Item, Problem>;

    /// Carries out all changes, or none.
    fn change(&self, caller: &Caller, changes: ChangeSet) -> Result<ChangeReport, Problem>;

    /// What changes from now on, or from a revision.
    fn watch(&self, caller: &Caller, query: WatchQuery) -> Result<Box<dyn Watch>, Problem>;

    /// Asks hosts what only they know, and waits for their answers: at most [`super::asking::ASK_TIMEOUT`] for each host that a
    /// trace comes to, and once for all hosts of other questions.
    ///
    /// The caller needs to be allowed to read what it asks about. What is answered to one who is confined to a tenant has no
    /// name of a host in it and no provider address. A host that is away, or of a version that does not know the question,
    /// is told in a sentence ([`crate::ProblemType::Unavailable`]), as is that the caller, or the tenant that the caller is
    /// confined to, has enough questions to it under way ([`crate::ProblemType::TooManyRequests`]).
    fn ask(&self, caller: &Caller, question: Question) -> Result<Answer, Problem>;

    /// All tokens, in the order of their names. Admins only.
    fn tokens(&self, caller: &Caller) -> Result<Vec<Token>, Problem>;

    /// Makes a token. Admins only.
    fn create_token(&self, caller: &Caller, token: NewToken) -> Result<TokenCreated, Problem>;

    /// Ends a token at once. Admins only.
    fn delete_token(&self, caller: &Caller, name: &ResourceName) -> Result<(), Problem>;

    /// All users, in the order of their names. Admins only.
    fn users(&self, caller: &Caller) -> Result<Vec<User>, Problem>;

    /// Makes a local user. Admins only.
    fn create_user(&self, caller: &Caller, user: NewUser) -> Result<UserCreated, Problem>;

    /// Ends a user, and all sessions of it at once. Admins only. The last user of role admin stays. A user of an identity provider comes again with the next
    /// sign-in, if the controller's rules still admit it.
    fn delete_user(&self, caller: &Caller, name: &ResourceName) -> Result<(), Problem>;

    /// Sets the password of a local user, and ends all its sessions at once. Admins, and users their own if they show the
    /// old one.
    fn set_password(&self, caller: &Caller, name: &ResourceName, password: NewPassword)
    -> Result<PasswordSet, Problem>;

    /// Begins a session of a local user. [`crate::ProblemType::Unauthorized`] in one sentence whatever is wrong, and in
    /// the same time; [`crate::ProblemType::TooManyRequests`] after several failures, with the seconds to wait.
    fn sign_in(&self, sign_in: SignIn) -> Result<Session, Problem>;

    /// Begins a session of somebody for whom the identity provider speaks. [`crate::ProblemType::Forbidden`] if no rule of
    /// the controller's configuration admits the person, or the name is another user's.
    fn sign_in_with(&self, identity: Identity) -> Result<Session, Problem>;

    /// Where people may sign in beside the controller itself, if anywhere.
    fn identity_provider(&self) -> Option<IdentityProvider>;

    /// The session of this secret, which is used herewith, so that it does not end for want of use.
    /// [`crate::ProblemType::Unauthorized`] if there is none, or not any more.
    fn session(&self, secret: &str) -> Result<SessionInfo, Problem>;

    /// The session of this secret, if it lasts, without using it: for what looks by itself again and again, such as a
    /// stream of events, or a page that keeps itself up to date. [`crate::ProblemType::Unauthorized`] if it does not.
    fn session_lasts(&self, secret: &str) -> Result<SessionInfo, Problem>;

    /// Ends the session of this secret at once; it is no mistake if there is none.
    fn sign_out(&self, secret: &str) -> Result<(), Problem>;

    /// Makes a token with which a host may join. Admins only.
    fn create_join_token(&self, caller: &Caller, token: NewJoinToken) -> Result<JoinToken, Problem>;

    /// The audit log, newest first. A tenant sees what was done to what it owns.
    fn audit(&self, caller: &Caller, query: AuditQuery) -> Result<Vec<AuditEntry>, Problem>;

    /// Everything that is declared and allocated, as text that `import` reads (JSON lines). Admins only; secrets are not in it.
    fn export(&self, caller: &Caller) -> Result<Vec<u8>, Problem>;

    /// Fills an empty controller with what was exported. Admins only; refused if anything is declared already.
    fn import(&self, caller: &Caller, text: &[u8]) -> Result<u64, Problem>;

    /// A consistent copy of the store's file while the controller runs. Admins only; it holds secrets.
    fn backup(&self, caller: &Caller) -> Result<Vec<u8>, Problem>;
}
