//! The operator's verbs: kubectl's grammar in front of a controller's and a host's API, and output that is made to be
//! read.
//!
//! Entry point: [`main_with`]. The grammar is in `args` and `fields`, who is asked in `side`, what each verb does in
//! `run`, `at_host` and `at_controller`, how it looks in `render`.
//!
//! **Invariant:** nothing is decided here about packets or resources; whatever is refused, is refused by the agent, by
//! the controller or by `model`, in their words. **Invariant:** no prompts (but for passwords, at a terminal) and no
//! colours of our own, so that output in a pipe is what a person saw.

mod args;
mod at_controller;
mod at_host;
mod completion;
mod diff;
mod error;
mod fields;
mod files;
mod flows;
mod lab;
mod libvirt;
mod pipe;
mod port;
mod powershell;
mod render;
mod roles;
mod run;
mod secret;
mod side;
mod signals;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

pub use error::{EXIT_DIFFERENT, EXIT_INTERRUPTED, EXIT_NO_ANSWER, EXIT_NOT_REALIZED, EXIT_REFUSED, EXIT_USAGE};
pub use roles::{
    AgentOptions, ControllerOptions, GatewayOptions, JoinOptions, LeaveOptions, Left, RoleResult, Roles,
    WireguardOptions,
};
pub use run::Streams;
pub use side::Environment;

use error::CliError;

/// Carries out a command line (the first argument is the program's name) and says how it ended.
pub fn main_with(args: impl IntoIterator<Item = OsString>, roles: Roles) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if completion::completed(&args) {
        return ExitCode::SUCCESS;
    }
    let environment = Environment::of_process();
    let (mut input, mut out, mut err) = (io::stdin(), io::stdout(), io::stderr());
    let reader_gone = pipe::standard_output_gone;
    let mut streams = Streams { input: &mut input, out: &mut out, err: &mut err, reader_gone, ask: secret::ask };
    let code = match args::parse(args) {
        Ok(cli) => run_to_end(&cli, &environment, roles, &mut streams),
        Err(error) => {
            // Help and version go to the standard output, the rest to the standard error; clap knows which.
            // Nothing is left to do if even that fails.
            let _ = error.print();
            u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE)
        }
    };
    code.into()
}

/// Carries out a command line on these streams, and returns the exit code. Usage errors are written without colours.
pub fn run_with(
    args: impl IntoIterator<Item = OsString>,
    environment: &Environment,
    roles: Roles,
    streams: &mut Streams<'_>,
) -> u8 {
    match args::parse(args) {
        Ok(cli) => run_to_end(&cli, environment, roles, streams),
        Err(error) => {
            let stream = if error.use_stderr() { &mut *streams.err } else { &mut *streams.out };
            // Nothing is left to do if even the error cannot be written.
            let _ = write!(stream, "{}", error.render());
            u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE)
        }
    }
}

fn run_to_end(cli: &args::Cli, environment: &Environment, roles: Roles, streams: &mut Streams<'_>) -> u8 {
    match run::run(cli, environment, roles, streams) {
        Ok(()) => 0,
        // Whoever closes the pipe has read enough.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            // As above.
            let _ = streams.err.write_all(error.lines().as_bytes());
            error.exit_code()
        }
    }
}
