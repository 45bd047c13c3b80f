//! Scripts of HNV administrators set up networks, and traffic goes accordingly; what a host is can be written as a script, and a
//! fresh host made the same by it. Needs root.

use std::path::PathBuf;

use lab::Node;
use serde_json::Value;
use tests::fabric::Fabric;
use tests::stage::{LIMIT, Stage, eventually, program};
use tests::tools::{Background, must_ping, run_any};

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
fn a_router_in_the_place_of_the_hosts() {
    let scripts = Scripts::up();
    scripts.run("blue-red.ps1", &[]);
    let (blue1, blue2) = (scripts.vm("Blue1"), scripts.vm("Blue2"));
    for (address, device) in [("10.0.0.1/32", "eth0"), ("172.16.7.1/32", "lo")] {
        let added = blue2.output(&["ip", "address", "add", address, "dev", device], LIMIT).unwrap();
        assert!(added.success(), "{}", added.stderr);
    }
    must_ping(&blue1, "10.0.0.1");
    assert!(!pings(&blue1, "172.16.7.1"), "the hosts are the gateway, and have no route there");
    let hosts = "-CimSession WNVHOST1, WNVHOST2";
    scripts.text(&format!(
        "Set-NetVirtualizationGlobal -UseExternalRouter $true {hosts}
         New-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.1 -VirtualSubnetID 5001 -MACAddress 101010101107 `
            -ProviderAddress 192.168.4.22 -Rule TranslationMethodEncap {hosts}"
    ));
    let forget = ["ip", "neighbour", "flush", "dev", "eth0"];
    assert!(blue1.output(&forget, LIMIT).unwrap().success());
    must_ping(&blue1, "172.16.7.1");
    // Whoever still sends to the hosts' MAC address is not routed around the router.
    let stale = ["ip", "neighbour", "replace", "10.0.0.1", "lladdr", "02:4e:56:00:00:01", "dev", "eth0"];
    assert!(blue1.output(&stale, LIMIT).unwrap().success());
    assert!(!pings(&blue1, "172.16.7.1"));
    must_ping(&blue1, "10.0.0.7");
    scripts.text(&format!(
        "Remove-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.1 {hosts}
         Set-NetVirtualizationGlobal -UseExternalRouter $false {hosts}"
    ));
    assert!(!pings(&blue1, "172.16.7.1"));
    must_ping(&blue1, "10.0.0.1");
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

/// An sshd on a host, and what an ssh client needs to log in there.
struct Ssh {
    folder: tempfile::TempDir,
    _server: Background,
}

impl Ssh {
    fn start(host: &Node) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "user"] {
            let made = std::process::Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)])
                .status()
                .expect("ssh-keygen runs");
            assert!(made.success());
        }
        std::fs::create_dir_all("/run/sshd").unwrap();
        let (key, users, pid) = (at("host"), at("user.pub"), at("pid"));
        let server = format!(
            "HostKey {key}\nAuthorizedKeysFile {users}\nPidFile {pid}\nPermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\n"
        );
        std::fs::write(at("sshd"), server).unwrap();
        let (user, known) = (at("user"), at("known"));
        let client = format!("IdentityFile {user}\nUserKnownHostsFile {known}\nStrictHostKeyChecking accept-new\n");
        std::fs::write(at("client"), client).unwrap();
        std::fs::create_dir(at("bin")).unwrap();
        let wrapper = at("bin/ssh");
        std::fs::write(&wrapper, format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", at("client"))).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&wrapper, mode).unwrap();
        // As on a machine of its own, the agent's socket is where agents have theirs.
        let alone = format!(
            "set -e\nmkdir {all} {own}\nmount --bind /run/netvirt {all}\nln -s {all}/{name}.sock {own}/agent.sock\nln -s {all}/{name}.sock {own}/{name}.sock\n\
             mount --bind {own} /run/netvirt\nexec /usr/sbin/sshd -D -e -f {config}\n",
            all = at("all"),
            own = at("own"),
            name = host.name(),
            config = at("sshd")
        );
        std::fs::write(at("alone"), alone).unwrap();
        let server = Background::start(host, &format!("unshare --mount --propagation private sh {}", at("alone")));
        let listens = || run_any(host, "ss -Hltn sport = :22").contains(":22");
        assert!(eventually(LIMIT, listens), "{}", server.output());
        Self { folder, _server: server }
    }

    fn path(&self) -> String {
        format!("PATH={}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap())
    }
}

#[test]
fn hosts_are_reached_through_ssh() {
    let stage = Stage::blue_red();
    let ssh = Ssh::start(&stage.host(2));
    let hosts = ssh.folder.path().join("hosts.yaml");
    let socket = format!("/run/netvirt/{}.sock", stage.host_name(2));
    std::fs::write(&hosts, format!("HV2: ssh://root@192.168.4.22{socket}\nHV3: ssh://root@192.168.4.22:2222\n"))
        .unwrap();
    let program = program();
    let run = |command: &str| {
        let words = [
            "env",
            &ssh.path(),
            program.to_str().unwrap(),
            "powershell",
            "--hosts",
            hosts.to_str().unwrap(),
            "-c",
            command,
        ];
        stage.host(1).output(&words, LIMIT).expect("netvirt ends")
    };
    let shown = run("Get-NetVirtualizationProviderAddress -CimSession HV2 | % ProviderAddress");
    assert!(shown.stdout.contains("192.168.4.22"), "{}{}", shown.stdout, shown.stderr);
    let set = run("Set-NetVirtualizationLookupRecord -CustomerAddress 10.0.0.5 -Context there -CimSession HV2");
    assert!(set.success(), "{}", set.stderr);
    let records = stage.json(2, "get lookup-records");
    let noted = records.as_array().unwrap().iter().filter(|record| record["spec"]["context"] == "there").count();
    assert_eq!(noted, 2, "{records:#}");
    // Where nobody listens, ssh's own words are told.
    let refused = run("Get-VM -CimSession HV3");
    assert!(
        !refused.success() && refused.stderr.contains("ssh to root@192.168.4.22:2222 failed"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_controllers_hosts_are_reached_through_ssh() {
    let fabric = Fabric::up(&[("test01", 1, 0x02)]);
    let ssh = Ssh::start(&fabric.stage.host(1));
    let (program, context) = (program(), fabric.stage.lab.context().expect("a lab with a controller"));
    let run = |command: &str| {
        let context = format!("NETVIRT_CONTEXT={}", context.display());
        let program = program.to_str().unwrap();
        let words = ["env", &ssh.path(), &context, program, "powershell", "-c", command];
        fabric.controller().output(&words, LIMIT).expect("netvirt ends")
    };
    // In capitals, as NetBIOS names are: there is no socket of that name here, so that the controller is asked.
    let name = fabric.stage.host_name(1);
    let shown =
        run(&format!("(Get-NetVirtualizationProviderAddress -CimSession {}).ProviderAddress", name.to_uppercase()));
    let address = shown.ok().unwrap_or_else(|error| panic!("{error}"));
    let known = fabric.json(&format!("get host {name}"));
    assert!(known.to_string().contains(address.trim()) && !address.trim().is_empty(), "{address}: {known:#}");
    let unknown = run("Get-VM -CimSession HV9");
    assert!(
        unknown.stderr.contains("there is no host \"HV9\"")
            && unknown.stderr.contains("nor does the controller know one"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn what_a_controller_said_is_unsynchronized_when_it_is_lost() {
    let mut fabric = Fabric::up(&[("test01", 1, 0x02)]);
    fabric.network();
    fabric.port("test01", 1, 0x02, "--vm-network AAA");
    let state = |fabric: &Fabric| {
        let command = "Get-NetVirtualizationLookupRecord | % { \"$($_.CustomerAddress) $($_.Unsynchronized)\" }";
        let shown = fabric.stage.netvirt(1, &["powershell", "-c", command]);
        shown.ok().unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(state(&fabric), "10.10.1.100 False\n");
    fabric.stage.lab.kill_controller().unwrap();
    assert!(eventually(LIMIT, || state(&fabric) == "10.10.1.100 True\n"), "{}", state(&fabric));
}
