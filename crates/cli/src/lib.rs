//! The operator's verbs: kubectl's grammar in front of a host's API, and output that is made to be read.
//!
//! Entry point: [`main_with`]. The grammar is in `args` and `fields`, what each verb does in `run`, how it looks in
//! `render`.
//!
//! **Invariant:** nothing is decided here about packets or resources; whatever is refused, is refused by the agent or
//! by `model`, in their words. **Invariant:** no prompts and no colours of our own, so that output in a pipe is what a
//! person saw.

mod args;
mod error;
mod fields;
mod lab;
mod render;
mod run;

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

pub use error::{EXIT_NO_AGENT, EXIT_REFUSED, EXIT_USAGE};
pub use run::Streams;

use error::CliError;

/// A role that a configuration file is handed to; with `true` it only checks it.
pub type RunRole = fn(&Path, bool) -> Result<(), Box<dyn Error>>;

/// The roles that the binary can take on besides the operator's verbs. They are handed in, since roles do not import
/// each other.
#[derive(Clone, Copy, Debug)]
pub struct Roles {
    /// Runs the agent until it is told to end.
    pub agent: RunRole,
}

/// Carries out a command line (the first argument is the program's name) and says how it ended.
pub fn main_with(args: impl IntoIterator<Item = OsString>, roles: Roles) -> ExitCode {
    let socket = std::env::var_os(args::SOCKET_VARIABLE);
    let (mut input, mut out, mut err) = (io::stdin(), io::stdout(), io::stderr());
    let mut streams = Streams { input: &mut input, out: &mut out, err: &mut err };
    let code = match args::parse(args) {
        Ok(cli) => run_to_end(&cli, socket, roles, &mut streams),
        Err(error) => {
            // Help and version go to the standard output, the rest to the standard error; clap knows which.
            // Nothing is left to do if even that fails.
            let _ = error.print();
            u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE)
        }
    };
    code.into()
}

/// Carries out a command line on these streams, and returns the exit code.
///
/// `socket` is the value of `NETVIRT_SOCKET`. Usage errors are written without colours.
pub fn run_with(
    args: impl IntoIterator<Item = OsString>,
    socket: Option<OsString>,
    roles: Roles,
    streams: &mut Streams<'_>,
) -> u8 {
    match args::parse(args) {
        Ok(cli) => run_to_end(&cli, socket, roles, streams),
        Err(error) => {
            let stream = if error.use_stderr() { &mut *streams.err } else { &mut *streams.out };
            // Nothing is left to do if even the error cannot be written.
            let _ = write!(stream, "{}", error.render());
            u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE)
        }
    }
}

fn run_to_end(cli: &args::Cli, socket: Option<OsString>, roles: Roles, streams: &mut Streams<'_>) -> u8 {
    match run::run(cli, socket, roles, streams) {
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
