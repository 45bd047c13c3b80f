//! Who may do what: callers, their roles and tokens, the tokens with which hosts join, and the audit log.

use model::fabric::ResourceName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a token or a user may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Its tenant's resources: read and change. Of the operator's it sees logical networks.
    Tenant,
    /// Read everything (of its tenant, if it has one), change nothing.
    Reader,
}

impl Role {
    /// The word that people type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Tenant => "tenant",
            Self::Reader => "reader",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// By what the controller knows who asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallerKind {
    /// The secret of a token.
    Token,
    /// A session of a user.
    User,
}

impl CallerKind {
    /// The word in sentences.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::User => "user",
        }
    }
}

impl std::fmt::Display for CallerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who asks, as the controller found out by a token or a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Whether it is a token or a user.
    pub kind: CallerKind,
    /// The name of the token or user.
    pub name: ResourceName,
    /// What it may do.
    pub role: Role,
    /// The tenant it is confined to.
    pub tenant: Option<ResourceName>,
}

impl Caller {
    /// Who it is in the audit log: the name of a token, `user NAME` for a user.
    pub fn who(&self) -> String {
        match self.kind {
            CallerKind::Token => self.name.to_string(),
            CallerKind::User => format!("user {}", self.name),
        }
    }
}

/// A token as it is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewToken {
    /// Name, unique among the tokens.
    pub name: ResourceName,
    /// What it allows.
    pub role: Role,
    /// The tenant it is confined to: needed for role `tenant`, possible for `reader`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<ResourceName>,
    /// After how many seconds it ends; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

/// A token as it is shown: without its secret, which nobody can read again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// Name.
    pub name: ResourceName,
    /// What it allows.
    pub role: Role,
    /// The tenant it is confined to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<ResourceName>,
    /// When it was made (RFC 3339).
    pub created: String,
    /// When it ends (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// A new token with its secret, which is told this once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenCreated {
    /// The token.
    #[serde(flatten)]
    pub token: Token,
    /// What stands behind `Authorization: Bearer`.
    pub secret: String,
}

/// A token for a host to join with, as it is asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NewJoinToken {
    /// The only host that may use it; any, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<ResourceName>,
    /// After how many seconds it ends; an hour if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

/// A token with which one host may join, once. It also holds the fingerprint by which the host knows the controller.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinToken {
    /// What `netvirt host join --token` takes.
    pub token: String,
    /// When it ends (RFC 3339).
    pub expires: String,
    /// The address that agents connect to, `host:port`.
    pub controller: String,
}

/// One line of the audit log: who did what.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its number, rising.
    pub id: u64,
    /// When (RFC 3339).
    pub time: String,
    /// Name of the token, `user NAME` for somebody who signed in, or `host NAME` for what an agent caused.
    pub who: String,
    /// `create`, `configure`, `delete`, `create-token`, `delete-token`, `create-join-token`, `join`, `sign-in`, ...
    pub action: String,
    /// What it was done to, as in sentences: `vm-subnet "test"`.
    pub object: String,
    /// The owner of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<ResourceName>,
    /// What was declared before; null if it is new.
    #[serde(default)]
    pub before: Value,
    /// What is declared now; null if it is gone.
    #[serde(default)]
    pub after: Value,
}

/// Which lines of the audit log.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuditQuery {
    /// Only those with a lower number: the next page is asked for with the last one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// At most so many; [`super::MAX_PAGE`] if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}
