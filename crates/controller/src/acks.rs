//! The hosts that acknowledged something that has not been looked at yet.
//!
//! The first is looked at when it comes; those of the next [`crate::limits::ACK_PAUSE`] together. A thousand hosts that
//! acknowledge a change would else wake the thread that looks a thousand times, while others still wait to be sent it.

use std::collections::HashSet;

use model::fabric::ResourceName;
use parking_lot::{Condvar, Mutex};

#[derive(Default)]
pub struct Acks {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// At most all hosts that there are.
    hosts: HashSet<ResourceName>,
    ended: bool,
}

impl Acks {
    /// A host has acknowledged something. Does not block.
    pub fn note(&self, host: &ResourceName) {
        let mut waiting = self.waiting.lock();
        if waiting.hosts.is_empty() {
            self.changed.notify_one();
        }
        waiting.hosts.insert(host.clone());
    }

    /// Waits for some and takes all; none after the end.
    pub fn next(&self) -> Option<HashSet<ResourceName>> {
        let mut waiting = self.waiting.lock();
        while waiting.hosts.is_empty() && !waiting.ended {
            self.changed.wait(&mut waiting);
        }
        (!waiting.ended).then(|| std::mem::take(&mut waiting.hosts))
    }

    /// Nobody waits any more.
    pub fn end(&self) {
        self.waiting.lock().ended = true;
        self.changed.notify_all();
    }
}
