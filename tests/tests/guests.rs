//! Guests, VMs with kernels of their own, beside a VM that is a network namespace: they get addresses, reach each other
//! across hosts with whole segments, run commands side by side, and nothing is left of them. Needs root.

use std::path::Path;
use std::time::{Duration, Instant};

use lab::{LabError, NodeKind};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::capture::Capture;
use tests::stage::{LIMIT, Stage, eventually};
use tests::tools::{Background, must_ping, must_tcp, run};

/// guest1 gets its address by DHCP; guest2 has two queues.
const TOPOLOGY: &str = r#"
name: LAB
underlay: {kind: segment, mtu: 1600}
hosts:
  - {name: H1, addresses: [192.168.4.11/24]}
  - {name: H2, addresses: [192.168.4.22/24]}
vms:
  - {name: guest1, kind: vm, host: H1, mac: 06-06-00-00-00-05, vsid: 5001}
  - {name: guest2, kind: vm, host: H2, mac: 06-06-00-00-00-07, vsid: 5001, addresses: [10.0.0.7/24], memory: 160, cpus: 2, queues: 2}
  - {name: blue1, host: H1, mac: 06-06-00-00-00-09, vsid: 5001, addresses: [10.0.0.9/24]}
resources:
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.22}}
  - {kind: lookup-record, spec: {vsid: 5001, customerAddress: 10.0.0.9, mac: 06-06-00-00-00-09, providerAddress: 192.168.4.11}}
  - {kind: customer-route, spec: {rdid: "{11111111-2222-3333-4444-000000005001}", vsid: 5001, prefix: 10.0.0.0/24, nextHop: 0.0.0.0}}
  - {kind: dhcp-scope, spec: {vsid: 5001, prefix: 10.0.0.0/24, leaseTime: 1h}}
"#;

/// The process of a guest's QEMU, if it runs.
fn qemu(stage: &Stage, vm: &str) -> Option<u32> {
    stage.lab.guest_pid(vm).expect("a guest of the topology")
}

/// What a status says of the guests: name, whether there, what runs it, addresses.
fn guests(stage: &Stage) -> Vec<(String, bool, &'static str, String)> {
    let nodes = stage.lab.status().expect("the lab is up").nodes.into_iter().filter(|node| node.kind == NodeKind::Vm);
    let row = |node: lab::NodeStatus| {
        let by = node.guest.as_ref()?.accelerator?.name();
        let addresses: Vec<_> = node.addresses.iter().map(ToString::to_string).collect();
        Some((node.name, node.present, by, addresses.join(" ")))
    };
    nodes.filter_map(row).collect()
}

/// Several commands run in one guest at once, and each one's words, end and signals are its own.
fn commands_are_each_their_own(stage: &Stage) {
    let guest1 = stage.vm("guest1");
    let mut pinger = Background::start(&guest1, "ping -n -i 0.2 10.0.0.7");
    pinger.await_words("icmp_seq=2");
    let began = Instant::now();
    let sleepers: Vec<_> = (0..8).map(|_| Background::start(&guest1, "sleep 2")).collect();
    let ended = guest1.output(&["sh", "-c", "echo out; echo err >&2; exit 7"], LIMIT).unwrap();
    assert_eq!((ended.status.code(), &*ended.stdout, &*ended.stderr), (Some(7), "out\n", "err\n"));
    for mut sleeper in sleepers {
        sleeper.finish(LIMIT);
    }
    assert!(began.elapsed() < Duration::from_secs(10), "eight sleeps of 2 s took {:?}", began.elapsed());
    // The signal ends the command in the guest, whose last words are heard.
    let said = pinger.end(Signal::SIGINT);
    assert!(said.contains("0% packet loss"), "{said}");
    // So does the end of the one who asked for it.
    let late = guest1.output(&["sleep", "1000"], Duration::from_millis(500));
    assert!(matches!(late, Err(LabError::Timeout { .. })), "{late:?}");
    let gone = eventually(LIMIT, || !run(&guest1, "ps").contains("sleep 1000"));
    assert!(gone, "{}", run(&guest1, "ps"));
    let absent = guest1.output(&["nosuchprogram"], LIMIT).unwrap();
    assert!(!absent.success() && absent.stderr.contains("nosuchprogram"), "{}", absent.stderr);
}

#[test]
fn guests_are_vms_like_others_and_nothing_is_left_of_them() {
    let mut stage = Stage::up(TOPOLOGY);
    let (guest1, guest2, blue1) = (stage.vm("guest1"), stage.vm("guest2"), stage.vm("blue1"));
    // It has another kernel than this machine, and the MTU that its host's agent says.
    assert_ne!(run(&guest2, "cat /proc/sys/kernel/random/boot_id"), run(&blue1, "cat /proc/sys/kernel/random/boot_id"));
    assert!(run(&guest2, "ip link show dev eth0").contains("mtu 1558"));
    let queues = run(&guest2, "ethtool -l eth0");
    let used = queues.lines().rev().find_map(|line| line.strip_prefix("Combined:"));
    assert_eq!(used.map(str::trim), Some("2"), "{queues}");

    let lease = run(&guest1, "udhcpc -i eth0 -f -q -n -O mtu -t 8 -T 1");
    assert!(lease.contains("LEASE|10.0.0.5/24|10.0.0.1|1558|"), "{lease}");
    must_ping(&guest1, "10.0.0.7");
    must_ping(&guest1, "10.0.0.9");
    must_ping(&blue1, "10.0.0.7");

    // What the guest's kernel leaves to its device to cut arrives whole, at its tap and on the wire.
    let tap = Capture::start(&stage.host(1), "guest1", "tcp and greater 3000");
    let wire = Capture::start(&stage.host(1), "eth0", "proto gre and greater 3000");
    must_tcp(&guest1, &guest2, "10.0.0.7");
    for (place, packets) in [("the tap", tap.end()), ("the uplink", wire.end())] {
        let large = packets.count("frame.len > 3000");
        assert!(large > 10, "{large} frames of more than 3,000 bytes were seen at {place}");
    }
    commands_are_each_their_own(&stage);

    let shown = guests(&stage);
    let by = shown[0].2;
    let is = |name: &str, there, addresses: &str| (name.to_owned(), there, by, addresses.to_owned());
    assert_eq!(shown, [is("guest1", true, "10.0.0.5/24"), is("guest2", true, "10.0.0.7/24")]);
    let state = stage.lab.qmp("guest1").and_then(|mut qmp| Ok(qmp.execute("query-status", json!({}))?));
    assert_eq!(state.expect("QEMU answers")["status"], "running");
    let host2 = stage.host_name(2);
    let refused = stage.lab.plug_vm("guest1", &host2).expect_err("a guest has no cable").to_string();
    assert!(refused.contains("a guest is moved by live migration"), "{refused}");

    // One whose QEMU dies is seen to be gone, and is in nobody's way.
    let pids = [qemu(&stage, "guest1").expect("it runs"), qemu(&stage, "guest2").expect("it runs")];
    kill(Pid::from_raw(pids[1].cast_signed()), Signal::SIGKILL).expect("QEMU can be killed");
    assert!(eventually(LIMIT, || qemu(&stage, "guest2").is_none()), "QEMU outlives SIGKILL");
    assert_eq!(guests(&stage), [is("guest1", true, "10.0.0.5/24"), is("guest2", false, "")]);
    let refused = guest2.output(&["true"], LIMIT).unwrap();
    assert!(refused.stderr.contains("guest guest2 does not run"), "{}", refused.stderr);

    let (folder, namespace) = (stage.lab.folder(), guest1.namespace().name().expect("a name").to_owned());
    stage.lab.down().expect("the lab goes down");
    for pid in pids {
        assert_eq!(host::process::start_time(pid), None, "QEMU {pid} is left");
    }
    assert!(!folder.exists(), "{} is left", folder.display());
    // With the host's namespace goes the tap.
    assert!(!host::Namespace::exists(&namespace), "the namespace {namespace} is left");
    assert!(!Path::new("/sys/class/net/guest1").exists(), "a tap is left");
}
