//! What these tests stand on: a compartment's namespace and folder, and patience.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gateway::{Daemon, Daemons, Place};
use host::Namespace;
use model::gateway::{Compartment, Inside};

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
            inside,
            outside: None,
            connections: Vec::new(),
        };
        Self { name, namespace, folder: tempfile::tempdir().unwrap(), compartment }
    }

    /// The compartment's folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
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
