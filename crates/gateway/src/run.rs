//! The life of a gateway: it takes work from the agent, has each compartment carried out by a thread of its own, and reports.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use host::{Namespace, Netlink};
use model::QualifiedName;
use model::gateway::{Compartment, GatewayReport};
use nix::fcntl::{Flock, FlockArg};
use plan::gateway::layout::{self, next_hops};
use plan::gateway::{edge_namespace, namespace_name, namespace_prefix};

use crate::agent::{Agent, LocalAgent, Work};
use crate::compartment::{self, Wanted, remove_namespace};
use crate::edge::{EdgeTrouble, WantedEdge, WantedMember};
use crate::ha::{Member, Together};
use crate::links;
use crate::past::Past;
use crate::sessions::{self, Log};
use crate::worker::{self, Parts, Reported, Worker};
use crate::{Bgp, Dns, Error, IpsecPart, Part, Supervisor, WireguardPart, WireguardProgram};

/// What a gateway is started with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The agent's socket.
    pub socket: PathBuf,
    /// Where the gateway keeps what its daemons need. It may be gone after a reboot; no other gateway has it.
    pub folder: PathBuf,
}

/// How often reports are looked at.
const TICK: Duration = Duration::from_secs(1);

/// What has not changed is reported again after so long: the agent takes one that is silent for 10 seconds for dead.
const REPEAT: Duration = Duration::from_secs(3);

/// An agent that does not answer is asked again after so long.
const RETRY: Duration = Duration::from_secs(1);

/// Carries out what the agent says until the process is told to end (SIGTERM, SIGINT). What was made stays.
///
/// # Errors
/// When it cannot begin: the folder cannot be used, or another gateway uses it.
pub fn run(options: &Options) -> Result<(), Error> {
    start_log();
    tracing::info!(socket = %options.socket.display(), folder = %options.folder.display(), "started");
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(Error::Signals)?;
    }
    let agent: Arc<dyn Agent> = Arc::new(LocalAgent::at(&options.socket)?);
    let supervisor = Supervisor::new().map_err(Error::Thread)?;
    let program = WireguardProgram {
        program: std::env::current_exe().map_err(Error::OwnProgram)?,
        arguments: vec!["gateway".to_owned(), "wireguard".to_owned()],
    };
    let parts = move || -> Vec<Box<dyn Part>> {
        vec![
            Box::new(WireguardPart::new(supervisor.of(WireguardPart::KIND), program.clone())),
            Box::new(IpsecPart::new(supervisor.of(IpsecPart::KIND))),
            Box::new(Bgp::new(supervisor.of(Bgp::KIND))),
            Box::new(Dns::new(supervisor.of(Dns::KIND))),
        ]
    };
    serve(&agent, &options.folder, parts, &stop)
}

/// The log goes to the standard error; `RUST_LOG` chooses how much.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A second subscriber, in a test for example, is refused, and the first one serves.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
}

/// As [`run`], for any agent, with parts that are made by `parts`, until `stop` is set.
///
/// # Errors
/// As [`run`].
pub fn serve(
    agent: &Arc<dyn Agent>,
    folder: &Path,
    parts: impl Fn() -> Vec<Box<dyn Part>> + Send + Sync + 'static,
    stop: &AtomicBool,
) -> Result<(), Error> {
    compartment::make_folder(folder)?;
    let _lock = lock(folder)?;
    let mut gateway = Gateway {
        folder: folder.to_owned(),
        parts: Arc::new(parts),
        compartments: BTreeMap::new(),
        edges: BTreeMap::new(),
        edge_troubles: BTreeMap::new(),
        leaving: Vec::new(),
        log: Log::start(&folder.join("log"))?,
        told: None,
        swept: false,
        work: None,
        fenced: false,
        past: Past::begin(),
    };
    let (tell, news) = sync_channel(1);
    listen(Arc::clone(agent), tell.clone())?;
    // When more is on its way already, that is looked at then.
    let together = Together::start(Arc::clone(agent), move || drop(tell.try_send(News::Carriers)))?;
    while !stop.load(Ordering::Relaxed) {
        match news.recv_timeout(TICK) {
            Ok(News::Work(work)) => gateway.take_work(*work, &together),
            Ok(News::Carriers) => gateway.look_at_carriers(&together),
            Err(RecvTimeoutError::Timeout) => {
                gateway.look_at_carriers(&together);
                gateway.look_at_the_past();
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        gateway.report(agent.as_ref());
    }
    together.stop();
    gateway.stop();
    Ok(())
}

/// Keeps a second gateway out of the folder.
fn lock(folder: &Path) -> Result<Flock<File>, Error> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|source| Error::Folder { action: "write", path, source })?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| Error::Busy(folder.to_owned()))
}

/// Asks the agent again and again, on a thread that ends with the process: it may wait in a request.
fn listen(agent: Arc<dyn Agent>, tell: SyncSender<News>) -> Result<(), Error> {
    let ask = move || {
        let (mut after, mut was_silent) = (None, false);
        loop {
            match agent.work(after) {
                Ok(work) => {
                    let is_new = after != Some(work.revision);
                    after = Some(work.revision);
                    if was_silent {
                        tracing::info!("the agent answers again");
                    }
                    was_silent = false;
                    if is_new && tell.send(News::Work(work.into())).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    if !was_silent {
                        tracing::warn!("the agent gives no work: {error}; what is carried out stays as it is");
                    }
                    was_silent = true;
                    thread::sleep(RETRY);
                }
            }
        }
    };
    thread::Builder::new().name("agent".to_owned()).spawn(ask).map_err(Error::Thread)?;
    Ok(())
}

/// What wakes a gateway.
enum News {
    /// There is something to do.
    Work(Box<Work>),
    /// A carrier has come or gone.
    Carriers,
}

/// Deletes devices of VLANs that no compartment is in any more.
fn sweep_vlans(work: &Work) -> Result<(), host::Error> {
    let outsides = work.compartments.iter().filter_map(|compartment| compartment.outside.as_ref());
    let used: Vec<_> = outsides.filter_map(|outside| outside.vlan).collect();
    let interface = work.gateway.as_ref().map_or("", |gateway| gateway.interface.as_str());
    links::sweep_vlans(&Netlink::current()?, interface, &used)
}

/// What a gateway has in hand.
struct Gateway {
    folder: PathBuf,
    parts: Parts,
    compartments: BTreeMap<QualifiedName, (Worker<Wanted>, Reported, Option<String>)>,
    edges: BTreeMap<String, Worker<WantedEdge>>,
    /// What is in the way of each edge that compartments have been told of: it comes and goes with the first that is active.
    edge_troubles: BTreeMap<String, EdgeTrouble>,
    /// Compartments that are being taken away, by namespace.
    leaving: Vec<(String, Worker<Wanted>)>,
    /// Who had which address when.
    log: Log,
    /// What the agent was told last, and when.
    told: Option<(Instant, GatewayReport)>,
    /// Whether what a former gateway left, and nobody wants any more, was taken away.
    swept: bool,
    /// What the agent said last.
    work: Option<Work>,
    /// Whether all compartments stand down, since the uplink has no carrier.
    fenced: bool,
    /// Compartments that stand by though the agent says otherwise, until it has heard it anew.
    past: Past,
}

impl Gateway {
    /// Takes in what the agent says.
    fn take_work(&mut self, work: Work, together: &Together) {
        let member = |compartment: &Compartment| {
            let namespace = namespace_name(&work.host, &compartment.name);
            (compartment.name.clone(), Member::of(compartment, namespace))
        };
        together.set(&work.host, work.gateway.as_ref(), work.compartments.iter().map(member).collect());
        self.fence(together.is_fenced());
        self.work = Some(work);
        self.carry_out();
    }

    /// Lets go of what is outside when the uplink's carrier goes, since another host takes over then, and takes it up again when
    /// it comes back and nobody has said otherwise.
    fn look_at_carriers(&mut self, together: &Together) {
        if self.fence(together.is_fenced()) {
            self.carry_out();
        }
    }

    /// Notes whether compartments stand down; answers whether that is new.
    fn fence(&mut self, fenced: bool) -> bool {
        if std::mem::replace(&mut self.fenced, fenced) == fenced {
            return false;
        }
        let what = if fenced { "is gone: compartments stand down" } else { "is back: compartments stand up" };
        tracing::warn!("the carrier of the uplink {what}");
        if !fenced {
            self.past.begin_anew();
        }
        true
    }

    /// Takes up what nobody has said otherwise of for long enough.
    fn look_at_the_past(&mut self) {
        if self.past.is_over() {
            tracing::warn!("the controller says nothing: what it said before this host was away counts");
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        let Some(mut work) = self.work.clone() else { return };
        self.past.hold_back(&mut work);
        if self.fenced {
            for compartment in &mut work.compartments {
                (compartment.standby, compartment.leaving) = (true, false);
            }
        }
        self.take(&work);
    }

    /// Has the work carried out.
    fn take(&mut self, work: &Work) {
        self.take_edges(work);
        let gone: Vec<_> = self
            .compartments
            .keys()
            .filter(|name| !work.compartments.iter().any(|compartment| compartment.name == **name))
            .cloned()
            .collect();
        for name in gone {
            if let Some((worker, ..)) = self.compartments.remove(&name) {
                worker.dismiss();
                self.leaving.push((namespace_name(&work.host, &name), worker));
            }
        }
        let logged = work.compartments.iter().filter_map(|compartment| {
            Some((namespace_name(&work.host, &compartment.name), sessions::wanted(compartment)?))
        });
        self.log.tell(logged.collect());
        for compartment in &work.compartments {
            let namespace = namespace_name(&work.host, &compartment.name);
            let shares = compartment.outside.as_ref().filter(|outside| !outside.shared.is_empty());
            let edge = shares.map(|outside| edge_namespace(&work.host, outside.vlan));
            let wanted = Wanted {
                compartment: compartment.clone(),
                gateway: work.gateway.clone(),
                mtu: work.mtus.get(&compartment.name).copied(),
                folder: self.folder.join("compartments").join(&namespace),
                namespace,
            };
            self.take_compartment(wanted, edge);
        }
        if let Err(error) = sweep_vlans(work) {
            tracing::warn!("devices of VLANs that are not used any more stay: {error}");
        }
        if !self.swept {
            self.sweep(work);
            self.swept = true;
        }
    }

    /// Tells the compartment's thread, or starts one.
    fn take_compartment(&mut self, wanted: Wanted, edge: Option<String>) {
        let name = wanted.compartment.name.clone();
        if let Some((worker, _, its_edge)) = self.compartments.get(&name) {
            if *its_edge == edge {
                return worker.tell(wanted);
            }
            // It is told by another edge from now on: another thread takes it over as it is.
            if let Some((mut worker, ..)) = self.compartments.remove(&name) {
                worker.stop();
                worker.join();
            }
        }
        // One of the same name that is just going away would take away what is made now.
        for (_, worker) in self.leaving.iter_mut().filter(|(namespace, _)| *namespace == wanted.namespace) {
            worker.join();
        }
        self.leaving.retain(|(_, worker)| !worker.is_done());
        let trouble = edge.as_ref().map(|edge| Arc::clone(self.edge_troubles.entry(edge.clone()).or_default()));
        let reported = Reported::default();
        match worker::compartment(wanted, Arc::clone(&self.parts), trouble, Arc::clone(&reported)) {
            Ok(worker) => {
                self.compartments.insert(name, (worker, reported, edge));
            }
            Err(error) => tracing::error!("compartment {name} is not carried out: {error}"),
        }
    }

    /// Edges that are wanted: one of each VLAN in which an active compartment shares addresses.
    fn take_edges(&mut self, work: &Work) {
        let mut wanted: BTreeMap<String, WantedEdge> = BTreeMap::new();
        for compartment in work.compartments.iter().filter(|compartment| layout::forwards(compartment)) {
            let Some(gateway) = &work.gateway else { continue };
            let Some(outside) = compartment.outside.as_ref().filter(|outside| !outside.shared.is_empty()) else {
                continue;
            };
            let namespace = edge_namespace(&work.host, outside.vlan);
            let edge = wanted.entry(namespace.clone()).or_insert_with(|| WantedEdge {
                namespace,
                gateway: gateway.clone(),
                vlan: outside.vlan,
                next_hops: next_hops(outside, &gateway.next_hops).to_vec(),
                members: Vec::new(),
            });
            edge.members.push(WantedMember {
                namespace: namespace_name(&work.host, &compartment.name),
                shared: outside.shared.clone(),
                answers: layout::answers(compartment),
            });
        }
        self.edges.retain(|name, worker| {
            let keep = wanted.contains_key(name);
            if !keep {
                worker.dismiss();
                worker.join();
            }
            keep
        });
        for (name, edge) in wanted {
            if let Some(worker) = self.edges.get(&name) {
                worker.tell(edge);
                continue;
            }
            let trouble = Arc::clone(self.edge_troubles.entry(name.clone()).or_default());
            match worker::edge(edge, trouble) {
                Ok(worker) => {
                    self.edges.insert(name, worker);
                }
                Err(error) => tracing::error!("the edge {name} is not carried out: {error}"),
            }
        }
    }

    /// Takes away namespaces that an earlier gateway of this host has left and nobody wants any more.
    fn sweep(&self, work: &Work) {
        let prefix = namespace_prefix(&work.host);
        let wanted: Vec<_> =
            work.compartments.iter().map(|compartment| namespace_name(&work.host, &compartment.name)).collect();
        for name in Namespace::list().unwrap_or_default() {
            if !name.starts_with(&prefix) || wanted.contains(&name) || self.edges.contains_key(&name) {
                continue;
            }
            let Ok(namespace) = Namespace::open(&name) else { continue };
            tracing::info!("removing {name}, which no compartment has any more");
            compartment::strip(&namespace);
            remove_namespace(&name, &namespace);
            let _ = std::fs::remove_dir_all(self.folder.join("compartments").join(&name));
        }
    }

    /// What keeps the host from being a gateway at all.
    fn trouble(&self) -> Option<String> {
        let gateway = self.work.as_ref()?.gateway.as_ref()?;
        match Netlink::current() {
            Ok(near) => links::external_trouble(&near, gateway.interface.as_str()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Tells the agent how it goes: at once when it goes otherwise than it was told last, and else from time to time.
    fn report(&mut self, agent: &dyn Agent) {
        self.leaving.retain(|(_, worker)| !worker.is_done());
        let compartments = self.compartments.values().filter_map(|(_, reported, _)| reported.lock().clone()).collect();
        let report = GatewayReport { trouble: self.trouble(), compartments };
        if self.told.as_ref().is_some_and(|(at, told)| *told == report && at.elapsed() < REPEAT) {
            return;
        }
        match agent.report(&report) {
            Ok(()) => self.told = Some((Instant::now(), report)),
            Err(error) => tracing::debug!("the agent takes no report: {error}"),
        }
    }

    /// Lets all threads end, and leaves what they have made.
    fn stop(mut self) {
        for (worker, ..) in self.compartments.values() {
            worker.stop();
        }
        for worker in self.edges.values() {
            worker.stop();
        }
        for (worker, ..) in self.compartments.values_mut() {
            worker.join();
        }
        for worker in self.edges.values_mut() {
            worker.join();
        }
        self.log.stop();
        // What is being taken away is taken away.
        for (_, worker) in &mut self.leaving {
            worker.join();
        }
    }
}
