//! What each verb does.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::{Change, ChangeReport, ChangeSet, Client, ClientError, DropCounter, Item, TraceProtocol, TraceRequest};
use model::{Key, Kind, Resource};

use crate::args::{self, Cli, Delete, Describe, Get, Output, Target, Trace, Verb};
use crate::fields;
use crate::render::{self, Watcher};
use crate::{CliError, Roles};

/// How often `get --watch` asks.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Where input comes from and output goes to.
pub struct Streams<'a> {
    /// The standard input.
    pub input: &'a mut dyn Read,
    /// The standard output.
    pub out: &'a mut dyn Write,
    /// The standard error.
    pub err: &'a mut dyn Write,
}

impl Streams<'_> {
    pub(crate) fn print(&mut self, text: &str) -> Result<(), CliError> {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).map_err(CliError::Output)
    }

    pub(crate) fn note(&mut self, text: &str) -> Result<(), CliError> {
        writeln!(self.err, "{text}").map_err(CliError::Output)
    }
}

/// Carries out one command.
pub fn run(cli: &Cli, socket: Option<OsString>, roles: Roles, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let output = cli.global.output;
    let client = || Client::new(cli.global.socket_path(socket));
    match &cli.verb {
        Verb::Get(get) if get.watch => watch(get, &client()?, output, streams),
        Verb::Get(get) => self::get(get, &client()?, output, streams),
        Verb::Describe(describe) => self::describe(describe, &client()?, output, streams),
        Verb::Create(create) => {
            let changes = vec![Change::Create(create.what.resource()?)];
            change(changes, create.dry_run, &client()?, output, streams)
        }
        Verb::Set(set) => {
            let (key, given) = set.what.parts()?;
            let client = client()?;
            let old = client.get(key.kind, &key.name)?;
            let changes = vec![Change::Replace(fields::changed(key, old.spec, given)?)];
            change(changes, set.dry_run, &client, output, streams)
        }
        Verb::Delete(delete) => self::delete(delete, &client()?, output, streams),
        Verb::Apply(apply) => {
            let changes = declared(&apply.file, streams.input)?.into_iter().map(Change::Put).collect();
            change(changes, apply.dry_run, &client()?, output, streams)
        }
        Verb::Trace(trace) => {
            let report = client()?.trace(&trace_request(trace))?;
            let text = match output {
                Output::Json => render::json(&report)?,
                Output::Yaml => render::yaml(&report)?,
                Output::Table | Output::Wide => render::trace(&report),
            };
            streams.print(&text)
        }
        Verb::Status => {
            let status = client()?.status()?;
            let text = match output {
                Output::Json => render::json(&status)?,
                Output::Yaml => render::yaml(&status)?,
                Output::Table | Output::Wide => render::status(&status),
            };
            streams.print(&text)
        }
        Verb::Agent(agent) => (roles.agent)(&agent.config, agent.check).map_err(CliError::Role),
        Verb::Lab(verb) => crate::lab::run(verb, output, streams),
        Verb::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut args::command(), "netvirt", &mut script);
            streams.out.write_all(&script).map_err(CliError::Output)
        }
    }
}

/// The items of a kind with these names, or all.
fn fetch(client: &Client, kind: Kind, names: &[String]) -> Result<Vec<Item>, ClientError> {
    match names {
        [] => client.list(kind),
        names => names.iter().map(|name| client.get(kind, name)).collect(),
    }
}

/// The counters of drops at these ports, or all.
fn fetch_drops(client: &Client, ports: &[String]) -> Result<Vec<DropCounter>, ClientError> {
    let mut drops = client.drops()?;
    drops.retain(|drop| ports.is_empty() || ports.contains(&drop.port));
    Ok(drops)
}

fn get(get: &Get, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let Some(kind) = get.target.kind() else {
        let drops = fetch_drops(client, &get.names)?;
        let text = match output {
            Output::Json => render::json(&drops)?,
            Output::Yaml => render::yaml(&drops)?,
            Output::Table | Output::Wide if drops.is_empty() => return streams.note("no packet was dropped"),
            Output::Table | Output::Wide => render::drops(&drops, output == Output::Wide),
        };
        return streams.print(&text);
    };
    let items = fetch(client, kind, &get.names)?;
    let text = match (output, get.names.as_slice(), items.as_slice()) {
        (Output::Json, [_], [item]) => render::json(item)?,
        (Output::Json, ..) => render::json(&items)?,
        (Output::Yaml, ..) => render::resources(&items)?,
        (_, _, []) => return streams.note(&format!("no {kind} is declared")),
        _ => render::items(kind, &items, output == Output::Wide),
    };
    streams.print(&text)
}

/// Asks again and again, and prints what is different. An agent that restarts does not end it.
fn watch(get: &Get, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let mut watcher = Watcher::new(get.target, output);
    let mut silent = false;
    loop {
        let seen = match get.target.kind() {
            Some(kind) => client.list(kind).map(|mut items| {
                items.retain(|item| get.names.is_empty() || get.names.contains(&item.name));
                watcher.items(&items)
            }),
            None => fetch_drops(client, &get.names).map(|drops| watcher.drops(&drops)),
        };
        match seen {
            Ok(text) => {
                silent = false;
                streams.print(&text?)?;
            }
            Err(error @ ClientError::Refused(_)) => return Err(error.into()),
            // The first question finds out whether there is an agent at all.
            Err(error) if watcher.is_new() => return Err(error.into()),
            Err(error) if !silent => {
                silent = true;
                streams.note(&format!("warning: {error}; asking again until it answers"))?;
            }
            Err(_) => {}
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

fn describe(describe: &Describe, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let Some(kind) = describe.target.kind().filter(|_| !matches!(output, Output::Json | Output::Yaml)) else {
        let wide = if output == Output::Table { Output::Wide } else { output };
        let get = Get { target: describe.target, names: describe.names.clone(), watch: false };
        return self::get(&get, client, wide, streams);
    };
    let items = fetch(client, kind, &describe.names)?;
    if items.is_empty() {
        return streams.note(&format!("no {kind} is declared"));
    }
    let drops = if kind == Kind::Port { client.drops()? } else { Vec::new() };
    let texts: Vec<String> = items.iter().map(|item| render::describe(item, &drops)).collect();
    streams.print(&texts.join("\n"))
}

fn delete(delete: &Delete, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let keys: Vec<Key> = match delete.target {
        None => declared(&delete.file, streams.input)?.iter().map(Resource::key).collect(),
        Some(Target::Drops) if delete.names.is_empty() => return clear_drops(delete, client, streams),
        Some(Target::Drops) => {
            let sentence = "the counters of drops are set to 0 all at once; leave the names out";
            return Err(CliError::Usage(sentence.to_owned()));
        }
        Some(target) => {
            let Some(kind) = target.kind() else { return Ok(()) };
            let names = match (delete.names.as_slice(), delete.all) {
                ([], true) => client.list(kind)?.into_iter().map(|item| item.name).collect(),
                ([], false) => {
                    let sentence = format!("which {kind}? name one or several, or say --all");
                    return Err(CliError::Usage(sentence));
                }
                (names, _) => names.to_vec(),
            };
            names.into_iter().map(|name| Key { kind, name }).collect()
        }
    };
    change(keys.into_iter().map(Change::Delete).collect(), delete.dry_run, client, output, streams)
}

fn clear_drops(delete: &Delete, client: &Client, streams: &mut Streams<'_>) -> Result<(), CliError> {
    if delete.dry_run {
        client.drops()?;
        return streams.print("drops reset (dry run)\n");
    }
    client.clear_drops()?;
    streams.print("drops reset\n")
}

/// Carries out changes as one transaction and prints what became of them.
fn change(
    changes: Vec<Change>,
    dry_run: bool,
    client: &Client,
    output: Output,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let report: ChangeReport = client.change(&ChangeSet { changes, dry_run })?;
    let text = match output {
        Output::Json => render::json(&report)?,
        Output::Yaml => render::yaml(&report)?,
        Output::Table | Output::Wide => render::report(&report, dry_run),
    };
    streams.print(&text)?;
    report.findings.iter().try_for_each(|finding| streams.note(&format!("warning: {finding}")))
}

/// The resources that files declare.
fn declared(files: &[PathBuf], input: &mut dyn Read) -> Result<Vec<Resource>, CliError> {
    let mut resources = Vec::new();
    for file in files {
        let (name, text) = if file == Path::new("-") {
            let mut text = String::new();
            let read = input.read_to_string(&mut text);
            ("standard input".to_owned(), read.map(|_| text))
        } else {
            (file.display().to_string(), fs::read_to_string(file))
        };
        let text = text.map_err(|source| CliError::Read { file: PathBuf::from(&name), source })?;
        let mut found =
            model::resources_from_yaml(&text).map_err(|source| CliError::Yaml { file: name.clone(), source })?;
        if found.is_empty() {
            return Err(CliError::Empty(name));
        }
        resources.append(&mut found);
    }
    Ok(resources)
}

/// The packet that the flags describe.
fn trace_request(trace: &Trace) -> TraceRequest {
    let default = TraceRequest::new(trace.from.clone(), trace.to);
    TraceRequest {
        protocol: match (trace.tcp, trace.udp) {
            (true, _) => TraceProtocol::Tcp,
            (_, true) => TraceProtocol::Udp,
            _ => TraceProtocol::Icmp,
        },
        source: trace.source,
        source_port: trace.source_port.unwrap_or(default.source_port),
        destination_port: trace.dest_port.unwrap_or(default.destination_port),
        ttl: trace.ttl.unwrap_or(default.ttl),
        size: trace.size.unwrap_or(default.size),
        syn: trace.syn,
        dont_fragment: trace.dont_fragment,
        via: trace.via,
        ..default
    }
}
