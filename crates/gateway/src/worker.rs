//! Threads, one of each compartment and each edge: what is wanted last is carried out, and about every second what is there is
//! looked after. A compartment that is slow or broken holds up no other.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use model::gateway::CompartmentReport;
use parking_lot::{Condvar, Mutex};
use plan::gateway::judgement::judge;

use crate::compartment::{Carrier, Wanted};
use crate::edge::{EdgeCarrier, EdgeTrouble, WantedEdge};
use crate::seen::Watcher;
use crate::{Error, Part};

/// What is there is looked after so often.
const TICK: Duration = Duration::from_secs(1);

/// What could not be done is tried again so soon at first: what it waits for, another thread makes at this moment.
const SOON: Duration = Duration::from_millis(50);

/// How often that is tried soon.
const SOON_TRIES: u32 = 20;

/// What a thread is told.
#[derive(Debug)]
struct Order<W> {
    wanted: Option<Arc<W>>,
    /// Grows with each order.
    number: u64,
    /// Whether the thread may end.
    stop: bool,
}

/// Where a thread is told.
#[derive(Debug)]
struct Mailbox<W> {
    order: Mutex<Order<W>>,
    rung: Condvar,
}

/// A thread and what it was told last.
#[derive(Debug)]
pub struct Worker<W> {
    mailbox: Arc<Mailbox<W>>,
    thread: Option<JoinHandle<()>>,
}

impl<W: PartialEq + Send + Sync + 'static> Worker<W> {
    /// Starts a thread that does this.
    fn start(name: &str, wanted: W, work: impl FnOnce(&Post<W>) + Send + 'static) -> Result<Self, Error> {
        let order = Order { wanted: Some(Arc::new(wanted)), number: 1, stop: false };
        let mailbox = Arc::new(Mailbox { order: Mutex::new(order), rung: Condvar::new() });
        let post = Post(Arc::clone(&mailbox));
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || work(&post)).map_err(Error::Thread)?;
        Ok(Self { mailbox, thread: Some(thread) })
    }

    /// Tells what is wanted now.
    pub fn tell(&self, wanted: W) {
        let mut order = self.mailbox.order.lock();
        if order.wanted.as_deref() == Some(&wanted) {
            return;
        }
        order.wanted = Some(Arc::new(wanted));
        order.number += 1;
        self.mailbox.rung.notify_all();
    }

    /// Tells that it is to take away what there is, and to end.
    pub fn dismiss(&self) {
        let mut order = self.mailbox.order.lock();
        order.wanted = None;
        order.number += 1;
        self.mailbox.rung.notify_all();
    }

    /// Whether the thread has ended.
    pub fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Lets the thread end and leave everything as it is.
    pub fn stop(&self) {
        self.mailbox.order.lock().stop = true;
        self.mailbox.rung.notify_all();
    }

    /// Waits until it has ended.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A thread's end of its mailbox.
struct Post<W>(Arc<Mailbox<W>>);

/// What comes out of it.
enum Call<W> {
    /// This is wanted now.
    Settle(Arc<W>),
    /// Nothing new: see that all is well.
    Tend,
    /// Take away what there is.
    Remove,
    /// Leave it, and end.
    Stop,
}

impl<W> Post<W> {
    /// What is to be done next; waits for it up to a time.
    fn next(&self, done: &mut u64, patience: Duration) -> Call<W> {
        let until = Instant::now() + patience;
        let mut order = self.0.order.lock();
        loop {
            if order.stop {
                return Call::Stop;
            }
            if order.number != *done {
                *done = order.number;
                return order.wanted.clone().map_or(Call::Remove, Call::Settle);
            }
            if self.0.rung.wait_until(&mut order, until).timed_out() {
                return Call::Tend;
            }
        }
    }
}

/// What is reported of a compartment, as soon as there is something.
pub type Reported = Arc<Mutex<Option<CompartmentReport>>>;

/// Makes the parts of a compartment.
pub type Parts = Arc<dyn Fn() -> Vec<Box<dyn Part>> + Send + Sync>;

/// Starts the thread of a compartment.
///
/// # Errors
/// When the system gives no thread.
pub fn compartment(
    wanted: Wanted,
    parts: Parts,
    edge: Option<EdgeTrouble>,
    reported: Reported,
) -> Result<Worker<Wanted>, Error> {
    let edge = edge.unwrap_or_default();
    Worker::start("compartment", wanted, move |post| {
        let mut keeper = Keeper { carrier: None, watcher: Watcher::default(), parts, edge, reported, trouble: None };
        keeper.work(post);
    })
}

/// What the thread of a compartment has.
struct Keeper {
    carrier: Option<Carrier>,
    watcher: Watcher,
    parts: Parts,
    edge: EdgeTrouble,
    reported: Reported,
    /// Why there is no carrier.
    trouble: Option<String>,
}

impl Keeper {
    fn work(&mut self, post: &Post<Wanted>) {
        let (mut done, mut current, mut patience, mut tries) = (0, None::<Arc<Wanted>>, TICK, 0);
        loop {
            match post.next(&mut done, patience) {
                Call::Settle(wanted) => {
                    tries = 0;
                    self.settle(&wanted);
                    current = Some(wanted);
                }
                Call::Tend => {
                    let Some(wanted) = &current else { continue };
                    if !self.is_well() {
                        self.settle_own(wanted);
                    }
                    if patience == TICK {
                        self.tend(wanted);
                    }
                }
                Call::Remove => {
                    if let Some((carrier, wanted)) = self.carrier.take().zip(current) {
                        carrier.remove(&wanted);
                    }
                    return;
                }
                Call::Stop => return,
            }
            tries += 1;
            patience = if tries < SOON_TRIES && !self.is_well() { SOON } else { TICK };
            if let Some(wanted) = &current {
                self.report(wanted);
            }
        }
    }

    /// Whether all that was to be done by ourselves was done, and nobody has changed it.
    fn is_well(&mut self) -> bool {
        self.carrier.as_mut().is_some_and(|carrier| !carrier.has_own_trouble() && carrier.is_undisturbed())
    }

    fn settle(&mut self, wanted: &Wanted) {
        if let Some(carrier) = self.carrier_for(wanted) {
            carrier.settle(wanted);
        }
    }

    /// Devices, routes and rules alone; all of it where the namespace was made anew.
    fn settle_own(&mut self, wanted: &Wanted) {
        let anew = self.carrier.as_ref().is_none_or(|carrier| !carrier.namespace().is_in_place());
        if let Some(carrier) = self.carrier_for(wanted) {
            if anew { carrier.settle(wanted) } else { carrier.settle_own(wanted) }
        }
    }

    /// The carrier of the namespace that is there, or of a new one.
    fn carrier_for(&mut self, wanted: &Wanted) -> Option<&mut Carrier> {
        if self.carrier.as_ref().is_some_and(|carrier| !carrier.namespace().is_in_place()) {
            self.carrier = None;
        }
        if self.carrier.is_none() {
            match Carrier::open(wanted, (self.parts)()) {
                Ok(carrier) => self.carrier = Some(carrier),
                Err(error) => {
                    self.trouble = Some(error.to_string());
                    return None;
                }
            }
        }
        self.trouble = None;
        self.carrier.as_mut()
    }

    fn tend(&mut self, wanted: &Wanted) {
        if let Some(carrier) = &mut self.carrier {
            carrier.tend(wanted);
        }
    }

    /// Notes how it is.
    fn report(&mut self, wanted: &Wanted) {
        let compartment = &wanted.compartment;
        let seen = match &mut self.carrier {
            Some(carrier) => {
                let edge = self.edge.lock().clone();
                self.watcher.look(carrier, wanted, edge)
            }
            None => plan::gateway::judgement::Seen { trouble: self.trouble.clone(), ..Default::default() },
        };
        let mut connections = Vec::new();
        for connection in &compartment.connections {
            let mut report = judge(compartment, connection, &seen);
            if let Some(carrier) = &mut self.carrier {
                carrier.add_to(wanted, connection, &mut report);
            }
            connections.push(report);
        }
        *self.reported.lock() = Some(CompartmentReport {
            name: compartment.name.clone(),
            namespace: wanted.namespace.clone(),
            trouble: seen.trouble,
            connections,
        });
    }
}

/// Starts the thread of an edge.
///
/// # Errors
/// When the system gives no thread.
pub fn edge(wanted: WantedEdge, told: EdgeTrouble) -> Result<Worker<WantedEdge>, Error> {
    Worker::start("edge", wanted, move |post| {
        let (mut done, mut current, mut patience, mut tries) = (0, None::<Arc<WantedEdge>>, TICK, 0);
        let mut carrier: Option<EdgeCarrier> = None;
        let mut well = false;
        loop {
            match post.next(&mut done, patience) {
                Call::Settle(wanted) => {
                    tries = 0;
                    well = settle_edge(&mut carrier, &wanted, &told);
                    current = Some(wanted);
                }
                Call::Tend => {
                    let Some(wanted) = &current else { continue };
                    well &= carrier.as_mut().is_some_and(|carrier| carrier.is_undisturbed(wanted));
                    match carrier.as_mut().filter(|_| well) {
                        Some(carrier) => carrier.tend(wanted),
                        None => well = settle_edge(&mut carrier, wanted, &told),
                    }
                }
                Call::Remove => {
                    if let Some((carrier, wanted)) = carrier.take().zip(current) {
                        carrier.remove(&wanted);
                    }
                    return;
                }
                Call::Stop => return,
            }
            tries += 1;
            patience = if tries < SOON_TRIES && !well { SOON } else { TICK };
        }
    })
}

/// Opens an edge and settles it. Answers whether all of it could be done.
fn settle_edge(carrier: &mut Option<EdgeCarrier>, wanted: &WantedEdge, told: &EdgeTrouble) -> bool {
    if carrier.as_ref().is_some_and(|carrier| !carrier.is_in_place()) {
        *carrier = None;
    }
    if carrier.is_none() {
        match EdgeCarrier::open(&wanted.namespace, Arc::clone(told)) {
            Ok(opened) => *carrier = Some(opened),
            Err(error) => {
                *told.lock() = Some(error.to_string());
                return false;
            }
        }
    }
    carrier.as_mut().is_some_and(|carrier| carrier.settle(wanted))
}
