//! Connections go with a VM that moves: those that only the VM may open, and those that only others may, whoever speaks
//! first when it has moved. Needs root.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use lab::Node;
use tests::fabric::Fabric;
use tests::stage::{LIMIT, Stage, eventually};
use tests::tools::{Background, must_not_ping, must_ping, run_any};

const TEST01: &str = "10.10.1.100";
const TEST02: &str = "10.10.1.101";

/// Both ends of a connection, that of the one who has opened it first.
fn connect(client: &Node, server: &Node, address: &str, port: u16) -> (TcpStream, TcpStream) {
    let bind = || TcpListener::bind((address, port));
    let listener = server.namespace().run(bind).expect("a namespace").expect("a listener");
    let target = listener.local_addr().expect("an address");
    let open = || TcpStream::connect_timeout(&target, Duration::from_secs(5));
    let opened = client.namespace().run(open).expect("a namespace").expect("a connection");
    let (accepted, _) = listener.accept().expect("a connection");
    for stream in [&opened, &accepted] {
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    }
    (opened, accepted)
}

/// One end says something, and the other hears it.
#[track_caller]
fn says(from: &mut TcpStream, to: &mut TcpStream, words: &str) {
    from.write_all(words.as_bytes()).expect("the connection is open");
    let mut heard = vec![0; words.len()];
    to.read_exact(&mut heard).unwrap_or_else(|error| panic!("\"{words}\" was not heard: {error}"));
    assert_eq!(String::from_utf8_lossy(&heard), words);
}

/// A VM whom others may ask at port 7000, and who may ask others at port 8000; nothing else.
fn up() -> Fabric {
    let fabric = Fabric::up(&[("test01", 1, 0x02), ("test02", 1, 0x03)]);
    fabric.network();
    let rules = ["ingress allow tcp 7000", "egress allow tcp 8000"].map(|rule| ["--rule", rule]).concat();
    fabric.op("set vm-network AAA --egress-default deny");
    let group = ["create", "security-group", "strict", "--vm-network", "AAA"];
    let made = fabric.try_op(&[&group[..], &rules].concat());
    assert!(made.success(), "{}", made.stderr);
    fabric.port("test01", 1, 0x02, "--vm-network AAA --security-group strict");
    fabric.port("test02", 1, 0x03, "--vm-network AAA");
    for vm in ["test01", "test02"] {
        fabric.lease(vm);
    }
    fabric
}

/// Moves test01 to the second host while its connections are idle; it says nothing there but that it has come.
fn go(fabric: &mut Fabric) {
    let to = fabric.stage.host_name(2);
    let context = fabric.stage.lab.context().expect("a lab with a controller");
    let program = tests::stage::program();
    let command = format!("env NETVIRT_CONTEXT={} {} migrate test01 --to {to}", context.display(), program.display());
    let mut migrating = Background::start(&fabric.controller(), &command);
    migrating.await_words("move its VM there");
    let test01 = fabric.vm("test01");
    fabric.stage.lab.plug_vm(test01.name(), &to).expect("the cable is free");
    assert!(eventually(LIMIT, || fabric.stage.ok(2, "get ports").contains("bound")));
    run_any(&test01, "arping -U -c 1 -w 1 -I eth0 10.10.1.100");
    let said = migrating.finish(LIMIT);
    assert!(said.contains(&format!("is on {to}")), "{said}");
    // Of a container nobody knows what it did not take.
    assert!(said.contains("is not known") && said.contains("sent on") && said.contains("went with it"), "{said}");
}

#[test]
fn connections_go_on_whoever_may_open_them_and_whoever_speaks_first() {
    let mut fabric = up();
    let (test01, test02) = (fabric.vm("test01"), fabric.vm("test02"));
    must_not_ping(&test02, TEST01);
    let (mut asked, mut served) = connect(&test02, &test01, TEST01, 7000);
    let (mut asks, mut serves) = connect(&test01, &test02, TEST02, 8000);
    says(&mut asked, &mut served, "before");
    says(&mut asks, &mut serves, "before");
    go(&mut fabric);
    // Each from the side that may open none.
    says(&mut served, &mut asked, "the VM speaks first, to one who has asked it");
    says(&mut serves, &mut asks, "one speaks first whom the VM has asked");
    says(&mut asked, &mut served, "and back");
    says(&mut asks, &mut serves, "and back");
    must_not_ping(&test02, TEST01);
    // The new host knows them as they are: open, and opened by whom they were.
    let flows = fabric.stage.json(2, "get flows test01 --protocol tcp");
    let opened = |service: u64, by: &str| {
        let is = |flow: &serde_json::Value| {
            (flow["localPort"] == service || flow["remotePort"] == service)
                && flow["opened"] == by
                && flow["state"] == "open"
        };
        flows.as_array().or_else(|| flows["flows"].as_array()).is_some_and(|flows| flows.iter().any(is))
    };
    assert!(opened(7000, "ingress") && opened(8000, "egress"), "{flows:#}");
    // What DHCP said to it is known there too.
    let leases = &fabric.stage.json(2, "get port test01")["status"]["leases"];
    assert!(leases[0]["state"] == "Bound" && leases[0]["address"] == TEST01, "{leases:#}");
    // What is revoked ends them, here as there.
    let revoked = fabric.try_op(&["set", "security-group", "strict", "--vm-network", "AAA", "--rule", "", "--wait"]);
    assert!(revoked.success(), "{}", revoked.stderr);
    served.write_all(b"too late").expect("the socket takes it");
    asked.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
    assert!(asked.read_exact(&mut [0; 8]).is_err(), "a revoked permission still lets pass");
}

#[test]
fn how_a_vm_has_moved_is_told() {
    let mut fabric = up();
    let (test01, test02) = (fabric.vm("test01"), fabric.vm("test02"));
    let _connection = connect(&test02, &test01, TEST01, 7000);
    assert!(fabric.json("get port test01")["status"]["lastMove"].is_null());
    go(&mut fabric);
    let told = || fabric.json("get port test01")["status"]["lastMove"].clone();
    let known = || told()["from"] == fabric.stage.host_name(1).as_str() && told()["flows"].as_u64() >= Some(1);
    assert!(eventually(LIMIT, known), "{:#}", told());
    assert!(told()["sentOn"].is_u64() && told()["to"] == fabric.stage.host_name(2).as_str(), "{:#}", told());
    // One that does not come about changes nothing of that.
    let (back, last) = (fabric.stage.host_name(1), told());
    fabric.refused(&format!("migrate test01 --to {back} --timeout 1s"));
    let ended = fabric.try_op(&["set", "port", "test01", "--migrate-to", "", "--wait"]);
    assert!(ended.success(), "{}", ended.stderr);
    assert_eq!(told(), last);
}

/// How many pings were sent and how many answered.
fn counted(said: &str) -> (u64, u64) {
    let number = |before: &str| said.split(before).next().and_then(|it| it.split_whitespace().last()?.parse().ok());
    number(" packets transmitted").zip(number(" received")).unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn of_what_was_for_a_guest_nothing_is_lost_but_what_found_it_standing_still() {
    let mut fabric = Fabric::up_with_guest(("guest1", 1, 0x02, TEST01), &[("peer", 2, 0x03), ("third", 1, 0x04)]);
    fabric.network();
    fabric.port("guest1", 1, 0x02, &format!("--vm-network AAA --address {TEST01}"));
    for (vm, host, mac) in [("peer", 2, 0x03), ("third", 1, 0x04)] {
        fabric.port(vm, host, mac, "--vm-network AAA");
        fabric.lease(vm);
    }
    // From the host that it goes to and from the one that it leaves.
    let mut all: Vec<Background> = ["peer", "third"]
        .map(|vm| {
            must_ping(&fabric.vm(vm), TEST01);
            Background::start(&fabric.vm(vm), &format!("ping -n -i 0.01 -c 800 -W 1 {TEST01}"))
        })
        .into();
    let to = fabric.stage.host_name(2);
    let awaited = fabric.stage.lab.receive_vm("guest1", &to).unwrap_or_else(|error| panic!("{error}"));
    let orders =
        format!("--qmp {} --target-qmp {} --via {}", awaited.source.display(), awaited.target.display(), awaited.via);
    let said = fabric.op(&format!("migrate guest1 --to {to} {orders}"));
    fabric.stage.lab.received_vm("guest1").unwrap_or_else(|error| panic!("{error}"));
    let standing: u64 = said
        .split(" found it standing still and got lost")
        .next()
        .and_then(|it| {
            it.trim_end_matches("frames").trim_end_matches("frame").trim_end().rsplit(' ').next()?.parse().ok()
        })
        .unwrap_or_else(|| panic!("{said}"));
    let told: Vec<(u64, u64)> = all.iter_mut().map(|pings| counted(&pings.finish(LIMIT))).collect();
    let lost: u64 = told.iter().map(|(sent, answered)| sent - answered).sum();
    println!("{said}{told:?}");
    // What QEMU had taken off the tap and not yet given to the guest when that was stopped, nobody counts: at each of the two, as
    // many as come in some tens of milliseconds.
    let in_hand = 10;
    assert!(
        lost <= standing + in_hand,
        "{lost} pings have no answer, and {standing} frames found the guest standing still: {said}"
    );
}

const BY_HAND: &str = r#"
name: LAB
underlay: {kind: routed, mtu: 1600, offloads: {gro: true}}
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.5.22/24]}
  - {name: H3, addresses: [192.168.6.33/24]}
vms:
  - {name: blue1, host: H1, mac: 06-06-00-00-00-05, vsid: 5001, addresses: [10.0.0.5/24]}
  - {name: blue2, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24]}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.5.22}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
"#;

#[test]
fn by_hand_one_host_recalls_and_the_other_remembers() {
    let mut stage = Stage::up(BY_HAND);
    let group = ["create", "security-group", "strict", "--egress-default", "deny", "--rule", "ingress allow tcp 7000"];
    for host in [2, 3] {
        assert!(stage.netvirt(host, &group).success(), "{:?}", stage.netvirt(host, &group));
    }
    stage.ok(2, "set port blue2 --security-group strict");
    stage.ok(3, "create port blue2 --device blue2 --mac 06-06-00-00-00-07 --vsid 5001 --security-group strict");
    for host in [1, 2, 3] {
        stage.ok(host, "create migration --vsid 5001 --mac 06-06-00-00-00-07 --to 192.168.6.33");
    }
    let (mut asked, mut served) = connect(&stage.vm("blue1"), &stage.vm("blue2"), "10.0.0.7", 7000);
    says(&mut asked, &mut served, "before");
    let memory = stage.ok(2, "port recall blue2");
    assert!(memory.contains("\"opened\": \"ingress\"") && memory.contains("\"localPort\": 7000"), "{memory}");
    let file = std::env::temp_dir().join(format!("{}-memory.json", stage.lab.name()));
    std::fs::write(&file, &memory).expect("a file");
    let remember =
        |stage: &Stage, host: usize, port: &str, file: &str| stage.netvirt(host, &["port", "remember", port, file]);
    let path = file.display().to_string();
    // Not before its device is there, not at another VM's port, and nothing that is no memory.
    for (host, port, given, told) in [
        (3, "blue2", path.as_str(), "no device yet"),
        (1, "blue1", path.as_str(), "the port of the same VM"),
        (3, "blue9", path.as_str(), "there is no port blue9"),
        (3, "blue2", "/etc/hostname", "port recall"),
        (3, "blue2", "/nonexistent", "/nonexistent"),
    ] {
        let refused = remember(&stage, host, port, given);
        assert!(!refused.success() && refused.stderr.contains(told), "{told}: {refused:?}");
    }
    let (vm, to) = (stage.vm("blue2").name().to_owned(), stage.host_name(3));
    stage.lab.plug_vm(&vm, &to).expect("the cable is free");
    assert!(eventually(LIMIT, || stage.ok(3, "get ports").contains("bound")));
    let taken = remember(&stage, 3, "blue2", &path);
    assert!(taken.success() && taken.stdout.contains("1 connections are known here now"), "{taken:?}");
    std::fs::remove_file(&file).expect("the file is ours");
    says(&mut served, &mut asked, "the VM speaks first");
    says(&mut asked, &mut served, "and back");
}
