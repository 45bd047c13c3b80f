//! The hosts that acknowledged something that has not been looked at yet.
//!
//! The first is looked at when it comes; those of the next [`crate::limits::ACK_PAUSE`] together. A thousand hosts that
//! acknowledge a change would else wake the thread that looks a thousand times, while others still wait to be sent it.

use std::collections::HashSet;
use std::time::Instant;

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

    /// Waits for some, at most until `end` if there is one, and takes all; none after the end of the controller.
    pub fn next(&self, end: Option<Instant>) -> Option<HashSet<ResourceName>> {
        let mut waiting = self.waiting.lock();
        while waiting.hosts.is_empty() && !waiting.ended {
            match end {
                None => self.changed.wait(&mut waiting),
                Some(end) if self.changed.wait_until(&mut waiting, end).timed_out() => break,
                Some(_) => {}
            }
        }
        (!waiting.ended).then(|| std::mem::take(&mut waiting.hosts))
    }

    /// Nobody waits any more.
    pub fn end(&self) {
        self.waiting.lock().ended = true;
        self.changed.notify_all();
    }
}
