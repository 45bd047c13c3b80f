//! What an operator does beside declaring: hosts that leave, deletions that are waited for, names that the shell
//! completes. Needs root.

use std::time::Duration;

use lab::Output;
use serde_json::Value;
use tests::fabric::Fabric;
use tests::stage::{LIMIT, Stage, eventually, program};
use tests::tools::{must_ping, run};

/// AAA with a subnet, a pool, and a port on each host.
fn two_vms() -> Fabric {
    let fabric = Fabric::up(&[("test01", 1, 1), ("test02", 2, 2)]);
    fabric.network();
    fabric.port("test01", 1, 1, "--vm-network AAA");
    fabric.port("test02", 2, 2, "--vm-network AAA");
    fabric
}

/// `netvirt host leave` on host 2, with the configuration of its agent.
fn leave(fabric: &Fabric, options: &[&str]) -> Output {
    let config = fabric.stage.lab.folder().join(format!("{}.yaml", fabric.stage.host_name(2)));
    let (program, config) = (program().display().to_string(), config.display().to_string());
    let command = [&[program.as_str(), "host", "leave", "--config", &config], options].concat();
    fabric.stage.host(2).output(&command, Duration::from_secs(20)).unwrap()
}

#[test]
fn a_host_leaves_when_nothing_needs_it_and_can_join_again() {
    let mut fabric = two_vms();
    let host = fabric.stage.host_name(2);
    let running = leave(&fabric, &[]);
    assert!(!running.success() && running.stderr.contains("stop it first"), "{}", running.stderr);
    fabric.stage.lab.stop_agent(&host).unwrap();
    let needed = leave(&fabric, &[]);
    assert!(!needed.success() && needed.stderr.contains("is in use by port test02"), "{}", needed.stderr);
    // A refusal has changed nothing.
    fabric.stage.lab.start_agent(&host).unwrap();
    assert_eq!(fabric.lease("test01").address, "10.10.1.100/16");
    assert_eq!(fabric.lease("test02").address, "10.10.1.101/16");
    must_ping(&fabric.vm("test01"), "10.10.1.101");
    fabric.op("delete port test02 --wait");
    fabric.stage.lab.stop_agent(&host).unwrap();
    let left = leave(&fabric, &[]).ok().unwrap();
    assert_eq!(left, format!("host {host} left the controller at 192.168.4.1:7444\n"));
    assert!(!fabric.op("get hosts -o name").contains(&host), "the controller has forgotten it");
    let state = fabric.stage.lab.folder().join(format!("{host}.state"));
    let remains: Vec<_> = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let secret = |name: &str| remains.iter().any(|file| file == name);
    assert!(!["controller.yaml", "host.pem", "ca.pem", "topics.log"].iter().any(|name| secret(name)), "{remains:?}");
    let again = leave(&fabric, &[]);
    assert!(!again.success() && again.stderr.contains("has not joined a controller"), "{}", again.stderr);
    // Nothing of the controller's is in force any more, and the way back is open.
    fabric.stage.lab.start_agent(&host).unwrap();
    assert_eq!(fabric.stage.json(2, "get lookup-records"), Value::Array(Vec::new()));
    assert_eq!(fabric.stage.json(2, "get provider-addresses"), Value::Array(Vec::new()));
    assert_eq!(fabric.stage.json(2, "status")["drift"], Value::Array(Vec::new()), "leaving has cleared the tables");
    fabric.stage.lab.stop_agent(&host).unwrap();
    let token = fabric.json("create join-token")["token"].as_str().unwrap().to_owned();
    let (program, state) = (program().display().to_string(), state.display().to_string());
    let words = ["host", "join", "--controller", "192.168.4.1:7444", "--uplink", "eth0", "--token", &token];
    let join = [&[program.as_str()], &words[..], &["--name", &host, "--state", &state]].concat();
    fabric.stage.host(2).output(&join, Duration::from_secs(20)).unwrap().ok().unwrap();
    fabric.stage.lab.start_agent(&host).unwrap();
    let connected = || fabric.stage.json(2, "status")["controller"]["connected"].clone();
    assert!(eventually(Duration::from_secs(10), || connected() == Value::Bool(true)), "{}", connected());
    let said = fabric.stage.ok(2, "status");
    assert!(said.contains("Controller:          192.168.4.1:7444, connected, revision "), "{said}");
}

#[test]
fn a_host_whose_controller_is_gone_leaves_by_force() {
    let mut fabric = Fabric::up(&[]);
    let host = fabric.stage.host_name(2);
    fabric.stage.lab.stop_agent(&host).unwrap();
    fabric.stage.lab.stop_controller().unwrap();
    let alone = leave(&fabric, &[]);
    assert!(!alone.success() && alone.stderr.contains("add --force"), "{}", alone.stderr);
    let forced = leave(&fabric, &["--force"]);
    assert!(forced.success(), "{}", forced.stderr);
    assert!(forced.stderr.contains(&format!("\"netvirt delete host {host}\"")), "{}", forced.stderr);
    fabric.stage.lab.start_controller().unwrap();
    fabric.op(&format!("delete host {host}"));
}

#[test]
fn a_deletion_is_waited_for_on_every_host_that_had_it() {
    let mut fabric = two_vms();
    let records = |fabric: &Fabric, host| fabric.stage.json(host, "get lookup-records").as_array().unwrap().len();
    assert_eq!((records(&fabric, 1), records(&fabric, 2)), (2, 2));
    fabric.op("delete port test02 --wait");
    assert_eq!((records(&fabric, 1), records(&fabric, 2)), (1, 0), "gone when the command ends");
    let host = fabric.stage.host_name(1);
    fabric.stage.lab.stop_agent(&host).unwrap();
    // Host 2 needs nothing of this, and is not waited for; host 1 is away.
    let ended = fabric.try_op(&["delete", "port", "test01", "--wait=1s"]);
    assert_eq!(ended.status.code(), Some(4), "{}", ended.stderr);
    let said = format!("was not seen to be gone within 1s from 1 of 1 hosts: {host} (its agent is not connected)");
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    assert_eq!(fabric.op("get ports -o name"), "", "it is deleted all the same");
}

#[test]
fn the_shell_completes_names_that_the_controller_knows() {
    let fabric = two_vms();
    let context = fabric.stage.lab.context().unwrap();
    let complete = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        // As the script of "netvirt completion bash" asks.
        let asked = format!(
            "env NETVIRT_CONTEXT={} NETVIRT_COMPLETE=bash _CLAP_IFS=| _CLAP_COMPLETE_INDEX={} {} -- {line}",
            context.display(),
            words.len() - 1,
            program().display()
        );
        let words: Vec<&str> = asked.split(' ').collect();
        let output = fabric.controller().output(&words, Duration::from_secs(20)).unwrap();
        output.ok().unwrap().split('|').map(|name| name.trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(complete("netvirt get ports t"), ["test01", "test02"]);
    assert_eq!(complete("netvirt delete po test02"), ["test02"]);
    assert_eq!(complete("netvirt create port x --vm-network A"), ["AAA"]);
    assert_eq!(complete("netvirt set port test0"), ["test01", "test02"]);
    let (one, two) = (fabric.stage.host_name(1), fabric.stage.host_name(2));
    assert_eq!(complete(&format!("netvirt set port test01 --host {}", &one[..one.len() - 1])), [one, two]);
    assert_eq!(complete("netvirt create port x --vm-sub"), ["--vm-subnet"]);
    // Who cannot be asked gives no names, and no complaint.
    assert_eq!(complete("netvirt get ports --context /nowhere t"), [""]);
    let script = run(&fabric.controller(), &format!("{} completion bash", program().display()));
    assert!(script.contains("complete -o nospace"), "{script}");
}

#[test]
fn what_a_vm_writes_about_its_machine_is_not_this_ones() {
    let stage = Stage::blue_red();
    let before = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let exec = |command: &str| {
        let program = program();
        let program = program.to_str().expect("a readable path");
        stage
            .host(1)
            .output(&[program, "lab", "exec", "blue1", "--lab", stage.lab.name(), "--", "sh", "-c", command], LIMIT)
            .unwrap()
    };
    let written = exec("echo nameserver 192.0.2.99 > /etc/resolv.conf && cat /etc/resolv.conf");
    assert!(written.stdout.contains("192.0.2.99"), "{}{}", written.stdout, written.stderr);
    assert_eq!(std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default(), before);
    // It finds it again.
    assert!(exec("cat /etc/resolv.conf").stdout.contains("192.0.2.99"));
}
