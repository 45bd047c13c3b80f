//! A scene that stands: two VMs, their host or hosts, and how it is set for the next measurement.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use host::Offload;
use lab::{LabGuard, Node, Topology, UpOptions};

use super::daemon::Daemon;
use crate::load::{self, Ends, Station};
use crate::measure::{Cores, Frames, Measure, Scene};
use crate::{Error, interrupt};

/// The uplink of a host, and the interface of a VM.
pub(super) const ETH0: &str = "eth0";
/// Provider addresses of the hosts.
pub(super) const PROVIDERS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 168, 4, 11), Ipv4Addr::new(192, 168, 4, 22)];
/// MAC addresses of the VMs.
pub(super) const MACS: [[u8; 6]; 2] = [[6, 6, 0, 0, 0, 5], [6, 6, 0, 0, 0, 7]];
/// Names of the VMs, and of their hosts' devices.
pub(super) const VMS: [&str; 2] = ["vm1", "vm2"];
/// MTU of VMs on one host, in bytes.
pub(super) const LOCAL_MTU: u32 = 1500;
/// What all labs of benchmarks begin with.
pub const LAB_PREFIX: &str = "bench-";

/// Sysctls of the VMs: a connection that cannot be made is given up within seconds, and there are ports for as many as
/// come.
const VM_SYSCTLS: [(&str, &str); 2] = [("ipv4/tcp_syn_retries", "2"), ("ipv4/ip_local_port_range", "10000 65000")];

/// What a lab shall be made of.
pub(super) struct Design<'a> {
    /// The contestant's letter.
    pub(super) letter: &'a str,
    /// Where the VMs are.
    pub(super) scene: Scene,
    /// Whether the hosts run agents.
    pub(super) agent: bool,
    /// Addresses of the VMs.
    pub(super) addresses: [Ipv4Addr; 2],
    /// YAML fields of both VMs, besides names, MAC addresses and addresses.
    pub(super) vm_fields: String,
    /// YAML fields of each VM.
    pub(super) each_vm: [String; 2],
    /// YAML of the resources.
    pub(super) resources: String,
    /// The program that the agents are.
    pub(super) program: Option<PathBuf>,
}

impl Design<'_> {
    /// Its lab's name.
    fn lab(&self) -> String {
        match self.scene {
            Scene::TwoHosts(mtu) => format!("{LAB_PREFIX}{}-{mtu}", self.letter),
            Scene::OneHost => format!("{LAB_PREFIX}{}-local", self.letter),
        }
    }

    /// The lab as YAML.
    fn yaml(&self) -> String {
        let (lab, agent) = (self.lab(), self.agent);
        let (underlay, count) = match self.scene {
            Scene::TwoHosts(mtu) => (format!("{{kind: cable, mtu: {mtu}}}"), 2),
            Scene::OneHost => ("{kind: segment}".to_owned(), 1),
        };
        let mut text = format!("name: {lab}\nunderlay: {underlay}\nhosts:\n");
        for (number, address) in (1..=count).zip(PROVIDERS) {
            // Agents are told apart by the names of their hosts, in all labs.
            text += &format!("  - {{name: {lab}-host{number}, addresses: [{address}/24], agent: {agent}}}\n");
        }
        text += "vms:\n";
        for (index, vm) in VMS.into_iter().enumerate() {
            let (mac, address) = (mac_text(MACS[index]), self.addresses[index]);
            let (host, all, own) = ((index + 1).min(count), &self.vm_fields, &self.each_vm[index]);
            text += &format!(
                "  - {{name: {vm}, host: {lab}-host{host}, mac: {mac}, addresses: [{address}/24]{all}{own}}}\n"
            );
        }
        text + &self.resources
    }

    /// Builds it.
    pub(super) fn raise(&self) -> Result<Stage, Error> {
        interrupt::check()?;
        let topology = Topology::from_yaml(&self.yaml())?;
        let options = UpOptions { program: self.program.clone(), ..UpOptions::default() };
        let lab = LabGuard::up(&topology, options)?;
        let hosts = topology.hosts.iter().map(|host| lab.host(host.name.as_str())).collect::<Result<Vec<_>, _>>()?;
        let [client, server] = [lab.vm(VMS[0])?, lab.vm(VMS[1])?];
        for vm in [&client, &server] {
            for (key, value) in VM_SYSCTLS {
                vm.namespace().set_sysctl(key, value)?;
            }
        }
        Ok(Stage {
            daemons: Vec::new(),
            hosts,
            client,
            server,
            address: self.addresses[1],
            own: self.addresses[0],
            next_hop: MACS[1],
            note: None,
            whole_frames: true,
            set: None,
            lab,
        })
    }
}

/// A MAC address as the project writes it.
pub(super) fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join("-")
}

/// A scene that stands. It is removed when this goes: first the daemons, at last the lab.
#[derive(Debug)]
pub struct Stage {
    /// Programs that run on the hosts, by the host's place.
    pub(super) daemons: Vec<(usize, Daemon)>,
    /// One host, or the client's and the server's.
    pub(super) hosts: Vec<Node>,
    /// The client's VM.
    pub(super) client: Node,
    /// The server's VM.
    pub(super) server: Node,
    /// The server's address.
    pub(super) address: Ipv4Addr,
    /// The client's address.
    own: Ipv4Addr,
    /// The MAC address that the client sends to.
    pub(super) next_hop: [u8; 6],
    /// What there is to know of how it was set up.
    pub note: Option<String>,
    /// Whether the VMs may send frames that are larger than the MTU.
    pub(super) whole_frames: bool,
    /// What it is set for.
    set: Option<(Frames, Cores)>,
    lab: LabGuard,
}

impl Stage {
    /// Names of its hosts.
    pub fn host_names(&self) -> Vec<String> {
        self.hosts.iter().map(|host| host.name().to_owned()).collect()
    }

    /// A folder or file with this name, to be made, that goes with the stage.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.lab.folder().join(name)
    }

    /// Sets it for a measurement, whose two ends are returned. `cpus` are the client's and the server's.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn prepare(&mut self, measure: &Measure, cpus: [usize; 2]) -> Result<Ends<'_>, Error> {
        if self.set != Some((measure.frames, measure.cores)) {
            self.set_frames(measure.frames)?;
            self.set_cores(measure.cores, cpus)?;
            self.set = Some((measure.frames, measure.cores));
        }
        Ok(self.ends(measure.cores, cpus))
    }

    /// Waits until the VMs reach each other.
    ///
    /// # Errors
    /// When they do not.
    pub fn reach(&self, cpus: [usize; 2]) -> Result<(), Error> {
        load::reach(self.ends(Cores::Two, cpus))
    }

    fn ends(&self, cores: Cores, cpus: [usize; 2]) -> Ends<'_> {
        let [client_cpu, server_cpu] = match cores {
            Cores::One => [cpus[0]; 2],
            Cores::Two => cpus,
        };
        Ends {
            client: self.client.namespace(),
            server: self.server.namespace(),
            address: self.address,
            own: Station { mac: MACS[0], address: self.own },
            next_hop: self.next_hop,
            client_cpu,
            server_cpu,
        }
    }

    /// Switches the offloads that say where large frames are cut.
    fn set_frames(&self, frames: Frames) -> Result<(), Error> {
        let vm = frames != Frames::VmCuts;
        let uplink = !matches!(frames, Frames::UplinkCuts | Frames::UplinkMerges);
        if self.whole_frames {
            for node in [&self.client, &self.server] {
                switch(node, &[(Offload::Tso, vm), (Offload::Gso, vm)])?;
            }
            for node in &self.hosts {
                let merge = frames == Frames::UplinkMerges;
                switch(node, &[(Offload::Tso, uplink), (Offload::Gso, uplink), (Offload::Gro, merge)])?;
            }
        }
        Ok(())
    }

    /// Steers each host to its CPU. A veth's receive path runs on the CPU of the sender, so that without steering all
    /// of the way would be on the client's. Steering at the uplinks is enough: from there on everything stays.
    fn set_cores(&self, cores: Cores, cpus: [usize; 2]) -> Result<(), Error> {
        if let [_, _] = self.hosts.as_slice() {
            for (node, cpu) in self.hosts.iter().zip(&cpus) {
                let steered = match cores {
                    Cores::One => &[][..],
                    Cores::Two => std::slice::from_ref(cpu),
                };
                node.namespace().set_receive_cpus(ETH0, steered)?;
            }
        }
        for (host, daemon) in &self.daemons {
            daemon.pin(match cores {
                Cores::One => cpus[0],
                Cores::Two => cpus[*host],
            })?;
        }
        Ok(())
    }
}

/// Switches offloads of a node's interface.
fn switch(node: &Node, offloads: &[(Offload, bool)]) -> Result<(), Error> {
    let netlink = node.netlink()?;
    for (offload, on) in offloads {
        netlink.set_offload(ETH0, *offload, *on)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn designs_are_legal_labs() {
        for scene in [Scene::TwoHosts(9000), Scene::OneHost] {
            let design = Design {
                letter: "x",
                scene,
                agent: false,
                addresses: [Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(10, 0, 0, 7)],
                vm_fields: ", mtu: 1500".to_owned(),
                each_vm: [String::new(), ", routes: [{to: 10.1.0.0/16, via: 10.0.0.1}]".to_owned()],
                resources: String::new(),
                program: None,
            };
            let topology = Topology::from_yaml(&design.yaml()).unwrap();
            assert!(topology.name.as_str().starts_with(LAB_PREFIX));
            assert_eq!(topology.vms[1].routes.len(), 1);
        }
    }
}
