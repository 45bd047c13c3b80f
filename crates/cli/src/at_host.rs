//! What each verb does where a host's agent is asked.

use std::time::Duration;

use api::{Change, ChangeReport, ChangeSet, Client, ClientError, DropCounter, Item, TraceProtocol, TraceRequest};
use model::{Key, Kind, Resource};

use crate::CliError;
use crate::args::{Create, Delete, Describe, Get, OfFlows, Output, Set, Target, Trace, Watch};
use crate::diff::{self, Sides};
use crate::fields;
use crate::files::{self, Text};
use crate::flows;
use crate::render::{self, Watcher};
use crate::run::Streams;

/// How often `get --watch` asks.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// `netvirt create`.
pub fn create(create: &Create, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    at_once(create.waiting.wait)?;
    change(vec![Change::Create(create.what.at_host()?)], create.dry_run, client, output, streams)
}

/// `netvirt set`.
pub fn set(set: &Set, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    at_once(set.waiting.wait)?;
    if set.revision.is_some() {
        return Err(CliError::Usage("resources of a host have no revisions; leave --revision out".to_owned()));
    }
    let fields::Parts { kind, name, given } = set.what.at_host()?;
    let name = written(kind, &name);
    let old = client.get(kind, &name)?;
    let changes = vec![Change::Replace(fields::changed(Key { kind, name }, old.spec, given)?)];
    change(changes, set.dry_run, client, output, streams)
}

/// `netvirt apply`.
pub fn apply(
    texts: &[Text],
    dry_run: bool,
    wait: Option<Duration>,
    client: &Client,
    output: Output,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    at_once(wait)?;
    let changes = files::at_host(texts)?.into_iter().map(Change::Put).collect();
    change(changes, dry_run, client, output, streams)
}

/// A host has done what it says that it did.
fn at_once(wait: Option<Duration>) -> Result<(), CliError> {
    match wait {
        None => Ok(()),
        Some(_) => Err(CliError::Usage(
            "a change at a host is in force when the command ends; leave --wait out, or ask a controller with \
             --context FILE"
                .to_owned(),
        )),
    }
}

/// `netvirt diff`.
pub fn diff(texts: &[Text], client: &Client, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let resources = files::at_host(texts)?;
    let changes = resources.iter().cloned().map(Change::Put).collect();
    client.change(&ChangeSet { changes, dry_run: true })?;
    // Secrets are not shown; that one differs from what is declared is not told.
    let text = |resource: &Resource| {
        let hidden = resource.without_secrets();
        model::resources_to_yaml([hidden.as_ref().unwrap_or(resource)]).map_err(CliError::yaml)
    };
    let mut differences = Vec::new();
    for resource in &resources {
        let key = resource.key();
        let old = match client.get(key.kind, &key.name) {
            Ok(item) => render::resources(&[item])?,
            Err(ClientError::Refused(problem)) if problem.problem_type == api::ProblemType::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        differences.push(Sides { name: key.to_string(), old, new: text(resource)? });
    }
    diff::show(&differences, streams)
}

/// `netvirt trace`.
pub fn trace(trace: &Trace, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let report = client.trace(&packet(trace)?)?;
    let text = match output {
        Output::Json => render::json(&report)?,
        Output::Yaml => render::yaml(&report)?,
        Output::Table | Output::Wide => render::trace(&report),
        Output::Name => format!("{}\n", report.verdict),
    };
    streams.print(&text)
}

/// `netvirt status`.
pub fn status(client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let status = client.status()?;
    let text = match output {
        Output::Json => render::json(&status)?,
        Output::Yaml => render::yaml(&status)?,
        Output::Table | Output::Wide => render::status(&status),
        Output::Name => format!("{}\n", status.name),
    };
    streams.print(&text)
}

/// A name as it is written: a routing domain's in braces, whether it was typed in them or not.
fn written(kind: Kind, name: &str) -> String {
    match (kind, name.parse::<model::RoutingDomainId>()) {
        (Kind::RoutingDomain, Ok(rdid)) => rdid.to_string(),
        _ => name.to_owned(),
    }
}

/// The items of a kind with these names, or all.
fn fetch(client: &Client, kind: Kind, names: &[String]) -> Result<Vec<Item>, ClientError> {
    match names {
        [] => client.list(kind),
        names => names.iter().map(|name| client.get(kind, &written(kind, name))).collect(),
    }
}

/// The counters of drops at these ports, or all.
fn fetch_drops(client: &Client, ports: &[String]) -> Result<Vec<DropCounter>, ClientError> {
    let mut drops = client.drops()?;
    drops.retain(|drop| ports.is_empty() || ports.contains(&drop.port));
    // A name without a counter may be a port that dropped nothing, or no port at all, which the agent refuses.
    let silent = |port: &&String| port.as_str() != api::UPLINK && !drops.iter().any(|drop| drop.port == **port);
    for port in ports.iter().filter(silent) {
        client.get(Kind::Port, port)?;
    }
    Ok(drops)
}

/// `netvirt get`.
pub fn get(get: &Get, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    if get.target == Target::Flows {
        return flows::get(get, client, output, streams);
    }
    let Some(kind) = get.target.host_kind() else {
        let drops = fetch_drops(client, &get.names)?;
        let text = match output {
            Output::Json => render::json(&drops)?,
            Output::Yaml => render::yaml(&drops)?,
            Output::Name => drops.iter().map(|drop| format!("{}/{}\n", drop.port, drop.reason)).collect(),
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
        (Output::Name, ..) => items.iter().map(|item| format!("{kind}/{}\n", item.name)).collect(),
        (_, _, []) => return streams.note(&format!("no {kind} is declared")),
        _ => render::items(kind, &items, output == Output::Wide),
    };
    streams.print(&text)
}

/// `netvirt watch`: asks again and again, and prints what is different. An agent that restarts does not end it.
pub fn watch(get: &Watch, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    if get.target == Target::Flows {
        return Err(CliError::Usage("flows cannot be watched; ask with \"netvirt get\"".to_owned()));
    }
    let mut watcher = Watcher::new(get.target, output);
    let mut silent = false;
    loop {
        let seen = match get.target.host_kind() {
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
        if (streams.reader_gone)(WATCH_INTERVAL) {
            return Ok(());
        }
    }
}

/// `netvirt describe`.
pub fn describe(
    describe: &Describe,
    client: &Client,
    output: Output,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let Some(kind) = describe.target.host_kind().filter(|_| matches!(output, Output::Table | Output::Wide)) else {
        let wide = if output == Output::Table { Output::Wide } else { output };
        let get = Get {
            target: describe.target,
            names: describe.names.clone(),
            watch: false,
            limit: None,
            flows: OfFlows::default(),
        };
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

/// `netvirt delete`; `texts` are the files, where no kind is given.
pub fn delete(
    delete: &Delete,
    texts: &[Text],
    client: &Client,
    output: Output,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    at_once(delete.wait)?;
    let keys: Vec<Key> = match delete.target {
        None => files::at_host(texts)?.iter().map(Resource::key).collect(),
        Some(Target::Drops) if delete.names.is_empty() => return clear_drops(delete, client, streams),
        Some(Target::Drops) => {
            let sentence = "the counters of drops are set to 0 all at once; leave the names out";
            return Err(CliError::Usage(sentence.to_owned()));
        }
        Some(target) => {
            let Some(kind) = target.host_kind() else {
                let sentence = "flows end by themselves, or when what allows them is taken back; none can be deleted";
                return Err(CliError::Usage(sentence.to_owned()));
            };
            let names = match (delete.names.as_slice(), delete.all) {
                ([], true) => client.list(kind)?.into_iter().map(|item| item.name).collect(),
                ([], false) => {
                    let sentence = format!("which {kind}? name one or several, or say --all");
                    return Err(CliError::Usage(sentence));
                }
                (names, _) => names.to_vec(),
            };
            names.into_iter().map(|name| Key { kind, name: written(kind, &name) }).collect()
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
        Output::Name => {
            report.results.iter().map(|result| format!("{}/{}\n", result.key.kind, result.key.name)).collect()
        }
    };
    streams.print(&text)?;
    report.findings.iter().try_for_each(|finding| streams.note(&format!("warning: {finding}")))
}

/// The packet that the flags describe.
pub fn packet(trace: &Trace) -> Result<TraceRequest, CliError> {
    if !trace.tcp && !trace.udp && (trace.source_port.is_some() || trace.dest_port.is_some()) {
        return Err(CliError::Usage("--source-port and --dest-port are for --tcp and --udp; say which".to_owned()));
    }
    let default = TraceRequest::new(trace.from.clone(), trace.to);
    Ok(TraceRequest {
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
    })
}
