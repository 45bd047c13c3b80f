//! Topologies with names of their own, and what is left of a lab.

#![allow(dead_code, reason = "each test file uses another part")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::{LabError, LabGuard, Node, Topology, UpOptions};

/// Long enough for everything that a test waits for.
pub const LIMIT: Duration = Duration::from_secs(15);

/// A lab's name that no other test has.
pub fn fresh_name() -> String {
    assert!(
        host::process::is_root(),
        "this test builds a lab out of network namespaces and needs root: run it with sudo, or in a container with \
         --privileged"
    );
    format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..8])
}

/// A lab from a text in which LAB stands for its name.
pub fn up(text: &str) -> LabGuard {
    let topology = Topology::from_yaml(&text.replace("LAB", &fresh_name())).expect("the topology is legal");
    LabGuard::up(&topology, UpOptions::default()).expect("the lab comes up")
}

/// One ping of a size that must not be cut.
pub fn ping(from: &Node, to: &str, size: usize) -> Result<String, LabError> {
    let size = size.to_string();
    from.output(&["ping", "-c", "1", "-W", "5", "-M", "do", "-s", &size, to], LIMIT)?.ok()
}

/// Whatever there is of a lab.
pub fn remains(lab: &str, hosts: &[&str]) -> Vec<String> {
    let prefix = format!("{lab}-");
    let mut found: Vec<_> =
        host::Namespace::list().unwrap().into_iter().filter(|name| name.starts_with(&prefix)).collect();
    let mut paths = vec![PathBuf::from("/run/netvirt/lab").join(lab)];
    for host in hosts {
        paths.push(Path::new("/run/netvirt").join(format!("{host}.sock")));
        paths.push(Path::new("/run/netvirt").join(format!("{host}.sock.lock")));
        paths.push(Path::new("/sys/fs/bpf/netvirt").join(host));
    }
    found.extend(paths.iter().filter(|path| path.exists()).map(|path| path.display().to_string()));
    found
}
