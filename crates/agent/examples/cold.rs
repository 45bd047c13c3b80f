//! Measures how long a host takes whose first port makes it need a large network, until all records of that are in its
//! kernel, and until they are forgotten again: `cargo run --release -p agent --example cold -- [RECORDS [ROUNDS]]`, as
//! root. Processor times are those of the agent alone; `RUST_LOG=agent=debug` has it say where they go.

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{
    CustomerRoute, LookupRecord, LookupRecordType, MacAddress, Port, ProviderAddress, Resource, TranslationMethod, Vsid,
};
use proto::ca::Authority;
use proto::{Heard, HostFacts, Mirror, Token, TopicChange};
use support::{CONTROLLER, Fake, Machine, Served, host_topic, host1, network};

/// Says which configuration the agent runs, in the process that is the agent.
const AGENT: &str = "NETVIRT_EXAMPLE_AGENT";
/// How many hosts the records are spread over.
const HOSTS: u32 = 1000;
/// Longer than this takes.
const LIFE: Duration = Duration::from_secs(24 * 3600);

fn main() {
    if let Ok(config) = std::env::var(AGENT) {
        agent::run(Path::new(&config), false).unwrap();
        return;
    }
    let mut arguments = std::env::args().skip(1);
    let records = arguments.next().map_or(100_000, |number| number.parse().expect("a number of records"));
    let rounds = arguments.next().map_or(5, |number| number.parse().expect("a number of rounds"));
    let machine = Machine::new();
    machine.write_config();
    let authority = Arc::new(Authority::create().unwrap());
    let served = Served::start(&machine.namespace, &authority, Fake::new(LIFE));
    let fake = Arc::clone(&served.fake);
    fake.state.lock().unwrap().without_network.insert(host1());
    let mut resources: Vec<Resource> = (0..records).map(record).collect();
    resources.push(route());
    fake.publish(network(), &resources, &[]);
    fake.publish(host_topic(), &[provider()], &[]);
    join(&machine, &authority);
    other_host(&machine, &authority);
    let mut best = [f64::INFINITY; 2];
    for _ in 0..rounds {
        let [wall, processor] = round(&machine, &fake, records);
        best = [best[0].min(wall), best[1].min(processor)];
    }
    println!("{:>8.3} s at best, {:.3} s of the agent's processor time at best", best[0], best[1]);
    served.end();
}

/// An agent that starts knowing nothing, and then gets its first port.
fn round(machine: &Machine, fake: &Fake, records: u32) -> [f64; 2] {
    fake.state.lock().unwrap().without_network.insert(host1());
    let before = fake.publish(host_topic(), &[], &[&port(records)]);
    let command = machine.again(&[], AGENT, machine.path("agent.yaml").to_str().unwrap());
    let agent = machine.start(command);
    fake.until_in_force(before);
    let pid = agent.0.id();
    let (began, processor) = (Instant::now(), processor_time(pid));
    fake.state.lock().unwrap().without_network.clear();
    let port = TopicChange { topic: host_topic(), puts: vec![port(records)], deletes: vec![] };
    // The network changes with the port, and so has to be encoded anew.
    let its = TopicChange { topic: network(), puts: vec![record(records)], deletes: vec![] };
    let revision = fake.publish_all(&[port, its]);
    fake.until_in_force(revision);
    let took = [began.elapsed(), processor_time(pid).saturating_sub(processor)].map(|took| took.as_secs_f64());
    let [wall, its] = took;
    println!("{wall:>8.3} s until {records} records are in the kernel, {its:.3} s of the agent's processor time");
    assert_eq!(machine.status().unwrap().records, records as usize + 1);
    let (began, processor) = (Instant::now(), processor_time(pid));
    fake.state.lock().unwrap().without_network.insert(host1());
    fake.until_in_force(fake.publish(host_topic(), &[], &[&self::port(records)]));
    let (wall, its) = (began.elapsed().as_secs_f64(), processor_time(pid).saturating_sub(processor).as_secs_f64());
    println!("{wall:>8.3} s until they are forgotten, {its:.3} s of the agent's processor time");
    drop(agent);
    std::fs::remove_file(machine.path("state/topics.log")).unwrap();
    std::fs::remove_dir_all(&machine.bpffs).unwrap();
    took
}

/// How long a process has been on a processor, threads that have ended included (proc_pid_stat(5): `utime` and `stime`, in
/// hundredths of a second).
fn processor_time(pid: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name of the program, in brackets, may hold anything.
    let (_, fields) = text.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

fn join(machine: &Machine, authority: &Authority) {
    let options = agent::JoinOptions {
        controller: CONTROLLER.to_owned(),
        token: token(authority).to_string(),
        uplinks: vec!["eth0".to_owned()],
        name: Some("host1".to_owned()),
        state: machine.path("state"),
        force: false,
    };
    machine.namespace.run(|| agent::join(&options).unwrap()).unwrap();
}

fn token(authority: &Authority) -> Token {
    Token { id: "t".into(), secret: "secret".into(), fingerprint: authority.fingerprint().to_owned() }
}

/// Another host that needs the network, so that the controller has it ready; it carries nothing out.
fn other_host(machine: &Machine, authority: &Authority) {
    let (ready, is_ready) = std::sync::mpsc::channel();
    let token = token(authority);
    let facts = HostFacts::default();
    let live = async move {
        let enrolment = proto::client::join(CONTROLLER, &token, "host2", &facts).await.unwrap();
        let mut mirror = Mirror::default();
        let mut session = proto::client::connect(CONTROLLER, &enrolment.identity, &facts, &mirror).await.unwrap();
        while let Ok(message) = session.next().await {
            if let Heard::Synced(revision) = mirror.hear(message).unwrap() {
                drop(mirror.commit(revision));
                session.ack(revision).await.unwrap();
                let _ = ready.send(());
            }
        }
    };
    let namespace = machine.namespace.clone();
    std::thread::spawn(move || {
        let body = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(live);
        namespace.run(body).unwrap();
    });
    is_ready.recv().unwrap();
}

fn vsid() -> Vsid {
    Vsid::new(5001).unwrap()
}

fn mac(number: u32) -> MacAddress {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddress::new([0x06, 0x06, a, b, c, d]).unwrap()
}

fn record(number: u32) -> Resource {
    Resource::LookupRecord(LookupRecord {
        vsid: vsid(),
        customer_address: Some(Ipv4Addr::from_bits(0x0a00_0100 + number).into()),
        mac: mac(number),
        provider_address: Ipv4Addr::from_bits(0xc0a8_0400 + 12 + number % HOSTS).into(),
        rule: TranslationMethod::Encap,
        record_type: LookupRecordType::Static,
        vm_name: Some(format!("vm{number}")),
        customer_id: None,
        context: None,
        security_groups: Vec::new(),
    })
}

fn route() -> Resource {
    Resource::CustomerRoute(CustomerRoute {
        rdid: "11111111-2222-3333-4444-000000005001".parse().unwrap(),
        vsid: vsid(),
        prefix: "10.0.0.0/8".parse().unwrap(),
        next_hop: "0.0.0.0".parse().unwrap(),
        metric: 0,
    })
}

fn provider() -> Resource {
    Resource::ProviderAddress(ProviderAddress {
        address: "192.168.4.11".parse().unwrap(),
        interface: "eth0".parse().unwrap(),
        prefix_length: 24,
    })
}

fn port(number: u32) -> Resource {
    Resource::Port(Port::new("first".parse().unwrap(), "tap".parse().unwrap(), mac(number), Some(vsid())))
}
