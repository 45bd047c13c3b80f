//! A watch of the fabric: first what the store's history has, then what is new.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use api::fabric::{Caller, Event, Watch, WatchQuery};
use api::{Problem, ProblemType};

use crate::core::Core;
use crate::records;
use crate::watches::{Filter, Queue};

/// A watch of the fabric.
pub struct FabricWatch {
    core: Arc<Core>,
    /// The history, and the revision after which events are in the queue.
    history: Option<(Box<dyn store::Watch>, u64)>,
    read: VecDeque<Event>,
    queue: Arc<Queue>,
}

impl FabricWatch {
    pub fn begin(core: Arc<Core>, caller: &Caller, query: WatchQuery) -> Result<Self, Problem> {
        let filter = Filter { caller: caller.clone(), kind: query.kind, tenant: query.tenant, name: query.name };
        // What is committed waits for this lock, so that every event is either in the history or in the queue.
        let state = core.state();
        let now = state.revision;
        let history = match query.from {
            Some(from) if from > now => {
                return Err(gone(format!(
                    "revision {from} is still to come, the fabric is at {now}: it was restored from a backup, perhaps; \
                     list again, and watch from the revision of the list"
                )));
            }
            Some(from) if from < now => {
                Some((core.store.watch(records::OBJECTS, from).map_err(|error| gone(error.to_string()))?, now))
            }
            _ => None,
        };
        let queue = core.watches.begin(filter)?;
        drop(state);
        Ok(Self { core, history, read: VecDeque::new(), queue })
    }

    /// Reads on in the history, until there is an event or its end.
    fn read(&mut self) -> Result<(), Problem> {
        while self.read.is_empty() {
            let Some((history, until)) = &mut self.history else { return Ok(()) };
            let changes = history.next(Duration::ZERO).map_err(|error| gone(error.to_string()))?;
            match changes.filter(|changes| changes.revision <= *until) {
                Some(changes) => {
                    let state = self.core.state();
                    self.read.extend(self.core.events(&state, &changes, |key| self.queue.filter().takes(key)));
                }
                None => self.history = None,
            }
        }
        Ok(())
    }
}

fn gone(detail: String) -> Problem {
    Problem::new(ProblemType::Gone, detail)
}

impl Watch for FabricWatch {
    fn next(&mut self, timeout: Duration) -> Result<Option<Event>, Problem> {
        self.read()?;
        match self.read.pop_front() {
            Some(event) => Ok(Some(event)),
            None => self.queue.next(timeout),
        }
    }
}

impl Drop for FabricWatch {
    fn drop(&mut self) {
        self.core.watches.end(&self.queue);
    }
}
