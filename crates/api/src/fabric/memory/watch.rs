//! A watch of a [`super::MemoryFabric`]: a place in its list of events.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::{Shared, sees};
use crate::fabric::{Caller, Event, Watch, WatchQuery};
use crate::{Problem, ProblemType};

/// See the module.
pub(super) struct MemoryWatch {
    pub(super) shared: Arc<Shared>,
    pub(super) caller: Caller,
    pub(super) query: WatchQuery,
    /// Number of the event that is looked at next.
    pub(super) next: u64,
}

impl MemoryWatch {
    fn wants(&self, event: &Event) -> bool {
        let WatchQuery { kind, tenant, name, .. } = &self.query;
        let item = &event.item;
        kind.is_none_or(|kind| kind == item.kind)
            && (tenant.is_none() || *tenant == item.tenant)
            && name.as_ref().is_none_or(|name| *name == item.name)
            && sees(&self.caller, item.tenant.as_ref())
    }
}

impl Watch for MemoryWatch {
    fn next(&mut self, timeout: Duration) -> Result<Option<Event>, Problem> {
        let end = Instant::now() + timeout;
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        loop {
            let first = state.told - state.events.len() as u64;
            if self.next < first {
                let detail = "the watch was too slow, and events are lost; list again, and watch from there";
                return Err(Problem::new(ProblemType::Gone, detail));
            }
            while self.next < state.told {
                let event = usize::try_from(self.next - first).ok().and_then(|index| state.events.get(index));
                self.next += 1;
                if let Some(event) = event.filter(|event| self.wants(event)) {
                    return Ok(Some(event.clone()));
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let waited = shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
