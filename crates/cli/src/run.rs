//! Which verb is carried out where: at a host's agent, at a controller, or here.

use std::io::{Read, Write};
use std::time::Duration;

use api::Client;

use crate::args::{self, Cli, HostVerb, Knows, Target, Verb};
use crate::at_controller::Controller;
use crate::files::{self, Text};
use crate::roles::GatewayProcess;
use crate::side::{Asked, Environment, Question, Side};
use crate::{CliError, EXIT_NO_ANSWER, GatewayOptions, Roles, at_controller, at_host};

/// Where input comes from and output goes to.
pub struct Streams<'a> {
    /// The standard input.
    pub input: &'a mut dyn Read,
    /// The standard output.
    pub out: &'a mut dyn Write,
    /// The standard error.
    pub err: &'a mut dyn Write,
    /// Waits so long, or until whoever reads the output is gone; says whether he is.
    pub reader_gone: fn(Duration) -> bool,
    /// Asks at the terminal for what is not to be shown; says nothing if there is no terminal.
    pub ask: fn(&str) -> std::io::Result<Option<String>>,
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
pub fn run(cli: &Cli, environment: &Environment, roles: Roles, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let output = cli.global.output;
    match &cli.verb {
        Verb::Agent(options) => (roles.agent)(options).map_err(CliError::Role),
        Verb::Gateway(args) => match &args.process {
            Some(GatewayProcess::Wireguard(options)) => (roles.wireguard)(options).map_err(CliError::Role),
            None => {
                let socket = cli.global.socket_path(environment);
                (roles.gateway)(&GatewayOptions { socket, folder: args.folder.clone() }).map_err(CliError::Role)
            }
        },
        Verb::Controller(options) => (roles.controller)(options).map_err(CliError::Role),
        Verb::Host(HostVerb::Join(options)) => {
            let name = (roles.join)(options).map_err(CliError::Role)?;
            streams.print(&format!("host {name} joined the controller at {}\n", options.controller))
        }
        Verb::Host(HostVerb::Leave(options)) => {
            let left = (roles.leave)(options).map_err(CliError::Role)?;
            if let Some(reason) = &left.unasked {
                let command = format!("netvirt delete host {}", left.host);
                streams.note(&format!("warning: {reason}; delete the host at the controller with \"{command}\""))?;
            }
            streams.print(&format!("host {} left the controller at {}\n", left.host, left.controller))
        }
        Verb::Lab(verb) => crate::lab::run(verb, output, streams),
        Verb::Powershell(verb) => crate::powershell::run(verb, &cli.global, environment, streams),
        Verb::Export(crate::powershell::ExportVerb::Powershell) => {
            crate::powershell::export(&cli.global, environment, streams)
        }
        Verb::Import(crate::powershell::ImportVerb::Powershell(verb)) => {
            crate::powershell::import(verb, &cli.global, streams)
        }
        Verb::Completion { shell } => {
            let script = crate::completion::script(*shell)?;
            streams.out.write_all(&script).map_err(CliError::Output)
        }
        _ => ask(cli, environment, streams),
    }
}

/// Carries out a command that asks a host's agent or a controller.
fn ask(cli: &Cli, environment: &Environment, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let texts = match &cli.verb {
        Verb::Apply(apply) => files::read(&apply.file, streams.input)?,
        Verb::Diff(diff) => files::read(&diff.file, streams.input)?,
        Verb::Delete(delete) => files::read(&delete.file, streams.input)?,
        _ => Vec::new(),
    };
    if let Verb::Get(get) = &cli.verb {
        must_fit(get)?;
    }
    let question = question(&cli.verb, &texts)?;
    let (asked, knows) = (cli.global.ask(question, environment)?, question.knows);
    let result = match &asked.side {
        Side::Host(socket) => {
            Client::new(socket).map_err(CliError::from).and_then(|client| at_the_host(cli, &client, &texts, streams))
        }
        Side::Controller(context) => Controller::open(context, &cli.global, environment).and_then(|controller| {
            let result = at_the_controller(cli, &controller, &texts, streams);
            if let Some(hint) = result.as_ref().err().and_then(|error| controller.hint(error)) {
                streams.note(&format!("note: {hint}"))?;
            }
            result
        }),
    };
    if let Err(error) = &result {
        let at_a_controller = knows == Knows::Host && cli.global.may_be_at_a_controller(environment);
        if at_a_controller && error.exit_code() == EXIT_NO_ANSWER {
            streams.note("note: a host's agent knows of this, and no controller; run it on the host")?;
        }
        hint(error, &asked, streams)?;
    }
    result
}

/// Refuses options that are not for what is asked for.
fn must_fit(get: &args::Get) -> Result<(), CliError> {
    let sentence = if get.flows != args::OfFlows::default() && get.target != Target::Flows {
        "--protocol, --address, --service and --state are for flows; leave them out"
    } else if get.limit == Some(0) {
        "--limit 0 shows nothing; write 1 or more"
    } else if get.limit.is_some() && !matches!(get.target, Target::Audit | Target::Flows) {
        "--limit is for the audit log and for flows; leave it out"
    } else {
        return Ok(());
    };
    Err(CliError::Usage(sentence.to_owned()))
}

/// Says who was asked where the other one may have been meant. It comes before the error, which is the last word.
fn hint(error: &CliError, asked: &Asked, streams: &mut Streams<'_>) -> Result<(), CliError> {
    match asked.hint() {
        Some(hint) if error.depends_on_whom_is_asked() => streams.note(&format!("note: {hint}")),
        _ => Ok(()),
    }
}

/// What decides who is asked.
fn question<'a>(verb: &'a Verb, texts: &[Text]) -> Result<Question<'a>, CliError> {
    let about = |target: Target| Question { what: target.as_str(), knows: target.knows(), host_is_field: false };
    let only = |what, knows| Question { what, knows, host_is_field: false };
    Ok(match verb {
        Verb::Get(get) => about(get.target),
        Verb::Describe(describe) => about(describe.target),
        Verb::Watch(watch) => about(watch.target),
        Verb::Delete(delete) => match delete.target {
            Some(target) => about(target),
            None => only("what the files declare", files::knows(texts)?),
        },
        Verb::Apply(_) | Verb::Diff(_) => only("what the files declare", files::knows(texts)?),
        Verb::Create(create) => Question {
            what: create.what.as_str(),
            knows: create.what.knows(),
            host_is_field: create.what.has_host_field(),
        },
        Verb::Set(set) => {
            Question { what: set.what.as_str(), knows: set.what.knows(), host_is_field: set.what.has_host_field() }
        }
        Verb::Migrate(_) => only("migrations of ports", Knows::Controller),
        Verb::Trace(_) => only("traces", Knows::Both),
        Verb::Port(_) | Verb::Libvirt(_) => only("devices of ports", Knows::Host),
        Verb::Host(HostVerb::List) => only("hosts", Knows::Controller),
        Verb::Store(_) => only("the store", Knows::Controller),
        // The other verbs ask nobody.
        _ => only("status", Knows::Both),
    })
}

fn at_the_host(cli: &Cli, client: &Client, texts: &[Text], streams: &mut Streams<'_>) -> Result<(), CliError> {
    let output = cli.global.output;
    match &cli.verb {
        Verb::Get(get) if get.watch => {
            let watch = args::Watch { target: get.target, names: get.names.clone() };
            at_host::watch(&watch, client, output, streams)
        }
        Verb::Get(get) => at_host::get(get, client, output, streams),
        Verb::Describe(describe) => at_host::describe(describe, client, output, streams),
        Verb::Watch(watch) => at_host::watch(watch, client, output, streams),
        Verb::Create(create) => at_host::create(create, client, output, streams),
        Verb::Set(set) => at_host::set(set, client, output, streams),
        Verb::Delete(delete) => at_host::delete(delete, texts, client, output, streams),
        Verb::Apply(apply) => at_host::apply(texts, apply.dry_run, apply.waiting.wait, client, output, streams),
        Verb::Diff(_) => at_host::diff(texts, client, streams).map_err(CliError::of_diff),
        Verb::Port(verb) => crate::port::run(verb, client, output, streams),
        Verb::Libvirt(verb) => crate::libvirt::run(verb, client, output, streams),
        Verb::Trace(trace) => at_host::trace(trace, client, output, streams),
        _ => at_host::status(client, output, streams),
    }
}

fn at_the_controller(
    cli: &Cli,
    controller: &Controller,
    texts: &[Text],
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    match &cli.verb {
        Verb::Get(get) if get.watch => {
            let watch = args::Watch { target: get.target, names: get.names.clone() };
            at_controller::watch(controller, &watch, streams)
        }
        Verb::Get(get) => at_controller::get(controller, get, streams),
        Verb::Host(_) => {
            let get = args::Get {
                target: Target::Host,
                names: Vec::new(),
                watch: false,
                limit: None,
                flows: args::OfFlows::default(),
            };
            at_controller::get(controller, &get, streams)
        }
        Verb::Describe(describe) => at_controller::describe(controller, describe, streams),
        Verb::Watch(watch) => at_controller::watch(controller, watch, streams),
        Verb::Create(create) => at_controller::create(controller, create, streams),
        Verb::Set(set) => at_controller::set(controller, set, streams),
        Verb::Trace(trace) => at_controller::trace(controller, at_host::packet(trace)?, streams),
        Verb::Migrate(migrate) => at_controller::migrate(controller, migrate, streams),
        Verb::Delete(delete) => at_controller::delete(controller, delete, texts, streams),
        Verb::Apply(apply) => at_controller::apply(controller, apply, texts, streams),
        Verb::Diff(_) => at_controller::diff(controller, texts, streams).map_err(CliError::of_diff),
        Verb::Store(verb) => at_controller::store(controller, verb, streams),
        _ => at_controller::status(controller, streams),
    }
}
