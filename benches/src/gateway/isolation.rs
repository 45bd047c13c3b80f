//! Whether one tenant reaches another: each VM sends to each other tenant's VM in each way there is, and all listen.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use host::Namespace;
use serde::Serialize;

use crate::error::Tried;
use crate::{Error, interrupt};

/// Where everybody listens, on UDP.
pub(super) const PORT: u16 = 7000;
/// Where VMs send from to those before them. Had both of a pair sent to each other's mappings from the same ports, each would have
/// asked for what the other sends, and a NAT lets answers in (RFC 5128, section 3.3): no tenant is reached against its will so.
const BACK: u16 = 7001;
/// How long a VM may take to reach all that is its own.
const OWN_WITHIN: Duration = Duration::from_secs(20);
/// How long what was sent to others may be under way.
const UNDER_WAY: Duration = Duration::from_secs(2);
/// Time for the echoes of one try.
const TRY: Duration = Duration::from_millis(500);
/// Time between what one VM sends and what the next does, so that no queue on the way is full.
const BREATH: Duration = Duration::from_millis(2);

/// A VM that takes part.
pub(super) struct Party {
    pub(super) namespace: Namespace,
    /// Its address inside.
    pub(super) inside: Ipv4Addr,
    /// Its compartment's address outside.
    pub(super) outside: Ipv4Addr,
}

/// A server that answers, and by which connection VMs come to it.
pub(super) struct Server {
    pub(super) namespace: Namespace,
    pub(super) address: Ipv4Addr,
    pub(super) by: &'static str,
}

/// What was seen.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Ordered pairs of tenants.
    pub pairs: usize,
    /// Datagrams that were sent to others.
    pub sent: usize,
    /// Those that the kernel refused to send, as it does when it was told that there is no way.
    pub refused: usize,
    /// Those that reached another tenant.
    pub arrived: usize,
    /// Servers that a VM was to reach by connections of its own, and those that it did, before and after.
    pub own: usize,
    /// See [`Seen::own`].
    pub reached: [usize; 2],
    /// How long it took in seconds.
    pub seconds: f64,
}

/// A datagram: who sends it, in big endian, and whether it is to come back.
fn datagram(from: usize) -> [u8; 8] {
    (from as u64).to_be_bytes()
}

fn sender(datagram: &[u8]) -> Option<usize> {
    let bytes: [u8; 8] = datagram.try_into().ok()?;
    usize::try_from(u64::from_be_bytes(bytes)).ok()
}

fn open(namespace: &Namespace, at: Ipv4Addr, port: u16) -> Result<UdpSocket, Error> {
    let socket = namespace.run(|| UdpSocket::bind((at, port)))?.tried("open a UDP socket")?;
    socket.set_nonblocking(true).tried("switch a socket to not waiting")?;
    Ok(socket)
}

/// Where a server saw a VM come from.
type Mappings = BTreeMap<usize, SocketAddr>;

/// Answers what comes until told to end; tells who came from where.
fn serve(socket: &UdpSocket, end: &AtomicBool) -> Mappings {
    let (mut seen, mut buffer) = (Mappings::new(), [0; 64]);
    while !end.load(Ordering::Relaxed) {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                if let Some(number) = sender(&buffer[..length]) {
                    seen.insert(number, from);
                }
                let _ = socket.send_to(&buffer[..length], from);
            }
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    seen
}

/// Takes in what has come to a VM; `heard` is told each sender's number and address.
fn drain(socket: &UdpSocket, mut heard: impl FnMut(usize, SocketAddr)) {
    let mut buffer = [0; 64];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => heard(sender(&buffer[..length]).unwrap_or(usize::MAX), from),
            // What an ICMP told is not a datagram; behind it there may be some.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) => break,
        }
    }
}

/// Tries all pairs.
pub(super) fn all_pairs(parties: &[Party], servers: &[Server]) -> Result<Seen, Error> {
    let began = Instant::now();
    let all_at = |port| {
        let opened = parties.iter().map(|party| open(&party.namespace, Ipv4Addr::UNSPECIFIED, port));
        opened.collect::<Result<Vec<_>, _>>()
    };
    let (sockets, back) = (all_at(PORT)?, all_at(BACK)?);
    let listening =
        servers.iter().map(|server| open(&server.namespace, server.address, PORT)).collect::<Result<Vec<_>, _>>()?;
    let count = parties.len();
    let mut seen = Seen { pairs: count * count.saturating_sub(1), own: count * servers.len(), ..Seen::default() };
    let mut round = || -> Result<(usize, Vec<Mappings>), Error> {
        let end = AtomicBool::new(false);
        thread::scope(|scope| {
            let threads: Vec<_> = listening.iter().map(|socket| scope.spawn(|| serve(socket, &end))).collect();
            let reached = reach_own(&sockets, servers, &mut seen.arrived);
            end.store(true, Ordering::Relaxed);
            let mappings: Result<Vec<_>, _> =
                threads.into_iter().map(|thread| thread.join().map_err(|_| Error::Panic)).collect();
            Ok((reached?, mappings?))
        })
    };
    let (before, mappings) = round()?;
    seen.reached[0] = before;
    let translated = servers.iter().position(|server| server.by == "NAT").map(|place| &mappings[place]);
    for number in 0..count {
        interrupt::check()?;
        for (other, party) in parties.iter().enumerate().filter(|(other, _)| *other != number) {
            let socket = if other < number { &back[number] } else { &sockets[number] };
            let mut to = vec![SocketAddr::from((party.inside, PORT)), SocketAddr::from((party.outside, PORT))];
            to.extend(translated.and_then(|mappings| mappings.get(&other)));
            for target in to {
                seen.sent += 1;
                // A refusal is that of an ICMP which an earlier datagram got, and this one was not sent: once more.
                let sent = (0..3).any(|_| socket.send_to(&datagram(number), target).is_ok());
                seen.refused += usize::from(!sent);
            }
        }
        thread::sleep(BREATH);
    }
    interrupt::pause(UNDER_WAY)?;
    for (number, socket) in sockets.iter().enumerate().chain(back.iter().enumerate()) {
        drain(socket, |from, _| seen.arrived += usize::from(from != number));
    }
    let mut round = || -> Result<usize, Error> {
        let end = AtomicBool::new(false);
        thread::scope(|scope| {
            for socket in &listening {
                scope.spawn(|| serve(socket, &end));
            }
            let reached = reach_own(&sockets, servers, &mut seen.arrived);
            end.store(true, Ordering::Relaxed);
            reached
        })
    };
    seen.reached[1] = round()?;
    seen.seconds = began.elapsed().as_secs_f64();
    Ok(seen)
}

/// Has each VM send to all servers until it is answered by each; answers how many were.
fn reach_own(sockets: &[UdpSocket], servers: &[Server], strangers: &mut usize) -> Result<usize, Error> {
    let targets: Vec<_> = servers.iter().map(|server| SocketAddrV4::new(server.address, PORT)).collect();
    let mut answered = vec![vec![false; targets.len()]; sockets.len()];
    let end = Instant::now() + OWN_WITHIN;
    loop {
        for (number, socket) in sockets.iter().enumerate() {
            for (target, _) in targets.iter().zip(&answered[number]).filter(|(_, done)| !**done) {
                // What is not sent is sent again.
                let _ = socket.send_to(&datagram(number), target);
            }
        }
        interrupt::pause(TRY)?;
        for (number, socket) in sockets.iter().enumerate() {
            drain(socket, |from, address| {
                let place = targets.iter().position(|target| SocketAddr::V4(*target) == address);
                match place.filter(|_| from == number) {
                    Some(place) => answered[number][place] = true,
                    None => *strangers += 1,
                }
            });
        }
        let reached = answered.iter().flatten().filter(|done| **done).count();
        if reached == sockets.len() * targets.len() || Instant::now() >= end {
            return Ok(reached);
        }
    }
}

/// Addresses of a server for reports.
pub(super) fn names(servers: &[Server]) -> String {
    servers.iter().map(|server| server.by).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_says_who_sends_it() {
        assert_eq!(sender(&datagram(4711)), Some(4711));
        assert_eq!(sender(b"short"), None);
    }
}
