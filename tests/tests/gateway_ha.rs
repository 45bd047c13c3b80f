//! Hosts of a gateway that take each other's place: what is planned loses nothing, and connections through NAT outlive the host
//! that they went through. Needs root.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::cloud::{Cloud, WWW};
use tests::site::{Conversation, Greeter};
use tests::stage::eventually;
use tests::tools::{Background, must_ping, run};

/// How long something may take to come about.
const LIMIT: Duration = Duration::from_secs(20);

/// Conversations that are held through the gateway.
const TALKS: usize = 20;

/// A cloud with a VM of the tenant red that talks to the server outside.
struct Story {
    cloud: Cloud,
    _greeter: Greeter,
    vm: lab::Node,
    talks: Vec<Conversation>,
}

impl Story {
    fn begin() -> Self {
        let cloud = Cloud::up(&[("red", 1, 1)], "");
        cloud.tenant("red");
        let (vm, _) = cloud.vm("red", "red", 1, 1);
        let greeter = Greeter::start(&cloud.node("www"), WWW);
        cloud.connect("red", "internet", "nat: {}");
        cloud.await_state("red", "internet", "up");
        must_ping(&vm, "198.51.100.7");
        let talks = (0..TALKS).map(|_| Conversation::open(&vm, WWW).expect("the server greets")).collect();
        let story = Self { cloud, _greeter: greeter, vm, talks };
        assert_eq!(story.active(), story.cloud.host_name(3), "the preferred one");
        story.await_known();
        story
    }

    /// The host that is active for the VM network.
    fn active(&self) -> String {
        let shown = self.cloud.connection("red", "internet");
        shown["status"]["connection"]["host"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the gateway that stands by knows the connections.
    fn await_known(&self) {
        let host = self.cloud.host_name(4);
        let names = host::Namespace::list().expect("namespaces are listed");
        let is_its = |name: &String| name.contains(&format!(".{host}.")) && name.ends_with(".c.red.net");
        let standby = names.into_iter().find(is_its).expect("the compartment stands by");
        let standby = host::conntrack::Conntrack::in_namespace(&host::Namespace::open(&standby).unwrap()).unwrap();
        let established = |entry: &host::conntrack::Entry| entry.tcp.is_some_and(|tcp| tcp.state == 3);
        let known = || standby.list().unwrap().iter().filter(|entry| established(entry)).count();
        assert!(eventually(LIMIT, || known() >= self.talks.len()), "{} of {TALKS} are known", known());
    }

    #[track_caller]
    fn await_active(&self, host: usize) {
        let name = self.cloud.host_name(host);
        assert!(eventually(LIMIT, || self.active() == name), "{} is active\n{}", self.active(), self.cloud.logs());
        self.cloud.await_state("red", "internet", "up");
    }

    /// All conversations go on.
    #[track_caller]
    fn all_talk(&mut self) {
        let broken = self.talks.iter_mut().filter_map(|talk| talk.say("still there?").err()).collect::<Vec<_>>();
        assert!(broken.is_empty(), "{} of {TALKS}: {broken:?}\n{}", broken.len(), self.cloud.logs());
        Conversation::open(&self.vm, WWW).expect("and new ones begin");
    }

    fn ping(&self) -> Background {
        let ping = Background::start(&self.vm, "ping -n -i 0.01 198.51.100.7");
        ping.await_words("icmp_seq=10 ");
        ping
    }

    /// What the operator's log says of switch-overs.
    fn audit(&self) -> String {
        self.cloud.op("get audit")
    }

    /// What is said of a host of the gateway.
    fn trouble(&self, host: usize) -> String {
        let name = self.cloud.host_name(host);
        let gateway = self.cloud.fabric.json("get gateway edge");
        let hosts = gateway["status"]["gatewayHosts"].as_array().cloned().unwrap_or_default();
        let its = hosts.into_iter().find(|its| its["host"] == Value::String(name.clone())).unwrap_or_default();
        its["trouble"].as_str().unwrap_or_default().to_owned()
    }
}

/// How many pings were answered, and which before the last of these were not. One that was just on its way when `ping` was
/// ended is not lost.
fn lost(text: &str) -> (u32, Vec<u32>) {
    let number = |line: &str| line.split_once("icmp_seq=")?.1.split(' ').next()?.parse().ok();
    let answers = text.lines().filter(|line| line.contains(" bytes from "));
    let answered: std::collections::BTreeSet<u32> = answers.filter_map(number).collect();
    let last = answered.last().copied().unwrap_or_default();
    assert!(last > 10, "{text}");
    (last, (1..=last).filter(|number| !answered.contains(number)).collect())
}

#[test]
fn a_host_that_is_drained_hands_over_and_next_to_nothing_is_lost() {
    let mut story = Story::begin();
    let mut ping = story.ping();
    story.cloud.op(&format!("set gateway edge --drained {}", story.cloud.host_name(3)));
    story.await_active(4);
    story.all_talk();
    // And back, when the move has come to its end.
    let allocation = || story.cloud.fabric.json("get vm-network net --tenant red")["status"].clone();
    let settled = || allocation()["gateway"]["cameFrom"].is_null();
    assert!(eventually(LIMIT, settled), "{:#}", allocation());
    story.cloud.op(&format!("set gateway edge --drained {}", story.cloud.host_name(4)));
    story.await_active(3);
    story.all_talk();
    let text = ping.end(Signal::SIGINT);
    let (sent, lost) = lost(&text);
    // One of hundreds was seen missing in two of ten runs beside other work, and why is not known: a second one is a fault.
    assert!(lost.len() <= 1, "{lost:?} of {sent} lost\n{text}\n{}", story.cloud.logs());
    println!("lost: {lost:?} of {sent}");
    assert!(story.audit().contains("switch-over"), "{}", story.audit());
}

#[test]
fn connections_outlive_the_host_that_they_went_through() {
    let mut story = Story::begin();
    let name = story.cloud.host_name(3);
    let host = story.cloud.node(&name);
    // The host is dead: its processes are, its cables, and what its kernel knew of compartments.
    story.cloud.fabric.stage.lab.lose_gateway(&name).unwrap();
    story.cloud.fabric.stage.lab.kill_agent(&name).unwrap();
    run(&host, "ip link set dev eth0 down");
    run(&host, "ip link set dev eth1 down");
    story.await_active(4);
    story.all_talk();
    let trouble = || story.trouble(3);
    assert!(eventually(LIMIT, || trouble().contains("has been silent for")), "{}", trouble());
    // It comes back, and stays the one that stands by.
    run(&host, "ip link set dev eth0 up");
    run(&host, "ip link set dev eth1 up");
    story.cloud.fabric.stage.lab.start_agent(&name).unwrap();
    story.cloud.fabric.stage.lab.start_gateway(&name).unwrap();
    assert!(eventually(LIMIT, || story.trouble(3).is_empty()), "{}", story.trouble(3));
    assert_eq!(story.active(), story.cloud.host_name(4));
    story.all_talk();
}

#[test]
fn a_link_that_is_cut_moves_what_went_through_it() {
    for device in ["eth1", "eth0"] {
        let mut story = Story::begin();
        let host = story.cloud.node(&story.cloud.host_name(3));
        run(&host, &format!("ip link set dev {device} down"));
        story.await_active(4);
        story.all_talk();
        run(&host, &format!("ip link set dev {device} up"));
        assert!(eventually(LIMIT, || story.trouble(3).is_empty()), "{}", story.trouble(3));
        story.all_talk();
    }
}

#[test]
fn a_process_that_dies_moves_nothing_and_interrupts_nothing() {
    let mut story = Story::begin();
    let name = story.cloud.host_name(3);
    let mut ping = story.ping();
    story.cloud.fabric.stage.lab.kill_gateway(&name).unwrap();
    assert!(eventually(LIMIT, || story.trouble(3).contains("says nothing")), "{}", story.trouble(3));
    story.cloud.fabric.stage.lab.start_gateway(&name).unwrap();
    assert!(eventually(LIMIT, || story.trouble(3).is_empty()), "{}", story.trouble(3));
    story.cloud.fabric.stage.lab.kill_agent(&name).unwrap();
    // Longer than it would take to be taken for dead.
    std::thread::sleep(Duration::from_secs(2));
    story.cloud.fabric.stage.lab.start_agent(&name).unwrap();
    story.all_talk();
    assert_eq!(story.active(), name);
    let text = ping.end(Signal::SIGINT);
    let (sent, lost) = lost(&text);
    assert!(lost.is_empty(), "{lost:?} of {sent} lost\n{text}\n{}", story.cloud.logs());
}
