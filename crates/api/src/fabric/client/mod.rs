//! The typed client: one method for each method of [`crate::fabric::FabricApi`], blocking, over HTTPS.

mod asking;
mod connection;
mod error;
mod frames;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use model::fabric::{Key, Kind, ResourceName};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

use super::accounts::{NewPassword, NewUser, PasswordSet, User, UserCreated};
use super::paths::{self, MAX_BULK_BYTES};
use super::{
    AuditEntry, AuditQuery, ChangeReport, ChangeSet, ControllerStatus, Imported, Item, JoinToken, ListQuery, Listing,
    NewJoinToken, NewToken, Page, Realized, Token, TokenCreated, WatchQuery,
};
use crate::paths::{MAX_ANSWER_BYTES, MAX_BODY_BYTES};
use crate::{DEFAULT_TIMEOUT, Problem};
use connection::{Answer, Connector, Question};

pub use error::ClientError;
pub use watching::Watching;

/// Where a controller is, how to know it, and who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://host:port`; port 443 if there is none.
    pub url: String,
    /// The certificate of the authority that signed the controller's, as PEM. No other authority is trusted.
    pub ca_pem: String,
    /// The secret of a token.
    pub token: String,
}

/// The token is not for logs.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A client of one controller. Connections are kept for the next request; several threads can use one client.
///
/// It brings its own runtime, so its methods must not be called from asynchronous code.
#[derive(Debug)]
pub struct Client {
    connector: Arc<Connector>,
    runtime: Arc<OwnRuntime>,
    timeout: Duration,
}

/// A runtime that can be dropped anywhere.
#[derive(Debug)]
struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    fn new() -> Result<Self, ClientError> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("netvirt-client").enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(ClientError::Start)
    }

    /// Waits for a future.
    fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T, ClientError> {
        match &self.0 {
            Some(runtime) => Ok(runtime.block_on(future)),
            None => Err(ClientError::Start(std::io::Error::other("the client has ended"))),
        }
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Client {
    /// A client of this controller; nothing is sent yet.
    ///
    /// # Errors
    /// When the URL or the authority's certificate cannot be used, or with [`ClientError::Start`].
    pub fn new(endpoint: &Endpoint) -> Result<Self, ClientError> {
        let connector = Arc::new(Connector::new(endpoint)?);
        Ok(Self { connector, runtime: Arc::new(OwnRuntime::new()?), timeout: DEFAULT_TIMEOUT })
    }

    /// The same with another time to wait for each answer.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Where the controller is.
    pub fn url(&self) -> &str {
        self.connector.url()
    }

    /// See [`crate::fabric::FabricApi::realized`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn realized(&self, revision: u64) -> Result<Realized, ClientError> {
        let path = with_query(paths::STATUS.to_owned(), &[("revision", Some(revision.to_string()))]);
        self.get_json::<ControllerStatus>(&path).map(|status| status.realized.unwrap_or_default())
    }

    /// See [`crate::fabric::FabricApi::status`].
    ///
    /// # Errors
    /// [`ClientError`], as of all methods.
    pub fn status(&self) -> Result<ControllerStatus, ClientError> {
        self.get_json(paths::STATUS)
    }

    /// See [`crate::fabric::FabricApi::list`]: one page.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn list(&self, query: &ListQuery) -> Result<Page, ClientError> {
        let limit = query.limit.map(|limit| limit.clamp(1, super::MAX_PAGE).to_string());
        let path = paths::collection(query.kind, query.tenant.as_ref());
        self.get_json(&with_query(
            path,
            &[("limit", limit), ("continue", query.continue_token.clone()), ("search", query.search.clone())],
        ))
    }

    /// All resources of a kind: the pages together. The revision is that of the first, so that a watch from there
    /// misses nothing that changed while the others were read.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn list_all(&self, kind: Kind, tenant: Option<&ResourceName>) -> Result<Page, ClientError> {
        let mut query = ListQuery { kind, tenant: tenant.cloned(), limit: None, continue_token: None, search: None };
        let mut all = self.list(&query)?;
        query.continue_token = all.continue_token.take();
        while query.continue_token.is_some() {
            let page = self.list(&query)?;
            all.items.extend(page.items);
            query.continue_token = page.continue_token;
        }
        Ok(all)
    }

    /// See [`crate::fabric::FabricApi::get`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get(&self, key: &Key) -> Result<Item, ClientError> {
        self.get_json(&paths::resource(key))
    }

    /// See [`crate::fabric::FabricApi::change`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn change(&self, changes: &ChangeSet) -> Result<ChangeReport, ClientError> {
        self.send_json(Method::POST, paths::CHANGES, changes)
    }

    /// See [`crate::fabric::FabricApi::watch`]. Connections that break are made anew, from the last event on.
    ///
    /// # Errors
    /// [`ClientError`], if the first connection fails.
    pub fn watch(&self, query: &WatchQuery) -> Result<Watching, ClientError> {
        Watching::start(Arc::clone(&self.connector), Arc::clone(&self.runtime), query.clone(), self.timeout)
    }

    /// See [`crate::fabric::FabricApi::tokens`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn tokens(&self) -> Result<Vec<Token>, ClientError> {
        self.get_json::<Listing<Token>>(paths::TOKENS).map(|list| list.items)
    }

    /// See [`crate::fabric::FabricApi::create_token`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn create_token(&self, token: &NewToken) -> Result<TokenCreated, ClientError> {
        self.send_json(Method::POST, paths::TOKENS, token)
    }

    /// See [`crate::fabric::FabricApi::delete_token`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn delete_token(&self, name: &ResourceName) -> Result<(), ClientError> {
        self.exchange(Question::new(Method::DELETE, paths::token(name))).map(drop)
    }

    /// See [`crate::fabric::FabricApi::users`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn users(&self) -> Result<Vec<User>, ClientError> {
        self.get_json::<Listing<User>>(paths::USERS).map(|list| list.items)
    }

    /// See [`crate::fabric::FabricApi::create_user`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn create_user(&self, user: &NewUser) -> Result<UserCreated, ClientError> {
        self.send_json(Method::POST, paths::USERS, user)
    }

    /// See [`crate::fabric::FabricApi::delete_user`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn delete_user(&self, name: &ResourceName) -> Result<(), ClientError> {
        self.exchange(Question::new(Method::DELETE, paths::user(name))).map(drop)
    }

    /// See [`crate::fabric::FabricApi::set_password`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn set_password(&self, name: &ResourceName, password: &NewPassword) -> Result<PasswordSet, ClientError> {
        self.send_json(Method::PUT, &paths::password(name), password)
    }

    /// See [`crate::fabric::FabricApi::create_join_token`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn create_join_token(&self, token: &NewJoinToken) -> Result<JoinToken, ClientError> {
        self.send_json(Method::POST, paths::JOIN_TOKENS, token)
    }

    /// See [`crate::fabric::FabricApi::audit`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>, ClientError> {
        let limit = query.limit.map(|limit| limit.clamp(1, super::MAX_PAGE).to_string());
        let before = query.before.map(|before| before.to_string());
        let path = with_query(paths::AUDIT.to_owned(), &[("before", before), ("limit", limit)]);
        self.get_json::<Listing<AuditEntry>>(&path).map(|list| list.items)
    }

    /// See [`crate::fabric::FabricApi::export`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn export(&self) -> Result<Vec<u8>, ClientError> {
        self.exchange(Question::new(Method::GET, paths::EXPORT.to_owned()).up_to(MAX_BULK_BYTES))
    }

    /// See [`crate::fabric::FabricApi::import`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn import(&self, text: Vec<u8>) -> Result<u64, ClientError> {
        let question = Question::new(Method::POST, paths::IMPORT.to_owned());
        let question = question.with_body(paths::JSON_LINES, text, MAX_BULK_BYTES)?;
        self.understood::<Imported>(question).map(|imported| imported.resources)
    }

    /// See [`crate::fabric::FabricApi::backup`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn backup(&self) -> Result<Vec<u8>, ClientError> {
        self.exchange(Question::new(Method::GET, paths::BACKUP.to_owned()).up_to(MAX_BULK_BYTES))
    }

    fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.understood(Question::new(Method::GET, path.to_owned()).up_to(MAX_ANSWER_BYTES))
    }

    fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let question = Question::new(method, path.to_owned()).up_to(MAX_ANSWER_BYTES);
        let body = serde_json::to_vec(body).map_err(|error| question.misunderstood(error.to_string()))?;
        self.understood(question.with_body("application/json", body, MAX_BODY_BYTES)?)
    }

    /// Asks, and reads the answer as JSON of a type.
    fn understood<T: DeserializeOwned>(&self, question: Question) -> Result<T, ClientError> {
        let asked = question.name();
        let body = self.exchange(question)?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Answer { request: asked, reason: error.to_string() })
    }

    /// Asks, and gives the body of an answer that is no problem.
    fn exchange(&self, question: Question) -> Result<Vec<u8>, ClientError> {
        let asked = question.name();
        let exchange = async { tokio::time::timeout(self.timeout, self.connector.ask(question)).await };
        let answered = self
            .runtime
            .wait(exchange)?
            .map_err(|_| ClientError::Timeout { url: self.url().to_owned(), seconds: self.timeout.as_secs() })?;
        let Answer { status, body } = answered?;
        if status.is_success() { Ok(body) } else { Err(refusal(self.url(), &asked, status, &body)) }
    }
}

/// What an answer means that is no success.
fn refusal(url: &str, asked: &str, status: hyper::StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if status == hyper::StatusCode::UNAUTHORIZED => {
            ClientError::TokenRefused { url: url.to_owned(), problem: Box::new(problem) }
        }
        Ok(problem) => problem.into(),
        Err(_) => {
            ClientError::Answer { request: asked.to_owned(), reason: format!("status {status} without a problem") }
        }
    }
}

/// A path with those parameters that are given.
fn with_query(mut path: String, parameters: &[(&str, Option<String>)]) -> String {
    let mut mark = '?';
    for (name, value) in parameters {
        if let Some(value) = value {
            path.push(mark);
            path.push_str(&format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
            mark = '&';
        }
    }
    path
}
