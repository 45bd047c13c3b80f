//! A VM moves to another host while it speaks with others, across subnets of the underlay: the first frame that it sends
//! from there takes all to it, without any agent's doing, and what comes to the old host is sent on. Needs root.

use std::time::Instant;

use lab::Node;
use serde_json::Value;
use tests::fabric::Fabric;
use tests::stage::{LIMIT, Stage, eventually};
use tests::tools::{Background, must_not_ping, must_ping, run_any};

const TOPOLOGY: &str = r#"
name: LAB
underlay: {kind: routed, mtu: 1600, offloads: {gro: true}}
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.5.22/24]}
  - {name: H3, addresses: [192.168.6.33/24]}
vms:
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24]}
  - {name: blue2, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24]}
  - {name: blue3, host: H2, mac: 06-06-00-00-00-09, vsid: 5001, addresses: [10.0.0.9/24]}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.5.22}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, providerAddress: 192.168.5.22}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
"#;

const TO: &str = "{kind: migration, spec: {vsid: 5001, mac: 06-06-00-00-00-07, to: 192.168.6.33}}\n";
/// What all are told when it is there.
const FROM: &str = "\
{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.6.33}}
---
{kind: migration, spec: {vsid: 5001, mac: 06-06-00-00-00-07, from: 192.168.5.22}}
";

/// The lab, and a port on the third host that waits for the second VM.
fn up() -> Stage {
    let stage = Stage::up(TOPOLOGY);
    stage.ok(3, "create port blue2 --device blue2 --mac 06-06-00-00-00-07 --vsid 5001");
    stage
}

#[track_caller]
fn tell(stage: &Stage, hosts: &[usize], yaml: &str) {
    for host in hosts {
        stage.apply(*host, yaml).ok().unwrap_or_else(|error| panic!("host {host}: {error}"));
    }
}

/// Moves the VM's cable; when that is done the VM is on the third host, and has said nothing yet.
fn carry(stage: &mut Stage) {
    let (vm, host) = (stage.vm("blue2").name().to_owned(), stage.host_name(3));
    stage.lab.plug_vm(&vm, &host).expect("the cable is free");
    let bound = || stage.ok(3, "get ports").contains("bound");
    assert!(eventually(LIMIT, bound), "{}", stage.ok(3, "get ports"));
}

/// Where a host takes the VM to be.
#[track_caller]
fn at(stage: &Stage, host: usize) -> String {
    let migrations: Value = stage.json(host, "get migrations");
    migrations[0]["status"]["at"].as_str().unwrap_or_else(|| panic!("{migrations:#}")).to_owned()
}

/// The VM says that it is there, as QEMU and guests do after a migration.
fn announce(vm: &Node) {
    run_any(vm, "arping -U -c 1 -w 1 -I eth0 10.0.0.7");
}

#[test]
fn its_first_frame_takes_all_to_it() {
    let mut stage = up();
    let (blue1, blue2, blue3) = (stage.vm("blue1"), stage.vm("blue2"), stage.vm("blue3"));
    let all = [1, 2, 3];
    tell(&stage, &all, TO);
    must_ping(&blue1, "10.0.0.7");
    must_ping(&blue3, "10.0.0.7");
    assert!(all.map(|host| at(&stage, host)).iter().all(|at| at == "192.168.5.22"));
    let server = Background::start(&blue2, "iperf3 -s");
    assert!(eventually(LIMIT, || run_any(&blue2, "ss -Hltn sport = :5201").contains("5201")), "{}", server.output());
    let mut stream = Background::start(&blue1, "iperf3 -c 10.0.0.7 -t 6 -J");
    std::thread::sleep(std::time::Duration::from_secs(1));
    carry(&mut stage);
    announce(&blue2);
    assert!(
        eventually(LIMIT, || all.iter().all(|host| at(&stage, *host) == "192.168.6.33")),
        "{:?}",
        all.map(|host| at(&stage, host))
    );
    // From another host, and from the one that it has left.
    must_ping(&blue1, "10.0.0.7");
    must_ping(&blue3, "10.0.0.7");
    must_ping(&blue2, "10.0.0.5");
    // Connections live.
    let report: Value = serde_json::from_str(&stream.finish(LIMIT)).expect("iperf3's report");
    assert!(report["end"]["sum_received"]["bytes"].as_f64().unwrap_or_default() > 1e6, "{report:#}");
    let intervals = report["intervals"].as_array().expect("intervals");
    let last = intervals.last().expect("one")["sum"]["bytes"].as_f64().unwrap_or_default();
    assert!(last > 0.0, "the stream has not gone on: {report:#}");
    // What all are told next changes nothing for anybody, nor what they forget.
    let mut pings = Background::start(&blue1, "ping -n -i 0.01 -c 300 10.0.0.7");
    tell(&stage, &all, FROM);
    assert!(all.map(|host| at(&stage, host)).iter().all(|at| at == "192.168.6.33"));
    for host in all {
        stage.ok(host, "delete migration 5001/06-06-00-00-00-07");
    }
    stage.ok(2, "delete port blue2");
    let said = pings.finish(LIMIT);
    assert!(said.contains("300 received, 0% packet loss"), "{said}");
    must_ping(&blue3, "10.0.0.7");
}

#[test]
fn what_comes_to_the_old_host_is_sent_on_once() {
    let mut stage = up();
    let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
    // Host 1 is told nothing: for it the VM is where it was.
    tell(&stage, &[2, 3], TO);
    must_ping(&blue1, "10.0.0.7");
    carry(&mut stage);
    announce(&blue2);
    assert!(eventually(LIMIT, || at(&stage, 2) == "192.168.6.33"));
    for sent_on in ["10.0.0.7 while all is as it was", "when the hosts that know it have been told the rest"] {
        let listener = Background::start(&blue2, "tcpdump -n -l -i eth0 icmp[icmptype] = 8");
        listener.await_words("listening on");
        // The echo reply comes from a host that is none of its sender's, for all that host 1 knows.
        run_any(&blue1, "ping -n -c 3 -i 0.2 -W 1 10.0.0.7");
        assert_eq!(listener.output().matches("ICMP echo request").count(), 3, "{sent_on}: {}", listener.output());
        tell(&stage, &[2, 3], FROM);
    }
    tell(&stage, &[1], FROM);
    must_ping(&blue1, "10.0.0.7");
    // Nobody is sent on by a host that knows nothing of a move.
    stage.ok(2, "delete migration 5001/06-06-00-00-00-07");
    stage.ok(1, "delete migration 5001/06-06-00-00-00-07");
    must_ping(&blue1, "10.0.0.7");
    tell(
        &stage,
        &[1],
        "{kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.5.22}}",
    );
    must_not_ping(&blue1, "10.0.0.7");
}

#[test]
fn a_controller_follows_a_vm() {
    let mut fabric = Fabric::up(&[("test01", 1, 0x02), ("test02", 1, 0x03)]);
    fabric.network();
    fabric.port("test01", 1, 0x02, "--vm-network AAA");
    fabric.port("test02", 1, 0x03, "--vm-network AAA");
    for vm in ["test01", "test02"] {
        fabric.lease(vm);
    }
    let (test01, test02) = (fabric.vm("test01"), fabric.vm("test02"));
    must_ping(&test02, "10.10.1.100");
    let (from, to) = (fabric.stage.host_name(1), fabric.stage.host_name(2));
    let program = tests::stage::program();
    let context = fabric.stage.lab.context().expect("a lab with a controller");
    let command = format!("env NETVIRT_CONTEXT={} {} migrate test01 --to {to}", context.display(), program.display());
    let mut migrating = Background::start(&fabric.controller(), &command);
    migrating.await_words("move its VM there");
    let twice = fabric.refused(&format!("migrate test01 --to {to}"));
    assert!(twice.contains("on its way") && twice.contains(&from), "{twice}");
    // Both hosts have the port, and both know both places.
    assert!(fabric.stage.ok(2, "get ports").contains("test01"));
    let known = fabric.stage.json(2, "get migrations");
    assert_eq!(known.as_array().map(Vec::len), Some(1), "{known:#}");
    must_ping(&test02, "10.10.1.100");
    let mut pings = Background::start(&test02, "ping -n -i 0.02 -c 200 10.10.1.100");
    let unplugged = Instant::now();
    fabric.stage.lab.plug_vm(test01.name(), &to).expect("the cable is free");
    assert!(eventually(LIMIT, || fabric.stage.ok(2, "get ports").contains("bound")));
    run_any(&test01, "arping -U -c 1 -w 1 -I eth0 10.10.1.100");
    let away = unplugged.elapsed();
    let host = || fabric.json("get port test01")["spec"]["host"].as_str().map(str::to_owned);
    assert!(eventually(LIMIT, || host() == Some(to.clone())), "{:#}", fabric.json("get port test01"));
    let said = migrating.finish(LIMIT);
    assert!(said.contains(&format!("is on {to}: its VM was heard there after")), "{said}");
    // When all know, nothing is left of it: not at the host that it has left either.
    let settled = || {
        let port = fabric.json("get port test01");
        port["status"]["allocation"]["cameFrom"].is_null() && port["spec"]["migrateTo"].is_null()
    };
    assert!(eventually(LIMIT, settled), "{:#}", fabric.json("get port test01"));
    let left = || fabric.stage.json(1, "get migrations").as_array().is_some_and(Vec::is_empty);
    assert!(eventually(LIMIT, left) && !fabric.stage.ok(1, "get ports").contains("test01"));
    must_ping(&test02, "10.10.1.100");
    must_ping(&test01, "10.10.1.101");
    let said = pings.finish(LIMIT);
    let answered: u32 = said.split(" received").next().and_then(|it| it.rsplit(' ').next()?.parse().ok()).unwrap_or(0);
    // One ping in twenty milliseconds, and the two at its ends.
    let lost = u128::from(200 - answered);
    assert!(lost <= away.as_millis() / 20 + 2, "its cable was away for {away:?}, and it for longer: {said}");
    // It keeps its address when it asks again, and can go back.
    assert!(fabric.lease("test01").address.starts_with("10.10.1.100"));
    // It stays after all: nobody moves it.
    let stays = fabric.refused(&format!("migrate test01 --to {from} --timeout 1s"));
    assert!(stays.contains("was not heard") && stays.contains("--migrate-to ''"), "{stays}");
    let ended = fabric.try_op(&["set", "port", "test01", "--migrate-to", "", "--wait"]);
    assert!(ended.success(), "{}", ended.stderr);
    let left = || fabric.stage.json(1, "get migrations").as_array().is_some_and(Vec::is_empty);
    assert!(eventually(LIMIT, left) && !fabric.stage.ok(1, "get ports").contains("test01"));
    must_ping(&test02, "10.10.1.100");
    // What cannot be is refused.
    for (arguments, told) in [
        (format!("set port test01 --migrate-to {to}"), "already"),
        ("set port test01 --migrate-to nowhere".to_owned(), "nowhere"),
        ("create port idle --vm-network AAA --migrate-to nowhere".to_owned(), "nowhere"),
        (format!("create port idle --vm-network AAA --migrate-to {to}"), "on no host"),
        (format!("create port loose --host {from} --migrate-to {to}"), "nvgre, vxlan or geneve"),
    ] {
        let refused = fabric.refused(&arguments);
        assert!(refused.contains(told), "{arguments}: {refused}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let stage = up();
    let refused = |arguments: &str| {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let ended = stage.netvirt(1, &words);
        assert!(!ended.success(), "{arguments}: {}", ended.stdout);
        ended.stderr
    };
    let create = "create migration --vsid 5001 --mac 06-06-00-00-00-07";
    let told = refused(create);
    assert!(told.contains("give one of \"to\" and \"from\""), "{told}");
    let told = refused(&format!("{create} --to 192.168.5.22"));
    assert!(told.contains("192.168.5.22 is where") && told.contains("another host"), "{told}");
    let told = refused(&format!("{create} --to 192.168.6.33 --from 192.168.5.22"));
    assert!(told.contains("--to") && told.contains("--from"), "{told}");
    let told = refused("create migration --vsid 5001 --to 192.168.6.33");
    assert!(told.contains("--mac"), "{told}");
    // Of a VM that nobody knows nothing acts, and that is said.
    stage.ok(1, "create migration --vsid 5001 --mac 06-06-00-00-00-77 --to 192.168.6.33");
    let shown = stage.ok(1, "get migrations -o wide");
    assert!(shown.contains("not in force") && shown.contains("no lookup record says where"), "{shown}");
}
