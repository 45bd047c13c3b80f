//! How the controller's things lie in the store: which key, and what stands under it.
//!
//! | key | value |
//! | --- | --- |
//! | `fabric` | written by every change of the fabric, so that changes are serial whoever makes them |
//! | `objects/KIND/TENANT/NAME` | [`ObjectRecord`]; the tenant is `-` where there is none |
//! | `claims/...` | the key of the object that has it |
//! | `tokens/NAME` | [`TokenRecord`] |
//! | `join/ID` | [`JoinRecord`] |
//! | `users-begun` | that there were users at some time: the first one is made once |
//! | `users/NAME` | [`UserRecord`] |
//! | `sessions/SHA256` | [`SessionRecord`]; the key is that of the secret |
//! | `audit/TENANT/NUMBER` | [`api::fabric::AuditEntry`]; the number counts down, so that the newest comes first |
//! | `audit-counts/TENANT` | how many lines there are of it |

use api::fabric::Role;
use api::fabric::accounts::UserSource;
use model::fabric::{Allocation, Key, Object, Resource, ResourceName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::Entry;
use uuid::Uuid;

pub const FABRIC: &str = "fabric";
pub const OBJECTS: &str = "objects/";
pub const CLAIMS: &str = "claims/";
pub const TOKENS: &str = "tokens/";
pub const JOIN: &str = "join/";
pub const USERS_BEGUN: &str = "users-begun";
pub const USERS: &str = "users/";
pub const SESSIONS: &str = "sessions/";
pub const AUDIT: &str = "audit/";
pub const AUDIT_COUNTS: &str = "audit-counts/";

/// What stands in a key where there is no tenant; no name begins with it.
pub const NOBODY: &str = "-";

/// A record that this version cannot read.
#[derive(Debug, thiserror::Error)]
#[error("the store's \"{key}\" cannot be read by this version of netvirt: {source}")]
pub struct RecordError {
    /// Its key.
    pub key: String,
    /// Where, and what is wrong.
    pub source: serde_json::Error,
}

/// An object without what the store itself knows: the revision.
#[derive(Serialize, Deserialize)]
pub struct ObjectRecord {
    resource: Resource,
    uid: Uuid,
    created: u64,
    #[serde(default)]
    allocation: Allocation,
}

/// A token of a person or program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRecord {
    /// SHA-256 of the secret, in hexadecimal.
    pub sha256: String,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<ResourceName>,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// A token with which one host may join.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JoinRecord {
    /// SHA-256 of the secret, in hexadecimal.
    pub sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<ResourceName>,
    /// Milliseconds since 1970.
    pub expires: u64,
}

/// A user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRecord {
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<ResourceName>,
    #[serde(default)]
    pub source: UserSource,
    /// Whom the identity provider means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The hash of a local user's password, as PHC writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Milliseconds since 1970.
    pub created: u64,
}

/// A session of a user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRecord {
    pub user: ResourceName,
    /// Milliseconds since 1970.
    pub created: u64,
    /// When it was used, as it was last written; milliseconds since 1970.
    pub used: u64,
    /// By what an identity provider's user was admitted; see [`crate::openid::Person::grant`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

/// The path of an object behind [`OBJECTS`]; also what stands under its claims.
pub fn path(key: &Key) -> String {
    format!("{}/{}/{}", key.kind, owner(key.tenant.as_ref()), key.name)
}

/// A tenant as it stands in keys.
pub fn owner(tenant: Option<&ResourceName>) -> &str {
    tenant.map_or(NOBODY, ResourceName::as_str)
}

/// The store's key of an object.
pub fn object_key(key: &Key) -> String {
    format!("{OBJECTS}{}", path(key))
}

/// The store's key of a line of the audit log.
pub fn audit_key(tenant: Option<&ResourceName>, id: u64) -> String {
    format!("{AUDIT}{}/{:020}", owner(tenant), u64::MAX - id)
}

/// What stands under an object's key.
pub fn object_value(object: &Object) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&ObjectRecord {
        resource: object.resource.clone(),
        uid: object.uid,
        created: object.created,
        allocation: object.allocation.clone(),
    })
}

/// The object that an entry holds.
pub fn object(entry: &Entry) -> Result<Object, RecordError> {
    let ObjectRecord { resource, uid, created, allocation } = read(entry)?;
    Ok(Object { resource, uid, revision: entry.modified, created, allocation })
}

/// Any record.
pub fn read<T: DeserializeOwned>(entry: &Entry) -> Result<T, RecordError> {
    serde_json::from_slice(&entry.value).map_err(|source| RecordError { key: entry.key.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::fabric::{Kind, Port};

    #[test]
    fn an_object_comes_back_with_the_revision_of_its_entry() {
        let resource = Resource::new(None, "CA Pool".parse().unwrap(), Port::default());
        let object =
            Object { resource, uid: Uuid::from_u128(7), revision: 9, created: 5, allocation: Allocation::default() };
        let key = object_key(&object.key());
        assert_eq!(key, "objects/port/default/CA Pool");
        let value = object_value(&object).unwrap();
        let entry = Entry { key, value, created: 3, modified: 9 };
        assert_eq!(super::object(&entry).unwrap(), object);
        let host = Key::global(Kind::Host, &"host15".parse().unwrap());
        assert_eq!(object_key(&host), "objects/host/-/host15");
        let error = super::object(&Entry { value: b"{}".to_vec(), ..entry }).unwrap_err().to_string();
        assert!(error.contains("objects/port/default/CA Pool"), "{error}");
    }

    #[test]
    fn the_newest_line_of_the_audit_log_comes_first() {
        assert!(audit_key(None, 2) < audit_key(None, 1));
        assert!(audit_key(None, 10) < audit_key(None, 9));
        assert!(audit_key(Some(&"blue".parse().unwrap()), 1).starts_with("audit/blue/1844"));
    }
}
