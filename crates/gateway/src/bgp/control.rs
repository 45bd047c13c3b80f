//! BIRD's control socket: the words of `birdc`, and what is answered.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long BIRD may take for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer that is read, in lines: sessions have some thirty each.
const LINES: usize = 20_000;

/// A connection with a BIRD. It is only asked, never told.
pub(super) struct Control {
    stream: BufReader<UnixStream>,
    until: Instant,
}

impl Control {
    /// Connects to the socket of this name in a folder. The folder is opened first: a path of any length may lead to it, one
    /// of a socket may have 107 bytes.
    pub(super) fn connect(folder: &Path, name: &str) -> io::Result<Self> {
        let folder = File::options().read(true).custom_flags(nix::libc::O_DIRECTORY).open(folder)?;
        let stream = UnixStream::connect(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))?;
        let mut control = Self { stream: BufReader::new(stream), until: Instant::now() + PATIENCE };
        control.answer(LINES)?;
        control.ask("restrict", LINES)?;
        Ok(control)
    }

    /// Asks, and answers with the lines, without their codes. After `limit` lines no more is read, and the connection is of
    /// no use any more.
    pub(super) fn ask(&mut self, question: &str, limit: usize) -> io::Result<Vec<String>> {
        self.until = Instant::now() + PATIENCE;
        writeln!(self.stream.get_mut(), "{question}")?;
        self.answer(limit)
    }

    /// Reads an answer. Its lines begin with a code of four digits, then `-`, or a blank in the last; or with a blank in place
    /// of both where the code is that of the line before.
    fn answer(&mut self, limit: usize) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        let mut line = Vec::new();
        while lines.len() < limit.min(LINES) {
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.get_ref().set_read_timeout(Some(left))?;
            line.clear();
            if self.stream.read_until(b'\n', &mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            let code = text.get(..4).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
            match (code, text.as_bytes().get(4)) {
                // 8 and 9 begin the codes of errors.
                (Some(code), _) if code.starts_with(['8', '9']) => return Err(io::Error::other(text.to_owned())),
                (Some(_), Some(b'-')) => lines.push(text.get(5..).unwrap_or_default().to_owned()),
                (Some(_), _) => {
                    lines.push(text.get(5..).unwrap_or_default().to_owned());
                    return Ok(lines);
                }
                (None, _) => lines.push(text.get(1..).unwrap_or_default().to_owned()),
            }
        }
        Ok(lines)
    }
}
