//! The session with the controller: what it says is written down, carried out by the core, and acknowledged.
//!
//! It runs on a thread of its own. Nothing waits for it: without a controller the host goes on with what it last knew,
//! after a restart too.

mod arrivals;
mod backoff;
pub(crate) mod claims;
mod departures;
mod enrolment;
pub(crate) mod files;
mod join;
mod journal;
mod leave;
mod questions;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use host::Netlink;
use model::fabric::ResourceName;
use model::gateway::GatewayReport;
use model::{Change, Key, Kind, Resource};
use plan::gateway::health::REPORT;
use proto::client::{self, ClientError, Identity, Session};
use proto::{Encoded, Heard, HostFacts, Mirror, Report, WireError};
use tokio::task::JoinHandle;

pub use join::{JoinError, JoinOptions, join};
pub use leave::{LeaveError, LeaveOptions, Left, leave};
pub use report::is_underlay;

use crate::addresses::Addresses;
use crate::run::{Shared, lock};
use arrivals::Arrivals;
use backoff::Backoff;
use claims::{Claimant, Claims};
use departures::Departures;
use enrolment::{Enrolment, EnrolmentError};
use files::FileError;
use journal::Journal;
use questions::Questions;

/// How often is looked whether there is something to report, or a certificate to renew: no more reports than that.
const LOOK: Duration = Duration::from_millis(500);
/// How long after a change that the kernel refused it is tried again, and how often is looked whether the provider
/// addresses are still where they belong.
const RETRY: Duration = Duration::from_secs(5);
/// Revisions that are carried out together when they come faster than that takes.
const MAX_TOGETHER: usize = 64;

/// Why there can be no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// What joining left.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// What the controller said last.
    #[error(transparent)]
    File(#[from] FileError),
    /// The devices.
    #[error(transparent)]
    Host(#[from] host::Error),
    /// The thread.
    #[error("cannot start the session with the controller: {0}")]
    Thread(std::io::Error),
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}; the controller may be of a later version, which this host's netvirt should be brought to as well")]
    Wire(#[from] WireError),
}

/// The agent's side of a controller.
pub struct Controlled {
    folder: PathBuf,
    enrolment: Enrolment,
    journal: Journal,
    mirror: Mirror,
    addresses: Addresses,
    netlink: Netlink,
    /// What was heard since it was last carried out.
    heard: Vec<Encoded>,
    /// How many revisions of that are complete.
    together: usize,
    /// What the core has not taken yet, because the kernel refused it or it has just come.
    waiting: Vec<Change>,
    /// Of the clock that nobody sets, as the next one.
    retry_at: Instant,
    look_at_addresses_at: Instant,
    reported: Option<Report>,
    /// What of the gateway was told in this session.
    gateway_told: Option<GatewayReport>,
    /// When the host gave a sign of life last, as one of a gateway's.
    lived_at: Instant,
    /// The core's generation at the last report.
    generation: u64,
    renewal: Option<JoinHandle<Result<Identity, ClientError>>>,
    renew_at: SystemTime,
    departures: Departures,
    arrivals: Arrivals,
    claims: Claims,
    claimant: Claimant,
    /// What the controller asks in this session.
    questions: Questions,
}

impl Controlled {
    /// What a host is told by its controller, as far as it is known from before; none if it has not joined one.
    ///
    /// # Errors
    /// When the state folder cannot be read, or the enrolment in it is broken.
    pub fn read(folder: &Path) -> Result<Option<Self>, SessionError> {
        let Some(enrolment) = Enrolment::read(folder)? else { return Ok(None) };
        let (journal, mirror) = Journal::open(folder)?;
        let mut addresses = Addresses::of_controller(folder);
        let known: Vec<Change> = mirror.resources().into_iter().map(Change::Set).collect();
        addresses.note(&known);
        let renew_at = renew_at(&enrolment.identity);
        let (claimant, claims) = Claims::new();
        Ok(Some(Self {
            folder: folder.to_owned(),
            enrolment,
            journal,
            mirror,
            addresses,
            netlink: Netlink::current()?,
            heard: Vec::new(),
            together: 0,
            waiting: Vec::new(),
            retry_at: Instant::now(),
            look_at_addresses_at: Instant::now(),
            reported: None,
            gateway_told: None,
            lived_at: Instant::now(),
            generation: 0,
            renewal: None,
            renew_at,
            departures: Departures::default(),
            arrivals: Arrivals::default(),
            claims,
            claimant,
            questions: Questions::default(),
        }))
    }

    /// The name of this host at the controller.
    pub const fn host(&self) -> &ResourceName {
        &self.enrolment.at.host
    }

    /// Asks the controller for ports that any host may plug.
    pub fn claimant(&self) -> Claimant {
        self.claimant.clone()
    }

    /// What the controller said last, for the start of the core. The provider addresses of it are on their interfaces
    /// then.
    pub fn resources(&mut self) -> Vec<Resource> {
        self.addresses.add_missing(&self.netlink);
        self.mirror.resources()
    }

    /// Begins the session, on a thread of its own, for as long as the process lives.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(self, core: Shared) -> Result<(), SessionError> {
        self.note(&core, false, None);
        lock(&core).gateways.confirm(false);
        // The connection is kept alive by one thread while the other carries out.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(SessionError::Thread)?;
        let body = move || runtime.block_on(async move { tokio::spawn(self.live(core)).await });
        let thread = std::thread::Builder::new().name("controller".to_owned()).spawn(body);
        thread.map(drop).map_err(SessionError::Thread)
    }

    /// Connects, again and again.
    async fn live(mut self, core: Shared) {
        let mut backoff = Backoff::default();
        loop {
            let Err(ended) = self.session(&core, &mut backoff).await;
            self.mirror.reset();
            self.heard.clear();
            self.together = 0;
            self.reported = None;
            self.gateway_told = None;
            let problem = self.explain(&ended);
            tracing::warn!("{problem}");
            self.note(&core, false, Some(problem));
            lock(&core).gateways.confirm(false);
            self.look_at_addresses();
            self.claims.refuse_for(backoff.next()).await;
        }
    }

    /// What an operator should read about the end of a session.
    fn explain(&self, ended: &Ended) -> String {
        let expired = proto::ca::lifetime(&self.enrolment.identity.certified.chain)
            .is_ok_and(|life| life.not_after < SystemTime::now());
        if expired {
            return format!(
                "this host's certificate has expired, since it could not reach the controller at {} to renew it; \
                 what it last knew stays in force; join again with \"netvirt host join --force\"",
                self.enrolment.at.address
            );
        }
        ended.to_string()
    }

    /// What `netvirt status` says of the controller.
    fn note(&self, core: &Shared, connected: bool, problem: Option<String>) {
        lock(core).controller = Some(api::ControllerStatus {
            address: self.enrolment.at.address.clone(),
            connected,
            revision: self.mirror.revision(),
            problem,
        });
    }

    /// One session, to its end.
    async fn session(&mut self, core: &Shared, backoff: &mut Backoff) -> Result<std::convert::Infallible, Ended> {
        let facts = self.facts(core);
        let at = &self.enrolment.at;
        let mut session = client::connect(&at.address, &self.enrolment.identity, &facts, &self.mirror).await?;
        tracing::info!(controller = at.address, host = %at.host, "connected");
        self.departures.begin_anew();
        // An answer to what was asked before would be one to another question now.
        self.questions = Questions::default();
        let (gateway, beats) = {
            let core = lock(core);
            (Arc::clone(&core.gateways.news), Arc::clone(&core.gateways.beats))
        };
        let mut beat = tokio::time::interval(REPORT / 4);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut travel = tokio::time::interval(departures::LOOK);
        travel.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = session.next() => {
                    if self.hear(core, message?, &mut session).await? {
                        backoff.reset();
                    }
                }
                _ = travel.tick() => self.travel(core, &session).await?,
                (number, answer) = self.questions.answered() => session.answer(number, answer).await?,
                taken = self.claims.asked() => self.claims.hand_on(&session, taken).await?,
                () = beats.notified() => self.give_sign_of_life(core, &session).await?,
                _ = beat.tick(), if self.lived_at.elapsed() >= REPORT => self.give_sign_of_life(core, &session).await?,
                () = gateway.notified() => self.report_gateway(core, &session).await?,
                _ = look.tick() => {
                    if self.retry(core) {
                        self.acknowledge(core, &session).await?;
                    }
                    self.look_at_addresses();
                    self.report(core, &session).await?;
                    self.report_gateway(core, &session).await?;
                    self.renew().await;
                }
            }
        }
    }

    fn facts(&self, core: &Shared) -> HostFacts {
        let uplinks = report::uplinks(&lock(core), &self.enrolment.at.uplinks, &self.addresses);
        let questions = api::HostQuestion::NAMES.map(str::to_owned).to_vec();
        HostFacts { version: env!("CARGO_PKG_VERSION").to_owned(), uplinks, questions }
    }

    /// Takes in a message, and those that have come behind it. Whether something was acknowledged.
    async fn hear(&mut self, core: &Shared, message: Encoded, session: &mut Session) -> Result<bool, Ended> {
        let (mut next, mut complete) = (Some(message), None);
        while let Some(message) = next.take() {
            if let Some(answer) = message.claim_answer()? {
                self.claims.heard(answer);
            } else if let Some(question) = message.question()? {
                self.questions.take(core, question);
            } else {
                let kept = message.clone();
                let heard = self.mirror.hear(message)?;
                // What is handed over is no part of what is written down.
                if !matches!(heard, Heard::Handover(_)) {
                    self.heard.push(kept);
                }
                match heard {
                    Heard::Handover(handover) => {
                        tokio::task::block_in_place(|| self.arrivals.hear(&mut lock(core), handover));
                    }
                    Heard::More => complete = None,
                    Heard::Resync(topic) => {
                        complete = None;
                        session.resync(&topic).await?;
                    }
                    Heard::Synced(revision) => {
                        self.together += 1;
                        complete = Some(revision);
                    }
                }
            }
            if complete.is_some() && self.together < MAX_TOGETHER {
                next = session.next_now()?;
            }
        }
        if let Some(revision) = complete {
            self.take_over(core, revision);
        }
        // An answer comes behind what it is about.
        self.claims.deliver();
        if complete.is_some() && self.waiting.is_empty() {
            return self.acknowledge(core, session).await.map(|()| true);
        }
        Ok(false)
    }

    /// Writes down what was heard, and carries it out.
    fn take_over(&mut self, core: &Shared, revision: u64) {
        self.together = 0;
        let began = Instant::now();
        let update = self.mirror.commit(revision);
        let understood = began.elapsed();
        let heard = std::mem::take(&mut self.heard);
        if let Err(error) = self.journal.add(&heard, &self.mirror) {
            // It is in force all the same; after a restart the controller says it again.
            tracing::error!("what the controller says does not survive a restart: {error}");
        }
        let written = began.elapsed() - understood;
        tracing::debug!(revision, changes = update.changes.len(), ?understood, ?written, "heard");
        self.addresses.note(&update.changes);
        self.wait_for(update.changes);
        self.carry_out(core);
    }

    /// Lets changes wait for the core. Of two that are about the same resource the later one counts.
    fn wait_for(&mut self, changes: Vec<Change>) {
        if self.waiting.is_empty() {
            self.waiting = changes;
            return;
        }
        let all = std::mem::take(&mut self.waiting).into_iter().chain(changes);
        let by_key: BTreeMap<Key, Change> = all.map(|change| (change.key(), change)).collect();
        self.waiting = by_key.into_values().collect();
    }

    /// Has the core carry out what waits.
    fn carry_out(&mut self, core: &Shared) {
        let addresses = self.waiting.iter().any(|change| match change {
            Change::Set(resource) => matches!(resource, Resource::ProviderAddress(_)),
            Change::Delete(key) => key.kind == Kind::ProviderAddress,
        });
        tokio::task::block_in_place(|| {
            if addresses {
                self.addresses.add_missing(&self.netlink);
            }
            match lock(core).update_controlled(&self.waiting) {
                Ok(_) => self.waiting.clear(),
                Err(error) => {
                    tracing::error!("cannot carry out what the controller says, will try again: {error}");
                    self.retry_at = Instant::now() + RETRY;
                }
            }
            if addresses && self.waiting.is_empty() {
                self.addresses.delete_unwanted(&self.netlink);
            }
        });
    }

    /// Tries again what the kernel refused; whether it is in force now.
    fn retry(&mut self, core: &Shared) -> bool {
        if self.waiting.is_empty() || Instant::now() < self.retry_at {
            return false;
        }
        self.carry_out(core);
        self.waiting.is_empty()
    }

    /// Puts provider addresses back that went: with an uplink that was made anew, or an IPv6 one with a link that was
    /// down.
    fn look_at_addresses(&mut self) {
        if Instant::now() >= self.look_at_addresses_at {
            self.look_at_addresses_at = Instant::now() + RETRY;
            tokio::task::block_in_place(|| self.addresses.add_missing(&self.netlink));
        }
    }

    async fn acknowledge(&mut self, core: &Shared, session: &Session) -> Result<(), Ended> {
        let Some(revision) = self.mirror.revision() else { return Ok(()) };
        // Whoever waits for the acknowledgement is to find what was left out with it.
        if lock(core).leaves_out() || self.reported.as_ref().is_some_and(|last| !last.findings.is_empty()) {
            self.report(core, session).await?;
        }
        session.ack(revision).await?;
        lock(core).gateways.confirm(true);
        self.note(core, true, None);
        Ok(())
    }

    /// Hands over what goes with VMs that leave, and gives to those that have come what waits for them.
    async fn travel(&mut self, core: &Shared, session: &Session) -> Result<(), Ended> {
        let handovers = tokio::task::block_in_place(|| {
            let mut core = lock(core);
            self.arrivals.settle(&mut core);
            self.departures.look(&mut core)
        });
        for handover in &handovers {
            session.hand_over(handover).await?;
        }
        Ok(())
    }

    /// Says what there is to say, if it is not what was said last.
    async fn report(&mut self, core: &Shared, session: &Session) -> Result<(), Ended> {
        let report = {
            let core = lock(core);
            match &self.reported {
                // Only the uplinks may have changed, and who has come.
                Some(last) if core.generation == self.generation && self.addresses.problems().is_empty() => {
                    let uplinks = report::uplinks(&core, &self.enrolment.at.uplinks, &self.addresses);
                    let departures = self.departures.told();
                    Report { uplinks, arrived: report::arrived(&core), departures, ..last.clone() }
                }
                _ => {
                    self.generation = core.generation;
                    let departures = self.departures.told();
                    Report { departures, ..report::report(&core, &self.enrolment.at.uplinks, &self.addresses) }
                }
            }
        };
        if self.reported.as_ref() != Some(&report) {
            session.report(&report).await?;
            self.reported = Some(report);
        }
        Ok(())
    }

    /// Says how it stands with the host's gateway, if it is not what was said last.
    async fn report_gateway(&mut self, core: &Shared, session: &Session) -> Result<(), Ended> {
        let report = lock(core).gateways.told();
        if report != self.gateway_told {
            session.report_gateway(&report.clone().unwrap_or_default()).await?;
            self.gateway_told = report;
        }
        Ok(())
    }

    /// Says that the host lives, where it is one of several of a gateway, and what the gateway said last.
    async fn give_sign_of_life(&mut self, core: &Shared, session: &Session) -> Result<(), Ended> {
        self.lived_at = Instant::now();
        let beat = lock(core).gateways.sign_of_life();
        if let Some(beat) = beat {
            session.gateway_beat(&beat).await?;
        }
        Ok(())
    }

    /// Renews the certificate when two thirds of its life have passed, beside the session.
    async fn renew(&mut self) {
        match self.renewal.take_if(|renewal| renewal.is_finished()) {
            Some(renewal) => match renewal.await {
                Ok(Ok(identity)) => self.renewed(identity),
                Ok(Err(error)) => self.not_renewed(&error.to_string()),
                Err(error) => self.not_renewed(&error.to_string()),
            },
            None if self.renewal.is_none() && SystemTime::now() >= self.renew_at => {
                let (address, identity) = (self.enrolment.at.address.clone(), self.enrolment.identity.clone());
                self.renewal = Some(tokio::spawn(async move { client::renew(&address, &identity).await }));
            }
            None => {}
        }
    }

    fn renewed(&mut self, identity: Identity) {
        self.enrolment.identity = identity;
        self.renew_at = renew_at(&self.enrolment.identity);
        tracing::info!("renewed this host's certificate");
        if let Err(error) = self.enrolment.write_identity(&self.folder) {
            tracing::error!("the renewed certificate does not survive a restart: {error}");
        }
    }

    /// Tries again after a tenth of the time that is left.
    fn not_renewed(&mut self, why: &str) {
        let life = proto::ca::lifetime(&self.enrolment.identity.certified.chain);
        let left = life.ok().and_then(|life| life.not_after.duration_since(SystemTime::now()).ok());
        self.renew_at = SystemTime::now() + left.unwrap_or_default() / 10 + LOOK;
        tracing::error!("cannot renew this host's certificate, will try again: {why}");
    }
}

/// Whether the host with this state folder has joined a controller.
///
/// # Errors
/// When the folder cannot be read, or the enrolment in it is broken.
pub fn has_joined(folder: &Path) -> Result<bool, SessionError> {
    Ok(Enrolment::read(folder)?.is_some())
}

/// When an identity should be renewed; at once if its certificate cannot be read.
fn renew_at(identity: &Identity) -> SystemTime {
    proto::ca::lifetime(&identity.certified.chain).map_or_else(|_| SystemTime::now(), |life| life.renew_at())
}
