//! Completion in shells: of the grammar, and of names, which the controller, a host's agent or the lab is asked for.
//!
//! The shell calls netvirt at each press of the tab key, with the words of the line. Whoever does not answer at once
//! gives no names; completing never complains.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use api::fabric::{ListQuery, MAX_PAGE};
use clap::ValueEnum;
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use crate::CliError;
use crate::args::{self, Global, Knows, Output, Target};
use crate::at_controller::Controller;
use crate::side::{Environment, Question, SOCKET_FOLDER, Side};

/// The variable by which a shell's script says that words are to be completed, and for which shell.
const VARIABLE: &str = "NETVIRT_COMPLETE";
/// How long somebody who waits for names may have to wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is to be named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wanted {
    /// Resources of the kind that the line names.
    OfTheLine,
    /// Resources of this kind.
    Kind(Target),
    /// Ports of a host.
    PortsHere,
    /// Hosts, or hosts' sockets where an agent is to be asked.
    Hosts,
    /// Labs.
    Labs,
}

/// Completes, if that is what this process was started for; says whether it was.
pub fn completed(args: &[OsString]) -> bool {
    let folder = std::env::current_dir().ok();
    let complete = CompleteEnv::with_factory(command).var(VARIABLE);
    // A shell has nowhere to show what went wrong.
    complete.try_complete(args.iter().cloned(), folder.as_deref()).unwrap_or(true)
}

/// The script that a shell reads so that netvirt completes.
pub fn script(shell: Shell) -> Result<Vec<u8>, CliError> {
    let mut script = Vec::new();
    if let Some(writer) = Shells::builtins().completer(&shell.to_string()) {
        writer.write_registration(VARIABLE, "netvirt", "netvirt", "netvirt", &mut script).map_err(CliError::Output)?;
    }
    Ok(script)
}

/// The grammar, with those who know names.
fn command() -> clap::Command {
    with_names(args::command(), "")
}

/// Tells each argument of a command, and of those below it, what its values name. `above` is what the command is a
/// subcommand of.
fn with_names(command: clap::Command, above: &str) -> clap::Command {
    let verb = command.get_name().to_owned();
    let place = above.to_owned();
    let inside = if above.is_empty() { verb.clone() } else { format!("{above} {verb}") };
    command
        .mut_args(move |arg| match wanted(&place, &verb, arg.get_id().as_str(), arg.get_long()) {
            Some(wanted) => arg.add(ArgValueCompleter::new(move |current: &OsStr| candidates(wanted, current))),
            None => arg,
        })
        .mut_subcommands(move |command| with_names(command, &inside))
}

/// What the values of an argument name.
fn wanted(above: &str, verb: &str, id: &str, long: Option<&str>) -> Option<Wanted> {
    let of_kind = |target| Some(Wanted::Kind(target));
    match (above, verb, id, long) {
        ("netvirt", "get" | "describe" | "watch" | "delete", "names", _) => Some(Wanted::OfTheLine),
        ("netvirt set", "password", "name", None) => of_kind(Target::User),
        ("netvirt set", _, "name", None) => Some(Wanted::OfTheLine),
        ("netvirt lab", "down" | "status", "name", _) => Some(Wanted::Labs),
        ("netvirt", "trace", _, Some("from")) => of_kind(Target::Port),
        ("netvirt port", "plug" | "unplug", "port", _) | ("netvirt libvirt", "attach" | "detach", "port", _) => {
            Some(Wanted::PortsHere)
        }
        (_, _, _, Some("host")) => Some(Wanted::Hosts),
        (_, _, _, Some("tenant")) => of_kind(Target::Tenant),
        ("netvirt create" | "netvirt set", _, _, Some(long)) => match long {
            "logical-network" => of_kind(Target::LogicalNetwork),
            "vm-network" => of_kind(Target::VmNetwork),
            "vm-subnet" => of_kind(Target::VmSubnet),
            "security-group" => of_kind(Target::SecurityGroup),
            "ip-pool" => of_kind(Target::IpPool),
            _ => None,
        },
        _ => None,
    }
}

fn candidates(wanted: Wanted, current: &OsStr) -> Vec<CompletionCandidate> {
    // What the shell hands over: this program, "--", and the words of the line.
    let words: Vec<String> = std::env::args_os()
        .skip_while(|word| word != "--")
        .skip(2)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let names = names(wanted, &words, &Environment::of_process()).unwrap_or_default();
    let begun = current.to_string_lossy();
    names.into_iter().filter(|name| name.starts_with(&*begun)).map(CompletionCandidate::new).collect()
}

/// The names that may stand here; of very many the first [`MAX_PAGE`].
fn names(wanted: Wanted, words: &[String], environment: &Environment) -> Option<Vec<String>> {
    let (verb, target) = verb_and_kind(words);
    let makes = matches!(verb, Some("create" | "set"));
    match wanted {
        Wanted::Labs => Some(lab::list().ok()?.into_iter().map(|lab| lab.name).collect()),
        // The host whose agent is asked, whose socket is here; or, as a field, one that the controller knows.
        Wanted::Hosts if !(makes && target == Some(Target::Port)) => Some(sockets()),
        Wanted::Hosts => of_kind(Target::Host, false, words, environment),
        Wanted::Kind(target) => of_kind(target, false, words, environment),
        Wanted::PortsHere => of_kind(Target::Port, true, words, environment),
        Wanted::OfTheLine => of_kind(target?, false, words, environment),
    }
}

/// The names of the agents' sockets on this machine.
fn sockets() -> Vec<String> {
    let entries = std::fs::read_dir(SOCKET_FOLDER).into_iter().flatten().flatten();
    let name = |entry: std::fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".sock").map(str::to_owned);
    entries.filter_map(name).collect()
}

/// The verb of a line, and the kind that it is about.
fn verb_and_kind(words: &[String]) -> (Option<&str>, Option<Target>) {
    const VERBS: [&str; 7] = ["get", "describe", "watch", "create", "set", "delete", "trace"];
    let mut words = words.iter().map(String::as_str).skip_while(|word| !VERBS.contains(word));
    let verb = words.next();
    (verb, words.find_map(|word| Target::from_str(word, true).ok()))
}

/// What the line says of whom to ask; read leniently, since the line is not finished.
fn global(words: &[String]) -> Global {
    let value = |long: &str, short: Option<&str>| {
        words.iter().enumerate().find_map(|(position, word)| match word.strip_prefix(long) {
            Some("") => words.get(position + 1).cloned(),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
            None => (Some(word.as_str()) == short).then(|| words.get(position + 1).cloned()).flatten(),
        })
    };
    Global {
        socket: value("--socket", None).map(Into::into),
        host: value("--host", None).filter(|host| !host.is_empty()),
        context: value("--context", None).map(Into::into),
        tenant: value("--tenant", Some("-t")).and_then(|tenant| tenant.parse().ok()),
        all_tenants: words.iter().any(|word| word == "-A" || word == "--all-tenants"),
        output: Output::Name,
    }
}

fn of_kind(target: Target, at_host: bool, words: &[String], environment: &Environment) -> Option<Vec<String>> {
    let global = global(words);
    let knows = if at_host { Knows::Host } else { target.knows() };
    let makes = matches!(verb_and_kind(words).0, Some("create" | "set"));
    let question = Question { what: target.as_str(), knows, host_is_field: makes };
    match global.ask(question, environment).ok()?.side {
        Side::Host(socket) => {
            // Drops are counted by port.
            let kind = target.host_kind().unwrap_or(model::Kind::Port);
            let items = api::Client::new(socket).ok()?.with_timeout(PATIENCE).list(kind).ok()?;
            Some(items.into_iter().map(|item| item.name).collect())
        }
        Side::Controller(context) => {
            Controller::open(&context, &global, environment).ok()?.names(target, PATIENCE).ok()
        }
    }
}

impl Controller {
    /// The names of what there is of a kind, of very many the first [`MAX_PAGE`].
    fn names(self, target: Target, patience: Duration) -> Result<Vec<String>, CliError> {
        // What is asked of hosts is named by what it is about.
        let target = match target {
            Target::Counters => Target::Port,
            Target::Leases => Target::VmSubnet,
            Target::Tunnels => Target::Host,
            target => target,
        };
        let owner = target.fabric_kind().and_then(|kind| self.owner(kind).cloned());
        let client = self.into_client().with_timeout(patience);
        if let Some(kind) = target.fabric_kind() {
            let query = ListQuery { kind, tenant: owner, limit: Some(MAX_PAGE), continue_token: None, search: None };
            return Ok(client.list(&query)?.items.into_iter().map(|item| item.name.to_string()).collect());
        }
        match target {
            Target::Token => Ok(client.tokens()?.into_iter().map(|token| token.name.to_string()).collect()),
            Target::User => Ok(client.users()?.into_iter().map(|user| user.name.to_string()).collect()),
            // Lines of the audit log have no names.
            _ => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_line_says_what_it_is_about_and_whom_to_ask() {
        assert_eq!(verb_and_kind(&words("--host h get po ")), (Some("get"), Some(Target::Port)));
        assert_eq!(verb_and_kind(&words("set ip-pool p")), (Some("set"), Some(Target::IpPool)));
        assert_eq!(verb_and_kind(&words("lab up")), (None, None));
        let global = global(&words("get ports -t blue --context=/c --host --socket"));
        assert_eq!(global.tenant.unwrap().as_str(), "blue");
        assert_eq!(global.context.unwrap().to_str(), Some("/c"));
        assert_eq!((global.host.as_deref(), global.socket), (Some("--socket"), None));
    }

    #[test]
    fn names_are_wanted_where_names_stand() {
        for (above, verb, id, long, expected) in [
            ("netvirt", "get", "names", None, Some(Wanted::OfTheLine)),
            ("netvirt set", "port", "name", None, Some(Wanted::OfTheLine)),
            ("netvirt set", "password", "name", None, Some(Wanted::Kind(Target::User))),
            ("netvirt create", "port", "name", None, None),
            ("netvirt create", "port", "vm_subnet", Some("vm-subnet"), Some(Wanted::Kind(Target::VmSubnet))),
            ("", "netvirt", "host", Some("host"), Some(Wanted::Hosts)),
            ("netvirt lab", "down", "name", None, Some(Wanted::Labs)),
            ("netvirt", "trace", "from", Some("from"), Some(Wanted::Kind(Target::Port))),
            ("netvirt port", "plug", "port", None, Some(Wanted::PortsHere)),
            ("netvirt libvirt", "detach", "port", None, Some(Wanted::PortsHere)),
        ] {
            assert_eq!(wanted(above, verb, id, long), expected, "{above} {verb} {id}");
        }
    }

    #[test]
    fn each_shell_has_a_script_that_calls_netvirt() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell).unwrap()).unwrap();
            assert!(script.contains(VARIABLE) && script.contains("netvirt"), "{shell}: {script}");
        }
    }
}
