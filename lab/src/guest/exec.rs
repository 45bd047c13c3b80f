//! Runs commands in a guest from outside: the machine's side of [`super::wire`].

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use super::place::{EXEC_PORTS, Place};
use super::wire::{GREETING_LENGTH, HELLO, Heard, Kind, MAX_PAYLOAD, WELCOME, frame, greeting, read_frame};

/// How long a guest that is up has to answer a greeting, before it is greeted anew.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long a client stays away from a port whose guest did not answer: the guest must see that it went.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a guest that is up, busy or on the move has to answer in all.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long a guest has to hand a signal to a command; one that does not is given up.
const SIGNAL_LIMIT: Duration = Duration::from_secs(3);
/// How often is looked whether it has.
const GLANCE: Duration = Duration::from_millis(5);

/// A port of a guest that somebody answers at. Others may not use it while this lives.
pub(crate) struct Session {
    stream: UnixStream,
    /// How many signals the guest has handed to the command.
    signalled: Arc<AtomicUsize>,
    _port: Flock<File>,
}

impl Session {
    /// Greets the guest on a free port, and waits for its answer.
    ///
    /// # Errors
    /// When there is no QEMU, the guest does not answer, or all ports are taken.
    pub(crate) fn open(place: &Place) -> io::Result<Self> {
        let end = Instant::now() + ANSWER_LIMIT;
        loop {
            if let Some(session) = Self::attempt(place, ATTEMPT)? {
                return Ok(session);
            }
            if Instant::now() >= end {
                let words = format!("it does not answer within {} s", ANSWER_LIMIT.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, words));
            }
        }
    }

    /// Greets the guest once; none when it does not answer in time.
    pub(crate) fn attempt(place: &Place, limit: Duration) -> io::Result<Option<Self>> {
        let (port, mut stream) = connect(place)?;
        // Not what a random number is for, but as good: it only must not be that of the client before.
        let number = (host_clock() ^ (u64::from(std::process::id()) << 40)).to_be_bytes();
        stream.write_all(&greeting(HELLO, number))?;
        stream.set_read_timeout(Some(limit))?;
        let welcomed = await_exactly(&mut stream, &greeting(WELCOME, number));
        match welcomed {
            Ok(()) => {
                stream.set_read_timeout(None)?;
                Ok(Some(Self { stream, signalled: Arc::default(), _port: port }))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                drop(stream);
                thread::sleep(PAUSE);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Another handle of the same port, for another thread.
    pub(crate) fn remote(&self) -> io::Result<Remote> {
        Ok(Remote { stream: self.stream.try_clone()?, signalled: Arc::clone(&self.signalled) })
    }

    /// Runs a command to its end: what it prints goes to `out` and `err`, what it reads comes from `input`. Gives its exit
    /// code, or 128 and the number of the signal that ended it.
    ///
    /// # Errors
    /// When the command cannot be run in the guest, the guest goes away, or what was printed cannot be written.
    pub(crate) fn run(
        &mut self,
        command: &[String],
        input: impl Read + Send + 'static,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> io::Result<i32> {
        let words: Vec<u8> = command.iter().flat_map(|word| word.bytes().chain([0])).collect();
        if words.len() > MAX_PAYLOAD {
            return Err(io::Error::new(io::ErrorKind::ArgumentListTooLong, "the command is longer than 16 KiB"));
        }
        self.send(Kind::Run, &words)?;
        let (taken, may_send) = mpsc::channel();
        let remote = self.remote()?;
        thread::spawn(move || feed(&remote, input, &may_send));
        loop {
            let heard = read_frame(&mut self.stream).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    io::Error::new(io::ErrorKind::ConnectionAborted, "it went away while the command ran")
                }
                _ => error,
            })?;
            match heard {
                Heard::Frame(Kind::Stdout, bytes) => out.write_all(&bytes).and_then(|()| out.flush())?,
                Heard::Frame(Kind::Stderr, bytes) => err.write_all(&bytes).and_then(|()| err.flush())?,
                // The thread that feeds the command may have ended with its input.
                Heard::Frame(Kind::Taken, _) => {
                    let _ = taken.send(());
                }
                Heard::Frame(Kind::Signalled, _) => {
                    self.signalled.fetch_add(1, Ordering::SeqCst);
                }
                Heard::Frame(Kind::Refused, words) => {
                    return Err(io::Error::new(io::ErrorKind::NotFound, String::from_utf8_lossy(&words).into_owned()));
                }
                Heard::Frame(Kind::Ended, code) => {
                    let code = code.try_into().map(i32::from_be_bytes);
                    return code.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "its answer makes no sense"));
                }
                Heard::Frame(..) | Heard::Stranger(_) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "its answer makes no sense"));
                }
            }
        }
    }

    /// Runs a command without input, for at most `limit`, and gives its exit code and all that it printed.
    ///
    /// # Errors
    /// Those of [`Session::run`], and at the limit.
    pub(crate) fn output(&mut self, command: &[&str], limit: Duration) -> io::Result<(i32, String)> {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let (done, limited) = mpsc::channel::<()>();
        let remote = self.remote()?;
        let watch = thread::spawn(move || {
            let late = limited.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                // The reader sees an end, and the guest that its client is gone.
                let _ = remote.stream.shutdown(Shutdown::Both);
            }
            late
        });
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = self.run(&command, io::empty(), &mut out, &mut err);
        drop(done);
        if watch.join().unwrap_or_default() {
            let words = format!("{} did not end within {limit:?}", command.join(" "));
            return Err(io::Error::new(io::ErrorKind::TimedOut, words));
        }
        out.extend(err);
        Ok((ended?, String::from_utf8_lossy(&out).into_owned()))
    }

    fn send(&self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(&frame(kind, payload))
    }
}

/// Another handle of a port.
pub(crate) struct Remote {
    stream: UnixStream,
    signalled: Arc<AtomicUsize>,
}

impl Remote {
    /// Sends a signal to the command and all that it started; whether the guest has handed it over in time.
    pub(crate) fn signal(&self, number: u8) -> bool {
        let before = self.signalled.load(Ordering::SeqCst);
        if self.send(Kind::Signal, &[number]).is_err() {
            return false;
        }
        let end = Instant::now() + SIGNAL_LIMIT;
        while self.signalled.load(Ordering::SeqCst) == before {
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(GLANCE);
        }
        true
    }

    fn send(&self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(&frame(kind, payload))
    }
}

/// A free port, and the right to it. A process that dies frees it.
fn connect(place: &Place) -> io::Result<(Flock<File>, UnixStream)> {
    for port in 0..EXEC_PORTS {
        let file = File::options().create(true).append(true).open(place.exec_lock(port))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok((lock, UnixStream::connect(place.exec(port))?)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {}
            Err((_, error)) => return Err(error.into()),
        }
    }
    let words = format!("{EXEC_PORTS} commands run in it already, which are all that may run at once");
    Err(io::Error::new(io::ErrorKind::ResourceBusy, words))
}

/// Reads until these bytes have come, passing over all else.
fn await_exactly(from: &mut impl Read, bytes: &[u8; GREETING_LENGTH]) -> io::Result<()> {
    let mut seen = [0; GREETING_LENGTH];
    while seen != *bytes {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        seen.rotate_left(1);
        seen[GREETING_LENGTH - 1] = byte[0];
    }
    Ok(())
}

/// Sends a command what it reads, a piece whenever the one before was taken, and then the end.
fn feed(remote: &Remote, mut input: impl Read, may_send: &mpsc::Receiver<()>) {
    let mut buffer = vec![0; MAX_PAYLOAD];
    loop {
        let count = match input.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.unwrap_or_default(),
        };
        // A guest that has gone is told of by who reads.
        let sent = remote.send(Kind::Stdin, &buffer[..count]);
        if sent.is_err() || count == 0 || may_send.recv().is_err() {
            return;
        }
    }
}

/// Nanoseconds, of which no two clients have the same at once.
fn host_clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}
