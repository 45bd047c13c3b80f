//! A host with a controller: joins, learns, reports, renews, and goes on without it.
//!
//! The agent is this very program, run again in a network namespace of its own (see [`agent_process`]); the controller
//! is a hub in the test. It needs root, for the namespace and the kernel programs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use host::{Namespace, Netlink, VethEnd};
use model::fabric::ResourceName;
use model::{Key, MacAddress, Port, ProviderAddress, Resource, Vsid};
use proto::ca::Authority;
use proto::{
    Controller, HostFacts, Hub, JoinAsk, Joined, Peer, Refused, Report, Token, TopicChange, TopicContent, TopicId,
};

/// Says which configuration the agent runs, in the process that is the agent.
const AGENT: &str = "NETVIRT_TEST_AGENT";
/// Says how it joins, in the process that joins: address, token and state folder, with spaces between them.
const JOIN: &str = "NETVIRT_TEST_JOIN";

/// How long certificates live here: long enough to start an agent, short enough to see them renewed.
const LIFE: Duration = Duration::from_secs(9);

/// A controller of one host, with one network.
#[derive(Default)]
struct Fake {
    state: Mutex<State>,
    hub: OnceLock<Arc<Hub>>,
}

#[derive(Default)]
struct State {
    revision: u64,
    topics: BTreeMap<TopicId, BTreeMap<Key, Resource>>,
    facts: Option<HostFacts>,
    report: Option<Report>,
    connections: usize,
}

fn host_topic() -> TopicId {
    "host/host1".parse().unwrap()
}

fn network() -> TopicId {
    "network/11111111-2222-3333-4444-000000005001".parse().unwrap()
}

impl Fake {
    fn publish(&self, topic: TopicId, puts: &[Resource], deletes: &[&Resource]) -> u64 {
        let deletes = deletes.iter().map(|resource| resource.key()).collect();
        let change = TopicChange { topic, puts: puts.to_vec(), deletes };
        let mut state = self.state.lock().unwrap();
        state.revision += 1;
        change.apply(state.topics.entry(change.topic.clone()).or_default());
        self.hub.get().unwrap().publish(state.revision, &[change]);
        state.revision
    }

    fn until(&self, what: &str, is: impl Fn(&State, &Hub) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !is(&self.state.lock().unwrap(), self.hub.get().unwrap()) {
            assert!(Instant::now() < end, "{what}: {:?}", self.state.lock().unwrap().report);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn until_in_force(&self, revision: u64) {
        let host = "host1".parse().unwrap();
        self.until("in force", |_, hub| hub.in_force(&host).is_some_and(|now| now >= revision));
    }
}

impl Controller for Fake {
    fn join(&self, request: &JoinAsk) -> Result<Joined, Refused> {
        if request.secret != "secret" {
            return Err(Refused::Token("the secret is wrong".to_owned()));
        }
        self.state.lock().unwrap().facts = Some(request.facts.clone());
        Ok(Joined { host: request.name.parse().unwrap(), uid: "uid".to_owned(), life: LIFE })
    }
    fn admit(&self, _: &Peer) -> Result<(), Refused> {
        Ok(())
    }
    fn certificate_life(&self) -> Duration {
        LIFE
    }
    fn topics_of(&self, _: &ResourceName) -> BTreeSet<TopicId> {
        [host_topic(), network()].into()
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
}

/// A controller that is being served from inside of the namespace.
struct Served {
    fake: Arc<Fake>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn start(namespace: &Namespace, authority: &Arc<Authority>, address: SocketAddr, fake: Arc<Fake>) -> Self {
        let revision = fake.state.lock().unwrap().revision;
        let hub = Hub::new(Arc::clone(&fake) as Arc<dyn Controller>, revision);
        assert!(fake.hub.set(Arc::clone(&hub)).is_ok());
        let listener = namespace.run(|| std::net::TcpListener::bind(address).unwrap()).unwrap();
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
    fn end(mut self) -> Arc<Fake> {
        self.end.take().unwrap().send(()).unwrap();
        self.thread.take().unwrap().join().unwrap();
        let state = std::mem::take(&mut *self.fake.state.lock().unwrap());
        Arc::new(Fake { state: Mutex::new(State { report: None, ..state }), hub: OnceLock::new() })
    }
}

/// A machine: a namespace with an uplink, and folders.
struct Machine {
    namespace: Namespace,
    name: String,
    folder: tempfile::TempDir,
    bpffs: PathBuf,
}

impl Machine {
    fn new() -> Self {
        assert!(host::process::is_root(), "this test makes a network namespace and loads programs, and needs root");
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

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_config(&self) {
        let text = format!(
            "socket: {}\nstate: {}\nbpffs: {}\n",
            self.path("agent.sock").display(),
            self.path("state").display(),
            self.bpffs.display()
        );
        std::fs::write(self.path("agent.yaml"), text).unwrap();
    }

    /// This program again, as another test of it.
    fn again(&self, test: &str, variable: &str, value: &str) -> std::process::Command {
        let mut command = self.namespace.command(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(variable, value).stdin(Stdio::null());
        command
    }

    fn join(&self, address: SocketAddr, token: &Token) -> std::process::Output {
        let told = format!("{address} {token} {}", self.path("state").display());
        self.again("join_process", JOIN, &told).output().unwrap()
    }

    fn agent(&self) -> Agent {
        let mut command = self.again("agent_process", AGENT, self.path("agent.yaml").to_str().unwrap());
        let agent = Agent(command.stdout(Stdio::null()).spawn().unwrap());
        let end = Instant::now() + Duration::from_secs(20);
        while self.status().is_none() {
            assert!(Instant::now() < end, "the agent does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        agent
    }

    fn status(&self) -> Option<api::HostStatus> {
        api::Client::new(self.path("agent.sock")).unwrap().status().ok()
    }

    fn until_addresses(&self, wanted: &[&str]) {
        let end = Instant::now() + Duration::from_secs(10);
        while self.addresses() != wanted {
            assert!(Instant::now() < end, "{:?}", self.addresses());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn addresses(&self) -> Vec<String> {
        let link = Netlink::in_namespace(&self.namespace).unwrap().link("eth0").unwrap();
        link.addresses.iter().map(ToString::to_string).filter(|address| !address.starts_with("fe80")).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.bpffs);
        let _ = Namespace::delete(&self.name);
    }
}

/// An agent that is killed at the end, if not before.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test of its own: with [`AGENT`] it is the agent, without it it is nothing.
#[test]
fn agent_process() {
    if let Ok(config) = std::env::var(AGENT) {
        agent::run(Path::new(&config), false).unwrap();
    }
}

/// Not a test of its own: with [`JOIN`] it joins, without it it is nothing.
#[test]
fn join_process() {
    let Ok(told) = std::env::var(JOIN) else { return };
    let told: Vec<&str> = told.split(' ').collect();
    let options = agent::JoinOptions {
        controller: told[0].to_owned(),
        token: told[1].to_owned(),
        uplinks: vec!["eth0".to_owned()],
        name: Some("host1".to_owned()),
        state: told[2].into(),
        force: false,
    };
    match agent::join(&options) {
        Ok(host) => println!("joined as {host}"),
        Err(error) => panic!("{error}"),
    }
}

fn provider(address: &str) -> Resource {
    Resource::ProviderAddress(ProviderAddress {
        address: address.parse().unwrap(),
        interface: "eth0".parse().unwrap(),
        prefix_length: 24,
    })
}

fn record(number: u8, provider: &str) -> Resource {
    let text = format!(
        "kind: lookup-record\nspec: {{vsid: 5001, customerAddress: 10.0.0.{number}, mac: 06-06-00-00-00-{number:02}, \
         providerAddress: {provider}}}"
    );
    model::resources_from_yaml(&text).unwrap().remove(0)
}

fn route() -> Resource {
    let text = "kind: customer-route\nspec: {rdid: \"{11111111-2222-3333-4444-000000005001}\", vsid: 5001, prefix: \
                10.0.0.0/24, nextHop: 0.0.0.0}";
    model::resources_from_yaml(text).unwrap().remove(0)
}

fn port(number: u8) -> Resource {
    let name: model::Name = format!("tap{number}").parse().unwrap();
    let mac = MacAddress::new([6, 6, 0, 0, 0, number]).unwrap();
    Resource::Port(Port::new(name.clone(), name, mac, Some(Vsid::new(5001).unwrap())))
}

fn as_port(resource: Resource) -> Port {
    match resource {
        Resource::Port(port) => port,
        other => panic!("{other:?} is no port"),
    }
}

/// Joining: a wrong token leaves nothing behind, the right one works, and only once.
fn joins_once(machine: &Machine, fake: &Fake, authority: &Authority, address: SocketAddr) {
    let token = Token { id: "t".into(), secret: "secret".into(), fingerprint: authority.fingerprint().to_owned() };
    let refused = machine.join(address, &Token { secret: "guess".into(), ..token.clone() });
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("the secret is wrong") && !machine.path("state/controller.yaml").exists(), "{said}");
    let joined = machine.join(address, &token);
    assert!(String::from_utf8_lossy(&joined.stdout).contains("joined as host1"), "{joined:?}");
    assert_eq!(
        fake.state.lock().unwrap().facts.clone().unwrap().uplinks[0].addresses[0].to_string(),
        "192.168.4.11/24"
    );
    let again = machine.join(address, &token);
    assert!(String::from_utf8_lossy(&again.stderr).contains("has joined the controller at 127.0.0.1:7444 already"));
}

/// A device appears: it is reported. The address that the agent added is not taken for the host's own.
fn reports(machine: &Machine, fake: &Fake) {
    let ports_are = |state: &State, bound: bool| {
        let report = state.report.as_ref();
        report.is_some_and(|report| report.ports.len() == 1 && report.ports[0].bound == bound)
    };
    fake.until("a port without its device", |state, _| ports_are(state, false));
    let netlink = Netlink::in_namespace(&machine.namespace).unwrap();
    netlink.create_veth(VethEnd::named("tap5"), VethEnd::named("vm5"), &machine.namespace).unwrap();
    fake.until("the port is bound", |state, _| ports_are(state, true));
    let uplinks = fake.state.lock().unwrap().report.clone().unwrap().uplinks;
    assert_eq!(uplinks[0].addresses, ["192.168.4.11/24".parse().unwrap()]);
}

/// What contradicts the rest is left out and said; the rest is in force.
fn leaves_out_what_contradicts(machine: &Machine, fake: &Fake) {
    let twin = Resource::Port(Port { name: "twin".parse().unwrap(), ..as_port(port(5)) });
    let revision = fake.publish(host_topic(), std::slice::from_ref(&twin), &[]);
    fake.until_in_force(revision);
    fake.until("the finding", |state, _| {
        state.report.as_ref().is_some_and(|report| report.findings.iter().any(|finding| finding.contains("tap5")))
    });
    assert_eq!(machine.status().unwrap().ports, 1);
    fake.publish(host_topic(), &[], &[&twin]);
    fake.until("no finding", |state, _| state.report.as_ref().is_some_and(|report| report.findings.is_empty()));
}

#[test]
fn a_host_joins_learns_renews_and_goes_on_alone() {
    let machine = Machine::new();
    machine.write_config();
    let authority = Arc::new(Authority::create().unwrap());
    let address: SocketAddr = "127.0.0.1:7444".parse().unwrap();
    let served = Served::start(&machine.namespace, &authority, address, Arc::default());
    let fake = Arc::clone(&served.fake);

    joins_once(&machine, &fake, &authority, address);

    // What is published before the agent starts, and after: addresses of a pool come with it and go with it.
    let first = [provider("192.168.4.200"), record(5, "192.168.4.200"), route()];
    fake.publish(host_topic(), &first[..1], &[]);
    fake.publish(network(), &first[1..], &[]);
    let agent = machine.agent();
    fake.until_in_force(2);
    assert_eq!(machine.addresses(), ["192.168.4.11/24", "192.168.4.200/24"]);
    let revision = fake.publish(host_topic(), &[port(5)], &[]);
    fake.until_in_force(revision);
    let status = machine.status().unwrap();
    assert_eq!((status.ports, status.records, status.routes), (1, 1, 1));
    let controller = status.controller.unwrap();
    assert!(controller.connected && controller.revision == Some(revision), "{controller:?}");

    reports(&machine, &fake);
    leaves_out_what_contradicts(&machine, &fake);
    measure(&fake);

    // An address that somebody took away is put back.
    let netlink = Netlink::in_namespace(&machine.namespace).unwrap();
    netlink.delete_address("eth0", "192.168.4.200/24".parse().unwrap()).unwrap();
    machine.until_addresses(&["192.168.4.11/24", "192.168.4.200/24"]);

    // Certificates renew by themselves.
    let before = std::fs::read(machine.path("state/host.pem")).unwrap();
    let end = Instant::now() + LIFE;
    while std::fs::read(machine.path("state/host.pem")).unwrap() == before {
        assert!(Instant::now() < end, "the certificate was not renewed");
        std::thread::sleep(Duration::from_millis(50));
    }

    // The agent dies, and the controller too: the agent comes back with what it knew.
    let known = machine.status().unwrap();
    let fake = served.end();
    drop(agent);
    let agent = machine.agent();
    let alone = machine.status().unwrap();
    assert_eq!((alone.ports, alone.records, alone.routes), (known.ports, known.records, known.routes));
    assert!(alone.drift.is_empty(), "{:?}", alone.drift);
    let controller = alone.controller.unwrap();
    assert!(!controller.connected && controller.address == "127.0.0.1:7444", "{controller:?}");

    // The controller comes back: nothing needs to be said but what is new.
    let served = Served::start(&machine.namespace, &authority, address, fake);
    let fake = Arc::clone(&served.fake);
    let revision = fake.publish(host_topic(), &[provider("192.168.4.201")], &[&port(5), &provider("192.168.4.200")]);
    fake.until_in_force(revision);
    machine.until_addresses(&["192.168.4.11/24", "192.168.4.201/24"]);
    drop(agent);
    served.end();
}

/// Prints how long it takes from a publication until it is in force in the kernel and acknowledged.
fn measure(fake: &Fake) {
    let mut times: Vec<Duration> = (10..60)
        .map(|number| {
            let begin = Instant::now();
            let revision = fake.publish(network(), &[record(number, "192.168.4.12")], &[]);
            fake.until_in_force(revision);
            begin.elapsed()
        })
        .collect();
    times.sort();
    println!("from publish to in force and acknowledged: p50 {:?}, p98 {:?}", times[25], times[49]);
}
