//! `netvirt powershell`: carries out scripts and commands of PowerShell at hosts' agents, or reads them from a terminal.

mod hosts;
mod prompt;
mod ssh;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::mpsc;

use clap::{Args, Subcommand};
use powershell::hosts::Console;
use powershell::import::{Options, Source as Imported};
use powershell::run::{MAX_STEPS, Shell, with_stack};

use crate::CliError;
use crate::args::Global;
use crate::run::Streams;
use crate::side::Environment;
use hosts::Directory;

/// `netvirt powershell`.
#[derive(Debug, Args)]
pub struct Powershell {
    /// Script; "-" is the standard input. Without it, and without -c, commands are read from the terminal.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Command instead of a script.
    #[arg(short = 'c', long, value_name = "COMMAND", conflicts_with = "file")]
    pub command: Option<String>,
    /// YAML file that says where the hosts of -CimSession are: NAME: /path/to/agent.sock, or NAME: ssh://[USER@]HOST[:PORT]. By
    /// default /etc/netvirt/hosts.yaml. Hosts that are not in it are those of /run/netvirt/NAME.sock, and those of the
    /// controller, by ssh to the address of their first uplink.
    #[arg(long, value_name = "FILE")]
    pub hosts: Option<PathBuf>,
    /// How many steps a script may take, so that one that would not end does.
    #[arg(long, value_name = "NUMBER", default_value_t = MAX_STEPS)]
    pub max_steps: u64,
    /// Parameters of the script: -Name value, -Switch, or value.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    pub arguments: Vec<String>,
}

/// `netvirt export`.
#[derive(Debug, Subcommand)]
pub enum ExportVerb {
    /// Print the script of PowerShell that makes another host, a Windows host too, what this one is.
    Powershell,
}

/// `netvirt import`.
#[derive(Debug, Subcommand)]
pub enum ImportVerb {
    /// Print the YAML for a controller that scripts of PowerShell amount to, or what Get- cmdlets of NetWNV have written on
    /// Windows hosts: Export-Clixml, Export-Csv, or the lists that they show. Nothing is declared.
    Powershell(ImportPowershell),
}

/// `netvirt import powershell`.
#[derive(Debug, Args)]
pub struct ImportPowershell {
    /// Files; "-" is the standard input. An output that says no computer's name is of the host that the file is named after.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The logical network that VM networks are to stand on.
    #[arg(long, value_name = "NAME", default_value = "underlay")]
    pub logical_network: String,
}

/// Prints what a host is as a script.
pub fn export(global: &Global, environment: &Environment, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let mut directory = Directory::new(None, global, environment)?;
    let script = powershell::export::script(&mut directory, None).map_err(CliError::Told)?;
    streams.print(&script)
}

/// Prints what files amount to as YAML.
pub fn import(verb: &ImportPowershell, global: &Global, streams: &mut Streams<'_>) -> Result<(), CliError> {
    let mut sources = Vec::new();
    for file in &verb.files {
        let Source::Script { name, text } = read(Some(file), streams)? else { continue };
        sources.push(Imported { name, text });
    }
    let options = Options {
        logical_network: verb.logical_network.clone(),
        tenant: global.tenant.as_ref().map_or_else(|| "default".to_owned(), ToString::to_string),
    };
    // Scripts are carried out over hosts in memory, which takes as much stack as elsewhere.
    let imported = with_stack(|| {
        let imported = powershell::import::resources(&sources, &options)?;
        let yaml = model::fabric::resources_to_yaml(&imported.resources).map_err(|error| vec![error.to_string()])?;
        Ok::<_, Vec<String>>((yaml, imported.remarks))
    });
    let (yaml, remarks) = match imported.map_err(CliError::Output)? {
        Ok(imported) => imported,
        Err(wrong) => {
            for sentence in &wrong {
                streams.note(sentence)?;
            }
            return Err(CliError::Script(1));
        }
    };
    for remark in remarks {
        streams.print(&format!("# {remark}\n"))?;
    }
    streams.print(&yaml)
}

/// What a script says, on its way to the streams.
enum Said {
    Out(String),
    Complaint(String),
    /// All before it is to be written; whoever waits is told when it is.
    Settle(mpsc::Sender<()>),
}

/// Sends what is printed to where the streams are: scripts are carried out on a thread with more stack.
struct Sender {
    said: mpsc::SyncSender<Said>,
    width: Option<usize>,
    terminal: bool,
}

impl Console for Sender {
    fn print(&mut self, text: &str) {
        // Nobody may be reading any more; then nothing is left to do.
        let _ = self.said.send(Said::Out(text.to_owned()));
    }

    fn complain(&mut self, text: &str) {
        let _ = self.said.send(Said::Complaint(text.to_owned()));
    }

    fn settle(&mut self) {
        let (written, done) = mpsc::channel();
        if self.said.send(Said::Settle(written)).is_ok() {
            // Whoever writes may have ended.
            let _ = done.recv();
        }
    }

    fn confirm(&mut self, question: &str) -> Option<bool> {
        self.settle();
        self.terminal.then(|| prompt::confirm(question)).flatten()
    }

    fn width(&self) -> Option<usize> {
        self.width
    }
}

/// What is to be carried out.
enum Source {
    Script { name: String, text: String },
    Prompt,
}

/// Carries out the verb.
pub fn run(
    verb: &Powershell,
    global: &Global,
    environment: &Environment,
    streams: &mut Streams<'_>,
) -> Result<(), CliError> {
    let source = source(verb, streams)?;
    let directory = Directory::new(verb.hosts.as_deref(), global, environment)?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let width = std::io::stdout().is_terminal().then(prompt::width).flatten();
    let (said, heard) = mpsc::sync_channel(64);
    let (arguments, max_steps) = (verb.arguments.clone(), verb.max_steps);
    let code = std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            with_stack(move || {
                let console = Sender { said, width, terminal };
                let mut shell = Shell::new(Box::new(directory), Box::new(console));
                shell.max_steps = max_steps;
                match source {
                    Source::Script { name, text } => script(&mut shell, &name, &text, &arguments),
                    Source::Prompt => prompt::run(&mut shell),
                }
            })
        });
        let written = write(&heard, streams);
        drop(heard);
        let code = thread.join().or_else(|panic| std::panic::resume_unwind(panic));
        written.and_then(|()| {
            code.unwrap_or_else(|never: std::convert::Infallible| match never {}).map_err(CliError::Output)
        })
    })?;
    match u8::try_from(code) {
        Ok(0) => Ok(()),
        Ok(code) => Err(CliError::Script(code)),
        Err(_) => Err(CliError::Script(1)),
    }
}

fn source(verb: &Powershell, streams: &mut Streams<'_>) -> Result<Source, CliError> {
    match &verb.command {
        Some(command) => Ok(Source::Script { name: "-c".to_owned(), text: command.clone() }),
        None => read(verb.file.as_ref(), streams),
    }
}

fn read(file: Option<&PathBuf>, streams: &mut Streams<'_>) -> Result<Source, CliError> {
    let from_input = |streams: &mut Streams<'_>| -> Result<Source, CliError> {
        let mut text = String::new();
        let read = streams.input.read_to_string(&mut text);
        read.map_err(|error| CliError::Usage(format!("cannot read the script from the standard input: {error}")))?;
        Ok(Source::Script { name: "-".to_owned(), text })
    };
    match file {
        Some(file) if file.as_os_str() == "-" => from_input(streams),
        Some(file) => {
            let name = file.display().to_string();
            let bytes = std::fs::read(file).map_err(|error| CliError::Usage(format!("cannot read {name}: {error}")))?;
            Ok(Source::Script { text: decoded(&name, &bytes)?, name })
        }
        None if std::io::stdin().is_terminal() => Ok(Source::Prompt),
        None => from_input(streams),
    }
}

/// A script as a text: UTF-8, or UTF-16 with its mark, as the editor of Windows PowerShell saves.
fn decoded(name: &str, bytes: &[u8]) -> Result<String, CliError> {
    let wrong = || CliError::Usage(format!("{name} is neither UTF-8 nor UTF-16; save it as UTF-8"));
    let units = |read: fn([u8; 2]) -> u16| -> Vec<u16> {
        bytes[2..].chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect()
    };
    match bytes {
        [0xff, 0xfe, ..] => String::from_utf16(&units(u16::from_le_bytes)).map_err(|_| wrong()),
        [0xfe, 0xff, ..] => String::from_utf16(&units(u16::from_be_bytes)).map_err(|_| wrong()),
        _ => String::from_utf8(bytes.to_vec()).map_err(|_| wrong()),
    }
}

/// Reads a script and carries it out; what is wrong with it is told before.
fn script(shell: &mut Shell, name: &str, text: &str, arguments: &[String]) -> i64 {
    shell.file = name.to_owned();
    match shell.parse(text) {
        Ok(block) => shell.run(&block, arguments).code,
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| shell.console.complain(&mistake.in_file(name)));
            1
        }
    }
}

/// Writes what is said until nothing more will be.
fn write(heard: &mpsc::Receiver<Said>, streams: &mut Streams<'_>) -> Result<(), CliError> {
    for said in heard {
        match said {
            Said::Out(text) => streams.print(&text)?,
            Said::Settle(waiting) => drop(waiting.send(())),
            Said::Complaint(text) => {
                streams.err.write_all(format!("{text}\n").as_bytes()).map_err(CliError::Output)?;
            }
        }
    }
    Ok(())
}
