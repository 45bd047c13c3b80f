//! What tests of tunnels stand on: compartments and the remote sites of companies, each with a VM or a server behind, and a
//! router between them.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::{Part, Place, Supervisor, Trouble};
use host::Namespace;
use model::gateway::{Compartment, Connection, ConnectionReport, ConnectionState};

pub mod authority;
pub mod guard;
pub mod swan;

/// How long something is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A namespace that goes with everything that runs in it.
pub struct Net {
    name: String,
    pub namespace: Namespace,
}

impl Net {
    pub fn new(name: &str) -> Self {
        assert!(host::process::is_root(), "this test makes network namespaces; run it as root");
        let name = format!("nvt-vpn-{name}-{}", std::process::id());
        let namespace = Namespace::create(&name).unwrap();
        let net = Self { name, namespace };
        // Link-local addresses are usable at once.
        net.sh(
            "ip link set lo up && sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0",
        );
        net
    }

    /// Runs a command to its end, which must be a good one; answers what it said.
    pub fn sh(&self, line: &str) -> String {
        let (good, said) = self.try_sh(line);
        assert!(good, "{line}: {said}");
        said
    }

    /// Runs a command to its end.
    pub fn try_sh(&self, line: &str) -> (bool, String) {
        let mut command = self.namespace.command("timeout");
        let output = command.args(["60", "sh", "-c", line]).stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Starts something that is killed when the namespace goes.
    pub fn spawn(&self, line: &str) -> Child {
        let mut command = self.namespace.command("sh");
        command.args(["-c", &format!("exec {line}")]).stdin(Stdio::null()).spawn().unwrap()
    }

    /// Whether one packet of this many bytes, with its headers, comes back from there undivided.
    pub fn pings(&self, to: &str, size: u32) -> bool {
        let headers = if to.contains(':') { 48 } else { 28 };
        self.try_sh(&format!("ping -M do -c 1 -W 1 -s {} {to}", size - headers)).0
    }

    /// The process ids of what runs here under this name.
    pub fn pids(&self, name: &str) -> Vec<u32> {
        let named =
            |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|its| its.trim() == name);
        self.namespace.processes().unwrap().into_iter().filter(named).collect()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.namespace.processes().unwrap_or_default().into_iter().for_each(kill);
        let _ = Namespace::delete(&self.name);
    }
}

/// Kills a process, as `kill -9` does.
pub fn kill(pid: u32) {
    if let Ok(process) = host::Process::open(pid) {
        let _ = process.signal(9);
    }
}

/// A router between all.
pub struct Router {
    word: String,
    pub net: Net,
}

impl Router {
    pub fn new(word: &str) -> Self {
        let net = Net::new(&format!("{word}-r"));
        net.sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        Self { word: word.to_owned(), net }
    }

    /// Joins a namespace to it: the device `outside` there, with addresses in a network of its own, in which the router has
    /// 254, and all else behind it.
    pub fn join(&self, net: &Net, number: u8) {
        let near = format!("r{number}");
        self.net.sh(&format!(
            "ip link add {near} type veth peer name outside netns {} && ip link set {near} up && \
             ip addr add 192.0.{number}.254/24 dev {near} && ip addr add 2001:db8:{number}::fe/64 dev {near} nodad",
            net.name
        ));
        net.sh(&format!(
            "ip link set outside up && ip addr add 192.0.{number}.1/24 dev outside && \
             ip addr add 2001:db8:{number}::1/64 dev outside nodad && ip route add default via 192.0.{number}.254 && \
             ip route add default via 2001:db8:{number}::fe"
        ));
    }
}

/// A compartment with a VM behind it, which has 10.1.0.10 and fd00:1::10, and the part that is tried.
pub struct Ground {
    pub net: Net,
    pub vm: Arc<Net>,
    folder: tempfile::TempDir,
    pub compartment: Compartment,
}

impl Ground {
    /// A compartment that has 192.0.NUMBER.1 and 2001:db8:NUMBER::1 outside.
    pub fn new(router: &Router, number: u8) -> Self {
        let net = Net::new(&format!("{}-c{number}", router.word));
        let vm = Arc::new(Net::new(&format!("{}-v{number}", router.word)));
        router.join(&net, number);
        net.sh(&format!(
            "ip link add inside type veth peer name eth0 netns {} && ip link set inside up && \
             ip addr add 10.254.254.2/29 dev inside && ip addr add fd00:fe::2/64 dev inside nodad && \
             ip route add 10.1.0.0/24 via 10.254.254.1 && sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
            vm.name
        ));
        vm.sh(
            "ip link set eth0 up && ip addr add 10.254.254.1/29 dev eth0 && ip addr add fd00:fe::1/64 dev eth0 nodad && \
             ip addr add 10.1.0.10/32 dev lo && ip addr add fd00:1::10/128 dev lo nodad && \
             ip route add default via 10.254.254.2 src 10.1.0.10 && ip route add default via fd00:fe::2 src fd00:1::10",
        );
        net.sh("ip route add fd00:1::/64 via fd00:fe::1");
        let compartment = serde_json::from_value(serde_json::json!({
            "inside": {
                "device": "nvtg0", "mac": "02:00:00:00:00:01", "addresses": ["10.254.254.2/29", "fd00:fe::2/64"],
                "routers": ["10.254.254.1", "fd00:fe::1"], "prefixes": ["10.1.0.0/24", "fd00:1::/64"]
            },
            "outside": {
                "mac": "02:00:00:00:00:02",
                "addresses": [format!("192.0.{number}.1/24"), format!("2001:db8:{number}::1/64")]
            }
        }));
        let (inside, outside) = match compartment {
            Ok(Sides { inside, outside }) => (inside, outside),
            Err(error) => panic!("{error}"),
        };
        let compartment = Compartment {
            name: format!("blue/net{number}").parse().unwrap(),
            standby: false,
            leaving: false,
            inside,
            outside: Some(outside),
            connections: Vec::new(),
        };
        Self { net, vm, folder: tempfile::tempdir().unwrap(), compartment }
    }

    /// Adds a connection, or puts it in the place of one of the same name, as JSON says it.
    pub fn connection(&mut self, said: serde_json::Value) {
        let connection: Connection = serde_json::from_value(said).unwrap();
        match self.compartment.connections.iter_mut().find(|other| other.name == connection.name) {
            Some(other) => *other = connection,
            None => self.compartment.connections.push(connection),
        }
    }

    pub fn place(&self) -> Place<'_> {
        Place { compartment: &self.compartment, namespace: &self.net.namespace, folder: self.folder.path() }
    }

    /// Puts the compartment's rules in force, as a gateway does.
    pub fn apply_rules(&self) {
        let orders = plan::gateway::ruleset::ruleset(&self.compartment).orders(&BTreeMap::new());
        let file = self.folder().join("rules.nft");
        std::fs::write(&file, orders).unwrap();
        self.net.sh(&format!("nft -f {}", file.display()));
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The report of a connection.
    pub fn report(&self, part: &mut dyn Part, name: &str) -> ConnectionReport {
        let connection = self.compartment.connections.iter().find(|other| other.name.as_str() == name).unwrap();
        let mut report = ConnectionReport {
            name: connection.name.clone(),
            state: ConnectionState::Connecting,
            reason: None,
            carriers: Vec::new(),
            addresses: Vec::new(),
            public_key: None,
            learnt: Vec::new(),
            sessions: None,
            refused: 0,
            received_bytes: 0,
            sent_bytes: 0,
        };
        part.report(&self.place(), connection, &mut report);
        report
    }

    /// Tends the part until a connection's report is as it should be.
    pub fn until(
        &self,
        part: &mut dyn Part,
        name: &str,
        wanted: impl Fn(&ConnectionReport) -> bool,
    ) -> ConnectionReport {
        let end = Instant::now() + PATIENCE;
        loop {
            let troubles: Vec<Trouble> = part.tend(&self.place());
            let report = self.report(part, name);
            if wanted(&report) {
                return report;
            }
            assert!(Instant::now() < end, "this stays so: {report:?}, {troubles:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Tends the part until a connection is up.
    pub fn until_up(&self, part: &mut dyn Part, name: &str) -> ConnectionReport {
        self.until(part, name, |report| report.state == ConnectionState::Up)
    }

    /// Tends the part until a connection says why it is not up in words that have these.
    pub fn until_reason(&self, part: &mut dyn Part, name: &str, words: &[&str]) -> String {
        let has = |reason: &String| words.iter().all(|word| reason.contains(word));
        let report = self.until(part, name, |report| report.reason.as_ref().is_some_and(has));
        assert_eq!(report.state, ConnectionState::Down, "{report:?}");
        report.reason.unwrap_or_default()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder().join("charon.log")).unwrap_or_default();
            eprintln!("the compartment's charon has logged:\n{log}");
        }
    }
}

#[derive(serde::Deserialize)]
struct Sides {
    inside: model::gateway::Inside,
    outside: model::gateway::Outside,
}

/// A supervisor of daemons that ends with the test.
pub fn supervisor() -> Supervisor {
    Supervisor::new().unwrap()
}

/// Asks until the answer is yes.
pub fn until(what: &str, mut ask: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !ask() {
        assert!(Instant::now() < end, "it is not so that {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Sends so many bytes over one TCP connection and counts what arrives.
pub fn tcp(from: &Net, to: &Net, address: &str, count: usize) -> usize {
    let address: SocketAddr = address.parse().unwrap();
    let listener = to.namespace.run(|| TcpListener::bind(address)).unwrap().unwrap();
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes.len()).unwrap_or_default()
    });
    let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(10));
    let mut stream = from.namespace.run(connect).unwrap().unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&vec![7; count]).unwrap();
    drop(stream);
    receiver.join().unwrap()
}

/// Counts in a namespace the segments that open a connection to it, or answer one that it opens: those whose MSS is one of two
/// for IPv4 and IPv6, and all others.
pub fn count_segments(net: &Net, fitting: [u16; 2]) {
    let syn = "tcp flags and (syn | rst) == syn";
    let [v4, v6] = fitting;
    net.sh(&format!(
        "nft 'table inet seen {{ counter fitting {{ }}; counter others {{ }}; chain seen {{ type filter hook input priority 0; \
         meta nfproto ipv4 {syn} tcp option maxseg size {v4} counter name fitting return; \
         meta nfproto ipv6 {syn} tcp option maxseg size {v6} counter name fitting return; {syn} counter name others; }}; }}'"
    ));
}

/// What was counted since [`count_segments`]: those that fit, and others.
pub fn counted_segments(net: &Net) -> (u32, u32) {
    let count = |name: &str| {
        let said = net.sh(&format!("nft list counter inet seen {name}"));
        let packets = said.split("packets ").nth(1).and_then(|rest| rest.split(' ').next());
        packets.and_then(|packets| packets.parse().ok()).unwrap_or_else(|| panic!("{said}"))
    };
    (count("fitting"), count("others"))
}

/// Connections of both families between the VM and a site with these addresses, opened by the one and by the other: the site
/// sees no segment size but those that fit.
pub fn segments_fit(ground: &Ground, site: &Net, addresses: [&str; 2], fitting: [u16; 2]) {
    count_segments(site, fitting);
    for (at, (site_address, own)) in addresses.into_iter().zip(["10.1.0.10", "[fd00:1::10]"]).enumerate() {
        let to = format!("{site_address}:5001");
        assert_eq!(tcp(&ground.vm, site, &to, 1_000_000), 1_000_000, "{to}");
        assert_eq!(tcp(site, &ground.vm, &format!("{own}:5001"), 1_000_000), 1_000_000, "from {to}");
        let opened = 2 * (u32::try_from(at).unwrap_or_default() + 1);
        assert_eq!(counted_segments(site), (opened, 0), "{}", site.sh("nft list ruleset"));
    }
}

/// The path of a program that tests need.
pub fn program(names: &[&str]) -> PathBuf {
    let found = names.iter().map(PathBuf::from).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("none of {names:?} is there; run \"make tools\""))
}

/// Whether an address is of IPv6.
pub fn is_v6(address: &str) -> bool {
    address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6())
}

/// Runs a command of the machine, which must succeed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
