//! What handlers read of a request: which resource the path names, the query, a body of JSON.

use axum::Extension;
use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use hyper::body::Bytes;
use model::fabric::{Key, Kind, Resource, ResourceName, Spec};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::fabric::paths::MAX_TENANT_BODY_BYTES;
use crate::fabric::{Caller, Role, paths};
use crate::http::{Failure, body_of, parse};
use crate::paths::MAX_BODY_BYTES;
use crate::{Problem, ProblemType};

/// What the constant part of a path names.
#[derive(Clone, Copy)]
pub(super) struct Target {
    /// The kind.
    pub(super) kind: Kind,
    /// Whether the first variable segment is a tenant that owns resources of the kind.
    pub(super) below_tenant: bool,
}

/// What a path names.
pub(super) struct Place {
    /// The kind.
    pub(super) kind: Kind,
    /// The owner, if the path says who.
    pub(super) tenant: Option<ResourceName>,
    /// The name, if the path is of one resource.
    name: Option<ResourceName>,
}

impl Place {
    /// Which resource the path is of. Only for paths with a name; another one is a bug in the router.
    pub(super) fn key(&self) -> Result<Key, Failure> {
        match &self.name {
            Some(name) => Ok(Key::new(self.kind, self.tenant.clone(), name.clone())),
            None => Err(Failure(Problem::internal("a path without a name was taken for that of a resource"))),
        }
    }

    /// The resource of a body: what the path says already may be left out, but not be contradicted.
    pub(super) fn resource(&self, body: &[u8]) -> Result<Resource, Failure> {
        let what = format!("a resource of kind {}", self.kind);
        let draft: Draft = parse(&what, body)?;
        if let Some(kind) = draft.kind.filter(|kind| *kind != self.kind) {
            let detail = format!(
                "the path takes no {kind}, but a {}; send it to {}",
                self.kind,
                paths::collection(kind, self.tenant.as_ref())
            );
            return Err(Failure(Problem::bad_request(detail)));
        }
        if let Some(tenant) = draft.tenant.as_ref().filter(|_| !self.kind.has_tenant()) {
            let detail = format!("a {} belongs to no tenant; leave \"tenant\": \"{tenant}\" out", self.kind.title());
            return Err(Failure(Problem::bad_request(detail)));
        }
        let tenant = self.agreed("tenant", self.tenant.as_ref(), draft.tenant)?;
        let name = self.agreed("name", self.name.as_ref(), draft.name)?.ok_or_else(|| {
            Problem::bad_request(format!("the {} has no name; give it one as \"name\"", self.kind.title()))
        })?;
        Ok(Resource::new(tenant, name, spec(self.kind, &what, draft.spec)?))
    }

    /// What path and body say of a thing, if they do not contradict each other.
    fn agreed(
        &self,
        what: &str,
        path: Option<&ResourceName>,
        body: Option<ResourceName>,
    ) -> Result<Option<ResourceName>, Failure> {
        // A path of one resource that names no tenant means the default one.
        let default =
            (what == "tenant" && self.kind.has_tenant() && self.name.is_some()).then(ResourceName::default_tenant);
        match (path.or(default.as_ref()), body) {
            (Some(path), Some(body)) if *path != body => {
                let detail =
                    format!("the path is of {what} \"{path}\", but the body of \"{body}\"; make them the same");
                Err(Failure(Problem::bad_request(detail)))
            }
            (path, body) => Ok(body.or_else(|| path.cloned())),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let target = Extension::<Target>::from_request_parts(parts, state).await;
        let Extension(target) = target.map_err(|error| Problem::internal(error.body_text()))?;
        let mut segments = names(parts, state).await?.into_iter();
        let tenant = if target.below_tenant { segments.next() } else { None };
        Ok(Self { kind: target.kind, tenant, name: segments.next() })
    }
}

/// The variable segments of a path, all of which are names.
async fn names<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<ResourceName>, Failure> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    let params = params.map_err(|error| Problem::bad_request(error.body_text()))?;
    params.iter().map(|(_, segment)| segment.parse().map_err(bad_name)).collect()
}

fn bad_name(error: model::fabric::ResourceNameError) -> Failure {
    Failure(Problem::bad_request(error.to_string()))
}

/// The one name of a path.
pub(super) struct Name(pub(super) ResourceName);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let name = names(parts, state).await?.pop();
        Ok(Self(name.ok_or_else(|| Problem::internal("a path without a name was taken for one with"))?))
    }
}

/// A tenant and what it owns, of a path with both.
pub(super) struct Owned {
    pub(super) tenant: ResourceName,
    pub(super) name: ResourceName,
}

impl<S: Send + Sync> FromRequestParts<S> for Owned {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let mut names = names(parts, state).await?.into_iter();
        match (names.next(), names.next()) {
            (Some(tenant), Some(name)) => Ok(Self { tenant, name }),
            _ => Err(Failure(Problem::internal("a path without two names was taken for one with"))),
        }
    }
}

/// A resource in a body, of which the path may say parts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    #[serde(default, deserialize_with = "given")]
    kind: Option<Kind>,
    #[serde(default)]
    tenant: Option<ResourceName>,
    #[serde(default, deserialize_with = "given")]
    name: Option<ResourceName>,
    #[serde(default, deserialize_with = "given")]
    spec: Option<Value>,
}

/// A field that may be left out, but not be null.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(reader: D) -> Result<Option<T>, D::Error> {
    T::deserialize(reader).map(Some)
}

/// The spec of a kind; the error names the field.
fn spec(kind: Kind, what: &str, value: Option<Value>) -> Result<Spec, Failure> {
    let value = value.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    if !value.is_object() {
        let detail = format!("the body is not {what} in JSON: spec: it is {value}; write an object");
        return Err(Failure(Problem::bad_request(detail)));
    }
    let mut track = serde_path_to_error::Track::new();
    Spec::deserialize(kind, serde_path_to_error::Deserializer::new(value, &mut track)).map_err(|error| {
        let path = track.path().to_string();
        let path = if path == "." { "spec".to_owned() } else { format!("spec.{path}") };
        Failure(Problem::bad_request(format!("the body is not {what} in JSON: {path}: {error}")))
    })
}

/// What stands behind the question mark.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Query::try_from_uri(&parts.uri).map(|Query(params)| Self(params)).map_err(|rejection| {
            let detail = format!("the query of {} is not understood: {}", parts.uri.path(), rejection.body_text());
            Failure(Problem::bad_request(detail))
        })
    }
}

/// Of a path that takes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParams {}

/// A body that says that it is JSON.
pub(super) struct JsonBody(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        expect_media_type(request.headers(), "application/json")?;
        let admin = request.extensions().get::<Caller>().is_some_and(|caller| caller.role == Role::Admin);
        body_of(request, if admin { MAX_BODY_BYTES } else { MAX_TENANT_BODY_BYTES }).await.map(Self)
    }
}

/// Refuses a body of another media type; parameters behind it (`charset=utf-8`) do not matter.
pub(super) fn expect_media_type(headers: &HeaderMap, expected: &str) -> Result<(), Failure> {
    let given = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let essence = given.as_deref().and_then(|value| value.split(';').next()).map(str::trim);
    if essence.is_some_and(|essence| essence.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    let detail = match given {
        Some(given) => format!("the body is {given}; send {expected} and say so with \"Content-Type: {expected}\""),
        None => format!("the body has no media type; send {expected} and say so with \"Content-Type: {expected}\""),
    };
    Err(Failure(Problem::new(ProblemType::UnsupportedMediaType, detail)))
}
