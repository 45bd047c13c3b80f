//! Scripts of HNV administrators set up networks, and traffic goes accordingly; what a host is can be written as a script, and a
//! fresh host made the same by it. Needs root.

use std::path::PathBuf;

use lab::Node;
use serde_json::Value;
use tests::fabric::Fabric;
use tests::stage::{LIMIT, Stage, program};
use tests::tools::must_ping;

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/powershell").join(name)
}

/// The lab of the scripts under a name of its own, and the scripts with the names of its hosts.
struct Scripts {
    stage: Stage,
}

impl Scripts {
    fn up() -> Self {
        let text = std::fs::read_to_string(script("lab.yaml")).unwrap();
        let text = text.replace("WNVHOST", "H").replace("name: wnv", "name: LAB");
        Self { stage: Stage::up(&text) }
    }

    /// Runs a script; where its hosts are says a hosts file.
    #[track_caller]
    fn run(&self, name: &str, arguments: &[&str]) -> String {
        self.command(&script(name).display().to_string(), arguments)
    }

    #[track_caller]
    fn text(&self, text: &str) -> String {
        self.command("-c", &[text])
    }

    #[track_caller]
    fn command(&self, what: &str, arguments: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let hosts = folder.path().join("hosts.yaml");
        let socket = |number| format!("WNVHOST{number}: /run/netvirt/{}.sock\n", self.stage.host_name(number));
        std::fs::write(&hosts, (1..=3).map(socket).collect::<String>()).unwrap();
        let hosts = hosts.display().to_string();
        let program = program();
        let host = self.stage.host_name(1);
        let netvirt = [program.to_str().expect("a readable path"), "powershell", "--host", &host];
        let command = [&netvirt, &["--hosts", &hosts, what][..], arguments].concat();
        let ended = self.stage.host(1).output(&command, LIMIT).expect("netvirt ends");
        ended.ok().unwrap_or_else(|error| panic!("{error}"))
    }

    fn vm(&self, name: &str) -> Node {
        self.stage.vm(name)
    }
}

fn pings(from: &Node, to: &str) -> bool {
    from.output(&["ping", "-n", "-c", "1", "-W", "1", to], LIMIT).expect("ping ends").success()
}

/// What is declared on a host, without its status.
fn declared(scripts: &Scripts, host: usize) -> Vec<Value> {
    ["lookup-records", "customer-routes", "provider-addresses", "provider-routes", "ports"]
        .iter()
        .flat_map(|kind| scripts.stage.json(host, &format!("get {kind}")).as_array().cloned().unwrap_or_default())
        .map(|item| serde_json::json!({"kind": item["kind"], "name": item["name"], "spec": item["spec"]}))
        .collect()
}

#[test]
fn two_customers_with_the_same_addresses() {
    let scripts = Scripts::up();
    let (blue1, red1) = (scripts.vm("Blue1"), scripts.vm("Red1"));
    assert!(!pings(&blue1, "10.0.0.7"), "there is a network before there is one");
    let shown = scripts.run("blue-red.ps1", &[]);
    assert!(shown.contains("           6001 10.0.0.7        202020202007 192.168.4.22    Red2   False\n"), "{shown}");
    must_ping(&blue1, "10.0.0.7");
    must_ping(&red1, "10.0.0.7");
    // Each reaches its own: with Red's record gone on Red1's host, Red alone is cut off.
    scripts.text("Get-NetVirtualizationLookupRecord -CimSession WNVHOST1 | ? { $_.VMName -eq 'Red2' } | Remove-NetVirtualizationLookupRecord");
    assert!(!pings(&red1, "10.0.0.7"));
    must_ping(&blue1, "10.0.0.7");
    // What is shown as unusable is: its VM's port has left the subnet.
    scripts.text("Set-VMNetworkAdapter Blue2 -VirtualSubnetId 0 -ComputerName WNVHOST2");
    let state = "Get-NetVirtualizationLookupRecord -VMName Blue2 -CimSession WNVHOST2 | % { \"$($_.Unusable) $($_.Unsynchronized)\" }";
    assert_eq!(scripts.text(state), "True False\n");
    // Run again it makes the same again, and -Clean leaves nothing.
    scripts.run("blue-red.ps1", &[]);
    must_ping(&red1, "10.0.0.7");
    scripts.run("blue-red.ps1", &["-Clean"]);
    assert!(!pings(&blue1, "10.0.0.7"));
    let left: Vec<Value> = declared(&scripts, 1).into_iter().filter(|item| item["kind"] != "port").collect();
    assert_eq!(left, Vec::<Value>::new());
    let addresses = scripts.stage.host(1).output(&["ip", "-br", "address", "show", "eth0"], LIMIT).unwrap();
    assert!(
        !addresses.stdout.contains("192.168.4.11"),
        "the address that the script gave is still there: {}",
        addresses.stdout
    );
}

#[test]
fn two_customers_behind_gateways_of_their_own() {
    let scripts = Scripts::up();
    let shown = scripts.run("gateway.ps1", &[]);
    assert!(shown.contains("NextHopAddress             : 10.0.0.1\n"), "{shown}");
    for name in ["Blue", "Red"] {
        let vms = [scripts.vm(&format!("{name}1")), scripts.vm(&format!("{name}2"))];
        must_ping(&vms[0], "10.0.0.7");
        for vm in &vms {
            must_ping(vm, "10.0.1.2");
            must_ping(vm, "172.16.1.1");
        }
    }
    // Blue's gateway gone, Red's still leads out.
    scripts.text(
        "Remove-NetVirtualizationLookupRecord -VMName Blue* -CustomerAddress 0.0.0.0, 10.0.1.2 -CimSession WNVHOST1",
    );
    assert!(!pings(&scripts.vm("Blue1"), "172.16.1.1"));
    must_ping(&scripts.vm("Red1"), "172.16.1.1");
    scripts.run("gateway.ps1", &["-Clean"]);
    assert!(!pings(&scripts.vm("Red1"), "172.16.1.1"));
}

#[test]
fn both_families_over_ipv6() {
    let scripts = Scripts::up();
    scripts.run("dual-stack.ps1", &[]);
    let blue1 = scripts.vm("Blue1");
    for to in ["10.0.0.7", "fd00::7", "10.0.2.9", "fd00:0:0:2::9"] {
        must_ping(&blue1, to);
    }
    // Behind Blue2, which routes.
    let blue2 = scripts.vm("Blue2");
    for address in ["172.16.7.1/24", "fd00:7::1/64"] {
        let added = blue2.output(&["ip", "address", "add", address, "dev", "lo"], LIMIT).unwrap();
        assert!(added.success(), "{}", added.stderr);
    }
    must_ping(&blue1, "172.16.7.1");
    must_ping(&blue1, "fd00:7::1");
    let asked = scripts.text("Test-VMNetworkAdapter Blue1 -Sender -SenderIPAddress fd00::5 -ReceiverIPAddress fd00:0:0:2::9 -ComputerName WNVHOST1 | % Reached");
    assert_eq!(asked, "True\n");
}

#[test]
fn an_exported_host_is_made_again() {
    let scripts = Scripts::up();
    scripts.run("dual-stack.ps1", &[]);
    scripts.text(
        "$nic = (Get-NetAdapter eth0 -CimSession WNVHOST1).ifIndex
         New-NetVirtualizationProviderRoute -InterfaceIndex $nic -DestinationPrefix fd00:5::/64 -NextHop fd00:4::22 -Metric 7 -CimSession WNVHOST1
         Set-NetVirtualizationLookupRecord -VMName Blue1 -Context 'it''s \"Blue\"' -CimSession WNVHOST1
         Set-VMNetworkAdapter Red1 -MaximumBandwidth 50000000 -ComputerName WNVHOST1",
    );
    let before = declared(&scripts, 1);
    assert!(before.len() > 15, "{before:#?}");
    let folder = tempfile::tempdir().unwrap();
    let exported = folder.path().join("h1.ps1").display().to_string();
    std::fs::write(&exported, scripts.stage.ok(1, "export powershell")).unwrap();
    scripts.text(
        "Remove-NetVirtualizationLookupRecord; Remove-NetVirtualizationCustomerRoute; Remove-NetVirtualizationProviderRoute
         Remove-NetVirtualizationProviderAddress
         Get-VMNetworkAdapter * | Set-VMNetworkAdapter -VirtualSubnetId 0 -MaximumBandwidth 0",
    );
    assert!(!pings(&scripts.vm("Blue1"), "10.0.0.7"));
    scripts.command(&exported, &[]);
    assert_eq!(declared(&scripts, 1), before);
    must_ping(&scripts.vm("Blue1"), "fd00:0:0:2::9");
}

#[test]
fn what_hyper_v_had_is_a_controllers() {
    let fabric = Fabric::up(&[("Blue1", 1, 0x05), ("Blue2", 2, 0x07)]);
    let path = script("blue-red.ps1").display().to_string();
    let words = ["import", "powershell", &path, "--logical-network", "TDIv2"];
    let yaml = fabric.try_op(&words).ok().unwrap_or_else(|error| panic!("{error}"));
    let names = [1, 2].map(|number| fabric.stage.host_name(number));
    let yaml = yaml.replace("WNVHOST1", &names[0]).replace("WNVHOST2", &names[1]);
    let made = fabric.apply(&yaml);
    let blue = "customer-00000000000000000000000000005001";
    assert!(made.contains(&format!("tenant \"{blue}\" created")), "{made}");
    let ports = fabric.op(&format!("get ports -t {blue}"));
    assert!(
        ports.contains("Blue1-5001") && ports.contains("10.0.0.5") && ports.contains("10-10-10-10-11-05"),
        "{ports}"
    );
    let networks = fabric.op(&format!("get vm-networks -t {blue} -o wide"));
    assert!(networks.contains("{11111111-2222-3333-4444-000000005001}"), "{networks}");
}
