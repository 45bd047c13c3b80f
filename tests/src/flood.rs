//! Floods at a rate of their own from one CPU, and TCP between others on another, so that what a host makes of a flood is
//! told from what its sender costs.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::Node;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::frames::Wire;
use crate::stage::eventually;

/// How often a flood has its next frames due.
const TICK: Duration = Duration::from_millis(1);
/// How long a blocked end of a stream waits before it looks whether it shall end.
const GLANCE: Duration = Duration::from_millis(50);

/// Two CPUs that this process may use, or one twice.
pub fn two_cpus() -> [usize; 2] {
    let set = sched_getaffinity(Pid::from_raw(0)).expect("a process has CPUs");
    let mut usable = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false));
    let first = usable.next().expect("a process has a CPU");
    [first, usable.next().unwrap_or(first)]
}

/// Pins the calling thread.
fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)).expect("a CPU of this process");
}

/// What the threads of a flood or a stream share with the story.
#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    running: AtomicBool,
    count: AtomicU64,
}

/// Ends its threads when it goes.
struct Threads {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Ends them. A panic of theirs is one of the story.
    fn end(&mut self) -> u64 {
        self.shared.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a thread of the story ends well");
        }
        self.shared.count.load(Ordering::Relaxed)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// A flood of frames.
pub struct Flood(Threads);

impl Flood {
    /// Makes it ready, at a CPU and a rate of so many frames a second. `next` makes the frame with a number.
    #[track_caller]
    pub fn ready(node: &Node, cpu: usize, rate: u64, mut next: impl FnMut(u64) -> Vec<u8> + Send + 'static) -> Self {
        let (wire, shared) = (Wire::open(node, "eth0"), Arc::new(Shared::default()));
        let own = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            pin(cpu);
            let mut last = Instant::now();
            while !own.ended.load(Ordering::Relaxed) {
                // What is due since the last look, but no more than of some ticks: a flood that was held up does not
                // make up for it all at once.
                let since = last.elapsed().min(TICK * 10);
                let due = (since.as_secs_f64() * rate as f64) as u64;
                last = Instant::now();
                if own.running.load(Ordering::Relaxed) {
                    let sent = own.count.load(Ordering::Relaxed);
                    (sent..sent + due).for_each(|number| wire.send(&next(number)));
                    own.count.store(sent + due, Ordering::Relaxed);
                }
                thread::sleep(TICK);
            }
        });
        Self(Threads { shared, threads: vec![thread] })
    }

    /// Lets it run, or not.
    pub fn run(&self, running: bool) {
        self.0.shared.running.store(running, Ordering::Relaxed);
    }

    /// Waits until it has sent so many frames.
    #[track_caller]
    pub fn await_sent(&self, frames: u64) {
        let sent = || self.0.shared.count.load(Ordering::Relaxed);
        assert!(eventually(Duration::from_secs(20), || sent() >= frames), "the flood sent {} of {frames}", sent());
    }

    /// Ends it; how many frames it has sent.
    #[track_caller]
    pub fn end(mut self) -> u64 {
        self.0.end()
    }
}

/// A TCP connection that carries as much as it can.
pub struct Stream(Threads);

impl Stream {
    /// Starts it, both ends on one CPU.
    #[track_caller]
    pub fn start(client: &Node, server: &Node, address: &str, cpu: usize) -> Self {
        let (listener, target) = listen(server, address);
        let connect = || TcpStream::connect_timeout(&target, Duration::from_secs(5));
        let mut writer = client.namespace().run(connect).expect("a namespace").expect("a TCP connection");
        let (mut reader, _) = listener.accept().expect("a TCP connection");
        for socket in [&reader, &writer] {
            socket.set_read_timeout(Some(GLANCE)).expect("a time limit");
            socket.set_write_timeout(Some(GLANCE)).expect("a time limit");
        }
        let shared = Arc::new(Shared::default());
        let (reads, writes) = (Arc::clone(&shared), Arc::clone(&shared));
        let reading = thread::spawn(move || {
            pin(cpu);
            let mut chunk = vec![0; 128 << 10];
            while !reads.ended.load(Ordering::Relaxed) {
                let read = passed(reader.read(&mut chunk));
                reads.count.fetch_add(read as u64, Ordering::Relaxed);
            }
        });
        let writing = thread::spawn(move || {
            pin(cpu);
            let chunk = vec![0x5a; 128 << 10];
            while !writes.ended.load(Ordering::Relaxed) {
                passed(writer.write(&chunk));
            }
        });
        Self(Threads { shared, threads: vec![reading, writing] })
    }

    /// Bytes a second that arrive.
    pub fn rate(&self, window: Duration) -> f64 {
        let (before, began) = (self.0.shared.count.load(Ordering::Relaxed), Instant::now());
        thread::sleep(window);
        let grown = self.0.shared.count.load(Ordering::Relaxed) - before;
        grown as f64 / began.elapsed().as_secs_f64()
    }
}

/// How many bytes a read or write has moved: none at its time limit, nor when the other end has ended first.
fn passed(moved: std::io::Result<usize>) -> usize {
    match moved {
        Ok(count) => count,
        Err(error) => {
            let kind = error.kind();
            let quiet = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(quiet.contains(&kind), "a TCP stream: {error}");
            0
        }
    }
}

/// A listener in a VM, and where it is.
#[track_caller]
fn listen(server: &Node, address: &str) -> (TcpListener, SocketAddr) {
    let listen = || TcpListener::bind((address, 0));
    let listener = server.namespace().run(listen).expect("a namespace").expect("a listener");
    let target = listener.local_addr().expect("a listener's address");
    (listener, target)
}

/// Opens so many TCP connections, one after the other: a byte there, a byte back, and closed again. Each must succeed
/// within some seconds.
#[track_caller]
pub fn must_connect(client: &Node, server: &Node, address: &str, count: usize) {
    let (listener, target) = listen(server, address);
    let limit = Duration::from_secs(10);
    let failed = thread::scope(|scope| {
        let answering = scope.spawn(|| {
            (0..count).try_for_each(|_| {
                let (mut socket, _) = listener.accept()?;
                socket.set_read_timeout(Some(limit))?;
                let mut byte = [0];
                socket.read_exact(&mut byte)?;
                socket.write_all(&byte)
            })
        });
        let asked = client.namespace().run(|| {
            (0..count).try_for_each(|number| {
                let ask = || {
                    let mut socket = TcpStream::connect_timeout(&target, limit)?;
                    socket.set_read_timeout(Some(limit))?;
                    let mut byte = [1];
                    socket.write_all(&byte)?;
                    socket.read_exact(&mut byte)
                };
                ask().map_err(|error: std::io::Error| format!("connection {number}: {error}"))
            })
        });
        let asked = asked.expect("a namespace");
        if asked.is_err() {
            // The other side waits for a connection that does not come.
            let wake = || TcpStream::connect(target);
            while !answering.is_finished() {
                drop(server.namespace().run(wake));
                thread::sleep(GLANCE);
            }
        }
        let answered = answering.join().expect("a thread of the story ends well");
        asked.err().or_else(|| answered.err().map(|error| error.to_string()))
    });
    assert_eq!(failed, None, "{} connects to {address} of {}", client.name(), server.name());
}

/// How much of a stream's rate is left while a flood runs: the median over rounds of one window without and one with it.
/// More rounds are taken as long as it is below `enough`, up to a limit, since other work of the machine comes and goes.
pub fn share_left(stream: &Stream, flood: &Flood, enough: f64) -> f64 {
    const WINDOW: Duration = Duration::from_millis(250);
    const SETTLE: Duration = Duration::from_millis(30);
    const ROUNDS: std::ops::RangeInclusive<usize> = 5..=25;
    let measured = |running: bool| {
        flood.run(running);
        thread::sleep(SETTLE);
        stream.rate(WINDOW)
    };
    let mut shares = Vec::new();
    let mut median = 0.0;
    while shares.len() < *ROUNDS.end() && (shares.len() < *ROUNDS.start() || median < enough) {
        // Each comes first in turn, so that what only rises or falls does not count.
        let share = if shares.len() % 2 == 0 {
            let quiet = measured(false);
            measured(true) / quiet
        } else {
            let flooded = measured(true);
            flooded / measured(false)
        };
        shares.push(share);
        let mut sorted = shares.clone();
        sorted.sort_by(f64::total_cmp);
        median = sorted[sorted.len() / 2];
    }
    flood.run(false);
    median
}
