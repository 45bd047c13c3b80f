//! Stories with a controller: a lab whose hosts have joined it, and the operator at its machine.

use std::time::Duration;

use lab::{Node, Output};
use serde_json::Value;

use crate::rest::Rest;
use crate::stage::{Stage, program};
use crate::tools::must_ping;

/// How long one command of the operator may take; `--wait` has its own limit below it.
const LIMIT: Duration = Duration::from_secs(40);

/// A lab with a controller, the hosts H1 and H2 that joined it, and VMs on them that nothing is declared of.
pub struct Fabric {
    /// The lab.
    pub stage: Stage,
}

impl Fabric {
    /// The lab with these VMs: name, host (1 or 2), last byte of the MAC address 00-1D-D8-B7-1C-xx.
    pub fn up(vms: &[(&str, usize, u8)]) -> Self {
        Self::up_beside(vms, "")
    }

    /// Two VMs in AAA, `test01` and `test02` on host 1 and 2, that have their addresses and reach each other.
    #[track_caller]
    pub fn two_vms() -> Self {
        let fabric = Self::up(&[("test01", 1, 1), ("test02", 2, 2)]);
        fabric.network();
        for (vm, host, mac) in [("test01", 1, 1), ("test02", 2, 2)] {
            fabric.port(vm, host, mac, "--vm-network AAA");
            fabric.lease(vm);
        }
        must_ping(&fabric.vm("test01"), "10.10.1.101");
        fabric
    }

    /// The same with more hosts, each as the YAML of a list's entry: machines that are not netvirt's, for example.
    pub fn up_beside(vms: &[(&str, usize, u8)], hosts: &str) -> Self {
        Self::up_of(vms, hosts, "")
    }

    /// The same with more hosts and VMs, each as the YAML of a list's entry.
    pub(crate) fn up_of(vms: &[(&str, usize, u8)], hosts: &str, more: &str) -> Self {
        let mut text = "name: LAB\ncontroller: {name: LABc, addresses: [192.168.4.1/24]}\nhosts:\n\
                        \x20 - {name: H1, addresses: [192.168.4.15/24], joined: true}\n\
                        \x20 - {name: H2, addresses: [192.168.4.16/24], joined: true}\n"
            .to_owned();
        text += hosts;
        text += if vms.is_empty() { "vms: []\n" } else { "vms:\n" };
        for (name, host, mac) in vms {
            text += &format!("  - {{name: {name}, host: H{host}, mac: 00-1D-D8-B7-1C-{mac:02X}}}\n");
        }
        text += more;
        let fabric = Self { stage: Stage::up(&text) };
        fabric.op("create logical-network TDIv2 --network-virtualization");
        for host in [1, 2] {
            fabric.op(&format!("set host {} --logical-network TDIv2", fabric.stage.host_name(host)));
        }
        fabric
    }

    /// The lab with a guest that has a kernel of its own beside such VMs: its name, host, last byte of the MAC address, and its
    /// address, which it is given at the start.
    pub fn up_with_guest(guest: (&str, usize, u8, &str), vms: &[(&str, usize, u8)]) -> Self {
        let (name, host, mac, address) = guest;
        let guest = format!(
            "  - {{name: {name}, kind: vm, host: H{host}, mac: 00-1D-D8-B7-1C-{mac:02X}, mtu: 1400, addresses: [{address}/16]}}\n"
        );
        Self::up_of(vms, "", &guest)
    }

    /// A controller with nothing but what it makes at its first start, in a lab whose only host has no agent.
    pub fn alone() -> Self {
        let text = "name: LAB\ncontroller: {name: LABc, addresses: [192.168.4.1/24]}\nhosts:\n\
                    \x20 - {name: H1, addresses: [192.168.4.15/24], agent: false}\nvms: []\n";
        Self { stage: Stage::up(text) }
    }

    /// The controller's REST interface, as its admin asks it from its own machine.
    pub fn rest(&self) -> Rest {
        Rest::new(self.controller(), &self.stage.lab.context().expect("a lab with a controller"))
    }

    /// The controller's machine.
    pub fn controller(&self) -> Node {
        self.stage.lab.node(&format!("{}c", self.stage.lab.name())).expect("the controller's node")
    }

    /// The operator at the controller's machine, who may act while something happens to the lab.
    pub fn operator(&self) -> Operator {
        let context = self.stage.lab.context().expect("a lab with a controller");
        Operator { node: self.controller(), context: format!("NETVIRT_CONTEXT={}", context.display()) }
    }

    /// `netvirt ARGUMENTS` at the controller's machine, whatever comes of it.
    pub fn try_op(&self, arguments: &[&str]) -> Output {
        self.operator().run(arguments)
    }

    /// What `netvirt ARGUMENTS` prints at the controller's machine; it must end well. Words are divided by spaces.
    #[track_caller]
    pub fn op(&self, arguments: &str) -> String {
        let words: Vec<_> = arguments.split_whitespace().collect();
        self.try_op(&words).ok().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What `netvirt ARGUMENTS -o json` prints at the controller's machine.
    #[track_caller]
    pub fn json(&self, arguments: &str) -> Value {
        let text = self.op(&format!("{arguments} -o json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments}: {error}\n{text}"))
    }

    /// What `netvirt ARGUMENTS` complains about at the controller's machine; it must be refused.
    #[track_caller]
    pub fn refused(&self, arguments: &str) -> String {
        let words: Vec<_> = arguments.split_whitespace().collect();
        let output = self.try_op(&words);
        assert!(!output.success(), "{arguments} was to be refused: {}", output.stdout);
        output.stderr
    }

    /// `netvirt apply --wait` of this text at the controller's machine; it must end well.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> String {
        self.try_apply(yaml, &["--wait"]).ok().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The VM network AAA with the VM subnet `test`, 10.10.0.0/16, and a pool that begins with 10.10.1.100.
    #[track_caller]
    pub fn network(&self) {
        self.op("create vm-network AAA --logical-network TDIv2");
        self.op("create vm-subnet test --vm-network AAA --prefix 10.10.0.0/16");
        self.op("create ip-pool pool --vm-subnet test --range 10.10.1.100-10.10.1.130");
    }

    /// `netvirt apply OPTIONS` of this text at the controller's machine, whatever comes of it.
    #[track_caller]
    pub fn try_apply(&self, yaml: &str, options: &[&str]) -> Output {
        let mut file = tempfile::NamedTempFile::new().expect("a scratch file");
        std::io::Write::write_all(&mut file, yaml.as_bytes()).expect("a scratch file takes text");
        let path = file.path().display().to_string();
        self.try_op(&[&["apply", "-f", &path], options].concat())
    }

    /// Declares the port of a VM: its device on host 1 or 2, connected to a VM network by more `fields`.
    #[track_caller]
    pub fn port(&self, vm: &str, host: usize, mac: u8, fields: &str) {
        let name = self.stage.host_name(host);
        self.op(&format!(
            "create port {vm} --host {name} --device {vm} --mac 00-1D-D8-B7-1C-{mac:02X} {fields} --wait"
        ));
    }

    /// A VM.
    pub fn vm(&self, name: &str) -> Node {
        self.stage.vm(name)
    }

    /// An address by DHCP, as `udhcpc` got and configured it.
    #[track_caller]
    pub fn lease(&self, vm: &str) -> Lease {
        lease(&self.vm(vm))
    }
}

/// Somebody at the controller's machine.
#[derive(Clone, Debug)]
pub struct Operator {
    node: Node,
    context: String,
}

impl Operator {
    /// `netvirt ARGUMENTS`, whatever comes of it.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let program = program();
        let command = [&["env", &self.context, program.to_str().expect("a readable path")], arguments].concat();
        self.node.output(&command, LIMIT).expect("netvirt ends")
    }
}

/// What a VM was told by DHCP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// Address and prefix length.
    pub address: String,
    /// The default gateway; empty if it was told none.
    pub gateway: String,
    /// MTU in bytes; empty if it was told none.
    pub mtu: String,
    /// The DHCP server.
    pub server: String,
}

/// What udhcpc does with an answer: configures the interface and prints what it was told.
const SCRIPT: &str = "#!/bin/sh
case $1 in
bound | renew)
    ip address flush dev \"$interface\" scope global
    ip link set \"$interface\" mtu \"${mtu:-1500}\"
    ip address add \"$ip/$mask\" dev \"$interface\"
    [ -z \"$router\" ] || ip route replace default via \"${router%% *}\" dev \"$interface\"
    echo \"LEASE|$ip/$mask|$router|$mtu|$serverid\"
    ;;
esac
";

/// An address by DHCP for a VM.
#[track_caller]
pub fn lease(vm: &Node) -> Lease {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a scratch folder");
    let script = folder.path().join("script");
    std::fs::write(&script, SCRIPT).expect("a scratch file takes text");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("a script may be run");
    let script = script.display().to_string();
    let command = ["udhcpc", "-i", "eth0", "-f", "-q", "-n", "-O", "mtu", "-t", "8", "-T", "1", "-s", &script];
    let output = vm.output(&command, Duration::from_secs(15)).unwrap_or_else(|error| panic!("{error}"));
    let line = output.stdout.lines().find_map(|line| line.strip_prefix("LEASE|"));
    let line = line.unwrap_or_else(|| panic!("{} gets no address: {}{}", vm.name(), output.stdout, output.stderr));
    let mut words = line.split('|').map(str::to_owned);
    let mut next = || words.next().unwrap_or_default();
    Lease { address: next(), gateway: next(), mtu: next(), server: next() }
}
