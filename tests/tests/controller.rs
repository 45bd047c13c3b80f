//! What hosts and operators may rely on when a controller dies, comes back, refuses or is asked by somebody else. Needs
//! root.

use std::time::Duration;

use serde_json::Value;
use tests::fabric::Fabric;
use tests::stage::eventually;
use tests::tools::{Background, must_ping, run};

#[test]
fn hosts_do_without_the_controller_and_hear_the_rest_when_it_is_back() {
    let mut fabric = Fabric::two_vms();
    let mut ping = Background::start(&fabric.vm("test01"), "ping -n -i 0.01 10.10.1.101");
    ping.await_words("icmp_seq=10 ");
    fabric.stage.lab.kill_controller().unwrap();
    // An agent that starts now knows what it was told last, and answers DHCP by it.
    let host = fabric.stage.host_name(1);
    fabric.stage.lab.kill_agent(&host).unwrap();
    fabric.stage.lab.start_agent(&host).unwrap();
    assert_eq!(fabric.stage.json(1, "get lookup-records").as_array().unwrap().len(), 2);
    assert_eq!(fabric.lease("test01").address, "10.10.1.100/16");
    let text = ping.end(nix::sys::signal::Signal::SIGINT);
    assert!(text.contains(" 0% packet loss") || lost(&text) <= 1, "{text}");
    fabric.stage.lab.start_controller().unwrap();
    fabric.op("create port later --vm-network AAA --host HOST --wait".replace("HOST", &host).as_str());
    assert_eq!(fabric.stage.json(2, "get lookup-records").as_array().unwrap().len(), 3);
}

/// Packets that got no answer.
fn lost(text: &str) -> u32 {
    let numbers: Vec<u32> = text
        .lines()
        .find(|line| line.contains("packets transmitted"))
        .unwrap_or_default()
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers[0] - numbers[1]
}

#[test]
fn waiting_names_the_hosts_that_are_missing() {
    let mut fabric = Fabric::two_vms();
    let (one, two) = (fabric.stage.host_name(1), fabric.stage.host_name(2));
    fabric.stage.lab.kill_agent(&two).unwrap();
    let refusal = fabric.refused(&format!("create port late --vm-network AAA --host {one} --wait=2s"));
    assert!(refusal.contains(&two) && !refusal.contains(&format!("{one}:")), "{refusal}");
    // It is declared all the same, and comes into force when the host is back.
    fabric.stage.lab.start_agent(&two).unwrap();
    let realized = || fabric.json("get port late")["status"]["realized"].clone();
    assert!(eventually(Duration::from_secs(10), || realized()["hosts"] == 2), "{}", realized());
}

#[test]
fn static_addresses_are_learnt_on_one_host_and_known_on_the_other() {
    let fabric = Fabric::up(&[("test01", 1, 1), ("test02", 2, 2)]);
    fabric.network();
    for (vm, host, mac) in [("test01", 1, 1), ("test02", 2, 2)] {
        fabric.port(vm, host, mac, "--vm-network AAA --addressing learnt");
        run(&fabric.vm(vm), &format!("ip address add 10.10.7.{mac}/16 dev eth0"));
    }
    // Each speaks once of itself.
    run(&fabric.vm("test01"), "arping -U -c 2 -w 2 -I eth0 10.10.7.1");
    run(&fabric.vm("test02"), "arping -U -c 2 -w 2 -I eth0 10.10.7.2");
    let known = || fabric.json("get port test01")["status"]["learnt"].clone();
    assert!(eventually(Duration::from_secs(5), || known()[0] == "10.10.7.1"), "{}", known());
    let dynamic = || fabric.stage.ok(2, "get lookup-records -o wide");
    let there = eventually(Duration::from_secs(5), || {
        dynamic().lines().any(|line| line.contains("10.10.7.1") && line.contains("Dynamic"))
    });
    assert!(there, "{}", dynamic());
    must_ping(&fabric.vm("test02"), "10.10.7.1");
}

#[test]
fn ipv6_comes_by_router_advertisement_and_dhcpv6() {
    let fabric = Fabric::up(&[("test01", 1, 1), ("test02", 2, 2)]);
    fabric.op("create vm-network AAA --logical-network TDIv2");
    fabric.op("create vm-subnet six --vm-network AAA --prefix fd00:10::/64");
    fabric.op("create ip-pool six --vm-subnet six --range fd00:10::100-fd00:10::1ff --dns-server fd00:10::53");
    for (vm, host, mac) in [("test01", 1, 1), ("test02", 2, 2)] {
        fabric.port(vm, host, mac, "--vm-network AAA");
    }
    let advertised = run(&fabric.vm("test01"), "rdisc6 -1 -r 5 -w 500 eth0");
    assert!(advertised.contains("fd00:10::/64") && advertised.contains("fd00:10::53"), "{advertised}");
    let port = fabric.json("get port test01");
    assert_eq!(port["status"]["addresses"][0], "fd00:10::100", "{port}");
    for (vm, last) in [("test01", 0), ("test02", 1)] {
        run(&fabric.vm(vm), &format!("ip -6 address add fd00:10::10{last}/64 dev eth0 nodad"));
    }
    must_ping(&fabric.vm("test01"), "fd00:10::101");
}

#[test]
fn a_host_joins_once_with_a_token_and_never_again_when_it_is_deleted() {
    let spare = "  - {name: spare, addresses: [192.168.4.17/24], agent: false}\n";
    let fabric = Fabric::up_beside(&[("test01", 1, 1)], spare);
    let token = fabric.json("create join-token");
    let token = token["token"].as_str().unwrap().to_owned();
    let state = tempfile::tempdir().unwrap();
    let program = tests::stage::program();
    let join = |folder: &str, token: &str| {
        let folder = state.path().join(folder).display().to_string();
        let words = ["host", "join", "--controller", "192.168.4.1:7444", "--token", token, "--uplink", "eth0"];
        let command = [&[program.to_str().unwrap()], &words[..], &["--name", folder_name(&folder), "--state", &folder]];
        fabric.stage.lab.host("spare").unwrap().output(&command.concat(), Duration::from_secs(20)).unwrap()
    };
    join("third", &token).ok().unwrap();
    let again = join("fourth", &token);
    assert!(!again.success() && again.stderr.contains("token"), "{}", again.stderr);
    let wrong = join("fifth", &format!("{}{}", &token[..token.len() - 64], "0".repeat(64)));
    assert!(!wrong.success() && wrong.stderr.contains("of another controller"), "{}", wrong.stderr);
    let hosts = fabric.json("get hosts");
    assert_eq!(hosts.as_array().unwrap().len(), 3, "{hosts}");
    // A host with ports cannot be deleted; the refusal names them.
    fabric.network();
    let one = fabric.stage.host_name(1);
    fabric.port("test01", 1, 1, "--vm-network AAA");
    let refusal = fabric.refused(&format!("delete host {one}"));
    assert!(refusal.contains("test01"), "{refusal}");
    fabric.op("delete port test01");
    fabric.op(&format!("delete host {one}"));
    let connected = || fabric.stage.json(1, "status")["controller"]["connected"].clone();
    assert!(eventually(Duration::from_secs(10), || connected() == Value::Bool(false)), "{}", connected());
}

fn folder_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[test]
fn a_tenant_sees_and_changes_its_own_alone() {
    let fabric = Fabric::up(&[]);
    fabric.op("create tenant blue --vm-networks 1");
    fabric.op("create tenant red");
    fabric.op("create vm-network secret --tenant red --logical-network TDIv2");
    let created = fabric.json("create token blue-admin --role tenant --tenant blue");
    let secret = created["secret"].as_str().unwrap();
    let context = std::fs::read_to_string(fabric.stage.lab.context().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blue.yaml");
    let admin = context.lines().find_map(|line| line.strip_prefix("token: ")).unwrap();
    std::fs::write(&file, context.replace(admin, secret)).unwrap();
    let file = file.display().to_string();
    let blue = |words: &str| {
        let words: Vec<&str> = words.split_whitespace().chain(["--context", &file]).collect();
        fabric.try_op(&words)
    };
    blue("create vm-network own --tenant blue --logical-network TDIv2").ok().unwrap();
    let second = blue("create vm-network more --tenant blue --logical-network TDIv2");
    assert!(!second.success() && second.stderr.contains("quota"), "{}", second.stderr);
    for words in [
        "create vm-network thief --tenant red --logical-network TDIv2",
        "delete vm-network secret --tenant red",
        "create logical-network mine",
        "get audit",
    ] {
        let output = blue(words);
        let own = words == "get audit" && !output.stdout.contains("secret");
        assert!(!output.success() || own, "{words}: {}", output.stdout);
    }
    let all = blue("get vm-networks -A").ok().unwrap();
    assert!(all.contains("own") && !all.contains("secret"), "{all}");
    let audit = fabric.op("get audit");
    assert!(audit.contains("blue-admin") && audit.contains("own"), "{audit}");
    fabric.op("delete token blue-admin");
    let output = blue("get vm-networks");
    assert!(!output.success() && output.stderr.contains("token"), "{}", output.stderr);
}

#[test]
fn what_was_exported_fills_an_empty_controller_and_a_backup_takes_its_place() {
    let fabric = Fabric::two_vms();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fabric.op(&format!("store export {}", path("export")));
    fabric.op(&format!("store backup {}", path("backup")));
    let exported = std::fs::read_to_string(path("export")).unwrap();
    assert!(exported.contains("test01") && exported.contains("10.10.1.101"), "{exported}");
    let refusal = fabric.refused(&format!("store import {}", path("export")));
    assert!(refusal.contains("empty"), "{refusal}");
    let declared = |context: &str| {
        let kinds = ["logical-networks", "hosts", "vm-networks", "vm-subnets", "ip-pools", "ports"];
        let ask = |kind: &&str| fabric.op(&format!("get {kind} -o yaml {context}"));
        kinds.iter().map(ask).collect::<String>()
    };
    let addresses = |context: &str| fabric.json(&format!("get ports {context}"))[0]["status"]["addresses"].clone();
    let other = |state: &str| {
        let program = tests::stage::program();
        let listen = "--listen 127.0.0.1:9443 --agents 127.0.0.1:9444 --advertise 127.0.0.1";
        let command = format!("{} controller --state {state} {listen}", program.display());
        let running = Background::start(&fabric.controller(), &command);
        let context = format!("--context {state}/admin.yaml");
        let words: Vec<&str> = ["status"].into_iter().chain(context.split(' ')).collect();
        let answers = || std::path::Path::new(state).join("admin.yaml").exists() && fabric.try_op(&words).success();
        assert!(eventually(Duration::from_secs(10), answers), "{}", running.output());
        (running, context)
    };
    let (mut running, context) = other(&path("second"));
    fabric.op(&format!("store import {} {context}", path("export")));
    assert_eq!(declared(&context), declared(""));
    assert_eq!(addresses(&context), addresses(""));
    running.end(nix::sys::signal::Signal::SIGTERM);
    std::fs::create_dir(path("third")).unwrap();
    std::fs::rename(path("backup"), format!("{}/store.redb", path("third"))).unwrap();
    let own = fabric.stage.lab.context().unwrap();
    for file in ["ca.pem", "ca.key", "admin.yaml"] {
        let from = own.parent().unwrap().join(file);
        std::fs::copy(&from, format!("{}/{file}", path("third"))).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let text = std::fs::read_to_string(format!("{}/admin.yaml", path("third"))).unwrap();
    let moved: String = text
        .lines()
        .map(|line| {
            if line.starts_with("controller:") {
                "controller: https://127.0.0.1:9443\n".to_owned()
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    std::fs::write(format!("{}/admin.yaml", path("third")), moved).unwrap();
    let (mut running, context) = other(&path("third"));
    assert_eq!(declared(&context), declared(""));
    assert_eq!(addresses(&context), addresses(""));
    running.end(nix::sys::signal::Signal::SIGTERM);
}
