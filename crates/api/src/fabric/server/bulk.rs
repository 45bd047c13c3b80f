//! Everything at once: export, import, backup.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Server;
use super::access::secret;
use super::extract::{NoParams, Params, expect_media_type};
use crate::fabric::paths::{JSON_LINES, MAX_BULK_BYTES, OCTETS};
use crate::fabric::{Caller, Imported, Role};
use crate::http::{Answer, Failure, body_of, ok};
use crate::{Problem, ProblemType};

pub(super) async fn export(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    _: Params<NoParams>,
) -> Answer {
    let text = server.call(move |api| api.export(&caller)).await?;
    Ok(file(JSON_LINES, "netvirt.jsonl", text))
}

pub(super) async fn import(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    _: Params<NoParams>,
    request: Request,
) -> Answer {
    // So large a body is read for admins alone; whether an admin may is still the judgement of the method.
    if caller.role != Role::Admin {
        let detail =
            format!("the {} \"{}\" has the role {}; only an admin may import", caller.kind, caller.name, caller.role);
        return Err(Failure(Problem::new(ProblemType::Forbidden, detail)));
    }
    expect_media_type(request.headers(), JSON_LINES)?;
    let text = body_of(request, MAX_BULK_BYTES).await?;
    let resources = server.call(move |api| api.import(&caller, &text)).await?;
    ok(&Imported { resources })
}

pub(super) async fn backup(
    State(server): State<Server>,
    Extension(caller): Extension<Caller>,
    _: Params<NoParams>,
) -> Answer {
    let copy = server.call(move |api| api.backup(&caller)).await?;
    Ok(secret(file(OCTETS, "netvirt.redb", copy)))
}

/// A body that browsers keep as a file of this name (RFC 6266).
fn file(media_type: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [(header::CONTENT_TYPE, media_type.to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    (StatusCode::OK, headers, bytes).into_response()
}
