//! BGP of a compartment with neighbors that are not ours: FRR and another BIRD. Needs root, bird2 and frr.

mod support;

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use gateway::{Bgp, Part, Supervisor, Trouble};
use ipnet::IpNet;
use model::gateway::{BgpNeighbor, Connection, ConnectionReport, ConnectionState, PrefixFilter, Secret};
use plan::gateway::bird::Start;
use support::router::{Bird, Frr, Outside};
use support::{Ground, kill, until};

/// A compartment's part of BGP, on a ground with an outside.
struct Stage {
    ground: Ground,
    part: Bgp,
    _supervisor: Supervisor,
}

impl Stage {
    /// With one connection for each of these neighbors.
    fn new(ground: Ground, neighbors: &[(&str, BgpNeighbor)]) -> Self {
        let supervisor = Supervisor::new().unwrap();
        let part = Bgp::new(supervisor.of(Bgp::KIND));
        let mut stage = Self { ground, part, _supervisor: supervisor };
        stage.set(neighbors);
        stage
    }

    fn set(&mut self, neighbors: &[(&str, BgpNeighbor)]) {
        self.ground.compartment.connections =
            neighbors.iter().map(|(name, neighbor)| support::routed(name, vec![neighbor.clone()])).collect();
        assert_eq!(self.part.settle(&self.ground.place()), Vec::<Trouble>::new());
    }

    /// What is reported of a connection.
    fn report(&mut self, name: &str) -> ConnectionReport {
        let place = self.ground.place();
        self.part.tend(&place);
        let connection: &Connection =
            place.compartment.connections.iter().find(|one| one.name.as_str() == name).unwrap();
        let mut report = support::report(name);
        self.part.report(&place, connection, &mut report);
        report
    }

    /// Waits until a connection is in a state, and says what is reported of it then.
    fn wait(&mut self, name: &str, state: ConnectionState) -> ConnectionReport {
        let mut last = None;
        let found = support::within(Duration::from_secs(40), || {
            let report = self.report(name);
            last = Some(report.clone());
            (report.state == state).then_some(report)
        });
        found.unwrap_or_else(|| panic!("{name} is not {}: {last:#?}\n{}", state.as_str(), self.ground.log("bird")))
    }

    fn wait_learnt(&mut self, name: &str, prefixes: &[&str]) {
        let wanted = nets(prefixes);
        let mut last = None;
        let found = support::within(Duration::from_secs(40), || {
            let report = self.report(name);
            last = Some(report.clone());
            (report.learnt == wanted).then_some(())
        });
        found.unwrap_or_else(|| panic!("{name} has not learnt {prefixes:?}: {last:#?}\n{}", self.ground.log("bird")));
    }

    /// Waits, and has the part look after its things.
    fn until_tended(&mut self, what: &str, mut ask: impl FnMut(&Self) -> Option<()>) {
        until(what, || {
            self.part.tend(&self.ground.place());
            ask(self)
        });
    }

    /// Routes that the kernel has of BGP.
    fn routes(&self) -> Vec<String> {
        let mut routes = Vec::new();
        for family in ["-4", "-6"] {
            let text = self.ground.run("ip", &[family, "route", "show", "table", "all", "proto", "bird"]);
            assert!(text.lines().all(|line| line.contains("table 100")), "{text}");
            routes.extend(text.lines().map(|line| line.split_whitespace().take(5).collect::<Vec<_>>().join(" ")));
        }
        routes
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.part.remove(&self.ground.place());
    }
}

fn nets(prefixes: &[&str]) -> Vec<IpNet> {
    prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect()
}

fn neighbor(address: &str, remote_as: u32) -> BgpNeighbor {
    BgpNeighbor {
        address: address.parse().unwrap(),
        remote_as,
        password: None,
        multihop: false,
        hold_time: None,
        import: Vec::new(),
        export: Vec::new(),
        max_prefixes: None,
        graceful_restart: None,
    }
}

fn filter(prefix: &str, at_most: Option<u8>) -> PrefixFilter {
    PrefixFilter { prefix: prefix.parse().unwrap(), at_least: None, at_most }
}

const FRR: &str = "
router bgp 65001
 no bgp ebgp-requires-policy
 timers bgp 3 9
 timers connect 1
 no bgp network import-check
 neighbor 192.0.2.10 remote-as 65010
 neighbor 192.0.2.10 password swordfish
 neighbor 2001:db8::10 remote-as 65010
 address-family ipv4 unicast
  no neighbor 2001:db8::10 activate
  network 10.1.0.0/16
  network 10.2.0.0/24
  network 10.0.0.128/25
  network 0.0.0.0/0
 exit-address-family
 address-family ipv6 unicast
  neighbor 2001:db8::10 activate
  network fd00:b::/48
 exit-address-family
";

#[test]
fn routes_are_exchanged_with_frr_and_outlive_bird() {
    let ground = Ground::new("frr");
    let outside = Outside::new(&ground, &["192.0.2.1/24", "2001:db8::1/64"]);
    let frr = Frr::start(&outside, FRR);
    let mut first = neighbor("192.0.2.1", 65001);
    first.password = Some(Secret::new("swordfish"));
    let mut stage = Stage::new(ground, &[("four", first.clone()), ("six", neighbor("2001:db8::1", 65001))]);
    let up = stage.wait("four", ConnectionState::Up);
    assert_eq!(up.carriers, ["bird"]);
    // It works with few rights, and what has passwords in it is for it alone.
    let bird = nix::unistd::User::from_name("bird").unwrap().unwrap().uid.as_raw();
    let process = std::fs::metadata(format!("/proc/{}", stage.ground.pid("bird"))).unwrap();
    let config = std::fs::metadata(stage.ground.folder().join("own/run/bird/bird.conf")).unwrap();
    assert_eq!((process.uid(), config.uid(), config.mode() & 0o777), (bird, bird, 0o600));
    stage.wait("six", ConnectionState::Up);
    // Not what is our own, nor the way to everything that no filter names.
    stage.wait_learnt("four", &["10.1.0.0/16", "10.2.0.0/24"]);
    stage.wait_learnt("six", &["fd00:b::/48"]);
    let wanted = [
        "10.1.0.0/16 via 192.0.2.1 dev outside",
        "10.2.0.0/24 via 192.0.2.1 dev outside",
        "fd00:b::/48 via 2001:db8::1 dev outside",
    ];
    until("the kernel has the routes", || (stage.routes() == wanted).then_some(()));
    until("the neighbor has ours", || frr.says("show ip route bgp", "10.0.0.0/24 [20/0] via 192.0.2.10").then_some(()));
    until("the neighbor has ours of IPv6", || frr.says("show ipv6 route bgp", "fd00:a::/64").then_some(()));

    // BIRD is killed: what it learnt stays, also with the neighbor, and it comes back.
    let before = stage.ground.pid("bird");
    let watch = stage.ground.watch_routes();
    let theirs = outside.watch_routes();
    kill(before);
    until("it is another", || (stage.ground.pid("bird") != before).then_some(()));
    stage.wait("four", ConnectionState::Up);
    stage.wait_learnt("four", &["10.1.0.0/16", "10.2.0.0/24"]);
    stage.wait_learnt("six", &["fd00:b::/48"]);
    frr.until_settled();
    assert_eq!(stage.routes(), wanted);
    let lost =
        |seen: String| seen.lines().filter(|line| line.contains("Deleted")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lost(watch.end()), Vec::<String>::new(), "routes went while BIRD was dead");
    assert_eq!(lost(theirs.end()), Vec::<String>::new(), "the neighbor let our routes go");

    // Another host takes over. The neighbor keeps our routes, what still comes is forwarded, and in the end nothing is left.
    let theirs = outside.watch_routes();
    (stage.ground.compartment.standby, stage.ground.compartment.leaving) = (true, true);
    stage.part.settle(&stage.ground.place());
    stage.until_tended("BIRD is gone", |stage| (!stage.ground.folder().join("bird.daemon").exists()).then_some(()));
    assert_eq!(stage.routes(), wanted);
    stage.ground.compartment.leaving = false;
    stage.part.settle(&stage.ground.place());
    stage.until_tended("its routes are gone", |stage| stage.routes().is_empty().then_some(()));
    stage.ground.compartment.standby = false;
    stage.part.settle(&stage.ground.place());
    stage.wait("four", ConnectionState::Up);
    stage.wait("six", ConnectionState::Up);
    until("the kernel has the routes again", || (stage.routes() == wanted).then_some(()));
    frr.until_settled();
    assert_eq!(lost(theirs.end()), Vec::<String>::new(), "the neighbor let our routes go");

    // A filter is all that counts, and it may name the way to everything.
    first.import = vec![filter("0.0.0.0/0", None), filter("10.2.0.0/16", Some(24))];
    stage.set(&[("four", first), ("six", neighbor("2001:db8::1", 65001))]);
    stage.wait_learnt("four", &["0.0.0.0/0", "10.2.0.0/24"]);
    // While a BIRD that was started again waits for neighbors, the kernel's routes rest. Then they are what is learnt.
    let wanted = ["10.2.0.0/24 via 192.0.2.1 dev outside", "default via 192.0.2.1 dev outside", wanted[2]];
    until("the kernel has what is learnt now", || {
        let mut routes = stage.routes();
        routes.sort_unstable();
        (routes == wanted).then_some(())
    });
    // Without BGP nothing is left of it.
    stage.set(&[]);
    stage.until_tended("its routes are gone", |stage| stage.routes().is_empty().then_some(()));
}

#[test]
fn what_is_wrong_with_a_neighbor_is_told_in_words_and_leaves_the_others_alone() {
    let ground = Ground::new("words");
    let outside = Outside::new(&ground, &["192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24", "192.0.2.4/24"]);
    let many: Vec<String> = (0..8).map(|number| format!("10.{}.0.0/16", number + 1)).collect();
    let announced: Vec<&str> = many.iter().map(String::as_str).collect();
    let _good = Bird::start(&outside, "192.0.2.1", 65001, 65010, &announced[..2], "");
    let _wrong = Bird::start(&outside, "192.0.2.2", 65009, 65010, &[], "");
    let _unsure = Bird::start(&outside, "192.0.2.3", 65003, 65999, &[], "");
    let _secret = Bird::start(&outside, "192.0.2.4", 65004, 65010, &[], "password \"theirs\";");
    let mut other_password = neighbor("192.0.2.4", 65004);
    other_password.password = Some(Secret::new("ours"));
    let all = [
        ("good", neighbor("192.0.2.1", 65001)),
        ("wrong", neighbor("192.0.2.2", 65002)),
        ("unsure", neighbor("192.0.2.3", 65003)),
        ("secret", other_password),
        ("nobody", neighbor("192.0.2.99", 65005)),
        ("elsewhere", neighbor("198.51.100.1", 65006)),
    ];
    let mut stage = Stage::new(ground, &all);
    for (name, sentence) in [
        ("wrong", "neighbor 192.0.2.2 is not in AS 65002; set remoteAs to its autonomous system"),
        ("unsure", "neighbor 192.0.2.3 does not expect AS 65010; set localAs to what it expects, or correct it there"),
        (
            "secret",
            "there is no answer from neighbor 192.0.2.4; look whether it runs, has the same password and has 192.0.2.10 in AS 65010 as its neighbor",
        ),
        (
            "nobody",
            "there is no answer from neighbor 192.0.2.99 (no route to host); look whether it runs, asks for no password and has 192.0.2.10 in AS 65010 as its neighbor",
        ),
        (
            "elsewhere",
            "neighbor 198.51.100.1 is in no prefix that outside has an address of; correct the address, or set multihop",
        ),
    ] {
        assert_eq!(stage.wait(name, ConnectionState::Down).reason.as_deref(), Some(sentence));
    }
    stage.wait("good", ConnectionState::Up);
    stage.wait_learnt("good", &announced[..2]);

    // A change of one neighbor does not touch the session with another.
    let since = stage.ground.established("good:192.0.2.1");
    let mut changed = all.clone();
    changed[1].1.remote_as = 65009;
    stage.set(&changed);
    stage.wait("wrong", ConnectionState::Up);
    assert_eq!(stage.ground.established("good:192.0.2.1"), since);
}

#[test]
fn a_neighbor_that_tells_too_much_is_stopped_and_comes_back_when_it_may() {
    let ground = Ground::new("limit");
    let outside = Outside::new(&ground, &["192.0.2.1/24"]);
    let many: Vec<String> = (0..8).map(|number| format!("10.{}.0.0/16", number + 1)).collect();
    let announced: Vec<&str> = many.iter().map(String::as_str).collect();
    let bird = Bird::start(&outside, "192.0.2.1", 65001, 65010, &announced, "");
    let mut limited = neighbor("192.0.2.1", 65001);
    limited.max_prefixes = Some(5);
    limited.import = vec![filter("10.1.0.0/16", None)];
    limited.export = vec![filter("172.16.0.0/12", None)];
    let mut stage = Stage::new(ground, &[("core", limited.clone())]);
    let down = stage.wait("core", ConnectionState::Down);
    let sentence = "neighbor 192.0.2.1 told more than 5 prefixes; raise maxPrefixes, or have it tell fewer; the session is tried again by itself";
    assert_eq!(down.reason.as_deref(), Some(sentence));
    assert_eq!(stage.routes(), Vec::<String>::new());

    limited.max_prefixes = Some(8);
    stage.set(&[("core", limited)]);
    stage.wait_learnt("core", &["10.1.0.0/16"]);
    assert_eq!(stage.wait("core", ConnectionState::Up).reason, None);
    assert_eq!(bird.told(), "", "the filter lets nothing out");
}

#[test]
fn a_neighbor_several_hops_away_is_reached_by_declared_routes() {
    let ground = Ground::new("hops");
    let outside = Outside::new(&ground, &["192.0.2.1/24", "198.51.100.1/32"]);
    ground.run("ip", &["route", "add", "198.51.100.0/24", "via", "192.0.2.1"]);
    let _bird = Bird::start(&outside, "198.51.100.1", 65001, 65010, &["10.1.0.0/16"], "multihop;");
    let mut far = neighbor("198.51.100.1", 65001);
    far.multihop = true;
    let mut stage = Stage::new(ground, &[("core", far)]);
    stage.wait_learnt("core", &["10.1.0.0/16"]);
    until("the kernel has it", || (stage.routes() == ["10.1.0.0/16 via 192.0.2.1 dev outside"]).then_some(()));
}

#[test]
fn bird_can_read_whatever_may_be_declared() {
    let mut odd = neighbor("192.0.2.1", 4_294_967_294);
    odd.password = Some(Secret::new("a'b \\ # {é} ; $"));
    odd.hold_time = Some(0);
    odd.graceful_restart = Some(false);
    odd.import = vec![filter("0.0.0.0/0", Some(32)), filter("fd00::/8", None), filter("10.1.2.3/8", Some(9))];
    odd.export = vec![filter("fd00::/8", None)];
    let mut far = neighbor("2001:db8:1::1", 65010);
    far.multihop = true;
    far.hold_time = Some(u16::MAX);
    far.max_prefixes = Some(u32::MAX);
    far.import = vec![filter("::/0", Some(128))];
    let mut first = support::routed("A very long name - of 63 characters _ with what is legal. 01234", Vec::new());
    let bgp = first.bgp.as_mut().unwrap();
    bgp.neighbors = vec![odd, far, neighbor("fe80::1", 1), neighbor("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 2)];
    bgp.announce = nets(&["10.1.2.3/16", "203.0.113.7/32", "0.0.0.0/0", "fd00:1::1/64", "::/0"]);
    bgp.router_id = Some("1.2.3.4".parse().unwrap());
    let mut last =
        support::routed("b", vec![neighbor("192.0.2.1", 7), neighbor("192.0.2.1", 7), neighbor("2001:db8::5", 7)]);
    last.bgp.as_mut().unwrap().local_as = 4_200_000_000;
    let ground = Ground::new("odd");
    let mut compartment = ground.compartment.clone();
    compartment.connections = vec![first, last];
    let file = ground.folder().join("bird.conf");
    let check = |compartment: &model::gateway::Compartment| {
        [Start::First, Start::Again].map(|start| {
            let text = plan::gateway::bird::config(compartment, start).unwrap();
            std::fs::write(&file, &text).unwrap();
            ground.run("bird", &["-p", "-c", &file.to_string_lossy()]);
            text
        })
    };
    let [text, _] = check(&compartment);
    for session in plan::gateway::bird::sessions(&compartment) {
        assert!(text.contains(&format!("protocol bgp '{}'", session.protocol)), "{}\n{text}", session.protocol);
    }
    // With nothing of IPv4, and with nothing to announce.
    compartment.connections.truncate(1);
    let bgp = compartment.connections[0].bgp.as_mut().unwrap();
    bgp.neighbors.remove(0);
    (bgp.announce, bgp.router_id) = (Vec::new(), None);
    compartment.inside.prefixes.clear();
    compartment.inside.addresses.retain(|address| address.addr().is_ipv6());
    compartment.outside.as_mut().unwrap().addresses.remove(0);
    check(&compartment);
}
