//! `create`, `set`, `delete`, `apply` and `diff` at a controller.

use std::time::Duration;

use api::fabric::{Change, ChangeReport, ChangeSet, Client, ClientError};
use api::{Outcome, ProblemType};
use model::fabric::{Key, Kind, Resource};

use super::{Controller, access, accounts, wait};
use crate::CliError;
use crate::args::{Apply, Create, Delete, Output, Set, Target};
use crate::diff::{self, Sides};
use crate::fields::{self, CreateWhat, SetWhat};
use crate::files::{self, Text};
use crate::render::{self, fabric};
use crate::run::Streams;

/// How often `set` reads anew when somebody else was faster.
const ATTEMPTS: u32 = 5;

/// `netvirt create`.
pub fn create(controller: &Controller, create: &Create, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let at_once = || now(create.what.as_str(), "made", create.dry_run, create.waiting.wait);
    match &create.what {
        CreateWhat::Token { name, fields } => {
            at_once()?;
            let token = fields.token(name, controller.tenant_flag.as_ref(), &controller.tenant);
            access::create_token(controller, &token, fields.write_context.as_deref(), streams)
        }
        CreateWhat::User { name, fields } => {
            at_once()?;
            accounts::create_user(controller, name, fields, streams)
        }
        CreateWhat::JoinToken(fields) => {
            at_once()?;
            access::create_join_token(controller, &fields.token(), streams)
        }
        what => {
            let resource = what.at_controller(&controller.tenant, controller.host.as_deref())?;
            change(controller, vec![Change::Create(resource)], create.dry_run, create.waiting.wait, streams)
        }
    }
}

/// Refuses options that are for resources: this is done at once, and nobody waits for it.
fn now(what: &str, done: &str, dry_run: bool, wait: Option<Duration>) -> Result<(), CliError> {
    if !dry_run && wait.is_none() {
        return Ok(());
    }
    Err(CliError::Usage(format!("a {what} is {done} at once; leave --dry-run and --wait out")))
}

/// `netvirt set`: reads, changes the given fields and writes, if nobody else has written in the meantime; if somebody
/// has, it reads anew, since it is about the given fields alone. With `--revision` it does not.
pub fn set(controller: &Controller, set: &Set, streams: &mut Streams<'_>) -> Result<(), CliError> {
    if let SetWhat::Password { name, generate } = &set.what {
        now(set.what.as_str(), "set", set.dry_run, set.waiting.wait)?;
        return accounts::set_password(controller, name, *generate, streams);
    }
    let key = set.what.key(&controller.tenant)?;
    let mut attempt = 1;
    let report = loop {
        let item = controller.client.get(&key)?;
        let mut spec = item.spec;
        set.what.edit(controller.host.as_deref(), &mut spec)?;
        let resource = fields::changed_at_controller(&key, spec)?;
        let revision = Some(set.revision.unwrap_or(item.revision));
        let changes = ChangeSet {
            changes: vec![Change::Replace { resource, revision }],
            dry_run: set.dry_run,
            ..ChangeSet::default()
        };
        match controller.client.change(&changes) {
            Err(error)
                if set.revision.is_none() && attempt < ATTEMPTS && is(&error, ProblemType::PreconditionFailed) =>
            {
                attempt += 1;
            }
            report => break report?,
        }
    };
    finish(controller, &report, set.dry_run, set.waiting.wait, streams)
}

/// Whether the controller refused for this reason.
fn is(error: &ClientError, problem_type: ProblemType) -> bool {
    error.problem().is_some_and(|problem| problem.problem_type == problem_type)
}

/// `netvirt delete`; `texts` are the files, where no kind is given.
pub fn delete(
    controller: &Controller,
    delete: &Delete,
    texts: &[Text],
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let mut keys: Vec<Key> = match delete.target {
        None => declared(controller, texts)?.iter().map(Resource::key).collect(),
        Some(Target::User) => return accounts::delete_users(controller, delete, streams),
        Some(Target::Token) => return access::delete_tokens(controller, delete, streams),
        Some(target) => match target.fabric_kind() {
            Some(kind) => named(controller, delete, kind)?,
            None => {
                let what = target.as_str();
                let sentence = match target {
                    Target::Audit => "the audit log is kept as it is; nothing of it can be deleted".to_owned(),
                    _ => format!("{what} are what hosts say, and nothing of it can be deleted"),
                };
                return Err(CliError::Usage(sentence));
            }
        },
    };
    // What refers goes before what is referred to.
    keys.sort_by_key(|key| std::cmp::Reverse(Kind::ALL.iter().position(|kind| *kind == key.kind)));
    let changes = keys.into_iter().map(|key| Change::Delete { key, revision: None }).collect();
    change(controller, changes, delete.dry_run, delete.wait, streams)
}

/// The keys of the resources of a kind that are to be deleted.
fn named(controller: &Controller, delete: &Delete, kind: Kind) -> Result<Vec<Key>, CliError> {
    match (delete.names.as_slice(), delete.all) {
        ([], true) => Ok(controller.fetch(kind, &[])?.iter().map(api::fabric::Item::key).collect()),
        ([], false) => Err(CliError::Usage(format!("which {kind}? name one or several, or say --all"))),
        (_, _) if controller.all_tenants => {
            let sentence = "--all-tenants goes with --all; name the owner of a single resource with --tenant";
            Err(CliError::Usage(sentence.to_owned()))
        }
        (names, _) => names.iter().map(|name| controller.key(kind, name)).collect(),
    }
}

/// What files declare.
fn declared(controller: &Controller, texts: &[Text]) -> Result<Vec<Resource>, CliError> {
    files::at_controller(texts, controller.named_tenant.as_ref())
}

/// `netvirt apply`.
pub fn apply(
    controller: &Controller,
    apply: &Apply,
    texts: &[Text],
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let changes = puts(declared(controller, texts)?);
    change(controller, changes, apply.dry_run, apply.waiting.wait, streams)
}

fn puts(resources: Vec<Resource>) -> Vec<Change> {
    resources.into_iter().map(|resource| Change::Put { resource, revision: None }).collect()
}

/// `netvirt diff`: what is declared, beside what the controller says would be declared.
pub fn diff(controller: &Controller, texts: &[Text], streams: &mut Streams<'_>) -> Result<(), CliError> {
    let changes = puts(declared(controller, texts)?);
    let report = controller.client.change(&ChangeSet { changes, dry_run: true, ..ChangeSet::default() })?;
    let mut differences = Vec::new();
    for result in report.results.iter().filter(|result| result.outcome != Outcome::Unchanged) {
        let key = result.item.key();
        let old = match result.outcome {
            Outcome::Created => String::new(),
            _ => existing(&controller.client, &key)?,
        };
        differences.push(Sides { name: key.to_string(), old, new: fabric::resources([&result.item])? });
    }
    diff::show(&differences, streams)
}

/// A resource as YAML; nothing if somebody has deleted it by now.
fn existing(client: &Client, key: &Key) -> Result<String, CliError> {
    match client.get(key) {
        Ok(item) => fabric::resources([&item]),
        Err(error) if is(&error, ProblemType::NotFound) => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

/// Carries out changes as one transaction, prints what became of them, and waits for it if that is wanted.
fn change(
    controller: &Controller,
    changes: Vec<Change>,
    dry_run: bool,
    wait: Option<Duration>,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    if changes.is_empty() {
        return streams.note("nothing to do");
    }
    let report = controller.client.change(&ChangeSet { changes, dry_run, ..ChangeSet::default() })?;
    finish(controller, &report, dry_run, wait, streams)
}

fn finish(
    controller: &Controller,
    report: &ChangeReport,
    dry_run: bool,
    wait: Option<Duration>,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let text = match controller.output {
        Output::Json => render::json(report)?,
        Output::Yaml => render::yaml(report)?,
        Output::Table | Output::Wide => fabric::report(report, dry_run),
        Output::Name => {
            report.results.iter().map(|result| format!("{}/{}\n", result.item.kind, result.item.name)).collect()
        }
    };
    streams.print(&text)?;
    report.findings.iter().try_for_each(|finding| streams.note(&format!("warning: {finding}")))?;
    match wait {
        Some(limit) if !dry_run => {
            let end = std::time::Instant::now() + limit;
            wait::until_realized(controller, report, limit, &[])?;
            wait::until_gone(controller, report, end, limit)
        }
        _ => Ok(()),
    }
}
