//! Moves of a real guest that fail, each in its own way: an error says what happened, and the VM keeps its network where it is.
//! And the one that does not fail: one command moves a guest with its network. Needs root.

use lab::{Awaited, Qmp};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::fabric::Fabric;
use tests::stage::{LIMIT, eventually, program};
use tests::tools::{Background, must_ping, run_any};

const GUEST: &str = "10.10.1.100";
/// The MAC address of the guest.
const MAC: &str = "00-1D-D8-B7-1C-02";

/// A guest on host 1 that `peer` on host 2 reaches, and nobody moves yet.
fn up() -> Fabric {
    let fabric = Fabric::up_with_guest(("guest1", 1, 0x02, GUEST), &[("peer", 2, 0x03)]);
    fabric.network();
    fabric.port("guest1", 1, 0x02, &format!("--vm-network AAA --address {GUEST}"));
    fabric.port("peer", 2, 0x03, "--vm-network AAA");
    fabric.lease("peer");
    must_ping(&fabric.vm("peer"), GUEST);
    fabric
}

/// The options that name both QEMUs.
fn orders(awaited: &Awaited) -> String {
    format!("--qmp {} --target-qmp {} --via {}", awaited.source.display(), awaited.target.display(), awaited.via)
}

/// `netvirt migrate` beside the story.
fn migrating(fabric: &Fabric, to: usize, options: &str) -> Background {
    let context = fabric.stage.lab.context().expect("a lab with a controller");
    let (context, program) = (context.display(), program());
    let to = fabric.stage.host_name(to);
    let command = format!("env NETVIRT_CONTEXT={context} {} migrate guest1 --to {to} {options}", program.display());
    Background::start(&fabric.controller(), &command)
}

/// The guest's network is on host 1 and nowhere else, and nothing of a move is left.
#[track_caller]
fn is_as_before(fabric: &Fabric) {
    let port = || fabric.json("get port guest1");
    assert_eq!(port()["spec"]["host"], fabric.stage.host_name(1), "{:#}", port());
    assert!(port()["spec"]["migrateTo"].is_null(), "{:#}", port());
    let left = || {
        let none = |host| fabric.stage.json(host, "get migrations").as_array().is_some_and(Vec::is_empty);
        none(1) && none(2) && !fabric.stage.ok(2, "get ports").contains("guest1")
    };
    assert!(eventually(LIMIT, left), "{}", fabric.stage.ok(2, "get ports"));
    must_ping(&fabric.vm("peer"), GUEST);
}

/// A QEMU on host 2 waits for the guest, and what the guest's own QEMU sends comes slowly.
fn awaited_slowly(fabric: &mut Fabric) -> Awaited {
    let host = fabric.stage.host_name(2);
    let awaited = fabric.stage.lab.receive_vm("guest1", &host).unwrap_or_else(|error| panic!("{error}"));
    bandwidth(fabric, 1 << 20);
    awaited
}

/// How much the guest's QEMU sends in a second, in bytes.
fn bandwidth(fabric: &Fabric, bytes: u64) {
    let mut qmp: Qmp = fabric.stage.lab.qmp("guest1").unwrap_or_else(|error| panic!("{error}"));
    qmp.execute("migrate-set-parameters", json!({ "max-bandwidth": bytes })).unwrap_or_else(|error| panic!("{error}"));
}

/// The process of the QEMU that listens at a socket.
fn listener(fabric: &Fabric, host: usize, path: &std::path::Path) -> Pid {
    // The kernel's list has the whole path, and the process beside it.
    let said = run_any(&fabric.stage.host(host), "ss -xlpnH");
    let line = said.lines().find(|line| line.contains(&path.display().to_string())).unwrap_or_else(|| panic!("{said}"));
    let pid = line.split("pid=").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok());
    Pid::from_raw(pid.unwrap_or_else(|| panic!("{line}")))
}

#[test]
fn what_cannot_be_moved_is_refused_before_anything_changes() {
    let mut fabric = up();
    let (here, there) = (fabric.stage.host_name(1), fabric.stage.host_name(2));
    let mut pings = Background::start(&fabric.vm("peer"), &format!("ping -n -i 0.2 -c 60 {GUEST}"));
    let unknown = fabric.refused("migrate guest1 --to nowhere");
    assert!(unknown.contains("nowhere, which does not exist") && unknown.contains("host join"), "{unknown}");
    let same = fabric.refused(&format!("migrate guest1 --to {here}"));
    assert!(same.contains("already"), "{same}");
    let absent = fabric.refused(&format!("migrate guest1 --to {there} --qmp /x --target-qmp /y --via unix:/z"));
    assert!(absent.contains("nothing was changed") && absent.contains("nobody takes orders there"), "{absent}");
    // The guest's own QEMU does not wait for anything.
    let qmp = fabric.stage.lab.qmp_path("guest1").expect("it runs");
    let no_uri = fabric.refused(&format!("migrate guest1 --to {there} --libvirt guest1 --uri qemu:///system"));
    assert!(no_uri.contains("{host}"), "{no_uri}");
    let nobody = fabric.refused(&format!("migrate guest1 --to {there} --without nowhere"));
    assert!(nobody.contains("there is no host nowhere to do without"), "{nobody}");
    let half = fabric.refused(&format!("migrate guest1 --to {there} --qmp {}", qmp.display()));
    assert!(half.contains("--target-qmp"), "{half}");
    is_as_before(&fabric);
    // The other host has declared something of its own that stands in the way.
    fabric.stage.ok(2, &format!("create port own --device own --mac {MAC} --vsid {}", vsid(&fabric)));
    let left_out = fabric.refused(&format!("migrate guest1 --to {there}"));
    assert!(left_out.contains(&format!("{there}: port guest1 is left out")) && left_out.contains("own"), "{left_out}");
    fabric.stage.ok(2, "delete port own");
    is_as_before(&fabric);
    fabric.stage.lab.kill_agent(&there).unwrap_or_else(|error| panic!("{error}"));
    let away = || fabric.json(&format!("get host {there}"))["status"]["connected"] == false;
    assert!(eventually(LIMIT, away));
    let down = fabric.refused(&format!("migrate guest1 --to {there}"));
    assert!(down.contains(&format!("the agent of {there} is not connected")), "{down}");
    assert!(fabric.json("get port guest1")["spec"]["migrateTo"].is_null());
    fabric.stage.lab.start_agent(&there).unwrap_or_else(|error| panic!("{error}"));
    let back = || fabric.json(&format!("get host {there}"))["status"]["connected"] == true;
    assert!(eventually(LIMIT, back));
    is_as_before(&fabric);
    let said = pings.finish(LIMIT);
    assert!(said.contains(" 0% packet loss"), "{said}");
}

/// The VSID of the guest's subnet.
fn vsid(fabric: &Fabric) -> u64 {
    fabric.json("get vm-subnet test")["status"]["vsid"].as_u64().expect("a VSID")
}

#[test]
fn a_guest_stays_where_it_is_when_the_other_qemu_fails_and_goes_when_it_does_not() {
    let mut fabric = up();
    let there = fabric.stage.host_name(2);
    let awaited = awaited_slowly(&mut fabric);
    // Orders that would move another VM than the port's.
    let here = fabric.stage.host_name(1);
    let another = fabric.refused(&format!("migrate peer --to {here} {}", orders(&awaited)));
    assert!(another.contains("is another VM's") && another.contains("nothing was changed"), "{another}");
    // What the other QEMU refuses.
    let nowhere = Awaited { via: "unix:/nowhere/incoming".to_owned(), ..awaited };
    let rejected = fabric.refused(&format!("migrate guest1 --to {there} {}", orders(&nowhere)));
    assert!(rejected.contains("migrate-incoming is refused") && rejected.contains("its VM runs on"), "{rejected}");
    assert_eq!(fabric.stage.lab.received_vm("guest1").unwrap(), fabric.stage.host_name(1));
    is_as_before(&fabric);
    // It dies while the guest comes.
    let awaited = awaited_slowly(&mut fabric);
    let mut first = migrating(&fabric, 2, &orders(&awaited));
    first.await_words("is handed over");
    // Two at once: the second is told, and takes nothing back.
    let twice = fabric.refused(&format!("migrate guest1 --to {there} {}", orders(&awaited)));
    assert!(twice.contains("on its way") && twice.contains("already"), "{twice}");
    assert_eq!(fabric.json("get port guest1")["spec"]["migrateTo"], there.as_str());
    kill(listener(&fabric, 2, &awaited.target), Signal::SIGKILL).expect("it runs");
    let died = first.finish(LIMIT);
    assert!(died.contains("stays on") && died.contains("its VM runs on"), "{died}");
    assert_eq!(fabric.stage.lab.received_vm("guest1").unwrap(), fabric.stage.host_name(1));
    is_as_before(&fabric);
    // Somebody changes his mind at the terminal.
    let awaited = awaited_slowly(&mut fabric);
    let mut interrupted = migrating(&fabric, 2, &orders(&awaited));
    interrupted.await_words("is handed over");
    let said = interrupted.end(Signal::SIGINT);
    assert!(said.contains("it was interrupted") && said.contains("its VM runs on"), "{said}");
    assert_eq!(fabric.stage.lab.received_vm("guest1").unwrap(), fabric.stage.host_name(1));
    is_as_before(&fabric);
    // Nobody stands in the way any more.
    let awaited = awaited_slowly(&mut fabric);
    bandwidth(&fabric, u64::from(u32::MAX));
    let said = fabric.op(&format!("migrate guest1 --to {there} {}", orders(&awaited)));
    assert!(said.contains(&format!("is on {there}: the hand-over took")), "{said}");
    assert!(said.contains("it stood still for") && said.contains("the hand-over took"), "{said}");
    assert_eq!(fabric.stage.lab.received_vm("guest1").unwrap(), there);
    must_ping(&fabric.vm("peer"), GUEST);
}

#[test]
fn a_guest_whose_qemu_dies_half_way_is_lost_and_its_network_stays() {
    let mut fabric = up();
    let awaited = awaited_slowly(&mut fabric);
    let mut moving = migrating(&fabric, 2, &orders(&awaited));
    moving.await_words("is handed over");
    kill(listener(&fabric, 1, &awaited.source), Signal::SIGKILL).expect("it runs");
    let died = moving.finish(LIMIT);
    assert!(died.contains("does not run any more") && died.contains("stays on"), "{died}");
    let neither = fabric.stage.lab.received_vm("guest1").unwrap_err().to_string();
    assert!(neither.contains("neither of its two QEMUs"), "{neither}");
    let port = fabric.json("get port guest1");
    assert_eq!(port["spec"]["host"], fabric.stage.host_name(1), "{port:#}");
    assert!(port["spec"]["migrateTo"].is_null(), "{port:#}");
}

#[test]
fn a_host_that_is_away_is_passed_over_when_that_is_said() {
    let third = "  - {name: H3, addresses: [192.168.4.17/24], joined: true}\n";
    let mut fabric = Fabric::up_beside(&[("test01", 1, 0x02), ("test02", 1, 0x03)], third);
    let [here, there, away] = [1, 2, 3].map(|host| fabric.stage.host_name(host));
    fabric.op(&format!("set host {away} --logical-network TDIv2"));
    fabric.network();
    for (vm, mac) in [("test01", 0x02), ("test02", 0x03)] {
        fabric.port(vm, 1, mac, "--vm-network AAA");
        fabric.lease(vm);
    }
    // It knows the network, and cannot be told anything any more.
    fabric.port("absent", 3, 0x04, "--vm-network AAA");
    fabric.stage.lab.kill_agent(&away).unwrap_or_else(|error| panic!("{error}"));
    let gone = || fabric.json(&format!("get host {away}"))["status"]["connected"] == false;
    assert!(eventually(LIMIT, gone));
    // Nor does it hear what is declared of the port now, which could be the end of a move.
    fabric.op("set port test01 --vm-name web");
    let refused = fabric.refused(&format!("set port test01 --migrate-to {there}"));
    assert!(
        refused.contains(&format!("{away} (its agent is not connected)")) && refused.contains("--without"),
        "{refused}"
    );
    let refused = fabric.refused(&format!("migrate test01 --to {there} --without {here} --without {away}"));
    assert!(refused.contains("cannot be passed over"), "{refused}");
    let context = fabric.stage.lab.context().expect("a lab with a controller");
    let (context, program) = (context.display(), program());
    let command =
        format!("env NETVIRT_CONTEXT={context} {} migrate test01 --to {there} --without {away}", program.display());
    let mut moving = Background::start(&fabric.controller(), &command);
    moving.await_words("move its VM there");
    fabric.stage.lab.plug_vm("test01", &there).expect("the cable is free");
    assert!(eventually(LIMIT, || fabric.stage.ok(2, "get ports").contains("bound")));
    run_any(&fabric.vm("test01"), "arping -U -c 1 -w 1 -I eth0 10.10.1.100");
    let said = moving.finish(LIMIT);
    assert!(said.contains(&format!("is on {there}: its VM was heard there")), "{said}");
    must_ping(&fabric.vm("test02"), "10.10.1.100");
}
