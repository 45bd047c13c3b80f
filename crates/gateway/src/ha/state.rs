//! What the threads that keep gateways together share: who the peers are, which compartments there are, what was heard.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::QualifiedName;
use model::fabric::ResourceName;
use model::gateway::{Compartment, Gateway, GatewayBeat, GatewayLinks, GatewayPeer, PeerReport};
use parking_lot::{Condvar, Mutex};

/// What a compartment is on this host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It does the work.
    Active,
    /// It did until a moment ago, or is about to, and does what comes to it.
    Leaving,
    /// It stands ready.
    Standby,
}

impl Role {
    /// That of a compartment.
    pub const fn of(compartment: &Compartment) -> Self {
        match (compartment.standby, compartment.leaving) {
            (false, _) => Self::Active,
            (true, true) => Self::Leaving,
            (true, false) => Self::Standby,
        }
    }
}

/// A compartment whose connections are kept on several hosts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// What it is here.
    pub role: Role,
    /// Its namespace, which may not be there yet.
    pub namespace: String,
    /// Its own addresses: what begins or ends at them is its own business, and ends with it.
    pub own: BTreeSet<IpAddr>,
}

impl Member {
    /// That of a compartment in a namespace.
    pub fn of(compartment: &Compartment, namespace: String) -> Self {
        let outside = compartment.outside.iter().flat_map(|outside| &outside.addresses);
        let own = compartment.inside.addresses.iter().chain(outside).map(ipnet::IpNet::addr).collect();
        Self { role: Role::of(compartment), namespace, own }
    }
}

/// What has been heard of a peer.
#[derive(Clone, Debug)]
pub struct HeardOf {
    /// When its last heartbeat came, or it was first listened for.
    pub at: Instant,
    /// What keeps its connections from being known here.
    pub trouble: Option<String>,
}

/// What can change.
#[derive(Debug, Default)]
pub struct State {
    /// The host's name.
    pub host: String,
    /// Its provider address; without one it has no peers.
    pub address: Option<IpAddr>,
    /// Its external interface.
    pub interface: Option<String>,
    /// The other hosts.
    pub peers: Vec<GatewayPeer>,
    /// The compartments.
    pub members: BTreeMap<QualifiedName, Member>,
    /// What was heard of each peer.
    pub heard: BTreeMap<ResourceName, HeardOf>,
    /// The interfaces, as they were last seen.
    pub links: Option<GatewayLinks>,
    /// Grows with each change of all this but what was heard and seen.
    pub generation: u64,
}

/// What is counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Entries told to standbys.
    pub told: AtomicU64,
    /// Entries written down here.
    pub written: AtomicU64,
    /// Entries that the kernel refused here.
    pub refused: AtomicU64,
    /// Entries that came too fast, or that were too many, and are told later or not.
    pub held_back: AtomicU64,
}

/// What the threads share.
#[derive(Debug, Default)]
pub struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stop: AtomicBool,
    /// What is counted.
    pub counters: Counters,
}

impl Shared {
    /// Reads it.
    pub fn read<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        read(&self.state.lock())
    }

    /// Changes it, and wakes whoever waits for a change.
    pub fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let changed = change(&mut self.state.lock());
        self.changed.notify_all();
        changed
    }

    /// Takes in what is to be now.
    pub fn set(&self, host: &str, gateway: Option<&Gateway>, members: BTreeMap<QualifiedName, Member>) {
        self.change(|state| {
            state.host = host.to_owned();
            state.interface = gateway.map(|gateway| gateway.interface.to_string());
            state.address = gateway.and_then(|gateway| gateway.address);
            state.peers = match (gateway, state.address) {
                (Some(gateway), Some(_)) => gateway.peers.clone(),
                _ => Vec::new(),
            };
            let peers: BTreeSet<_> = state.peers.iter().map(|peer| peer.host.clone()).collect();
            state.heard.retain(|host, _| peers.contains(host));
            for host in peers {
                state.heard.entry(host).or_insert_with(|| HeardOf { at: Instant::now(), trouble: None });
            }
            state.members = members;
            state.generation += 1;
        });
    }

    /// Waits until something changes, the end is there, or so long.
    pub fn wait(&self, limit: Duration) {
        let mut state = self.state.lock();
        if !self.is_over() {
            self.changed.wait_for(&mut state, limit);
        }
    }

    /// Lets all threads end.
    pub fn stop(&self) {
        let _state = self.state.lock();
        self.stop.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Whether they shall end.
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The name of the peer with this address.
    pub fn peer_at(&self, address: IpAddr) -> Option<ResourceName> {
        let same = |peer: &&GatewayPeer| peer.address == address.to_canonical();
        self.read(|state| state.peers.iter().find(same).map(|peer| peer.host.clone()))
    }

    /// Notes that a peer was heard. Nobody waits for that.
    pub fn heard(&self, peer: &ResourceName) {
        if let Some(heard) = self.state.lock().heard.get_mut(peer) {
            heard.at = Instant::now();
        }
    }

    /// Notes what keeps a peer's connections from being known here, or that nothing does.
    pub fn note_trouble(&self, peer: &ResourceName, trouble: Option<String>) {
        self.change(|state| {
            if let Some(heard) = state.heard.get_mut(peer) {
                heard.trouble = trouble;
            }
        });
    }

    /// A sign of life.
    pub fn beat(&self) -> GatewayBeat {
        self.read(|state| {
            let peer = |(host, heard): (&ResourceName, &HeardOf)| PeerReport {
                host: host.clone(),
                silent: u32::try_from(heard.at.elapsed().as_millis()).unwrap_or(u32::MAX),
                trouble: heard.trouble.clone(),
            };
            GatewayBeat { age: Some(0), links: state.links, peers: state.heard.iter().map(peer).collect() }
        })
    }

    /// Whether this host must let go of what is outside, since nobody reaches it through its underlay, where another one will
    /// take its place.
    pub fn is_fenced(&self) -> bool {
        self.read(|state| !state.peers.is_empty() && state.links.is_some_and(|links| !links.uplink))
    }
}
