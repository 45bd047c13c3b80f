//! A host that is a gateway: what is declared reaches whoever asks for work, as it changes; what that reports is shown, and
//! told to the controller. Secrets go where they are needed and nowhere else.
//!
//! The agent is this very program, run again in a network namespace of its own (see [`agent_process`]); the gateway is a
//! client in the test. It needs root, for the namespace and the kernel programs.

#[allow(dead_code, reason = "this test needs less of the machine than others")]
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use api::{Change, ChangeSet, Client, ClientError, CompartmentStatus, GatewayStatus, GatewayWork, RealizedState};
use host::Netlink;
use model::gateway::{CompartmentReport, ConnectionReport, ConnectionState, GatewayReport};
use model::{Kind, resources_from_yaml};
use proto::Token;
use proto::ca::Authority;

use support::{Agent, CONTROLLER, Fake, Machine, Served};

/// Says which configuration the agent runs, in the process that is the agent.
const AGENT: &str = "NETVIRT_TEST_AGENT";
/// Longer than a test takes.
const LIFE: Duration = Duration::from_secs(3600);

const HOST: &str = "\
{kind: provider-address, spec: {address: 192.168.4.11, interface: eth0, prefixLength: 24}}
---
kind: customer-route
spec: {rdid: 11111111-2222-3333-4444-000000005001, vsid: 5001, prefix: 10.254.254.0/29, nextHop: 0.0.0.0}
---
{kind: port, name: gw-aaa, spec: {device: gw0, mac: 06-0F-00-00-00-01, vsid: 5001}}
---
{kind: gateway, spec: {interface: ext0, addresses: [203.0.113.2/24]}}
---
kind: compartment
name: aaa/net
spec:
  inside:
    device: gw0
    mac: 06-0F-00-00-00-01
    addresses: [10.254.254.2/29]
    routers: [10.254.254.1]
    prefixes: [10.0.0.0/24]
  outside: {mac: 06-0F-00-00-01-01, addresses: [203.0.113.10/24]}
  connections:
  - {name: site, ipsec: {remote: 198.51.100.1, psk: swordfish, remotePrefixes: [10.1.0.0/16]}}
";

/// Not a test of its own: with [`AGENT`] it is the agent, without it it is nothing.
#[test]
fn agent_process() {
    if let Ok(config) = std::env::var(AGENT) {
        agent::run(Path::new(&config), false).unwrap();
    }
}

fn start(machine: &Machine) -> Agent {
    let arguments = ["--exact", "agent_process", "--nocapture"];
    machine.start(machine.again(&arguments, AGENT, machine.path("agent.yaml").to_str().unwrap()))
}

fn join(machine: &Machine, authority: &Authority) {
    let token = Token { id: "t".into(), secret: "secret".into(), fingerprint: authority.fingerprint().to_owned() };
    let options = agent::JoinOptions {
        controller: CONTROLLER.to_owned(),
        token: token.to_string(),
        uplinks: vec!["eth0".to_owned()],
        name: Some("host1".to_owned()),
        state: machine.path("state"),
        force: false,
    };
    machine.namespace.run(|| agent::join(&options)).unwrap().unwrap();
}

fn client(machine: &Machine) -> Client {
    Client::new(machine.path("agent.sock")).unwrap()
}

fn apply(machine: &Machine, yaml: &str) -> Result<(), ClientError> {
    let changes = resources_from_yaml(yaml).unwrap().into_iter().map(Change::Put).collect();
    client(machine).change(&ChangeSet { changes, dry_run: false }).map(drop)
}

/// Asks for work other than that of a revision, until there is some.
fn ask(machine: &Machine, after: u64) -> JoinHandle<GatewayWork> {
    let client = client(machine);
    std::thread::spawn(move || {
        loop {
            let work = client.gateway_work(Some(after)).unwrap();
            if work.revision != after {
                return work;
            }
        }
    })
}

/// What is shown of the compartment: spec as text, and status.
fn shown(machine: &Machine) -> (String, CompartmentStatus) {
    let item = client(machine).get(Kind::Compartment, "aaa/net").unwrap();
    (item.spec.to_string(), item.status_as().unwrap())
}

fn report() -> GatewayReport {
    let connection = ConnectionReport {
        name: "site".parse().unwrap(),
        state: ConnectionState::Connecting,
        reason: Some("198.51.100.1 does not answer".to_owned()),
        carriers: vec!["userspace".to_owned()],
        addresses: Vec::new(),
        public_key: None,
        learnt: Vec::new(),
        sessions: None,
        refused: 0,
        received_bytes: 1,
        sent_bytes: 2,
    };
    let compartment = CompartmentReport {
        name: "aaa/net".parse().unwrap(),
        namespace: "nvgw-aaa".to_owned(),
        trouble: None,
        connections: vec![connection],
    };
    GatewayReport { compartments: vec![compartment], ..GatewayReport::default() }
}

/// What the controller has not said since the agent started may be past; once it has spoken, all counts.
fn confirms(machine: &Machine, fake: &Fake) -> GatewayWork {
    let revision = fake.publish(support::host_topic(), &[], &[]);
    fake.until_in_force(revision);
    let until = Instant::now() + Duration::from_secs(10);
    let mut work = client(machine).gateway_work(None).unwrap();
    while !work.confirmed {
        assert!(Instant::now() < until, "{work:?}");
        work = client(machine).gateway_work(Some(work.revision)).unwrap();
    }
    work
}

/// Whoever waits is woken by what is declared, and by what the underlay leaves for packets.
fn wakes(machine: &Machine) -> GatewayWork {
    let nothing = client(machine).gateway_work(None).unwrap();
    assert_eq!((nothing.host.as_str(), &nothing.resources[..]), ("host1", &[][..]));
    let waiting = ask(machine, nothing.revision);
    apply(machine, HOST).unwrap();
    let work = waiting.join().unwrap();
    let mut declared = resources_from_yaml(HOST).unwrap();
    declared.retain(|resource| matches!(resource.kind(), Kind::Gateway | Kind::Compartment));
    assert_eq!(work.resources, declared, "all of it, secrets in full");
    let mtu = work.mtus[&"aaa/net".parse().unwrap()];

    let waiting = ask(machine, work.revision);
    Netlink::in_namespace(&machine.namespace).unwrap().set_mtu("eth0", 1400).unwrap();
    let smaller = waiting.join().unwrap();
    assert_eq!(smaller.mtus[&"aaa/net".parse().unwrap()], mtu - 100);
    assert_eq!(smaller.resources, work.resources);
    smaller
}

/// What is shown has no secret in it, and may be applied again.
fn keeps_secrets(machine: &Machine) -> GatewayWork {
    let (spec, _) = shown(machine);
    assert!(!spec.contains("swordfish") && spec.contains("\"psk\":\"(hidden)\""), "{spec}");
    let before = client(machine).gateway_work(None).unwrap();
    let hidden = HOST.replace("swordfish", "(hidden)");
    apply(machine, &hidden).unwrap();
    assert_eq!(client(machine).gateway_work(None).unwrap(), before, "nothing has changed");
    apply(machine, &hidden.replace("198.51.100.1", "198.51.100.2")).unwrap();
    let after = client(machine).gateway_work(None).unwrap();
    let text = serde_json::to_string(&after).unwrap();
    assert!(text.contains("198.51.100.2") && text.contains("swordfish"), "{text}");
    let new = hidden.replace("aaa/net", "new/net");
    let refused = apply(machine, &new).unwrap_err().to_string();
    assert!(refused.contains("site.ipsec.psk is \"(hidden)\", which stands for a secret"), "{refused}");
    let saved = machine.path("state/resources.yaml");
    assert!(std::fs::read_to_string(&saved).unwrap().contains("swordfish"));
    assert_eq!(std::fs::metadata(&saved).unwrap().permissions().mode() & 0o777, 0o600);
    after
}

/// What the gateway says is shown, and told to the controller.
fn tells(machine: &Machine, fake: &Fake) {
    let silent = "netvirt gateway has not reported; is it running?";
    assert_eq!(shown(machine).1.reason.as_deref(), Some(silent));
    let told = |wanted: &GatewayReport| fake.until("told", |state, _| state.gateway.as_ref() == Some(wanted));
    told(&GatewayReport { trouble: Some(silent.to_owned()), ..GatewayReport::default() });
    client(machine).report_gateway(&report()).unwrap();
    let (_, status) = shown(machine);
    assert_eq!((status.state, status.reason), (RealizedState::InForce, None));
    assert_eq!(
        (status.namespace.as_deref(), status.connections),
        (Some("nvgw-aaa"), report().compartments.remove(0).connections)
    );
    told(&report());
    let trouble = GatewayReport { trouble: Some("nft is not installed".to_owned()), ..report() };
    client(machine).report_gateway(&trouble).unwrap();
    let of_gateway: GatewayStatus = client(machine).get(Kind::Gateway, "host").unwrap().status_as().unwrap();
    assert_eq!(
        (of_gateway.state, of_gateway.reason.as_deref()),
        (RealizedState::NotInForce, Some("nft is not installed"))
    );
    assert_eq!(shown(machine).1.reason.as_deref(), Some("nft is not installed"));
    told(&trouble);
    client(machine).report_gateway(&GatewayReport::default()).unwrap();
    let reason = shown(machine).1.reason.unwrap();
    assert!(reason.starts_with("netvirt gateway has not come to it yet"), "{reason}");
}

#[test]
fn a_gateway_is_told_what_to_carry_out_and_says_how_that_is() {
    let machine = Machine::new();
    machine.write_config();
    let authority = Arc::new(Authority::create().unwrap());
    let served = Served::start(&machine.namespace, &authority, Fake::new(LIFE));
    join(&machine, &authority);
    let mut agent = start(&machine);

    let confirmed = confirms(&machine, &served.fake);
    let first = wakes(&machine);
    assert!(first.confirmed && first.revision > confirmed.revision);
    let last = keeps_secrets(&machine);
    tells(&machine, &served.fake);
    client(&machine).report_gateway(&report()).unwrap();

    // The controller goes and comes back: it is told again.
    let fake = served.end();
    let served = Served::start(&machine.namespace, &authority, fake);
    served.fake.until("told again", |state, _| state.gateway == Some(report()));

    // An agent that ends lets go who waits. The next one knows what to do, under a number that nobody has seen.
    let waiting = std::thread::spawn({
        let (client, revision) = (client(&machine), last.revision);
        move || client.gateway_work(Some(revision))
    });
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(agent.0.id()).unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    // Its question may not have been read yet.
    assert!(waiting.join().unwrap().is_ok_and(|work| work == last) || machine.status().is_none());
    assert!(agent.0.wait().unwrap().success());
    let _agent = start(&machine);
    let again = client(&machine).gateway_work(Some(last.revision)).unwrap();
    let confirmed = confirms(&machine, &served.fake);
    assert!(confirmed.confirmed && (again.confirmed || confirmed.revision > again.revision));
    assert!(again.revision > last.revision && last.revision > first.revision);
    assert_eq!((again.resources, again.mtus), (last.resources, last.mtus));
}
