//! The lab of one contestant: three hosts in different subnets of the underlay; on the first a guest and a VM that is a network
//! namespace, on the second the guest that moves to the third and back.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab::{Lab, LabGuard, Moved, Node, Topology, UpOptions};
use serde_json::Value;

use crate::Error;
use crate::contestant::LAB_PREFIX;

/// How long a program of a scene may take.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// Provider addresses of the hosts.
const PROVIDERS: [&str; 3] = ["192.168.4.11", "192.168.5.22", "192.168.6.33"];
/// What moves.
pub(super) const GUEST: &str = "guest1";
/// Its MAC address, as a filter of tcpdump has it, and its address.
pub(super) const GUEST_MAC: [u8; 6] = [6, 6, 0, 0, 0, 7];
pub(super) const GUEST_ADDRESS: &str = "10.0.0.7";
/// The guest that stays, and the VM that is a network namespace.
pub(super) const OTHER_GUEST: &str = "guest0";
pub(super) const PEER: &str = "peer";
pub(super) const PEER_ADDRESS: &str = "10.0.0.5";
/// MTU of the VMs, which fits with either encapsulation.
const MTU: u32 = 1500;

/// Who carries the traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// netvirt: NVGRE, stateful security groups at the guest that moves.
    Netvirt,
    /// The kernel's VXLAN and a bridge that learn, no filters.
    Vxlan,
}

impl Kind {
    /// Both.
    pub(super) const BOTH: [Self; 2] = [Self::Netvirt, Self::Vxlan];

    /// How it is called in reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Netvirt => "netvirt, security groups",
            Self::Vxlan => "kernel VXLAN + bridge",
        }
    }

    const fn letter(self) -> &'static str {
        match self {
            Self::Netvirt => "mn",
            Self::Vxlan => "mb",
        }
    }
}

/// A lab that stands.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) kind: Kind,
    pub(super) lab: LabGuard,
    hosts: Vec<Node>,
    program: PathBuf,
    /// Where the guest is: 1 or 2, as a place in the list of hosts.
    at: usize,
    /// What the guests run under.
    pub(super) accelerator: String,
}

/// What the guest may say and hear: what it opens itself is answered, and it is pinged and sent a stream.
const GROUP: &str = "\n  - {kind: security-group, name: web, spec: {rules: [{direction: ingress, protocol: icmp}, {direction: \
                     ingress, protocol: tcp, ports: [5201, 9001]}]}}\n";

fn topology(kind: Kind) -> String {
    let (lab, agent) = (format!("{LAB_PREFIX}{}", kind.letter()), kind == Kind::Netvirt);
    let mut text = format!("name: {lab}\nunderlay: {{kind: routed, mtu: 1600}}\nhosts:\n");
    for (number, address) in (1..).zip(PROVIDERS) {
        text += &format!("  - {{name: {lab}-host{number}, addresses: [{address}/24], agent: {agent}}}\n");
    }
    let vsid = if agent { ", vsid: 5001" } else { "" };
    text += &format!(
        "vms:\n  - {{name: {PEER}, host: {lab}-host1, mac: 06-06-00-00-00-05, addresses: [{PEER_ADDRESS}/24], mtu: {MTU}{vsid}}}\n"
    );
    for (name, host, number, memory) in [(OTHER_GUEST, 1, 6, 192), (GUEST, 2, 7, 384)] {
        text += &format!(
            "  - {{name: {name}, kind: vm, memory: {memory}, host: {lab}-host{host}, mac: 06-06-00-00-00-0{number}, addresses: \
             [10.0.0.{number}/24], mtu: {MTU}{vsid}}}\n"
        );
    }
    if agent {
        text += "resources:\n";
        for (number, provider) in [(5, 0), (6, 0), (7, 1)] {
            text += &format!("  - {}\n", record(number, PROVIDERS[provider]));
        }
        text += "  - {kind: customer-route, spec: {rdid: \"{11111111-2222-3333-4444-000000005001}\", vsid: 5001, prefix: \
                 10.0.0.0/24, nextHop: 0.0.0.0}}";
        text += GROUP;
    }
    text
}

/// Where a VM is.
fn record(number: u32, provider: &str) -> String {
    format!(
        "{{kind: lookup-record, spec: {{vsid: 5001, customerAddress: 10.0.0.{number}, mac: 06-06-00-00-00-0{number}, \
         providerAddress: {provider}}}}}"
    )
}

impl Scene {
    /// Builds it.
    pub(super) fn up(kind: Kind, program: &Path) -> Result<Self, Error> {
        let topology = Topology::from_yaml(&topology(kind))?;
        let options = UpOptions { program: Some(program.to_owned()), ..UpOptions::default() };
        let lab = LabGuard::up(&topology, options)?;
        let hosts = topology.hosts.iter().map(|host| lab.host(host.name.as_str())).collect::<Result<Vec<_>, _>>()?;
        let accelerator = accelerator(&lab)?;
        let scene = Self { kind, lab, hosts, program: program.to_owned(), at: 1, accelerator };
        match kind {
            Kind::Netvirt => {
                scene.netvirt(1, &format!("set port {GUEST} --security-group web"))?;
                let port = "--device guest1 --mac 06-06-00-00-00-07 --vsid 5001 --security-group web";
                scene.netvirt(2, &format!("create port {GUEST} {port}"))?;
            }
            Kind::Vxlan => (0..3).try_for_each(|host| scene.bridge(host))?,
        }
        Ok(scene)
    }

    /// The bridge and the VXLAN device of a host; both learn, and what is for all goes to all hosts.
    fn bridge(&self, host: usize) -> Result<(), Error> {
        let own = PROVIDERS[host];
        let mut script = format!(
            "set -e\nip link add br0 type bridge\nip link set br0 mtu {MTU} up\nip link add vxlan0 type vxlan id 5001 local {own} \
             dstport 4789\nip link set vxlan0 mtu {MTU} master br0 up\n"
        );
        for other in PROVIDERS.iter().filter(|other| **other != own) {
            script += &format!("bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst {other}\n");
        }
        for device in [[PEER, OTHER_GUEST].as_slice(), &[GUEST], &[]][host] {
            script += &format!("ip link set {device} master br0 up\n");
        }
        self.run_at(host, &["sh", "-c", &script]).map(drop)
    }

    /// Runs a command at a host; it must end well.
    fn run_at(&self, host: usize, command: &[&str]) -> Result<String, Error> {
        Ok(self.hosts[host].output(command, LIMIT)?.ok()?)
    }

    /// `netvirt` at a host's agent. Words are divided by spaces.
    fn netvirt(&self, host: usize, words: &str) -> Result<String, Error> {
        let name = self.hosts[host].name();
        let program = self.program.display().to_string();
        let command: Vec<&str> =
            std::iter::once(program.as_str()).chain(words.split_whitespace()).chain(["--host", name]).collect();
        self.run_at(host, &command)
    }

    /// Has all agents take over some resources.
    fn tell(&self, yaml: &str) -> Result<(), Error> {
        let path = self.lab.folder().join("declared.yaml");
        let failed = |source| Error::File { action: "write", path: path.clone(), source };
        std::fs::write(&path, yaml).map_err(failed)?;
        (0..3).try_for_each(|host| self.netvirt(host, &format!("apply -f {}", path.display())).map(drop))
    }

    /// A host's node.
    pub(super) fn host(&self, place: usize) -> &Node {
        &self.hosts[place]
    }

    /// Moves the guest to the other one of its two hosts.
    pub(super) fn go(&mut self) -> Result<Moved, Error> {
        let (from, to) = (self.at, 3 - self.at);
        let host = self.hosts[to].name().to_owned();
        let (old, new) = (PROVIDERS[from], PROVIDERS[to]);
        let migration = "kind: migration, spec: {vsid: 5001, mac: 06-06-00-00-00-07, ";
        if self.kind == Kind::Netvirt {
            self.tell(&format!("{{{migration}to: {new}}}}}\n"))?;
        }
        let awaited = self.lab.receive_vm(GUEST, &host)?;
        match self.kind {
            Kind::Vxlan => self.run_at(to, &["ip", "link", "set", GUEST, "master", "br0", "up"]).map(drop)?,
            Kind::Netvirt => self.carry_memory(from, to)?,
        }
        let moved = self.lab.hand_over_vm(GUEST, &awaited);
        Lab::received_vm(&mut self.lab, GUEST)?;
        let moved = moved?;
        self.at = to;
        if self.kind == Kind::Netvirt {
            self.await_known(new)?;
            self.tell(&format!("{}\n---\n{{{migration}from: {old}}}}}\n", record(7, new)))?;
            for place in 0..3 {
                self.netvirt(place, "delete migration 5001/06-06-00-00-00-07")?;
            }
        }
        Ok(moved)
    }

    /// Tells the host that the guest goes to what the one knows of its connections that it leaves, as hosts of a controller do by
    /// themselves.
    fn carry_memory(&self, from: usize, to: usize) -> Result<(), Error> {
        let path = self.lab.folder().join("memory.json");
        let failed = |source| Error::File { action: "write", path: path.clone(), source };
        std::fs::write(&path, self.netvirt(from, &format!("port recall {GUEST}"))?).map_err(failed)?;
        let end = Instant::now() + LIMIT;
        loop {
            // The port gets its device a moment after the tap is there.
            match self.netvirt(to, &format!("port remember {GUEST} {}", path.display())) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Waits until all hosts have heard the guest at its new place.
    fn await_known(&self, new: &str) -> Result<(), Error> {
        let end = Instant::now() + LIMIT;
        loop {
            let mut known = true;
            for host in 0..3 {
                let said = self.netvirt(host, "get migrations -o json")?;
                let said: Value = serde_json::from_str(&said).unwrap_or_default();
                known &= said[0]["status"]["at"] == new;
            }
            if known {
                return Ok(());
            }
            if Instant::now() >= end {
                let what = format!("not all hosts have heard {GUEST} at {new}");
                return Err(Error::Late { what, seconds: LIMIT.as_secs(), log: String::new() });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What the guests of a lab run under.
fn accelerator(lab: &Lab) -> Result<String, Error> {
    let status = lab.status()?;
    let guests = status.nodes.iter().filter_map(|node| node.guest.as_ref()?.accelerator);
    Ok(guests.map(lab::Accelerator::name).next().unwrap_or("unknown").to_owned())
}
