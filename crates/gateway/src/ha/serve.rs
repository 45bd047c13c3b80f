//! The side that has connections: tells each peer that asks of those of the compartments that are active here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use host::conntrack::ConntrackWatch;
use model::QualifiedName;
use model::fabric::ResourceName;

use super::feed::{Feed, FeedError};
use super::state::{Role, Shared};
use super::wire::{self, Asked, Reader, Told, VERSION};

/// An address that is not there yet is tried again after so long.
const RETRY: Duration = Duration::from_millis(500);
/// How often is looked whether something else is wanted or there is an end.
const LOOK: Duration = Duration::from_millis(100);
/// When nothing else was said for so long, that is said.
const IDLE: Duration = Duration::from_secs(1);
/// A peer that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections of peers at once, those that are just being replaced included.
const MAX_CONNECTIONS: usize = 32;

/// Listens for peers until the end.
pub fn run(shared: &Arc<Shared>) {
    let mut bound: Option<(IpAddr, TcpListener)> = None;
    let mut served: Vec<JoinHandle<()>> = Vec::new();
    while !shared.is_over() {
        let address = shared.read(|state| state.address.filter(|_| !state.peers.is_empty()));
        let Some(address) = address else {
            bound = None;
            shared.wait(RETRY);
            continue;
        };
        if bound.as_ref().is_none_or(|(at, _)| *at != address) {
            bound = listen(address).map(|listener| (address, listener)).ok();
        }
        let Some((_, listener)) = &bound else {
            thread::sleep(RETRY);
            continue;
        };
        served.retain(|thread| !thread.is_finished());
        match listener.accept() {
            Ok((stream, from)) => {
                let Some(peer) = shared.peer_at(from.ip()) else {
                    tracing::warn!("{from} is no peer of this gateway, and is told nothing");
                    continue;
                };
                if served.len() < MAX_CONNECTIONS {
                    let shared = Arc::clone(shared);
                    let serve = move || {
                        if let Err(error) = serve(&shared, &peer, stream) {
                            tracing::debug!(%peer, "connections are told no more: {error}");
                        }
                    };
                    served.extend(thread::Builder::new().name("ha-serve".to_owned()).spawn(serve));
                }
            }
            // Nobody came; or one that came has gone again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => shared.wait(LOOK),
            Err(_) => thread::sleep(LOOK),
        }
    }
    for thread in served {
        let _ = thread.join();
    }
}

fn listen(address: IpAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((address, wire::PORT))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Tells one peer until it goes.
fn serve(shared: &Shared, peer: &ResourceName, stream: TcpStream) -> Result<(), FeedError> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // What a peer wants is looked for between two looks at what has happened.
    stream.set_read_timeout(Some(Duration::from_millis(1)))?;
    let mut from = stream.try_clone()?;
    let mut out = BufWriter::with_capacity(64 * 1024, stream);
    let host = shared.read(|state| state.host.clone());
    wire::write(&mut out, &Told::Hello { version: VERSION, host })?;
    out.flush()?;
    let mut reader = Reader::default();
    let mut wanted = BTreeSet::new();
    let mut feeds: BTreeMap<QualifiedName, Feed> = BTreeMap::new();
    let mut said = Instant::now();
    let mut looked = None;
    while !shared.is_over() {
        while let Some(asked) = reader.next::<Asked>(&mut from)? {
            match asked {
                Asked::Hello { version: VERSION, host } if host == peer.as_str() => {}
                Asked::Hello { version, host } => {
                    tracing::warn!("{host}, which speaks version {version}, is not {peer} with version {VERSION}");
                    return Ok(());
                }
                Asked::Want { compartments } => wanted = compartments.into_iter().collect(),
            }
        }
        if looked.is_none_or(|at: Instant| at.elapsed() >= LOOK) {
            settle(shared, &wanted, &mut feeds);
            looked = Some(Instant::now());
        }
        if pump(shared, &mut feeds, &mut out)? {
            said = Instant::now();
        }
        if said.elapsed() >= IDLE {
            wire::write(&mut out, &Told::Idle)?;
            said = Instant::now();
        }
        out.flush()?;
    }
    Ok(())
}

/// Makes the feeds those that are wanted and can be given.
fn settle(shared: &Shared, wanted: &BTreeSet<QualifiedName>, feeds: &mut BTreeMap<QualifiedName, Feed>) {
    let members = shared.read(|state| {
        let given = |name: &QualifiedName| {
            let member = state.members.get(name).filter(|member| member.role != Role::Standby)?;
            Some((name.clone(), member.clone()))
        };
        wanted.iter().filter_map(given).collect::<BTreeMap<_, _>>()
    });
    feeds.retain(|name, feed| members.get(name).is_some_and(|member| feed.is_of(member)));
    for (name, member) in members {
        if feeds.contains_key(&name) {
            continue;
        }
        match Feed::new(name.clone(), member) {
            Ok(feed) => {
                feeds.insert(name, feed);
            }
            Err(error) => tracing::debug!(compartment = %name, "its connections cannot be told yet: {error}"),
        }
    }
}

/// Waits for something to happen in one of them, and tells it. Answers whether anything did. One that fails is begun anew.
fn pump(
    shared: &Shared,
    feeds: &mut BTreeMap<QualifiedName, Feed>,
    out: &mut BufWriter<TcpStream>,
) -> Result<bool, FeedError> {
    let now = Instant::now();
    let next = feeds.values().map(Feed::list_at).min();
    let limit = next.map_or(LOOK, |next| next.saturating_duration_since(now).min(LOOK));
    if feeds.is_empty() {
        thread::sleep(limit);
        return Ok(false);
    }
    let ready = {
        let watches: Vec<_> = feeds.values().map(Feed::watch).collect();
        ConntrackWatch::wait(&watches, limit)?
    };
    let now = Instant::now();
    let mut broken = Vec::new();
    let mut any = false;
    for ((name, feed), ready) in feeds.iter_mut().zip(ready) {
        if !ready && now < feed.list_at() {
            continue;
        }
        any = true;
        match feed.pump(out, &shared.counters) {
            Ok(()) => {}
            Err(FeedError::Stream(error)) => return Err(error.into()),
            Err(FeedError::Host(error)) => {
                tracing::debug!(compartment = %name, "its connections cannot be told: {error}");
                broken.push(name.clone());
            }
        }
    }
    for name in broken {
        feeds.remove(&name);
    }
    Ok(any)
}
