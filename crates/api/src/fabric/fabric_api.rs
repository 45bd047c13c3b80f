//! What a controller can be asked: the trait that it implements and that the server offers over HTTPS.

use std::time::Duration;

use model::fabric::{Key, Kind, ResourceName};

use super::{
    AuditEntry, AuditQuery, Caller, ChangeReport, ChangeSet, ControllerStatus, Event, Item, JoinToken, NewJoinToken,
    NewToken, Page, Realized, Token, TokenCreated,
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

    /// All tokens, in the order of their names. Admins only.
    fn tokens(&self, caller: &Caller) -> Result<Vec<Token>, Problem>;

    /// Makes a token. Admins only.
    fn create_token(&self, caller: &Caller, token: NewToken) -> Result<TokenCreated, Problem>;

    /// Ends a token at once. Admins only.
    fn delete_token(&self, caller: &Caller, name: &ResourceName) -> Result<(), Problem>;

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
