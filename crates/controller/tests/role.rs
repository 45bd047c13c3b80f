//! The role as a whole: a first start with nothing, people over HTTPS, an agent over gRPC, an end by SIGTERM, a second
//! start. Each is a process of its own, this test binary started again.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use api::fabric::{Change, ChangeSet, Client, Context, NewJoinToken};
use controller::Options;
use model::fabric::{Key, Kind, resources_from_yaml};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto::{Heard, HostFacts, Mirror, Uplink};

/// Names the state folder of the controller that this binary is to be.
const ROLE: &str = "CONTROLLER_TEST_STATE";
/// Ports of loopback on which it is to listen.
const PORTS: &str = "CONTROLLER_TEST_PORTS";

const SOON: Duration = Duration::from_secs(30);

/// Does nothing unless it is started by one of the tests below.
#[test]
fn role() {
    let (Some(state), Ok(ports)) = (std::env::var_os(ROLE), std::env::var(PORTS)) else { return };
    let (rest, agents) = ports.split_once(' ').unwrap();
    let at = |port: &str| Some(format!("127.0.0.1:{port}").parse().unwrap());
    let options =
        Options { state: Some(PathBuf::from(state)), listen: at(rest), agents: at(agents), ..Options::default() };
    if let Err(error) = controller::run(&options, None) {
        println!("refused: {error}");
    }
}

fn start(folder: &Path, ports: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "role", "--nocapture"]).env(ROLE, folder).env(PORTS, ports);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Two ports that are free now.
fn ports() -> String {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port().to_string()).join(" ")
}

fn end(mut child: Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
    assert!(child.wait().unwrap().success(), "it ends in order");
}

/// A client of the controller in this folder, once it answers.
fn client(folder: &Path) -> Client {
    let deadline = Instant::now() + SOON;
    loop {
        let context = Context::read(folder.join("admin.yaml"));
        let client = context.ok().and_then(|context| Client::new(&context.endpoint()).ok());
        match client.filter(|client| client.status().is_ok()) {
            Some(client) => return client,
            None if Instant::now() > deadline => panic!("no controller answers"),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn key(kind: Kind, name: &str) -> Key {
    Key::new(kind, None, name.parse().unwrap())
}

const FABRIC: &str = "
kind: vm-network
name: AAA
spec: {logicalNetwork: eth0}
---
kind: vm-subnet
name: test
spec: {vmNetwork: AAA, prefixes: [10.10.0.0/16]}
---
kind: ip-pool
name: CA Pool
spec: {vmSubnet: test, ranges: [10.10.1.100-10.10.1.130]}
---
kind: port
name: test01
spec: {host: host15, vmNetwork: AAA}
";

#[test]
fn from_nothing_to_a_port_that_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let (state, ports) = (folder.path().join("controller"), ports());
    let child = start(&state, &ports);
    let client = client(&state);
    use std::os::unix::fs::PermissionsExt as _;
    for secret in ["admin.yaml", "ca.key", "store.redb", "console-password"] {
        let mode = std::fs::metadata(state.join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }

    let users: Vec<String> =
        client.users().unwrap().iter().map(|user| format!("{} {}", user.name, user.role)).collect();
    assert_eq!(users, ["admin admin"]);

    // A second controller in the folder is told so, and touches nothing.
    let second = start(&state, &self::ports()).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&second.stdout).into_owned();
    assert!(said.contains("refused: the store") && said.contains("in use by another process"), "{said}");

    let join = client.create_join_token(&NewJoinToken::default()).unwrap();
    let agents = format!("127.0.0.1:{}", ports.split_once(' ').unwrap().1);
    let uplink =
        Uplink { interface: "eth0".parse().unwrap(), addresses: vec!["192.168.4.15/24".parse().unwrap()], mtu: 1500 };
    let facts = HostFacts { version: "9.9.9".to_owned(), uplinks: vec![uplink], ..HostFacts::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let token: proto::Token = join.token.parse().unwrap();
    let enrolled = runtime.block_on(proto::client::join(&agents, &token, "host15", &facts)).unwrap();
    let again = runtime.block_on(proto::client::join(&agents, &token, "host16", &facts)).err().unwrap();
    assert!(again.to_string().contains("used already"), "{again}");

    let resources = resources_from_yaml(FABRIC).unwrap();
    let changes = resources.into_iter().map(|resource| Change::Put { resource, revision: None }).collect();
    let report = client.change(&ChangeSet { changes, ..ChangeSet::default() }).unwrap();
    let realized = || client.get(&key(Kind::Port, "test01")).unwrap().status.realized.unwrap();
    assert!(!realized().everywhere());

    // The agent comes, hears everything, and says that it is in force.
    let mut mirror = Mirror::default();
    let session = runtime.block_on(async {
        let mut session = proto::client::connect(&agents, &enrolled.identity, &facts, &mirror).await.unwrap();
        loop {
            let message = tokio::time::timeout(SOON, session.next()).await.unwrap().unwrap();
            if let Heard::Synced(revision) = mirror.hear(message).unwrap() {
                mirror.commit(revision);
                session.ack(revision).await.unwrap();
                if revision >= report.revision {
                    return session;
                }
            }
        }
    });
    let deadline = Instant::now() + SOON;
    while !realized().everywhere() {
        assert!(Instant::now() < deadline, "{:?}", realized());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(mirror.resources().iter().any(|resource| resource.key().name == "test01"));
    drop(session);
    assert_eq!(client.get(&key(Kind::Host, "host15")).unwrap().status.version.as_deref(), Some("9.9.9"));

    end(child, Signal::SIGTERM);
    // The first user is made once.
    std::fs::remove_file(state.join("console-password")).unwrap();
    let child = start(&state, &ports);
    let client = self::client(&state);
    assert!(!state.join("console-password").exists() && client.users().unwrap().len() == 1);
    assert_eq!(client.status().unwrap().revision, report.revision);
    let item = client.get(&key(Kind::Port, "test01")).unwrap();
    assert_eq!(item.status.allocation, report.results[3].item.status.allocation);
    end(child, Signal::SIGINT);
}

const HOST: &str = "
kind: logical-network
name: eth0
---
kind: host
name: host15
spec: {uplinks: [{interface: eth0, addresses: [192.168.4.15/24], logicalNetworks: [eth0]}]}
";

#[test]
fn an_authority_that_hosts_trust_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (state, ports) = (folder.path().join("controller"), ports());
    let child = start(&state, &ports);
    let client = client(&state);
    let changes = resources_from_yaml(HOST).unwrap();
    let changes = changes.into_iter().map(Change::Create).collect();
    client.change(&ChangeSet { changes, ..ChangeSet::default() }).unwrap();
    end(child, Signal::SIGTERM);
    // Without its admin.yaml it makes another one; without its authority it does not start.
    std::fs::remove_file(state.join("admin.yaml")).unwrap();
    let child = start(&state, &ports);
    self::client(&state).get(&key(Kind::Host, "host15")).unwrap();
    assert!(client.status().is_err(), "the secret that was lost is of no use");
    end(child, Signal::SIGTERM);
    for missing in ["ca.key", "ca.pem"] {
        std::fs::remove_file(state.join(missing)).unwrap();
        let output = start(&state, &ports).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("restore it from a backup"), "{said}");
    }
}

#[test]
fn an_admin_gets_in_although_the_store_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (state, ports) = (folder.path().join("controller"), ports());
    let child = start(&state, &ports);
    let client = client(&state);
    let password = || std::fs::read_to_string(state.join("console-password")).unwrap();
    let before = password();
    end(child, Signal::SIGTERM);
    std::fs::remove_file(state.join("store.redb")).unwrap();
    let child = start(&state, &ports);
    self::client(&state).get(&key(Kind::Tenant, "default")).unwrap();
    assert!(client.status().is_err() && password() != before, "with a new secret, and a new password");
    end(child, Signal::SIGTERM);
}
