//! A host with a controller: joins, learns, reports, renews, and goes on without it.
//!
//! The agent is this very program, run again in a network namespace of its own (see [`agent_process`]); the controller
//! is a hub in the test. It needs root, for the namespace and the kernel programs.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host::{Netlink, VethEnd};
use model::{MacAddress, Port, ProviderAddress, Resource, Vsid};
use proto::Token;
use proto::ca::Authority;

use support::{Agent, CONTROLLER, Fake, Machine, Served, State, host_topic, network};

/// Says which configuration the agent runs, in the process that is the agent.
const AGENT: &str = "NETVIRT_TEST_AGENT";
/// Says how it joins, in the process that joins: address, token and state folder, with spaces between them.
const JOIN: &str = "NETVIRT_TEST_JOIN";

/// How long certificates live here: long enough to start an agent, short enough to see them renewed.
const LIFE: Duration = Duration::from_secs(9);

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

fn start(machine: &Machine) -> Agent {
    let arguments = ["--exact", "agent_process", "--nocapture"];
    machine.start(machine.again(&arguments, AGENT, machine.path("agent.yaml").to_str().unwrap()))
}

fn join(machine: &Machine, token: &Token) -> std::process::Output {
    let told = format!("{CONTROLLER} {token} {}", machine.path("state").display());
    machine.again(&["--exact", "join_process", "--nocapture"], JOIN, &told).output().unwrap()
}

fn until_addresses(machine: &Machine, wanted: &[&str]) {
    let end = Instant::now() + Duration::from_secs(10);
    while addresses(machine) != wanted {
        assert!(Instant::now() < end, "{:?}", addresses(machine));
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn addresses(machine: &Machine) -> Vec<String> {
    let link = Netlink::in_namespace(&machine.namespace).unwrap().link("eth0").unwrap();
    link.addresses.iter().map(ToString::to_string).filter(|address| !address.starts_with("fe80")).collect()
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
fn joins_once(machine: &Machine, fake: &Fake, authority: &Authority) {
    let token = Token { id: "t".into(), secret: "secret".into(), fingerprint: authority.fingerprint().to_owned() };
    let refused = join(machine, &Token { secret: "guess".into(), ..token.clone() });
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("the secret is wrong") && !machine.path("state/controller.yaml").exists(), "{said}");
    let joined = join(machine, &token);
    assert!(String::from_utf8_lossy(&joined.stdout).contains("joined as host1"), "{joined:?}");
    assert_eq!(
        fake.state.lock().unwrap().facts.clone().unwrap().uplinks[0].addresses[0].to_string(),
        "192.168.4.11/24"
    );
    let again = join(machine, &token);
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
    let served = Served::start(&machine.namespace, &authority, Fake::new(LIFE));
    let fake = Arc::clone(&served.fake);

    joins_once(&machine, &fake, &authority);

    // What is published before the agent starts, and after: addresses of a pool come with it and go with it.
    let first = [provider("192.168.4.200"), record(5, "192.168.4.200"), route()];
    fake.publish(host_topic(), &first[..1], &[]);
    fake.publish(network(), &first[1..], &[]);
    let agent = start(&machine);
    fake.until_in_force(2);
    assert_eq!(addresses(&machine), ["192.168.4.11/24", "192.168.4.200/24"]);
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
    until_addresses(&machine, &["192.168.4.11/24", "192.168.4.200/24"]);

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
    let agent = start(&machine);
    let alone = machine.status().unwrap();
    assert_eq!((alone.ports, alone.records, alone.routes), (known.ports, known.records, known.routes));
    assert!(alone.drift.is_empty(), "{:?}", alone.drift);
    let controller = alone.controller.unwrap();
    assert!(!controller.connected && controller.address == CONTROLLER, "{controller:?}");

    // The controller comes back: nothing needs to be said but what is new.
    let served = Served::start(&machine.namespace, &authority, fake);
    let fake = Arc::clone(&served.fake);
    let revision = fake.publish(host_topic(), &[provider("192.168.4.201")], &[&port(5), &provider("192.168.4.200")]);
    fake.until_in_force(revision);
    until_addresses(&machine, &["192.168.4.11/24", "192.168.4.201/24"]);
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
