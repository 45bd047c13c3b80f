//! Sessions over TLS on loopback: what hosts learn, when, and after what.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{CERTIFICATE_LIFE, facts, host_topic, network, port, put, record, serve, serve_with};
use model::Change;
use model::gateway::{CompartmentReport, ConnectionReport, ConnectionState, GatewayReport};
use pipeline::flow::FlowKey;
use pipeline::policy::Direction;
use pipeline::track::{Phase, State};
use pipeline::travel::Traveller;
use proto::ca::Authority;
use proto::{Handover, Heard, Lease, Limits, Mirror, PortReport, Report, Station, TopicChange, Uplink, client};

#[tokio::test]
async fn a_host_learns_what_its_ports_need_and_forgets_it_with_them() {
    let at_once = Limits { linger: Duration::ZERO, ..Limits::default() };
    let served = serve_with(at_once, CERTIFICATE_LIFE, Arc::new(Authority::create().unwrap()), None).await;
    let identity = served.join("host1").await.identity;
    served.fake.publish(&[put(network(1), [record(1), record(2)]), put(network(2), [record(3)])]);
    let mut agent = served.connect(&identity, Mirror::default()).await;
    assert!(agent.update().await.changes.is_empty(), "no port, nothing to know");
    // A port comes: with it, in the same update, comes the network.
    served.fake.needs("host1", &[network(1)]);
    let revision = served.fake.publish(&[put(host_topic("host1"), [port("p1")])]);
    let update = agent.update().await;
    assert_eq!(update.revision, revision);
    let expected = vec![Change::Set(record(1)), Change::Set(record(2)), Change::Set(port("p1"))];
    assert_eq!(update.changes, expected);
    served.until_called(&format!("acked host1 {revision}"), 1).await;
    assert_eq!(served.hub.in_force(&identity_host()), Some(revision));
    // It goes, and the network with it.
    served.fake.needs("host1", &[]);
    served.fake.publish(&[TopicChange {
        topic: host_topic("host1"),
        puts: Vec::new(),
        deletes: vec![port("p1").key()],
    }]);
    assert_eq!(agent.update().await.changes.len(), 3);
    assert!(agent.mirror.resources().is_empty());
}

fn identity_host() -> model::fabric::ResourceName {
    "host1".parse().unwrap()
}

#[tokio::test]
async fn a_restarted_controller_sends_nothing_to_who_has_it_all() {
    let served = serve().await;
    let identity = served.join("host1").await.identity;
    served.fake.needs("host1", &[network(1)]);
    served.fake.publish(&[put(network(1), (0..1000).map(record))]);
    let mut agent = served.connect(&identity, Mirror::default()).await;
    assert_eq!(agent.update().await.changes.len(), 1000);
    let mirror = agent.mirror.clone();
    let authority = Arc::clone(&served.authority);
    let old = served.end().await;
    let mut agent_end = agent;
    assert!(agent_end.session.next().await.is_err(), "the session has ended with the controller");
    let served = serve_with(Limits::default(), CERTIFICATE_LIFE, authority, Some(&old)).await;
    let mut agent = served.connect(&identity, mirror).await;
    let update = agent.update().await;
    assert!(update.changes.is_empty());
    assert_eq!(agent.mirror.resources().len(), 1000);
    // And goes on with what comes.
    served.fake.publish(&[put(network(1), [record(2000)])]);
    assert_eq!(agent.update().await.changes, vec![Change::Set(record(2000))]);
}

#[tokio::test]
async fn many_agents_that_come_at_once_load_a_topic_once() {
    let served = serve().await;
    served.fake.publish(&[put(network(1), (0..100).map(record))]);
    let mut agents = Vec::new();
    for number in 0..20 {
        let name = format!("host{number}");
        served.fake.needs(&name, &[network(1)]);
        agents.push(served.join(&name).await.identity);
    }
    let sessions = agents.iter().map(|identity| async {
        let mut agent = served.connect(identity, Mirror::default()).await;
        agent.update().await;
        agent
    });
    let mut agents = futures_util::future::join_all(sessions).await;
    assert_eq!(served.fake.called(&format!("topic {}", network(1))), 1);
    let revision = served.fake.publish(&[put(network(1), [record(100)])]);
    for agent in &mut agents {
        assert_eq!(agent.update().await.revision, revision);
        assert_eq!(agent.mirror.resources().len(), 101);
    }
}

#[tokio::test]
async fn changes_during_a_cold_start_are_not_lost() {
    let served = serve().await;
    let identity = served.join("host1").await.identity;
    served.fake.needs("host1", &[network(1)]);
    let fake = Arc::clone(&served.fake);
    let publisher = tokio::task::spawn_blocking(move || {
        for number in 0..500 {
            fake.publish(&[put(network(1), [record(number)])]);
            std::thread::sleep(Duration::from_micros(200));
        }
    });
    let mut mirror = Mirror::default();
    // Comes and goes all the while.
    while !publisher.is_finished() {
        let mut agent = served.connect(&identity, mirror).await;
        agent.update().await;
        // Whatever comes within this time; after the last change nothing does.
        let _ = tokio::time::timeout(Duration::from_millis(20), agent.update()).await;
        mirror = agent.mirror;
        mirror.reset();
    }
    publisher.await.unwrap();
    let mut agent = served.connect(&identity, mirror).await;
    agent.update().await;
    assert_eq!(agent.mirror.resources().len(), 500);
}

#[tokio::test]
async fn an_agent_that_does_not_read_is_dropped_alone() {
    let limits = Limits { queue: 64, ..Limits::default() };
    let authority = Arc::new(proto::ca::Authority::create().unwrap());
    let served = serve_with(limits, CERTIFICATE_LIFE, authority, None).await;
    let (slow, good) = (served.join("slow").await.identity, served.join("good").await.identity);
    served.fake.needs("slow", &[network(1)]);
    served.fake.needs("good", &[network(1)]);
    let mut asleep = served.connect(&slow, Mirror::default()).await;
    asleep.update().await;
    let mut agent = served.connect(&good, Mirror::default()).await;
    agent.update().await;
    // More than TCP, TLS and HTTP/2 take without a reader.
    let mut published = 0;
    while served.fake.called("disconnected slow") == 0 {
        assert!(published < 3000, "it is never dropped");
        served.fake.publish(&[put(network(1), (0..500).map(|number| record(published * 500 + number)))]);
        published += 1;
        agent.update().await;
    }
    assert_eq!(served.fake.called("disconnected good"), 0);
    assert!(served.hub.is_connected(&"good".parse().unwrap()));
    let mut mirror = asleep.mirror.clone();
    mirror.reset();
    let mut back = served.connect(&slow, mirror).await;
    back.update().await;
    assert_eq!(back.mirror.resources().len(), agent.mirror.resources().len());
}

#[tokio::test]
async fn a_report_arrives_as_it_was_said() {
    let served = serve().await;
    let identity = served.join("host1").await.identity;
    let agent = served.connect(&identity, Mirror::default()).await;
    let report = Report {
        ports: vec![PortReport { name: "p1".parse().unwrap(), bound: true }],
        findings: vec!["port p2: there is no device".to_owned()],
        learnt: vec![proto::LearntAddress {
            vsid: model::Vsid::new(5001).unwrap(),
            mac: model::MacAddress::new([6, 6, 0, 0, 0, 5]).unwrap(),
            address: "10.0.0.5".parse().unwrap(),
        }],
        uplinks: vec![Uplink {
            interface: "eth0".parse().unwrap(),
            addresses: vec!["fd00::1/64".parse().unwrap()],
            mtu: 9000,
        }],
        arrived: vec![proto::Station {
            vsid: model::Vsid::new(5001).unwrap(),
            mac: "06-06-00-00-00-05".parse().unwrap(),
        }],
        departures: vec![proto::Departure { station: vm(), sent_on: 3, lost: Some(0), flows: 4 }],
    };
    agent.session.report(&report).await.unwrap();
    served.until_called(&format!("report host1 {report:?}"), 1).await;
    served.until_called("connected host1 1.2.3", 1).await;
    drop(agent);
    served.until_called("disconnected host1", 1).await;
}

#[tokio::test]
async fn what_a_gateway_says_arrives_as_it_was_said() {
    let served = serve().await;
    let identity = served.join("host1").await.identity;
    let agent = served.connect(&identity, Mirror::default()).await;
    let mut report = gateway_report(1, 3);
    agent.session.report_gateway(&report).await.unwrap();
    served.until_called(&format!("gateway report host1 {report:?}"), 1).await;
    // What does not fit into a message loses what was learnt, and nothing else.
    let mut large = gateway_report(2000, 100);
    agent.session.report_gateway(&large).await.unwrap();
    large.compartments.iter_mut().for_each(|of| of.connections[0].learnt.clear());
    served.until_called(&format!("gateway report host1 {large:?}"), 1).await;
    report.trouble = Some("nftables is not installed".to_owned());
    agent.session.report_gateway(&report).await.unwrap();
    served.until_called(&format!("gateway report host1 {report:?}"), 1).await;
}

/// A report of so many compartments, each of which has learnt so many prefixes.
fn gateway_report(compartments: usize, prefixes: usize) -> GatewayReport {
    let connection = ConnectionReport {
        name: "site".parse().unwrap(),
        state: ConnectionState::Up,
        reason: None,
        carriers: vec!["bird".to_owned()],
        addresses: vec!["192.0.2.1".parse().unwrap()],
        public_key: None,
        learnt: vec!["2001:db8:1234:5678::/64".parse().unwrap(); prefixes],
        sessions: Some(5),
        refused: 0,
        received_bytes: 7,
        sent_bytes: 8,
    };
    let compartment = |number| CompartmentReport {
        name: format!("aaa/net{number}").parse().unwrap(),
        namespace: format!("nvgw-{number}"),
        trouble: None,
        connections: vec![connection.clone()],
    };
    GatewayReport { compartments: (0..compartments).map(compartment).collect(), ..GatewayReport::default() }
}

#[tokio::test]
async fn a_second_session_of_a_host_ends_the_first() {
    let served = serve().await;
    let identity = served.join("host1").await.identity;
    let mut first = served.connect(&identity, Mirror::default()).await;
    first.update().await;
    let mut second = served.connect(&identity, Mirror::default()).await;
    second.update().await;
    let error = first.session.next().await.unwrap_err().to_string();
    assert!(error.contains("connected anew"), "{error}");
    assert_eq!(served.fake.called("disconnected host1"), 0, "the host is connected all the while");
    let session = client::connect(&served.address, &identity, &facts(), &second.mirror).await;
    assert!(session.is_ok());
}

/// Prints, and does not judge: the machine decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_records_and_then_one() {
    let served = serve().await;
    let identity = served.join("host1").await.identity;
    served.fake.needs("host1", &[network(1)]);
    served.fake.publish(&[put(network(1), (0..100_000).map(record))]);
    let begin = Instant::now();
    let mut agent = served.connect(&identity, Mirror::default()).await;
    let update = agent.update().await;
    println!("cold sync of {} records: {:?}", update.changes.len(), begin.elapsed());
    assert_eq!(update.changes.len(), 100_000);
    let mut again = served.connect(&identity, Mirror::default()).await;
    let begin = Instant::now();
    again.update().await;
    println!("the same from the encoded snapshot: {:?}", begin.elapsed());
    let mut times = Vec::new();
    for number in 100_000..100_200 {
        let begin = Instant::now();
        let revision = served.fake.publish(&[put(network(1), [record(number)])]);
        again.update().await;
        while served.hub.in_force(&identity_host()) != Some(revision) {
            tokio::task::yield_now().await;
        }
        times.push(begin.elapsed());
    }
    times.sort();
    println!("from publish to acknowledgement: p50 {:?}, p99 {:?}", times[100], times[198]);
}

fn vm() -> Station {
    let (vsid, mac) = (model::Vsid::new(5001).unwrap(), "06-06-00-00-00-05".parse().unwrap());
    Station { vsid, mac }
}

/// As much as fits into one message.
fn handover() -> Handover {
    let flow = |number: usize| Traveller {
        key: FlowKey {
            vsid: 5001,
            ports: number as u32,
            mac: vm().mac.octets(),
            protocol: 6,
            reserved: 0,
            local: pipeline::Address::v4([10, 0, 0, 5]),
            remote: pipeline::Address::v4([10, 0, 0, 7]),
        },
        state: State { phase: Phase::Closing, opener: Direction::Ingress, remote_fin: true, ..State::default() }
            .to_bits(),
        idle: u64::MAX,
        from_packets: 1,
        from_bytes: 2,
        to_packets: 3,
        to_bytes: 4,
    };
    let lease =
        Lease { address: "fd00::5".parse().unwrap(), state: model::LeaseState::Bound, age: Duration::from_secs(5) };
    Handover { station: vm(), flows: (0..Handover::MAX_FLOWS).map(flow).collect(), leases: vec![lease] }
}

#[tokio::test]
async fn what_a_vm_takes_with_it_comes_to_the_host_that_it_goes_to_and_to_no_other() {
    let served = serve().await;
    let mut agents = Vec::new();
    for name in ["host1", "host2", "host3"] {
        let identity = served.join(name).await.identity;
        agents.push(served.connect(&identity, Mirror::default()).await);
    }
    for agent in &mut agents {
        agent.update().await;
    }
    // Nobody knows where it goes: it is said to nobody.
    agents[0].session.hand_over(&handover()).await.unwrap();
    served.until_called("successor of host1", 1).await;
    served.fake.all_go_to("host2");
    agents[0].session.hand_over(&handover()).await.unwrap();
    let message = tokio::time::timeout(Duration::from_secs(60), agents[1].session.next()).await;
    let heard = agents[1].mirror.hear(message.expect("in time").unwrap()).unwrap();
    assert_eq!(heard, Heard::Handover(handover()));
    // One who is not there loses it, and everybody goes on.
    served.fake.all_go_to("host4");
    agents[0].session.hand_over(&handover()).await.unwrap();
    served.until_called("successor of host1", 3).await;
    served.fake.publish(&[put(host_topic("host3"), [port("p1")])]);
    assert_eq!(agents[2].update().await.changes, vec![Change::Set(port("p1"))]);
    // More than fits is no message.
    let mut more = handover();
    more.flows.push(more.flows[0]);
    agents[0].session.hand_over(&more).await.unwrap();
    assert!(agents[0].session.next().await.is_err(), "the session has ended");
}
