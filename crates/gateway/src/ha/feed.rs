//! The connections of one compartment that is active here, for one peer that stands by: heard of as they change, listed now and
//! then, since not everything is heard.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use host::Namespace;
use host::conntrack::{Conntrack, ConntrackEvent, ConntrackWatch, Entry};
use model::QualifiedName;
use std::sync::atomic::Ordering;

use super::ledger::Ledger;
use super::state::{Counters, Member};
use super::wire::{self, MAX_ENTRIES_TOLD, Told};

/// How often all connections are listed. The kernel tells of no packet that makes a connection last longer.
pub const LISTING: Duration = Duration::from_secs(10);

/// Changes of one compartment that are told in a second at most. When there are more, the rest is told with the next listing.
pub const MAX_CHANGES: u32 = 50_000;

/// What a peer is told of one compartment.
pub struct Feed {
    compartment: QualifiedName,
    member: Member,
    namespace: Namespace,
    conntrack: Conntrack,
    watch: ConntrackWatch,
    ledger: Ledger,
    /// Whether a listing has been told at all.
    begun: bool,
    list_at: Instant,
    /// Since when changes are counted, and how many there were.
    second: (Instant, u32),
    /// The beginning of all times in the ledger.
    epoch: Instant,
}

/// Why a peer is told nothing more.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The kernel.
    #[error(transparent)]
    Host(#[from] host::Error),
    /// The stream.
    #[error(transparent)]
    Stream(#[from] io::Error),
}

impl Feed {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the namespace is not there, or the kernel refuses.
    pub fn new(compartment: QualifiedName, member: Member) -> Result<Self, host::Error> {
        let namespace = Namespace::open(&member.namespace)?;
        let conntrack = Conntrack::in_namespace(&namespace)?;
        let watch = conntrack.watch()?;
        let now = Instant::now();
        Ok(Self {
            compartment,
            member,
            namespace,
            conntrack,
            watch,
            ledger: Ledger::default(),
            begun: false,
            list_at: now,
            second: (now, 0),
            epoch: now,
        })
    }

    /// Whether it still is what this is, in the namespace that still is the compartment's.
    pub fn is_of(&self, member: &Member) -> bool {
        self.member == *member && self.namespace.is_in_place()
    }

    /// What has something to be read when something has happened.
    pub const fn watch(&self) -> &ConntrackWatch {
        &self.watch
    }

    /// When it has to be looked after even if nothing has happened.
    pub const fn list_at(&self) -> Instant {
        self.list_at
    }

    /// Tells what has happened, and lists when it is time.
    ///
    /// # Errors
    /// When the kernel or the stream fails.
    pub fn pump(&mut self, out: &mut impl Write, counters: &Counters) -> Result<(), FeedError> {
        let now = Instant::now();
        if self.second.0.elapsed() >= Duration::from_secs(1) {
            self.second = (now, 0);
        }
        let mut batch = Batch::new(&self.compartment);
        for event in self.watch.read()? {
            self.second.1 += 1;
            if self.second.1 > MAX_CHANGES {
                counters.held_back.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            match event {
                ConntrackEvent::Is(entry) => {
                    if self.counts(&entry) && self.ledger.is(&entry, now.duration_since(self.epoch)) {
                        batch.is(entry, out)?;
                    }
                }
                ConntrackEvent::Gone(entry) if self.ledger.gone(&entry) => batch.gone(entry, out)?,
                ConntrackEvent::Gone(_) => {}
                ConntrackEvent::Missed => {
                    counters.held_back.fetch_add(1, Ordering::Relaxed);
                    self.list_at = now;
                }
            }
        }
        counters.told.fetch_add(batch.flush(out)?, Ordering::Relaxed);
        if now >= self.list_at {
            self.list(out, counters)?;
            self.list_at = Instant::now() + LISTING;
        }
        Ok(())
    }

    /// Whether a connection is one that goes on elsewhere.
    fn counts(&self, entry: &Entry) -> bool {
        entry.is_forwarded(&self.member.own)
    }

    /// Lists all connections, and tells what the peer does not know.
    fn list(&mut self, out: &mut impl Write, counters: &Counters) -> Result<(), FeedError> {
        if !self.begun {
            wire::write(out, &Told::Begin { compartment: self.compartment.clone() })?;
        }
        self.ledger.begin();
        let left_out = self.ledger.left_out;
        let now = self.epoch.elapsed();
        let mut news = Vec::new();
        let (ledger, own) = (&mut self.ledger, &self.member.own);
        self.conntrack.each(|entry| {
            if entry.is_forwarded(own) && ledger.is(&entry, now) {
                news.push(entry);
            }
        })?;
        let mut batch = Batch::new(&self.compartment);
        for entry in self.ledger.end() {
            batch.gone(entry, out)?;
        }
        for entry in news {
            batch.is(entry, out)?;
        }
        counters.told.fetch_add(batch.flush(out)?, Ordering::Relaxed);
        counters.held_back.fetch_add(self.ledger.left_out - left_out, Ordering::Relaxed);
        if !self.begun {
            wire::write(out, &Told::Whole { compartment: self.compartment.clone() })?;
            tracing::debug!(compartment = %self.compartment, connections = self.ledger.len(), "all connections told");
            self.begun = true;
        }
        Ok(())
    }
}

/// Entries on their way into messages.
struct Batch<'b> {
    compartment: &'b QualifiedName,
    is: Vec<Entry>,
    gone: Vec<Entry>,
    told: u64,
}

impl<'b> Batch<'b> {
    const fn new(compartment: &'b QualifiedName) -> Self {
        Self { compartment, is: Vec::new(), gone: Vec::new(), told: 0 }
    }

    fn is(&mut self, entry: Entry, out: &mut impl Write) -> io::Result<()> {
        self.is.push(entry);
        self.full(out)
    }

    fn gone(&mut self, entry: Entry, out: &mut impl Write) -> io::Result<()> {
        // What is over and comes back at once stays in this order.
        if !self.is.is_empty() {
            self.flush(out)?;
        }
        self.gone.push(entry);
        self.full(out)
    }

    fn full(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.is.len() + self.gone.len() >= MAX_ENTRIES_TOLD {
            self.flush(out)?;
        }
        Ok(())
    }

    /// Writes what there is; answers how many entries were written in all.
    fn flush(&mut self, out: &mut impl Write) -> io::Result<u64> {
        if !(self.is.is_empty() && self.gone.is_empty()) {
            self.told += (self.is.len() + self.gone.len()) as u64;
            let (is, gone) = (std::mem::take(&mut self.is), std::mem::take(&mut self.gone));
            wire::write(out, &Told::State { compartment: self.compartment.clone(), is, gone })?;
        }
        Ok(self.told)
    }
}
