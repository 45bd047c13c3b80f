//! The operations: what they take, and every status that they answer with.

use model::fabric::Kind;
use serde_json::{Map, Value, json};

use super::asking::{self, asking_paths};
use super::resources::resource_paths;
use super::schemas::schema;
use crate::fabric::paths::{self, EVENT_STREAM, JSON_LINES, OCTETS};
use crate::fabric::{MAX_PAGE, server};
use crate::{PROBLEM_MEDIA_TYPE, ProblemType};

/// What any operation with a token may answer.
const ALWAYS: [ProblemType; 5] = [
    ProblemType::BadRequest,
    ProblemType::Unauthorized,
    ProblemType::Forbidden,
    ProblemType::Internal,
    ProblemType::Unavailable,
];
/// What one with a body may answer besides.
const WITH_BODY: [ProblemType; 3] = [ProblemType::Timeout, ProblemType::TooLarge, ProblemType::UnsupportedMediaType];
/// What one that changes resources may answer besides.
pub(super) const CHANGING: [ProblemType; 4] =
    [ProblemType::NotFound, ProblemType::Conflict, ProblemType::PreconditionFailed, ProblemType::Invalid];

/// One operation in the making.
pub(super) struct Operation {
    value: Value,
    problems: Vec<ProblemType>,
}

impl Operation {
    pub(super) fn new(id: &str, tag: &str, summary: &str) -> Self {
        let value = json!({"operationId": id, "tags": [tag], "summary": summary, "responses": {}});
        Self { value, problems: ALWAYS.to_vec() }
    }

    pub(super) fn describe(mut self, text: &str) -> Self {
        self.value["description"] = json!(text);
        self
    }

    pub(super) fn parameters(mut self, names: &[&str]) -> Self {
        let references = names.iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")}));
        self.value["parameters"] = references.collect();
        self
    }

    pub(super) fn body(mut self, media_type: &str, body: Value) -> Self {
        self.value["requestBody"] = json!({"required": true, "content": {media_type: {"schema": body}}});
        self.problems.extend(WITH_BODY);
        self
    }

    pub(super) fn may(mut self, problems: &[ProblemType]) -> Self {
        self.problems.extend(problems);
        self
    }

    /// An answer; without media type it has no body.
    pub(super) fn answers(mut self, status: u16, description: &str, content: Option<(&str, Value)>) -> Self {
        let mut response = json!({"description": description});
        if let Some((media_type, body)) = content {
            response["content"] = json!({media_type: {"schema": body}});
        }
        self.value["responses"][status.to_string()] = response;
        self
    }

    /// The same with headers in the answer that was named last with this status.
    pub(super) fn headers(mut self, status: u16, names: &[&str]) -> Self {
        let headers =
            names.iter().map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")})));
        self.value["responses"][status.to_string()]["headers"] = Value::Object(headers.collect());
        self
    }

    /// Open to everybody: no token, and nothing that can go wrong but the query.
    fn open(mut self) -> Self {
        self.value["security"] = json!([]);
        self.problems = vec![ProblemType::BadRequest];
        self
    }

    /// The operation, its answers in the order of their numbers.
    pub(super) fn done(mut self) -> Value {
        for problem in &self.problems {
            let reference = json!({"$ref": format!("#/components/responses/{problem:?}")});
            self.value["responses"][problem.status().to_string()] = reference;
        }
        if let Some(responses) = self.value["responses"].as_object_mut() {
            responses.sort_keys();
        }
        self.value
    }
}

/// JSON of a schema.
pub(super) fn json_of(name: &str) -> Option<(&'static str, Value)> {
    Some(("application/json", schema(name)))
}

/// All paths.
pub(super) fn paths() -> Map<String, Value> {
    let mut all = Map::new();
    all.insert(paths::HEALTH.to_owned(), json!({"get": health()}));
    all.insert(paths::OPENAPI.to_owned(), json!({"get": document()}));
    all.insert(paths::STATUS.to_owned(), json!({"get": status()}));
    all.insert(paths::CHANGES.to_owned(), json!({"post": changes()}));
    all.insert(paths::WATCH.to_owned(), json!({"get": watch()}));
    for kind in Kind::ALL {
        all.extend(resource_paths(kind, false));
        if kind.has_tenant() {
            all.extend(resource_paths(kind, true));
        }
    }
    all.extend(access());
    all.extend(super::accounts::accounts());
    all.extend(bulk());
    all.extend(asking_paths());
    all
}

fn health() -> Value {
    let ok = json!({
        "type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"],
    });
    Operation::new("getHealth", "controller", "Whether the controller answers")
        .open()
        .answers(200, "It does.", Some(("application/json", ok)))
        .done()
}

fn document() -> Value {
    Operation::new("getOpenApi", "controller", "This document")
        .open()
        .answers(200, "The document.", Some(("application/json", json!({"type": "object"}))))
        .done()
}

fn status() -> Value {
    Operation::new("getStatus", "controller", "The controller itself")
        .parameters(&["statusRevision"])
        .answers(200, "Its version, revision and sizes.", json_of("ControllerStatus"))
        .may(&[ProblemType::NotFound, ProblemType::Gone])
        .done()
}

fn changes() -> Value {
    Operation::new("change", "changes", "Carry out all changes, or none")
        .body("application/json", schema("ChangeSet"))
        .answers(200, "All are carried out.", json_of("ChangeReport"))
        .may(&CHANGING)
        .done()
}

fn watch() -> Value {
    let text = format!(
        "Server-sent events. The type of an event is `changed`, `deleted` or `status`, its data an Event in JSON, its id \
         the revision; the first block has an id alone, the revision with which the watch begins. An event of type \
         `problem`, with a Problem as data, tells why the watch ends. A client that resumes with `Last-Event-ID` is told \
         the events of that revision again. At most {} watches are open at a time.",
        server::MAX_WATCHES
    );
    Operation::new("watch", "changes", "What changes from now on, or from a revision")
        .describe(&text)
        .parameters(&["watchKind", "watchTenant", "watchName", "from", "lastEventId"])
        .answers(200, "Events, until the client ends it.", Some((EVENT_STREAM, json!({"type": "string"}))))
        .may(&[ProblemType::NotFound, ProblemType::Gone])
        .done()
}

fn access() -> [(String, Value); 4] {
    let tag = "access";
    let tokens = Operation::new("listTokens", tag, "All tokens, without their secrets")
        .answers(200, "In the order of their names.", json_of("TokenList"))
        .done();
    let create = Operation::new("createToken", tag, "Make a token")
        .body("application/json", schema("NewToken"))
        .answers(201, "The token with its secret, which is told this once.", json_of("TokenCreated"))
        .headers(201, &["Location"])
        .may(&[ProblemType::NotFound, ProblemType::Conflict, ProblemType::Invalid])
        .done();
    let get = Operation::new("getToken", tag, "One token, without its secret")
        .parameters(&["name"])
        .answers(200, "The token.", json_of("Token"))
        .may(&[ProblemType::NotFound])
        .done();
    let delete = Operation::new("deleteToken", tag, "End a token at once")
        .parameters(&["name"])
        .answers(204, "It is gone.", None)
        .may(&[ProblemType::NotFound, ProblemType::Conflict])
        .done();
    let join = Operation::new("createJoinToken", tag, "Make a token with which one host may join, once")
        .body("application/json", schema("NewJoinToken"))
        .answers(201, "The token, which is told this once.", json_of("JoinToken"))
        .may(&[ProblemType::NotFound, ProblemType::Conflict, ProblemType::Invalid])
        .done();
    let audit = Operation::new("listAudit", tag, "The audit log, newest first")
        .parameters(&["before", "limit"])
        .answers(200, "A part of it.", json_of("AuditEntryList"))
        .done();
    [
        (paths::TOKENS.to_owned(), json!({"get": tokens, "post": create})),
        (paths::TOKEN.to_owned(), json!({"get": get, "delete": delete})),
        (paths::JOIN_TOKENS.to_owned(), json!({"post": join})),
        (paths::AUDIT.to_owned(), json!({"get": audit})),
    ]
}

fn bulk() -> [(String, Value); 3] {
    let tag = "copies";
    let text = || json!({"type": "string"});
    let export = Operation::new("export", tag, "Everything that is declared and allocated, without secrets")
        .answers(200, "One JSON value a line.", Some((JSON_LINES, text())))
        .done();
    let import = Operation::new("import", tag, "Fill an empty controller with what was exported")
        .body(JSON_LINES, text())
        .answers(200, "It is in force.", json_of("Imported"))
        .may(&[ProblemType::NotFound, ProblemType::Conflict, ProblemType::Invalid])
        .done();
    let octets = json!({"type": "string", "format": "binary"});
    let backup = Operation::new("backup", tag, "A consistent copy of the store's file, with secrets")
        .answers(200, "The file.", Some((OCTETS, octets)))
        .done();
    [
        (paths::EXPORT.to_owned(), json!({"get": export})),
        (paths::IMPORT.to_owned(), json!({"post": import})),
        (paths::BACKUP.to_owned(), json!({"get": backup})),
    ]
}

/// What groups the operations.
pub(super) fn tags() -> Value {
    let mut tags = vec![json!({"name": "controller"}), json!({"name": "changes"})];
    tags.extend(Kind::ALL.map(|kind| json!({"name": kind.as_str()})));
    tags.extend([json!({"name": asking::TAG}), json!({"name": "access"}), json!({"name": "copies"})]);
    Value::Array(tags)
}

/// The parameters, by name.
pub(super) fn parameters() -> Value {
    let revision = || json!({"type": "integer", "minimum": 0, "maximum": u64::MAX});
    let path = |name: &str, text: &str| json!({"name": name, "in": "path", "required": true, "description": text, "schema": schema("ResourceName")});
    let query = |name: &str, text: &str, schema: Value| json!({"name": name, "in": "query", "description": text, "schema": schema});
    let header = |name: &str, text: &str, schema: Value| json!({"name": name, "in": "header", "description": text, "schema": schema});
    let etags = || json!({"anyOf": [{"const": "*"}, {"type": "string", "pattern": "^\"[0-9]+\"(, \"[0-9]+\")*$"}]});
    let page = json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE});
    json!({
        "name": path("name", "The name."),
        "tenant": path("tenant", "The tenant."),
        "limit": query("limit", &format!("At most so many; {MAX_PAGE} if it is left out."), page),
        "continue": query("continue", "`continue` of the page before.", json!({"type": "string", "minLength": 1})),
        "search": query("search", "Those alone whose name, addresses, MAC address, VSID, prefixes, host or VM have this in them.", json!({"type": "string"})),
        "dryRun": query("dryRun", "Check only, and show what would come of it.", json!({"type": "boolean"})),
        "before": query("before", "Only lines with a lower number: the last one's, for the next page.", revision()),
        "watchKind": query("kind", "Events of this kind.", schema("Kind")),
        "watchTenant": query("tenant", "Events of this tenant.", schema("ResourceName")),
        "watchName": query("name", "Events of resources of this name.", schema("ResourceName")),
        "statusRevision": query("revision", "Say how far this revision is in force on the hosts.", revision()),
        "from": query("from", "Events after this revision; from now on, if it is left out.", revision()),
        "lastEventId": header("Last-Event-ID", "The last event that was seen; it goes before `from`.", revision()),
        "ifMatch": header("If-Match", "Only if the resource has one of these ETags; `*`: if it exists.", etags()),
        "ifNoneMatch": header("If-None-Match", "Only if the resource has none of these ETags.", etags()),
        "ifAbsent": header("If-None-Match", "`*`: create, do not replace.", json!({"type": "string", "enum": ["*"]})),
    })
}

/// The headers of answers, by name.
pub(super) fn headers() -> Value {
    json!({
        "ETag": {
            "description": "The revision of the resource.", "required": true,
            "schema": {"type": "string", "pattern": "^\"[0-9]+\"$"},
        },
        "Location": {
            "description": "The path of what was created.", "required": true,
            "schema": {"type": "string", "format": "uri-reference"},
        },
        "Retry-After": {
            "description": "After how many seconds it makes sense to try again.", "required": true,
            "schema": {"type": "integer", "minimum": 0},
        },
        "WWW-Authenticate": {
            "description": "That a token is needed.", "required": true, "schema": {"type": "string"},
        },
    })
}

/// The problems, by the names of their types.
pub(super) fn problems() -> Map<String, Value> {
    let all =
        ALWAYS.into_iter().chain(WITH_BODY).chain(CHANGING).chain([ProblemType::Gone, ProblemType::TooManyRequests]);
    all.map(|problem| {
        let mut response = json!({
            "description": problem.title(),
            "content": {PROBLEM_MEDIA_TYPE: {"schema": schema("Problem")}},
        });
        if problem == ProblemType::Unauthorized {
            response["headers"] = json!({"WWW-Authenticate": {"$ref": "#/components/headers/WWW-Authenticate"}});
        }
        if problem == ProblemType::TooManyRequests {
            response["headers"] = json!({"Retry-After": {"$ref": "#/components/headers/Retry-After"}});
        }
        (format!("{problem:?}"), response)
    })
    .collect()
}
