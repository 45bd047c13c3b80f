//! Physical networks for real: two hosts on one wire, VMs of both, and what they reach.
//!
//! Needs root: it makes network namespaces, loads the programs and attaches them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use datapath::{Attachment, Datapath, Role};
use host::{Namespace, Netlink};
use model::{Intent, MacAddress, resources_from_yaml};
use plan::{Facts, HostTables, Link, LinkKind, Settings};

/// Runs `ip`, which must succeed.
fn ip(arguments: &str) {
    let output =
        Command::new("timeout").arg("20").arg("ip").args(arguments.split_whitespace()).output().expect("ip runs");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A namespace that goes with the test.
struct Space(Namespace);

impl Space {
    fn new(name: &str) -> Self {
        let name = format!("nvp-{name}-{}", std::process::id());
        let space = Self(Namespace::create(&name).expect("a namespace can be made"));
        ip(&format!("-n {name} link set lo up"));
        space
    }

    fn name(&self) -> &str {
        self.0.name().expect("it has one")
    }

    /// Whether an address answers a ping of this length.
    fn reaches(&self, address: &str, length: u32) -> bool {
        let length = length.to_string();
        let mut ping = Command::new("timeout");
        ping.args([
            "10",
            "ip",
            "netns",
            "exec",
            self.name(),
            "ping",
            "-q",
            "-c2",
            "-i0.2",
            "-W1",
            "-s",
            &length,
            address,
        ]);
        ping.output().expect("ping runs").status.success()
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        if let Err(error) = Namespace::delete(self.0.name().unwrap_or_default()) {
            eprintln!("{error}");
        }
    }
}

/// A host, and its folder in the BPF file system.
struct Host {
    space: Space,
    folder: PathBuf,
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Err(error) = Datapath::remove(&self.folder) {
            eprintln!("{error}");
        }
    }
}

impl Host {
    fn new(name: &str) -> Self {
        let space = Space::new(name);
        let folder = Path::new(host::kernel::BPFFS_ROOT).join(space.name());
        host::kernel::ensure_bpffs(&folder).expect("a folder in the BPF file system");
        Self { space, folder }
    }

    /// A VM: a namespace with one end of a veth, the other of which is the host's device of the same name.
    fn vm(&self, name: &str, mac: &str, address: &str) -> Space {
        let vm = Space::new(name);
        let (host, guest) = (self.space.name(), vm.name());
        ip(&format!("-n {host} link add name {name} type veth peer name eth0 address {mac} netns {guest}"));
        ip(&format!("-n {host} link set dev {name} up"));
        ip(&format!("-n {guest} link set eth0 up"));
        ip(&format!("-n {guest} address add {address} dev eth0"));
        vm
    }

    /// Carries out what is declared.
    fn apply(&self, yaml: &str) {
        let intent = Intent::new(resources_from_yaml(yaml).expect("resources")).expect("they agree");
        let netlink = Netlink::in_namespace(&self.space.0).expect("netlink");
        let links: BTreeMap<_, _> = netlink.links().expect("links").into_iter().map(convert).collect();
        let compiled =
            plan::compile(&intent, &Facts { links: links.clone(), slots: BTreeMap::new() }, &Settings::default());
        assert_eq!(compiled.findings, []);
        let at = |name: &model::Name, role| Attachment { ifindex: links[name].ifindex, device: name.to_string(), role };
        let uplink = "up0".parse().expect("a name");
        let ports = intent.ports().map(|port| at(&port.device, Role::Port));
        let wanted: BTreeSet<Attachment> = ports.chain([at(&uplink, Role::Uplink), at(&uplink, Role::Host)]).collect();
        let run = || {
            let mut datapath = Datapath::open(&self.folder).expect("the kernel takes the programs");
            datapath.apply(&plan::diff(&HostTables::default(), &compiled.tables)).expect("and the tables");
            datapath.reconcile(&wanted).expect("and the programs run");
        };
        self.space.0.run(run).expect("the namespace can be entered");
    }
}

fn convert(link: host::Link) -> (model::Name, Link) {
    let kind = match link.kind {
        host::LinkKind::Veth => LinkKind::Veth { peer_in_other_namespace: link.peer_elsewhere },
        _ => LinkKind::Other,
    };
    let mac = link.mac.and_then(|mac| MacAddress::new(mac).ok());
    (
        link.name.parse().expect("a name"),
        Link { ifindex: link.index, mtu: link.mtu, up: true, kind, mac, addresses: link.addresses },
    )
}

fn port(name: &str, mac: &str, network: &str, addresses: &str) -> String {
    let mac = mac.replace(':', "-");
    format!(
        "{{kind: port, name: {name}, spec: {{device: {name}, mac: {mac}, physical: {{interface: up0{network}}}, addresses: [{addresses}]}}}}"
    )
}

#[test]
fn vms_reach_each_other_the_hosts_and_the_wire() {
    let (one, two) = (Host::new("h1"), Host::new("h2"));
    ip(&format!("-n {} link add up0 type veth peer name up0 netns {}", one.space.name(), two.space.name()));
    for (host, address) in [(&one, "192.168.4.11/24"), (&two, "192.168.4.12/24")] {
        ip(&format!("-n {} link set up0 up", host.space.name()));
        ip(&format!("-n {} address add {address} dev up0", host.space.name()));
    }
    let macs: Vec<String> = (0..5).map(|number| format!("06:06:09:00:00:0{number}")).collect();
    let a = one.vm("a", &macs[0], "192.168.4.50/24");
    let b = one.vm("b", &macs[1], "192.168.4.51/24");
    let c = two.vm("c", &macs[2], "192.168.4.52/24");
    // On VLAN 42, where the addresses are the same.
    let tagged = one.vm("t", &macs[3], "192.168.4.60/24");
    let other = two.vm("u", &macs[4], "192.168.4.51/24");
    one.apply(
        &[
            port("a", &macs[0], "", "192.168.4.50"),
            port("b", &macs[1], "", ""),
            port("t", &macs[3], ", vlan: 42", "192.168.4.60"),
        ]
        .join("\n---\n"),
    );
    two.apply(&[port("c", &macs[2], "", ""), port("u", &macs[4], ", vlan: 42", "")].join("\n---\n"));
    for (from, to, what) in [
        (&a, "192.168.4.51", "a VM on the same host"),
        (&a, "192.168.4.52", "a VM on the other host"),
        (&c, "192.168.4.50", "the same, the other way"),
        (&a, "192.168.4.11", "its own host"),
        (&a, "192.168.4.12", "the other host"),
        (&one.space, "192.168.4.51", "the host one of its VMs"),
        (&one.space, "192.168.4.52", "the host a VM of another"),
        (&one.space, "192.168.4.12", "the host another"),
        (&tagged, "192.168.4.51", "a VM on the same VLAN"),
        (&other, "192.168.4.60", "the same, the other way"),
    ] {
        assert!(from.reaches(to, 56), "{what} is not reached from {}", from.name());
        assert!(from.reaches(to, 1472), "{what} is not reached with full frames from {}", from.name());
    }
    // What the VLAN reaches at 192.168.4.51 is not what answers there without a tag, and nobody else is in it.
    for (from, to) in
        [(&tagged, "192.168.4.50"), (&tagged, "192.168.4.11"), (&a, "192.168.4.60"), (&one.space, "192.168.4.60")]
    {
        assert!(!from.reaches(to, 56), "{to} is reached from {}", from.name());
    }
    // A VM with an address of its own has no other.
    ip(&format!("-n {} address replace 192.168.4.99/24 dev eth0", a.name()));
    ip(&format!("-n {} address del 192.168.4.50/24 dev eth0", a.name()));
    assert!(!a.reaches("192.168.4.51", 56), "another address is let through");
    drop(b);
}
