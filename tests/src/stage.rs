//! The stage of a story: a lab with names that no other test has, and `netvirt` as an operator types it.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use lab::{LabGuard, Node, Output, Topology, UpOptions};
use serde_json::Value;

/// How long one program of a story may run, unless the story says another.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A lab that stands until the end of the story.
pub struct Stage {
    /// The lab.
    pub lab: LabGuard,
    name: String,
}

/// The program that is tested: the one that was built beside the test, or the one that NETVIRT_BIN names.
pub fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("NETVIRT_BIN") {
        return path.into();
    }
    let own = std::env::current_exe().expect("a test has a path");
    let built = own.parent().and_then(Path::parent).expect("tests are built into deps/").join("netvirt");
    assert!(
        built.is_file(),
        "there is no {}; build it with \"cargo build -p netvirt\", or name another with NETVIRT_BIN",
        built.display()
    );
    built
}

impl Stage {
    /// Builds the lab of a YAML text in which `LAB` stands for its name, and `H1`, `H2` ... for names of hosts.
    pub fn up(text: &str) -> Self {
        Self::up_with(text, program())
    }

    /// The same with another program.
    pub fn up_with(text: &str, program: PathBuf) -> Self {
        assert!(
            host::process::is_root(),
            "this test builds a lab out of network namespaces and loads kernel programs, and needs root: run it with \
             sudo, or in a container with --privileged"
        );
        // Pictures of a lab show names that mean something to who looks at them.
        let name = std::env::var("NETVIRT_LAB")
            .unwrap_or_else(|_| format!("s{}", &uuid::Uuid::new_v4().simple().to_string()[..7]));
        let text = text.replace("LAB", &name);
        let text = (1..=4).fold(text, |text, n| text.replace(&format!("H{n}"), &format!("{name}h{n}")));
        let topology = Topology::from_yaml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let options = UpOptions { program: Some(program), ..UpOptions::default() };
        let lab = LabGuard::up(&topology, options).unwrap_or_else(|error| panic!("the lab does not come up: {error}"));
        Self { lab, name }
    }

    /// The lab of `examples/blue-red.yaml`.
    pub fn blue_red() -> Self {
        Self::up(&example("blue-red.yaml"))
    }

    /// The name of host 1, 2 ...
    pub fn host_name(&self, number: usize) -> String {
        format!("{}h{number}", self.name)
    }

    /// Host 1, 2 ...
    pub fn host(&self, number: usize) -> Node {
        self.lab.host(&self.host_name(number)).expect("a host of the topology")
    }

    /// A VM.
    pub fn vm(&self, name: &str) -> Node {
        self.lab.vm(name).expect("a VM of the topology")
    }

    /// `netvirt ARGUMENTS` to a host's agent, whatever comes of it.
    pub fn netvirt(&self, host: usize, arguments: &[&str]) -> Output {
        let (program, name) = (program(), self.host_name(host));
        let command = [&[program.to_str().expect("a readable path")], arguments, &["--host", &name]].concat();
        self.host(host).output(&command, LIMIT).expect("netvirt ends")
    }

    /// What `netvirt ARGUMENTS` prints; it must end well. Words are divided by spaces.
    pub fn ok(&self, host: usize, arguments: &str) -> String {
        let words: Vec<_> = arguments.split_whitespace().collect();
        self.netvirt(host, &words).ok().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What `netvirt ARGUMENTS -o json` prints.
    pub fn json(&self, host: usize, arguments: &str) -> Value {
        let text = self.ok(host, &format!("{arguments} -o json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments}: {error}\n{text}"))
    }

    /// `netvirt apply -f` of this text on a host.
    pub fn apply(&self, host: usize, yaml: &str) -> Output {
        let mut file = tempfile::NamedTempFile::new().expect("a scratch file");
        std::io::Write::write_all(&mut file, yaml.as_bytes()).expect("a scratch file takes text");
        self.netvirt(host, &["apply", "-f", file.path().to_str().expect("a readable path")])
    }

    /// How many packets a host dropped at a port (or at "uplink") for a reason.
    pub fn drops(&self, host: usize, port: &str, reason: &str) -> u64 {
        let counters = self.json(host, "get drops");
        let counters = counters.as_array().expect("a list of counters");
        let own = counters.iter().filter(|counter| counter["port"] == port && counter["reason"] == reason);
        own.filter_map(|counter| counter["packets"].as_u64()).sum()
    }

    /// What a host's agent has said so far.
    pub fn log(&self, host: usize) -> String {
        let path = self.lab.folder().join(format!("{}.log", self.host_name(host)));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// All drops of a host as a table, for the message of an assertion.
    pub fn all_drops(&self, host: usize) -> String {
        self.ok(host, "get drops -o wide")
    }

    /// `get ports` of a host when its counters have stood still for a second: VMs that have just come up speak of their
    /// multicast groups.
    #[track_caller]
    pub fn at_rest(&self, host: usize) -> String {
        let mut before = self.ok(host, "get ports");
        let still = eventually(Duration::from_secs(10), || {
            thread::sleep(Duration::from_secs(1));
            let now = self.ok(host, "get ports");
            now == std::mem::replace(&mut before, now.clone())
        });
        assert!(still, "the VMs of host {host} are never silent:\n{before}");
        before
    }

    /// Waits until a host has dropped so many packets at a port for a reason more than `before`.
    #[track_caller]
    pub fn await_drops(&self, host: usize, port: &str, reason: &str, before: u64, more: u64) {
        let arrived = eventually(Duration::from_secs(3), || self.drops(host, port, reason) >= before + more);
        assert!(
            arrived,
            "{more} drops of {port} for {reason} were expected after {before}; there are:\n{}",
            self.all_drops(host)
        );
    }
}

/// The text of an example, with `LAB`, `H1` and `H2` for its names.
pub fn example(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let name = file.trim_end_matches(".yaml");
    text.replace(&format!("name: {name}"), "name: LAB").replace("host1", "H1").replace("host2", "H2")
}

/// Whether something comes about within a time.
pub fn eventually(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
