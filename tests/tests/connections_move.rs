//! Connections go with a VM that moves: those that only the VM may open, and those that only others may, whoever speaks
//! first when it has moved. Needs root.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use lab::Node;
use tests::fabric::Fabric;
use tests::stage::{LIMIT, eventually};
use tests::tools::{Background, must_not_ping, run_any};

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
    assert!(told()["sentOn"].is_u64(), "{:#}", told());
}
