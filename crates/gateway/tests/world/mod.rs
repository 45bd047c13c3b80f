//! A gateway's host in network namespaces: VMs of one or more tenants on one side, a router with a server behind on the other,
//! and an agent that says what the test wants.

#![allow(dead_code)] // Each file of tests uses some of it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use api::ClientError;
use gateway::{Agent, Work};
use host::{Namespace, Netlink, Route, VethEnd};
use model::QualifiedName;
use model::gateway::{Compartment, ConnectionReport, GatewayBeat, GatewayReport, Inside, Outside};
use parking_lot::{Condvar, Mutex};

/// How long something may take that takes far less.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The server outside, behind the router.
pub const SERVER4: &str = "198.51.100.10";
/// See [`SERVER4`].
pub const SERVER6: &str = "2001:db8:ffff::10";

/// An agent that says what a test wants.
pub struct TestAgent {
    work: Mutex<Work>,
    changed: Condvar,
    pub reports: Mutex<Vec<GatewayReport>>,
}

impl Agent for TestAgent {
    fn work(&self, after: Option<u64>) -> Result<Work, ClientError> {
        let mut work = self.work.lock();
        while Some(work.revision) == after {
            self.changed.wait(&mut work);
        }
        Ok(work.clone())
    }

    fn report(&self, report: &GatewayReport) -> Result<(), ClientError> {
        self.reports.lock().push(report.clone());
        Ok(())
    }

    fn beat(&self, _: &GatewayBeat) -> Result<(), ClientError> {
        Ok(())
    }
}

/// A gateway that runs, on threads in the host's namespace.
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the gateway ends");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// All of it.
pub struct World {
    pub name: String,
    pub host: Namespace,
    pub outside: Namespace,
    pub vms: BTreeMap<String, Namespace>,
    pub agent: Arc<TestAgent>,
    pub folder: tempfile::TempDir,
    made: Vec<String>,
}

impl World {
    /// The host with its external interface `eth1`, and the router outside.
    pub fn new() -> Self {
        assert!(host::process::is_root(), "this test makes network namespaces and needs root: run it with sudo");
        let name = format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let mut made = Vec::new();
        let mut create = |what: &str| {
            let name = format!("nvt-{name}-{what}");
            let namespace = Namespace::create(&name).expect("a namespace can be made");
            made.push(name);
            namespace
        };
        let (host, outside) = (create("host"), create("out"));
        let near = Netlink::in_namespace(&host).unwrap();
        let far = Netlink::in_namespace(&outside).unwrap();
        near.create_veth(VethEnd::named("eth1"), VethEnd::named("ext"), &outside).unwrap();
        let quiet = [("ipv6/conf/all/accept_dad", "0"), ("ipv6/conf/default/accept_dad", "0")];
        outside.set_sysctls(quiet).unwrap();
        for (netlink, device) in [(&near, "lo"), (&near, "eth1"), (&far, "lo"), (&far, "ext")] {
            netlink.set_up(device).unwrap();
        }
        for address in ["203.0.113.1/24", "2001:db8::1/64"] {
            far.add_address("ext", address.parse().unwrap()).unwrap();
        }
        for server in [SERVER4, SERVER6] {
            far.add_address("lo", ipnet::IpNet::from(server.parse::<IpAddr>().unwrap())).unwrap();
        }
        outside.set_sysctls([("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")]).unwrap();
        let gateway = serde_json::from_str(
            r#"{"interface": "eth1", "addresses": ["203.0.113.2/24"], "nextHops": ["203.0.113.1", "2001:db8::1"]}"#,
        );
        let work = Work {
            revision: 1,
            host: name.clone(),
            gateway: Some(gateway.unwrap()),
            compartments: Vec::new(),
            mtus: BTreeMap::new(),
            confirmed: true,
        };
        let agent = TestAgent { work: Mutex::new(work), changed: Condvar::new(), reports: Mutex::default() };
        let folder = tempfile::tempdir().unwrap();
        Self { name, host, outside, vms: BTreeMap::new(), agent: Arc::new(agent), folder, made }
    }

    /// The VMs of a tenant and their distributed router, in one namespace: 10.1.0.5 to 10.1.0.7, fd00:1::5 and fd00:1::6. A
    /// bridge joins it to the compartment's port.
    pub fn add_vms(&mut self, tenant: &str) {
        let name = format!("nvt-{}-{tenant}", self.name);
        let vms = Namespace::create(&name).unwrap();
        self.made.push(name);
        let near = Netlink::in_namespace(&self.host).unwrap();
        let far = Netlink::in_namespace(&vms).unwrap();
        let (bridge, port) = (format!("br-{tenant}"), format!("p-{tenant}"));
        near.create_bridge(&bridge).unwrap();
        near.create_veth(VethEnd::named(&port), VethEnd::named("port"), &vms).unwrap();
        near.set_master(&port, Some(&bridge)).unwrap();
        let quiet = [("ipv6/conf/all/accept_dad", "0"), ("ipv6/conf/default/accept_dad", "0")];
        vms.set_sysctls(quiet).unwrap();
        for (netlink, device) in [(&near, bridge.as_str()), (&near, &port), (&far, "lo"), (&far, "port")] {
            netlink.set_up(device).unwrap();
        }
        for address in ["10.254.254.1/29", "fd00:ffff::1/64"] {
            far.add_address("port", address.parse().unwrap()).unwrap();
        }
        for vm in ["10.1.0.5", "10.1.0.6", "10.1.0.7", "fd00:1::5", "fd00:1::6"] {
            far.add_address("lo", ipnet::IpNet::from(vm.parse::<IpAddr>().unwrap())).unwrap();
        }
        for (to, via) in [("0.0.0.0/0", "10.254.254.2"), ("::/0", "fd00:ffff::2")] {
            far.add_route(&Route::via(to.parse().unwrap(), via.parse().unwrap())).unwrap();
        }
        self.vms.insert(tenant.to_owned(), vms);
    }

    /// A compartment of a tenant with this outside and these connections, as JSON says them.
    pub fn compartment(&self, tenant: &str, outside: &str, connections: &[(&str, &str)]) -> Compartment {
        let inside = format!(
            r#"{{"device": "gw-{tenant}", "mac": "02:00:00:00:00:01", "addresses": ["10.254.254.2/29", "fd00:ffff::2/64"],
                "routers": ["10.254.254.1", "fd00:ffff::1"], "prefixes": ["10.1.0.0/24", "fd00:1::/64"]}}"#
        );
        let inside: Inside = serde_json::from_str(&inside).unwrap();
        let outside: Option<Outside> =
            serde_json::from_str(outside).unwrap_or_else(|error| panic!("{outside}: {error}"));
        let connections = connections
            .iter()
            .map(|(name, said)| {
                let text = format!("{{\"name\": \"{name}\", {said}}}");
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
            })
            .collect();
        let name = format!("{tenant}/net").parse().unwrap();
        Compartment { name, standby: false, leaving: false, inside, outside, connections }
    }

    /// Has the agent want this from now on.
    pub fn want(&self, compartments: Vec<Compartment>) {
        let mut work = self.agent.work.lock();
        work.mtus = compartments.iter().map(|one| (one.name.clone(), 1450)).collect();
        work.compartments = compartments;
        work.revision += 1;
        self.agent.changed.notify_all();
    }

    /// Changes what is wanted of the host.
    pub fn change(&self, change: impl FnOnce(&mut Work)) {
        let mut work = self.agent.work.lock();
        change(&mut work);
        work.revision += 1;
        self.agent.changed.notify_all();
    }

    /// Starts a gateway.
    pub fn run(&self) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let agent: Arc<dyn Agent> = Arc::clone(&self.agent) as Arc<dyn Agent>;
        let (host, folder, stopped) = (self.host.clone(), self.folder.path().to_owned(), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            host.run(|| gateway::serve(&agent, &folder, Vec::new, &stopped)).unwrap().unwrap();
        });
        Running { stop, thread: Some(thread) }
    }

    /// Waits until a gateway has joined the compartment's port to the VMs' bridge and reports all its connections as a test
    /// wants them.
    pub fn ready(&self, tenant: &str, wanted: impl Fn(&[ConnectionReport]) -> bool) -> Vec<ConnectionReport> {
        let near = Netlink::in_namespace(&self.host).unwrap();
        let device = format!("gw-{tenant}");
        wait_for(&format!("device {device}"), || near.link(&device).is_ok().then_some(()));
        near.set_master(&device, Some(&format!("br-{tenant}"))).unwrap();
        self.reported(tenant, wanted)
    }

    /// Waits until a gateway reports a compartment's connections so.
    pub fn reported(&self, tenant: &str, wanted: impl Fn(&[ConnectionReport]) -> bool) -> Vec<ConnectionReport> {
        let name: QualifiedName = format!("{tenant}/net").parse().unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            let last = self.agent.reports.lock().last().cloned();
            let compartment = last.and_then(|report| report.compartments.into_iter().find(|one| one.name == name));
            if let Some(compartment) = &compartment
                && wanted(&compartment.connections)
            {
                return compartment.connections.clone();
            }
            assert!(Instant::now() < until, "never reported; the last was {compartment:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The namespace of a tenant's compartment.
    pub fn inner(&self, tenant: &str) -> Namespace {
        let name = format!("{tenant}/net").parse().unwrap();
        Namespace::open(&plan::gateway::namespace_name(&self.name, &name)).unwrap()
    }

    /// The namespaces that gateways of this host have made.
    pub fn made(&self) -> Vec<String> {
        let prefix = plan::gateway::namespace_prefix(&self.name);
        Namespace::list().unwrap().into_iter().filter(|name| name.starts_with(&prefix)).collect()
    }

    /// The VMs of a tenant.
    pub fn vms(&self, tenant: &str) -> &Namespace {
        &self.vms[tenant]
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for name in self.made().iter().chain(&self.made) {
            let _ = Namespace::delete(name);
        }
    }
}

/// Whether all connections are up.
pub fn all_up(connections: &[ConnectionReport]) -> bool {
    connections.iter().all(|one| one.state == model::gateway::ConnectionState::Up)
}

/// Waits until something is there.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not come about");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a program in a namespace.
pub fn sh(namespace: &Namespace, command: &str) -> Output {
    namespace.command("sh").args(["-c", command]).output().unwrap()
}

/// Its output, whether it succeeds or not.
pub fn said(namespace: &Namespace, command: &str) -> String {
    let output = sh(namespace, command);
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Whether `ping` from an address has answers.
pub fn pings(namespace: &Namespace, from: &str, to: &str) -> bool {
    sh(namespace, &format!("ping -n -c 2 -i 0.1 -W 1 -I {from} {to}")).status.success()
}

fn socket(namespace: &Namespace, at: SocketAddr) -> UdpSocket {
    let socket = namespace.run(|| UdpSocket::bind(at)).unwrap().unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    socket
}

/// A UDP socket in a namespace.
pub fn udp(namespace: &Namespace, at: &str) -> UdpSocket {
    socket(namespace, at.parse().unwrap_or_else(|_| panic!("{at}")))
}

/// Sends a datagram from a socket, again when it is lost, and has it received by another one; answers who the receiver sees,
/// and whether an answer came back from where the datagram was sent to. `None` when none arrived.
pub fn exchange(from: &UdpSocket, to: &str, at: &UdpSocket) -> Option<(SocketAddr, bool)> {
    let to: SocketAddr = to.parse().unwrap();
    let mut buffer = [0; 16];
    // What was sent again in an exchange before may have come late.
    for socket in [from, at] {
        socket.set_nonblocking(true).unwrap();
        while socket.recv_from(&mut buffer).is_ok() {}
        socket.set_nonblocking(false).unwrap();
    }
    // A device that was just made, and a neighbor that is just asked for, lose packets.
    let (length, seen) = (0..4).find_map(|_| {
        from.send_to(b"question", to).ok()?;
        at.recv_from(&mut buffer).ok()
    })?;
    assert_eq!(&buffer[..length], b"question");
    let answered = (0..4).any(|_| {
        let _ = at.send_to(b"answer", seen);
        from.recv_from(&mut buffer).is_ok_and(|(_, sender)| sender == to)
    });
    Some((seen, answered))
}

/// Opens a TCP connection from an address and says something over it both ways. Answers whom the server sees; the error else.
pub fn tcp(from: (&Namespace, &str), server: (&Namespace, &str), to: &str) -> Result<IpAddr, String> {
    let at: SocketAddr = server.1.parse().unwrap();
    let listener = server.0.run(|| TcpListener::bind(at)).unwrap().unwrap();
    let to: SocketAddr = to.parse().unwrap();
    let command = format!(
        "import socket
s=socket.socket(socket.AF_INET6 if ':' in '{0}' else socket.AF_INET)
s.settimeout(2); s.bind(('{0}', 0)); s.connect(('{1}', {2})); s.sendall(b'hello'); assert s.recv(5) == b'howdy'",
        from.1,
        to.ip(),
        to.port()
    );
    let server = thread::spawn(move || -> std::io::Result<IpAddr> {
        listener.set_nonblocking(true)?;
        let until = Instant::now() + Duration::from_secs(4);
        let (mut stream, who) = loop {
            match listener.accept() {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && Instant::now() < until => {
                    thread::sleep(Duration::from_millis(5));
                }
                other => break other?,
            }
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut buffer = [0; 5];
        stream.read_exact(&mut buffer)?;
        stream.write_all(b"howdy")?;
        Ok(who.ip())
    });
    let output = from.0.command("python3").args(["-c", &command]).output().unwrap();
    let client =
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) };
    client.and(server.join().unwrap().map_err(|error| error.to_string()))
}
