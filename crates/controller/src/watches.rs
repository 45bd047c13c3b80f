//! Who watches what: each watch has a queue, filled in the order of revisions and emptied by a thread of the server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::fabric::{Caller, Event, Role};
use api::{Problem, ProblemType};
use model::fabric::{Key, Kind, ResourceName};
use parking_lot::{Condvar, Mutex};

use crate::access;
use crate::limits::{ADMIN_WATCHES, MAX_WATCH_QUEUE, MAX_WATCHES, MAX_WATCHES_PER_TOKEN};

/// Which resources a watch is for.
#[derive(Clone, Debug)]
pub struct Filter {
    pub caller: Caller,
    pub kind: Option<Kind>,
    pub tenant: Option<ResourceName>,
    pub name: Option<ResourceName>,
}

impl Filter {
    /// Whether an event of this resource is for it.
    pub fn takes(&self, key: &Key) -> bool {
        self.kind.is_none_or(|kind| kind == key.kind)
            && self.name.as_ref().is_none_or(|name| *name == key.name)
            && self.tenant.as_ref().is_none_or(|tenant| key.tenant.as_ref() == Some(tenant))
            && access::sees(&self.caller, key)
    }
}

/// All watches.
#[derive(Default)]
pub struct Watches(Mutex<Vec<Arc<Queue>>>);

/// What waits for one watch.
pub struct Queue {
    filter: Filter,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

struct Waiting {
    events: VecDeque<Arc<Event>>,
    end: Option<Problem>,
}

impl Watches {
    /// Begins to gather events.
    pub fn begin(&self, filter: Filter) -> Result<Arc<Queue>, Problem> {
        let mut queues = self.0.lock();
        if queues.len() >= MAX_WATCHES {
            return Err(Problem::unavailable(format!(
                "{MAX_WATCHES} watches are open, which is the most; close one, or try again later"
            )));
        }
        let caller = &filter.caller;
        if caller.role != Role::Admin {
            let others = || queues.iter().map(|queue| &queue.filter.caller).filter(|other| other.role != Role::Admin);
            let own = |other: &&Caller| (other.kind, &other.name) == (caller.kind, &caller.name);
            if others().filter(own).count() >= MAX_WATCHES_PER_TOKEN {
                return Err(Problem::unavailable(format!(
                    "{} \"{}\" has {MAX_WATCHES_PER_TOKEN} watches open, which is the most; close one, or watch more \
                     with one",
                    caller.kind, caller.name
                )));
            }
            let most = MAX_WATCHES - ADMIN_WATCHES;
            if others().count() >= most {
                return Err(Problem::unavailable(format!(
                    "{most} watches are open, which is the most but for admins; close one, or try again later"
                )));
            }
        }
        let waiting = Mutex::new(Waiting { events: VecDeque::new(), end: None });
        let queue = Arc::new(Queue { filter, waiting, changed: Condvar::new() });
        queues.push(Arc::clone(&queue));
        Ok(queue)
    }

    /// Forgets a watch.
    pub fn end(&self, queue: &Arc<Queue>) {
        self.0.lock().retain(|other| !Arc::ptr_eq(other, queue));
    }

    /// Whether an event of this resource is for anybody.
    pub fn want(&self, key: &Key) -> bool {
        self.0.lock().iter().any(|queue| queue.filter.takes(key))
    }

    /// Gives an event to those that it is for. A watch whose queue is full ends.
    pub fn tell(&self, event: Event) {
        let (key, event) = (event.item.key(), Arc::new(event));
        for queue in self.0.lock().iter().filter(|queue| queue.filter.takes(&key)) {
            let mut waiting = queue.waiting.lock();
            if waiting.events.len() >= MAX_WATCH_QUEUE {
                waiting.end.get_or_insert_with(too_slow);
            } else if waiting.end.is_none() {
                waiting.events.push_back(Arc::clone(&event));
            }
            queue.changed.notify_one();
        }
    }

    /// Ends all watches, each after what it has not yet read.
    pub fn close(&self, why: &Problem) {
        for queue in self.0.lock().drain(..) {
            queue.waiting.lock().end.get_or_insert_with(|| why.clone());
            queue.changed.notify_one();
        }
    }
}

impl Queue {
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The next event.
    pub fn next(&self, timeout: Duration) -> Result<Option<Event>, Problem> {
        let deadline = Instant::now() + timeout;
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(event) = waiting.events.pop_front() {
                return Ok(Some(Arc::unwrap_or_clone(event)));
            }
            if let Some(end) = &waiting.end {
                return Err(end.clone());
            }
            if self.changed.wait_until(&mut waiting, deadline).timed_out() && waiting.events.is_empty() {
                return waiting.end.clone().map_or(Ok(None), Err);
            }
        }
    }
}

fn too_slow() -> Problem {
    Problem::new(
        ProblemType::Gone,
        format!(
            "this watch was not read for so long that more than {MAX_WATCH_QUEUE} events waited for it; list again, and \
             watch from the revision of the list"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::fabric::{EventKind, Item, Status};

    fn filter(tenant: Option<&str>, kind: Option<Kind>) -> Filter {
        let tenant: Option<ResourceName> = tenant.map(|name| name.parse().unwrap());
        let role = if tenant.is_some() { Role::Tenant } else { Role::Admin };
        let caller = Caller { kind: api::fabric::CallerKind::Token, name: "c".parse().unwrap(), role, tenant };
        Filter { caller, kind, tenant: None, name: None }
    }

    fn event(tenant: &str, revision: u64) -> Event {
        let (kind, name) = (Kind::Port, "p".parse().unwrap());
        let tenant = Some(tenant.parse().unwrap());
        let (created, spec, status) = (String::new(), serde_json::Value::Null, Status::default());
        let item = Item { kind, tenant, name, uid: uuid::Uuid::nil(), revision, created, spec, status };
        Event { event: EventKind::Changed, revision, item }
    }

    #[test]
    fn events_reach_those_who_may_see_them() {
        let watches = Watches::default();
        let all = watches.begin(filter(None, None)).unwrap();
        let blue = watches.begin(filter(Some("blue"), None)).unwrap();
        let hosts = watches.begin(filter(None, Some(Kind::Host))).unwrap();
        watches.tell(event("red", 1));
        watches.tell(event("blue", 2));
        let revision = |queue: &Queue| queue.next(Duration::ZERO).unwrap().map(|event| event.revision);
        assert_eq!((revision(&all), revision(&all), revision(&all)), (Some(1), Some(2), None));
        assert_eq!((revision(&blue), revision(&blue)), (Some(2), None));
        assert_eq!(revision(&hosts), None);
        watches.end(&all);
        watches.close(&Problem::unavailable("the controller ends"));
        assert_eq!(blue.next(Duration::ZERO).unwrap_err().status, 503);
        assert_eq!(all.next(Duration::ZERO).unwrap(), None, "ended before");
    }

    #[test]
    fn a_slow_watch_reads_what_it_has_and_ends() {
        let watches = Watches::default();
        let queue = watches.begin(filter(None, None)).unwrap();
        for revision in 0..=MAX_WATCH_QUEUE as u64 + 1 {
            watches.tell(event("blue", revision));
        }
        for revision in 0..MAX_WATCH_QUEUE as u64 {
            assert_eq!(queue.next(Duration::ZERO).unwrap().unwrap().revision, revision);
        }
        let problem = queue.next(Duration::ZERO).unwrap_err();
        assert_eq!(problem.status, 410);
        assert!(problem.detail.contains("list again"));
    }

    #[test]
    fn one_watch_too_many_is_refused() {
        let watches = Watches::default();
        let queues: Vec<_> = (0..MAX_WATCHES).map(|_| watches.begin(filter(None, None)).unwrap()).collect();
        assert_eq!(watches.begin(filter(None, None)).err().unwrap().status, 503);
        watches.end(&queues[0]);
        assert!(watches.begin(filter(None, None)).is_ok());
    }

    #[test]
    fn one_tenant_leaves_watches_to_the_others() {
        let watches = Watches::default();
        for _ in 0..MAX_WATCHES_PER_TOKEN {
            watches.begin(filter(Some("blue"), None)).unwrap();
        }
        let problem = watches.begin(filter(Some("blue"), None)).err().unwrap();
        assert!(problem.status == 503 && problem.detail.contains("token \"c\" has 32 watches open"), "{problem}");
        // An admin's token has another limit, even with as many open under its name.
        assert!(watches.begin(filter(None, None)).is_ok());
    }

    #[test]
    fn some_watches_are_kept_for_admins() {
        let watches = Watches::default();
        let of = |number: usize| {
            let mut filter = filter(Some("blue"), None);
            filter.caller.name = format!("t{}", number / MAX_WATCHES_PER_TOKEN).parse().unwrap();
            filter
        };
        let most = MAX_WATCHES - ADMIN_WATCHES;
        for number in 0..most {
            watches.begin(of(number)).unwrap();
        }
        let problem = watches.begin(of(MAX_WATCHES + MAX_WATCHES_PER_TOKEN)).err().unwrap();
        assert!(problem.status == 503 && problem.detail.contains("224 watches are open"), "{problem}");
        for _ in 0..ADMIN_WATCHES {
            watches.begin(filter(None, None)).unwrap();
        }
        assert_eq!(watches.begin(filter(None, None)).err().unwrap().status, 503);
    }
}
