//! Devices of ports: `netvirt port plug` and `unplug`, what stands in the way, what is left of others, QEMU's own scripts, and
//! ports that any host may plug. Needs root.

use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;
use tests::fabric::Fabric;
use tests::stage::{LIMIT, Stage, eventually, program};
use tests::tools::{Background, run, run_any};

const TOPOLOGY: &str = "\
name: LAB
underlay: {kind: segment, mtu: 1600}
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.4.22/24]}
vms: []
";

const UID: &str = "6f1b7f1e-0000-4000-8000-000000000001";

fn up() -> Stage {
    let stage = Stage::up(TOPOLOGY);
    stage.ok(1, &format!("create port web1 --device tap0 --mac 06-06-00-00-00-05 --vsid 5001 --uid {UID}"));
    stage
}

fn plug(stage: &Stage, arguments: &str) -> Value {
    stage.json(1, &format!("port plug {arguments}"))
}

/// What a command complains about; it must be refused.
#[track_caller]
fn refused(stage: &Stage, arguments: &str) -> String {
    let words: Vec<_> = arguments.split_whitespace().collect();
    let output = stage.netvirt(1, &words);
    assert!(!output.success(), "{arguments} was to be refused: {}", output.stdout);
    output.stderr
}

/// What the kernel says of a device of the host.
fn device(stage: &Stage, name: &str) -> String {
    run_any(&stage.host(1), &format!("ip -d link show dev {name}"))
}

fn state(stage: &Stage) -> Value {
    stage.json(1, "get port web1")["status"]["state"].clone()
}

#[test]
fn a_port_is_plugged_and_unplugged_as_often_as_one_likes() {
    let stage = up();
    assert_eq!(stage.json(1, "get port web1")["spec"]["uid"], UID);
    assert!(stage.ok(1, "get port web1 -o yaml").contains(UID));
    for name in ["web1", "tap0", UID] {
        let plugged = plug(&stage, name);
        assert_eq!(
            (&plugged["port"], &plugged["device"], &plugged["made"]),
            (&"web1".into(), &"tap0".into(), &true.into())
        );
        assert_eq!(plug(&stage, "web1")["made"], false);
        let tap = device(&stage, "tap0");
        for words in ["UP", "tun type tap", "vnet_hdr on", "persist on", &format!("alias netvirt port web1 {UID}")] {
            assert!(tap.contains(words), "{words} is not in: {tap}");
        }
        assert_eq!(state(&stage), "bound");
        assert!(stage.ok(1, &format!("port unplug {name}")).contains("device tap0 is unplugged"));
        assert!(device(&stage, "tap0").contains("does not exist"));
        assert_ne!(state(&stage), "bound");
        assert!(stage.ok(1, &format!("port unplug {name}")).contains("nothing was there"));
    }
    // A VM with several queues needs a tap that is made for it, and a user who runs QEMU needs to be allowed.
    plug(&stage, "web1");
    assert!(!device(&stage, "tap0").contains("multi_queue on"));
    assert_eq!(plug(&stage, "web1 --queues 2 --user nobody")["made"], true);
    let tap = device(&stage, "tap0");
    assert!(tap.contains("multi_queue") && tap.contains("user nobody"), "{tap}");
    // What a port leaves behind that is deleted goes with all that is left.
    stage.ok(1, "delete port web1");
    assert_eq!(stage.json(1, "port unplug --leftovers")["removed"], serde_json::json!(["tap0"]));
    assert!(device(&stage, "tap0").contains("does not exist"));
    assert!(stage.ok(1, "port unplug --leftovers").contains("nothing was there"));
}

#[test]
fn what_stands_in_the_way_is_said_and_left_alone() {
    let stage = up();
    let host = stage.host(1);
    for (arguments, words) in [
        ("port plug web9", "there is no port web9 on host"),
        ("port plug 6f1b7f1e-0000-4000-8000-00000000dead", "this host has no controller that could give it one"),
        ("port plug web1 --device tap9", "port web1 has device tap0, not tap9"),
        ("port plug web1 --queues 0", "0 queues are not possible"),
        ("port plug web1 --user nosuchuser", "there is no user nosuchuser"),
        ("port unplug web9", "there is no port web9"),
        ("port qemu-up tap0", "there is no device tap0 for port web1"),
        ("port qemu-up tap9", "there is no port tap9"),
    ] {
        let error = refused(&stage, arguments);
        assert!(error.contains(words), "{arguments}: {error}");
    }
    run(&host, "ip link add tap0 type bridge");
    let error = refused(&stage, "port plug web1");
    assert!(error.contains("device tap0 of port web1 exists already and is not a tap"), "{error}");
    let error = refused(&stage, "port unplug web1");
    assert!(error.contains("device tap0 is no tap"), "{error}");
    assert!(device(&stage, "tap0").contains("bridge"), "it is left alone");
    run(&host, "ip link delete tap0");
    // A tap that a QEMU that died has left, or somebody by hand, is taken over.
    run(&host, "ip tuntap add tap0 mode tap vnet_hdr");
    assert_eq!(plug(&stage, "web1")["made"], false);
    assert!(device(&stage, "tap0").contains("alias netvirt port web1"));
    stage.ok(1, "port unplug web1");
    // One with more queues than are asked for is somebody else's.
    run(&host, "ip tuntap add tap0 mode tap vnet_hdr multi_queue");
    assert!(refused(&stage, "port plug web1").contains("is not a tap that a VM could be started on"));
    assert_eq!(plug(&stage, "web1 --queues 4")["made"], false);
    stage.ok(1, "port unplug web1");
}

#[test]
fn qemu_plugs_by_its_own_scripts() {
    let stage = up();
    let host = stage.host(1);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/qemu");
    let folder = program().parent().expect("a folder").display().to_string();
    let environment = format!(
        "env PATH={folder}:/usr/bin:/bin NETVIRT_SOCKET={}",
        stage.lab.socket(host.name()).expect("an agent").display()
    );
    // Nothing is run in it: it is about its start and its end.
    let qemu = |tap: &str| {
        format!(
            "{environment} qemu-system-x86_64 -S -nodefaults -display none -machine q35 -accel tcg -m 32 -netdev \
             tap,id=net0,ifname={tap},script={scripts}/ifup,downscript={scripts}/ifdown -device virtio-net-pci,netdev=net0,romfile=",
            scripts = scripts.display()
        )
    };
    let mut running = Background::start(&host, &qemu("tap0"));
    assert!(eventually(LIMIT, || state(&stage) == "bound"), "{}", running.output());
    let error = refused(&stage, "port unplug web1");
    assert!(error.contains("a process has device tap0 open"), "{error}");
    running.end(Signal::SIGTERM);
    assert!(eventually(LIMIT, || state(&stage) != "bound"), "{}", device(&stage, "tap0"));
    assert!(device(&stage, "tap0").contains("does not exist"));
    let stranger = run_any(&host, &qemu("tap9"));
    assert!(stranger.contains("there is no port tap9 on host") && stranger.contains("network script"), "{stranger}");
    // QEMU opens a tap that was plugged before as well, which is there when it has gone.
    plug(&stage, "web1");
    let mut running = Background::start(&host, &qemu("tap0"));
    let open = || device(&stage, "tap0").contains("LOWER_UP");
    assert!(eventually(LIMIT, open), "{}", running.output());
    running.end(Signal::SIGKILL);
    assert!(eventually(LIMIT, || stage.netvirt(1, &["port", "unplug", "web1"]).success()));
    assert!(device(&stage, "tap0").contains("does not exist"));
}

#[test]
fn a_port_that_any_host_may_plug_is_whose_plugs_it() {
    let mut fabric = Fabric::up(&[]);
    fabric.network();
    fabric.op("create port web1 --any-host --mac 00-1D-D8-B7-1C-01 --vm-network AAA");
    fabric.op(&format!(
        "create port db1 --host {} --device tap7 --mac 00-1D-D8-B7-1C-02 --vm-network AAA --wait",
        fabric.stage.host_name(1)
    ));
    let uid = fabric.json("get port web1")["uid"].as_str().expect("a UUID").to_owned();
    let place = |fabric: &Fabric| {
        let spec = fabric.json("get port web1")["spec"].clone();
        let host =
            |field: &str| (1..3).find(|number| spec[field] == fabric.stage.host_name(*number).as_str()).unwrap_or(0);
        (host("host"), host("migrateTo"))
    };
    assert_eq!(place(&fabric), (0, 0));
    let plugged = fabric.stage.json(1, &format!("port plug {uid}"));
    assert_eq!((&plugged["device"], &plugged["claimed"]), (&"web1".into(), &true.into()));
    assert_eq!(plugged["uid"], uid.as_str());
    assert_eq!(fabric.stage.json(1, "get port web1")["status"]["state"], "bound");
    assert_eq!(place(&fabric), (1, 0));
    // By its name too, now that it is here.
    assert_eq!(fabric.stage.json(1, "port plug web1")["claimed"], false);
    // A VM would move to the host that plugs it next; none does, and that host lets it go again.
    let bound = || fabric.op("describe port web1").contains("bound");
    assert!(eventually(LIMIT, bound), "{}", fabric.op("describe port web1"));
    let refused = fabric.stage.netvirt(2, &["port", "plug", &uid, "--device", "tap9"]).stderr;
    assert!(refused.contains("has device web1 on every host, not tap9"), "{refused}");
    fabric.stage.ok(2, &format!("port plug {uid}"));
    assert_eq!(place(&fabric), (1, 2));
    fabric.stage.ok(2, "port unplug web1");
    assert_eq!(place(&fabric), (1, 0));
    // Where it was is no host whose business it is, whatever that host lets go.
    fabric.stage.ok(2, &format!("port plug {uid}"));
    fabric.stage.ok(1, "port unplug web1");
    assert_eq!(place(&fabric), (1, 2));
    fabric.stage.ok(2, &format!("port unplug {uid}"));
    assert_eq!(place(&fabric), (1, 0));
    // Nothing is plugged in there any more, so that there is nothing that could move.
    let missing = || fabric.op("describe port web1").contains("missing on its host");
    assert!(eventually(LIMIT, missing), "{}", fabric.op("describe port web1"));
    fabric.stage.ok(2, &format!("port plug {uid}"));
    assert_eq!(place(&fabric), (2, 0));
    fabric.stage.ok(2, "port unplug web1");
    assert_eq!(place(&fabric), (0, 0));
    // Without a controller a host plugs what it has.
    fabric.stage.lab.stop_controller().expect("a controller");
    let answer = || fabric.stage.netvirt(1, &["port", "plug", &uid]).stderr;
    assert!(eventually(LIMIT, || answer().contains("the controller does not answer")), "{}", answer());
    assert_eq!(fabric.stage.json(1, "port plug db1")["device"], "tap7");
    let unplugged = fabric.stage.netvirt(1, &["port", "unplug", "db1"]);
    assert!(unplugged.success() && unplugged.stderr.contains("the controller does not answer"), "{}", unplugged.stderr);
}
