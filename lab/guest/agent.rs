//! Runs commands in a guest for `netvirt lab exec`, one on each virtio-serial port at a time.
//!
//! It stands on the standard library alone and is compiled by `build.rs`, which leaves it in `netvirt` itself; the lab puts
//! it into the guest's initramfs. A port whose client went away (it was killed, or the guest moved to another QEMU)
//! has its command killed and is free for the next one: the kernel tells by POLLHUP.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

#[path = "../src/guest/wire.rs"]
mod wire;

use wire::{HELLO, Heard, Kind, MAX_PAYLOAD, PORT_NAME, WELCOME, frame, greeting, read_frame};

/// How often is looked at the ports although nothing woke this up.
const GLANCE: Duration = Duration::from_secs(1);

/// Of the kernel's interface for x86-64, since the standard library has no such call.
const O_NONBLOCK: i32 = 0o4000;
const POLLIN: i16 = 1;
const POLLOUT: i16 = 4;
const POLLHUP: i16 = 16;
const SIGKILL: i32 = 9;
const SIGIO: i32 = 29;
const SIG_BLOCK: i32 = 0;
const SIG_SETMASK: i32 = 2;
const F_SETFL: i32 = 4;
const F_SETOWN: i32 = 8;
const O_ASYNC: i32 = 0o20000;
/// A set of signals: a bit each.
type Signals = [u64; 16];

#[repr(C)]
struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

unsafe extern "C" {
    fn poll(fds: *mut PollFd, count: u64, timeout: i32) -> i32;
    fn kill(pid: i32, signal: i32) -> i32;
    fn fcntl(fd: i32, order: i32, argument: i32) -> i32;
    fn sigprocmask(how: i32, set: *const Signals, before: *mut Signals) -> i32;
    fn sigtimedwait(set: *const Signals, info: *mut u8, limit: *const [i64; 2]) -> i32;
}

/// The signal by which the kernel says that a client came to a port or went, or that something can be read.
static WOKEN: Signals = {
    let mut signals = [0; 16];
    signals[0] = 1 << (SIGIO - 1);
    signals
};

/// Waits until something has happened to a port. Before the first thread is there, [`block_wake_up`] must have been called.
fn await_wake_up() {
    let limit = [GLANCE.as_secs() as i64, 0];
    // SAFETY: the structures are of the kernel's layout and outlive the call; nothing is written.
    unsafe { sigtimedwait(&raw const WOKEN, std::ptr::null_mut(), &raw const limit) };
}

/// Has the signal wait until it is asked for, in all threads that are started from now on.
fn block_wake_up() {
    // SAFETY: the structure is of the kernel's layout and outlives the call; nothing is written.
    unsafe { sigprocmask(SIG_BLOCK, &raw const WOKEN, std::ptr::null_mut()) };
}

/// What has happened to a port, waiting for it for at most so many milliseconds (-1: as long as it takes).
fn poll_port(port: &File, events: i16, timeout: i32) -> i16 {
    let mut asked = PollFd { fd: port.as_raw_fd(), events, revents: 0 };
    // SAFETY: the structure is of the kernel's layout and outlives the call.
    if unsafe { poll(&raw mut asked, 1, timeout) } < 0 { 0 } else { asked.revents }
}

/// One port; reading and writing wait, but never longer than there is a client.
#[derive(Clone)]
struct Port {
    file: Arc<File>,
    /// Frames of several threads go out one after the other.
    writing: Arc<Mutex<()>>,
}

impl Port {
    fn has_client(&self) -> bool {
        poll_port(&self.file, 0, 0) & POLLHUP == 0
    }

    /// Sends all of it, or fails when there is no client.
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let _turn = self.writing.lock();
        let mut rest = bytes;
        while !rest.is_empty() {
            match (&*self.file).write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if poll_port(&self.file, POLLOUT, 1000) & POLLHUP != 0 {
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for Port {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&*self.file).read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll_port(&self.file, POLLIN, -1);
                }
                // Nothing: the client has gone.
                other => return other,
            }
        }
    }
}

/// A command that runs, and the threads that carry its streams.
struct Running {
    group: i32,
    /// Once it has ended its number may be another's.
    ended: Arc<AtomicBool>,
    stdin: Option<mpsc::Sender<Vec<u8>>>,
}

impl Running {
    fn signal(&self, number: i32) {
        if !self.ended.load(Ordering::SeqCst) {
            // SAFETY: takes two numbers. The process is the leader of a group of its own.
            unsafe { kill(-self.group, number) };
        }
    }

    /// Hands on what the command shall read; nothing ends it.
    fn feed(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            self.stdin = None;
        } else if let Some(stdin) = &self.stdin {
            // A command that has closed its input reads no more.
            let _ = stdin.send(bytes);
        }
    }
}

/// Starts a command; its words are ended by zero bytes each.
fn start(port: &Port, words: &[u8]) -> Result<Running, String> {
    let words: Vec<&OsStr> = words.split(|byte| *byte == 0).map(OsStr::from_bytes).collect();
    // Behind the last zero byte is nothing.
    let [program, arguments @ .., _] = words.as_slice() else {
        return Err("there is no command".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    // SAFETY: between fork and exec one bare system call is made, which takes no lock and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            let none: Signals = [0; 16];
            sigprocmask(SIG_SETMASK, &raw const none, std::ptr::null_mut());
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    if let Some(mut input) = child.stdin.take() {
        let port = port.clone();
        thread::spawn(move || {
            for bytes in receiver {
                // Who does not read is not waited for: the rest is taken and forgotten.
                let _ = input.write_all(&bytes);
                let _ = port.send(&frame(Kind::Taken, &[]));
            }
        });
    }
    let out = child.stdout.take().map(|pipe| pump(port, Kind::Stdout, pipe));
    let err = child.stderr.take().map(|pipe| pump(port, Kind::Stderr, pipe));
    let running = Running { group: child.id() as i32, ended: Arc::default(), stdin: Some(sender) };
    let (port, ended) = (port.clone(), Arc::clone(&running.ended));
    thread::spawn(move || {
        let code = await_end(&mut child, &ended);
        // All that it printed is told before its end is.
        for thread in out.into_iter().chain(err) {
            let _ = thread.join();
        }
        let _ = port.send(&frame(Kind::Ended, &code.to_be_bytes()));
    });
    Ok(running)
}

/// The exit code, or 128 and the signal, as shells have it.
fn await_end(child: &mut Child, ended: &AtomicBool) -> i32 {
    let status = child.wait();
    ended.store(true, Ordering::SeqCst);
    status.map_or(255, |status| status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
}

/// Sends on what a command prints, until it closes its end.
fn pump(port: &Port, kind: Kind, mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<()> {
    let port = port.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; MAX_PAYLOAD];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if port.send(&frame(kind, &buffer[..count])).is_err() {
                return;
            }
        }
    })
}

/// Reads until a client greets, passing over what others left, and gives its number. `first` was read already.
fn await_greeting(port: &mut Port, first: Option<u8>) -> io::Result<[u8; 8]> {
    let mut seen: Vec<u8> = first.into_iter().collect();
    while seen != HELLO {
        if seen.len() == HELLO.len() {
            seen.remove(0);
        }
        let mut byte = [0];
        port.read_exact(&mut byte)?;
        seen.extend(byte);
    }
    let mut number = [0; 8];
    port.read_exact(&mut number)?;
    Ok(number)
}

/// Serves one client after the other until there is none.
fn serve(mut port: Port) {
    let mut first = None;
    loop {
        let Ok(number) = await_greeting(&mut port, first.take()) else { return };
        if port.send(&greeting(WELCOME, number)).is_err() {
            return;
        }
        let mut running: Option<Running> = None;
        let heard = loop {
            match read_frame(&mut port) {
                Ok(Heard::Frame(Kind::Run, words)) if running.is_none() => match start(&port, &words) {
                    Ok(started) => running = Some(started),
                    Err(reason) => {
                        let _ = port.send(&frame(Kind::Refused, reason.as_bytes()));
                    }
                },
                Ok(Heard::Frame(Kind::Stdin, bytes)) => {
                    if let Some(running) = &mut running {
                        running.feed(bytes);
                    }
                }
                Ok(Heard::Frame(Kind::Signal, number)) => {
                    if let (Some(running), [number]) = (&running, number.as_slice()) {
                        running.signal(i32::from(*number));
                    }
                    let _ = port.send(&frame(Kind::Signalled, &[]));
                }
                Ok(Heard::Frame(..)) => {}
                Ok(Heard::Stranger(byte)) => break Some(byte),
                Err(_) => break None,
            }
        };
        if let Some(running) = running {
            running.signal(SIGKILL);
        }
        match heard {
            // The client went away, and another one greets already.
            Some(byte) => first = Some(byte),
            None => return,
        }
    }
}

/// The ports that are there for commands.
fn ports() -> io::Result<Vec<Port>> {
    let mut ports = Vec::new();
    for entry in fs::read_dir("/sys/class/virtio-ports")? {
        let entry = entry?;
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if name.starts_with(PORT_NAME) {
            let path = std::path::Path::new("/dev").join(entry.file_name());
            let file = fs::OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(path)?;
            // SAFETY: takes three numbers. From here on the kernel tells this process what happens to the port.
            unsafe {
                fcntl(file.as_raw_fd(), F_SETOWN, std::process::id() as i32);
                fcntl(file.as_raw_fd(), F_SETFL, O_NONBLOCK | O_ASYNC);
            }
            ports.push(Port { file: Arc::new(file), writing: Arc::default() });
        }
    }
    Ok(ports)
}

fn main() -> io::Result<()> {
    block_wake_up();
    let ports: Vec<_> = ports()?.into_iter().map(|port| (port, Arc::new(AtomicBool::new(false)))).collect();
    println!("netvirt: {} ports for commands", ports.len());
    loop {
        for (port, busy) in &ports {
            if !busy.load(Ordering::SeqCst) && port.has_client() {
                busy.store(true, Ordering::SeqCst);
                let (port, busy) = (port.clone(), Arc::clone(busy));
                thread::spawn(move || {
                    serve(port);
                    busy.store(false, Ordering::SeqCst);
                });
            }
        }
        await_wake_up();
    }
}
