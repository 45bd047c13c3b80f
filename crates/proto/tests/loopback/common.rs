//! A controller that is good for tests, served on loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use model::fabric::ResourceName;
use model::{Key, LookupRecord, MacAddress, Port, Resource, Vsid};
use proto::ca::Authority;
use proto::client::{Enrolment, Identity, Session};
use proto::{
    Claim, Claimed, Controller, Heard, HostFacts, Hub, JoinAsk, Joined, Limits, Mirror, Peer, Refused, Report, Station,
    Token, TopicChange, TopicContent, TopicId, Update, client,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What a callback was called with, in words.
pub type Calls = Arc<Mutex<Vec<String>>>;

pub struct Fake {
    state: Mutex<State>,
    pub calls: Calls,
    pub life: Duration,
    hub: OnceLock<Arc<Hub>>,
}

#[derive(Default)]
struct State {
    revision: u64,
    topics: BTreeMap<TopicId, BTreeMap<Key, Resource>>,
    /// Secrets by token, and whether they are still good.
    tokens: BTreeMap<String, (String, Option<&'static str>)>,
    hosts: BTreeMap<ResourceName, String>,
    networks: BTreeMap<ResourceName, BTreeSet<TopicId>>,
    /// Where all VMs go.
    successor: Option<ResourceName>,
}

impl Fake {
    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    pub fn called(&self, call: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|known| known.starts_with(call)).count()
    }

    /// Changes a topic as a transaction would: state first, then the hub, under one lock.
    pub fn publish(&self, changes: &[TopicChange]) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.revision += 1;
        for change in changes {
            change.apply(state.topics.entry(change.topic.clone()).or_default());
        }
        self.hub.get().unwrap().publish(state.revision, changes);
        state.revision
    }

    pub fn needs(&self, host: &str, topics: &[TopicId]) {
        let host: ResourceName = host.parse().unwrap();
        self.state.lock().unwrap().networks.insert(host, topics.iter().cloned().collect());
    }

    /// From now on all VMs go there.
    pub fn all_go_to(&self, host: &str) {
        self.state.lock().unwrap().successor = Some(host.parse().unwrap());
    }

    pub fn delete_host(&self, host: &str) {
        let host: ResourceName = host.parse().unwrap();
        self.state.lock().unwrap().hosts.remove(&host);
        self.hub.get().unwrap().disconnect(&host);
    }

    pub fn spoil(&self, token: &str, why: &'static str) {
        self.state.lock().unwrap().tokens.get_mut(token).unwrap().1 = Some(why);
    }
}

impl Controller for Fake {
    fn join(&self, request: &JoinAsk) -> Result<Joined, Refused> {
        let mut state = self.state.lock().unwrap();
        let Some((secret, spoilt)) = state.tokens.get_mut(&request.token_id) else {
            return Err(Refused::Token(format!("there is no join token {}", request.token_id)));
        };
        match spoilt {
            Some(why) => return Err(Refused::Token(format!("join token {} {why}", request.token_id))),
            None if *secret != request.secret => return Err(Refused::Token("the secret is wrong".to_owned())),
            None => *spoilt = Some("was used already"),
        }
        let host: ResourceName = request.name.parse().map_err(|error| Refused::Conflict(format!("{error}")))?;
        let uid = format!("uid-{}", state.hosts.len() + 1);
        state.hosts.insert(host.clone(), uid.clone());
        Ok(Joined { host, uid, life: self.life })
    }

    fn leave(&self, peer: &Peer) -> Result<(), Refused> {
        let mut state = self.state.lock().unwrap();
        // A network that a host needs stands for a port on it.
        if state.networks.get(&peer.host).is_some_and(|topics| !topics.is_empty()) {
            return Err(Refused::Conflict(format!("host {} is in use", peer.host)));
        }
        state.hosts.remove(&peer.host);
        Ok(())
    }

    fn admit(&self, peer: &Peer) -> Result<(), Refused> {
        match self.state.lock().unwrap().hosts.get(&peer.host) {
            Some(uid) if *uid == peer.uid => Ok(()),
            _ => Err(Refused::Host(format!("host {} was deleted", peer.host))),
        }
    }

    fn certificate_life(&self) -> Duration {
        self.life
    }

    fn topics_of(&self, host: &ResourceName) -> BTreeSet<TopicId> {
        let mut topics = self.state.lock().unwrap().networks.get(host).cloned().unwrap_or_default();
        topics.insert(TopicId::Host(host.clone()));
        topics
    }

    fn topic(&self, topic: &TopicId) -> TopicContent {
        self.note(format!("topic {topic}"));
        let state = self.state.lock().unwrap();
        let items = state.topics.get(topic).map(|items| items.values().cloned().collect());
        TopicContent { revision: state.revision, items: items.unwrap_or_default() }
    }

    fn connected(&self, host: &ResourceName, _: SocketAddr, facts: HostFacts) {
        self.note(format!("connected {host} {}", facts.version));
    }

    fn disconnected(&self, host: &ResourceName) {
        self.note(format!("disconnected {host}"));
    }

    fn acked(&self, host: &ResourceName, revision: u64) {
        self.note(format!("acked {host} {revision}"));
    }

    fn report(&self, host: &ResourceName, report: Report) {
        self.note(format!("report {host} {report:?}"));
    }

    fn gateway_report(&self, host: &ResourceName, report: model::gateway::GatewayReport) {
        self.note(format!("gateway report {host} {report:?}"));
    }

    fn successor(&self, host: &ResourceName, vm: Station) -> Option<ResourceName> {
        self.note(format!("successor of {host} for {}", vm.mac));
        self.state.lock().unwrap().successor.clone()
    }

    /// The port with UUID 1 is published when it is claimed, and nothing else is there.
    fn claim(&self, host: &ResourceName, claim: &Claim) -> Claimed {
        self.note(format!("claim {host} {} {:?} {}", claim.uid.as_u128(), claim.device, claim.release));
        if claim.uid.as_u128() != 1 {
            return Claimed::Refused(format!("there is no port {}", claim.uid.as_u128()));
        }
        self.publish(&[put(TopicId::Host(host.clone()), [port("p1")])]);
        Claimed::Done
    }
}

/// A controller that is being served.
pub struct Served {
    pub fake: Arc<Fake>,
    pub hub: Arc<Hub>,
    pub authority: Arc<Authority>,
    pub address: String,
    end: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(3600);

pub async fn serve() -> Served {
    serve_with(Limits::default(), CERTIFICATE_LIFE, Arc::new(Authority::create().unwrap()), None).await
}

pub async fn serve_with(
    limits: Limits,
    life: Duration,
    authority: Arc<Authority>,
    instead_of: Option<&Fake>,
) -> Served {
    let state = instead_of.map(|old| std::mem::take(&mut *old.state.lock().unwrap())).unwrap_or_default();
    let revision = state.revision;
    let fake = Arc::new(Fake { state: Mutex::new(state), calls: Calls::default(), life, hub: OnceLock::new() });
    let hub = Hub::with_limits(Arc::clone(&fake) as Arc<dyn Controller>, revision, limits);
    assert!(fake.hub.set(Arc::clone(&hub)).is_ok());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (end, ended) = oneshot::channel();
    let serving = proto::server::serve(
        listener,
        Arc::clone(&authority),
        vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        Arc::clone(&hub),
        async { drop(ended.await) },
    );
    let task = tokio::spawn(async { serving.await.unwrap() });
    Served { fake, hub, authority, address, end: Some(end), task }
}

impl Served {
    pub fn token(&self, id: &str) -> Token {
        let secret = format!("secret-of-{id}");
        self.fake.state.lock().unwrap().tokens.insert(id.to_owned(), (secret.clone(), None));
        Token { id: id.to_owned(), secret, fingerprint: self.authority.fingerprint().to_owned() }
    }

    pub async fn join(&self, name: &str) -> Enrolment {
        client::join(&self.address, &self.token(name), name, &facts()).await.unwrap()
    }

    pub async fn connect(&self, identity: &Identity, mirror: Mirror) -> Agent {
        let session = client::connect(&self.address, identity, &facts(), &mirror).await.unwrap();
        Agent { session, mirror }
    }

    pub async fn end(mut self) -> Arc<Fake> {
        self.end.take().unwrap().send(()).unwrap();
        self.task.await.unwrap();
        self.fake
    }

    /// Waits until a callback has been called so many times.
    pub async fn until_called(&self, call: &str, times: usize) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.fake.called(call) < times {
            assert!(tokio::time::Instant::now() < deadline, "{call}: {:?}", self.fake.calls.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

pub fn facts() -> HostFacts {
    HostFacts {
        version: "1.2.3".to_owned(),
        uplinks: vec![proto::Uplink {
            interface: "eth0".parse().unwrap(),
            addresses: vec!["192.168.4.11/24".parse().unwrap()],
            mtu: 1500,
        }],
        questions: vec!["weather".to_owned()],
    }
}

/// What an agent is made of, without a host.
pub struct Agent {
    pub session: Session,
    pub mirror: Mirror,
}

impl Agent {
    /// Hears all up to the next update and acknowledges it.
    pub async fn update(&mut self) -> Update {
        let update = self.unacknowledged().await;
        self.session.ack(update.revision).await.unwrap();
        update
    }

    pub async fn unacknowledged(&mut self) -> Update {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(60), self.session.next()).await;
            match self.mirror.hear(next.expect("in time").unwrap()).unwrap() {
                Heard::Synced(revision) => return self.mirror.commit(revision),
                Heard::Resync(topic) => self.session.resync(&topic).await.unwrap(),
                Heard::More | Heard::Handover(_) => {}
            }
        }
    }
}

pub fn host_topic(name: &str) -> TopicId {
    TopicId::Host(name.parse().unwrap())
}

pub fn network(number: u32) -> TopicId {
    format!("network/11111111-2222-3333-4444-{number:012}").parse().unwrap()
}

pub fn record(number: u32) -> Resource {
    let [_, a, b, c] = number.to_be_bytes();
    Resource::LookupRecord(LookupRecord {
        vsid: Vsid::new(5001).unwrap(),
        customer_address: Some([10, a, b, c].into()),
        mac: MacAddress::new([6, 6, 0, a, b, c]).unwrap(),
        provider_address: [192, 168, 4, 11].into(),
        rule: model::TranslationMethod::Encap,
        record_type: model::LookupRecordType::Static,
        vm_name: Some(format!("vm{number}")),
        customer_id: None,
        context: None,
        security_groups: Vec::new(),
    })
}

pub fn port(name: &str) -> Resource {
    let name: model::Name = name.parse().unwrap();
    Resource::Port(Port::new(name.clone(), name, MacAddress::new([6, 6, 0, 0, 0, 9]).unwrap(), None))
}

pub fn put(topic: TopicId, puts: impl IntoIterator<Item = Resource>) -> TopicChange {
    TopicChange { topic, puts: puts.into_iter().collect(), deletes: Vec::new() }
}
