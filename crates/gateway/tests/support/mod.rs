//! What these tests stand on: a compartment's namespace and folder, and patience.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod router;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use gateway::{Daemon, Daemons, Place};
use host::Namespace;
use model::gateway::{
    Bgp, BgpNeighbor, Compartment, Connection, ConnectionReport, ConnectionState, Inside, Outside, Routing,
};

/// A compartment's namespace, its folder, and what it is to be. It is taken away with it.
pub struct Ground {
    name: String,
    namespace: Namespace,
    folder: tempfile::TempDir,
    /// What is to be.
    pub compartment: Compartment,
}

impl Ground {
    /// A namespace whose name has this word, and a compartment without connections.
    pub fn new(word: &str) -> Self {
        assert!(host::process::is_root(), "this test makes network namespaces; run it as root");
        let name = format!("nvt-bgp-{word}-{}", std::process::id());
        let namespace = Namespace::create(&name).unwrap();
        let inside = Inside {
            device: "nvtg0".parse().unwrap(),
            mac: "02:00:00:00:00:01".parse().unwrap(),
            addresses: vec!["10.254.254.2/29".parse().unwrap(), "fd00:fe::2/64".parse().unwrap()],
            routers: vec!["10.254.254.1".parse::<IpAddr>().unwrap(), "fd00:fe::1".parse().unwrap()],
            prefixes: vec!["10.0.0.0/24".parse().unwrap(), "fd00:a::/64".parse().unwrap()],
        };
        let compartment = Compartment {
            name: "blue/net".parse().unwrap(),
            standby: false,
            leaving: false,
            inside,
            outside: Some(outside()),
            connections: Vec::new(),
        };
        Self { name, namespace, folder: tempfile::tempdir().unwrap(), compartment }
    }

    /// The compartment's folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The log of a daemon.
    pub fn log(&self, name: &str) -> String {
        text(&self.folder().join(format!("{name}.log")))
    }

    /// The process of a daemon.
    pub fn pid(&self, name: &str) -> u32 {
        until("it is written down that it runs", || {
            let memory = text(&self.folder().join(format!("{name}.daemon")));
            let memory: serde_json::Value = serde_json::from_str(&memory).ok()?;
            memory["pid"].as_u64()?.try_into().ok()
        })
    }

    /// Runs a command in the namespace, and answers what it says.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        run_in(&self.namespace, program, arguments)
    }

    /// Since when a session is as it is, as BIRD says it.
    pub fn established(&self, session: &str) -> String {
        let socket = self.folder().join("own/run/bird/bird.ctl");
        let text = self.run("birdc", &["-s", &socket.to_string_lossy(), "show", "protocols", &format!("'{session}'")]);
        let line = text.lines().find(|line| line.starts_with(session)).unwrap_or_else(|| panic!("{text}"));
        assert!(line.contains("Established"), "{text}");
        line.split_whitespace().nth(4).unwrap().to_owned()
    }

    /// Watches changes of routes in the namespace.
    pub fn watch_routes(&self) -> Watch {
        Watch::start(&self.namespace)
    }

    /// The compartment's namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Another namespace under the same name.
    pub fn renew(&mut self) {
        Namespace::delete(&self.name).unwrap();
        self.namespace = Namespace::create(&self.name).unwrap();
    }

    /// Where it is carried out.
    pub fn place(&self) -> Place<'_> {
        Place { compartment: &self.compartment, namespace: &self.namespace, folder: self.folder.path() }
    }

    /// Settles daemons in it.
    pub fn settle(&self, daemons: &mut Daemons, wanted: &[Daemon]) -> Vec<String> {
        daemons.settle(&self.place(), wanted)
    }

    /// Ends daemons in it.
    pub fn remove(&self, daemons: &mut Daemons) -> Vec<String> {
        daemons.remove(&self.place())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // After a failure: what runs in the namespace, that is ours alone.
        for pid in self.namespace.processes().unwrap_or_default() {
            kill(pid);
        }
        let _ = Namespace::delete(&self.name);
    }
}

/// Kills a process, as `kill -9` does.
pub fn kill(pid: u32) {
    if let Ok(process) = host::Process::open(pid) {
        let _ = process.signal(9);
    }
}

/// Asks until there is an answer, for half a minute at most.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "after 30 s it is not so that {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a file says, or nothing.
pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Runs a command in a namespace, and answers what it says.
pub fn run_in(namespace: &Namespace, program: &str, arguments: &[&str]) -> String {
    let output = namespace.command(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; \"make tools\" installs what tests need"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}: {said}{errors}", output.status);
    said
}

/// Asks again and again for so long.
pub fn within<T>(time: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    None
}

/// A routed connection with these neighbors, in AS 65010.
pub fn routed(name: &str, neighbors: Vec<BgpNeighbor>) -> Connection {
    let bgp = Bgp { local_as: 65010, router_id: None, neighbors, announce: Vec::new() };
    Connection { routing: Some(Routing::default()), bgp: Some(bgp), ..connection(name) }
}

/// A connection that does nothing.
pub fn connection(name: &str) -> Connection {
    Connection {
        name: name.parse().unwrap(),
        nat: None,
        routing: None,
        ipsec: None,
        wireguard: None,
        dns: None,
        bgp: None,
        limits: Default::default(),
    }
}

/// The report of a connection before parts have added to it.
pub fn report(name: &str) -> ConnectionReport {
    ConnectionReport {
        name: name.parse().unwrap(),
        state: ConnectionState::Up,
        reason: None,
        carriers: Vec::new(),
        addresses: Vec::new(),
        public_key: None,
        learnt: Vec::new(),
        sessions: None,
        refused: 0,
        received_bytes: 0,
        sent_bytes: 0,
    }
}

/// Where the compartment is outside.
pub fn outside() -> Outside {
    Outside {
        mac: "02:00:00:00:00:02".parse().unwrap(),
        vlan: None,
        addresses: vec!["192.0.2.10/24".parse().unwrap(), "2001:db8::10/64".parse().unwrap()],
        next_hops: Vec::new(),
        shared: Vec::new(),
    }
}

/// What `ip monitor` says of the routes of a namespace.
pub struct Watch {
    child: Child,
    file: tempfile::NamedTempFile,
}

impl Watch {
    /// Begins to watch.
    pub fn start(namespace: &Namespace) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let output = file.reopen().unwrap();
        let child = namespace.command("ip").args(["monitor", "route"]).stdout(output).spawn().unwrap();
        Self { child, file }
    }

    /// What was seen.
    pub fn end(mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        text(self.file.path())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
