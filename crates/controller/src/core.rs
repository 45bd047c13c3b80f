//! The controller's state, and the one way in which it changes: judge in memory, write to the store on conditions, or
//! take back; then tell agents and watches.
//!
//! While the store writes, those who read see the state as it was: what was judged is taken back for as long, since it may
//! still fail. Only what is large ([`MAX_ASIDE`]) stays, and lets nobody read.
//!
//! Locks are taken in the order of the fields; `sessions` is called with `state` and `reports` held, and calls back into
//! neither.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use api::fabric::{AuditEntry, Event, EventKind, Item, MAX_PAGE};
use api::{HostQuestion, Outcome, Problem, ProblemType};
use model::fabric::{Key, Kind, Object, ResourceName};
use parking_lot::{Mutex, MutexGuard};
use plan::fabric::{Change, Context, Fabric, Late, Refusal, RefusalSort, Settling, TakeOver, Transition};
use proto::{AskError, Standing};
use store::{CommitError, Store, Transaction, WatchError};
use uuid::Uuid;

use crate::accounts::Accounts;
use crate::acks::Acks;
use crate::audit::Added;
use crate::clock;
use crate::commit::{self, Actor, PrepareError};
use crate::error::LoadError;
use crate::gateway_reports::GatewayReports;
use crate::gateway_watch::GatewayWatch;
use crate::hosts::{Pending, Reports, Sessions};
use crate::limits::{ACK_PAUSE, MAX_ASIDE};
use crate::openid::OpenId;
use crate::records;
use crate::state::State;
use crate::view::View;
use crate::watches::Watches;

/// What a controller is told about itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where agents reach it, `host:port`.
    pub agents: String,
    /// SHA-256 of its authority's certificate, by which agents know it.
    pub fingerprint: String,
    /// For how long the certificates of hosts are valid.
    pub certificate_life: Duration,
    /// A folder for what is written for a moment, on the store's file system.
    pub scratch: PathBuf,
    /// Where people may sign in beside the controller itself.
    pub openid: Option<OpenId>,
}

/// All that a controller knows and owns.
pub struct Core {
    /// Held by whoever changes the fabric, from judging to telling, while the store writes too.
    changing: Mutex<()>,
    state: Mutex<State>,
    reports: Mutex<Reports>,
    acks: Acks,
    pub watches: Watches,
    pub store: Arc<dyn Store>,
    pub settings: Settings,
    pub accounts: Accounts,
    /// What the gateways of hosts said.
    pub gateways: GatewayReports,
    /// How the hosts of gateways are.
    pub gateway_watch: GatewayWatch,
    pub started: u64,
    /// The store's revision at the start. How far hosts are with it and those before was not seen.
    pub found: u64,
    sessions: OnceLock<Arc<dyn Sessions>>,
    /// Why the store failed.
    failure: tokio::sync::watch::Sender<Option<String>>,
}

/// What changes in memory beside the fabric, once a transaction is written.
pub type Then = Box<dyn FnOnce(&mut State)>;

/// What is to be done, as it was prepared with the state at hand.
#[derive(Default)]
pub struct Prepared {
    pub work: Work,
    /// What else is written with it.
    pub extra: Transaction,
    /// Lines of the audit log beside those of the work.
    pub lines: Vec<AuditEntry>,
    /// See [`Then`].
    pub then: Option<Then>,
    /// Whether the fabric is read from the store anew afterwards, because `extra` has written objects.
    pub reload: bool,
}

/// A change of the fabric.
#[derive(Default)]
pub enum Work {
    #[default]
    Nothing,
    Changes(Vec<Change>),
    /// A host heard a port use these addresses.
    Learn(Key, Vec<IpAddr>),
    /// All hosts know that the VM of a port has moved.
    Settle(Key),
    /// Other hosts take over what those of gateways did until now.
    TakeOver(Vec<TakeOver>),
}

impl Prepared {
    /// The same, and this too.
    #[must_use]
    pub fn and(mut self, extra: Transaction, lines: Vec<AuditEntry>, then: impl FnOnce(&mut State) + 'static) -> Self {
        self.extra.conditions.extend(extra.conditions);
        self.extra.puts.extend(extra.puts);
        self.extra.deletes.extend(extra.deletes);
        self.lines.extend(lines);
        let before = self.then.take();
        self.then = Some(Box::new(move |state| {
            before.into_iter().for_each(|before| before(state));
            then(state);
        }));
        self
    }
}

impl From<Work> for Prepared {
    fn from(work: Work) -> Self {
        Self { work, ..Self::default() }
    }
}

/// What was done.
pub struct Done {
    /// One for each change, in the order given.
    pub items: Vec<(Outcome, Item)>,
    pub revision: u64,
    pub findings: Vec<String>,
}

/// Sessions with nobody, until there are others.
struct Nobody;

impl Sessions for Nobody {
    fn publish(&self, _: u64, _: &[plan::fabric::TopicChange]) {}
    fn standing(&self, hosts: &[&ResourceName]) -> Vec<Standing> {
        vec![Standing::default(); hosts.len()]
    }
    fn connected(&self) -> usize {
        0
    }
    fn disconnect(&self, _: &ResourceName) {}
    fn ask(&self, _: &ResourceName, _: &str, _: &HostQuestion) -> Result<Pending, AskError> {
        Err(AskError::NotConnected)
    }
}

impl Core {
    /// A core over what the store has.
    pub fn load(store: Arc<dyn Store>, settings: Settings) -> Result<Self, LoadError> {
        let (state, differences) = State::load(&*store)?;
        for difference in &differences {
            tracing::warn!("mended the store's claims: {difference}");
        }
        let found = state.revision;
        Ok(Self {
            changing: Mutex::default(),
            state: Mutex::new(state),
            reports: Mutex::default(),
            accounts: Accounts::default(),
            gateways: GatewayReports::default(),
            gateway_watch: GatewayWatch::default(),
            acks: Acks::default(),
            watches: Watches::default(),
            store,
            settings,
            started: clock::now(),
            found,
            sessions: OnceLock::new(),
            failure: tokio::sync::watch::Sender::new(None),
        })
    }

    /// From now on, agents are told by these sessions. Only the first call counts.
    pub fn connect(&self, sessions: Arc<dyn Sessions>) {
        let _ = self.sessions.set(sessions);
    }

    pub fn sessions(&self) -> &dyn Sessions {
        self.sessions.get().map_or(&Nobody, AsRef::as_ref)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock()
    }

    /// Becomes something when the store has failed.
    pub fn failure(&self) -> tokio::sync::watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    /// Shows objects with their status.
    pub fn view<T>(&self, state: &State, show: impl FnOnce(View<'_>) -> T) -> T {
        let reports = self.reports.lock();
        show(View::new(&state.fabric, &state.needs, &reports, &self.gateways, self.sessions()))
    }

    /// Carries out what `prepare` says, whole or not at all; `dry_run` only says what would come of it.
    ///
    /// If somebody else has written in between, the store is read anew, and it is tried once more.
    pub fn transact(
        &self,
        actor: &Actor,
        dry_run: bool,
        mut prepare: impl FnMut(&State) -> Result<Prepared, Problem>,
    ) -> Result<Done, Problem> {
        let _changing = self.changing.lock();
        let mut state = self.state.lock();
        let mut again = true;
        loop {
            let mut prepared = prepare(&state)?;
            let revision = state.revision + 1;
            let transition = carry_out(&mut state.fabric, &prepared.work, revision)?;
            if dry_run {
                let done = self.done(&state, &transition, state.revision);
                state.fabric.undo(&transition);
                return Ok(done);
            }
            let (transaction, added) = match self.transaction(&state, actor, &transition, &mut prepared) {
                Ok(Some(transaction)) => transaction,
                Ok(None) => return Ok(self.done(&state, &transition, state.revision)),
                Err(error) => {
                    state.fabric.undo(&transition);
                    return Err(match error {
                        PrepareError::Json(_) => Problem::internal(error.to_string()),
                        PrepareError::Store(error) => self.failed(&error),
                    });
                }
            };
            let foreseen = (!prepared.reload).then_some(revision);
            match self.write(&mut state, &transition, transaction, foreseen) {
                Ok(committed) => {
                    state.audit.written(added);
                    if let Some(then) = prepared.then.take() {
                        then(&mut state);
                    }
                    // Another revision than was foreseen: somebody else has written something else in between.
                    if foreseen == Some(committed) {
                        state.changed(revision);
                        self.publish(&mut state, &transition);
                    } else {
                        self.reload(&mut state)?;
                    }
                    return Ok(self.done(&state, &transition, committed));
                }
                Err(error) => {
                    self.refused(&mut state, error, again)?;
                    again = false;
                }
            }
        }
    }

    /// What must be written, and what becomes of the audit log by it; `None` if nothing.
    fn transaction(
        &self,
        state: &State,
        actor: &Actor,
        transition: &Transition,
        prepared: &mut Prepared,
    ) -> Result<Option<(Transaction, Added)>, PrepareError> {
        let mut transaction = state.transaction();
        let empty = transaction.operations();
        commit::add_transition(&mut transaction, transition)?;
        let extra = std::mem::take(&mut prepared.extra);
        transaction.conditions.extend(extra.conditions);
        transaction.puts.extend(extra.puts);
        transaction.deletes.extend(extra.deletes);
        if transaction.operations() == empty && prepared.lines.is_empty() {
            return Ok(None);
        }
        let mut lines = commit::audit_of(transition, actor);
        lines.append(&mut prepared.lines);
        let added = state.audit.add(&mut transaction, lines, &*self.store)?;
        Ok(Some((transaction, added)))
    }

    /// Has the store write. The transition is in force afterwards if the store is then at the revision that was
    /// `foreseen`, and else is not.
    fn write(
        &self,
        state: &mut MutexGuard<'_, State>,
        transition: &Transition,
        transaction: Transaction,
        foreseen: Option<u64>,
    ) -> Result<u64, CommitError> {
        let aside = transition.steps.len() + transition.also.len() <= MAX_ASIDE;
        let written = if aside {
            state.fabric.undo(transition);
            // Whoever reads now finds what was before.
            MutexGuard::unlocked(state, || self.store.commit(transaction))
        } else {
            self.store.commit(transaction)
        };
        match (&written, aside) {
            (Ok(revision), true) if foreseen == Some(*revision) => state.fabric.redo(transition),
            (Ok(revision), false) if foreseen == Some(*revision) => {}
            (_, true) => {}
            (_, false) => state.fabric.undo(transition),
        }
        written
    }

    /// The store refused. After a conflict the state is what the store has, and it may be tried `again`.
    fn refused(&self, state: &mut State, error: CommitError, again: bool) -> Result<(), Problem> {
        match error {
            CommitError::Conflict { .. } => {
                tracing::info!("somebody else has written to the store: {error}; read it anew");
                self.reload(state)?;
                if again {
                    return Ok(());
                }
                Err(Problem::conflict("somebody else changes the fabric at the same time; try again"))
            }
            CommitError::Store(error) => Err(self.failed(&error)),
            error => Err(Problem::new(ProblemType::TooLarge, format!("{error}; make the changes in several requests"))),
        }
    }

    /// Notes that the store has failed. What was asked for was not done, as far as can be told.
    pub fn failed(&self, error: &impl std::fmt::Display) -> Problem {
        tracing::error!("{error}");
        self.failure.send_replace(Some(error.to_string()));
        Problem::unavailable(format!("the controller's store failed: {error}"))
    }

    /// Takes over what the store has, and tells agents and watches what is different.
    fn reload(&self, state: &mut State) -> Result<(), Problem> {
        let (new, _) = State::load(&*self.store).map_err(|error| self.failed(&error))?;
        let before = state.revision;
        let changes = state.replace(new);
        if state.revision > before {
            self.sessions().publish(state.revision, &changes);
        }
        self.retell(state, before).unwrap_or_else(|error| {
            self.watches.close(&Problem::new(ProblemType::Gone, error.to_string()));
        });
        Ok(())
    }

    /// Tells watches what the store's history has after a revision.
    fn retell(&self, state: &State, after: u64) -> Result<(), WatchError> {
        let mut history = self.store.watch(records::OBJECTS, after)?;
        while let Some(changes) = history.next(Duration::ZERO)?.filter(|changes| changes.revision <= state.revision) {
            for event in self.events(state, &changes, |key| self.watches.want(key)) {
                self.watches.tell(event);
            }
        }
        Ok(())
    }

    /// Events of the store as watches show them; the status is that of now.
    pub fn events(&self, state: &State, changes: &store::Changes, wanted: impl Fn(&Key) -> bool) -> Vec<Event> {
        self.view(state, |view| {
            let event = |event: &store::Event| {
                let object = records::object(event.entry()).ok().filter(|object| wanted(&object.key()))?;
                let kind = match event {
                    store::Event::Put(_) => EventKind::Changed,
                    store::Event::Deleted(_) => EventKind::Deleted,
                };
                Some(Event { event: kind, revision: changes.revision, item: view.item(&object) })
            };
            changes.events.iter().filter_map(event).collect()
        })
    }

    /// Tells agents and watches what a transition has changed.
    fn publish(&self, state: &mut State, transition: &Transition) {
        let revision = state.revision;
        let State { fabric, needs, unrealized, .. } = state;
        needs.update(fabric, &transition.topics, revision);
        let hosts = transition.topics.iter().flat_map(|change| fabric.subscribers(&change.topic));
        let steps = || transition.steps.iter().chain(&transition.also);
        let changed = || steps().filter(|step| step.outcome != plan::fabric::Outcome::Unchanged);
        unrealized.push(revision, changed().filter_map(|step| Some(step.after.as_ref()?.key())).collect(), hosts);
        self.sessions().publish(revision, &transition.topics);
        for gone in changed().filter(|step| step.after.is_none()).filter_map(|step| step.before.as_ref()) {
            if gone.resource.kind() == Kind::Host && fabric.get(&gone.key()).is_none() {
                self.sessions().disconnect(&gone.resource.name);
                needs.forget(&gone.resource.name);
                self.reports.lock().forget(&gone.resource.name);
                self.gateways.forget(&gone.resource.name);
                self.note_ack(&gone.resource.name);
            }
            if gone.resource.kind() == Kind::Port && fabric.get(&gone.key()).is_none() {
                self.reports.lock().forget_port(&gone.key());
            }
        }
        let told = changed().filter_map(|step| match (&step.after, &step.before) {
            (Some(object), _) => Some((EventKind::Changed, object)),
            (None, Some(object)) => Some((EventKind::Deleted, object)),
            (None, None) => None,
        });
        self.tell(state, told);
    }

    /// Tells those watches of objects that want them.
    fn tell<'a>(&self, state: &State, objects: impl Iterator<Item = (EventKind, &'a Object)>) {
        let mut wanted = objects.filter(|(_, object)| self.watches.want(&object.key())).peekable();
        if wanted.peek().is_some() {
            self.view(state, |view| {
                for (event, object) in wanted {
                    self.watches.tell(Event { event, revision: state.revision, item: view.item(object) });
                }
            });
        }
    }

    /// The status of these has changed.
    pub fn tell_status(&self, state: &State, keys: impl IntoIterator<Item = Key>) {
        let objects = keys.into_iter().filter_map(|key| state.fabric.get(&key));
        self.tell(state, objects.map(|object| (EventKind::Status, object)));
    }

    fn done(&self, state: &State, transition: &Transition, revision: u64) -> Done {
        let items = self.view(state, |view| {
            let view = &if transition.steps.len() > MAX_PAGE { view.brief() } else { view };
            let item = |step: &plan::fabric::Step| {
                let shown = step.after.as_ref().map(|after| view.fabric.get(&after.key()).unwrap_or(after));
                let object = shown.or(step.before.as_ref())?;
                Some((outcome(step.outcome), view.item(object)))
            };
            transition.steps.iter().filter_map(item).collect()
        });
        Done { items, revision, findings: transition.findings.iter().map(ToString::to_string).collect() }
    }

    /// A host has acknowledged something. Does not block.
    pub fn note_ack(&self, host: &ResourceName) {
        self.acks.note(host);
    }

    /// Follows the acknowledgements, and tells watches what is in force everywhere by them, until [`Core::end`].
    pub fn follow_acks(&self) {
        let began = Instant::now();
        let (mut settling, mut end) = (Settling::default(), None);
        while let Some(hosts) = self.acks.next(end) {
            if !hosts.is_empty() {
                self.take_acks(&hosts);
            }
            self.settle(settling.look(began.elapsed(), self.arrivals()));
            end = settling.next().map(|next| began + next);
            std::thread::sleep(ACK_PAUSE);
        }
    }

    /// Notes that the moves of these ports' VMs are over.
    fn settle(&self, over: Vec<Key>) {
        for port in over {
            let actor = Actor::new("controller".to_owned());
            if let Err(problem) = self.transact(&actor, false, |_| Ok(Work::Settle(port.clone()).into())) {
                tracing::warn!("that {port} has moved is still noted: {problem}");
            }
        }
    }

    /// The ports whose VMs have moved, and the hosts that do not know that yet.
    fn arrivals(&self) -> Vec<(Key, Vec<Late>)> {
        let state = self.state();
        let mut arrivals = state.fabric.arrivals().peekable();
        if arrivals.peek().is_none() {
            return Vec::new();
        }
        self.view(&state, |view| {
            let view = view.brief();
            let late = |port: &Key| state.fabric.get(port).map(|object| view.late(object)).unwrap_or_default();
            arrivals.map(|port| (port.clone(), late(port))).collect()
        })
    }

    /// These hosts have acknowledged something.
    fn take_acks(&self, hosts: &HashSet<ResourceName>) {
        let mut state = self.state.lock();
        let State { fabric, unrealized, .. } = &mut *state;
        let hosts: Vec<&ResourceName> = hosts.iter().collect();
        let standings = self.sessions().standing(&hosts);
        let (now, mut far) = (clock::now(), Vec::with_capacity(hosts.len()));
        {
            let mut reports = self.reports.lock();
            for (host, standing) in hosts.into_iter().zip(standings) {
                if let Some(in_force) = standing.in_force {
                    reports.seen(host, now);
                    far.push((host, in_force));
                } else if fabric.get(&Key::global(Kind::Host, host)).is_none() {
                    // Nobody waits for a host that was deleted.
                    far.push((host, u64::MAX));
                }
            }
        }
        let done = unrealized.progress(far);
        let (done, later) = self.sort_out(&state, done);
        // Hosts that need it only since then are waited for as well.
        let State { unrealized, revision, .. } = &mut *state;
        unrealized.push(*revision, later.0, &later.1);
        self.tell_status(&state, done);
    }

    /// Of what all hosts have carried out that were to, what is in force everywhere now; and the rest, with the hosts that
    /// have come to need it in the meantime.
    fn sort_out(&self, state: &State, keys: Vec<Key>) -> (Vec<Key>, (Vec<Key>, BTreeSet<ResourceName>)) {
        self.view(state, |view| {
            let view = view.brief();
            let (mut done, mut later) = (Vec::new(), (Vec::new(), BTreeSet::new()));
            for key in keys {
                let Some(object) = state.fabric.get(&key) else { continue };
                if view.realized(object).is_none_or(|realized| realized.everywhere()) {
                    done.push(key);
                } else {
                    later.0.push(key);
                    later.1.extend(view.lacking(object));
                }
            }
            (done, later)
        })
    }

    /// Ends the watches and [`Core::follow_acks`].
    pub fn end(&self) {
        self.watches.close(&Problem::unavailable("the controller ends; try again later"));
        self.acks.end();
        self.gateway_watch.end();
    }
}

/// Changes the fabric, in memory.
fn carry_out(fabric: &mut Fabric, work: &Work, revision: u64) -> Result<Transition, Problem> {
    let context = Context { revision, now: clock::now(), uuid: &mut Uuid::new_v4 };
    Ok(match work {
        Work::Nothing => Transition::default(),
        Work::Changes(changes) => fabric.change(changes, context).map_err(|refusals| problem(&refusals))?,
        Work::Settle(port) => fabric.settle(port, context).unwrap_or_default(),
        Work::TakeOver(all) => fabric.take_over(all, context).unwrap_or_default(),
        Work::Learn(port, addresses) => fabric.learn(port, addresses, context).unwrap_or_default(),
    })
}

/// Refusals as one problem; the first decides its type.
pub fn problem(refusals: &[Refusal]) -> Problem {
    let problem_type = match refusals.first().map(Refusal::sort) {
        Some(RefusalSort::NotFound) => ProblemType::NotFound,
        Some(RefusalSort::Conflict | RefusalSort::Quota) => ProblemType::Conflict,
        Some(RefusalSort::PreconditionFailed) => ProblemType::PreconditionFailed,
        Some(RefusalSort::Forbidden) => ProblemType::Forbidden,
        Some(RefusalSort::Invalid) | None => ProblemType::Invalid,
    };
    Problem::with_errors(problem_type, refusals.iter().map(ToString::to_string).collect())
}

const fn outcome(outcome: plan::fabric::Outcome) -> Outcome {
    match outcome {
        plan::fabric::Outcome::Created => Outcome::Created,
        plan::fabric::Outcome::Configured => Outcome::Configured,
        plan::fabric::Outcome::Unchanged => Outcome::Unchanged,
        plan::fabric::Outcome::Deleted => Outcome::Deleted,
    }
}
