//! What the hosts of one gateway do for each other: they send each other heartbeats, tell of them, and those that stand by keep
//! the connections of those that are active, so that they go on when one takes another one's place.
//!
//! conntrackd does the last, for one network namespace a daemon, each with a link of its own to the other host; a gateway has
//! hundreds.
//!
//! **Invariant:** who is active is not decided here, and not by the gateways among themselves: the controller decides, with
//! `plan::gateway::health`. A gateway lets go of its own accord in one case alone, when its uplink has no carrier.

mod beats;
mod carriers;
mod feed;
mod follow;
mod ledger;
mod serve;
mod state;
pub mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use model::QualifiedName;
use model::gateway::{Gateway, GatewayPeer};
use plan::gateway::health::REPORT;

pub use feed::{LISTING, MAX_CHANGES};
pub use ledger::MAX_ENTRIES;
use state::Shared;
pub use state::{Member, Role};

use crate::{Agent, Error};

/// How often is looked whether there are other peers to follow.
const LOOK: Duration = Duration::from_millis(100);

/// What a thread does.
type Work = Box<dyn FnOnce(&Arc<Shared>) + Send>;

/// The part of a gateway that keeps it together with its peers.
pub struct Together {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Together {
    /// Begins, without peers. `changed` is called when [`Together::is_fenced`] may have changed.
    ///
    /// # Errors
    /// When threads are refused.
    pub fn start(agent: Arc<dyn Agent>, changed: impl Fn() + Send + Sync + 'static) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let mut together = Self { shared: Arc::clone(&shared), threads: Vec::new() };
        let mut start = |name: &str, work: Work| {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared));
            thread.map(|thread| together.threads.push(thread)).map_err(Error::Thread)
        };
        start("ha-beats", Box::new(|shared| beats::run(shared)))?;
        start("ha-carriers", Box::new(move |shared| carriers::run(shared, &changed)))?;
        start("ha-serve", Box::new(serve::run))?;
        start("ha-follow", Box::new(follow_all))?;
        start("ha-report", Box::new(move |shared| report(shared, agent.as_ref())))?;
        Ok(together)
    }

    /// Takes in what the host is now, and which compartments it has.
    pub fn set(&self, host: &str, gateway: Option<&Gateway>, members: BTreeMap<QualifiedName, Member>) {
        self.shared.set(host, gateway, members);
    }

    /// Whether this host must let go of what is outside: its uplink has no carrier, so that another host will take its place.
    pub fn is_fenced(&self) -> bool {
        self.shared.is_fenced()
    }

    /// Ends it. What was written down stays.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        self.end();
    }
}

/// Tells the agent, several times a second and whenever a carrier changes, as long as there are peers.
fn report(shared: &Shared, agent: &dyn Agent) {
    let (mut links, mut due) = (None, Instant::now());
    while !shared.is_over() {
        let (now, alone) = shared.read(|state| (state.links, state.peers.is_empty()));
        if !alone && (now != links || Instant::now() >= due) {
            match agent.beat(&shared.beat()) {
                Ok(()) => links = now,
                Err(error) => tracing::debug!("the agent takes no sign of life: {error}"),
            }
            due = Instant::now() + REPORT;
        }
        shared.wait(if alone { LOOK } else { due.saturating_duration_since(Instant::now()).min(LOOK) });
    }
}

/// Follows all peers, each by a thread of its own.
fn follow_all(shared: &Arc<Shared>) {
    let mut following: Vec<(GatewayPeer, JoinHandle<()>)> = Vec::new();
    while !shared.is_over() {
        following.retain(|(_, thread)| !thread.is_finished());
        for peer in shared.read(|state| state.peers.clone()) {
            if following.iter().any(|(other, _)| *other == peer) {
                continue;
            }
            let (theirs, follows) = (Arc::clone(shared), peer.clone());
            let work = move || follow::run(&theirs, &follows);
            if let Ok(thread) = thread::Builder::new().name("ha-follow".to_owned()).spawn(work) {
                following.push((peer, thread));
            }
        }
        shared.wait(LOOK);
    }
    for (_, thread) in following {
        let _ = thread.join();
    }
}
