//! WireGuard of compartments against Debian's wireguard-go as the other side.

mod tunnels;

use gateway::{Part, Supervisor, WireguardOptions, WireguardPart, WireguardProgram};
use model::gateway::ConnectionState;
use serde_json::{Value, json};
use tunnels::guard::{Keys, Site};
use tunnels::{Ground, Router, kill, segments_fit, supervisor, tcp, until};

/// The arguments of the process of a tunnel, where this test program is started as one.
const PROCESS: &str = "NVT_TEST_WIREGUARD";

/// No test: what `netvirt gateway wireguard` is for a gateway, this program is for these tests.
#[test]
fn the_process_of_a_tunnel() {
    let Ok(arguments) = std::env::var(PROCESS) else { return };
    let words: Vec<_> = arguments.split(' ').collect();
    let after = |name: &str| words.iter().skip_while(|word| **word != name).nth(1).unwrap().to_string();
    let options = WireguardOptions {
        device: after("--device"),
        config: after("--config").into(),
        socket: after("--status").into(),
        mtu: after("--mtu").parse().unwrap(),
    };
    gateway::run_wireguard(&options).unwrap();
}

fn part(supervisor: &Supervisor) -> WireguardPart {
    let own = std::env::current_exe().unwrap();
    let line = format!("{PROCESS}=\"$*\" exec {} --exact the_process_of_a_tunnel --nocapture", own.display());
    let program = WireguardProgram { program: "sh".into(), arguments: vec!["-c".to_owned(), line, "sh".to_owned()] };
    WireguardPart::new(supervisor.of("wireguard"), program)
}

fn tunnel(name: &str, ours: &Keys, site: &Site, endpoint: &str, port: u16, inside: u8) -> Value {
    json!({"name": name, "wireguard": {
        "privateKey": ours.private, "peerKey": site.keys.public, "endpoint": endpoint, "listenPort": port, "keepalive": 1,
        "remotePrefixes": [format!("10.{inside}.0.0/24"), format!("fd00:{inside}::/64")]
    }})
}

/// What the site is told of us.
fn peer(ours: &Keys, endpoint: &str) -> String {
    format!("{} endpoint {endpoint} allowed-ips 10.1.0.0/24,fd00:1::/64 persistent-keepalive 1", ours.public)
}

#[test]
fn a_tunnel_carries_both_ways_and_is_adopted() {
    let router = Router::new("wg");
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&router, 21, 2);
    let ours = Keys::new();
    site.start(&peer(&ours, "192.0.11.1:51820"));
    ground.connection(tunnel("branch", &ours, &site, "192.0.21.1:51820", 51820, 2));
    let supervisor = supervisor();
    let mut part = part(&supervisor);
    assert_eq!(part.settle(&ground.place()), []);
    let report = ground.until_up(&mut part, "branch");
    assert_eq!(report.carriers, ["userspace WireGuard"]);
    assert_eq!(report.public_key.as_ref(), Some(&ours.public));
    assert!(ground.vm.pings("10.2.0.10", 84));
    assert!(site.net.pings("10.1.0.10", 84));
    assert!(ground.vm.pings("fd00:2::10", 104));
    // What fits just passes, both ways, and what does not is told, not lost.
    assert!(ground.vm.pings("10.2.0.10", 1440));
    assert!(site.net.pings("10.1.0.10", 1420));
    let (_, said) = ground.vm.try_sh("ping -M do -c 1 -W 2 -s 1420 10.2.0.10");
    assert!(said.contains("mtu = 1440") || said.contains("mtu=1440"), "{said}");
    assert_eq!(tcp(&ground.vm, &site.net, "10.2.0.10:5001", 10_000_000), 10_000_000);
    assert_eq!(tcp(&site.net, &ground.vm, "10.1.0.10:5001", 10_000_000), 10_000_000);
    let report = ground.until(&mut part, "branch", |report| report.sent_bytes > 10_000_000);
    assert!(report.received_bytes > 10_000_000, "{report:?}");

    // Another gateway takes it up as it is.
    drop((part, supervisor));
    let supervisor = tunnels::supervisor();
    let mut part = self::part(&supervisor);
    let processes = ground.net.namespace.processes().unwrap();
    assert_eq!(part.settle(&ground.place()), []);
    assert_eq!(ground.report(&mut part, "branch").state, ConnectionState::Up);
    assert_eq!(ground.net.namespace.processes().unwrap(), processes);

    // The process is killed: another takes its place at the same device.
    processes.into_iter().for_each(kill);
    until("the tunnel is back", || {
        part.tend(&ground.place());
        ground.vm.pings("10.2.0.10", 84)
    });
    part.remove(&ground.place());
    assert_eq!(ground.net.namespace.processes().unwrap(), [] as [u32; 0]);
    assert!(!ground.net.sh("ip link").contains(": wg"));
}

#[test]
fn a_peer_that_restarts_comes_back_and_a_changed_key_leaves_other_tunnels_alone() {
    let router = Router::new("wgkey");
    let mut ground = Ground::new(&router, 11);
    let (mut branch, mut depot) = (Site::new(&router, 21, 2), Site::new(&router, 22, 3));
    let ours = [Keys::new(), Keys::new()];
    branch.start(&peer(&ours[0], "192.0.11.1:51820"));
    depot.start(&peer(&ours[1], "192.0.11.1:51821"));
    ground.connection(tunnel("branch", &ours[0], &branch, "192.0.21.1:51820", 51820, 2));
    ground.connection(tunnel("depot", &ours[1], &depot, "192.0.22.1:51820", 51821, 3));
    let supervisor = supervisor();
    let mut part = part(&supervisor);
    assert_eq!(part.settle(&ground.place()), []);
    ground.until_up(&mut part, "branch");
    ground.until_up(&mut part, "depot");

    // The peer is killed and comes back.
    branch.kill();
    branch.start(&peer(&ours[0], "192.0.11.1:51820"));
    until("the branch is back", || ground.vm.pings("10.2.0.10", 84));

    // Our key of the one tunnel is changed, under way on the other.
    let new = Keys::new();
    let lost = std::thread::scope(|scope| {
        let pinging = scope.spawn(|| ground.vm.sh("ping -q -i 0.005 -c 600 -W 2 10.3.0.10"));
        let mut changed = ground.compartment.clone();
        let connection = serde_json::from_value(tunnel("branch", &new, &branch, "192.0.21.1:51820", 51820, 2)).unwrap();
        changed.connections[0] = connection;
        let place = gateway::Place { compartment: &changed, ..ground.place() };
        assert_eq!(part.settle(&place), []);
        branch.wg(&format!("set wg0 peer {} remove", ours[0].public));
        branch.wg(&format!("set wg0 peer {}", peer(&new, "192.0.11.1:51820")));
        until("the branch speaks with the new key", || ground.vm.pings("10.2.0.10", 84));
        pinging.join().unwrap()
    });
    assert!(lost.contains("600 received"), "{lost}");

    // Nobody is there any more.
    ground.connection(tunnel("branch", &new, &depot, "192.0.99.1:51820", 51820, 2));
    assert_eq!(part.settle(&ground.place()), []);
    let report = ground.until(&mut part, "branch", |report| report.state == ConnectionState::Connecting);
    let reason = report.reason.unwrap();
    assert!(reason.contains("no handshake with 192.0.99.1:51820"), "{reason}");
    ground.until_up(&mut part, "depot");
}

#[test]
fn the_first_of_two_goes_and_the_other_one_does_not_notice() {
    let router = Router::new("wgtwo");
    let mut ground = Ground::new(&router, 11);
    let (mut branch, mut depot) = (Site::new(&router, 21, 2), Site::new(&router, 22, 3));
    let ours = [Keys::new(), Keys::new()];
    branch.start(&peer(&ours[0], "192.0.11.1:51820"));
    depot.start(&peer(&ours[1], "192.0.11.1:51821"));
    ground.connection(tunnel("branch", &ours[0], &branch, "192.0.21.1:51820", 51820, 2));
    ground.connection(tunnel("depot", &ours[1], &depot, "192.0.22.1:51820", 51821, 3));
    let supervisor = supervisor();
    let mut part = part(&supervisor);
    assert_eq!(part.settle(&ground.place()), []);
    ground.until_up(&mut part, "branch");
    ground.until_up(&mut part, "depot");
    let before = ground.net.namespace.processes().unwrap();
    assert_eq!(before.len(), 2);

    let vm = std::sync::Arc::clone(&ground.vm);
    let lost = std::thread::scope(|scope| {
        let pinging = scope.spawn(|| vm.sh("ping -q -i 0.005 -c 600 -W 2 10.3.0.10"));
        ground.compartment.connections.retain(|connection| connection.name.as_str() != "branch");
        assert_eq!(part.settle(&ground.place()), []);
        until("the first one's process has ended", || {
            assert_eq!(part.tend(&ground.place()), []);
            ground.net.namespace.processes().unwrap().len() == 1
        });
        pinging.join().unwrap()
    });
    assert!(lost.contains("600 received"), "{lost}");
    assert!(before.contains(&ground.net.namespace.processes().unwrap()[0]), "its process is the same");
    assert!(!ground.net.sh("ip route").contains("10.2.0.0/24"));
    ground.until_up(&mut part, "depot");
}

#[test]
fn the_size_of_segments_is_what_fits_into_the_tunnel() {
    let router = Router::new("wgmss");
    let mut ground = Ground::new(&router, 11);
    let mut site = Site::new(&router, 21, 2);
    let ours = Keys::new();
    site.start(&peer(&ours, "192.0.11.1:51820"));
    // So that nothing but the gateway makes segments smaller.
    site.net.sh("ip link set wg0 mtu 1500");
    ground.connection(tunnel("branch", &ours, &site, "192.0.21.1:51820", 51820, 2));
    ground.apply_rules();
    let supervisor = supervisor();
    let mut part = part(&supervisor);
    assert_eq!(part.settle(&ground.place()), []);
    ground.until_up(&mut part, "branch");
    // 1440 less the headers of IPv4 or IPv6, and of TCP.
    segments_fit(&ground, &site.net, ["10.2.0.10", "[fd00:2::10]"], [1400, 1380]);
}
