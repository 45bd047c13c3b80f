//! The agent dies, starts again, is upgraded, and loses devices: traffic that flows does not notice. Needs root.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use tests::stage::{LIMIT, Stage, eventually, example, program};
use tests::tools::{Background, must_ping, run};

/// What flows while something happens to an agent: a ping flood and an open TCP connection.
struct Flow {
    ping: Background,
    tcp: Background,
    _server: Background,
}

impl Flow {
    fn start(stage: &Stage) -> Self {
        let (blue1, blue2) = (stage.vm("blue1"), stage.vm("blue2"));
        must_ping(&blue1, "10.0.0.7");
        let server = Background::start(&blue2, "iperf3 -s -1 --forceflush");
        server.await_words("Server listening");
        let tcp = Background::start(&blue1, "iperf3 -c 10.0.0.7 -t 60 -b 20M -i 1 --forceflush");
        tcp.await_words("Mbits/sec");
        let ping = Background::start(&blue1, "ping -n -i 0.002 10.0.0.7");
        ping.await_words("icmp_seq=20 ");
        Self { ping, tcp, _server: server }
    }

    /// No packet of the flood may be lost, and the connection must still carry data.
    #[track_caller]
    fn must_have_lost_nothing(mut self) {
        let before = self.tcp.output().matches("Mbits/sec").count();
        let goes_on =
            eventually(Duration::from_secs(5), || self.tcp.output().matches("Mbits/sec").count() >= before + 2);
        assert!(goes_on && self.tcp.runs(), "the connection carries nothing any more: {}", self.tcp.output());
        let last = self.tcp.output().lines().last().unwrap_or_default().to_owned();
        assert!(!last.contains(" 0.00 bits/sec"), "{last}");
        let text = self.ping.end(Signal::SIGINT);
        let summary =
            text.lines().find(|line| line.contains("packets transmitted")).unwrap_or_else(|| panic!("{text}"));
        let numbers: Vec<u32> =
            summary.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
        // At the moment of the signal one request may be on its way.
        assert!(numbers[0] >= 500 && numbers[0] - numbers[1] <= 1, "{summary}");
        let missing = numbers[0] - numbers[1];
        let last: u32 = text
            .lines()
            .filter_map(|line| line.split("icmp_seq=").nth(1)?.split(' ').next()?.parse().ok())
            .next_back()
            .unwrap_or_default();
        assert_eq!(last, numbers[0] - missing, "the one that is missing is not the last: {summary}");
    }
}

fn drift(stage: &Stage, host: usize) -> Vec<String> {
    let status = stage.json(host, "status");
    let lines = status["drift"].as_array().unwrap_or_else(|| panic!("{status}"));
    lines.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_killed_agent_that_starts_again_loses_no_packet() {
    let mut stage = Stage::blue_red();
    let flow = Flow::start(&stage);
    for host in [1, 2] {
        let name = stage.host_name(host);
        stage.lab.kill_agent(&name).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        stage.lab.start_agent(&name).unwrap();
        assert_eq!(drift(&stage, host), Vec::<String>::new());
    }
    flow.must_have_lost_nothing();
    let ports = stage.ok(1, "get ports");
    assert!(ports.lines().skip(1).all(|line| line.contains("bound")), "{ports}");
}

#[test]
fn an_upgrade_to_another_program_loses_no_packet() {
    let folder = tempfile::tempdir().unwrap();
    let installed = folder.path().join("netvirt");
    install(&installed);
    let mut stage = Stage::up_with(&example("blue-red.yaml"), installed.clone());
    let flow = Flow::start(&stage);
    let name = stage.host_name(1);
    stage.lab.stop_agent(&name).unwrap();
    // As a package manager does: the new file takes the name of the old one.
    let new = folder.path().join("netvirt.new");
    install(&new);
    std::fs::rename(&new, &installed).unwrap();
    stage.lab.start_agent(&name).unwrap();
    assert_eq!(drift(&stage, 1), Vec::<String>::new());
    flow.must_have_lost_nothing();
}

fn install(path: &Path) {
    std::fs::copy(program(), path).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn while_no_agent_runs_traffic_begins_too() {
    let mut stage = Stage::blue_red();
    for host in [1, 2] {
        let name = stage.host_name(host);
        stage.lab.kill_agent(&name).unwrap();
    }
    must_ping(&stage.vm("blue1"), "10.0.0.7");
    must_ping(&stage.vm("red2"), "10.0.0.5");
    let output = stage.netvirt(1, &["get", "ports"]);
    assert_eq!(output.status.code(), Some(3), "{}", output.stderr);
    assert!(output.stderr.contains(&stage.host_name(1)), "{}", output.stderr);
}

#[test]
fn what_was_changed_behind_its_back_is_named_and_mended() {
    let mut stage = Stage::blue_red();
    let name = stage.host_name(1);
    must_ping(&stage.vm("blue1"), "10.0.0.7");
    stage.lab.kill_agent(&name).unwrap();
    // The configuration gets another MAC address for Blue2, and loses Red2.
    let path = stage.lab.folder().join(format!("{name}.yaml"));
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replace("06-06-00-00-00-07", "06-06-00-00-00-77");
    assert_ne!(text, changed);
    std::fs::write(&path, &changed).unwrap();
    stage.lab.start_agent(&name).unwrap();
    let lines = drift(&stage, 1);
    assert!(lines.iter().any(|line| line.contains("5001") && line.contains("10.0.0.7")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("6001") || line.contains("10.0.0.5")), "{lines:?}");
    assert!(stage.ok(1, "status").contains("Drift at the start"));
    // And back: what was different is in force again.
    stage.lab.kill_agent(&name).unwrap();
    std::fs::write(&path, &text).unwrap();
    stage.lab.start_agent(&name).unwrap();
    assert!(!drift(&stage, 1).is_empty());
    stage.lab.restart_agent(&name).unwrap();
    assert_eq!(drift(&stage, 1), Vec::<String>::new());
    must_ping(&stage.vm("blue1"), "10.0.0.7");
}

#[test]
fn a_record_deleted_from_the_kernels_table_is_named_and_put_back() {
    let mut stage = Stage::blue_red();
    let name = stage.host_name(1);
    let blue1 = stage.vm("blue1");
    must_ping(&blue1, "10.0.0.7");
    stage.lab.kill_agent(&name).unwrap();
    let folder = format!("/sys/fs/bpf/netvirt/{name}");
    let maps = std::fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("maps-"));
    let records = maps.expect("the maps are pinned").path().join("RECORDS");
    let text = run(&stage.host(1), &format!("bpftool -j map dump pinned {}", records.display()));
    let entries: serde_json::Value = serde_json::from_str(&text).unwrap();
    // The address is written as the mapped IPv6 address of 10.0.0.7, after the VSID.
    let key = entries.as_array().unwrap().iter().find_map(|entry| {
        let key: Vec<&str> = entry["key"].as_array()?.iter().filter_map(|byte| byte.as_str()).collect();
        (key.starts_with(&["0x89", "0x13"]) && key.ends_with(&["0x0a", "0x00", "0x00", "0x07"])).then(|| key.join(" "))
    });
    let key = key.unwrap_or_else(|| panic!("no record of 5001/10.0.0.7: {text}"));
    run(&stage.host(1), &format!("bpftool map delete pinned {} key {key}", records.display()));
    stage.lab.start_agent(&name).unwrap();
    let lines = drift(&stage, 1);
    assert!(lines.iter().any(|line| line.contains("10.0.0.7")) && lines.len() == 1, "{lines:?}");
    must_ping(&blue1, "10.0.0.7");
}

#[test]
fn a_device_that_goes_and_comes_back_is_bound_again() {
    let mut stage = Stage::blue_red();
    let host = stage.host_name(1);
    let bound = |stage: &Stage| {
        let ports = stage.json(1, "get ports");
        let port = ports.as_array().unwrap().iter().find(|port| port["name"] == "blue1").unwrap().clone();
        port["status"]["state"] == "bound"
    };
    for _ in 0..2 {
        stage.lab.unplug_vm("blue1").unwrap();
        assert!(eventually(LIMIT, || !bound(&stage)), "{}", stage.ok(1, "get ports"));
        assert!(stage.ok(1, "status").contains("the port is bound when it appears"), "{}", stage.ok(1, "status"));
        stage.lab.plug_vm("blue1", &host).unwrap();
        assert!(eventually(LIMIT, || bound(&stage)), "{}", stage.ok(1, "get ports"));
        must_ping(&stage.vm("blue1"), "10.0.0.7");
        must_ping(&stage.vm("red1"), "10.0.0.7");
    }
}

#[test]
fn an_address_that_is_not_on_its_uplink_is_put_there_or_told() {
    let mut stage = Stage::blue_red();
    let name = stage.host_name(1);
    must_ping(&stage.vm("blue1"), "10.0.0.7");
    let findings = |stage: &Stage| stage.json(1, "status")["findings"].to_string();
    let address = |stage: &Stage, what: &str| {
        let command = ["ip", "address", what, "192.168.4.11/24", "dev", "eth0"];
        stage.host(1).output(&command, LIMIT).unwrap().ok().unwrap();
    };
    // What is declared and not there is put there.
    stage.lab.kill_agent(&name).unwrap();
    address(&stage, "del");
    stage.lab.start_agent(&name).unwrap();
    assert_eq!(findings(&stage), "[]");
    must_ping(&stage.vm("blue1"), "10.0.0.7");
    // What somebody takes away meanwhile is told, until he puts it back,
    let told = |stage: &Stage| findings(stage).contains("ip address add 192.168.4.11/24 dev eth0");
    address(&stage, "del");
    assert!(eventually(LIMIT, || told(&stage)), "{}", findings(&stage));
    address(&stage, "add");
    assert!(eventually(LIMIT, || findings(&stage) == "[]"), "{}", findings(&stage));
    // or something is declared, whatever it is.
    address(&stage, "del");
    assert!(eventually(LIMIT, || told(&stage)), "{}", findings(&stage));
    let record = "kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.0.0.8, mac: 06-06-00-00-00-08, \
                  providerAddress: 192.168.4.22}\n";
    assert!(stage.apply(1, record).ok().unwrap().contains("created"));
    assert!(eventually(LIMIT, || findings(&stage) == "[]"), "{}", findings(&stage));
    must_ping(&stage.vm("blue1"), "10.0.0.7");
}
