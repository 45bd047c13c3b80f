//! Gateways that keep each other's connections, in two hosts made of namespaces.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use api::ClientError;
use gateway::ha::{Member, Role, Together};
use gateway::{Agent, Work};
use host::conntrack::{Conntrack, Entry, Layer4, Tuple};
use host::{Namespace, Netlink, VethEnd};
use model::QualifiedName;
use model::gateway::{Gateway, GatewayBeat, GatewayLinks, GatewayPeer, GatewayReport};
use parking_lot::Mutex;

/// How long something may take to come about; then the test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

const RULES: &str = "table ip nat {
    chain out {
        type nat hook postrouting priority srcnat
        oifname outside meta l4proto { tcp, udp } snat to 198.51.100.1:1024-65535 random
    }
}";

/// Namespaces that go with the test.
struct Spaces(Vec<(&'static str, Namespace)>);

impl Spaces {
    fn of(names: &[&'static str]) -> Self {
        assert!(host::process::is_root(), "this test makes network namespaces and needs root: run it with sudo");
        let make = |name: &'static str| {
            let full = format!("nvt-ha-{}-{name}", std::process::id());
            let _ = Namespace::delete(&full);
            let namespace = Namespace::create(&full).expect("it can be made");
            run(&namespace, "ip link set dev lo up");
            (name, namespace)
        };
        Self(names.iter().map(|name| make(name)).collect())
    }

    fn get(&self, name: &str) -> &Namespace {
        &self.0.iter().find(|(other, _)| *other == name).expect("it was made").1
    }

    /// A cable between two, with addresses.
    fn cable(&self, near: (&str, &str, &str), far: (&str, &str, &str)) {
        let netlink = Netlink::in_namespace(self.get(near.0)).unwrap();
        netlink.create_veth(VethEnd::named(near.1), VethEnd::named(far.1), self.get(far.0)).unwrap();
        for (name, device, address) in [near, far] {
            if !address.is_empty() {
                run(self.get(name), &format!("ip address add {address} dev {device}"));
            }
            run(self.get(name), &format!("ip link set dev {device} up"));
        }
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for (_, namespace) in &self.0 {
            let _ = Namespace::delete(namespace.name().unwrap_or_default());
        }
    }
}

fn run(namespace: &Namespace, command: &str) {
    let mut words = command.split_whitespace();
    let output = namespace.command(words.next().unwrap()).args(words).output().expect("it starts");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An agent that listens only.
#[derive(Default)]
struct Ear(Mutex<Option<(Instant, GatewayBeat)>>);

impl Agent for Ear {
    fn work(&self, _: Option<u64>) -> Result<Work, ClientError> {
        unreachable!("nobody asks it")
    }
    fn report(&self, _: &GatewayReport) -> Result<(), ClientError> {
        Ok(())
    }
    fn beat(&self, beat: &GatewayBeat) -> Result<(), ClientError> {
        *self.0.lock() = Some((Instant::now(), beat.clone()));
        Ok(())
    }
}

/// One host's part.
struct Host {
    together: Together,
    ear: Arc<Ear>,
    changes: Arc<AtomicU32>,
    gateway: Gateway,
}

impl Host {
    fn start(namespace: &Namespace, own: &str, peer: (&str, &str)) -> Self {
        let (ear, changes) = (Arc::new(Ear::default()), Arc::new(AtomicU32::new(0)));
        let (agent, count) = (Arc::clone(&ear), Arc::clone(&changes));
        let changed = move || {
            count.fetch_add(1, Ordering::Relaxed);
        };
        // Threads are born in the namespace of the one that starts them.
        let together = namespace.run(move || Together::start(agent, changed)).unwrap().unwrap();
        let peers = vec![GatewayPeer { host: peer.0.parse().unwrap(), address: peer.1.parse().unwrap() }];
        let address = Some(own.parse().unwrap());
        let interface = "underlay".parse().unwrap();
        let gateway = Gateway { interface, addresses: Vec::new(), next_hops: Vec::new(), address, peers };
        Self { together, ear, changes, gateway }
    }

    fn set(&self, host: &str, role: Role, namespace: &Namespace) {
        let own = ["192.0.2.1".parse::<IpAddr>().unwrap()].into();
        let member = Member { role, namespace: namespace.name().unwrap().to_owned(), own };
        self.together.set(host, Some(&self.gateway), BTreeMap::from([(compartment(), member)]));
    }

    fn beat(&self) -> Option<GatewayBeat> {
        self.ear.0.lock().as_ref().map(|(_, beat)| beat.clone())
    }
}

fn compartment() -> QualifiedName {
    "aaa/net".parse().unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A VM and a server with two routers between them, each the compartment of a host.
fn world() -> Spaces {
    let spaces = Spaces::of(&["vm", "server", "a", "b", "h1", "h2"]);
    for (end, address) in [("vm", "10.0.0.5/32"), ("server", "203.0.113.9/32")] {
        run(spaces.get(end), &format!("ip address add {address} dev lo"));
    }
    for router in ["a", "b"] {
        spaces.cable((router, "inside", "192.0.2.1/24"), ("vm", router, ""));
        spaces.cable((router, "outside", "192.0.2.1/24"), ("server", router, ""));
        let namespace = spaces.get(router);
        run(namespace, "ip route add 10.0.0.5 dev inside scope link");
        run(namespace, "ip route add 203.0.113.9 dev outside scope link");
        namespace.set_sysctl("ipv4/ip_forward", "1").unwrap();
        let mut nft = namespace.command("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft starts");
        nft.stdin.take().unwrap().write_all(RULES.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success());
    }
    spaces.cable(("h1", "underlay", "10.9.0.1/24"), ("h2", "underlay", "10.9.0.2/24"));
    use_router(&spaces, "a");
    spaces
}

fn use_router(spaces: &Spaces, name: &str) {
    for end in ["vm", "server"] {
        run(spaces.get(end), &format!("ip route replace default via 192.0.2.1 dev {name} onlink"));
    }
}

struct Pair(TcpStream, TcpStream);

impl Pair {
    fn open(spaces: &Spaces, listener: &TcpListener) -> Self {
        let to = SocketAddr::from((Ipv4Addr::new(203, 0, 113, 9), 443));
        let near = spaces.get("vm").run(|| TcpStream::connect_timeout(&to, PATIENCE).unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        for end in [&near, &far] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        Self(near, far)
    }

    fn echo(&mut self) {
        let mut bytes = [0; 4];
        self.0.write_all(b"ping").unwrap();
        self.1.read_exact(&mut bytes).expect("the server hears it");
        self.1.write_all(b"pong").unwrap();
        self.0.read_exact(&mut bytes).expect("the VM hears it");
    }

    fn is_known(&self, to: &Conntrack) -> bool {
        let port = self.0.local_addr().unwrap().port();
        let established = |entry: &Entry| entry.tcp.is_some_and(|tcp| tcp.state == 3);
        let its = |entry: &Entry| matches!(entry.original.layer4, Layer4::Ports(from, _) if from == port);
        to.list().unwrap().iter().any(|entry| its(entry) && established(entry))
    }
}

#[test]
fn connections_of_the_active_one_go_on_at_the_one_that_stands_by() {
    let spaces = world();
    let standby = Conntrack::in_namespace(spaces.get("b")).unwrap();
    let listener = spaces.get("server").run(|| TcpListener::bind("0.0.0.0:443").unwrap()).unwrap();
    let mut before = Pair::open(&spaces, &listener);
    before.echo();
    // What is left of an earlier life of the host, and is over.
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let original =
        Tuple { source: ip("10.0.0.5"), destination: ip("203.0.113.9"), protocol: 17, layer4: Layer4::Ports(9, 53) };
    let reply =
        Tuple { source: original.destination, destination: original.source, layer4: Layer4::Ports(53, 9), ..original };
    let stale = Entry { original, reply, status: 8, timeout: 1000, mark: 0, zone: 0, tcp: None };
    standby.put(&stale).unwrap();

    let first = Host::start(spaces.get("h1"), "10.9.0.1", ("host2", "10.9.0.2"));
    let second = Host::start(spaces.get("h2"), "10.9.0.2", ("host1", "10.9.0.1"));
    first.set("host1", Role::Active, spaces.get("a"));
    second.set("host2", Role::Standby, spaces.get("b"));
    until("what was there before is known", || before.is_known(&standby));
    until("what is over is forgotten", || standby.get(&stale.original, 0).unwrap().is_none());
    let mut opened = Pair::open(&spaces, &listener);
    until("what is opened is known", || opened.is_known(&standby));

    // A connection that ends is forgotten there too.
    let active = Conntrack::in_namespace(spaces.get("a")).unwrap();
    let closing = Pair::open(&spaces, &listener);
    until("it is known", || closing.is_known(&standby));
    let port = closing.0.local_addr().unwrap().port();
    let its = |entry: &Entry| matches!(entry.original.layer4, Layer4::Ports(from, _) if from == port);
    let entry = active.list().unwrap().into_iter().find(its).unwrap();
    active.remove(&entry).unwrap();
    until("it is forgotten", || standby.get(&entry.original, 0).unwrap().is_none());

    // The host dies, and the other one takes its place.
    first.together.stop();
    second.set("host2", Role::Active, spaces.get("b"));
    use_router(&spaces, "b");
    before.echo();
    opened.echo();
}

#[test]
fn gateways_tell_of_each_other_and_let_go_when_their_uplink_is_cut() {
    let spaces = world();
    let first = Host::start(spaces.get("h1"), "10.9.0.1", ("host2", "10.9.0.2"));
    let second = Host::start(spaces.get("h2"), "10.9.0.2", ("host1", "10.9.0.1"));
    first.set("host1", Role::Active, spaces.get("a"));
    second.set("host2", Role::Standby, spaces.get("b"));
    let fine = Some(GatewayLinks { outside: true, uplink: true });
    until("they hear each other, and one follows the other", || {
        [&first, &second].iter().all(|host| {
            let Some(beat) = host.beat() else { return false };
            beat.links == fine && beat.peers.iter().all(|peer| peer.silent < 400 && peer.trouble.is_none())
        })
    });
    assert_eq!(second.beat().unwrap().peers[0].host.as_str(), "host1");
    assert!(!first.together.is_fenced());

    let before = first.changes.load(Ordering::Relaxed);
    run(spaces.get("h2"), "ip link set dev underlay down");
    until("the host lets go", || first.together.is_fenced() && first.changes.load(Ordering::Relaxed) > before);
    until("it is silent", || first.beat().unwrap().peers[0].silent > 400);
    run(spaces.get("h2"), "ip link set dev underlay up");
    until("it is as before", || !first.together.is_fenced() && first.beat().unwrap().peers[0].silent < 400);

    first.together.stop();
    until("the other one tells that it is silent and cannot be followed", || {
        let beat = second.beat().unwrap();
        beat.peers[0].silent > 400 && beat.peers[0].trouble.as_ref().is_some_and(|why| why.contains("10.9.0.1:7637"))
    });
}
