//! The uniform paths of all kinds: list, create, get, put, delete.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::fabric::Key;
use serde::Deserialize;

use super::Server;
use super::extract::{JsonBody, NoParams, Params, Place};
use super::preconditions::{Tags, changed, etag, if_match, if_none_match};
use crate::fabric::{Caller, Change, ChangeResult, ChangeSet, Item, ListQuery, MAX_PAGE, paths};
use crate::http::{Answer, Failure, json, ok};
use crate::{Outcome, Problem, ProblemType};

/// What may follow the question mark of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListParams {
    limit: Option<usize>,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
    search: Option<String>,
}

/// What may follow the question mark of a change.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChangeParams {
    #[serde(default)]
    dry_run: bool,
}

/// Sees that a page is asked for that there can be.
pub(super) fn page_size(limit: Option<usize>) -> Result<Option<usize>, Failure> {
    match limit {
        Some(limit) if !(1..=MAX_PAGE).contains(&limit) => {
            let detail = format!("limit={limit} is no size of a page; ask for 1 to {MAX_PAGE}, and for more by pages");
            Err(Failure(Problem::bad_request(detail)))
        }
        limit => Ok(limit),
    }
}

pub(super) async fn list(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    place: Place,
    Params(ListParams { limit, continue_token, search }): Params<ListParams>,
) -> Answer {
    let query = ListQuery { kind: place.kind, tenant: place.tenant, limit: page_size(limit)?, continue_token, search };
    ok(&server.call(move |api| api.list(&caller, query)).await?)
}

pub(super) async fn get_one(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    place: Place,
    _: Params<NoParams>,
    headers: HeaderMap,
) -> Answer {
    let key = place.key()?;
    let unless = if_none_match(&headers)?;
    let item = server.call(move |api| api.get(&caller, &key)).await?;
    if unless.is_some_and(|tags| tags.matches(item.revision)) {
        return Ok(with_etag(StatusCode::NOT_MODIFIED.into_response(), item.revision));
    }
    Ok(with_etag(json(StatusCode::OK, &item), item.revision))
}

pub(super) async fn create(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    place: Place,
    Params(params): Params<ChangeParams>,
    JsonBody(body): JsonBody,
) -> Answer {
    let change = Change::Create(place.resource(&body)?);
    Ok(shown(one(&server, caller, change, params.dry_run).await?, params.dry_run))
}

/// Creates or replaces; with `If-Match` replaces only, with `If-None-Match: *` creates only.
pub(super) async fn put(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    place: Place,
    Params(ChangeParams { dry_run }): Params<ChangeParams>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Answer {
    let key = place.key()?;
    let wanted = if_match(&headers)?;
    let create_only = match if_none_match(&headers)? {
        None => false,
        Some(Tags::Any) if wanted.is_none() => true,
        Some(_) => {
            let detail = "PUT takes either \"If-Match\" or \"If-None-Match: *\"; leave the other one out";
            return Err(Failure(Problem::bad_request(detail)));
        }
    };
    let resource = place.resource(&body)?;
    let change = match wanted {
        Some(tags) => Change::Replace { resource, revision: revision(&server, &caller, &key, tags).await? },
        None if create_only => Change::Create(resource),
        None => Change::Put { resource, revision: None },
    };
    match one(&server, caller.clone(), change, dry_run).await {
        // That it exists is what `If-None-Match: *` forbids (RFC 9110, section 13.1.2); another conflict is one.
        Err(Failure(problem)) if create_only && problem.problem_type == ProblemType::Conflict => {
            let exists = server.call(move |api| api.get(&caller, &key)).await.is_ok();
            let problem_type = if exists { ProblemType::PreconditionFailed } else { ProblemType::Conflict };
            Err(Failure(Problem { errors: problem.errors, ..Problem::new(problem_type, problem.detail) }))
        }
        result => Ok(shown(result?, dry_run)),
    }
}

pub(super) async fn delete(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    place: Place,
    Params(ChangeParams { dry_run }): Params<ChangeParams>,
    headers: HeaderMap,
) -> Answer {
    let key = place.key()?;
    let revision = match if_match(&headers)? {
        Some(tags) => revision(&server, &caller, &key, tags).await?,
        None => None,
    };
    let result = one(&server, caller, Change::Delete { key, revision }, dry_run).await?;
    ok(&result.item)
}

/// The one revision that the change is for. A single ETag is given on as it is, so that the check and the change are
/// one transaction; of several, the one that the resource has now.
async fn revision(server: &Server, caller: &Caller, key: &Key, tags: Tags) -> Result<Option<u64>, Failure> {
    match tags {
        Tags::Any => Ok(None),
        Tags::Of(revisions) if revisions.len() == 1 => Ok(revisions.first().copied()),
        tags => {
            let (caller, wanted) = (caller.clone(), key.clone());
            let now = server.call(move |api| api.get(&caller, &wanted)).await?.revision;
            if tags.matches(now) { Ok(Some(now)) } else { Err(Failure(changed(key, now))) }
        }
    }
}

/// Carries out one change. What it has found out besides stands among the findings of the resource.
async fn one(server: &Server, caller: Caller, change: Change, dry_run: bool) -> Result<ChangeResult, Failure> {
    let changes = ChangeSet { changes: vec![change], dry_run, ..ChangeSet::default() };
    let report = server.call(move |api| api.change(&caller, changes)).await?;
    let result = report.results.into_iter().next();
    let mut result = result.ok_or_else(|| Problem::internal("a change came to nothing, which is a bug"))?;
    let known = &mut result.item.status.findings;
    let new = report.findings.into_iter().filter(|finding| !known.contains(finding)).collect::<Vec<_>>();
    known.extend(new);
    Ok(result)
}

/// 201 with the place of a new resource, otherwise 200. What a dry run shows does not exist: it has no place and no ETag.
fn shown(result: ChangeResult, dry_run: bool) -> Response {
    let ChangeResult { outcome, item } = result;
    if dry_run {
        return json(StatusCode::OK, &item);
    }
    if outcome != Outcome::Created {
        return with_etag(json(StatusCode::OK, &item), item.revision);
    }
    let response = json(StatusCode::CREATED, &item);
    with_location(with_etag(response, item.revision), &location(&item))
}

fn location(item: &Item) -> String {
    paths::resource(&item.key())
}

fn with_etag(mut response: Response, revision: u64) -> Response {
    if let Some(etag) = etag(revision) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// Says where what was created is.
pub(super) fn with_location(mut response: Response, path: &str) -> Response {
    if let Ok(location) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
