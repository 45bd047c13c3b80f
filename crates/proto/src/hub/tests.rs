//! Topics and sessions without a network: what is encoded, kept, and sent to whom.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use model::{Change, LookupRecord, MacAddress, Resource, Vsid};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::encoded::counter::ENCODINGS;
use crate::wire::agent_message::Message as Said;
use crate::{Heard, HostFacts, JoinAsk, Joined, Mirror, Peer, Refused, Report, Station};

fn record(number: u16) -> Resource {
    let [high, low] = number.to_be_bytes();
    Resource::LookupRecord(LookupRecord {
        vsid: Vsid::new(5001).unwrap(),
        customer_address: Some([10, 0, high, low].into()),
        mac: MacAddress::new([6, 6, 0, 0, high, low]).unwrap(),
        provider_address: [192, 168, 4, 11].into(),
        rule: model::TranslationMethod::Encap,
        record_type: model::LookupRecordType::Static,
        vm_name: None,
        customer_id: None,
        context: None,
        security_groups: Vec::new(),
    })
}

fn network() -> TopicId {
    "network/11111111-2222-3333-4444-000000005001".parse().unwrap()
}

fn put(numbers: impl IntoIterator<Item = u16>) -> TopicChange {
    TopicChange { topic: network(), puts: numbers.into_iter().map(record).collect(), deletes: Vec::new() }
}

fn delete(number: u16) -> TopicChange {
    TopicChange { topic: network(), puts: Vec::new(), deletes: vec![record(number).key()] }
}

/// A controller of one network, which every host needs.
struct OneNetwork;

impl Controller for OneNetwork {
    fn join(&self, _: &JoinAsk) -> Result<Joined, Refused> {
        Err(Refused::Token("nobody joins here".to_owned()))
    }
    fn leave(&self, _: &Peer) -> Result<(), Refused> {
        Err(Refused::Conflict("nobody leaves here".to_owned()))
    }
    fn admit(&self, _: &Peer) -> Result<(), Refused> {
        Ok(())
    }
    fn certificate_life(&self) -> Duration {
        Duration::from_secs(60)
    }
    fn topics_of(&self, _: &ResourceName) -> BTreeSet<TopicId> {
        [network()].into()
    }
    fn topic(&self, _: &TopicId) -> TopicContent {
        TopicContent { revision: 1, items: vec![record(1)] }
    }
    fn connected(&self, _: &ResourceName, _: SocketAddr, _: HostFacts) {}
    fn disconnected(&self, _: &ResourceName) {}
    fn acked(&self, _: &ResourceName, _: u64) {}
    fn report(&self, _: &ResourceName, _: Report) {}
    fn successor(&self, _: &ResourceName, _: Station) -> Option<ResourceName> {
        None
    }
}

/// The same, but the host is deleted while it says hello.
struct Deleted;

impl Controller for Deleted {
    fn join(&self, ask: &JoinAsk) -> Result<Joined, Refused> {
        OneNetwork.join(ask)
    }
    fn leave(&self, peer: &Peer) -> Result<(), Refused> {
        OneNetwork.leave(peer)
    }
    fn admit(&self, _: &Peer) -> Result<(), Refused> {
        Err(Refused::Host("it was deleted".to_owned()))
    }
    fn certificate_life(&self) -> Duration {
        OneNetwork.certificate_life()
    }
    fn topics_of(&self, host: &ResourceName) -> BTreeSet<TopicId> {
        OneNetwork.topics_of(host)
    }
    fn topic(&self, topic: &TopicId) -> TopicContent {
        OneNetwork.topic(topic)
    }
    fn connected(&self, _: &ResourceName, _: SocketAddr, _: HostFacts) {
        unreachable!("nobody is connected");
    }
    fn disconnected(&self, _: &ResourceName) {}
    fn acked(&self, _: &ResourceName, _: u64) {}
    fn report(&self, _: &ResourceName, _: Report) {}
    fn successor(&self, _: &ResourceName, _: Station) -> Option<ResourceName> {
        None
    }
}

#[tokio::test]
async fn a_host_that_is_deleted_while_it_connects_is_told_nothing() {
    let hub = Hub::with_limits(Arc::new(Deleted), 1, Limits::default());
    let mut agent = Agent::connect(&hub, "host1", Mirror::default()).await;
    let heard = tokio::time::timeout(Duration::from_secs(10), agent.hears.next()).await.unwrap();
    let end = heard.expect("a reason").expect_err("no message");
    assert!(end.message().contains("does not know this host any more"), "{end}");
    assert!(!hub.is_connected(&"host1".parse().unwrap()));
}

#[tokio::test]
async fn what_is_published_while_a_host_comes_back_is_not_in_force_there_yet() {
    let hub = hub(Limits::default());
    let name = "host1".parse().unwrap();
    let mut agent = Agent::connect(&hub, "host1", Mirror::default()).await;
    agent.update().await;
    until(|| hub.in_force(&name) == Some(1)).await;
    // It has connected anew, and is not yet a subscriber again.
    let _session = hub.register(&name, super::asking::Asked::default());
    hub.publish(2, &[put([7])]);
    assert_eq!(hub.in_force(&name), Some(1));
    let mut agent = Agent::connect(&hub, "host1", agent.mirror.clone()).await;
    agent.update().await;
    until(|| hub.in_force(&name) == Some(2)).await;
    assert_eq!(agent.mirror.resources().len(), 2);
}

/// Limits with which a network of one record lingers.
fn lingering() -> Limits {
    Limits { linger_from: 0, ..Limits::default() }
}

/// A controller of networks with one record each, of which a host needs those that it is told.
#[derive(Default)]
struct Networks(Mutex<BTreeSet<TopicId>>);

impl Networks {
    fn change(&self, hub: &Hub, revision: u64, needed: impl IntoIterator<Item = TopicId>) {
        *self.0.lock() = needed.into_iter().collect();
        let host = TopicId::Host("host1".parse().unwrap());
        hub.publish(revision, &[TopicChange { topic: host, puts: Vec::new(), deletes: Vec::new() }]);
    }
}

impl Controller for Networks {
    fn join(&self, ask: &JoinAsk) -> Result<Joined, Refused> {
        OneNetwork.join(ask)
    }
    fn leave(&self, peer: &Peer) -> Result<(), Refused> {
        OneNetwork.leave(peer)
    }
    fn admit(&self, peer: &Peer) -> Result<(), Refused> {
        OneNetwork.admit(peer)
    }
    fn certificate_life(&self) -> Duration {
        OneNetwork.certificate_life()
    }
    fn topics_of(&self, _: &ResourceName) -> BTreeSet<TopicId> {
        self.0.lock().clone()
    }
    fn topic(&self, topic: &TopicId) -> TopicContent {
        OneNetwork.topic(topic)
    }
    fn connected(&self, _: &ResourceName, _: SocketAddr, _: HostFacts) {}
    fn disconnected(&self, _: &ResourceName) {}
    fn acked(&self, _: &ResourceName, _: u64) {}
    fn report(&self, _: &ResourceName, _: Report) {}
    fn successor(&self, _: &ResourceName, _: Station) -> Option<ResourceName> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_host_needs_no_more_is_kept_up_to_date_there_for_a_while_and_then_goes() {
    let controller = Arc::new(Networks::default());
    let hub = Hub::with_limits(Arc::clone(&controller) as Arc<dyn Controller>, 1, lingering());
    let mut agent = Agent::connect(&hub, "host1", Mirror::default()).await;
    agent.update().await;
    controller.change(&hub, 2, [network()]);
    assert_eq!(agent.update().await.0.changes, [Change::Set(record(1))]);
    // Its last port goes, and the network goes on changing.
    controller.change(&hub, 3, []);
    assert_eq!(agent.update().await.0.changes, []);
    hub.publish(4, &[put([2])]);
    assert_eq!(agent.update().await.0.changes, [Change::Set(record(2))]);
    // A port comes back in time, over a new connection too: nothing is to be said but that all is there.
    tokio::time::advance(Duration::from_secs(59)).await;
    controller.change(&hub, 5, [network()]);
    let (update, messages) = agent.update().await;
    assert_eq!((update.revision, update.changes.len(), messages), (5, 0, 1));
    controller.change(&hub, 6, []);
    agent.update().await;
    tokio::time::advance(Duration::from_secs(30)).await;
    let mut agent = Agent::connect(&hub, "host1", agent.mirror.clone()).await;
    let (update, messages) = agent.update().await;
    assert_eq!((update.revision, update.changes.len(), messages), (6, 0, 1));
    // No other comes. The agent is told when it is time, by nobody's doing.
    tokio::time::advance(Duration::from_secs(31)).await;
    let (update, messages) = agent.update().await;
    let gone = [1, 2].map(|number| Change::Delete(record(number).key()));
    assert_eq!((update.revision, update.changes.as_slice(), messages), (6, gone.as_slice(), 2));
    until(|| hub.in_force(&"host1".parse().unwrap()) == Some(6)).await;
    hub.publish(7, &[put([3])]);
    assert_eq!(hub.in_force(&"host1".parse().unwrap()), Some(7), "it is told no more of it");
}

#[tokio::test(start_paused = true)]
async fn what_an_absent_host_came_to_need_no_more_it_does_not_begin_to_keep() {
    let controller = Arc::new(Networks::default());
    let hub = Hub::with_limits(Arc::clone(&controller) as Arc<dyn Controller>, 1, lingering());
    controller.change(&hub, 2, [network()]);
    let mut agent = Agent::connect(&hub, "host1", Mirror::default()).await;
    agent.update().await;
    let mirror = agent.mirror.clone();
    drop(agent);
    until(|| !hub.is_connected(&"host1".parse().unwrap())).await;
    controller.change(&hub, 3, []);
    let mut agent = Agent::connect(&hub, "host1", mirror).await;
    assert_eq!(agent.update().await.0.changes, [Change::Delete(record(1).key())]);
}

#[test]
fn a_topic_weighs_what_it_takes_of_a_host() {
    let mut content = TopicContent { revision: 1, items: (0..100).map(record).collect() };
    assert_eq!(TopicState::new(&network(), &content).weight(), 101);
    content.items.push(Resource::Port(model::Port::new(
        "p".parse().unwrap(),
        "p".parse().unwrap(),
        MacAddress::new([6, 6, 0, 0, 0, 1]).unwrap(),
        None,
    )));
    assert_eq!(TopicState::new(&network(), &content).weight(), 105);
}

async fn until(holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it does not come to hold");
}

/// An agent without a network.
struct Agent {
    mirror: Mirror,
    says: Sender<Result<wire::AgentMessage, tonic::Status>>,
    hears: outgoing::Outgoing,
}

impl Agent {
    async fn connect(hub: &Arc<Hub>, host: &str, mirror: Mirror) -> Self {
        let (says, said) = channel(16);
        let peer = Peer {
            host: host.parse().unwrap(),
            uid: String::new(),
            fingerprint: String::new(),
            not_after: SystemTime::now(),
        };
        let hears = hub.open(peer, ([127, 0, 0, 1], 1).into(), ReceiverStream::new(said).boxed());
        let agent = Self { mirror, says, hears };
        let facts = Some(wire::HostFacts::default());
        agent.say(Said::Hello(wire::Hello { facts, topics: agent.mirror.known() })).await;
        agent
    }

    async fn say(&self, message: Said) {
        self.says.send(Ok(wire::AgentMessage { message: Some(message) })).await.unwrap();
    }

    /// Hears all up to the next update, and says how many messages that were.
    async fn update(&mut self) -> (crate::Update, usize) {
        for count in 1.. {
            let message = tokio::time::timeout(Duration::from_secs(10), self.hears.next()).await.expect("in time");
            match self.mirror.hear(message.expect("the session is on").unwrap()).unwrap() {
                Heard::Synced(revision) => {
                    let update = self.mirror.commit(revision);
                    self.say(Said::Ack(wire::Ack { revision: update.revision })).await;
                    return (update, count);
                }
                Heard::Resync(topic) => self.say(Said::Resync(wire::Resync { topic: topic.to_string() })).await,
                Heard::More | Heard::Handover(_) => {}
            }
        }
        unreachable!("counting ends with an update")
    }
}

fn hub(limits: Limits) -> Arc<Hub> {
    Hub::with_limits(Arc::new(OneNetwork), 1, limits)
}

#[tokio::test]
async fn a_change_is_encoded_once_for_all_its_subscribers() {
    let hub = hub(Limits::default());
    let mut agents = Vec::new();
    for number in 0..50 {
        let mut agent = Agent::connect(&hub, &format!("host{number}"), Mirror::default()).await;
        agent.update().await;
        agents.push(agent);
    }
    let before = ENCODINGS.with(std::cell::Cell::get);
    hub.publish(2, &[put([7])]);
    let encodings = ENCODINGS.with(std::cell::Cell::get) - before;
    assert_eq!(encodings, 2, "the change, and that it is complete");
    for agent in &mut agents {
        let (update, _) = agent.update().await;
        assert_eq!((update.revision, update.changes), (2, vec![model::Change::Set(record(7))]));
    }
}

#[tokio::test]
async fn who_comes_back_gets_what_it_missed_and_no_more() {
    let hub = hub(Limits { log_entries: 3, ..Limits::default() });
    let mut agent = Agent::connect(&hub, "host1", Mirror::default()).await;
    let (first, _) = agent.update().await;
    assert_eq!(first.changes.len(), 1);
    let mirror = agent.mirror.clone();
    drop(agent);
    let mut same = Agent::connect(&hub, "host1", mirror.clone()).await;
    assert_eq!(same.update().await.1, 1, "the digest is the same: nothing but Synced");
    drop(same);
    hub.publish(2, &[put([2])]);
    hub.publish(3, &[delete(1), put([3])]);
    let mut late = Agent::connect(&hub, "host1", mirror.clone()).await;
    let (update, messages) = late.update().await;
    assert_eq!((update.changes.len(), messages), (3, 4), "three changes and Synced");
    hub.publish(4, &[put([4])]);
    late.update().await;
    // The first change is out of the log now.
    let mut too_late = Agent::connect(&hub, "host1", mirror).await;
    let (update, messages) = too_late.update().await;
    assert_eq!((update.changes.len(), messages), (4, 2), "a snapshot and Synced");
    assert_eq!(too_late.mirror.resources(), late.mirror.resources());
}

#[tokio::test]
async fn an_agent_whose_topic_differs_gets_it_anew() {
    let hub = hub(Limits::default());
    let mut agent = Agent::connect(&hub, "host1", Mirror::default()).await;
    agent.update().await;
    hub.publish(2, &[put([2])]);
    // Lost on the way, which TCP does not do, but a bug might.
    for _ in 0..2 {
        agent.hears.next().await.unwrap().unwrap();
    }
    hub.publish(3, &[put([3])]);
    let (update, _) = agent.update().await;
    assert_eq!((update.revision, agent.mirror.resources()), (3, vec![record(1), record(2), record(3)]));
}

#[tokio::test]
async fn an_agent_that_does_not_read_is_dropped_and_resumes() {
    let hub = hub(Limits { queue: 8, ..Limits::default() });
    let mut agent = Agent::connect(&hub, "host1", Mirror::default()).await;
    agent.update().await;
    let host: ResourceName = "host1".parse().unwrap();
    for number in 2..100 {
        hub.publish(number.into(), &[put([number])]);
        tokio::task::yield_now().await;
    }
    assert!(!hub.is_connected(&host), "its queue is full");
    assert_ne!(hub.in_force(&host), Some(99));
    let mut mirror = agent.mirror.clone();
    mirror.reset();
    let mut again = Agent::connect(&hub, "host1", mirror).await;
    again.update().await;
    assert_eq!(again.mirror.resources().len(), 99);
    while hub.in_force(&host) != Some(99) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_does_not_touch_a_host_is_in_force_there_at_once() {
    let hub = hub(Limits::default());
    let host: ResourceName = "host1".parse().unwrap();
    assert_eq!(hub.in_force(&host), None);
    let mut agent = Agent::connect(&hub, "host1", Mirror::default()).await;
    agent.update().await;
    while hub.in_force(&host) != Some(1) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hub.publish(2, &[]);
    assert_eq!(hub.in_force(&host), Some(2));
    hub.publish(3, &[put([3])]);
    assert_eq!(hub.in_force(&host), Some(1), "it has not acknowledged");
    hub.disconnect(&host);
    assert_eq!(hub.in_force(&host), None);
}

#[test]
fn large_topics_and_large_changes_go_in_pieces() {
    let limits = Limits { message_bytes: 1000, ..Limits::default() };
    let content = TopicContent { revision: 1, items: (0..200).map(record).collect() };
    let mut topic = TopicState::new(&network(), &content);
    let mut mirror = Mirror::default();
    let mut hear = |messages: &[Encoded], revision| {
        assert!(messages.len() > 3 && messages.iter().all(|message| message.len() < 1200), "{}", messages.len());
        for message in messages {
            assert_eq!(mirror.hear(message.clone()), Ok(Heard::More));
        }
        let synced = mirror.hear(Encoded::new(Message::Synced(wire::Synced { revision })));
        assert_eq!(synced, Ok(Heard::Synced(revision)));
        let update = mirror.commit(revision);
        (update.changes.len(), mirror.resources().len())
    };
    let CatchUp::Snapshot(snapshot) = topic.catch_up(None, &limits) else { panic!("no snapshot") };
    assert_eq!(hear(&snapshot, 1), (200, 200));
    let deletes = (0..100).map(|number| record(number).key()).collect();
    let change = TopicChange { topic: network(), puts: (200..300).map(record).collect(), deletes };
    let messages = topic.change(2, &change, &limits);
    assert_eq!(hear(&messages, 2), (200, 200));
}

#[test]
fn the_log_of_a_topic_is_bounded() {
    let limits = Limits { log_bytes: 2000, ..Limits::default() };
    let mut topic = TopicState::new(&network(), &TopicContent::default());
    for number in 1..=1000 {
        topic.change(number.into(), &put([number]), &limits);
        assert!(topic.log_bytes() <= 2000);
    }
    assert!(topic.change(1001, &put([5]), &limits).is_empty(), "nothing has changed, nothing is said");
}

#[test]
fn each_is_told_what_it_needs_of_a_revision_and_once() {
    let other: TopicId = "network/11111111-2222-3333-4444-000000005002".parse().unwrap();
    let own = |host: &str| TopicId::Host(host.parse().unwrap());
    let loaded = |topic: &TopicId, hosts: &[&str]| {
        let mut state = TopicState::new(topic, &TopicContent::default());
        state.subscribers = hosts.iter().map(|host| host.parse().unwrap()).collect();
        (topic.clone(), Slot::Loaded(Box::new(state)))
    };
    let topics: HashMap<TopicId, Slot> = [
        loaded(&network(), &["a", "b", "c"]),
        loaded(&other, &["b", "c", "d"]),
        loaded(&own("b"), &["b"]),
        (own("e"), Slot::Loading(Vec::new())),
    ]
    .into();
    let told = |changed: &[TopicId]| {
        let change = |topic: &TopicId| TopicChange { topic: topic.clone(), puts: Vec::new(), deletes: Vec::new() };
        let changes: Vec<TopicChange> = changed.iter().map(change).collect();
        let all = wanted(&topics, &changes);
        let owns = all.iter().take_while(|wanted| wanted.own).count();
        assert!(all[owns..].iter().all(|wanted| !wanted.own), "those with most to do are first");
        let each = all.into_iter().map(|Wanted { host, places, own }| (host.to_string(), (places, own)));
        let count = each.len();
        let each: BTreeMap<String, (Vec<usize>, bool)> = each.collect();
        assert_eq!(each.len(), count, "once");
        each.into_iter().map(|(host, (places, own))| (host, places, own)).collect::<Vec<_>>()
    };
    let is = |host: &str, places: &[usize], own| (host.to_owned(), places.to_vec(), own);
    assert_eq!(told(&[network()]), [is("a", &[0], false), is("b", &[0], false), is("c", &[0], false)]);
    assert_eq!(
        told(&[own("b"), own("e"), network()]),
        [is("a", &[2], false), is("b", &[0, 2], true), is("c", &[2], false), is("e", &[], true)]
    );
    assert_eq!(
        told(&[network(), own("d"), other]),
        [is("a", &[0], false), is("b", &[0, 2], false), is("c", &[0, 2], false), is("d", &[2], true)]
    );
}
