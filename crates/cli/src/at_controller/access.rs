//! Tokens, the audit log and the store of a controller.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use api::fabric::{AuditEntry, AuditQuery, Context, MAX_PAGE, NewJoinToken, NewToken, Token};
use model::fabric::ResourceName;

use super::Controller;
use crate::CliError;
use crate::args::{Delete, Get, Output, StoreVerb};
use crate::render::{self, fabric};
use crate::run::Streams;

/// How many lines of the audit log are shown unless another number is asked for.
const AUDIT_LINES: usize = 50;

/// `netvirt get tokens`.
pub fn tokens(controller: &Controller, names: &[String], streams: &mut Streams<'_>) -> Result<(), CliError> {
    let mut tokens = controller.client.tokens()?;
    if let Some(name) = names.iter().find(|name| !has(&tokens, name)) {
        return Err(CliError::NoToken(name.clone()));
    }
    tokens.retain(|token| names.is_empty() || names.iter().any(|name| token.name.as_str() == name));
    let text = match (controller.output, names, tokens.as_slice()) {
        (Output::Json, [_], [token]) => render::json(token)?,
        (Output::Json, ..) => render::json(&tokens)?,
        (Output::Yaml, ..) => render::yaml(&tokens)?,
        (Output::Name, ..) => tokens.iter().map(|token| format!("token/{}\n", token.name)).collect(),
        (_, _, []) => return streams.note("there is no token"),
        _ => fabric::tokens(&tokens),
    };
    streams.print(&text)
}

fn has(tokens: &[Token], name: &str) -> bool {
    tokens.iter().any(|token| token.name.as_str() == name)
}

/// `netvirt create token`. The secret alone goes to the standard output, so that it can be kept in a variable; or into
/// a context, and then nowhere else.
pub fn create_token(
    controller: &Controller,
    token: &NewToken,
    file: Option<&Path>,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let created = controller.client.create_token(token)?;
    if let Some(file) = file {
        let context = Context { token: created.secret, tenant: token.tenant.clone(), ..controller.context.clone() };
        if let Err(error) = context.write(file) {
            // Nobody has its secret. That it could not be written is what is to be told.
            let _ = controller.client.delete_token(&token.name);
            return Err(error.into());
        }
        return streams.print(&format!("token \"{}\" created; its context is {}\n", token.name, file.display()));
    }
    match controller.output {
        Output::Json => streams.print(&render::json(&created)?),
        Output::Yaml => streams.print(&render::yaml(&created)?),
        Output::Table | Output::Wide | Output::Name => {
            streams.note(&format!("token \"{}\" created; this is its secret, which is told this once:", token.name))?;
            streams.print(&format!("{}\n", created.secret))
        }
    }
}

/// `netvirt delete token`.
pub fn delete_tokens(controller: &Controller, delete: &Delete, streams: &mut Streams<'_>) -> Result<(), CliError> {
    if delete.all || delete.names.is_empty() {
        return Err(CliError::Usage("which token? name one or several".to_owned()));
    }
    if delete.wait.is_some() {
        return Err(CliError::Usage("a token ends at once; leave --wait out".to_owned()));
    }
    let names: Vec<ResourceName> = delete
        .names
        .iter()
        .map(|name| name.parse().map_err(|error| CliError::Usage(format!("{error}"))))
        .collect::<Result<_, _>>()?;
    let tokens = controller.client.tokens()?;
    if let Some(name) = names.iter().find(|name| !has(&tokens, name.as_str())) {
        return Err(CliError::NoToken(name.to_string()));
    }
    for name in &names {
        if delete.dry_run {
            streams.print(&format!("token \"{name}\" deleted (dry run)\n"))?;
            continue;
        }
        controller.client.delete_token(name)?;
        streams.print(&format!("token \"{name}\" deleted\n"))?;
    }
    Ok(())
}

/// `netvirt create join-token`. The command to run on the host goes to the standard output.
pub fn create_join_token(
    controller: &Controller,
    token: &NewJoinToken,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let created = controller.client.create_join_token(token)?;
    match controller.output {
        Output::Json => streams.print(&render::json(&created)?),
        Output::Yaml => streams.print(&render::yaml(&created)?),
        Output::Name => streams.print(&format!("{}\n", created.token)),
        Output::Table | Output::Wide => {
            let (whom, name) = match &token.host {
                Some(host) => (format!("host {host}"), format!(" --name {host}")),
                None => ("one host".to_owned(), String::new()),
            };
            streams
                .note(&format!("valid until {}; run this on {whom}, with the name of its uplink:", created.expires))?;
            streams.print(&format!(
                "netvirt host join --controller {} --token {} --uplink INTERFACE{name}\n",
                created.controller, created.token
            ))
        }
    }
}

/// `netvirt get audit`.
pub fn audit(controller: &Controller, get: &Get, streams: &mut Streams<'_>) -> Result<(), CliError> {
    if !get.names.is_empty() {
        return Err(CliError::Usage("lines of the audit log have no names; say how many with --limit".to_owned()));
    }
    let mut left = get.limit.unwrap_or(AUDIT_LINES);
    let (mut entries, mut before) = (Vec::<AuditEntry>::new(), None);
    while left > 0 {
        let asked = left.min(MAX_PAGE);
        let page = controller.client.audit(&AuditQuery { before, limit: Some(asked) })?;
        before = page.last().map(|entry| entry.id);
        left -= page.len().min(left);
        let last = page.len() < asked;
        entries.extend(page);
        if last {
            break;
        }
    }
    let text = match controller.output {
        Output::Json => render::json(&entries)?,
        Output::Yaml => render::yaml(&entries)?,
        Output::Name => entries.iter().map(|entry| format!("audit/{}\n", entry.id)).collect(),
        _ if entries.is_empty() => return streams.note("the audit log is empty"),
        _ => fabric::audit(&entries, controller.wide()),
    };
    streams.print(&text)
}

/// `netvirt store`.
pub fn store(controller: &Controller, verb: &StoreVerb, streams: &mut Streams<'_>) -> Result<(), CliError> {
    match verb {
        StoreVerb::Export { file: None } => {
            let text = controller.client.export()?;
            streams.out.write_all(&text).and_then(|()| streams.out.flush()).map_err(CliError::Output)
        }
        StoreVerb::Export { file: Some(file) } => {
            let text = controller.client.export()?;
            fs::write(file, &text).map_err(|source| CliError::Write { file: file.clone(), source })?;
            streams.print(&format!("exported {} bytes to {}\n", text.len(), file.display()))
        }
        StoreVerb::Import { file } => {
            let read = if file == Path::new("-") {
                let mut text = Vec::new();
                streams.input.read_to_end(&mut text).map(|_| text)
            } else {
                fs::read(file)
            };
            let text = read.map_err(|source| CliError::Read { file: file.clone(), source })?;
            let resources = controller.client.import(text)?;
            streams.print(&format!("imported {resources} resources\n"))
        }
        StoreVerb::Backup { file } => {
            // It holds secrets: nobody but the owner may read it, and nothing is overwritten with it. The file comes
            // first, so that a copy is not made in vain.
            let failed = |source| CliError::Write { file: file.clone(), source };
            let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
            let written = controller.client.backup().map_err(CliError::from).and_then(|bytes| {
                copy.write_all(&bytes).and_then(|()| copy.sync_all()).map_err(failed)?;
                Ok(bytes.len())
            });
            if written.is_err() {
                // What is not whole is no backup; the first error is the one to report.
                let _ = fs::remove_file(file);
            }
            streams.print(&format!("copied {} bytes to {}\n", written?, file.display()))
        }
    }
}
