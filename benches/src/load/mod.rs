//! The load generator: two sides, each on its CPU and in its VM's network namespace, for a limited time.
//!
//! Both sides are threads of this process with blocking sockets. A thread enters the namespace, so that what it opens
//! is there. What counts is what arrives: rates are read off the receiving side between two instants.

mod batch;
mod connections;
mod flows;
mod frame;
#[cfg(test)]
mod loopback;
mod packets;
mod round_trips;
mod stream;
mod tcp;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use host::Namespace;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::{Error, interrupt};

/// How long a blocked side waits before it looks whether it shall end.
const GLANCE: Duration = Duration::from_millis(100);
/// Longest round trip that is told from a lost one.
const LOST: Duration = Duration::from_secs(1);
/// How long the two VMs may take to reach each other at first.
const REACHED_WITHIN: Duration = Duration::from_secs(15);

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Load {
    /// As much as TCP carries, one way, over that many connections. Rate: bits a second that the receiver read.
    Stream(usize),
    /// The same over one connection, from the server to the client. Rate: bits a second that the client read.
    StreamBack,
    /// One byte there and back, over one TCP connection without Nagle's delay. Rate: round trips a second.
    TcpRoundTrips,
    /// The same in UDP datagrams.
    UdpRoundTrips,
    /// Connect, a byte there, a byte back, close; one after the other. Rate: connections a second.
    Connections,
    /// UDP datagrams as fast as the sender can. Rate: datagrams a second that the receiver read.
    Packets {
        /// UDP payload in bytes.
        payload: usize,
        /// Over how many flows.
        flows: usize,
    },
    /// UDP datagrams of 64 bytes out of a packet socket, so that there may be far more flows than sockets; each of them
    /// is sent once before it counts. Rate: packets a second that the server's VM takes in.
    Flows(usize),
}

/// Who a VM is on its network.
#[derive(Clone, Copy, Debug)]
pub struct Station {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its address.
    pub address: Ipv4Addr,
}

/// Who speaks to whom, and from which CPUs.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// Where the client is.
    pub client: &'a Namespace,
    /// Where the server is.
    pub server: &'a Namespace,
    /// The server's address.
    pub address: Ipv4Addr,
    /// Who the client is.
    pub own: Station,
    /// The MAC address that the client sends to: the server's, or a router's.
    pub next_hop: [u8; 6],
    /// The client's CPU.
    pub client_cpu: usize,
    /// The server's CPU.
    pub server_cpu: usize,
}

/// How long something is measured.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Time that does not count: windows open, caches fill.
    pub warm_up: Duration,
    /// Time that counts.
    pub measured: Duration,
}

/// What was measured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Figures {
    /// Per second; of what, see [`Load`].
    pub rate: f64,
    /// Median and 99th percentile of the time of a round trip, in microseconds.
    pub latency: Option<(f64, f64)>,
}

/// Generates a load once.
///
/// # Errors
/// When a socket refuses, nothing arrives, or the end is asked for.
pub fn run(load: Load, ends: Ends<'_>, timing: Timing) -> Result<Figures, Error> {
    let only_rate = |rate| Figures { rate, latency: None };
    match load {
        Load::Stream(count) => stream::run(ends, count, stream::Way::There, timing).map(only_rate),
        Load::StreamBack => stream::run(ends, 1, stream::Way::Back, timing).map(only_rate),
        Load::TcpRoundTrips => round_trips::tcp(ends, timing),
        Load::UdpRoundTrips => round_trips::udp(ends, timing),
        Load::Connections => connections::run(ends, timing).map(only_rate),
        Load::Flows(flows) => flows::run(ends, flows, timing).map(only_rate),
        Load::Packets { payload, flows } => packets::run(ends, payload, flows, timing).map(only_rate),
    }
}

/// Waits until the client's VM reaches the server's.
///
/// # Errors
/// [`Error::Unreachable`].
pub fn reach(ends: Ends<'_>) -> Result<(), Error> {
    let listener = ends.listen()?;
    let target = ends.target(tcp::port_of(&listener)?);
    let end = Instant::now() + REACHED_WITHIN;
    loop {
        interrupt::check()?;
        match ends.client.run(|| tcp::connected_soon(target))? {
            Ok(_) => return Ok(()),
            Err(source) if Instant::now() >= end => {
                let seconds = REACHED_WITHIN.as_secs();
                return Err(Error::Unreachable { seconds, source });
            }
            Err(_) => interrupt::pause(GLANCE)?,
        }
    }
}

impl Ends<'_> {
    /// The server's address with a port.
    fn target(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.address, port)
    }
}

/// Tells the threads of a load to end, at the latest when it goes.
#[derive(Default, Debug)]
struct Stop(AtomicBool);

impl Stop {
    /// Whether a thread shall end.
    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) || interrupt::asked()
    }
}

/// Sets a [`Stop`] at the end of a scope, so that its threads end also after an error.
struct StopAtEnd<'a>(&'a Stop);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Starts one side: a thread on a CPU, inside a namespace.
fn side<'scope, 'env, T: Send + 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    namespace: &'scope Namespace,
    cpu: usize,
    work: impl FnOnce() -> Result<T, Error> + Send + 'scope,
) -> ScopedJoinHandle<'scope, Result<T, Error>> {
    scope.spawn(move || {
        namespace.run(|| {
            pin(cpu)?;
            work()
        })?
    })
}

/// What a side returned.
fn join<T>(side: ScopedJoinHandle<'_, Result<T, Error>>) -> Result<T, Error> {
    side.join().unwrap_or(Err(Error::Panic))
}

/// Pins the calling thread.
///
/// # Errors
/// When there is no such CPU, or it is not ours.
pub fn pin(cpu: usize) -> Result<(), Error> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|error| Error::Pin { cpu, source: error.into() })
}

/// By how much a counter grows in a second, after the warm-up.
fn growth(counter: &AtomicU64, timing: Timing) -> Result<f64, Error> {
    growth_of(|| Ok(counter.load(Ordering::Relaxed)), timing)
}

/// The same of a counter that is read somehow.
fn growth_of(read: impl Fn() -> Result<u64, Error>, timing: Timing) -> Result<f64, Error> {
    interrupt::pause(timing.warm_up)?;
    let (before, began) = (read()?, Instant::now());
    interrupt::pause(timing.measured)?;
    let (after, took) = (read()?, began.elapsed());
    match after.saturating_sub(before) {
        0 => Err(Error::Silence),
        grown => Ok(grown as f64 / took.as_secs_f64()),
    }
}

/// Whether an error says no more than that a time limit was reached.
fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Round trips one after the other, by the clock of the side that asks.
struct RoundTripClock {
    times: Histogram<u64>,
    began: Instant,
    warm: Instant,
    end: Instant,
}

impl RoundTripClock {
    /// Begins the warm-up.
    fn start(timing: Timing) -> Self {
        let began = Instant::now();
        let warm = began + timing.warm_up;
        // One nanosecond to a minute, with three digits: the bounds are legal.
        let times = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("legal bounds");
        Self { times, began, warm, end: warm + timing.measured }
    }

    /// Begins a round trip; false when the time is over.
    fn begin(&mut self) -> bool {
        self.began = Instant::now();
        self.began < self.end
    }

    /// Ends a round trip, and begins the next at the same instant; false when the time is over.
    fn lap(&mut self) -> bool {
        let now = Instant::now();
        if self.began >= self.warm {
            let took = (now - self.began).as_nanos();
            self.times.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
        }
        self.began = now;
        now < self.end
    }

    /// Rate and percentiles of what was recorded.
    fn figures(&self) -> Result<Figures, Error> {
        // What was lost took its time too, so that the rate is over the whole of it.
        let took = self.began.saturating_duration_since(self.warm).as_secs_f64();
        if self.times.is_empty() || took <= 0.0 {
            return Err(Error::Silence);
        }
        let microseconds = |quantile| self.times.value_at_quantile(quantile) as f64 / 1000.0;
        Ok(Figures { rate: self.times.len() as f64 / took, latency: Some((microseconds(0.5), microseconds(0.99))) })
    }
}

/// Sleeps shorter than this are not worth a system call in a loop that retries.
fn breathe() {
    thread::sleep(Duration::from_micros(50));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock_with(times: &[u64]) -> RoundTripClock {
        let timing = Timing { warm_up: Duration::ZERO, measured: Duration::from_secs(1) };
        let mut clock = RoundTripClock::start(timing);
        for time in times {
            clock.times.saturating_record(*time);
        }
        clock.began = clock.warm + Duration::from_secs(2);
        clock
    }

    #[test]
    fn percentiles_are_in_microseconds_and_the_rate_is_over_the_time_measured() {
        let times: Vec<u64> = (1..=100).map(|number| number * 1000).collect();
        let figures = clock_with(&times).figures().unwrap();
        let (median, p99) = figures.latency.unwrap();
        assert!((median - 50.0).abs() < 0.1 && (p99 - 99.0).abs() < 0.2, "{figures:?}");
        assert!((figures.rate - 50.0).abs() < 1e-9, "{figures:?}");
    }

    #[test]
    fn no_round_trip_is_no_figure() {
        assert!(matches!(clock_with(&[]).figures(), Err(Error::Silence)));
    }

    #[test]
    fn round_trips_of_the_warm_up_do_not_count() {
        let timing = Timing { warm_up: Duration::from_secs(3600), measured: Duration::from_secs(1) };
        let mut clock = RoundTripClock::start(timing);
        assert!(clock.begin() && clock.lap());
        assert!(clock.times.is_empty());
    }
}
