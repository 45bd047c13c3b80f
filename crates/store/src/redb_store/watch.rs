//! Watches read the history table, and sleep when they have read all of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::ReadableDatabase as _;

use super::layout::{self, COMPACTED, HISTORY, META, REVISION};
use super::{Shared, WATCH_BUFFER, engine};
use crate::{Changes, Error, Revision, Watch, WatchError};

pub struct RedbWatch {
    shared: Arc<Shared>,
    prefix: String,
    /// All commits up to this one have been read.
    position: Revision,
    read: VecDeque<Changes>,
}

impl RedbWatch {
    /// A watch after this revision.
    pub fn begin(shared: Arc<Shared>, prefix: &str, after: Revision) -> Result<Self, WatchError> {
        let mut watch = Self { shared, prefix: prefix.to_owned(), position: after, read: VecDeque::new() };
        watch.fill()?;
        Ok(watch)
    }

    /// Reads on from the position, whole commits.
    fn fill(&mut self) -> Result<(), WatchError> {
        let read = self.shared.database.begin_read().map_err(engine)?;
        let meta = read.open_table(META).map_err(engine)?;
        let (latest, forgotten) = (layout::number(&meta, REVISION)?, layout::number(&meta, COMPACTED)?);
        if self.position < forgotten {
            return Err(WatchError::Compacted { after: self.position, oldest: forgotten });
        }
        let history = read.open_table(HISTORY).map_err(engine)?;
        let mut count = 0;
        for row in history.range((self.position.saturating_add(1), 0)..).map_err(engine)? {
            let (key, row) = row.map_err(engine)?;
            let (revision, _) = key.value();
            if count >= WATCH_BUFFER && self.read_last() != Some(revision) {
                // The commits before this one are whole.
                self.position = revision - 1;
                return Ok(());
            }
            if !layout::event_key(row.value()).is_some_and(|key| key.starts_with(self.prefix.as_bytes())) {
                continue;
            }
            let event = layout::event(revision, row.value())?;
            count += 1;
            match self.read.back_mut().filter(|changes| changes.revision == revision) {
                Some(changes) => changes.events.push(event),
                None => self.read.push_back(Changes { revision, events: vec![event] }),
            }
        }
        self.position = self.position.max(latest);
        Ok(())
    }

    fn read_last(&self) -> Option<Revision> {
        self.read.back().map(|changes| changes.revision)
    }
}

impl Watch for RedbWatch {
    fn next(&mut self, timeout: Duration) -> Result<Option<Changes>, WatchError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(changes) = self.read.pop_front() {
                return Ok(Some(changes));
            }
            {
                let mut latest = self.shared.latest.lock();
                loop {
                    match *latest {
                        None => return Err(Error::Closed.into()),
                        Some(latest) if latest > self.position => break,
                        Some(_) => {}
                    }
                    if self.shared.changed.wait_until(&mut latest, deadline).timed_out() {
                        return Ok(None);
                    }
                }
            }
            self.fill()?;
        }
    }
}
