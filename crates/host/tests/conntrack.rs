//! Connections that are translated by one router go on through another one that was told of them.

mod common;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use common::Scratch;
use host::conntrack::{Conntrack, ConntrackEvent, ConntrackWatch, Entry, Layer4};
use host::{Namespace, Netlink, VethEnd};

/// The VM, behind the routers.
const VM: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
/// A server outside.
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
/// What the VM appears under.
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// How long the kernel may take to tell, or a packet to come; then the test has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A port for each new connection that no other router would choose by chance.
const RULES: &str = "table ip nat {
    chain out {
        type nat hook postrouting priority srcnat
        oifname outside meta l4proto { tcp, udp } snat to 198.51.100.1:1024-65535 random
    }
    chain in {
        type nat hook prerouting priority dstnat
        iifname outside ip daddr 198.51.100.1 tcp dport 8080 dnat to 10.0.0.5:80
    }
}";

/// A VM, a server, and two routers between them, of which one is used.
struct Net {
    vm: Scratch,
    server: Scratch,
    routers: [Scratch; 2],
}

fn run(namespace: &Namespace, program: &str, arguments: &str) {
    let output = namespace.command(program).args(arguments.split_whitespace()).output().expect("it starts");
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Net {
    fn new() -> Self {
        let net = Self { vm: Scratch::new(), server: Scratch::new(), routers: [Scratch::new(), Scratch::new()] };
        for (end, address) in [(&net.vm, VM), (&net.server, SERVER)] {
            run(end, "ip", "link set dev lo up");
            run(end, "ip", &format!("address add {address}/32 dev lo"));
        }
        for (router, name) in net.routers.iter().zip(["a", "b"]) {
            for (end, device, address) in [(&net.vm, "inside", VM), (&net.server, "outside", SERVER)] {
                Netlink::in_namespace(router)
                    .unwrap()
                    .create_veth(VethEnd::named(device), VethEnd::named(name), end)
                    .unwrap();
                run(router, "ip", &format!("link set dev {device} up"));
                run(router, "ip", &format!("address add 192.0.2.1/24 dev {device}"));
                run(router, "ip", &format!("route add {address} dev {device} scope link"));
                run(end, "ip", &format!("link set dev {name} up"));
            }
            router.set_sysctl("ipv4/ip_forward", "1").unwrap();
            let mut nft = router.command("nft").arg("-f").arg("-").stdin(std::process::Stdio::piped()).spawn().unwrap();
            nft.stdin.take().unwrap().write_all(RULES.as_bytes()).unwrap();
            assert!(nft.wait().unwrap().success());
        }
        net.use_router("a");
        net
    }

    /// From now on packets go this way.
    fn use_router(&self, name: &str) {
        for end in [&self.vm, &self.server] {
            run(end, "ip", &format!("route replace default via 192.0.2.1 dev {name} onlink"));
        }
    }

    fn conntracks(&self) -> [Conntrack; 2] {
        [0, 1].map(|router| Conntrack::in_namespace(&self.routers[router]).unwrap())
    }
}

fn listen(namespace: &Namespace, port: u16) -> TcpListener {
    namespace.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap()).unwrap()
}

/// A connection from one namespace to a listener in another one: both ends.
fn connect(namespace: &Namespace, to: (Ipv4Addr, u16), listener: &TcpListener) -> (TcpStream, TcpStream) {
    let from = namespace.run(|| TcpStream::connect_timeout(&SocketAddr::from(to), PATIENCE).unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    for end in [&from, &accepted] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    (from, accepted)
}

/// Bytes there and back.
fn echo((near, far): &mut (TcpStream, TcpStream)) -> std::io::Result<()> {
    let mut bytes = [0; 4];
    near.write_all(b"ping")?;
    far.read_exact(&mut bytes)?;
    far.write_all(b"pong")?;
    near.read_exact(&mut bytes)
}

#[test]
fn a_translated_connection_goes_on_through_another_router() {
    let net = Net::new();
    let [from, to] = net.conntracks();
    let server = listen(&net.server, 443);
    let mut opened = connect(&net.vm, (SERVER, 443), &server);
    let mut forgotten = connect(&net.vm, (SERVER, 443), &server);
    let web = listen(&net.vm, 80);
    let mut forwarded = connect(&net.server, (OUTSIDE, 8080), &web);
    let udp = net.server.run(|| UdpSocket::bind((SERVER, 53)).unwrap()).unwrap();
    let asking = net.vm.run(|| UdpSocket::bind((VM, 0)).unwrap()).unwrap();
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    asking.set_read_timeout(Some(PATIENCE)).unwrap();
    asking.send_to(b"name?", (SERVER, 53)).unwrap();
    let seen_as = udp.recv_from(&mut [0; 9]).unwrap().1;
    assert_eq!(seen_as.ip(), OUTSIDE);
    for pair in [&mut opened, &mut forgotten, &mut forwarded] {
        echo(pair).unwrap();
    }

    let left_out = forgotten.0.local_addr().unwrap().port();
    let left_out = |entry: &Entry| matches!(entry.original.layer4, Layer4::Ports(from, _) if from == left_out);
    let entries: Vec<_> = from.list().unwrap().into_iter().filter(|entry| !left_out(entry)).collect();
    assert_eq!(entries.len(), 3, "{entries:?}");
    let own = BTreeSet::from(["192.0.2.1".parse().unwrap(), OUTSIDE.into()]);
    for entry in &entries {
        assert!(entry.is_forwarded(&own), "{entry:?}");
        to.put(entry).unwrap();
        // What was told twice is there once.
        to.put(entry).unwrap();
    }
    let there = to.list().unwrap();
    assert_eq!(to.count().unwrap(), 3);
    for entry in &entries {
        let same = there.iter().find(|other| other.original == entry.original).expect("it was put there");
        assert_eq!(same.reply, entry.reply);
        assert_eq!(same.tcp.map(|tcp| tcp.state), entry.tcp.map(|tcp| tcp.state));
        assert!(same.timeout <= entry.timeout && same.timeout + 60 > entry.timeout, "{same:?} of {entry:?}");
    }

    net.use_router("b");
    forgotten.1.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    echo(&mut opened).expect("the VM's connection goes on");
    echo(&mut forwarded).expect("the connection to the VM goes on");
    udp.send_to(b"answer", seen_as).unwrap();
    assert_eq!(asking.recv(&mut [0; 9]).expect("the answer comes through"), 6);
    echo(&mut forgotten).expect_err("what the other router was not told of reaches nobody");
}

#[test]
fn another_connection_in_the_same_place_is_replaced() {
    let net = Net::new();
    let [from, to] = net.conntracks();
    let server = listen(&net.server, 443);
    let mut opened = connect(&net.vm, (SERVER, 443), &server);
    echo(&mut opened).unwrap();
    let entry = from.list().unwrap()[0];
    // The same opener, translated otherwise; and another opener in whose name the answers would come.
    let otherwise = |change: fn(&mut Entry)| {
        let mut other = entry;
        change(&mut other);
        other
    };
    let Layer4::Ports(..) = entry.reply.layer4 else { panic!("{entry:?}") };
    let translated = otherwise(|other| other.reply.layer4 = Layer4::Ports(443, 1));
    let same_answer = otherwise(|other| other.original.source = Ipv4Addr::new(10, 0, 0, 6).into());
    for before in [translated, same_answer] {
        to.put(&before).unwrap();
        to.put(&entry).unwrap();
        let there = to.list().unwrap();
        assert_eq!(there.len(), 1, "{there:?}");
        assert_eq!((there[0].original, there[0].reply), (entry.original, entry.reply));
    }
    to.remove(&entry).unwrap();
    to.remove(&entry).expect("what is not there is none to be forgotten");
    assert_eq!(to.count().unwrap(), 0);
}

/// Reads events until one is as wanted.
fn wait_for(watch: &ConntrackWatch, wanted: impl Fn(&ConntrackEvent) -> bool) {
    let began = Instant::now();
    let mut heard = Vec::new();
    while began.elapsed() < PATIENCE {
        ConntrackWatch::wait(&[watch], Duration::from_millis(100)).unwrap();
        heard.extend(watch.read().unwrap());
        if heard.iter().any(&wanted) {
            return;
        }
    }
    panic!("not heard in {PATIENCE:?}; heard {heard:?}");
}

#[test]
fn connections_are_heard_of() {
    let net = Net::new();
    let [from, _] = net.conntracks();
    let watch = from.watch().unwrap();
    let server = listen(&net.server, 443);
    let opened = connect(&net.vm, (SERVER, 443), &server);
    let established = |entry: &Entry| entry.tcp.is_some_and(|tcp| tcp.state == 3);
    wait_for(&watch, |event| matches!(event, ConntrackEvent::Is(entry) if established(entry)));
    let entry = from.list().unwrap()[0];
    assert_eq!(from.get(&entry.original, 0).unwrap().map(|there| there.reply), Some(entry.reply));
    from.remove(&entry).unwrap();
    wait_for(&watch, |event| matches!(event, ConntrackEvent::Gone(gone) if gone.original == entry.original));
    assert_eq!(from.get(&entry.original, 0).unwrap(), None);
    drop(opened);
}
