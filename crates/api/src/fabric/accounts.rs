//! People: users with passwords of their own or identities from elsewhere, and the sessions in which they use the console.
//!
//! A user has a role and perhaps a tenant, as a token has, and may do the same. The REST interface knows tokens alone; what
//! a session opens is the console, which asks [`super::FabricApi`] in the name of the session's [`Caller`].

use std::net::IpAddr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::fabric::ResourceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Caller, Role};

/// Fewest characters of a password that somebody chooses.
pub const MIN_PASSWORD: usize = 12;

/// Most bytes of a password; a longer one is no user's.
pub const MAX_PASSWORD: usize = 1024;

/// What stands before the secret of a session when its CSRF token is computed: a hash of the secret alone is what the
/// store keeps, and must not be shown.
const CSRF: &[u8] = b"netvirt csrf token\0";

/// A text that is not for logs: a password, the secret of a session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Who says that somebody is this user.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UserSource {
    /// A password that the controller knows.
    #[default]
    Local,
    /// An identity provider, by its issuer (OpenID Connect). What such a user may do is decided anew with each sign-in.
    OpenId(String),
}

/// A user as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Name, unique among the users.
    pub name: ResourceName,
    /// What it may do.
    pub role: Role,
    /// The tenant it is confined to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<ResourceName>,
    /// When it was made (RFC 3339).
    pub created: String,
    /// Who says that somebody is this user.
    #[serde(default)]
    pub source: UserSource,
}

/// A local user as it is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUser {
    /// Name, unique among the users.
    pub name: ResourceName,
    /// What it may do.
    pub role: Role,
    /// The tenant it is confined to: needed for role `tenant`, possible for `reader`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<ResourceName>,
    /// The password, of at least 12 characters; one is made up if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// A new user, with the password that was made up for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserCreated {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// The password that was made up, which is told this once; absent if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// A password for a user who exists.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewPassword {
    /// The password until now: needed by users for their own, and by nobody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Secret>,
    /// The password from now on, of at least 12 characters; one is made up if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Secret>,
}

/// That a password was set, and which, if it was made up.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PasswordSet {
    /// The password that was made up, which is told this once; absent if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// Somebody who shows a name and a password, as typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignIn {
    /// The name; any text.
    pub name: String,
    /// The password.
    pub password: Secret,
    /// From where; attempts are counted for each address.
    pub from: IpAddr,
}

/// Somebody of whom an identity provider has said who it is. What that user may do is the controller's decision, by the
/// rules in its configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Who says so; must be the issuer of [`super::FabricApi::identity_provider`].
    pub issuer: String,
    /// Whom it means: `sub` of the ID token.
    pub subject: String,
    /// All claims of the ID token, verified.
    pub claims: Map<String, Value>,
    /// From where the browser came.
    pub from: IpAddr,
}

/// Where people may sign in beside the controller itself (OpenID Connect).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdentityProvider {
    /// How it is called on the page that asks to sign in.
    pub name: String,
    /// Its issuer, an `https` URL; `/.well-known/openid-configuration` below it says the rest.
    pub issuer: String,
    /// As what the controller is known there.
    pub client_id: String,
    /// What proves that it is the controller.
    pub client_secret: Secret,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// Where it sends browsers back to; without, to the name by which the browser called the console.
    pub redirect_uri: Option<String>,
    /// Authorities that may vouch for it beside those that the system trusts: certificates in PEM.
    pub authorities: Option<String>,
}

/// A session that has begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// What the browser shows from now on; it is told this once.
    pub secret: Secret,
    /// Who asks in this session.
    pub caller: Caller,
    /// When it ends, however much it is used.
    pub expires: SystemTime,
}

/// A session that lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionInfo {
    /// Who asks in it.
    pub caller: Caller,
    /// The user.
    pub user: User,
    /// When it ends, however much it is used.
    pub expires: SystemTime,
    /// What stands in every form of the session, so that a form of another site is none of it.
    pub csrf: String,
}

impl SessionInfo {
    /// Whether a form shows the CSRF token of this session; the time it takes does not tell how much of it is right.
    pub fn is_csrf(&self, shown: &str) -> bool {
        same(self.csrf.as_bytes(), shown.as_bytes())
    }
}

/// The CSRF token of the session with this secret. It follows from the secret and does not lead back to it.
pub fn csrf_of(secret: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::new().chain_update(CSRF).chain_update(secret).finalize())
}

/// Whether two texts are equal, in a time that tells nothing but their lengths.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    one.len() == other.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_for_logs() {
        let sign_in =
            SignIn { name: "tim".to_owned(), password: "correct horse".into(), from: IpAddr::from([127, 0, 0, 1]) };
        let shown = format!("{sign_in:?}");
        assert!(shown.contains("tim") && !shown.contains("horse"), "{shown}");
    }

    #[test]
    fn a_csrf_token_is_that_of_one_session() {
        let (one, other) = (csrf_of("one"), csrf_of("other"));
        assert!(same(one.as_bytes(), csrf_of("one").as_bytes()));
        assert!(!same(one.as_bytes(), other.as_bytes()) && !same(one.as_bytes(), b"") && !same(b"", one.as_bytes()));
        assert!(!one.contains("one"));
    }

    #[test]
    fn where_a_user_comes_from_is_a_word_or_an_issuer() {
        let json = |source: &UserSource| serde_json::to_string(source).unwrap();
        assert_eq!(json(&UserSource::Local), "\"local\"");
        assert_eq!(json(&UserSource::OpenId("https://id.example".to_owned())), "{\"openId\":\"https://id.example\"}");
    }
}
