//! Passwords that somebody types: without showing them at a terminal, as a line of the standard input elsewhere. They are
//! never arguments, which everybody on the machine can read.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use api::fabric::accounts::{MAX_PASSWORD, Secret};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::CliError;
use crate::run::Streams;

/// A password for somebody: typed twice at a terminal, the only line of the standard input elsewhere.
pub fn password(whom: &str, streams: &mut Streams<'_>) -> Result<Secret, CliError> {
    let asked = (streams.ask)(&format!("new password of {whom}: ")).map_err(CliError::Password)?;
    let text = match asked {
        Some(first) => {
            let again = (streams.ask)("the same again: ").map_err(CliError::Password)?;
            if again.as_ref() != Some(&first) {
                return Err(CliError::Usage("the two passwords differ; type the same one twice".to_owned()));
            }
            first
        }
        None => only_line(streams)?,
    };
    if text.is_empty() {
        return Err(CliError::Usage(
            "no password was given; type one, or write it as a line to the standard input".to_owned(),
        ));
    }
    Ok(text.into())
}

fn only_line(streams: &mut Streams<'_>) -> Result<String, CliError> {
    let mut text = String::new();
    // A line more than there may be is enough to see that it is too long.
    let most = MAX_PASSWORD as u64 + 3;
    (&mut *streams.input).take(most).read_to_string(&mut text).map_err(CliError::Password)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains('\n') {
        let sentence = "the standard input has more than one line; a password is one line";
        return Err(CliError::Usage(sentence.to_owned()));
    }
    Ok(line.to_owned())
}

/// Asks at the terminal, and shows nothing of the answer; `None` if the standard input is no terminal.
pub fn ask(question: &str) -> io::Result<Option<String>> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Ok(None);
    }
    io::stderr().write_all(question.as_bytes())?;
    let mut line = String::new();
    {
        let _hidden = Hidden::begin()?;
        input.lock().read_line(&mut line)?;
    }
    // The line's end was not shown either.
    io::stderr().write_all(b"\n")?;
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut now = before.clone();
        now.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &now)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // What cannot be set back now could not be later either.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}
