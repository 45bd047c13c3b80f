//! The side that stands by: asks a peer for the connections of its active compartments, and writes them down in its own.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use host::Namespace;
use host::conntrack::{Conntrack, Entry, Tuple};
use model::QualifiedName;
use model::gateway::GatewayPeer;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt::SendTimeout,
};
use nix::sys::time::TimeVal;

use super::state::{Role, Shared};
use super::wire::{self, Asked, Reader, Told, VERSION};

/// How long a connection may take to come about.
const CONNECT: i64 = 2;
/// A peer that is not reached is tried again after so long.
const RETRY: Duration = Duration::from_millis(500);
/// How often is looked whether something else is wanted or there is an end.
const LOOK: Duration = Duration::from_millis(100);
/// A peer that says nothing for so long has gone; it says at least every second that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Follows one peer until the end, or until it is none any more.
pub fn run(shared: &Arc<Shared>, peer: &GatewayPeer) {
    while !shared.is_over() && shared.read(|state| state.peers.contains(peer)) {
        let Some(own) = shared.read(|state| state.address) else { return };
        match follow(shared, peer, own) {
            Ok(()) => {}
            Err(error) => {
                let at = SocketAddr::new(peer.address, wire::PORT);
                let trouble = format!(
                    "its connections are not known here, and would break: the gateway at {at} cannot be followed: {error}"
                );
                shared.note_trouble(&peer.host, Some(trouble));
            }
        }
        shared.wait(RETRY);
    }
}

/// Follows a peer as long as it goes.
fn follow(shared: &Shared, peer: &GatewayPeer, own: IpAddr) -> io::Result<()> {
    let mut stream = open(own, peer.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let host = shared.read(|state| state.host.clone());
    wire::write(&mut stream, &Asked::Hello { version: VERSION, host })?;
    let mut reader = Reader::default();
    let mut books = Books { shared, books: BTreeMap::new() };
    let (mut generation, mut heard) = (None, Instant::now());
    while !shared.is_over() {
        let (now, compartments, is_peer) = shared.read(|state| {
            let names = state.members.keys().cloned().collect();
            (state.generation, names, state.address == Some(own) && state.peers.contains(peer))
        });
        if !is_peer {
            break;
        }
        if generation != Some(now) {
            wire::write(&mut stream, &Asked::Want { compartments })?;
            generation = Some(now);
        }
        match reader.next::<Told>(&mut stream)? {
            Some(Told::Hello { version: VERSION, .. }) => shared.note_trouble(&peer.host, None),
            Some(Told::Hello { version, .. }) => {
                let words = format!("it speaks version {version}, we version {VERSION}; bring both to the same");
                return Err(io::Error::new(io::ErrorKind::InvalidData, words));
            }
            Some(told) => books.take(&told),
            None if heard.elapsed() > PATIENCE => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it has not said anything for 5 s"));
            }
            None => continue,
        }
        heard = Instant::now();
    }
    Ok(())
}

/// A connection from our provider address, by which the peer knows us, to its.
fn open(own: IpAddr, peer: IpAddr) -> io::Result<TcpStream> {
    let family = if peer.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // It bounds how long connecting takes as well (socket(7)).
    setsockopt(&fd, SendTimeout, &TimeVal::new(CONNECT, 0))?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(own, 0)))?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(peer, wire::PORT))) {
        Ok(()) => Ok(TcpStream::from(fd)),
        Err(nix::errno::Errno::EINPROGRESS) => Err(io::ErrorKind::TimedOut.into()),
        Err(error) => Err(error.into()),
    }
}

/// Where the connections of one compartment are written down.
struct Book {
    namespace: Namespace,
    conntrack: Conntrack,
    /// Those that were told since all began to be told; none when it is not so.
    told: Option<HashSet<(Tuple, u16)>>,
}

/// Those of all compartments.
struct Books<'s> {
    shared: &'s Shared,
    books: BTreeMap<QualifiedName, Book>,
}

impl Books<'_> {
    /// Writes down what a peer says.
    fn take(&mut self, told: &Told) {
        let (compartment, is, gone): (_, &[Entry], &[Entry]) = match told {
            Told::Hello { .. } | Told::Idle => return,
            Told::Begin { compartment } | Told::Whole { compartment } => (compartment, &[], &[]),
            Told::State { compartment, is, gone } => (compartment, is, gone),
        };
        // What it says of a compartment that we do not have, or have just given up, is not for us.
        let role = self.shared.read(|state| {
            state.members.get(compartment).map(|member| (member.role, member.namespace.clone(), member.own.clone()))
        });
        let Some((role, namespace, own)) = role else { return };
        let Some(book) = self.open(compartment, &namespace) else { return };
        match told {
            Told::Begin { .. } => book.told = Some(HashSet::new()),
            Told::Whole { .. } => {
                if let (Some(told), Role::Standby) = (book.told.take(), role) {
                    forget_others(&book.conntrack, |entry| {
                        entry.is_forwarded(&own) && !told.contains(&(entry.original, entry.zone))
                    });
                }
            }
            _ => {}
        }
        let (mut written, mut refused) = (0, 0);
        // One that is active itself knows better what goes through it; it lacks only what began elsewhere.
        if role != Role::Active {
            for entry in gone {
                let _ = book.conntrack.remove(entry);
            }
        }
        for entry in is.iter().filter(|entry| entry.is_forwarded(&own)) {
            if let Some(told) = &mut book.told {
                told.insert((entry.original, entry.zone));
            }
            let done = match role {
                Role::Standby | Role::Leaving => book.conntrack.put(entry),
                Role::Active => add(&book.conntrack, entry),
            };
            match done {
                Ok(()) => written += 1,
                Err(error) => {
                    tracing::debug!(%compartment, "a connection is not written down: {error}");
                    refused += 1;
                }
            }
        }
        self.shared.counters.written.fetch_add(written, Ordering::Relaxed);
        self.shared.counters.refused.fetch_add(refused, Ordering::Relaxed);
    }

    /// The book of a compartment, in the namespace that is its now.
    fn open(&mut self, compartment: &QualifiedName, namespace: &str) -> Option<&mut Book> {
        let is_open = |book: &Book| book.namespace.name() == Some(namespace) && book.namespace.is_in_place();
        if !self.books.get(compartment).is_some_and(is_open) {
            let namespace = Namespace::open(namespace).ok()?;
            let conntrack = Conntrack::in_namespace(&namespace).ok()?;
            self.books.insert(compartment.clone(), Book { namespace, conntrack, told: None });
        }
        self.books.get_mut(compartment)
    }
}

/// Adds what is not there, or was there before the other side had answered: what went on through the other host.
fn add(conntrack: &Conntrack, entry: &Entry) -> Result<(), host::Error> {
    if conntrack.add(entry)? {
        return Ok(());
    }
    let there = conntrack.get(&entry.original, entry.zone)?;
    let is_behind = |there: Entry| there.reply == entry.reply && !there.is_assured() && entry.is_assured();
    if there.is_some_and(is_behind) { conntrack.put(entry) } else { Ok(()) }
}

/// Forgets connections that are such.
fn forget_others(conntrack: &Conntrack, such: impl Fn(&Entry) -> bool) {
    for entry in conntrack.list().unwrap_or_default().iter().filter(|entry| such(entry)) {
        let _ = conntrack.remove(entry);
    }
}
