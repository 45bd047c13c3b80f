//! What is wrong is refused in a sentence that says where and what to do, with an exit code, and changes nothing. Needs
//! root.

use std::time::Duration;

use lab::Output;
use tests::stage::{Stage, program};
use tests::tools::{must_ping, run};

/// All that a host has, as programs read it.
fn state(stage: &Stage) -> String {
    ["lookup-records", "customer-routes", "provider-addresses", "provider-routes", "ports"]
        .map(|kind| stage.ok(1, &format!("get {kind} -o yaml")))
        .concat()
}

/// The refusal must have this code and these words, and the host must be as before.
#[track_caller]
fn refused(stage: &Stage, before: &str, output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{}{}", output.stdout, output.stderr);
    for word in words {
        assert!(output.stderr.contains(word), "\"{word}\" is missing in: {}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    assert_eq!(state(stage), before, "something was changed after all");
}

#[test]
fn wrong_documents_are_refused_with_line_column_and_field() {
    let stage = Stage::blue_red();
    let before = state(&stage);
    for (text, words) in [
        ("kind: lookup-record\nspec: {vsid: 5001\n", &["line"][..]),
        ("kind: lookup-record\nspec:\n  vsid: 5001\n  mak: 06-06-00-00-00-09\n", &["line 4", "column", "mak"]),
        (
            "kind: lookup-record\nspec:\n  vsid: 70\n  customerAddress: 10.0.0.9\n  mac: 06-06-00-00-00-09\n  \
             providerAddress: 192.168.4.22\n",
            &["line 3", "vsid", "VSID 70 is out of range", "4096 to 16777214"],
        ),
        (
            "kind: lookup-record\nspec:\n  vsid: 5001\n  customerAddress: 10.0.0\n  mac: 06-06-00-00-00-09\n  \
             providerAddress: 192.168.4.22\n",
            &["line 4", "customerAddress"],
        ),
        (
            "kind: lookup-record\nspec:\n  vsid: 5001\n  customerAddress: 10.0.0.9\n  mac: 01-00-5e-00-00-09\n  \
             providerAddress: 192.168.4.22\n",
            &["line 5", "multicast"],
        ),
        ("kind: vlan\nspec: {}\n", &["line 1", "vlan", "lookup-record"]),
    ] {
        refused(&stage, &before, &stage.apply(1, text), 1, words);
    }
    let output = stage.netvirt(1, &["create", "lookup-record", "--vsid", "16777215", "--mac", "06-06-00-00-00-09"]);
    refused(&stage, &before, &output, 2, &["VSID 16777215 is out of range"]);
}

#[test]
fn contradictions_are_refused_all_or_nothing() {
    let stage = Stage::blue_red();
    let before = state(&stage);
    let record = |address: &str, mac: &str, provider: &str| {
        format!(
            "---\nkind: lookup-record\nspec: {{vsid: 5001, customerAddress: {address}, mac: {mac}, providerAddress: \
             {provider}}}\n"
        )
    };
    let good = record("10.0.0.8", "06-06-00-00-00-08", "192.168.4.22");
    for (bad, words) in [
        // The same MAC address on two hosts.
        (record("10.0.0.9", "06-06-00-00-00-07", "192.168.4.11"), &["06-06-00-00-00-07", "192.168.4.11"][..]),
        // The same record twice in one file.
        (record("10.0.0.8", "06-06-00-00-00-09", "192.168.4.22"), &["5001/10.0.0.8 is declared twice"]),
        // A provider address that the uplink could be given, and another that it could not.
        (
            "---\nkind: provider-address\nspec: {address: 192.168.4.99, interface: eth0, prefixLength: 24}\n---\nkind: \
             provider-address\nspec: {address: 192.168.4.98, interface: eth7, prefixLength: 24}\n"
                .to_owned(),
            &["there is no interface \"eth7\""],
        ),
        (
            "---\nkind: provider-address\nspec: {address: 192.168.4.99, interface: eth7, prefixLength: 24}\n"
                .to_owned(),
            &["there is no interface \"eth7\""],
        ),
        // One VM subnet in two routing domains.
        (
            "---\nkind: customer-route\nspec: {rdid: \"{11111111-2222-3333-4444-000000006001}\", vsid: 5001, prefix: \
             10.3.0.0/24, nextHop: 0.0.0.0}\n"
                .to_owned(),
            &["5001", "{11111111-2222-3333-4444-000000006001}"],
        ),
        (
            "---\nkind: port\nname: blue7\nspec: {device: blue1, mac: 06-06-00-00-00-08, vsid: 5001}\n".to_owned(),
            &["blue1"],
        ),
    ] {
        refused(&stage, &before, &stage.apply(1, &format!("{bad}{good}")), 1, words);
        refused(&stage, &before, &stage.apply(1, &format!("{good}{bad}")), 1, words);
    }
    let output = stage.netvirt(1, &["delete", "lookup-record", "5001/10.0.0.7", "5001/10.0.0.200"]);
    refused(&stage, &before, &output, 1, &["5001/10.0.0.200"]);
    let addresses = || run(&stage.host(1), "ip -br address show eth0");
    assert!(!addresses().contains("192.168.4.99"), "what was refused has left an address: {}", addresses());
    let given = "---\nkind: provider-address\nspec: {address: 192.168.4.99, interface: eth0, prefixLength: 24}\n";
    let checked =
        stage.ok(1, "create provider-address --address 192.168.4.99 --interface eth0 --prefix-length 24 --dry-run");
    assert!(checked.contains("created"), "{checked}");
    assert!(!addresses().contains("192.168.4.99"), "a dry run has left an address: {}", addresses());
    assert!(stage.apply(1, given).ok().unwrap().contains("created"));
    assert!(addresses().contains("192.168.4.99/24"), "{}", addresses());
    stage.ok(1, "delete provider-address 192.168.4.99");
    assert!(!addresses().contains("192.168.4.99"), "{}", addresses());
    // The good half alone is taken, and the tenants have not noticed anything.
    assert!(stage.apply(1, &good).ok().unwrap().contains("created"));
    must_ping(&stage.vm("blue1"), "10.0.0.7");
}

#[test]
fn of_two_agents_on_one_socket_the_second_is_refused() {
    let stage = Stage::blue_red();
    let before = state(&stage);
    let config = stage.lab.folder().join(format!("{}.yaml", stage.host_name(1)));
    let (program, config) = (program(), config.display().to_string());
    let command = [program.to_str().unwrap(), "agent", "--config", &config];
    let output = stage.host(1).output(&command, Duration::from_secs(10)).unwrap();
    refused(&stage, &before, &output, 1, &[&format!("{}.sock", stage.host_name(1))]);
    must_ping(&stage.vm("blue1"), "10.0.0.7");
}

#[test]
fn an_agent_without_what_it_needs_says_so_and_makes_nothing() {
    let stage = Stage::blue_red();
    let before = state(&stage);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let bpffs = format!("/sys/fs/bpf/netvirt/{}x", stage.host_name(1));
    let text = |resources: &str| {
        format!(
            "name: {}x\nsocket: {}\nstate: {}\nbpffs: {bpffs}\n{resources}",
            stage.host_name(1),
            at("x.sock"),
            at("state")
        )
    };
    let program = program().display().to_string();
    let start = |text: &str, before: &[&str]| {
        std::fs::write(at("x.yaml"), text).unwrap();
        let config = at("x.yaml");
        let command = [before, &[&program, "agent", "--config", &config]].concat();
        stage.host(1).output(&command, Duration::from_secs(10)).unwrap()
    };
    for (capability, name) in [("bpf", "CAP_BPF"), ("net_admin", "CAP_NET_ADMIN"), ("perfmon", "CAP_PERFMON")] {
        let without = format!("-{capability}");
        // With the capability's stand-in of older kernels left in place, "sys_admin" would do as well.
        let dropped = format!("{without},-sys_admin");
        let output = start(&text(""), &["setpriv", "--bounding-set", &dropped, "--inh-caps", &dropped]);
        refused(&stage, &before, &output, 1, &[name]);
    }
    for (resources, words) in [
        (
            "resources:\n  - kind: lookup-record\n    spec: {vsid: 70, mac: 06-06-00-00-00-05}\n",
            &["line 7", "VSID 70"][..],
        ),
        ("flod: {rate: 1}\n", &["line 5", "flod"]),
        (
            "resources:\n  - kind: lookup-record\n    spec: {vsid: 5001, customerAddress: 10.0.0.9, mac: \
             02-4E-56-00-00-01, providerAddress: 192.168.4.22}\n  - kind: provider-address\n    spec: {address: \
             192.168.4.11, interface: eth0, prefixLength: 24}\n",
            &["02-4E-56-00-00-01", "every subnet's gateway", "nothing was changed"],
        ),
        (
            "resources:\n  - {kind: port, name: a, spec: {device: a0, mac: 06-06-00-00-00-05}}\n  - {kind: port, name: a, \
             spec: {device: a1, mac: 06-06-00-00-00-05}}\n",
            &["port a is declared twice", "nothing was changed"],
        ),
    ] {
        let output = start(&text(resources), &[]);
        refused(&stage, &before, &output, 1, words);
    }
    assert!(!std::path::Path::new(&at("x.sock")).exists());
    let left = std::fs::read_dir(&bpffs).map(|entries| entries.count()).unwrap_or_default();
    assert_eq!(left, 0, "something is pinned in {bpffs}");
    // An empty folder is all that may be there.
    let _ = std::fs::remove_dir(&bpffs);
    must_ping(&stage.vm("blue1"), "10.0.0.7");
}
