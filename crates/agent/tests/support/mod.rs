//! A machine with an agent, and a controller of which the network alone is real: for the tests, and for measuring.
//!
//! The agent is the very program that uses this module, run again in a network namespace of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use host::{Namespace, Netlink, VethEnd};
use model::fabric::ResourceName;
use model::gateway::GatewayReport;
use model::{Key, Resource};
use proto::ca::Authority;
use proto::{
    Controller, HostFacts, Hub, JoinAsk, Joined, Limits, Peer, Refused, Report, Station, TopicChange, TopicContent,
    TopicId,
};

/// Where the controller listens, in the machine's own namespace.
pub const CONTROLLER: &str = "127.0.0.1:7444";

/// A controller with one network.
pub struct Fake {
    pub state: Mutex<State>,
    pub hub: OnceLock<Arc<Hub>>,
    /// How long certificates live.
    life: Duration,
}

/// What the controller knows.
#[derive(Default)]
pub struct State {
    pub revision: u64,
    pub topics: BTreeMap<TopicId, BTreeMap<Key, Resource>>,
    /// The hosts that need nothing of the network.
    pub without_network: BTreeSet<ResourceName>,
    pub facts: Option<HostFacts>,
    pub report: Option<Report>,
    pub gateway: Option<GatewayReport>,
    pub connections: usize,
}

/// The host that the machine is.
pub fn host1() -> ResourceName {
    "host1".parse().unwrap()
}

/// The topic of that host.
pub fn host_topic() -> TopicId {
    TopicId::Host(host1())
}

/// The topic of the network.
pub fn network() -> TopicId {
    "network/11111111-2222-3333-4444-000000005001".parse().unwrap()
}

impl Fake {
    /// A controller whose certificates live so long.
    pub fn new(life: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), hub: OnceLock::new(), life })
    }

    /// Publishes changes of one topic, as a revision of their own.
    pub fn publish(&self, topic: TopicId, puts: &[Resource], deletes: &[&Resource]) -> u64 {
        let deletes = deletes.iter().map(|resource| resource.key()).collect();
        self.publish_all(&[TopicChange { topic, puts: puts.to_vec(), deletes }])
    }

    /// Publishes changes of several topics, as one revision.
    pub fn publish_all(&self, changes: &[TopicChange]) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.revision += 1;
        for change in changes {
            change.apply(state.topics.entry(change.topic.clone()).or_default());
        }
        self.hub.get().unwrap().publish(state.revision, changes);
        state.revision
    }

    /// Waits for something to be so.
    pub fn until(&self, what: &str, is: impl Fn(&State, &Hub) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !is(&self.state.lock().unwrap(), self.hub.get().unwrap()) {
            assert!(Instant::now() < end, "{what}: {:?}", self.state.lock().unwrap().report);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the machine has acknowledged a revision.
    pub fn until_in_force(&self, revision: u64) {
        let host = host1();
        self.until("in force", |_, hub| hub.in_force(&host).is_some_and(|now| now >= revision));
    }
}

impl Controller for Fake {
    fn join(&self, request: &JoinAsk) -> Result<Joined, Refused> {
        if request.secret != "secret" {
            return Err(Refused::Token("the secret is wrong".to_owned()));
        }
        self.state.lock().unwrap().facts = Some(request.facts.clone());
        Ok(Joined { host: request.name.parse().unwrap(), uid: "uid".to_owned(), life: self.life })
    }
    fn leave(&self, _: &Peer) -> Result<(), Refused> {
        Ok(())
    }
    fn admit(&self, _: &Peer) -> Result<(), Refused> {
        Ok(())
    }
    fn certificate_life(&self) -> Duration {
        self.life
    }
    fn topics_of(&self, host: &ResourceName) -> BTreeSet<TopicId> {
        let needs = !self.state.lock().unwrap().without_network.contains(host);
        [TopicId::Host(host.clone())].into_iter().chain(needs.then(network)).collect()
    }
    fn topic(&self, topic: &TopicId) -> TopicContent {
        let state = self.state.lock().unwrap();
        let items = state.topics.get(topic).map(|items| items.values().cloned().collect());
        TopicContent { revision: state.revision, items: items.unwrap_or_default() }
    }
    fn connected(&self, _: &ResourceName, _: SocketAddr, facts: HostFacts) {
        let mut state = self.state.lock().unwrap();
        state.facts = Some(facts);
        state.connections += 1;
    }
    fn disconnected(&self, _: &ResourceName) {}
    fn acked(&self, _: &ResourceName, _: u64) {}
    fn report(&self, _: &ResourceName, report: Report) {
        self.state.lock().unwrap().report = Some(report);
    }
    fn gateway_report(&self, _: &ResourceName, report: GatewayReport) {
        self.state.lock().unwrap().gateway = Some(report);
    }
    fn successor(&self, _: &ResourceName, _: Station) -> Option<ResourceName> {
        None
    }
}

/// A controller that is being served from inside of the namespace.
pub struct Served {
    pub fake: Arc<Fake>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    /// Serves it; a host forgets at once what it needs no more.
    pub fn start(namespace: &Namespace, authority: &Arc<Authority>, fake: Arc<Fake>) -> Self {
        let revision = fake.state.lock().unwrap().revision;
        let limits = Limits { linger: Duration::ZERO, ..Limits::default() };
        let hub = Hub::with_limits(Arc::clone(&fake) as Arc<dyn Controller>, revision, limits);
        assert!(fake.hub.set(Arc::clone(&hub)).is_ok());
        let listener = namespace.run(|| std::net::TcpListener::bind(CONTROLLER).unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let authority = Arc::clone(authority);
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                proto::server::serve(listener, authority, Vec::new(), hub, async { drop(ended.await) }).await.unwrap();
            });
        };
        Self { fake, end: Some(end), thread: Some(std::thread::spawn(serve)) }
    }

    /// Ends it, and gives what it knew to the next one.
    pub fn end(mut self) -> Arc<Fake> {
        self.end.take().unwrap().send(()).unwrap();
        self.thread.take().unwrap().join().unwrap();
        let state = std::mem::take(&mut *self.fake.state.lock().unwrap());
        let state = Mutex::new(State { report: None, gateway: None, ..state });
        Arc::new(Fake { state, hub: OnceLock::new(), life: self.fake.life })
    }
}

/// A machine: a namespace with an uplink, and folders.
pub struct Machine {
    pub namespace: Namespace,
    pub bpffs: PathBuf,
    name: String,
    folder: tempfile::TempDir,
}

impl Machine {
    /// Makes it.
    pub fn new() -> Self {
        assert!(host::process::is_root(), "this makes a network namespace and loads programs, and needs root");
        let name = format!("nvt-agent-{}", std::process::id());
        let namespace = Namespace::create(&name).unwrap();
        let netlink = Netlink::in_namespace(&namespace).unwrap();
        netlink.set_up("lo").unwrap();
        netlink.create_veth(VethEnd::named("eth0"), VethEnd::named("wire"), &namespace).unwrap();
        for device in ["eth0", "wire"] {
            netlink.set_up(device).unwrap();
        }
        netlink.add_address("eth0", "192.168.4.11/24".parse().unwrap()).unwrap();
        let bpffs = Path::new(host::kernel::BPFFS_ROOT).join(&name);
        Self { namespace, name, folder: tempfile::tempdir().unwrap(), bpffs }
    }

    /// A path in the machine's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the agent's configuration.
    pub fn write_config(&self) {
        let text = format!(
            "socket: {}\nstate: {}\nbpffs: {}\n",
            self.path("agent.sock").display(),
            self.path("state").display(),
            self.bpffs.display()
        );
        std::fs::write(self.path("agent.yaml"), text).unwrap();
    }

    /// This program again, in the machine, with something in its environment that says what it is to be.
    pub fn again(&self, arguments: &[&str], variable: &str, value: &str) -> Command {
        let mut command = self.namespace.command(std::env::current_exe().unwrap());
        command.args(arguments).env(variable, value).stdin(Stdio::null());
        command
    }

    /// Starts a program that becomes the agent, and waits for it to answer.
    pub fn start(&self, mut command: Command) -> Agent {
        let agent = Agent(command.stdout(Stdio::null()).spawn().unwrap());
        let end = Instant::now() + Duration::from_secs(20);
        while self.status().is_none() {
            assert!(Instant::now() < end, "the agent does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        agent
    }

    /// What the agent says of itself, if it answers.
    pub fn status(&self) -> Option<api::HostStatus> {
        api::Client::new(self.path("agent.sock")).unwrap().status().ok()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.bpffs);
        let _ = Namespace::delete(&self.name);
    }
}

/// An agent that is killed at the end, if not before.
pub struct Agent(pub Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
