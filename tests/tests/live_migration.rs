//! A real guest moves by live migration between hosts in different subnets of the underlay, there and back, under ping, a TCP
//! stream and idle connections, with stateful security groups: no connection breaks. Needs root.

use std::time::Duration;

use lab::{Moved, Node};
use serde_json::Value;
use tests::stage::{LIMIT, Stage, eventually};
use tests::tools::{Background, must_ping, run_any};

/// Who may reach whom is said by security groups: blue1's own echo requests and what guest1 opens itself, and ssh's port.
const TOPOLOGY: &str = r#"
name: LAB
underlay: {kind: routed, mtu: 1600, offloads: {gro: true}}
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.5.22/24]}
  - {name: H3, addresses: [192.168.6.33/24]}
vms:
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24]}
  - {name: guest1, kind: vm, memory: 384, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24]}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.5.22}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
  - {kind: security-group, name: web, spec: {rules: [{direction: ingress, protocol: icmp}, {direction: ingress, protocol: tcp, ports: [5201]}]}}
"#;

/// Provider addresses of the hosts.
const PROVIDERS: [&str; 3] = ["192.168.4.11", "192.168.5.22", "192.168.6.33"];
const GUEST: &str = "{kind: migration, spec: {vsid: 5001, mac: 06-06-00-00-00-07, ";

#[track_caller]
fn tell(stage: &Stage, yaml: &str) {
    for host in [1, 2, 3] {
        stage.apply(host, yaml).ok().unwrap_or_else(|error| panic!("host {host}: {error}"));
    }
}

/// Moves the guest from one host to another, as an operator without a controller would.
#[track_caller]
fn go(stage: &mut Stage, from: usize, to: usize) -> Moved {
    let (old, new) = (PROVIDERS[from - 1], PROVIDERS[to - 1]);
    tell(stage, &format!("{GUEST}to: {new}}}}}\n"));
    let host = stage.host_name(to);
    let moved = stage.lab.migrate_vm("guest1", &host).unwrap_or_else(|error| panic!("{error}"));
    // The guest announces itself; nobody else has told any host.
    let all_know = || [1, 2, 3].iter().all(|host| stage.json(*host, "get migrations")[0]["status"]["at"] == new);
    assert!(eventually(LIMIT, all_know), "{:#}", stage.json(1, "get migrations"));
    tell(
        stage,
        &format!(
            "{{kind: lookup-record, spec: {{vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: {new}}}}}\n---\n\
             {GUEST}from: {old}}}}}\n"
        ),
    );
    for host in [1, 2, 3] {
        stage.ok(host, "delete migration 5001/06-06-00-00-00-07");
    }
    moved
}

/// Idle connections.
const IDLE: usize = 30;
/// Opens them from the guest, and stays; they say something when they are told to.
const OPEN: &str = "cat >/tmp/open <<'END'
for i in $(seq 30); do
    (while [ ! -e /tmp/speak ]; do sleep 1; done; echo hello; sleep 1000) | nc 10.0.0.5 9000 >/tmp/idle$i &
    sleep 0.1
done
wait
END";

/// What a script prints in a guest.
#[track_caller]
fn run_script(guest: &Node, script: &str) -> String {
    let ran = guest.output(&["sh", "-c", script], LIMIT).unwrap_or_else(|error| panic!("{error}"));
    ran.ok().unwrap_or_else(|error| panic!("{error}"))
}

/// Pings that were answered, and those that were sent.
fn counted(said: &str) -> (u32, u32) {
    let line = said.lines().find(|line| line.contains("packets transmitted")).unwrap_or_else(|| panic!("{said}"));
    let number =
        |place: usize| line.split_whitespace().nth(place).and_then(|word| word.parse().ok()).unwrap_or_default();
    (number(3), number(0))
}

#[test]
fn a_guest_moves_there_and_back_and_no_connection_breaks() {
    let mut stage = Stage::up(TOPOLOGY);
    for host in [2, 3] {
        let create = if host == 2 {
            "set port guest1"
        } else {
            "create port guest1 --device guest1 --mac 06-06-00-00-00-07 --vsid 5001"
        };
        stage.ok(host, &format!("{create} --security-group web"));
    }
    let (blue1, guest1) = (stage.vm("blue1"), stage.vm("guest1"));
    must_ping(&blue1, "10.0.0.7");
    run_script(&guest1, "setsid iperf3 -s >/dev/null 2>&1 </dev/null &");
    // What the guest opens is answered; nobody may open this towards it.
    let listener = Background::start(&blue1, "busybox nc -ll -p 9000 -e cat");
    assert!(eventually(LIMIT, || run_any(&blue1, "ss -Hltn sport = :9000").contains("9000")), "{}", listener.output());
    run_script(&guest1, OPEN);
    // What runs in a guest by an exec of the lab ends with that, which does not move.
    run_script(&guest1, "setsid sh /tmp/open >/dev/null 2>&1 </dev/null &");
    let held = || run_any(&blue1, "ss -Htn state established sport = :9000").lines().count();
    assert!(eventually(LIMIT, || held() == IDLE), "{} connections", held());
    assert!(eventually(LIMIT, || run_any(&guest1, "netstat -ltn").contains(":5201")));
    let mut stream = Background::start(&blue1, "iperf3 -c 10.0.0.7 -t 20 -b 5M -J");
    let mut pings = Background::start(&blue1, "ping -n -i 0.1 -c 150 10.0.0.7");
    std::thread::sleep(Duration::from_secs(2));
    let (mut pauses, mut at) = (Vec::new(), 2);
    for to in [3, 2, 3, 2] {
        pauses.push(go(&mut stage, at, to).pause.duration().expect("it was measured").as_millis());
        at = to;
        std::thread::sleep(Duration::from_secs(1));
    }
    let (answered, sent) = counted(&pings.finish(Duration::from_secs(60)));
    println!("pauses {pauses:?} ms; {} of {sent} pings without an answer", sent - answered);
    // One every 100 ms: what the pauses cost, and two more each, for an emulated guest is slow to wake.
    let cost = |pause: &u128| *pause as u32 / 100 + 3;
    let allowed: u32 = pauses.iter().map(cost).sum();
    assert!(sent - answered <= allowed, "{answered} of {sent} answered, pauses {pauses:?} ms");
    let report: Value = serde_json::from_str(&stream.finish(Duration::from_secs(90))).expect("iperf3's report");
    let last = report["intervals"].as_array().and_then(|all| all.last()).expect("intervals")["sum"]["bytes"].clone();
    assert!(last.as_f64().unwrap_or_default() > 0.0, "the stream has not gone on: {last}");
    // Each idle connection still carries what is said and what is answered.
    assert_eq!(held(), IDLE);
    run_script(&guest1, "touch /tmp/speak");
    let answered = || run_script(&guest1, "cat /tmp/idle* | grep -c hello || true").trim().parse() == Ok(IDLE);
    assert!(eventually(LIMIT, answered), "{}", run_script(&guest1, "cat /tmp/idle*; netstat -tn"));
}
